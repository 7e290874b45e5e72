"""os-ken's own applications as the outside controller."""

import os
import signal

import pytest
from lab import Switch, osken, ping_all, sh, stop, wait_for


def connected(switch):
    return any(c['state'] == 'active' for c in switch.manage('connections'))


def controlled(lab, app, count=4, *args, controller_args=()):
    sw, hosts = lab.star(count)
    osken(lab, sw, app, args=controller_args)
    switch = Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', *args, ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    wait_for('the session', lambda: connected(switch), 30)
    return sw, hosts, switch


@pytest.mark.parametrize('app,protocol', [
    ('os_ken.app.simple_switch_13', '1.3'),
    ('os_ken.app.simple_switch', '1.0'),
    ('os_ken.app.simple_switch_12', '1.2'),
    ('os_ken.app.simple_switch_14', '1.4'),
    ('os_ken.app.simple_switch_15', '1.5'),
])
def test_learning_switch(lab, app, protocol):
    _, hosts, switch = controlled(lab, app, 4, '--protocol', protocol)
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 30)
    assert ping_all(hosts) == []
    dump = switch.ofctl('dump-flows')
    # A flow per direction of each pair, at least one way of each.
    assert sum('in_port=' in line for line in dump.splitlines()) >= 6, dump


@pytest.mark.needs('iperf3')
def test_tcp_through_learnt_flows(lab):
    _, hosts, _ = controlled(lab, 'os_ken.app.simple_switch_13', 2)
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)
    assert hosts[0].iperf(hosts[1]) > 0.5


def test_the_controller_dies_and_comes_back(lab):
    sw, hosts = lab.star(2)
    log = os.path.join(lab.dir, 'osken.log')
    controller = osken(lab, sw, 'os_ken.app.simple_switch_13', log=log)
    switch = Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', ports=['1=s1', '2=s2'])
    wait_for('the session', lambda: connected(switch), 30)
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)
    assert hosts[0].ping(hosts[1], 5) == 5
    stop(controller, signal.SIGKILL)
    wait_for('the loss to be seen', lambda: not connected(switch), 30)
    assert hosts[0].ping(hosts[1], 20) == 20, 'installed flows go on forwarding'
    osken(lab, sw, 'os_ken.app.simple_switch_13', log=log)
    wait_for('the session to come back', lambda: connected(switch), 60)
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)


def test_secure_without_a_controller_drops(lab):
    sw, hosts = lab.star(2)
    Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1], 2, 1) == 0


def test_standalone_takes_over_until_the_controller_comes(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', '--fail-mode', 'standalone', ports=['1=s1', '2=s2'])
    wait_for('standalone forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 30)
    osken(lab, sw, 'os_ken.app.simple_switch_13')
    wait_for('the session', lambda: connected(switch), 60)
    wait_for('learnt flows', lambda: hosts[0].ping(hosts[1], 1) == 1 and 'in_port=' in switch.ofctl('dump-flows'), 30)

"""In-band control: a controller that only the switch's own ports lead to."""

import os

from clients import connected
from lab import Switch, osken, ping_all, sh, stop, wait_for

IN_BAND = ['--in-band', '--local-port', '--fail-mode', 'secure', '--protocol', '1.3',
           '--inactivity-probe', '1', '--controller', 'tcp:10.0.0.1:6653']


def address(switch, ip):
    sh(['ip', '-n', switch.ns, 'addr', 'add', ip + '/24', 'dev', 'br0'])
    sh(['ip', '-n', switch.ns, 'link', 'set', 'br0', 'up'])


def probes(switch):
    """Probes sent over connections that dialled controllers have now."""
    return [c['counters']['probes_sent'] for c in switch.manage('connections')
            if c['purpose'] == 'controller' and c['state'] == 'active']


def test_a_controller_behind_a_data_port(lab):
    sw, hosts = lab.star(3)
    controller = osken(lab, hosts[0].ns, 'os_ken.app.simple_switch_13')
    switch = Switch(lab, sw, *IN_BAND, ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    address(switch, '10.0.0.100')
    wait_for('the session', lambda: connected(switch), 60)
    # The application's table-miss entry leads packets to it, and it teaches the switch the rest.
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 60)

    # Nothing of it is a flow entry, and no flow entry can cut the channel.
    switch.ofctl('del-flows')
    assert switch.ofctl('dump-flows').strip() == ''
    switch.ofctl('add-flow', 'priority=65535,actions=drop')
    before = probes(switch)[0]
    wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)
    assert hosts[1].ping(hosts[2], 2, 1) == 0, 'everything else meets the tables'
    entry = [line for line in switch.ofctl('dump-flows').splitlines() if 'priority=65535' in line]
    assert len(entry) == 1 and 'n_packets=0,' not in entry[0], entry

    # A controller that comes back is found again, whatever the tables say.
    stop(controller)
    wait_for('the loss', lambda: not connected(switch), 60)
    osken(lab, hosts[0].ns, 'os_ken.app.simple_switch_13', log=os.path.join(lab.dir, 'again.log'))
    wait_for('the session to come back', lambda: connected(switch), 90)


def test_without_it_an_empty_table_leads_nowhere(lab):
    sw, hosts = lab.star(1)
    osken(lab, hosts[0].ns, 'os_ken.app.simple_switch_13')
    out_of_band = [word for word in IN_BAND if word != '--in-band']
    switch = Switch(lab, sw, *out_of_band, ports=['1=s1'])
    address(switch, '10.0.0.100')
    wait_for('a failed attempt', lambda: any(c.get('last_error') for c in switch.manage('connections')), 60)
    assert not connected(switch)
    assert sh(['ip', 'netns', 'exec', sw, 'ping', '-c', '1', '-W', '1', '10.0.0.1'], check=False).returncode != 0


def test_a_switch_behind_another(lab):
    """The channel of the second switch goes through the first, whose tables know nothing of it."""
    near, hosts = lab.star(1, switch='near')
    far, host = lab.ns('far'), hosts[0]
    lab.link(near, 's2', far, 's1')
    osken(lab, host.ns, 'os_ken.app.simple_switch_13')
    first = Switch(lab, near, *IN_BAND, ports=['1=s1', '2=s2'])
    second = Switch(lab, far, *IN_BAND, ports=['1=s1'])
    # The first one's own channel doesn't need the second's, so it is told nothing of it.
    address(second, '10.0.0.102')
    wait_for('the session of the second', lambda: connected(second), 90)
    address(first, '10.0.0.101')
    wait_for('the session of the first', lambda: connected(first), 90)
    first.ofctl('add-flow', 'priority=65535,actions=drop')
    before = probes(second)[0]
    wait_for('answered probes', lambda: (probes(second) or [0])[0] >= before + 3, 60)

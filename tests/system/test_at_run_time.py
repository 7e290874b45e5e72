"""What ofctl changes of a bridge that runs: its controllers, ports, queues, log; and bridges found by their names."""

import json
import os

import pytest
from lab import Switch, binary, osken, ping_all, sh, stop, wait_for

NORMAL = ['priority=0 actions=NORMAL']


def ofctl(switch, command, *args, **kw):
    return sh([binary('ofctl'), command, switch.ctl_socket, *args], **kw)


def flows(switch):
    return [l[l.index('priority='):] for l in switch.ofctl('dump-flows', '--no-stats').splitlines()]


def active(switch):
    return [c['peer'] for c in switch.manage('connections') if c['state'] == 'active' and c['purpose'] == 'controller']


def test_controllers_come_and_go(lab):
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    switch.ofctl('add-flow', 'priority=7,in_port=3,actions=drop')
    osken(lab, sw, 'os_ken.app.simple_switch_13')
    here, nowhere = 'tcp:127.0.0.1:6653', 'tcp:127.0.0.1:6660'
    ofctl(switch, 'set-controller', here)
    wait_for('the controller', lambda: active(switch) == [here], 30)
    assert 'a controller is connected' in ofctl(switch, 'status').stdout
    # It begins with tables that nobody else filled.
    wait_for('its table-miss entry', lambda: any('CONTROLLER' in f for f in flows(switch)), 30)
    assert not any('NORMAL' in f or 'priority=7' in f for f in flows(switch)), flows(switch)
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 30)
    number = [c['id'] for c in switch.manage('connections') if c.get('peer') == here]
    # Who stays stays connected, and nothing goes.
    before = flows(switch)
    ofctl(switch, 'set-controller', nowhere, here)
    assert [c['id'] for c in switch.manage('connections') if c.get('peer') == here] == number
    assert set(before) <= set(flows(switch))
    ofctl(switch, 'set-controller', nowhere)
    wait_for('its end', lambda: active(switch) == [], 30)
    assert set(before) <= set(flows(switch))
    assert 'leaves its flows aside' in ofctl(switch, 'status').stdout
    ofctl(switch, 'del-controller')
    assert flows(switch) == NORMAL
    assert 'no controller is configured' in ofctl(switch, 'status').stdout
    assert ping_all(hosts) == []
    ofctl(switch, 'set-controller', here)
    wait_for('the controller again', lambda: active(switch) == [here], 30)
    assert switch.stop() == 0


@pytest.mark.parametrize('targets,words', [
    (['ptcp:6653'], 'is a listener'),
    (['tcp:127.0.0.1', 'tcp:127.0.0.1:6653'], 'named twice'),
    (['tls:127.0.0.1'], 'needs a key'),
    (['nowhere'], 'names no transport'),
    (['tcp:127.0.0.1:%d' % n for n in range(1, 67)], '64 at most'),
])
def test_controllers_that_cannot_be(lab, targets, words):
    switch = Switch(lab, lab.ns('sw'))
    refused = ofctl(switch, 'set-controller', *targets, check=False)
    assert refused.returncode == 1 and words in refused.stderr, refused.stderr
    assert flows(switch) == NORMAL and active(switch) == []


def who(switch):
    """Whom it dials, and its fail mode."""
    return ofctl(switch, 'get-controller').stdout.split('\n')[:-1], ofctl(switch, 'get-fail-mode').stdout.strip()


def test_what_was_set_outlasts_a_restart_until_the_configuration_changes(lab):
    sw, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    configured, other, set_ = ('tcp:127.0.0.1:%d' % n for n in (6661, 6662, 6653))

    def begin(*args):
        return Switch(lab, sw, '--state', state, *args)

    def kill(switch):
        switch.process.kill()
        switch.process.wait(10)
    osken(lab, sw, 'os_ken.app.simple_switch_13')
    switch = begin('--controller', configured)
    assert who(switch) == ([configured], 'secure')
    ofctl(switch, 'set-controller', set_, 'unix:/run/nobody,auxiliary=1')
    ofctl(switch, 'set-fail-mode', 'standalone')
    before = [set_, 'unix:/run/nobody,auxiliary=1'], 'standalone'
    assert who(switch) == before
    kill(switch)
    switch = begin('--controller', configured)
    assert who(switch) == before
    assert 'the controllers are those that were set while it ran' in switch.output()
    wait_for('the controller', lambda: active(switch) == [set_], 30)
    # Other controllers are configured, and the same mode.
    assert switch.stop() == 0
    switch = begin('--controller', other)
    assert who(switch) == ([other], 'standalone')
    assert 'the configuration names other controllers' in switch.output()
    ofctl(switch, 'del-controller')
    ofctl(switch, 'set-fail-mode', 'secure')
    assert switch.stop() == 0
    switch = begin('--controller', other)
    assert who(switch) == ([], 'secure') and flows(switch) == []
    # As configured: nothing is kept any more.
    ofctl(switch, 'set-controller', other)
    assert switch.stop() == 0
    with open(os.path.join(state, 'br0.changes')) as f:
        assert json.load(f) == {'ports': [], 'queues': []}


def test_what_was_set_and_cannot_be_any_more_keeps_nothing_from_starting(lab):
    sw, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    os.makedirs(state)
    with open(os.path.join(state, 'br0.changes'), 'w') as f:
        json.dump({'ports': [], 'queues': [],
                   'controllers': {'set': ['tls:127.0.0.1:6661', 'tcp:127.0.0.1:6662'], 'configured': []}}, f)
    switch = Switch(lab, sw, '--state', state)
    assert who(switch)[0] == ['tcp:127.0.0.1:6662']
    assert "a controller that was set isn't dialled" in switch.output()


def test_a_fail_mode_that_cannot_be(lab):
    switch = Switch(lab, lab.ns('sw'))
    assert ofctl(switch, 'set-fail-mode', 'alone', check=False).returncode == 2
    with pytest.raises(Exception, match='expected `secure` or `standalone`'):
        switch.manage('set-fail-mode', {'mode': 'alone'})
    assert who(switch) == ([], 'standalone')


def test_ports_and_queues(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--state', os.path.join(lab.dir, 'state'), ports=['1=s1'])
    assert ofctl(switch, 'add-port', '5=s2').stdout.strip() == 'port 5'
    assert ping_all(hosts) == []
    ofctl(switch, 'add-queue', 's2:3,max-rate=50M')
    assert 'queue_id' in json.dumps(switch.manage('queues'))
    ofctl(switch, 'del-queue', '5', '3')
    assert switch.manage('queues') == []
    ofctl(switch, 'save-state')
    ofctl(switch, 'set-log', 'debug')
    refused = ofctl(switch, 'set-log', 'loud', check=False)
    assert refused.returncode == 1 and 'is no log level' in refused.stderr
    ofctl(switch, 'del-port', 's2')
    assert hosts[0].ping(hosts[1], 1, 1) == 0
    gone = ofctl(switch, 'del-port', 's2', check=False)
    assert gone.returncode == 1 and 'no port `s2`' in gone.stderr


def test_each_bridge_of_a_daemon_goes_by_its_name(lab, tmp_path):
    sw = lab.ns('sw')
    one, two = lab.id, lab.id + 'b'
    path = tmp_path / 'switchd.toml'
    path.write_text(''.join('[[bridge]]\nname = "%s"\n' % name for name in (one, two)))
    process = lab.spawn(sw, [binary('switchd'), '--config', str(path)], log=os.path.join(lab.dir, 'log'))
    wait_for('the bridges', lambda: os.path.exists('/run/switchd/%s.sock' % one) and
             sh([binary('ofctl'), 'show', two], check=False).returncode == 0)
    for name in (one, two):
        assert json.loads(sh([binary('ofctl'), '--json', 'status', name]).stdout)['name'] == name
    missing = sh([binary('ofctl'), 'status', lab.id + 'c'], check=False)
    assert missing.returncode == 1 and 'cannot connect' in missing.stderr
    assert stop(process) == 0


def test_calls_of_tools_leave_no_line_in_the_log(lab):
    switch = Switch(lab, lab.ns('sw'))
    # Written after it was announced.
    wait_for('the last line of the start', lambda: 'daemon: ready' in switch.output())
    before = switch.output()
    for _ in range(3):
        switch.ofctl('show')
        flows(switch)
    assert switch.output() == before
    # Who behaves as a controller is told.
    osken(lab, switch.ns, 'os_ken.app.simple_switch_13')
    ofctl(switch, 'set-controller', 'tcp:127.0.0.1:6653')
    wait_for('the controller', lambda: active(switch) != [], 30)
    assert 'OpenFlow version agreed' in switch.output()


def test_the_wrong_socket_is_told_at_once(lab):
    switch = Switch(lab, lab.ns('sw'))
    wrong = sh([binary('ofctl'), 'status', 'unix:' + switch.of_socket], check=False)
    assert wrong.returncode == 1 and 'is an OpenFlow socket' in wrong.stderr, wrong.stderr

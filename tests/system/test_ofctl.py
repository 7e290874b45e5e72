"""ofctl against a running switchd, and on recorded messages."""

import glob
import json
import os
import struct

import pytest
from lab import ROOT, Switch, binary, sh, wait_for

pytestmark = pytest.mark.timeout(120)
VERSIONS = ('1.0', '1.1', '1.2', '1.3', '1.4', '1.5')


def ofctl(*args, check=True, text=True, **kw):
    if text:
        return sh([binary('ofctl'), *args], check=check, **kw)
    import subprocess
    return subprocess.run([binary('ofctl'), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **kw)


@pytest.fixture
def net(lab):
    ns, hosts = lab.star(2)
    switch = Switch(lab, ns, '--fail-mode', 'secure', '--dpid', 'a1', ports=['1=s1', '2=s2'])
    return switch, hosts


def on(switch):
    return 'unix:' + switch.of_socket


@pytest.mark.parametrize('version', VERSIONS)
def test_flows_of_every_version(net, version):
    switch, (h1, h2) = net
    of = lambda command, *args, **kw: ofctl('-O', version, command, on(switch), *args, **kw)  # noqa: E731
    shown = of('show').stdout
    assert 'datapath 00000000000000a1' in shown and 'OpenFlow ' + version in shown
    assert 's1' in shown and 's2' in shown
    assert of('dump-flows').stdout.strip() == ''
    of('add-flow', 'priority=5,in_port=1,actions=output:2')
    of('add-flow', 'priority=5,in_port=s2,actions=output:s1')
    assert h1.ping(h2) == 3
    lines = of('dump-flows').stdout.splitlines()
    assert len(lines) == 2
    assert all('priority=5,in_port=' in line and 'n_packets=0,' not in line for line in lines), lines
    assert len(of('dump-flows', 'in_port=1').stdout.splitlines()) == 1
    assert 'flow_count=2' in of('dump-aggregate').stdout
    rows = {line.split()[0]: line.split() for line in of('dump-ports').stdout.splitlines()[1:]}
    assert int(rows['1'][2]) >= 3 and int(rows['2'][6]) >= 3, rows
    assert of('dump-tables').stdout.splitlines()[1].split()[0] == '0'
    of('mod-flows', 'in_port=1,actions=drop')
    assert 'in_port=1 actions=drop' in of('dump-flows').stdout
    assert h1.ping(h2, count=1, wait=1) == 0
    of('del-flows', '--strict', 'priority=4,in_port=1')
    assert len(of('dump-flows').stdout.splitlines()) == 2
    of('del-flows', '--strict', 'priority=5,in_port=1')
    assert len(of('dump-flows').stdout.splitlines()) == 1
    of('del-flows')
    assert of('dump-flows').stdout.strip() == ''
    of('barrier')


def test_json_forms(net):
    switch, _ = net
    target = on(switch)
    ofctl('add-flow', target, 'cookie=0x1f,priority=9,tcp,tp_dst=80,actions=output:2')
    flows = json.loads(ofctl('--json', 'dump-flows', target).stdout)
    assert len(flows) == 1 and int(str(flows[0]['cookie']), 16) == 0x1f
    shown = json.loads(ofctl('show', target, '--json').stdout)
    assert shown['version'] == '1.5' and {p['name'] for p in shown['ports']} == {'s1', 's2'}
    for command in ('dump-ports', 'dump-ports-desc', 'dump-tables', 'dump-table-desc', 'dump-table-features',
                    'dump-groups', 'dump-group-stats', 'dump-group-features', 'dump-meters', 'meter-stats',
                    'meter-features', 'queue-stats', 'queue-get-config', 'dump-aggregate', 'probe', 'role'):
        json.loads(ofctl('--json', command, target).stdout)


def test_refusals_have_names_and_mistakes_a_place(net):
    switch, _ = net
    target = on(switch)
    done = ofctl('add-flow', target, 'ip,actions=group:7', check=False)
    assert done.returncode == 1 and 'OFPBAC_BAD_OUT_GROUP' in done.stderr and 'ip,actions=group:7' in done.stderr
    flow = 'priority=1,foo=3,actions=drop'
    done = ofctl('add-flow', target, flow, check=False)
    assert done.returncode == 2
    _, shown, mark = done.stderr.splitlines()[:3]
    assert shown.strip() == flow and mark.index('^') == shown.index('foo')
    assert ofctl('add-flow', target, check=False).returncode == 2
    done = ofctl('show', 'unix:/nonexistent', check=False)
    assert done.returncode == 1 and '/nonexistent' in done.stderr
    done = ofctl('mod-port', target, 's9', 'down', check=False)
    assert done.returncode == 1 and 's1, s2' in done.stderr
    done = ofctl('-O', '1.0', 'dump-meters', target, check=False)
    assert done.returncode == 1 and '1.0' in done.stderr


def test_nothing_more_is_done_than_was_meant(net):
    switch, _ = net
    ofctl('add-flow', on(switch), 'cookie=5,priority=7,ip,actions=output:2')
    for words in (['del-flows', 'cookie=5'], ['del-flows', 'priority=7'], ['del-flows', 'ip,actions=drop'],
                  ['dump-flows', 'cookie=5'], ['monitor', 'watch:cookie=5/-1', '--seconds', '1']):
        refused = ofctl(words[0], on(switch), *words[1:], check=False)
        assert refused.returncode == 2 and refused.stdout == '', refused
    assert len(ofctl('dump-flows', on(switch)).stdout.splitlines()) == 1
    ofctl('del-flows', on(switch), 'cookie=5/-1')
    assert ofctl('dump-flows', on(switch)).stdout == ''


def test_exit_statuses_are_those_that_help_tells(net, tmp_path):
    switch, _ = net
    for words in (['packet-out', on(switch), '00'], ['mod-table', on(switch), 'first', 'evict'],
                  ['trace', switch.ctl_socket, 'ip'], ['show', 'ssl:127.0.0.1']):
        assert ofctl(*words, check=False).returncode == 2, words
    assert ofctl('show', 'unix:/nowhere', check=False).returncode == 1
    full = sh(['sh', '-c', '"$0" show "$1" >/dev/full', binary('ofctl'), on(switch)], check=False)
    assert full.returncode == 1 and 'cannot write' in full.stderr, full
    # More than a pipe holds: the reader is gone before the end.
    barriers = tmp_path / 'barriers'
    barriers.write_text('0414000800000001\n' * 20000)
    gone = sh(['bash', '-c', 'set -o pipefail; "$0" decode "$1" | true', binary('ofctl'), barriers], check=False)
    assert gone.returncode == 0 and gone.stderr == '', gone


def test_options_stand_before_the_command_with_their_values(net):
    switch, _ = net
    ofctl('add-flow', on(switch), 'priority=7,ip,actions=drop')
    lines = ofctl('--count', '1', '--flows', '--json', '--timestamp', 'monitor', on(switch)).stdout.splitlines()
    assert [set(json.loads(line)) for line in lines] == [{'timestamp', 'xid', 'message'}], lines


def test_files_bundles_replace_and_diff(net, tmp_path):
    switch, _ = net
    target = on(switch)
    good = tmp_path / 'good'
    good.write_text('# two\npriority=1,ip,actions=output:1\n\npriority=2,arp,actions=output:2 # last\n')
    ofctl('add-flows', target, str(good))
    assert ofctl('diff-flows', target, str(good)).stdout == ''
    bad = tmp_path / 'bad'
    bad.write_text('priority=3,actions=drop\npriority=4,ip,actions=group:99\n')
    for version in ('1.3', '1.4', '1.5'):
        done = ofctl('-O', version, 'add-flows', '--bundle', target, str(bad), check=False)
        assert done.returncode == 1 and 'bad:2' in done.stderr and 'nothing was changed' in done.stderr, done.stderr
        assert len(ofctl('dump-flows', target).stdout.splitlines()) == 2
    done = ofctl('add-flows', target, str(bad), check=False)
    assert done.returncode == 1 and '1 of 2' in done.stderr
    done = ofctl('diff-flows', target, str(good), check=False)
    assert done.returncode == 2 and done.stdout == '-priority=3 actions=drop\n'
    done = ofctl('diff-flows', str(good), target, check=False)
    assert done.returncode == 2 and done.stdout == '+priority=3 actions=drop\n'
    assert ofctl('diff-flows', target, target).stdout == ''
    good.write_text('priority=1,ip,actions=output:2\npriority=7,udp,actions=output:1\n')
    ofctl('replace-flows', '--bundle', target, str(good))
    assert ofctl('diff-flows', target, str(good)).stdout == ''
    assert len(ofctl('dump-flows', target).stdout.splitlines()) == 2
    many = ''.join('priority=%d,ip,nw_dst=10.1.%d.%d,actions=output:1\n' % (i, i >> 8, i & 255) for i in range(3000))
    ofctl('add-flows', target, '-', input=many)
    assert len(ofctl('dump-flows', target, 'nw_dst=10.1.0.0/16,ip').stdout.splitlines()) == 3000


def test_as_users_of_ovs_ofctl_write(net, tmp_path):
    """Options before the command, texts from standard input, names for what ovs-ofctl names so."""
    switch, _ = net
    target = on(switch)
    flows = lambda *args: ofctl(*args, '--no-stats', 'dump-flows', target).stdout  # noqa: E731
    ofctl('add-flow', target, '-', input='# two\npriority=1,ip,actions=output:2\nadd priority=2,arp,actions=NORMAL\n')
    assert flows() == ' priority=2,arp actions=NORMAL\n priority=1,ip actions=output:2\n'
    assert flows('--sort') == ' priority=1,ip actions=output:2\n priority=2,arp actions=NORMAL\n'
    assert 'output:"s2"' in flows('--names') and 'output:2' in flows('--names', '--no-names')
    done = ofctl('--no-names', 'add-flow', target, 'in_port=s1,actions=drop', check=False)
    assert done.returncode == 2 and 'a port number' in done.stderr
    ofctl('-O', 'OpenFlow13', '--bundle', '--strict', 'mod-flows', target, 'priority=1,ip,actions=drop')
    ofctl('-OOpenFlow13', '--protocols=OpenFlow13', '-t', '20', '--strict', 'del-flows', target, 'priority=2,arp')
    assert flows() == ' priority=1,ip actions=drop\n'
    both = tmp_path / 'groups'
    both.write_text('group_id=1,type=all,bucket=output:1\nadd group_id=2,type=all,bucket=output:2\n')
    ofctl('--bundle', 'add-groups', target, str(both))
    assert ofctl('dump-groups', target, 'group_id=2').stdout.startswith(' group_id=2,type=all')
    assert len(ofctl('dump-groups', target, 'all').stdout.splitlines()) == 2
    ofctl('--may-create', 'mod-group', target, 'group_id=3,type=all,bucket=output:1')
    ofctl('del-groups', target, '-', input='group_id=1\ngroup_id=3\n')
    assert len(ofctl('dump-groups', target).stdout.splitlines()) == 1
    mixed = tmp_path / 'mixed'
    mixed.write_text('group delete group_id=2\nflow add priority=5,udp,actions=group:2\n')
    done = ofctl('bundle', target, str(mixed), check=False)
    assert done.returncode == 1 and 'mixed:2' in done.stderr and 'nothing was changed' in done.stderr, done.stderr
    assert len(ofctl('dump-groups', target).stdout.splitlines()) == 1
    mixed.write_text('group modify group_id=2,type=all,bucket=output:1\nflow priority=5,udp,actions=group:2\n'
                     'meter meter=4,kbps,bands=type=drop,rate=1\n')
    ofctl('bundle', target, str(mixed))
    assert 'priority=5,udp actions=group:2' in flows() and 'meter=4' in ofctl('dump-meter', target, 'meter=4').stdout
    mixed.write_text('flows priority=5,udp,actions=drop\n')
    done = ofctl('bundle', target, str(mixed), check=False)
    assert done.returncode == 2 and 'mixed:1' in done.stderr and 'flow, group, meter or packet-out' in done.stderr
    ofctl('del-meters', target, 'meter=4')
    assert ofctl('meter-stats', target, 'meter=all').stdout.splitlines()[1:] == []
    for mode in ('drop', 'normal'):
        ofctl('set-frags', target, mode)
        assert ofctl('get-frags', target).stdout == ' %s\n' % mode
    done = ofctl('set-frags', target, 'reassemble', check=False)
    assert done.returncode == 1 and 'OFPSCFC_BAD_FLAGS' in done.stderr
    assert 'software: ' in ofctl('dump-desc', target).stdout
    assert len(ofctl('dump-ports-desc', target, 's2').stdout.splitlines()) == 2
    assert len(ofctl('dump-ports', target, 'ALL').stdout.splitlines()) == 3
    assert '20 echoes of 100 bytes' in ofctl('benchmark', target, '100', '20').stdout
    assert ' 33 bytes' in ofctl('ping', target, '33', '-c', '1').stdout


def test_readd_adds_what_is_there_already(net, tmp_path):
    switch, (h1, h2) = net
    of = lambda *args: ofctl('-O', '1.0', *args).stdout  # noqa: E731
    file = tmp_path / 'flows'
    file.write_text('in_port=1,actions=output:2\nin_port=2,actions=output:1\n')
    of('add-flows', on(switch), str(file))
    assert h1.ping(h2) == 3
    of('replace-flows', on(switch), str(file))
    assert 'n_packets=0' not in of('dump-flows', on(switch))
    # In 1.0 an entry that is added anew counts from 0.
    sh(['ip', '-n', switch.ns, 'link', 'set', 's1', 'down'])
    sh(['ip', '-n', switch.ns, 'link', 'set', 's2', 'down'])
    of('--readd', 'replace-flows', on(switch), str(file))
    assert of('dump-flows', on(switch)).count('n_packets=0') == 2


def test_packet_outs_by_parts(net):
    switch, (h1, _) = net
    frame = '020000000001' + '0200000000aa' + '88b5' + '00' * 46
    counted = lambda: int(json.loads(ofctl('--json', 'dump-ports', on(switch), 's1').stdout)[0]['tx_packets'])  # noqa: E731
    before = counted()
    ofctl('packet-out', on(switch), 'CONTROLLER', 'output:1', frame, frame)
    wait_for('both frames', lambda: counted() >= before + 2)
    assert ofctl('packet-out', on(switch), 'CONTROLLER', 'output:1', check=False).returncode == 2


@pytest.mark.parametrize('version', ('1.0', '1.3', '1.4', '1.5'))
def test_watch_as_ovs_ofctl_asks_for_it(net, lab, version):
    switch, _ = net
    of = lambda command, *args: ofctl('-O', version, command, on(switch), *args)  # noqa: E731
    of('add-flow', 'priority=1,ip,actions=output:1')
    log = os.path.join(lab.dir, 'monitor')
    lab.spawn(None, [binary('ofctl'), '-O', version, 'monitor', on(switch), '128', 'invalid_ttl',
                     'watch:!initial,!delete,in_port=s1', '--timestamp', '--seconds', '110'], log=log)
    read = lambda: open(log).read() if os.path.exists(log) else ''  # noqa: E731
    wait_for('the watch', lambda: 'watching' in read())
    of('add-flow', 'priority=2,in_port=2,actions=drop')
    of('add-flow', 'priority=3,in_port=1,actions=drop')
    of('del-flows')
    of('add-flow', 'priority=4,in_port=1,actions=drop')
    wait_for('the last', lambda: 'priority=4' in read())
    lines = [line for line in read().splitlines() if 'flow (' in line]
    assert ['flow (added)' in line for line in lines] == [True, True] and 'priority=3' in lines[0], lines
    # A date and a time.
    assert all(line[4] == '-' and line[13] == ':' for line in lines), lines


def test_snoop_shows_what_controllers_say(lab):
    sw, _ = lab.star(2)
    path, door = os.path.join(lab.dir, 'snoop'), os.path.join(lab.dir, 'door')
    import socket
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(door)
    listener.listen(1)
    listener.settimeout(60)
    Switch(lab, sw, '--snoop', path, '--inactivity-probe', '0', '--controller', 'unix:' + door, ports=['1=s1'])
    log = os.path.join(lab.dir, 'snooped')
    lab.spawn(None, [binary('ofctl'), 'snoop', 'unix:' + path, '--seconds', '110'], log=log)
    read = lambda: open(log).read() if os.path.exists(log) else ''  # noqa: E731
    wait_for('the watch', lambda: 'watching the controllers' in read())
    controller, _ = listener.accept()
    controller.settimeout(60)
    controller.sendall(bytes.fromhex('0400000800000001'))

    def shown():
        controller.sendall(bytes.fromhex('0402000c0000000761626364'))
        return all(word in read() for word in ('OFPT_ECHO_REQUEST (OpenFlow 1.3)', 'OFPT_ECHO_REPLY (OpenFlow 1.3)'))
    wait_for('both directions', shown, 60)
    controller.close()


@pytest.mark.parametrize('version', ('1.3', '1.4', '1.5'))
def test_groups_meters_ports_tables(net, version):
    switch, (h1, h2) = net
    of = lambda command, *args, **kw: ofctl('-O', version, command, on(switch), *args, **kw).stdout  # noqa: E731
    of('add-group', 'group_id=1,type=all,bucket=output:2')
    of('add-meter', 'meter=1,kbps,bands=type=drop,rate=100000')
    of('add-flow', 'in_port=1,actions=meter:1,group:1' if version == '1.5' else 'in_port=1,actions=meter:1,group:1')
    of('add-flow', 'in_port=2,actions=output:1')
    assert h1.ping(h2) == 3
    assert 'group_id=1,type=all' in of('dump-groups')
    assert int(of('dump-group-stats').splitlines()[1].split()[1]) >= 3
    assert 'meter=1' in of('dump-meters')
    assert int(of('meter-stats').splitlines()[1].split()[1]) >= 3
    assert 'select' in of('dump-group-features') and 'drop' in of('meter-features')
    of('mod-group', 'group_id=1,type=all,bucket=output:1')
    assert h1.ping(h2, count=1, wait=1) == 0
    of('del-groups', 'group_id=1')
    assert len(of('dump-flows').splitlines()) == 1, 'the flow goes with its group'
    of('del-meter')
    assert of('dump-meters').strip() == '' and of('dump-groups').strip() == ''
    of('mod-port', 's1', 'no-packet-in')
    assert 'no-packet-in' in of('dump-ports-desc')
    of('mod-port', '1', 'packet-in')
    assert 'no-packet-in' not in of('dump-ports-desc')
    if version != '1.3':
        of('mod-table', '3', 'vacancy:20,80')
        line = of('dump-table-desc').splitlines()[4]
        assert 'vacancy_events' in line and 'below 20%' in line, line


def test_monitor_and_packet_out(net, lab):
    switch, (h1, h2) = net
    target = on(switch)
    ofctl('add-flow', target, 'priority=1,in_port=1,arp,actions=output:CONTROLLER')
    ofctl('add-flow', target, 'priority=2,send_flow_rem,in_port=2,actions=drop')
    log = os.path.join(lab.dir, 'monitor')
    lab.spawn(None, [binary('ofctl'), 'monitor', target, '--flows', 'in_port=2', '--seconds', '30'], log=log)
    read = lambda: open(log).read() if os.path.exists(log) else ''  # noqa: E731
    wait_for('the watch', lambda: 'watching' in read())
    assert 'flow (initial)' in read()
    h1.ping(h2, count=1, wait=1)
    wait_for('a packet-in', lambda: 'ARP who has 10.0.0.2? tell 10.0.0.1' in read())
    assert 'packet-in (apply_action) table 0' in read()
    ofctl('del-flows', target, 'in_port=2')
    wait_for('a flow-removed', lambda: 'flow-removed (delete)' in read() and 'flow (removed: delete)' in read())
    sh(['ip', '-n', switch.ns, 'link', 'set', 's2', 'down'])
    wait_for('a port-status', lambda: 'port-status (modify) port 2 s2' in read())
    sh(['ip', '-n', switch.ns, 'link', 'set', 's2', 'up'])
    before = int(sh(['ip', 'netns', 'exec', h1.ns, 'cat', '/sys/class/net/eth0/statistics/rx_packets']).stdout)
    frame = '020000000001' + '0200000000aa' + '88b5' + '00' * 46
    ofctl('packet-out', target, frame, '--actions', 'output:1')
    ofctl('packet-out', target, 'in_port=CONTROLLER,packet=%s,actions=output:s1' % frame)
    received = lambda: int(sh(['ip', 'netns', 'exec', h1.ns, 'cat', '/sys/class/net/eth0/statistics/rx_packets']).stdout)  # noqa: E731
    wait_for('both frames', lambda: received() >= before + 2)


@pytest.mark.parametrize('version', VERSIONS)
def test_monitor_of_every_version(net, lab, version):
    switch, (h1, h2) = net
    of = lambda command, *args: ofctl('-O', version, command, on(switch), *args)  # noqa: E731
    of('add-flow', 'priority=1,in_port=1,arp,actions=output:CONTROLLER')
    of('add-flow', 'priority=2,send_flow_rem,in_port=2,actions=drop')
    log = os.path.join(lab.dir, 'monitor')
    # 1.1 and 1.2 have no flow monitors.
    flows = [] if version in ('1.1', '1.2') else ['--flows']
    lab.spawn(None, [binary('ofctl'), '-O', version, 'monitor', on(switch), *flows, '--seconds', '60'], log=log)
    read = lambda: open(log).read() if os.path.exists(log) else ''  # noqa: E731
    wait_for('the watch', lambda: 'watching' in read())
    assert 'with OpenFlow ' + version in read() and 'reports neither' not in read()
    h1.ping(h2, count=1, wait=1)
    wait_for('a packet-in', lambda: 'ARP who has 10.0.0.2? tell 10.0.0.1' in read())
    of('del-flows', 'in_port=2')
    wait_for('a flow-removed', lambda: 'flow-removed (delete)' in read())
    if flows:
        wait_for('a flow update', lambda: 'flow (removed: delete)' in read())


def test_1_0_says_by_nicira_s_flow_mod_what_its_own_cannot(net):
    switch, _ = net
    of = lambda command, *args, **kw: ofctl('-O', '1.0', command, on(switch), *args, **kw)  # noqa: E731
    of('add-flow', 'table=2,priority=7,reg0=5/0xf,ipv6,ipv6_dst=fe80::/10,actions=output:2')
    of('add-flow', 'priority=8,in_port=1,actions=drop')
    lines = of('dump-flows').stdout.splitlines()
    assert len(lines) == 2, lines
    assert 'table=0' in lines[0] and 'priority=8,in_port=1 actions=drop' in lines[0], lines
    assert 'table=2' in lines[1] and 'reg0=0x5/0xf' in lines[1] and 'ipv6_dst=fe80::/10' in lines[1], lines
    of('del-flows', 'table=2,reg0=5/0xf')
    assert len(of('dump-flows').stdout.splitlines()) == 1


def test_watching_leaves_a_standalone_switch_forwarding(lab):
    ns, (h1, h2) = lab.star(2)
    switch = Switch(lab, ns, '--fail-mode', 'standalone', ports=['1=s1', '2=s2'])
    log = os.path.join(lab.dir, 'monitor')
    lab.spawn(None, [binary('ofctl'), 'monitor', on(switch), '--seconds', '30'], log=log)
    wait_for('the watch', lambda: os.path.exists(log) and 'watching' in open(log).read())
    assert h1.ping(h2) == 3


def test_samples_are_counted(lab):
    ns, (h1, h2) = lab.star(2)
    switch = Switch(lab, ns, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    switch.ofctl('add-flow', 'priority=1,arp,actions=flood')
    switch.ofctl('add-flow', 'priority=2,in_port=2,icmp,actions=output:1')
    sampled = 'sample(probability=65535,collector_set_id=1,obs_domain_id=0,obs_point_id=0)'
    switch.ofctl('add-flow', 'priority=2,in_port=1,icmp,actions=%s,output:2' % sampled)
    assert h1.ping(h2, 20) == 20
    assert switch.manage('counters')['sampled'] == 20
    assert json.loads(ofctl('--json', 'counters', switch.ctl_socket).stdout)['sampled'] == 20
    assert 'switchd_sampled_total{bridge="br0"} 20' in switch.manage('metrics')


def test_role_ping_management(net):
    switch, _ = net
    target = on(switch)
    assert 'role equal' in ofctl('role', target).stdout
    assert 'role master, generation 3' in ofctl('role', target, 'master', '--generation', '3').stdout
    done = ofctl('role', target, 'master', '--generation', '2', check=False)
    assert done.returncode == 1 and 'OFPRRFC_STALE' in done.stderr
    assert ofctl('ping', target, '-c', '3').stdout.count(' ms') == 3
    ofctl('add-flow', target, 'in_port=1,tcp,tp_dst=80,actions=output:2')
    assert 'flows: 1,' in ofctl('status', switch.ctl_socket).stdout
    ofctl('connections', switch.ctl_socket)
    json.loads(ofctl('--json', 'counters', switch.ctl_socket).stdout)
    out = ofctl('trace', switch.ctl_socket, 'in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80').stdout
    assert 'matched: priority=32768,tcp,in_port=1,tp_dst=80' in out and ' bytes out of port 2: TCP 10.0.0.1:' in out, out
    out = ofctl('trace', switch.ctl_socket, '02000000000202000000000188b5' + '00' * 46, '--in-port', '1').stdout
    assert '60 bytes in on port 1: 02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5' in out, out
    out = ofctl('trace', switch.ctl_socket, 'in_port=1,tcp,tp_dst=81').stdout
    assert 'dropped: table_miss' in out, out


VECTORS = sorted(glob.glob(os.path.join(ROOT, 'tests', 'vectors', 'of1*', '*.packet')))


# Recordings that are wrong in themselves, and what is said of them.
BROKEN = {
    'libofproto-OFP15-flow_desc_reply.packet': 'OFPBIC_BAD_LEN',  # an instruction longer than its message
    'libofproto-OFP15-meter_features_reply.packet': '8 bytes at the end',  # a header that says less than follows
}


def test_decode_writes_every_recording_again():
    assert len(VECTORS) > 100
    wrong = []
    for path in VECTORS:
        said = BROKEN.get(os.path.basename(path))
        if said:
            done = ofctl('decode', path, check=False)
            assert done.returncode == 1 and said in done.stdout + done.stderr, (path, done)
            continue
        with open(path, 'rb') as f:
            recorded = f.read()
        done = ofctl('decode', '--re-encode', path, text=False)
        if done.returncode != 0 or done.stdout != recorded:
            wrong.append((os.path.basename(path), done.stderr[:200]))
    assert wrong == []


def test_decode_reads_hex_and_captures(tmp_path):
    barrier = bytes([4, 20, 0, 8, 0, 0, 0, 9])
    for text in ('0414000800000009', '0000  04 14 00 08 00 00 00 09\n'):
        assert 'OFPT_BARRIER_REQUEST (OpenFlow 1.3) xid=0x00000009' in ofctl('decode', input=text).stdout
    bad = ofctl('decode', input='04630008 00000001', check=False)
    assert bad.returncode == 1 and 'OFPBRC_BAD_TYPE' in bad.stdout
    assert json.loads(ofctl('--json', 'decode', input='0414000800000009').stdout)['xid'] == 9

    def segment(seq, data):
        tcp = struct.pack('!HHIIBBHHH', 6653, 50000, seq, 0, 0x50, 0x10, 0xffff, 0, 0)
        ip = struct.pack('!BBHHHBBHII', 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, 0x0a000001, 0x0a000002)
        return bytes(12) + b'\x08\x00' + ip + tcp + data

    two = barrier + bytes([4, 21, 0, 8, 0, 0, 0, 9])
    capture = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    for seq, part in ((1, two[:3]), (12, two[11:]), (4, two[3:11]), (1, two[:3])):
        frame = segment(seq, part)
        capture += struct.pack('<IIII', seq, 0, len(frame), len(frame)) + frame
    path = tmp_path / 'c.pcap'
    path.write_bytes(capture)
    out = ofctl('decode', str(path)).stdout
    assert out.index('OFPT_BARRIER_REQUEST') < out.index('OFPT_BARRIER_REPLY'), out
    assert '10.0.0.1:6653 > 10.0.0.2:50000' in out

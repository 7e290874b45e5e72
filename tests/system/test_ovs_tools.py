"""Open vSwitch's tools speak to the switch as to their own."""

import os
import re

import pytest
from lab import Switch, binary, ping_all, sh, wait_for

pytestmark = pytest.mark.needs('ovs-ofctl')
VERSIONS = ['OpenFlow10', 'OpenFlow11', 'OpenFlow12', 'OpenFlow13', 'OpenFlow14', 'OpenFlow15']


@pytest.fixture
def net(lab):
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, '--listen', 'ptcp:6654:127.0.0.1', '--fail-mode', 'secure',
                    '--controller', 'tcp:127.0.0.1:9', ports=['%d=s%d' % (h.n, h.n) for h in hosts])

    def ofctl(version, *words, check=True, whole=False):
        options = [w for w in words if w.startswith('--')]
        command, *args = [w for w in words if not w.startswith('--')]
        done = sh(['ip', 'netns', 'exec', sw, 'ovs-ofctl', '-O', version, '-t', '10', *options, command,
                   'tcp:127.0.0.1:6654', *args], check=check)
        return done if whole else done.stdout
    return hosts, switch, ofctl


@pytest.mark.parametrize('version', VERSIONS)
def test_show_flows_ports_and_tables(net, version):
    hosts, _, ofctl = net
    show = ofctl(version, 'show')
    assert 'dpid:' in show
    ports = show if version in VERSIONS[:3] else ofctl(version, 'dump-ports-desc')
    assert '1(s1)' in ports and '3(s3)' in ports
    for flow in ('priority=10,arp,actions=FLOOD',
                 'priority=20,ip,nw_dst=10.0.0.1,actions=output:1',
                 'priority=20,ip,nw_dst=10.0.0.2,actions=output:2',
                 'priority=20,ip,nw_dst=10.0.0.3,actions=output:3'):
        ofctl(version, 'add-flow', flow)
    assert ping_all(hosts) == []
    dump = ofctl(version, 'dump-flows')
    assert dump.count('nw_dst=10.0.0.') == 3
    counted = [int(n) for n in re.findall(r'n_packets=(\d+)[^\n]*nw_dst', dump)]
    assert all(n >= 4 for n in counted), dump
    assert re.search(r'port +"?s?1"?', ofctl(version, 'dump-ports'))
    assert 'flow_count=4' in ofctl(version, 'dump-aggregate')
    ofctl(version, 'dump-tables')
    ofctl(version, 'mod-flows', 'ip,nw_dst=10.0.0.3,actions=drop')
    assert hosts[0].ping(hosts[2], 2, 1) == 0
    ofctl(version, 'del-flows', 'ip')
    assert 'nw_dst' not in ofctl(version, 'dump-flows')
    ofctl(version, 'del-flows')
    assert hosts[0].ping(hosts[1], 2, 1) == 0


@pytest.mark.parametrize('version', VERSIONS[1:])
def test_groups(net, version):
    hosts, _, ofctl = net
    ofctl(version, 'add-flow', 'priority=10,arp,actions=FLOOD')
    ofctl(version, 'add-group', 'group_id=1,type=indirect,bucket=output:2')
    ofctl(version, 'add-group', 'group_id=2,type=all,bucket=output:1,bucket=output:3')
    ofctl(version, 'add-flow', 'priority=20,ip,in_port=1,actions=group:1')
    ofctl(version, 'add-flow', 'priority=20,ip,in_port=2,actions=group:2')
    assert hosts[0].ping(hosts[1]) == 3
    assert 'group_id=2,type=all' in ofctl(version, 'dump-groups')
    assert 'packet_count=3' in ofctl(version, 'dump-group-stats', 'group_id=1')
    ofctl(version, 'del-groups', 'group_id=1')
    assert 'group:1' not in ofctl(version, 'dump-flows')


def test_select_groups_choose_by_the_fields_they_name(net):
    hosts, _, ofctl = net
    version = 'OpenFlow15'
    ofctl(version, 'add-flow', 'priority=10,arp,actions=FLOOD')
    buckets = ''.join(',bucket=bucket_id:%d,actions=output:2' % n for n in range(4))
    send = ("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',7))\n"
            "for p in range(5000,5064): s.sendto(b'x',('10.0.0.2',p))")
    hosts[0].run(['ip', 'neigh', 'replace', '10.0.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'eth0'])

    def shares(method):
        group = 'group_id=1,type=select,' + method
        ofctl(version, 'add-group', group + buckets)
        printed = ofctl(version, 'dump-groups')
        assert ' ' + group + ',bucket=bucket_id:0,' in printed, printed
        ofctl(version, 'add-flow', 'priority=20,udp,tp_src=7,in_port=1,actions=group:1')
        hosts[0].run(['python3', '-c', send])

        def counts():
            stats = ofctl(version, 'dump-group-stats', 'group_id=1')
            counts = [int(n) for n in re.findall(r'bucket\d+:packet_count=(\d+)', stats)]
            return counts if sum(counts) == 64 else None
        found = wait_for('64 packets in the group', counts)
        ofctl(version, 'del-groups', 'group_id=1')
        return sorted(found)

    assert shares('selection_method=hash,fields(ip_src,udp_src)') == [0, 0, 0, 64]
    assert shares('selection_method=hash,selection_method_param=5,fields=udp_dst')[0] > 0
    # Of the destinations' ports all bits but two are alike.
    assert shares('selection_method=hash,fields=udp_dst=49152') == [0, 0, 0, 64]
    assert shares('selection_method=dp_hash,selection_method_param=1')[0] > 0
    refused = ofctl(version, 'add-group', 'group_id=2,type=select,selection_method=other' + buckets,
                    check=False, whole=True)
    assert refused.returncode != 0 and 'OFPBPC_BAD_VALUE' in refused.stderr, refused.stderr


@pytest.mark.parametrize('version', ['OpenFlow10', 'OpenFlow13', 'OpenFlow15'])
def test_there_is_no_room_for_the_options_of_tunnels(net, version):
    _, switch, ofctl = net
    table = ofctl(version, 'dump-tlv-map')
    assert 'max option space=0 max fields=0' in table
    ours = sh(['ip', 'netns', 'exec', switch.ns, binary('ofctl'), '-O', version, 'dump-tlv-map', 'tcp:127.0.0.1:6654'])
    assert ours.stdout.rstrip() == '\n'.join(table.rstrip().splitlines()[1:])
    for words, error in (
            (('add-tlv-map', '{class=0xffff,type=1,len=4}->tun_metadata0'), 'NXTTMFC_TABLE_FULL'),
            (('add-flow', 'tun_metadata0=0x1234,actions=drop'), 'NXFMFC_INVALID_TLV_FIELD'),
            # 1.0's form is Nicira's reg_load2, of an unknown field.
            (('add-flow', 'ip,actions=set_field:1->tun_metadata1'),
             'OFPBAC_BAD_VENDOR_TYPE' if version == 'OpenFlow10' else 'NXFMFC_INVALID_TLV_FIELD')):
        done = ofctl(version, *words, check=False, whole=True)
        assert done.returncode != 0 and error in done.stderr, (words, done.stderr)
    ofctl(version, 'del-tlv-map')


@pytest.mark.parametrize('version', ['OpenFlow13', 'OpenFlow14', 'OpenFlow15'])
def test_meters(net, version):
    hosts, _, ofctl = net
    ofctl(version, 'add-meter', 'meter=1,pktps,burst,bands=type=drop,rate=1,burst_size=2')
    ofctl(version, 'add-flow', 'priority=10,arp,actions=FLOOD')
    # Requests alone are charged: two of them may be on their way before the first answer is.
    ofctl(version, 'add-flow', 'priority=20,ip,in_port=1,actions=meter:1,FLOOD')
    ofctl(version, 'add-flow', 'priority=20,ip,in_port=2,actions=FLOOD')
    assert 'meter=1' in ofctl(version, 'dump-meters')
    answered = hosts[0].ping(hosts[1], 10, 1)
    assert 0 < answered < 10
    assert 'meter:1' in ofctl(version, 'meter-stats') or 'meter=1' in ofctl(version, 'meter-stats')

@pytest.mark.parametrize('version', ['OpenFlow10', 'OpenFlow13', 'OpenFlow15'])
def test_replace_and_diff_flows(net, version, tmp_path):
    hosts, _, ofctl = net
    wanted = tmp_path / 'flows'
    wanted.write_text('priority=10,arp,actions=FLOOD\n'
                      + ''.join('priority=20,ip,nw_dst=%s,actions=output:%d\n' % (h.ip, h.n) for h in hosts))
    ofctl(version, 'add-flow', 'priority=5,udp,actions=drop')
    ofctl(version, 'add-flow', 'priority=20,ip,nw_dst=10.0.0.3,actions=drop')
    bundle = ['--bundle'] if version != 'OpenFlow10' else []
    ofctl(version, *bundle, 'replace-flows', str(wanted))
    assert ping_all(hosts) == []
    assert 'udp' not in ofctl(version, 'dump-flows')
    assert ofctl(version, 'diff-flows', str(wanted)) == ''
    ofctl(version, 'del-flows', 'ip,nw_dst=10.0.0.2')
    ofctl(version, 'add-flow', 'priority=7,icmp,actions=drop')
    diff = ofctl(version, 'diff-flows', str(wanted), check=False).splitlines()
    assert sorted(line[0] for line in diff) == ['+', '-'] and any('nw_dst=10.0.0.2' in line for line in diff), diff


@pytest.mark.parametrize('version', ['OpenFlow13', 'OpenFlow14', 'OpenFlow15'])
def test_bundles_are_all_or_nothing(net, version, tmp_path):
    hosts, _, ofctl = net
    good, bad = tmp_path / 'good', tmp_path / 'bad'
    good.write_text('priority=10,arp,actions=FLOOD\npriority=20,ip,actions=FLOOD\n')
    bad.write_text('delete\nadd priority=30,ip,actions=drop\nadd priority=40,ip,actions=group:77\n')
    ofctl(version, '--bundle', 'add-flows', str(good))
    assert hosts[0].ping(hosts[1], 3) == 3
    done = ofctl(version, '--bundle', 'add-flows', str(bad), check=False, whole=True)
    assert done.returncode != 0 and 'OUT_GROUP' in done.stderr, done.stderr
    assert hosts[0].ping(hosts[1], 3) == 3, 'nothing of it happened'
    assert ofctl(version, 'dump-flows').count('priority=') == 2


@pytest.mark.parametrize('version', ['OpenFlow10', 'OpenFlow13', 'OpenFlow14'])
def test_monitor_tells_packets_and_changes(lab, net, version):
    hosts, switch, ofctl = net
    out = os.path.join(lab.dir, 'monitor.log')
    monitor = lab.spawn(hosts[0].lab.namespaces[0], [
        'stdbuf', '-oL', 'ovs-ofctl', '-O', version, 'monitor', 'tcp:127.0.0.1:6654', '128',
        # In 1.4 its default asks for its own changes alone.
        'watch:!own' if version == 'OpenFlow14' else 'watch:'], log=out, env={'OVS_RUNDIR': lab.dir})

    def text():
        assert monitor.poll() is None
        with open(out) as f:
            return f.read()
    # A connection alone doesn't watch yet.
    wait_for('the monitor', lambda: monitor.poll() is None
             and any(c.get('monitors') for c in switch.manage('connections')), 30)
    ofctl(version, 'add-flow', 'priority=9,ip,actions=controller')
    wait_for('the change', lambda: 'event=ADDED' in text())
    hosts[0].run('ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0')
    hosts[0].ping(hosts[1], 1, 1)
    wait_for('the packet', lambda: 'PACKET_IN' in text() and 'icmp' in text())
    ofctl(version, 'del-flows', 'ip')
    wait_for('the end', lambda: 'event=DELETED' in text())


@pytest.mark.needs('ovs-testcontroller')
@pytest.mark.parametrize('version', VERSIONS)
def test_testcontroller(lab, version):
    sw, hosts = lab.star(3)
    lab.spawn(sw, ['ovs-testcontroller', '-O', version, 'ptcp:6653:127.0.0.1'], env={'OVS_RUNDIR': lab.dir})
    Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 30)
    assert ping_all(hosts) == []

"""os-ken's applications at work: spanning tree, link aggregation, multicast, routers, firewalls, quality of
service, discovery, monitoring, mirroring. Each is judged by what happens to traffic."""

import os
import sys

import pytest
from clients import Rest, application, connected, controller_log
from lab import ROOT, Host, Switch, osken, ping_all, sh, wait_for

pytestmark = pytest.mark.timeout(240)
PYTHON = os.path.join(ROOT, 'tests', '.venv', 'bin', 'python')


def fabric(lab, app, count, links, *args, controller_args=()):
    """Switches 1 to `count` in namespaces of their own, a host at port 1 of each, more links between them
    (pairs of switches); returns (hosts, switches, Rest). The controller is at 192.168.9.254."""
    control = lab.ns('ctl')
    sh(['ip', '-n', control, 'link', 'add', 'name', 'br0', 'type', 'bridge'])
    sh(['ip', '-n', control, 'addr', 'add', '192.168.9.254/24', 'dev', 'br0'])
    sh(['ip', '-n', control, 'link', 'set', 'br0', 'up'])
    namespaces, hosts, ports = [], [], []
    for n in range(1, count + 1):
        sw, h = lab.ns('s%d' % n), lab.ns('h%d' % n)
        lab.link(sw, 'ctl', control, 'c%d' % n)
        sh(['ip', '-n', control, 'link', 'set', 'c%d' % n, 'master', 'br0'])
        sh(['ip', '-n', sw, 'addr', 'add', '192.168.9.%d/24' % n, 'dev', 'ctl'])
        lab.link(sw, 'p1', h, 'eth0')
        sh(['ip', '-n', h, 'link', 'set', 'eth0', 'address', '02:00:00:00:00:%02x' % n])
        sh(['ip', '-n', h, 'addr', 'add', '10.0.0.%d/24' % n, 'dev', 'eth0'])
        namespaces.append(sw)
        hosts.append(Host(lab, h, n))
        ports.append(1)
    for a, b in links:
        ports[a - 1] += 1
        ports[b - 1] += 1
        lab.link(namespaces[a - 1], 'p%d' % ports[a - 1], namespaces[b - 1], 'p%d' % ports[b - 1])
    osken(lab, control, app, args=controller_args)
    switches = [Switch(lab, sw, '--dpid', '%016x' % (i + 1), '--controller', 'tcp:192.168.9.254:6653', *args,
                       ports=['%d=p%d' % (p, p) for p in range(1, ports[i] + 1)], name='br%d' % (i + 1))
                for i, sw in enumerate(namespaces)]
    for switch in switches:
        wait_for('the sessions', lambda s=switch: connected(s), 30)
    return hosts, switches, Rest(control)


@pytest.mark.long
def test_spanning_tree_of_1_0_blocks_one_port_of_a_ring(lab):
    # The application itself forwards nothing under Python 3: its handler names `buffer`.
    _, switches, _ = fabric(lab, 'os_ken.app.simple_switch_stp', 3, [(1, 2), (2, 3), (3, 1)], '--protocol', '1.0')

    def ports(word):
        return [(s, int(line.split()[0])) for s in switches
                for line in s.ofctl('show', '-O', 'OpenFlow10').splitlines() if word in line]
    wait_for('the tree', lambda: len(ports('no-forward')) == 1 and len(ports('no-flood')) == 1, 90, 0.5)
    # Which port it is depends on the interfaces' addresses. Ports 2 and 3 are the ring's: without the other one
    # this one is the only way.
    (switch, port), = ports('no-forward')
    assert port in (2, 3)
    sh(['ip', '-n', switch.ns, 'link', 'set', 'p%d' % (5 - port), 'down'])
    wait_for('the blocked port to open', lambda: (switch, port) not in ports('no-forward') + ports('no-receive'), 90, 0.5)


@pytest.mark.long
def test_spanning_tree_breaks_a_ring_and_mends_it(lab):
    hosts, switches, _ = fabric(lab, 'os_ken.app.simple_switch_stp_13', 3, [(1, 2), (2, 3), (3, 1)], '--protocol', '1.3')
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 150, 1)
    assert ping_all(hosts) == []
    # The ring is cut in one place: a flood arrives once.
    def received():
        return int(sh(['ip', 'netns', 'exec', hosts[2].ns, 'cat', '/sys/class/net/eth0/statistics/rx_packets']).stdout)
    before = received()
    hosts[0].run(['ping', '-q', '-c', '5', '-i', '0.5', '-W', '1', '10.0.0.77'], check=False)
    assert received() - before < 60, 'broadcasts circulate'
    # A link breaks: the other way is taken.
    sh(['ip', '-n', switches[0].ns, 'link', 'set', 'p2', 'down'])
    wait_for('the detour', lambda: ping_all(hosts, 1) == [], 150, 1)


# Sends LACPDUs out of eth0 every second, as an active partner with the short timeout would.
LACP = '''
import sys, time
from scapy.all import Ether, sendp
from scapy.contrib.lacp import LACP, SlowProtocol
port, count = int(sys.argv[1]), int(sys.argv[2])
p = Ether(src="02:00:00:00:01:%02x" % port, dst="01:80:c2:00:00:02") / SlowProtocol() / LACP(
    actor_system="02:00:00:00:01:00", actor_key=9, actor_port_number=port, actor_state=0x3f)
for _ in range(count):
    sendp(p, iface="eth0", verbose=False)
    time.sleep(1)
'''
# Prints the first frame of a slow protocol that arrives.
SLOW_PROTOCOL = '''
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8809))
s.bind(("eth0", 0x8809))
print(s.recv(2000).hex(), flush=True)
'''


@pytest.mark.long
@pytest.mark.parametrize('app,protocol', [('simple_switch_lacp_13', '1.3'), ('simple_switch_lacp', '1.0')])
def test_link_aggregation_answers_and_times_out(lab, app, protocol):
    # It speaks with the address of the port LOCAL.
    hosts, switch, _ = application(lab, 'os_ken.app.' + app, 3, '--protocol', protocol, '--local-port')
    answer = os.path.join(lab.dir, 'answer')
    lab.spawn(hosts[0].ns, [sys.executable, '-c', SLOW_PROTOCOL], log=answer)
    for h in hosts[:2]:
        lab.spawn(h.ns, [PYTHON, '-c', LACP, str(h.n), '6'])
    wait_for('both slaves', lambda: controller_log(lab).count('slave i/f has just been up') == 2, 30)
    dump = switch.ofctl('dump-flows')
    assert dump.count('idle_timeout=3') == 2, dump
    wait_for('an answer', lambda: os.path.getsize(answer) > 0)
    with open(answer) as f:
        frame = bytes.fromhex(f.read())
    # To the protocol's address, an LACPDU, whose partner is the one that asked.
    assert frame[:6] == bytes.fromhex('0180c2000002') and frame[14] == 1, frame.hex()
    assert bytes.fromhex('020000000100') in frame[30:60], frame.hex()
    # The partner falls silent: the entries' idle timeouts tell the application.
    wait_for('the timeout', lambda: controller_log(lab).count('exchange timeout has occurred') == 2, 40)


# Joins a group for some seconds.
JOIN = '''
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[1]) + socket.inet_aton(sys.argv[2]))
time.sleep(float(sys.argv[3]))
'''
# Sends datagrams to a group.
CAST = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[2]))
for _ in range(20):
    s.sendto(b"x" * 900, (sys.argv[1], 9999))
'''


@pytest.mark.long
@pytest.mark.parametrize('app,protocol', [('simple_switch_igmp_13', '1.3'), ('simple_switch_igmp', '1.0')])
def test_multicast_goes_to_members_only(lab, app, protocol):
    # Queries bear the address of the port LOCAL.
    hosts, switch, _ = application(lab, 'os_ken.app.' + app, 3, '--protocol', protocol, '--local-port')
    for h in hosts:
        h.run(['sysctl', '-qw', 'net.ipv4.conf.eth0.force_igmp_version=2', 'net.ipv4.conf.all.force_igmp_version=2'])

    def bytes_received(h):
        return int(h.run('cat /sys/class/net/eth0/statistics/rx_bytes').stdout)

    group = '225.1.2.3'
    # Port 2 has the server and the application as its querier.
    lab.spawn(hosts[0].ns, [sys.executable, '-c', JOIN, group, hosts[0].ip, '300'])
    wait_for('its entry', lambda: 'in_port=2,nw_dst=%s actions=output:1' % group in switch.ofctl('dump-flows'), 90, 0.2)
    assert 'Traceback' not in controller_log(lab)
    before = [bytes_received(h) for h in hosts]
    hosts[1].run([sys.executable, '-c', CAST, group, hosts[1].ip])
    wait_for('the datagrams', lambda: bytes_received(hosts[0]) - before[0] >= 20 * 900)
    assert bytes_received(hosts[2]) - before[2] < 10 * 900, 'a host that is no member'


@pytest.mark.parametrize('protocol', ['1.3', pytest.param('1.0', marks=pytest.mark.long),
                                      pytest.param('1.2', marks=pytest.mark.long)])
def test_rest_router_routes_between_subnets(lab, protocol):
    hosts, switch, rest = application(lab, 'os_ken.app.rest_router', 3, '--protocol', protocol, addresses=False)
    for h in hosts:
        h.run('ip addr add 172.16.%d.2/24 dev eth0' % h.n)
        h.run('ip link set eth0 up')
        h.run('ip route add default via 172.16.%d.1' % h.n)
        h.ip = '172.16.%d.2' % h.n
    wait_for('the REST interface', lambda: rest.ask('GET', '/router/all')[0] == 200 and rest.get('/router/all'), 30)
    assert hosts[0].ping(hosts[1], 1, 1) == 0
    for h in hosts[:2]:
        answer = rest.post('/router/0000000000000001', {'address': '172.16.%d.1/24' % h.n})
        assert answer[0]['command_result'][0]['result'] == 'success', answer
    wait_for('the router itself', lambda: hosts[0].ping('172.16.1.1', 1) == 1, 20)
    wait_for('the other subnet', lambda: hosts[0].ping(hosts[1], 1) == 1, 20)
    assert hosts[0].ping(hosts[1], 5) == 5 and hosts[1].ping(hosts[0], 5) == 5
    assert hosts[0].ping(hosts[2], 1, 1) == 0, 'no address for that subnet yet'
    # One hop: the TTL is one less, which 1.0 can't say.
    out = hosts[0].run('ping -c 1 172.16.2.2').stdout
    assert ('ttl=64' if protocol == '1.0' else 'ttl=63') in out, out
    rest.post('/router/0000000000000001', {'address': '172.16.3.1/24'})
    wait_for('the third subnet', lambda: hosts[0].ping(hosts[2], 1) == 1, 20)
    assert len(rest.get('/router/0000000000000001')[0]['internal_network'][0]['address']) == 3
    answer = rest.post('/router/0000000000000001', {'address_id': 3}, 'DELETE')
    assert answer[0]['command_result'][0]['result'] == 'success', answer
    assert hosts[0].ping(hosts[2], 1, 1) == 0 and hosts[0].ping(hosts[1], 2) == 2


@pytest.mark.parametrize('protocol', ['1.3', pytest.param('1.0', marks=pytest.mark.long),
                                      pytest.param('1.2', marks=pytest.mark.long)])
def test_rest_firewall_lets_through_what_is_allowed(lab, protocol):
    hosts, switch, rest = application(lab, 'os_ken.app.rest_firewall', 3, '--protocol', protocol)
    wait_for('the switch', lambda: rest.ask('GET', '/firewall/module/status')[1] not in ([], ''), 30)
    assert rest.get('/firewall/module/status') == [{'status': 'disable', 'switch_id': '0000000000000001'}]
    rest.put('/firewall/module/enable/0000000000000001')
    assert hosts[0].ping(hosts[1], 2, 1) == 0, 'nothing is allowed yet'
    rules = []
    for a, b in ((0, 1), (1, 0)):
        answer = rest.post('/firewall/rules/0000000000000001',
                           {'nw_src': hosts[a].ip + '/32', 'nw_dst': hosts[b].ip + '/32', 'nw_proto': 'ICMP'})
        assert answer[0]['command_result'][0]['result'] == 'success', answer
        rules.append(answer)
    assert hosts[0].ping(hosts[1], 3) == 3
    assert hosts[0].ping(hosts[2], 2, 1) == 0
    # Another protocol between the same hosts stays blocked.
    out = hosts[0].run([sys.executable, '-c', 'import socket; socket.create_connection(("%s", 5201), 1)' % hosts[1].ip],
                       check=False)
    assert 'timed out' in out.stderr, out.stderr
    rest.put('/firewall/log/enable/0000000000000001')
    hosts[0].ping(hosts[2], 1, 1)
    wait_for('the log of what was blocked', lambda: 'Blocked packet' in controller_log(lab))
    answer = rest.post('/firewall/rules/0000000000000001',
                       {'nw_src': hosts[0].ip + '/32', 'actions': 'DENY', 'priority': '10'})
    assert hosts[0].ping(hosts[1], 2, 1) == 0, 'denied before it is allowed'
    assert len(rest.get('/firewall/rules/0000000000000001')[0]['access_control_list'][0]['rules']) == 3
    rest.post('/firewall/rules/0000000000000001', {'rule_id': 'all'}, 'DELETE')
    rest.put('/firewall/module/disable/0000000000000001')
    assert hosts[1].ping(hosts[0], 2, 1) == 0


@pytest.mark.long
def test_rest_qos_marks_meters_and_queues(lab):
    hosts, switch, rest = application(
        lab, 'os_ken.app.rest_qos', 2, '--protocol', '1.3', '--queue', '2:1,max-rate=20M',
        controller_args=['os_ken.app.rest_conf_switch'])
    path = '/v1.0/conf/switches/0000000000000001'
    wait_for('the REST interface', lambda: rest.ask('GET', '/v1.0/conf/switches')[0] == 200, 30)
    assert rest.ask('PUT', path + '/mykey', 'its value')[0] in (200, 201)
    assert rest.get(path + '/mykey') == 'its value'
    wait_for('the switch', lambda: rest.ask('GET', '/qos/rules/0000000000000001')[0] == 200, 30)
    # Its rules are in table 0 and go on to table 1.
    switch.ofctl('add-flow', 'table=1,priority=1,actions=FLOOD')
    wait_for('its table-miss entry', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 20)
    answer = rest.post('/qos/rules/0000000000000001',
                       {'match': {'nw_dst': hosts[1].ip, 'nw_proto': 'TCP'}, 'actions': {'queue': '1'}})
    assert answer[0]['command_result'][0]['result'] == 'success', answer
    assert hosts[0].iperf(hosts[1], 2) < 0.022
    answer = rest.post('/qos/meter/0000000000000001', {
        'meter_id': '1', 'flags': 'PKTPS', 'bands': [{'type': 'DROP', 'rate': '1', 'burst_size': '2'}]})
    assert answer[0]['command_result'][0]['result'] == 'success', answer
    answer = rest.post('/qos/rules/0000000000000001',
                       {'priority': '9', 'match': {'nw_dst': hosts[1].ip, 'nw_proto': 'ICMP'}, 'actions': {'meter': '1'}})
    assert answer[0]['command_result'][0]['result'] == 'success', answer
    assert hosts[0].ping(hosts[1], 10, 1) < 10
    capture = os.path.join(lab.dir, 'mark.pcap')
    rest.post('/qos/rules/0000000000000001',
              {'priority': '9', 'match': {'nw_dst': hosts[0].ip, 'nw_proto': 'ICMP'}, 'actions': {'mark': '26'}})
    rest.post('/qos/meter/0000000000000001', {'meter_id': '1'}, 'DELETE')
    tshark = lab.spawn(hosts[0].ns, ['tshark', '-q', '-i', 'eth0', '-w', capture, '-f', 'icmp', '-a', 'duration:20'])
    wait_for('tshark', lambda: os.path.exists(capture) and tshark.poll() is None)
    wait_for('a marked reply', lambda: hosts[1].ping(hosts[0], 1, 1) >= 0 and '26' in sh(
        ['tshark', '-r', capture, '-Y', 'ip.dst == ' + hosts[0].ip, '-T', 'fields', '-e', 'ip.dsfield.dscp'],
        check=False).stdout.split(), 20)


@pytest.mark.parametrize('app,protocol', [
    ('simple_switch_13', '1.3'),
    pytest.param('simple_switch', '1.0', marks=pytest.mark.long),
])
def test_topology_is_discovered_and_links_that_break_are_seen(lab, app, protocol):
    hosts, switches, rest = fabric(lab, 'os_ken.app.' + app, 3, [(1, 2), (2, 3)], '--protocol', protocol,
                                   controller_args=['--observe-links', 'os_ken.app.rest_topology'])

    def links():
        return sorted((link['src']['dpid'][-1], link['dst']['dpid'][-1]) for link in rest.get('/v1.0/topology/links'))
    wait_for('every link', lambda: links() == [('1', '2'), ('2', '1'), ('2', '3'), ('3', '2')], 60, 0.5)
    found = rest.get('/v1.0/topology/switches')
    assert [len(s['ports']) for s in sorted(found, key=lambda s: s['dpid'])] == [2, 3, 2], found
    assert {p['name'] for s in found for p in s['ports']} == {'p1', 'p2', 'p3'}
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 30)
    wait_for('the hosts', lambda: {h['mac'] for h in rest.get('/v1.0/topology/hosts')} >= {h.mac for h in hosts}, 20)
    sh(['ip', '-n', switches[1].ns, 'link', 'set', 'p3', 'down'])
    wait_for('the loss of a link', lambda: links() == [('1', '2'), ('2', '1')], 30, 0.5)
    sh(['ip', '-n', switches[1].ns, 'link', 'set', 'p3', 'up'])
    wait_for('its return', lambda: len(links()) == 4, 60, 0.5)


def test_monitor_reads_flow_and_port_counters(lab):
    hosts, _, _ = application(lab, 'os_ken.app.simple_monitor_13', 2)
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)
    assert hosts[0].ping(hosts[1], 20) == 20

    def rows():
        return [line.split() for line in controller_log(lab).splitlines() if line.startswith('0000000000000001')]
    # Flows have six columns, ports eight.
    wait_for('both flows counted', lambda: sum(len(r) == 6 and int(r[4]) >= 20 for r in rows()) >= 2, 30, 0.5)
    assert any(len(r) == 8 and int(r[2]) >= 20 and int(r[5]) >= 20 for r in rows())


def test_snort_s_mirror_port_gets_a_copy(lab):
    hosts, _, _ = application(lab, 'os_ken.app.simple_switch_snort', 3, '--protocol', '1.3')
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)

    def copies():
        return int(hosts[2].run('cat /sys/class/net/eth0/statistics/rx_packets').stdout)
    before = copies()
    assert hosts[0].ping(hosts[1], 20) == 20
    wait_for('requests and replies', lambda: copies() - before >= 40)

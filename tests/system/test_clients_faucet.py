"""Faucet decides: VLANs, access lists and routing between VLANs."""

import os
import subprocess
import sys

import pytest
from clients import connected
from lab import ROOT, Switch, wait_for

FAUCET = os.path.join(ROOT, 'tests', '.venv-faucet', 'bin', 'faucet')
pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

CONFIG = '''
vlans:
  office: {vid: 100, faucet_mac: "0e:00:00:00:01:00", faucet_vips: ["10.0.100.254/24"]}
  lab: {vid: 200, faucet_mac: "0e:00:00:00:02:00", faucet_vips: ["10.0.200.254/24"]}
routers:
  between: {vlans: [office, lab]}
acls:
  from-h2:
    - rule: {dl_type: 0x0800, ip_proto: 17, udp_dst: 7777, actions: {allow: 0}}
    - rule: {dl_type: 0x0800, ip_proto: 1, ipv4_dst: 10.0.200.0/24, actions: {allow: 0}}
    - rule: {actions: {allow: 1}}
dps:
  sw1:
    dp_id: 0x1
    hardware: "%s"
    interfaces:
      1: {native_vlan: office}
      2: {native_vlan: office, acls_in: [from-h2]}
      3: {native_vlan: lab}
      4: {native_vlan: lab}
'''


def udp_arrives(a, b, port):
    """Whether one datagram from a arrives at b."""
    server = ('import socket,sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n'
              's.bind(("", %d)); print("ready", flush=True)\ns.settimeout(2)\n'
              'try:\n    s.recv(100); print("got")\nexcept OSError:\n    print("nothing")\n' % port)
    p = subprocess.Popen(['ip', 'netns', 'exec', b.ns, sys.executable, '-c', server], stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == 'ready\n'
    a.run([sys.executable, '-c', 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("%s", %d))'
           % (b.ip, port)])
    return p.communicate(timeout=10)[0] == 'got\n'


@pytest.mark.parametrize('hardware', ['Open vSwitch', 'GenericTFM'])
def test_faucet_s_vlans_access_lists_and_routes(lab, hardware):
    assert os.access(FAUCET, os.X_OK), 'tests/run --long installs Faucet'
    sw, hosts = lab.star(4, addresses=False)
    for h in hosts:
        vlan = 100 if h.n <= 2 else 200
        h.ip = '10.0.%d.%d' % (vlan, h.n)
        h.run('ip addr add %s/24 dev eth0' % h.ip)
        h.run('ip route add default via 10.0.%d.254' % vlan)
    config = os.path.join(lab.dir, 'faucet.yaml')
    with open(config, 'w') as f:
        f.write(CONFIG % hardware)
    log = os.path.join(lab.dir, 'faucet.log')
    lab.spawn(sw, [FAUCET, '--ryu-ofp-tcp-listen-port', '6653', '--ryu-ofp-listen-host', '127.0.0.1'],
              log=os.path.join(lab.dir, 'faucet.out'),
              env={'FAUCET_CONFIG': config, 'FAUCET_LOG': log, 'FAUCET_EXCEPTION_LOG': log + '.exception',
                   'FAUCET_PROMETHEUS_PORT': '9302', 'FAUCET_PROMETHEUS_ADDR': '127.0.0.1', 'HOME': lab.dir,
                   'PATH': os.path.dirname(FAUCET) + ':' + os.environ['PATH']})
    switch = Switch(lab, sw, '--dpid', '0000000000000001', '--controller', 'tcp:127.0.0.1:6653', '--protocol', '1.3',
                    ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    wait_for('the session', lambda: connected(switch), 60)
    wait_for('one VLAN', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 60)
    assert hosts[0].ping(hosts[1], 5) == 5 and hosts[2].ping(hosts[3], 5) == 5
    # Between VLANs the controller routes.
    wait_for('the gateway', lambda: hosts[0].ping('10.0.100.254', 1, 1) == 1, 20)
    wait_for('the other VLAN', lambda: hosts[0].ping(hosts[2], 1, 1) == 1, 30)
    assert hosts[0].ping(hosts[2], 5) == 5 and hosts[3].ping(hosts[0], 5, 2) >= 4
    assert 'ttl=63' in hosts[0].run('ping -c 1 ' + hosts[2].ip).stdout
    # The access list of port 2.
    assert udp_arrives(hosts[1], hosts[0], 7778) and not udp_arrives(hosts[1], hosts[0], 7777)
    assert udp_arrives(hosts[0], hosts[1], 7777)
    assert hosts[1].ping(hosts[2], 2, 1) == 0, 'the list allows no ICMP to the other VLAN'
    assert hosts[0].iperf(hosts[2], 1) > 0.2
    # Nobody of one VLAN hears the other's broadcasts.
    before = int(hosts[2].run('cat /sys/class/net/eth0/statistics/rx_packets').stdout)
    hosts[0].run(['ping', '-c', '1', '-W', '1', '10.0.100.77'], check=False)
    assert int(hosts[2].run('cat /sys/class/net/eth0/statistics/rx_packets').stdout) - before < 3
    with open(log) as f:
        errors = [line for line in f if 'OFError' in line]
    assert errors == []
    if hardware == 'GenericTFM':
        # The tables are of its making: it says what each matches on and does, and keeps to it.
        assert 'port_acl' in switch.ofctl('dump-table-features')

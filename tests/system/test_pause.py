"""Packets that wait: for a controller (`controller(pause)`, NXT_RESUME), or for the flow that they teach."""

import os
import struct

import pytest
from lab import Switch, inside, sh, wait_for
from raw import ERROR, Controller

VERSIONS = ['OpenFlow10', 'OpenFlow13', 'OpenFlow15']
EXPERIMENTER = 4
NICIRA, RESUME = 0x2320, 28


def add_flow(switch, version, flow):
    sh(['ovs-ofctl', '-O', version, 'add-flow', 'unix:' + switch.of_socket, flow])


@pytest.mark.needs('ovs-ofctl')
@pytest.mark.parametrize('version', VERSIONS)
def test_ovs_ofctl_lets_paused_packets_go_on(lab, version):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--listen', 'ptcp:6654:127.0.0.1', '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    add_flow(switch, version, 'arp,actions=flood')
    add_flow(switch, version, 'table=0,in_port=2,ip,actions=output:1')
    # Registers, the stack and two levels of resubmit outlast the wait; what follows is executed once.
    add_flow(switch, version, 'table=0,in_port=1,ip,actions=load:0x1234->NXM_NX_REG1[],load:2->NXM_NX_REG2[],'
                              'push:NXM_NX_REG2[],load:0->NXM_NX_REG2[],resubmit(,1),output:NXM_NX_REG3[]')
    add_flow(switch, version, 'table=1,priority=2,reg1=0x1234,ip,actions=controller(pause,userdata=01.02.03),'
                              'pop:NXM_NX_REG3[],resubmit(,2)')
    add_flow(switch, version, 'table=2,reg3=2,ip,actions=note:01.02')
    assert hosts[0].ping(hosts[1], 1, 1) == 0
    out = os.path.join(lab.dir, 'monitor.log')
    monitor = lab.spawn(sw, ['stdbuf', '-oL', 'ovs-ofctl', '-O', version, '-P', 'nxt_packet_in2', 'monitor',
                             'tcp:127.0.0.1:6654', '65534', 'resume'], log=out, env={'OVS_RUNDIR': lab.dir})

    def text():
        with open(out) as f:
            return f.read()
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 30)
    assert hosts[0].ping(hosts[1], 10) == 10
    assert monitor.poll() is None
    told = text()
    assert 'NXT_PACKET_IN2' in told and 'userdata=01.02.03' in told and 'NXT_RESUME' in told, told
    # 1.5 has registers of 64 bits.
    assert ('reg1=0x1234' in told) or (version == 'OpenFlow15' and 'xreg0=0x1234' in told), told
    assert 'continuation.stack' in told and 'error' not in told.lower() and 'decode' not in told, told


@pytest.mark.needs('ovs-ofctl')
@pytest.mark.parametrize('version', VERSIONS)
def test_a_packet_waits_for_the_flow_that_it_teaches(lab, version):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    add_flow(switch, version, 'arp,actions=flood')
    add_flow(switch, version, 'ip,in_port=2,actions=output:1')
    # Two addresses may be taught; only packets of taught ones pass.
    add_flow(switch, version, 'ip,in_port=1,actions=learn(table=5,cookie=9,limit=2,result_dst=NXM_NX_REG0[3],'
                              'eth_type=0x800,NXM_OF_IP_SRC[]),resubmit(,1)')
    add_flow(switch, version, 'table=1,ip,reg0=8/8,actions=output:2')
    for n in (11, 12, 13):
        hosts[0].run(['ip', 'addr', 'add', '10.0.0.%d/24' % n, 'dev', 'eth0'])
    hosts[1].run('ip neigh replace 10.0.0.11 lladdr 02:00:00:00:00:01 dev eth0')

    def pings(source):
        return hosts[0].ping(hosts[1], 3, 1, source=source) == 3
    assert pings('10.0.0.11') and pings('10.0.0.12')
    assert not pings('10.0.0.13')
    # Taught already: it isn't one more.
    assert pings('10.0.0.11')
    assert switch.ofctl('dump-flows').count('table=5, n_packets') == 2


def properties(*props):
    data = b''
    for kind, body in props:
        one = struct.pack('!HH', kind, 4 + len(body)) + body
        data += one + bytes(-len(one) % 8)
    return data


def test_what_does_not_fit_is_refused_exactly(lab):
    sw, _ = lab.star(1)
    switch = Switch(lab, sw, ports=['1=s1'])
    with inside(sw):
        peer = Controller(switch.of_socket)
    frame = (0, bytes(60))
    # OXM in_port=1
    metadata = (6, struct.pack('!IBBHI', 0x80000004, 0, 0, 0, 0)[:4] + struct.pack('!I', 1))

    def error(*props):
        kind, body, _ = peer.ask(EXPERIMENTER, struct.pack('!II', NICIRA, RESUME) + properties(*props))
        assert kind == ERROR
        return struct.unpack_from('!HH', body)
    mark = b'switchd\0'
    bridge = struct.pack('!HH8sQ4x', 0x8000, 20, mark, 0)
    stale = (0xffff, 35)
    assert error(metadata) == (1, 6)
    assert error(frame) == (1, 11)
    assert error(frame, metadata) == stale
    assert error(frame, metadata, (8, bytes(4))) == stale
    assert error(frame, metadata, (8, bytes(4) + bridge)) == stale
    assert error(frame, metadata, (8, bytes(4) + struct.pack('!HH4x', 0x8001, 200))) == (13, 3)
    assert error(frame, metadata, (8, bytes(4) + struct.pack('!HH4x', 0xbeef, 8)))[0] == 13
    assert error(frame, metadata, (77, b'')) [0] == 13
    peer.close()

"""A bridge without a controller beside Open vSwitch's, step by step: the entry that both begin with, and flows over it."""

import re

from beside_ovs import MARKER_FLOW, NEEDS, PATIENCE
from ethernet import arp, ping, tcp
from lab import binary, sh, wait_for

pytestmark = NEEDS

VLAN_LIMIT = 1
FAIL_MODE = 'standalone'
VERSION = 'OpenFlow13'


def both(pair, command, *args):
    return [pair.ofctl(switch, VERSION, command, *args) for switch in pair.both]


def same_flows(pair):
    ours, ovs = (pair.flows(switch, VERSION) for switch in pair.both)
    assert ours == ovs
    return ours


def counted(pair):
    """The packets of each switch's NORMAL entry; Open vSwitch adds up when it is told to."""
    pair.ovs.fresh()
    return [int(re.search(r'n_packets=(\d+),[^\n]*priority=0 actions=NORMAL', dump)[1]) for dump in both(pair, 'dump-flows')]


def test_step_by_step(pair):
    assert same_flows(pair) == ['priority=0 actions=NORMAL']
    assert counted(pair) == [0, 0]
    both(pair, 'add-flow', MARKER_FLOW)
    a_to_b, b_to_a = tcp(s=1, d=2), tcp(s=2, d=1)
    # Nobody is known; then both are.
    assert set(pair.same(VERSION, 1, a_to_b)) == {2, 3, 4}
    assert set(pair.same(VERSION, 2, b_to_a)) == {1}
    assert set(pair.same(VERSION, 1, a_to_b)) == {2}
    assert set(pair.same(VERSION, 3, arp(sha=3, spa='10.0.0.3'))) == {1, 2, 4}
    wait_for('both to have counted the four', lambda: counted(pair) == [4, 4], PATIENCE)
    # A flow over it.
    both(pair, 'add-flow', 'priority=10,icmp,actions=drop')
    assert pair.same(VERSION, 1, ping(s=1, d=2)) == {}
    assert set(pair.same(VERSION, 1, a_to_b)) == {2}
    both(pair, '--strict del-flows', 'priority=10,icmp')
    assert set(pair.same(VERSION, 1, ping(s=1, d=2))) == {2}
    # A group and a flow that goes elsewhere.
    both(pair, 'add-group', 'group_id=1,type=all,bucket=actions=output:3,bucket=actions=output:4')
    both(pair, 'add-flow', 'in_port=1,tcp,actions=group:1')
    assert set(pair.same(VERSION, 1, a_to_b)) == {3, 4}
    wait_for('both to have counted six', lambda: counted(pair) == [6, 6], PATIENCE)
    # All gone: nothing goes anywhere.
    both(pair, 'del-flows')
    assert same_flows(pair) == []
    both(pair, 'add-flow', MARKER_FLOW)
    assert pair.same(VERSION, 1, a_to_b) == {} and pair.same(VERSION, 2, b_to_a) == {}
    both(pair, 'add-flow', 'priority=0,actions=NORMAL')
    assert set(pair.same(VERSION, 1, a_to_b)) == {2}


def controllers(pair, *targets):
    """Both dial these now, and nobody answers."""
    sh([binary('ofctl'), 'set-controller' if targets else 'del-controller', pair.ours.switch.ctl_socket, *targets])
    command = []
    for n, target in enumerate(targets):
        # After three silent probes Open vSwitch deletes its flows: on a busy machine too soon for this test.
        command += ['--id=@c%d' % n, 'create', 'controller', 'target="%s"' % target, 'inactivity_probe=120000', '--']
    command += ['set', 'bridge', 'br0', 'controller=[%s]' % ','.join('@c%d' % n for n in range(len(targets)))]
    sh(['ovs-vsctl', '--timeout=30', '--db=unix:%s/db.sock' % pair.ovs.dir, *command], env=pair.ovs.env)


def fail_mode(pair, mode):
    sh([binary('ofctl'), 'set-fail-mode', pair.ours.switch.ctl_socket, mode])
    sh(['ovs-vsctl', '--timeout=30', '--db=unix:%s/db.sock' % pair.ovs.dir, 'set-fail-mode', 'br0', mode], env=pair.ovs.env)
    assert sh([binary('ofctl'), 'get-fail-mode', pair.ours.switch.ctl_socket]).stdout.strip() == mode


def test_another_fail_mode_at_once(pair):
    """What is left of flows, and where packets go, when the fail mode changes: without controllers, and with some that are
    away."""
    a_to_b = tcp(s=1, d=2)
    both(pair, 'del-flows')
    both(pair, 'add-flow', MARKER_FLOW)
    both(pair, 'add-flow', 'in_port=1,actions=output:3')
    fail_mode(pair, 'standalone')
    assert same_flows(pair) != [], 'it is that already'
    assert set(pair.same(VERSION, 1, a_to_b)) == {3}
    fail_mode(pair, 'secure')
    assert same_flows(pair) == []
    both(pair, 'add-flow', MARKER_FLOW)
    assert pair.same(VERSION, 1, a_to_b) == {}
    both(pair, 'add-flow', 'in_port=1,actions=output:3')
    fail_mode(pair, 'standalone')
    assert same_flows(pair) == ['priority=0 actions=NORMAL']
    both(pair, 'add-flow', MARKER_FLOW)
    assert set(pair.same(VERSION, 1, tcp(s=1, d=9))) == {2, 3, 4}
    # With a controller, which is away, flows stay.
    controllers(pair, 'tcp:127.0.0.1:6661')
    both(pair, 'add-flow', MARKER_FLOW)
    both(pair, 'add-flow', 'in_port=1,actions=output:4')
    left = same_flows(pair)
    fail_mode(pair, 'secure')
    assert same_flows(pair) == left
    assert set(pair.same(VERSION, 1, a_to_b)) == {4}
    both(pair, 'add-flow', 'in_port=2,actions=drop')
    left = same_flows(pair)
    fail_mode(pair, 'standalone')
    assert same_flows(pair) == left
    fail_mode(pair, 'secure')
    # The last controller goes: what somebody made goes, and in this mode nothing comes.
    controllers(pair)
    assert same_flows(pair) == []
    fail_mode(pair, 'standalone')
    assert same_flows(pair) == ['priority=0 actions=NORMAL']


def test_what_is_left_of_flows_when_controllers_come_and_go(pair):
    both(pair, 'del-flows')
    both(pair, 'add-flow', 'in_port=1,actions=drop')
    controllers(pair, 'tcp:127.0.0.1:6661')
    assert same_flows(pair) == []
    both(pair, 'add-flow', 'in_port=2,actions=drop')
    controllers(pair, 'tcp:127.0.0.1:6662', 'tcp:127.0.0.1:6661')
    assert same_flows(pair) == ['in_port=2 actions=drop']
    controllers(pair, 'tcp:127.0.0.1:6662')
    assert same_flows(pair) == ['in_port=2 actions=drop']
    controllers(pair)
    assert same_flows(pair) == ['priority=0 actions=NORMAL']

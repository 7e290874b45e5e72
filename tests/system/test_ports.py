"""Interfaces come and go; ports keep their numbers and nothing dies."""

import os
import socket

import pytest
from lab import Switch, binary, ping_all, sh, wait_for


def ports(switch):
    return {p['port_no']: p for p in switch.manage('ports')}


def test_an_interface_missing_at_start_joins_later(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2', '7=late'])
    assert hosts[0].ping(hosts[1]) == 3
    h = lab.ns('h7')
    lab.link(sw, 'late', h, 'eth0')
    sh(['ip', '-n', h, 'addr', 'add', '10.0.0.7/24', 'dev', 'eth0'])
    wait_for('port 7 to answer', lambda: hosts[0].ping('10.0.0.7', 1, 1) == 1)
    assert ports(switch)[7]['name'] == 'late'


def test_an_interface_deleted_and_made_again(lab):
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2', '3=s3'])
    assert hosts[0].ping(hosts[2]) == 3
    sh(['ip', '-n', sw, 'link', 'del', 's3'])
    wait_for('port 3 to be down', lambda: 3 not in ports(switch) or ports(switch)[3]['link'] == 'down')
    assert hosts[0].ping(hosts[1]) == 3
    lab.link(sw, 's3', hosts[2].ns, 'eth0')
    sh(['ip', '-n', hosts[2].ns, 'link', 'set', 'eth0', 'address', hosts[2].mac])
    sh(['ip', '-n', hosts[2].ns, 'addr', 'add', '10.0.0.3/24', 'dev', 'eth0'])
    wait_for('port 3 to forward again', lambda: hosts[0].ping(hosts[2], 1, 1) == 1)
    assert switch.process.poll() is None


def test_link_down_and_up(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3
    hosts[1].run('ip link set eth0 down')
    wait_for('link down', lambda: ports(switch)[2]['link'] == 'down')
    hosts[1].run('ip link set eth0 up')
    wait_for('link up', lambda: ports(switch)[2]['link'] == 'up')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)


def test_a_renamed_interface_keeps_its_number(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'down'])
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'name', 'renamed'])
    sh(['ip', '-n', sw, 'link', 'set', 'renamed', 'up'])
    wait_for('the new name', lambda: ports(switch)[2]['name'] == 'renamed')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)


def test_a_tap_moved_into_another_namespace_goes_on(lab):
    """As one gives a namespace its interface: the port's device leaves the switch's namespace."""
    sw, hosts = lab.star(1)
    switch = Switch(lab, sw, ports=['1=s1', '2=t2,type=tap'])
    wait_for('the device', lambda: sh(['ip', '-n', sw, 'link', 'show', 't2'], check=False).returncode == 0)
    other = lab.ns('tap')

    def move():
        sh(['ip', '-n', sw, 'link', 'set', 't2', 'netns', other])
        sh(['ip', '-n', other, 'addr', 'add', '10.0.0.9/24', 'dev', 't2'])
        sh(['ip', '-n', other, 'link', 'set', 't2', 'up'])
        hosts[0].run('ip neigh flush all')
        wait_for('the moved device to answer', lambda: hosts[0].ping('10.0.0.9', 1, 1) == 1)
        assert hosts[0].ping('10.0.0.9') == 3
        assert ports(switch)[2]['link'] == 'up'
    move()
    # It ends with that namespace, and the port gets a new one.
    sh(['ip', '-n', other, 'link', 'del', 't2'])
    wait_for('a new device', lambda: sh(['ip', '-n', sw, 'link', 'show', 't2'], check=False).returncode == 0)
    move()
    assert switch.process.poll() is None


def test_drops_are_counted_by_port_and_reason(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])

    def drops(port):
        return next(p for p in switch.manage('ports') if p['port_no'] == port)['drops']

    assert hosts[0].ping(hosts[1], 2, 1) == 0
    # Hosts say something by themselves now and then.
    assert drops(1)['table_miss'] >= 1 and 'no_such_port' not in drops(1)
    switch.ofctl('add-flow', 'in_port=2,actions=output:77')
    assert hosts[1].ping(hosts[0], 2, 1) == 0
    assert drops(2)['no_such_port'] >= 1 and 'no_such_port' not in drops(1)
    counters = switch.manage('counters')
    assert counters['drops']['no_such_port'] == drops(2)['no_such_port']
    assert counters['missing_ports'] == [{'port_no': 77, 'drops': drops(2)['no_such_port']}]


def test_drops_are_counted_by_table_and_egress_port(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    switch.ofctl('add-flow', 'in_port=1,actions=goto_table:3')
    switch.ofctl('add-flow', 'table=3,icmp,actions=drop')
    switch.ofctl('add-flow', 'table=3,arp,actions=output:2')
    switch.ofctl('mod-port', '2', 'no-forward')
    hosts[0].run('ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0')

    def table(n):
        return next(t for t in switch.manage('tables') if t['table_id'] == n)['drops']

    def out(n):
        return next(p for p in switch.manage('ports') if p['port_no'] == n)['out_drops']
    before, at_port = table(3).get('no_output', 0), out(2).get('port_no_fwd', 0)
    assert hosts[0].ping('10.0.0.9', 3, 1) == 0
    assert hosts[0].ping(hosts[1], 1, 1) == 0
    assert table(3)['no_output'] == before + 3
    # The question for the address.
    assert out(2)['port_no_fwd'] >= at_port + 1 and out(1) == {}
    # The question is repeated; between two looks there may be one more.
    wait_for('both to count alike', lambda: table(3)['port_no_fwd'] == out(2)['port_no_fwd'])
    assert 'no_output' not in table(0)


# A worker's frames, by worker.
def frames_by_worker(switch):
    return [w['frames'] for w in switch.manage('counters')['workers']]


SEND_FLOWS = r'''
import socket, sys
out = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
for n in range(20):
    for s in out:
        s.sendto(b'%d' % n, (sys.argv[1], 9))
'''


@pytest.mark.parametrize('kind', ['af_packet', 'tap'])
def test_several_workers_share_a_port(lab, kind):
    """Each flow stays with one worker, all have some, and the port's life goes on as ever."""
    sw, hosts = lab.star(2)
    first = '1=s1,workers=2' if kind == 'af_packet' else '1=t1,type=tap,workers=2'
    switch = Switch(lab, sw, '--workers', '2', ports=[first, '2=s2,workers=2'])
    if kind == 'tap':
        wait_for('the device', lambda: sh(['ip', '-n', sw, 'link', 'show', 't1'], check=False).returncode == 0)
        sh(['ip', '-n', hosts[0].ns, 'link', 'del', 'eth0'])
        sh(['ip', '-n', sw, 'link', 'set', 't1', 'name', 'eth0', 'netns', hosts[0].ns])
        hosts[0].run('ip link set eth0 address %s up' % hosts[0].mac)
        hosts[0].run('ip addr add 10.0.0.1/24 dev eth0')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    before = frames_by_worker(switch)
    received = ports(switch)[1]['rx_packets']
    for a, b in (hosts, reversed(hosts)):
        a.run(['python3', '-c', SEND_FLOWS, b.ip])
    wait_for('both workers to have flows of both ports',
             lambda: all(now - then > 200 for now, then in zip(frames_by_worker(switch), before)))
    wait_for('all of them', lambda: ports(switch)[1]['rx_packets'] - received >= 640)
    assert hosts[0].iperf(hosts[1], 1) > 0.01
    # Port 2 loses its link, then its interface, then its place in the switch, and comes back from each.
    hosts[1].run('ip link set eth0 down')
    wait_for('link down', lambda: ports(switch)[2]['link'] == 'down')
    hosts[1].run('ip link set eth0 up')
    wait_for('forwarding after the link came back', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    sh(['ip', '-n', sw, 'link', 'del', 's2'])
    wait_for('no interface', lambda: ports(switch)[2]['link'] == 'down')
    lab.link(sw, 's2', hosts[1].ns, 'eth0')
    hosts[1].run('ip link set eth0 address %s' % hosts[1].mac)
    hosts[1].run('ip addr add 10.0.0.2/24 dev eth0')
    wait_for('forwarding through another interface', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    switch.manage('del-port', {'port': '2'})
    switch.manage('add-port', {'port': '2=s2,workers=2'})
    wait_for('forwarding through the port added again', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    before = frames_by_worker(switch)
    hosts[1].run(['python3', '-c', SEND_FLOWS, hosts[0].ip])
    wait_for('both workers to have flows',
             lambda: all(now > then + 50 for now, then in zip(frames_by_worker(switch), before)))
    # What isn't wanted isn't taken from any part.
    switch.ofctl('mod-port', '2', 'no-receive')
    assert hosts[1].ping(hosts[0], 2, 1) == 0
    switch.ofctl('mod-port', '2', 'receive')
    wait_for('frames to be taken again', lambda: hosts[1].ping(hosts[0], 1, 1) == 1)
    assert switch.process.poll() is None


def test_workers_run_where_they_are_pinned(lab):
    sw, hosts = lab.star(2)
    allowed = sorted(os.sched_getaffinity(0))
    switch = Switch(lab, sw, '--workers', '3', '--worker-cpus', ','.join(map(str, allowed[:2])),
                    ports=['1=s1,workers=3', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3
    threads = {}
    for task in os.listdir('/proc/%d/task' % switch.process.pid):
        with open('/proc/%d/task/%s/comm' % (switch.process.pid, task)) as f:
            threads[f.read().strip()] = os.sched_getaffinity(int(task))
    wanted = {'br0-w%d' % i: {allowed[:2][i % len(allowed[:2])]} for i in range(3)}
    assert {name: cpus for name, cpus in threads.items() if name in wanted} == wanted
    done = sh([binary('switchd'), '--worker-cpus', '1000', '--port', 'lo'], check=False, timeout=20)
    assert done.returncode != 0 and '1000' in done.stderr


def xdp_lab(lab, count=2):
    """A star whose links leave XDP room, or a skip where the kernel has no AF_XDP."""
    try:
        socket.socket(44, socket.SOCK_RAW).close()
    except OSError as e:
        pytest.skip('this kernel has no AF_XDP: %s' % e)
    return lab.star(count)


def test_af_xdp_ports_forward_between_hosts_with_offloads(lab):
    sw, hosts = xdp_lab(lab, 3)
    switch = Switch(lab, sw, ports=['1=s1,type=af_xdp', '2=s2,type=af_xdp', '3=s3'])
    assert ping_all(hosts) == []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        assert hosts[a].iperf(hosts[b], 1) > 0.01
    assert all(ports(switch)[n]['tx_errors'] == 0 for n in (1, 2, 3))
    # The interface goes and another one comes; then the port goes and comes.
    sh(['ip', '-n', sw, 'link', 'del', 's2'])
    wait_for('no interface', lambda: ports(switch)[2]['link'] == 'down')
    lab.link(sw, 's2', hosts[1].ns, 'eth0')
    hosts[1].run('ip link set eth0 address %s' % hosts[1].mac)
    hosts[1].run('ip addr add 10.0.0.2/24 dev eth0')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 30)
    switch.manage('del-port', {'port': '1'})
    assert 'xdp' not in sh(['ip', '-n', sw, 'link', 'show', 's1']).stdout
    switch.manage('add-port', {'port': '1=s1,type=af_xdp'})
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1, 30)
    assert switch.process.poll() is None


def test_af_xdp_that_cannot_be_had_is_an_error_and_nothing_else_is_taken(lab):
    sw, hosts = xdp_lab(lab)
    sh(['ip', '-n', sw, 'link', 'set', 's1', 'mtu', '9000'])
    hosts[0].run('ip link set eth0 mtu 9000')
    done = sh(['ip', 'netns', 'exec', sw, binary('switchd'), '--management', 'none', '--port', 's1,type=af_xdp'],
              check=False, timeout=20)
    assert done.returncode != 0
    assert 's1' in done.stderr and 'MTU' in done.stderr and 'type=af_packet' in done.stderr, done.stderr
    switch = Switch(lab, sw, ports=['1=s2,type=af_xdp'])
    with pytest.raises(AssertionError, match='MTU|BPF_LINK_CREATE'):
        switch.manage('add-port', {'port': '2=s1,type=af_xdp'})
    assert list(ports(switch)) == [1]
    with pytest.raises(AssertionError, match='queue'):
        switch.manage('add-queue', {'queue': '1:1,max-rate=10M'})


def test_a_port_without_its_interface_keeps_its_address(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    known = ports(switch)[2]['hw_addr']
    assert known != '00:00:00:00:00:00'
    sh(['ip', '-n', sw, 'link', 'del', 's2'])
    wait_for('no interface', lambda: ports(switch)[2]['link'] == 'down')
    assert ports(switch)[2]['hw_addr'] == known


def test_an_interface_that_comes_back_from_another_namespace(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    other = lab.ns('other')
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'netns', other])
    wait_for('no interface', lambda: ports(switch)[2]['link'] == 'down')
    # Under another name it isn't the port's.
    sh(['ip', '-n', other, 'link', 'set', 's2', 'name', 'elsewhere'])
    sh(['ip', '-n', other, 'link', 'set', 'elsewhere', 'netns', sw])
    sh(['ip', '-n', sw, 'link', 'set', 'elsewhere', 'up'])
    assert hosts[0].ping(hosts[1], 1, 1) == 0 and ports(switch)[2]['link'] == 'down'
    rename_down(sw, 'elsewhere', 's2')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)


def rename_down(ns, old, new):
    sh(['ip', '-n', ns, 'link', 'set', old, 'down'])
    sh(['ip', '-n', ns, 'link', 'set', old, 'name', new])


def test_mtus_change_under_traffic(lab):
    """Frames as long as either side may send now arrive whole, from the smallest MTU to the largest."""
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2', '3=s3'])
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [])
    for mtu in (1280, 2000, 9000, 65535, 1500):
        for n in (1, 2):
            sh(['ip', '-n', sw, 'link', 'set', 's%d' % n, 'mtu', str(mtu)])
            hosts[n - 1].run('ip link set eth0 mtu %d' % mtu)
        # Room for what the headers take.
        size = min(mtu - 28, 65507)
        wait_for('all of %d bytes' % mtu, lambda: hosts[0].ping(hosts[1], 5, 5, size, whole=True) == 5)
        wait_for('the others', lambda: hosts[0].ping(hosts[2]) == 3)
    assert all(p['rx_errors'] == 0 and p['tx_errors'] == 0 for p in ports(switch).values())


def test_many_ports_take_little_memory_each(lab):
    sw, hosts, far = *lab.star(2), lab.ns('far')
    names = ['m%d' % n for n in range(126)]
    commands = ''.join('link add %s type veth peer name p%s netns %s\nlink set %s up\n' % (n, n, far, n) for n in names)
    sh(['ip', '-n', sw, '-batch', '-'], input=commands)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'] + ['%d=%s' % (no, n) for no, n in enumerate(names, 3)], patience=60)
    assert len(ports(switch)) == 128
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    # Rings of 2 MiB each, and what a switch needs at all.
    print(switch.memory('VmRSS'), 'kB')
    assert switch.memory('VmRSS') < 600_000
    assert switch.stop() == 0

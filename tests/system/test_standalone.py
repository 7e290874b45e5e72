"""Without a controller the switch learns addresses by itself, and goes by its flows."""

import json
import os
import re

import pytest
from lab import Switch, binary, ping_all, sh, wait_for


def star(lab, count=3, *args):
    sw, hosts = lab.star(count)
    switch = Switch(lab, sw, *args, ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    return sw, hosts, switch


def test_hosts_reach_each_other(lab):
    _, hosts, _ = star(lab)
    assert ping_all(hosts) == []
    assert hosts[0].run(['ping', '-c', '2', '-i', '0.02', '-W', '2', hosts[1].ip6]).returncode == 0


def test_a_trace_tells_of_the_entry_and_of_learning(lab):
    _, hosts, switch = star(lab, 2)
    assert ping_all(hosts) == []
    for n, (there, port) in enumerate(((hosts[1], 2), (hosts[0], 1))):
        flow = 'in_port=s%d,dl_src=%s,dl_dst=%s' % (n + 1, hosts[n].mac, there.mac)
        told = json.loads(sh([binary('ofctl'), '--json', 'trace', switch.ctl_socket, flow]).stdout)
        assert [s['port'] for s in told['sent']] == [str(port)] and told['dropped'] == [], told
        steps = told['steps']
        assert (steps[0]['step'], steps[0]['table'], steps[0]['priority']) == ('lookup', 0, 0), steps
        assert steps[0]['entry'] == 'priority=0 NORMAL' and steps[1]['action'] == 'NORMAL', steps


def normal(switch):
    """Packets of the entry that sends everything to NORMAL, which is the only one of its priority."""
    lines = [l for l in switch.ofctl('dump-flows').splitlines() if 'priority=0 ' in l]
    assert len(lines) == 1 and lines[0].endswith('priority=0 actions=NORMAL'), lines
    return int(re.search(r'n_packets=(\d+)', lines[0])[1])


def status(switch):
    return sh([binary('ofctl'), 'status', switch.ctl_socket]).stdout


def test_flows_count_over_the_entry_that_is_there(lab):
    _, (h1, h2), switch = star(lab, 2)
    assert len(switch.ofctl('dump-flows').splitlines()) == 1
    before = normal(switch)
    assert h1.ping(h2, 10) == 10
    # Ten there, ten back.
    assert normal(switch) >= before + 20
    assert 'no controller is configured' in status(switch) and 'flows: 1,' in status(switch)
    drop = 'priority=10,icmp,actions=drop'
    switch.ofctl('add-flow', drop)
    assert h1.ping(h2, 3, 1) == 0
    assert 'n_packets=3,' in [l for l in switch.ofctl('dump-flows').splitlines() if 'icmp' in l][0]
    switch.ofctl('del-flows', 'priority=10,icmp', '--strict')
    assert h1.ping(h2) == 3
    # Groups and meters as well.
    switch.ofctl('add-group', 'group_id=1,type=all,bucket=actions=output:2')
    switch.ofctl('add-meter', 'meter=1,kbps,bands=type=drop,rate=100000')
    switch.ofctl('add-flow', 'in_port=1,icmp,actions=meter:1,group:1')
    assert h1.ping(h2) == 3
    group = json.loads(switch.ofctl('dump-group-stats', '--json'))
    assert '"packet_count": 3' in json.dumps(group), group
    switch.ofctl('del-flows')
    assert h1.ping(h2, 3, 1) == 0, 'there is nothing left to go by'
    switch.ofctl('add-flow', 'priority=0,actions=NORMAL')
    assert h1.ping(h2) == 3


def test_the_entry_comes_at_every_start_and_once(lab):
    state = os.path.join(lab.dir, 'state')
    sw, (h1, h2) = lab.star(2)

    def start(*args):
        return Switch(lab, sw, '--state', state, *args, ports=['1=s1', '2=s2'])

    def flows(switch):
        dump = switch.ofctl('dump-flows', '--no-stats').splitlines()
        return sorted(re.sub(r'.*(priority=)', r'\1', line) for line in dump)

    own, other = 'priority=0 actions=NORMAL', 'priority=10,icmp actions=drop'
    switch = start()
    switch.ofctl('add-flow', 'priority=10,icmp,actions=drop')
    assert flows(switch) == [own, other]
    assert switch.stop() == 0
    # It isn't kept: with controllers to come, or in secure mode, nobody asked for it.
    switch = start('--fail-mode', 'secure')
    assert flows(switch) == [other]
    assert switch.stop() == 0
    switch = start()
    assert flows(switch) == [own, other]
    switch.ofctl('del-flows')
    assert flows(switch) == [] and h1.ping(h2, 2, 1) == 0
    assert switch.stop() == 0
    switch = start()
    assert flows(switch) == [own] and h1.ping(h2) == 3
    # Another of the same match and priority is kept in its place.
    switch.ofctl('add-flow', 'priority=0,actions=drop')
    assert switch.stop() == 0
    switch = start()
    assert flows(switch) == ['priority=0 actions=drop'] and h1.ping(h2, 2, 1) == 0


def test_while_its_controllers_are_away_flows_are_left_aside(lab):
    _, (h1, h2), switch = star(lab, 2, '--controller', 'tcp:127.0.0.1:6653', '--fail-mode', 'standalone')
    assert switch.ofctl('dump-flows').splitlines() == []
    assert h1.ping(h2) == 3
    switch.ofctl('add-flow', 'actions=drop')
    assert h1.ping(h2) == 3
    assert 'leaves its flows aside' in status(switch)
    assert 'n_packets=0,' in switch.ofctl('dump-flows')


def test_large_pings_in_fragments(lab):
    _, hosts, _ = star(lab, 2)
    assert hosts[0].ping(hosts[1], size=30_000) == 3


@pytest.mark.needs('iperf3')
def test_tcp_at_full_size_with_offloads_untouched(lab):
    _, hosts, switch = star(lab, 2)
    for h in hosts:
        features = h.run(['ethtool', '-k', 'eth0']).stdout
        assert re.search(r'tcp-segmentation-offload: on', features)
    rate = hosts[0].iperf(hosts[1])
    # No bar on speed here: unfinished checksums would give 0, segmentation faults a trickle.
    assert rate > 0.5, rate


@pytest.mark.needs('iperf3')
def test_tcp_without_offloads(lab):
    _, hosts, _ = star(lab, 2)
    for h in hosts:
        h.run('ethtool -K eth0 tx off tso off gso off gro off')
    assert hosts[0].iperf(hosts[1]) > 0.1


def test_learning_stops_the_flood(lab):
    _, hosts, switch = star(lab, 3)
    assert hosts[0].ping(hosts[1], 3) == 3
    before = port_tx(switch, 3)
    assert hosts[0].ping(hosts[1], 20) == 20
    # An ARP refresh may be flooded; 40 unicast packets may not.
    assert port_tx(switch, 3) - before < 10


def test_whoever_was_behind_a_port_that_went_down_is_looked_for(lab):
    sw, hosts, switch = star(lab, 3)
    assert hosts[0].ping(hosts[1], 3) == 3
    hosts[0].run(['ip', 'neigh', 'replace', hosts[1].ip, 'lladdr', hosts[1].mac, 'nud', 'permanent', 'dev', 'eth0'])

    def flooded():
        before = port_tx(switch, 3)
        hosts[0].run(['ping', '-q', '-c', '50', '-i', '0.01', '-W', '1', hosts[1].ip], check=False)
        return port_tx(switch, 3) - before >= 50

    assert not flooded()
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'down'])
    wait_for('frames for the lost host on the other port', flooded, timeout=60)


def test_learned_addresses_are_told_and_forgotten(lab):
    _, hosts, switch = star(lab, 2)
    assert ping_all(hosts) == []

    def learned():
        out = sh([binary('ofctl'), '--json', 'learned', switch.ctl_socket]).stdout
        return {e['address']: e for e in json.loads(out)}

    for h in hosts:
        e = learned()[h.mac]
        assert (e['port_no'], e['vlan']) == (h.n, 0) and e['age'] < 300
    assert hosts[0].mac in sh([binary('ofctl'), 'learned', switch.ctl_socket]).stdout

    def forgotten():
        sh([binary('ofctl'), 'forget-learned', switch.ctl_socket])
        return learned() == {}

    # Hosts say something unasked now and then, so once may not do; by age nothing goes for five minutes.
    wait_for('an empty table', forgotten)


def port_tx(switch, number):
    for port in switch.manage('ports'):
        if port['port_no'] == number:
            return port['tx_packets']
    raise AssertionError('no port %d' % number)


def test_local_port_is_a_host_of_its_own(lab):
    sw, hosts, switch = star(lab, 2, '--local-port')
    sh(['ip', '-n', sw, 'addr', 'add', '10.0.0.100/24', 'dev', 'br0'])
    sh(['ip', '-n', sw, 'link', 'set', 'br0', 'up'])
    assert hosts[0].ping('10.0.0.100') == 3
    assert switch.stop() == 0
    assert 'br0' not in sh(['ip', '-n', sw, '-o', 'link']).stdout


def test_sigterm_and_sigint_leave_nothing(lab):
    import signal
    for sig in (signal.SIGTERM, signal.SIGINT):
        sw, hosts = lab.star(1, switch='sw%d' % sig)[0], None
        before = sh(['ip', '-n', sw, '-o', 'link']).stdout
        switch = Switch(lab, sw, '--local-port', ports=['1=s1'])
        assert 'br0' in sh(['ip', '-n', sw, '-o', 'link']).stdout
        assert switch.stop(sig) == 0, switch.output()
        count = lambda text: len(text.splitlines())
        assert count(sh(['ip', '-n', sw, '-o', 'link']).stdout) == count(before)
        assert not os.path.exists(switch.of_socket)
        assert not os.path.exists(switch.ctl_socket)
        sh(['ip', 'netns', 'del', lab.namespaces.pop()])
        sh(['ip', 'netns', 'del', lab.namespaces.pop()])


def test_a_second_switch_says_who_holds_the_socket(lab):
    sw, hosts, switch = star(lab, 2)
    done = sh(['ip', 'netns', 'exec', sw, binary('switchd'), '--management', switch.ctl_socket], check=False)
    assert done.returncode != 0
    assert switch.ctl_socket in done.stderr + done.stdout

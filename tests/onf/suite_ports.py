"""Suites 180, 210, 340, 380, 420: ports, their counters, queues, port-status messages."""

import os
import time

import frames
from harness import (ALL_PORTS, DP, add, apply, case, delete, equal, flow, not_applicable, o, out, own_bench, p, packet_out, port_mod,
                     sh, true, wait_for)

TCP = frames.tcp()
UNKNOWN = 2**64 - 1


def interface(b, name, ns=None):
    """What the kernel says of an interface."""
    def read(leaf):
        return sh(['ip', 'netns', 'exec', ns or b.wires.sw, 'cat', '/sys/class/net/%s/%s' % (name, leaf)]).stdout.strip()
    return read


# ---------------------------------------------------------------- descriptions

@case('210.10 340.200 300.260')
def port_numbers(b):
    got = b.c.stats(p.OFPPortDescStatsRequest)
    numbers = [d.port_no for d in got]
    equal(sorted(numbers), list(ALL_PORTS), 'ports')
    true(all(1 <= n <= o.OFPP_MAX for n in numbers), 'a number out of range')


@case('210.20 340.220')
def hardware_addresses(b):
    ports = b.c.port_desc()
    equal(len({d.hw_addr for d in ports.values()}), 4, 'distinct addresses')
    for n, d in ports.items():
        equal(d.hw_addr, interface(b, 's%d' % n)('address'), 'address of port %d' % n)


@case('210.30 340.240', note='names are the interfaces; OpenFlow has no message to set one')
def names(b):
    m = b.c.ask(p.OFPPortDescStatsRequest(DP, 0))
    for at in range(16, len(m.bytes), 64):
        n = int.from_bytes(m.bytes[at:at + 4], 'big')
        name = m.bytes[at + 16:at + 32]
        equal(name, (b's%d' % n).ljust(16, b'\0'), 'name of port %d, ended and padded with zeros' % n)


@case('210.90 340.260 210.40')
def states(b):
    """Live where the link is up; LINK_DOWN where the far end is down."""
    for d in b.c.port_desc().values():
        equal((d.config, d.state), (0, o.OFPPS_LIVE), 'configuration and state of port %d' % d.port_no)
    try:
        sh(['ip', '-n', b.wires.far, 'link', 'set', 'h4', 'down'])
        m = b.c.get(lambda m: m.msg_type == o.OFPT_PORT_STATUS and m.desc.state == o.OFPPS_LINK_DOWN, what='port-status')
        equal((m.reason, m.desc.port_no, m.desc.config), (o.OFPPR_MODIFY, 4, 0), 'port-status')
        equal(b.c.port_desc()[4].state, o.OFPPS_LINK_DOWN, 'state')
    finally:
        sh(['ip', '-n', b.wires.far, 'link', 'set', 'h4', 'up'])
        wait_for('the link', lambda: b.c.port_desc()[4].state == o.OFPPS_LIVE)


@case('210.130 210.150 340.270 340.290')
def current_and_supported(b):
    """A veth pair is 10 Gb/s copper, full duplex, as the kernel says."""
    for n, d in b.c.port_desc().items():
        read = interface(b, 's%d' % n)
        equal((read('speed'), read('duplex')), ('10000', 'full'), 'the kernel on port %d' % n)
        equal(d.curr, o.OFPPF_10GB_FD | o.OFPPF_COPPER, 'current features of port %d' % n)
        equal(d.supported & d.curr, d.curr, 'supported features of port %d' % n)


@case('210.140 210.160 340.280 340.300', note='a veth pair negotiates nothing: the kernel knows no advertised and no peer features')
def advertised_and_peer(b):
    for d in b.c.port_desc().values():
        equal((d.advertised, d.peer), (0, 0), 'advertised and peer features of port %d' % d.port_no)


@case('210.170 210.180 340.310 340.320')
def speeds(b):
    for n, d in b.c.port_desc().items():
        equal((d.curr_speed, d.max_speed), (int(interface(b, 's%d' % n)('speed')) * 1000,) * 2, 'speeds of port %d in kb/s' % n)


# ---------------------------------------------------------------- configuration

NOTE = ('the port-status goes to the other controllers; the one that asked knows (§7.2.1 has it for changes by others, 1.5 sends it to '
        'all)')


def rest(port):
    return tuple(n for n in ALL_PORTS if n != port)


def set_config(b, port, config):
    """Sets these bits alone; another controller is told, and the description has them."""
    other = b.controller()
    b.c.port_config(port, config, 0x65)
    m = other.get(lambda m: m.msg_type == o.OFPT_PORT_STATUS and m.desc.port_no == port, what='port-status')
    equal((m.reason, m.desc.config), (o.OFPPR_MODIFY, config), 'port-status')
    equal(b.c.port_desc()[port].config, config, 'configuration')


@case('210.50 200.140 200.70 420.120')
def port_down(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER))], priority=0), flow([apply(out(2))], in_port=1, eth_type=0x800))
    set_config(b, 2, o.OFPPC_PORT_DOWN)
    m = b.c.get(lambda m: m.msg_type == o.OFPT_PORT_STATUS and m.desc.port_no == 2, what='port-status of the link that went down')
    equal((m.reason, m.desc.config, m.desc.state), (o.OFPPR_MODIFY, o.OFPPC_PORT_DOWN, o.OFPPS_LINK_DOWN), 'port-status')
    b.c.ok(packet_out(TCP, out(2)))
    b.check((1, TCP), ports=rest(2))
    try:
        b.wires.send(2, TCP)
    except OSError:
        pass  # the link is down at this end too
    b.check([], ports=rest(2), via=1)
    b.c.port_config(2, 0, o.OFPPC_PORT_DOWN)
    wait_for('the port', lambda: b.c.port_desc()[2].state & o.OFPPS_LINK_DOWN == 0)
    b.c.drain()
    b.check((2, TCP), packet_ins=1)
    b.check((1, TCP), {2: [TCP]})


@case('210.60', note=NOTE)
def no_receive(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER))], priority=0))
    set_config(b, 2, o.OFPPC_NO_RECV)
    before = b.c.port_stats(2).rx_dropped
    b.wires.send(2, TCP)
    wait_for('the drop', lambda: b.c.port_stats(2).rx_dropped == before + 1)
    b.c.ok(packet_out(TCP, out(2)))
    b.check([], {2: [TCP]}, via=1)
    equal(b.c.pending(o.OFPT_PACKET_IN), [], 'packet-ins')
    b.check((1, TCP), packet_ins=1)
    b.c.port_config(2, 0, o.OFPPC_NO_RECV)
    b.check((2, TCP), packet_ins=1)


@case('210.70 340.250', note=NOTE)
def no_forward(b):
    b.c.ok(flow([apply(out(2), out(3))], in_port=1), flow([apply(out(o.OFPP_CONTROLLER))], priority=0))
    set_config(b, 2, o.OFPPC_NO_FWD)
    b.check((1, TCP), {3: [TCP]}, ports=rest(2))
    b.check((2, TCP), packet_ins=1, ports=rest(2))  # what comes in goes on
    b.c.port_config(2, 0, o.OFPPC_NO_FWD)
    b.check((1, TCP), {2: [TCP], 3: [TCP]})


@case('210.80', note=NOTE)
def no_packet_in(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER))], priority=0), flow([apply(out(3))], in_port=2, eth_type=0x806))
    set_config(b, 2, o.OFPPC_NO_PACKET_IN)
    arp = frames.arp()
    b.wires.send(2, TCP)
    b.wires.send(2, arp)
    equal(b.wires.wait(3), arp, 'frame that follows')
    b.check([], via=1)
    equal(b.c.pending(o.OFPT_PACKET_IN), [], 'packet-ins')
    b.check((1, TCP), packet_ins=1)
    b.c.port_config(2, 0, o.OFPPC_NO_PACKET_IN)
    b.check((2, TCP), packet_ins=1)


@case('210.40')
def only_masked_bits_change(b):
    hw = b.c.port_desc()[3].hw_addr
    b.c.ok(port_mod(3, hw, o.OFPPC_NO_FWD | o.OFPPC_NO_RECV, o.OFPPC_NO_FWD))
    equal(b.c.port_desc()[3].config, o.OFPPC_NO_FWD, 'configuration')
    b.c.ok(port_mod(3, hw, 0, o.OFPPC_NO_RECV))
    equal(b.c.port_desc()[3].config, o.OFPPC_NO_FWD, 'configuration')
    b.c.ok(port_mod(3, hw, 0, o.OFPPC_NO_FWD))
    equal(b.c.port_desc()[3].config, 0, 'configuration')


# ---------------------------------------------------------------- statistics

@case('340.20 300.170 40.70')
def statistics_of_all_ports(b):
    equal(sorted(s.port_no for s in b.c.stats(p.OFPPortStatsRequest, o.OFPP_ANY)), list(ALL_PORTS), 'ports')


@case('340.40')
def statistics_of_a_port(b):
    for n in ALL_PORTS:
        equal([s.port_no for s in b.c.stats(p.OFPPortStatsRequest, n)], [n], 'ports')


@case('180.80 180.90 340.50 340.60 340.70 340.80')
def port_counters(b):
    """Packets and bytes, in and out, to the one; the other ports' stand still."""
    b.c.ok(flow([apply(out(2), out(3))], in_port=1, eth_type=0x800))
    before = b.c.port_stats()
    sent = [frames.tcp(size=n, mark=i) for i, n in enumerate((60, 100, 1000, 1514, 61))]
    b.forward([(1, f) for f in sent], {2: sent, 3: sent})
    size = sum(map(len, sent))

    def change():
        now = b.c.port_stats()
        return {n: tuple(getattr(now[n], k) - getattr(before[n], k) for k in ('rx_packets', 'rx_bytes', 'tx_packets', 'tx_bytes'))
                for n in ALL_PORTS}

    wait_for('the counters', lambda: change()[3][2] >= 5)
    equal(change(), {1: (5, size, 0, 0), 2: (0, 0, 5, size), 3: (0, 0, 5, size), 4: (0, 0, 0, 0)}, 'rx and tx packets and bytes')


@case('340.90')
def dropped_at_reception(b):
    b.c.port_config(2, o.OFPPC_NO_RECV, o.OFPPC_NO_RECV)
    before = b.c.port_stats(2)
    for _ in range(4):
        b.wires.send(2, TCP)
    after = wait_for('four drops', lambda: (lambda s: s.rx_dropped - before.rx_dropped >= 4 and s)(b.c.port_stats(2)), timeout=5)
    equal(after.rx_dropped - before.rx_dropped, 4, 'dropped')


@case('340.100')
def dropped_at_transmission(b):
    b.c.ok(flow([apply(out(2))], in_port=1))
    b.c.port_config(2, o.OFPPC_NO_FWD, o.OFPPC_NO_FWD)
    before = b.c.port_stats(2)
    b.check([(1, TCP)] * 3, ports=rest(2))
    after = b.c.port_stats(2)
    equal((after.tx_dropped - before.tx_dropped, after.tx_packets - before.tx_packets), (3, 0), 'dropped and sent')


@case('340.110 340.120', note='a veth pair makes no errors: the counters are there and stand at zero while traffic passes')
def errors(b):
    b.c.ok(flow([apply(out(2))], in_port=1))
    b.check((1, TCP), {2: [TCP]})
    for s in b.c.port_stats().values():
        equal((s.rx_errors, s.tx_errors), (0, 0), 'errors of port %d' % s.port_no)


def unsupported_counter(b, *fields):
    for s in b.c.port_stats().values():
        for f in fields:
            equal(getattr(s, f), UNKNOWN, '%s of port %d' % (f, s.port_no))


for _id, _field in (('340.130', 'rx_frame_err'), ('340.140', 'rx_over_err'), ('340.150', 'rx_crc_err'), ('340.160', 'collisions')):
    add(_id, unsupported_counter, _field, name=_field, na='an optional counter (table 5) that is not kept for virtual interfaces: it is '
        'reported as all ones, as §5.8 says')


@case('180.100 340.170 340.180')
def port_duration(b):
    """It goes with the clock, in nanoseconds too."""
    def age():
        s = b.c.port_stats(1)
        true(s.duration_nsec < 10**9, 'nanoseconds %d' % s.duration_nsec)
        return s.duration_sec + s.duration_nsec / 1e9

    t0 = time.monotonic()
    a = age()
    t1 = time.monotonic()
    time.sleep(1.2)
    t2 = time.monotonic()
    z = age()
    t3 = time.monotonic()
    true(t2 - t1 - 0.25 <= z - a <= t3 - t0 + 0.25, 'it grew by %.3f s in %.3f to %.3f s' % (z - a, t2 - t1, t3 - t0))


# ---------------------------------------------------------------- 380: queues



def queue_ids(got):
    return sorted((q.port_no, q.queue_id) for q in got)


@case('380.40 380.60 300.180')
def queues_of_all_ports(b):
    equal(queue_ids(b.c.stats(p.OFPQueueStatsRequest, o.OFPP_ANY, o.OFPQ_ALL)), [(1, 1), (1, 2)], 'queues')


@case('380.50 380.70 380.80')
def queues_of_a_port(b):
    equal(queue_ids(b.c.stats(p.OFPQueueStatsRequest, 1, o.OFPQ_ALL)), [(1, 1), (1, 2)], 'queues of port 1')
    equal(queue_ids(b.c.stats(p.OFPQueueStatsRequest, 1, 2)), [(1, 2)], 'queue 2 of port 1')
    equal(queue_ids(b.c.stats(p.OFPQueueStatsRequest, 2, o.OFPQ_ALL)), [], 'queues of port 2')
    equal(queue_ids(b.c.stats(p.OFPQueueStatsRequest, o.OFPP_ANY, 1)), [(1, 1)], 'queues of number 1')


@case('380.70')
def queue_counters(b):
    b.c.ok(flow([apply(p.OFPActionSetQueue(2), out(1))], in_port=2))
    before = {q.queue_id: q for q in b.c.stats(p.OFPQueueStatsRequest, 1, o.OFPQ_ALL)}
    b.forward([(2, TCP)] * 5, {1: [TCP] * 5})

    def change():
        return {q.queue_id: (q.tx_packets - before[q.queue_id].tx_packets, q.tx_bytes - before[q.queue_id].tx_bytes, q.tx_errors)
                for q in b.c.stats(p.OFPQueueStatsRequest, 1, o.OFPQ_ALL)}

    wait_for('the counters', lambda: change()[2][0] >= 5)
    equal(change(), {1: (0, 0, 0), 2: (5, 5 * len(TCP), 0)}, 'packets, bytes and errors by queue')


def config(b, port):
    m = b.c.ask(p.OFPQueueGetConfigRequest(DP, port))
    equal(m.port, port, 'port of the reply')
    return {(q.port, q.queue_id): [(r.property, r.rate) for r in q.properties] for q in m.queues}


RATES = {(1, 1): [(o.OFPQT_MIN_RATE, 5), (o.OFPQT_MAX_RATE, 8)], (1, 2): [(o.OFPQT_MAX_RATE, 9)]}  # of 10 Gb/s, in 1/1000


@case('380.90 380.110')
def queue_configuration_of_all(b):
    equal(config(b, o.OFPP_ANY), RATES, 'queues')


@case('380.100 380.120 380.130')
def queue_configuration_of_a_port(b):
    equal(config(b, 1), RATES, 'queues of port 1')
    equal(config(b, 2), {}, 'queues of port 2')


# ---------------------------------------------------------------- 420: ports come and go

@case('420.100 420.110', bench=False)
def ports_come_and_go(lab):
    with own_bench() as b:
        b.switch.manage('del-port', {'port': 's4'})
        m = b.c.get(lambda m: m.msg_type == o.OFPT_PORT_STATUS and m.reason == o.OFPPR_DELETE, what='port-status DELETE')
        equal((m.desc.port_no, m.desc.name), (4, b's4'), 'port')
        equal(sorted(b.c.port_desc()), [1, 2, 3], 'ports')
        b.c.drain()
        b.switch.manage('add-port', {'port': '4=s4'})
        m = b.c.get(lambda m: m.msg_type == o.OFPT_PORT_STATUS and m.reason == o.OFPPR_ADD, what='port-status ADD')
        equal((m.desc.port_no, m.desc.name), (4, b's4'), 'port')
        wait_for('the link', lambda: b.c.port_desc()[4].state == o.OFPPS_LIVE)
        b.c.drain()
        b.c.ok(flow([apply(out(4))], in_port=1), flow([apply(out(1))], in_port=4))
        b.check((1, TCP), {4: [TCP]})
        b.check((4, TCP), {1: [TCP]})

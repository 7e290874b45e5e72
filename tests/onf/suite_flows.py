"""Suites 140, 260, 310, 420 and 180's flow counters: flow-mods, flow and aggregate statistics, flow-removed messages."""

import time

import frames
from frames import tcp, udp
from harness import (DP, OfError, add, apply, case, clear, delete, equal, flow, goto, modify, o, out, p, set_field, true, wait_for,
                     write)

TCP = tcp()
CHECK, RESET, TELL = o.OFPFF_CHECK_OVERLAP, o.OFPFF_RESET_COUNTS, o.OFPFF_SEND_FLOW_REM


def priorities(c):
    return sorted(f.priority for f in c.flows())


def removed(c):
    return c.pending(o.OFPT_FLOW_REMOVED)


# ---------------------------------------------------------------- adding

@case('140.10 260.350 260.360 440.50')
def overlap_check(b):
    c = b.c
    c.ok(flow([apply(out(2))], eth_type=0x800, priority=100))
    c.ok(flow([apply(out(3))], eth_type=0x800, ipv4_dst='10.0.0.1', priority=101, flags=CHECK))
    c.refused(flow([apply(out(4))], eth_type=0x800, ipv4_dst='10.0.0.1', priority=100, flags=CHECK), o.OFPET_FLOW_MOD_FAILED,
              o.OFPFMFC_OVERLAP)
    c.refused(flow([apply(out(4))], in_port=1, priority=100, flags=CHECK), o.OFPET_FLOW_MOD_FAILED, o.OFPFMFC_OVERLAP)
    equal(priorities(c), [100, 101], 'priorities')
    c.ok(flow([apply(out(4))], eth_type=0x806, priority=100, flags=CHECK))
    c.ok(flow([apply(out(4))], eth_type=0x800, in_port=1, priority=100, flags=CHECK, table=1))
    equal(priorities(c), [100, 100, 100, 101], 'priorities')


@case('140.20')
def no_overlap_check(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, priority=100),
           flow([apply(out(3))], eth_type=0x806, priority=100, flags=CHECK),
           flow([apply(out(4))], in_port=1, priority=100))
    equal(priorities(b.c), [100] * 3, 'priorities')


@case('140.30')
def add_identical(b):
    """It replaces the entry and its duration starts anew."""
    c = b.c
    c.ok(flow([apply(out(2))], eth_type=0x800, cookie=1))
    age = wait_for('the entry to grow older', lambda: (lambda f: f.duration_sec + f.duration_nsec / 1e9 > 0.6 and f)(c.flows()[0]))
    c.ok(flow([apply(out(3))], eth_type=0x800, cookie=2))
    f, = c.flows()
    equal(f.cookie, 2, 'cookie')
    true(f.duration_sec + f.duration_nsec / 1e9 < age.duration_sec + age.duration_nsec / 1e9, 'the duration goes on')
    b.check((1, TCP), {3: [TCP]})


def add_counters(b, flags, packets):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, cookie=1))
    b.check([(1, TCP)] * 3, {2: [TCP] * 3})
    b.c.ok(flow([apply(out(3))], eth_type=0x800, cookie=2, flags=flags))
    f, = b.c.flows()
    equal((f.cookie, f.packet_count, f.byte_count), (2, packets, packets * len(TCP)), 'cookie and counters')
    b.check((1, TCP), {3: [TCP]})
    equal(b.c.flows()[0].packet_count, packets + 1, 'packets')


add('140.40 260.370', add_counters, RESET, 0, name='add_resets_counters')
add('140.50', add_counters, 0, 3, name='add_keeps_counters')


@case('140.60')
def replacing_tells_nobody(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, cookie=1, flags=TELL))
    b.c.ok(flow([apply(out(3))], eth_type=0x800, cookie=2, flags=TELL))
    equal(removed(b.c), [], 'flow-removed messages')
    equal([f.cookie for f in b.c.flows()], [2], 'cookies')


@case('260.30 260.130 260.140 200.120')
def add_makes_an_entry(b):
    b.check((1, TCP))
    b.c.ok(flow([apply(out(2))], in_port=1, priority=5, cookie=9))
    b.check((1, TCP), {2: [TCP]})
    f, = b.c.flows()
    equal((f.table_id, f.priority, f.cookie, list(f.match.items())), (0, 5, 9, [('in_port', 1)]), 'entry')
    b.c.ok(modify([apply(out(3))], in_port=1))
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete())
    b.check((1, TCP))


@case('260.250')
def priority_decides(b):
    b.c.ok(flow([apply(out(2))], priority=1, in_port=1), flow([apply(out(3))], priority=2, eth_type=0x800),
           flow([apply(out(4))], priority=3, eth_type=0x800, ip_proto=6))
    b.check((1, TCP), {4: [TCP]})
    b.c.ok(delete(priority=3, strict=True, eth_type=0x800, ip_proto=6))
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete(priority=2, strict=True, eth_type=0x800))
    b.check((1, TCP), {2: [TCP]})


# ---------------------------------------------------------------- modifying

def preserved(b, strict, flags, packets):
    c = b.c
    c.ok(flow([apply(out(2))], eth_type=0x800, priority=7, cookie=5, idle=100, hard=200, flags=TELL))
    b.check([(1, TCP)] * 2, {2: [TCP] * 2})
    before, = c.flows()
    c.ok(modify([apply(out(3))], strict=strict, eth_type=0x800, priority=7, cookie=9, idle=1, hard=1, flags=flags))
    after, = c.flows()
    for name in ('cookie', 'idle_timeout', 'hard_timeout', 'flags', 'priority', 'table_id'):
        equal(getattr(after, name), getattr(before, name), name)
    equal((after.packet_count, after.byte_count), (packets, packets * len(TCP)), 'counters')
    true((after.duration_sec, after.duration_nsec) >= (before.duration_sec, before.duration_nsec), 'the duration went back')
    equal(after.instructions[0].actions[0].port, 3, 'output')
    b.check((1, TCP), {3: [TCP]})
    equal(removed(c), [], 'flow-removed messages')


for _strict in (False, True):
    add('140.70 260.80', preserved, _strict, 0, 2, name='modify_preserves' + '_strict' * _strict)
    add('140.80', preserved, _strict, RESET, 0, name='modify_resets_counters' + '_strict' * _strict)


@case('140.90')
def modify_what_is_not_there(b):
    b.c.ok(modify([apply(out(2))], eth_type=0x800), modify([apply(out(2))], strict=True, eth_type=0x800))
    equal(b.c.flows(), [], 'flows')
    b.check((1, TCP))


@case('260.150')
def modify_all_matching(b):
    c = b.c
    c.ok(flow([apply(out(2))], eth_type=0x800, priority=1), flow([apply(out(2))], eth_type=0x800, ip_proto=6, priority=2),
         flow([apply(out(2))], eth_type=0x806, priority=3), flow([apply(out(2))], in_port=1, priority=4))
    c.ok(modify([apply(out(4))], eth_type=0x800, priority=3))
    equal({f.priority: f.instructions[0].actions[0].port for f in c.flows()}, {1: 4, 2: 4, 3: 2, 4: 2}, 'outputs by priority')


@case('260.160')
def modify_strictly(b):
    c = b.c
    c.ok(flow([apply(out(2))], eth_type=0x800, priority=1), flow([apply(out(2))], eth_type=0x800, ip_proto=6, priority=1),
         flow([apply(out(2))], eth_type=0x800, priority=2))
    c.ok(modify([apply(out(4))], strict=True, eth_type=0x800, priority=1))
    got = {(f.priority, 'ip_proto' in f.match): f.instructions[0].actions[0].port for f in c.flows()}
    equal(got, {(1, False): 4, (1, True): 2, (2, False): 2}, 'outputs')


@case('140.200 260.320')
def out_port_is_ignored(b):
    """By add and modify, as the group is."""
    c = b.c
    nowhere = dict(out_port=4, out_group=99)
    c.ok(flow([apply(out(2))], eth_type=0x800, **nowhere))
    b.check((1, TCP), {2: [TCP]})
    for n, strict in ((3, False), (2, True)):
        c.ok(modify([apply(out(n))], strict=strict, eth_type=0x800, **nowhere))
        b.check((1, TCP), {n: [TCP]})


# ---------------------------------------------------------------- deleting

@case('140.100 140.110 260.340 420.10 420.50 200.60')
def delete_tells(b):
    for strict in (False, True):
        b.c.ok(flow([apply(out(2))], eth_type=0x800, flags=TELL), flow([apply(out(2))], eth_type=0x806))
        b.check((1, TCP), {2: [TCP]})
        b.c.ok(delete(strict=strict, table=0, eth_type=0x800))
        b.check((1, TCP))
        m, = removed(b.c)
        equal(m.reason, o.OFPRR_DELETE, 'reason')
        b.c.ok(delete())
        equal(removed(b.c), [], 'flow-removed messages of an entry that asked for none')


@case('140.120')
def delete_what_is_not_there(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x806, flags=TELL))
    for strict in (False, True):
        b.c.ok(delete(strict=strict, table=0, eth_type=0x800))
    equal(b.c.tables()[0].active_count, 1, 'active entries')
    equal(removed(b.c), [], 'flow-removed messages')


@case('140.130')
def strict_heeds_the_priority(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, priority=1), flow([apply(out(3))], eth_type=0x800, priority=2))
    b.c.ok(modify([apply(out(4))], strict=True, eth_type=0x800, priority=2))
    b.check((1, TCP), {4: [TCP]})
    b.c.ok(delete(strict=True, table=0, eth_type=0x800, priority=1))
    equal(priorities(b.c), [2], 'priorities')


@case('140.140 260.180')
def delete_strictly(b):
    b.c.ok(*[flow([apply(out(n))], eth_type=0x800, priority=n * 100) for n in (2, 3, 4)])
    b.check((1, TCP), {4: [TCP]})
    b.c.ok(delete(strict=True, table=0, eth_type=0x800, ip_proto=6, priority=400))  # finer than the entry: not it
    b.check((1, TCP), {4: [TCP]})
    b.c.ok(delete(strict=True, table=0, eth_type=0x800, priority=400))
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete())
    b.check((1, TCP))


@case('140.150 260.170')
def delete_what_is_finer(b):
    tcp80 = dict(eth_type=0x800, ip_proto=6, tcp_dst=80)
    b.c.ok(flow([apply(out(2))], priority=100, eth_dst=frames.DST, **tcp80), flow([apply(out(3))], priority=200, **tcp80),
           flow([apply(out(4))], priority=50, eth_type=0x800, ip_proto=6, tcp_src=80),
           flow([apply(out(4))], priority=40, eth_type=0x800, ip_proto=6))
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete(table=0, priority=7, **tcp80))
    equal(priorities(b.c), [40, 50], 'priorities')
    other = tcp(sport=80, dport=81)
    b.check([(1, TCP), (1, other)], {4: [TCP, other]})


@case('140.170')
def aggregate_of_what_is_finer(b):
    src = dict(eth_src=frames.SRC)
    b.c.ok(flow([apply(out(2))], priority=100, **src), flow([apply(out(2))], priority=200, eth_dst=frames.DST, **src),
           flow([apply(out(3))], priority=300))
    equal(b.c.aggregate(match=p.OFPMatch(**src)).flow_count, 2, 'flows')
    equal(b.c.aggregate().flow_count, 3, 'flows')
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete(table=0, **src))
    equal(priorities(b.c), [300], 'priorities')


@case('140.180 260.290')
def delete_by_out_port(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, priority=100), flow([apply(out(3))], eth_type=0x800, priority=200),
           flow([write(out(3))], eth_type=0x806), flow([apply(set_field(eth_dst=frames.SRC), out(4))], in_port=4))
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(delete(table=0, out_port=3, eth_type=0x800))
    b.check((1, TCP), {2: [TCP]})
    b.c.ok(delete(strict=True, table=0, out_port=4, eth_type=0x800, priority=100))
    b.check((1, TCP), {2: [TCP]})
    b.c.ok(delete(out_port=3))
    equal(sorted(list(f.match.items()) for f in b.c.flows()), [[('eth_type', 0x800)], [('in_port', 4)]], 'matches')
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 5, [p.OFPBucket(actions=[out(2)])]),
           flow([apply(p.OFPActionGroup(5))], eth_type=0x86dd))
    b.c.ok(delete(out_group=5))
    equal(len(b.c.flows()), 2, 'flows')


@case('260.310')
def delete_without_filter(b):
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 5, [p.OFPBucket(actions=[out(2)])]),
           flow([apply(out(2))], in_port=1), flow([write(out(3))], in_port=2), flow([], in_port=3),
           flow([apply(p.OFPActionGroup(5))], in_port=4))
    b.c.ok(delete(table=0, out_port=o.OFPP_ANY, out_group=o.OFPG_ANY))
    equal(b.c.flows(), [], 'flows')


@case('140.210 260.40 260.50 260.90')
def cookie_selects(b):
    """For deletes and modifies, under the mask; a mask of zero selects all."""
    c = b.c

    def fresh():
        c.ok(delete(), *[flow([apply(out(2))], in_port=n, cookie=0x1200 + n) for n in (1, 2, 3)])

    def cookies():
        return sorted(f.cookie for f in c.flows())

    fresh()
    c.ok(delete(cookie=0x1201, cookie_mask=o.OFP_NO_BUFFER))
    equal(cookies(), [0x1202, 0x1203], 'cookies')
    c.ok(delete(cookie=0x2, cookie_mask=0x2))
    equal(cookies(), [], 'cookies')
    fresh()
    c.ok(delete(strict=True, table=0, in_port=1, cookie=0x1202, cookie_mask=2**64 - 1))
    equal(cookies(), [0x1201, 0x1202, 0x1203], 'cookies')
    c.ok(modify([apply(out(4))], cookie=1, cookie_mask=1, priority=1))
    equal({f.cookie: f.instructions[0].actions[0].port for f in c.flows()}, {0x1201: 4, 0x1202: 2, 0x1203: 4}, 'outputs')
    c.ok(delete(cookie=0x7777, cookie_mask=0))
    equal(cookies(), [], 'cookies')


@case('260.100')
def add_ignores_cookie_mask(b):
    b.c.ok(flow([apply(out(2))], in_port=1, cookie=5), flow([apply(out(3))], in_port=1, cookie=6, cookie_mask=2**64 - 1))
    f, = b.c.flows()
    equal((f.cookie, f.instructions[0].actions[0].port), (6, 3), 'entry')


@case('140.220 260.120')
def delete_in_all_tables(b):
    n = len(b.c.tables())
    b.c.ok(*[flow([apply(out(2))], table=t, priority=100, in_port=1) for t in range(n)])
    b.c.ok(flow([], table=n - 1, in_port=2))
    b.c.ok(delete(table=o.OFPTT_ALL, in_port=1))
    equal([(f.table_id, list(f.match.items())) for f in b.c.flows()], [(n - 1, [('in_port', 2)])], 'what is left')


@case('260.110')
def table_selects(b):
    b.c.ok(*[flow([apply(out(2))], table=t, in_port=1) for t in (0, 1, 2)])
    b.c.ok(delete(table=1), modify([apply(out(3))], table=2))
    equal([(f.table_id, f.instructions[0].actions[0].port) for f in b.c.flows()], [(0, 2), (2, 3)], 'tables and outputs')


# ---------------------------------------------------------------- timeouts, flow-removed messages

def timeout(b, reason, **times):
    """Gone after its time, not before; in-between it forwards."""
    began = time.monotonic()
    b.c.ok(flow([apply(out(2))], eth_type=0x800, flags=TELL, **times))
    b.check((1, TCP), {2: [TCP]})
    used = time.monotonic()
    m = b.c.kind(o.OFPT_FLOW_REMOVED)
    least = times.get('hard') if reason == o.OFPRR_HARD_TIMEOUT else times['idle']
    true(time.monotonic() - (began if reason == o.OFPRR_HARD_TIMEOUT else min(began, used)) >= least - 0.05, 'it went too early')
    equal((m.reason, m.idle_timeout, m.hard_timeout), (reason, times.get('idle', 0), times.get('hard', 0)), 'flow-removed')
    true(m.duration_sec + m.duration_nsec / 1e9 >= least - 0.01, 'the duration is %d s' % m.duration_sec)
    true(m.duration_sec + m.duration_nsec / 1e9 <= time.monotonic() - began + 0.01, 'the duration is %d s' % m.duration_sec)
    equal((m.packet_count, m.byte_count), (1, len(TCP)), 'counters')
    b.check((1, TCP))
    equal(b.c.flows(), [], 'flows')


add('260.190 260.210 420.30', timeout, o.OFPRR_IDLE_TIMEOUT, idle=1, name='idle_timeout')
add('260.200 260.220 420.40 420.70', timeout, o.OFPRR_HARD_TIMEOUT, hard=2, name='hard_timeout')
add('260.230 420.80', timeout, o.OFPRR_IDLE_TIMEOUT, idle=1, hard=30, name='idle_before_hard')
add('260.230 420.80', timeout, o.OFPRR_HARD_TIMEOUT, idle=30, hard=1, name='hard_before_idle')


@case('260.240')
def no_timeout(b):
    """An entry without timeouts outlives its neighbours that have some."""
    b.c.ok(flow([apply(out(2))], eth_type=0x800), flow([apply(out(2))], eth_type=0x806, hard=2, flags=TELL),
           flow([apply(out(2))], eth_type=0x86dd, idle=1, flags=TELL))
    b.c.kind(o.OFPT_FLOW_REMOVED)
    b.c.kind(o.OFPT_FLOW_REMOVED)
    f, = b.c.flows()
    equal((f.match['eth_type'], f.idle_timeout, f.hard_timeout), (0x800, 0, 0), 'entry')
    b.check((1, TCP), {2: [TCP]})


@case('420.20 420.90')
def flow_removed_fields(b):
    fields = dict(in_port=1, eth_type=0x800, ip_proto=6, ipv4_dst=('192.168.0.0', '255.255.0.0'))
    b.c.ok(flow([apply(out(2))], priority=77, cookie=0xfeed, idle=60, hard=90, flags=TELL, **fields))
    b.check([(1, TCP)] * 5, {2: [TCP] * 5})
    stats, = b.c.flows()
    b.c.ok(delete())
    m, = removed(b.c)
    equal((m.cookie, m.priority, m.reason, m.table_id, m.idle_timeout, m.hard_timeout, m.packet_count, m.byte_count),
          (0xfeed, 77, o.OFPRR_DELETE, 0, 60, 90, 5, 5 * len(TCP)), 'flow-removed')
    equal(sorted(m.match.items()), sorted(fields.items()), 'match')
    equal(sorted(stats.match.items()), sorted(fields.items()), 'match in the statistics')


# ---------------------------------------------------------------- buffers

def buffered(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, 16))], priority=1))
    m, = b.check((1, TCP), packet_ins=1)
    true(m.buffer_id != o.OFP_NO_BUFFER, 'the packet is in no buffer')
    return m.buffer_id


@case('260.260 260.270')
def buffer_of_a_flow_mod(b):
    """The kept packet goes through the new entry; the buffer is used up."""
    kept = buffered(b)
    b.c.ok(flow([apply(out(3))], eth_type=0x800, buffer_id=kept))
    b.check([], {3: [TCP]}, via=2)
    b.c.refused(flow([apply(out(4))], eth_type=0x806, buffer_id=kept), o.OFPET_BAD_REQUEST, o.OFPBRC_BUFFER_EMPTY)
    kept = None
    b.c.ok(delete())
    kept = buffered(b)
    b.c.ok(flow([apply(out(2))], eth_type=0x800), modify([apply(out(4))], eth_type=0x800, buffer_id=kept))
    b.check([], {4: [TCP]}, via=2)


@case('260.280')
def delete_ignores_the_buffer(b):
    kept = buffered(b)
    b.c.ok(flow([apply(out(2))], eth_type=0x806))
    b.c.ok(delete(eth_type=0x806, buffer_id=kept), delete(eth_type=0x806, buffer_id=0x7ffffff0))
    b.check([])
    equal(priorities(b.c), [1], 'priorities')
    b.c.ok(p.OFPPacketOut(DP, kept, 1, [out(2)], None))
    b.check([], {2: [TCP]}, via=3)


# ---------------------------------------------------------------- counting and not

def counts(b, flags, packets, octets):
    """What isn't to be kept is reported as all ones or is not kept at all; the rest is exact."""
    b.c.ok(flow([apply(out(2))], eth_type=0x800, flags=flags))
    b.check([(1, TCP)] * 3, {2: [TCP] * 3})
    f, = b.c.flows()
    equal(f.flags, flags, 'flags')
    none = (0, 2**64 - 1)
    if packets:
        equal(f.packet_count, 3, 'packets')
    if octets:
        equal(f.byte_count, 3 * len(TCP), 'bytes')
    if not packets:
        true(f.packet_count in none + (3,), 'packets: %d' % f.packet_count)
    if not octets:
        true(f.byte_count in none + (3 * len(TCP),), 'bytes: %d' % f.byte_count)
    b.c.ok(modify([apply(out(3))], eth_type=0x800, flags=flags ^ (o.OFPFF_NO_PKT_COUNTS | o.OFPFF_NO_BYT_COUNTS)))
    equal(b.c.flows()[0].flags, flags, 'flags after a modify with others')


_note = 'counters that are not kept may have any value; the flags are optimisation hints (§6.4)'
add('260.380', counts, o.OFPFF_NO_PKT_COUNTS, False, True, name='no_packet_counts', note=_note)
add('260.390', counts, o.OFPFF_NO_BYT_COUNTS, True, False, name='no_byte_counts', note=_note)
add('260.400 260.410', counts, o.OFPFF_NO_PKT_COUNTS | o.OFPFF_NO_BYT_COUNTS, False, False, name='no_counts', note=_note)


# ---------------------------------------------------------------- 310: statistics

def three_flows(b):
    """In tables 0 and 1, to ports 2 and 3, cookies 0x10, 0x11, 0x20; 2, 1 and 2 packets."""
    other = udp()
    b.c.ok(flow([apply(out(2)), goto(1)], eth_type=0x800, ip_proto=6, cookie=0x10, priority=300, idle=100, hard=200),
           flow([apply(out(3))], eth_type=0x800, ip_proto=17, cookie=0x11, priority=200),
           flow([write(out(3))], table=1, in_port=1, cookie=0x20, priority=100, flags=TELL))
    b.check([(1, TCP), (1, TCP), (1, other)], {2: [TCP] * 2, 3: [TCP] * 2 + [other]})
    return other


def filtered(b, expected, **filters):
    """Flow and aggregate statistics under a filter: the cookies of what is left."""
    three_flows(b)
    packets = {0x10: (2, 2 * len(TCP)), 0x11: (1, len(udp())), 0x20: (2, 2 * len(TCP))}
    got = b.c.flows(**filters)
    equal(sorted(f.cookie for f in got), expected, 'cookies')
    for f in got:
        equal((f.packet_count, f.byte_count), packets[f.cookie], 'counters of %#x' % f.cookie)
    a = b.c.aggregate(**filters)
    equal((a.flow_count, a.packet_count, a.byte_count),
          (len(expected), sum(packets[i][0] for i in expected), sum(packets[i][1] for i in expected)), 'aggregate')


_M = 2**64 - 1
for _ids, _name, _want, _filters in (
        ('310.60 300.140 310.240 310.300 300.150', 'all', [0x10, 0x11, 0x20], {}),
        ('310.70 310.130 310.250', 'table_0', [0x10, 0x11], dict(table=0)),
        ('310.70 310.130 310.250', 'table_1', [0x20], dict(table=1)),
        ('310.80 310.260', 'port_2', [0x10], dict(out_port=2)),
        ('310.80 310.260', 'port_3', [0x11, 0x20], dict(out_port=3)),
        ('310.80 310.260', 'port_4', [], dict(out_port=4)),
        ('310.100 310.280 260.70', 'cookie', [0x11], dict(cookie=0x11, cookie_mask=_M)),
        ('310.110 310.290 260.60 310.200', 'cookie_mask', [0x10, 0x11], dict(cookie=0x10, cookie_mask=0xf0)),
        ('310.110 310.290 260.60', 'cookie_mask_zero', [0x10, 0x11, 0x20], dict(cookie=0x77, cookie_mask=0)),
        ('310.230', 'match', [0x10], dict(match=p.OFPMatch(eth_type=0x800, ip_proto=6))),
        ('310.310 310.320 310.330', 'match_coarse', [0x10, 0x11], dict(match=p.OFPMatch(eth_type=0x800)))):
    add(_ids, filtered, _want, name='stats_by_' + _name, **_filters)


@case('310.140 310.150 180.60 180.410')
def duration(b):
    """Between the times by our clock; the switch reads its own once a round, hence the quarter of a second."""
    before = time.monotonic()
    b.c.ok(flow([], in_port=1))
    after = time.monotonic()
    last = -1.0
    while last < 2.1:
        asked = time.monotonic()
        f, = b.c.flows()
        answered = time.monotonic()
        true(f.duration_nsec < 10**9, 'nanoseconds %d' % f.duration_nsec)
        last = f.duration_sec + f.duration_nsec / 1e9
        true(asked - after - 0.25 <= last <= answered - before + 0.25,
             'duration %.4f, between %.4f and %.4f by our clock' % (last, asked - after, answered - before))
        time.sleep(0.2)


@case('310.160 310.170 310.180 310.190 310.200')
def stats_fields(b):
    for flags in (0, TELL, CHECK, RESET, TELL | CHECK | RESET | o.OFPFF_NO_PKT_COUNTS | o.OFPFF_NO_BYT_COUNTS):
        b.c.ok(delete(), flow([], priority=4711, idle=123, hard=456, cookie=0x1122334455667788, flags=flags, in_port=1))
        f, = b.c.flows()
        equal((f.priority, f.idle_timeout, f.hard_timeout, f.cookie), (4711, 123, 456, 0x1122334455667788), 'fields')
        equal(f.flags, flags, 'flags')


# ---------------------------------------------------------------- 180

@case('180.10 320.30 320.40 320.50')
def table_counters(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800))
    before = b.c.tables()[0]
    for f in [TCP, TCP, frames.arp(), TCP, frames.tcp6()]:
        b.wires.send(1, f)
    for _ in range(3):
        equal(b.wires.wait(2), TCP, 'frame')
    after = wait_for('five lookups', lambda: (lambda t: t.lookup_count - before.lookup_count >= 5 and t)(b.c.tables()[0]))
    equal((after.active_count, after.lookup_count - before.lookup_count, after.matched_count - before.matched_count), (1, 5, 3),
          'active, lookups, matches')


@case('180.230')
def packets_to_a_port_that_is_down(b):
    """They count for the entry, and go nowhere."""
    b.c.ok(flow([apply(out(2))], eth_type=0x800))
    b.c.port_config(2, o.OFPPC_PORT_DOWN, o.OFPPC_PORT_DOWN)
    b.check([(1, TCP)] * 3, ports=(1, 3, 4))
    equal(b.c.flows()[0].packet_count, 3, 'packets')


@case('180.430', note='64-bit counters do not wrap within a test; duration_sec is 32 bits and never goes back while watched')
def counters_only_grow(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800))
    last = (-1, -1, -1, -1)
    for n in range(30):
        f, = b.c.flows()
        now = (f.duration_sec, f.duration_nsec, f.packet_count, f.byte_count)
        true(now[:2] >= last[:2] and now[2:] >= last[2:], 'a counter went back: %r then %r' % (last, now))
        equal((f.packet_count, f.byte_count), (n, n * len(TCP)), 'counters')
        last = now
        b.wires.send(1, TCP)
        equal(b.wires.wait(2), TCP, 'frame')

"""Suites 40, 50, 240, 250: what the switch says of itself; the table-miss entry; its configuration."""

import time

import frames
from harness import (ALL_PORTS, DP, add, apply, case, clear, delete, equal, flow, goto, o, out, p, raw, true)

CAPABILITIES = (o.OFPC_FLOW_STATS | o.OFPC_TABLE_STATS | o.OFPC_PORT_STATS | o.OFPC_GROUP_STATS | o.OFPC_QUEUE_STATS)


def features(c):
    return c.ask(p.OFPFeaturesRequest(DP))


@case('40.10 240.20')
def datapath_id(b):
    equal(features(b.c).datapath_id, 0xa11ce, 'datapath id')
    equal(features(b.connect()).datapath_id, 0xa11ce, 'datapath id over another connection')


@case('40.20 240.30')
def n_buffers(b):
    """What is promised is kept: a packet-in with less than the whole packet bears a buffer that works."""
    n = features(b.c).n_buffers
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, 16))]))
    frame = frames.tcp()
    got, = b.check((1, frame), packet_ins=1)
    if n == 0:
        equal(got.buffer_id, o.OFP_NO_BUFFER, 'buffer id of a switch without buffers')
        return
    true(got.buffer_id != o.OFP_NO_BUFFER, 'a switch with %d buffers kept the packet nowhere' % n)
    b.c.ok(p.OFPPacketOut(DP, got.buffer_id, 1, [out(2)], None))
    b.check([], {2: [frame]}, via=3)


@case('40.30 240.40')
def n_tables(b):
    n = features(b.c).n_tables
    true(1 <= n <= 255, 'n_tables is %d' % n)
    equal(sorted(b.c.tables()), list(range(n)), 'tables of the table statistics')
    b.c.ok(flow([], table=n - 1))
    if n < 255:
        b.c.refused(flow([], table=n), o.OFPET_FLOW_MOD_FAILED, o.OFPFMFC_BAD_TABLE_ID)


@case('40.40 240.50')
def auxiliary_id(b):
    equal(features(b.c).auxiliary_id, 0, 'auxiliary id of a main connection')


@case('240.60 240.10')
def capabilities(b):
    f = features(b.c)
    equal(f.capabilities, CAPABILITIES, 'capabilities')
    equal(len(f.bytes), 32, 'length of the features reply')
    equal(f.bytes[28:32], bytes(4), 'reserved')


def has_capability(b, bit, proof):
    equal(features(b.c).capabilities & bit, bit, 'capability')
    proof(b.c)


add('40.50 240.70', has_capability, o.OFPC_FLOW_STATS, lambda c: (c.ok(flow([])), equal(len(c.flows()), 1, 'flows')),
    name='flow_stats_capability')
add('40.60 240.80', has_capability, o.OFPC_TABLE_STATS, lambda c: true(len(c.tables()) > 0, 'no tables'),
    name='table_stats_capability')
add('40.70 240.90', has_capability, o.OFPC_PORT_STATS, lambda c: equal(sorted(c.port_stats()), list(ALL_PORTS), 'ports'),
    name='port_stats_capability')
add('40.80 240.100', has_capability, o.OFPC_GROUP_STATS,
    lambda c: equal(c.stats(p.OFPGroupStatsRequest, o.OFPG_ALL), [], 'groups'), name='group_stats_capability')
add('40.100 240.120', has_capability, o.OFPC_QUEUE_STATS,
    lambda c: true(len(c.stats(p.OFPQueueStatsRequest, o.OFPP_ANY, o.OFPQ_ALL)) > 0, 'no queues'), name='queue_stats_capability')


@case('40.90 240.110 40.150')
def no_reassembly(b):
    """Reassembly isn't offered, so that asking for it is refused and changes nothing."""
    equal(features(b.c).capabilities & o.OFPC_IP_REASM, 0, 'OFPC_IP_REASM')
    b.c.ok(p.OFPSetConfig(DP, o.OFPC_FRAG_DROP, 77))
    b.c.refused(p.OFPSetConfig(DP, o.OFPC_FRAG_REASM, 99), o.OFPET_SWITCH_CONFIG_FAILED, o.OFPSCFC_BAD_FLAGS)
    got = b.c.ask(p.OFPGetConfigRequest(DP))
    equal((got.flags, got.miss_send_len), (o.OFPC_FRAG_DROP, 77), 'configuration')


@case('40.110 240.130')
def no_port_blocked(b):
    """The switch runs no spanning tree: neither the capability nor a blocked port."""
    equal(features(b.c).capabilities & o.OFPC_PORT_BLOCKED, 0, 'OFPC_PORT_BLOCKED')
    for d in b.c.port_desc().values():
        equal(d.state & o.OFPPS_BLOCKED, 0, 'OFPPS_BLOCKED of port %d' % d.port_no)


@case('40.120')
def miss_send_len_by_default(b):
    c = b.connect()
    got = c.ask(p.OFPGetConfigRequest(DP))
    equal((got.flags, got.miss_send_len), (0, 128), 'configuration')


def config_kept(b, flags, length):
    b.c.ok(p.OFPSetConfig(DP, flags, length))
    got = b.c.ask(p.OFPGetConfigRequest(DP))
    equal((got.flags, got.miss_send_len), (flags, length), 'configuration')


@case('40.130 250.20')
def fragments_normal(b):
    """No special handling: a later fragment goes through the tables, its ports absent."""
    b.c.ok(p.OFPSetConfig(DP, o.OFPC_FRAG_DROP, 128))
    config_kept(b, o.OFPC_FRAG_NORMAL, 128)
    b.c.ok(flow([apply(out(2))], eth_type=0x800), flow([apply(out(3))], priority=2000, eth_type=0x800, ip_proto=17, udp_src=0))
    f = frames.fragment()
    b.check((1, f), {2: [f]})


@case('40.140 250.20')
def fragments_dropped(b):
    config_kept(b, o.OFPC_FRAG_DROP, 128)
    b.c.ok(flow([apply(out(2))]))
    whole = frames.udp()
    b.check([(1, frames.fragment()), (1, frames.fragment(0)), (1, whole)], {2: [whole]})


@case('40.160', note='OFPC_FRAG_MASK is a mask and no setting: refused with SWITCH_CONFIG_FAILED/BAD_FLAGS; the list wants only '
      'that it is not in force')
def fragment_mask_is_no_setting(b):
    b.c.refused(p.OFPSetConfig(DP, o.OFPC_FRAG_MASK, 128), o.OFPET_SWITCH_CONFIG_FAILED, o.OFPSCFC_BAD_FLAGS)
    equal(b.c.ask(p.OFPGetConfigRequest(DP)).flags, o.OFPC_FRAG_NORMAL, 'flags')


def description(b, field, size, start):
    m = b.c.ask(p.OFPDescStatsRequest(DP, 0))
    equal(len(m.bytes), 16 + 256 * 3 + 32 + 256, 'length of the description')
    text = m.bytes[16 + start:16 + start + size]
    true(text[0:1].isascii() and text.rstrip(b'\0').decode('ascii').isprintable(), '%s is not printable ASCII: %r' % (field, text))
    true(text.rstrip(b'\0') != b'', '%s is empty' % field)
    true(b'\0' in text and not text[text.index(b'\0'):].strip(b'\0'), '%s is not ended and padded with zeros' % field)


for _n, (_ids, _field, _size) in enumerate([('40.170 310.10', 'mfr_desc', 256), ('40.180 310.20', 'hw_desc', 256),
                                            ('40.190 310.30', 'sw_desc', 256), ('40.200 310.40', 'serial_num', 32),
                                            ('40.210 310.50', 'dp_desc', 256)]):
    add(_ids, description, _field, _size, [0, 256, 512, 768, 800][_n])


# ---------------------------------------------------------------- 50: table-miss

def miss(instructions, **kw):
    return flow(instructions, priority=0, **kw)


@case('50.10')
def no_miss_entry_drops(b):
    b.check((1, frames.tcp()))


@case('50.20')
def miss_entry_in_every_table(b):
    """To the controller from each table, reached over the tables before it."""
    n = features(b.c).n_tables
    frame = frames.tcp()
    for table in (0, 1, n - 1):
        b.c.ok(delete(), miss([apply(out(o.OFPP_CONTROLLER))], table=table))
        if table:
            b.c.ok(flow([goto(table)]))
        got, = b.check((1, frame), packet_ins=1)
        equal((bytes(got.data), got.table_id, got.match['in_port']), (frame, table, 1), 'packet-in')
    b.c.ok(delete(), *[miss([apply(out(o.OFPP_CONTROLLER))], table=t) for t in range(n)])
    equal(sorted(f.table_id for f in b.c.flows()), list(range(n)), 'tables with an entry')


@case('50.30 410.130')
def miss_entry_reason(b):
    b.c.ok(miss([apply(out(o.OFPP_CONTROLLER))]))
    equal(b.check((1, frames.tcp()), packet_ins=1)[0].reason, o.OFPR_NO_MATCH, 'reason')


@case('50.40')
def miss_entry_that_clears(b):
    b.c.ok(flow([goto(1)]), miss([clear()], table=1))
    b.check((1, frames.tcp()))
    b.c.ok(delete(), miss([clear()]))
    b.check((1, frames.tcp()))


@case('50.60')
def miss_entry_expires(b):
    """Hard: after its time although in use. Idle: kept by packets, gone without."""
    frame = frames.tcp()
    b.c.ok(miss([apply(out(o.OFPP_CONTROLLER))], hard=3, idle=2, flags=o.OFPFF_SEND_FLOW_REM))
    began, n = time.monotonic(), 0
    removed = None
    while removed is None:
        b.wires.send(1, frame)
        n += 1
        removed = b.c.kind(o.OFPT_FLOW_REMOVED, timeout=0.3, optional=True)
        true(time.monotonic() - began < 20, 'the entry stays')
    equal(removed.reason, o.OFPRR_HARD_TIMEOUT, 'reason')
    true(time.monotonic() - began >= 2.9, 'it went too early')
    b.c.inbox.clear()
    b.c.drain()
    b.check((1, frame))
    b.c.ok(miss([apply(out(o.OFPP_CONTROLLER))], hard=30, idle=1, flags=o.OFPFF_SEND_FLOW_REM))
    b.check((1, frame), packet_ins=1)
    equal(b.c.kind(o.OFPT_FLOW_REMOVED).reason, o.OFPRR_IDLE_TIMEOUT, 'reason')
    b.check((1, frame))


# ---------------------------------------------------------------- 250: configuration

@case('250.10')
def config_request(b):
    m = b.c.ask(p.OFPGetConfigRequest(DP))
    equal((m.msg_type, len(m.bytes)), (o.OFPT_GET_CONFIG_REPLY, 12), 'reply')
    b.c.refused(raw(o.OFPT_GET_CONFIG_REQUEST, b'\0'), o.OFPET_BAD_REQUEST, o.OFPBRC_BAD_LEN)


@case('250.70', note='every value that can be sent is kept: 0, up to OFPCML_MAX, OFPCML_NO_BUFFER')
def config_lengths(b):
    for length in (0, 1, 128, 1500, o.OFPCML_MAX, o.OFPCML_NO_BUFFER):
        config_kept(b, o.OFPC_FRAG_NORMAL, length)


@case('410.50')
def miss_send_len_of_a_new_connection(b):
    miss_send_len_by_default(b)


@case('250.140 410.40')
def miss_send_len_of_an_expired_ttl(b):
    """A packet that goes to the controller without an output action: an expired TTL, where the switch was asked to."""
    long = frames.tcp(size=1500, ttl=1)
    b.c.ok(flow([apply(p.OFPActionDecNwTtl(), out(2))], eth_type=0x800), p.OFPSetAsync(DP, [7, 7], [7, 7], [7, 7]))
    for length in (0, 128, 1000, o.OFPCML_MAX, o.OFPCML_NO_BUFFER):
        b.c.ok(p.OFPSetConfig(DP, 0, length))
        got, = b.check((1, long), packet_ins=1)
        equal((got.reason, got.total_len, len(got.data)), (o.OFPR_INVALID_TTL, 1500, min(length, 1500)), 'packet-in')
        true(long.startswith(bytes(got.data)), "the packet-in's data are not the packet's first bytes")


@case('250.150')
def miss_send_len_no_buffer(b):
    """Whole, and kept in no buffer."""
    long = frames.tcp(size=1500, ttl=1)
    b.c.ok(flow([apply(p.OFPActionDecNwTtl(), out(2))], eth_type=0x800), p.OFPSetAsync(DP, [7, 7], [7, 7], [7, 7]),
           p.OFPSetConfig(DP, 0, o.OFPCML_NO_BUFFER))
    got, = b.check((1, long), packet_ins=1)
    equal((bytes(got.data), got.buffer_id), (long, o.OFP_NO_BUFFER), 'data and buffer')

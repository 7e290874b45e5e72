"""Suites 200, 300, 450: each message type once, multiparts, hello and echo."""

import struct

import frames
from harness import (ALL_PORTS, DP, Client, add, apply, case, delete, equal, flow, goto, o, out, own_bench, p, packet_out, port_mod, raw,
                     true)

TCP = frames.tcp()


def greet(b, *elements, version=4, alone=True):
    """A connection whose hello has these elements (type, data); returns it with the switch's hello taken."""
    c = Client(b.switch.of_socket, hello=False)
    b.extra.append(c)
    body = b''
    for kind, data in elements:
        one = struct.pack('!HH', kind, 4 + len(data)) + data
        body += one + bytes(-len(one) % 8)
    c.send(raw(o.OFPT_HELLO, body, version=version))
    c.peer_hello = c.get(lambda m: m.msg_type == o.OFPT_HELLO)
    return c


def bitmap(*words):
    return o.OFPHET_VERSIONBITMAP, struct.pack('!%dI' % len(words), *words)


def speaks(c, version):
    """That this version was agreed: an echo comes back in it."""
    xid = c.send(raw(o.OFPT_ECHO_REQUEST, b'who is there', version=version))
    m = c.get(lambda m: m.xid == xid)
    equal((m.version, m.msg_type, m.bytes[8:]), (version, o.OFPT_ECHO_REPLY, b'who is there'), 'echo')


# ---------------------------------------------------------------- hello, echo

@case('200.10 10.70')
def hello_by_version(b):
    """The switch greets with its highest version and all it speaks; the lower of both counts."""
    for version in (1, 2, 3, 4, 5, 6):
        c = greet(b, version=version)
        equal((c.peer_hello.version, c.peer_hello.bytes[8:]), (6, struct.pack('!HHI', 1, 8, 0b1111110)), "the switch's hello")
        speaks(c, version)
    speaks(greet(b, version=99), 6)


@case('10.90')
def hello_by_bitmap(b):
    """The highest that both have counts, whatever the headers say."""
    for bits, version in ((0x12, 4), (0x02, 1), (0x1e, 4), (0x0c, 3), (0x7e, 6), (0xffffffff, 6)):
        for header in (1, 4, 9):
            speaks(greet(b, bitmap(bits), version=header), version)


@case('450.10')
def unknown_hello_elements(b):
    speaks(greet(b, (7, b'anything at all'), bitmap(1 << 4), (0x8000, bytes(100))), 4)
    speaks(greet(b, (9, b''), version=4), 4)


@case('450.30')
def several_bitmaps(b):
    """The first of two elements counts, and the first word of one with several."""
    speaks(greet(b, bitmap(0x10), bitmap(0x02), version=4), 4)
    speaks(greet(b, bitmap(0x10, 0xffffffff, 0), version=6), 4)


def echo(b, data):
    xid = b.c.send(raw(o.OFPT_ECHO_REQUEST, data))
    m = b.c.get(lambda m: m.xid == xid)
    equal((m.msg_type, m.bytes[8:]), (o.OFPT_ECHO_REPLY, data), 'echo')


add('200.30 450.50', echo, b'', name='echo_without_data')
for _data in (b'x', bytes(range(256)), bytes(60000)):
    add('450.40', echo, _data, name='echo_of_%d_bytes' % len(_data))


# ---------------------------------------------------------------- 200

@case('200.80')
def features(b):
    m = b.c.ask(p.OFPFeaturesRequest(DP))
    equal((m.msg_type, m.datapath_id), (o.OFPT_FEATURES_REPLY, 0xa11ce), 'reply')


@case('200.90 200.100')
def configuration(b):
    for length in (0, 100, 0xffff):
        b.c.ok(p.OFPSetConfig(DP, 0, length))
        m = b.c.ask(p.OFPGetConfigRequest(DP))
        equal((m.msg_type, m.miss_send_len), (o.OFPT_GET_CONFIG_REPLY, length), 'reply')


@case('200.130 300.200')
def groups(b):
    """Added, changed and deleted, as its description and packets show."""
    def group(command, *ports):
        return p.OFPGroupMod(DP, command, o.OFPGT_ALL, 7, [p.OFPBucket(actions=[out(n)]) for n in ports])

    b.c.ok(group(o.OFPGC_ADD, 2, 3), flow([apply(p.OFPActionGroup(7))], in_port=1))
    d, = b.c.stats(p.OFPGroupDescStatsRequest)
    equal((d.group_id, d.type, [k.actions[0].port for k in d.buckets]), (7, o.OFPGT_ALL, [2, 3]), 'description')
    b.check((1, TCP), {2: [TCP], 3: [TCP]})
    b.c.ok(group(o.OFPGC_MODIFY, 4))
    b.check((1, TCP), {4: [TCP]})
    b.c.refused(group(o.OFPGC_ADD, 2), o.OFPET_GROUP_MOD_FAILED, o.OFPGMFC_GROUP_EXISTS)
    b.c.ok(group(o.OFPGC_DELETE))
    equal((b.c.stats(p.OFPGroupDescStatsRequest), b.c.flows()), ([], []), 'groups and flows')
    b.c.refused(group(o.OFPGC_MODIFY, 2), o.OFPET_GROUP_MOD_FAILED, o.OFPGMFC_UNKNOWN_GROUP)


@case('200.160')
def multipart(b):
    m = b.c.ask(p.OFPTableStatsRequest(DP, 0))
    equal((m.msg_type, m.type), (o.OFPT_MULTIPART_REPLY, o.OFPMP_TABLE), 'reply')


@case('200.170')
def barrier_waits(b):
    """When its reply is here, packets take the entries of all that came before."""
    for n in range(20):
        b.c.ok(delete())
        b.c.inbox.clear()
        for i in range(200):
            b.c.send(flow([], priority=i + 1, in_port=1))
        b.c.send(flow([apply(out(2 + n % 3))], priority=1000, in_port=1))
        xid = b.c.send(p.OFPBarrierRequest(DP))
        equal(b.c.get(lambda m: True).xid, xid, 'the only answer')
        b.wires.send(1, TCP)
        equal(b.wires.wait(2 + n % 3), TCP, 'frame')


@case('200.210 200.230')
def asynchronous_messages(b):
    """As asked for by each controller; master and equal apart from slave."""
    m = b.c.ask(p.OFPGetAsyncRequest(DP))
    equal((list(m.packet_in_mask), list(m.port_status_mask), list(m.flow_removed_mask)),
          ([3, 0], [7, 7], [15, 0]), 'masks by default')
    b.c.ok(p.OFPSetAsync(DP, [1, 0], [1, 2], [4, 8]))
    m = b.c.ask(p.OFPGetAsyncRequest(DP))
    equal((list(m.packet_in_mask), list(m.port_status_mask), list(m.flow_removed_mask)), ([1, 0], [1, 2], [4, 8]), 'masks')
    # Packet-ins by action and flow-removed by a delete are among those that are off and on.
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER))], eth_type=0x800, flags=o.OFPFF_SEND_FLOW_REM))
    other = b.controller()
    b.wires.send(1, TCP)
    equal(bytes(other.kind(o.OFPT_PACKET_IN).data), TCP, "the other controller's packet-in")
    equal(b.c.pending(o.OFPT_PACKET_IN), [], 'packet-ins')
    b.c.ok(delete())
    equal(b.c.kind(o.OFPT_FLOW_REMOVED).reason, o.OFPRR_DELETE, 'reason')
    b.c.ok(p.OFPSetAsync(DP, [1, 0], [1, 2], [11, 8]), flow([], in_port=1, flags=o.OFPFF_SEND_FLOW_REM), delete())
    equal(b.c.pending(o.OFPT_FLOW_REMOVED), [], 'flow-removed messages')


# ---------------------------------------------------------------- 300

@case('300.40')
def request_in_pieces(b):
    """The pieces of a request are answered once, as one."""
    def piece(more):
        return raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHI', o.OFPMP_PORT_DESC, o.OFPMPF_REQ_MORE if more else 0, 0))

    xid = b.c.send(piece(True))
    b.c.send(piece(True), xid=xid)
    b.c.barrier()
    equal([m for m in b.c.inbox if m.xid == xid], [], 'answers before the end')
    b.c.send(piece(False), xid=xid)
    m = b.c.get(lambda m: m.xid == xid)
    equal((m.msg_type, [s.port_no for s in m.body]), (o.OFPT_MULTIPART_REPLY, list(ALL_PORTS)), 'reply')
    b.c.barrier()
    equal([m for m in b.c.inbox if m.xid == xid], [], 'further answers')


@case('300.80 300.90 300.100 300.110', note='types without fixed body in one message each')
def reply_in_pieces(b):
    """More than a message holds: every part but the last says that more follows, all with xid and type of the request."""
    b.c.ok(*[flow([apply(*[out(2)] * 10)], priority=n + 1, in_port=1) for n in range(1000)])
    m = b.c.ask(p.OFPFlowStatsRequest(DP, 0, o.OFPTT_ALL, o.OFPP_ANY, o.OFPG_ANY, 0, 0, p.OFPMatch()))
    true(len(m.parts) > 2, 'only %d parts' % len(m.parts))
    equal([q.flags for q in m.parts], [o.OFPMPF_REPLY_MORE] * (len(m.parts) - 1) + [0], 'flags')
    equal({(q.xid, q.type) for q in m.parts}, {(m.xid, o.OFPMP_FLOW)}, 'xids and types')
    equal(sorted(f.priority for f in m.body), list(range(1, 1001)), 'priorities')
    true(all(len(q.bytes) <= 65535 for q in m.parts), 'lengths')


@case('300.130')
def description(b):
    m = b.c.ask(p.OFPDescStatsRequest(DP, 0))
    equal((m.type, m.flags, len(m.bytes)), (o.OFPMP_DESC, 0, 16 + 1056), 'description')


@case('300.190')
def group_statistics(b):
    for g, kind in ((1, o.OFPGT_ALL), (2, o.OFPGT_INDIRECT)):
        b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, kind, g, [p.OFPBucket(actions=[out(2)])]))
    b.c.ok(flow([apply(p.OFPActionGroup(1))], in_port=1))
    b.check([(1, TCP)] * 3, {2: [TCP] * 3})
    got = {s.group_id: s for s in b.c.stats(p.OFPGroupStatsRequest, o.OFPG_ALL)}
    equal(sorted(got), [1, 2], 'groups')
    s = got[1]
    equal((s.ref_count, s.packet_count, s.byte_count, [(k.packet_count, k.byte_count) for k in s.bucket_stats]),
          (1, 3, 3 * len(TCP), [(3, 3 * len(TCP))]), 'statistics of group 1')
    equal((got[2].ref_count, got[2].packet_count), (0, 0), 'statistics of group 2')
    equal([s.group_id for s in b.c.stats(p.OFPGroupStatsRequest, 2)], [2], 'groups')


@case('300.210')
def group_features(b):
    f = b.c.stats(p.OFPGroupFeaturesStatsRequest)
    f = f[0] if isinstance(f, list) else f
    equal((f.types, f.capabilities & 15), (15, 15), 'types and capabilities')
    true(all(n > 0 for n in f.max_groups), 'numbers')
    for n in (0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27):
        true(all(a >> n & 1 for a in f.actions), 'action %d is missing' % n)


def meter(n, *bands, flags=o.OFPMF_PKTPS | o.OFPMF_STATS, command=o.OFPMC_ADD):
    return p.OFPMeterMod(DP, command, flags, n, list(bands))


@case('300.220')
def meter_statistics(b):
    b.c.ok(meter(1, p.OFPMeterBandDrop(1000, 100)), meter(2, p.OFPMeterBandDrop(1000, 100)),
           flow([p.OFPInstructionMeter(1), apply(out(2))], in_port=1))
    b.check([(1, TCP)] * 3, {2: [TCP] * 3})
    got = {s.meter_id: s for s in b.c.stats(p.OFPMeterStatsRequest, o.OFPM_ALL)}
    equal(sorted(got), [1, 2], 'meters')
    equal((got[1].flow_count, got[1].packet_in_count, got[1].byte_in_count, len(got[1].band_stats)), (1, 3, 3 * len(TCP), 1), 'meter 1')
    equal((got[2].flow_count, got[2].packet_in_count), (0, 0), 'meter 2')


@case('300.230')
def meter_configuration(b):
    b.c.ok(meter(5, p.OFPMeterBandDrop(7, 8), p.OFPMeterBandDscpRemark(9, 10, 1), flags=o.OFPMF_KBPS | o.OFPMF_BURST))
    m, = b.c.stats(p.OFPMeterConfigStatsRequest, 5)
    equal((m.meter_id, m.flags, [(k.type, k.rate, k.burst_size) for k in m.bands]),
          (5, o.OFPMF_KBPS | o.OFPMF_BURST, [(o.OFPMBT_DROP, 7, 8), (o.OFPMBT_DSCP_REMARK, 9, 10)]), 'configuration')


@case('300.240')
def meter_features(b):
    f, = b.c.stats(p.OFPMeterFeaturesStatsRequest)
    equal((f.band_types, f.capabilities), (1 << o.OFPMBT_DROP | 1 << o.OFPMBT_DSCP_REMARK, 15), 'bands and capabilities')
    true(f.max_meter > 0 and f.max_bands > 0, 'numbers')
    b.c.ok(meter(1, *[p.OFPMeterBandDrop(n + 1, 1) for n in range(f.max_bands)]))
    b.c.refused(meter(2, *[p.OFPMeterBandDrop(n + 1, 1) for n in range(f.max_bands + 1)]), o.OFPET_METER_MOD_FAILED,
                o.OFPMMFC_OUT_OF_BANDS)

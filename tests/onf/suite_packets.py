"""Suites 390, 410: packet-outs and packet-ins."""

import struct

import frames
from harness import (ALL_PORTS, DP, add, apply, case, delete, equal, flow, goto, o, out, p, packet_out, raw, set_field, true, wait_for,
                     write)

TCP = frames.tcp()
LONG = frames.tcp(size=1400)


def to_controller(b, max_len=o.OFPCML_NO_BUFFER, frame=TCP, port=1, **kw):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, max_len))], eth_type=0x800, **kw))
    return b.check((port, frame), packet_ins=1)[0]


# ---------------------------------------------------------------- 390

@case('390.10 390.60 390.70 200.110')
def packet_out_sends(b):
    """The bytes as they are, to the port, with no entry asked."""
    for frame in (TCP, LONG, frames.arp(), frames.llc(), bytes(range(60))):
        for port in ALL_PORTS:
            b.c.ok(packet_out(frame, out(port)))
            b.check([], {port: [frame]}, via=port % 4 + 1)


@case('390.20 390.80')
def packet_out_of_a_buffer(b):
    got = to_controller(b, 16, LONG)
    true(got.buffer_id != o.OFP_NO_BUFFER, 'the packet is in no buffer')
    b.c.ok(packet_out(None, out(2), buffer_id=got.buffer_id, in_port=1))
    b.check([], {2: [LONG]}, via=3)


@case('390.30')
def packet_out_from_the_controller(b):
    b.c.ok(flow([apply(out(2))], in_port=o.OFPP_CONTROLLER), flow([apply(out(3))], priority=1))
    b.c.ok(packet_out(TCP, out(o.OFPP_TABLE)))
    b.check([], {2: [TCP]}, via=4)
    equal([f.packet_count for f in b.c.flows() if f.priority == 1000], [1], 'packets')


@case('390.40 390.100')
def packet_out_actions(b):
    """In their order, groups included; an empty list drops."""
    changed = frames.tcp(dst='02:00:00:00:00:77')
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 1, [p.OFPBucket(actions=[out(4)])]))
    b.c.ok(packet_out(TCP, out(2), set_field(eth_dst='02:00:00:00:00:77'), out(3), p.OFPActionGroup(1)))
    b.check([], {2: [TCP], 3: [changed], 4: [changed]})
    b.c.ok(packet_out(TCP))
    b.check([])
    b.c.ok(packet_out(TCP, out(o.OFPP_ALL), in_port=2))
    b.check([], {1: [TCP], 3: [TCP], 4: [TCP]}, via=2)


@case('390.90')
def packet_out_in_port(b):
    b.c.ok(flow([apply(out(2))], in_port=1))
    b.c.ok(packet_out(TCP, out(o.OFPP_TABLE), in_port=1))
    b.check([], {2: [TCP]}, via=3)
    for port in (o.OFPP_MAX, 0, o.OFPP_ANY, o.OFPP_ALL, o.OFPP_TABLE):
        b.c.refused(packet_out(TCP, out(o.OFPP_TABLE), in_port=port), o.OFPET_BAD_REQUEST, o.OFPBRC_BAD_PORT)
    b.check([])


@case('390.110')
def packet_out_of_a_buffer_to_the_tables(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, priority=1))
    got = to_controller(b, 0, LONG, priority=100)
    b.c.ok(delete(strict=True, table=0, eth_type=0x800, priority=100))
    b.c.ok(packet_out(None, out(o.OFPP_TABLE), buffer_id=got.buffer_id, in_port=1))
    b.check([], {2: [LONG]}, via=3)


# ---------------------------------------------------------------- 410

@case('410.10 410.20 410.240 410.250 410.310')
def packet_in_fields(b):
    for port in ALL_PORTS:
        got = to_controller(b, port=port, cookie=0x55)
        equal((bytes(got.data), got.total_len, got.reason, got.table_id, got.cookie, got.buffer_id),
              (TCP, len(TCP), o.OFPR_ACTION, 0, 0x55, o.OFP_NO_BUFFER), 'packet-in')
        equal(list(got.match.items()), [('in_port', port)], 'match: the port and nothing else')
        head = 24 + (4 + 8 + 7) // 8 * 8 + 2
        equal(got.bytes[head - 2:head], b'\0\0', 'padding before the data')
        equal(got.bytes[head:], TCP, 'data')


@case('410.200 410.230')
def packet_in_cookie(b):
    for cookie in (0, 1, 0x1122334455667788, 2**64 - 2):
        equal(to_controller(b, cookie=cookie).cookie, cookie, 'cookie')
    b.c.ok(delete(), flow([goto(1)], cookie=1), flow([apply(out(o.OFPP_CONTROLLER))], table=1, cookie=2))
    got, = b.check((1, TCP), packet_ins=1)
    equal((got.cookie, got.table_id), (2, 1), 'cookie and table')


@case('410.220')
def packet_in_without_cookie(b):
    """Sent by the action set, or by a group's bucket, no entry's cookie is told."""
    b.c.ok(flow([write(out(o.OFPP_CONTROLLER))], cookie=77))
    equal(b.check((1, TCP), packet_ins=1)[0].cookie, 2**64 - 1, 'cookie by the action set')
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 1, [p.OFPBucket(actions=[out(o.OFPP_CONTROLLER)])]), delete(),
           flow([apply(p.OFPActionGroup(1))], cookie=77))
    equal(b.check((1, TCP), packet_ins=1)[0].cookie, 2**64 - 1, 'cookie by a group')


@case('410.260 410.320', na='the ports are interfaces of the host; none is a logical port on top of another, so that IN_PHY_PORT is left '
      'out as §7.4.1 says')
def no_physical_port(b):
    true('in_phy_port' not in to_controller(b).match, 'in_phy_port is there')


@case('410.280', na='no port is a tunnel; TUNNEL_ID is left out as §7.4.1 says')
def no_tunnel_id(b):
    true('tunnel_id' not in to_controller(b).match, 'tunnel_id is there')


@case('410.240')
def packet_in_metadata(b):
    """Pipeline fields that are not zero are in the match."""
    b.c.ok(flow([p.OFPInstructionWriteMetadata(0x77, 0xff), goto(1)]), flow([apply(out(o.OFPP_CONTROLLER))], table=1))
    got, = b.check((1, TCP), packet_ins=1)
    equal(dict(got.match.items()), {'in_port': 1, 'metadata': 0x77}, 'match')


@case('410.70', note='documented in `n_buffers` of the features reply; `--help` and the module documentation say the rest')
def buffers_as_told(b):
    n = b.c.ask(p.OFPFeaturesRequest(DP)).n_buffers
    true(n >= 1, 'no buffers')
    got = to_controller(b, 0)
    true(got.buffer_id != o.OFP_NO_BUFFER, 'a switch with buffers kept nothing')


@case('410.80')
def buffers_full(b):
    """More packets than there are buffers, never asked for: each still comes, kept or whole, and forwarding goes on."""
    n = b.c.ask(p.OFPFeaturesRequest(DP)).n_buffers
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, 32))], eth_type=0x800), flow([apply(out(2))], eth_type=0x806))
    total, seen, ids = n + 50, 0, []
    while seen < total:
        batch = min(100, total - seen)
        for i in range(batch):
            b.wires.send(1, frames.tcp(mark=seen + i))
        for i in range(batch):
            m = b.c.kind(o.OFPT_PACKET_IN)
            whole = frames.tcp(mark=seen + i)
            equal((m.total_len, bytes(m.data)), (len(whole), whole[:32] if m.buffer_id != o.OFP_NO_BUFFER else whole), 'packet-in')
            ids.append((m.buffer_id, whole))
        seen += batch
    arp = frames.arp()
    b.check((1, arp), {2: [arp]})
    kept = [(i, f) for i, f in ids if i != o.OFP_NO_BUFFER]
    equal(len({i for i, _ in kept}), len(kept), 'distinct buffers')


@case('410.90', note='a kept packet is given back whole or refused as unknown, never another')
def buffers_protected(b):
    """A kept packet is what was kept, also after as many others as there are buffers (it may have gone by then)."""
    n = b.c.ask(p.OFPFeaturesRequest(DP)).n_buffers
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, 0))], eth_type=0x800))
    ids = []
    for i in range(n // 2):
        b.wires.send(1, frames.tcp(mark=i))
        ids.append(b.c.kind(o.OFPT_PACKET_IN).buffer_id)
    true(o.OFP_NO_BUFFER not in ids, 'a buffer was missing before half of them were used')
    equal(len(set(ids)), len(ids), 'distinct buffers')
    for i in (0, n // 4, n // 2 - 1):
        b.c.ok(packet_out(None, out(2), buffer_id=ids[i]))
        b.check([], {2: [frames.tcp(mark=i)]}, via=3)

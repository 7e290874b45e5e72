"""Suites 100, 130, 230: actions and action sets."""

import frames
from harness import (ALL_PORTS, DP, add, apply, case, clear, delete, equal, flow, goto, o, out, p, packet_out, set_field, true,
                     write)

TCP = frames.tcp()


@case('100.10')
def no_action_drops(b):
    b.c.ok(flow([], eth_type=0x800))
    b.check((1, TCP))
    equal(b.c.flows()[0].packet_count, 1, 'packets')
    b.c.ok(flow([apply()], eth_type=0x800))
    b.check((1, TCP))


@case('100.20 230.10 230.20')
def output_to_a_port(b):
    for port in (2, 3, 4):
        b.c.ok(flow([apply(out(port))], in_port=1))
        b.check((1, TCP), {port: [TCP]})
    b.check((2, TCP))


@case('100.30')
def output_to_several(b):
    b.c.ok(flow([apply(out(2), out(3), out(4))], eth_type=0x800))
    b.check((1, TCP), {2: [TCP], 3: [TCP], 4: [TCP]})
    b.check((2, TCP), {3: [TCP], 4: [TCP]})  # never back but by IN_PORT


@case('100.40')
def output_to_several_reserved(b):
    b.c.ok(flow([apply(out(o.OFPP_ALL), out(o.OFPP_IN_PORT), out(o.OFPP_CONTROLLER))], eth_type=0x800))
    got, = b.check((1, TCP), {n: [TCP] for n in ALL_PORTS}, packet_ins=1)
    equal((bytes(got.data), got.reason), (TCP, o.OFPR_ACTION), 'packet-in')


@case('100.50')
def output_to_all(b):
    b.c.ok(flow([apply(out(o.OFPP_ALL))], eth_type=0x800))
    for port in ALL_PORTS:
        b.check((port, TCP), {n: [TCP] for n in ALL_PORTS if n != port})


@case('100.60')
def output_to_all_but_no_fwd(b):
    b.c.ok(flow([apply(out(o.OFPP_ALL))], eth_type=0x800))
    b.c.port_config(2, o.OFPPC_NO_FWD, o.OFPPC_NO_FWD)
    b.check((1, TCP), {3: [TCP], 4: [TCP]}, ports=(1, 3, 4))
    b.check((2, TCP), {1: [TCP], 3: [TCP], 4: [TCP]}, ports=(1, 3, 4))
    b.c.port_config(2, 0, o.OFPPC_NO_FWD)
    b.check((1, TCP), {2: [TCP], 3: [TCP], 4: [TCP]})


@case('100.70 410.140')
def output_to_controller(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER))], eth_type=0x800, cookie=77))
    got, = b.check((1, TCP), packet_ins=1)
    equal((bytes(got.data), got.reason, got.table_id, got.cookie, got.total_len, got.match['in_port']),
          (TCP, o.OFPR_ACTION, 0, 77, len(TCP), 1), 'packet-in')


@case('100.80 390.110')
def packet_out_to_table(b):
    b.c.ok(flow([apply(out(2))], eth_type=0x800, in_port=1), flow([apply(out(3))], eth_type=0x800, in_port=o.OFPP_CONTROLLER))
    b.c.ok(packet_out(TCP, out(o.OFPP_TABLE)))
    b.check([], {3: [TCP]})
    b.c.ok(packet_out(TCP, out(o.OFPP_TABLE), in_port=1))
    b.check([], {2: [TCP]})
    equal(sorted(f.packet_count for f in b.c.flows()), [1, 1], 'packets')


@case('100.90')
def output_to_in_port(b):
    b.c.ok(flow([apply(out(o.OFPP_IN_PORT))], eth_type=0x800))
    for port in ALL_PORTS:
        b.check((port, TCP), {port: [TCP]})


@case('130.220')
def action_set_outputs(b):
    """Where a set has no group it is the output that is carried out, when the pipeline ends."""
    b.c.ok(flow([write(out(2)), goto(1)]), flow([goto(2)], table=1), flow([], table=2))
    b.check((1, TCP), {2: [TCP]})
    b.c.ok(flow([write(out(3))], table=2))  # a later one replaces it
    b.check((1, TCP), {3: [TCP]})
    b.c.ok(flow([clear()], table=2))
    b.check((1, TCP))


@case('130.250')
def action_set_order(b):
    """Whatever the order of writing, the output comes last, and after an apply-actions' output."""
    changed = frames.tcp(dst='02:00:00:00:00:99')
    b.c.ok(flow([write(out(2), set_field(eth_dst='02:00:00:00:00:99')), apply(out(3))]))
    b.check((1, TCP), {2: [changed], 3: [TCP]})
    tagged = frames.tcp(ttl=63, vid=5, size=104)
    b.c.ok(flow([write(out(2), set_field(vlan_vid=0x1005), p.OFPActionDecNwTtl(), p.OFPActionPushVlan(0x8100))], eth_type=0x800))
    b.c.ok(delete(priority=1000, strict=True))
    b.check((1, TCP), {2: [tagged]})
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 1, [p.OFPBucket(actions=[out(4)])]), delete(),
           flow([write(p.OFPActionGroup(1), out(2))]))
    b.check((1, TCP), {4: [TCP]})  # with a group, the output is ignored


def controller_bytes(b, lengths):
    """As many bytes as asked for, and the packet kept in a buffer where they are not all."""
    for length in lengths:
        b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, length))], eth_type=0x800))
        for frame in (TCP, frames.tcp(size=1400)):
            got, = b.check((1, frame), packet_ins=1)
            equal((got.total_len, bytes(got.data)), (len(frame), frame[:length]), 'packet-in for max_len %d' % length)
            if length == o.OFPCML_NO_BUFFER:
                equal(got.buffer_id, o.OFP_NO_BUFFER, 'buffer')
            elif got.buffer_id != o.OFP_NO_BUFFER:
                b.c.ok(packet_out(None, out(3), buffer_id=got.buffer_id))
                b.check([], {3: [frame]})
            else:
                true(len(got.data) == len(frame), 'a part came and the packet is in no buffer')


add('230.30', controller_bytes, [100, 1, 60, 1399], name='max_len')
add('230.40', controller_bytes, [0], name='max_len_zero')
add('230.50 410.30', controller_bytes, [o.OFPCML_MAX], name='max_len_max')
add('230.60 410.60', controller_bytes, [o.OFPCML_NO_BUFFER], name='max_len_no_buffer')


@case('250.70')
def max_len_is_the_actions(b):
    """miss_send_len says nothing about an output action."""
    b.c.ok(p.OFPSetConfig(DP, 0, 20), flow([apply(out(o.OFPP_CONTROLLER, 128))], priority=0))
    got, = b.check((1, frames.tcp(size=200)), packet_ins=1)
    equal(len(got.data), 128, 'bytes')

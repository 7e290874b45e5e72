"""Suites 150, 200 (the errors), 430, 440: what is refused, with exactly which error, and that nothing came of it."""

import struct

import frames
from harness import (ALL_PORTS, DP, OfError, Client, add, apply, bytes_of, case, clear, delete, equal, flow, goto, modify, o, out, p,
                     packet_out, patched, port_mod, raw, set_field, true, write)
from suite_match import ETH_TYPE_IP, IPV4_SRC_MASKED, with_match

TCP = frames.tcp()
RESERVED_TABLE = 254  # the switch has 0 to 253


def with_instructions(data, **fields):
    m = bytes_of(flow([], **fields)) + data
    m[2:4] = len(m).to_bytes(2, 'big')
    return bytes(m)


def with_actions(data, kind=o.OFPIT_APPLY_ACTIONS, **fields):
    return with_instructions(struct.pack('!HHI', kind, 8 + len(data), 0) + data, **fields)


def action(kind, body=b'', length=None):
    return struct.pack('!HH', kind, 4 + len(body) if length is None else length) + body


def set_field_bytes(header, value, length=None):
    oxm = struct.pack('!I', header) + value
    size = (4 + len(oxm) + 7) // 8 * 8
    return struct.pack('!HH', o.OFPAT_SET_FIELD, size if length is None else length) + oxm + bytes(size - 4 - len(oxm))


def oxm(field, value, mask=b'', cls=0x8000, length=None):
    return struct.pack('!HBB', cls, field << 1 | bool(mask), len(value + mask) if length is None else length) + value + mask


def hexed(text):
    return bytes.fromhex(text)


def refused(b, kind, code, *messages):
    """Each is refused, and neither an entry nor a group nor a meter is there afterwards."""
    before = b.c.flows()
    for m in messages:
        b.c.refused(m() if callable(m) else m, kind, code)
    equal([str(f.match) for f in b.c.flows()], [str(f.match) for f in before], 'flows')
    equal(b.c.stats(p.OFPGroupDescStatsRequest), [], 'groups')
    equal(b.c.stats(p.OFPMeterConfigStatsRequest, o.OFPM_ALL), [], 'meters')


def table(ids, name, kind, code, *messages, **options):
    add(ids, refused, kind, code, *messages, name=name, **options)


BR, BA, BI, BM, FM = (o.OFPET_BAD_REQUEST, o.OFPET_BAD_ACTION, o.OFPET_BAD_INSTRUCTION, o.OFPET_BAD_MATCH, o.OFPET_FLOW_MOD_FAILED)
METADATA = struct.pack('!HHIQQ', o.OFPIT_WRITE_METADATA, 24, 0, 5, 15)

# ---------------------------------------------------------------- flow-mods and their tables


@case('150.10 430.10 430.180 440.40', note='FLOW_MOD_FAILED for flow-mods (the text since 1.3.1); BAD_REQUEST/BAD_TABLE_ID for requests '
      'without a code of their own')
def bad_table(b):
    b.c.ok(flow([apply(out(2))], in_port=1))
    for command in range(5):
        b.c.refused(flow([apply(out(3))], table=RESERVED_TABLE, command=command, in_port=1), FM, o.OFPFMFC_BAD_TABLE_ID)
    b.c.refused(p.OFPFlowStatsRequest(DP, 0, RESERVED_TABLE, o.OFPP_ANY, o.OFPG_ANY, 0, 0, p.OFPMatch()), BR, o.OFPBRC_BAD_TABLE_ID)
    b.c.refused(p.OFPAggregateStatsRequest(DP, 0, RESERVED_TABLE, o.OFPP_ANY, o.OFPG_ANY, 0, 0, p.OFPMatch()), BR,
                o.OFPBRC_BAD_TABLE_ID)
    b.check((1, TCP), {2: [TCP]})
    equal(len(b.c.flows()), 1, 'flows')


@case('150.20')
def all_tables_is_for_deletes(b):
    b.c.ok(flow([apply(out(2))], in_port=1))
    for command in (o.OFPFC_ADD, o.OFPFC_MODIFY, o.OFPFC_MODIFY_STRICT):
        b.c.refused(flow([apply(out(3))], table=o.OFPTT_ALL, command=command, in_port=1), FM, o.OFPFMFC_BAD_TABLE_ID)
    b.check((1, TCP), {2: [TCP]})


@case('150.30 440.30')
def table_full(b):
    """The table takes the entries it promises; the next is refused and the table stays as it is."""
    features, = [t for t in b.c.table_features() if t.table_id == 0]
    n = features.max_entries
    one = bytes_of(flow([], priority=1, metadata=0))
    equal(len(one), 64, 'length')
    at = bytes(one).index(hexed('80000408')) + 4
    piece = 5000
    sent = 0
    while sent < n:
        many = bytearray(bytes(one) * min(piece, n - sent))
        for i in range(0, len(many), 64):
            struct.pack_into('!Q', many, i + at, sent + i // 64)
        b.c.sock.sendall(many)
        b.c.barrier()
        sent += len(many) // 64
    equal([m for m in b.c.inbox if m.msg_type == o.OFPT_ERROR][:1], [], 'errors')
    equal(b.c.tables()[0].active_count, n, 'entries')
    b.c.refused(flow([], priority=1, metadata=n), FM, o.OFPFMFC_TABLE_FULL)
    b.c.ok(flow([clear()], priority=1, metadata=7))  # takes the place of one
    b.c.ok(flow([], priority=1, metadata=n, table=1))
    equal(b.c.tables()[0].active_count, n, 'entries')
    b.c.ok(delete(table=0, strict=True, priority=1, metadata=7), flow([], priority=1, metadata=n))
    b.c.refused(flow([], priority=1, metadata=n + 1), FM, o.OFPFMFC_TABLE_FULL)
    b.c.ok(delete())


table('440.80', 'bad_command', FM, o.OFPFMFC_BAD_COMMAND, *[flow([], command=n) for n in (5, 9, 255)])
table('440.90', 'bad_flags', FM, o.OFPFMFC_BAD_FLAGS, flow([], flags=0x20), flow([], flags=0x8001))
table('440.100', 'flow_mod_failed_data', FM, o.OFPFMFC_BAD_TABLE_ID,
      flow([apply(*[out(2)] * 20)], table=RESERVED_TABLE), flow([], table=RESERVED_TABLE))

# ---------------------------------------------------------------- instructions

table('150.40 430.540', 'unknown_instruction', BI, o.OFPBIC_UNKNOWN_INST, *[
    with_instructions(struct.pack('!HHI', kind, 8, 0)) for kind in (0, 7, 0x7fff)])
table('150.60 430.560', 'goto_invalid_table', BI, o.OFPBIC_BAD_TABLE_ID, flow([goto(RESERVED_TABLE)]), flow([goto(255)]),
      flow([goto(0)]), flow([goto(3)], table=3), flow([goto(2)], table=3))


@case('150.70', na='all bits of metadata can be written (table-features: metadata_write is all ones), so that no value or mask is '
      'unsupported')
def metadata_of_any_kind(b):
    for t in b.c.table_features():
        equal((t.metadata_write, t.metadata_match), (2**64 - 1, 2**64 - 1), 'metadata of table %d' % t.table_id)
    b.c.ok(flow([p.OFPInstructionWriteMetadata(0xaaaaaaaaaaaaaaaa, 2**64 - 1), goto(1)]),
           flow([apply(out(2))], table=1, metadata=0xaaaaaaaaaaaaaaaa))
    b.check((1, TCP), {2: [TCP]})


table('430.590', 'experimenter_instruction', BI, o.OFPBIC_BAD_EXPERIMENTER,
      with_instructions(struct.pack('!HHII', 0xffff, 16, 0x00abcdef, 0) + bytes(4)))
table('430.610 150.260', 'instruction_length', BI, o.OFPBIC_BAD_LEN,
      with_instructions(struct.pack('!HHI', o.OFPIT_GOTO_TABLE, 16, 1 << 24) + bytes(8)),
      with_actions(bytes(action(0, struct.pack('!IH6x', 2, 0))), kind=o.OFPIT_CLEAR_ACTIONS),
      with_instructions(METADATA[:2] + struct.pack('!H', 16) + METADATA[4:16]),
      with_instructions(struct.pack('!HHI', o.OFPIT_METER, 24, 1) + bytes(16)),
      with_instructions(struct.pack('!HHI', o.OFPIT_GOTO_TABLE, 0, 0)))
table('430.630', 'bad_instruction_data', BI, o.OFPBIC_UNKNOWN_INST,
      with_instructions(struct.pack('!HHI', 77, 8, 0)), with_instructions(struct.pack('!HHI', 77, 96, 0) + bytes(88)))

# ---------------------------------------------------------------- matches

table('150.80 430.700', 'undefined_field', BM, o.OFPBMC_BAD_FIELD, with_match(oxm(44, b'\1')), with_match(oxm(127, b'\1')),
      with_match(ETH_TYPE_IP + oxm(60, b'\1')))
table('150.85 430.700', 'undefined_class', BM, o.OFPBMC_BAD_FIELD, with_match(oxm(0, b'\1', cls=0x7ff0)),
      with_match(oxm(5, b'\1\1', cls=0x8002)), with_match(ETH_TYPE_IP + oxm(1, b'\1', cls=0xfffe)))

_any_mask = 'any mask of an Ethernet or network address is supported, so that none can be refused'


@case('150.110 150.120 430.670 430.680', na=_any_mask)
def any_address_mask(b):
    match, miss = frames.tcp(src='ff:ff:ff:07:08:09', ip_src='1.2.0.1'), frames.tcp(src='ff:ff:ff:07:08:08', ip_src='1.2.0.1')
    b.c.ok(flow([apply(out(2))], eth_src=('00:00:00:07:08:09', '00:00:00:ff:ff:ff')))
    b.check([(1, match), (1, miss)], {2: [match]})
    b.c.ok(delete(), flow([apply(out(2))], eth_type=0x800, ipv4_src=('0.0.0.1', '0.0.255.255')))
    b.check([(1, match), (1, frames.tcp(ip_src='1.2.0.2'))], {2: [match]})
    b.c.ok(delete(), flow([apply(out(2))], eth_type=0x800, ipv4_src=('0.0.0.1', '0.0.255.255'),
                          eth_src=('00:00:00:07:08:09', '00:00:00:ff:ff:ff')))
    b.check([(1, match), (1, miss), (1, TCP)], {2: [match]})


table('150.130', 'mask_of_a_field_without', BM, o.OFPBMC_BAD_MASK, with_match(oxm(0, struct.pack('!I', 1), b'\0\0\xff\xff')),
      with_match(oxm(5, b'\x08\0', b'\xff\0')), with_match(ETH_TYPE_IP + oxm(10, b'\4', b'\x0e')),
      with_match(ETH_TYPE_IP + oxm(8, b'\4', b'\x0e')), with_match(oxm(6, b'\x10\1', b'\x1f\xff') + oxm(7, b'\4', b'\4')))
table('150.140 430.710', 'illegal_value', BM, o.OFPBMC_BAD_VALUE, with_match(oxm(6, hexed('0fff'))), with_match(oxm(6, hexed('2001'))),
      with_match(oxm(6, hexed('1001')) + oxm(7, b'\x08')), with_match(ETH_TYPE_IP + oxm(8, b'\x40')),
      with_match(ETH_TYPE_IP + oxm(9, b'\x04')), with_match(oxm(5, hexed('8847')) + oxm(34, hexed('00100000'))),
      with_match(oxm(5, hexed('8847')) + oxm(35, b'\x08')))
table('430.640', 'bad_match_type', BM, o.OFPBMC_BAD_TYPE, with_match(b'', kind=0), with_match(b'', kind=2), with_match(ETH_TYPE_IP, kind=0xffff))
table('430.650', 'bad_match_length', BM, o.OFPBMC_BAD_LEN, with_match(oxm(0, b'\0\0\1')), with_match(oxm(5, b'\x08')),
      with_match(ETH_TYPE_IP + oxm(11, b'\1\1\1\1\1')), with_match(oxm(3, bytes(6), bytes(5))), with_match(b'', length=3),
      with_match(oxm(0, b'\0\0\0\1'), length=11))
table('430.690', 'bad_wildcards', BM, o.OFPBMC_BAD_WILDCARDS,
      with_match(ETH_TYPE_IP + oxm(11, hexed('c0a80000'), hexed('0000ffff'))),
      with_match(oxm(3, hexed('000102030405'), hexed('00fffffffff0'))), with_match(oxm(2, bytes(7) + b'\1', bytes(8))))
table('440.10', 'bad_match_data', BM, o.OFPBMC_BAD_PREREQ, flow([apply(*[out(2)] * 9)], udp_src=53), flow([], udp_src=53))

# ---------------------------------------------------------------- actions

table('150.145 430.250', 'unknown_action', BA, o.OFPBAC_BAD_TYPE, *[
    with_actions(action(kind, bytes(4))) for kind in (1, 10, 28, 0x7fff)])
table('430.260', 'action_length', BA, o.OFPBAC_BAD_LEN, with_actions(action(0, bytes(12), length=8)),
      with_actions(action(0, bytes(4))), with_actions(action(0, struct.pack('!IH6x', 2, 0), length=24)),
      with_actions(action(o.OFPAT_POP_VLAN, bytes(12))), with_actions(action(o.OFPAT_GROUP, bytes(4), length=0)),
      with_actions(action(o.OFPAT_GROUP, bytes(4), length=9)))
table('430.270', 'experimenter_action', BA, o.OFPBAC_BAD_EXPERIMENTER,
      with_actions(action(0xffff, struct.pack('!I', 0x00abcdef))), with_actions(action(0xffff, struct.pack('!IQ', 0x12345678, 1))))
table('430.280', 'experimenter_action_type', BA, o.OFPBAC_BAD_EXP_TYPE,
      with_actions(action(0xffff, struct.pack('!IHHQ', 0x2320, 0xfff0, 0, 0)[:12])),
      note='of an experimenter that is known (Nicira)')
table('150.150 430.290 200.250', 'never_valid_port', BA, o.OFPBAC_BAD_OUT_PORT, *[
    flow([apply(out(n))]) for n in (0, o.OFPP_ANY, o.OFPP_MAX + 1, 0xfffffff0)], flow([write(out(0))]))


@case('150.160')
def port_that_may_come(b):
    """Accepted, as the text allows: packets for it are dropped, and the other outputs work."""
    b.c.ok(flow([apply(out(1000), out(2))], in_port=1))
    b.check((1, TCP), {2: [TCP]})


table('150.170', 'undefined_group', BA, o.OFPBAC_BAD_OUT_GROUP, flow([apply(p.OFPActionGroup(77))]),
      flow([write(p.OFPActionGroup(77))]), flow([apply(p.OFPActionGroup(o.OFPG_ALL))]), flow([apply(p.OFPActionGroup(o.OFPG_ANY))]))
table('150.175', 'undefined_meter', o.OFPET_METER_MOD_FAILED, o.OFPMMFC_UNKNOWN_METER, flow([p.OFPInstructionMeter(77)]))
table('150.180', 'bad_set_argument', BA, o.OFPBAC_BAD_SET_ARGUMENT,
      flow([apply(set_field(vlan_vid=0x2001))], vlan_vid=(0x1000, 0x1000)), flow([apply(set_field(vlan_pcp=8))], vlan_vid=0x1005),
      flow([apply(set_field(ip_dscp=64))], eth_type=0x800), flow([apply(set_field(ip_ecn=4))], eth_type=0x800),
      flow([apply(set_field(mpls_label=1 << 20))], eth_type=0x8847))
table('150.190 430.300', 'bad_argument', BA, o.OFPBAC_BAD_ARGUMENT, flow([apply(p.OFPActionPushVlan(0x800))]),
      flow([apply(p.OFPActionPushMpls(0x8100))]), flow([apply(p.OFPActionPushPbb(0x800))]))


@case('150.230 430.320', na='a list of actions is as long as a message: no number of them is too many')
def as_many_actions_as_fit(b):
    many = [set_field(ipv4_src='10.0.%d.%d' % (n >> 8, n & 255)) for n in range(4000)]
    b.c.ok(flow([apply(*many, out(2))], eth_type=0x800))
    b.check((1, TCP), {2: [frames.tcp(ip_src='10.0.15.159')]})


@case('150.250 430.480', na='any order of actions is supported; they are carried out in that of the list')
def any_order_of_actions(b):
    changed = frames.tcp(ip_src='192.168.1.1')
    b.c.ok(flow([apply(out(2), set_field(ipv4_src='192.168.1.1'), out(3), set_field(ipv4_src='192.168.0.1'), out(4))], eth_type=0x800))
    b.check((1, TCP), {2: [TCP], 3: [changed], 4: [TCP]})


@case('430.330')
def bad_queue(b):
    """The number that means all queues is none, and neither is one that the port doesn't have."""
    b.c.ok(flow([apply(p.OFPActionSetQueue(1), out(1))], in_port=2))
    refused(b, BA, o.OFPBAC_BAD_QUEUE, flow([apply(p.OFPActionSetQueue(o.OFPQ_ALL), out(1))]),
            flow([apply(p.OFPActionSetQueue(20), out(1))]))


table('430.500', 'bad_set_type', BA, o.OFPBAC_BAD_SET_TYPE, with_actions(set_field_bytes(0x80000004, struct.pack('!I', 1))),
      with_actions(set_field_bytes(0x80005802, b'\0\1')), with_actions(set_field_bytes(0x80004e02, b'\0\1')))
table('430.510', 'bad_set_length', BA, o.OFPBAC_BAD_SET_LEN, with_actions(set_field_bytes(0x80000605, bytes(5))),
      with_actions(set_field_bytes(0x80001603, bytes(3)), eth_type=0x800))
table('430.530', 'bad_action_data', BA, o.OFPBAC_BAD_OUT_PORT, flow([apply(*[out(2)] * 20, out(0))]), flow([apply(out(0))]))

# ---------------------------------------------------------------- requests


@case('200.20 430.50 10.80 430.70')
def no_common_version(b):
    """HELLO_FAILED/INCOMPATIBLE with a text that says why; then the connection ends."""
    for version, body in ((0, b''), (0, struct.pack('!HHI', 1, 8, 1 << 9))):
        c = Client(b.switch.of_socket, hello=False)
        b.extra.append(c)
        c.get(lambda m: m.msg_type == o.OFPT_HELLO)
        c.send(raw(o.OFPT_HELLO, body, version=version))
        m = c.get(lambda m: m.msg_type == o.OFPT_ERROR)
        kind, code = struct.unpack_from('!HH', m.bytes, 8)
        equal((kind, code), (o.OFPET_HELLO_FAILED, o.OFPHFC_INCOMPATIBLE), 'error')
        text = m.bytes[12:].rstrip(b'\0').decode('ascii')
        true(text.isprintable() and text, 'the text is %r' % text)
        c.ends(20)


@case('430.20 430.30 430.230')
def error_data_and_xid(b):
    """64 bytes of a long request, all of a short one, and its xid (`refused` compares them)."""
    for xid in (0, 1, 0x7fffffff, 0xffffffff):
        i = b.c.send(flow([apply(*[out(2)] * 9)], table=RESERVED_TABLE), xid=xid)
        m = b.c.get(lambda m: m.xid == i and m.msg_type == o.OFPT_ERROR)
        equal(bytes(m.data)[:64], b.c.sent[xid][:64], 'data')
    b.c.refused(raw(200, b'\1\2\3'), BR, o.OFPBRC_BAD_TYPE)
    b.c.refused(raw(200, bytes(100)), BR, o.OFPBRC_BAD_TYPE)


table('430.90', 'bad_version', BR, o.OFPBRC_BAD_VERSION, raw(o.OFPT_FEATURES_REQUEST, version=5),
      raw(o.OFPT_FEATURES_REQUEST, version=1), raw(o.OFPT_FEATURES_REQUEST, version=99))
table('430.100', 'bad_type', BR, o.OFPBRC_BAD_TYPE, raw(30), raw(99, bytes(16)), raw(255))
table('430.110 300.290', 'bad_multipart', BR, o.OFPBRC_BAD_MULTIPART, *[
    raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHI', kind, 0, 0)) for kind in (14, 0x7fff, 0xfffe)])
table('430.120 440.680', 'bad_experimenter', BR, o.OFPBRC_BAD_EXPERIMENTER, p.OFPExperimenter(DP, 0x00abcdef, 1, b''),
      p.OFPExperimenter(DP, 0x12345678, 0xffffffff, bytes(100)))
table('300.270', 'bad_experimenter_multipart', BR, o.OFPBRC_BAD_EXPERIMENTER,
      raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHIII', 0xffff, 0, 0, 0x00abcdef, 1)))
table('430.130 440.680', 'bad_experimenter_type', BR, o.OFPBRC_BAD_EXP_TYPE, p.OFPExperimenter(DP, 0x4f4e4600, 0xffff00ff, b''),
      p.OFPExperimenter(DP, 0x2320, 0xfffffff0, b''),
      note='of the experimenters that are known (ONF, Nicira); one that is not is BAD_EXPERIMENTER, which the list does not tell apart')
table('430.150', 'bad_length', BR, o.OFPBRC_BAD_LEN, raw(o.OFPT_FEATURES_REQUEST, bytes(4)), raw(o.OFPT_BARRIER_REQUEST, bytes(1)),
      raw(o.OFPT_FLOW_MOD, bytes(10)), raw(o.OFPT_PORT_MOD, bytes(36)), raw(o.OFPT_PACKET_OUT, bytes(8)),
      raw(o.OFPT_MULTIPART_REQUEST, bytes(3)), raw(o.OFPT_ROLE_REQUEST, bytes(8)), raw(o.OFPT_TABLE_MOD, bytes(9)))


def kept(b):
    b.c.ok(flow([apply(out(o.OFPP_CONTROLLER, 16))], priority=1))
    return b.check((1, TCP), packet_ins=1)[0].buffer_id


@case('430.160')
def buffer_used_up(b):
    i = kept(b)
    b.c.ok(packet_out(None, out(2), buffer_id=i))
    b.c.refused(packet_out(None, out(2), buffer_id=i), BR, o.OFPBRC_BUFFER_EMPTY)
    b.check([], {2: [TCP]}, via=3)


@case('430.170')
def buffer_unknown(b):
    for i in (0x12345678, 0xfffffffe):
        b.c.refused(packet_out(None, out(2), buffer_id=i), BR, o.OFPBRC_BUFFER_UNKNOWN)
        b.c.refused(flow([apply(out(2))], buffer_id=i), BR, o.OFPBRC_BUFFER_UNKNOWN)
    equal(b.c.flows(), [], 'flows')


table('430.200', 'bad_port', BR, o.OFPBRC_BAD_PORT, p.OFPPortStatsRequest(DP, 0, 1111), packet_out(TCP, out(2), in_port=o.OFPP_ANY),
      packet_out(TCP, out(2), in_port=0))
table('430.210', 'bad_packet', BR, o.OFPBRC_BAD_PACKET, packet_out(b'0', out(2)), packet_out(bytes(13), out(2)))

# ---------------------------------------------------------------- the other requests

GROUP = p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 1, [p.OFPBucket(actions=[out(2)])] * 4)
table('440.250', 'group_mod_failed', o.OFPET_GROUP_MOD_FAILED, o.OFPGMFC_BAD_COMMAND, patched(GROUP, 8, b'\0\7'))
table('440.250', 'group_mod_failed_id', o.OFPET_GROUP_MOD_FAILED, o.OFPGMFC_INVALID_GROUP,
      p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, o.OFPG_ALL, [p.OFPBucket(actions=[out(2)])] * 4))

PM = o.OFPET_PORT_MOD_FAILED


@case('440.260 440.270 440.280 440.290 440.310')
def port_mod_failed(b):
    before = b.c.port_desc()
    hw = before[1].hw_addr
    for port in (999, 0, o.OFPP_ANY, o.OFPP_ALL):
        b.c.refused(port_mod(port, hw, 0, 0), PM, o.OFPPMFC_BAD_PORT)
    for address in ('00:00:00:00:00:00', before[2].hw_addr):
        b.c.refused(port_mod(1, address, o.OFPPC_NO_FWD, o.OFPPC_NO_FWD), PM, o.OFPPMFC_BAD_HW_ADDR)
    for bit in (1 << 8, 1 << 1, 1 << 31):
        b.c.refused(port_mod(1, hw, bit, bit), PM, o.OFPPMFC_BAD_CONFIG)
    b.c.refused(port_mod(1, hw, o.OFPPC_NO_FWD, o.OFPPC_NO_FWD, 0xffff0000), PM, o.OFPPMFC_BAD_ADVERTISE)
    equal(str(b.c.port_desc()), str(before), 'ports')


TM = o.OFPET_TABLE_MOD_FAILED
table('440.320', 'table_mod_bad_table', TM, o.OFPTMFC_BAD_TABLE, p.OFPTableMod(DP, RESERVED_TABLE, 0))
table('200.150 440.330 440.350 200.270', 'table_mod_bad_config', TM, o.OFPTMFC_BAD_CONFIG, p.OFPTableMod(DP, 0, 4),
      p.OFPTableMod(DP, 0, 0x80000000), p.OFPTableMod(DP, o.OFPTT_ALL, 7),
      note='the deprecated bits 0 and 1 are taken, as §7.3.3 says they be; the list wants them taken in 200.150 and refused in 200.270')


@case('200.150')
def table_mod_deprecated_bits(b):
    for config in range(4):
        b.c.ok(p.OFPTableMod(DP, 5, config))
    b.c.ok(p.OFPTableMod(DP, 5, 3))


QO = o.OFPET_QUEUE_OP_FAILED
table('440.360 440.390', 'queue_bad_port', QO, o.OFPQOFC_BAD_PORT, p.OFPQueueStatsRequest(DP, 0, o.OFPP_MAX, o.OFPQ_ALL),
      p.OFPQueueStatsRequest(DP, 0, 999, 1), p.OFPQueueGetConfigRequest(DP, 999))
table('440.370 440.390', 'queue_bad_queue', QO, o.OFPQOFC_BAD_QUEUE, p.OFPQueueStatsRequest(DP, 0, 1, 0xfffffffe),
      p.OFPQueueStatsRequest(DP, 0, 1, 20))

SC = o.OFPET_SWITCH_CONFIG_FAILED
table('440.400 440.430', 'switch_config_flags', SC, o.OFPSCFC_BAD_FLAGS, p.OFPSetConfig(DP, 16, 128), p.OFPSetConfig(DP, 0x8000, 128))
table('440.410 440.430', 'switch_config_length', BR, o.OFPBRC_BAD_LEN, raw(o.OFPT_SET_CONFIG, b'\0\0'), raw(o.OFPT_SET_CONFIG, bytes(5)),
      note="SWITCH_CONFIG_FAILED/BAD_LEN ('length problem in config', §7.4.4) and BAD_REQUEST/BAD_LEN ('wrong request length') "
      'both fit')


@case('440.450', na='every role is supported; what is refused is a role that does not exist')
def every_role(b):
    c = b.c
    for role, generation in ((o.OFPCR_ROLE_NOCHANGE, 0), (o.OFPCR_ROLE_MASTER, 1), (o.OFPCR_ROLE_SLAVE, 2), (o.OFPCR_ROLE_EQUAL, 3)):
        m = c.ask(p.OFPRoleRequest(DP, role, generation))
        equal(m.role, role or o.OFPCR_ROLE_EQUAL, 'role')
    c.refused(p.OFPRoleRequest(DP, 4, 5), o.OFPET_ROLE_REQUEST_FAILED, o.OFPRRFC_BAD_ROLE)


@case('440.470')
def role_request_failed(b):
    b.c.ask(p.OFPRoleRequest(DP, o.OFPCR_ROLE_MASTER, 100))
    b.c.refused(p.OFPRoleRequest(DP, o.OFPCR_ROLE_SLAVE, 99), o.OFPET_ROLE_REQUEST_FAILED, o.OFPRRFC_STALE)
    b.c.refused(p.OFPRoleRequest(DP, 9, 101), o.OFPET_ROLE_REQUEST_FAILED, o.OFPRRFC_BAD_ROLE)
    equal(b.c.ask(p.OFPRoleRequest(DP, o.OFPCR_ROLE_NOCHANGE, 0)).role, o.OFPCR_ROLE_MASTER, 'role')


def meter(n, command=o.OFPMC_ADD, flags=o.OFPMF_KBPS, bands=None):
    return p.OFPMeterMod(DP, command, flags, n, [p.OFPMeterBandDrop(1024, 12)] if bands is None else bands)


@case('440.580')
def out_of_meters(b):
    f, = b.c.stats(p.OFPMeterFeaturesStatsRequest)
    one = bytes_of(meter(1))
    sent = 0
    while sent < f.max_meter:
        many = bytearray(bytes(one) * min(4096, f.max_meter - sent))
        for i in range(0, len(many), len(one)):
            struct.pack_into('!I', many, i + 12, sent + i // len(one) + 1)
        b.c.sock.sendall(many)
        b.c.barrier()
        sent += len(many) // len(one)
    equal([m for m in b.c.inbox if m.msg_type == o.OFPT_ERROR][:1], [], 'errors')
    b.c.refused(meter(f.max_meter + 1), o.OFPET_METER_MOD_FAILED, o.OFPMMFC_OUT_OF_METERS)
    b.c.ok(meter(1, o.OFPMC_DELETE, bands=[]), meter(f.max_meter + 1))
    b.c.ok(meter(o.OFPM_ALL, o.OFPMC_DELETE, bands=[]))


MM = o.OFPET_METER_MOD_FAILED
table('440.600', 'meter_mod_failed_id', MM, o.OFPMMFC_INVALID_METER, meter(0), meter(o.OFPM_MAX + 1))
table('440.600', 'meter_mod_failed_unknown', MM, o.OFPMMFC_UNKNOWN_METER, meter(5, o.OFPMC_MODIFY))
table('440.600', 'meter_mod_failed_command', MM, o.OFPMMFC_BAD_COMMAND, meter(5, 9))
table('440.600', 'meter_mod_failed_flags', MM, o.OFPMMFC_BAD_FLAGS, meter(5, flags=0x30), meter(5, flags=3))

TF = o.OFPET_TABLE_FEATURES_FAILED


def features_request(b, change, first=b''):
    """The description of table 0, changed, sent back as a request."""
    m = b.c.ask(p.OFPTableFeaturesStatsRequest(DP, 0, []))
    data = m.parts[0].bytes[16:]
    data = bytearray(data[:struct.unpack_from('!H', data)[0]])
    change(data)
    return raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHI', o.OFPMP_TABLE_FEATURES, 0, 0) + bytes(data))


def put(offset, value):
    def change(data):
        data[offset:offset + len(value)] = value
    return change


def features_refused(b, code, change):
    before = [t.name for t in b.c.table_features()]
    b.c.refused(features_request(b, change), TF, code)
    equal([t.name for t in b.c.table_features()], before, 'tables')


add('440.610 440.670', features_refused, o.OFPTFFC_BAD_TABLE, put(2, bytes([RESERVED_TABLE])), name='table_features_bad_table')
add('440.630', features_refused, o.OFPTFFC_BAD_TYPE, put(64, b'\0\x10'), name='table_features_bad_type')
add('440.640', features_refused, o.OFPTFFC_BAD_LEN, put(66, b'\0\2'), name='table_features_bad_length')
add('440.650', features_refused, o.OFPTFFC_BAD_ARGUMENT, put(68, struct.pack('!HH', 55, 4)), name='table_features_bad_argument')


@case('440.620', na='all bits of metadata are supported, so that no request for metadata can be refused')
def metadata_of_tables(b):
    for t in b.c.table_features():
        equal((t.metadata_match, t.metadata_write), (2**64 - 1, 2**64 - 1), 'metadata of table %d' % t.table_id)


@case('200.290')
def reserved_tlv(b):
    """A TLV type that is reserved is refused, where one is read."""
    refused(b, BM, o.OFPBMC_BAD_FIELD, with_match(oxm(50, b'\1')))
    refused(b, BI, o.OFPBIC_UNKNOWN_INST, with_instructions(struct.pack('!HHI', 55, 8, 0)))
    refused(b, BA, o.OFPBAC_BAD_TYPE, with_actions(action(55, bytes(4))))
    refused(b, o.OFPET_METER_MOD_FAILED, o.OFPMMFC_BAD_BAND, patched(meter(1), 16, b'\0\x55'))
    b.c.ok(flow([apply(out(2))], eth_type=0x86dd, ip_proto=58, icmpv6_code=4))  # optional in 1.3, and supported

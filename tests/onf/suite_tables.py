"""Suites 320, 330 and the table-features errors: table statistics and table features."""

import struct

import frames
from harness import (DP, Failed, add, apply, bytes_of, case, clear, delete, equal, flow, goto, o, out, own_bench, p, raw, set_field,
                     true, write)

TCP = frames.tcp()
REGULAR = (o.OFPTFPT_INSTRUCTIONS, o.OFPTFPT_NEXT_TABLES, o.OFPTFPT_WRITE_ACTIONS, o.OFPTFPT_APPLY_ACTIONS, o.OFPTFPT_MATCH,
           o.OFPTFPT_WILDCARDS, o.OFPTFPT_WRITE_SETFIELD, o.OFPTFPT_APPLY_SETFIELD)
MISS = {o.OFPTFPT_INSTRUCTIONS: o.OFPTFPT_INSTRUCTIONS_MISS, o.OFPTFPT_NEXT_TABLES: o.OFPTFPT_NEXT_TABLES_MISS,
        o.OFPTFPT_WRITE_ACTIONS: o.OFPTFPT_WRITE_ACTIONS_MISS, o.OFPTFPT_APPLY_ACTIONS: o.OFPTFPT_APPLY_ACTIONS_MISS,
        o.OFPTFPT_WRITE_SETFIELD: o.OFPTFPT_WRITE_SETFIELD_MISS, o.OFPTFPT_APPLY_SETFIELD: o.OFPTFPT_APPLY_SETFIELD_MISS}
HEAD = struct.Struct('!HB5x32sQQII')


class Table:
    """One ofp_table_features, apart: its head and its properties as bytes by type."""

    def __init__(self, data):
        (self.length, self.table, self.name, self.match, self.write, self.config, self.max) = HEAD.unpack_from(data)
        self.properties, at = {}, HEAD.size
        while at < self.length:
            kind, length = struct.unpack_from('!HH', data, at)
            true(kind not in self.properties, 'property %d is there twice' % kind)
            self.properties[kind] = data[at + 4:at + length]
            equal(data[at + length:at + (length + 7) // 8 * 8].strip(b'\0'), b'', 'padding of property %d' % kind)
            at += (length + 7) // 8 * 8
        equal(at, self.length, 'length of table %d' % self.table)

    def pack(self):
        body = b''
        for kind, data in self.properties.items():
            one = struct.pack('!HH', kind, 4 + len(data)) + data
            body += one + bytes(-len(one) % 8)
        return HEAD.pack(HEAD.size + len(body), self.table, self.name, self.match, self.write, self.config, self.max) + body

    def ids(self, kind):
        data = self.properties[kind]
        equal(len(data) % 4, 0, 'length of the ids')
        return [struct.unpack_from('!HH', data, at)[0] for at in range(0, len(data), 4)]

    def oxms(self, kind):
        data = self.properties[kind]
        equal(len(data) % 4, 0, 'length of the OXM ids')
        return list(struct.unpack('!%dI' % (len(data) // 4), data))


def describe(c, body=b''):
    """All tables as the switch describes them; with a body, after that request."""
    m = c.ask(raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHI', o.OFPMP_TABLE_FEATURES, 0, 0) + body))
    tables = []
    for part in m.parts:
        data = part.bytes[16:]
        while data:
            t = Table(data)
            tables.append(t)
            data = data[t.length:]
    return tables


def change(c, tables):
    """Asks for these tables, in as many pieces as the lengths of messages need."""
    pieces, now = [], b''
    for t in tables:
        one = t.pack()
        if len(now) + len(one) > 60000:
            pieces.append(now)
            now = b''
        now += one
    pieces.append(now)
    xid = None
    for n, piece in enumerate(pieces):
        more = o.OFPMPF_REQ_MORE if n + 1 < len(pieces) else 0
        header = struct.pack('!HHI', o.OFPMP_TABLE_FEATURES, more, 0)
        xid = c.send(raw(o.OFPT_MULTIPART_REQUEST, header + piece), xid=xid)
    m = c.get(lambda m: m.xid == xid, what='answer to a change of the tables')
    if m.msg_type == o.OFPT_ERROR:
        raise Failed('the change was refused: type %d code %d' % (m.type, m.code))
    while m.flags & o.OFPMPF_REPLY_MORE:
        m = c.get(lambda m: m.xid == xid, what='rest of the answer')
    return describe(c)


# ---------------------------------------------------------------- table statistics


@case('320.10 320.20 40.60 300.160 200.160')
def statistics_of_every_table(b):
    n = b.c.ask(p.OFPFeaturesRequest(DP)).n_tables
    got = b.c.stats(p.OFPTableStatsRequest)
    equal([t.table_id for t in got], list(range(n)), 'tables, in order')
    equal({t.active_count for t in got}, {0}, 'active entries')


@case('320.30')
def active_entries(b):
    b.c.ok(*[flow([], table=t, in_port=n) for t, n in ((0, 1), (0, 2), (1, 1), (253, 1), (253, 2), (253, 3))])
    equal({t: s.active_count for t, s in b.c.tables().items() if s.active_count}, {0: 2, 1: 1, 253: 3}, 'active entries')
    b.c.ok(delete(in_port=1))
    equal({t: s.active_count for t, s in b.c.tables().items() if s.active_count}, {0: 1, 253: 2}, 'active entries')


@case('320.40 320.50')
def lookups_along_the_pipeline(b):
    """Each table that a packet comes to looks once; those that have an entry for it match."""
    b.c.ok(flow([goto(3)], in_port=1), flow([apply(out(2))], table=3, eth_type=0x800))
    before = b.c.tables()
    arp = frames.arp()
    for f in (TCP, arp, TCP):
        b.wires.send(1, f)
    for _ in range(2):
        equal(b.wires.wait(2), TCP, 'frame')
    after = b.c.tables()
    equal({t: (after[t].lookup_count - before[t].lookup_count, after[t].matched_count - before[t].matched_count)
           for t in (0, 1, 2, 3, 4)}, {0: (3, 3), 1: (0, 0), 2: (0, 0), 3: (3, 2), 4: (0, 0)}, 'lookups and matches')


# ---------------------------------------------------------------- descriptions


@case('320.60 320.140 320.190 320.250 300.250')
def every_table_in_order(b):
    got = describe(b.c)
    equal([t.table for t in got], list(range(b.c.ask(p.OFPFeaturesRequest(DP)).n_tables)), 'tables')


@case('320.150 320.270 320.450', note='what a table-miss entry can do is left out where it is what any entry can do, as §7.3.5.5.2 allows')
def every_property(b):
    """Also where its list is empty, as the last table's next tables are."""
    tables = describe(b.c)
    for t in tables:
        equal([k for k in REGULAR if k not in t.properties], [], 'missing properties of table %d' % t.table)
        equal([k for k in t.properties if k > 15], [], 'properties of unknown type of table %d' % t.table)
    equal(tables[-1].properties[o.OFPTFPT_NEXT_TABLES], b'', 'next tables of the last table')


@case('320.210 320.220')
def metadata_masks(b):
    for t in describe(b.c):
        if any(i >> 9 == 0x80000000 >> 9 | 2 for i in t.oxms(o.OFPTFPT_MATCH)):
            true(t.match != 0, 'metadata_match of table %d' % t.table)
        if o.OFPIT_WRITE_METADATA in t.ids(o.OFPTFPT_INSTRUCTIONS):
            true(t.write != 0, 'metadata_write of table %d' % t.table)
    b.c.ok(flow([p.OFPInstructionWriteMetadata(5, 7), goto(1)]), flow([apply(out(2))], table=1, metadata=5))
    b.check((1, TCP), {2: [TCP]})


@case('320.230', note='the deprecated bits alone (OFPTC_DEPRECATED_MASK) may be there')
def configuration_bits(b):
    equal({t.config for t in describe(b.c)} <= {0, 3}, True, 'configuration bits are the deprecated ones or none')


@case('320.240')
def max_entries(b):
    for t in describe(b.c):
        equal(t.max, 1_000_000, 'max_entries of table %d' % t.table)  # 150.30 shows that it is so


@case('320.280 320.290 320.470')
def instructions(b):
    """Goto-table (but in the last table) and write-actions are required; all that are named work."""
    make = {o.OFPIT_GOTO_TABLE: lambda t: goto(t + 1), o.OFPIT_WRITE_METADATA: lambda t: p.OFPInstructionWriteMetadata(1, 1),
            o.OFPIT_WRITE_ACTIONS: lambda t: write(out(2)), o.OFPIT_APPLY_ACTIONS: lambda t: apply(out(2)),
            o.OFPIT_CLEAR_ACTIONS: lambda t: clear(), o.OFPIT_METER: lambda t: p.OFPInstructionMeter(1)}
    b.c.ok(p.OFPMeterMod(DP, o.OFPMC_ADD, o.OFPMF_KBPS, 1, [p.OFPMeterBandDrop(10**6, 10**4)]))
    tables = describe(b.c)
    for t in tables:
        got = t.ids(o.OFPTFPT_INSTRUCTIONS)
        true(o.OFPIT_WRITE_ACTIONS in got, 'write-actions in table %d' % t.table)
        equal(o.OFPIT_GOTO_TABLE in got, t is not tables[-1], 'goto-table in table %d' % t.table)
        equal(sorted(got), sorted(k for k in make if k != o.OFPIT_GOTO_TABLE or t is not tables[-1]), 'instructions')
        if t.table in (0, 5, 253):
            for k in got:
                b.c.ok(flow([make[k](t.table)], table=t.table), flow([make[k](t.table)], table=t.table, priority=0))


@case('320.300 320.480')
def next_tables(b):
    tables = describe(b.c)
    for t in tables:
        equal(list(t.properties[o.OFPTFPT_NEXT_TABLES]), list(range(t.table + 1, len(tables))), 'next tables of %d' % t.table)
    b.c.ok(*[flow([goto(n)], in_port=n) for n in (1, 100, 253)])


ACTIONS = {o.OFPAT_OUTPUT: lambda: out(2), o.OFPAT_COPY_TTL_OUT: p.OFPActionCopyTtlOut, o.OFPAT_COPY_TTL_IN: p.OFPActionCopyTtlIn,
           o.OFPAT_SET_MPLS_TTL: lambda: p.OFPActionSetMplsTtl(9), o.OFPAT_DEC_MPLS_TTL: p.OFPActionDecMplsTtl,
           o.OFPAT_PUSH_VLAN: lambda: p.OFPActionPushVlan(0x8100), o.OFPAT_POP_VLAN: p.OFPActionPopVlan,
           o.OFPAT_PUSH_MPLS: lambda: p.OFPActionPushMpls(0x8847), o.OFPAT_POP_MPLS: lambda: p.OFPActionPopMpls(0x800),
           o.OFPAT_SET_QUEUE: lambda: p.OFPActionSetQueue(1), o.OFPAT_GROUP: lambda: p.OFPActionGroup(1),
           o.OFPAT_SET_NW_TTL: lambda: p.OFPActionSetNwTtl(9), o.OFPAT_DEC_NW_TTL: p.OFPActionDecNwTtl,
           o.OFPAT_SET_FIELD: lambda: set_field(eth_dst=frames.SRC), o.OFPAT_PUSH_PBB: lambda: p.OFPActionPushPbb(0x88e7),
           o.OFPAT_POP_PBB: p.OFPActionPopPbb}
NEEDS = {o.OFPAT_SET_MPLS_TTL: dict(eth_type=0x8847), o.OFPAT_DEC_MPLS_TTL: dict(eth_type=0x8847), o.OFPAT_POP_MPLS: dict(eth_type=0x8847),
         o.OFPAT_POP_VLAN: dict(vlan_vid=(0x1000, 0x1000)), o.OFPAT_POP_PBB: dict(eth_type=0x88e7),
         o.OFPAT_SET_NW_TTL: dict(eth_type=0x800), o.OFPAT_DEC_NW_TTL: dict(eth_type=0x800),
         o.OFPAT_COPY_TTL_IN: dict(eth_type=0x8847), o.OFPAT_COPY_TTL_OUT: dict(eth_type=0x8847)}


def reported_actions(b, kind, make, miss):
    """Every action that is named is taken, and comes back in the statistics as it was given."""
    b.c.ok(p.OFPGroupMod(DP, o.OFPGC_ADD, o.OFPGT_ALL, 1, [p.OFPBucket(actions=[out(2)])]))
    for t in describe(b.c):
        got = t.ids(kind)
        equal(got, [0] + list(range(11, 13)) + list(range(15, 28)), 'actions of table %d' % t.table)
        if t.table not in (0, 1, 253):
            continue
        for a in got:
            fields = {} if miss else NEEDS.get(a, {})
            if miss and a in NEEDS:
                continue  # needs what an entry without a match can't ask for
            f = flow([make(ACTIONS[a]())], table=t.table, priority=0 if miss else 1000, **fields)
            b.c.ok(f)
            entry, = b.c.flows()
            equal(str(entry.instructions[0].actions), str(f.instructions[0].actions), 'actions of the entry')
            b.c.ok(delete())


add('320.320 320.540', reported_actions, o.OFPTFPT_WRITE_ACTIONS, write, False)
add('320.330 320.500', reported_actions, o.OFPTFPT_WRITE_ACTIONS, write, True)
add('320.340 320.510', reported_actions, o.OFPTFPT_APPLY_ACTIONS, apply, False)
add('320.350 320.520', reported_actions, o.OFPTFPT_APPLY_ACTIONS, apply, True)

IP, IP6, ARP, MPLS, PBB = (dict(eth_type=t) for t in (0x800, 0x86dd, 0x806, 0x8847, 0x88e7))
ND = dict(IP6, ip_proto=58, icmpv6_type=135)
NA = dict(IP6, ip_proto=58, icmpv6_type=136)
FIELDS = {  # name: value and prerequisites, in the order of their numbers
    'in_port': (1, {}), 'in_phy_port': (1, dict(in_port=1)), 'metadata': (5, {}), 'eth_dst': (frames.DST, {}),
    'eth_src': (frames.SRC, {}), 'eth_type': (0x88cc, {}), 'vlan_vid': (0x1005, {}), 'vlan_pcp': (3, dict(vlan_vid=0x1005)),
    'ip_dscp': (10, IP), 'ip_ecn': (2, IP), 'ip_proto': (6, IP), 'ipv4_src': ('10.0.0.1', IP), 'ipv4_dst': ('10.0.0.2', IP),
    'tcp_src': (1, dict(IP, ip_proto=6)), 'tcp_dst': (2, dict(IP, ip_proto=6)), 'udp_src': (3, dict(IP, ip_proto=17)),
    'udp_dst': (4, dict(IP, ip_proto=17)), 'sctp_src': (5, dict(IP, ip_proto=132)), 'sctp_dst': (6, dict(IP, ip_proto=132)),
    'icmpv4_type': (8, dict(IP, ip_proto=1)), 'icmpv4_code': (1, dict(IP, ip_proto=1)), 'arp_op': (1, ARP),
    'arp_spa': ('10.0.0.1', ARP), 'arp_tpa': ('10.0.0.2', ARP), 'arp_sha': (frames.SRC, ARP), 'arp_tha': (frames.DST, ARP),
    'ipv6_src': ('2001:db8::1', IP6), 'ipv6_dst': ('2001:db8::2', IP6), 'ipv6_flabel': (77, IP6),
    'icmpv6_type': (128, dict(IP6, ip_proto=58)), 'icmpv6_code': (1, dict(IP6, ip_proto=58)), 'ipv6_nd_target': ('2001:db8::3', ND),
    'ipv6_nd_sll': (frames.SRC, ND), 'ipv6_nd_tll': (frames.DST, NA), 'mpls_label': (100, MPLS), 'mpls_tc': (3, MPLS),
    'mpls_bos': (1, MPLS), 'pbb_isid': (1000, PBB), 'tunnel_id': (9, {}), 'ipv6_exthdr': (0x10, IP6), 'pbb_uca': (1, PBB)}


def name_of(header):
    """The name of a field of OpenFlow's basic class by its OXM id, whatever its mask bit."""
    names = list(FIELDS)  # 0 to 39 as they are numbered, then 41
    n = header >> 9 & 0x7f
    return names[n if n < 40 else n - 1] if header >> 16 == 0x8000 and n != 40 and n <= 41 else 'field %d' % n


def reported_fields(b, kind, make, miss):
    """Every field that is named can be set, in three tables; the entry is as it was given."""
    for t in describe(b.c):
        if t.table not in (0, 1, 253):
            continue
        headers = t.oxms(kind)
        true(len(headers) >= 34, 'only %d fields' % len(headers))
        for header in headers:
            name = name_of(header)
            if name not in FIELDS:
                raise Failed('unknown field %#x' % header)
            value, needs = FIELDS[name]
            if miss and needs:
                continue  # its prerequisite can't stand in an entry without a match
            if name == 'pbb_uca':
                continue  # os-ken has no name for it
            f = flow([make(set_field(**{name: value}))], table=t.table, priority=0 if miss else 1000, **({} if miss else needs))
            b.c.ok(f)
            entry, = b.c.flows()
            action = entry.instructions[0].actions[0]
            equal((action.key, action.value), (name, value), 'set-field of the entry')
            b.c.ok(delete())


add('320.380 330.30', reported_fields, o.OFPTFPT_WRITE_SETFIELD, write, False)
add('320.390 330.40', reported_fields, o.OFPTFPT_WRITE_SETFIELD, write, True)
add('320.400 330.50', reported_fields, o.OFPTFPT_APPLY_SETFIELD, apply, False)
add('320.410 330.60', reported_fields, o.OFPTFPT_APPLY_SETFIELD, apply, True)


@case('320.360 320.370 330.20 330.70 330.80')
def reported_matches(b):
    """Every field that is named can be matched, and every wildcard left out; the entry is as it was given."""
    for t in describe(b.c):
        match, wild = t.oxms(o.OFPTFPT_MATCH), t.oxms(o.OFPTFPT_WILDCARDS)
        equal({h & ~0x1ff for h in wild} <= {h & ~0x1ff for h in match}, True, 'wildcards are match fields')
        true(not any(h & 0x100 for h in wild), 'a wildcard with a mask')
        if t.table not in (0, 1, 253):
            continue
        for header in match:
            name = name_of(header)
            if name not in FIELDS:
                raise Failed('unknown field %#x' % header)
            if name == 'pbb_uca':
                continue
            value, needs = FIELDS[name]
            b.c.ok(flow([apply(out(2))], table=t.table, **dict(needs, **{name: value})))
            entry, = b.c.flows()
            equal(dict(entry.match.items()), dict(needs, **{name: value}), 'match of the entry')
            b.c.ok(delete())
        b.c.ok(flow([apply(out(2))], table=t.table))
        equal(list(b.c.flows()[0].match.items()), [], 'match of an entry that leaves out every field')
        b.c.ok(delete())


@case('320.420 320.430 320.170', na='the switch has no experimenter property, which is how one is disabled')
def no_experimenter_property(b):
    for t in describe(b.c):
        equal([k for k in t.properties if k >= 0xfffe], [], 'experimenter properties')


# ---------------------------------------------------------------- changes


@case('320.70 150.50 430.550 260.420', bench=False)
def tables_can_be_taken_away(lab):
    """A request's tables are the pipeline afterwards; what was taken from a table is refused there, with the exact error."""
    with own_bench() as b:
        tables = describe(b.c)[:3]
        tables[1].properties[o.OFPTFPT_INSTRUCTIONS] = struct.pack('!HHHH', o.OFPIT_GOTO_TABLE, 4, o.OFPIT_APPLY_ACTIONS, 4)
        tables[1].properties[o.OFPTFPT_NEXT_TABLES] = bytes([2])
        tables[0].properties[o.OFPTFPT_NEXT_TABLES] = bytes([1])
        tables[2].properties[o.OFPTFPT_NEXT_TABLES] = b''
        got = change(b.c, tables)
        equal([t.table for t in got], [0, 1, 2], 'tables')
        equal(got[1].ids(o.OFPTFPT_INSTRUCTIONS), [1, 4], 'instructions')
        for i in (write(out(2)), clear(), p.OFPInstructionWriteMetadata(1, 1)):
            b.c.refused(flow([i], table=1), o.OFPET_BAD_INSTRUCTION, o.OFPBIC_UNSUP_INST)
        b.c.refused(flow([goto(2)]), o.OFPET_BAD_INSTRUCTION, o.OFPBIC_BAD_TABLE_ID)
        b.c.refused(flow([], table=3), o.OFPET_FLOW_MOD_FAILED, o.OFPFMFC_BAD_TABLE_ID)
        b.c.ok(flow([goto(1)]), flow([apply(out(2)), goto(2)], table=1), flow([write(out(3))], table=2))
        b.check((1, TCP), {2: [TCP], 3: [TCP]})


@case('320.160', bench=False)
def miss_can_be_left_out(lab):
    """With a property of its own a table-miss entry may do less; without, it may do what any entry may."""
    with own_bench() as b:
        plain = describe(b.c)
        less = describe(b.c)
        less[0].properties[o.OFPTFPT_APPLY_ACTIONS_MISS] = struct.pack('!HH', o.OFPAT_OUTPUT, 4)
        got = change(b.c, less)
        equal(got[0].ids(o.OFPTFPT_APPLY_ACTIONS_MISS), [o.OFPAT_OUTPUT], 'actions of a table-miss entry')
        pop = [apply(p.OFPActionPushVlan(0x8100), out(2))]
        b.c.refused(flow(pop, priority=0), o.OFPET_BAD_ACTION, o.OFPBAC_BAD_TYPE)
        b.c.ok(flow(pop, priority=1))
        got = change(b.c, plain)
        true(o.OFPTFPT_APPLY_ACTIONS_MISS not in got[0].properties, 'the property stays')
        b.c.ok(flow(pop, priority=0))


@case('320.180')
def match_must_be_given(b):
    """A description without what can be matched is refused, and the pipeline stays."""
    tables = describe(b.c)
    before = [t.pack() for t in tables]
    del tables[0].properties[o.OFPTFPT_MATCH]
    body = tables[0].pack()
    b.c.refused(raw(o.OFPT_MULTIPART_REQUEST, struct.pack('!HHI', o.OFPMP_TABLE_FEATURES, 0, 0) + body),
                o.OFPET_TABLE_FEATURES_FAILED, o.OFPTFFC_BAD_ARGUMENT)
    equal([t.pack() for t in describe(b.c)], before, 'tables')


@case('320.200 320.260', bench=False)
def tables_have_names(lab):
    with own_bench() as b:
        tables = describe(b.c)
        for name in (b'x', b'a longer name, of 31 characters', bytes(range(65, 65 + 31)) + b'\0'):
            tables[2].name = name.ljust(32, b'\0')
            got = change(b.c, tables)
            equal(got[2].name, name.ljust(32, b'\0'), 'name')
            equal([t.name for t in got if t.table != 2], [t.name for t in tables if t.table != 2], "the others' names")


@case('330.110', bench=False)
def max_entries_is_read_only(lab):
    """A request's other value changes nothing."""
    with own_bench() as b:
        tables = describe(b.c)
        was = tables[0].max
        tables[0].max = was + 5
        tables[1].max = 1
        got = change(b.c, tables)
        equal([t.max for t in got], [was] * len(got), 'max_entries')
        b.c.ok(flow([], table=1, in_port=1), flow([], table=1, in_port=2))


@case('300.280', bench=False)
def request_too_long(lab):
    """A request in pieces may be as long as the switch keeps; past that, the error of its own."""
    with own_bench() as b:
        piece = b''.join(t.pack() for t in describe(b.c)[:45])
        header = struct.pack('!HHI', o.OFPMP_TABLE_FEATURES, o.OFPMPF_REQ_MORE, 0)
        for _ in range(2000):
            b.c.send(raw(o.OFPT_MULTIPART_REQUEST, header + piece), xid=0x77777)
            m = b.c.get(lambda m: m.xid == 0x77777, timeout=0, optional=True)
            if m:
                break
        m = m or b.c.get(lambda m: m.xid == 0x77777)
        equal((m.msg_type, m.type, m.code), (o.OFPT_ERROR, o.OFPET_BAD_REQUEST, o.OFPBRC_MULTIPART_BUFFER_OVERFLOW), 'error')
        b.c.barrier()
        equal(len(describe(b.c)), 254, 'tables')

"""Table features bind: what a controller takes from a table is refused from then on, what it leaves is taken."""

import os
import struct

import pytest
from lab import Switch, wait_for
from osken_client import Client, Refused

VERSIONS = ['1.3', '1.4', '1.5']


@pytest.fixture
def start(lab):
    def made(version, *args, hosts=0):
        sw, hosts = lab.star(hosts)
        switch = Switch(lab, sw, '--fail-mode', 'secure', '--protocol', version, *args,
                        ports=['%d=s%d' % (h.n, h.n) for h in hosts])
        return switch, Client(switch.of_socket, version), hosts
    return made


class Tables:
    """Table features of one client, in terms of its version."""

    def __init__(self, client):
        self.c, self.p, self.o = client, client.parser, client.ofp

    def get(self):
        return self.set()

    def set(self, *tables):
        """The pipeline after the request, {table id: features}: tables past 3 aren't read (None), os-ken takes long."""
        pipeline = {}
        for part in self.c.parts(self.p.OFPTableFeaturesStatsRequest(self.c.dp, 0, list(tables))):
            at = 16
            while at < len(part):
                length, table = struct.unpack_from('!HB', part, at)
                pipeline[table] = self.p.OFPTableFeaturesStats.parser(part, at) if table < 4 else None
                at += length
        return pipeline

    def lists(self, table):
        """{property type: what it lists} of a table."""
        out = {}
        for p in table.properties:
            for name, key in (('instruction_ids', lambda i: i.type), ('action_ids', lambda i: i.type),
                              ('table_ids', int), ('oxm_ids', lambda i: i.type)):
                if hasattr(p, name):
                    out[p.type] = sorted(key(i) for i in getattr(p, name))
        return out

    def narrow(self, table, config=None):
        """The table, restricted in every way that there is."""
        o, p = self.o, self.p

        def oxm(*names, mask=()):
            return [p.OFPOxmId(n, hasmask=n in mask) for n in names]
        match = oxm('in_port', 'eth_dst', 'ipv4_dst', 'metadata', mask=['eth_dst', 'metadata'])
        instructions = [o.OFPIT_GOTO_TABLE, o.OFPIT_WRITE_METADATA, o.OFPIT_APPLY_ACTIONS]
        table.name = b'narrow'
        table.metadata_match, table.metadata_write = 0xff, 0xf0
        table.properties = [
            p.OFPTableFeaturePropInstructions(o.OFPTFPT_INSTRUCTIONS, instruction_ids=[p.OFPInstructionId(i) for i in instructions]),
            p.OFPTableFeaturePropInstructions(o.OFPTFPT_INSTRUCTIONS_MISS, instruction_ids=[p.OFPInstructionId(o.OFPIT_GOTO_TABLE)]),
            p.OFPTableFeaturePropNextTables(o.OFPTFPT_NEXT_TABLES, table_ids=[3]),
            p.OFPTableFeaturePropNextTables(o.OFPTFPT_NEXT_TABLES_MISS, table_ids=[2]),
            p.OFPTableFeaturePropActions(o.OFPTFPT_APPLY_ACTIONS, action_ids=[
                p.OFPActionId(i) for i in (o.OFPAT_OUTPUT, o.OFPAT_SET_FIELD, o.OFPAT_POP_VLAN)]),
            p.OFPTableFeaturePropActions(o.OFPTFPT_WRITE_ACTIONS, action_ids=[]),
            p.OFPTableFeaturePropOxm(o.OFPTFPT_MATCH, oxm_ids=match),
            # Repeats the match list, masks and all, but for in_port: that has to be in every match.
            p.OFPTableFeaturePropOxm(o.OFPTFPT_WILDCARDS, oxm_ids=match[1:]),
            p.OFPTableFeaturePropOxm(o.OFPTFPT_APPLY_SETFIELD, oxm_ids=oxm('eth_src')),
            p.OFPTableFeaturePropOxm(o.OFPTFPT_WRITE_SETFIELD, oxm_ids=[]),
        ]
        if o.OFP_VERSION == 6:
            table.command = o.OFPTFC_MODIFY
            table.properties.append(p.OFPTableFeaturePropOxm(o.OFPTFPT_APPLY_COPYFIELD, oxm_ids=oxm('eth_dst')))
        return table

    def four(self):
        """Tables 0 to 3, which lead only to each other: more don't fit one message."""
        tables = self.get()
        for n in range(4):
            for p in tables[n].properties:
                if p.type == self.o.OFPTFPT_NEXT_TABLES:
                    p.table_ids = [t for t in p.table_ids if t < 4]
                if hasattr(p, 'oxm_ids'):
                    # os-ken can't write the ids of experimenters' fields.
                    p.oxm_ids = [i for i in p.oxm_ids if type(i).__name__ == 'OFPOxmId']
        return [tables[n] for n in range(4)]


def flow(c, table, instructions, priority=5, **match):
    return c.parser.OFPFlowMod(c.dp, table_id=table, priority=priority, match=c.parser.OFPMatch(**match), instructions=instructions)


def apply(c, *actions):
    return [c.parser.OFPInstructionActions(c.ofp.OFPIT_APPLY_ACTIONS, list(actions))]


@pytest.mark.parametrize('version', VERSIONS)
def test_what_was_taken_away_is_refused(start, version):
    switch, c, _ = start(version)
    o, p, tables = c.ofp, c.parser, Tables(c)
    assert c.error(flow(c, 1, apply(c, p.OFPActionOutput(1)), eth_src='02:00:00:00:00:01')) is None
    assert c.error(flow(c, 0, apply(c, p.OFPActionOutput(1)), eth_src='02:00:00:00:00:01')) is None
    four = tables.four()
    now = tables.set(tables.narrow(four[1])) if version == '1.5' else tables.set(four[0], tables.narrow(four[1]), *four[2:])
    # Before 1.5 what isn't listed leaves the pipeline.
    assert sorted(now) == (list(range(254)) if version == '1.5' else [0, 1, 2, 3])
    for seen in (now, tables.get()):
        assert tables.lists(seen[1]) == tables.lists(four[1])
        assert (seen[1].name, seen[1].metadata_match, seen[1].metadata_write) == (b'narrow', 0xff, 0xf0)
        assert seen[1].max_entries == four[1].max_entries > 0
    # The changed table's flows are gone, nobody else's.
    left = {s.table_id for s in c.ask(getattr(p, 'OFPFlowDescStatsRequest', p.OFPFlowStatsRequest)(
        c.dp, 0, o.OFPTT_ALL, o.OFPP_ANY, o.OFPG_ANY, 0, 0, p.OFPMatch())).body}
    assert left == ({0} if version == '1.5' else left - {1})
    out, mac, src = p.OFPActionOutput(1), '02:00:00:00:00:01', p.OFPActionSetField(eth_src='02:00:00:00:00:09')
    ip = {'eth_type': 0x800, 'ipv4_dst': '10.0.0.1'}
    match, action, instruction = o.OFPET_BAD_MATCH, o.OFPET_BAD_ACTION, o.OFPET_BAD_INSTRUCTION
    one = {'in_port': 1}
    cases = [
        # Matches.
        (apply(c, out), {**one, 'eth_dst': mac}, None),
        (apply(c, out), {**one, 'eth_dst': (mac, 'ff:ff:ff:00:00:00')}, None),
        (apply(c, out), {**one, **ip}, None),
        (apply(c, out), {**one, 'metadata': (1, 0x0f)}, None),
        (apply(c, out), {**one, 'eth_src': mac}, (match, o.OFPBMC_BAD_FIELD)),
        (apply(c, out), {**one, 'eth_type': 0x800}, (match, o.OFPBMC_BAD_FIELD)),
        (apply(c, out), {**one, 'eth_type': 0x800, 'ipv4_src': '10.0.0.1'}, (match, o.OFPBMC_BAD_FIELD)),
        (apply(c, out), {**one, 'eth_type': 0x800, 'ipv4_dst': ('10.0.0.0', '255.0.0.0')}, (match, o.OFPBMC_BAD_MASK)),
        (apply(c, out), {**one, 'metadata': (0x100, 0xf00)}, (match, o.OFPBMC_BAD_MASK)),
        (apply(c, out), {'eth_dst': mac}, (match, o.OFPBMC_BAD_WILDCARDS)),
        # Instructions.
        ([p.OFPInstructionWriteMetadata(0x10, 0x30)], one, None),
        ([p.OFPInstructionWriteMetadata(0x1, 0x1)], one, (instruction, o.OFPBIC_UNSUP_METADATA)),
        ([p.OFPInstructionWriteMetadata(0x10, 0x11)], one, (instruction, o.OFPBIC_UNSUP_METADATA_MASK)),
        ([p.OFPInstructionActions(o.OFPIT_CLEAR_ACTIONS, [])], one, (instruction, o.OFPBIC_UNSUP_INST)),
        ([p.OFPInstructionActions(o.OFPIT_WRITE_ACTIONS, [out])], one, (instruction, o.OFPBIC_UNSUP_INST)),
        # Next tables.
        ([p.OFPInstructionGotoTable(3)], one, None),
        ([p.OFPInstructionGotoTable(2)], one, (instruction, o.OFPBIC_BAD_TABLE_ID)),
        # Actions.
        (apply(c, src, out), one, None),
        (apply(c, p.OFPActionPopVlan(), out), one, None),
        (apply(c, p.OFPActionPushVlan()), one, (action, o.OFPBAC_BAD_TYPE)),
        (apply(c, p.OFPActionSetField(eth_dst=mac)), one, (action, o.OFPBAC_BAD_SET_TYPE)),
    ]
    if version == '1.5':
        copy = p.OFPActionCopyField(48, 0, 0, [p.OFPOxmId('eth_src'), p.OFPOxmId('eth_dst')])
        back = p.OFPActionCopyField(48, 0, 0, [p.OFPOxmId('eth_dst'), p.OFPOxmId('eth_src')])
        cases += [
            (apply(c, copy, out), one, (action, o.OFPBAC_BAD_TYPE)),
            (apply(c, p.OFPActionSetField(eth_src=('02:00:00:00:00:00', 'ff:ff:ff:00:00:00'))), one, (action, o.OFPBAC_BAD_SET_MASK)),
        ]
    for instructions, fields, expected in cases:
        assert c.error(flow(c, 1, instructions, **fields)) == expected, (fields, instructions)
        # Table 0 takes them all, as before.
        assert c.error(flow(c, 0, instructions, **fields)) is None, (fields, instructions)
    # The table-miss entry goes by its own lists.
    assert c.error(flow(c, 1, [p.OFPInstructionGotoTable(2)], 0)) is None
    assert c.error(flow(c, 1, [p.OFPInstructionGotoTable(3)], 0)) == (instruction, o.OFPBIC_BAD_TABLE_ID)
    assert c.error(flow(c, 1, apply(c, out), 0)) == (instruction, o.OFPBIC_UNSUP_INST)
    if version == '1.5':
        # With copy-field in its list the table copies, to where it may.
        table = tables.narrow(tables.get()[1])
        next(q for q in table.properties if q.type == o.OFPTFPT_APPLY_ACTIONS).action_ids.append(p.OFPActionId(o.OFPAT_COPY_FIELD))
        tables.set(table)
        assert c.error(flow(c, 1, apply(c, copy, out), **one)) is None
        assert c.error(flow(c, 1, apply(c, back, out), **one)) == (action, o.OFPBAC_BAD_SET_TYPE)


@pytest.mark.parametrize('version', VERSIONS)
def test_what_is_more_than_the_table_can_is_refused_and_changes_nothing(start, version):
    switch, c, _ = start(version)
    o, p, tables = c.ofp, c.parser, Tables(c)
    bad = {'1.3': (o.OFPET_TABLE_FEATURES_FAILED, 4)}.get(version, (14, 2))  # BAD_ARGUMENT; BAD_PROPERTY, BAD_VALUE
    kept = [tables.lists(t) for t in tables.four()]

    def change(edit):
        four = tables.four()
        edit(tables.narrow(four[2]))
        with pytest.raises(Refused) as refused:
            tables.set(*(four[2:3] if version == '1.5' else four))
        assert refused.value.error == bad
        assert [tables.lists(t) for t in tables.four()] == kept
        assert len(tables.get()) == 254

    def of(table, kind):
        return next(q for q in table.properties if q.type == kind)

    change(lambda t: of(t, o.OFPTFPT_NEXT_TABLES).table_ids.append(1))
    change(lambda t: of(t, o.OFPTFPT_APPLY_ACTIONS).action_ids.append(p.OFPActionId(5)))
    change(lambda t: of(t, o.OFPTFPT_INSTRUCTIONS).instruction_ids.append(p.OFPInstructionId(9)))
    change(lambda t: of(t, o.OFPTFPT_APPLY_SETFIELD).oxm_ids.append(p.OFPOxmId('in_port')))
    change(lambda t: of(t, o.OFPTFPT_MATCH).oxm_ids.append(p.OFPOxmId('eth_type', hasmask=True)))


@pytest.mark.parametrize('version', VERSIONS)
def test_traffic_goes_through_a_narrowed_table(start, version):
    switch, c, hosts = start(version, hosts=2)
    p, tables = c.parser, Tables(c)
    four = tables.four()
    tables.set(*([tables.narrow(four[1])] if version == '1.5' else [four[0], tables.narrow(four[1]), *four[2:]]))
    assert c.error(flow(c, 0, [p.OFPInstructionGotoTable(1)], 0)) is None
    assert c.error(flow(c, 1, [p.OFPInstructionGotoTable(2)], 0)) is None
    for a, b in ((1, 2), (2, 1)):
        assert c.error(flow(c, 1, apply(c, p.OFPActionOutput(b)), in_port=a, eth_dst='02:00:00:00:00:%02x' % b)) is None
    # ARP's broadcasts miss table 1 and go on to where misses go.
    assert c.error(flow(c, 2, apply(c, p.OFPActionOutput(c.ofp.OFPP_FLOOD)), 0)) is None
    wait_for('answers', lambda: hosts[0].ping(hosts[1]) == 3, 30)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_table_holds_what_it_says_and_no_more(start, version):
    """max_entries is read-only (1.5: asking for more is an error), and it is true."""
    switch, c, _ = start(version)
    o, p, tables = c.ofp, c.parser, Tables(c)
    four = tables.four()
    said, four[1].max_entries = four[1].max_entries, 7
    four[1].properties = [q for q in four[1].properties if q.type != o.OFPTFPT_WRITE_ACTIONS]
    if version == '1.5':
        four[1].command = o.OFPTFC_MODIFY
    now = tables.set(*(four[1:2] if version == '1.5' else four))
    assert now[1].max_entries == said
    if version == '1.5':
        four[1].max_entries = said + 1
        with pytest.raises(Refused) as refused:
            tables.set(four[1])
        assert refused.value.error == (o.OFPET_TABLE_FEATURES_FAILED, 7)
    for port in range(1, 21):
        assert c.error(flow(c, 1, [], in_port=port)) is None


@pytest.mark.parametrize('version', VERSIONS)
def test_a_restart_keeps_them(lab, version):
    ns, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    os.makedirs(state)

    def begin():
        switch = Switch(lab, ns, '--fail-mode', 'secure', '--protocol', version, '--state', state)
        return switch, Client(switch.of_socket, version)

    switch, c = begin()
    tables, mac = Tables(c), '02:00:00:00:00:01'
    four = tables.four()
    tables.set(*([tables.narrow(four[1])] if version == '1.5' else [four[0], tables.narrow(four[1]), *four[2:]]))
    assert c.error(flow(c, 1, apply(c, c.parser.OFPActionOutput(1)), in_port=1, eth_dst=mac)) is None
    before = {n: f and (f.name, f.metadata_match, f.max_entries, tables.lists(f)) for n, f in tables.get().items()}
    flows = [line for line in switch.ofctl('dump-flows').splitlines() if 'priority=5' in line]
    assert len(flows) == 1 and len(before) == (254 if version == '1.5' else 4)
    assert switch.stop() == 0
    switch, c = begin()
    tables = Tables(c)
    assert {n: f and (f.name, f.metadata_match, f.max_entries, tables.lists(f)) for n, f in tables.get().items()} == before
    assert len([line for line in switch.ofctl('dump-flows').splitlines() if 'priority=5' in line]) == 1
    refused = (c.ofp.OFPET_BAD_MATCH, c.ofp.OFPBMC_BAD_WILDCARDS)
    assert c.error(flow(c, 1, apply(c, c.parser.OFPActionOutput(1)), eth_dst=mac)) == refused

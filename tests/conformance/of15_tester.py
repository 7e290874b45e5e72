"""os-ken's switch tester, made to speak OpenFlow 1.5 to the switch under test.

The tester was written for 1.0 to 1.4; its other side, the tester switch, stays with 1.4. `install` puts in
place from outside:

  - os-ken's reading of buckets, group descriptions and copy-field, which takes what follows for a part of them;
  - requests that 1.5 renamed: flow descriptions, meter descriptions;
  - a stricter look at what was installed: os-ken compares only the type of a group, here its buckets are
    compared too, kept in a model that knows inserting and removing;
  - the OXS statistics: each test's packet has to be counted, with its bytes, by exactly one flow of table 0,
    alike in flow descriptions and flow statistics, and by none of a table that it missed;
  - the match of a packet-in has to hold the port that the packet came by;
  - table features before a test, packet-outs in place of a frame (see of15_patterns).
"""

import json

from os_ken.controller import handler, ofp_event
from os_ken.controller.handler import set_ev_cls
from os_ken.ofproto import ofproto_parser
from os_ken.ofproto import ofproto_v1_5 as ofp
from os_ken.ofproto import ofproto_v1_5_parser as parser
import struct

FEATURES = 'OFPTableFeaturesStatsRequest'
PORT_IN = 1
EVERY_BIT = 0xffffffffffffffff


def read_rightly():
    """os-ken 4.2 reads past the end of these structures; the layouts are OpenFlow 1.5.1's."""
    def listed(array, item):
        things = []
        while array:
            one = item.parser(array, 0)
            things.append(one)
            array = array[one.len:]
        return things

    def properties(rest, kind):
        props = []
        while rest:
            prop, rest = kind.parse(rest)
            props.append(prop)
        return props

    def bucket(cls, buf, offset):
        msg = cls()
        msg.len, msg.action_array_len, msg.bucket_id = struct.unpack_from(ofp.OFP_BUCKET_PACK_STR, buf, offset)
        body = buf[offset + ofp.OFP_BUCKET_SIZE:offset + msg.len]
        msg.actions = listed(body[:msg.action_array_len], parser.OFPAction)
        msg.properties = properties(body[msg.action_array_len:], parser.OFPGroupBucketProp)
        return msg

    def group_desc(cls, buf, offset):
        stats = cls()
        stats.length, stats.type, stats.group_id, stats.bucket_array_len = struct.unpack_from(
            ofp.OFP_GROUP_DESC_STATS_PACK_STR, buf, offset)
        body = buf[offset + ofp.OFP_GROUP_DESC_STATS_SIZE:offset + stats.length]
        stats.buckets = listed(body[:stats.bucket_array_len], parser.OFPBucket)
        stats.properties = properties(body[stats.bucket_array_len:], parser.OFPGroupProp)
        return stats

    def copy_field(cls, buf, offset):
        type_, length, n_bits, src, dst = struct.unpack_from(ofp.OFP_ACTION_COPY_FIELD_PACK_STR, buf, offset)
        rest = buf[offset + ofp.OFP_ACTION_COPY_FIELD_SIZE:offset + length]
        ids = []
        for _ in range(2):
            one, rest = parser.OFPOxmId.parse(rest)
            ids.append(one)
        out = cls(n_bits, src, dst, ids)
        out.len = length
        return out

    parser.OFPBucket.parser = classmethod(bucket)
    parser.OFPGroupDescStats.parser = classmethod(group_desc)
    parser.OFPActionCopyField.parser = classmethod(copy_field)


def plain(value):
    """A part of a message as data, without what is only the length of it."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, 'to_jsondict'):
        value = value.to_jsondict()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ('len', 'length', 'action_array_len', 'hasmask')}
    return value


class Groups:
    """What the groups of the switch under test have to be like after the group-mods of a test."""

    def __init__(self):
        self.buckets = {}

    def apply(self, mod):
        """The group's expected buckets once `mod` is carried out."""
        have, at = self.buckets.get(mod.group_id, []), mod.command_bucket_id
        ids = [b.bucket_id for b in have]
        if mod.command in (ofp.OFPGC_ADD, ofp.OFPGC_MODIFY):
            have = list(mod.buckets)
        elif mod.command == ofp.OFPGC_INSERT_BUCKET:
            place = {ofp.OFPG_BUCKET_FIRST: 0, ofp.OFPG_BUCKET_LAST: len(have)}.get(at)
            place = ids.index(at) + 1 if place is None else place
            have = have[:place] + list(mod.buckets) + have[place:]
        elif mod.command == ofp.OFPGC_REMOVE_BUCKET:
            gone = {ofp.OFPG_BUCKET_ALL: ids, ofp.OFPG_BUCKET_FIRST: ids[:1], ofp.OFPG_BUCKET_LAST: ids[-1:]}.get(at, [at])
            have = [b for b in have if b.bucket_id not in gone]
        else:
            raise AssertionError('group command %d in a prerequisite' % mod.command)
        self.buckets[mod.group_id] = have
        return have


def table_features(table_id, features):
    """An OFPTFC_MODIFY request for one table that changes its feature bits alone."""
    def message(dp):
        stats = parser.OFPTableFeaturesStats(
            table_id=table_id, command=ofp.OFPTFC_MODIFY, features=features, name=b'table%d' % table_id,
            metadata_match=EVERY_BIT, metadata_write=EVERY_BIT, capabilities=0, max_entries=0, properties=[])
        return parser.OFPTableFeaturesStatsRequest(dp, 0, [stats])
    return message


def install(tester):
    """Adapts the module os_ken.tests.switch.tester; the target's version has to be openflow15."""
    read_rightly()
    sut, app = tester.OpenFlowSw, tester.OfTester

    def is_15(sw):
        return sw.dp.ofproto.OFP_VERSION == ofp.OFP_VERSION

    # --- Requests that have another name in 1.5.

    def send_flow_stats(self, _plain=sut.send_flow_stats):
        if not is_15(self):
            return _plain(self)
        return self.send_msg(parser.OFPFlowDescStatsRequest(
            self.dp, 0, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, 0, 0, parser.OFPMatch()))

    def send_meter_config_stats(self, _plain=sut.send_meter_config_stats):
        return self.send_msg(parser.OFPMeterDescStatsRequest(self.dp)) if is_15(self) else _plain(self)

    @set_ev_cls([ofp_event.EventOFPFlowDescStatsReply, ofp_event.EventOFPMeterDescStatsReply,
                 ofp_event.EventOFPTableFeaturesStatsReply], handler.MAIN_DISPATCHER)
    def of15_reply_handler(self, ev):
        if self.waiter and ev.msg.xid in self.send_msg_xids and self.state not in (
                tester.STATE_FLOW_INSTALL, tester.STATE_FLOW_MATCH_CHK):
            self.rcv_msgs.append(ev.msg)
            if not ev.msg.flags:
                self.waiter.set()
                tester.hub.sleep(0)

    # --- What was installed.

    def flow_as_asked(stats, mod):
        for name in ('cookie', 'priority', 'hard_timeout', 'idle_timeout', 'table_id'):
            if getattr(stats, name) != getattr(mod, name):
                return False
        instructions = [sorted((plain(i) for i in x.instructions), key=json.dumps) for x in (stats, mod)]
        return instructions[0] == instructions[1] and plain(stats.match) == plain(mod.match)

    def exist_check(self, method, message, _plain=app._test_exist_check):
        if not is_15(method.__self__):
            return _plain(self, method, message)
        self.send_msg_xids.append(method())
        self._wait()
        found = [s for msg in self.rcv_msgs for s in msg.body]
        what, ok = 'flows', False
        if isinstance(message, parser.OFPFlowMod):
            ok = any(flow_as_asked(s, message) for s in found)
        elif isinstance(message, parser.OFPMeterMod):
            what = 'meters'
            ok = any(s.flags == message.flags and s.meter_id == message.meter_id and plain(s.bands) == plain(message.bands)
                     for s in found)
        else:
            what, buckets = 'groups', plain(self.conf_groups.apply(message))
            ok = any(s.type == message.type and s.group_id == message.group_id and plain(s.buckets) == buckets
                     for s in found)
        if not ok:
            raise tester.TestFailure(self.state, **{what: 'asked %s, found %s' % (plain(message), plain(found))})

    # --- Statistics.

    def read(self, request):
        self.send_msg_xids, self.rcv_msgs = [], []
        self.state = tester.STATE_FLOW_EXIST_CHK
        self.send_msg_xids.append(self.target_sw.send_msg(request(
            self.target_sw.dp, 0, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, 0, 0, parser.OFPMatch())))
        self._wait()
        return [s for msg in self.rcv_msgs for s in msg.body]

    def counts(self):
        """{table: (packets, bytes)} by the OXS statistics, which have to be alike in both multiparts."""
        out = []
        for request in (parser.OFPFlowDescStatsRequest, parser.OFPFlowStatsRequest):
            tables = {}
            for s in read(self, request):
                for name in ('duration', 'idle_time', 'packet_count', 'byte_count'):
                    if name not in s.stats:
                        raise tester.TestFailure(self.state, flows='no OXS %s in %s' % (name, plain(s)))
                packets, octets = tables.get(s.table_id, (0, 0))
                tables[s.table_id] = (packets + s.stats['packet_count'], octets + s.stats['byte_count'])
            out.append(tables)
        if out[0] != out[1]:
            raise tester.TestFailure(self.state, flows='descriptions count %s, statistics %s' % tuple(out))
        return out[0]

    def check_counts(self, pkt, missed):
        before, after = self.conf_before, counts(self)
        entered = 'conf_packet_out' not in pkt or any(
            getattr(a, 'port', None) == ofp.OFPP_TABLE for a in pkt['conf_packet_out'].actions)
        for table in {0} | set(missed):
            packets, octets = (a - b for a, b in zip(after.get(table, (0, 0)), before.get(table, (0, 0))))
            want = (0, 0) if table in missed or not entered else (1, len(pkt[tester.KEY_INGRESS]))
            if (packets, octets) != want:
                raise tester.TestFailure(self.state, flows='table %d counted %s, not %s packets and bytes' % (
                    table, (packets, octets), want))

    def matching_check(self, pkt, _plain=app._test_flow_matching_check):
        result = _plain(self, pkt)
        if result == tester.TEST_OK:
            if tester.KEY_PKT_IN in pkt and self.rcv_msgs[0].match.get('in_port') != PORT_IN:
                raise tester.TestFailure(self.state, pkt_type='packet-in', detail='in_port of %s' % self.rcv_msgs[0].match)
            check_counts(self, pkt, ())
        return result

    def unmatching_check(self, before, pkt, _plain=app._test_flow_unmatching_check):
        _plain(self, before, pkt)
        check_counts(self, pkt, pkt[tester.KEY_TBL_MISS])

    def send_one(self, pkt, _plain=app._one_time_packet_send):
        self.conf_before = counts(self)
        self.send_msg_xids = []
        if 'conf_packet_out' in pkt:
            self.send_msg_xids.append(self.target_sw.send_msg(pkt['conf_packet_out']))
        else:
            _plain(self, pkt)

    # --- Patterns beyond the tester's own form.

    def parse_test(cls, buf, _plain=tester.Test._parse_test.__func__):
        buf, outs, features = dict(buf), {}, []
        features = [m[FEATURES] for m in buf[tester.KEY_PREREQ] if FEATURES in m]
        buf[tester.KEY_PREREQ] = [m for m in buf[tester.KEY_PREREQ] if FEATURES not in m]
        buf[tester.KEY_TESTS] = [dict(t) for t in buf[tester.KEY_TESTS]]
        for i, test in enumerate(buf[tester.KEY_TESTS]):
            if isinstance(test[tester.KEY_INGRESS], dict) and 'packet_out' in test[tester.KEY_INGRESS]:
                outs[i] = test[tester.KEY_INGRESS]['packet_out']
                test[tester.KEY_INGRESS] = outs[i]['data']
        description, prerequisite, tests = _plain(cls, buf)
        for i, out in outs.items():
            dp = tester.DummyDatapath(ofp.OFP_VERSION)
            read_json = ofproto_parser.ofp_msg_from_jsondict
            # The actions as a message of their own would have them, for os-ken's reader of JSON.
            flow = read_json(dp, {'OFPFlowMod': {'match': out['match'], 'instructions': [
                {'OFPInstructionActions': {'type': ofp.OFPIT_APPLY_ACTIONS, 'actions': out['actions']}}]}})
            tests[i]['conf_packet_out'] = parser.OFPPacketOut(
                dp, ofp.OFP_NO_BUFFER, flow.match, flow.instructions[0].actions, tests[i][tester.KEY_INGRESS])
        if features:
            tests[0]['conf_features'] = features
        return description, prerequisite, tests

    def set_features(self, table, bits):
        self.send_msg_xids, self.rcv_msgs = [], []
        self.state = tester.STATE_FLOW_EXIST_CHK
        self.send_msg_xids.append(self.target_sw.send_msg(table_features(table, bits)(self.target_sw.dp)))
        usual, tester.WAIT_TIMER = tester.WAIT_TIMER, 60  # os-ken takes a second or more to read 254 tables.
        try:
            self._wait()
        finally:
            tester.WAIT_TIMER = usual
        now = [s.features for msg in self.rcv_msgs for s in msg.body if s.table_id == table]
        if [bool(f & ofp.OFPTFF_FIRST_EGRESS) for f in now] != [bool(bits & ofp.OFPTFF_FIRST_EGRESS)]:
            raise tester.TestFailure(self.state, flows='table %d asked for features %#x has %s' % (table, bits, now))

    def execute(self, test, description, _plain=app._test_execute):
        self.conf_groups = Groups()
        want = {f['table_id']: f['features'] for f in test.tests[0].get('conf_features', ())}
        have = getattr(self, 'conf_features', {})
        if want != have:
            # The plain one waits for the switches; these go out before it.
            while isinstance(self.target_sw.dp, tester.DummyDatapath):
                tester.hub.sleep(0.05)
            self.conf_features = None  # Not known if this fails.
            for table in set(have or ()) - set(want):
                set_features(self, table, have[table] & ~ofp.OFPTFF_FIRST_EGRESS)
            for table, bits in want.items():
                set_features(self, table, bits)
            self.conf_features = want
        return _plain(self, test, description)

    sut.send_flow_stats, sut.send_meter_config_stats = send_flow_stats, send_meter_config_stats
    for f, name in ((send_flow_stats, 'send_flow_stats'), (send_meter_config_stats, 'send_meter_config_stats')):
        f.__name__ = name
    app.of15_reply_handler = of15_reply_handler
    app._test_exist_check = exist_check
    app._test_flow_matching_check = matching_check
    app._test_flow_unmatching_check = unmatching_check
    app._one_time_packet_send = send_one
    app._test_execute = execute
    tester.Test._parse_test = classmethod(parse_test)

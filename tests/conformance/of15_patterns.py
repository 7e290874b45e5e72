"""The tests for what OpenFlow 1.5 added that can't be made out of 1.4's patterns.

`files` gives {path: content} in the form of os-ken's switch tester. Beyond that form (of15_tester reads it):

  - a prerequisite may be an OFPTableFeaturesStatsRequest: it is sent before the flows, and what it
    made an egress table is one no more after the test;
  - an ingress may be {"packet_out": {"match": ..., "actions": [...], "data": [...]}}: the switch
    under test gets the packet in a packet-out instead of by its port 1.
"""

APPLY, WRITE = 4, 3
CONTROLLER, IN_PORT, TABLE, ALL, UNSET = 0xfffffffd, 0xfffffff8, 0xfffffff9, 0xfffffffc, 0xfffffff7
FIRST_EGRESS, EGRESS = 10, 2
INSERT, REMOVE = 3, 5
FIRST, LAST, EVERY = 0xfffffffd, 0xfffffffe, 0xffffffff
GROUP_ALL, SELECT, INDIRECT, FAILOVER = 0, 1, 2, 3
OTHER = 'aa:aa:aa:aa:aa:aa'


def frame(kind='ipv4', eth_src='12:11:11:11:11:11', eth_dst='22:22:22:22:22:22', ip_src=None, ip_dst=None,
          src_port=11111, dst_port=2222, flow_label=100, sha=None, tpa='192.168.20.20', pcp=3):
    """A frame, in layers, as the tester writes it; the arguments are what a test may have changed."""
    tail = ["tcp(dst_port=%d, option=bytes(b'\\x00' * 4), src_port=%d)" % (dst_port, src_port),
            "b'\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08'"]
    ethernet = "ethernet(dst='%s', src='%s', ethertype=%%d)" % (eth_dst, eth_src)
    v4 = "ipv4(tos=32, proto=6, src='%s', dst='%s', ttl=64)" % (ip_src or '192.168.10.10', ip_dst or '192.168.20.20')
    if kind == 'ipv4':
        return [ethernet % 0x800, v4] + tail
    if kind == 'vlan':
        return [ethernet % 0x8100, 'vlan(pcp=%d, cfi=0, vid=100, ethertype=2048)' % pcp, v4] + tail
    if kind == 'ipv6':
        return [ethernet % 0x86dd, "ipv6(dst='%s', flow_label=%d, src='%s', nxt=6, hop_limit=64, traffic_class=32)"
                % (ip_dst or '20::20', flow_label, ip_src or '10::10')] + tail
    assert kind == 'arp'
    return [ethernet % 0x806, "arp(dst_ip='%s', dst_mac='22:22:22:22:22:22', opcode=1, src_ip='192.168.10.10', "
            "src_mac='%s')" % (tpa, sha or '12:11:11:11:11:11'), "bytes(b'\\x00' * (60 - 42))"]


def match(**fields):
    return {'OFPMatch': {'oxm_fields': [{'OXMTlv': {'field': k, 'value': v}} for k, v in fields.items()]}}


def output(port):
    return {'OFPActionOutput': {'port': port, 'max_len': 65535} if port == CONTROLLER else {'port': port}}


def set_field(field, value):
    return {'OFPActionSetField': {'field': {'OXMTlv': {'field': field, 'value': value}}}}


def copy_field(source, target, bits, source_at=0, target_at=0):
    return {'OFPActionCopyField': {
        'n_bits': bits, 'src_offset': source_at, 'dst_offset': target_at,
        'oxm_ids': [{'OFPOxmId': {'type': source}}, {'OFPOxmId': {'type': target}}]}}


def to_group(number):
    return {'OFPActionGroup': {'group_id': number}}


def meter(number):
    return {'OFPActionMeter': {'meter_id': number}}


def apply(*actions):
    return {'OFPInstructionActions': {'type': APPLY, 'actions': list(actions)}}


def write(*actions):
    return {'OFPInstructionActions': {'type': WRITE, 'actions': list(actions)}}


def goto(table):
    return {'OFPInstructionGotoTable': {'table_id': table}}


def metadata(value):
    return {'OFPInstructionWriteMetadata': {'metadata': value, 'metadata_mask': 0xffffffffffffffff}}


def flow(*instructions, table=0, **fields):
    return {'OFPFlowMod': {'table_id': table, 'match': match(**fields), 'instructions': list(instructions)}}


def group(kind, *buckets, number=1, command=0, at=EVERY):
    return {'OFPGroupMod': {'command': command, 'type': kind, 'group_id': number, 'command_bucket_id': at,
                            'buckets': list(buckets)}}


def bucket(number, *actions, weight=None, port=None, watch_group=None):
    properties = []
    if weight is not None:
        properties.append({'OFPGroupBucketPropWeight': {'type': 0, 'weight': weight}})
    if port is not None:
        properties.append({'OFPGroupBucketPropWatch': {'type': 1, 'watch': port}})
    if watch_group is not None:
        properties.append({'OFPGroupBucketPropWatch': {'type': 2, 'watch': watch_group}})
    return {'OFPBucket': {'bucket_id': number, 'actions': list(actions), 'properties': properties}}


def meter_mod(number):
    """A meter that a single packet can't overrun."""
    return {'OFPMeterMod': {'meter_id': number, 'flags': 1, 'bands': [{'OFPMeterBandDrop': {'rate': 1000000}}]}}


def first_egress(table=FIRST_EGRESS):
    """Makes a table the first egress table and leaves all else (OpenFlow 1.5.1 §7.3.5.18, OFPTFC_MODIFY)."""
    return {'OFPTableFeaturesStatsRequest': {'table_id': table, 'features': 1 << 4 | EGRESS}}


def case(description, prerequisite, ingress=None, **result):
    """One test; `result` is egress, PACKET_IN or table_miss."""
    (kind, value), = result.items()
    return {'description': description, 'prerequisite': prerequisite,
            'tests': [{'ingress': ingress or frame(), kind.replace('_miss', '-miss'): value}]}


def packet_out(actions, data=None, **fields):
    return {'packet_out': {'match': match(**fields), 'actions': actions, 'data': data or frame()}}


def copies():
    """Copy-field from header to header (OpenFlow 1.5.1 §7.2.6.8)."""
    whole = [
        ('eth_src->eth_dst', 'ipv4', [copy_field('eth_src', 'eth_dst', 48)], {}, {'eth_dst': '12:11:11:11:11:11'}),
        ('eth_src[0..15]->eth_dst[16..31]', 'ipv6', [copy_field('eth_src', 'eth_dst', 16, 0, 16)], {},
         {'eth_dst': '22:22:11:11:22:22'}),
        ('eth_src[40..47]->eth_dst[0..7]', 'arp', [copy_field('eth_src', 'eth_dst', 8, 40, 0)], {},
         {'eth_dst': '22:22:22:22:22:12'}),
        ('eth_src[16..47]->eth_src[0..31], overlapping', 'ipv4', [copy_field('eth_src', 'eth_src', 32, 16, 0)],
         {'eth_src': '02:03:04:05:06:08'}, {'eth_src': '02:03:02:03:04:05'}),
        ('eth_src[0..31]->eth_src[8..39], overlapping', 'ipv4', [copy_field('eth_src', 'eth_src', 32, 0, 8)],
         {'eth_src': '02:03:04:05:06:08'}, {'eth_src': '02:04:05:06:08:08'}),
        ('ipv4_src->ipv4_dst', 'ipv4', [copy_field('ipv4_src', 'ipv4_dst', 32)], {}, {'ip_dst': '192.168.10.10'}),
        ('ipv4_src[0..7]->ipv4_dst[8..15]', 'vlan', [copy_field('ipv4_src', 'ipv4_dst', 8, 0, 8)],
         {'ip_src': '192.168.10.77'}, {'ip_src': '192.168.10.77', 'ip_dst': '192.168.77.20'}),
        ('ipv4_src[8..15]->tcp_dst[0..7]', 'ipv4', [copy_field('ipv4_src', 'tcp_dst', 8, 8, 0)], {},
         {'dst_port': 2222 & 0xff00 | 10}),
        ('tcp_src->tcp_dst', 'ipv4', [copy_field('tcp_src', 'tcp_dst', 16)], {}, {'dst_port': 11111}),
        ('tcp_src->tcp_dst', 'ipv6', [copy_field('tcp_src', 'tcp_dst', 16)], {}, {'dst_port': 11111}),
        ('tcp_src[0..2]->vlan_pcp', 'vlan', [copy_field('tcp_src', 'vlan_pcp', 3)], {}, {'pcp': 11111 & 7}),
        ('vlan_pcp[0..1]->tcp_dst[14..15]', 'vlan', [copy_field('vlan_pcp', 'tcp_dst', 2, 0, 14)], {},
         {'dst_port': 2222 | 3 << 14}),
        ('ipv6_src->ipv6_dst', 'ipv6', [copy_field('ipv6_src', 'ipv6_dst', 128)], {}, {'ip_dst': '10::10'}),
        ('ipv6_src[112..127]->ipv6_dst[8..23]', 'ipv6', [copy_field('ipv6_src', 'ipv6_dst', 16, 112, 8)],
         {'ip_src': 'abcd::10'}, {'ip_src': 'abcd::10', 'ip_dst': '20::ab:cd20'}),
        ('ipv6_src[100..119]->ipv6_flabel', 'ipv6', [copy_field('ipv6_src', 'ipv6_flabel', 20, 100, 0)],
         {'ip_src': '1234:5678::1'}, {'ip_src': '1234:5678::1', 'flow_label': 0x34567}),
        ('eth_dst->arp_sha', 'arp', [copy_field('eth_dst', 'arp_sha', 48)], {}, {'sha': '22:22:22:22:22:22'}),
        ('arp_spa->arp_tpa', 'arp', [copy_field('arp_spa', 'arp_tpa', 32)], {}, {'tpa': '192.168.10.10'}),
        ('in_port[0..15]->tcp_dst', 'ipv4', [copy_field('in_port', 'tcp_dst', 16)], {}, {'dst_port': 1}),
        ('eth_src->eth_dst, tcp_src->tcp_dst', 'ipv4',
         [copy_field('eth_src', 'eth_dst', 48), copy_field('tcp_src', 'tcp_dst', 16)], {},
         {'eth_dst': '12:11:11:11:11:11', 'dst_port': 11111}),
        ('a swap over two registers: eth_src<->eth_dst', 'ipv4',
         [copy_field('eth_src', 'xreg6', 48), copy_field('eth_dst', 'xreg7', 48), copy_field('xreg6', 'eth_dst', 48),
          copy_field('xreg7', 'eth_src', 48)], {}, {'eth_src': '22:22:22:22:22:22', 'eth_dst': '12:11:11:11:11:11'}),
    ]
    needed = {'ipv4': {'eth_type': 0x800, 'ip_proto': 6}, 'vlan': {'eth_type': 0x800, 'vlan_vid': 0x1064, 'ip_proto': 6},
              'ipv6': {'eth_type': 0x86dd, 'ip_proto': 6}, 'arp': {'eth_type': 0x806}}
    out = [case("%s-->'actions=copy_field:%s,output:2'" % (kind, name), [flow(apply(*actions, output(2)), **needed[kind])],
                frame(kind, **given), egress=frame(kind, **expected)) for name, kind, actions, given, expected in whole]
    out.append(case("metadata[0..47]->eth_dst", [
        flow(metadata(0xffff0a0b0c0d0e0f), goto(1)), flow(apply(copy_field('metadata', 'eth_dst', 48), output(2)), table=1)],
        egress=frame(eth_dst='0a:0b:0c:0d:0e:0f')))
    out.append(case("eth_src[0..7]->metadata[56..63], matched by the next table", [
        flow(apply(copy_field('eth_src', 'metadata', 8, 0, 56)), goto(1)),
        flow(apply(output(2)), table=1, metadata=0x11 << 56)], egress=frame()))
    out.append(case("eth_src[0..7]->metadata[56..63], not matched by the next table", [
        flow(apply(copy_field('eth_src', 'metadata', 8, 0, 56)), goto(1)),
        flow(apply(output(2)), table=1, metadata=0x11)], table_miss=[1]))
    out.append(case("in a bucket: eth_src->eth_dst", [
        group(INDIRECT, bucket(0, copy_field('eth_src', 'eth_dst', 48), output(2))), flow(apply(to_group(1)))],
        egress=frame(eth_dst='12:11:11:11:11:11')))
    return out


def groups():
    """Bucket ids, inserting and removing buckets, watches (OpenFlow 1.5.1 §7.3.4.3)."""
    use, wrong = flow(apply(to_group(1)), in_port=1), [set_field('eth_src', OTHER), output(2)]

    def failover(number, *actions, port=2):
        return bucket(number, *actions, port=port)

    def one(name, *messages, egress=None):
        return case(name, [*messages, use], egress=egress or frame())
    insert = [
        one('all: inserted last', group(GROUP_ALL, bucket(7, output(3))),
            group(GROUP_ALL, bucket(3, output(2)), command=INSERT, at=LAST)),
        one('fast failover: inserted first', group(FAILOVER, failover(1, *wrong)),
            group(FAILOVER, failover(2, output(2)), command=INSERT, at=FIRST)),
        one('fast failover: inserted last is not the first', group(FAILOVER, failover(1, output(2))),
            group(FAILOVER, failover(2, *wrong), command=INSERT, at=LAST)),
        one('fast failover: inserted after the first, which is removed', group(
            FAILOVER, failover(10, *wrong), failover(20, *wrong)),
            group(FAILOVER, failover(15, output(2)), command=INSERT, at=10),
            group(FAILOVER, command=REMOVE, at=10)),
        one('fast failover: two inserted at once keep their order', group(FAILOVER, failover(1, *wrong)),
            group(FAILOVER, failover(2, output(2)), failover(3, *wrong), command=INSERT, at=FIRST)),
        one('select: into an empty group', group(SELECT),
            group(SELECT, bucket(0, output(2), weight=1), command=INSERT, at=FIRST)),
    ]
    remove = [
        one('fast failover: the first', group(FAILOVER, failover(1, *wrong), failover(2, output(2))),
            group(FAILOVER, command=REMOVE, at=FIRST)),
        one('all: the last', group(GROUP_ALL, bucket(1, output(2)), bucket(2, *wrong)),
            group(GROUP_ALL, command=REMOVE, at=LAST)),
        one('select: by its id', group(SELECT, bucket(5, *wrong, weight=1), bucket(6, output(2), weight=1),
                                       bucket(7, *wrong, weight=1)),
            group(SELECT, command=REMOVE, at=5), group(SELECT, command=REMOVE, at=7)),
        one('all: every bucket, then one inserted', group(GROUP_ALL, bucket(1, *wrong), bucket(2, *wrong)),
            group(GROUP_ALL, command=REMOVE, at=EVERY), group(GROUP_ALL, bucket(1, output(2)), command=INSERT, at=LAST)),
    ]
    properties = [
        one('fast failover: watches a port that lives', group(FAILOVER, failover(1, output(2)), failover(2, *wrong, port=3))),
        one('fast failover: watches a group without a live bucket', group(FAILOVER, number=2),
            group(FAILOVER, bucket(1, *wrong, watch_group=2), failover(2, output(2)))),
        one('fast failover: watches a group with a live bucket', group(FAILOVER, failover(0, output(2)), number=2),
            group(FAILOVER, bucket(1, output(2), watch_group=2), failover(2, *wrong))),
        one('fast failover: watches a group that got its bucket later', group(FAILOVER, number=2),
            group(FAILOVER, bucket(1, output(2), watch_group=2), failover(2, *wrong)),
            group(FAILOVER, failover(9, output(3)), number=2, command=INSERT, at=LAST)),
        one('select: a bucket of weight 0 is not chosen', group(SELECT, bucket(1, *wrong, weight=0),
                                                                bucket(2, output(2), weight=1))),
        one('select: the greatest weight', group(SELECT, bucket(1, output(2), weight=65535))),
        one('indirect: set_field and output', group(INDIRECT, bucket(1, *wrong)), egress=frame(eth_src=OTHER)),
        one('all: what a bucket changes stays in it', group(GROUP_ALL, bucket(1, set_field('eth_src', OTHER), output(3)),
                                                            bucket(2, output(2)))),
        one('modified: other bucket ids', group(GROUP_ALL, bucket(1, *wrong), bucket(2, *wrong)),
            group(GROUP_ALL, bucket(0xfffffeff, output(2)), command=1)),
    ]
    return {'group/02_INSERT_BUCKET.json': insert, 'group/03_REMOVE_BUCKET.json': remove,
            'group/04_BUCKET_PROPERTIES.json': properties}


def meters():
    """The meter action in each place an action can be (OpenFlow 1.5.1 §7.2.6.4)."""
    def one(name, *messages, egress=None):
        return case(name, [meter_mod(1), meter_mod(2), *messages], egress=egress or frame())
    return [
        one('first', flow(apply(meter(1), output(2)), in_port=1)),
        one('between set_field and output', flow(apply(set_field('eth_src', OTHER), meter(1), output(2)), in_port=1),
            egress=frame(eth_src=OTHER)),
        one('two of them', flow(apply(meter(1), meter(2), output(2)), in_port=1)),
        one('in two tables', flow(apply(meter(1)), goto(1), in_port=1), flow(apply(meter(2), output(2)), table=1)),
        one('in the action set', flow(write(meter(1), output(2)), in_port=1)),
        one('in a bucket', group(INDIRECT, bucket(0, meter(1), output(2))), flow(apply(to_group(1)), in_port=1)),
        one('in a packet-out', flow(apply(output(2)), in_port=1)) | {'tests': [
            {'ingress': packet_out([meter(1), output(2)], in_port=1), 'egress': frame()}]},
    ]


def packet_outs():
    """Pipeline fields in place of a bare in_port (OpenFlow 1.5.1 §7.3.6)."""
    to_2 = apply(output(2))

    def one(name, actions, *flows, fields=None, **result):
        return case(name, list(flows), packet_out(actions, **(fields or {'in_port': 1})), **(result or {'egress': frame()}))
    table = [output(TABLE)]
    return [
        one('in_port=1, output:2', [output(2)]),
        one('in_port=CONTROLLER, output:2', [output(2)], fields={'in_port': CONTROLLER}),
        one('in_port=2, output:IN_PORT', [output(IN_PORT)], fields={'in_port': 2}),
        one('in_port=1, output:ALL', [output(ALL)]),
        one('in_port=1, output:CONTROLLER', [output(CONTROLLER)], PACKET_IN=frame()),
        one('set_field, output:2', [set_field('eth_src', OTHER), output(2)], egress=frame(eth_src=OTHER)),
        one('group', [to_group(1)], group(INDIRECT, bucket(0, output(2)))),
        one('in_port=1, output:TABLE, in_port=1', table, flow(to_2, in_port=1)),
        one('in_port=3, output:TABLE, in_port=1', table, flow(to_2, in_port=1), fields={'in_port': 3}, table_miss=[0]),
        one('in_port=CONTROLLER, output:TABLE, in_port=CONTROLLER', table, flow(to_2, in_port=CONTROLLER),
            fields={'in_port': CONTROLLER}),
        one('metadata=5, output:TABLE, metadata=5', table, flow(to_2, metadata=5), fields={'in_port': 1, 'metadata': 5}),
        one('metadata=6, output:TABLE, metadata=5', table, flow(to_2, metadata=5), fields={'in_port': 1, 'metadata': 6},
            table_miss=[0]),
        one('tunnel_id=9, output:TABLE, tunnel_id=9', table, flow(to_2, tunnel_id=9), fields={'in_port': 1, 'tunnel_id': 9}),
        one('xreg4=9, output:TABLE, xreg4=9', table, flow(to_2, xreg4=9), fields={'in_port': 1, 'xreg4': 9}),
        one('xreg4=9, output:TABLE, xreg4=8', table, flow(to_2, xreg4=8), fields={'in_port': 1, 'xreg4': 9},
            table_miss=[0]),
        one('packet_type=0, output:TABLE, packet_type=0', table, flow(to_2, packet_type=0),
            fields={'in_port': 1, 'packet_type': 0}),
    ]


def egress():
    """Egress processing and actset_output (OpenFlow 1.5.1 §5.1, §7.2.3.7)."""
    E, change = FIRST_EGRESS, apply(set_field('eth_src', OTHER))
    changed = frame(eth_src=OTHER)
    tables = [
        case('output:2 passes the first egress table', [
            first_egress(), flow(apply(output(2)), in_port=1), flow(change, table=E, actset_output=2)], egress=changed),
        case('output:2 in the action set passes it', [
            first_egress(), flow(write(output(2)), in_port=1), flow(change, table=E, actset_output=2)], egress=changed),
        case('no entry for the port drops', [
            first_egress(), flow(apply(output(2)), in_port=1), flow(change, table=E, actset_output=3)], table_miss=[E]),
        case('on to a later egress table', [
            first_egress(), flow(apply(output(2)), in_port=1), flow(goto(E + 1), table=E, actset_output=2),
            flow(change, table=E + 1)], egress=changed),
        case('metadata stays', [
            first_egress(), flow(metadata(7), goto(1), in_port=1), flow(apply(output(2)), table=1),
            flow(change, table=E, metadata=7)], egress=changed),
        case('another metadata than was written', [
            first_egress(), flow(metadata(7), goto(1), in_port=1), flow(apply(output(2)), table=1),
            flow(change, table=E, metadata=8)], table_miss=[E]),
        case('in_port stays', [
            first_egress(), flow(apply(output(2)), in_port=1), flow(change, table=E, in_port=1)], egress=changed),
        case('what the ingress changed is matched', [
            first_egress(), flow(apply(set_field('eth_dst', OTHER), output(2)), in_port=1),
            flow(change, table=E, eth_dst=OTHER)], egress=frame(eth_src=OTHER, eth_dst=OTHER)),
        case('controllers are a port, too', [
            first_egress(), flow(apply(output(CONTROLLER)), in_port=1), flow(change, table=E, actset_output=CONTROLLER)],
            PACKET_IN=changed),
        case('each copy of a group by itself', [
            first_egress(), group(GROUP_ALL, bucket(1, output(2)), bucket(2, output(3))),
            flow(apply(to_group(1)), in_port=1), flow(change, table=E, actset_output=2),
            flow(apply(set_field('eth_dst', OTHER)), table=E, actset_output=3)], egress=changed),
        case('each port of ALL by itself', [
            first_egress(), flow(apply(output(ALL)), in_port=1), flow(change, table=E, actset_output=2),
            flow(apply(set_field('eth_dst', OTHER)), table=E, actset_output=3)], egress=changed),
        case('output in an egress table starts egress processing again', [
            first_egress(), flow(apply(output(3)), in_port=1), flow(apply(output(2)), table=E, actset_output=3),
            flow(change, table=E, actset_output=2)], egress=changed),
        case('two tables, the second is the first egress table', [
            first_egress(1), flow(apply(output(2)), in_port=1), flow(change, table=1, actset_output=2)], egress=changed),
    ]
    set_ = [
        case('actset_output=2 in an ingress table', [
            flow(write(output(2)), goto(1), in_port=1), flow(change, table=1, actset_output=2)], egress=changed),
        case('actset_output=3, 2 is in the set', [
            flow(write(output(2)), goto(1), in_port=1), flow(change, table=1, actset_output=3)], table_miss=[1]),
        case('actset_output=UNSET, nothing is in the set', [
            flow(goto(1), in_port=1), flow(apply(output(2)), table=1, actset_output=UNSET)], egress=frame()),
        case('actset_output=UNSET, output and group are in the set', [
            group(INDIRECT, bucket(0, output(2))), flow(write(output(3), to_group(1)), goto(1), in_port=1),
            flow(change, table=1, actset_output=UNSET)], egress=changed),
        case('actset_output=CONTROLLER', [
            flow(write(output(CONTROLLER)), goto(1), in_port=1), flow(change, table=1, actset_output=CONTROLLER)],
            PACKET_IN=changed),
    ]
    return {'egress/00_EGRESS_TABLES.json': tables, 'match/43_ACTSET_OUTPUT.json': set_}


def files():
    out = {'action/28_COPY_FIELD.json': copies(), 'meter/03_METER_ACTION.json': meters(),
           'packet_out/00_PIPELINE_FIELDS.json': packet_outs(), **groups(), **egress()}
    return {rel: [rel[:-5].replace('/', ': ', 1)] + tests for rel, tests in out.items()}

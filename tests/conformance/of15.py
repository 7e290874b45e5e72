"""OpenFlow 1.5 patterns for os-ken's switch tester.

os-ken ships patterns up to OpenFlow 1.4. Those are carried to 1.5 here, one to one: what is sent,
what is expected and how a test is judged stay; only what 1.5 writes differently is written so:

  - the meter instruction is a meter action at the head of apply-actions (OpenFlow 1.5.1 §7.2.6.4);
  - a bucket has an id, and its weight is a property.

Anything this module doesn't know raises Unknown instead of going through unseen, so that a test
is carried as it stands or is named in NOT_CARRIED with the reason. Beside them stand the tests of
what 1.5 added: `derived` makes them out of the carried ones (masked set-field, copy-field, packet
registers, TCP flags, packet type), `of15_patterns` has those that are written out.

Patterns are plain JSON, as the tester reads them; `write` puts them into a directory.
"""

import copy
import ipaddress
import json
import os
import re

import of15_patterns

# Tests of OpenFlow 1.4 that have no form in 1.5: {(file, description): reason}. None: all 1003 are carried.
NOT_CARRIED = {}

APPLY = 4
AS_THEY_ARE = {
    'OFPActionCopyTtlIn', 'OFPActionCopyTtlOut', 'OFPActionDecMplsTtl', 'OFPActionDecNwTtl', 'OFPActionGroup',
    'OFPActionOutput', 'OFPActionPopMpls', 'OFPActionPopPbb', 'OFPActionPopVlan', 'OFPActionPushMpls',
    'OFPActionPushPbb', 'OFPActionPushVlan', 'OFPActionSetField', 'OFPActionSetMplsTtl', 'OFPActionSetNwTtl',
    'OFPGroupMod', 'OFPInstructionActions', 'OFPInstructionGotoTable', 'OFPInstructionWriteMetadata', 'OFPMatch',
    'OFPMeterBandDrop', 'OFPMeterBandDscpRemark', 'OFPMeterMod', 'OXMTlv'}


class Unknown(Exception):
    """Something whose OpenFlow 1.5 form isn't known here."""


def actions_of(instructions):
    """The list of the one apply-actions instruction, made if there is none."""
    for one in instructions:
        if one.get('OFPInstructionActions', {}).get('type') == APPLY:
            return one['OFPInstructionActions']['actions']
    instructions.insert(0, {'OFPInstructionActions': {'type': APPLY, 'actions': []}})
    return instructions[0]['OFPInstructionActions']['actions']


def carry_flow(flow):
    out = {k: carry(v) for k, v in flow.items() if k != 'instructions'}
    out['instructions'] = carry([i for i in flow['instructions'] if 'OFPInstructionMeter' not in i])
    for one in flow['instructions']:
        if 'OFPInstructionMeter' in one:
            actions_of(out['instructions']).insert(0, {'OFPActionMeter': dict(one['OFPInstructionMeter'])})
    return out


def carry(value):
    """A 1.4 message, or a part of one, as 1.5 has it."""
    if isinstance(value, list):
        return [carry(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for name, body in value.items():
        if name == 'OFPFlowMod':
            out[name] = carry_flow(body)
        elif name == 'buckets':
            out[name] = [carry_bucket(b['OFPBucket'], i) for i, b in enumerate(body)]
        elif name.startswith(('OFP', 'OXM')) and name not in AS_THEY_ARE:
            raise Unknown(name)
        else:
            out[name] = carry(body)
    return out


def carry_bucket(bucket, number):
    unknown = set(bucket) - {'actions', 'weight'}
    if unknown:
        raise Unknown('bucket with ' + ', '.join(unknown))
    properties = []
    if 'weight' in bucket:
        properties.append({'OFPGroupBucketPropWeight': {'type': 0, 'weight': bucket['weight']}})
    return {'OFPBucket': {'bucket_id': number, 'actions': carry(bucket['actions']), 'properties': properties}}


def carry_file(items, rel):
    """A file's content in 1.5."""
    out = []
    for item in items:
        if isinstance(item, str):
            out.append(item)
        elif (rel, item['description']) not in NOT_CARRIED:
            out.append(dict(item, prerequisite=carry(item['prerequisite'])))
    return out


# ---------------------------------------------------------------------------------------------
# Values of match fields as numbers
# ---------------------------------------------------------------------------------------------

BITS = {'metadata': 64, 'eth_dst': 48, 'eth_src': 48, 'eth_type': 16, 'vlan_vid': 13, 'vlan_pcp': 3, 'ip_dscp': 6,
        'ip_ecn': 2, 'ip_proto': 8, 'ipv4_src': 32, 'ipv4_dst': 32, 'tcp_src': 16, 'tcp_dst': 16, 'udp_src': 16,
        'udp_dst': 16, 'sctp_src': 16, 'sctp_dst': 16, 'icmpv4_type': 8, 'icmpv4_code': 8, 'arp_op': 16, 'arp_spa': 32,
        'arp_tpa': 32, 'arp_sha': 48, 'arp_tha': 48, 'ipv6_src': 128, 'ipv6_dst': 128, 'ipv6_flabel': 20,
        'icmpv6_type': 8, 'icmpv6_code': 8, 'ipv6_nd_target': 128, 'ipv6_nd_sll': 48, 'ipv6_nd_tll': 48,
        'mpls_label': 20, 'mpls_tc': 3, 'mpls_bos': 1, 'pbb_isid': 24, 'tunnel_id': 64, 'pbb_uca': 1}

# A mask on these is BAD_SET_MASK: they are whole in a match, too (OpenFlow 1.5.1 §7.2.3.7, table of fields), or one bit.
WHOLE = {'eth_type', 'vlan_pcp', 'ip_dscp', 'ip_ecn', 'ip_proto', 'icmpv4_type', 'icmpv4_code', 'arp_op', 'icmpv6_type',
         'icmpv6_code', 'mpls_label', 'mpls_tc', 'mpls_bos', 'pbb_uca'}


def number(field, value):
    if isinstance(value, int):
        return value
    if BITS[field] == 48:
        return int(value.replace(':', ''), 16)
    return int(ipaddress.ip_address(value))


def written(field, value):
    """A number as patterns write the field."""
    if BITS[field] == 48:
        return ':'.join('%02x' % b for b in value.to_bytes(6, 'big'))
    if field.startswith(('ipv4_', 'arp_')) and BITS[field] == 32:
        return str(ipaddress.IPv4Address(value))
    if BITS[field] == 128:
        return str(ipaddress.IPv6Address(value))
    return value


def tlv(field, value, mask=None):
    out = {'field': field, 'value': value}
    if mask is not None:
        out['mask'] = mask
    return {'OXMTlv': out}


def set_field(field, value, mask=None):
    return {'OFPActionSetField': {'field': tlv(field, value, mask)}}


def copy_field(source, target, bits, source_at=0, target_at=0):
    return {'OFPActionCopyField': {
        'n_bits': bits, 'src_offset': source_at, 'dst_offset': target_at,
        'oxm_ids': [{'OFPOxmId': {'type': source}}, {'OFPOxmId': {'type': target}}]}}


# ---------------------------------------------------------------------------------------------
# Derived tests
# ---------------------------------------------------------------------------------------------

def each_set_field(test):
    """(flow, its apply-actions, place, field, value) of each set-field of a test."""
    for message in test['prerequisite']:
        flow = message.get('OFPFlowMod')
        for one in flow['instructions'] if flow else []:
            actions = one.get('OFPInstructionActions', {}).get('actions', [])
            for at, action in enumerate(actions):
                if 'OFPActionSetField' in action:
                    what = action['OFPActionSetField']['field']['OXMTlv']
                    yield flow, actions, at, what['field'], what['value']


def masked(test):
    """Every other bit first, under a mask, then the others: each must leave what the other wrote."""
    for _, actions, at, field, value in each_set_field(test):
        bits = BITS[field]
        if field in WHOLE:
            return None
        value, every = number(field, value), (1 << bits) - 1
        always = 0x1000 if field == 'vlan_vid' else 0  # OFPVID_PRESENT has to be in value and mask.
        some = (int('55' * 16, 16) & every) | always
        others = (every & ~some) | always
        actions[at:at + 1] = [set_field(field, written(field, (value | always) & m), written(field, m))
                              for m in (some, others)]
        break
    test['description'] = 'under two masks: ' + test['description']
    return test


def by_register(test):
    """The value goes into packet registers, and from there into the field."""
    for _, actions, at, field, value in each_set_field(test):
        value, bits, new = number(field, value), BITS[field], []
        for register in range((bits + 63) // 64):
            n = min(bits - 64 * register, 64)
            new.append(set_field('xreg%d' % register, (value >> 64 * register) & ((1 << 64) - 1)))
            new.append(copy_field('xreg%d' % register, field, n, 0, 64 * register))
        actions[at:at + 1] = new
        break
    test['description'] = 'copied from registers: ' + test['description']
    return test


def into_register(test):
    """The field that was set goes into packet registers, which the next table matches on."""
    for flow, actions, at, field, value in each_set_field(test):
        if len(actions) != at + 2 or 'OFPActionOutput' not in actions[at + 1]:
            return None  # The field is matched by the next table already.
        value, bits, table = number(field, value), BITS[field], flow.get('table_id', 0)
        output, match = actions.pop(), []
        for register in range((bits + 63) // 64):
            n = min(bits - 64 * register, 64)
            actions.append(copy_field(field, 'xreg%d' % register, n, 64 * register))
            match.append(tlv('xreg%d' % register, (value >> 64 * register) & ((1 << 64) - 1)))
        flow['instructions'].append({'OFPInstructionGotoTable': {'table_id': table + 1}})
        test['prerequisite'].append({'OFPFlowMod': {
            'table_id': table + 1, 'match': {'OFPMatch': {'oxm_fields': match}},
            'instructions': [{'OFPInstructionActions': {'type': APPLY, 'actions': [output]}}]}})
        break
    test['description'] = 'copied into registers: ' + test['description']
    return test


def replaced(items, old, new, title):
    """The tests of a file with one match field in place of another. `new`: {old value: (field, value, mask or None)}."""
    def walk(value):
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        if value.get('field') == old:
            field, number_, mask = new[value['value']]
            return tlv(field, number_, mask)['OXMTlv']
        return {k: walk(v) for k, v in value.items()}
    out = [title]
    for item in items[1:]:
        item = walk(item)
        field = next(iter(new.values()))[0]
        item['description'] = item['description'].replace(old, field)
        out.append(item)
    return out


def with_flags(items, mask):
    """Tests of a TCP source port as tests of TCP flags: SYN and ACK are asked for, SYN alone must not do."""
    ask, have, lack = 0x12, 0x12 if mask is None else 0x1a, 0x02
    out = replaced(items, 'tcp_src', {11111: ('tcp_flags', ask, mask)}, '')
    for item in out[1:]:
        for test in item['tests']:
            for side in ('ingress', 'egress', 'PACKET_IN'):
                if side in test:
                    test[side] = [re.sub(r'^tcp\((.*)\)$', lambda m: 'tcp(%s, bits=%d)' % (
                        m[1], have if 'src_port=11111' in m[1] else lack), layer) for layer in test[side]]
        item['description'] = item['description'].replace('src_port=11111', 'bits=%#x' % have).replace(
            'src_port=12345', 'bits=%#x' % lack).replace('=11111', '=%#x' % ask + ('/%#x' % mask if mask else ''))
    return out


def registers_for_metadata(items):
    """Tests of metadata as tests of a packet register."""
    def walk(value):
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        if 'OFPInstructionWriteMetadata' in value:
            what = value['OFPInstructionWriteMetadata']
            actions = [set_field('xreg3', what['metadata'] & what['metadata_mask'], what['metadata_mask'])]
            return {'OFPInstructionActions': {'type': APPLY, 'actions': actions}}
        if value.get('field') == 'metadata':
            return dict(value, field='xreg3')
        return {k: walk(v) for k, v in value.items()}
    out = walk(items)
    for item in out[1:]:
        item['description'] = item['description'].replace('write_metadata:', 'set_field:').replace('metadata', 'xreg3')
    return out


def derived(carried):
    """{path: content} made out of the carried files."""
    out = {}

    def file(rel, tests):
        tests = [t for t in tests if t]
        if tests:
            out[rel] = [rel[:-5].replace('/', ': ', 1)] + tests

    for rel, items in carried.items():
        if rel.startswith('action/25_SET_FIELD/'):
            name = rel.rsplit('/', 1)[1]
            for folder, how in (('25_SET_FIELD_Mask', masked), ('28_COPY_FIELD_from_register', by_register),
                                ('28_COPY_FIELD_to_register', into_register)):
                file('action/%s/%s' % (folder, name), [how(copy.deepcopy(t)) for t in items[1:]])
    for ip in ('IPv4', 'IPv6'):
        source = carried['match/13_TCP_SRC_%s.json' % ip]
        for suffix, mask in (('', None), ('_Mask', 0x012)):
            rel = 'match/42_TCP_FLAGS_%s%s.json' % (ip, suffix)
            file(rel, with_flags(source, mask)[1:])
    # Whatever comes in by a port is Ethernet, namespace 0 type 0; an IPv4 packet without it is (1, 0x800).
    kinds = {1: ('packet_type', 0, None), 2: ('packet_type', 0x10800, None)}
    file('match/44_PACKET_TYPE.json', replaced(carried['match/00_IN_PORT.json'], 'in_port', kinds, '')[1:])
    for suffix in ('', '_Mask'):
        rel = 'match/02_METADATA%s.json' % suffix
        file('match/45_PACKET_REGISTER%s.json' % suffix, registers_for_metadata(carried[rel])[1:])
    return out


# ---------------------------------------------------------------------------------------------

def patterns(of14):
    """({path: content}, number of tests carried, number there are in 1.4)."""
    carried, there = {}, 0
    for base, _, names in os.walk(of14):
        for name in names:
            if name.endswith('.json'):
                path = os.path.join(base, name)
                rel = os.path.relpath(path, of14)
                with open(path) as fh:
                    items = json.load(fh)
                there += len(items) - 1
                carried[rel] = carry_file(items, rel)
    count = sum(len(items) - 1 for items in carried.values())
    if count + len(NOT_CARRIED) != there:
        raise Unknown('%d tests of %d' % (count, there))
    files = dict(carried)
    for more in (derived(carried), of15_patterns.files()):
        twice = set(files) & set(more)
        assert not twice, twice
        files.update(more)
    return files, count, there


def write(of14, where):
    """Writes all patterns below the directory `where`; says how many are carried and how many are new."""
    files, count, there = patterns(of14)
    for rel, items in files.items():
        path = os.path.join(where, rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as fh:
            json.dump(items, fh, indent=1)
    new = sum(len(items) - 1 for items in files.values()) - count
    return '%d of the %d tests of OpenFlow 1.4 carried to 1.5, %d of what 1.5 added' % (count, there, new)

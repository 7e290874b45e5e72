"""OpenFlow messages from plain values, for 1.0, 1.3, 1.4 and 1.5, right or wrong as asked.

A match is {field: value or (value, mask)}, an action a tuple that begins with its name, an instruction likewise.
Nothing is checked here: what the switches say of a bad message is what the tests want to know.
"""

import struct

V10, V13, V14, V15 = 1, 4, 5, 6
NX = 0x2320
NONE16, NONE32 = 0xffff, 0xffffffff
CONTROLLER, ALL, FLOOD, NORMAL, TABLE, IN_PORT, LOCAL, ANY = (
    0xfffffffd, 0xfffffffc, 0xfffffffb, 0xfffffffa, 0xfffffff9, 0xfffffff8, 0xfffffffe, 0xffffffff)
OXM, NXM0, NXM1 = 0x8000, 0, 1

# name: class, number, bits
FIELDS = {
    'in_port': (OXM, 0, 32), 'metadata': (OXM, 2, 64), 'eth_dst': (OXM, 3, 48), 'eth_src': (OXM, 4, 48), 'eth_type': (OXM, 5, 16),
    'vlan_vid': (OXM, 6, 13), 'vlan_pcp': (OXM, 7, 3), 'ip_dscp': (OXM, 8, 6), 'ip_ecn': (OXM, 9, 2), 'ip_proto': (OXM, 10, 8),
    'ipv4_src': (OXM, 11, 32), 'ipv4_dst': (OXM, 12, 32), 'tcp_src': (OXM, 13, 16), 'tcp_dst': (OXM, 14, 16),
    'udp_src': (OXM, 15, 16), 'udp_dst': (OXM, 16, 16), 'sctp_src': (OXM, 17, 16), 'sctp_dst': (OXM, 18, 16),
    'icmpv4_type': (OXM, 19, 8), 'icmpv4_code': (OXM, 20, 8), 'arp_op': (OXM, 21, 16), 'arp_spa': (OXM, 22, 32),
    'arp_tpa': (OXM, 23, 32), 'arp_sha': (OXM, 24, 48), 'arp_tha': (OXM, 25, 48), 'ipv6_src': (OXM, 26, 128),
    'ipv6_dst': (OXM, 27, 128), 'ipv6_flabel': (OXM, 28, 20), 'icmpv6_type': (OXM, 29, 8), 'icmpv6_code': (OXM, 30, 8),
    'ipv6_nd_target': (OXM, 31, 128), 'ipv6_nd_sll': (OXM, 32, 48), 'ipv6_nd_tll': (OXM, 33, 48), 'mpls_label': (OXM, 34, 20),
    'mpls_tc': (OXM, 35, 3), 'mpls_bos': (OXM, 36, 1), 'tunnel_id': (OXM, 38, 64), 'ip_frag': (NXM1, 26, 8), 'nw_ttl': (NXM1, 29, 8),
    'pkt_mark': (NXM1, 33, 32), 'tcp_flags': (NXM1, 34, 12), 'vlan_tci': (NXM0, 4, 16),
    **{'reg%d' % n: (NXM1, n, 32) for n in range(8)},
}


def width(name):
    count = FIELDS[name][2]
    return 4 if count == 20 else (count + 7) // 8


def padded(data):
    return data + bytes(-len(data) % 8)


def header(name, masked=False):
    kind, number, _ = FIELDS[name]
    return kind << 16 | number << 9 | masked << 8 | width(name) * (2 if masked else 1)


def oxm(name, value):
    size = width(name)
    if isinstance(value, tuple):
        return struct.pack('!I', header(name, True)) + value[0].to_bytes(size, 'big') + value[1].to_bytes(size, 'big')
    return struct.pack('!I', header(name)) + value.to_bytes(size, 'big')


def match10(m):
    wildcards = 0
    plain = {name: 0 for name in ('in_port', 'eth_src', 'eth_dst', 'vlan_vid', 'vlan_pcp', 'eth_type', 'ip_dscp', 'ip_proto', 'src',
                                  'dst', 'tp_src', 'tp_dst')}
    bits = {'in_port': 1, 'vlan_vid': 2, 'eth_src': 4, 'eth_dst': 8, 'eth_type': 16, 'ip_proto': 32, 'tp_src': 64, 'tp_dst': 128,
            'vlan_pcp': 1 << 20, 'ip_dscp': 1 << 21}
    also = {'ipv4_src': 'src', 'arp_spa': 'src', 'ipv4_dst': 'dst', 'arp_tpa': 'dst', 'tcp_src': 'tp_src', 'udp_src': 'tp_src',
            'icmpv4_type': 'tp_src', 'tcp_dst': 'tp_dst', 'udp_dst': 'tp_dst', 'icmpv4_code': 'tp_dst', 'arp_op': 'ip_proto'}
    m = {also.get(name, name): value for name, value in m.items()}
    for name, bit in bits.items():
        if name not in m:
            wildcards |= bit
    for name, shift in (('src', 8), ('dst', 14)):
        value = m.get(name, (0, 0))
        mask = value[1] if isinstance(value, tuple) else NONE32
        wildcards |= (32 - bin(mask).count('1')) << shift
    for name, value in m.items():
        plain[name] = value[0] if isinstance(value, tuple) else value
    if 'vlan_vid' in m:  # as later versions say it: the present bit, or 0 for none
        plain['vlan_vid'] = plain['vlan_vid'] & 0xfff if plain['vlan_vid'] & 0x1000 else NONE16
    return struct.pack('!IH6s6sHBxHBBxxIIHH', wildcards, plain['in_port'] & NONE16, plain['eth_src'].to_bytes(6, 'big'),
                       plain['eth_dst'].to_bytes(6, 'big'), plain['vlan_vid'], plain['vlan_pcp'], plain['eth_type'],
                       plain['ip_dscp'] << 2, plain['ip_proto'] & 0xff, plain['src'], plain['dst'], plain['tp_src'], plain['tp_dst'])


def match(version, m, extra=b''):
    if version == V10:
        return match10(m)
    body = b''.join(oxm(name, value) for name, value in m.items()) + extra
    return padded(struct.pack('!HH', 1, 4 + len(body)) + body)


def nicira(subtype, body):
    whole = padded(struct.pack('!HHIH', NONE16, 0, NX, subtype) + body)
    return whole[:2] + struct.pack('!H', len(whole)) + whole[4:]


def bits(offset, count):
    return offset << 6 | count - 1


def learn_spec(spec):
    """('match' | 'load', destination, offset, bits, source field or number, source's offset), or ('output', field, offset, bits)."""
    if spec[0] == 'output':
        return struct.pack('!HIH', 2 << 11 | spec[3], header(spec[1]), spec[2])
    kind, destination, offset, count, source, source_offset = spec
    head = (0 if kind == 'match' else 1) << 11 | count
    if isinstance(source, int):
        size = (count + 15) // 16 * 2
        return struct.pack('!H', head | 1 << 13) + source.to_bytes(size, 'big') + struct.pack('!IH', header(destination), offset)
    return struct.pack('!HIHIH', head, header(source), source_offset, header(destination), offset)


def port(version, number):
    return number & NONE16 if version == V10 else number


def action(version, a):
    name, args = a[0], a[1:]
    if name == 'raw':
        return args[0]
    if name == 'output':
        number, most = args if len(args) == 2 else (args[0], NONE16)
        if version == V10:
            return struct.pack('!HHHH', 0, 8, number & NONE16, most)
        return struct.pack('!HHIH6x', 0, 16, number, most)
    if name == 'load':
        field, offset, count, value = args
        if version == V15:
            return action(version, ('set', field, (value << offset, ((1 << count) - 1) << offset)))
        return nicira(7, struct.pack('!HIQ', bits(offset, count), header(field), value))
    if name == 'move':
        source, source_offset, destination, offset, count = args
        if version == V15:
            body = struct.pack('!HHHHHxxII', 28, 0, count, source_offset, offset, header(source), header(destination))
            body = padded(body)
            return body[:2] + struct.pack('!H', len(body)) + body[4:]
        return nicira(6, struct.pack('!HHHII', count, source_offset, offset, header(source), header(destination)))
    if name == 'resubmit':
        return nicira(14, struct.pack('!HB3x', port(V10, args[0]), args[1]))
    if name in ('push', 'pop'):
        return nicira(27 if name == 'push' else 28, struct.pack('!HIH', 0, header(args[0]), FIELDS[args[0]][2]))
    if name == 'learn':
        table, priority, cookie, idle, hard, flags, specs = args
        return nicira(16, struct.pack('!HHHQHBxHH', idle, hard, priority, cookie, flags, table, 0, 0) + b''.join(map(learn_spec, specs)))
    if name == 'note':
        return nicira(8, args[0])
    if version == V10:
        simple = {'set_vlan_vid': (1, '!Hxx'), 'set_vlan_pcp': (2, '!Bxxx'), 'pop_vlan': (3, '!4x'), 'set_nw_src': (6, '!I'),
                  'set_nw_dst': (7, '!I'), 'set_nw_tos': (8, '!Bxxx'), 'set_tp_src': (9, '!Hxx'), 'set_tp_dst': (10, '!Hxx')}
        if name in ('set_dl_src', 'set_dl_dst'):
            return struct.pack('!HH6s6x', 4 if name == 'set_dl_src' else 5, 16, args[0].to_bytes(6, 'big'))
        if name in simple:
            number, form = simple[name]
            return struct.pack('!HH', number, 8) + struct.pack(form, *args)
        if name == 'dec_ttl':
            return nicira(18, struct.pack('!H', 0))
        if name == 'enqueue':
            return struct.pack('!HHH6xI', 11, 16, args[0] & NONE16, args[1])
    else:
        if name == 'set':
            return with_length(25, oxm(*args))
        simple = {'set_mpls_ttl': (15, '!Bxxx'), 'dec_mpls_ttl': (16, '!4x'), 'push_vlan': (17, '!Hxx'), 'pop_vlan': (18, '!4x'),
                  'push_mpls': (19, '!Hxx'), 'pop_mpls': (20, '!Hxx'), 'set_queue': (21, '!I'), 'group': (22, '!I'),
                  'set_ttl': (23, '!Bxxx'), 'dec_ttl': (24, '!4x'), 'meter': (29, '!I')}
        if name in simple:
            number, form = simple[name]
            return struct.pack('!HH', number, 8) + struct.pack(form, *args)
    raise ValueError(a)


def with_length(kind, body):
    whole = padded(struct.pack('!HH', kind, 0) + body)
    return whole[:2] + struct.pack('!H', len(whole)) + whole[4:]


def actions(version, some):
    return b''.join(action(version, a) for a in some)


def instruction(version, i):
    name, args = i[0], i[1:]
    if name == 'raw':
        return args[0]
    if name == 'goto':
        return struct.pack('!HHB3x', 1, 8, args[0])
    if name == 'metadata':
        return struct.pack('!HH4xQQ', 2, 24, *args)
    if name in ('apply', 'write'):
        body = actions(version, args[0])
        return struct.pack('!HH4x', 4 if name == 'apply' else 3, 8 + len(body)) + body
    if name == 'meter':
        return struct.pack('!HHI', 6, 8, args[0])
    if name == 'clear':
        return struct.pack('!HH4x', 5, 8)
    raise ValueError(i)


def message(version, kind, xid, body):
    return struct.pack('!BBHI', version, kind, 8 + len(body), xid) + body


def flow_mod(version, xid, *, command=0, table=0, match_=None, extra=b'', priority=0, cookie=0, cookie_mask=0, out_port=ANY,
             out_group=ANY, flags=0, idle=0, hard=0, importance=0, instructions=(), buffer=NONE32):
    if version == V10:
        some = [a for i in instructions for a in i[1]]
        return message(version, 14, xid, match10(match_ or {}) + struct.pack(
            '!QHHHHIHH', cookie, command, idle, hard, priority, buffer, out_port & NONE16, flags) + actions(version, some))
    return message(version, 14, xid, struct.pack(
        '!QQBBHHHIIIHH', cookie, cookie_mask, table, command, idle, hard, priority, buffer, out_port, out_group, flags,
        importance if version >= V14 else 0) + match(version, match_ or {}, extra)
        + b''.join(instruction(version, i) for i in instructions))


def group_mod(version, xid, *, command=0, kind=0, group=0, buckets=()):
    """Buckets: (weight, watch port, watch group, actions)."""
    body = b''
    for number, (weight, watch_port, watch_group, some) in enumerate(buckets):
        acts = actions(version, some)
        if version < V15:
            body += struct.pack('!HHII4x', 16 + len(acts), weight, watch_port, watch_group) + acts
        else:
            properties = b''
            if kind == 1:
                properties += struct.pack('!HHHxx', 0, 8, weight)
            if watch_port != ANY:
                properties += struct.pack('!HHI', 1, 8, watch_port)
            if watch_group != ANY:
                properties += struct.pack('!HHI', 2, 8, watch_group)
            body += struct.pack('!HHI', 8 + len(acts) + len(properties), len(acts), number) + acts + properties
    if version < V15:
        return message(version, 15, xid, struct.pack('!HBxI', command, kind, group) + body)
    return message(version, 15, xid, struct.pack('!HBxIHxxI', command, kind, group, len(body), 0xffffffff if buckets else 0xffffffff)
                   + body)


def meter_mod(version, xid, *, command=0, flags=0, meter=0, bands=()):
    """Bands: (type, rate, burst)."""
    return message(version, 29, xid, struct.pack('!HHI', command, flags, meter)
                   + b''.join(struct.pack('!HHII4x', kind, 16, rate, burst) for kind, rate, burst in bands))


def packet_out(version, xid, in_port, some, frame):
    acts = actions(version, some)
    if version == V10:
        body = struct.pack('!IHH', NONE32, in_port & NONE16, len(acts))
    elif version < V15:
        body = struct.pack('!IIH6x', NONE32, in_port, len(acts))
    else:
        body = struct.pack('!IHxx', NONE32, len(acts)) + match(version, {'in_port': in_port})
    return message(version, 13, xid, body + acts + frame)

#!/usr/bin/env python3
"""Writes vectors.jsonl: what every OpenFlow edit makes of every kind of packet, by Scapy.

An oracle that shares no code with the datapath: packets are Scapy objects, an edit is a change of
the object, and all checksums and lengths are computed anew by Scapy when it builds the bytes.

    pip install -r requirements.txt && python3 generate.py

Lines of two kinds, one JSON object each:

    {"kind": name, "in": hex, "fields": {name: hex, ...},            a packet and the fields it has
     "partial": {"in": hex, "start": n, "offset": n}}                the same, checksum left to hardware
    {"kind": name, "op": name, "args": [...],                        an edit and its result;
     "out": hex, "error": true}                                      no "out": unchanged

Conventions of the switch that the specification leaves open are in `conventions` below.
"""

import json
import os
import struct
import sys

from scapy.all import Ether, IP, TCP, UDP
from scapy.contrib.mpls import MPLS
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.inet import in4_chksum
from scapy.layers.l2 import Dot1AH
from scapy.utils import checksum

from fields import FIELDS, ip_proto, nw_ttl, put_eth_type, put_nw_ttl
from packets import kinds

conventions = """
- an edit of a header that the packet doesn't have changes nothing
- a TTL of 0 or 1 can't be decremented: error, unchanged
- push_mpls without a shim and without IP: TTL 0, label 0
- pop_pbb with a B-TAG in front changes nothing
- set_field ip_proto keeps the upper layer's checksum right at the place of the old protocol
- set_field ip_tos keeps ECN
- 0 in UDP's checksum stays 0
"""


def fields_of(kind, view):
    out = {}
    for name, ((get, _), _, _) in FIELDS.items():
        value = get(view)
        if value is not None:
            out[name] = '%x' % value
    if view.ip() is not None:
        out['ip_frag'] = '%x' % kind.extra.get('ip_frag', 0)
    if view.ip(IPv6) is not None:
        out['ipv6_exthdr'] = '%x' % kind.extra.get('ipv6_exthdr', 0)
    return out


def set_proto(kind, view, value):
    """A new ip_proto on the built bytes; the checksum at the old protocol's place follows it."""
    b = bytearray(bytes(view.eth))
    at = {6: 16, 17: 6, 58: 2}.get(ip_proto(view))
    layer, l3 = view.proto_layer, view.l3
    size = lambda p: len(bytes(p))
    l3_at = len(b) - size(l3)
    # Without post-processing yet, so the packet ends where the frame does.
    l4_at = len(b) - size(layer.payload)
    old = ip_proto(view)
    layer_at = len(b) - size(layer)
    b[layer_at + {IP: 9, IPv6: 6}.get(type(layer), 0)] = value
    if isinstance(l3, IP):
        b[l3_at + 10:l3_at + 12] = b'\0\0'
        header = (b[l3_at] & 15) * 4
        struct.pack_into('!H', b, l3_at + 10, checksum(bytes(b[l3_at:l3_at + header])))
        pseudo = old in (6, 17)
    else:
        pseudo = old in (6, 17, 58)
    if pseudo and at is not None and not (old == 17 and b[l4_at + at:l4_at + at + 2] == b'\0\0'):
        b[l4_at + at:l4_at + at + 2] = b'\0\0'
        l4 = bytes(b[l4_at:])
        if isinstance(l3, IP):
            c = in4_chksum(value, l3, l4)
        else:
            c = in6_chksum(value, view.proto_layer if view.proto_layer is not l3 else l3, l4)
        if old == 17 and c == 0:
            c = 0xffff
        struct.pack_into('!H', b, l4_at + at, c)
    return kind.post(bytes(b))


def tci(prio, vid):
    return prio << 13 | vid


def edits(kind):
    """Yields (op, args, bytes or None for unchanged, error)."""
    before = kind.bytes(kind.view())

    def changed(edit):
        v = kind.view()
        edit(v)
        return kind.bytes(v)

    # VLAN tags
    v = kind.view()
    outer = tci(v.tags[0].prio, v.tags[0].vlan) if v.tags else 0
    for tpid in (0x8100, 0x88a8):
        yield 'push_vlan', [tpid], before[:12] + struct.pack('!HH', tpid, outer) + before[12:]
    yield 'pop_vlan', [], before[:12] + before[16:] if v.tags else None
    for op, arg, tag_tci in (('set_vlan_vid', 0xabc, 0xabc), ('set_vlan_pcp', 5, 5 << 13)):
        if v.tags:
            name = op[4:]
            value = arg | 0x1000 if op == 'set_vlan_vid' else arg
            yield op, [arg], changed(lambda v: FIELDS[name][0][1](v, value))
        else:
            yield op, [arg], before[:12] + struct.pack('!HH', 0x8100, tag_tci) + before[12:]

    # MPLS
    def push_mpls(v, ty):
        shim = v.l3.copy() if isinstance(v.l3, MPLS) else None
        if shim is not None:
            new = MPLS(label=shim.label, cos=shim.cos, s=0, ttl=shim.ttl)
        else:
            new = MPLS(label=0, cos=0, s=1, ttl=nw_ttl(v) or 0)
        payload = v.typed.payload
        v.typed.remove_payload()
        v.typed.add_payload(new)
        new.add_payload(payload)
        put_eth_type(v, ty)

    def pop_mpls(v, ty):
        payload = v.l3.payload
        v.typed.remove_payload()
        v.typed.add_payload(payload)
        put_eth_type(v, ty)

    for ty in (0x8847, 0x8848):
        if v.typed is None:
            yield 'push_mpls', [ty], None
            continue
        pushed = kind.view()
        push_mpls(pushed, ty)
        pushed = bytes(pushed.eth)
        # What cutting, padding and fragmenting did to the packet stays as it is behind the shim.
        l3_at = len(bytes(v.eth)) - len(bytes(v.l3))
        yield 'push_mpls', [ty], pushed[:l3_at + 4] + before[l3_at:]
    for ty in (0x0800, 0x86dd, 0x8847):
        yield 'pop_mpls', [ty], changed(lambda v: pop_mpls(v, ty)) if isinstance(v.l3, MPLS) else None

    # PBB
    isid = v.l3.isid if isinstance(v.l3, Dot1AH) else 0
    new = bytes(Ether(dst=v.eth.dst, src=v.eth.src, type=0x88e7)
                / Dot1AH(prio=v.tags[0].prio if v.tags else 0, dei=0, nca=0, isid=isid)) + before
    yield 'push_pbb', [0x88e7], new
    pop = isinstance(v.l3, Dot1AH) and not v.tags
    yield 'pop_pbb', [], kind.post(bytes(v.l3.payload)) if pop else None

    # TTL
    shim = v.l3 if isinstance(v.l3, MPLS) else None
    yield 'set_mpls_ttl', [127], changed(lambda v: setattr(v.l3, 'ttl', 127)) if shim else None
    if shim and shim.ttl <= 1:
        yield 'dec_mpls_ttl', [], None, True
    else:
        yield 'dec_mpls_ttl', [], changed(lambda v: setattr(v.l3, 'ttl', v.l3.ttl - 1)) if shim else None
    ttl = nw_ttl(v)
    yield 'set_nw_ttl', [127], None if ttl is None else changed(lambda v: put_nw_ttl(v, 127))
    if ttl is not None and ttl <= 1:
        yield 'dec_nw_ttl', [], None, True
    else:
        yield 'dec_nw_ttl', [], None if ttl is None else changed(lambda v: put_nw_ttl(v, nw_ttl(v) - 1))

    def two(v):
        def name(p):
            return 'hlim' if isinstance(p, IPv6) else 'ttl'
        outer = v.l3
        if isinstance(outer, MPLS):
            inner = outer.payload
        elif isinstance(outer, (IP, IPv6)) and kind.l4_fields:
            inner = v.proto_layer.payload
        else:
            return None
        if not isinstance(inner, (MPLS, IP, IPv6)):
            return None
        return (outer, name(outer)), (inner, name(inner))

    def copy_ttl(v, out):
        to, of = two(v) if out else reversed(two(v))
        setattr(to[0], to[1], getattr(*of))
    for op, out in (('copy_ttl_out', True), ('copy_ttl_in', False)):
        yield op, [], changed(lambda v: copy_ttl(v, out)) if two(v) else None

    # 1.0's port actions
    for op, arg, names in (
            ('set_tp_src', 0x5566, ('tcp_src', 'udp_src', 'sctp_src', 'icmpv4_type', 'icmpv6_type')),
            ('set_tp_dst', 0x5566, ('tcp_dst', 'udp_dst', 'sctp_dst', 'icmpv4_code', 'icmpv6_code'))):
        name = next((n for n in names if FIELDS[n][0][0](v) is not None), None)
        value = arg & 0xff if name and name.startswith('icmp') else arg
        yield op, [arg], changed(lambda v: FIELDS[name][0][1](v, value)) if name else None

    # Set-field of every field, whole and masked
    for name, ((get, put), bits, value) in FIELDS.items():
        ones = (1 << bits) - 1
        old = get(v)
        if value is None:
            value = 1 - (old or 0)
        odd = 0x0ff0_f00f_3cc3_5aa5_0ff0_f00f_3cc3_5aa5 & ones
        for mask in (ones, odd) if odd not in (0, ones) else (ones,):
            if name == 'vlan_vid':
                mask |= 0x1000
            args = [name, '%x' % (value & mask), '%x' % mask]
            if old is None or name == 'eth_type' and v.typed is None:
                yield 'set_field', args, None
                continue
            keep = mask & (0xfc if name == 'ip_tos' else ones)
            new = old & ~keep | value & keep
            if name == 'ip_proto':
                yield 'set_field', args, set_proto(kind, kind.view(), new)
            else:
                yield 'set_field', args, changed(lambda v: put(v, new))


def partial(kind):
    """The packet as a kernel hands it over: the pseudo-header's sum instead of the checksum."""
    v = kind.view()
    if not kind.partial or v.upper((TCP, UDP)) is None:
        return None
    b = bytearray(kind.bytes(v))
    offset = 16 if isinstance(v.l4, TCP) else 6
    l4_at = len(b) - len(bytes(v.l4))
    # The sum of the whole less that of the rest is the pseudo-header's.
    at = l4_at + offset
    total = struct.unpack_from('!H', b, at)[0] ^ 0xffff
    b[at:at + 2] = b'\0\0'
    rest = checksum(bytes(b[l4_at:])) ^ 0xffff
    pseudo = (total - rest) % 0xffff
    struct.pack_into('!H', b, at, pseudo)
    return {'in': b.hex(), 'start': l4_at, 'offset': offset}


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vectors.jsonl')
    count = 0
    with open(path, 'w') as out:
        def line(**kw):
            out.write(json.dumps(kw, separators=(',', ':')) + '\n')
        for kind in kinds():
            v = kind.view()
            before = kind.bytes(v)
            head = {'kind': kind.name, 'in': before.hex(), 'fields': fields_of(kind, v)}
            part = partial(kind)
            if part:
                head['partial'] = part
            line(**head)
            for op, args, after, *error in edits(kind):
                row = {'kind': kind.name, 'op': op, 'args': args}
                if after is not None and after != before:
                    row['out'] = after.hex()
                if error:
                    row['error'] = True
                line(**row)
                count += 1
    print('%d vectors' % count, file=sys.stderr)


if __name__ == '__main__':
    main()

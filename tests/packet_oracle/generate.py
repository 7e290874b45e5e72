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

import copy
import json
import os
import struct
import sys

from scapy.all import (
    ARP, ByteField, Dot1AD, Dot1Q, Dot3, Ether, IP, IPOption_RR, LLC, Packet, Raw, SNAP, ShortField,
    StrFixedLenField, TCP, UDP, XIntField, XShortField)
from scapy.contrib.mpls import MPLS
from scapy.layers.inet6 import (
    ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
    ICMPv6Unknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, _IPv6ExtHdr, in6_chksum)
from scapy.layers.inet import in4_chksum
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Dot1AH
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.utils import checksum

conventions = """
- an edit of a header that the packet doesn't have changes nothing
- a TTL of 0 or 1 can't be decremented: error, unchanged
- push_mpls without a shim and without IP: TTL 0, label 0
- pop_pbb with a B-TAG in front changes nothing
- set_field ip_proto keeps the upper layer's checksum right at the place of the old protocol
- set_field ip_tos keeps ECN
- 0 in UDP's checksum stays 0
"""

A, B = '02:00:00:00:00:0a', '02:00:00:00:00:0b'
S4, D4 = '192.168.10.10', '10.1.2.3'
S6, D6 = '2001:db8::10', '2001:db8:1::20'
DATA = bytes(range(1, 32))


def mac(text):
    return int(text.replace(':', ''), 16)


def mac_text(value):
    return ':'.join('%02x' % b for b in value.to_bytes(6, 'big'))


def ip4(text):
    return int.from_bytes(bytes(int(x) for x in text.split('.')), 'big')


def ip4_text(value):
    return '.'.join(str(b) for b in value.to_bytes(4, 'big'))


def ip6(text):
    import ipaddress
    return int(ipaddress.IPv6Address(text))


def ip6_text(value):
    import ipaddress
    return str(ipaddress.IPv6Address(value))


class ICMP(Packet):
    """ICMP whose body doesn't depend on the type, so that setting the type changes nothing else."""

    name = 'ICMP'
    fields_desc = [ByteField('type', 8), ByteField('code', 0), XShortField('chksum', None)]

    def post_build(self, p, pay):
        p += pay
        return p[:2] + struct.pack('!H', checksum(p)) + p[4:] if self.chksum is None else p


class AH(_IPv6ExtHdr):
    """An authentication header that Scapy looks through when it computes upper-layer checksums."""

    name = 'AH'
    fields_desc = [ByteField('nh', 17), ByteField('length', 4), ShortField('reserved', 0), XIntField('spi', 1),
                   XIntField('seq', 1), StrFixedLenField('icv', bytes(12), 12)]


EXT = (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, AH)
ICMP6 = (ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6Unknown)


def fix(p):
    """Makes the types that Scapy derives from the payload explicit, so that edits don't change them."""
    layer = p
    while layer:
        for name in ('type', 'proto', 'nh'):
            if name in layer.fieldtype and not isinstance(layer, (ARP, ICMP) + ICMP6):
                setattr(layer, name, getattr(layer, name))
        layer = layer.payload
    return p


class View:
    """The headers of a packet as OpenFlow sees them."""

    def __init__(self, p, l4_fields=True):
        self.eth = p
        self.tags = []
        layer = p
        while isinstance(layer.payload, (Dot1Q, Dot1AD)):
            layer = layer.payload
            self.tags.append(layer)
        self.typed = layer if not isinstance(layer, Dot3) else None
        if isinstance(layer.payload, LLC):
            snap = layer.payload.payload
            self.typed = snap if isinstance(snap, SNAP) and snap.OUI == 0 else None
        self.l3 = self.typed.payload if self.typed is not None else None
        self.l4 = self.proto_layer = None
        if isinstance(self.l3, (IP, IPv6)):
            layer = self.l3
            while isinstance(layer.payload, EXT):
                layer = layer.payload
            self.proto_layer = layer
            if l4_fields:
                self.l4 = layer.payload

    def ip(self, *kinds):
        return self.l3 if isinstance(self.l3, kinds or (IP, IPv6)) else None

    def upper(self, kinds):
        return self.l4 if self.l4 is not None and isinstance(self.l4, kinds) else None


def proto_name(layer):
    return 'proto' if isinstance(layer, IP) else 'nh'


def attr(find, name, to=lambda v: v, back=lambda v: v):
    def get(v):
        layer = find(v)
        return None if layer is None else to(getattr(layer, name))

    def put(v, value):
        setattr(find(v), name, back(value))
    return get, put


def option(v, kind, cls):
    nd = v.upper(kind)
    if nd is None or not isinstance(nd.payload, cls):
        return None
    return nd.payload


def tos(v):
    l3 = v.ip()
    return None if l3 is None else (l3.tos if isinstance(l3, IP) else l3.tc)


def put_tos(v, value):
    setattr(v.l3, 'tos' if isinstance(v.l3, IP) else 'tc', value)


def tos_part(shift, mask):
    def get(v):
        t = tos(v)
        return None if t is None else (t >> shift) & mask

    def put(v, value):
        put_tos(v, tos(v) & ~(mask << shift) & 0xff | value << shift)
    return get, put


def ip_proto(v):
    return None if v.proto_layer is None else getattr(v.proto_layer, proto_name(v.proto_layer))


def nw_ttl(v):
    l3 = v.ip()
    return None if l3 is None else (l3.ttl if isinstance(l3, IP) else l3.hlim)


def put_nw_ttl(v, value):
    setattr(v.l3, 'ttl' if isinstance(v.l3, IP) else 'hlim', value)


def l3_is(*kinds):
    return lambda v: v.l3 if isinstance(v.l3, kinds) else None


def l4_is(*kinds):
    return lambda v: v.upper(kinds)


def arp_of(v):
    return v.l3 if isinstance(v.l3, ARP) else None


def tag(v):
    return v.tags[0] if v.tags else None


def flags_of(v):
    t = v.upper(TCP)
    return None if t is None else t.reserved << 9 | int(t.flags)


def put_flags(v, value):
    v.l4.reserved, v.l4.flags = value >> 9, value & 0x1ff


def eth_type(v):
    return 0x05ff if v.typed is None else getattr(v.typed, 'type' if 'type' in v.typed.fieldtype else 'code')


def put_eth_type(v, value):
    if v.typed is not None:
        setattr(v.typed, 'type' if 'type' in v.typed.fieldtype else 'code', value)


MAC = (mac, mac_text)
# name: (getter, setter), width, a value to set
FIELDS = {
    'eth_dst': (attr(lambda v: v.eth, 'dst', *MAC), 48, 0x0a1b2c3d4e5f),
    'eth_src': (attr(lambda v: v.eth, 'src', *MAC), 48, 0x021122334455),
    'eth_type': ((eth_type, put_eth_type), 16, 0x88b6),
    'vlan_vid': (attr(tag, 'vlan', lambda x: x | 0x1000, lambda x: x & 0xfff), 13, 0x1abc),
    'vlan_pcp': (attr(tag, 'prio'), 3, 5),
    'ip_dscp': (tos_part(2, 0x3f), 6, 0x2e),
    'ip_ecn': (tos_part(0, 3), 2, 2),
    'ip_tos': ((tos, put_tos), 8, 0xb8),
    'ip_proto': ((ip_proto, None), 8, 17),
    'nw_ttl': ((nw_ttl, put_nw_ttl), 8, 77),
    'ipv4_src': (attr(l3_is(IP), 'src', ip4, ip4_text), 32, 0xac100102),
    'ipv4_dst': (attr(l3_is(IP), 'dst', ip4, ip4_text), 32, 0xfffe0001),
    'ipv6_src': (attr(l3_is(IPv6), 'src', ip6, ip6_text), 128, 0xfd00aaaa_bbbbcccc_ddddeeee_12345678),
    'ipv6_dst': (attr(l3_is(IPv6), 'dst', ip6, ip6_text), 128, 0xfd001111_22223333_44445555_9abcdef0),
    'ipv6_flabel': (attr(l3_is(IPv6), 'fl'), 20, 0xabcde),
    'tcp_src': (attr(l4_is(TCP), 'sport'), 16, 0xbeef),
    'tcp_dst': (attr(l4_is(TCP), 'dport'), 16, 0x1f90),
    'udp_src': (attr(l4_is(UDP), 'sport'), 16, 0xbeef),
    'udp_dst': (attr(l4_is(UDP), 'dport'), 16, 0x1f90),
    'sctp_src': (attr(l4_is(SCTP), 'sport'), 16, 0xbeef),
    'sctp_dst': (attr(l4_is(SCTP), 'dport'), 16, 0x1f90),
    'tcp_flags': ((flags_of, put_flags), 12, 0xa55),
    'icmpv4_type': (attr(l4_is(ICMP), 'type'), 8, 13),
    'icmpv4_code': (attr(l4_is(ICMP), 'code'), 8, 7),
    'icmpv6_type': (attr(l4_is(*ICMP6), 'type'), 8, 129),
    'icmpv6_code': (attr(l4_is(*ICMP6), 'code'), 8, 9),
    'ipv6_nd_target': (attr(l4_is(ICMPv6ND_NS, ICMPv6ND_NA), 'tgt', ip6, ip6_text), 128, 0xfd001111 << 96 | 0x77),
    'ipv6_nd_sll': (attr(lambda v: option(v, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr), 'lladdr', *MAC), 48, 0x0a1b2c3d4e5f),
    'ipv6_nd_tll': (attr(lambda v: option(v, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr), 'lladdr', *MAC), 48, 0x0a1b2c3d4e5f),
    'arp_op': (attr(arp_of, 'op'), 16, 0x1234),
    'arp_spa': (attr(arp_of, 'psrc', ip4, ip4_text), 32, 0xac100102),
    'arp_tpa': (attr(arp_of, 'pdst', ip4, ip4_text), 32, 0xac100103),
    'arp_sha': (attr(arp_of, 'hwsrc', *MAC), 48, 0x0a1b2c3d4e5f),
    'arp_tha': (attr(arp_of, 'hwdst', *MAC), 48, 0x0a1b2c3d4e5f),
    'mpls_label': (attr(l3_is(MPLS), 'label'), 20, 0xabcde),
    'mpls_tc': (attr(l3_is(MPLS), 'cos'), 3, 5),
    'mpls_bos': (attr(l3_is(MPLS), 's'), 1, None),
    'mpls_ttl': (attr(l3_is(MPLS), 'ttl'), 8, 99),
    'pbb_isid': (attr(l3_is(Dot1AH), 'isid'), 24, 0xabcdef),
    'pbb_uca': (attr(l3_is(Dot1AH), 'nca'), 1, None),
}


class Kind:
    def __init__(self, name, packet, post=None, l4_fields=True, partial=True, extra=None, skip=()):
        self.name = name
        self.packet = fix(packet)
        self.post = post or (lambda b: b)
        self.l4_fields = l4_fields
        self.extra = extra or {}
        self.partial = partial and post is None
        self.skip = skip

    def view(self):
        p = copy.deepcopy(self.packet)
        return View(p, self.l4_fields)

    def bytes(self, view):
        return self.post(bytes(view.eth))


def padded(b):
    return b + bytes([0xee] * 9)


def cut(n):
    return lambda b: b[:n]


def fragment4(first):
    def post(b):
        at, size = 14, 20
        header, payload = bytearray(b[at:at + size]), b[at + size:]
        payload = payload[:24] if first else payload[24:]
        struct.pack_into('!HHH', header, 2, size + len(payload), 0x77, 0x2000 if first else 3)
        header[10:12] = b'\0\0'
        struct.pack_into('!H', header, 10, checksum(bytes(header)))
        return b[:at] + bytes(header) + payload
    return post


def fragment6(first):
    def post(b):
        header, payload = bytearray(b[14:54]), b[54:]
        payload = payload[:24] if first else payload[24:]
        extension = struct.pack('!BBHI', header[6], 0, 1 if first else 24, 0x12345678)
        header[6] = 44
        struct.pack_into('!H', header, 4, 8 + len(payload))
        return b[:14] + bytes(header) + extension + payload
    return post


def kinds():
    e = lambda **kw: Ether(dst=A, src=B, **kw)
    v4 = lambda **kw: IP(src=S4, dst=D4, tos=0x29, ttl=64, id=0x1234, flags='DF', **kw)
    v6 = lambda **kw: IPv6(src=S6, dst=D6, tc=0x29, fl=0x12345, hlim=64, **kw)
    tcp = lambda: TCP(sport=11111, dport=2222, seq=1, ack=2, flags='PAUE', reserved=5, options=[('MSS', 1460)]) / DATA
    udp = lambda **kw: UDP(sport=11111, dport=2222, **kw) / DATA
    sctp = lambda: SCTP(sport=11111, dport=2222, tag=7) / SCTPChunkData(data=DATA)
    shim = lambda s=1, ttl=50, label=100: MPLS(label=label, cos=3, s=s, ttl=ttl)
    itag = lambda isid=0x123456: Dot1AH(prio=2, dei=1, nca=1, isid=isid)
    inner = lambda **kw: Ether(dst='0a:00:00:00:00:01', src='0a:00:00:00:00:02', **kw)
    ns = ICMPv6ND_NS(tgt=D6) / ICMPv6NDOptSrcLLAddr(lladdr=B)
    na = ICMPv6ND_NA(tgt=D6) / ICMPv6NDOptDstLLAddr(lladdr=B)
    K = Kind

    def tuned(dport):
        """A payload with which the UDP checksum to this port computes to 0, so 0xffff is sent."""
        b = bytes(v4() / UDP(sport=11111, dport=dport) / b'\0\0')
        return struct.pack('!H', struct.unpack_from('!H', b, 26)[0])
    yield K('unknown', e(type=0x88b5) / DATA)
    yield K('ipv4_tcp', e() / v4() / tcp())
    yield K('ipv4_options_tcp', e() / v4(options=[IPOption_RR(length=11, routers=['1.2.3.4', '0.0.0.0'])]) / tcp())
    yield K('ipv4_udp', e() / v4() / udp())
    yield K('ipv4_udp_no_checksum', e() / v4() / udp(chksum=0), partial=False)
    yield K('ipv4_udp_checksum_ffff', e() / v4() / UDP(sport=11111, dport=2222) / tuned(2222), partial=False)
    yield K('ipv4_udp_checksum_becomes_ffff', e() / v4() / UDP(sport=11111, dport=2222) / tuned(0x1f90))
    yield K('ipv4_sctp', e() / v4() / sctp())
    yield K('ipv4_icmp', e() / v4(proto=1) / ICMP(type=8) / Raw(b'\0\1\0\2' + DATA))
    yield K('ipv4_gre_number', e() / v4(proto=47) / Raw(DATA))
    yield K('ipv4_tcp_padded', e() / v4() / tcp(), padded)
    yield K('ipv4_tcp_cut_in_payload', e() / v4() / tcp(), cut(70))
    # The TCP header lacks its last two bytes, so its fields are absent; its checksum is there.
    yield K('ipv4_tcp_cut_in_header', e() / v4() / tcp(), cut(14 + 20 + 18), l4_fields=False)
    yield K('ipv4_sctp_cut_in_payload', e() / v4() / sctp(), cut(60))
    yield K('ipv4_udp_first_fragment', e() / v4() / udp(), fragment4(True), extra={'ip_frag': 1})
    yield K('ipv4_tcp_first_fragment', e() / v4() / tcp(), fragment4(True), extra={'ip_frag': 1})
    yield K('ipv4_udp_later_fragment', e() / v4() / udp(), fragment4(False), l4_fields=False, extra={'ip_frag': 3})
    yield K('ipv4_ttl_1', e() / IP(src=S4, dst=D4, ttl=1) / udp())
    yield K('ipv4_ttl_0', e() / IP(src=S4, dst=D4, ttl=0) / udp())
    yield K('ipv4_in_ipv4', e() / v4(proto=4) / IP(src='1.1.1.1', dst='2.2.2.2', ttl=33) / tcp())
    yield K('ipv6_in_ipv4', e() / v4(proto=41) / IPv6(src=D6, dst=S6, hlim=33) / tcp())
    yield K('ipv6_tcp', e() / v6() / tcp())
    yield K('ipv6_udp', e() / v6() / udp())
    yield K('ipv6_sctp', e() / v6() / sctp())
    yield K('ipv6_icmpv6', e() / v6() / ICMPv6EchoRequest(id=1, seq=2, data=DATA))
    yield K('ipv6_nd_ns', e() / v6() / ns)
    yield K('ipv6_nd_na', e() / v6() / na)
    yield K('ipv6_nd_ns_no_option', e() / v6() / ICMPv6ND_NS(tgt=D6))
    yield K('ipv6_hop_dest_tcp', e() / v6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / tcp(),
            extra={'ipv6_exthdr': 64 | 8})
    yield K('ipv6_dest_hop_udp', e() / v6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / udp(),
            extra={'ipv6_exthdr': 8 | 256})
    yield K('ipv6_routing_tcp', e() / v6() / IPv6ExtHdrRouting(addresses=['2001:db8::99'], segleft=1) / tcp(),
            extra={'ipv6_exthdr': 32})
    yield K('ipv6_routing_done_tcp', e() / v6() / IPv6ExtHdrRouting(addresses=['2001:db8::99'], segleft=0) / tcp(),
            extra={'ipv6_exthdr': 32})
    yield K('ipv6_two_routing_udp', e() / v6() / IPv6ExtHdrRouting(segleft=0) / IPv6ExtHdrRouting(segleft=0) / udp(),
            extra={'ipv6_exthdr': 32 | 128})
    yield K('ipv6_ah_udp', e() / v6(nh=51) / AH() / udp(), extra={'ipv6_exthdr': 4})
    yield K('ipv6_esp', e() / v6(nh=50) / ESP(spi=1, seq=1, data=DATA), l4_fields=False, extra={'ipv6_exthdr': 2})
    yield K('ipv6_no_next', e() / v6(nh=59), l4_fields=False, extra={'ipv6_exthdr': 1})
    yield K('ipv6_udp_first_fragment', e() / v6() / udp(), fragment6(True), extra={'ip_frag': 1, 'ipv6_exthdr': 16})
    yield K('ipv6_udp_later_fragment', e() / v6() / udp(), fragment6(False), l4_fields=False,
            extra={'ip_frag': 3, 'ipv6_exthdr': 16})
    yield K('ipv6_hop_limit_1', e() / IPv6(src=S6, dst=D6, hlim=1) / udp())
    yield K('arp', e() / ARP(op=1, hwsrc=B, psrc=S4, hwdst='00:00:00:00:00:00', pdst=D4))
    yield K('arp_padded', e() / ARP(op=2, hwsrc=B, psrc=S4, hwdst=A, pdst=D4), padded)
    yield K('rarp', e(type=0x8035) / ARP(op=3, hwsrc=B, psrc=S4, hwdst=A, pdst=D4))
    yield K('vlan_ipv4_tcp', e() / Dot1Q(vlan=100, prio=3, id=1) / v4() / tcp())
    yield K('vlan_ipv6_udp', e() / Dot1Q(vlan=100, prio=3) / v6() / udp())
    yield K('priority_tag_arp', e() / Dot1Q(vlan=0, prio=6) / ARP(op=1, hwsrc=B, psrc=S4, hwdst=A, pdst=D4))
    yield K('qinq_ipv4_udp', e() / Dot1AD(vlan=200, prio=5) / Dot1Q(vlan=100, prio=3) / v4() / udp())
    yield K('qinq_ipv6_sctp', e() / Dot1AD(vlan=200, prio=5) / Dot1Q(vlan=100, prio=3) / v6() / sctp())
    yield K('mpls_ipv4_tcp', e() / shim() / v4() / tcp())
    yield K('mpls_ipv6_udp', e() / shim() / v6() / udp())
    yield K('mpls_mpls_ipv4_tcp', e() / shim(0) / shim(1, 40, 200) / v4() / tcp())
    yield K('mpls_multicast_arp', e(type=0x8848) / shim() / ARP(op=1, hwsrc=B, psrc=S4, hwdst=A, pdst=D4))
    yield K('mpls_ttl_1', e() / shim(1, 1) / v4() / tcp())
    yield K('vlan_mpls_ipv4_udp', e() / Dot1Q(vlan=100, prio=3) / shim() / v4() / udp())
    yield K('pbb_ipv4_tcp', e() / itag() / inner() / v4() / tcp())
    yield K('pbb_vlan_ipv6_udp', e() / itag() / inner() / Dot1Q(vlan=100, prio=3) / v6() / udp())
    yield K('btag_pbb_arp', e() / Dot1AD(vlan=300, prio=4) / itag() / inner()
            / ARP(op=1, hwsrc=B, psrc=S4, hwdst=A, pdst=D4))
    yield K('pbb_pbb_ipv4_udp', e() / itag() / inner() / itag(0x654321) / inner() / v4() / udp())
    yield K('llc', Dot3(dst=A, src=B) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / DATA)
    yield K('vlan_llc', e() / Dot1Q(vlan=100, prio=3, type=3 + len(DATA)) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / DATA)
    yield K('snap_ipv4_udp', Dot3(dst=A, src=B) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0) / v4() / udp())
    yield K('snap_other_oui', Dot3(dst=A, src=B) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0xf8, code=0x800) / DATA)


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

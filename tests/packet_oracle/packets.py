"""The kinds of packet, and what is found in one."""

import copy
import struct

from scapy.all import (
    ARP, ByteField, Dot1AD, Dot1Q, Dot3, Ether, IP, IPOption_RR, LLC, Packet, Raw, SNAP, ShortField,
    StrFixedLenField, TCP, UDP, XIntField, XShortField)
from scapy.contrib.mpls import MPLS
from scapy.layers.inet6 import (
    ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6Unknown,
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, _IPv6ExtHdr)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Dot1AH
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.utils import checksum

A, B = '02:00:00:00:00:0a', '02:00:00:00:00:0b'
S4, D4 = '192.168.10.10', '10.1.2.3'
S6, D6 = '2001:db8::10', '2001:db8:1::20'
DATA = bytes(range(1, 32))


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

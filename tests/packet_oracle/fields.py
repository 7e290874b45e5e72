"""OpenFlow's fields of a packet: how each is read and written in Scapy's terms."""

import ipaddress

from scapy.all import ARP, IP, TCP, UDP
from scapy.contrib.mpls import MPLS
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Dot1AH
from scapy.layers.sctp import SCTP

from packets import ICMP, ICMP6


def mac(text):
    return int(text.replace(':', ''), 16)


def mac_text(value):
    return ':'.join('%02x' % b for b in value.to_bytes(6, 'big'))


def ip4(text):
    return int.from_bytes(bytes(int(x) for x in text.split('.')), 'big')


def ip4_text(value):
    return '.'.join(str(b) for b in value.to_bytes(4, 'big'))


def ip6(text):
    return int(ipaddress.IPv6Address(text))


def ip6_text(value):
    return str(ipaddress.IPv6Address(value))


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

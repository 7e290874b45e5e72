"""Frames that the cases send, as bytes."""

import socket
import struct

from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6EchoRequest, IPv6, Raw

DST, SRC = '00:01:02:03:04:05', '00:06:07:08:09:0a'


def _done(frame, size=100):
    data = bytes(frame)
    return data if len(data) >= size else bytes(frame / Raw(bytes(i & 255 for i in range(size - len(data)))))


def _ether(dst, src, vid, pcp, outer):
    frame = Ether(dst=dst, src=src)
    if outer is not None:
        frame /= Dot1AD(vlan=outer)
    return frame if vid is None else frame / Dot1Q(vlan=vid, prio=pcp)


def tcp(dst=DST, src=SRC, ip_src='192.168.0.1', ip_dst='192.168.0.2', sport=1234, dport=80, vid=None, pcp=0, outer=None,
        ttl=64, tos=0, size=100, mark=0):
    """`mark` makes frames differ (it is the IP identification)."""
    return _done(_ether(dst, src, vid, pcp, outer) / IP(src=ip_src, dst=ip_dst, ttl=ttl, tos=tos, id=mark + 1)
                 / TCP(sport=sport, dport=dport, seq=1), size)


def udp(dst=DST, src=SRC, ip_src='192.168.0.1', ip_dst='192.168.0.2', sport=1234, dport=80, vid=None, pcp=0, size=100):
    return _done(_ether(dst, src, vid, pcp, None) / IP(src=ip_src, dst=ip_dst, id=1) / UDP(sport=sport, dport=dport), size)


def icmp(dst=DST, src=SRC, ip_src='192.168.0.1', ip_dst='192.168.0.2', kind=8, code=0):
    return _done(Ether(dst=dst, src=src) / IP(src=ip_src, dst=ip_dst, id=1) / ICMP(type=kind, code=code))


def tcp6(dst=DST, src=SRC, ip_src='2001:db8:85a3::8a2e:370:7334', ip_dst='2001:db8:85a3::8a2e:370:7335', sport=1234, dport=80,
         vid=None, pcp=0):
    return _done(_ether(dst, src, vid, pcp, None) / IPv6(src=ip_src, dst=ip_dst) / TCP(sport=sport, dport=dport))


def udp6(dst=DST, src=SRC, ip_src='2001:db8:85a3::8a2e:370:7334', ip_dst='2001:db8:85a3::8a2e:370:7335', sport=1234, dport=80):
    return _done(Ether(dst=dst, src=src) / IPv6(src=ip_src, dst=ip_dst) / UDP(sport=sport, dport=dport))


def icmp6():
    return _done(Ether(dst=DST, src=SRC) / IPv6(src='2001:db8::1', dst='2001:db8::2') / ICMPv6EchoRequest())


def arp(dst=DST, src=SRC, vid=None, pcp=0):
    return _done(_ether(dst, src, vid, pcp, None) / ARP(op=1, hwsrc=src, psrc='192.168.0.1', pdst='192.168.0.2'), 60)


def llc(dsap=0xaa, ssap=0xab):
    return bytes.fromhex('000102030405' '00060708090a') + struct.pack('!H', 17) + bytes([dsap, ssap, 3]) + bytes(43)


def fragment(offset=8, ip_src='192.168.0.1'):
    """A later fragment of an IPv4/UDP packet."""
    return _done(Ether(dst=DST, src=SRC) / IP(src=ip_src, dst='192.168.0.2', proto=17, frag=offset, flags='MF', id=7), 80)


def ipv4(text):
    return struct.unpack('!I', socket.inet_aton(text))[0]

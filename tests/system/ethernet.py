"""Frames byte by byte: what tests send through the switch."""

import socket
import struct


def mac(n):
    return bytes([2, 0, 0, 0, 0, n])


def ip4(text):
    return socket.inet_aton(text)


def fold(data):
    data = data + bytes(len(data) % 2)
    s = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def eth(dst, src, kind, payload, tags=()):
    head = dst + src
    for tag in tags:
        tpid, tci = tag if isinstance(tag, tuple) else (0x8100, tag)
        head += struct.pack('!HH', tpid, tci)
    frame = head + struct.pack('!H', kind) + payload
    return frame + bytes(max(0, 60 - len(frame)))


def ipv4(src, dst, proto, l4, ttl=64, tos=0, frag=0):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, tos, 20 + len(l4), 7, frag, ttl, proto, 0, ip4(src), ip4(dst))
    return head[:10] + struct.pack('!H', 0xffff ^ fold(head)) + head[12:] + l4


def checked(at, l4, pseudo):
    s = 0xffff ^ fold(pseudo + l4)
    return l4[:at] + struct.pack('!H', s or 0xffff) + l4[at + 2:]


def pseudo4(src, dst, proto, n):
    return ip4(src) + ip4(dst) + struct.pack('!HH', proto, n)


def tcp(src='10.0.0.1', dst='10.0.0.2', sport=1000, dport=80, flags=0x10, s=1, d=2, tags=(), data=b'hello', **kw):
    l4 = struct.pack('!HHIIBBHHH', sport, dport, 1, 2, 0x50, flags, 100, 0, 0) + data
    l4 = checked(16, l4, pseudo4(src, dst, 6, len(l4)))
    return eth(mac(d), mac(s), 0x0800, ipv4(src, dst, 6, l4, **kw), tags)


def udp(src='10.0.0.1', dst='10.0.0.2', sport=1000, dport=53, s=1, d=2, tags=(), data=b'question', **kw):
    l4 = struct.pack('!HHHH', sport, dport, 8 + len(data), 0) + data
    l4 = checked(6, l4, pseudo4(src, dst, 17, len(l4)))
    return eth(mac(d), mac(s), 0x0800, ipv4(src, dst, 17, l4, **kw), tags)


def ping(src='10.0.0.1', dst='10.0.0.2', s=1, d=2, tags=(), **kw):
    l4 = struct.pack('!BBHHH', 8, 0, 0, 1, 2) + b'payload of a ping'
    l4 = checked(2, l4, b'')
    return eth(mac(d), mac(s), 0x0800, ipv4(src, dst, 1, l4, **kw), tags)


def arp(op=1, sha=1, spa='10.0.0.1', tha=0, tpa='10.0.0.2', d=None, tags=()):
    body = struct.pack('!HHBBH', 1, 0x0800, 6, 4, op) + mac(sha) + ip4(spa) + (mac(tha) if tha else bytes(6)) + ip4(tpa)
    return eth(mac(d) if d else b'\xff' * 6, mac(sha), 0x0806, body, tags)


def udp6(src='fd00::1', dst='fd00::2', sport=1000, dport=53, hops=64, s=1, d=2):
    a, b = (socket.inet_pton(socket.AF_INET6, x) for x in (src, dst))
    l4 = struct.pack('!HHHH', sport, dport, 16, 0) + b'question'
    l4 = checked(6, l4, a + b + struct.pack('!II', len(l4), 17))
    return eth(mac(d), mac(s), 0x86dd, struct.pack('!IHBB', 6 << 28 | 0x2800000 | 0x12345, len(l4), 17, hops) + a + b + l4)


def mpls(label, tc=0, bos=1, ttl=64, inner=None):
    whole = inner or tcp()
    return whole[:12] + struct.pack('!HI', 0x8847, label << 12 | tc << 9 | bos << 8 | ttl) + whole[14:]

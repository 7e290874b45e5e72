"""Random frames from small pools: ARP, IPv4 with options and in fragments, IPv6 with extension headers, TCP, UDP, SCTP, ICMP,
VLAN tags, MPLS, and cut off ones.

Two things are left out because Open vSwitch puts them into labels that it pushes, where the specification wants 0: DSCPs
whose lower three bits aren't 0 (as the traffic class), and a TTL of 0 (as 64)."""

import socket
import struct

from ethernet import checked, fold

ETHER = [bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3, 4)] + [b'\xff' * 6, bytes.fromhex('01005e000005')]
IP4 = [socket.inet_aton(a) for a in ('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.1.2.3', '192.168.1.1')]
IP6 = [socket.inet_pton(socket.AF_INET6, a) for a in ('fd00::1', 'fd00::2', 'fd00::3', 'fe80::1', '2001:db8::77')]
TP = (1000, 80, 53, 1001, 0)
VIDS = (10, 20, 100)
LABELS = (100, 200, 16)


def crc32c(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def l4_of(r, pseudo):
    """Protocol and bytes of a transport header with data; `pseudo` makes the pseudo header's sum from both."""
    data = r.randbytes(r.choice((0, 1, 7, 30)))
    sport, dport = r.choice(TP), r.choice(TP)
    kind = r.choice(('tcp', 'tcp', 'udp', 'udp', 'sctp', 'icmp', 'other'))
    if kind == 'tcp':
        options = r.choice((b'', b'\x02\x04\x05\xb4'))
        l4 = struct.pack('!HHIIBBHHH', sport, dport, 1, 2, 0x50 + (len(options) << 2), r.choice((2, 0x10, 0x11)), 100, 0, 0) + options + data
        return 6, checked(16, l4, pseudo(6, len(l4)))
    if kind == 'udp':
        l4 = struct.pack('!HHHH', sport, dport, 8 + len(data), 0) + data
        return 17, l4 if r.random() < .1 else checked(6, l4, pseudo(17, len(l4)))
    if kind == 'sctp':
        l4 = struct.pack('!HHII', sport, dport, 7, 0) + bytes.fromhex('00030010') + bytes(12)
        return 132, l4[:8] + struct.pack('<I', crc32c(l4)) + l4[12:]
    if r.random() < .1:
        return r.choice((6, 17, 132)), data  # too short for its header
    return (None, data) if kind == 'icmp' else (r.choice((47, 89, 253)), data)


def ipv4(r):
    src, dst = r.choice(IP4), r.choice(IP4)
    proto, l4 = l4_of(r, lambda p, n: src + dst + struct.pack('!HH', p, n))
    if proto is None:
        proto, l4 = 1, checked(2, struct.pack('!BBHHH', r.choice((0, 8)), r.choice((0, 1)), 0, 1, 2) + l4, b'')
    options = r.choice((b'', b'', b'', b'\x01\x01\x01\x00', bytes.fromhex('94040000')))
    fragment = r.choice((0, 0, 0, 0, 0x4000, 0x2000, 5, 0x2007))
    if fragment & 0x1fff:
        l4 = l4[:7]  # Open vSwitch takes what may be longer for a header and mends a checksum in it
    head = struct.pack('!BBHHHBBH4s4s', 0x45 + len(options) // 4, r.choice((0, 0xa0, 0x21, 1)), 20 + len(options) + len(l4), 7, fragment,
                       r.choice((64, 64, 2, 1, 255)), proto, 0, src, dst) + options
    return 0x800, head[:10] + struct.pack('!H', 0xffff ^ fold(head)) + head[12:] + l4


def ipv6(r):
    src, dst = r.choice(IP6), r.choice(IP6)
    proto, l4 = l4_of(r, lambda p, n: src + dst + struct.pack('!II', n, p))
    if proto is None:
        kind = r.choice((128, 129, 135))
        l4 = struct.pack('!BBHHH', kind, 0 if kind == 135 else r.choice((0, 1)), 0, 0, 0)
        if kind == 135:
            l4 += r.choice(IP6) + r.choice((b'', b'\x01\x01' + r.choice(ETHER)))
        proto, l4 = 58, checked(2, l4, src + dst + struct.pack('!II', len(l4), 58))
    extensions = r.sample(('hop', 'routing', 'fragment', 'destination'), r.choice((0, 0, 0, 1, 2)))
    body, following = l4, proto
    for name in sorted(extensions, key=('destination', 'fragment', 'routing', 'hop').index):
        number = {'hop': 0, 'routing': 43, 'fragment': 44, 'destination': 60}[name]
        if name == 'fragment':
            # A later one's protocol is the fragment header's own number for Open vSwitch.
            body = struct.pack('!BBHI', following, 0, r.choice((0, 1)), 77) + body
        elif name == 'routing':
            body = struct.pack('!BBBBI', following, 0, 99, 0, 0) + body
        else:
            body = struct.pack('!BB', following, 0) + bytes.fromhex('010400000000') + body
        following = number
    head = struct.pack('!IHBB', 6 << 28 | r.choice((0, 0xa0, 1)) << 20 | r.choice((0, 0x12345)), len(body), following,
                       r.choice((64, 64, 1, 2)))
    return 0x86dd, head + src + dst + body


def arp(r):
    return 0x806, struct.pack('!HHBBH', 1, 0x800, 6, 4, r.choice((1, 2))) + r.choice(ETHER) + r.choice(IP4) + r.choice(ETHER) + r.choice(IP4)


def mpls(r):
    kind, inner = r.choice((ipv4, ipv6))(r)
    count = r.choice((1, 1, 2, 3))
    labels = b''.join(struct.pack('!I', r.choice(LABELS) << 12 | r.choice((0, 5)) << 9 | (n == count - 1) << 8 | r.choice((64, 1, 0)))
                      for n in range(count))
    return 0x8847, labels + inner


def random_frame(r, tags=2, vids=VIDS):
    kind, body = r.choices((ipv4, ipv6, arp, mpls, lambda r: (0x1234, r.randbytes(46))), (10, 5, 3, 3, 1))[0](r)
    tags = b''.join(struct.pack('!HH', r.choice((0x8100, 0x8100, 0x88a8)), r.choice(vids) | r.choice((0, 3, 7)) << 13)
                    for _ in range(min(tags, r.choice((0, 0, 0, 0, 1, 1, 2)))))
    frame = r.choice(ETHER[:4]) if r.random() < .8 else r.choice(ETHER)
    frame += r.choice([a for a in ETHER[:4] if a != frame]) + tags + struct.pack('!H', kind) + body
    if r.random() < .1 and kind == 0x806:
        # Not even a network header: of IP's, Open vSwitch then takes the TTL for 0. (The kernel itself drops a tag that is cut off.)
        return frame[:12] + struct.pack('!H', kind) + body[:r.randrange(2, 12)]
    return frame + bytes(max(0, 60 - len(frame))) if r.random() < .7 else frame

"""Frames of every kind pass unchanged, byte for byte."""

import os
import socket
import struct
import time

import pytest
from lab import Switch, sh, wait_for
from scapy.all import (ARP, Dot1AD, Dot1Q, Ether, ICMP, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IP, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Raw,
                       SCTP, STP, LLC, Dot3, TCP, UDP, fragment, fragment6)
from scapy.contrib.mpls import MPLS

E = Ether(dst='02:00:00:00:00:02', src='02:00:00:00:00:01')
DATA = Raw(bytes(range(64)))


def frames():
    ip = IP(src='10.0.0.1', dst='10.0.0.2')
    ip6 = IPv6(src='fd00::1', dst='fd00::2')
    yield 'tcp', E / ip / TCP(sport=1, dport=2, flags='S') / DATA
    yield 'udp', E / ip / UDP(sport=1, dport=2) / DATA
    yield 'udp without checksum', E / ip / UDP(sport=1, dport=2, chksum=0) / DATA
    yield 'sctp', E / ip / SCTP(sport=1, dport=2) / DATA
    yield 'icmp', E / ip / ICMP() / DATA
    yield 'arp', E / ARP(pdst='10.0.0.2')
    yield 'ip options', E / IP(src='10.0.0.1', dst='10.0.0.2', options=[b'\x94\x04\0\0']) / UDP() / DATA
    yield 'wrong ip checksum', E / IP(src='10.0.0.1', dst='10.0.0.2', chksum=0x1234) / UDP() / DATA
    yield 'wrong tcp checksum', E / ip / TCP(chksum=0x4321) / DATA
    yield 'vlan', E / Dot1Q(vlan=5, prio=3) / ip / UDP() / DATA
    yield 'vlan with dei', E / Dot1Q(vlan=5, prio=3, id=1) / ip / UDP() / DATA
    yield 'priority tag', E / Dot1Q(vlan=0, prio=6) / ip / UDP() / DATA
    yield 'service tag', E / Dot1AD(vlan=100) / ip / UDP() / DATA
    yield 'qinq', E / Dot1AD(vlan=100) / Dot1Q(vlan=200) / ip / TCP() / DATA
    yield 'two 8100 tags', E / Dot1Q(vlan=100) / Dot1Q(vlan=200) / ip / TCP() / DATA
    yield 'three tags', E / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ip / TCP() / DATA
    yield 'mpls', E / MPLS(label=16, s=0, ttl=9) / MPLS(label=17, s=1, ttl=8) / ip / UDP() / DATA
    yield 'vlan mpls', E / Dot1Q(vlan=7) / MPLS(label=16, s=1, ttl=9) / ip6 / UDP() / DATA
    yield 'ipv6 tcp', E / ip6 / TCP() / DATA
    yield 'ipv6 extension headers', E / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / UDP() / DATA
    yield 'nd', E / ip6 / ICMPv6ND_NS(tgt='fd00::2') / ICMPv6NDOptSrcLLAddr(lladdr='02:00:00:00:00:01')
    for n, f in enumerate(fragment(IP(src='10.0.0.1', dst='10.0.0.2', id=7) / UDP() / Raw(b'x' * 3000), 1000)):
        yield 'fragment %d' % n, E / f
    for n, f in enumerate(fragment6(ip6 / IPv6ExtHdrFragment(id=9) / UDP() / Raw(b'y' * 3000), 1280)):
        yield 'ipv6 fragment %d' % n, E / f
    yield 'llc', Dot3(dst='02:00:00:00:00:02', src='02:00:00:00:00:01') / LLC(dsap=0x42, ssap=0x42, ctrl=3) / DATA
    yield 'unknown type', Ether(dst=E.dst, src=E.src, type=0x88b5) / DATA
    yield 'runt', Raw(bytes(Ether(dst=E.dst, src=E.src, type=0x88b5)))
    yield 'padded arp', E / ARP(pdst='10.0.0.2') / Raw(b'\xaa' * 30)
    yield 'full size', E / ip / UDP() / Raw(b'z' * 1472)


FRAMES = list(frames())


def raw_socket(ns, ifname):
    """An AF_PACKET socket made inside a namespace."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open('/proc/self/ns/net', os.O_RDONLY)
    there = os.open('/run/netns/' + ns, os.O_RDONLY)
    try:
        assert libc.setns(there, 0) == 0
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
        s.bind((ifname, 0))
        s.settimeout(20)
        return s
    finally:
        assert libc.setns(here, 0) == 0
        os.close(here)
        os.close(there)


def receive(s):
    """One frame with its outer VLAN tag put back."""
    data, anc, _, addr = s.recvmsg(70000, 256)
    if addr[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, value in anc:
        if level == 263 and kind == 8:
            status, _, _, _, _, tci, tpid = struct.unpack('IIIHHHH', value[:20])
            if status & 0x10:
                tpid = tpid if status & 0x40 else 0x8100
                data = data[:12] + struct.pack('!HH', tpid, tci) + data[12:]
    return data


@pytest.fixture
def wire(lab):
    sw, hosts = lab.star(2, addresses=False)
    # Nobody but the test speaks, also not the switch's own end of a wire.
    for ns in [sw] + [h.ns for h in hosts]:
        sh(['ip', 'netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1'])
    Switch(lab, sw, ports=['1=s1', '2=s2'])
    a, b = raw_socket(hosts[0].ns, 'eth0'), raw_socket(hosts[1].ns, 'eth0')
    yield a, b
    a.close()
    b.close()


def test_every_kind_passes_unchanged(wire):
    a, b = wire
    wrong = []
    for name, frame in FRAMES:
        sent = bytes(frame)
        a.send(sent)
        deadline = time.monotonic() + 20
        got = None
        while got is None and time.monotonic() < deadline:
            try:
                got = receive(b)
            except socket.timeout:
                break
        if got != sent:
            wrong.append('%s:\n sent %s\n got  %s' % (name, sent.hex(), got.hex() if got else None))
    assert wrong == []
    assert len(FRAMES) > 30

"""Suites 60, 80, 90: matching."""

import frames
from frames import arp, icmp, icmp6, llc, tcp, tcp6, udp, udp6
from harness import add, apply, bytes_of, case, delete, equal, flow, o, out, true


def match(b, yes, no, **fields):
    """Frames that match go to port 2, the others to the controller by the table-miss entry."""
    b.c.ok(delete(), flow([apply(out(2))], **fields), flow([apply(out(o.OFPP_CONTROLLER))], priority=0))
    for f in yes:
        b.check((1, f), {2: [f]})
    for f in no:
        got, = b.check((1, f), packet_ins=1)
        equal((bytes(got.data), got.reason), (f, o.OFPR_NO_MATCH), 'packet-in')
    entry, = [f for f in b.c.flows() if f.priority]
    equal(entry.packet_count, len(yes), 'packets of the entry')


REQUIRED = ['in_port', 'eth_dst', 'eth_src', 'eth_type', 'ip_proto', 'ipv4_src', 'ipv4_dst', 'ipv6_src', 'ipv6_dst', 'tcp_src',
            'tcp_dst', 'udp_src', 'udp_dst']


@case('60.10')
def required_fields_in_features(b):
    for table in b.c.table_features():
        props = {q.type: q for q in table.properties}
        got = {i.type: i.hasmask for i in props[o.OFPTFPT_MATCH].oxm_ids}
        for name in REQUIRED:
            true(name in got, '%s is missing in table %d' % (name, table.table_id))
        for name in ('eth_dst', 'eth_src', 'ipv4_src', 'ipv4_dst', 'ipv6_src', 'ipv6_dst'):
            true(got[name], '%s is not maskable in table %d' % (name, table.table_id))


@case('60.20')
def in_port(b):
    b.c.ok(flow([apply(out(2))], in_port=1), flow([apply(out(o.OFPP_CONTROLLER))], priority=0))
    f = tcp()
    b.check((1, f), {2: [f]})
    got, = b.check((3, f), packet_ins=1)
    equal(got.match['in_port'], 3, 'in_port of the packet-in')


A, B, C = '00:01:02:03:04:05', '00:02:02:03:04:05', '00:01:02:03:04:07'
add('60.30', match, [tcp(dst=A)], [tcp(dst=B), tcp(dst=C)], name='eth_dst', eth_dst=A)
add('60.40', match, [tcp(src=A)], [tcp(src=B), tcp(src=C)], name='eth_src', eth_src=A)


@case('60.50')
def eth_type(b):
    """With VLAN tags the type that counts is the one after them; without a type it is the LLC/SNAP header's."""
    ip = [tcp(), udp(), icmp(), tcp(vid=2, pcp=3), tcp(vid=2, outer=5)]
    ip6 = [tcp6(), udp6(), icmp6(), tcp6(vid=2, pcp=3)]
    arps = [arp(), arp(vid=2, pcp=3)]
    match(b, ip, ip6 + arps + [llc()], eth_type=0x800)
    match(b, ip6, ip + arps + [llc()], eth_type=0x86dd)
    match(b, arps, ip + ip6 + [llc()], eth_type=0x806)


for _n, _v4, _v6 in ((6, tcp, tcp6), (17, udp, udp6)):
    _others = [f for f in (tcp(), udp(), icmp()) if f != _v4()]
    _others6 = [f for f in (tcp6(), udp6(), icmp6()) if f != _v6()]
    add('60.60', match, [_v4()], _others + [_v6()], name='ip_proto_%d' % _n, eth_type=0x800, ip_proto=_n)
    add('60.60', match, [_v6()], _others6 + [_v4()], name='ip_proto_%d_of_ipv6' % _n, eth_type=0x86dd, ip_proto=_n)


def addresses(make, key, texts):
    return [make(**{key: t}) for t in texts]


V4_NO = ['192.168.16.0', '192.167.255.255', '192.168.31.1']
V6 = '2001:db8:85a3::'
for _key, _field in (('ip_src', 'src'), ('ip_dst', 'dst')):
    _exact4 = {'eth_type': 0x800, 'ipv4_' + _field: '192.168.0.0'}
    _masked4 = {'eth_type': 0x800, 'ipv4_' + _field: ('192.168.0.0', '255.255.240.0')}
    _exact6 = {'eth_type': 0x86dd, 'ipv6_' + _field: V6}
    _masked6 = {'eth_type': 0x86dd, 'ipv6_' + _field: (V6.replace('85a3', '85a2'), 'ffff:ffff:fffe::')}
    if _field == 'src':
        add('60.70', match, addresses(tcp, _key, ['192.168.0.0']), addresses(tcp, _key, V4_NO + ['192.168.0.1']),
            name='ipv4_src', **_exact4)
    add('80.50' if _field == 'src' else '80.60', match,
        addresses(tcp, _key, ['192.168.0.1', '192.168.4.2', '192.168.0.0', '192.168.15.255']), addresses(tcp, _key, V4_NO),
        name='ipv4_%s_masked' % _field, **_masked4)
    add('60.90' if _field == 'src' else '60.100', match, addresses(tcp6, _key, [V6]),
        addresses(tcp6, _key, ['2001:db8:85a2::', V6 + '1']), name='ipv6_' + _field, **_exact6)
    add('80.70' if _field == 'src' else '80.80', match,
        addresses(tcp6, _key, [V6, V6 + '8a2e:370:7331', '2001:db8:85a2::ffff:ffff:ffff']),
        addresses(tcp6, _key, ['2001:db8:85a1::', '2001:db8:85a4::']), name='ipv6_%s_masked' % _field, **_masked6)

for _id, _field, _proto, _make, _other in (('60.110', 'tcp_src', 6, tcp, udp), ('60.120', 'tcp_dst', 6, tcp, udp),
                                           ('60.130', 'udp_src', 17, udp, tcp), ('60.140', 'udp_dst', 17, udp, tcp)):
    _key = 'sport' if _field.endswith('src') else 'dport'
    _off = 'dport' if _field.endswith('src') else 'sport'
    add(_id, match, [_make(**{_key: 53})], [_make(**{_key: 52}), _other(**{_key: 53}), _make(**{_off: 53}), icmp()],
        name=_field, eth_type=0x800, ip_proto=_proto, **{_field: 53})
for _id, _field, _proto, _make, _other in (('60.110', 'tcp_src', 6, tcp6, udp6), ('60.120', 'tcp_dst', 6, tcp6, udp6),
                                           ('60.130', 'udp_src', 17, udp6, tcp6), ('60.140', 'udp_dst', 17, udp6, tcp6)):
    _key = 'sport' if _field.endswith('src') else 'dport'
    add(_id, match, [_make(**{_key: 53})], [_make(**{_key: 52}), _other(**{_key: 53}), icmp6()],
        name=_field + '_of_ipv6', eth_type=0x86dd, ip_proto=_proto, **{_field: 53})


# ---------------------------------------------------------------- 80: prerequisites

LACKING = [dict(udp_src=53), dict(eth_type=0x800, udp_src=53), dict(ip_proto=17), dict(ipv4_src='10.0.0.1'),
           dict(eth_type=0x86dd, ipv4_dst='10.0.0.1'), dict(eth_type=0x800, ipv6_src='::1'), dict(eth_type=0x806, ip_proto=6),
           dict(eth_type=0x800, ip_proto=6, udp_dst=1), dict(eth_type=0x800, ip_proto=1, tcp_src=1), dict(ip_proto=6, tcp_dst=80),
           dict(arp_op=1), dict(eth_type=0x800, arp_spa='10.0.0.1'), dict(eth_type=0x800, ip_proto=17, icmpv4_type=8),
           dict(mpls_label=5), dict(vlan_pcp=3), dict(eth_type=0x86dd, ip_proto=6, icmpv6_type=1)]


@case('80.180 430.730')
def missing_prerequisite(b):
    for fields in LACKING:
        b.c.refused(flow([apply(out(2))], **fields), o.OFPET_BAD_MATCH, o.OFPBMC_BAD_PREREQ)
    equal(b.c.flows(), [], 'flows')


def with_match(oxms, length=None, kind=1):
    """A flow-mod (apply output:2) with a match of these bytes."""
    length = 4 + len(oxms) if length is None else length
    m = bytes_of(flow([]))[:48] + kind.to_bytes(2, 'big') + length.to_bytes(2, 'big') + oxms
    m += bytes(-(len(m)) % 8)
    m += bytes.fromhex('0004 0018 00000000 0000 0010 00000002 ffff 000000000000')
    m[2:4] = len(m).to_bytes(2, 'big')
    return bytes(m)


ETH_TYPE_IP = bytes.fromhex('80000a020800')
IP_PROTO_UDP = bytes.fromhex('8000140111')
IPV4_SRC_MASKED = bytes.fromhex('80001708c0a80000fffff000')


@case('80.190')
def prerequisite_in_wrong_position(b):
    """Fields in order are taken; a field before its prerequisite is refused."""
    b.c.ok(with_match(ETH_TYPE_IP + IPV4_SRC_MASKED))
    b.c.ok(delete())
    b.c.refused(with_match(IPV4_SRC_MASKED + ETH_TYPE_IP), o.OFPET_BAD_MATCH, o.OFPBMC_BAD_PREREQ)
    equal(b.c.flows(), [], 'flows')


@case('80.200 430.740')
def field_twice(b):
    b.c.refused(with_match(ETH_TYPE_IP + IP_PROTO_UDP + bytes.fromhex('80001e020035') + IP_PROTO_UDP), o.OFPET_BAD_MATCH,
                o.OFPBMC_DUP_FIELD)
    b.c.refused(with_match(ETH_TYPE_IP + ETH_TYPE_IP), o.OFPET_BAD_MATCH, o.OFPBMC_DUP_FIELD)
    equal(b.c.flows(), [], 'flows')


# ---------------------------------------------------------------- 90: everything in one match

MASKED = ('00:01:02:03:04:05', '00:ff:ff:0f:ff:ff')
LIKE = 'ff:01:02:f3:04:05'


def all_supported(b, make, proto, **fields):
    """Each of the fields alone made wrong keeps the frame from matching."""
    v6 = make in (tcp6, udp6)
    good = dict(dst=LIKE, src=LIKE, sport=53, dport=54, **(dict(
        ip_src='2001:db8:85a3::8a2e:370:7331', ip_dst='2001:db8:85a3::8a2e:370:7331') if v6 else dict(
        ip_src='192.169.0.1', ip_dst='192.168.0.1')))
    bad = dict(dst='ff:01:02:f3:04:04', src='ff:03:02:f3:04:05', sport=52, dport=55, **(dict(
        ip_src='2001:db8:85a2::1', ip_dst='2001:db8:85a3::2') if v6 else dict(ip_src='192.167.0.1', ip_dst='192.168.1.1')))
    b.c.ok(flow([apply(out(2))], in_port=1, eth_dst=MASKED, eth_src=MASKED, eth_type=0x86dd if v6 else 0x800, ip_proto=proto,
                **fields))
    f = make(**good)
    b.check((1, f), {2: [f]})
    b.check((3, f))
    for key, value in bad.items():
        b.check((1, make(**dict(good, **{key: value}))))


_v4 = dict(ipv4_src=('192.168.0.1', '255.254.255.255'), ipv4_dst=('192.168.0.1', '255.254.255.255'))
_v6 = dict(ipv6_src=('2001:db8:85a3::1', 'ffff:ffff:ffff::f'), ipv6_dst=('2001:db8:85a3::1', 'ffff:ffff:ffff::f'))
add('90.60', all_supported, tcp, 6, name='all_of_ipv4_tcp', tcp_src=53, tcp_dst=54, **_v4)
add('90.60', all_supported, udp, 17, name='all_of_ipv4_udp', udp_src=53, udp_dst=54, **_v4)
add('90.60', all_supported, tcp6, 6, name='all_of_ipv6_tcp', tcp_src=53, tcp_dst=54, **_v6)
add('90.60', all_supported, udp6, 17, name='all_of_ipv6_udp', udp_src=53, udp_dst=54, **_v6)

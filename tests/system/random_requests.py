"""Random requests, right ones and such with one fault, for whoever compares two switches.

A case is a list of steps as in `random_rules.py`, and also ('meter', keywords of forms.meter_mod) and
('raw', message type, body). It works on few flows, so that changes meet what is there, and its tables, groups and meters
are looked at after each batch. A fault is one that the specification has an error for; what it leaves open isn't made.
"""

import struct

import forms
from forms import ALL, ANY, IN_PORT, V10, V13, V14, V15
from random_frames import ipv4
from random_rules import PORTS

TABLES = 3
PRIORITIES = (0, 1, 5)
COOKIES = (0, 1, 0x55, 0xff00)
KBPS, PKTPS, BURST, STATS = 1, 2, 4, 8
GROUPS = (1, 2, 3, 4)
METERS = (1, 2, 3)
# The one that drops. Open vSwitch counts a packet in groups and later tables though a meter dropped it.
SLOW = 1

# Matches that overlap, contain and equal each other.
MATCHES = ({}, {'in_port': 1}, {'in_port': 2}, {'eth_type': 0x800}, {'in_port': 1, 'eth_type': 0x800},
           {'eth_type': 0x800, 'ipv4_dst': (0x0a000000, 0xff000000)}, {'eth_type': 0x800, 'ipv4_dst': 0x0a000001},
           {'in_port': 1, 'eth_type': 0x800, 'ip_proto': 6}, {'eth_type': 0x800, 'ip_proto': 17},
           {'vlan_vid': (0x1000, 0x1000)}, {'vlan_vid': 0x100a}, {'vlan_vid': 0}, {'eth_dst': 0x020000000001})


class Maker:
    def __init__(self, r, version):
        self.r, self.version = r, version
        # Open vSwitch looks at the groups and meters that a request names only where a flow is added.
        self.groups, self.meters = {}, set()
        # Which of two entries that overlap at one priority a packet meets is open: there are such ones, or there are packets.
        self.overlaps = r.random() < .4
        self.added = set()

    # what is right

    def match(self):
        return self.r.choice(MATCHES if self.version != V10 else MATCHES[:9] + MATCHES[10:])

    def actions(self, in_group=False):
        r = self.r
        some = [('output', r.choice(PORTS)) for _ in range(r.randrange(3))]
        if r.random() < .2:
            some.append(('output', r.choice((IN_PORT, ALL, 77))))
        if self.version != V10:
            if self.groups and r.random() < .25 and not in_group:
                some.append(('group', r.choice(list(self.groups))))
            if r.random() < .2:
                some.append(('set', 'eth_src', 0x020000000009))
            if self.version == V15 and self.meters and r.random() < .2 and not in_group:
                some.insert(0, ('meter', r.choice(sorted(self.meters))))
        return some

    def instructions(self, table):
        r = self.r
        if self.version == V10:
            return [('apply', self.actions())]
        out = []
        if self.version < V15 and self.meters and r.random() < .25:
            out.append(('meter', r.choice(sorted(self.meters))))
        if r.random() < .8:
            out.append(('apply', self.actions()))
        if any(i == ('meter', SLOW) or i[0] == 'apply' and ('meter', SLOW) in i[1] for i in out):
            return [(i[0], [a for a in i[1] if a[0] != 'group']) if i[0] == 'apply' else i for i in out]
        if table < TABLES - 1 and r.random() < .3:
            out.append(('goto', r.randrange(table + 1, TABLES)))
        return out

    def flow(self):
        r = self.r
        command = r.choices((0, 1, 2, 3, 4), (6, 2, 1, 1, 1))[0]
        table = r.randrange(TABLES) if self.version != V10 else 0
        m = self.match()
        priority = r.choice(PRIORITIES) if self.overlaps else 10 + MATCHES.index(m) if m in MATCHES else 9
        step = dict(command=command, table=table, match_=m, priority=priority, cookie=r.choice(COOKIES),
                    flags=r.choice((0, 1, 2, 1 | 2)) if self.version == V10 else r.choice((0, 0, 1, 2, 4, 8, 16, 1 | 4)))
        if command < 3:
            step['instructions'] = self.instructions(table)
        if command < 3:
            # Open vSwitch looks for no others where an identical entry is replaced.
            key = repr((table, m, priority))
            if key in self.added:
                step['flags'] &= ~2
            self.added.add(key)
        if command == 0:
            step.update(idle=r.choice((0, 0, 600)), hard=r.choice((0, 0, 700)))
            if self.version >= V14:
                step['importance'] = r.choice((0, 7))
        else:
            if self.version != V10 and r.random() < .5:
                step.update(cookie=r.choice(COOKIES), cookie_mask=r.choice(((1 << 64) - 1, 0xff, 1, 0xff00)))
                step['cookie_mask'] &= 0xffffffff
            if r.random() < .3:
                step['out_port'] = r.choice((*PORTS, IN_PORT, ALL, 77))
            if self.version != V10 and r.random() < .25:
                step['out_group'] = r.choice(GROUPS)
            if command in (3, 4) and self.version != V10 and r.random() < .2:
                step['table'] = 255
        return ('flow', step)

    def group(self):
        r = self.r
        number, kind = r.choice(GROUPS), r.choice((0, 0, 2, 3))
        command = r.choices((0, 1, 2), (5, 3, 1))[0]
        if command == 2:
            chained = any(a == ('group', number) for g in self.groups.values() for b in g for a in b[3])
            if not chained:  # Open vSwitch takes one away that others lead to
                self.groups.pop(number, None)
                return ('group', dict(command=2, group=number))
            command = 1
        buckets = []
        for n in range(1 if kind == 2 else r.randrange(1, 4)):
            some = self.actions(in_group=True)
            later = [g for g in self.groups if g > number]
            if later and r.random() < .3:
                some = [a for a in some if a[0] != 'output'] + [('group', r.choice(later))]
            buckets.append((0, r.choice(PORTS) if kind == 3 else ANY, ANY, some))
        if (command == 1) == (number in self.groups):
            self.groups[number] = buckets
        return ('group', dict(command=command, kind=kind, group=number, buckets=buckets))

    def meter(self):
        r = self.r
        number = r.choice(METERS)
        command = r.choices((0, 1, 2), (5, 3, 1))[0]
        if command == 2:
            self.meters.discard(number)
            return ('meter', dict(command=2, meter=number))
        if command == 0:
            self.meters.add(number)
        # Frames here have 12,112 bits or one tag more. So either one passes, and the next after 11 seconds, or all do.
        rate = 1 if number == SLOW else 100_000_000
        bands = [(1, rate, 13 if rate == 1 else 100_000_000)]
        return ('meter', dict(command=command, flags=KBPS | BURST | STATS, meter=number, bands=bands))

    # what is wrong

    def bad_match(self):
        r, oxm = self.r, forms.oxm
        bad = [
            {'ipv4_dst': 0x0a000001}, {'eth_type': 0x800, 'tcp_dst': 80}, {'eth_type': 0x806, 'ip_proto': 6},
            {'eth_type': 0x800, 'ip_proto': 17, 'tcp_dst': 80}, {'vlan_pcp': 3}, {'eth_type': 0x86dd, 'ipv4_src': 1},
            {'eth_type': 0x800, 'ip_dscp': 64}, {'eth_type': 0x800, 'ip_ecn': 4}, {'vlan_vid': 0x2005},
            {'vlan_vid': 0x1005, 'vlan_pcp': 8},
            {'eth_type': 0x800, 'ipv4_dst': (0x0a000001, 0xff000000)}, {'eth_dst': (0x020000000001, 0xff0000000000)},
        ]
        more = [oxm('eth_dst', 1) * 2, oxm('in_port', 1) + oxm('in_port', 2), oxm('in_port', 1)[:-1],
                struct.pack('!I', 0x80000000 | 60 << 9 | 4) + bytes(4), struct.pack('!I', 0x12340000 | 3 << 9 | 4) + bytes(4),
]
        if r.random() < .6:
            return dict(match_=r.choice(bad))
        return dict(match_={}, extra=r.choice(more))

    def bad_action(self, in_group=False):
        r = self.r
        # Open vSwitch takes output to 0 and TABLE, and calls a set-field of in_port or of an unknown field otherwise.
        words = [
            ('output', ANY), ('output', 0xffffff10),
            ('set', 'ipv4_dst', 5), ('set', 'tcp_dst', 5), ('set', 'vlan_pcp', 5), ('push_vlan', 0x1234), ('push_mpls', 0x800),
            ('raw', struct.pack('!HH', 0, 8) + bytes(4)), ('raw', struct.pack('!HH4x', 99, 8)), ('raw', struct.pack('!HH4x', 17, 0)),
            ('raw', struct.pack('!HHI8x', 0xffff, 16, 0x12345678)), ('raw', struct.pack('!HHI', 22, 7, 1)),
        ]
        return r.choice(words + [('group', 99), ('group', 0xfffffffc)] * (not in_group))

    def bad_flow(self):
        r = self.r
        step = self.flow()[1]
        step['command'] = 0
        step['priority'] = 9  # nothing to overlap or replace
        step.pop('cookie_mask', None)
        step['flags'] = 0
        step['table'] = min(step['table'], TABLES - 1)
        n = r.randrange(9)
        if n == 0:
            step['table'] = 255
        elif n == 1:
            step['command'] = r.choice((5, 9, 255))
        elif n == 2:
            step['flags'] = r.choice((0x20, 0x80, 0x4000))
        elif n <= 5:
            step.update(self.bad_match())
            step['instructions'] = []
        elif n <= 7:
            step['instructions'] = [('apply', [self.bad_action()])]
            step['match_'] = {}
        else:
            # Open vSwitch takes a goto to 255, and answers an unknown meter with INVALID_METER.
            step['instructions'] = [r.choice((
                ('goto', step['table']), ('raw', struct.pack('!HH4x', 99, 8)), ('raw', struct.pack('!HH4x', 1, 16) + bytes(8)),
                ('raw', struct.pack('!HHI', 0xffff, 8, 0x1234)), ('raw', struct.pack('!HH4x', 5, 8) * 2)))]
        return ('flow', step)

    def bad_group(self):
        r = self.r
        number = r.choice((11, 12))
        one = [(0, ANY, ANY, [('output', 1)])]
        return ('group', r.choice((
            dict(command=9, group=number, buckets=one), dict(command=0, kind=9, group=number, buckets=one),
            # Open vSwitch takes loops, and groups and watched ports and groups that there aren't.
            dict(command=0, group=0xffffff01, buckets=one), dict(command=0, group=0xfffffffc, buckets=one),
            dict(command=1, group=number, buckets=one), dict(command=0, kind=2, group=number, buckets=one * 2),
            dict(command=0, kind=2, group=number, buckets=[]),
            dict(command=0, kind=0, group=number, buckets=[(0, ANY, ANY, [self.bad_action(True)])]),
        )))

    def bad_meter(self):
        r = self.r
        number = r.choice((11, 12))
        band = [(1, 100_000, 100_000)]
        flags = KBPS | BURST
        return ('meter', r.choice((
            dict(command=9, flags=flags, meter=number, bands=band), dict(command=1, flags=flags, meter=number, bands=band),
            dict(command=2, meter=number), dict(command=0, flags=flags, meter=0, bands=band),
            dict(command=0, flags=flags, meter=0xffff0001, bands=band), 
            dict(command=0, flags=KBPS | PKTPS, meter=number, bands=band), dict(command=0, flags=0x40 | KBPS, meter=number, bands=band),
            dict(command=0, flags=flags, meter=number, bands=[(9, 1000, 1000)]),
            dict(command=0, flags=flags, meter=number, bands=[(1, 0, 1000)]),
        )))

    # a case

    def request(self):
        r, old = self.r, self.version == V10
        n = r.random()
        if n < .5 or old and n < .9:
            return self.flow()
        if old:
            return ('flow', dict(self.flow()[1], command=r.choice((5, 9, 255))))
        if n < .65:
            return self.group()
        if n < .72:
            return self.meter()
        return (self.bad_flow, self.bad_group, self.bad_meter)[r.choices((0, 1, 2), (5, 3, 1))[0]]()

    def packet(self):
        r = self.r
        kind, body = ipv4(r)
        tag = r.choice((b'', b'', b'\x81\x00\x00\x0a'))
        return ('packet', r.choice(PORTS), bytes.fromhex('020000000001020000000002') + tag + struct.pack('!H', kind) + body.ljust(1500, b'\0'))

    def case(self):
        r = self.r
        steps = []
        if self.version != V10:
            steps += [self.meter() for _ in range(2)] + [self.group() for _ in range(3)]
        steps += [self.flow() for _ in range(8)]
        for _ in range(r.choice((3, 5, 8))):
            steps += [self.request() for _ in range(r.choice((1, 2, 4)))]
            steps += [self.packet() for _ in range(0 if self.overlaps else r.randrange(4))]
        return steps


def random_case(r):
    """The version and the steps of a case."""
    version = r.choice((V10, V13, V14, V15, V13))
    return version, Maker(r, version).case()

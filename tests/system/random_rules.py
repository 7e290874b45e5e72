"""Random tables, changes and frames, for whoever compares two switches.

A case is a list of steps: ('flow', keywords of forms.flow_mod), ('group', keywords of forms.group_mod),
('packet', port, frame), ('packet-out', port, actions, frame). All values come from small pools, so that frames meet flows.
What the specification leaves open isn't made: no two entries of a table that overlap at one priority, no select
group with several live buckets, at most one fault in a request.
"""

import forms
from forms import ALL, ANY, CONTROLLER, FLOOD, IN_PORT, NORMAL, TABLE, V10, V13, V15
from random_frames import ETHER, IP4, IP6, LABELS, TP, VIDS, random_frame

PORTS = (1, 2, 3, 4)
TABLES = 4
MISS = 0xad
IP = ['ip_dscp', 'ip_ecn', 'nw_ttl', 'ip_frag']
# What a kind of frame is recognized by, and what else of it may be matched.
KINDS = {
    'any': ({}, []),
    'arp': ({'eth_type': 0x806}, ['arp_op', 'arp_spa', 'arp_tpa', 'arp_sha', 'arp_tha']),
    'ip': ({'eth_type': 0x800}, ['ipv4_src', 'ipv4_dst', *IP]),
    'tcp': ({'eth_type': 0x800, 'ip_proto': 6}, ['ipv4_src', 'ipv4_dst', 'tcp_src', 'tcp_dst', 'tcp_flags', *IP]),
    'udp': ({'eth_type': 0x800, 'ip_proto': 17}, ['ipv4_src', 'ipv4_dst', 'udp_src', 'udp_dst', *IP]),
    'sctp': ({'eth_type': 0x800, 'ip_proto': 132}, ['ipv4_src', 'sctp_src', 'sctp_dst', *IP]),
    'icmp': ({'eth_type': 0x800, 'ip_proto': 1}, ['ipv4_src', 'ipv4_dst', 'icmpv4_type', 'icmpv4_code']),
    'ip6': ({'eth_type': 0x86dd}, ['ipv6_src', 'ipv6_dst', 'ipv6_flabel', *IP]),
    'tcp6': ({'eth_type': 0x86dd, 'ip_proto': 6}, ['ipv6_src', 'ipv6_dst', 'tcp_src', 'tcp_dst', *IP]),
    'udp6': ({'eth_type': 0x86dd, 'ip_proto': 17}, ['ipv6_src', 'udp_src', 'udp_dst', *IP]),
    'icmp6': ({'eth_type': 0x86dd, 'ip_proto': 58}, ['ipv6_src', 'icmpv6_type', 'icmpv6_code', 'ipv6_flabel']),
    'nd': ({'eth_type': 0x86dd, 'ip_proto': 58, 'icmpv6_type': 135, 'icmpv6_code': 0}, ['ipv6_nd_target', 'ipv6_nd_sll']),
    'mpls': ({'eth_type': 0x8847}, ['mpls_label', 'mpls_tc', 'mpls_bos']),
}
WEIGHTS = [4, 3, 4, 4, 4, 1, 2, 2, 2, 2, 1, 1, 3]
MASKED = {'eth_src', 'eth_dst', 'ipv4_src', 'ipv4_dst', 'ipv6_src', 'ipv6_dst', 'arp_spa', 'arp_tpa', 'arp_sha', 'arp_tha',
          'metadata', 'ipv6_flabel', 'tcp_src', 'tcp_dst', 'udp_src', 'udp_dst', 'sctp_src', 'sctp_dst', 'tcp_flags', 'ip_frag',
          'vlan_vid', 'ipv6_nd_target', 'ipv6_nd_sll', 'tunnel_id', 'pkt_mark', *('reg%d' % n for n in range(8))}
OF10 = {'in_port', 'eth_src', 'eth_dst', 'eth_type', 'vlan_vid', 'vlan_pcp', 'ip_dscp', 'ip_proto', 'ipv4_src', 'ipv4_dst',
        'tcp_src', 'tcp_dst', 'udp_src', 'udp_dst', 'icmpv4_type', 'icmpv4_code', 'arp_op', 'arp_spa', 'arp_tpa'}
ORDER = list(forms.FIELDS)


def value_of(r, name):
    """A value from the field's pool."""
    if name in ('eth_src', 'eth_dst', 'arp_sha', 'arp_tha', 'ipv6_nd_sll'):
        return int.from_bytes(r.choice(ETHER), 'big')
    if name.startswith('ipv4') or name in ('arp_spa', 'arp_tpa'):
        return int.from_bytes(r.choice(IP4), 'big')
    if name.startswith('ipv6_') and forms.FIELDS[name][2] == 128:
        return int.from_bytes(r.choice(IP6), 'big')
    if name[-4:] in ('_src', '_dst'):
        return r.choice(TP)
    pools = {'in_port': PORTS, 'vlan_vid': [0x1000 | v for v in VIDS] + [0], 'vlan_pcp': (0, 3, 7), 'ip_dscp': (0, 8, 40),
             'ip_ecn': (0, 1, 3), 'ip_proto': (1, 6, 17, 58, 132), 'arp_op': (1, 2), 'icmpv4_type': (0, 8), 'icmpv4_code': (0, 1),
             'icmpv6_type': (128, 129, 135), 'icmpv6_code': (0, 1), 'ipv6_flabel': (0, 0x12345), 'mpls_label': LABELS,
             'mpls_tc': (0, 5), 'mpls_bos': (0, 1), 'nw_ttl': (64, 1, 2, 255), 'ip_frag': (0, 1, 3), 'tcp_flags': (2, 0x10, 0x11),
             'metadata': (0, 5, 0xab00), 'tunnel_id': (0, 7), 'pkt_mark': (0, 9)}
    return r.choice(pools.get(name, (0, 1, 2, 0xab)))


def masked(r, name, value, version):
    size = forms.FIELDS[name][2]
    full = (1 << size) - 1
    if name == 'ip_frag':
        mask = r.choice((1, 2, 3))
    elif version == V10 or (name.startswith('ip') and r.random() < .7) or name[:5] in ('arp_s', 'arp_t'):
        mask = full ^ ((1 << r.randrange(1, size)) - 1)  # a prefix
    elif name == 'vlan_vid':
        mask = r.choice((0x1000, 0x1fff, 0x1003, 0xfff, 0x100f))
    else:
        mask = r.choice((1, 3, full ^ 1, full >> 1, full ^ (full >> 3), r.getrandbits(size) or 1)) & full
    return (value & mask, mask) if mask != full else value


def ordered(m):
    return {name: m[name] for name in ORDER if name in m}


class Maker:
    """Makes the steps of one case."""

    def __init__(self, r, version):
        self.r, self.version = r, version
        self.groups = {}
        self.priorities = {t: r.sample(range(1, 400), 120) for t in range(TABLES)}
        self.flows = []
        self.learns = False
        self.normal = False
        self.chained = False
        self.sources = (*PORTS, CONTROLLER)
        self.vids = (*VIDS, 0)
        # Open vSwitch keeps two tags: a third pushes one out. So frames come with two, or one entry's list pushes one.
        self.pushes = r.random() < .5
        self.pushing_table = r.randrange(TABLES)
        # Where a TTL ends Open vSwitch still carries out the set that was written before. So either sets last from table to table,
        # or later tables decrement.
        self.sets_last = r.random() < .5

    # matches

    def match(self):
        r = self.r
        kind = r.choices(list(KINDS), WEIGHTS)[0]
        base, more = KINDS[kind]
        m = dict(base)
        fields = ['in_port', 'eth_src', 'eth_dst', 'vlan_vid', 'reg0', 'reg1', 'metadata']
        for name in fields + more + more:
            if r.random() < .17:
                m[name] = value_of(r, name)
        if isinstance(m.get('vlan_vid'), int) and m['vlan_vid'] and r.random() < .3:
            m['vlan_pcp'] = value_of(r, 'vlan_pcp')
        if self.version == V10:
            m = {name: value for name, value in m.items() if name in OF10}
        for name in m:
            can = name in ('ipv4_src', 'ipv4_dst', 'arp_spa', 'arp_tpa') if self.version == V10 else name in MASKED
            if self.version != V10 and name[:3] in ('tcp', 'udp', 'sct', 'icm') and name not in base and not m[name]:
                m[name] = 8 if name[0] == 'i' else 80
            if can and name not in base and 'vlan_pcp' not in m and r.random() < .4:
                m[name] = masked(r, name, m[name], self.version)
        if self.version != V10:
            # A later fragment's ports are 0 for Open vSwitch, absent here: no match may take 0 for granted.
            for name, value in list(m.items()):
                if isinstance(value, tuple) and name[:3] in ('tcp', 'udp', 'sct') and not value[0]:
                    del m[name]
        if 'ip_frag' in m:
            # Open vSwitch sends later fragments' ports before the fragment's field and can't read that itself.
            m = {name: value for name, value in m.items() if name[:3] not in ('tcp', 'udp', 'sct', 'icm') or name in base}
            if m.get('ip_proto') == 58:
                del m['ip_frag']
        if 'arp_op' in m and self.version == V10 and r.random() < .1:
            m['arp_op'] = 0
        return kind, ordered(m)

    # actions

    def somewhere(self, inside_group=False):
        r = self.r
        n = r.random()
        if n < .72:
            return ('output', r.choice(PORTS))
        if n < .77:
            self.sources = PORTS  # where "in port" is of CONTROLLER's packet-outs Open vSwitch says by dropping
            return ('output', IN_PORT)
        if n < .81:
            return ('output', r.choice((ALL, FLOOD)))
        if n < .84:
            return ('output', 77)
        if n < .87:
            self.normal = True
            return ('output', NORMAL)
        if n < .93 and self.groups and not inside_group:
            return ('group', r.choice(list(self.groups)))
        if n < .97:
            return ('output', CONTROLLER, 0xffff)
        return ('output', r.choice(PORTS))

    def edits10(self, kind):
        r = self.r
        some = [('set_dl_src', value_of(r, 'eth_src')), ('set_dl_dst', value_of(r, 'eth_dst')), ('set_vlan_vid', r.choice(VIDS)),
                ('set_vlan_pcp', r.choice((0, 5))), ('pop_vlan',)]
        if kind in ('ip', 'tcp', 'udp', 'icmp'):
            some += [('set_nw_src', value_of(r, 'ipv4_src')), ('set_nw_dst', value_of(r, 'ipv4_dst')),
                     ('set_nw_tos', r.choice((0, 0x20, 0xa0))), ('dec_ttl',)]
        if kind in ('tcp', 'udp'):
            some += [('set_tp_src', value_of(r, 'tcp_src')), ('set_tp_dst', value_of(r, 'tcp_dst'))]
        return some

    def edits(self, kind, m, table=None):
        r = self.r
        base, more = KINDS[kind]

        def set_(name):
            return ('set', name, value_of(r, name))
        some = [set_('eth_src'), set_('eth_dst')]
        if table == self.pushing_table and self.pushes:
            some.append(('push_vlan', r.choice((0x8100, 0x88a8))))
        tagged = isinstance(m.get('vlan_vid'), int) and m['vlan_vid'] & 0x1000
        if tagged:
            some += [('pop_vlan',), ('set', 'vlan_vid', 0x1000 | r.choice(VIDS)), ('set', 'vlan_pcp', r.choice((0, 5)))]
        v4, v6 = base.get('eth_type') == 0x800, base.get('eth_type') == 0x86dd
        if v4 or v6:
            some += [('dec_ttl',), ('set_ttl', r.choice((1, 64, 9))), set_('ip_dscp'), set_('ip_ecn')]
            some += [set_(name) for name in more if name not in ('nw_ttl', 'ip_frag', 'tcp_flags', 'ip_dscp', 'ip_ecn')
                     and not ('ip_frag' in m and name[:3] in ('tcp', 'udp', 'sct', 'icm'))]
        if kind == 'arp':
            some += [set_(name) for name in more]
        if kind == 'mpls':
            some += [('dec_mpls_ttl',), ('set_mpls_ttl', r.choice((1, 64))), set_('mpls_label'), set_('mpls_tc')]
        if self.version == V15 and r.random() < .5:
            masks = [name for name in ('eth_src', 'ipv4_src', 'tcp_src')
                     if name == 'eth_src' or name in more and not (name == 'tcp_src' and 'ip_frag' in m)]
            name = r.choice(masks)
            some.append(('set', name, masked(r, name, value_of(r, name), self.version)))
        if self.sets_last and table in range(1, TABLES):
            some = [a for a in some if a[0] not in ('dec_ttl', 'dec_mpls_ttl')]
        return some

    def registers(self, kind, m, in_bucket):
        r = self.r
        reg = 'reg%d' % r.randrange(3)
        offset = r.randrange(32)
        count = r.randrange(1, 33 - offset)
        n = r.random()
        if n < .4:
            return ('load', reg, offset, count, r.getrandbits(count))
        if n < .6:
            return ('load', reg, 0, 32, r.choice((0, 1, 2, 0xab)))
        if n < .8:
            sources = ['reg0', 'reg1', 'in_port', 'eth_src', 'metadata']
            sources += [f for f in KINDS[kind][1] if f not in ('tcp_flags', 'ip_frag') and not ('ip_frag' in m and f[-4:] in ('_src', '_dst')) and not f.startswith('mpls')]
            source = r.choice([s for s in sources if self.version != V10 or s in ('reg0', 'reg1', 'eth_src')])
            size = forms.FIELDS[source][2]
            count = r.randrange(1, min(size, 32) + 1)
            return ('move', source, r.randrange(size - count + 1), reg, r.randrange(33 - count), count)
        if in_bucket:  # Open vSwitch takes a push or pop there and does nothing
            return ('load', reg, 0, 32, 2)
        return (('push', 'pop')[n < .9], r.choice(('reg0', 'reg1', 'eth_src', 'eth_dst')))

    def learn(self, kind):
        r = self.r
        self.learns = True
        specs = [('match', 'eth_dst', 0, 48, 'eth_src', 0)] if r.random() < .6 else [('match', 'eth_src', 0, 48, 'eth_src', 0)]
        if kind in ('tcp', 'udp', 'ip') and r.random() < .5:
            specs += [('match', 'eth_type', 0, 16, 0x800, 0), ('match', 'ipv4_dst', 0, 32, 'ipv4_src', 0)]
        if r.random() < .4:
            specs.append(('match', 'vlan_tci', 0, 12, 'vlan_tci', 0))
        n = r.random()
        in_port = ('in_port', 0) if self.version != V10 else ('reg0', 0)
        if n < .5 and self.version != V10:
            specs.append(('output', 'in_port', 0, 32))
        elif n < .8:
            specs.append(('load', 'reg1', 0, 16, *in_port))
        else:
            specs.append(('load', 'reg1', 0, 8, r.choice((1, 2)), 0))
        return ('learn', r.choice((3, 3, 3, 2)), 500 + r.randrange(3), r.choice((0, 7)), 0, r.choice((0, 300)), 0, specs)

    def actions(self, kind, m, table, inside_group=False, learn=True):
        r = self.r
        some = []
        for _ in range(r.choice((0, 1, 1, 2, 2, 3, 4, 5))):
            n = r.random()
            if n < .45:
                edits = self.edits10(kind) if self.version == V10 else self.edits(kind, m, table)
                a = r.choice(edits)
                if a[0] == 'push_vlan' and any(b[0] == 'push_vlan' for b in some):
                    continue
                some.append(a)
                if a[0] == 'push_vlan':
                    # Open vSwitch begins with VLAN 0 where the tag below should be copied.
                    some += [('set', 'vlan_vid', 0x1000 | r.choice(VIDS)), ('set', 'vlan_pcp', r.choice((0, 3)))]
                    m = dict(m, vlan_vid=0x1001)
                if a[0] in ('pop_vlan', 'set_vlan_vid'):
                    m = dict(m, vlan_vid=0)
                if self.version != V10 and r.random() < .12:
                    if kind == 'mpls':
                        # Open vSwitch takes all labels off where this says that the last one went.
                        some.append(('pop_mpls', r.choice((0x800, 0x86dd)) if m.get('mpls_bos') == 1 else 0x8847))
                        kind = 'any'
                    elif kind not in ('any', 'arp'):  # Open vSwitch gives a label 64 where nothing has a TTL, not 0
                        some += [('push_mpls', r.choice((0x8847, 0x8847, 0x8848))), ('set', 'mpls_label', value_of(r, 'mpls_label'))]
                        kind = 'mpls'
            elif n < .65:
                some.append(self.somewhere(inside_group))
            elif n < .85:
                some.append(self.registers(kind, m, inside_group))
            elif table < TABLES - 1 and not inside_group:
                if n < .95:
                    some.append(('resubmit', r.choice((0xfff8, 0xfff8, r.choice(PORTS))), r.randrange(table + 1, TABLES)))
                elif learn and not self.learns and r.random() < .5:
                    some.append(self.learn(kind))
        pushed = 0
        balanced = []
        for a in some:  # a pop of nothing is a matter of the log only
            pushed += (a[0] == 'push') - (a[0] == 'pop')
            if pushed < 0:
                pushed = 0
            else:
                balanced.append(a)
        if r.random() < .7:
            balanced.append(self.somewhere(inside_group))
        if inside_group:
            # A bucket is a set: of one field's set-fields the last one counts here; Open vSwitch carries out all, so that
            # one with a mask leaves bits of those before.
            balanced = [a for n, a in enumerate(balanced)
                        if a[0] != 'set' or not isinstance(a[2], tuple) or all(b[:2] != a[:2] for b in balanced[:n])]
        return balanced

    def instructions(self, kind, m, table):
        r = self.r
        if self.version == V10:
            return [('apply', self.actions(kind, m, table))]
        out = []
        if r.random() < .85:
            out.append(('apply', self.actions(kind, m, table)))
        if r.random() < .12:
            out.append(('clear',))
        if r.random() < .25:
            # What an apply list makes of the frame needn't last until the set is carried out; the two judge that differently.
            changed = any(a[0] in ('push_mpls', 'pop_mpls') for i in out for a in (i[1] if i[0] == 'apply' else ()))
            some = self.action_set('any' if changed else kind, {k: v for k, v in m.items() if k != 'vlan_vid'})
            if some:  # Open vSwitch forgets an empty list
                out.append(('write', some))
        if r.random() < .15:
            mask = r.choice(((1 << 64) - 1, 0xff00, 0xf))
            out.append(('metadata', value_of(r, 'metadata') & mask, mask))
        last = not self.sets_last and any(i[0] == 'write' for i in out)
        if table < TABLES - 1 and r.random() < .35 and not last:
            out.append(('goto', r.randrange(table + 1, TABLES)))
        return out

    def action_set(self, kind, m):
        r = self.r
        edits = [a for a in self.edits(kind, m) if a[0] != 'push_vlan' and not isinstance(a[-1], tuple)]
        unique = {}
        for a in r.sample(edits, min(len(edits), r.randrange(3))):
            unique[a[:2] if a[0] == 'set' else a[0]] = a
        if r.random() < .8:
            a = self.somewhere()
            unique['out'] = a
        return list(unique.values())

    # requests

    def group(self):
        r = self.r
        # Each has a live bucket: without, Open vSwitch counts no packet.
        number = r.choice((1, 2, 3, 4, 5, 6))
        kind = r.choice((0, 0, 1, 2, 3))
        count = 1 if kind == 2 else r.randrange(1, 4)
        if kind == 1:
            count = min(count, 2)
        buckets = []
        for n in range(count):
            watch = ANY
            if kind == 3:
                watch = r.choice((1, 2, 3, 77) if n else (1, 2, 3, 77, 77)) if n < count - 1 else r.choice((1, 2, 3))
            if kind == 1 and n:
                watch = 77
            elif kind == 1 and r.random() < .3:
                watch = 2
            some = self.actions('any', {}, TABLES, inside_group=True)
            lower = [g for g in self.groups if g > number]
            if lower and r.random() < .2:
                self.chained = True  # then no group is deleted: Open vSwitch takes one away that others lead to
                some = [a for a in some if a[0] not in ('output',)] + [('group', r.choice(lower))]
            buckets.append((1 if kind == 1 else 0, watch, ANY, some))
        command = 0 if number not in self.groups or r.random() < .05 else 1
        step = dict(command=command, kind=kind, group=number, buckets=buckets)
        self.groups[number] = step
        return ('group', step)

    def group_delete(self):
        number = self.r.randrange(1, 7)
        self.groups.pop(number, None)
        return ('group', dict(command=2, group=number))

    def flow(self, table):
        r = self.r
        kind, m = self.match()
        step = dict(table=table, match_=m, priority=self.priorities[table].pop(), cookie=r.choice((0, 1, 0x55, 0xff00)),
                    instructions=self.instructions(kind, m, table), flags=r.choice((0, 0, 0, 1, 8 | 16)) if self.version != V10 else 0,
                    idle=r.choice((0, 0, 500)), hard=r.choice((0, 0, 700)), importance=r.choice((0, 3)))
        self.flows.append((kind, step))
        return ('flow', step)

    def change(self):
        """A change of what is there, or of what isn't."""
        r = self.r
        kind, old = r.choice(self.flows)
        m = dict(old['match_'])
        command = r.choice((0, 1, 1, 2, 2, 3, 3, 4, 4))
        table = old['table']
        if command in (1, 3):
            for name in list(m):
                if r.random() < .3 and name not in ('eth_type', 'ip_proto'):
                    del m[name]
            if r.random() < .15:
                m = {}
            if r.random() < .1 and command == 3 and self.version != V10:
                table = 255
        if 'vlan_pcp' in m and not isinstance(m.get('vlan_vid'), int):
            del m['vlan_pcp']
        if not m and r.random() < .7 and command in (1, 3):
            _, m = self.match()
            kind = 'any'
        step = dict(command=command, table=table, match_=m, priority=old['priority'],
                    cookie=r.choice((0, 1, 0x55)), flags=r.choice((0, 0, 1, 2, 4)) if self.version != V10 else r.choice((0, 0, 2)))
        if self.version != V10:
            step['cookie_mask'] = 0xff if command == 3 and not m else r.choice((0, 0, 0xff, 1)) if command else 0
        if command in (3, 4) and r.random() < .25:
            step['out_port'] = r.choice(PORTS + (CONTROLLER,))
        if command in (3, 4) and r.random() < .15 and self.version != V10 and self.groups:
            step['out_group'] = r.choice(list(self.groups))
        if command < 3:
            actual = kind if command != 1 else 'any'
            step['instructions'] = self.instructions(actual, m if command != 1 else {}, min(table, TABLES - 1))
            if command in (0,):
                step.update(idle=r.choice((0, 500)), hard=r.choice((0, 700)))
        return ('flow', step)

    def overlapping(self):
        """An entry that asks whether it overlaps, at a priority that is there."""
        _, old = self.r.choice(self.flows)
        kind, m = self.match()
        return ('flow', dict(table=old['table'], match_=m, priority=old['priority'], flags=2, cookie=0x77,
                             instructions=self.instructions(kind, m, old['table'])))

    def packet(self):
        r = self.r
        frame = random_frame(r, 1 if self.pushes else 2, self.vids)
        if r.random() < .15 and len(frame) >= 14:
            if r.random() < .5:
                some = [('output', TABLE)]
            else:
                # Open vSwitch sees what comes of it as the packet-out's, and learns from it when it has gone its whole way,
                # so that two outputs to NORMAL go different ways there.
                some = [a for a in self.actions('any', {}, TABLES, learn=False) if a[0] not in ('push', 'pop') and a != ('output', NORMAL)]
            if not self.normal or not any(a == ('output', TABLE) or a[0] in ('group', 'resubmit') for a in some):
                return ('packet-out', r.choice(self.sources), some, frame)
        return ('packet', r.choice(PORTS), frame)

    def case(self):
        r = self.r
        steps = []
        if self.version != V10:
            steps += [self.group() for _ in range(r.choice((0, 0, 1, 2, 4)))]
        for table in range(TABLES if self.version != V10 else 1):
            steps += [self.flow(table) for _ in range(r.choice((1, 2, 4, 6)) if table else r.choice((3, 6, 10)))]
            if self.version != V10:
                # A miss without an entry for it ends the packet; Open vSwitch carries the action set out even then.
                some = self.instructions('any', {}, table) if r.random() < .5 else []
                steps.append(('flow', dict(table=table, priority=0, cookie=MISS, instructions=some)))
        packets = r.choice((6, 12, 20))
        if self.normal:  # which takes tags of VLAN 0 off in Open vSwitch
            self.vids = VIDS
        steps += [self.packet() for _ in range(packets)]
        if r.random() < .7:
            for _ in range(r.choice((2, 5, 9))):
                n = r.random()
                if n < .7:
                    steps.append(self.change())
                elif n < .8:
                    steps.append(self.overlapping())
                elif self.version != V10:
                    steps.append(self.group() if n < .95 or self.chained else self.group_delete())
            steps += [self.packet() for _ in range(packets // 2)]
        return steps


def random_case(r):
    """The version and the steps of a case."""
    version = r.choice((V10, V13, V13, forms.V14, V15))
    return version, Maker(r, version).case()

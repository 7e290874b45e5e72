"""Runs the steps of a random case through this switch and Open vSwitch and says where they differ."""

import copy
import os
import random
import re
import select
import socket
import struct
import time

import forms
from beside_ovs import MARKER, PATIENCE, PORTS
from forms import NORMAL, V10, V15
from random_rules import MISS

NAMES = {1: 'OpenFlow10', 4: 'OpenFlow13', 5: 'OpenFlow14', 6: 'OpenFlow15'}
ERROR, ECHO_REQUEST, PACKET_IN, FLOW_REMOVED = 1, 2, 10, 11
MARKING = dict(match_={'eth_type': MARKER}, priority=65535,
               instructions=[('apply', [('output', n) for n in (*PORTS, forms.IN_PORT)])])


def tlvs(data, masks=True):
    """OXM entries in a fixed order, with their masks or without."""
    some = []
    while len(data) >= 4:
        head, body, data = data[:4], data[4:4 + data[3]], data[4 + data[3]:]
        if head[2] & 1 and not masks:
            head, body = bytes([*head[:2], head[2] & 0xfe, head[3] // 2]), body[:len(body) // 2]
        some.append(head.hex() + body.hex())
    return sorted(some)


def padded_match(data, masks=True):
    """A match's entries, and what follows the match."""
    length = struct.unpack_from('!H', data, 2)[0]
    return tlvs(data[4:length], masks), data[(length + 7) // 8 * 8:]


class Wire:
    """A controller's connection of one version that collects what comes."""

    def __init__(self, target, version):
        self.version, self.data, self.xid = version, b'', 100
        self.errors, self.packet_ins, self.removed = {}, [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(target.removeprefix('unix:'))
        self.socket.sendall(forms.message(version, 0, 1, struct.pack('!HHI', 1, 8, 1 << version)))
        self.send(9, struct.pack('!HH', 0, 0xffff))

    def send(self, kind, body):
        self.xid += 1
        self.socket.sendall(forms.message(self.version, kind, self.xid, body))
        return self.xid

    def barrier(self):
        xid = self.send(18 if self.version == V10 else 20, b'')
        deadline = time.monotonic() + PATIENCE
        while not self.read(xid):
            assert time.monotonic() < deadline, 'no answer to a barrier'

    def read(self, until=None, timeout=PATIENCE):
        """Takes in what has come; whether the answer `until` was among it."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return False
        some = self.socket.recv(1 << 20)
        assert some, 'the switch closed the connection'
        self.data += some
        met = False
        while len(self.data) >= 8:
            _, kind, length, xid = struct.unpack_from('!BBHI', self.data)
            if len(self.data) < length:
                break
            body, self.data = self.data[8:length], self.data[length:]
            if kind == ERROR:
                self.errors[xid] = struct.unpack_from('!HH', body)
            elif kind == ECHO_REQUEST:
                self.socket.sendall(forms.message(self.version, 3, xid, body))
            elif kind == PACKET_IN:
                self.packet_ins.append(self.packet_in(body))
            elif kind == FLOW_REMOVED:
                self.removed.append((struct.unpack_from('!I', body, {V10: 40, V15: 8}.get(self.version, 0))[0], *self.flow_removed(body)))
            elif xid == until:
                met = True
        return met

    def packet_in(self, body):
        if self.version == V10:
            _, length, port, reason = struct.unpack_from('!IHHB', body)
            return reason, length, port, body[10:].hex()
        _, length, reason, table, cookie = struct.unpack_from('!IHBBQ', body)
        # Of an extended register of which one half is 0 Open vSwitch tells the other half under a mask.
        fields, rest = padded_match(body[16:], masks=False)
        if self.version != V10 and cookie & 0xff == MISS:
            reason = 0  # Open vSwitch calls it an action where a resubmit led there
        if table == 255 and reason == 4:
            reason = 5  # a bucket's output is the packet-out's that led there for Open vSwitch
        return length, fields, rest[2:].hex(), reason, table, cookie

    def flow_removed(self, body):
        if self.version == V10:
            return body[40:51].hex(), body[60:62].hex(), body[64:80].hex()
        def fields(at):  # without Nicira's (and what was tcp_flags there), of which Open vSwitch tells some in other forms
            return [f for f in padded_match(body[at:])[0] if f[:4] not in ('0001', '8001', 'ffff') and f[:6] != '800054']
        if self.version == V15:
            return body[:16].hex(), fields(16)
        return body[:12].hex(), body[20:40].hex(), fields(40)


def names(steps, what):
    return any(what(a) for a in walk(steps))


def walk(value):
    """All tuples that lie in something, actions among them."""
    if isinstance(value, tuple):
        yield value
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, (tuple, list, type({}.values()))):
        for v in value:
            yield from walk(v)


class Comparison:
    """One case on both switches."""

    def __init__(self, pair, version, steps):
        self.pair, self.version, self.steps = pair, version, steps
        self.wires = [Wire(s.target, version) for s in pair.both]
        self.differences = []
        # In the cookies: what Open vSwitch says late, after a barrier, of the case before isn't this one's.
        pair.serial += 1
        self.mark = pair.serial & 0xffffff | 1 << 24
        self.learns = names(steps, lambda a: a and a[0] == 'learn')
        self.normal = names(steps, lambda a: a[:2] == ('output', NORMAL))

        # Open vSwitch counts a frame's bytes as it came in, this switch as it is by then.
        self.resized = names(steps, lambda a: a and a[0] in ('push_vlan', 'pop_vlan', 'push_mpls', 'pop_mpls', 'set_vlan_vid', 'set_vlan_pcp'))

    def close(self):
        for w in self.wires:
            w.socket.close()

    def differ(self, what, ours, ovs):
        self.differences.append('%s:\nours %s\novs  %s' % (what, ours, ovs))

    def tell(self, make):
        """The same message to both, made for each connection's transaction id."""
        xids = []
        for w in self.wires:
            w.xid += 1
            w.socket.sendall(make(w.xid))
            xids.append(w.xid)
        return xids

    def run(self):
        self.reset()
        before = self.traffic()
        waiting = []
        for step in self.steps:
            if step[0] in ('flow', 'group', 'meter'):
                if not waiting:
                    self.pair.ovs.fresh()
                waiting.append((step, self.change(step)))
                continue
            if waiting:
                self.settle(waiting)
                waiting = []
            self.packet(step)
        if waiting:
            self.settle(waiting)
        self.compare_state()
        self.compare_traffic(before)
        self.compare_messages()
        return self.differences

    def change(self, step):
        what, values = step
        if what != 'flow':
            make = {'group': forms.group_mod, 'meter': forms.meter_mod}[what]
            return self.tell(lambda xid: make(self.version, xid, **values))
        values = dict(values, cookie=values.get('cookie', 0) | self.mark << 32)
        return self.tell(lambda xid: forms.flow_mod(self.version, xid, **values))

    def reset(self):
        if self.version != V10:
            self.tell(lambda xid: forms.flow_mod(self.version, xid, command=3, table=255))
            self.tell(lambda xid: forms.group_mod(self.version, xid, command=2, group=0xfffffffc))
            self.tell(lambda xid: forms.meter_mod(self.version, xid, command=2, meter=0xffffffff))
        else:
            self.tell(lambda xid: forms.flow_mod(self.version, xid, command=3))
        if self.version != V10:
            # First fragments with their ports, as the specification leaves it after 1.0.
            self.wires[1].send(9, struct.pack('!HH', 3, 0xffff))
        for w in self.wires:
            w.barrier()
            assert not w.errors, w.errors
            w.removed.clear()
        if self.normal:
            self.forget()
        self.settle([])

    def forget(self):
        self.pair.ovs.appctl('fdb/flush')
        self.pair.ours.switch.manage('forget-learned')

    def settle(self, waiting):
        """Changes are in force, and what was refused of them was refused by both in the same way."""
        self.tell(lambda xid: forms.flow_mod(self.version, xid, **MARKING))
        for w in self.wires:
            w.barrier()
        self.pair.ovs.fresh()
        for step, xids in waiting:
            said = [w.errors.pop(xid, None) for w, xid in zip(self.wires, xids)]
            if said[0] != said[1]:
                self.differ('answer to %s' % (step,), *said)

    def packet(self, step):
        both = self.pair.both
        if self.learns or self.normal:
            self.pair.ovs.fresh()
        self.pair.serial += 1
        marker = bytes(12) + struct.pack('!HI', MARKER, self.pair.serial) + bytes(42)
        if step[0] == 'packet':
            _, port, frame = step
            for s in both:
                s.send(port, frame)
        else:
            _, port, actions, frame = step
            xids = self.tell(lambda xid: forms.packet_out(self.version, xid, port, actions, frame))
            for w in self.wires:
                w.barrier()
            said = [w.errors.pop(xid, None) for w, xid in zip(self.wires, xids)]
            if said[0] != said[1]:
                self.differ('answer to %s' % (step,), *said)
            port = port if port in PORTS else 1
        for s in both:
            s.send(port, marker)
        out = [self.collect(s, marker) for s in both]
        if out[0] != out[1]:
            self.differ('what came out for %s %s' % (step[:-1], step[-1].hex()), *out)
        if self.learns:
            self.until_equal()

    def collect(self, switch, marker):
        out = {n: [] for n in PORTS}
        marked = set()
        deadline = time.monotonic() + PATIENCE
        while len(marked) < len(PORTS):
            assert time.monotonic() < deadline, 'no marker from %s; so far %s' % (set(PORTS) - marked, out)
            some = False
            for n, data in switch.receive():
                some = True
                if data == marker:
                    marked.add(n)
                elif data[12:14] != marker[12:14]:
                    out[n].append(data.hex())
            if not some:
                time.sleep(0.0002)
        return {n: f for n, f in out.items() if f}

    def until_equal(self, patience=PATIENCE):
        """What was learnt is there soon after."""
        deadline = time.monotonic() + patience
        while not self.differences:
            ours, ovs = (self.dump(s, 'dump-flows --no-stats') for s in self.pair.both)
            if ours == ovs:
                return
            if time.monotonic() > deadline:
                self.differ('flows', '\n     '.join(x for x in ours if x not in ovs), '\n     '.join(x for x in ovs if x not in ours))
            for w in self.wires:
                w.read(timeout=0.02)

    def dump(self, switch, command):
        version = NAMES[self.version]
        lines = []
        for line in self.pair.ofctl(switch, version, command).splitlines():
            if 'dl_type=%#x' % MARKER in line or 'reply' in line:
                continue
            line = re.sub(r'(duration|idle_age|hard_age|ref_count|bucket_id)[=:][\d.]+s?,? ?', '', line.strip())
            if self.resized:
                line = re.sub(r'(n_bytes|byte_count)=\d+', '', line)
            lines.append(line.replace('vlan_tci=0x0000/0x1fff', 'vlan_tci=0x0000'))
        return sorted(lines)

    def compare_state(self):
        self.pair.ovs.fresh()
        groups = [values.get('command', 0) for what, *(values, *_) in self.steps if what == 'group']
        commands = ['dump-flows'] + ['dump-groups'] * bool(groups)
        if groups and 1 not in groups:  # whose own counters a change keeps here (1.3.5 §6.5), not in Open vSwitch
            commands.append('dump-group-stats')
        meters = [values.get('command', 0) for what, *(values, *_) in self.steps if what == 'meter']
        commands += ['dump-meters'] * bool(meters)
        if meters and 1 not in meters:  # likewise (1.3.5 §6.6)
            commands.append('meter-stats')
        for command in commands:
            ours, ovs = (self.dump(s, command) for s in self.pair.both)
            if ours != ovs:
                only = [line for line in ours if line not in ovs], [line for line in ovs if line not in ours]
                self.differ(command, *('\n     '.join(lines) for lines in only))

    def traffic(self):
        """What each switch has counted at its ports and tables."""
        counted = []
        for s in self.pair.both:
            ports = self.pair.ofctl(s, NAMES[self.version], 'dump-ports')
            some = re.findall(r'port +(\d): rx pkts=(\d+), bytes=(\d+),[^t]*tx pkts=(\d+), bytes=(\d+)', ports)
            numbers = {('port', n[0], what): int(v) for n in some for what, v in zip(('rx packets', 'rx bytes', 'tx packets', 'tx bytes'), n[1:])}
            table = None
            for line in self.pair.ofctl(s, NAMES[self.version], 'dump-tables').splitlines():
                table = (re.match(r'  table (\d+)', line) or [None, table])[1]
                found = re.search(r'lookup=(\d+), matched=(\d+)', line)
                if found and int(table) < 4:
                    numbers.update({('table', table, what): int(v) for what, v in zip(('lookups', 'matches'), found.groups())})
            counted.append(numbers)
        return counted

    def compare_traffic(self, before, patience=PATIENCE):
        """Ports count when a frame has gone, which may be after it came."""
        deadline = time.monotonic() + patience
        while True:
            ours, ovs = ({k: v - b.get(k, 0) for k, v in now.items()} for now, b in zip(self.traffic(), before))
            if ours == ovs or time.monotonic() > deadline:
                break
        for key in sorted(set(ours) | set(ovs)):
            if ours.get(key) != ovs.get(key):
                self.differ('counted at %s' % (key,), ours.get(key), ovs.get(key))

    def packet_ins(self):
        """Both switches'. Of an action in a set or bucket the entry is left out: none here (1.3.5 §7.4.1), often the last one
        in Open vSwitch. And where Open vSwitch says that it is a packet-out's, how that came to pass."""
        ours, ovs = (w.packet_ins for w in self.wires)
        if self.version == V10:
            return sorted(map(repr, ours)), sorted(map(repr, ovs))
        told = {repr(p[:3]) for p in ours if p[-1] == (1 << 64) - 1} | {repr(p[:3]) for p in ovs if p[3] == 5}
        return [sorted(repr(p[:3] if repr(p[:3]) in told else p) for p in some) for some in (ours, ovs)]

    def compare_messages(self):
        deadline = time.monotonic() + 5
        while True:
            packet_ins = self.packet_ins()
            removed = [sorted(repr(r[1:]) for r in w.removed if r[0] == self.mark) for w in self.wires]
            if packet_ins[0] == packet_ins[1] and removed[0] == removed[1] or time.monotonic() > deadline:
                break
            for w in self.wires:
                w.read(timeout=0.01)
        for what, (ours, ovs) in (('packet-ins', packet_ins), ('flow-removed', removed)):
            if ours != ovs:
                self.differ(what, *('\n     '.join(only) for only in ([x for x in ours if x not in ovs], [x for x in ovs if x not in ours])))


def compare(pair, version, steps):
    comparison = Comparison(pair, version, steps)
    try:
        return comparison.run()
    finally:
        comparison.close()


def smaller(steps):
    """Cases with something left out, the large pieces first."""
    for size in (16, 8, 4, 2, 1):
        if size < len(steps):
            for at in range(0, len(steps), size):
                yield steps[:at] + steps[at + size:]
    for n, step in enumerate(steps):
        for change in smaller_value(step):
            yield steps[:n] + [change] + steps[n + 1:]


def smaller_value(value):
    if isinstance(value, (list, tuple)) and not (isinstance(value, tuple) and value and not isinstance(value[0], str)):
        start = 1 if isinstance(value, tuple) else 0
        if start == 0:
            for n in range(len(value)):
                yield value[:n] + value[n + 1:]
        for n in range(start, len(value)):
            for change in smaller_value(value[n]):
                yield type(value)([*value[:n], change, *value[n + 1:]])
    elif isinstance(value, tuple):
        for n in range(len(value)):
            for change in smaller_value(value[n]):
                yield (*value[:n], change, *value[n + 1:])
    elif isinstance(value, dict):
        for key in value:
            if key not in ('priority', 'eth_type', 'ip_proto', 'command', 'table', 'group', 'kind'):
                yield {k: v for k, v in value.items() if k != key}
            for change in smaller_value(value[key]):
                yield {**value, key: change}


def shrink(pair, version, steps, seconds=60):
    """A small case that differs in the same kind of thing."""
    def kind(differences):
        return differences and differences[0].split(' ')[0].split(':')[0]
    wanted = kind(compare(pair, version, steps))
    if not wanted:
        return steps
    deadline = time.monotonic() + seconds
    better = True
    while better and time.monotonic() < deadline:
        better = False
        for candidate in smaller(steps):
            if time.monotonic() > deadline:
                break
            try:
                if kind(compare(pair, version, copy.deepcopy(candidate))) == wanted:
                    steps, better = candidate, True
                    break
            except (struct.error, ValueError, KeyError, IndexError, TypeError):
                continue
    return steps


def judge(pair, random_case, last):
    """Runs the cases from 0 to this one, or those of $CASES (`12`, `1000-1999`); the first that differs is told in full and
    in small."""
    first, _, last = os.environ.get('CASES', '0-%d' % last).partition('-')
    cases = packets = requests = 0
    for number in range(int(first), int(last or first) + 1):
        version, steps = random_case(random.Random(number))
        if 'CASES' not in os.environ and names(steps, lambda a: a and a[0] == 'learn'):
            continue  # of two packets' ports Open vSwitch learns the earlier now and then
        cases += 1
        packets += sum(step[0].startswith('packet') for step in steps)
        requests += sum(not step[0].startswith('packet') for step in steps)
        differences = compare(pair, version, steps)
        if differences:
            small = shrink(pair, version, steps)
            raise AssertionError('case %d, %s:\n%s\nin small:\n%s\n%s' % (
                number, NAMES[version], '\n'.join(differences), '\n'.join(map(str, small)),
                '\n'.join(compare(pair, version, small))))
    print('%d cases with %d requests and %d packets' % (cases, requests, packets))

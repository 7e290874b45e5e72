"""Table-mods beside Open vSwitch: what is refused and how, what tables say of themselves, eviction and vacancy events.

Left out is where Open vSwitch goes another way than the text: it takes undefined configuration bits, answers unknown
properties with BAD_REQUEST/BAD_TYPE, takes one that is there twice, reads the eviction property's flags as the switch for eviction, forgets thresholds
that a table-mod doesn't name (1.4.1 §7.3.4.1), and evicts for an entry that is less important than all (§6.4).
"""

import random
import re
import select
import socket
import struct
import time

import pytest
from beside_ovs import NEEDS, PATIENCE
from compare_random import NAMES
from forms import V13, V14, V15, flow_mod, message
from lab import sh

pytestmark = NEEDS

VLAN_LIMIT = 2
HELLO, ERROR, FLOW_REMOVED, TABLE_MOD, BARRIER, BARRIER_REPLY, SET_ASYNC, TABLE_STATUS = 0, 1, 11, 17, 20, 21, 28, 31
MOST = 4
OPTIONS = ('--table-size', str(MOST))
EVICTION, VACANCY, EVICTED = 4, 8, 5


class Peer:
    """A controller's connection that keeps everything."""

    def __init__(self, target, version):
        self.version, self.data, self.xid, self.heard = version, b'', 100, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(target.removeprefix('unix:'))
        self.socket.sendall(message(version, HELLO, 1, struct.pack('!HHI', 1, 8, 1 << version)))
        self.send(9, struct.pack('!HH', 0, 0xffff))

    def send(self, kind, body):
        self.xid += 1
        self.socket.sendall(message(self.version, kind, self.xid, body))
        return self.xid

    def flow(self, **values):
        self.xid += 1
        self.socket.sendall(flow_mod(self.version, self.xid, **values))

    def until(self, done):
        """Reads until a message is what is waited for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while len(self.data) >= 8:
                _, kind, length, xid = struct.unpack_from('!BBHI', self.data)
                if len(self.data) < length:
                    break
                body, self.data = self.data[8:length], self.data[length:]
                self.heard.append((kind, xid, body))
                if done(kind, xid, body):
                    return
            assert time.monotonic() < deadline and select.select([self.socket], [], [], PATIENCE)[0], 'no answer'
            some = self.socket.recv(1 << 20)
            assert some, 'the switch closed the connection'
            self.data += some

    def barrier(self):
        xid = self.send(BARRIER, b'')
        self.until(lambda kind, x, _: (kind, x) == (BARRIER_REPLY, xid))

    def take(self, kind):
        """Bodies of one kind heard since."""
        found = [body for k, _, body in self.heard if k == kind]
        self.heard = [m for m in self.heard if m[0] != kind]
        return found

    def answer(self, kind, body):
        """The error of a request that has no other answer."""
        xid = self.send(kind, body)
        self.barrier()
        errors = [struct.unpack_from('!HH', body) for k, x, body in self.heard if (k, x) == (ERROR, xid)]
        self.heard = [m for m in self.heard if m[1] != xid]
        return errors


def table_mod(table, config, props=b''):
    return struct.pack('!B3xI', table, config) + props


def vacancy(down, up, now=0):
    return struct.pack('!HHBBBx', 3, 8, down, up, now)


@pytest.fixture
def both(pair):
    """Opens connections to both, for a version; flows are gone, and tables are as at first."""
    opened = []

    def made(version):
        first, peers = ([Peer(s.target, v) for s in pair.both] for v in (V14, version))
        opened.extend(first + peers)
        for p in first:
            p.flow(command=3, table=255)
            p.send(TABLE_MOD, table_mod(255, 0, vacancy(0, 0)))
            p.barrier()
        return peers
    yield made
    for p in opened:
        p.socket.close()


def descriptions(pair, version, sized):
    """What both say of the tables that are worked on; how much of one is free is no question where their sizes differ, and
    by what an entry is chosen is theirs (Open vSwitch has groups of entries besides)."""
    def of(switch):
        tables = re.split(r'^  table (\d+).*\n', pair.ofctl(switch, NAMES[version], 'dump-table-desc'), flags=re.M)
        left = r' eviction_flags=\S+' if sized else r' eviction_flags=\S+| vacancy=\d+%'
        return {int(n): re.sub(left, '', text) for n, text in zip(tables[1::2], tables[2::2]) if int(n) < 3}
    return [of(s) for s in pair.both]


@pytest.mark.parametrize('version', [V13, V14, V15])
def test_what_is_refused_and_what_it_leaves(pair, both, version):
    peers = both(version)
    bodies = [table_mod(t, c) for t in (0, 1, 255) for c in (0, 1, 2, 3)]
    if version >= V14:
        bodies = [table_mod(1, VACANCY, p) for p in (
            vacancy(90, 10), vacancy(10, 101), vacancy(101, 101), vacancy(10, 90, 5), struct.pack('!HHBB2x', 3, 6, 1, 2),
            struct.pack('!HHBBBx', 3, 2, 1, 2, 0), struct.pack('!HHBBBx', 3, 16, 1, 2, 0),
            struct.pack('!HHBBBxQ', 3, 16, 1, 2, 0, 0))]
        r = random.Random(version)
        for _ in range(30):
            down, up = r.choice(((0, 0), (0, 100), (10, 90), (50, 50), (100, 100), (60, 40)))
            bodies.append(table_mod(r.choice((0, 1, 2, 255)), r.choice((0, EVICTION, VACANCY, EVICTION | VACANCY)), vacancy(down, up)))
    bodies += [table_mod(0, 0)[:6], b'']
    for body in bodies:
        ours, ovs = (p.answer(TABLE_MOD, body) for p in peers)
        assert ours == ovs, 'table-mod %s: ours %s, ovs %s' % (body.hex(), ours, ovs)
        if version >= V14:
            ours, ovs = descriptions(pair, version, sized=False)
            assert ours == ovs, body.hex()


@pytest.fixture
def small(pair):
    """Table 0 of Open vSwitch, too, holds MOST flows."""
    sh(['ovs-vsctl', '--timeout=30', '--db=unix:%s/db.sock' % pair.ovs.dir, '--id=@t', 'create', 'Flow_Table',
        'flow_limit=%d' % MOST, '--', 'set', 'bridge', 'br0', 'flow_tables:0=@t'], env=pair.ovs.env)


def told(peers, kind, wanted, what):
    """What both have been told, as soon as the slower one has."""
    found, deadline = [[], []], time.monotonic() + PATIENCE
    while True:
        for p, f in zip(peers, found):
            p.barrier()
            f += filter(None, map(what, p.take(kind)))
        if all(len(f) >= wanted for f in found):
            assert found[0] == found[1] and len(found[0]) == wanted, found
            return found[0]
        assert time.monotonic() < deadline, found


def flow(n, **values):
    return dict(match_={'in_port': 1, 'eth_dst': n}, priority=n, cookie=n, instructions=[('apply', [('output', 2)])], **values)


@pytest.mark.parametrize('version', [V13, V14, V15])
def test_a_full_table(pair, both, small, version):
    """Without eviction it is full; with it, the least important one has to go, and of two the one that ends sooner. (In Open
    vSwitch only one that ends at all.)"""
    peers = both(version)
    for p in peers:
        for n in range(1, MOST + 2):
            p.flow(**flow(n))
        p.flow(**dict(flow(2), cookie=77))  # one that is there takes no room
        p.barrier()
    errors = [[struct.unpack_from('!HH', b) for b in p.take(ERROR)] for p in peers]
    assert errors[0] == errors[1] and len(errors[0]) == 1, errors
    if version == V13:
        return
    for p in peers:
        p.flow(command=3, table=255)
        p.send(TABLE_MOD, table_mod(0, EVICTION))
        for n, importance in enumerate((5, 3, 9, 3, 4, 6, 7, 8), 1):
            p.flow(**flow(n, importance=importance, hard=500 if n == 4 else 1000, flags=1))

    def evicted(body):
        """The cookie; other entries go when a test begins."""
        reason, cookie = (body[10], body[:8]) if version == V14 else (body[1], body[8:16])
        return int.from_bytes(cookie, 'big') if reason == EVICTED else None
    assert told(peers, FLOW_REMOVED, 4, evicted) == [4, 2, 5, 1]
    ours, ovs = (sorted(pair.flows(s, NAMES[version])) for s in pair.both)
    assert ours == ovs and len(ours) == MOST
    assert not any(p.take(ERROR) for p in peers)


@pytest.mark.parametrize('version', [V14, V15])
@pytest.mark.parametrize('down, up, events', [(25, 60, (3, 4)), (0, 100, ()), (50, 50, (3, 4)), (90, 95, (3, 4))])
def test_vacancy_events(pair, both, small, version, down, up, events):
    peers = both(version)
    for p in peers:
        p.send(SET_ASYNC, struct.pack('!HHI', 9, 8, 0x18))
        p.send(TABLE_MOD, table_mod(0, VACANCY, vacancy(down, up)))
        for n in (1, 2, 3, 4):
            p.flow(**flow(n))
            p.barrier()
        p.flow(command=4, **{k: v for k, v in flow(4).items() if k in ('match_', 'priority')})
        p.barrier()
        for n in (3, 2, 1):
            p.flow(command=4, **{k: v for k, v in flow(n).items() if k in ('match_', 'priority')})
            p.barrier()
    # Reason and the table's description, but for the eviction flags.
    statuses = told(peers, TABLE_STATUS, len(events), lambda body: (body[0], body[8:16].hex(), body[24:].hex()))
    assert tuple(s[0] for s in statuses) == events
    assert not any(p.take(ERROR) for p in peers)
    ours, ovs = descriptions(pair, version, sized=True)
    assert ours[0] == ovs[0] and len(ours) == 3

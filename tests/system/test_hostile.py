"""What hostile hosts and controllers may do without hurting anybody else.

Figures are bounds that hold on a busy machine, not measurements.
"""

import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from lab import Switch, sh, wait_for
from raw import (BARRIER_REPLY, BARRIER_REQUEST, ECHO_REQUEST, GROUP_MOD, HELLO, MULTIPART_REQUEST,
                 Controller, is_served, prompt)


# Sends one frame of 60 bytes again and again: COUNT times, PAUSE seconds in between.
SENDER = '''
import socket, sys, time
count, pause = int(sys.argv[1]), float(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
frame = bytes.fromhex("020000000001" "020000000002" "88b5") + bytes(46)
while count:
    count -= 1
    try:
        s.send(frame)
    except OSError:
        pass
    if pause:
        time.sleep(pause)
'''


def sender(lab, host, count, pause):
    return lab.spawn(host.ns, [sys.executable, '-c', SENDER, str(count), str(pause)])


def echoes(controller, count):
    """The times of so many echo requests."""
    return [controller.ask(ECHO_REQUEST)[2] for _ in range(count)]


@pytest.fixture
def net(lab):
    sw, hosts = lab.star(3, addresses=False)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    yield lab, switch, hosts
    # Shown if the test fails.
    print(switch.output()[-2000:])


def test_a_flood_of_misses_harms_neither_the_controller_nor_other_ports(net):
    """P13: one port's flood; echoes stay quick and the quiet port's packets come."""
    lab, switch, hosts = net
    controller = Controller(switch.of_socket)
    controller.control()
    flood = [sender(lab, hosts[0], -1, 0) for _ in range(2)]
    limited = lambda: switch.manage('counters')['controller_queue']['limited']['table_miss']  # noqa: E731
    wait_for('the limiter to act', lambda: limited() > 1000, 20)
    quiet = sender(lab, hosts[1], 200, 0.005)
    times = echoes(controller, 50)
    quiet.wait(30)
    wait_for('packets of the quiet port', lambda: controller.packet_ins.get(2, 0) >= 180)
    prompt(times, 'echoes')
    before, since = controller.packet_ins[1], time.monotonic()
    time.sleep(4)
    rate = (controller.packet_ins[1] - before) / (time.monotonic() - since)
    print('the flooding port got %d packet-ins/s through' % rate)
    # 2,000; what was on its way already is counted, too. The flood itself is many times as fast.
    assert rate < 6000
    for p in flood:
        p.kill()


def test_thousands_of_connections_leave_the_controller_alone(net):
    """M10: 2,000 connections that come and go; test_tls.py has 10,000 that stay, and TLS."""
    _, switch, _ = net
    controller = Controller(switch.of_socket)
    controller.control()
    held = []
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.settimeout(2)
            with contextlib.suppress(OSError):
                s.connect(switch.of_socket)
                held.append(s)
            if len(held) > 200:
                held.pop(0).close()
        prompt(echoes(controller, 20), 'echoes')
    assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    # Places are free again.
    wait_for('a place', lambda: is_served(switch.of_socket), 60)


def test_a_controller_that_reads_nothing_hurts_itself_only(net):
    """M9: asks for statistics again and again and reads none."""
    _, switch, _ = net
    good, bad = Controller(switch.of_socket), Controller(switch.of_socket, reads=False)
    good.control()
    for n in range(5000):
        # in_port=n
        match = struct.pack('!HHIIxxxx', 1, 12, 0x80000004, n + 10)
        good.flow_mod(match, 5, struct.pack('!HHIH6x', 0, 16, 2, 0))
    assert good.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    resident = lambda: int(next(line.split()[1] for line in open('/proc/%d/status' % pid)  # noqa: E731
                                if line.startswith('VmRSS')))
    pid = int(sh(['pgrep', '-f', switch.of_socket]).stdout.split()[-1])
    before = resident()
    bad.socket.settimeout(0.2)
    request = struct.pack('!HH4xB3xII4xQQ', 1, 0, 255, 0xffffffff, 0xffffffff, 0, 0) + b'\x00\x01\x00\x04\x00\x00\x00\x00'
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            bad.send(MULTIPART_REQUEST, request)
    prompt(echoes(good, 20), 'echoes')
    assert good.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert resident() - before < 100_000, 'kB more'


def test_flow_mods_without_end_keep_the_others_waiting_for_nothing(net):
    _, switch, _ = net
    good, busy = Controller(switch.of_socket), Controller(switch.of_socket)
    good.control()
    over = threading.Event()

    def spam():
        n = 0
        while not over.is_set():
            n += 1
            busy.flow_mod(struct.pack('!HHIIxxxx', 1, 12, 0x80000004, n % 20_000 + 10), n % 9)

    thread = threading.Thread(target=spam)
    thread.start()
    try:
        prompt(echoes(good, 100), 'echoes')
        prompt([good.ask(BARRIER_REQUEST)[2] for _ in range(20)], 'barriers')
    finally:
        over.set()
        thread.join()


def test_a_port_vanishes_and_comes_back_under_load(net):
    """M17: under a flood of another port."""
    lab, switch, hosts = net
    controller = Controller(switch.of_socket)
    controller.control()
    flood = sender(lab, hosts[0], -1, 0)
    times = []
    for _ in range(3):
        sh(['ip', '-n', switch.ns, 'link', 'del', 's2'])
        times += echoes(controller, 5)
        lab.link(switch.ns, 's2', hosts[1].ns, 'eth0')
        times += [controller.ask(BARRIER_REQUEST)[2] for _ in range(5)]
    prompt(times)
    before = controller.packet_ins.get(2, 0)

    def heard():
        with contextlib.suppress(subprocess.SubprocessError):
            sender(lab, hosts[1], 5, 0.01).wait(10)
        return controller.packet_ins.get(2, 0) > before
    wait_for('packets from the port that came back', heard, 20)
    assert switch.process.poll() is None
    flood.kill()


# Receives frames of ethertype 0x88b5 that bear a number, and says which numbers came when it is told to end.
RECEIVER = """
import signal, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
s.bind(("eth0", 0x88b5))
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
signal.signal(signal.SIGTERM, lambda *_: s.close() or sys.exit())
print("ready", flush=True)
while True:
    try:
        frame, where = s.recvfrom(100)
    except OSError:  # the interface is gone
        sys.exit()
    if where[2] != 4:
        print(int.from_bytes(frame[14:18], "big"), flush=True)
"""

# Sends COUNT numbered frames, PER second.
NUMBERED = """
import socket, sys, time
count, per = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
began = time.monotonic()
for n in range(count):
    s.send(bytes.fromhex("020000000002" "020000000001" "88b5") + n.to_bytes(4, "big") + bytes(42))
    time.sleep(max(0, began + n / per - time.monotonic()))
"""


class Receiver:
    """Numbers that come to a host."""

    def __init__(self, lab, host):
        self.path = os.path.join(lab.dir, 'received-%d-%d' % (host.n, len(lab.processes)))
        self.process = lab.spawn(host.ns, [sys.executable, '-c', RECEIVER], log=self.path)
        wait_for('the receiver', lambda: 'ready' in self.text(), 20)

    def text(self):
        with open(self.path) as f:
            return f.read()

    def numbers(self):
        return [int(line) for line in self.text().splitlines()[1:]]


def test_flow_mods_by_the_hundred_thousand_lose_no_packet(net):
    """M16: flow-mods as fast as they are taken, while packets run at a rate that any machine can do."""
    lab, switch, hosts = net
    controller, busy = Controller(switch.of_socket), Controller(switch.of_socket)
    # All that comes in on port 1 goes out of port 2.
    controller.flow_mod(struct.pack('!HHIIxxxx', 1, 12, 0x80000004, 1), 9, struct.pack('!HHIH6x', 0, 16, 2, 0))
    assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    receiver = Receiver(lab, hosts[1])
    head = struct.pack('!BBHI', 4, 14, 88, 7) + struct.pack('!QQBBHHHIIIHxx', 0, 0, 0, 0, 0, 0, 5, 0xffffffff,
                                                             0xffffffff, 0xffffffff, 0)
    head += struct.pack('!HHIH', 1, 14, 0x80000606, 0x0200)
    tail = b'\0\0' + struct.pack('!HH4xHHIH6x', 4, 24, 0, 16, 2, 0)
    sent = lab.spawn(hosts[0].ns, [sys.executable, '-c', NUMBERED, '2000', '500'])
    changes, began = 0, time.monotonic()
    while sent.poll() is None:
        busy.socket.sendall(b''.join(head + n.to_bytes(4, 'big') + tail for n in range(changes, changes + 5000)))
        changes += 5000
        assert busy.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
        if changes % 200_000 == 0:
            changes = 0
    rate = switch.manage('connections')
    rate = sum(c['counters']['flow_mods'] for c in rate) / (time.monotonic() - began)
    wait_for('the last packet', lambda: 1999 in receiver.numbers(), 20)
    print('%d flow-mods/s, 2000 packets' % rate)
    assert receiver.numbers() == list(range(2000)), 'each once, in order'


def test_a_vanished_port_hands_over_to_the_next_bucket(net):
    """M17: a port vanishes with a flow, a fast-failover group and a queue on it, while packets run."""
    lab, switch, hosts = net
    controller = Controller(switch.of_socket)
    controller.control()
    switch.manage('add-queue', {'queue': '2:1,max-rate=1G'})
    # Bucket 1: port 2 and its queue, watched; bucket 2: port 3.
    buckets = struct.pack('!HHII4x', 40, 0, 2, 0xffffffff) + struct.pack('!HHI', 21, 8, 1) \
        + struct.pack('!HHIH6x', 0, 16, 2, 0)
    buckets += struct.pack('!HHII4x', 32, 0, 3, 0xffffffff) + struct.pack('!HHIH6x', 0, 16, 3, 0)
    controller.send(GROUP_MOD, struct.pack('!HBxI', 0, 3, 1) + buckets)
    controller.flow_mod(struct.pack('!HHIIxxxx', 1, 12, 0x80000004, 1), 9, struct.pack('!HHI', 22, 8, 1))
    assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    two, three = Receiver(lab, hosts[1]), Receiver(lab, hosts[2])
    sent = lab.spawn(hosts[0].ns, [sys.executable, '-c', NUMBERED, '4000', '1000'])
    wait_for('packets by way of port 2', lambda: len(two.numbers()) > 500)
    sh(['ip', '-n', switch.ns, 'link', 'del', 's2'])
    sent.wait(60)
    wait_for('packets by way of port 3', lambda: 3999 in three.numbers(), 20)
    lost = 4000 - len(set(two.numbers()) | set(three.numbers()))
    print('%d of 4000 packets lost, 1000 a second' % lost)
    assert lost < 100
    # The port keeps its number: it is modified, its link down.
    told = lambda: [state & 1 for reason, port, state in controller.port_statuses if (reason, port) == (2, 2)]  # noqa: E731
    wait_for('PORT_STATUS', lambda: told()[-1:] == [1])
    assert 'group:1' in switch.ofctl('dump-flows') and 'group_id=1' in switch.ofctl('dump-groups')
    lab.link(switch.ns, 's2', hosts[1].ns, 'eth0')
    wait_for('PORT_STATUS', lambda: told()[-1:] == [0])
    again = Receiver(lab, hosts[1])

    def back():
        hosts[0].run([sys.executable, '-c', NUMBERED, '5', '1000'])
        return again.numbers()
    wait_for('packets by way of port 2 again', back, 20, 0.2)
    assert switch.process.poll() is None


class Grammar:
    """Messages with the shape of messages: what has a length says now and then another."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def word(self, bits):
        r = self.random
        return r.choice([r.getrandbits(bits), r.getrandbits(3), 0, (1 << bits) - 1, (1 << bits) - r.randrange(1, 9)]) \
            % (1 << bits)

    def length(self, true):
        r = self.random
        said = true if r.random() < 0.9 else r.choice([0, 1, 4, 7, true - 1, true + 1, true + 8, 0xffff, true // 2])
        return said & 0xffff

    def pad(self, data):
        return data + bytes(-len(data) % 8)

    def match(self):
        r, fields = self.random, b''
        for _ in range(r.choice([0, 1, 1, 2, 3, 40])):
            kind, masked = r.randrange(46), r.random() < 0.3
            size = [4, 4, 8, 6, 6, 2, 2, 1, 1, 1, 1, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1, 2, 4, 4, 6, 6, 16, 16, 4, 1, 1, 16,
                    6, 6, 4, 1, 1, 3, 8, 2, 1, 1, 4, 4, 2, 4][kind]
            value = r.randbytes(size * (2 if masked else 1)) if r.random() < 0.9 else r.randbytes(r.randrange(70))
            fields += struct.pack('!HBB', r.choice([0x8000] * 9 + [1, 0xffff]), kind << 1 | masked, len(value)) + value
        return self.pad(struct.pack('!HH', r.choice([1] * 9 + [0, 2]), self.length(4 + len(fields))) + fields)

    def actions(self, depth=0):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 1, 2, 5, 200]) if depth < 3 else 0):
            kind = r.choice([0, 0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 25, 26, 27, 28, 29, 0xffff,
                             r.getrandbits(16)])
            if kind == 0:
                body = struct.pack('!IH6x', r.choice([1, 2, 3, self.word(32)]), self.word(16))
            elif kind == 25:
                body = self.match()[4:]
            elif kind == 0xffff:
                body = struct.pack('!IH', r.choice([0x2320, 0x2320, self.word(32)]), r.choice([42, 35, 16, r.randrange(60)]))
                body += r.randbytes(r.choice([6, 14, 30])) + self.actions(depth + 1)
            else:
                body = r.randbytes(4)
            body = self.pad(struct.pack('!HH', kind, 0) + body)[4:]
            out += struct.pack('!HH', kind, self.length(4 + len(body))) + body
        return out

    def instructions(self):
        r, out = self.random, b''
        for _ in range(r.randrange(4)):
            kind = r.choice([1, 2, 3, 4, 4, 5, 6, 7, 0xffff, r.getrandbits(16)])
            body = {1: r.randbytes(4), 2: r.randbytes(20)}.get(kind) or bytes(4) + (self.actions() if kind in (3, 4, 5) else b'')
            out += struct.pack('!HH', kind, self.length(4 + len(body))) + body
        return out

    def buckets(self):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 2, 50])):
            body = struct.pack('!HII4x', self.word(16), self.word(32), self.word(32)) + self.actions()
            out += struct.pack('!H', self.length(2 + len(body))) + body
        return out

    def properties(self):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 2, 9])):
            body = r.randbytes(r.choice([0, 4, 8, 12, 28]))
            out += self.pad(struct.pack('!HH', r.choice([0, 1, 2, 3, 0xffff, self.word(16)]), self.length(4 + len(body))) + body)
        return out

    def body(self, version, kind, depth=0):
        r = self.random
        if kind == 14:
            return struct.pack('!QQBBHHHIIIHH', self.word(64), self.word(64), self.word(8), r.randrange(6), self.word(16),
                               self.word(16), self.word(16), self.word(32), self.word(32), self.word(32), self.word(16),
                               self.word(16)) + self.match() + self.instructions()
        if kind == 15:
            return struct.pack('!HBBI', r.randrange(7), r.randrange(5), 0, self.word(32)) + self.buckets()
        if kind == 13:
            actions = self.actions()
            return struct.pack('!IIH6x', self.word(32), self.word(32), self.length(len(actions))) + actions + r.randbytes(r.randrange(200))
        if kind == 18:
            ask = r.choice([*range(20), 0xffff, self.word(16)])
            rest = r.choice([b'', self.match(), self.properties(), struct.pack('!B3xII4xQQ', self.word(8), self.word(32),
                             self.word(32), self.word(64), self.word(64)) + self.match()])
            return struct.pack('!HH4x', ask, r.choice([0, 0, 0, 1])) + rest
        if kind == 29:
            bands = b''.join(struct.pack('!HHII4x', r.choice([1, 2, 0xffff]), self.length(16), self.word(32), self.word(32))
                             for _ in range(r.randrange(4)))
            return struct.pack('!HHI', r.randrange(4), self.word(16), self.word(32)) + bands
        if kind == 33:
            return struct.pack('!IHH', r.randrange(4), r.randrange(9), r.randrange(4)) + self.properties()
        if kind == 34 and depth < 2:
            inner = self.message(version, depth + 1)
            return struct.pack('!I2xH', r.randrange(4), r.randrange(4)) + inner + self.properties()
        if kind == 4:
            return struct.pack('!II', r.choice([0x2320, 0x4f4e4600, self.word(32)]), r.randrange(40)) + r.randbytes(r.randrange(60))
        return r.choice([b'', r.randbytes(r.randrange(64)), self.properties(), r.randbytes(16)])

    def message(self, version, depth=0):
        r = self.random
        kind = r.choice([*range(36), 14, 14, 15, 18, 13, 33, 34, 34, r.getrandbits(8)])
        body = self.body(version, kind, depth)
        if depth == 0 and r.random() < 0.02:
            body += r.randbytes(65_527)
        body = body[:65_527]
        version = version if r.random() < 0.98 else r.getrandbits(8)
        return struct.pack('!BBHI', version, kind, 8 + len(body), self.word(32)) + body


@pytest.mark.parametrize('seconds', [0, pytest.param(600, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_random_messages_of_every_type_hurt_nobody(net, seconds):
    """M14: a grammar's messages over live connections of every version; the same ones each time without
    --long. SWITCHD_FUZZ_SECONDS says how long --long searches, from a new seed."""
    _, switch, _ = net
    seconds = seconds and int(os.environ.get('SWITCHD_FUZZ_SECONDS', seconds))
    seed = int(time.time()) if seconds else 14
    print('seed', seed)
    witness, grammar = Controller(switch.of_socket), Grammar(seed)
    witness.control()
    until, sent, connections, times = time.monotonic() + seconds, 0, 0, []
    while time.monotonic() < until or sent < 6000:
        version = 1 + connections % 6
        connections += 1
        with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
            s.settimeout(5)
            s.connect(switch.of_socket)
            s.sendall(struct.pack('!BBHI', version, HELLO, 8, 1))
            reader = threading.Thread(target=swallow, args=(s,), daemon=True)
            reader.start()
            for _ in range(500):
                s.sendall(grammar.message(version))
                sent += 1
        times.append(witness.ask(ECHO_REQUEST)[2])
        assert switch.process.poll() is None, switch.output()[-3000:]
    print('%d messages over %d connections' % (sent, connections))
    assert witness.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    # A defect that one connection met would be in the log.
    assert 'panicked' not in switch.output() and 'a defect' not in switch.output()
    prompt(times, 'echoes')


def swallow(s):
    with contextlib.suppress(OSError):
        while s.recv(1 << 16):
            pass


def test_random_bytes_end_their_own_connection_only(net):
    """M14, M1: noise after a hello or without one."""
    _, switch, _ = net
    good = Controller(switch.of_socket)
    good.control()
    state = 1
    for _ in range(300):
        noise = bytearray()
        for _ in range(100):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
            noise += state.to_bytes(8, 'big')
        noise[0] = 4
        with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
            s.settimeout(2)
            s.connect(switch.of_socket)
            if state & 1 << 40:
                s.sendall(struct.pack('!BBHI', 4, HELLO, 8, 1))
            s.sendall(noise)
    prompt(echoes(good, 20), 'echoes')
    assert good.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY

"""What hostile hosts and controllers may do without hurting anybody else.

Figures are bounds that hold on a busy machine, not measurements.
"""

import contextlib
import os
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
    before = switch.memory('VmRSS')
    bad.socket.settimeout(0.2)
    request = struct.pack('!HH4xB3xII4xQQ', 1, 0, 255, 0xffffffff, 0xffffffff, 0, 0) + b'\x00\x01\x00\x04\x00\x00\x00\x00'
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            bad.send(MULTIPART_REQUEST, request)
    prompt(echoes(good, 20), 'echoes')
    assert good.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert switch.memory('VmRSS') - before < 100_000, 'kB more'


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

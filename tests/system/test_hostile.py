"""What hostile hosts and controllers may do without hurting anybody else.

Figures are bounds that hold on a busy machine, not measurements.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from lab import Switch, sh, wait_for
from raw import BARRIER_REPLY, BARRIER_REQUEST, ECHO_REPLY, ECHO_REQUEST, HELLO, MULTIPART_REQUEST, Controller


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
    """The times of so many echo requests, the slowest last."""
    return sorted(controller.ask(ECHO_REQUEST)[2] for _ in range(count))


@pytest.fixture
def net(lab):
    sw, hosts = lab.star(3, addresses=False)
    return lab, Switch(lab, sw, '--fail-mode', 'secure', ports=['%d=s%d' % (h.n, h.n) for h in hosts]), hosts


def test_a_flood_of_misses_harms_neither_the_controller_nor_other_ports(net):
    lab, switch, hosts = net
    controller = Controller(switch.of_socket)
    controller.control()
    flood = [sender(lab, hosts[0], -1, 0) for _ in range(2)]
    limited = lambda: switch.manage('counters')['controller_queue']['limited']['table_miss']  # noqa: E731
    wait_for('the limiter to act', lambda: limited() > 1000, 20)
    quiet = sender(lab, hosts[1], 200, 0.005)
    slowest = echoes(controller, 50)[-1]
    quiet.wait(30)
    wait_for('packets of the quiet port', lambda: controller.packet_ins.get(2, 0) >= 180, 10)
    assert slowest < 0.5, 'an echo took %.3f s' % slowest
    before, since = controller.packet_ins[1], time.monotonic()
    time.sleep(2)
    rate = (controller.packet_ins[1] - before) / (time.monotonic() - since)
    assert rate < 2400, 'the flooding port got %d packet-ins/s through' % rate
    for p in flood:
        p.kill()


def test_thousands_of_connections_leave_the_controller_alone(net):
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
        assert echoes(controller, 20)[-1] < 0.5
    assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    # Places are free again.
    wait_for('a place', lambda: Controller(switch.of_socket).ask(ECHO_REQUEST)[0] == ECHO_REPLY, 20)


def test_a_controller_that_reads_nothing_hurts_itself_only(net):
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
    assert echoes(good, 20)[-1] < 0.5
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
        assert echoes(good, 100)[-1] < 0.5
        assert good.ask(BARRIER_REQUEST)[2] < 1
    finally:
        over.set()
        thread.join()


def test_a_port_vanishes_and_comes_back_under_load(net):
    lab, switch, hosts = net
    controller = Controller(switch.of_socket)
    controller.control()
    flood = sender(lab, hosts[0], -1, 0)
    for _ in range(3):
        sh(['ip', '-n', switch.ns, 'link', 'del', 's2'])
        assert controller.ask(ECHO_REQUEST)[2] < 1
        lab.link(switch.ns, 's2', hosts[1].ns, 'eth0')
        assert controller.ask(BARRIER_REQUEST)[2] < 1
    before = controller.packet_ins.get(2, 0)

    def heard():
        with contextlib.suppress(subprocess.SubprocessError):
            sender(lab, hosts[1], 5, 0.01).wait(10)
        return controller.packet_ins.get(2, 0) > before
    wait_for('packets from the port that came back', heard, 20)
    assert switch.process.poll() is None
    flood.kill()


def test_random_bytes_end_their_own_connection_only(net):
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
    assert echoes(good, 20)[-1] < 0.5
    assert good.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY

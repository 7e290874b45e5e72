"""Many flows: dumps and snapshots that delay nobody and take little memory.

With --long there are a million; the figures are printed (pytest -rP shows them).
"""

import os
import struct
import threading
import time

import pytest
from lab import Switch, sh, wait_for
from raw import BARRIER_REPLY, BARRIER_REQUEST, FLOW_MOD, MULTIPART_REQUEST, Controller, prompt

MANY = [30_000, pytest.param(1_000_000, marks=pytest.mark.long)]


def resident(switch):
    pid = int(sh(['pgrep', '-f', switch.of_socket]).stdout.split()[-1])
    with open('/proc/%d/status' % pid) as status:
        return int(next(line.split()[1] for line in status if line.startswith('VmRSS')))


def fill(controller, count):
    """So many flows, told apart by their destination."""
    rest = struct.pack('!HH4xHHIH6x', 4, 24, 0, 16, 2, 0)
    head = struct.pack('!BBHI', 4, 14, 88, 7) + struct.pack('!QQBBHHHIIIHxx', 0, 0, 0, 0, 0, 0, 9, 0xffffffff,
                                                              0xffffffff, 0xffffffff, 0)
    match = struct.pack('!HHIH', 1, 14, 0x80000606, 0x0200)
    assert len(head + match) + 4 + 2 + len(rest) == 88
    for first in range(0, count, 10_000):
        last = min(first + 10_000, count)
        controller.socket.sendall(b''.join(head + match + n.to_bytes(4, 'big') + b'\0\0' + rest
                                           for n in range(first, last)))
        assert controller.ask(BARRIER_REQUEST, timeout=60)[0] == BARRIER_REPLY


class Barriers:
    """How long another controller's barriers take, as long as the block lasts."""

    def __init__(self, switch):
        self.controller = Controller(switch.of_socket)
        self.times, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.go_on)

    def go_on(self):
        while not self.over.wait(0.002):
            kind, _, took = self.controller.ask(BARRIER_REQUEST)
            assert kind == BARRIER_REPLY
            self.times.append(took)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.controller.close()
        assert self.times


def dump(switch, pause=0.0):
    """The bytes and the flows of a whole dump; `pause` after each piece that is read."""
    controller = Controller(switch.of_socket, reads=False)
    controller.send(MULTIPART_REQUEST, struct.pack('!HH4xB3xII4xQQ', 1, 0, 255, 0xffffffff, 0xffffffff, 0, 0)
                    + b'\x00\x01\x00\x04\x00\x00\x00\x00')
    stream, size, flows, most = controller.socket.makefile('rb', 1 << 16), 0, 0, 0
    while True:
        head = stream.read(8)
        _, kind, length, _ = struct.unpack('!BBHI', head)
        body = stream.read(length - 8)
        if kind == 2:
            controller.socket.sendall(struct.pack('!BBHI', 4, 3, 8, struct.unpack('!BBHI', head)[3]))
        if kind != 19:
            continue
        size += length
        at = 8
        while at < len(body):
            at += struct.unpack_from('!H', body, at)[0]
            flows += 1
        if flows % 20_000 < 1000:
            most = max(most, resident(switch))
        if not struct.unpack_from('!H', body, 2)[0] & 1:
            controller.close()
            return size, flows, most
        if pause:
            time.sleep(pause)


@pytest.mark.parametrize('count', MANY)
@pytest.mark.timeout(600)
def test_a_dump_costs_no_memory_and_nobody_s_time(lab, count):
    switch = Switch(lab, lab.ns('sw'), '--fail-mode', 'secure', '--local-port', '--inactivity-probe', '0')
    controller = Controller(switch.of_socket)
    fill(controller, count)
    with Barriers(switch) as idle:
        time.sleep(1)
    before, began = resident(switch), time.monotonic()
    with Barriers(switch) as others:
        size, flows, most = dump(switch)
    took = time.monotonic() - began
    print('%d flows, %.0f MB, in %.1f s; RSS %d kB before, %d kB at most; slowest barrier %.1f ms idle'
          % (flows, size / 1e6, took, before, most, max(idle.times) * 1e3))
    assert flows == count
    assert most - before < 16_000, '%d kB more' % (most - before)
    prompt(others.times, 'barriers')


@pytest.mark.parametrize('count', MANY)
@pytest.mark.timeout(600)
def test_a_snapshot_costs_nobody_s_time_and_comes_back(lab, count):
    state, ns = os.path.join(lab.dir, 'state'), lab.ns('sw')
    os.makedirs(state)
    args = ('--fail-mode', 'secure', '--local-port', '--inactivity-probe', '0', '--state', state)
    switch = Switch(lab, ns, *args)
    controller = Controller(switch.of_socket)
    fill(controller, count)
    before, began = resident(switch), time.monotonic()
    with Barriers(switch) as others:
        saved = threading.Thread(target=lambda: switch.manage('save-state', timeout=300))
        saved.start()
        most = before
        while saved.is_alive():
            most = max(most, resident(switch))
            time.sleep(0.05)
        saved.join()
    took = time.monotonic() - began
    size = os.path.getsize(os.path.join(state, 'br0.state'))
    prompt(others.times, 'barriers')
    assert most - before < 32_000, '%d kB more' % (most - before)
    began = time.monotonic()
    assert switch.stop() == 0, 'the end writes all of it'
    stopped = time.monotonic() - began
    began = time.monotonic()
    again = Switch(lab, ns, *args, patience=120)
    started = time.monotonic() - began
    print('%d flows: saved in %.1f s, %.0f MB; RSS %d kB before, %d kB at most; '
          'stopped in %.1f s, started in %.1f s' % (count, took, size / 1e6, before, most, stopped, started))
    wait_for('the flows', lambda: again.manage('status')['flows'] == count)


@pytest.mark.parametrize('count', [200_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_memory_goes_back_after_a_delete(lab, count):
    switch = Switch(lab, lab.ns('sw'), '--fail-mode', 'secure', '--local-port', '--inactivity-probe', '0')
    controller = Controller(switch.of_socket)
    delete = struct.pack('!QQBBHHHIIIHxx', 0, 0, 255, 3, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0)
    delete += b'\x00\x01\x00\x04\x00\x00\x00\x00'

    def delete_all():
        controller.send(FLOW_MOD, delete)
        assert controller.ask(BARRIER_REQUEST, timeout=60)[0] == BARRIER_REPLY

    # What a first round needs once and for all.
    fill(controller, 1000)
    delete_all()
    before = resident(switch)
    for _ in range(2):
        fill(controller, count)
        full = resident(switch)
        began = time.monotonic()
        delete_all()
        # Some megabytes of queues, buffers and page tables stay, however many flows there were.
        wait_for('the memory', lambda: resident(switch) - before < (full - before) * 0.5, 60)
        print('%d flows, %.0f bytes each, more than half given back within %.2f s of the delete, %d kB left'
              % (count, (full - before) * 1024 / count, time.monotonic() - began, resident(switch) - before))
        assert switch.manage('status')['flows'] == 0

"""Queues under competition: who gets how much of a port that is asked for more than it has.

The port is a slow one: a TAP device of 10 Mb/s that the test reads itself, so that a busy machine offers more
than enough. Frames are told apart by their source address; shares of bytes are compared, not rates.
"""

import collections
import fcntl
import os
import select
import socket
import struct
import threading
import time

import pytest
from lab import Switch, inside, sh, wait_for

FLOOD = b'\x02\0\0\0\0\x09' + b'\x02\0\0\0\0%c' + b'\x88\xb5' + bytes(1386)
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000


class SlowPort:
    """A TAP device in the switch's namespace; what leaves by it is counted by sender."""

    def __init__(self, ns, name, mbps):
        self.bytes = collections.Counter()
        with inside(ns):
            self.fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI))
        # The queueing discipline is what holds frames back, not the TAP's own short queue.
        sh(['ip', 'netns', 'exec', ns, 'ethtool', '-s', name, 'speed', str(mbps), 'duplex', 'full'])
        sh(['ip', '-n', ns, 'link', 'set', name, 'txqueuelen', '10000', 'up'])
        self.stopped = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.stopped:
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            frame = os.read(self.fd, 65536)
            if frame[12:14] == b'\x88\xb5':
                self.bytes[frame[11]] += len(frame)

    def close(self):
        self.stopped = True
        self.thread.join()
        os.close(self.fd)

    def share(self, seconds=2, least=1_000_000):
        """{sender: its share of the bytes} of what leaves within the time, and longer until it is enough to judge by."""
        before, began = self.bytes.copy(), time.monotonic()
        wait_for('frames to leave', lambda: time.monotonic() - began > seconds
                 and sum(self.bytes.values()) - sum(before.values()) > least, 60)
        gone = self.bytes - before
        return {who: gone[who] / sum(gone.values()) for who in (1, 2, 3)}

    def settles(self, right):
        """Awaits a window whose shares are right."""
        seen, began = [], time.monotonic()
        while not seen or not right(seen[-1]):
            assert time.monotonic() - began < 60, seen
            seen.append(self.share())
        print(seen)


class Sender:
    """Sends frames from a host, about `mbps` of them, until it is stopped."""

    def __init__(self, host, mbps):
        self.stopped = False
        with inside(host.ns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(('eth0', 0))
        self.frame, self.pause = FLOOD % host.n, len(FLOOD) * 8 * 10 / (mbps * 1e6)
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self):
        due = time.monotonic()
        while not self.stopped:
            for _ in range(10):
                self.socket.send(self.frame)
            # Whoever comes late makes up for it, within bounds.
            due = max(due + self.pause, time.monotonic() - 0.5)
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


@pytest.fixture
def net(lab):
    sw, hosts = lab.star(3, addresses=False)
    for h in hosts:
        h.run('sysctl -qw net.ipv6.conf.all.disable_ipv6=1')
    port = SlowPort(sw, 'slow', 10)
    made = []

    def start(*queues):
        switch = Switch(lab, sw, '--fail-mode', 'secure', *[w for q in queues for w in ('--queue', 'slow:' + q)],
                        ports=['1=s1', '2=s2', '3=s3', '9=slow'])
        # Host 3 uses no queue.
        for n in (1, 2):
            switch.ofctl('add-flow', 'in_port=%d,actions=set_queue:%d,output:9' % (n, n))
        switch.ofctl('add-flow', 'in_port=3,actions=output:9')
        return switch

    def floods(*hosts_and_rates):
        made.extend(Sender(hosts[n - 1], mbps) for n, mbps in hosts_and_rates)
        return made[-len(hosts_and_rates):]
    yield port, start, floods
    for sender in made:
        sender.stop()
    port.close()


def sent(switch, number):
    return next(q['tx_bytes'] for q in switch.manage('queues') if q['queue_id'] == number)


@pytest.mark.parametrize('promised', [1, 2])
def test_a_promise_is_kept_while_another_queue_floods(net, promised):
    port, start, floods = net
    other = 3 - promised
    switch = start('%d,min-rate=6M' % promised, '%d' % other)
    # The flood is there first, and five times what the port takes; the promised one asks for twice what it is promised.
    floods((other, 50))
    assert port.share(1)[other] == 1
    floods((promised, 12))
    # Six tenths are promised; what is left goes to both by their promises. Nobody starves.
    port.settles(lambda shares: shares[promised] > 0.5 and shares[other] > 0.001)
    # Counted as they left, and what still waits.
    left = port.bytes.copy()
    assert all(sent(switch, n) >= left[n] for n in (1, 2)), left


def test_both_promises_are_kept_under_a_flood_without_queue(net):
    port, start, floods = net
    start('1,min-rate=5M', '2,min-rate=2M')
    floods((3, 50), (1, 20), (2, 20))
    # What no promise covers follows the promises.
    port.settles(lambda s: s[1] > 0.42 and s[2] > 0.15 and 1.5 < s[1] / s[2] < 3.5)


def test_what_is_promised_and_not_used_is_others(net):
    port, start, floods = net
    start('1,min-rate=8M', '2,max-rate=9M')
    floods((2, 30))
    first, = floods((1, 20))
    port.settles(lambda shares: shares[1] > 0.7)

    def rate():
        before, began = port.bytes[2], time.monotonic()
        wait_for('frames of queue 2', lambda: port.bytes[2] - before > 50_000 and time.monotonic() - began > 1, 60)
        return (port.bytes[2] - before) / (time.monotonic() - began)
    beside = rate()
    first.stop()
    # Alone it gets up to its own limit, and beside the promise a fifth of the port at most.
    wait_for('what is left over', lambda: rate() > 2 * beside, 60)


def test_a_limit_holds_beside_a_flood(net):
    port, start, floods = net
    start('1,max-rate=2M', '2,min-rate=1M')
    # Both flood: queue 1 may have a fifth of the port and no more, however much it asks for.
    floods((1, 40), (2, 40))
    port.settles(lambda shares: 0.1 < shares[1] < 0.25 and shares[2] > 0.7)

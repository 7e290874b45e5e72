"""The end is in order: controllers get what was meant for them, and nothing stays behind."""

import contextlib
import os
import signal
import socket
import struct
import threading
import time

from lab import Switch, binary, sh, wait_for


def header(kind, length, xid):
    return struct.pack('!BBHI', 4, kind, length, xid)


# More echo replies than a socket holds.
ECHO_REQUESTS = b''.join(header(2, 60000, 100 + n) + bytes(59992) for n in range(12))


@contextlib.contextmanager
def greeted(switch):
    """A connection of 1.3, of which nothing is read yet."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(switch.of_socket)
        s.sendall(header(0, 8, 1))
        yield s


def test_connections_get_their_last_bytes(lab):
    switch = Switch(lab, lab.ns('sw'))
    with greeted(switch) as s:
        asked = threading.Thread(target=lambda: s.sendall(ECHO_REQUESTS))
        asked.start()
        asked.join(10)
        assert not asked.is_alive()
        wait_for('the requests to be taken', lambda: any(
            c['counters']['messages_received'] >= 13 for c in switch.manage('connections')))
        ended = threading.Thread(target=switch.stop)
        ended.start()
        # The switch has begun to end before anything is read.
        wait_for('the management socket to go away', lambda: not os.path.exists(switch.ctl_socket))
        got = b''
        while True:
            part = s.recv(1 << 16)
            if not part:
                break
            got += part
        ended.join(10)
    replies = []
    while got:
        _, kind, length, xid = struct.unpack_from('!BBHI', got)
        assert len(got) >= length, 'the last message is cut'
        if kind == 3:
            replies.append(xid)
        got = got[length:]
    assert replies == list(range(100, 112))
    assert switch.process.returncode == 0


def test_a_peer_that_does_not_read_delays_the_end_but_for_a_moment(lab):
    switch = Switch(lab, lab.ns('sw'))
    with greeted(switch) as s:
        s.sendall(ECHO_REQUESTS)
        began = time.monotonic()
        assert switch.stop() == 0
        # Two seconds, and what the machine adds.
        assert time.monotonic() - began < 20


def test_refused_requests_are_logged_but_not_all(lab):
    switch = Switch(lab, lab.ns('sw'))
    with greeted(switch) as s:
        # Messages of a type that isn't.
        s.sendall(b''.join(header(200, 8, n) for n in range(1000)))
        wait_for('the errors to be counted', lambda: any(
            c['counters']['errors_sent'] >= 1000 for c in switch.manage('connections')))
    logged = [line for line in switch.output().splitlines() if 'request refused' in line]
    assert 1 <= len(logged) <= 20
    assert 'type' in logged[0]


def test_interfaces_are_as_before(lab):
    sw, _ = lab.star(2)
    before = sh(['tc', '-n', sw, 'qdisc', 'show']).stdout
    switch = Switch(lab, sw, '--queue', '1:1,max-rate=1M', ports=['1=s1', 't1,type=tap'])
    assert switch.stop() == 0
    after = sh(['tc', '-n', sw, 'qdisc', 'show']).stdout
    assert after == before
    assert 't1' not in sh(['ip', '-n', sw, '-o', 'link', 'show']).stdout


def test_a_signal_during_the_start_ends_it_there(lab):
    """The first bridge waits for its state, which comes out of a pipe; meanwhile the switch is told to end."""
    sw, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    os.makedirs(state)
    os.mkfifo(os.path.join(state, 'br0.state'))
    config = os.path.join(lab.dir, 'many.toml')
    with open(config, 'w') as f:
        for n in range(5):
            f.write('[[bridge]]\nname = "br%d"\nsnoop = "none"\nport = ["1=t%d,type=tap"]\nstate = "%s"\n' % (n, n, state))
    log = os.path.join(lab.dir, 'many.log')
    process = lab.spawn(sw, [binary('switchd'), '--config', config, '--management', 'none'], log=log)

    def said():
        with open(log) as f:
            return f.read()
    wait_for('the start', lambda: 'starting' in said())
    process.send_signal(signal.SIGTERM)
    wait_for('the signal to be taken', lambda: 'SIGTERM' in said())
    with open(os.path.join(state, 'br0.state'), 'w'):
        pass
    assert process.wait(60) == 0, said()
    assert 'before all was started' in said(), said()
    assert said().count(' starting ') == 1 and 'ready' not in said(), said()

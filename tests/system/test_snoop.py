"""`ovs-ofctl snoop`: a copy of every OpenFlow message of all controllers, both ways, for whoever connects."""

import os
import socket
import struct
import threading

import pytest
from lab import Switch, sh, wait_for
from raw import BARRIER_REQUEST, ECHO_REPLY, ECHO_REQUEST, SET_CONFIG, Controller

# The waits below may take longer together than a test has otherwise.
pytestmark = pytest.mark.timeout(400)
HELLO = bytes.fromhex('0400000800000000')


class Snoop:
    """A running `ovs-ofctl snoop`; what it says ends up in a file."""

    def __init__(self, lab, target, name):
        self.log = os.path.join(lab.dir, name)
        self.process = lab.spawn(None, ['ovs-ofctl', '-O', 'OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15', 'snoop', target],
                                 log=self.log, env={'OVS_RUNDIR': lab.dir})

    def text(self):
        with open(self.log, errors='replace') as f:
            return f.read()

    def wait_for(self, *words):
        wait_for('%s in what is snooped' % (words,), lambda: all(w in self.text() for w in words), 60)


def test_ovs_ofctl_sees_all_controllers_in_both_directions(lab):
    sw, _ = lab.star(2)
    path = os.path.join(lab.dir, 'br0.snoop')
    places = [os.path.join(lab.dir, 'c%d' % n) for n in (10, 13)]
    doors = []
    for place in places:
        door = socket.socket(socket.AF_UNIX)
        door.bind(place)
        door.listen(1)
        door.settimeout(60)
        doors.append(door)
    switch = Switch(lab, sw, '--snoop', path, '--fail-mode', 'secure', '--inactivity-probe', '0',
                    *['--controller=unix:' + place for place in places], ports=['1=s1', '2=s2'])
    # By path, and by the bridge's name as with Open vSwitch.
    snoops = [Snoop(lab, 'unix:' + path, 'by-path'), Snoop(lab, 'br0', 'by-name')]
    wait_for('both watchers', lambda: watchers(path) >= 2, 60)
    connections = []
    for door, version in zip(doors, (1, 4)):
        c, _ = door.accept()
        c.settimeout(60)
        c.sendall(bytes([version, 0, 0, 8, 0, 0, 0, 1]))
        connections.append((c, version))

    def echo(c, version, xid):
        c.sendall(bytes([version, 2, 0, 12, 0, 0, xid, version]) + b'abcd')
        seen = b''
        while b'abcd' not in seen:
            seen += c.recv(65536)

    def shown():
        echo(*connections[0], 0x60)
        return all('(xid=0x6001)' in snoop.text() for snoop in snoops)
    # That they are connected doesn't mean that the bridge knows of them yet.
    wait_for('the watchers to be shown something', shown, 60)
    for c, version in connections:
        echo(c, version, 0x70)
        c.sendall(bytes([version, 5, 0, 8, 0, 0, 0x80, version]))
    # The first of them, in order: request before answer, each in its own version.
    for snoop in snoops:
        snoop.wait_for('OFPT_ECHO_REPLY (xid=0x7001)', 'OFPT_ECHO_REPLY (OF1.3) (xid=0x7004)',
                       'OFPT_FEATURES_REPLY (xid=0x8001)', 'OFPT_FEATURES_REPLY (OF1.3) (xid=0x8004)')
        text = snoop.text()
        for version in ('', ' (OF1.3)'):
            xid = '0x7001' if version == '' else '0x7004'
            asked = text.index('OFPT_ECHO_REQUEST%s (xid=%s)' % (version, xid))
            assert asked < text.index('OFPT_ECHO_REPLY%s (xid=%s)' % (version, xid))
    # Somebody who only looks in isn't shown.
    switch.ofctl('dump-flows')
    assert 'FLOW reply' not in snoops[0].text() and 'OFPST_FLOW' not in snoops[0].text()
    # What the switch tells of itself is.
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'down'])
    for snoop in snoops:
        snoop.wait_for('OFPT_PORT_STATUS')
    # Who leaves makes room, and nobody minds.
    for snoop in snoops:
        snoop.process.terminate()
    wait_for('the place to be empty', lambda: watchers(path) == 0, 60)
    assert switch.process.poll() is None
    assert switch.stop() == 0
    assert not os.path.exists(path)


def watchers(path):
    """Connections that the kernel shows at the socket, as ends with its path that are connected."""
    with open('/proc/net/unix') as f:
        rows = [line.split() for line in f]
    return len([r for r in rows if r[-1] == path and r[5] == '03'])


def test_who_reads_nothing_slows_nobody(lab):
    """Watchers that stop reading miss messages; the controller's answers come as before, and memory stays."""
    path = os.path.join(lab.dir, 'br0.snoop')
    switch = Switch(lab, lab.ns('sw'), '--snoop', path, '--fail-mode', 'secure', '--local-port')
    idle = []
    for _ in range(8):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(HELLO)
        idle.append(s)
    c = Controller(switch.of_socket)
    # Set-config makes a controller of a visitor.
    c.send(SET_CONFIG, struct.pack('!HH', 0, 128))
    c.ask(BARRIER_REQUEST, timeout=60)
    before = memory(switch)
    for _ in range(400):
        # 60,000 bytes there and back: 48 MB that nobody reads.
        assert c.ask(ECHO_REQUEST, bytes(60_000), timeout=60)[0] == ECHO_REPLY
    assert memory(switch) - before < 64_000, 'eight watchers hold a MiB each at most'
    # There is no place for a ninth; one that leaves makes it, and what comes then is whole.
    ninth = socket.socket(socket.AF_UNIX)
    ninth.settimeout(60)
    ninth.connect(path)
    with ninth, ninth.makefile('rb') as f:
        assert f.read() == b''
    idle.pop().close()

    def place():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(path)
        try:
            s.sendall(HELLO)
            first = s.recv(8)
            return s if first else s.close()
        except OSError:
            s.close()
    with wait_for('a place', place, 60) as s:
        over = threading.Event()

        def ask():
            while not over.is_set():
                c.ask(ECHO_REQUEST, b'whole', timeout=60)
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            with s.makefile('rb') as f:
                # Its own hello's rest first.
                f.read(8)
                for _ in range(100):
                    head = f.read(8)
                    assert head[0] == 4 and head[1] in (ECHO_REQUEST, ECHO_REPLY), head
                    assert f.read(int.from_bytes(head[2:4], 'big') - 8) == b'whole'
        finally:
            over.set()
            asking.join()
    for s in idle:
        s.close()


def memory(switch):
    """Kilobytes that the switch holds."""
    with open('/proc/%d/status' % switch.process.pid) as f:
        return int(next(line for line in f if line.startswith('VmRSS')).split()[1])

"""Auxiliary connections (OpenFlow 1.3.5 6.3.8), seen by a controller that knows them."""

import contextlib
import os
import socket
import struct
import sys

import pytest
from lab import Switch, inside, wait_for
from raw import (BARRIER_REPLY, BARRIER_REQUEST, ECHO_REPLY, ECHO_REQUEST, ERROR, PACKET_OUT, ROLE_REPLY,
                 ROLE_REQUEST, Controller)

# Sends COUNT frames of 60 bytes, as if from 64 hosts.
FLOWS = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for n in range(int(sys.argv[1])):
    s.send(bytes.fromhex("020000000001") + bytes([2, 0, 0, 0, 9, n % 64]) + bytes.fromhex("88b5") + bytes(46))
"""


class Listener:
    """A controller's TCP listener in a namespace."""

    def __init__(self, ns, port=6653, address='0.0.0.0'):
        with inside(ns):
            self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen(20)

    def accept(self, timeout=20):
        self.socket.settimeout(timeout)
        accepted, peer = self.socket.accept()
        accepted.settimeout(None)
        return Controller(accepted), peer[0]

    def nobody(self, seconds):
        """Whether no connection comes for a while."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(socket.timeout):
            self.socket.accept()
            return False
        return True


@pytest.fixture
def net(lab):
    sw, hosts = lab.star(2, addresses=False)
    listener = Listener(sw)
    switch = Switch(lab, sw, '--dpid', 'd1', '--fail-mode', 'secure', '--controller',
                    'tcp:127.0.0.1:6653,auxiliary=2', ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    yield lab, switch, hosts, listener
    listener.socket.close()


def both(listener):
    """The two auxiliary connections, by number."""
    found = {}
    for _ in range(2):
        connection, peer = listener.accept()
        dpid, number = connection.features()
        assert (dpid, peer) == (0xd1, '127.0.0.1')
        found[number] = connection
    assert sorted(found) == [1, 2]
    return found[1], found[2]


def test_auxiliary_connections_follow_the_main_one(net):
    lab, switch, hosts, listener = net
    main, _ = listener.accept()
    # None before the main connection is set up.
    assert main.ask(ECHO_REQUEST)[0] == ECHO_REPLY
    assert listener.nobody(0.7)
    assert main.features() == (0xd1, 0)
    one, two = both(listener)
    main.control()

    # A request is answered where it was asked, and what it changes is there for all.
    one.flow_mod(struct.pack('!HHIIxxxx', 1, 12, 0x80000004, 1), 5, struct.pack('!HHIH6x', 0, 16, 2, 0))
    assert one.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert 'in_port=1' in switch.ofctl('dump-flows').replace('"', '')
    kind, body, _ = two.ask(ROLE_REQUEST, struct.pack('!I4xQ', 3, 1))
    assert (kind, struct.unpack_from('!I', body)[0]) == (ROLE_REPLY, 3)
    out = struct.pack('!IIH6xHHIH6x', 0xffffffff, 0xfffffffd, 16, 0, 16, 2, 0) + bytes(60)
    for connection in (main, one, two):
        kind, body, _ = connection.ask(PACKET_OUT, out)
        assert (kind, struct.unpack_from('!HH', body)) == (ERROR, (1, 10)), 'a slave over each'
    assert main.ask(ROLE_REQUEST, struct.pack('!I4xQ', 2, 2))[0] == ROLE_REPLY

    # Packets go over auxiliary connections, and over both of them.
    hosts[1].run([sys.executable, '-c', FLOWS, '200'])
    wait_for('the packets', lambda: one.packet_ins.get(2, 0) + two.packet_ins.get(2, 0) >= 200)
    assert one.packet_ins[2] > 20 and two.packet_ins[2] > 20
    assert main.packet_ins == {}

    # One that ends is dialled again while the main one lives.
    one.close()
    again, _ = listener.accept()
    assert again.features() == (0xd1, 1)
    purposes = sorted(c['purpose'] for c in switch.manage('connections'))
    assert purposes == ['auxiliary', 'auxiliary', 'controller']

    # They end with the main one, at once.
    main.close()
    wait_for('their end', lambda: again.closed and two.closed)
    main, _ = listener.accept()
    assert main.features() == (0xd1, 0)
    both(listener)


def test_a_controller_of_1_0_gets_none(lab):
    ns = lab.ns('sw')
    listener = Listener(ns)
    Switch(lab, ns, '--protocol', '1.0', '--controller', 'tcp:127.0.0.1:6653,auxiliary=1', '--local-port')
    listener.socket.settimeout(20)
    main, _ = listener.socket.accept()
    main.sendall(struct.pack('!BBHI', 1, 0, 8, 1) + struct.pack('!BBHI', 1, 5, 8, 2))
    assert main.recv(8)[0] == 1
    assert listener.nobody(1)


def test_a_controller_s_name_is_looked_up_for_each_connection(lab):
    """A name that leads elsewhere by now; nobody has to tell the switch."""
    ns = lab.ns('sw')
    # What `ip netns exec` shows processes of that namespace in place of /etc/hosts.
    directory = '/etc/netns/' + ns
    names = os.path.join(directory, 'hosts')
    os.makedirs(directory)
    try:
        first, second = (Listener(ns, address='127.0.0.%d' % n) for n in (11, 12))
        last = None
        for listener, address in ((first, '127.0.0.11'), (second, '127.0.0.12'), (first, '127.0.0.11')):
            with open(names, 'w') as f:
                f.write('%s controller.test\n' % address)
            # Only now is there a reason to look it up.
            if last is None:
                Switch(lab, ns, '--local-port', '--controller', 'tcp:controller.test:6653')
            else:
                last.close()
            last, _ = listener.accept()
            assert last.ask(ECHO_REQUEST)[0] == ECHO_REPLY
    finally:
        os.remove(names)
        os.rmdir(directory)

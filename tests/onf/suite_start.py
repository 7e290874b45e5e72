"""Suite 10: the start, the channel, its loss. Each case has a switch of its own."""

import socket
import ssl
import struct
import subprocess
import os
import time

import frames
import harness
from harness import (ALL_PORTS, PATIENCE, Client, Wires, add, apply, case, delete, equal, flow, goto, inside, o, out, p, raw, sh, true,
                     wait_for)
from lab import Switch

TCP = frames.tcp()


class Setup:
    """Wires, and a controller's side that listens in the switch's namespace."""

    def __init__(self, lab):
        self.lab, self.wires = lab, Wires(lab)
        self.open = []

    def listen(self, port=6653):
        with inside(self.wires.sw):
            s = socket.create_server(('127.0.0.1', port))
        s.settimeout(PATIENCE)
        self.open.append(s)
        return s

    def switch(self, *options):
        return Switch(self.lab, self.wires.sw, '--dpid', '1', *options, ports=['%d=s%d' % (n, n) for n in ALL_PORTS])

    def accept(self, listener, hello=True, tls=None):
        s, _ = listener.accept()
        if tls:
            s = tls.wrap_socket(s, server_side=True)
        c = Client(s, hello=hello)
        self.open.append(c)
        return c

    def passes(self, port, frame, to):
        """Sends until it comes out of exactly the port `to` (what a controller's loss changes, comes in its time)."""
        def once():
            self.wires.send(port, frame)
            return self.wires.wait(to, 0.3) == frame
        wait_for('a frame from port %d to %d' % (port, to), once)

    def close(self):
        for s in self.open:
            s.close()
        self.wires.close()


def setup(function):
    """Gives a case its Setup."""
    def run(lab):
        s = Setup(lab)
        try:
            function(s)
        finally:
            s.close()
    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    return run


def echoes(c):
    xid = c.send(raw(o.OFPT_ECHO_REQUEST, b'hello?'))
    m = c.get(lambda m: m.xid == xid)
    equal((m.msg_type, m.bytes[8:]), (o.OFPT_ECHO_REPLY, b'hello?'), 'echo')


@case('10.10', bench=False, note="documented: with a controller configured it fails secure, without one it is a learning switch")
@setup
def start_without_a_channel(s):
    """Secure: nothing passes, and nothing of it was learnt when the controller comes. Without any controller: a learning switch."""
    first = s.switch('--controller', 'tcp:127.0.0.1:6653')
    s.wires.send(1, TCP)
    listener = s.listen()
    c = s.accept(listener)
    c.ok(flow([apply(out(2))], in_port=1, eth_type=0x806))
    arp = frames.arp()
    s.wires.send(1, arp)
    equal(s.wires.wait(2), arp, 'the first frame out of port 2')
    equal([s.wires.receive(n) for n in (3, 4)], [None, None], 'frames out of the others')
    first.stop()
    s.switch()
    s.wires.empty()
    s.wires.send(1, TCP)
    equal([s.wires.wait(n) for n in (2, 3, 4)], [TCP] * 3, 'frames of a learning switch')


def on_port(port):
    @setup
    def channel(s):
        listener = s.listen(port)
        s.switch('--controller', 'tcp:127.0.0.1' + ('' if port == 6653 else ':%d' % port))
        c = s.accept(listener)
        echoes(c)
        equal(c.ask(p.OFPFeaturesRequest(harness.DP)).datapath_id, 1, 'datapath id')
    return channel


add('10.30', on_port(6653), bench=False, name='tcp_default_port')
add('10.40', on_port(16633), bench=False, name='tcp_other_port')


def certificates(directory):
    """A CA and certificates of a switch and a controller that it signed, and one of a stranger."""
    def run(*args):
        done = subprocess.run(['openssl', *args], cwd=directory, capture_output=True, text=True)
        true(done.returncode == 0, 'openssl: ' + done.stderr)

    run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem',
        '-subj', '/CN=test CA', '-days', '2')
    with open(os.path.join(directory, 'ext'), 'w') as f:
        f.write('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    for name in ('switch', 'controller'):
        run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', name + '.key', '-out', name + '.csr',
            '-subj', '/CN=' + name)
        run('x509', '-req', '-in', name + '.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', name + '.pem',
            '-days', '2', '-extfile', 'ext')
    run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'stranger.key', '-out',
        'stranger.pem', '-subj', '/CN=stranger', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2')
    return lambda name: os.path.join(directory, name)


def tls_on(port):
    """A controller with a certificate of the authority is spoken to, one without is not; ours is shown."""
    @setup
    def channel(s):
        at = certificates(s.lab.dir)

        def server(name):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(at(name + '.pem'), at(name + '.key'))
            context.load_verify_locations(at('ca.pem'))
            context.verify_mode = ssl.CERT_REQUIRED
            return context

        listener = s.listen(port)
        s.switch('--controller', 'tls:127.0.0.1' + ('' if port == 6653 else ':%d' % port), '--tls-key', at('switch.key'), '--tls-cert',
                 at('switch.pem'), '--tls-ca', at('ca.pem'))
        refused = False
        try:
            c = s.accept(listener, tls=server('stranger'))
            c.barrier()
        except (OSError, EOFError):  # the handshake fails, or the switch hangs up after it
            refused = True
        true(refused, 'the switch talks to a controller whose certificate nobody signed')
        c = s.accept(listener, tls=server('controller'))
        echoes(c)
        equal(dict(x[0] for x in c.sock.getpeercert()['subject'])['commonName'], 'switch', "the switch's certificate")
    return channel


add('10.20 10.50', tls_on(6653), bench=False, name='tls_default_port')
add('10.20 10.60', tls_on(16633), bench=False, name='tls_other_port')


@case('10.80', bench=False)
@setup
def version_refused(s):
    """A switch for 1.3 alone and a controller that knows 1.0 alone: HELLO_FAILED, then the connection ends."""
    listener = s.listen()
    s.switch('--controller', 'tcp:127.0.0.1', '--protocol', '1.3')
    c = s.accept(listener, hello=False)
    m = c.get(lambda m: m.msg_type == o.OFPT_HELLO)
    equal((m.version, m.bytes[8:]), (4, struct.pack('!HHI', 1, 8, 1 << 4)), "the switch's hello")
    c.send(raw(o.OFPT_HELLO, version=1))
    m = c.get(lambda m: m.msg_type == o.OFPT_ERROR)
    equal(struct.unpack_from('!HH', m.bytes, 8), (o.OFPET_HELLO_FAILED, o.OFPHFC_INCOMPATIBLE), 'error')
    c.ends()


@case('10.100 10.110', bench=False)
@setup
def fail_secure(s):
    """Silence, a probe, the end of the connection: the entries stay and run out as they were to; the rest is dropped."""
    listener = s.listen()
    s.switch('--controller', 'tcp:127.0.0.1', '--fail-mode', 'secure', '--inactivity-probe', '1')
    c = s.accept(listener)
    c.ok(flow([apply(out(2))], in_port=1, eth_type=0x800), flow([apply(out(3))], in_port=1, eth_type=0x806, hard=6),
         flow([apply(out(o.OFPP_CONTROLLER))], priority=0))
    installed = time.monotonic()
    c.get(lambda m: m.msg_type == o.OFPT_ECHO_REQUEST, what='probe')
    c.ends()  # after more probes
    s.wires.empty()
    arp = frames.arp()
    if time.monotonic() < installed + 5:
        s.wires.send(1, arp)
        equal(s.wires.wait(3), arp, 'frame by the entry with a timeout')
    s.wires.send(2, TCP)
    s.wires.send(1, TCP)
    equal(s.wires.wait(2), TCP, 'frame by the entry')
    time.sleep(max(0, installed + 8 - time.monotonic()))
    s.wires.send(1, arp)
    s.wires.send(1, TCP)
    equal(s.wires.wait(2), TCP, 'frame by the entry')
    equal([s.wires.receive(n) for n in ALL_PORTS], [None] * 4, 'other frames')


@case('10.120', bench=False)
@setup
def fail_standalone(s):
    """Without its controller it learns and forwards; the controller back, its entries count again."""
    listener = s.listen()
    s.switch('--controller', 'tcp:127.0.0.1', '--fail-mode', 'standalone', '--inactivity-probe', '1')
    c = s.accept(listener)
    c.ok(delete())
    s.wires.send(1, TCP)
    c.ok(flow([apply(out(4))], in_port=1, eth_type=0x806))
    arp = frames.arp()
    s.wires.send(1, arp)
    equal(s.wires.wait(4), arp, 'frame by the entry')
    equal([s.wires.receive(n) for n in (2, 3, 4)], [None] * 3, 'frames without an entry')
    listener.close()
    c.close()
    a, b = frames.tcp(dst='02:00:00:00:00:0b', src='02:00:00:00:00:0a'), frames.tcp(dst='02:00:00:00:00:0a', src='02:00:00:00:00:0b')
    s.passes(1, a, 2)
    s.wires.empty()
    s.wires.send(1, a)
    equal([s.wires.wait(n) for n in (2, 3, 4)], [a] * 3, 'an unknown address is flooded')
    s.wires.send(2, b)
    equal(s.wires.wait(1), b, 'frame to a known address')
    s.wires.send(1, a)
    equal(s.wires.wait(2), a, 'frame to a known address')
    equal([s.wires.receive(n) for n in (3, 4)], [None] * 2, 'frames elsewhere')


@case('10.130', bench=False)
@setup
def entries_outlive_a_reconnect(s):
    """They are there when the controller is back, forward meanwhile, and run out when they were to."""
    listener = s.listen()
    s.switch('--controller', 'tcp:127.0.0.1', '--fail-mode', 'secure')
    c = s.accept(listener)
    c.ok(flow([apply(out(2))], in_port=1, cookie=1), flow([apply(out(3))], in_port=4, hard=5, flags=o.OFPFF_SEND_FLOW_REM, cookie=2))
    began = time.monotonic()
    c.close()
    s.wires.send(1, TCP)
    equal(s.wires.wait(2), TCP, 'frame while nobody is connected')
    c = s.accept(listener)
    if time.monotonic() < began + 4:
        equal(sorted(f.cookie for f in c.flows()), [1, 2], 'entries')
        s.wires.send(4, TCP)
        equal(s.wires.wait(3), TCP, 'frame by the entry with a timeout')
    m = c.kind(o.OFPT_FLOW_REMOVED)
    equal((m.cookie, m.reason), (2, o.OFPRR_HARD_TIMEOUT), 'flow-removed')
    true(5 <= m.duration_sec + m.duration_nsec / 1e9 and time.monotonic() - began >= 4.9, 'it went too early')
    equal([f.cookie for f in c.flows()], [1], 'entries')
    s.wires.send(4, TCP)
    s.wires.send(1, TCP)
    equal(s.wires.wait(2), TCP, 'frame by the entry')

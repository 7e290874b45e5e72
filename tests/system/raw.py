"""OpenFlow 1.3 byte by byte, for what no library would send."""

import contextlib
import select
import socket
import ssl
import struct
import threading
import time

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REQUEST, FEATURES_REPLY = 0, 1, 2, 3, 5, 6
SET_CONFIG, PACKET_IN, PACKET_OUT, FLOW_MOD, GROUP_MOD = 9, 10, 13, 14, 15
PORT_STATUS = 12
MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY = 18, 19, 20, 21
ROLE_REQUEST, ROLE_REPLY = 24, 25


def prompt(times, what='answers'):
    """Judges how long answers took while something else went on, and prints it: half of them come at once,
    and none fails to come. How late single ones are is said, not judged: on a machine with other work
    each may have to wait for a processor."""
    times = sorted(times)
    median, slowest = times[len(times) // 2], times[-1]
    print('%d %s: %.2f ms in the median, %.1f ms at most' % (len(times), what, median * 1e3, slowest * 1e3))
    assert median < 0.5, 'half of %d %s took more than %.3f s' % (len(times), what, median)
    assert slowest < 20, 'one of %d %s took %.3f s' % (len(times), what, slowest)


class Controller:
    """A controller of OpenFlow 1.3: over a connected socket, or to a listener's path. Reads in a thread of
    its own."""

    def __init__(self, at, reads=True):
        if isinstance(at, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(at)
        else:
            self.socket = at
        self.xid = 0
        self.packet_ins = {}
        self.answers = {}
        self.port_statuses = []
        self.closed = False
        # A TLS connection's two directions share a state that isn't for two threads at once.
        self.tls = threading.Lock() if isinstance(at, ssl.SSLSocket) else None
        # Asked for before anything is read: while a session ticket of TLS 1.3 is taken in by the reading
        # thread, OpenSSL says that the handshake isn't done.
        self.certificate = at.getpeercert() if self.tls else None
        self.changed = threading.Condition()
        self.send(HELLO)
        if reads:
            threading.Thread(target=self.read, daemon=True).start()

    def send(self, kind, body=b''):
        self.xid += 1
        self.write(struct.pack('!BBHI', 4, kind, 8 + len(body), self.xid) + body)
        return self.xid

    def write(self, data):
        with self.tls or contextlib.nullcontext():
            self.socket.sendall(data)

    def read(self):
        # ValueError: closed here meanwhile.
        with contextlib.suppress(OSError, ValueError):
            self.read_on(self.read_tls if self.tls else self.socket.makefile('rb').read)
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def read_tls(self, size):
        data = b''
        while len(data) < size:
            with self.tls:
                waits = not self.socket.pending()
            if waits:
                # Not select(), which knows no descriptor above 1,023.
                poll = select.poll()
                poll.register(self.socket, select.POLLIN)
                poll.poll()
            with self.tls:
                timeout = self.socket.gettimeout()
                self.socket.settimeout(0)
                try:
                    some = self.socket.recv(size - len(data))
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue
                finally:
                    self.socket.settimeout(timeout)
            if not some:
                break
            data += some
        return data

    def read_on(self, read):
        while True:
            head = read(8)
            if len(head) < 8:
                break
            _, kind, length, xid = struct.unpack('!BBHI', head)
            body = read(length - 8)
            with self.changed:
                if kind == PACKET_IN:
                    # in_port is the first field of the match.
                    port, = struct.unpack_from('!I', body, 16 + 4 + 4)
                    self.packet_ins[port] = self.packet_ins.get(port, 0) + 1
                elif kind == PORT_STATUS:
                    # Reason, number, state.
                    self.port_statuses.append((body[0], *struct.unpack_from('!I', body, 8),
                                               *struct.unpack_from('!I', body, 8 + 36)))
                elif kind != ECHO_REQUEST:
                    self.answers[xid] = (kind, body, time.monotonic())
                self.changed.notify_all()
            if kind == ECHO_REQUEST:
                self.write(struct.pack('!BBHI', 4, ECHO_REPLY, 8, xid))

    def ask(self, kind, body=b'', timeout=30):
        """The answer's type and how long it took."""
        asked = time.monotonic()
        xid = self.send(kind, body)
        with self.changed:
            assert self.changed.wait_for(lambda: xid in self.answers or self.closed, timeout), 'no answer to %d' % kind
            if xid not in self.answers:
                raise ConnectionResetError('the switch ended the connection before it answered %d' % kind)
            kind, body, at = self.answers.pop(xid)
        return kind, body, at - asked

    def control(self):
        """Becomes a controller that gets packet-ins, and sends misses to itself."""
        self.send(SET_CONFIG, struct.pack('!HH', 0, 128))
        self.flow_mod(b'\x00\x01\x00\x04\x00\x00\x00\x00', priority=0,
                      actions=struct.pack('!HHIH6x', 0, 16, 0xfffffffd, 128))
        assert self.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY

    def features(self):
        """The datapath's id and the connection's number."""
        kind, body, _ = self.ask(FEATURES_REQUEST)
        assert kind == FEATURES_REPLY
        dpid, _, _, auxiliary = struct.unpack_from('!QIBB', body)
        return dpid, auxiliary

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def flow_mod(self, match, priority, actions=b''):
        instructions = struct.pack('!HH4x', 4, 8 + len(actions)) + actions
        self.send(FLOW_MOD, struct.pack('!QQBBHHHIIIHxx', 0, 0, 0, 0, 0, 0, priority, 0xffffffff, 0xffffffff,
                                        0xffffffff, 0) + match + instructions)


def is_served(path):
    """Whether the switch takes a new connection and answers it. One that it has no place for it ends, before or
    after anything was written to it."""
    try:
        controller = Controller(path)
    except OSError:
        return False
    try:
        return controller.ask(ECHO_REQUEST)[0] == ECHO_REPLY
    except OSError:
        return False
    finally:
        controller.close()

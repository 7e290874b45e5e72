"""What the ONF cases stand on: a registry of cases, an OpenFlow 1.3 client and a bench.

The client is synchronous: it sends a message, awaits the answer with the same xid, and takes an error for
a failure unless the case expects one. os-ken's parser is the codec; bytes go out as they are, so that a
case can send what no codec would. The bench is one switchd with four ports whose far ends the cases hold
as packet sockets, with nothing else on the wire. `Bench.check` sends frames and compares everything that
comes out anywhere: a marker frame that follows shows that nothing more is under way.
"""

import contextlib
import ctypes
import errno
import functools
import itertools
import os
import select
import socket
import struct
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'system'))

import lab as _lab  # noqa: E402
from lab import sh, wait_for  # noqa: E402,F401
from os_ken.ofproto import ofproto_parser as codec  # noqa: E402
from os_ken.ofproto import ofproto_v1_3_parser as p  # noqa: E402
from os_ken.ofproto import ofproto_protocol  # noqa: E402
from os_ken.ofproto import ofproto_v1_3 as o  # noqa: E402

DP = ofproto_protocol.ProtocolDesc(version=4)
PATIENCE = 20.0  # seconds to wait for what must come
MARKER_TYPE = 0x88b5  # IEEE's local experimental ethertype
ALL_PORTS = (1, 2, 3, 4)


# ---------------------------------------------------------------- registry

class Test:
    """One function and the ids it serves."""

    def __init__(self, ids, name, function, bench, note, failing, na):
        self.ids, self.name, self.function, self.bench = ids, name, function, bench
        self.note, self.failing, self.na = note, failing, na


TESTS = []
NOT_APPLICABLE = {}  # id -> reason


def add(ids, function, *args, note='', bench=True, failing='', na='', name=None, **kw):
    """Registers function(bench, *args, **kw) for the ids (one, or several with blanks between).

    `bench=False`: the case starts switches of its own and is called with a fresh laboratory.
    `na`: why the ids don't apply to this switch; the test shows that it is so.
    `failing`: why the switch fails it so far; passing then counts as a failure of this list.
    """
    if args or kw:
        call = functools.partial(function, **kw)
        TESTS.append(Test(ids.split(), name or '%s(%s)' % (function.__name__, ', '.join(
            [getattr(a, '__name__', str(a)) for a in args] + ['%s=%s' % i for i in kw.items()])),
            lambda b: call(b, *args), bench, note, failing, na))
    else:
        TESTS.append(Test(ids.split(), name or function.__name__, function, bench, note, failing, na))


def case(ids, **options):
    """The decorator form of add()."""
    def register(function):
        add(ids, function, **options)
        return function
    return register


def not_applicable(ids, reason):
    for i in ids.split():
        NOT_APPLICABLE[i] = reason


class Failed(AssertionError):
    pass


def equal(got, wanted, what=''):
    if got != wanted:
        raise Failed('%s: %r, but expected %r' % (what or 'value', got, wanted))


def true(condition, what):
    if not condition:
        raise Failed(what)


# ---------------------------------------------------------------- client

_xids = itertools.count(0x1000)


class OfError(Failed):
    def __init__(self, msg, request=b''):
        self.msg = msg
        super().__init__('the switch refused with type %d code %d (request %s)' % (msg.type, msg.code, request[:80].hex()))


def raw(msg_type, body=b'', version=4, length=None):
    """A message's bytes; the xid is put in by send()."""
    return struct.pack('!BBHI', version, msg_type, len(body) + 8 if length is None else length, 0) + body


class Other:
    """A message of another version, or a hello: its header and bytes."""


class Client:
    """One OpenFlow connection to the switch."""

    def __init__(self, target, hello=True):
        if isinstance(target, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(target)
        else:
            self.sock = target
            self.sock.settimeout(PATIENCE)
        self.buffer, self.inbox, self.sent = b'', [], {}
        if hello:
            self.send(raw(o.OFPT_HELLO, struct.pack('!HHI', 1, 8, 1 << 4)))
            self.peer_hello = self.get(lambda m: m.msg_type == o.OFPT_HELLO)

    def close(self):
        self.sock.close()

    # sending

    def send(self, msg, xid=None):
        """Sends a message or bytes; returns its xid."""
        xid = next(_xids) if xid is None else xid
        if isinstance(msg, (bytes, bytearray)):
            data = bytes(msg[:4]) + struct.pack('!I', xid) + bytes(msg[8:])
        else:
            msg.xid = None
            msg.set_xid(xid)
            msg.serialize()
            data = bytes(msg.buf)
        self.sent[xid] = data
        self.sock.sendall(data)
        return xid

    # receiving

    def _read(self, timeout):
        """Reads one message; None when the time is over. Raises EOFError at the end of the stream."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 8:
                version, kind, length, xid = struct.unpack_from('!BBHI', self.buffer)
                if len(self.buffer) >= length:
                    data, self.buffer = self.buffer[:length], self.buffer[length:]
                    return self._decode(version, kind, length, xid, data)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return None
            more = self.sock.recv(65536)
            if not more:
                raise EOFError('the switch closed the connection')
            self.buffer += more

    @staticmethod
    def _decode(version, kind, length, xid, data):
        if version == 4 and kind not in (o.OFPT_HELLO,):
            m = codec.msg(DP, version, kind, length, xid, data)
            true(m is not None, 'a message that os-ken does not know: ' + data.hex())
        else:
            m = Other()
            m.version, m.msg_type, m.msg_len, m.xid = version, kind, length, xid
        m.bytes = data
        return m

    def get(self, wanted, timeout=PATIENCE, what='a message', optional=False):
        """Takes the first message that `wanted` is true of."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self.inbox):
                if wanted(self.inbox[seen]):
                    return self.inbox.pop(seen)
                seen += 1
            m = self._read(max(0, deadline - time.monotonic()))
            if m is None:
                if optional:
                    return None
                raise Failed('no %s came within %d s; waiting were: %s' % (what, timeout, [str(i)[:200] for i in self.inbox]))
            self.inbox.append(m)

    def ends(self, timeout=PATIENCE):
        """Reads whatever comes until the switch ends the connection; fails if nothing comes for so long."""
        try:
            while self._read(timeout) is not None:
                pass
        except (EOFError, ConnectionError):
            return
        raise Failed('the connection stays')

    def kind(self, kind, timeout=PATIENCE, optional=False):
        return self.get(lambda m: m.msg_type == kind, timeout, 'message of type %d' % kind, optional)

    def ask(self, msg):
        """Sends a request and returns its answer; parts of a multipart are joined in `.body`."""
        xid = self.send(msg)
        first = None
        while True:
            m = self.get(lambda m: m.xid == xid, what='answer to ' + self.sent[xid][:80].hex())
            if m.msg_type == o.OFPT_ERROR:
                raise OfError(m, self.sent[xid])
            if first is None:
                first, first.parts = m, [m]
            else:
                equal((m.msg_type, m.type), (first.msg_type, first.type), 'kind of a further part')
                first.parts.append(m)
                first.body = first.body + m.body
            if m.msg_type != o.OFPT_MULTIPART_REPLY or not m.flags & o.OFPMPF_REPLY_MORE:
                return first

    def barrier(self):
        equal(self.ask(p.OFPBarrierRequest(DP)).msg_type, o.OFPT_BARRIER_REPLY, 'answer to a barrier')

    def ok(self, *msgs):
        """Sends messages that must be accepted: a barrier follows and no error may have come."""
        xids = [self.send(m) for m in msgs]
        self.barrier()
        for m in self.inbox:
            if m.msg_type == o.OFPT_ERROR and m.xid in xids:
                self.inbox.remove(m)
                raise OfError(m, self.sent[m.xid])

    def refused(self, msg, kind, code, then_barrier=True):
        """Sends a message that must be refused with exactly this error; returns the error.

        Its xid is the request's, its data the beginning of the request, 64 bytes of it at least (or all).
        """
        xid = self.send(msg)
        if then_barrier:
            self.barrier()
        found = self.get(lambda m: m.xid == xid, what='error type %d code %d' % (kind, code),
                         timeout=0 if then_barrier else PATIENCE)
        true(found.msg_type == o.OFPT_ERROR, 'an answer of type %d where an error was due' % found.msg_type)
        equal((found.type, found.code), (kind, code), 'type and code of the error')
        request = self.sent[xid]
        true(request.startswith(bytes(found.data)), "the error's data is not the request: %s" % bytes(found.data).hex())
        true(len(found.data) >= min(64, len(request)), "the error's data has %d bytes" % len(found.data))
        return found

    def drain(self):
        """Throws away what has come (up to a barrier) and returns it."""
        self.barrier()
        gone, self.inbox = self.inbox, []
        return gone

    def pending(self, kind):
        """Messages of a kind that are here after a barrier; they are taken out."""
        self.barrier()
        found = [m for m in self.inbox if m.msg_type == kind]
        self.inbox = [m for m in self.inbox if m.msg_type != kind]
        return found

    # requests in short

    def stats(self, request, *args, **kw):
        return self.ask(request(DP, 0, *args, **kw)).body

    def flows(self, table=o.OFPTT_ALL, match=None, cookie=0, cookie_mask=0, out_port=o.OFPP_ANY, out_group=o.OFPG_ANY):
        return self.stats(p.OFPFlowStatsRequest, table, out_port, out_group, cookie, cookie_mask, match or p.OFPMatch())

    def aggregate(self, table=o.OFPTT_ALL, match=None, cookie=0, cookie_mask=0, out_port=o.OFPP_ANY, out_group=o.OFPG_ANY):
        return self.stats(p.OFPAggregateStatsRequest, table, out_port, out_group, cookie, cookie_mask, match or p.OFPMatch())

    def tables(self):
        return {t.table_id: t for t in self.stats(p.OFPTableStatsRequest)}

    def table_features(self):
        return self.ask(p.OFPTableFeaturesStatsRequest(DP, 0, [])).body

    def port_stats(self, port=o.OFPP_ANY):
        got = self.stats(p.OFPPortStatsRequest, port)
        return {s.port_no: s for s in got} if port == o.OFPP_ANY else got[0]

    def port_desc(self):
        return {d.port_no: d for d in self.stats(p.OFPPortDescStatsRequest)}

    def port_config(self, port, config, mask, advertise=0):
        d = self.port_desc()[port]
        self.ok(port_mod(port, d.hw_addr, config, mask, advertise))


# ---------------------------------------------------------------- messages in short

def port_mod(port, hw_addr, config, mask, advertise=0):
    return p.OFPPortMod(DP, port, hw_addr, config, mask, advertise)


def out(port, max_len=o.OFPCML_NO_BUFFER):
    return p.OFPActionOutput(port, max_len)


def apply(*actions):
    return p.OFPInstructionActions(o.OFPIT_APPLY_ACTIONS, list(actions))


def write(*actions):
    return p.OFPInstructionActions(o.OFPIT_WRITE_ACTIONS, list(actions))


def clear():
    return p.OFPInstructionActions(o.OFPIT_CLEAR_ACTIONS, [])


def goto(table):
    return p.OFPInstructionGotoTable(table)


def set_field(**kw):
    return p.OFPActionSetField(**kw)


def flow(instructions=(), priority=1000, table=0, command=o.OFPFC_ADD, cookie=0, cookie_mask=0, idle=0, hard=0,
         buffer_id=o.OFP_NO_BUFFER, out_port=o.OFPP_ANY, out_group=o.OFPG_ANY, flags=0, match=None, **fields):
    """A flow-mod; match fields as keywords."""
    return p.OFPFlowMod(DP, cookie, cookie_mask, table, command, idle, hard, priority, buffer_id, out_port, out_group,
                        flags, match or p.OFPMatch(**fields), list(instructions))


def delete(table=o.OFPTT_ALL, strict=False, **kw):
    return flow(table=table, command=o.OFPFC_DELETE_STRICT if strict else o.OFPFC_DELETE, **kw)


def modify(instructions, strict=False, **kw):
    return flow(instructions, command=o.OFPFC_MODIFY_STRICT if strict else o.OFPFC_MODIFY, **kw)


def packet_out(data, *actions, in_port=o.OFPP_CONTROLLER, buffer_id=o.OFP_NO_BUFFER):
    return p.OFPPacketOut(DP, buffer_id, in_port, list(actions), data)


def bytes_of(msg):
    """A message's bytes, to be damaged."""
    msg.xid = None
    msg.set_xid(0)
    msg.serialize()
    return bytearray(msg.buf)


def patched(msg, offset, data):
    b = bytes_of(msg)
    b[offset:offset + len(data)] = data
    return bytes(b)


# ---------------------------------------------------------------- bench

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(ns):
    """This thread in another network namespace."""
    with open('/proc/thread-self/ns/net') as home, open('/run/netns/' + ns) as there:
        true(_libc.setns(there.fileno(), 0x40000000) == 0, 'cannot enter namespace ' + ns)
        try:
            yield
        finally:
            true(_libc.setns(home.fileno(), 0x40000000) == 0, 'cannot come back from namespace ' + ns)


def packet_socket(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.setsockopt(263, 8, 1)  # PACKET_AUXDATA
    s.bind((interface, 3))
    s.setblocking(False)
    return s


class Wires:
    """A switch's namespace with ports s1 … and the sockets at their far ends."""

    def __init__(self, lab, count=4):
        self.lab, self.count = lab, count
        self.sw, self.far = lab.ns('sw'), lab.ns('far')
        for ns in (self.sw, self.far):
            sh(['ip', 'netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1',
                'net.ipv6.conf.default.disable_ipv6=1'])
        for n in range(1, count + 1):
            lab.link(self.sw, 's%d' % n, self.far, 'h%d' % n)
        self.open()

    def open(self):
        with inside(self.far):
            self.sockets = {n: packet_socket('h%d' % n) for n in range(1, self.count + 1)}

    def send(self, port, frame):
        self.sockets[port].send(frame)

    def receive(self, port):
        """One frame that came out of the port, or None. Our own transmissions don't count."""
        while True:
            try:
                data, extra, _, address = self.sockets[port].recvmsg(65536, 256)
            except BlockingIOError:
                return None
            except OSError as e:
                if e.errno == errno.ENETDOWN:  # told once of a link that went down
                    continue
                raise
            if address[2] == 4:  # PACKET_OUTGOING
                continue
            for level, kind, value in extra:
                if (level, kind) == (263, 8):  # SOL_PACKET, PACKET_AUXDATA: the kernel keeps an outer VLAN tag aside
                    status, tci, tpid = struct.unpack_from('=I', value)[0], *struct.unpack_from('=HH', value, 16)
                    if status & 0x10:
                        data = data[:12] + struct.pack('!HH', tpid if status & 0x40 else 0x8100, tci) + data[12:]
            return data

    def wait(self, port, timeout=PATIENCE):
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive(port)
            if frame is not None:
                return frame
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sockets[port]], [], [], left)[0]:
                return None

    def empty(self):
        for port in self.sockets:
            while self.receive(port) is not None:
                pass

    def close(self):
        for s in self.sockets.values():
            s.close()


@contextlib.contextmanager
def own_bench(options=()):
    """A bench for a case that leaves marks which no reset removes."""
    b = Bench(options)
    try:
        b.reset()
        yield b
    finally:
        b.close()


class Bench:
    """One switch for many cases."""

    def __init__(self, options=()):
        self.lab = _lab.Lab()
        try:
            self.wires = Wires(self.lab)
            self.ports = list(ALL_PORTS)
            self.switch = _lab.Switch(self.lab, self.wires.sw, '--dpid', '00000000000a11ce', '--fail-mode', 'secure',
                                      '--queue', '1:1,min-rate=50M,max-rate=80M', '--queue', '1:2,max-rate=90M',
                                      *options, ports=['%d=s%d' % (n, n) for n in self.ports])
            self.c = None
            self.extra = []
            self._serial = itertools.count(1)
        except BaseException:
            self.lab.close()
            raise

    def close(self):
        if self.c:
            self.c.close()
        self.wires.close()
        self.lab.close()

    def connect(self):
        """A further controller's connection."""
        c = Client(self.switch.of_socket)
        self.extra.append(c)
        return c

    def controller(self):
        """A further connection that is told what happens: one that dialled has to ask for it, by a set-config."""
        c = self.connect()
        c.ok(p.OFPSetConfig(DP, 0, 128))
        return c

    def reset(self):
        """A fresh connection and a switch as after its start."""
        for c in self.extra + [self.c]:
            if c:
                c.close()
        self.extra = []
        self.c = Client(self.switch.of_socket)
        c = self.c
        c.ok(delete(), p.OFPGroupMod(DP, o.OFPGC_DELETE, o.OFPGT_ALL, o.OFPG_ALL, []),
             p.OFPMeterMod(DP, o.OFPMC_DELETE, 0, o.OFPM_ALL, []), p.OFPSetConfig(DP, 0, 128))
        for d in c.port_desc().values():
            if d.config and d.port_no in self.ports:
                c.ok(port_mod(d.port_no, d.hw_addr, 0, 0xffffffff & 0x65))
        c.drain()
        self.wires.empty()

    # frames

    def flush(self, via, ports):
        """Waits until all that came in at `via` before has been dealt with; returns the frames by port.

        The marker's flow stands in table 0 for the moment and reaches the given ports and the controller.
        """
        c, serial = self.c, next(self._serial)
        frame = bytes.fromhex('02ffffffffff02fffffffffe') + struct.pack('!HQ', MARKER_TYPE, serial) + bytes(42)
        fields = dict(priority=65535, eth_type=MARKER_TYPE, in_port=via)
        outputs = [out(o.OFPP_IN_PORT if n == via else n) for n in ports] + [out(o.OFPP_CONTROLLER)]
        c.ok(flow([apply(*outputs)], cookie=0x6d61726b6572, **fields))
        self.wires.send(via, frame)
        seen = {}
        for n in ports:
            got = seen[n] = []
            while True:
                f = self.wires.wait(n)
                true(f is not None, 'the marker did not come out of port %d' % n)
                if f == frame:
                    break
                got.append(f)
        c.get(lambda m: m.msg_type == o.OFPT_PACKET_IN and m.cookie == 0x6d61726b6572, what="packet-in of the marker")
        c.ok(flow([], command=o.OFPFC_DELETE_STRICT, **fields))
        c.barrier()
        return seen

    def check(self, sent, out=None, packet_ins=0, ports=ALL_PORTS, via=None):
        """Sends frames [(port, frame)] and compares all that comes out: {port: [frames]}, in order per port.

        `packet_ins`: how many; they are returned in order. `ports`: those that can transmit.
        """
        sent = [sent] if isinstance(sent, tuple) else list(sent)
        for port, frame in sent:
            self.wires.send(port, frame)
        vias = [via] if via else sorted({port for port, _ in sent}) or [ports[0]]
        seen = {n: [] for n in ports}
        for v in vias:
            for n, frames in self.flush(v, ports).items():
                seen[n] += frames
        for n in ALL_PORTS:
            if n not in ports:
                seen[n] = []
                while (f := self.wires.receive(n)) is not None:
                    seen[n].append(f)
        wanted = {n: list((out or {}).get(n, [])) for n in ALL_PORTS}
        for n in ALL_PORTS:
            # The marker speaks for what came in where it did; other threads' frames may be a moment later.
            while len(seen[n]) < len(wanted[n]) and (f := self.wires.wait(n)) is not None:
                seen[n].append(f)
            if sorted(seen[n]) != sorted(wanted[n]):
                raise Failed('port %d gave %s, but expected %s' % (
                    n, [f.hex() for f in seen[n]] or 'nothing', [f.hex() for f in wanted[n]] or 'nothing'))
        got = self.c.pending(o.OFPT_PACKET_IN)
        while len(got) < packet_ins and (m := self.c.kind(o.OFPT_PACKET_IN, optional=True)) is not None:
            got.append(m)
        true(len(got) == packet_ins, '%d packet-ins came, but expected %d' % (len(got), packet_ins))
        return got

    def forward(self, sent, wanted):
        """Sends frames and waits for the wanted ones {port: [frames]} with no marker, for exact port counters."""
        for port, frame in sent:
            self.wires.send(port, frame)
        for n, frames in wanted.items():
            for f in frames:
                equal(self.wires.wait(n), f, 'frame out of port %d' % n)


def explain(error):
    """One line of what went wrong and where in the case."""
    where = [f for f in traceback.extract_tb(error.__traceback__) if os.path.basename(f.filename).startswith('suite_')]
    at = ' (%s:%d)' % (os.path.basename(where[-1].filename), where[-1].lineno) if where else ''
    return '%s: %s%s' % (type(error).__name__, ' '.join(str(error).split()), at)

"""A laboratory of network namespaces around switchd.

Everything a test makes bears its laboratory's prefix and is removed when the
laboratory closes, also when the test fails. The switch lives in a namespace of
its own, so that a test sees and leaves nothing of the machine's network.
"""

import contextlib
import ctypes
import itertools
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.path.join(os.environ.get('CARGO_TARGET_DIR', os.path.join(ROOT, 'target')),
                      os.environ.get('SWITCHD_PROFILE', 'release'))
_serial = itertools.count(1)


def binary(name):
    path = os.path.join(TARGET, name)
    assert os.access(path, os.X_OK), '%s is not built' % path
    return path


def sh(cmd, check=True, timeout=60, **kw):
    """Runs a command; returns its CompletedProcess with text output."""
    if isinstance(cmd, str):
        cmd = shlex.split(cmd)
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **kw)
    if check and done.returncode != 0:
        raise AssertionError('%s\nended with %d\n%s%s' % (' '.join(cmd), done.returncode, done.stdout, done.stderr))
    return done


def wait_for(what, condition, timeout=30.0, pause=0.02):
    """Waits until condition() is true; fails with `what` after the timeout."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError('timed out waiting for ' + what)
        time.sleep(pause)


@contextlib.contextmanager
def inside(ns):
    """Sockets that this thread makes meanwhile are the namespace's."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(fd):
        if libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), 'setns')
    own, other = os.open('/proc/thread-self/ns/net', os.O_RDONLY), os.open('/run/netns/' + ns, os.O_RDONLY)
    try:
        enter(other)
        yield
    finally:
        enter(own)
        os.close(own)
        os.close(other)


class Lab:
    """Namespaces, links and processes of one test."""

    def __init__(self):
        self.id = 'l%d%d' % (os.getpid() % 100000, next(_serial))
        self.dir = tempfile.mkdtemp(prefix='lab-')
        self.namespaces = []
        self.processes = []

    # namespaces and links

    def ns(self, name):
        """Makes a namespace and returns its full name."""
        full = '%s-%s' % (self.id, name)
        sh(['ip', 'netns', 'add', full])
        self.namespaces.append(full)
        sh(['ip', '-n', full, 'link', 'set', 'lo', 'up'])
        # Hosts keep quiet: no IPv6 router solicitations or DAD in between the test's own packets.
        sh(['ip', 'netns', 'exec', full, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=0',
            'net.ipv6.conf.default.accept_dad=0'], check=False)
        return full

    def link(self, a_ns, a_if, b_ns, b_if, up=True):
        sh(['ip', '-n', a_ns, 'link', 'add', a_if, 'type', 'veth', 'peer', 'name', b_if, 'netns', b_ns])
        if up:
            sh(['ip', '-n', a_ns, 'link', 'set', a_if, 'up'])
            sh(['ip', '-n', b_ns, 'link', 'set', b_if, 'up'])

    def star(self, count, switch='sw', addresses=True):
        """A switch namespace with `count` hosts; returns (switch ns, [Host])."""
        sw = self.ns(switch)
        hosts = []
        for n in range(1, count + 1):
            h = self.ns('h%d' % n)
            self.link(sw, 's%d' % n, h, 'eth0', up=False)
            sh(['ip', '-n', h, 'link', 'set', 'eth0', 'address', '02:00:00:00:00:%02x' % n])
            sh(['ip', '-n', sw, 'link', 'set', 's%d' % n, 'up'])
            if addresses:
                sh(['ip', '-n', h, 'addr', 'add', '10.0.0.%d/24' % n, 'dev', 'eth0'])
                sh(['ip', '-n', h, 'addr', 'add', 'fd00::%d/64' % n, 'dev', 'eth0', 'nodad'])
            sh(['ip', '-n', h, 'link', 'set', 'eth0', 'up'])
            hosts.append(Host(self, h, n))
        return sw, hosts

    # processes

    def spawn(self, ns, cmd, log=None, env=None):
        """Starts a process (in a namespace) that ends with the laboratory."""
        if ns:
            cmd = ['ip', 'netns', 'exec', ns] + list(cmd)
        out = open(log, 'ab') if log else subprocess.DEVNULL
        p = subprocess.Popen(cmd, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             env=dict(os.environ, **(env or {})), start_new_session=True)
        self.processes.append(p)
        return p

    def close(self):
        for p in reversed(self.processes):
            stop(p)
        for ns in reversed(self.namespaces):
            sh(['ip', 'netns', 'del', ns], check=False)
        subprocess.run(['rm', '-rf', self.dir], check=False)


def stop(p, sig=signal.SIGTERM, timeout=30):
    """Ends a process and its session's children; returns its exit code."""
    if p.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, sig)
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
            p.wait(5)
    return p.returncode


def echo_request(id, number, size):
    """An ICMP echo request with so many bytes of data."""
    data = bytes(n & 0xff for n in range(size))
    total = (8 << 8) + id + number + sum(struct.unpack('!%dH' % ((size + 1) // 2), data + bytes(size % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack('!BBHHH', 8, 0, ~total & 0xffff, id, number) + data


class Host:
    """A namespace with one interface eth0, 10.0.0.N/24 and fd00::N/64."""

    def __init__(self, lab, ns, n):
        self.lab, self.ns, self.n = lab, ns, n
        self.ip, self.ip6, self.mac = '10.0.0.%d' % n, 'fd00::%d' % n, '02:00:00:00:00:%02x' % n

    def run(self, cmd, **kw):
        return sh(['ip', 'netns', 'exec', self.ns] + (shlex.split(cmd) if isinstance(cmd, str) else cmd), **kw)

    def ping(self, other, count=3, wait=2, size=56, source=None, whole=False):
        """Packets answered of `count`, within `wait` seconds of the last one's sending; `whole`: unless they have to be
        fragmented. Not by ping(8): once it has had an answer it waits for the last one no longer than its interval or
        twice the longest time so far, which a busy machine exceeds."""
        ip = other.ip if isinstance(other, Host) else other
        with inside(self.ns):
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        with s:
            if source:
                s.bind((source, 0))
            if whole:
                s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
            missing, ours = set(range(1, count + 1)), next(_serial) & 0xffff
            for number in range(1, count + 1):
                # Who isn't found by ARP makes the next ones fail.
                with contextlib.suppress(OSError):
                    s.sendto(echo_request(ours, number, size), (ip, 0))
                until = time.monotonic() + (wait if number == count else 0.02)
                while missing and (left := until - time.monotonic()) > 0:
                    s.settimeout(left)
                    with contextlib.suppress(OSError):
                        answer = s.recv(1 << 16)
                        icmp = (answer[0] & 15) * 4
                        kind, _, _, id, answered = struct.unpack_from('!BBHHH', answer, icmp)
                        if (kind, id) == (0, ours):
                            missing.discard(answered)
        return count - len(missing)

    def iperf(self, other, seconds=2):
        """Gb/s of one TCP stream to `other`."""
        server = self.lab.spawn(other.ns, ['iperf3', '-s', '-1', '-B', other.ip])
        try:
            wait_for('iperf3 server', lambda: 'LISTEN' in other.run('ss -ltn sport = :5201', check=False).stdout)
            out = self.run(['iperf3', '-J', '-t', str(seconds), '-c', other.ip], timeout=seconds + 30)
            return json.loads(out.stdout)['end']['sum_received']['bits_per_second'] / 1e9
        finally:
            stop(server)


def ping_all(hosts, count=2):
    """Pairs whose pings got lost."""
    return [(a.n, b.n) for a in hosts for b in hosts if a is not b and a.ping(b, count) != count]


class Switch:
    """One switchd process in a namespace."""

    def __init__(self, lab, ns, *args, ports=(), wait=True, name='br0', patience=20, env=None):
        self.lab, self.ns = lab, ns
        base = os.path.join(lab.dir, '%s-%d' % (name, next(_serial)))
        self.of_socket, self.ctl_socket, self.log = base + '.of', base + '.ctl', base + '.log'
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(base + '.notify')
        notify.settimeout(20)
        cmd = [binary('switchd'), '--name', name, '--listen', 'punix:' + self.of_socket,
               '--management', self.ctl_socket, '--log', os.environ.get('SWITCHD_LOG', 'info')]
        for port in ports:
            cmd += ['--port', port]
        cmd += list(args)
        self.process = lab.spawn(ns, cmd, log=self.log, env={'NOTIFY_SOCKET': base + '.notify', **(env or {})})
        if wait:
            deadline = time.monotonic() + patience
            while True:
                notify.settimeout(0.2)
                try:
                    if b'READY=1' in notify.recv(4096):
                        break
                except socket.timeout:
                    pass
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError('switchd did not become ready:\n' + self.output())
        notify.close()

    def output(self):
        with open(self.log, errors='replace') as f:
            return f.read()

    def ofctl(self, command, *args, check=True, **kw):
        return sh([binary('ofctl'), command, 'unix:' + self.of_socket, *args], check=check, **kw).stdout

    def manage(self, method, params=None, timeout=10):
        """One JSON-RPC call on the management socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.ctl_socket)
            s.sendall(json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params or {}}).encode() + b'\n')
            reply = json.loads(s.makefile().readline())
        assert 'error' not in reply, reply
        return reply['result']

    def memory(self, kind='RssAnon'):
        """Kilobytes in memory: its own, or VmRSS, with rings and files."""
        with open('/proc/%d/status' % self.process.pid) as status:
            return int(next(line.split()[1] for line in status if line.startswith(kind)))

    def stop(self, sig=signal.SIGTERM):
        return stop(self.process, sig)


def osken(lab, ns, app, port=6653, args=(), log=None):
    """Starts an os-ken application as the controller; returns the process."""
    python = os.path.join(ROOT, 'tests', '.venv', 'bin', 'python')
    launcher = os.path.join(ROOT, 'tests', 'system', 'osken_manager.py')
    return lab.spawn(ns, [python, launcher, '--ofp-tcp-listen-port', str(port), *args, app],
                     log=log or os.path.join(lab.dir, 'osken.log'))

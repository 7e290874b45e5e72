"""The two namespaces of a run, their processes, and the Open vSwitches in them."""

import contextlib
import os
import signal
import subprocess
import time

TARGET_DPID = 1
TESTER_DPID = 2
CTL_SUT_IP = '10.254.254.1'
CTL_REF_IP = '10.254.254.2'


class SetupError(Exception):
    pass


def sh(*argv, check=True, env=None):
    res = subprocess.run(argv, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, env=env)
    if check and res.returncode:
        raise SetupError('%s: %s' % (' '.join(argv), res.stdout.strip()))
    return res.stdout


class Bench:
    """The two namespaces and every process in them."""

    def __init__(self, workdir):
        self.workdir = workdir
        tag = 'oc%d' % os.getpid()
        self.sut = tag + '-sut'
        self.ref = tag + '-ref'
        self.procs = []      # (name, Popen), in start order
        self.spaces = []

    def ns(self, space, *argv, check=True, env=None):
        return sh('ip', 'netns', 'exec', space, *argv, check=check, env=env)

    def start(self, name, space, argv, env=None, cwd=None):
        log = open(os.path.join(self.workdir, name + '.log'), 'a')
        full = dict(os.environ)
        full.update(env or {})
        proc = subprocess.Popen(
            ['ip', 'netns', 'exec', space] + list(argv), stdout=log,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=full, cwd=cwd, start_new_session=True)
        log.close()
        self.procs.append((name, proc))
        return proc

    @staticmethod
    def stop(proc, grace=3.0):
        """End one process group that start() created."""
        for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 3.0)):
            try:
                os.killpg(proc.pid, sig)
            except ProcessLookupError:
                break
            try:
                proc.wait(wait)
            except subprocess.TimeoutExpired:
                continue
            if sig == signal.SIGTERM:   # what of its group is left
                try:
                    os.killpg(proc.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            break

    def build(self):
        for space in (self.sut, self.ref):
            sh('ip', 'netns', 'add', space)
            self.spaces.append(space)
            # No router solicitations or the like on the test links.
            for scope in ('all', 'default'):
                self.ns(space, 'sysctl', '-qw',
                        'net.ipv6.conf.%s.disable_ipv6=1' % scope)
            self.ns(space, 'ip', 'link', 'set', 'lo', 'up')
        links = [('t%d' % i, 's%d' % i) for i in (1, 2, 3)] + [('tc', 'sc')]
        for near, far in links:
            self.ns(self.sut, 'ip', 'link', 'add', near, 'type', 'veth',
                    'peer', 'name', far, 'netns', self.ref)
            self.ns(self.sut, 'ip', 'link', 'set', near, 'up')
            self.ns(self.ref, 'ip', 'link', 'set', far, 'up')
        self.ns(self.sut, 'ip', 'addr', 'add', CTL_SUT_IP + '/30', 'dev', 'tc')
        self.ns(self.ref, 'ip', 'addr', 'add', CTL_REF_IP + '/30', 'dev', 'sc')

    def close(self):
        for _, proc in reversed(self.procs):
            self.stop(proc)
        for space in self.spaces:
            sh('ip', 'netns', 'del', space, check=False)


@contextlib.contextmanager
def receive_buffers(size):
    """Sockets that are made meanwhile, by whom ever, hold so many bytes."""
    path = '/proc/sys/net/core/rmem_default'
    try:
        with open(path) as f:
            before = f.read()
        with open(path, 'w') as f:
            f.write(str(size))
    except OSError:       # a machine that doesn't let us: the plain size
        yield
        return
    try:
        yield
    finally:
        with open(path, 'w') as f:
            f.write(before)


class Ovs:
    """A private ovsdb-server and ovs-vswitchd with one netdev bridge."""

    def __init__(self, bench, name, space):
        self.bench, self.name, self.space = bench, name, space
        self.dir = os.path.join(bench.workdir, name)
        os.makedirs(self.dir)
        self.env = {'OVS_RUNDIR': self.dir, 'OVS_LOGDIR': self.dir,
                    'OVS_DBDIR': self.dir}
        self.db = 'unix:%s/db.sock' % self.dir
        self.vswitchd = None

    def vsctl(self, *argv):
        return self.bench.ns(self.space, 'ovs-vsctl', '--timeout=20',
                             '--db=' + self.db, *argv)

    def start(self):
        schema = '/usr/share/openvswitch/vswitch.ovsschema'
        conf = self.dir + '/conf.db'
        sh('ovsdb-tool', 'create', conf, schema)
        self.bench.start(self.name + '-ovsdb', self.space, [
            'ovsdb-server', conf, '--remote=p' + self.db,
            '--unixctl=%s/ovsdb.ctl' % self.dir, '--no-chdir'], self.env)
        deadline = time.time() + 10
        while not os.path.exists(self.dir + '/db.sock'):
            if time.time() > deadline:
                raise SetupError('ovsdb-server did not start')
            time.sleep(0.05)
        self.vsctl('--no-wait', 'init')
        # The instrument must not wait for a processor while its sockets run
        # over: they hold some milliseconds of a throughput test.
        self.vswitchd = self.bench.start(self.name + '-vswitchd', self.space, [
            'nice', '-n', '-19' if self.space == self.bench.ref else '0',
            'ovs-vswitchd', self.db, '--unixctl=%s/vswitchd.ctl' % self.dir,
            '--no-chdir', '-vconsole:warn'], self.env)

    def bridge(self, bridge, dpid, protocol, ports, controller):
        argv = ['--', '--may-exist', 'add-br', bridge, '--', 'set', 'bridge',
                bridge, 'datapath_type=netdev', 'fail_mode=secure',
                'protocols=' + protocol,
                'other_config:datapath-id=%016x' % dpid,
                'other_config:disable-in-band=true']
        for number, port in ports:
            argv += ['--', '--may-exist', 'add-port', bridge, port,
                     '--', 'set', 'interface', port,
                     'ofport_request=%d' % number]
        # Its thread reads 32 packets a turn and then does other things; the
        # usual socket holds some 10 ms of a throughput test.
        with receive_buffers(64 << 20):
            self.vsctl(*argv)
        self.vsctl('--', 'set-controller', bridge, controller, '--', 'set',
                   'controller', bridge, 'connection_mode=out-of-band',
                   'max_backoff=1000')
        for number, port in ports:
            got = self.vsctl('get', 'interface', port, 'ofport').strip()
            if got != str(number):
                raise SetupError('%s is OpenFlow port %s, not %d'
                                 % (port, got, number))

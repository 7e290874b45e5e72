"""Everything at once for long: what grows, stays behind or gets lost when controllers, ports, flows and watchers come and go.

Ten minutes with --long; SWITCHD_SOAK_SECONDS says otherwise. A line of figures every so often, printed and written to
tests/out/soak.tsv. What is judged: nobody's work fails, the log stays short and says nothing of a defect, nearly every
packet between two hosts that nothing happens to arrives, and when all have left, threads, file descriptors, flows,
groups and connections are what they were, and memory stopped growing early.
"""

import contextlib
import os
import random
import socket
import struct
import subprocess
import threading
import time
import traceback

import pytest
from lab import ROOT, Switch, binary, osken, sh, stop, wait_for
from osken_client import Client, Refused
from raw import (BARRIER_REPLY, BARRIER_REQUEST, ECHO_REQUEST, FLOW_MOD, GROUP_MOD, MULTIPART_REQUEST, PACKET_OUT,
                 ROLE_REQUEST, Controller)

SECONDS = int(os.environ.get('SWITCHD_SOAK_SECONDS', 600))
pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS + 400)]
ANY_MATCH = b'\x00\x01\x00\x04\x00\x00\x00\x00'
EXPERIMENTER, METER_MOD = 4, 29


def oxm_match(*fields):
    """A match of fields that are given as (number, value's bytes)."""
    oxms = b''.join(struct.pack('!I', 0x8000 << 16 | number << 9 | len(value)) + value for number, value in fields)
    return struct.pack('!HH', 1, 4 + len(oxms)) + oxms + bytes(-(4 + len(oxms)) % 8)


def flow_mod(number, command=0, table=1, idle=0, hard=0, port=2, flags=1, cookie=0, group=None):
    """The body of a flow-mod for the number-th address."""
    action = struct.pack('!HHIH6x', 0, 16, port, 0) if group is None else struct.pack('!HHI', 22, 8, group)
    return (struct.pack('!QQBBHHHIIIHxx', cookie, 0, table, command, idle, hard, 7, 0xffffffff, 0xffffffff, 0xffffffff, flags)
            + oxm_match((5, b'\x08\x00'), (12, (0x14000000 + number).to_bytes(4, 'big')))
            + struct.pack('!HH4x', 4, 8 + len(action)) + action)


class Soak:
    """Actors, each a thread that does one thing again and again, and the figures meanwhile."""

    def __init__(self, lab, sw, hosts, switch):
        self.lab, self.sw, self.hosts, self.switch, self.snoop = lab, sw, hosts, switch, os.path.join(lab.dir, 'snoop')
        self.over, self.lock = threading.Event(), threading.Lock()
        self.done, self.failed, self.threads = {}, [], []
        self.random = random.Random(1)
        self.pid = int(sh(['pgrep', '-f', switch.of_socket]).stdout.split()[-1])

    def start(self, actor, pause):
        def go_on():
            while not self.over.wait(pause * self.random.uniform(0.5, 1.5)):
                try:
                    actor()
                    with self.lock:
                        self.done[actor.__name__] = self.done.get(actor.__name__, 0) + 1
                except Exception:
                    with self.lock:
                        self.failed.append(actor.__name__ + ': ' + traceback.format_exc())
        self.done[actor.__name__] = 0
        self.threads.append(threading.Thread(target=go_on, name=actor.__name__))
        self.threads[-1].start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(180)
            assert not thread.is_alive(), thread.name

    # actors

    def timeouts(self):
        """Flows that end by themselves, told to who asked for it; a group and a meter that come and go."""
        with contextlib.closing(Controller(self.switch.of_socket)) as c:
            for round in range(20):
                for n in range(50):
                    kind = self.random.randrange(3)
                    c.send(FLOW_MOD, flow_mod(self.random.randrange(2000), idle=kind == 0 and 1, hard=kind == 1 and 2,
                                              cookie=round, command=4 if kind == 2 else 0))
                bucket = struct.pack('!HHII4xHHIH6x', 32, 0, 0xffffffff, 0xffffffff, 0, 16, 2, 0)
                c.send(GROUP_MOD, struct.pack('!HBxI', 0, 0, 5000 + round) + bucket)
                c.send(METER_MOD, struct.pack('!HHI', 0, 1, 50 + round) + struct.pack('!HHII4x', 1, 16, 1000, 0))
                c.send(FLOW_MOD, flow_mod(3000 + round, group=5000 + round))
                assert c.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
                self.over.wait(0.1)
            for round in range(20):
                # The flow that uses the group goes with it.
                c.send(GROUP_MOD, struct.pack('!HBxI', 2, 0, 5000 + round))
                c.send(METER_MOD, struct.pack('!HHI', 2, 0, 50 + round))
            assert c.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY

    def ports(self):
        """A port's interface that goes down, vanishes and is made again; a TAP interface's port that comes and goes."""
        sh(['ip', '-n', self.sw, 'link', 'set', 's4', 'down'])
        self.over.wait(0.3)
        sh(['ip', '-n', self.sw, 'link', 'set', 's4', 'up'])
        self.switch.manage('add-port', {'port': '9=soak9,type=tap'}, timeout=60)
        self.over.wait(0.5)
        sh(['ip', '-n', self.sw, 'link', 'del', 's4'])
        self.over.wait(0.3)
        self.switch.manage('del-port', {'port': 9}, timeout=60)
        host = self.hosts[3]
        self.lab.link(self.sw, 's4', host.ns, 'eth0')
        sh(['ip', '-n', host.ns, 'addr', 'add', host.ip + '/24', 'dev', 'eth0'])
        sh(['ip', '-n', host.ns, 'link', 'set', 'eth0', 'mtu', str(self.random.choice([1400, 1500, 9000]))])

    def dumps(self):
        for command in ('dump-flows', 'dump-ports', 'dump-groups', 'dump-meters', 'dump-tables', 'dump-table-desc', 'show'):
            self.switch.ofctl(command)
        for method in ('status', 'flows', 'ports', 'connections', 'counters', 'metrics', 'learned', 'tables', 'queues'):
            self.switch.manage(method, timeout=60)

    def rude(self):
        """Controllers that leave in the middle: of a message, a bundle, a dump, a segmented request."""
        how = self.random.randrange(6)
        c = Controller(self.switch.of_socket, reads=how != 0)
        try:
            if how == 0:
                for _ in range(30):
                    c.send(MULTIPART_REQUEST, struct.pack('!HH4xB3xII4xQQ', 1, 0, 255, 0xffffffff, 0xffffffff, 0, 0)
                           + ANY_MATCH)
            elif how == 1:
                c.write(struct.pack('!BBHI', 4, FLOW_MOD, 88, 1) + bytes(20))
            elif how == 2:
                bundle = 0x4f4e4600, 2300
                c.send(EXPERIMENTER, struct.pack('!IIIHH', *bundle, 7, 0, 1))
                for n in range(200):
                    inner = flow_mod(n)
                    c.send(EXPERIMENTER, struct.pack('!IIIHH', 0x4f4e4600, 2301, 7, 0, 1)
                           + struct.pack('!BBHI', 4, FLOW_MOD, 8 + len(inner), c.xid + 1) + inner)
            elif how == 3:
                c.send(MULTIPART_REQUEST, struct.pack('!HH4x', 12, 1) + bytes(64))
            elif how == 4:
                c.send(ROLE_REQUEST, struct.pack('!I4xQ', 2, self.random.getrandbits(62)))
                c.ask(ROLE_REQUEST, struct.pack('!I4xQ', 0, 0))
            else:
                c.write(os.urandom(200))
            if how in (2, 4):
                assert c.ask(ECHO_REQUEST)[0] in (1, 3)
        except OSError:
            pass
        finally:
            c.close()

    def bundles(self):
        """Bundles of 1.4 that are committed, discarded and refused, watched by a monitor."""
        with contextlib.closing(Client(self.switch.of_socket, '1.4')) as c, \
                contextlib.closing(Client(self.switch.of_socket, '1.4')) as watcher:
            p, o = c.parser, c.ofp
            watcher.send(p.OFPFlowMonitorRequest(watcher.dp, 0, 1, o.OFPP_ANY, o.OFPG_ANY, 0x1f, 1, o.OFPFMC_ADD,
                                                 p.OFPMatch()))
            for number in range(20):
                c.ask(p.OFPBundleCtrlMsg(c.dp, number, o.OFPBCT_OPEN_REQUEST, o.OFPBF_ATOMIC, []))
                for n in range(100):
                    mod = p.OFPFlowMod(c.dp, table_id=1, command=o.OFPFC_ADD if number % 2 == 0 else o.OFPFC_DELETE_STRICT,
                                       priority=9, out_port=o.OFPP_ANY, out_group=o.OFPG_ANY,
                                       match=p.OFPMatch(eth_type=0x800, ipv4_src=0x1e000000 + n),
                                       instructions=[p.OFPInstructionActions(o.OFPIT_APPLY_ACTIONS,
                                                                             [p.OFPActionOutput(1)])])
                    c.send(p.OFPBundleAddMsg(c.dp, number, o.OFPBF_ATOMIC, mod, []))
                if number % 5 == 4:
                    bad = p.OFPFlowMod(c.dp, table_id=1, priority=9, match=p.OFPMatch(), instructions=[
                        p.OFPInstructionGotoTable(0)])
                    c.send(p.OFPBundleAddMsg(c.dp, number, o.OFPBF_ATOMIC, bad, []))
                kind = o.OFPBCT_DISCARD_REQUEST if number % 7 == 6 else o.OFPBCT_COMMIT_REQUEST
                try:
                    c.ask(p.OFPBundleCtrlMsg(c.dp, number, kind, o.OFPBF_ATOMIC, []))
                except Refused:
                    assert number % 5 == 4
            c.error(p.OFPFlowMod(c.dp, table_id=1, command=o.OFPFC_DELETE, priority=9, out_port=o.OFPP_ANY,
                                 out_group=o.OFPG_ANY, match=p.OFPMatch(eth_type=0x800, ipv4_src=(0x1e000000, 0xffff0000))))

    def packets(self):
        """Packets to and from a controller: some from a host, sent back by packet-out, some of which the table knows."""
        with contextlib.closing(Controller(self.switch.of_socket)) as c:
            c.control()
            for n in range(300):
                frame = bytes.fromhex('02000000000302000000aa%02x88b5' % (n % 256)) + bytes(46)
                c.send(PACKET_OUT, struct.pack('!IIH6x', 0xffffffff, 0xfffffffd, 16)
                       + struct.pack('!HHIH6x', 0, 16, 0xfffffff9 if n % 3 else 3, 0) + frame)
            assert c.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY

    def watchers(self):
        """Who looks on, at flows and at messages; of the latter none is read."""
        process = self.lab.spawn(self.sw, [binary('ofctl'), 'monitor', 'unix:' + self.switch.of_socket, '--flows'])
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as snoop:
            snoop.connect(self.snoop)
            snoop.sendall(struct.pack('!BBHI', 4, 0, 8, 1))
            self.over.wait(2)
        stop(process)
        self.lab.processes.remove(process)

    def tcp(self):
        server = self.lab.spawn(self.hosts[2].ns, ['iperf3', '-s', '-1', '-B', self.hosts[2].ip])
        try:
            wait_for('iperf3', lambda: 'LISTEN' in self.hosts[2].run('ss -ltn sport = :5201', check=False).stdout)
            self.hosts[0].run('iperf3 -t 3 -b 200M -c ' + self.hosts[2].ip, timeout=120)
        finally:
            stop(server)
            self.lab.processes.remove(server)

    # figures

    def figures(self):
        with open('/proc/%d/status' % self.pid) as status:
            values = dict(line.rstrip().split(':', 1) for line in status)
        kb = lambda key: int(values[key].split()[0])  # noqa: E731
        with open('/proc/%d/stat' % self.pid) as stat:
            ticks = sum(int(n) for n in stat.read().rsplit(')', 1)[1].split()[11:13])
        now = self.switch.manage('status', timeout=60)
        return {'rss': kb('VmRSS'), 'anon': kb('RssAnon'), 'data': kb('VmData'), 'threads': kb('Threads'),
                'fds': len(os.listdir('/proc/%d/fd' % self.pid)), 'cpu': ticks,
                'log': self.switch.output().count('\n'), 'flows': now['flows'],
                'connections': len(self.switch.manage('connections', timeout=60)), 'failed': len(self.failed)}


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def test_nothing_grows(lab):
    sw, hosts = lab.star(4)
    osken(lab, sw, 'os_ken.app.simple_switch_13')
    state = os.path.join(lab.dir, 'state')
    os.makedirs(state)
    switch = Switch(lab, sw, '--controller', 'tcp:127.0.0.1:6653', '--controller', 'tcp:127.0.0.1:6654', '--state', state, '--snoop',
                    os.path.join(lab.dir, 'snoop'),
                    '--protocol', '1.0', '--protocol', '1.3', '--protocol', '1.4',
                    ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    wait_for('the controller', lambda: any(c['state'] == 'active' for c in switch.manage('connections')), 180)
    wait_for('the hosts', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)
    soak = Soak(lab, sw, hosts, switch)
    first = soak.figures()
    ping = subprocess.Popen(['ip', 'netns', 'exec', hosts[0].ns, 'ping', '-q', '-i', '0.05', '-w', str(SECONDS), hosts[1].ip],
                            stdout=subprocess.PIPE, text=True)
    lab.processes.append(ping)
    for actor, pause in ((soak.timeouts, 0.5), (soak.ports, 3), (soak.dumps, 5), (soak.rude, 0.3), (soak.bundles, 2),
                         (soak.packets, 2), (soak.watchers, 4), (soak.tcp, 10)):
        soak.start(actor, pause)
    os.makedirs(os.path.join(ROOT, 'tests', 'out'), exist_ok=True)
    began, lines = time.monotonic(), []
    with open(os.path.join(ROOT, 'tests', 'out', 'soak.tsv'), 'w') as out:
        while time.monotonic() - began < SECONDS:
            time.sleep(min(SECONDS / 60, 30))
            lines.append(dict(soak.figures(), at=int(time.monotonic() - began)))
            print('\t'.join('%s %s' % item for item in lines[-1].items()), soak.done, file=out, flush=True)
            if soak.failed:
                print(soak.failed[-1], file=out, flush=True)
    soak.end()
    statistics = ping.communicate(timeout=60)[0]
    print('\n'.join(map(str, lines)), soak.done, statistics)
    wait_for('everybody to be forgotten', lambda: soak.figures()['connections'] == first['connections'], 60)
    # Ten seconds is how long an unfinished bundle or a connection without a hello may stay.
    wait_for('threads and files to be as before', lambda: all(soak.figures()[key] <= first[key] for key in ('threads', 'fds')), 60)
    last = soak.figures()
    log = switch.output()
    with open(os.path.join(ROOT, 'tests', 'out', 'soak.log'), 'w') as out:
        out.write(log)
    print(first, last)
    assert not soak.failed, soak.failed[:3]
    assert min(soak.done.values()) > 0, soak.done
    for word in ('panic', 'defect', 'ERROR'):
        assert word not in log, [line for line in log.splitlines() if word in line][:3]
    sent, received = (int(word.split()[0]) for word in statistics.split('---')[-1].split(',')[:2])
    assert received >= 0.99 * sent, statistics
    # Early: by a third of the time each actor has had its turns. 4 MB are room for what one of them needs at its height.
    third = len(lines) // 3
    early, late = (median(line['anon'] for line in part) for part in (lines[third:2 * third], lines[2 * third:]))
    assert late <= early + 4096, 'memory grew from %d to %d kB' % (early, late)

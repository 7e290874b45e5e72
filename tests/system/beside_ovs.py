"""This switch beside Open vSwitch: the same rules, the same frames, what comes out of either.

Open vSwitch runs with dummy ports and a database of its own: it touches nothing of the machine's. A marker
frame after each frame shows that nothing more is under way.
"""

import json
import os
import select
import socket
import struct
import time

import pytest
from lab import Switch, inside, sh, wait_for

NEEDS = [pytest.mark.needs('ovs-ofctl'), pytest.mark.needs('ovs-vswitchd'), pytest.mark.needs('ovsdb-server')]

PORTS = (1, 2, 3, 4)
MARKER = 0x88b5
MARKER_FLOW = 'priority=65535,dl_type=%#x,actions=output:1,output:2,output:3,output:4,in_port' % MARKER
PATIENCE = 30
PROTOCOLS = 'OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15'


class Ovs:
    """Open vSwitch in a directory of its own."""

    def __init__(self, lab, vlan_limit, fail_mode='secure'):
        self.dir = os.path.join(lab.dir, 'ovs')
        os.mkdir(self.dir)
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir, OVS_DBDIR=self.dir, OVS_SYSCONFDIR=self.dir)
        db, remote = os.path.join(self.dir, 'conf.db'), 'unix:%s/db.sock' % self.dir
        sh(['ovsdb-tool', 'create', db, '/usr/share/openvswitch/vswitch.ovsschema'], env=self.env)
        ns = lab.ns('ovs')
        lab.spawn(ns, ['ovsdb-server', '--remote=p' + remote, '--unixctl=%s/db.ctl' % self.dir, db],
                  env=self.env, log=self.dir + '/db.log')
        wait_for('the database', lambda: os.path.exists('%s/db.sock' % self.dir), PATIENCE)
        self.ctl = '%s/vswitchd.ctl' % self.dir
        lab.spawn(ns, ['ovs-vswitchd', '--enable-dummy=override', '--disable-system', '--unixctl=' + self.ctl, remote],
                  env=self.env, log=self.dir + '/vswitchd.log')
        command = ['ovs-vsctl', '--timeout=30', '--db=' + remote, 'init', '--', 'set', 'Open_vSwitch', '.',
                   'other-config:vlan-limit=%d' % vlan_limit, '--', 'add-br', 'br0', '--', 'set', 'bridge', 'br0',
                   'datapath_type=dummy', 'fail-mode=' + fail_mode, 'protocols=' + PROTOCOLS,
                   'other-config:hwaddr=aa:55:aa:55:00:00']
        for n in PORTS:
            command += ['--', 'add-port', 'br0', 'p%d' % n, '--', 'set', 'interface', 'p%d' % n, 'type=dummy',
                        'ofport_request=%d' % n, 'options:tx_pcap=%s/p%d.pcap' % (self.dir, n)]
        sh(command, env=self.env, timeout=60)
        self.target = 'unix:%s/br0.mgmt' % self.dir
        self.tail = {n: open('%s/p%d.pcap' % (self.dir, n), 'rb') for n in PORTS}
        for f in self.tail.values():
            f.seek(24)
        self.unixctl = socket.socket(socket.AF_UNIX)
        self.unixctl.settimeout(PATIENCE)
        self.unixctl.connect(self.ctl)

    def appctl(self, command, *words):
        """What ovs-appctl does, over a connection that stays."""
        self.unixctl.sendall(json.dumps({'id': 0, 'method': command, 'params': words}).encode())
        text = ''
        while True:
            text += self.unixctl.recv(65536).decode()
            try:
                answer = json.loads(text)
            except ValueError:
                continue
            assert answer['error'] is None, answer
            return answer['result']

    def fresh(self):
        """Nothing is remembered of packets under the flows of before: by itself that takes a while."""
        self.appctl('revalidator/purge')

    def send(self, port, frame):
        self.appctl('netdev-dummy/receive', 'p%d' % port, frame.hex())

    def receive(self):
        """New frames: (port, bytes) in each port's order."""
        for n, f in self.tail.items():
            while True:
                at = f.tell()
                head = f.read(16)
                frame = f.read(struct.unpack_from('=I', head, 8)[0]) if len(head) == 16 else b''
                if len(head) < 16 or len(frame) < struct.unpack_from('=I', head, 8)[0]:
                    f.seek(at)
                    break
                yield n, frame


class Ours:
    """This switch, with the far ends of its ports."""

    def __init__(self, lab, fail_mode='secure', options=()):
        sw, far = lab.ns('sw'), lab.ns('far')
        for ns in (sw, far):
            sh(['ip', 'netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1',
                'net.ipv6.conf.default.disable_ipv6=1'])
        self.sockets = {}
        for n in PORTS:
            lab.link(sw, 's%d' % n, far, 'f%d' % n)
            sh(['ip', 'netns', 'exec', far, 'ethtool', '-K', 'f%d' % n, 'tx', 'off', 'rx', 'off', 'gro', 'off'], check=False)
            with inside(far):
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            s.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.bind(('f%d' % n, 3))
            self.sockets[n] = s
        self.switch = Switch(lab, sw, '--fail-mode', fail_mode, *options, ports=['%d=s%d' % (n, n) for n in PORTS])
        self.target = 'unix:' + self.switch.of_socket

    def send(self, port, frame):
        self.sockets[port].send(frame)

    def receive(self):
        ready, _, _ = select.select(list(self.sockets.values()), [], [], 0)
        for n, s in self.sockets.items():
            if s not in ready:
                continue
            data, aux, _, address = s.recvmsg(65536, 1024)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for level, kind, body in aux:
                if (level, kind) == (263, 8):
                    status, _, _, _, _, tci, tpid = struct.unpack('=IIIHHHH', body[:20])
                    if status & 0x10:  # TP_STATUS_VLAN_VALID
                        data = data[:12] + struct.pack('!HH', tpid if status & 0x40 else 0x8100, tci) + data[12:]
            yield n, data


class Pair:
    """Both. Open vSwitch looks at so many VLAN tags of a frame."""

    def __init__(self, lab, vlan_limit, fail_mode='secure', options=()):
        self.ours, self.ovs = Ours(lab, fail_mode, options), Ovs(lab, vlan_limit, fail_mode)
        self.both = (self.ours, self.ovs)
        self.serial = 0

    def ofctl(self, switch, version, command, *args, text=None):
        done = sh(['ovs-ofctl', '-O', version, '-t', '20', '--no-names', *command.split(), switch.target, *args],
                  env=self.ovs.env, input=text)
        return done.stdout

    def rules(self, version, flows, groups=()):
        for switch in self.both:
            self.ofctl(switch, version, 'del-flows')
            if version != 'OpenFlow10':
                self.ofctl(switch, version, 'del-groups')
            for group in groups:
                self.ofctl(switch, version, 'add-group', group)
            self.ofctl(switch, version, 'add-flows', '-', text='\n'.join([MARKER_FLOW, *flows]) + '\n')

    def exchange(self, switch, port, frame, expected=0):
        """What comes out for a frame, by port; `expected` frames are waited for (those that wait for a flow
        that they teach come after the marker)."""
        self.serial += 1
        marker = bytes(12) + struct.pack('!HI', MARKER, self.serial) + bytes(42)
        out = {n: [] for n in PORTS}
        marked = set()
        switch.send(port, frame)
        # Frames of one port keep their order.
        switch.send(port, marker)
        deadline = time.monotonic() + PATIENCE
        while len(marked) < len(PORTS) or sum(map(len, out.values())) < expected:
            if time.monotonic() > deadline:
                assert len(marked) == len(PORTS), 'no marker from %s; so far %s' % (set(PORTS) - marked, out)
                break
            some = False
            for n, data in switch.receive():
                some = True
                if data == marker:
                    marked.add(n)
                else:
                    out[n].append(data.hex())
            if not some:
                time.sleep(0.002)
        return {n: f for n, f in out.items() if f}

    def flows(self, switch, version):
        lines = self.ofctl(switch, version, 'dump-flows --no-stats').splitlines()
        # 1.0's "no VLAN" is as exact here as the later versions'; it means the same.
        lines = [line.strip().replace('vlan_tci=0x0000/0x1fff', 'vlan_tci=0x0000') for line in lines]
        return sorted(line for line in lines if 'actions' in line)

    def same(self, version, port, frame):
        self.ovs.fresh()
        ovs = self.exchange(self.ovs, port, frame)
        ours = self.exchange(self.ours, port, frame, sum(map(len, ovs.values())))
        assert ours == ovs, 'frame %s into port %d:\nours %s\novs  %s' % (frame.hex(), port, ours, ovs)
        # What was learnt is there soon after.
        deadline = time.monotonic() + PATIENCE
        while True:
            ours_has, ovs_has = (self.flows(s, version) for s in self.both)
            if ours_has == ovs_has:
                return ours
            assert time.monotonic() < deadline, 'flows:\nours %s\novs  %s' % ('\n     '.join(ours_has), '\n     '.join(ovs_has))
            time.sleep(0.05)

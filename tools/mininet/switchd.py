"""Mininet classes for switchd.

Use with Mininet 2.3 and any topology:

    sudo mn --custom tools/mininet/switchd.py --switch switchd \
            --controller remote --topo tree,2 --test pingall

With `--controller none` each switch learns addresses by the one flow that it
begins with, `priority=0,actions=NORMAL`; flows added by `dpctl add-flow` go
before it. Empty tables instead: `--switch switchd,failMode=secure`. With a
controller that doesn't answer a switch is secure, too, and forwards nothing
that no flow tells it to; with failMode=standalone it learns until one comes.

The binary is looked for in $SWITCHD, then beside this checkout
(target/release/switchd, target/debug/switchd), then on PATH.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mininet.log import debug, error
from mininet.node import Switch

# `mn --custom` executes this file without setting __file__; the code object knows its place.
_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys._getframe().f_code.co_filename))))


def find_switchd():
    """Path of the switchd binary."""
    candidates = [os.environ.get('SWITCHD')]
    target = os.environ.get('CARGO_TARGET_DIR', os.path.join(_HERE, 'target'))
    candidates += [os.path.join(target, kind, 'switchd') for kind in ('release', 'debug')]
    candidates.append(shutil.which('switchd'))
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return path
    raise RuntimeError('switchd not found: build it with `cargo build --release -p switchd` or set $SWITCHD')


class Switchd(Switch):
    """One switchd bridge per Mininet switch.

    protocols: versions to offer, as `--protocol` takes them (default: all).
    failMode:  'secure' or 'standalone'; default: 'secure' with a controller,
               'standalone' without.
    args:      further command-line options, a string or a list.
    """

    # Commands of ofctl that speak to the management socket instead of OpenFlow.
    MANAGEMENT = ('status', 'connections', 'counters', 'learned', 'forget-learned', 'trace', 'add-port', 'del-port',
                  'add-queue', 'del-queue', 'set-controller', 'del-controller',
                  'get-controller', 'set-fail-mode', 'get-fail-mode', 'save-state', 'set-log')

    def __init__(self, name, protocols=None, failMode=None, args=None, **kwargs):
        Switch.__init__(self, name, **kwargs)
        self.protocols = protocols
        self.fail_mode = failMode
        self.args = args.split() if isinstance(args, str) else list(args or [])
        self.process = None
        self.run_dir = None
        self.dialled = 0

    @classmethod
    def setup(cls):
        """Called by Mininet before the first switch is made."""
        find_switchd()

    def dpctl(self, *args):
        """`dpctl COMMAND` of the Mininet prompt, by ofctl beside switchd."""
        ofctl = os.path.join(os.path.dirname(find_switchd()), 'ofctl')
        where = self.management_socket if args[0] in self.MANAGEMENT else 'unix:' + self.of_socket
        return self.cmd(ofctl, args[0], where, *args[1:])

    @property
    def management_socket(self):
        return os.path.join(self.run_dir or '/nonexistent', 'ctl.sock')

    @property
    def of_socket(self):
        return os.path.join(self.run_dir or '/nonexistent', 'of.sock')

    def connected(self):
        """Whether some controller's session is up; without controllers, whether it runs."""
        if not self.run_dir:
            return False
        if not self.dialled:
            return self.process is not None and self.process.poll() is None
        return 'connected' in self.status_text()

    def status_text(self):
        import json
        import socket
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(2)
                s.connect(self.management_socket)
                s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"connections"}\n')
                reply = json.loads(s.makefile().readline())
        except (OSError, ValueError):
            return ''
        states = [c.get('state') for c in reply.get('result', []) if isinstance(c, dict)]
        return 'connected' if 'active' in states else 'waiting'

    def start(self, controllers):
        """Starts switchd on this switch's interfaces."""
        self.run_dir = tempfile.mkdtemp(prefix='switchd-%s-' % self.name)
        cmd = [find_switchd(), '--name', self.name, '--dpid', self.dpid,
               '--listen', 'punix:' + self.of_socket,
               '--management', self.management_socket]
        for intf in self.intfList():
            if intf.name == 'lo':
                continue
            cmd += ['--port', '%d=%s' % (self.ports[intf], intf.name)]
        self.dialled = len(controllers)
        for c in controllers:
            cmd += ['--controller', '%s:%s:%d' % (c.protocol if c.protocol != 'ssl' else 'tls', c.IP(), c.port)]
        if self.protocols:
            cmd += ['--protocol', self.protocols]
        if self.fail_mode:
            cmd += ['--fail-mode', self.fail_mode]
        cmd += self.args
        debug('*** %s: %s\n' % (self.name, ' '.join(cmd)))
        log = open(os.path.join(self.run_dir, 'log'), 'wb')
        # popen of the node enters its namespace when the switch has one (inNamespace=True).
        self.process = self.popen(cmd, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.time() + 10
        while not os.path.exists(self.of_socket):
            if self.process.poll() is not None or time.time() > deadline:
                error('*** %s: switchd did not start; see %s/log\n' % (self.name, self.run_dir))
                return
            time.sleep(0.02)

    def stop(self, deleteIntfs=True):
        """Stops switchd and removes what it left."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process = None
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
        Switch.stop(self, deleteIntfs)


switches = {'switchd': Switchd}

"""Mininet's own command line with the Switch class in tools/."""

import os
import shutil
import subprocess

import pytest
from lab import ROOT, TARGET, binary, osken, sh

pytestmark = [pytest.mark.needs('mn', 'unshare'), pytest.mark.timeout(180)]


def mn(*args, before=''):
    """Runs mn in namespaces of its own: it cleans up with pkill and `ip link`."""
    binary('switchd')
    line = ('mount --make-rprivate / ; mount -t tmpfs none /run/netns 2>/dev/null; '
            'ip link set lo up; %s mn --custom %s/tools/mininet/switchd.py --switch switchd %s'
            % (before, ROOT, ' '.join(args)))
    done = subprocess.run(['unshare', '--net', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c', line],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150,
                          env=dict(os.environ, SWITCHD=os.path.join(TARGET, 'switchd')))
    return done.stdout


@pytest.mark.parametrize('topology', ['single,4', 'linear,4', 'tree,2', pytest.param('tree,3', marks=pytest.mark.long)])
def test_topologies_standalone(topology):
    out = mn('--controller', 'none', '--topo', topology, '--test', 'pingall')
    assert '0% dropped' in out, out


@pytest.mark.parametrize('topology', ['tree,2', pytest.param('linear,4', marks=pytest.mark.long)])
def test_topologies_with_a_remote_controller(topology):
    python = os.path.join(ROOT, 'tests', '.venv', 'bin', 'python')
    launcher = os.path.join(ROOT, 'tests', 'system', 'osken_manager.py')
    before = '%s %s os_ken.app.simple_switch_13 >/tmp/osken-mn.$$ 2>&1 & sleep 4;' % (python, launcher)
    out = mn('--controller', 'remote', '--topo', topology, '--wait', '--test', 'pingall', before=before)
    assert '0% dropped' in out, out


def test_flows_by_hand_at_the_prompt():
    commands = ['h1 ping -c1 -W2 h2', 'dpctl add-flow priority=9,icmp,actions=drop', 'h1 ping -c1 -W1 h2', 'dpctl dump-flows',
                'dpctl status', 'dpctl trace in_port=s1-eth1,icmp', 'exit']
    out = mn('--controller', 'none', '--topo', 'single,2', before="printf '%s\\n' |" % '\\n'.join(commands))
    assert ' 0% packet loss' in out and '100% packet loss' in out, out
    assert 'priority=0 actions=NORMAL' in out and 'no controller is configured' in out, out
    assert 'matched: priority=9,icmp drop' in out, out

"""What the documentation shows works as written; a mistake in the command line or the file is named, with what was
expected."""

import json
import os
import re
import time

import pytest
from lab import ROOT, Switch, binary, ping_all, sh, stop, wait_for

BAD = [
    (['--dpid', 'xyz', '--port', 'lo'], ['--dpid', 'hex']),
    (['--port', '0=eth0'], ['--port', '0']),
    (['--port', 'a_name_that_is_too_long'], ['--port', '15']),
    (['--port', 'eth0,workers=none'], ['none', 'workers']),
    (['--port', 'lo', '--worker-cpus', '0-'], ['cpu']),
    (['--port', 'eth0,type=floppy'], ['floppy', 'af_packet']),
    (['--port', 'lo', '--controller', 'carrier-pigeon:1'], ['carrier-pigeon', 'tcp']),
    (['--port', 'lo', '--controller', 'tcp:127.0.0.1:99999'], ['99999']),
    (['--port', 'lo', '--protocol', '1.9'], ['1.9', '1.3']),
    (['--port', 'lo', '--fail-mode', 'maybe'], ['maybe', 'secure']),
    (['--no-such-option'], ['--no-such-option']),
]


@pytest.mark.parametrize('args,words', BAD, ids=lambda x: ' '.join(x) if isinstance(x, list) else None)
def test_bad_option(args, words):
    done = sh([binary('switchd'), *args], check=False, timeout=10)
    assert done.returncode != 0
    for word in words:
        assert word.lower() in (done.stderr + done.stdout).lower()


FILES = [
    ('[[bridge]]\nname = "br0"\nports = 5\n', ['line 3', 'ports']),
    ('[[bridge]]\nname = "br0"\ncolour = "red"\n', ['line 3', 'colour']),
    ('[[bridge]]\nname = \n', ['line 2']),
    ('[[bridge]]\nname = "br0"\ndpid = "zz"\n', ['dpid', 'hex']),
]


@pytest.mark.parametrize('text,words', FILES, ids=range(len(FILES)))
def test_bad_file(tmp_path, text, words):
    path = tmp_path / 'switchd.toml'
    path.write_text(text)
    done = sh([binary('switchd'), '--config', str(path)], check=False, timeout=10)
    assert done.returncode != 0
    for word in words:
        assert word.lower() in (done.stderr + done.stdout).lower(), done.stderr


def test_help_and_version():
    text = sh([binary('switchd'), '--help']).stdout
    for option in ('--name', '--dpid', '--port', '--controller', '--protocol', '--fail-mode', '--listen', '--workers',
                   '--management', '--log', '--config', '--local-port', '--worker-cpus'):
        assert option in text
    assert sh([binary('switchd'), '--version']).stdout.startswith('switchd ')


def run_dir(name, kind):
    return '/run/switchd/%s.%s' % (name, kind)


def test_the_file_in_the_readme_works_as_written(lab, tmp_path):
    """And a bridge that is given no management socket is found by its name, by ofctl and by ovs-ofctl."""
    with open(os.path.join(ROOT, 'README.md')) as f:
        text = re.search(r'```toml\n(.*?)```', f.read(), re.DOTALL).group(1)
    sw, _ = lab.star(2)
    for n in (1, 2):
        sh(['ip', '-n', sw, 'link', 'set', 's%d' % n, 'down'])
        sh(['ip', '-n', sw, 'link', 'set', 's%d' % n, 'name', 'eth%d' % n, 'up'])
    assert 'name = "br0"' in text
    # The machine's default places are everybody's.
    name = lab.id
    path = tmp_path / 'switchd.toml'
    path.write_text(text.replace('name = "br0"', 'name = "%s"' % name))
    log = os.path.join(lab.dir, 'log')
    process = lab.spawn(sw, [binary('switchd'), '--config', str(path)], log=log)
    of = lambda *args: sh([binary('ofctl'), *args]).stdout  # noqa: E731
    wait_for('the bridge', lambda: os.path.exists(run_dir(name, 'sock')) and 'ready' in open(log).read())
    assert [p['name'] for p in json.loads(of('--json', 'show', name))['ports']] == ['eth1', 'eth2', 'tap0']
    assert json.loads(of('--json', 'status', name))['fail_mode'] == 'secure'
    of('add-flow', name, 'ip,actions=output:eth2')
    assert 'actions=output:2' in of('dump-flows', name)
    shown = sh(['ovs-ofctl', '-O', 'OpenFlow13', 'dump-flows', name], env=dict(os.environ, OVS_RUNDIR='/run/switchd'))
    assert 'actions=output:2' in shown.stdout
    refused = sh([binary('ofctl'), '-O', '1.5', 'show', name], check=False)
    assert refused.returncode == 1 and 'the switch offers 1.3, 1.4' in refused.stderr
    assert stop(process) == 0
    assert not any(os.path.exists(run_dir(name, kind)) for kind in ('sock', 'mgmt', 'snoop'))


@pytest.mark.parametrize('spin', ['0', '200'])
def test_spinning_or_not_it_forwards(lab, spin):
    sw, hosts = lab.star(2)
    Switch(lab, sw, '--spin', spin, ports=['1=s1', '2=s2'])
    assert ping_all(hosts) == []


@pytest.mark.parametrize('rate', [0, 1])
def test_packet_ins_are_limited_as_told(lab, rate):
    """Each packet would go to the controller: with a rate of 1/s and a burst of 4 hardly any does, with 0 all do."""
    sw, (h1, h2) = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', '--packet-in-rate', str(rate), '--packet-in-burst', '4',
                    ports=['1=s1', '2=s2'])
    switch.ofctl('add-flow', 'priority=1,in_port=1,arp,actions=output:2')
    switch.ofctl('add-flow', 'priority=1,in_port=2,arp,actions=output:1')
    switch.ofctl('add-flow', 'priority=2,in_port=1,icmp,actions=controller,output:2')
    switch.ofctl('add-flow', 'priority=2,in_port=2,icmp,actions=output:1')
    log = os.path.join(lab.dir, 'monitor')
    lab.spawn(None, [binary('ofctl'), 'monitor', 'unix:' + switch.of_socket, '--seconds', '110'], log=log)
    told = lambda: open(log).read().count('packet-in (') if os.path.exists(log) else 0  # noqa: E731
    wait_for('the watch', lambda: os.path.exists(log) and 'watching' in open(log).read())
    start = time.monotonic()
    assert h1.ping(h2, 100) == 100
    if rate == 0:
        wait_for('all of them', lambda: told() >= 100)
    else:
        wait_for('the burst', lambda: told() >= 4)
        # One a second, and what came before the first was counted.
        assert told() <= 4 + (time.monotonic() - start) + 2

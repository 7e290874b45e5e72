"""One port per interface: of two switches, or two bridges, that want one, the second is told who has it."""

import os
import subprocess
import sys

from lab import Switch, binary, ping_all, sh, wait_for

# Takes the name that marks an interface, as somebody who may not, and keeps it.
SQUATTER = '''
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.bind('\\0switchd/interface/' + sys.argv[1])
s.listen(0)
print('taken', flush=True)
sys.stdin.read()
'''


def ports(switch, bridge='br0'):
    return {p['port_no']: p for p in switch.manage('ports', {'bridge': bridge})}


def forwards(hosts):
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 60)


def rename(ns, old, new):
    sh(['ip', '-n', ns, 'link', 'set', old, 'down'])
    sh(['ip', '-n', ns, 'link', 'set', old, 'name', new])
    sh(['ip', '-n', ns, 'link', 'set', new, 'up'])


def test_a_second_switch_does_not_start_with_a_port_that_is_another_s(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    for kind in ('af_packet', 'af_xdp'):
        done = sh(['ip', 'netns', 'exec', sw, binary('switchd'), '--name', 'br1', '--management', 'none', '--snoop', 'none',
                   '--port', '7=s2,type=' + kind], check=False)
        assert done.returncode != 0
        # What it is there is said if the other one answers in time.
        assert 'of another switchd, process %d already' % switch.process.pid in done.stderr, done.stderr
    forwards(hosts)
    # Its own place in the switch is free as soon as it is given back, however often.
    for _ in range(5):
        switch.manage('del-port', {'port': '2'})
        switch.manage('add-port', {'port': '2=s2'})
    forwards(hosts)
    switch.stop()
    again = Switch(lab, sw, ports=['1=s1', '2=s2'])
    forwards(hosts)
    assert again.process.poll() is None


def test_an_interface_renamed_into_another_switch_s_port_waits_until_it_is_free(lab):
    sw, hosts = lab.star(2)
    first = Switch(lab, sw, ports=['1=s1', '2=s2'])
    second = Switch(lab, sw, name='br1', ports=['5=later'])
    rename(sw, 's2', 'later')
    wait_for('the reason', lambda: "`later` is port 2 of bridge `br0` of another switchd" in second.output())
    # Nothing passes there, and the switch says so.
    assert ports(second, 'br1')[5]['link'] == 'down'
    assert ports(first)[2]['name'] == 'later'
    forwards(hosts)
    first.manage('del-port', {'port': 'later'})
    wait_for('the second to have it', lambda: ports(second, 'br1')[5]['link'] == 'up')


def test_an_interface_renamed_across_bridges_of_one_switch_waits_until_it_is_free(lab):
    sw, hosts = lab.star(2)
    config = os.path.join(lab.dir, 'two.toml')
    with open(config, 'w') as f:
        f.write('[[bridge]]\nname = "br0"\nsnoop = "none"\nport = ["1=s1", "2=s2"]\n[[bridge]]\nname = "br1"\nsnoop = "none"\nport = ["5=later"]\n')
    # The bridges stand in the file alone.
    socket = os.path.join(lab.dir, 'ctl')
    log = os.path.join(lab.dir, 'two.log')
    lab.spawn(sw, [binary('switchd'), '--config', config, '--management', socket], log=log)
    switch = object.__new__(Switch)
    switch.ctl_socket, switch.log = socket, log
    wait_for('the start', lambda: 'ready' in switch.output())
    forwards(hosts)
    rename(sw, 's2', 'later')
    wait_for('the reason', lambda: "`later` is port 2 of bridge `br0` already" in switch.output())
    assert ports(switch, 'br1')[5]['link'] == 'down'
    forwards(hosts)
    switch.manage('del-port', {'port': 'later', 'bridge': 'br0'})
    wait_for('the second to have it', lambda: ports(switch, 'br1')[5]['link'] == 'up')


def test_who_may_not_mark_an_interface_keeps_nobody_from_it(lab):
    sw, hosts = lab.star(2)
    ifindex = sh(['ip', '-n', sw, '-o', 'link', 'show', 's2']).stdout.split(':')[0]
    squatter = subprocess.Popen(['ip', 'netns', 'exec', sw, sys.executable, '-c', SQUATTER, ifindex], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
    try:
        assert squatter.stdout.readline() == 'taken\n'
        switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
        forwards(hosts)
        assert 'user 65534 marked the interface' in switch.output()
    finally:
        squatter.communicate('', timeout=30)

"""Flows, groups and meters over a restart."""

import os
import re
import signal
import threading

from lab import Switch


def flows(switch):
    """Flows as they are written, without what counts."""
    lines = switch.ofctl('dump-flows').splitlines()
    counted = re.compile(r'\b(duration|n_packets|n_bytes|idle_age|hard_age)=[^, ]*,? ?')
    return sorted(counted.sub('', line).strip() for line in lines if 'priority=' in line)


def start(lab, ns, state):
    os.makedirs(state, exist_ok=True)
    return Switch(lab, ns, '--state', state, '--fail-mode', 'secure', '--local-port')


def fill(switch, first, count):
    for n in range(first, first + count):
        switch.ofctl('add-flow', 'priority=%d,ip,nw_dst=10.0.0.%d,actions=output:1' % (n + 1, n % 250))


def test_a_stop_keeps_everything(lab):
    ns, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    switch = start(lab, ns, state)
    switch.ofctl('add-group', 'group_id=5,type=all,bucket=output:1,bucket=output:2')
    switch.ofctl('add-flow', 'priority=7,arp,actions=group:5')
    fill(switch, 0, 5)
    before = flows(switch)
    assert len(before) == 6, before
    assert switch.stop() == 0
    again = start(lab, ns, state)
    assert flows(again) == before
    assert 'group_id=5' in again.ofctl('dump-groups')


def test_a_kill_while_it_is_written_leaves_the_old_or_the_new(lab):
    ns, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    known = 0
    for n in range(6):
        switch = start(lab, ns, state)
        there = len(flows(switch))
        assert known <= there <= known + 3, 'round %d: %d flows, %d were saved' % (n, there, known)
        fill(switch, there, 3)
        kept = there
        over = threading.Event()

        def save(switch=switch, over=over):
            while not over.is_set():
                try:
                    switch.manage('save-state')
                except (OSError, ValueError):
                    return
        if n % 2:
            kept = switch.manage('save-state')['lines']
        thread = threading.Thread(target=save)
        thread.start()
        over.wait(0.01 * n)
        switch.stop(signal.SIGKILL)
        over.set()
        thread.join()
        known = kept
        assert not os.path.exists(os.path.join(state, 'br0.bad'))


def test_a_damaged_file_is_put_aside(lab):
    ns, state = lab.ns('sw'), os.path.join(lab.dir, 'state')
    os.makedirs(state)
    with open(os.path.join(state, 'br0.state'), 'w') as f:
        f.write('{"switchd_state":2}\n{"flow_mod":')
    switch = start(lab, ns, state)
    assert flows(switch) == []
    assert os.path.exists(os.path.join(state, 'br0.bad'))
    assert 'the file ends in the middle' in switch.output()

"""Flows, groups and meters over a restart."""

import contextlib
import os
import re
import signal
import struct
import threading

import pytest
from lab import Switch, wait_for
from raw import Controller
from test_many import fill as fill_many


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


@pytest.mark.parametrize('rounds', [5, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_a_snapshot_is_of_one_moment_whenever_it_is_killed(lab, rounds):
    """M18: every flow changes by one request, again and again, while snapshots are written and cut short."""
    ns, state, count = lab.ns('sw'), os.path.join(lab.dir, 'state'), 10_000
    switch = start(lab, ns, state)
    controller = Controller(switch.of_socket)
    fill_many(controller, count)
    switch.manage('save-state', timeout=60)
    seen, cut = set(), 0
    for round in range(rounds):
        controller = Controller(switch.of_socket)
        over, saves = threading.Event(), []

        def change(controller=controller, over=over, round=round):
            n = round * 10_000
            with contextlib.suppress(OSError, AssertionError):
                while not over.is_set():
                    n += 1
                    # OFPFC_MODIFY of all flows.
                    instructions = struct.pack('!HH4xHHIH6x', 4, 24, 0, 16, 1 + n % 60_000, 0)
                    controller.send(14, struct.pack('!QQBBHHHIIIHxx', 0, 0, 0, 1, 0, 0, 0, 0xffffffff, 0xffffffff,
                                                    0xffffffff, 0) + b'\x00\x01\x00\x04' + bytes(4) + instructions)
                    controller.ask(20, timeout=10)

        def save(switch=switch, over=over, saves=saves):
            with contextlib.suppress(OSError, ValueError, AssertionError):
                while not over.is_set():
                    switch.manage('save-state', timeout=60)
                    saves.append(1)
        threads = [threading.Thread(target=t) for t in (change, save)]
        for thread in threads:
            thread.start()
        if round % 2:
            wait_for('a snapshot', lambda saves=saves: len(saves) > 1, 60)
        over.wait(0.03 * (round % 20))
        switch.stop(signal.SIGKILL)
        over.set()
        for thread in threads:
            thread.join()
        cut += os.path.exists(os.path.join(state, 'br0.new'))
        switch = start(lab, ns, state)
        dump = [line for line in switch.ofctl('dump-flows').splitlines() if 'priority=' in line]
        outputs = {line.rsplit('actions=', 1)[1].strip() for line in dump}
        assert len(dump) == count and len(outputs) == 1, '%d flows, %s' % (len(dump), sorted(outputs)[:5])
        seen |= outputs
        assert not os.path.exists(os.path.join(state, 'br0.bad'))
    print('%d of %d kills cut a snapshot short; %d states seen' % (cut, rounds, len(seen)))
    assert len(seen) >= 2, 'new ones were taken up, too'
    assert switch.stop() == 0
    assert os.listdir(state) == ['br0.state'], 'what a kill left is overwritten and gone'


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


def test_ports_and_queues_that_were_added_come_again(lab):
    """What management adds outlasts a restart, a kill too; what it takes away stays away unless it is configured."""
    sw, _ = lab.star(1)
    state = os.path.join(lab.dir, 'state')
    os.makedirs(state)

    def begin():
        return Switch(lab, sw, '--state', state, '--fail-mode', 'secure', ports=['1=s1', '2=t2,type=tap'])

    def there(switch):
        return {p['port_no']: p['name'] for p in switch.manage('ports')}
    switch = begin()
    for port in ('t9,type=tap', '7=t7,type=tap', '5=away'):
        switch.manage('add-port', {'port': port})
    switch.manage('add-queue', {'queue': 's1:3,max-rate=20M'})
    switch.manage('del-port', {'port': '7'})
    switch.manage('del-port', {'port': 't2'})
    before = there(switch)
    assert sorted(before.values()) == ['away', 's1', 't9'], before
    queues = [(q['port_no'], q['queue_id']) for q in switch.manage('queues')]
    assert queues == [(1, 3)]
    switch.process.send_signal(signal.SIGKILL)
    switch.process.wait(10)
    again = begin()
    assert there(again) == {**before, 2: 't2'}, 'the numbers, too'
    assert [(q['port_no'], q['queue_id']) for q in again.manage('queues')] == queues
    again.manage('del-port', {'port': 't9'})
    again.manage('del-queue', {'port': 1, 'id': 3})
    assert again.stop() == 0
    last = begin()
    assert sorted(there(last).values()) == ['away', 's1', 't2'] and last.manage('queues') == []

"""Random requests, right and wrong ones, beside Open vSwitch.

Each case (`random_requests.py`) adds, modifies and deletes flows, groups and meters in OpenFlow 1.0, 1.3, 1.4 or 1.5: by filters of
match, cookie, port and group, with flags, with one fault or none, and sends frames between. Both switches have to
refuse the same requests with the same errors, put out the same frames, and then hold the same flows, groups and meters with
the same counters. Where Open vSwitch goes another way than the specification's text, the generator leaves it out and says so.

A failure prints the case as `test_random_as_ovs.py` does, and $CASES means the same.
"""

import random
import time

import pytest
from beside_ovs import NEEDS, PATIENCE
from compare_random import Comparison, judge
from forms import V10, V13, V14, V15
from random_requests import MATCHES, random_case

pytestmark = NEEDS

VLAN_LIMIT = 2


@pytest.mark.timeout(600)
def test_random_requests(pair):
    judge(pair, random_case, 29)


@pytest.mark.timeout(600)
@pytest.mark.parametrize('version', [V10, V13, V14, V15])
def test_timeouts(pair, version):
    """Flows that end by themselves are told by both in the same way. (No packets: whether one comes before the end is a
    question of who is fast.)"""
    r = random.Random(version)
    flows = []
    for n in range(24):
        # So far apart that which one comes first is no question.
        idle, hard = r.choice(((1, 0), (0, 1), (0, 2), (600, 2), (1, 700), (0, 600)))
        flows.append(('flow', dict(match_={'in_port': 1, **MATCHES[6], 'ipv4_dst': 0x0a000100 + n}, priority=n, idle=idle, hard=hard,
                                   cookie=r.choice((0, 5, 0xff00)), flags=r.choice((0, 1, 1)),
                                   instructions=[('apply', [('output', 2)])])))
    c = Comparison(pair, version, flows)
    try:
        c.reset()
        c.settle([(step, c.change(step)) for step in flows])
        wanted = sum(f['flags'] and (f['idle'] == 1 or f['hard'] in (1, 2)) for _, f in flows)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and any(sum(x[0] == c.mark for x in w.removed) < wanted for w in c.wires):
            for w in c.wires:
                w.read(timeout=0.1)
        c.compare_messages()
        c.compare_state()
        ours = [x for x in c.wires[0].removed if x[0] == c.mark]
        assert not c.differences, '\n'.join(c.differences)
        assert len(ours) == wanted
    finally:
        c.close()

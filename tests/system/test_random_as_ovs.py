"""Random tables, changes and frames, beside Open vSwitch.

Each case (`random_rules.py`) makes groups and flows in a few tables, sends frames and packet-outs, changes the tables and
sends again, in OpenFlow 1.0, 1.3, 1.4 or 1.5. Both switches have to refuse the same requests with the same errors, put out
the same bytes at the same ports in the same order, send the same packet-ins and flow-removed messages, and hold the same
flows and groups with the same counters. What the specification leaves open, and where Open vSwitch goes another
way than its text, isn't generated; the comment where it is left out says why.

Seeds beyond the fixed ones also show that Open vSwitch leaves a checksum behind an IPv6 fragment header as it is, and makes
SCTP's for a first fragment from what that has.

A failure names the case's number and prints it after leaving out what it doesn't need. $CASES (`12` or `1000-1999`) runs others,
and cases that teach flows, too, of which some differ now and then in the port learnt last.
"""

import pytest
from beside_ovs import NEEDS
from compare_random import judge
from random_rules import random_case

pytestmark = NEEDS

# Frames have up to two tags.
VLAN_LIMIT = 2


@pytest.mark.timeout(600)
def test_random_cases(pair):
    judge(pair, random_case, 44)

"""Random requests, right and wrong ones, beside Open vSwitch.

Each case (`random_requests.py`) adds, modifies and deletes flows, groups and meters in OpenFlow 1.0, 1.3, 1.4 or 1.5: by filters of
match, cookie, port and group, with flags, with one fault or none, and sends frames between. Both switches have to
refuse the same requests with the same errors, put out the same frames, and then hold the same flows, groups and meters with
the same counters. Where Open vSwitch goes another way than the specification's text, the generator leaves it out and says so.

A failure prints the case as `test_random_as_ovs.py` does, and $CASES means the same.
"""

import os

import pytest
from beside_ovs import NEEDS
from compare_random import judge
from random_requests import random_case

pytestmark = NEEDS

VLAN_LIMIT = 2


@pytest.mark.timeout(400)
def test_random_requests(pair):
    first, _, last = os.environ.get('CASES', '0-39').partition('-')
    judge(pair, random_case, range(int(first), int(last or first) + 1))

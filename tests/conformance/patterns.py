"""The switch tester's patterns: which there are, and which are asked for."""

import json
import os
import re
import tempfile

VERSIONS = {  # our name: (tester's option, OVS name, plain number)
    'of10': ('openflow10', 'OpenFlow10', '1.0'),
    'of13': ('openflow13', 'OpenFlow13', '1.3'),
    'of14': ('openflow14', 'OpenFlow14', '1.4'),
    'of15': ('openflow15', 'OpenFlow15', '1.5'),  # patterns: of15.py; the tester switch speaks 1.4
}
CATEGORIES = ('action', 'set_field', 'match', 'group', 'meter', 'egress', 'packet_out')

# What the Ryu certification counted as "Required" for OpenFlow 1.3 and 1.4:
# OUTPUT (3 tests), the ALL group (3) and the 13 match fields in frames without
# a VLAN, MPLS or PBB header (108).
_REQUIRED_MATCH = re.compile(
    r'match/(00_IN_PORT|03_ETH_DST|03_ETH_DST_Mask|04_ETH_SRC|04_ETH_SRC_Mask|'
    r'05_ETH_TYPE|10_IP_PROTO_IPv[46]|1[12]_IPV4_(SRC|DST)(_Mask)?|'
    r'1[34]_TCP_(SRC|DST)_IPv[46]|1[56]_UDP_(SRC|DST)_IPv[46]|'
    r'2[67]_IPV6_(SRC|DST)(_Mask)?)\.json$')
# The certification published nothing for OpenFlow 1.0; this split is ours:
# the 12-tuple and OUTPUT are required, header rewriting is optional, and so is
# everything about IPv6, which OpenFlow 1.0 does not know.
_TAGGED = re.compile(r'ethernet/(vlan|svlan|mpls|itag)\b')
_OF10_REQUIRED = re.compile(r'(match/(?!.*IPv6)|action/00_OUTPUT).*\.json$')


def category_of(rel):
    parts = rel.split('/')
    if parts[0] == 'action' and len(parts) > 2:
        return 'set_field'
    return parts[0]


def is_required(version, rel, description):
    if version == 'of10':
        return bool(_OF10_REQUIRED.match(rel))
    if rel in ('action/00_OUTPUT.json', 'group/00_ALL.json'):
        return True
    return bool(_REQUIRED_MATCH.match(rel)) and not _TAGGED.match(description)


def is_timed(test):
    """True for tests that send packets at a rate and measure throughput."""
    return any(isinstance(t.get('ingress'), dict) and 'packets' in t['ingress']
               for t in test['tests'])


def pattern_root(version, where=None):
    """The directory of a version's patterns; those of 1.5 are written into `where`."""
    import importlib.util
    spec = importlib.util.find_spec('os_ken')
    if spec is None:
        raise SystemExit('the python package os-ken is not installed')
    shipped = os.path.join(os.path.dirname(spec.origin), 'tests', 'switch')
    if version != 'of15':
        return os.path.join(shipped, version)
    import of15
    where = os.path.join(where or tempfile.mkdtemp(prefix='osken-conf-'), 'of15')
    print(of15.write(os.path.join(shipped, 'of14'), where))
    return where


def load_patterns(version, root, dirs=None, regex=None, timed=None):
    """The test files that were asked for, in path order."""
    rx = re.compile(regex) if regex else None
    files = []
    for base, _, names in os.walk(root):
        for name in names:
            if name.endswith('.json'):
                files.append(os.path.relpath(os.path.join(base, name), root))
    out = []
    for rel in sorted(files):
        cat = category_of(rel)
        if dirs and cat not in dirs and rel.split('/')[0] not in dirs:
            continue
        with open(os.path.join(root, rel)) as fh:
            items = json.load(fh)
        desc = next((x for x in items if isinstance(x, str)), rel)
        tests = []
        for idx, test in enumerate(x for x in items if not isinstance(x, str)):
            if timed is not None and is_timed(test) != timed:
                continue
            if rx and not (rx.search(rel) or rx.search(test['description'])):
                continue
            tests.append({'index': idx, 'description': test['description'],
                          'required': is_required(version, rel,
                                                  test['description']),
                          'timed': is_timed(test)})
        if tests:
            out.append({'file': rel, 'category': cat,
                        'description': desc, 'tests': tests})
    return out

"""ofbench: what goes into a pipeline comes out, is dropped or goes to a controller; tables, plots, refusals. No timing."""

import json
import struct
import subprocess
import xml.etree.ElementTree as ET

import pytest

from lab import binary


def frame(src, dst='10.1.0.1', sport=1000, dport=53):
    ip = b'\x45\x00' + struct.pack('!H', 50) + b'\0\0\x40\0\x40\x11\0\0'
    ip += bytes(map(int, src.split('.'))) + bytes(map(int, dst.split('.')))
    words = struct.unpack('!10H', ip)
    total = sum(words)
    total = (total & 0xffff) + (total >> 16)
    total = ~((total & 0xffff) + (total >> 16)) & 0xffff
    ip = ip[:10] + struct.pack('!H', total) + ip[12:]
    udp = struct.pack('!HHHH', sport, dport, 30, 0)
    return bytes.fromhex('020000000002020000000001') + b'\x08\x00' + ip + udp + bytes(22)


RULES = """\
# sent, sent twice by a group, dropped by a table, dropped for want of a match
group group_id=1,type=all,bucket=output:2,bucket=output:5
flow priority=9,udp,nw_src=10.0.0.1,actions=dec_ttl,output:2
priority=9,udp,nw_src=10.0.0.2,actions=group:1
priority=9,udp,nw_src=10.0.0.3,actions=goto_table:3
table=3,priority=0,actions=drop
"""


def command(*args, timeout=120):
    return subprocess.run([binary('ofbench')] + list(args), text=True, capture_output=True, timeout=timeout)


def ofbench(*args):
    return command('pipeline', *args)


@pytest.mark.parametrize('workers', [1, 2])
def test_the_counts_of_a_pipeline_add_up(tmp_path, workers):
    rules, frames = tmp_path / 'rules', tmp_path / 'frames'
    rules.write_text(RULES)
    # Each worker has every second frame: four of each kind.
    frames.write_bytes(b''.join(frame('10.0.0.%d' % n) for n in (1, 2, 3, 4) for _ in range(2)))
    done = ofbench('--flows', str(rules), '--frames', str(frames), '--count', '800', '--runs', '2', '--no-stages',
                   '--workers', str(workers), '--json')
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)['counts']
    received = workers * 3 * 800
    each = received // 4
    assert counts['received'] == received
    assert counts['sent'] == {'2': 2 * each, '5': each}
    assert counts['dropped'] == {'table_miss': each, 'no_output': each}
    assert counts['tables'] == {'0': {'lookups': received, 'matched': 3 * each},
                                '3': {'lookups': each, 'matched': each}}
    assert counts['packet_ins'] == 0


def test_a_capture_and_a_scenario_can_be_measured(tmp_path):
    capture = tmp_path / 'frames.pcap'
    one = frame('10.0.0.1')
    header = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    capture.write_bytes(header + struct.pack('<IIII', 0, 0, len(one), len(one)) + one)
    rules = tmp_path / 'rules'
    rules.write_text('actions=output:7\n')
    done = ofbench('--flows', str(rules), '--frames', str(capture), '--count', '100', '--runs', '1')
    assert done.returncode == 0, done.stderr
    assert 'sent by port      7: 200' in done.stdout
    done = ofbench('--scenario', 'gateway', '--packets-of', '50', '--write', str(tmp_path / 'gw'))
    assert done.returncode == 0, done.stderr
    done = ofbench('--flows', str(tmp_path / 'gw' / 'gateway.flows'),
                   '--frames', str(tmp_path / 'gw' / 'gateway-50.frames'), '--count', '100', '--runs', '1', '--json')
    assert json.loads(done.stdout)['counts']['sent'] == {'2': 200}


def test_a_fault_in_a_file_is_named_with_its_place(tmp_path):
    rules, frames = tmp_path / 'rules', tmp_path / 'frames'
    frames.write_bytes(frame('10.0.0.1'))
    rules.write_text('actions=drop\n  ip,nw_dst=10.0.0.999,actions=drop\n')
    done = ofbench('--flows', str(rules), '--frames', str(frames))
    assert done.returncode != 0
    assert '%s:2:13: ' % rules in done.stderr, done.stderr
    rules.write_text('actions=drop\n')
    frames.write_bytes(b'x' * 100)
    done = ofbench('--flows', str(rules), '--frames', str(frames))
    assert done.returncode != 0 and 'offset 64' in done.stderr


def test_stages_are_those_of_the_time_per_packet(tmp_path):
    """Receiving, keys, cache, the rest and sending together are all of a packet's time."""
    done = ofbench('--scenario', 'gateway', '--packets-of', '50', '--count', '100000', '--runs', '1', '--json')
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    stages = got['stages_ns']
    assert list(stages) == ['receive', 'parse', 'cache', 'tables, actions', "transmit, worker's round"]
    assert all(ns >= 0 for ns in stages.values())
    whole = 1e3 / got['mpps_with_receive']['median']
    assert abs(sum(stages.values()) - whole) < whole / 100, got
    engine = stages['parse'] + stages['cache'] + stages['tables, actions']
    assert abs(engine - got['engine_ns']) < engine / 100, got


HEADER = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)

# What files hold, what else is said, and what the refusal says.
REFUSED = {
    'no rules and no frames': (None, None, [], 'say what to measure'),
    'rules that are not there': (None, b'', ['--flows', 'none/rules'], 'cannot read none/rules: No such file'),
    'frames that are not there': ('actions=drop', None, ['--frames', 'none/frames'], 'cannot read none/frames: No such'),
    'no frames': ('actions=drop', b'', [], 'holds no frames'),
    'a capture without frames': ('actions=drop', HEADER, [], 'holds no frames'),
    'a capture that ends early': ('actions=drop', HEADER + b'12345', [], 'frame 1'),
    'half a frame': ('actions=drop', frame('10.0.0.1') + b'x' * 36, [], '36 bytes are left over at offset 64'),
    'frames of no size': ('actions=drop', bytes(64), ['--frame-size', '0'], 'frames of 0 bytes: from 14'),
    'a rule with a fault': ('actions=drop\nip,nw_dst=10.0.0.999,actions=drop', bytes(64), [], 'rules:2:11: '),
    'a rule that is no text': (b'\xff\xfe', bytes(64), [], 'UTF-8'),
    'a rule that the switch refuses': ('\nactions=group:7', bytes(64), [], 'rule in line 2: '),
    'an output that is no port': ('actions=output:0xffffff01', bytes(64), [], 'rule'),
    'no workers': ('actions=drop', bytes(64), ['--workers', '0'], "invalid value '0' for '--workers"),
    'more workers than frames': ('actions=drop', bytes(64), ['--workers', '2'], '2 workers need as many frames; there are 1'),
    'no time': ('actions=drop', bytes(64), ['--seconds', '0'], 'expected a number of seconds'),
    'no runs': ('actions=drop', bytes(64), ['--runs', '0'], "invalid value '0' for '--runs"),
    'a port that cannot be': ('actions=drop', bytes(64), ['--in-port', '0'], "invalid value '0' for '--in-port"),
    'a version that is none': ('actions=drop', bytes(64), ['-O', '1.9'], 'expected 1.0'),
    'a place where nothing can be written': (None, None, ['--scenario', 'port', '--write', '/proc/none'], 'cannot make /proc/none'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_cannot_be_measured_is_refused_with_the_reason(tmp_path, what):
    rules, frames, words, reason = REFUSED[what]
    words = list(words)
    for option, content in (('--flows', rules), ('--frames', frames)):
        if content is not None and option not in words:
            path = tmp_path / {'--flows': 'rules', '--frames': 'frames'}[option]
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            words += [option, str(path)]
    done = ofbench(*words)
    assert done.returncode != 0
    assert reason in done.stderr, done.stderr
    assert done.stderr.startswith(('ofbench: ', 'error: ')) and 'panicked' not in done.stderr, done.stderr
    assert done.stdout == ''


@pytest.mark.parametrize('words, reason', [
    (['table-b', '--most', '0'], '--most 0 leaves nothing'),
    (['table-b', '--only', 'nonsense'], 'possible values: port, five, l3, acl1k, acl10k, gateway, l2'),
    (['table-c', '--only', 'nonsense'], 'tuple-space explosion, 10,000/s'),
    (['table-c', '--seconds', 'nan'], 'expected a number of seconds'),
    (['io', '--seconds=-1'], 'expected a number of seconds'),
    (['io', '--switchd', '/none/switchd', '--through', 'switchd'], 'there is no /none/switchd'),
    (['control', '--only', 'nonsense'], 'possible values'),
    (['tcp-client', '127.0.0.1:1', '--seconds', '0'], 'expected a number of seconds'),
    (['flood', 'lo', '--seconds', 'inf'], 'expected a number of seconds'),
    (['flood', 'no-such-port0'], 'no-such-port0'),
    (['echo-client', 'nowhere'], 'nowhere'),
])
def test_tables_and_traffic_are_refused_with_the_reason(words, reason):
    done = command(*words)
    assert done.returncode != 0
    assert reason in done.stderr, done.stderr
    assert 'panicked' not in done.stderr


def drawn(path):
    """The texts of a plot, and how many points each of its lines has."""
    root = ET.parse(path).getroot()
    name = '{http://www.w3.org/2000/svg}'
    lines = [len(line.get('points').split()) for line in root.iter(name + 'polyline')]
    return [t.text for t in root.iter(name + 'text')], lines


def test_rates_over_flows_beside_the_bound_as_a_table_as_json_and_drawn(tmp_path):
    short = ['table-b', '--only', 'five', '--most', '1000', '--seconds', '0.01', '--runs', '5']
    done = command(*short, '--json', '--svg', str(tmp_path))
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert [(r['scenario'], r['flows']) for r in got['rows']] == [('five', 1), ('five', 1000)]
    for row in got['rows']:
        mpps, bound = row['mpps'], row['bound_mpps']
        assert mpps['runs'] == bound['runs'] == 5
        assert 0 < mpps['min'] <= mpps['median'] <= mpps['max']

        def near(ratio, a, b):
            assert abs(row[ratio] - a / b) <= 0.01 * a / b, row

        near('of_bound', mpps['median'], bound['median'])
        # The recorded program is somewhat faster on the same machine.
        assert 0.6 < bound['median'] / row['bound_mpps_recorded'] / row['machine'] < 1, row
        near('of_goal', mpps['median'], row['goal_mpps'])
        near('of_ovs_recorded', mpps['median'], row['ovs_mpps_recorded'])
        near('of_goal_times_machine', row['of_goal'], row['machine'])
    texts, lines = drawn(tmp_path / 'pipeline-five.svg')
    assert texts[0] == 'five: rate over flows' and lines == [2, 2, 2, 2]
    assert [t for t in texts if t in ('switchd', 'OVS, recorded', 'to reach', 'to reach, here')] == [
        'switchd', 'OVS, recorded', 'to reach', 'to reach, here']
    done = command(*short, '--no-bound')
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][:3] == ['scenario', 'flows', 'Mpps'] and rows[1][:2] == ['five', '1']


def test_an_attack_has_a_time_line(tmp_path):
    done = command('table-c', '--only', 'explosion', '--seconds', '0.2', '--runs', '2', '--json', '--svg', str(tmp_path))
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    [row] = got['rows']
    assert row['kept']['runs'] == 2 and row['goal'] == 0.9 and row['ovs_recorded'] == 0.003
    texts, lines = drawn(tmp_path / 'attack-1.svg')
    assert 'attack' in texts and lines == [len(row['line'])]

"""ofbench pipeline: what goes in comes out, is dropped or goes to a controller. No timing."""

import json
import struct
import subprocess

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


def ofbench(*args):
    return subprocess.run([binary('ofbench'), 'pipeline'] + list(args), text=True, capture_output=True, timeout=60)


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

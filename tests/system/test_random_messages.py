"""M14: messages of every kind and version, up to the longest there are, nearly right, over real connections."""

import contextlib
import itertools
import os
import socket
import struct
import threading
import time

import pytest
from lab import ROOT, Switch, inside, wait_for
from random_messages import HEADER, Changed, Grammar
from raw import BARRIER_REPLY, BARRIER_REQUEST, ECHO_REQUEST, FLOW_MOD, GROUP_MOD, HELLO, Controller, prompt

METER_MOD, PORT_MOD = 29, 16
PORT = 6654


class Reader(threading.Thread):
    """Reads what the switch says: whole messages of a version that was agreed on, until the end."""

    def __init__(self, connection):
        super().__init__(daemon=True)
        self.connection, self.count, self.errors, self.wrong = connection, 0, 0, None
        self.start()

    def run(self):
        data = bytearray()
        with contextlib.suppress(OSError):
            while some := self.connection.recv(1 << 18):
                data += some
                at = 0
                while len(data) - at >= 8:
                    version, kind, length, _ = HEADER.unpack_from(data, at)
                    if not 1 <= version <= 6 or length < 8 or kind > 35:
                        self.wrong = bytes(data[at:at + 64])
                        return
                    if len(data) - at < length:
                        break
                    self.count += 1
                    self.errors += kind == 1
                    at += length
                del data[:at]


def clear(witness):
    """What the messages left in the tables goes."""
    witness.send(FLOW_MOD, struct.pack('!QQBBHHHIIIHxx', 0, 0, 255, 3, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0)
                 + b'\0\1\0\4\0\0\0\0')
    witness.send(GROUP_MOD, struct.pack('!HBxI', 2, 0, 0xfffffffc))
    witness.send(METER_MOD, struct.pack('!HHI', 2, 0, 0xffffffff))
    assert witness.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY


@pytest.mark.parametrize('seconds', [0, pytest.param(600, marks=pytest.mark.long)])
@pytest.mark.timeout(max(900, 2 * int(os.environ.get('SWITCHD_FUZZ_SECONDS', 0))))
def test_random_messages_of_every_type_hurt_nobody(lab, seconds):
    """The same messages each time without --long; SWITCHD_FUZZ_SECONDS says how long --long searches, from a new seed.
    Figures go to tests/out/random_messages.tsv then."""
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--listen', 'ptcp:%d:127.0.0.1' % PORT, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    seconds = seconds and int(os.environ.get('SWITCHD_FUZZ_SECONDS', seconds))
    seed = int(os.environ.get('SWITCHD_FUZZ_SEED', time.time() if seconds else 14))
    print('seed', seed)
    kinds = [Grammar(seed), Changed(seed, 500 if seconds else 0)]
    with inside(sw):
        witness = Controller(socket.create_connection(('127.0.0.1', PORT)))
    witness.control()
    traffic = lab.spawn(hosts[0].ns, ['ping', '-q', '-i', '0.01', hosts[1].ip])
    sent = size = longest = read = errors = 0
    times, memory = [], []
    os.makedirs(ROOT + '/tests/out', exist_ok=True)
    began = time.monotonic()
    with open(ROOT + '/tests/out/random_messages.tsv', 'a' if seconds else 'w') as out:
        for connection in itertools.count():
            if time.monotonic() > began + seconds and sent >= 30_000:
                break
            # The grammar's take some fifty times as long to make.
            version, kind = 1 + connection % 6, kinds[connection // 6 % 10 > 0]
            with inside(sw):
                s = socket.create_connection(('127.0.0.1', PORT))
            with s:
                s.settimeout(20)
                reader = Reader(s)
                # The switch may end the connection at any time; that ends nothing else.
                with contextlib.suppress(OSError):
                    s.sendall(HEADER.pack(version, HELLO, 8, 1))
                    for _ in range(20):
                        some = [kind.message(version) for _ in range(25)]
                        s.sendall(b''.join(some))
                        sent += len(some)
                        size += sum(map(len, some))
                        longest += sum(len(m) > 60_000 for m in some)
                    s.shutdown(socket.SHUT_WR)
                    reader.join(20)
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
            reader.join(20)
            assert reader.wrong is None, 'the switch said %s' % reader.wrong.hex()
            read += reader.count
            errors += reader.errors
            times.append(witness.ask(ECHO_REQUEST)[2])
            assert switch.process.poll() is None, switch.output()[-3000:]
            if connection % 600 == 599:
                clear(witness)
                memory.append(switch.memory())
                print(int(time.monotonic() - began), 's', sent, 'messages', size >> 20, 'MiB', longest, 'of over 60,000 bytes', read,
                      'answers', errors, 'errors', memory[-1], 'kB', '%.1f ms' % (max(times[-600:]) * 1e3), sep='\t', file=out, flush=True)
    print('%d messages over %d connections, %d MiB, %d of over 60,000 bytes; %d answers, of which %d errors; memory of its own %s kB'
          % (sent, connection, size >> 20, longest, read, errors, memory[::max(1, len(memory) // 20)]))
    assert errors > sent / 100 and longest > 20
    # A defect that one connection met would be in the log.
    log = switch.output()
    for word in ('panicked', 'a defect', ' ERROR '):
        assert word not in log, [line for line in log.splitlines() if word in line][:3]
    assert log.count('\n') < 20 * connection + 100
    prompt(times, 'echoes')
    # Ports may have been set down, tables without entries changed.
    clear(witness)
    ports = lambda: {p['port_no']: p for p in switch.manage('ports')}  # noqa: E731
    for number, port in ports().items():
        mac = bytes.fromhex(port['hw_addr'].replace(':', ''))
        witness.send(PORT_MOD, struct.pack('!I4x6s2xIII4x', number, mac, 0, 0xffffffff, 0))
    assert witness.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert traffic.poll() is None
    before = ports()[1]['rx_packets']
    wait_for('the workers to take packets still', lambda: ports()[1]['rx_packets'] > before, 60)
    if len(memory) > 30:
        third = len(memory) // 3
        early, late = (sorted(part)[len(part) // 2] for part in (memory[third:2 * third], memory[2 * third:]))
        assert late <= early + 8192, 'memory grew from %d to %d kB' % (early, late)

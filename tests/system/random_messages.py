"""Messages that are nearly right: of a grammar's, and recorded and generated ones with something changed."""

import glob
import os
import random
import struct
import subprocess

from lab import ROOT, TARGET

MOST = 65_535
HEADER = struct.Struct('!BBHI')
# What controllers send, in 1.0 and since.
REQUESTS = {0, 2, 3, 4, 5, 7, 9, 13, 14, 15, 16, 18, 20}, {0, 2, 3, 4, 5, 7, 9, 13, 14, 15, 16, 17, 18, 20, 22, 24, 26, 28, 29, 33, 34}


class Grammar:
    """Messages with the shape of messages: what has a length says now and then another."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def word(self, bits):
        r = self.random
        return r.choice([r.getrandbits(bits), r.getrandbits(3), 0, (1 << bits) - 1, (1 << bits) - r.randrange(1, 9)]) \
            % (1 << bits)

    def length(self, true):
        r = self.random
        said = true if r.random() < 0.9 else r.choice([0, 1, 4, 7, true - 1, true + 1, true + 8, 0xffff, true // 2])
        return said & 0xffff

    def pad(self, data):
        return data + bytes(-len(data) % 8)

    def match(self):
        r, fields = self.random, b''
        for _ in range(r.choice([0, 1, 1, 2, 3, 40])):
            kind, masked = r.randrange(46), r.random() < 0.3
            size = [4, 4, 8, 6, 6, 2, 2, 1, 1, 1, 1, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1, 2, 4, 4, 6, 6, 16, 16, 4, 1, 1, 16,
                    6, 6, 4, 1, 1, 3, 8, 2, 1, 1, 4, 4, 2, 4][kind]
            value = r.randbytes(size * (2 if masked else 1)) if r.random() < 0.9 else r.randbytes(r.randrange(70))
            fields += struct.pack('!HBB', r.choice([0x8000] * 9 + [1, 0xffff]), kind << 1 | masked, len(value)) + value
        return self.pad(struct.pack('!HH', r.choice([1] * 9 + [0, 2]), self.length(4 + len(fields))) + fields)

    def actions(self, depth=0):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 1, 2, 5, 200 if r.random() < 0.1 else 3]) if depth < 3 else 0):
            kind = r.choice([0, 0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 25, 26, 27, 28, 29, 0xffff,
                             r.getrandbits(16)])
            if kind == 0:
                body = struct.pack('!IH6x', r.choice([1, 2, 3, self.word(32)]), self.word(16))
            elif kind == 25:
                body = self.match()[4:]
            elif kind == 0xffff:
                body = struct.pack('!IH', r.choice([0x2320, 0x2320, self.word(32)]), r.choice([42, 35, 16, r.randrange(60)]))
                body += r.randbytes(r.choice([6, 14, 30])) + self.actions(depth + 1)
            else:
                body = r.randbytes(4)
            body = self.pad(struct.pack('!HH', kind, 0) + body)[4:]
            out += struct.pack('!HH', kind, self.length(4 + len(body))) + body
        return out

    def instructions(self):
        r, out = self.random, b''
        for _ in range(r.randrange(4)):
            kind = r.choice([1, 2, 3, 4, 4, 5, 6, 7, 0xffff, r.getrandbits(16)])
            body = {1: r.randbytes(4), 2: r.randbytes(20)}.get(kind) or bytes(4) + (self.actions() if kind in (3, 4, 5) else b'')
            out += struct.pack('!HH', kind, self.length(4 + len(body))) + body
        return out

    def buckets(self):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 2, 50])):
            body = struct.pack('!HII4x', self.word(16), self.word(32), self.word(32)) + self.actions()
            out += struct.pack('!H', self.length(2 + len(body))) + body
        return out

    def properties(self):
        r, out = self.random, b''
        for _ in range(r.choice([0, 1, 2, 9])):
            body = r.randbytes(r.choice([0, 4, 8, 12, 28]))
            out += self.pad(struct.pack('!HH', r.choice([0, 1, 2, 3, 0xffff, self.word(16)]), self.length(4 + len(body))) + body)
        return out

    def body(self, version, kind, depth=0):
        r = self.random
        if kind == 14:
            return struct.pack('!QQBBHHHIIIHH', self.word(64), self.word(64), self.word(8), r.randrange(6), self.word(16),
                               self.word(16), self.word(16), self.word(32), self.word(32), self.word(32), self.word(16),
                               self.word(16)) + self.match() + self.instructions()
        if kind == 15:
            return struct.pack('!HBBI', r.randrange(7), r.randrange(5), 0, self.word(32)) + self.buckets()
        if kind == 13:
            actions = self.actions()
            return struct.pack('!IIH6x', self.word(32), self.word(32), self.length(len(actions))) + actions + r.randbytes(r.randrange(200))
        if kind == 18:
            ask = r.choice([*range(20), 0xffff, self.word(16)])
            rest = r.choice([b'', self.match(), self.properties(), struct.pack('!B3xII4xQQ', self.word(8), self.word(32),
                             self.word(32), self.word(64), self.word(64)) + self.match()])
            return struct.pack('!HH4x', ask, r.choice([0, 0, 0, 1])) + rest
        if kind == 29:
            bands = b''.join(struct.pack('!HHII4x', r.choice([1, 2, 0xffff]), self.length(16), self.word(32), self.word(32))
                             for _ in range(r.randrange(4)))
            return struct.pack('!HHI', r.randrange(4), self.word(16), self.word(32)) + bands
        if kind == 33:
            return struct.pack('!IHH', r.randrange(4), r.randrange(9), r.randrange(4)) + self.properties()
        if kind == 34 and depth < 2:
            inner = self.message(version, depth + 1)
            return struct.pack('!I2xH', r.randrange(4), r.randrange(4)) + inner + self.properties()
        if kind == 4:
            return struct.pack('!II', r.choice([0x2320, 0x4f4e4600, self.word(32)]), r.randrange(40)) + r.randbytes(r.randrange(60))
        return r.choice([b'', r.randbytes(r.randrange(64)), self.properties(), r.randbytes(16)])

    def message(self, version, depth=0):
        r = self.random
        kind = r.choice([*range(36), 14, 14, 15, 18, 13, 33, 34, 34, r.getrandbits(8)])
        body = self.body(version, kind, depth)
        if depth == 0 and r.random() < 0.02:
            body += r.randbytes(65_527)
        body = body[:65_527]
        version = version if r.random() < 0.98 else r.getrandbits(8)
        return struct.pack('!BBHI', version, kind, 8 + len(body), self.word(32)) + body


class Changed:
    """Whole messages of every version, changed: a byte, a length, a part again and again up to the longest message
    there is, an end of another, a message in a bundle."""

    def __init__(self, seed, generated=0):
        """With so many generated ones of each version, if the program that makes them is built."""
        self.random = random.Random(seed)
        self.seeds = {version: [] for version in range(1, 7)}
        for path in sorted(glob.glob(ROOT + '/tests/vectors/of*/*.packet') + glob.glob(ROOT + '/ofproto/fuzz/corpus/wire/*')):
            with open(path, 'rb') as f:
                self.add(f.read())
        # Nobody recorded any of 1.1's; 1.2's and 1.3's are like them.
        for message in self.seeds[3] + self.seeds[4]:
            self.add(b'\2' + message[1:])
        program = os.path.join(os.path.dirname(TARGET), 'debug', 'examples', 'generated_messages')
        if generated and os.access(program, os.X_OK):
            made = subprocess.run([program, str(seed), str(generated)], stdout=subprocess.PIPE, text=True, check=True)
            for line in made.stdout.splitlines():
                self.add(bytes.fromhex(line.split('\t')[2]))

    def add(self, message):
        if not 8 <= len(message) <= MOST or message[0] not in self.seeds:
            return
        # What a switch says is refused by its type alone: some of it.
        if message[1] in REQUESTS[message[0] > 1] or self.random.random() < 0.1:
            self.seeds[message[0]].append(message)

    def message(self, version):
        r = self.random
        seeds = self.seeds[version]
        body = bytearray(r.choice(seeds))
        for _ in range(r.choice([0, 1, 1, 2, 3])):
            self.change(body, r.choice(seeds))
        message = bytes(body[:MOST])
        if version >= 5 and r.random() < 0.05:
            inner = HEADER.pack(version, message[1], min(len(message), MOST), 7) + message[8:MOST - 16]
            message = HEADER.pack(version, 34, 0, 0) + struct.pack('!I2xH', r.randrange(3), r.randrange(4)) + inner
        # The framer's part is right nearly always, or the rest of the connection would be its matter alone.
        length = len(message) if r.random() < 0.999 else r.getrandbits(16)
        return HEADER.pack(version if r.random() < 0.998 else r.getrandbits(8), message[1], length, r.getrandbits(32)) \
            + message[8:]

    def change(self, body, other):
        r = self.random
        at = r.randrange(8, len(body)) if len(body) > 8 else 8
        kind = r.randrange(10)
        if kind < 3 and len(body) > 8:
            body[at] = r.choice([0, 1, 0x7f, 0x80, 0xff, r.getrandbits(8)])
        elif kind < 5 and len(body) >= 12:
            # A length or a type.
            at &= ~1
            body[at:at + 2] = struct.pack('!H', r.choice([0, 1, 4, 7, 8, 16, min(len(body), MOST), 0xffff, 0xfffe, r.getrandbits(16)]))
        elif kind == 5:
            del body[at:]
        elif kind == 6:
            body[at:] = other[min(at, len(other)):]
        elif kind == 7:
            body[at:at] = other[8:][:r.randrange(1, 200)]
        elif kind == 8:
            body += r.randbytes(r.choice([1, 8, 64]))
        elif len(body) > 8:
            # The same again and again: the list with the most elements that a message can have.
            size = r.choice([8, 16, 24, 32, 40, len(body) - at])
            part = bytes(body[at & ~7:(at & ~7) + size]) or b'\0'
            times = (MOST - len(body)) // len(part) if r.random() < 0.3 else r.randrange(1, 40)
            body[at & ~7:at & ~7] = part * times
            if r.random() < 0.5 and len(body) >= 16:
                # A length that stands in front of it, perhaps.
                before = r.randrange(8, max(at & ~7, 10)) & ~1
                body[before:before + 2] = struct.pack('!H', min(len(part) * max(times + 1, 1) + r.choice([0, 4, 8, 16]), MOST))

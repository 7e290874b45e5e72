"""What tshark says of messages, each sent over a TCP connection of its own in one capture.

Compared: version, type, length and xid of every message; nothing malformed and no warning; of 1.0 and
1.3 to 1.5, every number that it shows under one of the names in `NAMES` and every value of a match field
or set-field, which must be one of the model's. What is shown before a place where it calls a message
malformed is compared too: "malformed after X" as a verdict says that all until X could be read and agrees.

tshark's dissector of 1.5 stops at the header of every field of class OPENFLOW_BASIC, where 1.4's goes on
(1.5.1 §7.2.3.2 has 1.4's header). So it is shown 1.5's messages with another class in its place, whose
values it passes over, and the fields themselves, if 1.4 has them, a second time as the match of a flow-mod
of 1.4.
"""

import collections
import functools
import ipaddress
import pathlib
import re
import struct
import subprocess
import tempfile

# Of the versions that it dissects, the first part of its fields' names.
PREFIXES = {1: "openflow_1_0", 4: "openflow_v4", 5: "openflow_v5", 6: "openflow_v6"}
LINKTYPE_RAW = 101
# tshark's severity from which on something is wrong (a note says at most that it stops here).
WARNING = 0x600000

UNKNOWN = re.compile(r"not dissected yet|^(Unknown|Experimenter) .* body|^Undecoded")

# The last part of a field's name, and the model's name or type.
NAMES = {
    "cookie": "Cookie",
    "cookie_mask": "cookie_mask",
    "table_id": "TableId",
    "idle_timeout": "idle_timeout",
    "hard_timeout": "hard_timeout",
    "priority": "priority",
    "buffer_id": "BufferId",
    "out_port": "PortNo",
    "out_group": "GroupId",
    "group_id": "GroupId",
    "meter_id": "MeterId",
    "rate": "rate",
    "burst_size": "burst_size",
    "port_no": "PortNo",
    "port": "PortNo",
    "queue_id": "QueueId",
    "packet_count": "packet_count",
    "byte_count": "byte_count",
    "flow_count": "flow_count",
    "active_count": "active_count",
    "lookup_count": "lookup_count",
    "match_count": "matched_count",
    "ref_count": "ref_count",
    "max_len": "max_len",
    "n_buffers": "n_buffers",
    "n_tables": "n_tables",
    "generation_id": "generation_id",
    "miss_send_len": "miss_send_len",
    "watch_port": "PortNo",
    "watch_group": "GroupId",
    "rx_packets": "rx_packets",
    "tx_bytes": "tx_bytes",
    "total_len": "total_len",
}
# A bucket's counters, which the model has as a pair.
APART = ("bucket_counter.", "bucket_stats.", "experimenter", "async")
VALUES = ["etheraddr", "ethertype", "ipv4addr", "ipv6addr", "ipproto", "uint16", "uint24", "uint32", "vlan_vid"]


@functools.cache
def columns():
    """The columns asked for: name, and for which prefix and model name (or the header's place)."""
    listed = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True).stdout
    known = [line.split("\t")[2] for line in listed.splitlines() if line.startswith("F\t")]
    out = [("frame.number", None), ("_ws.malformed", None), ("_ws.expert.severity", None), ("_ws.expert.message", None)]
    for version, prefix in PREFIXES.items():
        head = prefix if version > 1 else "openflow"
        for name in (f"{head}.version", f"{prefix}.type", f"{head}.length", f"{head}.xid"):
            out.append((name, (version, "header")))
        ours = [name for name in known if name.startswith(prefix + ".") or (version == 1 and name.startswith("openflow."))]
        for name in dict.fromkeys(ours):
            last = name.rsplit(".", 1)[1]
            if last in NAMES and not any(a in name for a in APART):
                out.append((name, (version, NAMES[last])))
            elif ".oxm.value_" in name and last.removeprefix("value_") in VALUES:
                out.append((name, (version, "field")))
    return out


HERE = pathlib.Path(__file__).parent
BASIC = 0x8000
# A class that the specification leaves free.
FREE = 0x7F00


@functools.cache
def fields():
    """Number, bytes and first version's minor number of each field of class OPENFLOW_BASIC, by its name."""
    out = {}
    for line in (HERE / "../../ofproto/src/field_table.md").read_text().splitlines()[2:]:
        name, _, bits, _, _, _, since, forms = [cell.strip(" `") for cell in line.strip("|").split("|")]
        number = re.search(r"\bOXM (\d+)", forms)
        if number:
            # Fields of 20 bits stand in 32.
            size = 4 if bits == "20" else (int(bits) + 7) // 8
            out[name] = int(number[1]), size, int(since.split(".")[1])
    return out


# Where in a message of 1.5 the first fields can stand; before there are cookies.
HEADS = {10: 24, 11: 24, 13: 16, 14: 48}


def head(message):
    """Bytes of a message's fixed part, with that of one inside."""
    inside = {32: 8, 34: 16}.get(message[1])
    return inside + head(message[inside:]) if inside and len(message) > inside else HEADS.get(message[1], 8)


def readable(message, recorded):
    """A message of 1.5 with headers of the class FREE instead of BASIC."""
    lengths = {number: size for number, size, _ in fields().values()}
    data = bytearray(message)
    # os-ken's recorded table features have ids without a length.
    lists_ids = recorded and message[1] in (18, 19) and message[8:10] == b"\0\x0c"
    for i in range(head(message), len(data) - 3):
        if data[i] == BASIC >> 8 and data[i + 1] == 0:
            size = lengths.get(data[i + 2] >> 1)
            # An id's length isn't doubled for a mask.
            if size and data[i + 3] in (size, size * (1 + data[i + 2] % 2)) + (0,) * lists_ids:
                data[i : i + 2] = FREE.to_bytes(2, "big")
    return bytes(data)


def twin(message, meaning):
    """A flow-mod of 1.4 that matches the fields of a message of 1.5, or None where it has none of 1.4's."""
    tlvs = []
    for name, value, mask in meaning["fields"] if meaning else []:
        number, size, since = fields().get(name, (0, 0, 9))
        if since > 4:
            continue
        values = [int(n).to_bytes(size, "big") for n in (value, mask) if n]
        tlv = struct.pack("!HBB", BASIC, number << 1 | (len(values) - 1), size * len(values)) + b"".join(values)
        # The model's field as the bytes say it.
        if tlv in message:
            tlvs.append(tlv)
    if not tlvs:
        return None
    match = struct.pack("!HH", 1, 4 + sum(map(len, tlvs))) + b"".join(tlvs)
    match += bytes(-len(match) % 8)
    body = struct.pack("!QQBBHHHIIIHH", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + match
    return struct.pack("!BBHI", 5, 14, 8 + len(body), 0x77) + body


def packet(i, data):
    source = bytes([10, i >> 16 & 255, i >> 8 & 255, i & 255])
    tcp = struct.pack("!HHIIBBHHH", 40000, 6653, 1, 1, 5 << 4, 0x18, 0xFFFF, 0, 0)
    length = 40 + len(data)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, source, bytes([11, 0, 0, 1])) + tcp + data


def judge(messages):
    """For each (bytes, meaning): None where it agrees, False where it doesn't dissect the version."""
    shown, twins = [], []
    for i, (message, meaning) in enumerate(messages):
        shown.append(readable(message, meaning is None) if message[0] == 6 else message)
        if message[0] == 6 and (other := twin(message, meaning)):
            twins.append((i, other))
    lines = dissect(shown + [other for _, other in twins])
    verdicts = [
        verdict(message, meaning, line.split("\t")) for message, (_, meaning), line in zip(shown, messages, lines)
    ]
    for (i, other), line in zip(twins, lines[len(shown) :], strict=True):
        theirs = verdict(other, {"fields": messages[i][1]["fields"], "numbers": {}}, line.split("\t"), ("field",))
        if theirs and not verdicts[i]:
            verdicts[i] = f"as 1.4: {theirs}"
    stopped = [i for i, v in enumerate(verdicts) if v == "malformed"]
    for i, place in zip(stopped, places([shown[i] for i in stopped]), strict=True):
        verdicts[i] = f"malformed after {place}"
    return verdicts


def places(messages):
    """The last field that it shows of each, without the first part of its name."""
    if not messages:
        return []
    packets = run(messages, ["-T", "pdml"]).split("<packet>")[1:]
    shown = [re.findall(r'name="openflow[a-z0-9_]*\.([a-z0-9_.]+)"', packet) for packet in packets]
    return [names[-1] if names else "nothing" for names in shown]


def run(messages, options):
    """What it prints of them."""
    with tempfile.TemporaryDirectory() as directory:
        capture = pathlib.Path(directory, "messages.pcap")
        with capture.open("wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKTYPE_RAW))
            for i, message in enumerate(messages):
                data = packet(i, message)
                file.write(struct.pack("=IIII", i, 0, len(data), len(data)) + data)
        # Frames inside packet-ins are arbitrary: nothing is to be said of them.
        command = ["tshark", "-r", str(capture), "-n", "--disable-protocol", "eth", "-d", "tcp.port==6653,openflow"]
        done = subprocess.run(command + options, capture_output=True, text=True, errors="replace", timeout=300)
    if done.returncode:
        raise RuntimeError(f"tshark: exit {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def dissect(messages):
    """A line of columns for each message."""
    options = ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    for column, _ in columns():
        options += ["-e", column]
    lines = run(messages, options).splitlines()
    if len(lines) != len(messages):
        raise RuntimeError(f"tshark: {len(lines)} lines for {len(messages)} messages")
    return lines


def number(text):
    """A number, an address or an amount with its name behind it."""
    text = text.split(" ")[0]
    if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
        return int(text.replace(":", ""), 16)
    if ":" in text or text.count(".") == 3:
        return int(ipaddress.ip_address(text))
    return int(text, 0)


# The model's other names: of a meter's flows, which it calls as 1.5 does; of a queue's rate; of statistics
# in a list.
ALSO = {
    "flow_count": ["ref_count", "FlowCount"],
    "packet_count": ["PacketCount"],
    "byte_count": ["ByteCount"],
    "rate": ["MinRate", "MaxRate"],
}


def known(numbers, name):
    """All the model's numbers of that name or type."""
    return [n for name in (name, *ALSO.get(name, [])) for n in numbers.get(name, [])]


def verdict(message, meaning, cells, names=None):
    """As `judge`, of the numbers with these names alone, if there are some."""
    version, ty, length, xid = struct.unpack("!BBHI", message[:8])
    if version not in PREFIXES:
        return False
    malformed, severities, experts = cells[1:4]
    # Of what it doesn't know it says so, as a warning in 1.0.
    if not malformed and all(UNKNOWN.search(e) for e in experts.split(";")):
        severities = ""
    header, shown = [], collections.defaultdict(collections.Counter)
    for (_, what), cell in zip(columns()[4:], cells[4:]):
        if what[0] != version:
            continue
        if what[1] == "header":
            # A message inside another has a second of each.
            header.append(number(cell.split(";")[0] or "-1"))
        elif cell:
            shown[what[1]].update(map(number, cell.split(";")))
    if tuple(header) != (version, ty, length, xid):
        return f"header {header}"
    difference = differs(version, meaning, shown, names) if meaning else None
    if difference:
        return difference
    if malformed:
        return "malformed"
    if severities and max(int(s) for s in severities.split(";")) >= WARNING:
        return f"expert {experts}"
    return None


def differs(version, meaning, shown, names):
    """The numbers that it shows and that aren't the model's."""
    out = []
    values = collections.Counter(int(value) for _, value, _ in meaning["fields"])
    vids = {int(value) & 0xFFF for name, value, _ in meaning["fields"] if name == "vlan_vid"}
    for name, theirs in sorted(shown.items()):
        if names and name not in names:
            continue
        ours = values if name == "field" else collections.Counter(known(meaning["numbers"], name))
        for n in theirs:
            wide = n + 0xFFFF0000 if version == 1 and name == "PortNo" and n >= 0xFF00 else n
            if ours[wide] < 1 and not (name == "field" and n in vids):
                out.append(f"{name} {n}")
    return ", ".join(out)

"""What tshark says of messages, each sent over a TCP connection of its own in one capture.

Compared: version, type, length and xid of every message; nothing malformed and no warning; of 1.0 and
1.3 to 1.5, every number that it shows under one of the names in `NAMES` and every value of a match field
or set-field, which must be one of the model's.
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


def packet(i, data):
    source = bytes([10, i >> 16 & 255, i >> 8 & 255, i & 255])
    tcp = struct.pack("!HHIIBBHHH", 40000, 6653, 1, 1, 5 << 4, 0x18, 0xFFFF, 0, 0)
    length = 40 + len(data)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, source, bytes([11, 0, 0, 1])) + tcp + data


def judge(messages):
    """For each (bytes, meaning): None where it agrees, False where it doesn't dissect the version."""
    with tempfile.TemporaryDirectory() as directory:
        capture = pathlib.Path(directory, "messages.pcap")
        with capture.open("wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKTYPE_RAW))
            for i, (message, _) in enumerate(messages):
                data = packet(i, message)
                file.write(struct.pack("=IIII", i, 0, len(data), len(data)) + data)
        # Frames inside packet-ins are arbitrary: nothing is to be said of them.
        command = ["tshark", "-r", str(capture), "-n", "--disable-protocol", "eth", "-d", "tcp.port==6653,openflow"]
        command += ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
        for column, _ in columns():
            command += ["-e", column]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300)
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != len(messages):
        raise RuntimeError(f"tshark: {len(lines)} lines for {len(messages)} messages: {done.stderr[-500:]}")
    return [verdict(message, meaning, line.split("\t")) for (message, meaning), line in zip(messages, lines)]


def number(text):
    """A number, an address or an amount with its name behind it."""
    text = text.split(" ")[0]
    if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
        return int(text.replace(":", ""), 16)
    if ":" in text or text.count(".") == 3:
        return int(ipaddress.ip_address(text))
    return int(text, 0)


# The model's other names: of a meter's flows, which it calls as 1.5 does; of a queue's rate.
ALSO = {"flow_count": ["ref_count"], "rate": ["MinRate", "MaxRate"]}


def known(numbers, name):
    """All the model's numbers of that name or type."""
    return [n for name in (name, *ALSO.get(name, [])) for n in numbers.get(name, [])]


def verdict(message, meaning, cells):
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
    if malformed:
        return f"malformed {experts}"
    if tuple(header) != (version, ty, length, xid):
        return f"header {header}"
    if severities and max(int(s) for s in severities.split(";")) >= WARNING:
        return f"expert {experts}"
    if meaning is None:
        return None
    fields = collections.Counter(int(value) for _, value, _ in meaning["fields"])
    vids = {int(value) & 0xFFF for name, value, _ in meaning["fields"] if name == "vlan_vid"}
    for name, theirs in sorted(shown.items()):
        ours = fields if name == "field" else collections.Counter(known(meaning["numbers"], name))
        for n in theirs:
            wide = n + 0xFFFF0000 if version == 1 and name == "PortNo" and n >= 0xFF00 else n
            if ours[wide] < 1 and not (name == "field" and n in vids):
                return f"{name} {n}"
    return None

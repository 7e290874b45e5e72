"""Shows messages of this project to Open vSwitch, os-ken and tshark, and compares what they mean there.

The messages are those of `oracle_messages` (recorded ones and flows, each in every version that can say
it) and of `generated_messages` (from the property tests' generators, all versions and kinds).

- `ovs-ofctl ofp-parse`, all versions: reads each message as the type, version and xid that it is. Flow-mods
  (also inside bundles and Nicira's), flow statistics, groups, meters, packet-outs' actions and
  flow-removeds' matches are printed as this project's own printer prints them, word by word.
- os-ken, all versions but 1.1: where it has a parser for the type, reads the message; what a controller
  sends it writes again as the same bytes. Of generated messages, the numbers and match fields that it
  names as the specification does are the model's.
- tshark, 1.0 and 1.3-1.5: see `tshark.py`.

What these tools don't know, or take differently, is in `known.tsv`, each with its reason; an entry that
no message needs is an error too (unless it begins with "rare", or seed or count are other than usual). Before anything is judged,
damaged messages are shown to each: a judge that sees nothing wrong with them ends the run.
"""

import argparse
import collections
import importlib
import json
import logging
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

import tshark

HERE = pathlib.Path(__file__).parent
XID = 0x77

# After each message stands an echo request with an xid of its own, by which the output is cut.
SEPARATOR = re.compile(r"^OFPT_ECHO_REQUEST \(xid=0xfeed[0-9a-f]{4}\): 0 bytes of payload\n", re.M)


def ovs(hexadecimals):
    """What ovs-ofctl prints of each message, in one call."""
    with tempfile.NamedTemporaryFile() as file:
        for i, hexadecimal in enumerate(hexadecimals):
            file.write(bytes.fromhex(hexadecimal) + struct.pack("!BBHI", 1, 2, 8, 0xFEED0000 + i))
        file.flush()
        command = ["ovs-ofctl", "ofp-parse", file.name]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    texts = SEPARATOR.split(done.stdout)
    if len(texts) == len(hexadecimals) + 1:
        return texts[:-1]
    if len(hexadecimals) == 1:
        return [f"exit {done.returncode} {done.stderr.strip()}"]
    # It died of one of them.
    middle = len(hexadecimals) // 2
    return ovs(hexadecimals[:middle]) + ovs(hexadecimals[middle:])


TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128, "ns": 256}


def registers(token):
    """Open vSwitch prints what it matches of the wide registers in the narrow ones."""
    parts = re.fullmatch(r"(xx?)reg(\d+)=(0x[0-9a-f]+|\d+)(?:/(0x[0-9a-f]+|\d+))?", token)
    if not parts:
        return [token]
    count = 4 if parts[1] == "xx" else 2
    v, m = int(parts[3], 0), int(parts[4], 0) if parts[4] else (1 << 32 * count) - 1
    out = []
    for i in range(count):
        shift = 32 * (count - 1 - i)
        value, mask = v >> shift & 0xFFFFFFFF, m >> shift & 0xFFFFFFFF
        if mask:
            out.append(f"reg{int(parts[2]) * count + i}={value}" + ("" if mask == 0xFFFFFFFF else f"/{mask}"))
    return out


def flags(text):
    """TCP flags by name as a number, under a mask if they have signs."""
    if text[0] not in "+-":
        names = [name.strip("[]") for name in text.split("|")]
        return f"tcp_flags={sum(TCP_FLAGS.get(name) or int(name, 16) for name in names)}"
    signs = re.findall(r"([+-])\[?(\w+)\]?", text)
    bits = [(sign, TCP_FLAGS.get(name) or int(name, 16)) for sign, name in signs]
    value, mask = sum(b for s, b in bits if s == "+"), sum(b for _, b in bits)
    return f"tcp_flags={value}" + ("" if mask == 0xFFF else f"/{mask}")


CT_STATES = {"new": 1, "est": 2, "rel": 4, "rpl": 8, "inv": 16, "trk": 32, "snat": 64, "dnat": 128}


def states(text):
    """Connection states by name as a number under a mask; without signs, under that of all."""
    signs = re.findall(r"([+-]?)(\w+)", text)
    value = sum(CT_STATES[name] for sign, name in signs if sign != "-" and name in CT_STATES)
    mask = sum(CT_STATES[name] for _, name in signs) if signs[0][0] else 0xFF
    return f"ct_state={value}/{mask}"


def plain(token):
    """Numbers in tens, whatever they are printed in."""
    parts = re.fullmatch(r"(\w+)=(0x[0-9a-f]+|\d+)(?:/(0x[0-9a-f]+|\d+))?", token)
    if not parts:
        return token
    return f"{parts[1]}={int(parts[2], 0)}" + (f"/{int(parts[3], 0)}" if parts[3] else "")


def normal(flow):
    """A flow as a list in which the two printers' ways with blanks, defaults and names don't matter."""
    flow = re.sub(r"\s+", " ", flow.strip().lower())
    flow_deletes = flow.startswith("del")
    deletes = flow.startswith(("del", "remove", "insert"))
    flow = re.sub(r"^(add|mod(ify)?(_strict)?|del(ete)?(_strict)?|(insert|remove)_bucket)\b:? ?", "", flow)
    flow = re.sub(r"\b(table|cookie|importance|out_port|out_group):", r"\1=", flow)
    flow = re.sub(r"\b(idle|hard):(?=\d)", r"\1_timeout=", flow)
    flow = re.sub(r"\bbuf:(0x[0-9a-f]+)", lambda m: f"buffer_id={int(m[1], 16)}", flow)
    flow = re.sub(r"tcp_flags=([-+a-z\[][^ ,]*)", lambda m: flags(m[1]), flow)
    flow = re.sub(r"command_bucket_id:", "command_bucket_id=", flow)
    flow = re.sub(r"ct_state=([-+a-z][-+a-z|]*)", lambda m: states(m[1]), flow)
    flow = re.sub(r"(duration=\d+\.\d+?)0*s", r"\1s", flow)
    flow = re.sub(r"controller\(max_len=(\d+)\)", r"controller:\1", flow).replace("controller()", "controller:65535")
    # A tag control word that is matched in full, by its parts.
    tag = lambda m: f"dl_vlan={int(m[1], 0) & 0xFFF},dl_vlan_pcp={int(m[1], 0) >> 13}"  # noqa: E731
    flow = re.sub(r"vlan_tci=(0x1[0-9a-f]{3}|0x[3579bdf][0-9a-f]{3})(?![/0-9a-f])", tag, flow)
    masked = lambda m: f"set_field:{int(m[1], 0)}/{int(m[2], 0)}->"  # noqa: E731
    flow = re.sub(r"set_field:(0x[0-9a-f]+|\d+)/(0x[0-9a-f]+|\d+)->", masked, flow)
    flow = re.sub(r"(^|[ ,])nsh(?=[ ,]|$)", r"\1dl_type=0x894f", flow)
    flow = re.sub(r"set_field:(\d+)->nw_tos", r"mod_nw_tos:\1", flow)
    # One action by its name in 1.5 and Nicira's.
    flow = flow.replace("copy_field:", "move:")
    flow = flow.replace("vlan_tci=0x0000/0x1fff", "vlan_tci=0x0000")
    flow = re.sub(r"/0xffffffffffffffff(?![0-9a-f])", "", flow)
    # A select group's fields: Open vSwitch prints them in an order of its own, and some numbers otherwise.
    inside = lambda m: "fields(%s)" % ",".join(sorted(map(plain, m[1].split(","))))  # noqa: E731
    flow = re.sub(r"\bfields\(([^()]*)\)", inside, flow)
    # 1.1's actions on tags that must be there already go by either name.
    flow = re.sub(r"\bmod_vlan_(vid|pcp):", r"set_vlan_\1:", flow)
    # 1.1 has an action of its own for these, which the syntax can say in two ways.
    flow = re.sub(r"set_mpls_(label|tc)\((\d+)\)", r"set_field:\2->mpls_\1", flow)
    tokens = [t for token in re.split(r"[ ,]+(?![^()]*\))", flow) for t in registers(token)]
    pcp = next((int(t[12:]) for t in tokens if re.fullmatch(r"dl_vlan_pcp=\d", t)), None)
    if pcp is not None:
        # One of the two prints a masked tag with its priority in one.
        merge = lambda m: f"vlan_tci={int(m[1], 0) | pcp << 13}/{int(m[2], 0) | 0xE000}"  # noqa: E731
        merged = [re.sub(r"^vlan_tci=(\w+)/(\w+)$", merge, t) for t in tokens]
        if merged != tokens:
            tokens = [t for t in merged if not t.startswith("dl_vlan_pcp=")]
    # Open vSwitch says so where a packet was recirculated.
    if any(t.startswith("recirc_id=") for t in tokens):
        tokens = [t for t in tokens if t != "eth"]
    # It prints a Nicira delete's filter and, beside it, what would be the new cookie.
    if deletes and any(re.fullmatch(r"cookie=\w+/\w+", t) for t in tokens):
        tokens = [t for t in tokens if not re.fullmatch(r"cookie=\w+", t)]
    # It prints metadata of an NSH header only where it is matched to have some.
    if "nsh_mdtype=1" not in tokens:
        tokens = [t for t in tokens if not re.match(r"nsh_c[1-4]=", t)]
    usual = {"", "table=0", "priority=32768", "bands="} | ({"actions=drop"} if flow_deletes else set())
    # A delete's filter by group and its group's type are printed by one of the two.
    silent = ("out_group=", "type=") if deletes else ()
    return sorted(t for t in map(plain, tokens) if t not in usual and not t.startswith(silent))


def their_flows(name, text):
    """What of the print is in the flow syntax, cut as `generated_messages` cuts it."""
    first, *rest = [line.strip() for line in text.splitlines()]
    after = re.sub(r"^\w+ (\(OF1\.\d\) )?\(xid=0x77\): ?", "", first)
    if name == "OFPT_MULTIPART_REPLY":
        return [line for line in rest if "actions=" in line]
    if name == "OFPT_PACKET_OUT":
        return re.findall(r"actions=.*?(?= data_len=| buffer=|$)", after)[:1]
    if name == "OFPT_BUNDLE_ADD_MESSAGE":
        inner, text = rest[1:2], "\n".join(rest[1:])
        return their_flows(inner[0].split(" ")[0], text) if inner else []
    if name in ("OFPT_GROUP_MOD", "OFPT_METER_MOD"):
        return [" ".join([after, *rest]).replace("bands= ", "bands=")]
    if name == "OFPT_FLOW_REMOVED" or "NXT_FLOW_REMOVED" in first:
        return [re.sub(r" (reason=|duration|idle\d|hard\d)[^ ]*", "", after)]
    return [after]


def judge_ovs(version, name, text, flow):
    first = text.splitlines()[0] if text else ""
    if "decode error" in text or not re.match(r"(OFP|NX|ONF)[A-Z]*_", first):
        error = re.search(r"\*\*\*decode error: (\w+)", text)
        return "refused " + (error.group(1) if error else first[:60])
    kind = first.split(" ")[0].split("(")[0]
    multipart = name in ("OFPT_MULTIPART_REQUEST", "OFPT_MULTIPART_REPLY")
    if multipart and not re.match(r"(OFPST|NXST|ONFST)_", kind):
        return f"type {kind}"
    extension = re.match(r"(NXT|ONFT)_", kind) is not None
    if not multipart and not extension and kind != name:
        same = {"OFPT_GET_ASYNC_REQUEST", "OFPT_GET_ASYNC_REPLY", "OFPT_QUEUE_GET_CONFIG_REQUEST"}
        if name not in same or not kind.startswith("OFPT_"):
            return f"type {kind}"
    header = f" (OF{version}) (xid={XID:#x})" if version != "1.0" else f" (xid={XID:#x})"
    if header not in first and f" (OF{version}) {header[1:]}" not in first:
        return f"header {first[:60]}"
    if flow:
        theirs, ours = their_flows(name, text), flow.split(" ;; ")
        if len(theirs) != len(ours):
            return f"flows {len(theirs)} | {len(ours)}"
        for a, b in zip(map(normal, theirs), map(normal, ours)):
            if a != b:
                apart = [t for t in a if t not in b], [t for t in b if t not in a]
                return f"flow {' '.join(apart[0])} | {' '.join(apart[1])}"
    return None


def hang(_signal, _frame):
    raise TimeoutError("reads for ever")


class Datapath:
    def __init__(self, version):
        self.ofproto = importlib.import_module(f"os_ken.ofproto.ofproto_v1_{version}")
        self.ofproto_parser = importlib.import_module(f"os_ken.ofproto.ofproto_v1_{version}_parser")
        self.id = 1

    def set_xid(self, message):
        message.set_xid(XID)


DATAPATHS = {}

# os-ken's name of a number, and the model's name or type.
NAMES = {k: v for k, v in tshark.NAMES.items() if k not in ("match_count", "miss_send_len", "port")} | {
    "matched_count": "matched_count",
    "tx_packets": "tx_packets",
    "rx_bytes": "rx_bytes",
    "tx_dropped": "tx_dropped",
    "collisions": "collisions",
    "packet_in_count": "packet_in_count",
    "curr_speed": "curr_speed",
    "max_speed": "max_speed",
    "weight": "weight",
    "importance": "importance",
    "datapath_id": "Dpid",
    "bundle_id": "BundleId",
}


def value(json_value):
    """A number, or text of an address."""
    return json_value if isinstance(json_value, int) else tshark.number(json_value)


def compare(tree, meaning, version):
    """The first number or field of os-ken's description that isn't the model's."""
    fields = {(name, int(v), int(m) if m else None) for name, v, m in meaning["fields"]}
    numbers = meaning["numbers"]
    if isinstance(tree, list):
        return next(filter(None, (compare(t, meaning, version) for t in tree)), None)
    if not isinstance(tree, dict):
        return None
    for key, inner in tree.items():
        if key == "OXMTlv":
            name = inner["field"].removesuffix("_nxm").replace("tun_ipv4_", "tun_")
            if not name.startswith(("field_", "_")) and any(f[0] == name for f in fields):
                mask = None if inner["mask"] is None else value(inner["mask"])
                if (name, value(inner["value"]), mask) not in fields:
                    return f"field {name} {inner['value']} {inner['mask']}"
            continue
        # What Nicira's structures and a bucket's counters call by these names is other things.
        if key.startswith("NX") or key in ("OFPMatch", "OFPBucketCounter"):
            continue
        if isinstance(inner, int) and key in NAMES:
            ours = tshark.known(numbers, NAMES[key])
            wide = inner + 0xFFFF0000 if version == 0 and NAMES[key] == "PortNo" and inner >= 0xFF00 else inner
            if ours and wide not in ours:
                return f"number {key} {inner}"
        difference = compare(inner, meaning, version)
        if difference:
            return difference
    return None


def judge_osken(version, hexadecimal, meaning):
    """None: agrees; False: os-ken has no parser for it."""
    minor = int(version.split(".")[1])
    if minor == 1:
        return False
    data = bytes.fromhex(hexadecimal)
    if minor not in DATAPATHS:
        DATAPATHS[minor] = Datapath(minor)
    datapath = DATAPATHS[minor]
    v, ty, length, xid = struct.unpack("!BBHI", data[:8])
    parser = datapath.ofproto_parser._MSG_PARSERS.get(ty)
    if parser is None:
        return False
    try:
        # It reads a list of instructions, actions or buckets for ever at an entry whose length is 0. Only
        # damaged messages have one; nothing in known.tsv excuses it.
        signal.setitimer(signal.ITIMER_REAL, 2)
        message = parser(datapath, v, ty, length, xid, data)
        difference = compare(message.to_jsondict(), meaning, minor) if meaning else None
        if difference:
            return difference
        # What only a switch sends can only be read.
        if "_serialize_body" not in type(message).__dict__:
            return None
        message.buf = None
        message.serialize()
    except Exception as error:  # whatever a library raises is its verdict
        return f"{type(error).__name__} {str(error)[:60]}".replace("\n", " ")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if bytes(message.buf) == data:
        return None
    return "differs with Nicira's actions" if "00002320" in hexadecimal else "differs"


def judge(rows):
    """What each tool says of each (version, name, hexadecimal, flow, words, meaning, source)."""
    texts = []
    for start in range(0, len(rows), 1000):
        texts += ovs([r[2] for r in rows[start : start + 1000]])
    shown = tshark.judge([(bytes.fromhex(r[2]), r[5]) for r in rows])
    return [
        {
            "ovs": judge_ovs(r[0], r[1], text, r[3]),
            "os-ken": judge_osken(r[0], r[2], r[5]),
            "tshark": shark,
        }
        for r, text, shark in zip(rows, texts, shown, strict=True)
    ]


def blind(rows):
    """Damages flow-mods that a judge agrees on; says which judge didn't see what."""
    sound = [r for v in ("1.0", "1.3", "1.4", "1.5") for r in [r for r in rows if r[:2] == (v, "OFPT_FLOW_MOD")][:100]]
    verdicts = judge(sound)
    out = []
    for version in ("1.0", "1.3", "1.4", "1.5"):
        for tool in ("ovs", "os-ken", "tshark"):
            row = next((r for r, v in zip(sound, verdicts) if r[0] == version and v[tool] is None), None)
            if row is None:
                out.append(f"{tool} agrees on no flow-mod of {version}")
                continue
            old = version == "1.0"
            damages = [("priority", 63 if old else 31, 1), ("cookie", 55 if old else 15, 1), ("length", 2, 1)]
            if not old:
                damages.append(("match length", 50, 0xFF))
            for name, place, bits in damages:
                data = bytearray.fromhex(row[2])
                data[place] ^= bits
                (verdict,) = judge([(*row[:2], data.hex(), *row[3:])])
                if not verdict[tool]:
                    out.append(f"{tool} sees no other {name} in {version}")
    return out


def read(path, source):
    for line in path.read_text().splitlines():
        version, name, hexadecimal, flow, *more = line.split("\t")
        words, meaning = (more[0], json.loads(more[1])) if more else ("", None)
        yield version, name, hexadecimal, flow, words, meaning, source


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recorded", type=pathlib.Path)
    arguments.add_argument("generated", type=pathlib.Path)
    arguments.add_argument("--list", action="store_true", help="print every disagreement, known or not")
    arguments.add_argument("--unusual", action="store_true", help="entries of known.tsv for generated ones may be needless")
    options = arguments.parse_args()
    signal.signal(signal.SIGALRM, hang)
    # os-ken prints what it can't read of a message inside another.
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    rows = [*read(options.recorded, "recorded"), *read(options.generated, "generated")]
    for problem in (problems := blind([r for r in rows if r[6] == "generated"])):
        print(f"a judge is blind: {problem}", file=sys.stderr)
    if problems:
        return 2
    known = []
    for line in (HERE / "known.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            source, tool, version, name, verdict, words, why = line.split("\t")
            known.append([source, tool, *map(re.compile, (version, name, verdict, words)), why, 0])
    agreed, excused, unjudged = collections.Counter(), collections.Counter(), collections.Counter()
    wrong = []
    for row, verdicts in zip(rows, judge(rows), strict=True):
        version, name, hexadecimal, _, words, _, source = row
        for tool, verdict in verdicts.items():
            if verdict is False:
                unjudged[tool, version] += 1
                continue
            if verdict is None:
                agreed[tool, version] += 1
                continue
            if options.list:
                print(f"{source}\t{tool}\t{version}\t{name}\t{verdict}\t{words}\t{hexadecimal}")
            for k in known:
                if (
                    k[:2] == [source, tool]
                    and k[2].fullmatch(version)
                    and k[3].fullmatch(name)
                    and k[4].match(verdict)
                    and k[5].search(words)
                ):
                    k[7] += 1
                    excused[tool, version] += 1
                    break
            else:
                wrong.append(f"{source} {tool} {version} {name}: {verdict}\n    {words}\n    {hexadecimal}")
    print(f"{len(rows)} messages, {sum(r[6] == 'generated' for r in rows)} of them generated, {time.monotonic() - began:.0f} s")
    for tool, version in sorted(agreed | excused | unjudged):
        at = tool, version
        print(f"  {tool:7}{version}: agrees on {agreed[at]}, known differences {excused[at]}, not known to it {unjudged[at]}")
    unneeded = [
        "known.tsv: nothing needs " + " ".join([k[0], k[1], *(p.pattern for p in k[2:6])])
        for k in known
        if not k[7] and not (k[0] == "generated" and (options.unusual or k[6].startswith("rare: ")))
    ]
    for line in wrong + unneeded:
        print(line, file=sys.stderr)
    if wrong or unneeded:
        print(f"{len(wrong)} disagreements, {len(unneeded)} needless entries", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

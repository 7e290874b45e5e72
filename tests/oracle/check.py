"""Shows the messages that `oracle_messages` writes to Open vSwitch and os-ken.

`ovs-ofctl ofp-print` must read each message as the type it is, and print a flow-mod as this project's
own printer does. Where os-ken has a parser for the type, it must read the message and write it again
as the same bytes. What these tools don't know, or take differently, is in `known.tsv`, each with its
reason; an entry that no message needs any more is an error too.
"""

import argparse
import collections
import concurrent.futures
import importlib
import pathlib
import re
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def ovs(hexadecimal):
    done = subprocess.run(["ovs-ofctl", "ofp-print", hexadecimal], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def normal(flow):
    """A flow as a list in which the two printers' ways with blanks, defaults and names don't matter."""
    flow = re.sub(r"\s+", " ", flow.strip().lower())
    flow = re.sub(r"^(add|mod(ify)?(_strict)?|del(ete)?(_strict)?)\b:? ?", "", flow)
    flow = re.sub(r"\b(table|cookie|importance|out_port|out_group):", r"\1=", flow)
    flow = re.sub(r"\b(idle|hard):(?=\d)", r"\1_timeout=", flow)
    flow = re.sub(r"\bbuf:(0x[0-9a-f]+)", lambda m: f"buffer_id={int(m[1], 16)}", flow)
    flow = flow.replace("vlan_tci=0x0000/0x1fff", "vlan_tci=0x0000").replace("/0xffffffffffffffff", "")
    # 1.1's actions on tags that must be there already go by either name.
    flow = re.sub(r"\bmod_vlan_(vid|pcp):", r"set_vlan_\1:", flow)
    # 1.1 has an action of its own for these, which the syntax can say in two ways.
    flow = re.sub(r"set_mpls_(label|tc)\((\d+)\)", r"set_field:\2->mpls_\1", flow)
    return sorted(t for t in re.split(r"[ ,]+(?![^()]*\))", flow) if t not in ("", "table=0", "priority=32768"))


def judge_ovs(name, hexadecimal, flow):
    text = ovs(hexadecimal)
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
    if flow:
        theirs = first.split("): ", 1)[-1]
        if normal(theirs) != normal(flow):
            return f"flow {' '.join(normal(theirs))} | {' '.join(normal(flow))}"
    return None


class Datapath:
    def __init__(self, version):
        self.ofproto = importlib.import_module(f"os_ken.ofproto.ofproto_v1_{version}")
        self.ofproto_parser = importlib.import_module(f"os_ken.ofproto.ofproto_v1_{version}_parser")
        self.id = 1

    def set_xid(self, message):
        message.set_xid(0x77)


def judge_osken(datapaths, version, hexadecimal):
    """None: agrees; False: os-ken has no parser for it."""
    minor = int(version.split(".")[1])
    if minor == 1:
        return False
    data = bytes.fromhex(hexadecimal)
    if minor not in datapaths:
        datapaths[minor] = Datapath(minor)
    datapath = datapaths[minor]
    v, ty, length, xid = struct.unpack("!BBHI", data[:8])
    parser = datapath.ofproto_parser._MSG_PARSERS.get(ty)
    if parser is None:
        return False
    try:
        message = parser(datapath, v, ty, length, xid, data)
        # What only a switch sends can only be read.
        if "_serialize_body" not in type(message).__dict__:
            return None
        message.buf = None
        message.serialize()
    except Exception as error:  # whatever a library raises is its verdict
        return f"{type(error).__name__} {str(error)[:60]}".replace("\n", " ")
    if bytes(message.buf) == data:
        return None
    return "differs with Nicira's actions" if "00002320" in hexadecimal else "differs"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("messages", type=pathlib.Path)
    arguments.add_argument("--list", action="store_true", help="print every disagreement, known or not")
    options = arguments.parse_args()
    rows = [line.split("\t") for line in options.messages.read_text().splitlines()]
    known = []
    for line in (HERE / "known.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            tool, version, name, verdict, why = line.split("\t")
            known.append([tool, re.compile(version), re.compile(name), re.compile(verdict), why, 0])
    agreed, excused, wrong = collections.Counter(), collections.Counter(), []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        theirs = list(pool.map(lambda r: judge_ovs(r[1], r[2], r[3]), rows))
    datapaths = {}
    for row, verdict in zip(rows, theirs):
        version, name, hexadecimal, _ = row
        for tool, verdict in (("ovs", verdict), ("os-ken", judge_osken(datapaths, version, hexadecimal))):
            if verdict is False:
                continue
            if verdict is None:
                agreed[tool, version] += 1
                continue
            hits = [
                k for k in known
                if k[0] == tool and k[1].fullmatch(version) and k[2].fullmatch(name) and k[3].match(verdict)
            ]
            if options.list:
                print(f"{tool}\t{version}\t{name}\t{verdict}\t{hexadecimal}")
            if hits:
                hits[0][5] += 1
                excused[tool] += 1
            else:
                wrong.append(f"{tool} {version} {name}: {verdict}\n    {hexadecimal}")
    print(f"{len(rows)} messages")
    for (tool, version), n in sorted(agreed.items()):
        print(f"  {tool:7}{version}: agrees on {n}")
    for tool, n in sorted(excused.items()):
        print(f"  {tool:7}known differences: {n}")
    unneeded = [f"known.tsv: nothing needs {k[0]} {k[1].pattern} {k[2].pattern} {k[3].pattern}" for k in known if not k[5]]
    for line in wrong + unneeded:
        print(line, file=sys.stderr)
    if wrong or unneeded:
        print(f"{len(wrong)} disagreements, {len(unneeded)} needless entries", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

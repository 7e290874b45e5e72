"""1.5's stat-trigger: real packets pass a threshold, os-ken's codec reads what the controller is told."""

import socket
import struct

from lab import Switch
from os_ken.ofproto import ofproto_protocol, ofproto_v1_5 as of, ofproto_v1_5_parser as parser


class Controller:
    """A controller of OpenFlow 1.5 made of os-ken's messages."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(15)
        self.socket.connect(path)
        self.stream = self.socket.makefile('rb')
        self.datapath = ofproto_protocol.ProtocolDesc(version=of.OFP_VERSION)
        self.send(parser.OFPHello(self.datapath))
        assert self.read().msg_type == of.OFPT_HELLO

    def send(self, message):
        message.serialize()
        self.socket.sendall(bytes(message.buf))

    def read(self):
        """The next message, echo requests answered."""
        while True:
            head = self.stream.read(8)
            version, kind, length, xid = struct.unpack('!BBHI', head)
            body = head + self.stream.read(length - 8)
            if kind == of.OFPT_ECHO_REQUEST:
                self.socket.sendall(struct.pack('!BBHI', version, of.OFPT_ECHO_REPLY, length, xid) + body[8:])
                continue
            return parser.msg_parser(self.datapath, version, kind, length, xid, body)

    def barrier(self):
        self.send(parser.OFPBarrierRequest(self.datapath))
        answer = self.read()
        assert answer.msg_type == of.OFPT_BARRIER_REPLY, answer


def test_packets_that_pass_a_threshold_are_told(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    hosts[0].run('ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent')
    hosts[1].run('ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent')
    c = Controller(switch.of_socket)
    # A visitor becomes a controller by it.
    c.send(parser.OFPSetConfig(c.datapath, of.OFPC_FRAG_NORMAL, 128))
    for (port, out, instructions) in [
        (1, 2, [parser.OFPInstructionStatTrigger(of.OFPSTF_PERIODIC, parser.OFPStats(packet_count=10))]),
        (2, 1, []),
    ]:
        actions = [parser.OFPActionOutput(out)]
        c.send(parser.OFPFlowMod(
            c.datapath, priority=40 + port, match=parser.OFPMatch(in_port=port, eth_type=0x0800),
            instructions=[parser.OFPInstructionActions(of.OFPIT_APPLY_ACTIONS, actions), *instructions]))
    c.barrier()
    assert hosts[0].ping(hosts[1], 9) == 9
    # Nine don't reach it: the next message is the barrier's reply, not statistics.
    c.barrier()
    for sent in (1, 10):
        assert hosts[0].ping(hosts[1], sent) == sent
        told = c.read()
        assert told.msg_type == of.OFPT_MULTIPART_REPLY and told.type == of.OFPMP_FLOW_STATS, told
        entry, = told.body
        assert (entry.reason, entry.table_id, entry.priority) == (of.OFPFSR_STAT_TRIGGER, 0, 41)
        assert entry.match['in_port'] == 1
        # Packets that came after the tenth and before the counters were looked at are in it.
        assert entry.stats['packet_count'] == (10 if sent == 1 else 20)
        assert entry.stats['byte_count'] == 98 * entry.stats['packet_count']
    # Without the trigger's messages nothing is told.
    c.send(parser.OFPSetAsync(c.datapath, [
        parser.OFPAsyncConfigPropReasons(of.OFPACPT_FLOW_STATS_MASTER, mask=0)]))
    c.barrier()
    assert hosts[0].ping(hosts[1], 10) == 10
    c.barrier()

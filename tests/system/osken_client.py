"""A controller's connection with os-ken's messages, any version from 1.3 on, without os-ken's application framework."""

import itertools
import select
import socket
import struct
import time

from os_ken.ofproto import (ofproto_parser, ofproto_protocol, ofproto_v1_3, ofproto_v1_3_parser, ofproto_v1_4,
                            ofproto_v1_4_parser, ofproto_v1_5, ofproto_v1_5_parser)

VERSIONS = {'1.3': (ofproto_v1_3, ofproto_v1_3_parser), '1.4': (ofproto_v1_4, ofproto_v1_4_parser),
            '1.5': (ofproto_v1_5, ofproto_v1_5_parser)}
PATIENCE = 60


class Refused(Exception):
    def __init__(self, kind, code):
        super().__init__('type %d code %d' % (kind, code))
        self.error = (kind, code)


class Client:
    """Requests one by one over a unix socket; `ofp` and `parser` are the version's modules of os-ken."""

    def __init__(self, path, version):
        self.ofp, self.parser = VERSIONS[version]
        self.dp = ofproto_protocol.ProtocolDesc(version=self.ofp.OFP_VERSION)
        self.xids = itertools.count(1)
        self.buffer = b''
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        wire = self.ofp.OFP_VERSION
        self.socket.sendall(struct.pack('!BBHIHHI', wire, 0, 16, 0, 1, 8, 1 << wire))
        assert self.next()[1] == 0, 'a hello comes first'

    def next(self):
        """The next message's version, type, xid and bytes; answers echo requests itself."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if len(self.buffer) >= 8:
                version, kind, length, xid = struct.unpack_from('!BBHI', self.buffer)
                if len(self.buffer) >= length:
                    data, self.buffer = self.buffer[:length], self.buffer[length:]
                    if kind != self.ofp.OFPT_ECHO_REQUEST:
                        return version, kind, xid, data
                    self.socket.sendall(data[:1] + bytes([self.ofp.OFPT_ECHO_REPLY]) + data[2:])
                    continue
            assert select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0], 'no answer'
            more = self.socket.recv(1 << 16)
            assert more, 'the switch closed the connection'
            self.buffer += more

    def send(self, message):
        message.xid = None
        message.set_xid(next(self.xids))
        message.serialize()
        self.socket.sendall(bytes(message.buf))
        return message.xid

    def parts(self, message):
        """The answer's messages as bytes. Raises Refused for an error."""
        xid, parts = self.send(message), []
        while True:
            version, kind, of, data = self.next()
            if of != xid:
                continue
            if kind == self.ofp.OFPT_ERROR:
                m = ofproto_parser.msg(self.dp, version, kind, len(data), of, data)
                raise Refused(m.type, m.code)
            parts.append(data)
            if kind != self.ofp.OFPT_MULTIPART_REPLY or not data[11] & self.ofp.OFPMPF_REPLY_MORE:
                return parts

    def ask(self, message):
        """The answer, a multipart's parts joined in `.body`."""
        joined = None
        for data in self.parts(message):
            m = ofproto_parser.msg(self.dp, data[0], data[1], len(data), message.xid, data)
            if joined is None:
                joined = m
            else:
                joined.body += m.body
        return joined

    def error(self, message):
        """Sends what has no answer and a barrier; the error's type and code, or None."""
        xid, barrier, found = self.send(message), self.send(self.parser.OFPBarrierRequest(self.dp)), None
        while True:
            version, kind, of, data = self.next()
            if of == xid and kind == self.ofp.OFPT_ERROR:
                m = ofproto_parser.msg(self.dp, version, kind, len(data), of, data)
                found = (m.type, m.code)
            if of == barrier:
                return found

    def close(self):
        self.socket.close()

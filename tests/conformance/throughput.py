"""Throughput tests: packets offered by the clock, and where they got lost.

os-ken's tester offers packets to the switch under test and has a meter drop some. What reached the switch and what
left it is counted on its interfaces, t1 and t2, so that a packet lost elsewhere isn't held against it.
"""

import time


def wire():
    """Packets that came in by the target's port 1 and went out by port 2."""
    counts = {}
    with open('/proc/self/net/dev') as fh:
        for line in fh:
            name, _, rest = line.partition(':')
            counts[name.strip()] = rest.split()
    return [int(counts[name][at]) if name in counts else 0
            for name, at in (('t1', 1), ('t2', 9))]


class Throughput:
    """What was offered and delivered in the running test, if that measures throughput."""

    def __init__(self, spec, tester, hub):
        self.spec, self.tester, self.hub = spec, tester, hub
        self.offered = None

    def install(self):
        """Has the tester send and count in our way."""
        plain_send = self.tester.OfTester._continuous_packet_send
        plain_check = self.tester.OfTester._test_throughput_check

        def send_many(app, pkt):
            # The tester switch has just been given the flows that count.
            app.conf_ready = None
            self.hub.sleep(max(self.spec['settle'], 0.1))
            if self.spec['stock']:
                return plain_send(app, pkt)
            return self.send_paced(app, pkt[self.tester.KEY_PACKETS])

        def check(app, throughputs, start, end):
            span = end[0] - start[0]
            counted = sum(end[1][m][1] - start[1][m][1]
                          for m in end[1] if m in start[1])
            if self.offered:
                # Over the same time as the tester: packets from its first reading
                # to its last.
                rx, tx = (b - a for a, b in zip(self.offered.pop('wire'), wire()))
                self.offered.update(forwarded_pps=round(tx / span, 1),
                                    counted_pps=round(counted / span, 1))
            return plain_check(app, throughputs, start, end)

        self.tester.OfTester._continuous_packet_send = send_many
        if not self.spec['stock']:
            self.tester.OfTester._test_throughput_check = check

    def lost(self):
        """Where the last throughput test's packets got lost outside the target."""
        load = self.offered or {}
        if load.get('delivered_pps', 0) < 0.97 * load.get('nominal_pps', 0):
            return 'before the target'
        if load.get('counted_pps', 0) < 0.97 * load.get('forwarded_pps', 0):
            return 'behind the target'
        return None

    def told(self):
        """That, for the reason of a failure."""
        rates = ', '.join('%s %.0f' % (k[:-4], v) for k, v in self.offered.items() if k[-4:] == '_pps')
        return ' (lost %s: of %d packets/s %s)' % (self.lost(), self.offered['nominal_pps'], rates)

    def send_paced(self, app, what):
        """Offer the nominal rate by the clock.

        The tester's own generator sleeps 10 ms between bursts and adds the
        time the bursts take, so it offers less than the nominal rate; at
        10000 packets/s and up it can offer less than the meter lets through.
        After a delay this one catches up at no more than twice the rate.
        """
        tester = self.tester
        sw = app.tester_sw
        rate = what[tester.KEY_PKTPS]
        span = what[tester.KEY_DURATION_TIME]
        parser = sw.dp.ofproto_parser
        ofp = sw.dp.ofproto

        def message(data):
            msg = parser.OFPPacketOut(
                datapath=sw.dp, buffer_id=ofp.OFP_NO_BUFFER, data=data,
                in_port=ofp.OFPP_CONTROLLER,
                actions=[parser.OFPActionOutput(sw.tester_send_port)])
            msg.set_xid(0)
            msg.serialize()
            return bytes(msg.buf)

        fixed = None if what['randomize'] else message(what['packet_binary'])
        sent, late, last = 0, 0, 0.0
        before = wire()
        start = time.time()
        while True:
            now = time.time() - start
            if now >= span:
                break
            due = int(rate * now) - sent
            late = max(late, due)
            due = min(due, int(2 * rate * min(now - last, 0.02)) + 1)
            last = now
            for _ in range(due):
                if fixed is None:
                    data = eval('/'.join(what['packet_text']),
                                vars(tester))
                    data.serialize()
                    buf = message(bytes(data.data))
                else:
                    buf = fixed
                sw.dp.send(buf)
            sent += due
            self.hub.sleep(0.005)
        self.offered = {'nominal_pps': rate, 'most_behind': late,
                        'offered_pps': round(sent / span, 1)}
        self.offered['delivered_pps'] = round((wire()[0] - before[0]) / span, 1)
        self.offered['wire'] = before

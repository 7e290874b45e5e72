"""In-band control: a controller that only the switch's own ports lead to."""

import os
import socket

import pytest
from clients import connected
from lab import Switch, binary, inside, osken, ping_all, sh, stop, wait_for

# The waits below may take longer together than a test has otherwise.
pytestmark = pytest.mark.timeout(400)
IN_BAND = ['--in-band', '--local-port', '--fail-mode', 'secure', '--protocol', '1.3', '--inactivity-probe', '1']
APP = 'os_ken.app.simple_switch_13'


class Family:
    """How a switch reaches the controller on the first host: by IPv4 or by IPv6."""

    def __init__(self, name):
        self.four = name == 'ipv4'
        self.controller = ['--controller', 'tcp:10.0.0.1:6653' if self.four else 'tcp:[fd00::1]:6653']
        # Whoever listens on IPv6's address alone is reached by nothing else.
        self.listen = ['--ofp-listen-host', '10.0.0.1' if self.four else 'fd00::1']

    def address(self, switch, n):
        """Gives the switch an address of the controller's network, and sets its interface up."""
        ip = '10.0.0.%d/24' % n if self.four else 'fd00::%d/64' % n
        sh(['ip', '-n', switch.ns, 'addr', 'add', ip, 'dev', 'br0'])
        sh(['ip', '-n', switch.ns, 'link', 'set', 'br0', 'up'])


@pytest.fixture(params=['ipv4', 'ipv6'])
def family(request):
    return Family(request.param)


def probes(switch):
    """Probes sent over connections that dialled controllers have now."""
    return [c['counters']['probes_sent'] for c in switch.manage('connections')
            if c['purpose'] == 'controller' and c['state'] == 'active']


def test_a_controller_behind_a_data_port(lab, family):
    sw, hosts = lab.star(3)
    controller = osken(lab, hosts[0].ns, APP, args=family.listen)
    switch = Switch(lab, sw, *IN_BAND, *family.controller, ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    family.address(switch, 100)
    wait_for('the session', lambda: connected(switch), 60)
    # The application's table-miss entry leads packets to it, and it teaches the switch the rest.
    wait_for('every pair to answer', lambda: ping_all(hosts, 1) == [], 60)

    # Nothing of it is a flow entry, and no flow entry can cut the channel.
    switch.ofctl('del-flows')
    assert switch.ofctl('dump-flows').strip() == ''
    switch.ofctl('add-flow', 'priority=65535,actions=drop')
    before = probes(switch)[0]
    wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)
    assert hosts[1].ping(hosts[2], 2, 1) == 0, 'everything else meets the tables'
    entry = [line for line in switch.ofctl('dump-flows').splitlines() if 'priority=65535' in line]
    assert len(entry) == 1 and 'n_packets=0,' not in entry[0], entry

    # A controller that comes back is found again, whatever the tables say.
    stop(controller)
    wait_for('the loss', lambda: not connected(switch), 60)
    osken(lab, hosts[0].ns, APP, args=family.listen, log=os.path.join(lab.dir, 'again.log'))
    wait_for('the session to come back', lambda: connected(switch), 90)


def test_controllers_set_at_run_time(lab, family):
    """Its rules are for those that are dialled now, and for no others."""
    sw, hosts = lab.star(2)
    osken(lab, hosts[0].ns, APP, args=family.listen)
    here, elsewhere = family.controller[1], 'tcp:10.0.0.2:6653' if family.four else 'tcp:[fd00::2]:6653'
    switch = Switch(lab, sw, *IN_BAND, '--controller', elsewhere, ports=['1=s1', '2=s2'])
    family.address(switch, 100)
    ofctl = lambda *args, **kw: sh([binary('ofctl'), args[0], switch.ctl_socket, *args[1:]], **kw)  # noqa: E731
    refused = ofctl('set-controller', 'tcp:controller.example', check=False)
    assert refused.returncode == 1 and 'address, not its name' in refused.stderr
    ofctl('set-controller', here)
    wait_for('the session', lambda: connected(switch), 90)
    switch.ofctl('del-flows')
    switch.ofctl('add-flow', 'priority=65535,actions=drop')
    before = probes(switch)[0]
    wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)
    # Both: who stays is not cut off while others come and go.
    ofctl('set-controller', elsewhere, here)
    before = probes(switch)[0]
    wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)
    ofctl('set-controller', elsewhere)
    wait_for('its end', lambda: not connected(switch), 60)
    # Nothing leads there any more: its frames meet the tables, which were left as they were.
    with inside(sw):
        s = socket.socket(socket.AF_INET if family.four else socket.AF_INET6)
    s.settimeout(2)
    with pytest.raises(OSError):
        s.connect(('10.0.0.1' if family.four else 'fd00::1', 6653))
    s.close()
    ofctl('set-controller', here)
    wait_for('the session again', lambda: connected(switch), 90)
    ofctl('del-controller')
    assert ofctl('get-controller').stdout == ''


def test_without_it_an_empty_table_leads_nowhere(lab, family):
    sw, hosts = lab.star(1)
    osken(lab, hosts[0].ns, APP, args=family.listen)
    out_of_band = [word for word in IN_BAND if word != '--in-band']
    switch = Switch(lab, sw, *out_of_band, *family.controller, ports=['1=s1'])
    family.address(switch, 100)
    wait_for('a failed attempt', lambda: any(c.get('last_error') for c in switch.manage('connections')), 60)
    assert not connected(switch)
    target = hosts[0].ip if family.four else hosts[0].ip6
    assert sh(['ip', 'netns', 'exec', sw, 'ping', '-c', '1', '-W', '1', target], check=False).returncode != 0


def test_a_switch_behind_another(lab, family):
    """The channel of the second switch goes through the first, whose tables know nothing of it."""
    near, hosts = lab.star(1, switch='near')
    far, host = lab.ns('far'), hosts[0]
    lab.link(near, 's2', far, 's1')
    osken(lab, host.ns, APP, args=family.listen)
    first = Switch(lab, near, *IN_BAND, *family.controller, ports=['1=s1', '2=s2'])
    second = Switch(lab, far, *IN_BAND, *family.controller, ports=['1=s1'])
    # The first one's own channel doesn't need the second's, so it is told nothing of it.
    family.address(second, 102)
    wait_for('the session of the second', lambda: connected(second), 90)
    family.address(first, 101)
    wait_for('the session of the first', lambda: connected(first), 90)
    first.ofctl('add-flow', 'priority=65535,actions=drop')
    before = probes(second)[0]
    wait_for('answered probes', lambda: (probes(second) or [0])[0] >= before + 3, 60)


class Routed:
    """A controller's network behind a router, which `near` meets at its port s1."""

    def __init__(self, lab, near, family):
        self.four = family.four
        behind, router = lab.ns('ctl'), lab.ns('router')
        self.router = router
        lab.link(behind, 'eth0', router, 'r0')
        lab.link(near, 's1', router, 'r1')
        there, here = ('10.9.0.%d/24', '10.0.0.%d/24') if self.four else ('fd09::%d/64', 'fd00::%d/64')
        self.address, self.gateway = here, here.split('/')[0] % 254
        for ns, interface, address in ((behind, 'eth0', there % 1), (router, 'r0', there % 254), (router, 'r1', here % 254)):
            sh(['ip', '-n', ns, 'addr', 'add', address, 'dev', interface])
        sh(['ip', '-n', behind, 'route', 'add', 'default', 'via', there.split('/')[0] % 254])
        sh(['ip', 'netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
        host = there.split('/')[0] % 1
        osken(lab, behind, APP, args=['--ofp-listen-host', host])
        self.controller = ['--controller', 'tcp:%s:6653' % (host if self.four else '[%s]' % host)]

    def join(self, switch, n):
        """The switch gets an address, and a route over the router."""
        sh(['ip', '-n', switch.ns, 'addr', 'add', self.address % n, 'dev', 'br0'])
        sh(['ip', '-n', switch.ns, 'link', 'set', 'br0', 'up'])
        sh(['ip', '-n', switch.ns, 'route', 'add', 'default', 'via', self.gateway, 'dev', 'br0'])

    def move(self, switch):
        """The switch goes over another address of the router."""
        other = self.address.split('/')[0] % 253
        sh(['ip', '-n', self.router, 'addr', 'replace', self.address % 253, 'dev', 'r1'])
        sh(['ip', '-n', switch.ns, 'route', 'replace', 'default', 'via', other, 'dev', 'br0'])
        sh(['ip', '-n', switch.ns, 'neigh', 'flush', 'dev', 'br0'])


def in_a_row(lab, family):
    """A router with a controller behind it, a switch at it, and one behind that."""
    near, far = lab.ns('near'), lab.ns('far')
    routed = Routed(lab, near, family)
    lab.link(near, 's2', far, 's1')
    first = Switch(lab, near, *IN_BAND, *routed.controller, ports=['1=s1', '2=s2'])
    second = Switch(lab, far, *IN_BAND, *routed.controller, ports=['1=s1'])
    return routed, first, second


def test_a_controller_behind_a_router(lab, family):
    """Two switches in a row: the router has to be found through both, whatever their tables say."""
    routed, first, second = in_a_row(lab, family)
    routed.join(first, 101)
    wait_for('the session of the first', lambda: connected(first), 90)
    # Nothing but its own rules leads anything anywhere.
    first.ofctl('add-flow', 'priority=65535,actions=drop')
    routed.join(second, 102)
    wait_for('the session of the second', lambda: connected(second), 90)
    second.ofctl('add-flow', 'priority=65535,actions=drop')
    for switch in (first, second):
        # What both ends knew of each other's Ethernet addresses has to be found out again.
        sh(['ip', '-n', switch.ns, 'neigh', 'flush', 'dev', 'br0'])
        before = probes(switch)[0]
        wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)


def test_another_router_while_it_is_connected(lab, family):
    """The first switch in the row stays connected, and has to let the second one find the router that both have from now on."""
    routed, first, second = in_a_row(lab, family)
    for n, switch in enumerate((first, second)):
        routed.join(switch, 101 + n)
        wait_for('the session', lambda: connected(switch), 90)
        switch.ofctl('add-flow', 'priority=65535,actions=drop')
    routed.move(first)
    routed.move(second)
    for switch in (first, second):
        wait_for('a session', lambda: connected(switch), 90)
        before = probes(switch)[0]
        wait_for('answered probes', lambda: (probes(switch) or [0])[0] >= before + 3, 60)

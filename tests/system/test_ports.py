"""Interfaces come and go; ports keep their numbers and nothing dies."""

from lab import Switch, sh, wait_for


def ports(switch):
    return {p['port_no']: p for p in switch.manage('ports')}


def test_an_interface_missing_at_start_joins_later(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2', '7=late'])
    assert hosts[0].ping(hosts[1]) == 3
    h = lab.ns('h7')
    lab.link(sw, 'late', h, 'eth0')
    sh(['ip', '-n', h, 'addr', 'add', '10.0.0.7/24', 'dev', 'eth0'])
    wait_for('port 7 to answer', lambda: hosts[0].ping('10.0.0.7', 1, 1) == 1)
    assert ports(switch)[7]['name'] == 'late'


def test_an_interface_deleted_and_made_again(lab):
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2', '3=s3'])
    assert hosts[0].ping(hosts[2]) == 3
    sh(['ip', '-n', sw, 'link', 'del', 's3'])
    wait_for('port 3 to be down', lambda: 3 not in ports(switch) or ports(switch)[3]['link'] == 'down')
    assert hosts[0].ping(hosts[1]) == 3
    lab.link(sw, 's3', hosts[2].ns, 'eth0')
    sh(['ip', '-n', hosts[2].ns, 'link', 'set', 'eth0', 'address', hosts[2].mac])
    sh(['ip', '-n', hosts[2].ns, 'addr', 'add', '10.0.0.3/24', 'dev', 'eth0'])
    wait_for('port 3 to forward again', lambda: hosts[0].ping(hosts[2], 1, 1) == 1)
    assert switch.process.poll() is None


def test_link_down_and_up(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3
    hosts[1].run('ip link set eth0 down')
    wait_for('link down', lambda: ports(switch)[2]['link'] == 'down')
    hosts[1].run('ip link set eth0 up')
    wait_for('link up', lambda: ports(switch)[2]['link'] == 'up')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)


def test_a_renamed_interface_keeps_its_number(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'down'])
    sh(['ip', '-n', sw, 'link', 'set', 's2', 'name', 'renamed'])
    sh(['ip', '-n', sw, 'link', 'set', 'renamed', 'up'])
    wait_for('the new name', lambda: ports(switch)[2]['name'] == 'renamed')
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)


def test_a_tap_moved_into_another_namespace_goes_on(lab):
    """As one gives a namespace its interface: the port's device leaves the switch's namespace."""
    sw, hosts = lab.star(1)
    switch = Switch(lab, sw, ports=['1=s1', '2=t2,type=tap'])
    wait_for('the device', lambda: sh(['ip', '-n', sw, 'link', 'show', 't2'], check=False).returncode == 0)
    other = lab.ns('tap')

    def move():
        sh(['ip', '-n', sw, 'link', 'set', 't2', 'netns', other])
        sh(['ip', '-n', other, 'addr', 'add', '10.0.0.9/24', 'dev', 't2'])
        sh(['ip', '-n', other, 'link', 'set', 't2', 'up'])
        hosts[0].run('ip neigh flush all')
        wait_for('the moved device to answer', lambda: hosts[0].ping('10.0.0.9', 1, 1) == 1)
        assert hosts[0].ping('10.0.0.9') == 3
        assert ports(switch)[2]['link'] == 'up'
    move()
    # It ends with that namespace, and the port gets a new one.
    sh(['ip', '-n', other, 'link', 'del', 't2'])
    wait_for('a new device', lambda: sh(['ip', '-n', sw, 'link', 'show', 't2'], check=False).returncode == 0)
    move()
    assert switch.process.poll() is None


def test_drops_are_counted_by_port_and_reason(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])

    def drops(port):
        return next(p for p in switch.manage('ports') if p['port_no'] == port)['drops']

    assert hosts[0].ping(hosts[1], 2, 1) == 0
    # Hosts say something by themselves now and then.
    assert drops(1)['table_miss'] >= 1 and 'no_such_port' not in drops(1)
    switch.ofctl('add-flow', 'in_port=2,actions=output:77')
    assert hosts[1].ping(hosts[0], 2, 1) == 0
    assert drops(2)['no_such_port'] >= 1 and 'no_such_port' not in drops(1)
    assert switch.manage('counters')['drops']['no_such_port'] == drops(2)['no_such_port']

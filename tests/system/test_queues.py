"""Queues shape what leaves, count it, and leave nothing behind."""

import os

import pytest

from lab import Switch, sh, wait_for


def classes(sw, interface):
    return sh(['tc', '-n', sw, 'class', 'show', 'dev', interface]).stdout


def flows(switch, *texts):
    for text in texts:
        switch.ofctl('add-flow', text)


def queue(switch, port, number):
    return next(q for q in switch.manage('queues') if (q['port_no'], q['queue_id']) == (port, number))


def shaped(host, other, seconds, least, most):
    """TCP never gets more Gb/s than `most`, and in one of some tries more than `least`: how many it took. A machine
    with other work may not have the time to send so much."""
    for tries in range(1, 6):
        rate = host.iperf(other, seconds)
        assert rate < most
        if rate > least:
            return tries
    raise AssertionError('%.4f Gb/s, not even %.4f' % (rate, least))


def test_a_queue_limits_tcp_and_counts_it(lab):
    sw, hosts = lab.star(2)
    config = os.path.join(lab.dir, 'queues.toml')
    with open(config, 'w') as f:
        f.write('fail-mode = "secure"\nport = ["1=s1", "2=s2"]\n'
                '[[queue]]\nport = "s2"\nid = 1\nmax-rate = "50M"\n')
    switch = Switch(lab, sw, '--config', config)
    assert 'ceil 50Mbit' in classes(sw, 's2')
    flows(switch, 'in_port=1,actions=set_queue:1,output:2', 'in_port=2,actions=output:1')
    tries = shaped(hosts[0], hosts[1], 3, 0.040, 0.051)
    counted = queue(switch, 2, 1)
    # Three seconds of 50 Mb/s each time.
    assert 15e6 < counted['tx_bytes'] < tries * 25e6 and counted['tx_packets'] > 0
    # The other way there is no queue, and no limit.
    assert hosts[1].iperf(hosts[0], 2) > 0.2
    # What is in no queue isn't counted by one.
    flows(switch, 'in_port=1,actions=output:2')
    before = queue(switch, 2, 1)
    assert hosts[0].iperf(hosts[1], 2) > 0.2
    assert queue(switch, 2, 1) == before
    for version in ('OpenFlow10', 'OpenFlow13', 'OpenFlow14', 'OpenFlow15'):
        text = switch.ofctl('queue-stats', '-O', version)
        assert str(before['tx_bytes']) in text, text
    assert switch.stop() == 0
    assert 'htb' not in classes(sw, 's2')


def test_queues_come_and_go_at_run_time(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    with pytest.raises(AssertionError, match='OFPBAC_BAD_QUEUE'):
        flows(switch, 'in_port=1,actions=set_queue:3,output:2')
    assert switch.manage('add-queue', {'queue': 's2:3,min-rate=0.1%,max-rate=20M'}) == {'port_no': 2}
    flows(switch, 'in_port=1,actions=set_queue:3,output:2', 'in_port=2,actions=output:1')
    shaped(hosts[0], hosts[1], 2, 0.015, 0.0205)
    with pytest.raises(AssertionError, match='has a queue 3 already'):
        switch.manage('add-queue', {'queue': '2:3'})
    # The interface is made anew: so are its classes.
    sh(['ip', '-n', sw, 'link', 'del', 's2'])
    lab.link(sw, 's2', hosts[1].ns, 'eth0')
    wait_for('the classes to be back', lambda: 'ceil 20Mbit' in classes(sw, 's2'))
    switch.manage('del-queue', {'port': 2, 'id': 3})
    assert 'htb' not in classes(sw, 's2') and switch.manage('queues') == []
    assert 'set_queue:3' in switch.ofctl('dump-flows'), 'flows that name it stay'
    with pytest.raises(AssertionError, match='has no queue 3'):
        switch.manage('del-queue', {'port': 's2', 'id': 3})


def test_what_cannot_be_shaped_is_refused(lab):
    sw, _ = lab.star(1)
    switch = Switch(lab, sw, ports=['1=s1', 't1,type=tap'])
    for text, why in (('t1:1,max-rate=1M', 'of type tap'), ('nowhere:1', 'no port `nowhere`'),
                      ('s1:1,min-rate=20G', 'no more than'), ('s1:1,max-rate=x', 'is no rate')):
        with pytest.raises(AssertionError, match=why):
            switch.manage('add-queue', {'queue': text})
    assert 'htb' not in classes(sw, 's1') and switch.manage('queues') == []


def test_queues_share_by_their_promises(lab):
    sw, hosts = lab.star(3)
    switch = Switch(lab, sw, '--fail-mode', 'secure', '--queue', 's3:0,max-rate=40M',
                    '--queue', 's3:1,min-rate=30M,max-rate=30M', ports=['1=s1', '2=s2', '3=s3'])
    flows(switch, 'in_port=1,actions=set_queue:1,output:3', 'in_port=2,actions=output:3',
          'in_port=3,ip,nw_dst=10.0.0.1,actions=output:1', 'in_port=3,ip,nw_dst=10.0.0.2,actions=output:2',
          'in_port=3,arp,arp_tpa=10.0.0.1,actions=output:1', 'in_port=3,arp,arp_tpa=10.0.0.2,actions=output:2')
    shaped(hosts[0], hosts[2], 2, 0.022, 0.031)
    # Queue 0 is for what is in no other.
    shaped(hosts[1], hosts[2], 2, 0.030, 0.041)


def test_a_port_mod_sets_the_interface_down_and_up(lab):
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, ports=['1=s1', '2=s2'])
    assert hosts[0].ping(hosts[1]) == 3

    def flags():
        return sh(['ip', '-n', sw, '-o', 'link', 'show', 's2']).stdout.split('<')[1].split('>')[0].split(',')

    switch.ofctl('mod-port', '2', 'down')
    wait_for('the interface to be down', lambda: 'UP' not in flags())
    wait_for('the port to be down', lambda: switch.manage('ports')[1]['link'] == 'down')
    assert hosts[0].ping(hosts[1], 1, 1) == 0
    switch.ofctl('mod-port', '2', 'up')
    wait_for('the interface to be up', lambda: 'UP' in flags())
    wait_for('forwarding', lambda: hosts[0].ping(hosts[1], 1, 1) == 1)

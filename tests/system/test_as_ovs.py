"""Rule sets as users of Open vSwitch write them, beside Open vSwitch itself.

Each set is given to both switches by ovs-ofctl, then both get the same frames. What comes out of each port has
to be the same, byte for byte and in order, and so have the flows afterwards (some sets teach flows).
"""

import os

import pytest
from beside_ovs import NEEDS, PATIENCE
from ethernet import arp, eth, mac, mpls, ping, tcp, udp, udp6
from lab import binary, sh, wait_for

pytestmark = NEEDS

# Open vSwitch's own default. One that looks at two tags loses a third one.
VLAN_LIMIT = 1

SETS = {}


def rule_set(name, flows, frames, version='OpenFlow13', groups=()):
    SETS[name] = (version, [f for f in flows.strip().splitlines()], groups, frames)


# The five tables of Open vSwitch's own tutorial: admission, VLANs, learning, lookup, output.
rule_set('tutorial', '''
table=0,dl_src=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop
table=0,dl_dst=01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0,actions=drop
table=0,priority=0,actions=resubmit(,1)
table=1,priority=0,actions=drop
table=1,priority=99,in_port=1,actions=resubmit(,2)
table=1,priority=99,in_port=2,vlan_tci=0,actions=mod_vlan_vid:20,resubmit(,2)
table=1,priority=99,in_port=3,vlan_tci=0,actions=mod_vlan_vid:30,resubmit(,2)
table=1,priority=99,in_port=4,vlan_tci=0,actions=mod_vlan_vid:30,resubmit(,2)
table=2,actions=learn(table=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]),resubmit(,3)
table=3,priority=50,actions=resubmit(,10),resubmit(,4)
table=3,priority=99,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,4)
table=4,reg0=1,actions=1
table=4,reg0=2,actions=strip_vlan,2
table=4,reg0=3,actions=strip_vlan,3
table=4,reg0=4,actions=strip_vlan,4
table=4,reg0=0,priority=99,dl_vlan=20,actions=1,strip_vlan,2
table=4,reg0=0,priority=99,dl_vlan=30,actions=1,strip_vlan,3,4
table=4,reg0=0,priority=50,actions=1
''', [(1, tcp(tags=[20])), (1, tcp(tags=[5])), (2, tcp(s=2, d=1)), (3, arp(sha=3)), (4, tcp(s=4, d=3)), (3, tcp(s=3, d=4)),
      (1, tcp(s=1, d=2, tags=[20])), (1, tcp(s=1, d=4, tags=[30])), (2, tcp(s=2, d=9, tags=[7])),
      (1, eth(bytes.fromhex('0180c2000001'), mac(1), 0x88cc, bytes(40))),
      (1, eth(mac(2), bytes.fromhex('010000000001'), 0x0800, bytes(40)))], version='OpenFlow10')

rule_set('arp responder', '''
priority=10,arp,arp_op=1,arp_tpa=10.0.0.2,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:0a:00:00:00:00:02,load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],load:0x0a0000000002->NXM_NX_ARP_SHA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],load:0x0a000002->NXM_OF_ARP_SPA[],in_port
priority=5,arp,actions=flood
''', [(1, arp()), (2, arp(sha=5, spa='10.0.0.5')), (1, arp(tpa='10.0.0.3')), (3, arp(op=2, tha=4, d=4)), (1, arp(tags=[5]))])

rule_set('ping responder', '''
icmp,icmp_type=8,nw_dst=10.0.0.2,actions=push:NXM_OF_ETH_SRC[],push:NXM_OF_ETH_DST[],pop:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[],push:NXM_OF_IP_SRC[],push:NXM_OF_IP_DST[],pop:NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[],load:0xff->NXM_NX_IP_TTL[],load:0->NXM_OF_ICMP_TYPE[],in_port
''', [(1, ping()), (4, ping(src='192.168.7.9', tos=0x48)), (1, ping(dst='10.0.0.3')), (2, ping(tags=[100]))])

rule_set('router', '''
priority=10,ip,nw_dst=10.1.0.0/16,actions=mod_dl_src:02:aa:00:00:00:01,mod_dl_dst:02:bb:00:00:00:01,dec_ttl,output:2
priority=20,ip,nw_dst=10.1.2.0/24,actions=mod_dl_src:02:aa:00:00:00:02,mod_dl_dst:02:bb:00:00:00:02,dec_ttl,output:3
priority=30,ip,nw_dst=10.1.2.3,actions=dec_ttl,dec_ttl,output:4,dec_ttl,output:2
priority=10,ipv6,ipv6_dst=fd00::/64,actions=dec_ttl,mod_dl_dst:02:bb:00:00:00:03,output:2
priority=1,ip,actions=set_field:10.9.9.9->ip_dst,output:4
''', [(1, tcp(dst='10.1.7.7')), (1, udp(dst='10.1.2.9', ttl=2)), (1, tcp(dst='10.1.2.3')), (1, tcp(dst='10.1.2.3', ttl=3)),
      (1, tcp(dst='10.1.7.7', ttl=1)), (1, tcp(dst='10.1.7.7', ttl=0)), (1, udp6()), (1, udp6(hops=1)), (3, tcp(dst='8.8.8.8'))])

rule_set('conjunctions', '''
priority=100,ip,nw_src=10.0.0.1,actions=conjunction(10,1/3)
priority=100,ip,nw_src=10.0.0.4,actions=conjunction(10,1/3),conjunction(11,1/2)
priority=100,ip,nw_dst=10.0.0.2,actions=conjunction(10,2/3)
priority=100,ip,nw_dst=10.0.0.3,actions=conjunction(10,2/3)
priority=100,tcp,tp_dst=80,actions=conjunction(10,3/3),conjunction(11,2/2)
priority=100,tcp,tp_dst=0x1f0/0xfff0,actions=conjunction(10,3/3)
priority=100,conj_id=10,ip,actions=mod_dl_src:02:00:00:00:00:10,output:2
priority=90,conj_id=11,ip,actions=output:4
priority=50,ip,actions=output:3
priority=110,tcp,tp_dst=22,actions=drop
''', [(1, tcp(dport=80)), (1, tcp(dport=81)), (1, tcp(dport=0x1f7)), (1, tcp(src='10.0.0.4', dport=80, dst='10.0.0.9')),
      (1, tcp(src='10.0.0.4', dport=0x1f0)), (1, tcp(dport=22)), (1, udp()), (1, tcp(dst='10.0.0.3', src='10.0.0.9'))])

rule_set('access and trunk', '''
table=0,priority=10,in_port=1,vlan_tci=0x1000/0x1000,actions=move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG1[0..11],strip_vlan,resubmit(,1)
table=0,priority=9,in_port=1,actions=load:1->NXM_NX_REG1[],resubmit(,1)
table=0,priority=10,in_port=2,vlan_tci=0,actions=load:20->NXM_NX_REG1[],resubmit(,1)
table=0,priority=10,in_port=3,vlan_tci=0,actions=load:30->NXM_NX_REG1[],resubmit(,1)
table=1,reg1=20,actions=load:1->NXM_NX_REG2[0],output:2,resubmit(,2)
table=1,reg1=30,actions=load:1->NXM_NX_REG2[0],output:3,resubmit(,2)
table=1,priority=1,actions=output:4
table=2,reg2=1/1,in_port=1,actions=drop
table=2,priority=5,reg2=1/1,actions=push_vlan:0x8100,move:NXM_NX_REG1[0..11]->NXM_OF_VLAN_TCI[0..11],load:3->NXM_OF_VLAN_TCI[13..15],output:1
''', [(1, tcp(tags=[20])), (1, tcp(tags=[0xa000 | 30])), (1, tcp()), (2, tcp()), (3, arp()), (2, tcp(tags=[20])), (1, tcp(tags=[99]))])

rule_set('mirror', '''
priority=10,tcp,actions=output(port=3,max_len=64),output:2
priority=10,udp,actions=output(port=4,max_len=100),mod_dl_dst:02:00:00:00:00:77,output(port=3,max_len=60),output:2
''', [(1, tcp(data=b'x' * 500)), (1, tcp()), (1, udp(data=b'y' * 300)), (2, tcp(tags=[7], data=b'z' * 90))])

rule_set('fin timeout', '''
table=0,priority=1,tcp,idle_timeout=60,hard_timeout=90,tcp,actions=fin_timeout(idle_timeout=10,hard_timeout=20),output:2
table=0,priority=2,tcp,tp_dst=81,idle_timeout=60,actions=learn(table=1,fin_idle_timeout=5,fin_hard_timeout=9,idle_timeout=33,hard_timeout=44,priority=7,eth_type=0x800,nw_proto=6,NXM_OF_TCP_SRC[],output:NXM_OF_IN_PORT[]),output:2
''', [(1, tcp()), (1, tcp(flags=0x11)), (1, tcp(dport=81)), (1, tcp(dport=81, sport=5))], version='OpenFlow10')

rule_set('notes and samples', '''
priority=1,ip,actions=note:01.02.03,sample(probability=65535,collector_set_id=1,obs_domain_id=0,obs_point_id=0),output:2
priority=1,arp,actions=note:ff,output:3,note:00.11
''', [(1, tcp()), (1, arp())])

rule_set('load balancer', '''
table=0,priority=10,tcp,tp_dst=80,actions=multipath(symmetric_l4,1024,modulo_n,1,0,NXM_NX_REG1[0..7]),resubmit(,1)
table=0,priority=10,tcp,tp_dst=81,actions=bundle(eth_src,0,active_backup,ofport,members:3,4)
table=0,priority=10,tcp,tp_dst=82,actions=bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG2[0..15],members:9,4),resubmit(,1)
table=0,priority=10,tcp,tp_dst=83,actions=bundle(symmetric_l3l4,7,hrw,ofport,members:2)
table=1,priority=2,reg1=0,reg2=0,tcp,actions=mod_nw_dst:10.0.1.1,mod_tp_dst:8080,output:2
table=1,priority=2,reg2=4,tcp,actions=mod_nw_dst:10.0.1.4,output:NXM_NX_REG2[0..15]
''', [(1, tcp(dport=80)), (1, tcp(dport=81)), (1, tcp(dport=82)), (1, tcp(dport=83)), (2, tcp(dport=83))], version='OpenFlow10')

rule_set('groups', '''
priority=1,tcp,tp_dst=1,actions=group:1
priority=1,tcp,tp_dst=2,actions=group:2,output:1
priority=1,tcp,tp_dst=3,actions=group:3
priority=1,tcp,tp_dst=4,actions=group:4
priority=1,tcp,tp_dst=5,actions=push_vlan:0x8100,set_field:4101->vlan_vid,group:1,output:4
table=0,priority=1,tcp,tp_dst=6,actions=write_actions(group:1,output:4),goto_table:2
table=2,priority=1,tcp,actions=write_actions(set_field:02:00:00:00:00:55->eth_src)
''', [(1, tcp(dport=n)) for n in range(1, 7)] + [(2, tcp(dport=1)), (4, tcp(dport=3))], groups=[
    'group_id=1,type=all,bucket=set_field:02:00:00:00:00:99->eth_dst,output:2,bucket=output:3,bucket=dec_ttl,output:4',
    'group_id=2,type=indirect,bucket=set_field:10.7.7.7->ip_src,output:3',
    'group_id=3,type=ff,bucket=watch_port:9,output:2,bucket=watch_port:4,output:4,bucket=watch_port:3,output:3',
    'group_id=4,type=select,bucket=weight:1,group:1',
])

# As OVN writes its load balancers: buckets that go back to the tables.
rule_set('buckets that resubmit', '''
table=0,priority=1,ip,actions=load:5->NXM_NX_REG3[],group:7,output:4
table=1,priority=1,reg3=5,reg1=1,ip,actions=mod_dl_dst:02:00:00:00:00:88,output:2
table=1,priority=1,reg3=5,reg1=2,ip,actions=output:3,resubmit(,2)
table=2,priority=1,ip,actions=mod_nw_tos:184,output:2
''', [(1, tcp()), (2, udp())], groups=[
    'group_id=7,type=all,bucket=load:1->NXM_NX_REG1[],resubmit(,1),bucket=load:2->NXM_NX_REG1[],resubmit(,1)'])

rule_set('exit and action set', '''
table=0,priority=1,tcp,tp_dst=1,actions=output:2,exit,output:3
table=0,priority=1,tcp,tp_dst=2,actions=write_actions(output:4),goto_table:1
table=0,priority=1,tcp,tp_dst=3,actions=resubmit(,1),output:4
table=0,priority=1,tcp,tp_dst=4,actions=write_actions(set_field:02:00:00:00:00:44->eth_dst,output:4),goto_table:2
table=1,priority=1,tcp,actions=output:2,exit
table=2,priority=1,tcp,actions=clear_actions,write_actions(output:3),goto_table:3
table=3,priority=1,tcp,actions=write_actions(dec_ttl)
''', [(1, tcp(dport=n)) for n in range(1, 5)])

rule_set('resubmit with another port', '''
table=0,priority=1,in_port=1,actions=resubmit(3,0),resubmit(4,1),output:2
table=0,priority=1,in_port=3,actions=mod_dl_src:02:00:00:00:00:33,output:3
table=1,priority=1,in_port=4,actions=mod_dl_src:02:00:00:00:00:34,output:4,in_port
table=0,priority=1,in_port=2,actions=load:3->NXM_OF_IN_PORT[],resubmit(,0),in_port,output:2
table=0,priority=1,in_port=4,actions=output:4,output:NXM_OF_IN_PORT[],flood
''', [(1, tcp()), (2, tcp()), (3, tcp()), (4, arp())], version='OpenFlow10')

rule_set('mpls', '''
priority=1,tcp,tp_dst=1,actions=push_mpls:0x8847,set_field:100->mpls_label,output:2,set_mpls_ttl:9,push_mpls:0x8847,set_field:200->mpls_label,set_field:5->mpls_tc,output:3
priority=1,mpls,mpls_label=100,mpls_bos=1,actions=pop_mpls:0x0800,output:2
priority=1,mpls,mpls_label=200,actions=dec_mpls_ttl,output:3,pop_mpls:0x8847,output:4
priority=1,mpls,mpls_label=300,actions=load:77->OXM_OF_MPLS_LABEL[],output:4
''', [(1, tcp(dport=1)), (1, mpls(100)), (1, mpls(200, tc=3)), (1, mpls(200, ttl=1)), (1, mpls(300, tc=7, ttl=5)), (1, mpls(100, bos=0))])

rule_set('vlan stacks', '''
priority=1,dl_vlan=100,actions=push_vlan:0x88a8,set_field:4296->vlan_vid,set_field:3->vlan_pcp,output:2
priority=1,dl_vlan=200,actions=pop_vlan,output:3
priority=1,dl_vlan=300,dl_vlan_pcp=5,actions=set_field:4400->vlan_vid,output:2
priority=1,vlan_tci=0,actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:2,pop_vlan,output:3
priority=2,vlan_tci=0x1000/0x1fff,actions=strip_vlan,output:4
''', [(1, tcp(tags=[100])), (1, tcp(tags=[200, 201])), (1, tcp(tags=[200])), (1, tcp(tags=[0xa000 | 300])), (1, tcp(tags=[300])),
      (1, tcp()), (1, arp(tags=[0x6000])), (1, tcp(tags=[(0x88a8, 100), 7]))])

rule_set('rewriting', '''
priority=1,tcp,actions=mod_nw_src:192.168.1.1,mod_nw_dst:192.168.1.2,mod_tp_src:7,mod_tp_dst:8,mod_nw_tos:252,output:2
priority=1,udp,actions=set_field:172.16.0.1->ip_src,load:53->NXM_OF_UDP_DST[],move:NXM_OF_IP_SRC[0..15]->NXM_OF_UDP_SRC[],mod_nw_ecn:2,mod_nw_ttl:3,output:2
priority=1,udp6,actions=set_field:fe80::1->ipv6_src,load:5->NXM_OF_UDP_SRC[],set_field:0x77->ipv6_label,mod_nw_tos:8,output:2
priority=1,arp,actions=set_field:10.5.5.5->arp_spa,set_field:02:00:00:00:00:ab->arp_sha,output:2
priority=1,icmp,actions=set_field:11->icmp_type,set_field:3->icmp_code,output:2
priority=2,ip,ip_frag=later,actions=mod_dl_dst:02:00:00:00:00:03,dec_ttl,output:3
''', [(1, tcp()), (1, tcp(tos=0xb9, tags=[0x2005])), (1, udp()), (1, udp6()), (1, arp()), (1, ping()), (1, udp(frag=100)),
      (1, udp(frag=0x2000))])

rule_set('clones and registers', '''
priority=1,ip,actions=load:1->NXM_NX_REG0[],push:NXM_NX_REG0[],clone(mod_dl_dst:02:00:00:00:00:01,load:2->NXM_NX_REG0[],pop:NXM_NX_REG5[],output:2),resubmit(,1),pop:NXM_NX_REG6[],resubmit(,2)
table=1,priority=1,reg0=1,reg5=0,actions=load:0xffff->NXM_NX_XXREG1[40..55],output:3
table=2,priority=1,reg6=1,actions=move:NXM_NX_XXREG1[32..63]->NXM_NX_REG7[],resubmit(,3)
table=3,priority=1,reg7=0xffff00,actions=output:4
table=3,priority=0,actions=output:1
''', [(1, tcp()), (2, udp())])

rule_set('packet lengths', '''
priority=1,ip,actions=check_pkt_larger(100)->NXM_NX_REG0[0],resubmit(,1)
table=1,reg0=1,actions=output:2
table=1,reg0=0,actions=output:3
''', [(1, tcp()), (1, tcp(data=bytes(46))), (1, tcp(data=bytes(47))), (1, tcp(data=bytes(200)))])

rule_set('learning with bounds', '''
priority=1,ip,in_port=1,actions=learn(table=5,cookie=0x9,limit=2,priority=3,eth_type=0x800,NXM_OF_IP_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG3[0..15],result_dst=NXM_NX_REG0[3]),resubmit(,1)
priority=1,ip,in_port=2,actions=learn(table=5,delete_learned,cookie=0x7,hard_timeout=300,send_flow_rem,NXM_OF_ETH_DST[0..23]=NXM_OF_ETH_SRC[24..47],NXM_OF_VLAN_TCI[],load:0x1234->NXM_NX_REG9[4..19],output:NXM_OF_IN_PORT[]),output:3
table=1,priority=1,reg0=8/8,actions=output:2
table=1,priority=1,reg0=0/8,actions=output:4
''', [(1, tcp(src='10.0.0.%d' % n)) for n in (1, 2, 3, 1)] + [(2, udp(tags=[5])), (2, udp())])

rule_set('metadata and marks', '''
table=0,priority=1,in_port=1,actions=write_metadata:0xab00/0xff00,goto_table:1
table=0,priority=1,in_port=2,actions=set_tunnel:0x77,load:5->NXM_NX_PKT_MARK[],resubmit(,1)
table=1,priority=2,metadata=0xab00/0xff00,tcp,actions=move:OXM_OF_METADATA[8..15]->OXM_OF_VLAN_VID[0..7],output:2
table=1,priority=1,metadata=0xab00/0xff00,udp,actions=push_vlan:0x8100,move:OXM_OF_METADATA[8..15]->OXM_OF_VLAN_VID[0..7],output:2
table=1,priority=1,tun_id=0x77,pkt_mark=5,actions=output:3
''', [(1, tcp()), (1, udp()), (2, tcp()), (1, tcp(tags=[0xf00]))])

rule_set('match odds and ends', '''
priority=9,tcp,tcp_flags=+syn-ack,actions=output:2
priority=8,tcp,tcp_flags=0x011/0x011,actions=output:3
priority=7,tcp,tp_src=0x3e8/0xfff8,actions=output:4
priority=6,ip,nw_tos=184,actions=output:2
priority=5,ip,nw_ecn=1,actions=output:3
priority=4,ip,ip_frag=yes,actions=output:4
priority=3,ip,nw_ttl=9,actions=output:2,output:3
priority=3,ipv6,ipv6_label=0x12345/0xfffff,actions=output:4
priority=2,arp,arp_sha=02:00:00:00:00:00/ff:00:00:00:00:00,arp_spa=10.0.0.0/24,actions=output:3
priority=1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=all
''', [(1, tcp(flags=2)), (1, tcp(flags=0x12)), (1, tcp(flags=0x11)), (1, tcp(sport=1003)), (1, tcp(sport=1, tos=184)),
      (1, udp(tos=1)), (1, udp(frag=5)), (1, udp(frag=0x2000)), (1, udp(ttl=9)), (1, udp6()), (1, arp()),
      (1, arp(spa='10.1.0.1')), (2, eth(b'\xff' * 6, mac(1), 0x1234, bytes(50)))])

rule_set('queues and ports', '''
priority=1,tcp,actions=set_field:02:00:00:00:00:66->eth_src,all
priority=1,udp,actions=flood,in_port
priority=1,icmp,actions=output:1,output:2,output:2,output:77
''', [(1, tcp()), (3, udp()), (1, ping()), (4, ping())])


@pytest.mark.parametrize('name', SETS)
def test_rule_set(pair, name):
    version, flows, groups, frames = SETS[name]
    pair.rules(version, flows, groups)
    came = [pair.same(version, port, frame) for port, frame in frames]
    assert any(came), 'nothing came out of any port'


@pytest.mark.parametrize('version', ['1.0', '1.3', '1.4', '1.5'])
def test_ofctl_watches_open_vswitch(pair, lab, version):
    log = os.path.join(lab.dir, 'monitor')
    lab.spawn(None, [binary('ofctl'), '-O', version, 'monitor', pair.ovs.target, '--flows', '--seconds', '60'], log=log)
    read = lambda: open(log).read() if os.path.exists(log) else ''  # noqa: E731
    wait_for('the watch', lambda: 'watching' in read(), PATIENCE)
    # It has neither of the two kinds of messages that came with 1.5.
    assert ('reports neither' in read()) == (version == '1.5')
    sh([binary('ofctl'), '-O', version, 'add-flow', pair.ovs.target, 'table=2,priority=7,metadata=5/0xf,actions=drop'])
    wait_for('the flow', lambda: 'table=2, priority=7 metadata=0x5/0xf' in read(), PATIENCE)
    flows = sh([binary('ofctl'), '-O', version, 'dump-flows', pair.ovs.target, 'table=2']).stdout
    assert 'metadata=0x5/0xf' in flows, flows
    sh([binary('ofctl'), '-O', version, 'del-flows', pair.ovs.target, 'table=2,metadata=5/0xf'])
    wait_for('its end', lambda: 'flow (removed: delete)' in read(), PATIENCE)

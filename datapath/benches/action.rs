//! Every action and instruction that does something to a packet, in bursts of 32 through a worker's engine, as the
//! cache remembers it and step by step: `cargo bench -p datapath --bench action`.
//!
//! All but `drop` end in an output. What one costs is the difference to `output`.

#![allow(missing_docs, reason = "the macro makes a public function")]

mod rig;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datapath::engine::CACHE_ENTRIES;
use ofproto::Version::{self, V10, V11, V13, V15};
use rig::{Rig, tagged, udp};

/// What frames are like.
#[derive(Clone, Copy)]
enum On {
    Udp,
    Tcp,
    Vlan,
    Mpls,
    Pbb,
}

impl On {
    /// What actions ask for of the match.
    fn matched(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Vlan => "dl_vlan=5",
            Self::Mpls => "mpls",
            Self::Pbb => "dl_type=0x88e7",
        }
    }

    fn frame(self) -> Vec<u8> {
        let udp = udp(1);
        match self {
            Self::Udp => udp,
            Self::Tcp => tcp(udp),
            Self::Vlan => tagged(udp, 0, &[0x81, 0, 0, 5]),
            Self::Mpls => tagged(udp, 2, &[0x88, 0x47, 0, 0, 0x11, 64]),
            Self::Pbb => {
                let inner: Vec<u8> = [&[0x88, 0xe7, 0, 0, 0, 7], &udp[..12]].concat();
                tagged(udp, 0, &inner)
            }
        }
    }
}

use On::{Mpls, Pbb, Tcp, Udp, Vlan};

/// With a TCP header of 20 bytes instead of the UDP header.
fn tcp(mut frame: Vec<u8>) -> Vec<u8> {
    frame[23] = 6;
    frame[46] = 0x50;
    let sum = {
        frame[24..26].fill(0);
        !datapath::checksum::sum(&frame[14..34])
    };
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

const GROUPS: &str = "\ngroup group_id=1,type=all,bucket=output:2,bucket=output:3\n\
    group group_id=2,type=indirect,bucket=output:2\n\
    group group_id=3,type=select,bucket=weight:1,output:2,bucket=weight:1,output:3\n\
    group group_id=4,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:3,output:3";

/// Name, version, frames, actions and further rules. Packets of a burst are of one flow.
const ALL: &[(&str, Version, On, &str)] = &[
    ("drop", V13, Udp, "drop"),
    ("output", V13, Udp, "output:2"),
    ("output in_port", V13, Udp, "in_port"),
    ("output flood", V13, Udp, "flood"),
    ("output all", V13, Udp, "all"),
    ("output normal", V13, Udp, "normal"),
    ("output controller", V13, Udp, "controller:64"),
    ("group all", V13, Udp, "group:1"),
    ("group indirect", V13, Udp, "group:2"),
    ("group select", V13, Udp, "group:3"),
    ("group fast failover", V13, Udp, "group:4"),
    ("enqueue", V10, Udp, "enqueue:2:1"),
    ("set_queue", V13, Udp, "set_queue:1,output:2"),
    ("meter", V13, Udp, "meter:1,output:2"),
    ("meter action", V15, Udp, "meter:1,output:2"),
    ("push_vlan", V13, Udp, "push_vlan:0x8100,output:2"),
    ("pop_vlan", V13, Vlan, "pop_vlan,output:2"),
    ("push_mpls", V13, Udp, "push_mpls:0x8847,output:2"),
    ("pop_mpls", V13, Mpls, "pop_mpls:0x0800,output:2"),
    ("push_pbb", V13, Udp, "push_pbb:0x88e7,output:2"),
    ("pop_pbb", V13, Pbb, "pop_pbb,output:2"),
    ("copy_ttl_out", V13, Mpls, "copy_ttl_out,output:2"),
    ("copy_ttl_in", V13, Mpls, "copy_ttl_in,output:2"),
    ("set_mpls_ttl", V13, Mpls, "set_mpls_ttl:9,output:2"),
    ("dec_mpls_ttl", V13, Mpls, "dec_mpls_ttl,output:2"),
    ("set_nw_ttl", V13, Udp, "mod_nw_ttl:9,output:2"),
    ("dec_nw_ttl", V13, Udp, "dec_ttl,output:2"),
    ("set_field eth_dst", V13, Udp, "set_field:02:00:00:00:00:09->eth_dst,output:2"),
    ("set_field vlan_vid", V13, Vlan, "set_field:4103->vlan_vid,output:2"),
    ("set_field mpls_label", V13, Mpls, "set_field:9->mpls_label,output:2"),
    ("set_field ipv4_dst", V13, Udp, "set_field:192.0.2.9->ip_dst,output:2"),
    ("set_field ip_dscp", V13, Udp, "set_field:9->ip_dscp,output:2"),
    ("set_field udp_dst", V13, Udp, "set_field:9->udp_dst,output:2"),
    ("set_field tunnel_id", V13, Udp, "set_field:9->tun_id,output:2"),
    ("set_field reg0", V13, Udp, "set_field:9->reg0,output:2"),
    ("set_field, masked", V15, Udp, "set_field:0.0.0.9/0.0.0.255->ip_dst,output:2"),
    ("set_vlan_vid", V10, Udp, "mod_vlan_vid:7,output:2"),
    ("set_vlan_pcp", V11, Vlan, "mod_vlan_pcp:7,output:2"),
    ("set_tp_src", V10, Udp, "mod_tp_src:9,output:2"),
    ("set_tp_dst", V10, Udp, "mod_tp_dst:9,output:2"),
    ("copy_field", V15, Udp, "move:eth_src->eth_dst,output:2"),
    ("write_actions", V13, Udp, "write_actions(dec_ttl,output:2)"),
    ("clear_actions", V13, Udp, "clear_actions,write_actions(output:2)"),
    ("write_metadata", V13, Udp, "output:2,write_metadata:9"),
    ("goto_table", V13, Udp, "goto_table:1\ntable=1,actions=output:2"),
    ("resubmit", V13, Udp, "resubmit(,1)\ntable=1,actions=output:2"),
    ("move", V13, Udp, "move:eth_src->eth_dst,output:2"),
    ("load", V13, Udp, "load:9->NXM_OF_IP_DST[],output:2"),
    ("set_tunnel", V10, Udp, "set_tunnel:9,output:2"),
    ("set_queue, pop_queue", V10, Udp, "set_queue:1,pop_queue,output:2"),
    ("multipath", V13, Udp, "multipath(symmetric_l4,0,hrw,4,0,reg0[]),output:2"),
    ("bundle", V13, Udp, "bundle(symmetric_l4,0,hrw,ofport,members:2,3)"),
    ("output:reg0", V13, Udp, "load:2->reg0[],output:reg0[]"),
    ("output, truncated", V13, Udp, "output(port=2,max_len=40)"),
    ("exit", V13, Udp, "output:2,exit"),
    ("note", V13, Udp, "note:00.01,output:2"),
    ("dec_ttl of several controllers", V13, Udp, "dec_ttl(1,2),output:2"),
    ("fin_timeout", V13, Tcp, "fin_timeout(idle_timeout=9),output:2"),
    ("controller with options", V13, Udp, "controller(max_len=64,id=0)"),
    ("push, pop", V13, Udp, "push:NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[],output:2"),
    ("set_mpls_label, set_mpls_tc", V10, Mpls, "set_mpls_label:9,set_mpls_tc:1,output:2"),
    ("sample", V13, Udp, "sample(probability=65535,collector_set_id=1),output:2"),
    (
        "learn",
        V13,
        Udp,
        "learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:2\ntable=1,actions=drop",
    ),
    (
        "conjunction",
        V13,
        Udp,
        "conj_id=1\nip,nw_src=10.0.0.0/8,actions=conjunction(1,1/2)\nudp,tp_dst=53,actions=conjunction(1,2/2)",
    ),
    ("clone", V13, Udp, "clone(dec_ttl,output:3),output:2"),
    ("check_pkt_larger", V13, Udp, "check_pkt_larger(100)->reg0[0],output:2"),
];

fn actions(c: &mut Criterion) {
    for way in ["cached", "interpreted"] {
        let mut g = c.benchmark_group(format!("action, burst of 32, {way}"));
        g.throughput(Throughput::Elements(32));
        for (name, version, on, rule) in ALL {
            let rules = match rule.strip_prefix("conj_id=1\n") {
                Some(parts) => format!("ip,conj_id=1,actions=output:2\n{parts}"),
                None => format!("{},actions={rule}", on.matched()),
            };
            let lead = match rule {
                r if r.starts_with("group") => GROUPS.trim_start(),
                r if r.starts_with("meter") => "meter meter=1,pktps,bands=type=drop,rate=4000000000",
                _ => "",
            };
            let rules = if lead.is_empty() { rules } else { format!("{lead}\n{rules}") };
            let mut rig = Rig::new(*version, &rules, CACHE_ENTRIES);
            if way == "interpreted" {
                rig.interpret();
            }
            let frame = on.frame();
            g.bench_function(*name, |b| b.iter(|| rig.burst([frame.as_slice(); 32])));
            let (looked_up, matched) = rig.first_table();
            assert!(looked_up > 0 && looked_up == matched, "{name}: {matched} of {looked_up} matched");
        }
        g.finish();
    }
}

criterion_group!(benches, actions);
criterion_main!(benches);

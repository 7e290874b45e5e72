//! Time per parse and per edit, over packets of the vectors. `cargo bench -p datapath --bench packet`.
//!
//! The best of several runs: what the code costs, not what else the machine does.

use datapath::checksum::{crc32c, sum};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::packet::Packet;
use datapath::parse::parse;
use ofproto::field::FieldId as F;
use std::hint::black_box;
use std::time::Instant;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/packet_oracle/vectors.jsonl");
const RUNS: u32 = 20;
const TIMES: u32 = 200_000;

fn best(name: &str, mut f: impl FnMut(u32)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for i in 0..TIMES {
            f(i);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(TIMES));
    }
    println!("{name:28} {best:8.2} ns {:8.1} M/s", 1000.0 / best);
    best
}

fn main() {
    let file = std::fs::read_to_string(VECTORS).expect("the vectors");
    let packet = |kind: &str| -> Vec<u8> {
        file.lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .find(|v| v["kind"] == kind)
            .and_then(|v| v["in"].as_str().map(str::to_owned))
            .map(|hex| (0..hex.len()).step_by(2).filter_map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect())
            .expect("a packet of that kind")
    };
    for kind in ["ipv4_tcp", "ipv4_udp", "vlan_ipv4_tcp", "ipv6_tcp", "arp", "mpls_ipv4_tcp", "ipv6_nd_ns"] {
        let bytes = packet(kind);
        let mut key = FlowKey::default();
        best(&format!("parse {kind}"), |_| {
            black_box(parse(black_box(&bytes), black_box(&mut key)));
        });
    }
    let mut p = Packet::new(Frame::from_bytes(&packet("ipv4_tcp")));
    best("set_field eth_dst", |i| black_box(&mut p).set_field(F::EthDst, i.into(), u128::MAX));
    best("set_field ipv4_dst", |i| black_box(&mut p).set_field(F::Ipv4Dst, i.into(), u128::MAX));
    best("set_field tcp_dst", |i| black_box(&mut p).set_field(F::TcpDst, i.into(), u128::MAX));
    best("set_nw_ttl", |i| black_box(&mut p).set_nw_ttl(i as u8));
    best("push_vlan, pop_vlan", |_| {
        let p = black_box(&mut p);
        p.push_vlan(0x8100);
        p.pop_vlan();
    });
    best("push_mpls, pop_mpls", |_| {
        let p = black_box(&mut p);
        p.push_mpls(0x8847);
        p.pop_mpls(0x0800);
    });
    let bytes = vec![0x5a; 1500];
    best("sum of 1500 bytes", |_| {
        black_box(sum(black_box(&bytes)));
    });
    best("crc32c of 1500 bytes", |_| {
        black_box(crc32c(black_box(&bytes)));
    });
}

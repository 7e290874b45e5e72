//! Parsing, every kind of edit, checksums and segmentation: `cargo bench -p datapath --bench packet`.
//!
//! Packets are those of the test vectors.

#![allow(missing_docs, reason = "the macro makes a public function")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use datapath::checksum::{crc32c, finish_checksum, sum};
use datapath::frame::{Frame, Gso, GsoKind, PartialChecksum};
use datapath::key::FlowKey;
use datapath::packet::Packet;
use datapath::parse::parse;
use datapath::segment::segment;
use ofproto::field::FieldId as F;
use std::hint::black_box;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/packet_oracle/vectors.jsonl");

fn vector(kind: &str) -> Vec<u8> {
    let file = std::fs::read_to_string(VECTORS).expect("the vectors");
    file.lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
        .find(|v| v["kind"] == kind)
        .and_then(|v| v["in"].as_str().map(str::to_owned))
        .map(|hex| (0..hex.len()).step_by(2).filter_map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect())
        .expect("a packet of that kind")
}

fn parsing(c: &mut Criterion) {
    let mut g = c.benchmark_group("parse");
    for kind in ["ipv4_tcp", "ipv4_udp", "vlan_ipv4_tcp", "ipv6_tcp", "arp", "mpls_ipv4_tcp", "ipv6_nd_ns"] {
        let bytes = vector(kind);
        g.bench_function(kind, |b| {
            let mut key = FlowKey::default();
            b.iter(|| black_box(parse(black_box(&bytes), black_box(&mut key))));
        });
    }
    g.finish();
}

/// An edit, or two that undo each other, done to one packet over and over.
type Edit = fn(&mut Packet, u32);

fn edits(c: &mut Criterion) {
    let all: [(&str, &str, Edit); 17] = [
        ("ipv4_tcp", "set_field eth_dst", |p, i| p.set_field(F::EthDst, i.into(), u128::MAX)),
        ("ipv4_tcp", "set_field ipv4_dst", |p, i| p.set_field(F::Ipv4Dst, i.into(), u128::MAX)),
        ("ipv4_tcp", "set_field ip_dscp", |p, i| p.set_field(F::IpDscp, (i & 63).into(), u128::MAX)),
        ("ipv4_tcp", "set_field tcp_dst", |p, i| p.set_field(F::TcpDst, i.into(), u128::MAX)),
        ("ipv6_tcp", "set_field ipv6_dst", |p, i| p.set_field(F::Ipv6Dst, i.into(), u128::MAX)),
        ("vlan_ipv4_tcp", "set_field vlan_vid", |p, i| p.set_field(F::VlanVid, (0x1000 | i & 0xfff).into(), u128::MAX)),
        ("ipv4_tcp", "set_tp_src", |p, i| p.set_tp_src(i as u16)),
        ("ipv4_tcp", "set_nw_ttl", |p, i| p.set_nw_ttl(i as u8)),
        ("ipv4_tcp", "set_nw_ttl, dec_nw_ttl", |p, _| {
            p.set_nw_ttl(64);
            let _ = black_box(p.dec_nw_ttl());
        }),
        ("mpls_ipv4_tcp", "set_mpls_ttl, dec_mpls_ttl", |p, _| {
            p.set_mpls_ttl(64);
            let _ = black_box(p.dec_mpls_ttl());
        }),
        ("mpls_ipv4_tcp", "copy_ttl_out, copy_ttl_in", |p, _| {
            p.copy_ttl_out();
            p.copy_ttl_in();
        }),
        ("vlan_ipv4_tcp", "set_vlan_pcp", |p, i| p.set_vlan_pcp(i as u8 & 7)),
        ("ipv4_tcp", "push_vlan, pop_vlan", |p, _| {
            p.push_vlan(0x8100);
            p.pop_vlan();
        }),
        ("ipv4_tcp", "push_mpls, pop_mpls", |p, _| {
            p.push_mpls(0x8847);
            p.pop_mpls(0x0800);
        }),
        ("ipv4_tcp", "push_pbb, pop_pbb", |p, _| {
            p.push_pbb(0x88e7);
            p.pop_pbb();
        }),
        ("ipv4_tcp", "copy_field eth_src to eth_dst", |p, _| p.copy_field(F::EthSrc, 0, F::EthDst, 0, 48)),
        ("ipv4_tcp", "duplicate", |p, _| drop(black_box(p.duplicate()))),
    ];
    let mut g = c.benchmark_group("edit");
    for (kind, name, edit) in all {
        let mut p = Packet::new(Frame::from_bytes(&vector(kind)));
        let mut i = 0;
        g.bench_function(name, |b| {
            b.iter(|| {
                i += 1;
                edit(black_box(&mut p), i);
            });
        });
    }
    g.finish();
}

fn checksums(c: &mut Criterion) {
    let mut g = c.benchmark_group("checksum");
    for size in [64, 1500, 65_000] {
        let bytes = vec![0x5a; size];
        g.throughput(Throughput::Bytes(size as u64));
        g.bench_function(format!("sum of {size} bytes"), |b| b.iter(|| black_box(sum(black_box(&bytes)))));
        g.bench_function(format!("crc32c of {size} bytes"), |b| b.iter(|| black_box(crc32c(black_box(&bytes)))));
    }
    g.finish();
}

/// A TCP frame with so many bytes of payload, cut every 1448 bytes.
fn super_frame(payload: usize) -> Frame {
    let mut bytes = vector("ipv4_tcp");
    bytes.truncate(54);
    bytes[46] = 0x50;
    bytes.resize(54 + payload, 7);
    bytes[16..18].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
    let mut f = Frame::from_bytes(&bytes);
    f.offload.checksum = Some(PartialChecksum { start: 34, offset: 16 });
    f.offload.gso = Some(Gso { kind: GsoKind::TcpV4, size: 1448, ecn: false });
    f
}

fn segmentation(c: &mut Criterion) {
    let frame = super_frame(60_000);
    let mut g = c.benchmark_group("segment");
    g.throughput(Throughput::Bytes(60_000));
    g.bench_function("60,000 bytes of TCP", |b| {
        b.iter(|| segment(black_box(&frame), |f| drop(black_box(f))).expect("segments"));
    });
    let mut plain = super_frame(1448);
    plain.offload.gso = None;
    g.throughput(Throughput::Bytes(1448));
    g.bench_function("finish a checksum of 1448 bytes", |b| {
        b.iter_batched_ref(|| plain.duplicate(), |f| black_box(finish_checksum(f)), BatchSize::SmallInput);
    });
    g.finish();
}

criterion_group!(benches, parsing, edits, checksums, segmentation);
criterion_main!(benches);

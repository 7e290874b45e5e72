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

/// Which packet a super-frame is made of, where its L4 begins, how long that is, and the rest.
#[derive(Clone, Copy)]
struct Super {
    kind: &'static str,
    l4: u16,
    header: u16,
    checksum: u16,
    gso: GsoKind,
}

const TCP4: Super = Super { kind: "ipv4_tcp", l4: 34, header: 20, checksum: 16, gso: GsoKind::TcpV4 };
const TCP6: Super = Super { kind: "ipv6_tcp", l4: 54, header: 20, checksum: 16, gso: GsoKind::TcpV6 };
const UDP4: Super = Super { kind: "ipv4_udp", l4: 34, header: 8, checksum: 6, gso: GsoKind::UdpL4 };
const TAGGED: Super = Super { kind: "vlan_ipv4_tcp", l4: 38, ..TCP4 };

/// A frame with so many bytes of payload, cut every 1448 bytes.
fn super_frame(of: Super, payload: usize) -> Frame {
    let l4 = usize::from(of.l4);
    let head = l4 + usize::from(of.header);
    let mut bytes = vector(of.kind);
    bytes.truncate(head);
    if of.header == 20 {
        bytes[l4 + 12] = 0x50;
    } else {
        bytes[l4 + 4..l4 + 6].copy_from_slice(&((8 + payload) as u16).to_be_bytes());
    }
    bytes.resize(head + payload, 7);
    // IPv6 counts what follows its header, IPv4 the header, too.
    let (at, length) = match of.gso {
        GsoKind::TcpV6 => (l4 - 36, head - l4 + payload),
        _ => (l4 - 18, head - l4 + 20 + payload),
    };
    bytes[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    let mut f = Frame::from_bytes(&bytes);
    f.offload.checksum = Some(PartialChecksum { start: of.l4, offset: of.checksum });
    f.offload.gso = Some(Gso { kind: of.gso, size: 1448, ecn: false });
    f
}

fn segmentation(c: &mut Criterion) {
    const PAYLOAD: usize = 60_000;
    let mut g = c.benchmark_group("segment");
    g.throughput(Throughput::Bytes(PAYLOAD as u64));
    for (name, of) in
        [("TCP over IPv4", TCP4), ("TCP over IPv6", TCP6), ("UDP over IPv4", UDP4), ("tagged TCP", TAGGED)]
    {
        let frame = super_frame(of, PAYLOAD);
        let (mut segments, mut bytes) = (0, 0);
        segment(&frame, |f| (segments, bytes) = (segments + 1, bytes + f.len())).expect("segments");
        let head = usize::from(of.l4 + of.header);
        assert_eq!((segments, bytes), (42, PAYLOAD + 42 * head), "{name}");
        g.bench_function(format!("60,000 bytes of {name}"), |b| {
            b.iter(|| segment(black_box(&frame), |f| drop(black_box(f))).expect("segments"));
        });
    }
    let mut plain = super_frame(TCP4, 1448);
    plain.offload.gso = None;
    g.throughput(Throughput::Bytes(1448));
    g.bench_function("finish a checksum of 1448 bytes", |b| {
        b.iter_batched_ref(|| plain.duplicate(), |f| black_box(finish_checksum(f)), BatchSize::SmallInput);
    });
    g.finish();
}

criterion_group!(benches, parsing, edits, checksums, segmentation);
criterion_main!(benches);

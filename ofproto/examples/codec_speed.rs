//! How many messages a second one core decodes and encodes.
//!
//! `cargo run --release -p ofproto --example codec_speed`

use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::ids::{BufferId, Cookie, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::stats::{FlowDesc, FlowStats};
use ofproto::{Version, wire};
use std::hint::black_box;
use std::time::Instant;

const BATCHES: u32 = 2_000;
const ROUNDS: u32 = 500;

fn rate(name: &str, len: usize, mut one: impl FnMut()) {
    // The best of many short batches: what the code costs, not what else the machine does.
    let seconds = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                one();
            }
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    let per_second = f64::from(ROUNDS) / seconds;
    println!("{name:40} {len:5} bytes {:8.2} M/s {:7.1} ns", per_second / 1e6, 1e9 / per_second);
}

fn measure(name: &str, version: Version, message: &Message) {
    let bytes = wire::encode(version, Xid(1), message).expect("sayable");
    rate(&format!("decode {name} {version}"), bytes.len(), || {
        black_box(wire::decode(black_box(&bytes)).expect("sound"));
    });
    let mut buf = Vec::with_capacity(4096);
    rate(&format!("encode {name} {version}"), bytes.len(), || {
        buf.clear();
        wire::encode_into(&mut buf, version, Xid(1), black_box(message)).expect("sayable");
        black_box(&buf);
    });
}

fn main() {
    let forward = vec![Instruction::ApplyActions(vec![Action::output(PortNo(2))])];
    let l2 = Message::FlowMod(FlowMod {
        matching: Match::any().with(FieldId::InPort, 1).with(FieldId::EthDst, 0x0000_5e00_0001),
        instructions: forward.clone(),
        ..FlowMod::default()
    });
    let l4 = Message::FlowMod(FlowMod {
        matching: Match::any()
            .with(FieldId::InPort, 1)
            .with(FieldId::EthType, 0x800)
            .with(FieldId::IpProto, 6)
            .with_mask(FieldId::Ipv4Src, 0x0a00_0000, 0xff00_0000)
            .with(FieldId::Ipv4Dst, 0x0a00_0001)
            .with(FieldId::TcpDst, 80),
        instructions: forward.clone(),
        ..FlowMod::default()
    });
    let packet_in = Message::PacketIn(PacketIn {
        buffer_id: BufferId::NONE,
        total_len: 64,
        reason: PacketInReason::TableMiss,
        table: TableId(0),
        cookie: Cookie(0),
        matching: Match::any().with(FieldId::InPort, 1),
        data: vec![0u8; 64].into(),
    });
    let entry = FlowDesc {
        table: TableId(0),
        priority: 100,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: FlowModFlags::empty(),
        importance: 0,
        cookie: Cookie(7),
        stats: FlowStats { duration_sec: 9, packet_count: 10, byte_count: 11, ..FlowStats::default() },
        matching: Match::any().with(FieldId::InPort, 1).with(FieldId::EthDst, 0x0000_5e00_0001),
        instructions: forward,
    };
    let flow_stats = Message::MultipartReply(Multipart::last(MultipartReply::Flow(vec![entry; 10])));
    for version in [Version::V13, Version::V15] {
        measure("flow-mod, 2 fields", version, &l2);
        measure("flow-mod, 6 fields", version, &l4);
        measure("packet-in", version, &packet_in);
        measure("flow-stats of 10 entries", version, &flow_stats);
    }
}

//! What a controller hands back of a paused packet: any bytes are read or refused, what was read is written and
//! read the same, and what the switch takes goes on within the bounds of a walk, pauses again and comes back.

use crate::rig::{self, Worker};
use datapath::clock::Time;
use datapath::control::{Control, Modification};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::pipeline::MAX_STEPS;
use datapath::program::{Place, compile_resumption};
use ofproto::continuation::Continuation;
use ofproto::field::FieldId;
use ofproto::flow::FlowModCommand;
use ofproto::group::GroupModCommand;
use ofproto::ids::PortNo;
use ofproto::meter::MeterModCommand;
use ofproto::text::{ParseContext, parse_flow_mod, parse_group_mod, parse_meter_mod};
use ofproto::wire::{EncodeError, decode_continuation, encode_continuation};
use ofproto::{Version, validate};

/// Most pauses of one packet that are followed.
const PAUSES: usize = 4;

const FRAME: &[u8] = &[
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
    0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
    0, 80, 0x9c, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0, // TCP
];

/// What resumed packets meet: each table, groups that chain, a meter.
const METER: &str = "meter=1,kbps,band=type=drop,rate=1000000";
const GROUPS: &[&str] = &[
    "group_id=1,type=all,bucket=output:1,bucket=output:2",
    "group_id=2,type=select,bucket=group:1,bucket=output:3",
];
const FLOWS: &[&str] = &[
    "table=0,priority=2,tcp,actions=resubmit(,1),output:2",
    "table=1,ip,actions=push:reg1[],controller(pause),pop:reg2[],resubmit(,2),write_actions(output:3),goto_table:3",
    "table=2,actions=learn(table=3,dl_dst=dl_src,output:reg0[0..15],result_dst=reg5[0]),output:4",
    "table=3,actions=clone(set_queue:1,controller(pause),output:1),group:2",
];

/// Input: the continuation.
pub fn run(data: &[u8]) {
    let rest = match decode_continuation(data) {
        Ok(rest) => rest,
        Err(e) => {
            assert!(e.offset.is_none_or(|at| at <= data.len()), "an offset beyond the continuation: {e}");
            assert!(!e.to_string().is_empty());
            return;
        }
    };
    let rest = again(&rest);
    if validate::continuation(&rest).is_err() {
        return;
    }
    let now = Time(1_000_000_000);
    let mut control = filled(now);
    let mut worker = Worker::new(&mut control, 0);
    let mut key = FlowKey::default();
    key.set(FieldId::InPort, 1);
    let mut next = vec![(rest, key, FRAME.to_vec())];
    for _ in 0..PAUSES {
        let mut paused = Vec::new();
        for (rest, key, frame) in next {
            let context = control.context(Version::V15, Place::PacketOut);
            let Ok(resumption) = compile_resumption(&rest, &context) else { continue };
            worker.engine.resume(&resumption, key, Frame::from_bytes(&frame), &mut worker.tx, now);
            let punts = worker.punts();
            let sent = worker.done().len();
            assert!(sent + punts.len() <= MAX_STEPS as usize, "{sent} frames, {} packets", punts.len());
            for punt in punts {
                if let Some(rest) = &punt.paused {
                    paused.push((again(rest), punt.key, punt.frame.bytes().to_vec()));
                }
            }
        }
        // One chain is enough: how many copies there are is bounded above.
        paused.truncate(2);
        next = paused;
    }
}

/// What comes back of what is handed out.
fn again(rest: &Continuation) -> Continuation {
    match encode_continuation(rest) {
        Ok(bytes) => {
            // How often it waited and whose it is aren't in it, or not yet.
            let back = decode_continuation(&bytes).expect("what was written is read");
            assert_eq!(back, Continuation { waits: 0, ..rest.clone() }, "another continuation came back");
            back
        }
        // Text may have become longer.
        Err(EncodeError::TooLong { .. }) => Continuation::default(),
        Err(e) => panic!("{e}: {rest:?}"),
    }
}

fn filled(now: Time) -> Control {
    let mut control = rig::control(now);
    let ctx = ParseContext::new(Version::V15);
    let meter = parse_meter_mod(METER, MeterModCommand::Add, &ctx).map(Modification::Meter);
    let groups = GROUPS.iter().map(|g| parse_group_mod(g, GroupModCommand::Add, &ctx).map(Modification::Group));
    let flows = FLOWS.iter().map(|f| parse_flow_mod(f, FlowModCommand::Add, &ctx).map(Modification::Flow));
    for change in std::iter::once(meter).chain(groups).chain(flows) {
        let change = change.expect("sound text");
        control.modify(Version::V15, &change, now).expect("a sound change");
    }
    control
}

/// Continuations as a switch makes them, for seeds: packets through the same flows, paused.
pub fn seeds() -> Vec<Vec<u8>> {
    let now = Time(1_000_000_000);
    let mut control = filled(now);
    let mut worker = Worker::new(&mut control, 0);
    let mut seeds = Vec::new();
    worker.engine.burst(PortNo(1), &mut vec![Frame::from_bytes(FRAME)], &mut worker.tx, now);
    let mut next = worker.punts();
    while let Some(punt) = next.pop() {
        let Some(rest) = punt.paused else { continue };
        seeds.push(encode_continuation(&rest).expect("sayable").to_vec());
        let context = control.context(Version::V15, Place::PacketOut);
        let resumption = compile_resumption(&rest, &context).expect("its own");
        worker.engine.resume(&resumption, punt.key, Frame::from_bytes(punt.frame.bytes()), &mut worker.tx, now);
        next.extend(worker.punts());
    }
    seeds
}

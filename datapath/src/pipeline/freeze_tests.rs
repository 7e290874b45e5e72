//! A packet that is paused and goes on at once ends as one that isn't paused, wherever the pause stands.

use super::*;
use crate::engine::Collected;
use crate::engine::testbed::{TestSwitch, frames};
use ofproto::action::Action;
use ofproto::continuation::Ending;
use ofproto::field::FieldId as F;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::BucketId;
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};
use ofproto::wire::{decode_continuation, encode_continuation};
use ofproto::{ErrorKind, Version};

fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}

fn set(id: F, value: u128) -> Action {
    Action::SetField(MatchField::exact(id, value))
}

fn sub(field: F, offset: u16, n_bits: u16) -> Subfield {
    Subfield { field: OxmId::of(field), offset, n_bits }
}

fn nx(a: NxAction) -> Action {
    Action::Nicira(a)
}

fn resubmit(table: u8) -> Action {
    nx(NxAction::Resubmit { in_port: PortNo::IN_PORT, table: Some(TableId(table)), ct: false })
}

fn pause() -> Action {
    nx(NxAction::Controller2 {
        max_len: None,
        controller_id: Some(9),
        reason: None,
        userdata: Some(vec![1, 2, 3].into()),
        pause: true,
        meter: None,
    })
}

fn ip() -> Match {
    Match::any().with(F::EthType, 0x0800)
}

/// A pipeline: entries by table, and a packet-out's actions instead of a received packet, perhaps.
#[derive(Clone)]
struct Case {
    of: Version,
    entries: Vec<(u8, Match, Vec<I>)>,
    packet_out: Option<Vec<Action>>,
    first_egress: Option<u8>,
}

/// Every way to put a pause into a list of actions, those within clones too.
fn with_pause(list: &[Action]) -> Vec<Vec<Action>> {
    let mut all = Vec::new();
    for at in 0..=list.len() {
        let mut one = list.to_vec();
        one.insert(at, pause());
        all.push(one);
        if let Some(Action::Nicira(NxAction::Clone(inner))) = list.get(at) {
            for inner in with_pause(inner) {
                let mut one = list.to_vec();
                one[at] = nx(NxAction::Clone(inner));
                all.push(one);
            }
        }
    }
    all
}

impl Case {
    fn switch(&self) -> TestSwitch {
        let mut s = TestSwitch::new(self.of);
        s.settings.first_egress = self.first_egress.map(TableId);
        if self.of > Version::V10 {
            let buckets = [vec![set(F::EthSrc, 0x77), out(3)], vec![out(4)]].map(Bucket::new).into();
            let (command, ty) = (GroupModCommand::Add, GroupType::All);
            let (group, command_bucket) = (GroupId(1), BucketId::ALL);
            s.group(&GroupMod { command, ty, group, command_bucket, buckets, properties: Vec::new() }).unwrap();
        }
        for (table, matching, instructions) in &self.entries {
            s.flow(*table, 1, matching.clone(), instructions.clone()).unwrap();
        }
        s
    }

    /// The same with one pause more, at every place.
    fn paused(&self) -> Vec<Case> {
        let mut all = Vec::new();
        for (e, (_, _, instructions)) in self.entries.iter().enumerate() {
            for (i, instruction) in instructions.iter().enumerate() {
                let I::ApplyActions(list) = instruction else { continue };
                for list in with_pause(list) {
                    let mut case = self.clone();
                    case.entries[e].2[i] = I::ApplyActions(list);
                    all.push(case);
                }
            }
        }
        for list in self.packet_out.iter().flat_map(|l| with_pause(l)) {
            all.push(Case { packet_out: Some(list), ..self.clone() });
        }
        all
    }

    /// What comes out in the end, and how often the packet waited.
    fn run(&self) -> (Collected, usize) {
        let s = self.switch();
        let first = match &self.packet_out {
            Some(actions) => s.packet_out(PortNo(1), actions, &frames::tcp()).unwrap(),
            None => s.run(1, &frames::tcp(), Time::ZERO),
        };
        let mut all = Collected::default();
        let (mut waits, mut next) = (0, vec![first]);
        while let Some(c) = next.pop() {
            all.sent.extend(c.sent);
            all.drops.extend(c.drops);
            for punt in c.punts {
                let Some(rest) = &punt.paused else {
                    all.punts.push(punt);
                    continue;
                };
                assert_eq!((punt.controller_id, punt.userdata.as_deref()), (9, Some(&[1, 2, 3][..])));
                waits += 1;
                let rest = decode_continuation(&encode_continuation(&own(rest)).unwrap()).unwrap();
                next.push(s.resume(&punt, &rest).unwrap());
            }
        }
        (all, waits)
    }
}

fn own(rest: &ofproto::continuation::Continuation) -> ofproto::continuation::Continuation {
    ofproto::continuation::Continuation { bridge: 5, ..rest.clone() }
}

/// Frames by port and queue, in no order: what a pause holds up comes later.
fn digest(c: &Collected) -> (Vec<String>, Vec<String>) {
    let mut sent: Vec<_> = c.sent.iter().map(|(p, q, f)| format!("{p} {q:?} {:?}", f.bytes())).collect();
    let mut drops: Vec<_> = c.drops.iter().map(|d| format!("{d:?}")).collect();
    sent.sort();
    drops.sort();
    (sent, drops)
}

fn cases() -> Vec<Case> {
    let push = |v: u64| {
        let load = nx(NxAction::RegLoad { dst: sub(F::Reg3, 0, 32), value: v });
        [load, nx(NxAction::StackPush(sub(F::Reg3, 0, 32)))]
    };
    let pop = |id, n| nx(NxAction::StackPop(sub(id, 0, n)));
    let [load1, push1] = push(0x0a0b_0c0d);
    let [load2, push2] = push(7);
    let received = |of, entries| Case { of, entries, packet_out: None, first_egress: None };
    let set_of = vec![Action::DecNwTtl, set(F::EthDst, 0x99), Action::SetQueue(QueueId(3)), out(2)];
    vec![
        // Stack, registers, queues and a clone in one list.
        received(
            Version::V10,
            vec![(
                0,
                Match::any(),
                vec![I::ApplyActions(vec![
                    load1,
                    push1,
                    load2,
                    push2,
                    nx(NxAction::SetQueue(4)),
                    Action::SetVlanVid(5),
                    nx(NxAction::Clone(vec![Action::SetVlanVid(6), out(3), pop(F::Reg4, 32), out(4)])),
                    pop(F::Reg5, 32),
                    pop(F::EthDst, 32),
                    nx(NxAction::OutputReg { src: sub(F::Reg5, 0, 2), max_len: 0, v2: false }),
                    out(2),
                ])],
            )],
        ),
        // Resubmits within resubmits, tables without a match, an exit.
        received(
            Version::V13,
            vec![
                (
                    0,
                    Match::any(),
                    vec![I::ApplyActions(vec![resubmit(1), set(F::EthSrc, 5), resubmit(3), out(2), out(3)])],
                ),
                (1, ip(), vec![I::ApplyActions(vec![out(3), resubmit(2), out(4)]), I::GotoTable(TableId(4))]),
                (2, Match::any(), vec![I::ApplyActions(vec![set(F::EthDst, 6), out(4)]), I::GotoTable(TableId(5))]),
                (3, ip(), vec![I::ApplyActions(vec![out(4), nx(NxAction::Exit), out(3)])]),
            ],
        ),
        // Every instruction after the pause, and the action set.
        received(
            Version::V13,
            vec![
                (
                    0,
                    ip(),
                    vec![
                        I::ApplyActions(vec![resubmit(1), out(3)]),
                        I::WriteActions(set_of),
                        I::WriteMetadata { metadata: 5, mask: 0xff },
                        I::GotoTable(TableId(2)),
                    ],
                ),
                (
                    1,
                    Match::any(),
                    vec![I::WriteActions(vec![Action::PushVlan(0x8100), out(4)]), I::ApplyActions(vec![out(2)])],
                ),
                (
                    2,
                    Match::any().with(F::Metadata, 5),
                    vec![I::ApplyActions(vec![out(4)]), I::WriteActions(vec![set(F::EthSrc, 0x11)])],
                ),
            ],
        ),
        // A group in the set, clear-actions, the last table without a match.
        received(
            Version::V14,
            vec![
                (0, Match::any(), vec![I::WriteActions(vec![Action::Group(GroupId(1))]), I::GotoTable(TableId(1))]),
                (1, ip(), vec![I::ApplyActions(vec![resubmit(2), out(2)])]),
                (2, ip(), vec![I::ApplyActions(vec![set(F::EthDst, 8)]), I::WriteActions(vec![Action::DecNwTtl])]),
            ],
        ),
        received(
            Version::V14,
            vec![
                (0, Match::any(), vec![I::WriteActions(vec![out(3)]), I::GotoTable(TableId(1))]),
                (1, ip(), vec![I::ApplyActions(vec![out(2)]), I::ClearActions, I::GotoTable(TableId(4))]),
            ],
        ),
        // Egress tables.
        Case {
            of: Version::V15,
            entries: vec![
                (0, Match::any(), vec![I::ApplyActions(vec![out(2), out(3)]), I::WriteActions(vec![out(4)])]),
                (4, ip(), vec![I::ApplyActions(vec![set(F::EthSrc, 9)]), I::WriteActions(vec![set(F::EthDst, 0x22)])]),
            ],
            packet_out: None,
            first_egress: Some(4),
        },
        // A packet-out that goes through the tables.
        Case {
            of: Version::V13,
            entries: vec![
                (0, Match::any(), vec![I::ApplyActions(vec![out(2)]), I::WriteActions(vec![out(3)])]),
                (1, Match::any(), vec![I::ApplyActions(vec![out(4)])]),
            ],
            packet_out: Some(vec![
                set(F::EthDst, 1),
                resubmit(1),
                Action::output(PortNo::TABLE),
                Action::Group(GroupId(1)),
            ]),
            first_egress: None,
        },
    ]
}

#[test]
fn a_packet_that_waited_ends_as_one_that_did_not() {
    let mut waited = 0;
    for (i, case) in cases().iter().enumerate() {
        let (plain, none) = case.run();
        assert_eq!(none, 0);
        assert!(!plain.sent.is_empty(), "case {i}");
        for paused in case.paused() {
            let (c, waits) = paused.run();
            waited += waits;
            let lists: Vec<_> = paused.entries.iter().map(|e| &e.2).collect();
            let mut expected = digest(&plain);
            let mut got = digest(&c);
            // What the action set finds at its end is counted once, wherever the packet went before it waited.
            expected.1.retain(|d| d != "NoOutput");
            got.1.retain(|d| d != "NoOutput");
            assert_eq!(got, expected, "case {i}, {lists:?}, {:?}", paused.packet_out);
        }
    }
    assert!(waited > 50, "{waited}");
}

/// Two pauses, one below the other.
#[test]
fn a_packet_waits_again() {
    let once: Vec<Case> = cases().iter().flat_map(Case::paused).collect();
    for case in once {
        let (plain, _) = case.run();
        for twice in case.paused() {
            let (c, _) = twice.run();
            assert_eq!(digest(&c).0, digest(&plain).0);
        }
    }
}

#[test]
fn a_rest_that_does_not_fit_this_switch_is_refused() {
    let s = TestSwitch::new(Version::V13);
    let part = |table: u8, instructions| {
        let (version, cookie) = (Version::V13, Cookie(0));
        let part = ofproto::continuation::Part {
            table: TableId(table),
            cookie,
            version,
            nested: false,
            table_miss: false,
            instructions,
        };
        let rest =
            ofproto::continuation::Continuation { parts: vec![part], ending: Ending::Nothing, ..Default::default() };
        crate::program::compile_resumption(&rest, &s.context(crate::program::Place::PacketOut))
            .map(|_| ())
            .map_err(|e| e.kind)
    };
    let apply = |a| vec![I::ApplyActions(vec![a])];
    assert_eq!(part(0, apply(out(2))), Ok(()));
    assert_eq!(part(200, apply(out(2))), Err(ErrorKind::BadRequestBadTableId));
    assert_eq!(part(0, apply(Action::Group(GroupId(5)))), Err(ErrorKind::BadActionBadOutGroup));
    assert_eq!(part(0, apply(Action::output(PortNo::TABLE))), Err(ErrorKind::BadActionBadOutPort));
    assert_eq!(part(255, apply(Action::output(PortNo::TABLE))), Ok(()));
    assert_eq!(part(3, vec![I::GotoTable(TableId(3))]), Err(ErrorKind::BadInstructionBadTableId));
    assert_eq!(part(255, vec![I::GotoTable(TableId(3))]), Err(ErrorKind::BadInstructionBadTableId));
    assert_eq!(part(0, vec![I::Meter(MeterId(1))]), Err(ErrorKind::MeterModFailedUnknownMeter));
    let conjunction = nx(NxAction::Conjunction { clause: 0, n_clauses: 2, id: 1 });
    assert_eq!(part(0, apply(conjunction)), Err(ErrorKind::BadInstructionUnsupInst));
}

#[test]
fn a_packet_waits_for_what_it_teaches() {
    let mut s = TestSwitch::new(Version::V13);
    let learn = NxAction::Learn(Box::new(Learn {
        priority: 5,
        cookie: Cookie(7),
        flags: Learn::WRITE_RESULT,
        limit: Some((10, Some(sub(F::Reg2, 4, 1)))),
        specs: vec![LearnSpec::Match {
            src: LearnSource::Field(sub(F::EthSrc, 0, 48)),
            dst: sub(F::EthDst, 0, 48),
            n_bits: 48,
        }],
        ..Learn::default()
    }));
    s.flow(0, 1, Match::any(), vec![I::ApplyActions(vec![out(2), nx(learn), out(3)]), I::WriteActions(vec![out(4)])])
        .unwrap();
    let c = s.run(1, &frames::tcp(), Time::ZERO);
    assert_eq!(c.sent.iter().map(|s| s.0.0).collect::<Vec<_>>(), [2]);
    let [Request::Learn { limit: 10, waiting: Some(w), flow_mod }] = &c.requests[..] else {
        panic!("{:?}", c.requests)
    };
    assert_eq!(flow_mod.matching, Match::any().with(F::EthDst, 0x0200_0000_0001));
    assert_eq!((w.result.field, w.result.offset, w.result.n_bits), (F::Reg2, 4, 1));
    assert_eq!(w.rest.parts[0].instructions, [I::ApplyActions(vec![out(3)]), I::WriteActions(vec![out(4)])]);
    assert_eq!(&w.frame[..], frames::tcp());
}

#[test]
fn a_packet_that_teaches_in_a_circle_is_dropped_in_the_end() {
    let mut s = TestSwitch::new(Version::V13);
    let learn = NxAction::Learn(Box::new(Learn {
        flags: Learn::WRITE_RESULT,
        limit: Some((0, Some(sub(F::Reg2, 4, 1)))),
        ..Learn::default()
    }));
    s.flow(0, 1, Match::any(), vec![I::ApplyActions(vec![nx(learn), resubmit(0)])]).unwrap();
    let mut c = s.run(1, &frames::tcp(), Time::ZERO);
    let mut waits = 0;
    while let Some(Request::Learn { waiting: Some(w), .. }) = c.requests.pop() {
        waits += 1;
        assert!(waits <= MAX_DEPTH, "for ever");
        c = s.go_on(w.key, &w.frame, &w.rest).unwrap();
    }
    assert_eq!(waits, MAX_DEPTH);
    assert_eq!(c.drops, [DropReason::TooComplex]);
}

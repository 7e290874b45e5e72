//! Learnt flows: their number, and their end with those that taught them.

use super::super::*;
use ofproto::Version::V13;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand as C};
use ofproto::ids::{Cookie, PortNo};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, OxmId};
use ofproto::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};

const NOW: Time = Time::from_secs(1);

fn control() -> Control {
    Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() })
}

/// An entry of table 0 that teaches flows of table 1 with cookie 7.
fn teacher(in_port: u32, flags: u16, limit: u32) -> FlowMod {
    let sub = |f, n_bits| Subfield { field: OxmId::of(f), offset: 0, n_bits };
    let src = LearnSource::Field(sub(F::EthSrc, 48));
    let learn = NxAction::Learn(Box::new(Learn {
        priority: 5,
        cookie: Cookie(7),
        flags,
        limit: Some((limit, None)),
        specs: vec![LearnSpec::Match { src, dst: sub(F::EthDst, 48), n_bits: 48 }],
        ..Learn::default()
    }));
    FlowMod {
        matching: Match::any().with(F::InPort, in_port.into()),
        instructions: vec![Instruction::ApplyActions(vec![Action::Nicira(learn)])],
        ..FlowMod::default()
    }
}

/// A flow that was taught.
fn taught(mac: u64) -> FlowMod {
    FlowMod {
        table: TableId(1),
        priority: 5,
        cookie: Cookie(7),
        matching: Match::any().with(F::EthDst, mac.into()),
        ..FlowMod::default()
    }
}

fn delete(in_port: u32) -> FlowMod {
    FlowMod { command: C::Delete, instructions: vec![], ..teacher(in_port, 0, 0) }
}

#[test]
fn a_limit_counts_flows_of_the_cookie_and_lets_those_that_are_there_be_taught_again() {
    let mut c = control();
    // One is there before anybody counts.
    c.flow_mod(V13, &taught(1), NOW).unwrap();
    c.flow_mod(V13, &teacher(1, 0, 3), NOW).unwrap();
    let learnt: Vec<bool> = (1..=5).map(|n| c.learn(&taught(n), 3, NOW).unwrap()).collect();
    assert_eq!(learnt, [true, true, true, false, false]);
    assert!(c.learn(&taught(2), 3, NOW).unwrap(), "again");
    assert_eq!(c.flow_count(TableId(1)), 3);
    // Another cookie isn't counted; room that comes is used.
    c.flow_mod(V13, &FlowMod { cookie: Cookie(8), ..taught(100) }, NOW).unwrap();
    c.flow_mod(V13, &FlowMod { command: C::DeleteStrict, ..taught(2) }, NOW).unwrap();
    assert!(c.learn(&taught(6), 3, NOW).unwrap());
    assert!(!c.learn(&taught(7), 3, NOW).unwrap());
    // A change that was taken back didn't count.
    let failed: Result<(), ()> = c.transaction(NOW, |c| {
        c.flow_mod(V13, &FlowMod { command: C::DeleteStrict, ..taught(6) }, NOW).map_err(|_| ())?;
        Err(())
    });
    assert!(failed.is_err() && !c.learn(&taught(7), 3, NOW).unwrap());
    // Without an entry that teaches (a packet-out did) they are counted anew.
    c.flow_mod(V13, &delete(1), NOW).unwrap();
    assert!(!c.learn(&taught(7), 3, NOW).unwrap() && c.learn(&taught(7), 4, NOW).unwrap());
}

#[test]
fn learnt_flows_end_with_the_last_entry_that_taught_them_if_it_says_so() {
    let mut c = control();
    let watched = |c: &mut Control| c.events().filter(|e| matches!(e, Event::FlowChanged(_))).count();
    c.watch_flows(true);
    for port in [1, 2] {
        c.flow_mod(V13, &teacher(port, 2, 0), NOW).unwrap();
    }
    c.flow_mod(V13, &teacher(3, 0, 9), NOW).unwrap();
    for n in 1..=3 {
        assert!(c.learn(&taught(n), 0, NOW).unwrap());
    }
    c.flow_mod(V13, &FlowMod { cookie: Cookie(8), ..taught(100) }, NOW).unwrap();
    watched(&mut c);
    c.flow_mod(V13, &delete(1), NOW).unwrap();
    assert_eq!(c.flow_count(TableId(1)), 4, "entry 2 teaches them, too");
    // Replaced by the same, or modified into the same: nothing ends.
    c.flow_mod(V13, &teacher(2, 2, 0), NOW).unwrap();
    c.flow_mod(V13, &FlowMod { command: C::Modify, ..teacher(2, 2, 1) }, NOW).unwrap();
    assert_eq!(c.flow_count(TableId(1)), 4);
    watched(&mut c);
    // Taken back: nothing ends.
    let failed: Result<(), ()> = c.transaction(NOW, |c| {
        c.flow_mod(V13, &delete(2), NOW).map_err(|_| ())?;
        Err(())
    });
    assert!(failed.is_err());
    assert_eq!(c.flow_count(TableId(1)), 4);
    c.flow_mod(V13, &delete(2), NOW).unwrap();
    assert_eq!(c.flow_count(TableId(1)), 1, "entry 3 teaches, but wants nothing deleted");
    assert_eq!(watched(&mut c), 4, "the entry and three flows");
    // A modify that takes the action away is an end, too.
    c.flow_mod(V13, &teacher(4, 2, 0), NOW).unwrap();
    assert!(c.learn(&taught(1), 0, NOW).unwrap());
    let other = vec![Instruction::ApplyActions(vec![Action::output(PortNo(1))])];
    c.flow_mod(V13, &FlowMod { command: C::Modify, instructions: other, ..teacher(4, 0, 0) }, NOW).unwrap();
    assert_eq!(c.flow_count(TableId(1)), 1);
}

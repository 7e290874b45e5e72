//! Stat-triggers: what is told, and when, with a clock that the test holds.

use super::super::*;
use ofproto::Version::V15;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand as C, FlowModFlags as Fl};
use ofproto::ids::PortNo;
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::stats::{FlowStat, FlowStatsEntry};

const PERIODIC: u32 = 1;
const ONLY_FIRST: u32 = 2;

fn trigger(flags: u32, thresholds: Vec<FlowStat>) -> Vec<Instruction> {
    vec![Instruction::ApplyActions(vec![Action::output(PortNo(1))]), Instruction::StatTrigger { flags, thresholds }]
}

struct Bench {
    control: Control,
    worker: Reader,
    other: Reader,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        let mut control = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
        let (worker, other) = (control.attach_worker().unwrap(), control.attach_worker().unwrap());
        Self { control, worker, other, now: 1_000 }
    }

    fn with(flags: u32, thresholds: Vec<FlowStat>) -> Self {
        let mut b = Self::new();
        b.add(1, trigger(flags, thresholds), Fl::empty());
        b
    }

    fn add(&mut self, in_port: u32, instructions: Vec<Instruction>, flags: Fl) {
        let matching = Match::any().with(F::InPort, u128::from(in_port));
        let m = FlowMod { matching, instructions, flags, priority: 7, ..FlowMod::default() };
        self.control.flow_mod(V15, &m, Time::from_millis(self.now)).unwrap();
    }

    fn modify(&mut self, instructions: Vec<Instruction>, flags: Fl) {
        let m = FlowMod { command: C::Modify, instructions, flags, ..FlowMod::default() };
        self.control.flow_mod(V15, &m, Time::from_millis(self.now)).unwrap();
    }

    /// Counts packets of 100 bytes, half of them by each worker if they are even in number.
    fn packets(&mut self, n: u64) {
        let mut key = FlowKey::default();
        key.set(F::InPort, 1);
        let now = Time::from_millis(self.now);
        for (reader, n) in [(&mut self.worker, n - n / 2), (&mut self.other, n / 2)] {
            let snap = reader.adopt();
            let f = snap.lookup(TableId(0), &key).unwrap();
            snap.count(f.stats(), n, n * 100, now);
        }
    }

    /// What is told in the next `ms`.
    fn told(&mut self, ms: u64) -> Vec<FlowStatsEntry> {
        let end = self.now + ms;
        let mut told = Vec::new();
        while self.now < end {
            self.now += 10;
            self.worker.adopt();
            self.other.adopt();
            let tick = self.control.tick(Time::from_millis(self.now));
            assert!(tick.next.is_none_or(|n| n.0 <= (self.now + 50) * 1_000_000));
            for e in self.control.events() {
                if let Event::FlowStats(entries) = e {
                    told.extend(entries);
                }
            }
        }
        told
    }
}

#[test]
fn a_threshold_is_told_once_with_everybodys_counters() {
    let mut b = Bench::with(0, vec![FlowStat::PacketCount(10)]);
    b.packets(9);
    assert!(b.told(200).is_empty());
    b.packets(1);
    let told = b.told(60);
    assert_eq!(told.len(), 1);
    let e = &told[0];
    assert_eq!((e.reason, e.table, e.priority), (1, TableId(0), 7));
    assert_eq!((e.stats.packet_count, e.stats.byte_count), (10, 1000));
    assert_eq!(e.matching.get(F::InPort).map(|f| f.value), Some(1));
    b.packets(100);
    assert!(b.told(1000).is_empty(), "once");
}

#[test]
fn a_periodic_one_is_told_at_every_multiple_and_once_for_several_passed_at_once() {
    let mut b = Bench::with(PERIODIC, vec![FlowStat::ByteCount(1000)]);
    for _ in 0..5 {
        b.packets(10);
        assert_eq!(b.told(60).len(), 1);
    }
    b.packets(9);
    assert!(b.told(60).is_empty());
    b.packets(35);
    assert_eq!(b.told(100).len(), 1);
}

#[test]
fn after_the_first_threshold_the_others_are_silent_if_only_the_first_counts() {
    let both = || vec![FlowStat::PacketCount(20), FlowStat::ByteCount(500)];
    let mut b = Bench::with(0, both());
    b.packets(5);
    assert_eq!(b.told(60).len(), 1, "bytes");
    b.packets(15);
    assert_eq!(b.told(60).len(), 1, "packets");
    let mut b = Bench::with(ONLY_FIRST, both());
    b.packets(5);
    assert_eq!(b.told(60).len(), 1, "bytes");
    b.packets(15);
    assert!(b.told(60).is_empty());
    // With both flags the first one's multiples go on.
    let mut b = Bench::with(ONLY_FIRST | PERIODIC, vec![FlowStat::PacketCount(7), FlowStat::ByteCount(500)]);
    b.packets(5);
    assert_eq!(b.told(60).len(), 1);
    b.packets(2);
    assert!(b.told(60).is_empty(), "7 packets, 700 bytes");
    b.packets(3);
    assert_eq!(b.told(60).len(), 1, "1000 bytes");
}

#[test]
fn time_passes_thresholds_too_and_a_silence_each_time_it_comes() {
    let mut b = Bench::with(0, vec![FlowStat::Duration(1, 500_000_000)]);
    assert!(b.told(1_490).is_empty());
    let told = b.told(70);
    assert_eq!((told.len(), told[0].stats.duration_sec), (1, 1));
    let mut b = Bench::with(0, vec![FlowStat::IdleTime(2, 0)]);
    for _ in 0..3 {
        b.packets(1);
        assert!(b.told(1_990).is_empty());
        assert_eq!(b.told(70).len(), 1);
        assert!(b.told(5_000).is_empty(), "the same silence");
        b.packets(1);
        b.told(60);
    }
}

#[test]
fn what_was_passed_before_the_trigger_came_is_not_passed_again() {
    let mut b = Bench::new();
    b.add(1, vec![Instruction::ApplyActions(vec![])], Fl::empty());
    b.packets(50);
    b.modify(trigger(PERIODIC, vec![FlowStat::PacketCount(20)]), Fl::empty());
    assert!(b.told(100).is_empty());
    b.packets(10);
    assert_eq!(b.told(100).len(), 1, "60");
    // Other actions and the same trigger: nothing is told twice, nothing is lost.
    b.packets(10);
    let mut same = trigger(PERIODIC, vec![FlowStat::PacketCount(20)]);
    same[0] = Instruction::ApplyActions(vec![Action::output(PortNo(9))]);
    b.modify(same.clone(), Fl::empty());
    b.packets(10);
    assert_eq!(b.told(100).len(), 1, "80");
    // Counters that begin anew pass the thresholds anew.
    b.modify(same.clone(), Fl::RESET_COUNTS);
    assert!(b.told(100).is_empty());
    b.packets(20);
    assert_eq!(b.told(100).len(), 1);
    // Replaced by an identical entry, whose counters are inherited.
    b.add(1, same, Fl::empty());
    assert!(b.told(100).is_empty());
    b.packets(20);
    assert_eq!(b.told(100).len(), 1);
    b.modify(vec![], Fl::empty());
    b.packets(200);
    assert!(b.told(1000).is_empty(), "the trigger is gone");
}

#[test]
fn a_turn_is_bounded_and_everybody_has_one() {
    let mut b = Bench::new();
    for n in 1..=5000 {
        b.add(n, trigger(0, vec![FlowStat::Duration(1, 0)]), Fl::empty());
    }
    b.now = 3_000;
    let told = b.told(10).len();
    assert_eq!(told, 4096);
    assert_eq!(b.told(200).len(), 5000 - 4096);
    let all = FlowMod { command: C::Delete, ..FlowMod::default() };
    b.control.flow_mod(V15, &all, Time::from_millis(b.now)).unwrap();
    assert!(b.control.triggers.is_empty());
    assert!(b.told(200).is_empty());
}

#[test]
fn an_entry_that_was_refused_or_taken_back_is_not_watched() {
    let mut b = Bench::new();
    let instructions = trigger(0, vec![FlowStat::PacketCount(1)]);
    let done: Result<(), ()> = b.control.transaction(Time::from_secs(1), |c| {
        let m = FlowMod { instructions: instructions.clone(), ..FlowMod::default() };
        c.flow_mod(V15, &m, Time::from_secs(1)).map_err(|_| ())?;
        Err(())
    });
    assert!(done.is_err());
    assert!(b.control.triggers.is_empty());
}

//! What table-features offer is taken, property by property, alone and with the masks that they offer.

use super::super::*;
use ofproto::Version::{self, V13, V14, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::{FieldId as F, Prereq};
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::meter::{MeterFlags, MeterMod, MeterModCommand};
use ofproto::nicira::{Learn, NxAction};
use ofproto::stats::FlowStat;
use ofproto::table::TableFeatureProp as P;

const NOW: Time = Time::from_secs(1);

/// Fields that give a prerequisite.
fn given(p: Prereq) -> Vec<(F, u128)> {
    let ip = |proto| vec![(F::EthType, 0x0800), (F::IpProto, proto)];
    let icmpv6 = |ty: Option<u128>| {
        let mut v = vec![(F::EthType, 0x86dd), (F::IpProto, 58)];
        v.extend(ty.map(|t| (F::Icmpv6Type, t)));
        v
    };
    match p {
        Prereq::None => vec![],
        Prereq::InPort => vec![(F::InPort, 1)],
        Prereq::Vlan => vec![(F::VlanVid, 0x1005)],
        Prereq::Ip | Prereq::Ipv4 => vec![(F::EthType, 0x0800)],
        Prereq::Ipv6 => vec![(F::EthType, 0x86dd)],
        Prereq::Arp => vec![(F::EthType, 0x0806)],
        Prereq::Mpls => vec![(F::EthType, 0x8847)],
        Prereq::Pbb => vec![(F::EthType, 0x88e7)],
        Prereq::Nsh => vec![(F::EthType, 0x894f)],
        Prereq::Tcp => ip(6),
        Prereq::Udp => ip(17),
        Prereq::Sctp => ip(132),
        Prereq::Icmpv4 => ip(1),
        Prereq::Icmpv6 => icmpv6(None),
        Prereq::Nd | Prereq::NdSol => icmpv6(Some(135)),
        Prereq::NdAdv => icmpv6(Some(136)),
    }
}

/// A value that the field can have.
fn value(f: F) -> u128 {
    match f {
        F::VlanVid => 0x1005,
        F::EthType => 0x0800,
        F::IpProto => 6,
        // Ethernet.
        F::PacketType => 0,
        _ => 1,
    }
}

fn fields(list: &[(F, u128)]) -> Vec<MatchField> {
    list.iter().map(|(f, n)| MatchField::exact(*f, *n)).collect()
}

struct Bench {
    control: Control,
    version: Version,
    taken: usize,
    refused: Vec<String>,
}

impl Bench {
    fn new(version: Version) -> Self {
        let mut control = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
        let bucket = Bucket::new(vec![Action::output(PortNo(1))]);
        let group = GroupMod {
            command: GroupModCommand::Add,
            ty: GroupType::All,
            group: GroupId(1),
            command_bucket: BucketId::ALL,
            buckets: vec![bucket],
            properties: vec![],
        };
        control.group_mod(version, &group, NOW).unwrap();
        let meter =
            MeterMod { command: MeterModCommand::Add, flags: MeterFlags::KBPS, meter: MeterId(1), bands: vec![] };
        control.meter_mod(version, &meter, NOW).unwrap();
        Self { control, version, taken: 0, refused: Vec::new() }
    }

    /// Tables from `first` on are egress tables, as 1.5 asks for it, and keep all that they were said to have.
    fn begin_egress_at(&mut self, first: u8) {
        let mut all = self.control.table_features(V15);
        let flow = FlowMod { table: TableId(1), ..FlowMod::default() };
        self.control.flow_mod(V15, &flow, NOW).unwrap();
        all[usize::from(first)].features |= 16;
        self.control.set_table_features(V15, &all, NOW).unwrap();
        let told = self.control.table_features(V15);
        assert_ne!(told[usize::from(first)].properties, all[usize::from(first)].properties);
        self.control.set_table_features(V15, &told, NOW).unwrap();
        assert_eq!((self.control.table_features(V15), self.control.flow_count(TableId(1))), (told, 1));
        self.control.flow_mod(V15, &FlowMod { command: FlowModCommand::Delete, ..flow }, NOW).unwrap();
    }

    fn takes(&mut self, what: &str, table: u8, matching: Vec<MatchField>, instructions: Vec<I>) {
        // A miss entry would have only what the `_MISS` properties offer: here they are the same.
        let m = FlowMod {
            table: TableId(table),
            priority: 10,
            matching: Match::new(matching),
            instructions: instructions.clone(),
            ..FlowMod::default()
        };
        match self.control.flow_mod(self.version, &m, NOW) {
            Ok(_) => self.taken += 1,
            Err(e) => self.refused.push(format!("{} table {table} {what}: {e:?}", self.version)),
        }
    }

    fn action(&mut self, table: u8, ty: u16, apply: bool) {
        let (needs, a) = match ty {
            0 => (Prereq::None, Action::output(PortNo(1))),
            11 => (Prereq::None, Action::CopyTtlOut),
            12 => (Prereq::None, Action::CopyTtlIn),
            15 => (Prereq::Mpls, Action::SetMplsTtl(5)),
            16 => (Prereq::Mpls, Action::DecMplsTtl),
            17 => (Prereq::None, Action::PushVlan(0x8100)),
            18 => (Prereq::Vlan, Action::PopVlan),
            19 => (Prereq::None, Action::PushMpls(0x8847)),
            20 => (Prereq::Mpls, Action::PopMpls(0x0800)),
            21 => (Prereq::None, Action::SetQueue(QueueId(1))),
            22 => (Prereq::None, Action::Group(GroupId(1))),
            23 => (Prereq::Ip, Action::SetNwTtl(5)),
            24 => (Prereq::Ip, Action::DecNwTtl),
            25 => (Prereq::None, Action::SetField(MatchField::exact(F::EthDst, 1))),
            26 => (Prereq::None, Action::PushPbb(0x88e7)),
            27 => (Prereq::Pbb, Action::PopPbb),
            28 => {
                let (src, dst) = (OxmId::of(F::EthSrc), OxmId::of(F::EthDst));
                (Prereq::None, Action::CopyField { n_bits: 48, src_offset: 0, dst_offset: 0, src, dst })
            }
            29 => (Prereq::None, Action::Meter(MeterId(1))),
            n => panic!("action {n} is offered, and this test doesn't know it"),
        };
        let list = vec![a];
        let i = if apply { I::ApplyActions(list) } else { I::WriteActions(list) };
        self.takes(&format!("action {ty}"), table, fields(&given(needs)), vec![i]);
    }

    fn on(&mut self, what: &str, table: u8, f: F, a: Action, apply: bool) {
        let list = vec![a];
        let i = if apply { I::ApplyActions(list) } else { I::WriteActions(list) };
        self.takes(&format!("{what} {}", f.info().name), table, fields(&given(f.info().prereq)), vec![i]);
    }
}

#[test]
fn everything_offered_is_taken() {
    for (version, egress) in [(V13, None), (V14, None), (V15, None), (V15, Some(2)), (V13, Some(2))] {
        let mut b = Bench::new(version);
        if let Some(first) = egress {
            b.begin_egress_at(first);
        }
        let offered = b.control.table_features(version);
        for t in &offered {
            let table = t.table.0;
            for p in &t.properties {
                match p {
                    P::Instructions { ids, .. } => {
                        for i in ids {
                            let i = match i.ty {
                                // Where it leads, `NextTables` says.
                                1 => continue,
                                2 => I::WriteMetadata { metadata: t.metadata_write, mask: t.metadata_write },
                                3 => I::WriteActions(vec![Action::SetQueue(QueueId(1))]),
                                4 => I::ApplyActions(vec![Action::output(PortNo(1))]),
                                5 => I::ClearActions,
                                6 => I::Meter(MeterId(1)),
                                7 => I::StatTrigger { flags: 3, thresholds: vec![FlowStat::PacketCount(1)] },
                                n => panic!("instruction {n} is offered, and this test doesn't know it"),
                            };
                            b.takes(&format!("{i:?}"), table, vec![], vec![i]);
                        }
                    }
                    P::NextTables { tables, .. } => {
                        for next in tables {
                            b.takes("goto", table, vec![], vec![I::GotoTable(*next)]);
                        }
                    }
                    P::WriteActions { ids, .. } => ids.iter().for_each(|i| b.action(table, i.ty, false)),
                    P::ApplyActions { ids, .. } => ids.iter().for_each(|i| b.action(table, i.ty, true)),
                    P::Match(list) => {
                        for o in list {
                            let f = o.field.clone().unwrap();
                            let mut all = given(f.info().prereq);
                            let own = all.iter().position(|(g, _)| *g == f);
                            if own.is_none() {
                                all.push((f, value(f)));
                            }
                            b.takes(&format!("match {}", f.info().name), table, fields(&all), vec![]);
                            if o.has_mask {
                                let mut masked = fields(&given(f.info().prereq));
                                masked.retain(|m| m.id != f);
                                masked.push(MatchField::masked(f, value(f), value(f)));
                                b.takes(&format!("match {} masked", f.info().name), table, masked, vec![]);
                            }
                        }
                    }
                    // A wildcarded field is one that isn't there, which every flow-mod here shows.
                    P::Wildcards(_) => {}
                    P::WriteSetfield { fields, .. } | P::ApplySetfield { fields, .. } => {
                        let apply = matches!(p, P::ApplySetfield { .. });
                        for o in fields {
                            let f = o.field.clone().unwrap();
                            b.on("set", table, f, Action::SetField(MatchField::exact(f, value(f))), apply);
                            if o.has_mask {
                                let masked = MatchField::masked(f, value(f), value(f));
                                b.on("set masked", table, f, Action::SetField(masked), apply);
                            }
                        }
                    }
                    P::WriteCopyfield { fields, .. } | P::ApplyCopyfield { fields, .. } => {
                        let apply = matches!(p, P::ApplyCopyfield { .. });
                        for o in fields {
                            let f = o.field.clone().unwrap();
                            let n_bits = f.info().bits.min(64);
                            let (to, from) = (OxmId::of(f), OxmId::of(F::Metadata));
                            // Both ways: what is listed is a source and a destination (1.5.1 §7.3.5.18.2).
                            for (src, dst) in [(from.clone(), to.clone()), (to, from)] {
                                let copy = Action::CopyField { n_bits, src_offset: 0, dst_offset: 0, src, dst };
                                b.on("copy", table, f, copy, apply);
                            }
                        }
                    }
                    other => panic!("{other:?} is offered, and this test doesn't know it"),
                }
            }
        }
        assert!(b.refused.is_empty(), "\n{}", b.refused.join("\n"));
        assert!(b.taken > 4 * 100, "{version}: {} of {} tables", b.taken, offered.len());
    }
}

/// Tables that `change` is asked for, of 1.5's, by this command; their lists stay.
fn ask(c: &mut Control, command: u8, tables: &[u8], change: impl Fn(&mut ofproto::table::TableFeatures)) {
    let mut all = c.table_features(V15);
    // Those that are out of the pipeline aren't told.
    let model = all[0].clone();
    for t in 0..4 {
        if all.iter().all(|f| f.table != TableId(t)) {
            all.push(ofproto::table::TableFeatures { table: TableId(t), ..model.clone() });
        }
    }
    all.retain(|f| tables.contains(&f.table.0));
    for f in &mut all {
        (f.command, f.properties) = (command, vec![]);
        change(f);
    }
    c.set_table_features(V15, &all, NOW).unwrap();
}

fn leads(from: u8, to: u8) -> FlowMod {
    FlowMod { table: TableId(from), instructions: vec![I::GotoTable(TableId(to))], ..FlowMod::default() }
}

fn resubmits(from: u8, to: u8) -> FlowMod {
    let nx = NxAction::Resubmit { in_port: PortNo::IN_PORT, table: Some(TableId(to)), ct: false };
    let inside = Action::Nicira(NxAction::Clone(vec![Action::Nicira(nx)]));
    FlowMod {
        table: TableId(from),
        priority: 7,
        instructions: vec![I::ApplyActions(vec![inside])],
        ..FlowMod::default()
    }
}

fn teaches(from: u8, to: u8) -> FlowMod {
    let learn = Learn { table: TableId(to), ..Learn::default() };
    let actions = vec![Action::Nicira(NxAction::Learn(Box::new(learn)))];
    FlowMod { table: TableId(from), priority: 8, instructions: vec![I::ApplyActions(actions)], ..FlowMod::default() }
}

#[test]
fn resubmits_and_lessons_go_to_tables_of_the_pipeline_and_resubmits_stay_on_their_side() {
    let mut c = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
    c.flow_mod(V13, &resubmits(0, 2), NOW).unwrap();
    c.flow_mod(V13, &teaches(0, 2), NOW).unwrap();
    ask(&mut c, 3, &[2], |_| {});
    for m in [resubmits(0, 2), resubmits(0, 4), teaches(0, 2), teaches(0, 4), teaches(0, 255)] {
        assert_eq!(c.flow_mod(V13, &m, NOW).unwrap_err().kind, E::BadActionBadArgument, "{m:?}");
    }
    // What was there stays, as gotos do.
    assert_eq!(c.flow_count(TableId(0)), 2);
    ask(&mut c, 2, &[2], |_| {});
    let all = [resubmits(0, 1), resubmits(1, 2), resubmits(2, 3), resubmits(3, 2), resubmits(3, 3)];
    let (mut c, counts) = (c, |c: &Control| [0, 1, 2, 3].map(|t| c.flow_count(TableId(t))));
    for m in &all {
        c.flow_mod(V15, m, NOW).unwrap();
    }
    ask(&mut c, 1, &[2], |f| f.features |= 16);
    assert_eq!(counts(&c), [2, 0, 0, 0], "one to the own side and the lesson");
    for (from, to, taken) in [(0, 1, true), (1, 0, true), (1, 2, false), (2, 1, false), (2, 3, true), (3, 2, true)] {
        let done = c.flow_mod(V15, &resubmits(from, to), NOW);
        assert_eq!(done.map_err(|e| e.kind).err(), (!taken).then_some(E::BadActionBadArgument), "{from} to {to}");
    }
    // An egress table that stays one leads to one that doesn't.
    ask(&mut c, 1, &[3], |f| f.features |= 16);
    assert_eq!(counts(&c), [2, 1, 0, 0]);
    c.flow_mod(V15, &teaches(0, 3), NOW).unwrap();
}

fn next_tables(c: &Control, table: usize) -> Vec<u8> {
    let lists = c.table_features(V15).swap_remove(table).properties.into_iter();
    lists
        .filter_map(|p| if let P::NextTables { tables, .. } = p { Some(tables) } else { None })
        .flatten()
        .map(|t| t.0)
        .collect()
}

#[test]
fn no_entry_comes_that_leads_to_a_table_out_of_the_pipeline() {
    for version in [Version::V11, Version::V12, V13, V14, V15] {
        let mut c = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
        c.flow_mod(version, &leads(1, 2), NOW).unwrap();
        ask(&mut c, 3, &[2], |_| {});
        // What led there stays, and finds nothing.
        assert_eq!((c.flow_count(TableId(1)), next_tables(&c, 0)), (1, vec![1, 3]));
        let refused = c.flow_mod(version, &leads(0, 2), NOW).unwrap_err();
        assert_eq!((refused.kind, refused.field), (E::BadInstructionBadTableId, "table_id"), "{refused:?}");
        let modify = FlowMod { command: FlowModCommand::Modify, ..leads(1, 2) };
        assert_eq!(c.flow_mod(version, &modify, NOW).unwrap_err().kind, E::BadInstructionBadTableId);
        c.flow_mod(version, &leads(0, 3), NOW).unwrap();
        ask(&mut c, 2, &[2], |_| {});
        assert_eq!(next_tables(&c, 0), [1, 2, 3]);
        c.flow_mod(version, &leads(0, 2), NOW).unwrap();
        c.flow_mod(version, &modify, NOW).unwrap();
    }
}

#[test]
fn tables_that_become_egress_tables_lose_their_entries_and_what_leads_to_them() {
    let mut c = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
    let write = |table| {
        let instructions = vec![I::WriteActions(vec![Action::output(PortNo(1))])];
        FlowMod { table: TableId(table), priority: 9, instructions, ..FlowMod::default() }
    };
    for m in [leads(0, 1), leads(1, 2), write(1), write(2), leads(2, 3), write(3)] {
        c.flow_mod(V15, &m, NOW).unwrap();
    }
    let counts = |c: &Control| [0, 1, 2, 3].map(|t| c.flow_count(TableId(t)));
    assert_eq!(counts(&c), [1, 2, 2, 1]);
    ask(&mut c, 1, &[2], |f| f.features |= 16);
    // What stays could all come again.
    assert_eq!(counts(&c), [1, 1, 0, 0]);
    assert_eq!(c.flow_mod(V15, &leads(1, 2), NOW).unwrap_err().kind, E::BadInstructionBadTableId);
    assert_eq!(c.flow_mod(V15, &write(2), NOW).unwrap_err().kind, E::BadActionBadType);
    c.flow_mod(V15, &leads(2, 3), NOW).unwrap();
    c.flow_mod(V15, &FlowMod { table: TableId(3), ..FlowMod::default() }, NOW).unwrap();
    // One table fewer: only that one turns.
    ask(&mut c, 1, &[3], |f| f.features |= 16);
    assert_eq!(counts(&c), [1, 1, 0, 1]);
    ask(&mut c, 1, &[2], |f| f.features |= 16);
    c.flow_mod(V15, &leads(2, 3), NOW).unwrap();
    // The same again, as told: nothing turns.
    ask(&mut c, 1, &[0, 1, 2, 3], |_| {});
    assert_eq!(counts(&c), [1, 1, 1, 1]);
    ask(&mut c, 1, &[2], |f| f.features &= !16);
    assert_eq!(counts(&c), [1, 1, 0, 0]);
    c.flow_mod(V15, &leads(1, 2), NOW).unwrap();
    c.flow_mod(V15, &write(2), NOW).unwrap();
    // Nothing is lost by a request that is refused.
    let mut all = c.table_features(V15);
    all.iter_mut().for_each(|f| f.command = 1);
    all[2].features |= 16;
    all[3].features |= 1 << 20;
    assert_eq!(c.set_table_features(V15, &all, NOW).unwrap_err().kind, E::TableFeaturesFailedBadFeatures);
    assert_eq!(counts(&c), [1, 2, 1, 0]);
}

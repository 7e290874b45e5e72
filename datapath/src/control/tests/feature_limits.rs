//! What a controller takes from a table is refused from then on, with the code of a table that never had it.

use super::super::*;
use ofproto::Version::{self, V13, V14, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::FlowMod;
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::table::{TableFeatureProp as P, TableFeatures};

const NOW: Time = Time::from_secs(1);

/// A switch whose table 1 was narrowed by `change`.
fn narrowed(version: Version, change: impl Fn(&mut TableFeatures)) -> Control {
    let mut c = Control::new(ControlConfig { n_tables: 4, max_entries: 100, ..ControlConfig::default() });
    let mut all = c.table_features(version);
    change(&mut all[1]);
    c.set_table_features(version, &all, NOW).unwrap();
    c
}

fn props(change: impl Fn(&mut P)) -> impl Fn(&mut TableFeatures) {
    move |t| t.properties.iter_mut().for_each(&change)
}

fn only(fields: &[F]) -> Vec<OxmId> {
    fields.iter().map(|f| OxmId::of(*f)).collect()
}

fn flow(matching: &[(F, u128)], instructions: Vec<I>) -> FlowMod {
    let matching = matching.iter().fold(Match::any(), |m, (f, n)| m.with(*f, *n));
    FlowMod { table: TableId(1), priority: 5, matching, instructions, ..FlowMod::default() }
}

fn apply(actions: Vec<Action>) -> Vec<I> {
    vec![I::ApplyActions(actions)]
}

fn out() -> Vec<I> {
    apply(vec![Action::output(PortNo(1))])
}

fn set(field: F, value: u128) -> Action {
    Action::SetField(MatchField::exact(field, value))
}

#[track_caller]
fn judge(c: &mut Control, version: Version, m: &FlowMod, expected: Option<E>) {
    let got = c.flow_mod(version, m, NOW).map(|_| ()).map_err(|e| e.kind);
    assert_eq!(got.err(), expected, "{version:?} {m:?}");
    // The other tables are as they were.
    assert!(c.flow_mod(version, &FlowMod { table: TableId(0), ..m.clone() }, NOW).is_ok(), "{version:?} {m:?}");
}

#[test]
fn matches() {
    const IP: (F, u128) = (F::EthType, 0x0800);
    for v in [V13, V14, V15] {
        let c = &mut narrowed(v, |t| {
            t.metadata_match = 0xff;
            props(|p| match p {
                P::Match(l) => {
                    l.retain(|o| [F::EthDst, F::Ipv4Dst, F::Metadata, F::TcpDst].map(Ok).contains(&o.field));
                    l.iter_mut().filter(|o| o.field == Ok(F::Ipv4Dst)).for_each(|o| o.has_mask = false);
                }
                P::Wildcards(l) => *l = only(&[F::Ipv4Dst, F::Metadata, F::TcpDst]),
                _ => {}
            })(t);
        });
        let dst = (F::EthDst, 7);
        judge(c, v, &flow(&[dst], out()), None);
        judge(c, v, &flow(&[dst, IP, (F::Ipv4Dst, 1)], out()), None);
        // eth_type isn't listed: it is there for what leans on it, a match or a set-field, and not alone.
        judge(c, v, &flow(&[dst, IP], out()), Some(E::BadMatchBadField));
        judge(c, v, &flow(&[dst, IP, (F::IpProto, 6), (F::TcpDst, 5)], out()), None);
        judge(c, v, &flow(&[dst, IP, (F::IpProto, 6), (F::Ipv4Dst, 1)], out()), Some(E::BadMatchBadField));
        judge(c, v, &flow(&[dst, IP], apply(vec![set(F::Ipv4Src, 1)])), None);
        judge(c, v, &flow(&[dst, (F::InPort, 1)], out()), Some(E::BadMatchBadField));
        // eth_dst can't be left out, but by the table-miss entry.
        judge(c, v, &flow(&[IP, (F::Ipv4Dst, 1)], out()), Some(E::BadMatchBadWildcards));
        judge(c, v, &FlowMod { priority: 0, ..flow(&[], out()) }, None);
        judge(c, v, &flow(&[], out()), Some(E::BadMatchBadWildcards));
        let under_mask = |f: F, value, mask| {
            let mut m = flow(&[dst, IP], out());
            m.matching.fields.push(MatchField { mask: Some(mask), ..MatchField::exact(f, value) });
            m
        };
        judge(c, v, &under_mask(F::Ipv4Dst, 0, 0xff), Some(E::BadMatchBadMask));
        let mut m = flow(&[], out());
        m.matching.fields.push(MatchField { mask: Some(0xff), ..MatchField::exact(F::EthDst, 1) });
        judge(c, v, &m, None);
        m.matching.fields.push(MatchField { mask: Some(0x0f), ..MatchField::exact(F::Metadata, 1) });
        judge(c, v, &m, None);
        m.matching.fields[1].mask = Some(0x100);
        m.matching.fields[1].value = 0;
        judge(c, v, &m, Some(E::BadMatchBadMask));
        judge(c, v, &flow(&[dst, (F::Metadata, 1)], out()), Some(E::BadMatchBadMask));
    }
}

#[test]
fn instructions_next_tables_and_metadata() {
    for v in [V13, V14, V15] {
        let c = &mut narrowed(v, |t| {
            t.metadata_write = 0xf0;
            props(|p| match p {
                P::Instructions { ids, .. } => ids.retain(|i| ![3, 5].contains(&i.ty)),
                P::NextTables { tables, .. } => tables.retain(|t| t.0 == 3),
                _ => {}
            })(t);
        });
        let dst = [(F::EthDst, 7)];
        judge(c, v, &flow(&dst, out()), None);
        judge(c, v, &flow(&dst, vec![I::GotoTable(TableId(3))]), None);
        judge(c, v, &flow(&dst, vec![I::GotoTable(TableId(2))]), Some(E::BadInstructionBadTableId));
        judge(c, v, &flow(&dst, vec![I::WriteActions(vec![])]), Some(E::BadInstructionUnsupInst));
        judge(c, v, &flow(&dst, vec![I::ClearActions]), Some(E::BadInstructionUnsupInst));
        let metadata = |metadata, mask| flow(&dst, vec![I::WriteMetadata { metadata, mask }]);
        judge(c, v, &metadata(0x10, 0x30), None);
        judge(c, v, &metadata(0x10, 0x31), Some(E::BadInstructionUnsupMetadataMask));
        judge(c, v, &metadata(0x11, 0x31), Some(E::BadInstructionUnsupMetadata));
    }
}

#[test]
fn actions_and_what_they_set() {
    for v in [V13, V14, V15] {
        let c = &mut narrowed(
            v,
            props(|p| match p {
                P::ApplyActions { ids, .. } => ids.retain(|i| i.ty != 24),
                P::WriteActions { ids, .. } => ids.retain(|i| i.ty == 25),
                P::ApplySetfield { fields, .. } => fields.retain(|o| o.field == Ok(F::EthSrc)),
                P::WriteSetfield { fields, .. } => *fields = only(&[F::EthDst]),
                P::ApplyCopyfield { fields, .. } => fields.retain(|o| o.field == Ok(F::EthDst)),
                _ => {}
            }),
        );
        let dst = [(F::EthDst, 7)];
        let write = |a| vec![I::WriteActions(vec![a])];
        judge(c, v, &flow(&dst, apply(vec![Action::PopVlan, Action::output(PortNo(1))])), None);
        judge(c, v, &flow(&[(F::EthType, 0x800)], apply(vec![Action::DecNwTtl])), Some(E::BadActionBadType));
        judge(c, v, &flow(&dst, write(Action::output(PortNo(1)))), Some(E::BadActionBadType));
        judge(c, v, &flow(&dst, apply(vec![set(F::EthSrc, 1)])), None);
        judge(c, v, &flow(&dst, apply(vec![set(F::EthDst, 1)])), Some(E::BadActionBadSetType));
        judge(c, v, &flow(&dst, write(set(F::EthDst, 1))), None);
        judge(c, v, &flow(&dst, write(set(F::EthSrc, 1))), Some(E::BadActionBadSetType));
        if v == V15 {
            let masked = |f| Action::SetField(MatchField { mask: Some(0xff), ..MatchField::exact(f, 1) });
            judge(c, v, &flow(&dst, apply(vec![masked(F::EthSrc)])), None);
            judge(c, v, &flow(&dst, write(masked(F::EthDst))), Some(E::BadActionBadSetMask));
            let copy = |src, dst| Action::CopyField {
                n_bits: 48,
                src_offset: 0,
                dst_offset: 0,
                src: OxmId::of(src),
                dst: OxmId::of(dst),
            };
            judge(c, v, &flow(&dst, apply(vec![copy(F::EthSrc, F::EthDst)])), None);
            judge(c, v, &flow(&dst, apply(vec![copy(F::EthDst, F::EthSrc)])), Some(E::BadActionBadSetType));
        }
    }
}

#[test]
fn the_table_miss_entry_has_limits_of_its_own() {
    for v in [V13, V14, V15] {
        let c = &mut narrowed(v, |t| {
            t.properties.push(P::Instructions {
                miss: true,
                ids: t
                    .properties
                    .iter()
                    .find_map(|p| match p {
                        P::Instructions { ids, .. } => Some(ids.iter().filter(|i| i.ty == 1).cloned().collect()),
                        _ => None,
                    })
                    .unwrap(),
            });
            t.properties.push(P::NextTables { miss: true, tables: vec![TableId(2)] });
        });
        let miss = |i| FlowMod { priority: 0, ..flow(&[], i) };
        judge(c, v, &miss(vec![I::GotoTable(TableId(2))]), None);
        judge(c, v, &miss(vec![I::GotoTable(TableId(3))]), Some(E::BadInstructionBadTableId));
        judge(c, v, &miss(out()), Some(E::BadInstructionUnsupInst));
        // Anything else isn't it.
        judge(c, v, &flow(&[], out()), None);
        judge(c, v, &flow(&[(F::EthDst, 7)], vec![I::GotoTable(TableId(3))]), None);
    }
}

/// A table's metadata bits alone are a change, too; Wildcards may repeat the match with its masks.
#[test]
fn what_counts_as_a_change_and_as_able() {
    for v in [V13, V14, V15] {
        let mut c = Control::new(ControlConfig { n_tables: 4, max_entries: 100, ..ControlConfig::default() });
        c.flow_mod(v, &flow(&[(F::EthDst, 7)], out()), NOW).unwrap();
        let mut all = c.table_features(v);
        all[1].metadata_write = 1;
        c.set_table_features(v, &all, NOW).unwrap();
        assert_eq!(c.flow_count(TableId(1)), 0);
        assert_eq!(c.table_features(v)[1].metadata_write, 1);
        let matching =
            all[1].properties.iter().find_map(|p| if let P::Match(l) = p { Some(l.clone()) } else { None }).unwrap();
        all[1].properties.iter_mut().for_each(|p| {
            if let P::Wildcards(l) = p {
                l.clone_from(&matching)
            }
        });
        c.set_table_features(v, &all, NOW).unwrap();
        assert_eq!(c.table_features(v)[1].properties, all[1].properties);
    }
}

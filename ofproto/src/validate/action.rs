//! Actions and instructions (OpenFlow 1.3.5 §5.9-12, §7.2.4-5; 1.5.1 §7.2.5-6).

use super::matching::Known;
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::{MatchField, OxmId};
use crate::version::Version;

/// Where an action list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an instruction of a flow entry.
    Flow,
    /// In a packet-out, where alone `OFPP_TABLE` makes sense.
    PacketOut,
    /// In a group's bucket.
    Bucket,
}

fn fault(kind: ErrorKind, field: &'static str, reason: impl Into<std::borrow::Cow<'static, str>>) -> OfError {
    OfError::new(kind, field, reason)
}

/// Checks an action list.
///
/// `known` is what holds of the packet before the list, and is changed as the list changes the packet;
/// `None` where nothing can be known (buckets, packet-outs), and then prerequisites aren't checked.
pub fn actions(list: &[Action], known: &mut Option<Known>, version: Version, place: Place) -> Result<(), OfError> {
    list.iter().try_for_each(|a| one(a, known, version, place))
}

fn one(action: &Action, known: &mut Option<Known>, version: Version, place: Place) -> Result<(), OfError> {
    match action {
        Action::Output { port, .. } | Action::Enqueue { port, .. } => output(*port, place),
        Action::Group(group) if group.0 > GroupId::MAX.0 => {
            Err(fault(ErrorKind::BadActionBadOutGroup, "group_id", format!("{:#x} is reserved", group.0)))
        }
        Action::Meter(meter) if meter.0 == 0 || meter.0 > MeterId::MAX.0 => {
            Err(fault(ErrorKind::BadActionBadMeter, "meter_id", format!("{:#x} is reserved", meter.0)))
        }
        Action::PushVlan(ethertype) => {
            push(*ethertype, &[0x8100, 0x88a8])?;
            if let Some(known) = known {
                known.vlan = Some(true);
            }
            Ok(())
        }
        Action::PushMpls(ethertype) => {
            push(*ethertype, &[0x8847, 0x8848])?;
            follow(known, *ethertype);
            Ok(())
        }
        Action::PushPbb(ethertype) => {
            push(*ethertype, &[0x88e7])?;
            follow(known, *ethertype);
            Ok(())
        }
        // 1.0 knows no such error, and its SET_VLAN_VID adds a tag where there is none.
        Action::PopVlan if version == Version::V10 => Ok(()),
        Action::PopVlan => match known {
            Some(Known { vlan: Some(false), .. }) => Err(inconsistent("OFPAT_POP_VLAN", "the packet has no tag")),
            Some(known) => {
                // Another tag may stand below.
                known.vlan = None;
                Ok(())
            }
            None => Ok(()),
        },
        Action::PopMpls(ethertype) => {
            contradicts(known, "OFPAT_POP_MPLS", &[0x8847, 0x8848])?;
            follow(known, *ethertype);
            Ok(())
        }
        Action::PopPbb => {
            contradicts(known, "OFPAT_POP_PBB", &[0x88e7])?;
            if let Some(known) = known {
                (known.vlan, known.eth_type, known.ip_proto) = (None, None, None);
            }
            Ok(())
        }
        Action::SetField(field) => set_field(field, known, version),
        Action::SetUnknownField(u) => Err(super::tlv::unknown_field(u, ErrorKind::BadActionBadSetType)),
        Action::SetVlanVid(vid) if *vid > 0xfff => {
            Err(fault(ErrorKind::BadActionBadArgument, "vlan_vid", format!("{vid} is above 4095")))
        }
        Action::SetVlanPcp(pcp) if *pcp > 7 => {
            Err(fault(ErrorKind::BadActionBadArgument, "vlan_pcp", format!("{pcp} is above 7")))
        }
        Action::CopyField { n_bits, src_offset, dst_offset, src, dst } => {
            copy_end(src, *src_offset, *n_bits, "src")?;
            let dst_field = copy_end(dst, *dst_offset, *n_bits, "dst")?;
            writable(dst_field, version)?;
            if *n_bits == 0 {
                return Err(fault(ErrorKind::BadActionBadSetArgument, "n_bits", "nothing to copy"));
            }
            Ok(())
        }
        Action::Experimenter { experimenter, .. } => {
            let known = [ExperimenterId::ONF, ExperimenterId::NICIRA].contains(experimenter);
            let kind = if known { ErrorKind::BadActionBadExpType } else { ErrorKind::BadActionBadExperimenter };
            Err(fault(kind, "experimenter", format!("no such action of {experimenter}")))
        }
        Action::Unknown { ty, .. } => {
            Err(fault(ErrorKind::BadActionBadType, "action type", format!("{ty} is no action of OpenFlow {version}")))
        }
        _ => Ok(()),
    }
}

/// The ethertype changes to `ethertype`.
fn follow(known: &mut Option<Known>, ethertype: u16) {
    if let Some(known) = known {
        known.set_eth_type(ethertype);
    }
}

fn inconsistent(field: &'static str, reason: &'static str) -> OfError {
    fault(ErrorKind::BadActionMatchInconsistent, field, reason)
}

/// Refuses an action for which the packet is known to be of another kind.
fn contradicts(known: &Option<Known>, field: &'static str, wanted: &[u16]) -> Result<(), OfError> {
    match known.and_then(|k| k.eth_type) {
        Some(eth_type) if !wanted.contains(&eth_type) => Err(inconsistent(field, "the match is of another ethertype")),
        _ => Ok(()),
    }
}

fn push(ethertype: u16, allowed: &[u16]) -> Result<(), OfError> {
    if allowed.contains(&ethertype) {
        return Ok(());
    }
    Err(fault(ErrorKind::BadActionBadArgument, "ethertype", format!("{ethertype:#06x} cannot be pushed")))
}

/// A port that can never be output to. Whether an ordinary one exists is the switch's to say.
fn output(port: PortNo, place: Place) -> Result<(), OfError> {
    let fine = port.is_ordinary()
        || match port {
            PortNo::TABLE => place == Place::PacketOut,
            PortNo::ANY | PortNo::UNSET => false,
            _ => port.reserved_name().is_some(),
        };
    if fine {
        return Ok(());
    }
    Err(fault(ErrorKind::BadActionBadOutPort, "port", format!("{port} is no place to output to here")))
}

/// Whether a field may be written at all.
fn writable(id: FieldId, version: Version) -> Result<(), OfError> {
    let info = id.info();
    if !info.settable || (id == FieldId::Metadata && version < Version::V15) {
        return Err(fault(ErrorKind::BadActionBadSetType, info.name, "cannot be set"));
    }
    Ok(())
}

fn set_field(field: &MatchField, known: &mut Option<Known>, version: Version) -> Result<(), OfError> {
    let info = field.id.info();
    writable(field.id, version)?;
    if let Some(mask) = field.mask {
        if version < Version::V15 {
            return Err(fault(ErrorKind::BadActionBadSetMask, info.name, "a mask before OpenFlow 1.5"));
        }
        if !info.maskable && mask & info.all_ones() != info.all_ones() {
            return Err(fault(ErrorKind::BadActionBadSetMask, info.name, "cannot be masked"));
        }
        if field.value & !mask != 0 {
            return Err(fault(ErrorKind::BadActionBadSetMask, info.name, "value bits outside the mask"));
        }
    }
    if field.value & !info.all_ones() != 0 {
        let reason = format!("{:#x} has more than {} bits", field.value, info.bits);
        return Err(fault(ErrorKind::BadActionBadSetArgument, info.name, reason));
    }
    if field.id == FieldId::IpTos && field.value & 3 != 0 {
        return Err(fault(ErrorKind::BadActionBadArgument, "nw_tos", format!("{:#04x} has ECN bits", field.value)));
    }
    if field.id == FieldId::VlanVid && version >= Version::V12 && field.value & 0x1000 == 0 {
        return Err(fault(ErrorKind::BadActionBadSetArgument, info.name, "OFPVID_PRESENT must be set"));
    }
    // 1.0 and 1.1 leave packets that lack the header as they are.
    if version >= Version::V12
        && let Some(known) = known
    {
        if !known.satisfies(info.prereq) {
            return Err(fault(
                ErrorKind::BadActionMatchInconsistent,
                info.name,
                format!("{:?} is neither matched nor set before", info.prereq),
            ));
        }
        if field.mask.is_none() {
            known.note(field.id, field.value);
        }
    }
    Ok(())
}

/// One end of a copy: a known field that is wide enough.
fn copy_end(id: &OxmId, offset: u16, n_bits: u16, end: &'static str) -> Result<FieldId, OfError> {
    let Ok(field) = id.field else {
        return Err(fault(ErrorKind::BadActionBadSetType, end, "the field is not supported"));
    };
    if id.has_mask {
        return Err(fault(ErrorKind::BadActionBadSetMask, end, "oxm_hasmask is set"));
    }
    let bits = u32::from(field.info().bits);
    if u32::from(offset) + u32::from(n_bits) > bits {
        let reason = format!("{n_bits} bits from {offset} of {} ({bits} bits)", field.info().name);
        return Err(fault(ErrorKind::BadActionBadSetArgument, end, reason));
    }
    Ok(field)
}

/// Checks a flow entry's instructions, given what its match makes known and its table.
pub fn instructions(list: &[Instruction], known: Known, table: TableId, version: Version) -> Result<(), OfError> {
    for (i, instruction) in list.iter().enumerate() {
        let kind = std::mem::discriminant(instruction);
        // Experimenter instructions may differ inside; every other type stands at most once.
        if !matches!(instruction, Instruction::Experimenter { .. } | Instruction::Unknown { .. })
            && list[..i].iter().any(|earlier| std::mem::discriminant(earlier) == kind)
        {
            return Err(fault(ErrorKind::BadInstructionDupInst, "instruction type", "two of one type"));
        }
        match instruction {
            Instruction::GotoTable(next) if *next == TableId::ALL || next.0 <= table.0 => {
                let reason = format!("{next} does not follow table {table}");
                return Err(fault(ErrorKind::BadInstructionBadTableId, "table_id", reason));
            }
            Instruction::Experimenter { experimenter, .. } => {
                let reason = format!("no instruction of {experimenter} is supported");
                return Err(fault(ErrorKind::BadInstructionBadExperimenter, "experimenter", reason));
            }
            Instruction::Unknown { ty, .. } => {
                let reason = format!("{ty} is no instruction of OpenFlow {version}");
                return Err(fault(ErrorKind::BadInstructionUnknownInst, "instruction type", reason));
            }
            _ => {}
        }
    }
    // Whatever their order in the message, apply-actions is executed before the action set is.
    let mut known = Some(known);
    for instruction in list {
        if let Instruction::ApplyActions(list) = instruction {
            actions(list, &mut known, version, Place::Flow)?;
        }
    }
    for instruction in list {
        if let Instruction::WriteActions(list) = instruction {
            action_set(list, &mut known, version)?;
        }
    }
    Ok(())
}

/// In an action set, tags are popped and pushed before fields are set, whatever the list's order.
fn action_set(list: &[Action], known: &mut Option<Known>, version: Version) -> Result<(), OfError> {
    let is_set = |a: &&Action| matches!(a, Action::SetField(_));
    let mut rest = list.iter().filter(|a| !is_set(a));
    rest.try_for_each(|a| one(a, known, version, Place::Flow))?;
    list.iter().filter(is_set).try_for_each(|a| one(a, known, version, Place::Flow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Match;

    fn check(m: Match, list: Vec<Action>) -> Result<(), ErrorKind> {
        let known = super::super::matching(&m, Version::V13).expect("the match is sound");
        instructions(&[Instruction::ApplyActions(list)], known, TableId(0), Version::V13).map_err(|e| e.kind)
    }

    fn set(id: FieldId, value: u128) -> Action {
        Action::SetField(MatchField::exact(id, value))
    }

    #[test]
    fn a_set_field_s_prerequisite_is_matched_or_made() {
        let ip = Match::any().with(FieldId::EthType, 0x800);
        assert_eq!(check(ip, vec![set(FieldId::Ipv4Dst, 1)]), Ok(()));
        assert_eq!(check(Match::any(), vec![set(FieldId::Ipv4Dst, 1)]), Err(ErrorKind::BadActionMatchInconsistent));
        assert_eq!(check(Match::any(), vec![Action::PushMpls(0x8847), set(FieldId::MplsLabel, 1)]), Ok(()));
        assert_eq!(check(Match::any(), vec![Action::PushVlan(0x8100), set(FieldId::VlanPcp, 1)]), Ok(()));
    }

    #[test]
    fn arguments_have_their_codes() {
        let any = Match::any;
        assert_eq!(check(any(), vec![Action::PushVlan(0x800)]), Err(ErrorKind::BadActionBadArgument));
        assert_eq!(check(any(), vec![Action::output(PortNo::ANY)]), Err(ErrorKind::BadActionBadOutPort));
        assert_eq!(check(any(), vec![Action::output(PortNo::TABLE)]), Err(ErrorKind::BadActionBadOutPort));
        assert_eq!(check(any(), vec![Action::output(PortNo::CONTROLLER)]), Ok(()));
        assert_eq!(check(any(), vec![Action::Group(GroupId::ALL)]), Err(ErrorKind::BadActionBadOutGroup));
        assert_eq!(check(any(), vec![set(FieldId::VlanVid, 5)]), Err(ErrorKind::BadActionBadSetArgument));
        assert_eq!(check(any(), vec![set(FieldId::InPort, 5)]), Err(ErrorKind::BadActionBadSetType));
        assert_eq!(check(any(), vec![set(FieldId::Metadata, 5)]), Err(ErrorKind::BadActionBadSetType));
        let masked = Action::SetField(MatchField::masked(FieldId::EthDst, 1, 1));
        assert_eq!(check(any(), vec![masked]), Err(ErrorKind::BadActionBadSetMask));
    }

    #[test]
    fn a_pop_that_contradicts_the_match_is_refused() {
        let untagged = Match::any().with(FieldId::VlanVid, 0);
        assert_eq!(check(untagged, vec![Action::PopVlan]), Err(ErrorKind::BadActionMatchInconsistent));
        let untagged_10 = Match::any().with(FieldId::VlanVid, 0);
        let known = super::super::matching(&untagged_10, Version::V10).expect("the match is sound");
        let strip = [Instruction::ApplyActions(vec![Action::PopVlan])];
        assert!(instructions(&strip, known, TableId(0), Version::V10).is_ok(), "1.0 strips what is there");
        let ip = Match::any().with(FieldId::EthType, 0x800);
        assert_eq!(check(ip, vec![Action::PopMpls(0x800)]), Err(ErrorKind::BadActionMatchInconsistent));
    }

    #[test]
    fn goto_goes_on_and_no_instruction_comes_twice() {
        let check = |list: &[Instruction], table| {
            instructions(list, Known::default(), TableId(table), Version::V14).map_err(|e| e.kind)
        };
        let goto = Instruction::GotoTable(TableId(3));
        assert_eq!(check(std::slice::from_ref(&goto), 2), Ok(()));
        assert_eq!(check(std::slice::from_ref(&goto), 3), Err(ErrorKind::BadInstructionBadTableId));
        assert_eq!(check(&[goto.clone(), goto], 0), Err(ErrorKind::BadInstructionDupInst));
    }
}

//! What a controller has taken from a table's abilities by table features, held against flow-mods
//! (OpenFlow 1.3.5 §7.3.5.5.2, 1.5.1 §7.3.5.18.3).

use super::Control;
use super::features::is_miss;
use ofproto::action::Action;
use ofproto::error::{ErrorKind, OfError};
use ofproto::field::{FieldId, Prereq};
use ofproto::flow::FlowMod;
use ofproto::ids::TableId;
use ofproto::instruction::Instruction;
use ofproto::matching::{MatchField, OxmId};
use ofproto::table::{FeatureId, TableFeatureProp as P, TableFeatures};

impl Control {
    /// Refuses what a controller has taken from the abilities of `table`, one that `m` is for.
    ///
    /// # Errors
    /// The code that a table without the ability would answer with.
    pub(super) fn check_features(&self, table: TableId, m: &FlowMod) -> Result<(), OfError> {
        let Some(set) = &self.tables[usize::from(table.0)].configuration.features else { return Ok(()) };
        let miss = m.priority == 0 && m.matching.fields.is_empty();
        let limits = Limits { set, table, miss };
        limits.matching(m)?;
        m.instructions.iter().try_for_each(|i| limits.instruction(i))
    }
}

/// One table's features as they bear on one flow-mod.
struct Limits<'a> {
    set: &'a TableFeatures,
    table: TableId,
    /// Whether the flow-mod is of the table-miss entry.
    miss: bool,
}

impl Limits<'_> {
    /// What `get` finds in a property; for the table-miss entry in the `_MISS` twin, if that is given.
    fn find<T>(&self, get: impl Fn(&P) -> Option<T>) -> Option<T> {
        let of = |twin: bool| self.set.properties.iter().filter(move |p| is_miss(p) == twin).find_map(&get);
        if self.miss { of(true).or_else(|| of(false)) } else { of(false) }
    }

    fn refuse(&self, kind: ErrorKind, field: &'static str, why: impl std::fmt::Display) -> Result<(), OfError> {
        Err(OfError::new(kind, field, format!("table {} {why}", self.table)))
    }

    fn matching(&self, m: &FlowMod) -> Result<(), OfError> {
        let given = &m.matching.fields;
        if let Some(f) = given.iter().find(|f| f.id == FieldId::Metadata)
            && f.mask.unwrap_or(u128::MAX) & u128::from(!self.set.metadata_match) != 0
        {
            return self.refuse(ErrorKind::BadMatchBadMask, "metadata", "doesn't match on all of these bits");
        }
        let Some(able) = self.set.properties.iter().find_map(|p| if let P::Match(l) = p { Some(l) } else { None })
        else {
            return Ok(());
        };
        for f in given {
            let Some(listed) = able.iter().find(|o| o.field == Ok(f.id)) else {
                // A field that is only there as another's prerequisite need not be listed.
                if needed(f.id, given, &m.instructions, able) {
                    continue;
                }
                return self.refuse(ErrorKind::BadMatchBadField, f.id.info().name, "doesn't match on it");
            };
            if f.mask.is_some() && !listed.has_mask {
                return self.refuse(ErrorKind::BadMatchBadMask, f.id.info().name, "doesn't match on it with a mask");
            }
        }
        let omissible = self.set.properties.iter().find_map(|p| if let P::Wildcards(l) = p { Some(l) } else { None });
        if let Some(omissible) = omissible
            && !self.miss
        {
            let missing = able.iter().filter(|o| !omissible.iter().any(|w| w.field == o.field));
            for id in missing.filter_map(|o| o.field.as_ref().ok()) {
                if !given.iter().any(|f| f.id == *id) {
                    return self.refuse(ErrorKind::BadMatchBadWildcards, id.info().name, "wants it in every match");
                }
            }
        }
        Ok(())
    }

    fn instruction(&self, i: &Instruction) -> Result<(), OfError> {
        let ty = match i {
            Instruction::GotoTable(t) => {
                let leads = self.find(|p| match p {
                    P::NextTables { tables, .. } => Some(tables.contains(t)),
                    _ => None,
                });
                if leads == Some(false) {
                    let why = format!("doesn't lead to table {t}");
                    return self.refuse(ErrorKind::BadInstructionBadTableId, "table_id", why);
                }
                1
            }
            Instruction::WriteMetadata { metadata, mask } => {
                let why = "doesn't write all of these bits";
                if metadata & !self.set.metadata_write != 0 {
                    return self.refuse(ErrorKind::BadInstructionUnsupMetadata, "metadata", why);
                }
                if mask & !self.set.metadata_write != 0 {
                    return self.refuse(ErrorKind::BadInstructionUnsupMetadataMask, "metadata_mask", why);
                }
                2
            }
            Instruction::WriteActions(_) => 3,
            Instruction::ApplyActions(_) => 4,
            Instruction::ClearActions => 5,
            Instruction::Meter(_) => 6,
            Instruction::StatTrigger { .. } => 7,
            Instruction::Experimenter { .. } | Instruction::Unknown { .. } => return Ok(()),
        };
        let taken = self.find(|p| match p {
            P::Instructions { ids, .. } => Some(has(ids, ty)),
            _ => None,
        });
        if taken == Some(false) {
            return self.refuse(ErrorKind::BadInstructionUnsupInst, "type", format!("doesn't take instruction {ty}"));
        }
        match i {
            Instruction::ApplyActions(l) => l.iter().try_for_each(|a| self.action(a, true)),
            Instruction::WriteActions(l) => l.iter().try_for_each(|a| self.action(a, false)),
            _ => Ok(()),
        }
    }

    fn action(&self, a: &Action, apply: bool) -> Result<(), OfError> {
        let types = |p: &P| match (p, apply) {
            (P::ApplyActions { ids, .. }, true) | (P::WriteActions { ids, .. }, false) => {
                Some(action_type(a).is_none_or(|ty| has(ids, ty)))
            }
            _ => None,
        };
        if self.find(types) == Some(false) {
            let why = format!("doesn't take action {} there", action_type(a).unwrap_or_default());
            return self.refuse(ErrorKind::BadActionBadType, "type", why);
        }
        // Whether it is listed and with a mask.
        let listed = |fields: &[OxmId], id| {
            let found = fields.iter().find(|o| o.field == Ok(id));
            Some((found.is_some(), found.is_some_and(|o| o.has_mask)))
        };
        match a {
            Action::SetField(f) => {
                let found = self.find(|p| match (p, apply) {
                    (P::ApplySetfield { fields, .. }, true) | (P::WriteSetfield { fields, .. }, false) => {
                        listed(fields, f.id)
                    }
                    _ => None,
                });
                match found {
                    Some((false, _)) => {
                        self.refuse(ErrorKind::BadActionBadSetType, f.id.info().name, "doesn't set it there")
                    }
                    Some((true, false)) if f.mask.is_some() => {
                        let why = "doesn't set it under a mask there";
                        self.refuse(ErrorKind::BadActionBadSetMask, f.id.info().name, why)
                    }
                    _ => Ok(()),
                }
            }
            Action::CopyField { dst, .. } => {
                let found = self.find(|p| match (p, apply, &dst.field) {
                    (P::ApplyCopyfield { fields, .. }, true, Ok(id))
                    | (P::WriteCopyfield { fields, .. }, false, Ok(id)) => listed(fields, *id),
                    _ => None,
                });
                if let (Some((false, _)), Ok(id)) = (found, &dst.field) {
                    return self.refuse(ErrorKind::BadActionBadSetType, id.info().name, "doesn't copy into it there");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the match on `id` is the prerequisite of a listed field that the flow matches on, or of one that it sets.
fn needed(id: FieldId, given: &[MatchField], instructions: &[Instruction], able: &[OxmId]) -> bool {
    let matched = given.iter().map(|f| f.id).filter(|f| able.iter().any(|o| o.field == Ok(*f)));
    let written = instructions.iter().filter_map(|i| match i {
        Instruction::ApplyActions(l) | Instruction::WriteActions(l) => Some(l),
        _ => None,
    });
    let written = written.flatten().filter_map(|a| match a {
        Action::SetField(f) => Some(f.id),
        Action::CopyField { dst, .. } => dst.field.clone().ok(),
        _ => None,
    });
    matched.chain(written).any(|f| prerequisites(f.info().prereq).contains(&id))
}

fn prerequisites(of: Prereq) -> &'static [FieldId] {
    use FieldId as F;
    match of {
        Prereq::None => &[],
        Prereq::InPort => &[F::InPort],
        Prereq::Vlan => &[F::VlanVid],
        Prereq::Ip | Prereq::Ipv4 | Prereq::Ipv6 | Prereq::Arp | Prereq::Mpls | Prereq::Pbb | Prereq::Nsh => {
            &[F::EthType]
        }
        Prereq::Tcp | Prereq::Udp | Prereq::Sctp | Prereq::Icmpv4 | Prereq::Icmpv6 => &[F::EthType, F::IpProto],
        Prereq::Nd | Prereq::NdSol | Prereq::NdAdv => &[F::EthType, F::IpProto, F::Icmpv6Type],
    }
}

fn has(ids: &[FeatureId], ty: u16) -> bool {
    ids.iter().any(|i| i.ty == ty)
}

fn action_type(a: &Action) -> Option<u16> {
    Some(match a {
        Action::Output { .. } => 0,
        Action::CopyTtlOut => 11,
        Action::CopyTtlIn => 12,
        Action::SetMplsTtl(_) => 15,
        Action::DecMplsTtl => 16,
        Action::PushVlan(_) => 17,
        Action::PopVlan => 18,
        Action::PushMpls(_) => 19,
        Action::PopMpls(_) => 20,
        Action::SetQueue(_) => 21,
        Action::Group(_) => 22,
        Action::SetNwTtl(_) => 23,
        Action::DecNwTtl => 24,
        Action::SetField(_) => 25,
        Action::PushPbb(_) => 26,
        Action::PopPbb => 27,
        Action::CopyField { .. } => 28,
        Action::Meter(_) => 29,
        _ => return None,
    })
}

//! Fields that actions name: what may be set, and which bits of it.

use super::{Compiler, err};
use crate::key::slot;
use crate::program::op::{Bits, Op};
use ofproto::field::FieldId;
use ofproto::matching::{MatchField, OxmId};
use ofproto::nicira::Subfield;
use ofproto::{ErrorKind as E, OfError, Version};

impl Compiler<'_> {
    /// A set-field, under a mask if `masks` are allowed. `nx`: by a Nicira action, which may write
    /// `metadata` and `in_port` in any version.
    pub(super) fn set_field(&mut self, f: &MatchField, masks: bool, nx: bool) -> Result<Op, OfError> {
        let info = f.id.info();
        let v = self.ctx.version;
        let metadata_too_early = f.id == FieldId::Metadata && v < Version::V15 && !nx;
        if !(info.settable || (nx && f.id == FieldId::InPort)) || slot(f.id).is_none() || metadata_too_early {
            return Err(err(E::BadActionBadSetType, "field", format!("{} can't be set", info.name)));
        }
        if let Some(m) = f.mask
            && m != info.all_ones()
            && !masks
        {
            return Err(err(E::BadActionBadSetType, "oxm_hasmask", "set-field has no mask before 1.5"));
        }
        let mask = f.effective_mask();
        if mask & !info.all_ones() != 0 || f.value & !mask & info.all_ones() != 0 {
            return Err(err(E::BadActionBadSetMask, "mask", format!("{}: a value bit under a 0 mask bit", info.name)));
        }
        if f.value > info.all_ones() {
            return Err(err(
                E::BadActionBadSetArgument,
                "value",
                format!("{:#x} has more than the {} bits of {}", f.value, info.bits, info.name),
            ));
        }
        if f.id == FieldId::VlanVid && v >= Version::V12 {
            if f.value & 0x1000 == 0 {
                return Err(err(E::BadActionBadSetArgument, "vlan_vid", "OFPVID_PRESENT has to be set"));
            }
            if mask & 0x1000 == 0 {
                return Err(err(E::BadActionBadSetMask, "vlan_vid", "OFPVID_PRESENT has to be in the mask"));
            }
        }
        if f.id == FieldId::IpTos && v <= Version::V11 && f.value & 3 != 0 {
            return Err(err(E::BadActionBadArgument, "nw_tos", "the two low bits have to be 0"));
        }
        self.need(info.prereq, info.name)?;
        self.facts.set(f.id, f.value);
        Ok(match f.id {
            // Only the DSCP bits are replaced, as every switch does; ECN belongs to the end hosts.
            FieldId::IpTos => Op::Set { field: FieldId::IpDscp, value: f.value >> 2, mask: (mask >> 2) & 0x3f },
            id => Op::Set { field: id, value: f.value, mask },
        })
    }

    pub(super) fn bits(
        &self,
        id: &OxmId,
        offset: u16,
        n_bits: u16,
        kind: E,
        what: &'static str,
    ) -> Result<Bits, OfError> {
        let field = match &id.field {
            Ok(f) if slot(*f).is_some() => *f,
            Ok(f) => return Err(err(E::BadActionBadSetType, what, format!("{} is not supported", f.info().name))),
            Err(u) => {
                let why = format!("class {:#06x} field {} is not known", u.class, u.field);
                return Err(err(E::BadActionBadSetType, what, why));
            }
        };
        let info = field.info();
        if n_bits == 0 || u32::from(offset) + u32::from(n_bits) > u32::from(info.bits) {
            return Err(err(kind, what, format!("{}[{offset}..+{n_bits}] of {} bits", info.name, info.bits)));
        }
        self.need(info.prereq, info.name)?;
        Ok(Bits { field, offset, n_bits })
    }

    pub(super) fn bits_to(&mut self, id: &OxmId, offset: u16, n_bits: u16, kind: E, nx: bool) -> Result<Bits, OfError> {
        let bits = self.bits(id, offset, n_bits, kind, "dst")?;
        let info = bits.field.info();
        if !(info.settable || (nx && bits.field == FieldId::InPort)) {
            return Err(err(E::BadActionBadSetType, "dst", format!("{} can't be written", info.name)));
        }
        Ok(bits)
    }

    pub(super) fn subfield(&self, s: &Subfield) -> Result<Bits, OfError> {
        self.bits(&s.field, s.offset, s.n_bits, E::BadActionBadArgument, "src")
    }

    pub(super) fn subfield_to(&mut self, s: &Subfield) -> Result<Bits, OfError> {
        self.bits_to(&s.field, s.offset, s.n_bits, E::BadActionBadArgument, true)
    }
}

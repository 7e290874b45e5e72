//! Matches: an ordered list of fields with values and masks (OpenFlow 1.3.5 §7.2.3, 1.5.1 §7.2.3).

use crate::field::{Code, FieldId};
use crate::ids::ExperimenterId;
use bytes::Bytes;

/// One field of a match, or the operand of a set-field action: an OXM TLV's meaning. Numbers are the host's; the
/// codec writes them big-endian in as many bytes as the field has
/// ([`FieldInfo::bytes`](crate::field::FieldInfo::bytes)).
///
/// OpenFlow 1.3.5 §7.2.3.2, §7.2.3.5; 1.5.1 §7.2.3.2, §7.2.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchField {
    /// Which field.
    pub id: FieldId,
    /// Its value, right-aligned.
    pub value: u128,
    /// The mask, or `None` for an exact match.
    pub mask: Option<u128>,
    /// The header form it came in; `None` lets the codec choose the version's own.
    pub code: Option<Code>,
}

impl MatchField {
    /// An exact match.
    pub const fn exact(id: FieldId, value: u128) -> Self {
        Self { id, value, mask: None, code: None }
    }

    /// A masked match.
    pub const fn masked(id: FieldId, value: u128, mask: u128) -> Self {
        Self { id, value, mask: Some(mask), code: None }
    }

    /// The mask, all ones for an exact match.
    pub fn effective_mask(&self) -> u128 {
        self.mask.unwrap_or_else(|| self.id.info().all_ones())
    }
}

/// A TLV whose field this crate doesn't know; kept so that decode → encode is lossless.
///
/// OpenFlow 1.3.5 §7.2.3.2-3, §7.2.3.10; 1.5.1 §7.2.3.2-3, §7.2.3.12.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownField {
    /// `oxm_class`
    pub class: u16,
    /// `oxm_field` (7 bits)
    pub field: u8,
    /// `oxm_hasmask`
    pub has_mask: bool,
    /// The experimenter of class 0xffff.
    pub experimenter: Option<ExperimenterId>,
    /// Everything after the header (and the experimenter id).
    pub payload: Bytes,
}

/// `NXM_NX_TUN_METADATA0` to `63`: options of a tunnel's header, of up to 124 bytes. Which one a field stands for, and
/// how long it is, a table in each switch says; so they are kept as they came.
///
/// ovs-fields(7), "Tunnel metadata".
impl UnknownField {
    /// How many such fields there are.
    pub const TUN_METADATA_FIELDS: u8 = 64;
    const TUN_METADATA_0: u8 = 40;

    /// n of `tun_metadata` n, if it is such a field.
    pub fn tun_metadata(&self) -> Option<u8> {
        let n = self.field.checked_sub(Self::TUN_METADATA_0)?;
        (self.class == 1 && self.experimenter.is_none() && n < Self::TUN_METADATA_FIELDS).then_some(n)
    }

    /// `tun_metadata` n with this value and mask, which are of one length; `None` if there is no such field, or if they
    /// are longer than it.
    pub fn of_tun_metadata(n: u8, value: &[u8], mask: Option<&[u8]>) -> Option<Self> {
        let fits = value.len() <= 124 && mask.is_none_or(|m| m.len() == value.len());
        (n < Self::TUN_METADATA_FIELDS && fits).then(|| Self {
            class: 1,
            field: Self::TUN_METADATA_0 + n,
            has_mask: mask.is_some(),
            experimenter: None,
            payload: [value, mask.unwrap_or_default()].concat().into(),
        })
    }
}

/// A match (`ofp_match`): a packet meets it if it meets every field.
///
/// Invariant: none beyond order; duplicates and missing prerequisites are representable so that tools can show an
/// invalid message. [`validate`](crate::validate) checks them.
///
/// OpenFlow 1.3.5 §7.2.3, 1.4.1 §7.2.2, 1.5.1 §7.2.3, 1.0.0 §5.2.3, 1.1.0 §A.2.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Match {
    /// The known fields, in wire order.
    pub fields: Vec<MatchField>,
    /// Fields not known, with the index in `fields` before which each stood.
    pub unknown: Vec<(usize, UnknownField)>,
    /// What a fixed-layout match of 1.0 or 1.1 held beyond its meaning (values under wildcards,
    /// padding); `None` when the canonical layout says everything.
    pub fixed: Option<Box<Bytes>>,
}

impl Match {
    /// Matches every packet.
    pub const fn any() -> Self {
        Self { fields: Vec::new(), unknown: Vec::new(), fixed: None }
    }

    /// The match of these fields.
    pub fn new(fields: Vec<MatchField>) -> Self {
        Self { fields, unknown: Vec::new(), fixed: None }
    }

    /// The field `id`, if present.
    pub fn get(&self, id: FieldId) -> Option<&MatchField> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// Adds an exact field; for building matches in code.
    #[must_use]
    pub fn with(mut self, id: FieldId, value: u128) -> Self {
        self.fields.push(MatchField::exact(id, value));
        self
    }

    /// Adds a masked field.
    #[must_use]
    pub fn with_mask(mut self, id: FieldId, value: u128, mask: u128) -> Self {
        self.fields.push(MatchField::masked(id, value, mask));
        self
    }
}

/// An OXM id: a field's header without a value, as in copy-field and table-features.
///
/// OpenFlow 1.3.5 §7.3.5.5.2; 1.5.1 §7.2.6.8, §7.3.5.18.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OxmId {
    /// The field, or the raw header (and experimenter) of one not known.
    pub field: Result<FieldId, UnknownField>,
    /// The `hasmask` bit.
    pub has_mask: bool,
    /// The header form it came in; `None` lets the codec choose.
    pub code: Option<Code>,
    /// `oxm_length` as received when it is not the field's own width (recorded messages differ).
    pub length: Option<u8>,
}

impl OxmId {
    /// The id of a known field.
    pub const fn of(id: FieldId) -> Self {
        Self { field: Ok(id), has_mask: false, code: None, length: None }
    }
}

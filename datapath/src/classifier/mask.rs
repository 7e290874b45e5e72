//! Masks over the flow key, and shapes: which fields a match has, with which masks.

use crate::key::{FlowKey, WORDS, slot, word};
use ofproto::field::{Code, FieldId};
use ofproto::matching::{Match, MatchField};
use smallvec::SmallVec;

/// The words of a mask that aren't zero, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mask(SmallVec<[(u8, u64); 6]>);

impl Mask {
    pub(crate) fn of(key: &FlowKey) -> Self {
        Self((0u8..WORDS as u8).zip(&key.0).filter(|(_, m)| **m != 0).map(|(w, m)| (w, *m)).collect())
    }

    #[inline]
    pub(crate) fn words(&self) -> &[(u8, u64)] {
        &self.0
    }

    pub(crate) fn key(&self) -> FlowKey {
        let mut key = FlowKey::default();
        for (w, m) in &self.0 {
            key.0[usize::from(*w)] = *m;
        }
        key
    }

    /// Whether every bit of `other` is set here.
    pub(crate) fn contains(&self, other: &Mask) -> bool {
        let mut mine = self.0.iter();
        other.0.iter().all(|(w, m)| mine.by_ref().find(|(x, _)| x >= w).is_some_and(|(x, n)| x == w && m & !n == 0))
    }

    /// The bits that both have.
    pub(super) fn common(&self, other: &Mask) -> Self {
        let other = other.key();
        Self(self.0.iter().map(|(w, m)| (*w, m & other.0[usize::from(*w)])).filter(|(_, m)| *m != 0).collect())
    }

    /// How many bits are set.
    pub(super) fn bits(&self) -> u32 {
        self.0.iter().map(|(_, m)| m.count_ones()).sum()
    }

    /// A mask that a tuple may have: prefixes of addresses and partial ports rounded down to whole
    /// bytes, so that neighbouring prefix lengths share a tuple.
    pub(super) fn widened(&self) -> Self {
        let mut key = self.key();
        for field in [
            FieldId::Ipv4Src,
            FieldId::Ipv4Dst,
            FieldId::Ipv6Src,
            FieldId::Ipv6Dst,
            FieldId::TcpSrc,
            FieldId::TcpDst,
            FieldId::EthSrc,
            FieldId::EthDst,
            FieldId::Metadata,
        ] {
            let Some(s) = slot(field) else { continue };
            let mask = key.read(s);
            if mask == 0 {
                continue;
            }
            let mut floored = 0u128;
            for shift in (0..s.bits).step_by(8) {
                let byte = 0xffu128 << shift;
                if mask & byte == byte {
                    floored |= byte;
                }
            }
            key.write(s, floored);
        }
        Self::of(&key)
    }
}

impl Mask {
    /// A mask that may gather rules of many masks: addresses cut to their networks (/16,
    /// IPv6 /32) and, if that leaves any address, nothing of the headers above.
    pub(super) fn coarse(&self) -> Self {
        let mut key = self.key();
        let mut networks = false;
        for (field, bits) in
            [(FieldId::Ipv4Src, 16), (FieldId::Ipv4Dst, 16), (FieldId::Ipv6Src, 32), (FieldId::Ipv6Dst, 32)]
        {
            let Some(s) = slot(field) else { continue };
            let network = field.info().all_ones() << (s.bits - bits) & field.info().all_ones();
            let mask = key.read(s);
            let kept = if mask & network == network { network } else { 0 };
            networks |= kept != 0;
            key.write(s, kept);
        }
        if !networks {
            return self.widened();
        }
        key.0[word::L4] = 0;
        Self::of(&key)
    }
}

/// A field of a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShapeField {
    pub(crate) id: FieldId,
    pub(crate) mask: Option<u128>,
    pub(crate) code: Option<Code>,
}

/// A match without its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) fields: Box<[ShapeField]>,
    pub(crate) mask: Mask,
    /// Bits of the mask's L4 word that no field but the version asks for.
    pub(crate) hidden: u64,
}

impl Shape {
    /// The mask's words without what the version added.
    pub(crate) fn plain(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.mask
            .words()
            .iter()
            .map(|(w, m)| (usize::from(*w), if usize::from(*w) == word::L4 { m & !self.hidden } else { *m }))
            .filter(|(_, m)| *m != 0)
    }

    /// The match of this shape with these values.
    pub(crate) fn matching(&self, value: &FlowKey) -> Match {
        Match::new(self.match_fields(value).collect())
    }

    /// The fields of [`matching`](Self::matching).
    pub(crate) fn match_fields(&self, value: &FlowKey) -> impl Iterator<Item = MatchField> {
        self.fields.iter().map(|f| MatchField {
            id: f.id,
            value: value.get(f.id) & f.mask.unwrap_or_else(|| f.id.info().all_ones()) & known_bits(f.id),
            mask: f.mask,
            code: f.code,
        })
    }
}

/// The bits of a field that a match may look at: the key keeps a note of its own beside `ip_frag`.
pub(crate) fn known_bits(field: FieldId) -> u128 {
    match field {
        FieldId::IpFrag => 3,
        other => other.info().all_ones(),
    }
}

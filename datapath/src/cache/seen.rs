//! What a table was asked: a received packet's key and what a walk made of it on the way there.

use super::key::{FAST, is_fragment, is_received};
use super::record::Step;
use crate::key::{FlowKey, WORDS, slot, word};
use crate::program::Op;
use ofproto::field::FieldId as F;

/// A key of which some words may not be known.
pub struct Seen {
    /// The key, under the cache's mask.
    pub key: FlowKey,
    /// The bits of the words that aren't known.
    pub unknown: u64,
    /// The received packet is whole IPv4 with an upper layer, so that what is set is there.
    fast: bool,
}

/// What received packets don't have from a header or a port, and edits don't alone decide.
const UNKNOWN: u64 = {
    let (mut unknown, mut w) = (0, 0);
    while w < WORDS {
        let register = w >= word::REGS && w < word::TUN_IP4;
        if !(is_received(w) || register || w == word::METADATA || w == word::TUNNEL_ID) {
            unknown |= bit(w);
        }
        w += 1;
    }
    unknown
};

const fn bit(word: usize) -> u64 {
    1 << word
}

impl Seen {
    /// That of a received packet of this kind, or one of which nothing is known.
    pub(super) fn new(key: FlowKey, kind: u32, opaque: bool) -> Self {
        // Entries of 1.0 see a first fragment's ports as 0, others as they are.
        let l4 = if is_fragment(kind) { bit(word::L4) } else { 0 };
        Self { key, unknown: if opaque { u64::MAX } else { UNKNOWN | l4 }, fast: kind & FAST != 0 }
    }

    /// What it is behind a step.
    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Edit(op, ..) => self.edit(op),
            // A remark may have changed the DSCP.
            Step::Meter(_) => self.unknown |= bit(word::L4),
            Step::Restore => self.unknown = u64::MAX,
            Step::Lookup(..)
            | Step::CountGroup(_)
            | Step::CountBucket(_)
            | Step::Output(..)
            | Step::Normal(_)
            | Step::Punt(_)
            | Step::Save
            | Step::Drop(_)
            | Step::DropAtPort(..) => {}
        }
    }

    fn edit(&mut self, op: &Op) {
        match op {
            Op::WriteMetadata { metadata, mask } => {
                let w = &mut self.key.0[word::METADATA];
                *w = *w & !mask | metadata & mask;
            }
            Op::Set { field, value, mask } => self.set(*field, *value, *mask),
            Op::SetNwTtl(_) | Op::DecNwTtl(_) | Op::SetMplsTtl(_) | Op::DecMplsTtl => {
                self.unknown |= bit(word::FLABEL_MPLS);
            }
            Op::SetTpSrc(_) | Op::SetTpDst(_) => self.unknown |= bit(word::L4),
            Op::PushVlan(0x8100 | 0x88a8)
            | Op::PopVlan
            | Op::SetVlanVid { add: false, .. }
            | Op::SetVlanPcp { add: false, .. }
                if self.fast =>
            {
                self.unknown |= bit(word::ETH_SRC_VLAN);
            }
            _ => self.unknown = u64::MAX,
        }
    }

    fn set(&mut self, field: F, value: u128, mask: u128) {
        let Some(slot) = slot(field) else { return };
        let n = field as u8;
        let pipeline = matches!(field, F::Metadata | F::TunnelId) || (n >= F::Reg0 as u8 && n <= F::Xxreg3 as u8);
        let there = self.fast && matches!(field, F::EthSrc | F::EthDst | F::Ipv4Src | F::Ipv4Dst);
        if pipeline || there {
            let old = self.key.read(slot);
            self.key.write(slot, old & !mask | value & mask);
        } else {
            self.unknown |= bit(slot.word);
            if slot.bits == 128 {
                self.unknown |= bit(slot.word + 1);
            }
        }
    }
}

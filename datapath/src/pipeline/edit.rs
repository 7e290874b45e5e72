//! Actions that change nothing but the packet; the interpreter and the cache's replay share them.

use crate::key::word;
use crate::packet::{InvalidTtl, Packet};
use crate::program::Op;
use ofproto::field::FieldId;

/// Whether `op` is one of these.
pub(crate) const fn is_edit(op: &Op) -> bool {
    matches!(
        op,
        Op::PushVlan(_)
            | Op::PopVlan
            | Op::PushMpls(_)
            | Op::PopMpls(_)
            | Op::PushPbb(_)
            | Op::PopPbb
            | Op::CopyTtlOut
            | Op::CopyTtlIn
            | Op::SetMplsTtl(_)
            | Op::DecMplsTtl
            | Op::SetNwTtl(_)
            | Op::DecNwTtl(_)
            | Op::Set { .. }
            | Op::SetVlanVid { .. }
            | Op::SetVlanPcp { .. }
            | Op::SetTpSrc(_)
            | Op::SetTpDst(_)
            | Op::Move { .. }
            | Op::WriteMetadata { .. }
    )
}

/// Carries out an edit; other actions do nothing here.
pub(crate) fn apply_edit(p: &mut Packet, op: &Op) -> Result<(), InvalidTtl> {
    match op {
        Op::PushVlan(t) => p.push_vlan(*t),
        Op::PopVlan => p.pop_vlan(),
        Op::PushMpls(t) => p.push_mpls(*t),
        Op::PopMpls(t) => p.pop_mpls(*t),
        Op::PushPbb(t) => p.push_pbb(*t),
        Op::PopPbb => p.pop_pbb(),
        Op::CopyTtlOut => p.copy_ttl_out(),
        Op::CopyTtlIn => p.copy_ttl_in(),
        Op::SetMplsTtl(t) => p.set_mpls_ttl(*t),
        Op::DecMplsTtl => return p.dec_mpls_ttl(),
        Op::SetNwTtl(t) => p.set_nw_ttl(*t),
        Op::DecNwTtl(_) => return p.dec_nw_ttl(),
        Op::Set { field, value, mask } => set(p, *field, *value, *mask),
        Op::SetVlanVid { vid, add } if *add || p.has_field(FieldId::VlanVid) => p.set_vlan_vid(*vid),
        Op::SetVlanPcp { pcp, add } if *add || p.has_field(FieldId::VlanVid) => p.set_vlan_pcp(*pcp),
        Op::SetTpSrc(port) => p.set_tp_src(*port),
        Op::SetTpDst(port) => p.set_tp_dst(*port),
        Op::Move { src, dst } => {
            if let Some(value) = p.field(src.field) {
                let bits = value >> src.offset & crate::program::op::mask_bits(src.n_bits);
                set(p, dst.field, bits << dst.offset, dst.mask());
            }
        }
        Op::WriteMetadata { metadata, mask } => {
            let m = &mut p.key.0[word::METADATA];
            *m = *m & !mask | metadata & mask;
        }
        _ => {}
    }
    Ok(())
}

fn set(p: &mut Packet, field: FieldId, value: u128, mask: u128) {
    // The ingress port may be rewritten by Nicira's actions: a pipeline field that no header holds.
    if field == FieldId::InPort {
        let old = p.key.get(field);
        p.key.set(field, old & !mask | value & mask);
    } else {
        p.set_field(field, value, mask);
    }
}

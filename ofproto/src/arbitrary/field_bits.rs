//! Bits of fields: under masks, and as a learn action takes and puts them.

use crate::action::Action;
use crate::field::FieldId;
use crate::ids::{Cookie, PortNo, TableId};
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

/// Some bits of one of these fields, `most` at most.
pub(crate) fn subfield(ids: Vec<FieldId>, most: u16) -> BoxedStrategy<Subfield> {
    (prop::sample::select(ids), any::<[u16; 2]>())
        .prop_map(move |(id, [a, b])| {
            // As Nicira counts: its port numbers have 16 bits.
            let bits = if id == FieldId::InPort { 16 } else { id.info().bits };
            let offset = a % bits;
            Subfield { field: OxmId::of(id), offset, n_bits: 1 + b % (bits - offset).min(most) }
        })
        .boxed()
}

/// Bits of `xxreg0` that come to those bits: how many, from where, to where, of what, to what.
fn moved(dst: BoxedStrategy<Subfield>) -> BoxedStrategy<(u16, u16, u16, OxmId, OxmId)> {
    (dst, 0..96_u16)
        .prop_map(|(dst, from)| (dst.n_bits, from, dst.offset, OxmId::of(FieldId::Xxreg0), dst.field))
        .boxed()
}

/// Nicira's move to those bits.
pub(crate) fn reg_move(dst: BoxedStrategy<Subfield>) -> BoxedStrategy<NxAction> {
    let say =
        |(n_bits, src_offset, dst_offset, src, dst)| NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst };
    moved(dst).prop_map(say).boxed()
}

/// 1.5's copy to those bits.
pub(crate) fn copy_field(dst: BoxedStrategy<Subfield>) -> BoxedStrategy<Action> {
    let say =
        |(n_bits, src_offset, dst_offset, src, dst)| Action::CopyField { n_bits, src_offset, dst_offset, src, dst };
    moved(dst).prop_map(say).boxed()
}

/// A bundle of these members; `chosen` by fields and an algorithm.
pub(crate) fn bundle(
    chosen: impl Strategy<Value = (u16, u16)> + 'static,
    members: impl Strategy<Value = Vec<PortNo>> + 'static,
    dst: impl Strategy<Value = Subfield> + 'static,
) -> BoxedStrategy<NxAction> {
    (chosen, any::<u16>(), members, prop::option::of(dst))
        .prop_map(|((fields, algorithm), basis, members, dst)| NxAction::Bundle {
            algorithm,
            fields,
            basis,
            slave_type: 2,
            members,
            dst,
        })
        .boxed()
}

/// A load of any value into those bits.
pub(crate) fn reg_load(dst: BoxedStrategy<Subfield>) -> BoxedStrategy<NxAction> {
    (dst, any::<u64>())
        .prop_map(|(dst, v)| {
            let value = if dst.n_bits == 64 { v } else { v & ((1 << dst.n_bits) - 1) };
            NxAction::RegLoad { dst, value }
        })
        .boxed()
}

/// A learn action's constant for those bits.
pub(crate) fn immediate(
    dst: BoxedStrategy<Subfield>,
    value: impl Strategy<Value = u128> + 'static,
) -> BoxedStrategy<(LearnSource, Subfield)> {
    (dst, value)
        .prop_map(|(dst, v)| {
            let n = dst.n_bits;
            let v = if n == 128 { v } else { v & ((1 << n) - 1) };
            let len = usize::from(n.div_ceil(16)) * 2;
            (LearnSource::Immediate(Bytes::copy_from_slice(&v.to_be_bytes()[16 - len..])), dst)
        })
        .boxed()
}

/// A learn action's copy to those bits, from `src` at `offset`.
pub(crate) fn copied(
    dst: BoxedStrategy<Subfield>,
    src: FieldId,
    offset: u16,
) -> BoxedStrategy<(LearnSource, Subfield)> {
    dst.prop_map(move |dst| {
        let src = Subfield { field: OxmId::of(src), offset, n_bits: dst.n_bits };
        (LearnSource::Field(src), dst)
    })
    .boxed()
}

/// What a learn action does with such bits: it matches, loads or outputs them; constants aren't output.
pub(crate) fn learn_spec(
    immediate: BoxedStrategy<(LearnSource, Subfield)>,
    copied: BoxedStrategy<(LearnSource, Subfield)>,
) -> BoxedStrategy<LearnSpec> {
    (prop_oneof![immediate, copied], 0..3)
        .prop_map(|((src, dst), kind)| {
            let n_bits = dst.n_bits;
            match (kind, src) {
                (0, src) => LearnSpec::Match { src, dst, n_bits },
                (2, LearnSource::Field(s)) => LearnSpec::Output { src: LearnSource::Field(s), n_bits },
                (_, src) => LearnSpec::Load { src, dst, n_bits },
            }
        })
        .boxed()
}

/// A learn action.
pub(crate) fn learn(
    specs: BoxedStrategy<LearnSpec>,
    tables: impl Strategy<Value = u8> + 'static,
    limit: impl Strategy<Value = Option<(u32, Option<Subfield>)>> + 'static,
) -> BoxedStrategy<NxAction> {
    (any::<[u16; 5]>(), any::<u64>(), 0..4_u16, tables, vec(specs, 0..4), limit)
        .prop_map(|(n, cookie, mut flags, table, specs, limit)| {
            if let Some((_, Some(_))) = limit {
                flags |= Learn::WRITE_RESULT;
            }
            NxAction::Learn(Box::new(Learn {
                idle_timeout: n[0],
                hard_timeout: n[1],
                priority: n[2],
                cookie: Cookie(cookie),
                flags,
                table: TableId(table),
                fin_idle_timeout: n[3],
                fin_hard_timeout: n[4],
                limit,
                specs,
            }))
        })
        .boxed()
}

/// A maskable field's value under any mask or none.
pub(crate) fn masked(id: FieldId) -> BoxedStrategy<MatchField> {
    let all = id.info().all_ones();
    (any::<u128>(), any::<u128>())
        .prop_map(move |(v, m)| match m & all {
            m if m == 0 || m == all => MatchField::exact(id, v & all),
            m => MatchField::masked(id, v & m, m),
        })
        .boxed()
}

/// A maskable field's value under the mask of a prefix.
pub(crate) fn prefix(id: FieldId) -> BoxedStrategy<MatchField> {
    let info = id.info();
    let all = info.all_ones();
    (any::<u128>(), 1..info.bits)
        .prop_map(move |(v, n)| {
            let m = all & !(all >> n);
            MatchField::masked(id, v & m, m)
        })
        .boxed()
}

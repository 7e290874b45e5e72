//! When two steps are one: by what they name, not by where it lies.

use super::record::{PuntStep, Step};
use crate::program::Op;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Hashes what [`same`] compares, or part of it.
pub(super) fn hash_step(s: &Step, h: &mut impl Hasher) {
    std::mem::discriminant(s).hash(h);
    match s {
        Step::Lookup(table, hit) => (table, hit).hash(h),
        Step::CountGroup(g) => Arc::as_ptr(g).hash(h),
        Step::CountBucket(b) => Arc::as_ptr(b).hash(h),
        Step::Edit(op, table, cookie) => {
            (table, cookie, std::mem::discriminant(op)).hash(h);
            match op {
                Op::Set { field, value, mask } => (*field as u8, value, mask).hash(h),
                Op::SetVlanVid { vid, .. } => vid.hash(h),
                Op::SetTpSrc(p) | Op::SetTpDst(p) => p.hash(h),
                Op::WriteMetadata { metadata, mask } => (metadata, mask).hash(h),
                _ => {}
            }
        }
        Step::Meter(m) => Arc::as_ptr(m).hash(h),
        Step::Output(port, queue) => (port, queue).hash(h),
        Step::Normal(queue) => queue.hash(h),
        Step::Punt(p) => (p.table, p.cookie, p.max_len, p.controller_id).hash(h),
        Step::Drop(reason) => (*reason as u8).hash(h),
        Step::DropAtPort(reason, port, sending) => (*reason as u8, port, sending).hash(h),
        Step::Save | Step::Restore => {}
    }
}

/// Whether two steps do the same, counters included.
pub(super) fn same(a: &Step, b: &Step) -> bool {
    match (a, b) {
        (Step::Lookup(t, h), Step::Lookup(u, i)) => (t, h) == (u, i),
        (Step::CountGroup(g), Step::CountGroup(i)) => Arc::ptr_eq(g, i),
        (Step::CountBucket(g), Step::CountBucket(i)) => Arc::ptr_eq(g, i),
        (Step::Edit(o, t, c), Step::Edit(p, u, d)) => (t, c) == (u, d) && o == p,
        (Step::Meter(m), Step::Meter(n)) => Arc::ptr_eq(m, n),
        (Step::Output(p, q), Step::Output(r, s)) => (p, q) == (r, s),
        (Step::Normal(q), Step::Normal(r)) => q == r,
        (Step::Punt(p), Step::Punt(q)) => same_punt(p, q),
        (Step::Drop(r), Step::Drop(s)) => r == s,
        (Step::DropAtPort(r, p, a), Step::DropAtPort(s, q, b)) => (r, p, a) == (s, q, b),
        (Step::Save, Step::Save) | (Step::Restore, Step::Restore) => true,
        _ => false,
    }
}

fn same_punt(a: &PuntStep, b: &PuntStep) -> bool {
    let meters = match (&a.meter, &b.meter) {
        (None, None) => true,
        (Some(m), Some(n)) => Arc::ptr_eq(m, n),
        _ => false,
    };
    meters
        && (a.reason, a.table, a.cookie, a.max_len, a.controller_id, &a.userdata)
            == (b.reason, b.table, b.cookie, b.max_len, b.controller_id, &b.userdata)
}

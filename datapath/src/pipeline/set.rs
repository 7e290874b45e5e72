//! The action set (OpenFlow 1.3.5 §5.10).

use crate::program::{Op, SetKey, SetOp};
use ofproto::ids::{GroupId, PortNo};
use smallvec::SmallVec;

/// The action set of one packet: at most one action of each kind, in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct ActionSet<'v> {
    ops: SmallVec<[(SetKey, &'v Op); 8]>,
    /// The group, which makes the output void.
    pub group: Option<GroupId>,
    /// The output and its `max_len`.
    pub output: Option<(PortNo, u16)>,
    /// Nicira's resubmit, which group and output make void.
    pub resubmit: Option<&'v Op>,
}

impl<'v> ActionSet<'v> {
    /// Empties it.
    pub fn clear(&mut self) {
        self.ops.clear();
        self.group = None;
        self.output = None;
        self.resubmit = None;
    }

    /// Adds an action, or replaces the one of its kind: of one field's set-fields, masked or not, the later one counts alone.
    pub fn write(&mut self, s: &'v SetOp) {
        match &s.op {
            Op::Group(g) => self.group = Some(*g),
            Op::Output { port, max_len } => self.output = Some((*port, *max_len)),
            op @ Op::Resubmit { .. } => self.resubmit = Some(op),
            op => match self.ops.binary_search_by_key(&s.key, |(k, _)| *k) {
                Ok(i) => self.ops[i].1 = op,
                Err(i) => self.ops.insert(i, (s.key, op)),
            },
        }
    }

    /// The actions before group and output.
    pub fn ops(&self) -> impl Iterator<Item = &'v Op> + use<'v> {
        self.ops.iter().map(|(_, op)| *op).collect::<SmallVec<[&'v Op; 8]>>().into_iter()
    }

    /// Whether executing it has any effect.
    pub const fn goes_somewhere(&self) -> bool {
        self.group.is_some() || self.output.is_some() || self.resubmit.is_some()
    }

    /// The value of `actset_output`: the output port if there is no group, else `OFPP_UNSET`.
    pub fn output_field(&self) -> PortNo {
        match (self.group, self.output) {
            (None, Some((port, _))) => port,
            _ => PortNo::UNSET,
        }
    }
}

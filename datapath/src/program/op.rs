//! Executable actions.

use super::Rest;
use crate::key::{Slot, slot};
use bytes::Bytes;
use ofproto::field::FieldId;
use ofproto::ids::{GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::nicira::Learn;
use std::sync::Arc;

/// Some bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The field.
    pub field: FieldId,
    /// First bit, from the least significant.
    pub offset: u16,
    /// How many, 1 ..= the field's width less `offset`.
    pub n_bits: u16,
}

impl Bits {
    /// The mask of these bits within the field.
    pub const fn mask(self) -> u128 {
        mask_bits(self.n_bits) << self.offset
    }

    /// The key slot of the whole field.
    pub const fn slot(self) -> Option<Slot> {
        slot(self.field)
    }
}

/// `n` low bits.
pub const fn mask_bits(n: u16) -> u128 {
    if n >= 128 { u128::MAX } else { (1 << n) - 1 }
}

/// A clause of a conjunction (`NXAST_CONJUNCTION`): a packet meets the conjunction if for each of its clauses
/// it matches some entry of one priority that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conjunction {
    /// The conjunction: what entries match as `conj_id`.
    pub id: u32,
    /// How many clauses it has, 2 to 64.
    pub n_clauses: u8,
    /// Which clause this is, from 0.
    pub clause: u8,
}

/// How a member of a multipath or bundle is chosen (`nicira-ext.h`: `NX_MP_ALG_*`, `NX_BD_ALG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Hash modulo the number of links.
    ModuloN,
    /// Hash scaled by the number of links.
    HashThreshold,
    /// Highest random weight.
    Hrw,
    /// Iterated hash over `arg` links, by rejection.
    IterHash(u32),
}

/// Which fields a multipath or bundle hashes (`NX_HASH_FIELDS_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFields {
    /// Ethernet source.
    EthSrc,
    /// Addresses, VLAN, type, IP addresses and ports, both directions alike.
    SymmetricL4,
    /// Ports and IP addresses, both directions alike; ports only of TCP and SCTP.
    SymmetricL3L4,
    /// As before and UDP's ports too.
    SymmetricL3L4Udp,
    /// IP source.
    NwSrc,
    /// IP destination.
    NwDst,
    /// IP addresses, both directions alike.
    SymmetricL3,
}

/// One executable action.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as the actions of the model")]
pub enum Op {
    Output {
        port: PortNo,
        max_len: u16,
    },
    OutputTrunc {
        port: PortNo,
        max_len: u32,
    },
    OutputBits {
        src: Bits,
        max_len: u16,
    },
    Enqueue {
        port: PortNo,
        queue: QueueId,
    },
    Group(GroupId),
    SetQueue(QueueId),
    PopQueue,
    PushVlan(u16),
    PopVlan,
    PushMpls(u16),
    PopMpls(u16),
    PushPbb(u16),
    PopPbb,
    CopyTtlOut,
    CopyTtlIn,
    SetMplsTtl(u8),
    DecMplsTtl,
    SetNwTtl(u8),
    /// With the ids of the controllers to tell (0: the usual ones).
    DecNwTtl(Box<[u16]>),
    /// Bits of a field under a mask.
    Set {
        field: FieldId,
        value: u128,
        mask: u128,
    },
    /// 1.0/1.1 VLAN id; `add`: push a tag where there is none (1.0).
    SetVlanVid {
        vid: u16,
        add: bool,
    },
    SetVlanPcp {
        pcp: u8,
        add: bool,
    },
    SetTpSrc(u16),
    SetTpDst(u16),
    Move {
        src: Bits,
        dst: Bits,
    },
    Meter(MeterId),
    Controller {
        max_len: u16,
        controller_id: u16,
        reason: u8,
        userdata: Option<Bytes>,
        meter: Option<MeterId>,
        /// The packet waits for the controller.
        pause: bool,
        rest: Option<Box<Rest>>,
    },
    Resubmit {
        in_port: Option<PortNo>,
        table: Option<TableId>,
        rest: Option<Box<Rest>>,
    },
    Multipath {
        fields: HashFields,
        basis: u16,
        choice: Choice,
        links: u32,
        dst: Bits,
    },
    Bundle {
        fields: HashFields,
        basis: u16,
        active_backup: bool,
        members: Box<[PortNo]>,
        dst: Option<Bits>,
    },
    WriteMetadata {
        metadata: u64,
        mask: u64,
    },
    StackPush(Bits),
    StackPop(Bits),
    Sample {
        probability: u16,
        collector_set_id: u32,
    },
    Learn {
        learn: Arc<Learn>,
        /// Which bit takes whether the flow is there: the packet waits for it.
        result: Option<Bits>,
        rest: Option<Box<Rest>>,
    },
    FinTimeout {
        idle: u16,
        hard: u16,
    },
    CheckPktLarger {
        pkt_len: u16,
        dst: Bits,
    },
    Clone(Box<[Op]>),
    Exit,
}

/// A place in the action set: its step (OpenFlow 1.3.5 §5.10) and, within, its type. A later action with
/// the same key replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey(pub u8, pub u8);

impl SetKey {
    /// The group's place.
    pub const GROUP: Self = Self(10, 0);
    /// The output's place.
    pub const OUTPUT: Self = Self(11, 0);
    /// Nicira's resubmit's place.
    pub const RESUBMIT: Self = Self(12, 0);
}

/// An action with its place in the action set.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOp {
    /// Where.
    pub key: SetKey,
    /// What.
    pub op: Op,
}

impl Op {
    /// Where an action during which the packet may be paused keeps what follows it.
    pub(super) fn rest_mut(&mut self) -> Option<&mut Option<Box<Rest>>> {
        match self {
            Op::Controller { pause: true, rest, .. } | Op::Resubmit { rest, .. } => Some(rest),
            Op::Learn { result: Some(_), rest, .. } => Some(rest),
            _ => None,
        }
    }

    /// Its place in an action set, or `None` for one that can't be in a set.
    pub fn set_key(&self) -> Option<SetKey> {
        Some(match self {
            Op::CopyTtlIn => SetKey(1, 0),
            Op::PopVlan => SetKey(2, 0),
            Op::PopPbb => SetKey(2, 1),
            Op::PopMpls(_) => SetKey(2, 2),
            Op::PushMpls(_) => SetKey(3, 0),
            Op::PushPbb(_) => SetKey(4, 0),
            Op::PushVlan(_) => SetKey(5, 0),
            Op::CopyTtlOut => SetKey(6, 0),
            Op::DecMplsTtl => SetKey(7, 0),
            Op::DecNwTtl(_) => SetKey(7, 1),
            Op::Set { field, .. } => SetKey(8, *field as u8),
            Op::SetVlanVid { .. } => SetKey(8, FieldId::VlanVid as u8),
            Op::SetVlanPcp { .. } => SetKey(8, FieldId::VlanPcp as u8),
            Op::SetMplsTtl(_) => SetKey(8, FieldId::MplsTtl as u8),
            Op::SetNwTtl(_) => SetKey(8, FieldId::NwTtl as u8),
            Op::SetTpSrc(_) => SetKey(8, FieldId::TcpSrc as u8),
            Op::SetTpDst(_) => SetKey(8, FieldId::TcpDst as u8),
            Op::Move { dst, .. } => SetKey(8, dst.field as u8),
            Op::Meter(_) => SetKey(9, 0),
            Op::SetQueue(_) => SetKey(9, 1),
            Op::Group(_) => SetKey::GROUP,
            Op::Output { .. } => SetKey::OUTPUT,
            Op::Resubmit { .. } => SetKey::RESUBMIT,
            _ => return None,
        })
    }
}

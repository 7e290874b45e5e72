//! The Nicira extension actions that Open vSwitch and its controllers use (ovs-actions(7)).

use crate::action::Action;
use crate::field::FieldId;
use crate::ids::{Cookie, MeterId, PortNo, TableId};
use crate::matching::{MatchField, OxmId};
use bytes::Bytes;

/// Some bits of a field: `reg0[4..7]`. Bit 0 is the least significant.
///
/// ovs-actions(7), "Field Specifications".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subfield {
    /// The field.
    pub field: OxmId,
    /// Its first bit, from the least significant.
    pub offset: u16,
    /// How many bits.
    pub n_bits: u16,
}

/// What a learn flow-spec takes its bits from.
///
/// ovs-actions(7), "The learn action"; `NX_LEARN_SRC_*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnSource {
    /// A field of the packet.
    Field(Subfield),
    /// A constant, right-aligned, most significant byte first.
    Immediate(Bytes),
}

/// One flow-spec of a learn action.
///
/// ovs-actions(7), "The learn action"; `NX_LEARN_DST_*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnSpec {
    /// The new flow matches these bits.
    Match {
        /// The bits' origin.
        src: LearnSource,
        /// What to match.
        dst: Subfield,
        /// Bits.
        n_bits: u16,
    },
    /// The new flow loads these bits.
    Load {
        /// The bits' origin.
        src: LearnSource,
        /// Where to.
        dst: Subfield,
        /// Bits.
        n_bits: u16,
    },
    /// The new flow outputs to the port in these bits.
    Output {
        /// The bits' origin.
        src: LearnSource,
        /// Bits.
        n_bits: u16,
    },
}

impl LearnSpec {
    /// Where the bits come from, and where to: nowhere for an output.
    pub fn ends(&self) -> (&LearnSource, Option<&Subfield>) {
        match self {
            Self::Match { src, dst, .. } | Self::Load { src, dst, .. } => (src, Some(dst)),
            Self::Output { src, .. } => (src, None),
        }
    }

    /// How many bits.
    pub const fn n_bits(&self) -> u16 {
        match self {
            Self::Match { n_bits, .. } | Self::Load { n_bits, .. } | Self::Output { n_bits, .. } => *n_bits,
        }
    }
}

/// A learn action: the packet teaches the switch a flow. Timeouts are in seconds.
///
/// ovs-actions(7), "The learn action"; `struct nx_action_learn`, `struct nx_action_learn2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Idle timeout of the learnt flow, seconds.
    pub idle_timeout: u16,
    /// Hard timeout, seconds.
    pub hard_timeout: u16,
    /// Priority.
    pub priority: u16,
    /// Cookie.
    pub cookie: Cookie,
    /// `NX_LEARN_F_*`
    pub flags: u16,
    /// Table.
    pub table: TableId,
    /// Idle timeout after FIN or RST, seconds.
    pub fin_idle_timeout: u16,
    /// Hard timeout after FIN or RST, seconds.
    pub fin_hard_timeout: u16,
    /// Flow limit (0: none) and the bit where success is written (second form).
    pub limit: Option<(u32, Option<Subfield>)>,
    /// What the flow matches and does.
    pub specs: Vec<LearnSpec>,
}

impl Learn {
    /// `NX_LEARN_F_SEND_FLOW_REM`: the learnt flow's end is told.
    pub const SEND_FLOW_REM: u16 = 1;
    /// `NX_LEARN_F_DELETE_LEARNED`: the learnt flows go when the entry that taught them does.
    pub const DELETE_LEARNED: u16 = 2;
    /// `NX_LEARN_F_WRITE_RESULT`: whether the flow was learnt is written to a bit.
    pub const WRITE_RESULT: u16 = 4;

    /// Most flows with this cookie in that table, 0: any number.
    pub fn most(&self) -> u32 {
        self.limit.as_ref().map_or(0, |(n, _)| *n)
    }
}

/// What the flow syntax means where it says nothing.
impl Default for Learn {
    fn default() -> Self {
        Self {
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0x8000,
            cookie: Cookie(0),
            flags: 0,
            table: TableId(1),
            fin_idle_timeout: 0,
            fin_hard_timeout: 0,
            limit: None,
            specs: Vec::new(),
        }
    }
}

/// Network address translation of a `ct` action.
///
/// ovs-actions(7), "The ct action"; `struct nx_action_nat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nat {
    /// `NX_NAT_F_*`
    pub flags: u16,
    /// Lowest IPv4 address.
    pub ipv4_min: Option<u32>,
    /// Highest IPv4 address.
    pub ipv4_max: Option<u32>,
    /// Lowest IPv6 address.
    pub ipv6_min: Option<u128>,
    /// Highest IPv6 address.
    pub ipv6_max: Option<u128>,
    /// Lowest port.
    pub proto_min: Option<u16>,
    /// Highest port.
    pub proto_max: Option<u16>,
}

/// A Nicira action (`NXAST_*`): Open vSwitch's extensions, in every version's experimenter (1.0: vendor) action.
///
/// ovs-actions(7) has a section on each; numbers and layouts are those of Open vSwitch's `nicira-ext.h` and, since
/// 2.4, `ofp-actions.c`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NxAction {
    /// `NXAST_RESUBMIT`, `_TABLE`, `_TABLE_CT`: search another table.
    Resubmit {
        /// In-port to pretend (`IN_PORT`: unchanged).
        in_port: PortNo,
        /// The table, or `None` for the plain form (the current table).
        table: Option<TableId>,
        /// With the conntrack tuple.
        ct: bool,
    },
    /// `NXAST_SET_TUNNEL` (`wide`: `SET_TUNNEL64`).
    SetTunnel {
        /// The tunnel id.
        id: u64,
        /// Whether the 64-bit form is meant.
        wide: bool,
    },
    /// `NXAST_SET_QUEUE`
    SetQueue(u32),
    /// `NXAST_POP_QUEUE`
    PopQueue,
    /// `NXAST_REG_MOVE`
    RegMove {
        /// Bits.
        n_bits: u16,
        /// First bit of the source.
        src_offset: u16,
        /// First bit of the destination.
        dst_offset: u16,
        /// From.
        src: OxmId,
        /// To.
        dst: OxmId,
    },
    /// `NXAST_REG_LOAD`
    RegLoad {
        /// Where to.
        dst: Subfield,
        /// The value.
        value: u64,
    },
    /// `NXAST_REG_LOAD2`: set-field by another name.
    RegLoad2(MatchField),
    /// `NXAST_NOTE`
    Note(Bytes),
    /// `NXAST_MULTIPATH`
    Multipath {
        /// `NX_HASH_FIELDS_*`
        fields: u16,
        /// Universal hash parameter.
        basis: u16,
        /// `NX_MP_ALG_*`
        algorithm: u16,
        /// Number of links less one.
        max_link: u16,
        /// Algorithm argument.
        arg: u32,
        /// Where the link goes.
        dst: Subfield,
    },
    /// `NXAST_BUNDLE` and `NXAST_BUNDLE_LOAD` (with `dst`).
    Bundle {
        /// `NX_BD_ALG_*`
        algorithm: u16,
        /// `NX_HASH_FIELDS_*`
        fields: u16,
        /// Universal hash parameter.
        basis: u16,
        /// `NXM` type of the members (only in_port).
        slave_type: u32,
        /// The members.
        members: Vec<PortNo>,
        /// Where the chosen member's number goes, instead of output.
        dst: Option<Subfield>,
    },
    /// `NXAST_OUTPUT_REG` (`NXAST_OUTPUT_REG2` when `v2`).
    OutputReg {
        /// The port number's bits.
        src: Subfield,
        /// Bytes for a controller.
        max_len: u16,
        /// The second wire form.
        v2: bool,
    },
    /// `NXAST_EXIT`
    Exit,
    /// `NXAST_DEC_TTL`
    DecTtl,
    /// `NXAST_DEC_TTL_CNT_IDS`
    DecTtlCntIds(Vec<u16>),
    /// `NXAST_FIN_TIMEOUT`
    FinTimeout {
        /// New idle timeout.
        idle: u16,
        /// New hard timeout.
        hard: u16,
    },
    /// `NXAST_CONTROLLER`
    Controller {
        /// Bytes.
        max_len: u16,
        /// Which controller.
        controller_id: u16,
        /// Packet-in reason.
        reason: u8,
    },
    /// `NXAST_CONTROLLER2`
    Controller2 {
        /// Bytes, if given.
        max_len: Option<u16>,
        /// Which controller, if given.
        controller_id: Option<u16>,
        /// Packet-in reason, if given.
        reason: Option<u8>,
        /// Opaque data for the packet-in.
        userdata: Option<Bytes>,
        /// Make a continuation.
        pause: bool,
        /// A meter, if given.
        meter: Option<MeterId>,
    },
    /// `NXAST_WRITE_METADATA`
    WriteMetadata {
        /// Value.
        metadata: u64,
        /// Mask.
        mask: u64,
    },
    /// `NXAST_PUSH_MPLS`
    PushMpls(u16),
    /// `NXAST_POP_MPLS`
    PopMpls(u16),
    /// `NXAST_SET_MPLS_TTL`
    SetMplsTtl(u8),
    /// `NXAST_DEC_MPLS_TTL`
    DecMplsTtl,
    /// `NXAST_SET_MPLS_LABEL`
    SetMplsLabel(u32),
    /// `NXAST_SET_MPLS_TC`
    SetMplsTc(u8),
    /// `NXAST_STACK_PUSH`
    StackPush(Subfield),
    /// `NXAST_STACK_POP`
    StackPop(Subfield),
    /// `NXAST_SAMPLE`, `NXAST_SAMPLE2`, `NXAST_SAMPLE3`
    Sample {
        /// Out of 65535.
        probability: u16,
        /// Collector set.
        collector_set_id: u32,
        /// Observation domain.
        obs_domain_id: u32,
        /// Observation point, or the field it comes from (sample4).
        obs_point_id: u32,
        /// Sampling port of the later forms.
        sampling_port: Option<PortNo>,
        /// `NX_ACTION_SAMPLE_*` direction of the third form.
        direction: Option<u8>,
    },
    /// `NXAST_LEARN` (`NXAST_LEARN2` with `limit`).
    Learn(Box<Learn>),
    /// `NXAST_CONJUNCTION`
    Conjunction {
        /// Which clause, from 0.
        clause: u8,
        /// Of how many.
        n_clauses: u8,
        /// The conjunction.
        id: u32,
    },
    /// `NXAST_CT`
    Ct {
        /// `NX_CT_F_*`
        flags: u16,
        /// The zone: immediate or from a field.
        zone: Result<u16, Subfield>,
        /// Table to recirculate to (255: none).
        recirc_table: TableId,
        /// Application layer gateway's port.
        alg: u16,
        /// Actions on the connection (nat, set ct_mark, set ct_label).
        actions: Vec<Action>,
    },
    /// `NXAST_NAT` (inside `ct`)
    Nat(Nat),
    /// `NXAST_CT_CLEAR`
    CtClear,
    /// `NXAST_OUTPUT_TRUNC`
    OutputTrunc {
        /// Where to.
        port: PortNo,
        /// Bytes kept.
        max_len: u32,
    },
    /// `NXAST_CLONE`
    Clone(Vec<Action>),
    /// `NXAST_CHECK_PKT_LARGER`
    CheckPktLarger {
        /// Length to compare.
        pkt_len: u16,
        /// Where the answer goes.
        dst: Subfield,
    },
    /// `NXAST_DELETE_FIELD`
    DeleteField(OxmId),
    /// `NXAST_DEC_NSH_TTL`
    DecNshTtl,
    /// `NXAST_ENCAP`, its `new_pkt_type` and property bytes.
    Encap {
        /// Header size (metadata length hint).
        hdr_size: u16,
        /// Packet type namespace << 16 | type.
        packet_type: u32,
        /// Properties, raw.
        properties: Bytes,
    },
    /// `NXAST_DECAP`
    Decap {
        /// Packet type namespace << 16 | type.
        packet_type: u32,
    },
    /// A subtype that this crate doesn't know.
    Unknown {
        /// `NXAST_*` number.
        subtype: u16,
        /// The bytes after the subtype.
        data: Bytes,
    },
}

impl NxAction {
    /// What set-field with a mask (1.5) says of a load, for those who know the action up to 1.4 only, as Open vSwitch.
    ///
    /// None if set-field can't say it: a field that can't be set, bits beyond it, a VLAN id without
    /// `OFPVID_PRESENT`.
    pub fn load_as_set_field(&self) -> Option<MatchField> {
        let Self::RegLoad { dst, value } = self else { return None };
        let info = dst.field.field.as_ref().ok()?.info();
        let (value, bits) = (u128::from(*value), u32::from(dst.n_bits));
        let ones = 1u128.checked_shl(bits)?.wrapping_sub(1);
        if !info.settable || bits == 0 || dst.offset.saturating_add(dst.n_bits) > info.bits || value & !ones != 0 {
            return None;
        }
        let value = value << dst.offset;
        if info.id == FieldId::VlanVid && value & 0x1000 == 0 {
            return None;
        }
        let mask = ones << dst.offset;
        let whole = mask == info.all_ones();
        Some(MatchField { id: info.id, value, mask: (!whole).then_some(mask), code: dst.field.code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_said_as_set_field() {
        let load = |id, offset, n_bits, value| {
            NxAction::RegLoad { dst: Subfield { field: OxmId::of(id), offset, n_bits }, value }.load_as_set_field()
        };
        let field = |id, value, mask| Some(MatchField { id, value, mask, code: None });
        assert_eq!(load(FieldId::Reg0, 0, 32, 7), field(FieldId::Reg0, 7, None));
        assert_eq!(load(FieldId::Reg0, 4, 8, 7), field(FieldId::Reg0, 0x70, Some(0xff0)));
        assert_eq!(load(FieldId::VlanVid, 0, 13, 0x1007), field(FieldId::VlanVid, 0x1007, None));
        assert_eq!(load(FieldId::VlanVid, 0, 12, 7), None);
        assert_eq!(load(FieldId::Reg0, 30, 4, 7), None);
        assert_eq!(load(FieldId::Reg0, 0, 2, 7), None);
        assert_eq!(load(FieldId::Reg0, 0, 0, 0), None);
        assert_eq!(NxAction::Exit.load_as_set_field(), None);
    }
}

//! Actions of every version (OpenFlow 1.3.5 §7.2.5, 1.5.1 §7.2.6, 1.0.0 §5.2.4).

use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use crate::matching::{MatchField, OxmId, UnknownField};
use crate::nicira::NxAction;
use bytes::Bytes;

/// `OFPCML_NO_BUFFER`: send the whole packet, don't buffer (OpenFlow 1.3.5 §7.2.5, 1.5.1 §7.2.6.1).
pub const MAX_LEN_NO_BUFFER: u16 = 0xffff;

/// One action. Version-only wire forms whose meaning another version expresses differently share a variant: 1.0's
/// `SET_DL_SRC` is `SetField(eth_src)`, `SET_NW_TOS` is `SetField(ip_tos)`.
///
/// OpenFlow 1.3.5 §5.12, §7.2.5; 1.4.1 §7.2.4; 1.5.1 §5.8, §7.2.6; 1.0.0 §3.3, §5.2.4; 1.1.0 §A.2.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send to a port; `max_len` bytes when that is the controller.
    Output {
        /// Where to.
        port: PortNo,
        /// Bytes to send to a controller.
        max_len: u16,
    },
    /// Process by a group.
    Group(GroupId),
    /// Choose the queue of later outputs.
    SetQueue(QueueId),
    /// 1.0: output through a queue.
    Enqueue {
        /// Where to.
        port: PortNo,
        /// Through which queue.
        queue: QueueId,
    },
    /// Push a VLAN tag with this ethertype.
    PushVlan(u16),
    /// Pop the outer VLAN tag (1.0, 1.1: `STRIP_VLAN`/`POP_VLAN`).
    PopVlan,
    /// Push an MPLS shim with this ethertype.
    PushMpls(u16),
    /// Pop the outer MPLS shim; the ethertype that then holds.
    PopMpls(u16),
    /// Push a PBB service tag.
    PushPbb(u16),
    /// Pop the PBB service tag.
    PopPbb,
    /// Copy TTL from next-to-outermost to outermost.
    CopyTtlOut,
    /// Copy TTL from outermost to next-to-outermost.
    CopyTtlIn,
    /// Set the outer MPLS TTL.
    SetMplsTtl(u8),
    /// Decrement the outer MPLS TTL.
    DecMplsTtl,
    /// Set the IP TTL or hop limit.
    SetNwTtl(u8),
    /// Decrement the IP TTL or hop limit.
    DecNwTtl,
    /// Set a field (under a mask from 1.5 on).
    SetField(MatchField),
    /// Set a field this crate doesn't know.
    SetUnknownField(UnknownField),
    /// 1.0/1.1: set the VLAN id, adding a tag where there is none (1.0).
    SetVlanVid(u16),
    /// 1.0/1.1: set the VLAN priority, adding a tag where there is none (1.0).
    SetVlanPcp(u8),
    /// 1.0/1.1: set the TCP, UDP or SCTP source port, or the ICMP type, whichever the packet has.
    SetTpSrc(u16),
    /// 1.0/1.1: set the destination port or the ICMP code.
    SetTpDst(u16),
    /// 1.5: copy bits between fields.
    CopyField {
        /// How many bits.
        n_bits: u16,
        /// From this bit of the source.
        src_offset: u16,
        /// To this bit of the destination.
        dst_offset: u16,
        /// The source.
        src: OxmId,
        /// The destination.
        dst: OxmId,
    },
    /// 1.5: apply a meter.
    Meter(MeterId),
    /// A Nicira extension action.
    Nicira(NxAction),
    /// An experimenter action that this crate doesn't know.
    Experimenter {
        /// Whose.
        experimenter: ExperimenterId,
        /// The bytes after the experimenter id, padding included.
        data: Bytes,
    },
    /// An action type that the version doesn't define: shown by tools, refused by a switch.
    Unknown {
        /// The wire type.
        ty: u16,
        /// The bytes after type and length.
        data: Bytes,
    },
}

impl Action {
    /// An output of the whole packet.
    pub const fn output(port: PortNo) -> Self {
        Self::Output { port, max_len: MAX_LEN_NO_BUFFER }
    }
}

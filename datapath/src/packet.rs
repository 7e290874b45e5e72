//! A frame with its key and layout, kept coherent through every edit.
//!
//! Invariant: `key`'s header words and `layout` are what [`parse`] says of `frame`'s bytes. All edits
//! (see [`crate::edit`]) keep it; who writes to `frame` directly calls [`Packet::reparse`]. An edit of
//! a header that the packet doesn't have does nothing: OpenFlow leaves the effect open
//! (1.3.5 §7.2.5) and forwarding the packet as it is harms least.
//!
//! A packet belongs to one thread at a time.

use crate::checksum::{SCTP_OFFSET, finish_checksum};
use crate::frame::Frame;
use crate::key::{FlowKey, low_bits};
use crate::parse::ip::{ND_NA, ND_NS};
use crate::parse::{L3, L4, Layout, parse};
use ofproto::field::FieldId;

/// A TTL of 0 or 1 was to be decremented (OpenFlow 1.3.5 §5.12): the packet is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TTL is 0 or 1 and cannot be decremented")]
pub struct InvalidTtl;

/// A frame, its key and its layout.
#[derive(Debug)]
pub struct Packet {
    /// The bytes and the offload work left on them.
    pub frame: Frame,
    /// Header fields as parsed, and the pipeline's fields.
    pub key: FlowKey,
    /// Where the headers stand.
    pub layout: Layout,
}

impl Packet {
    /// Parses a frame that has no pipeline fields yet.
    pub fn new(frame: Frame) -> Self {
        Self::with_key(frame, FlowKey::default())
    }

    /// Parses a frame; `key` brings the pipeline fields (port, metadata, registers, …), its header
    /// words are replaced.
    ///
    /// An unfinished SCTP checksum is finished at once: nobody behind us takes that work over, as
    /// virtio's flag means the Internet checksum there.
    pub fn with_key(mut frame: Frame, mut key: FlowKey) -> Self {
        if frame.offload.checksum.is_some_and(|c| c.offset == SCTP_OFFSET) {
            finish_checksum(&mut frame);
        }
        let layout = parse(frame.bytes(), &mut key);
        Self { frame, key, layout }
    }

    /// Puts another frame in this packet's place, as [`Packet::with_key`] would make it. One packet that
    /// serves a whole burst saves moving keys about.
    pub fn load(&mut self, frame: Frame, key: &FlowKey) {
        self.frame = frame;
        self.key = *key;
        if self.frame.offload.checksum.is_some_and(|c| c.offset == SCTP_OFFSET) {
            finish_checksum(&mut self.frame);
        }
        self.layout = parse(self.frame.bytes(), &mut self.key);
    }

    /// Brings key and layout up to date with the frame's bytes.
    pub fn reparse(&mut self) {
        self.layout = parse(self.frame.bytes(), &mut self.key);
    }

    /// A copy with fresh headroom.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { frame: self.frame.duplicate(), key: self.key, layout: self.layout }
    }

    /// The same in a buffer of the sink's, for what changes the packet in the middle of an action list.
    pub(crate) fn duplicate_in(&self, sink: &mut impl crate::pipeline::Sink) -> Self {
        Self { frame: sink.copy(&self.frame), key: self.key, layout: self.layout }
    }

    /// Fills in a checksum that was left to the hardware.
    pub fn finish_checksum(&mut self) {
        let expected = self.has_partial_checksum();
        if finish_checksum(&mut self.frame) && !expected {
            // A sender may name any place, matched fields among them.
            self.reparse();
        }
    }

    /// Whether the packet has `field`. Pipeline fields are always there, header fields with their
    /// header. Fields of the key that share a slot are told apart here.
    pub fn has_field(&self, field: FieldId) -> bool {
        use FieldId as F;
        let l3 = self.layout.l3_kind;
        let l4 = self.layout.l4_kind;
        match field {
            F::EthDst | F::EthSrc | F::EthType | F::VlanTci => self.frame.len() >= 14,
            F::VlanVid | F::VlanPcp => self.layout.vlan_tags > 0,
            F::IpDscp | F::IpEcn | F::IpTos | F::IpProto | F::IpFrag | F::NwTtl => matches!(l3, L3::Ipv4 | L3::Ipv6),
            F::Ipv4Src | F::Ipv4Dst => l3 == L3::Ipv4,
            F::Ipv6Src | F::Ipv6Dst | F::Ipv6Flabel | F::Ipv6Exthdr => l3 == L3::Ipv6,
            F::ArpOp | F::ArpSpa | F::ArpTpa | F::ArpSha | F::ArpTha => l3 == L3::Arp,
            F::MplsLabel | F::MplsTc | F::MplsBos | F::MplsTtl => l3 == L3::Mpls,
            F::PbbIsid | F::PbbUca => l3 == L3::Pbb,
            F::TcpSrc | F::TcpDst | F::TcpFlags => l4 == L4::Tcp,
            F::UdpSrc | F::UdpDst => l4 == L4::Udp,
            F::SctpSrc | F::SctpDst => l4 == L4::Sctp,
            F::Icmpv4Type | F::Icmpv4Code => l4 == L4::Icmpv4,
            F::Icmpv6Type | F::Icmpv6Code => l4 == L4::Icmpv6,
            F::Ipv6NdTarget => self.nd_type().is_some(),
            F::Ipv6NdSll => self.layout.nd_option != 0 && self.nd_type() == Some(ND_NS),
            F::Ipv6NdTll => self.layout.nd_option != 0 && self.nd_type() == Some(ND_NA),
            _ => crate::key::slot(field).is_some(),
        }
    }

    /// The field's value, right-aligned, if the packet has it. `ip_frag` without the key's own flags.
    pub fn field(&self, field: FieldId) -> Option<u128> {
        let known = if field == FieldId::IpFrag { 3 } else { u128::MAX };
        self.has_field(field).then(|| self.key.get(field) & known)
    }

    /// Copies `n_bits` from bit `src_offset` of `src` to bit `dst_offset` of `dst` (OpenFlow 1.5.1
    /// §7.2.6, `OFPAT_COPY_FIELD`; Nicira's register move). Bit 0 is the least significant. Nothing
    /// happens if the packet lacks one of them; bits beyond a field's width are not copied.
    pub fn copy_field(&mut self, src: FieldId, src_offset: u16, dst: FieldId, dst_offset: u16, n_bits: u16) {
        let Some(value) = self.field(src) else { return };
        let n = u32::from(n_bits).min(128);
        let ones = if n > 64 { u128::from(low_bits(n - 64)) << 64 | u128::from(u64::MAX) } else { low_bits(n).into() };
        let bits = value.checked_shr(src_offset.into()).unwrap_or(0) & ones;
        let shift = u32::from(dst_offset);
        self.set_field(dst, bits.checked_shl(shift).unwrap_or(0), ones.checked_shl(shift).unwrap_or(0));
    }

    /// The type of a neighbour solicitation or advertisement whose target is in the frame.
    fn nd_type(&self) -> Option<u8> {
        let ty = self.key.get(FieldId::Icmpv6Type) as u8;
        (self.layout.l4_kind == L4::Icmpv6
            && matches!(ty, ND_NS | ND_NA)
            && self.key.get(FieldId::Icmpv6Code) == 0
            && u32::from(self.layout.l4) + 24 <= self.layout.end)
            .then_some(ty)
    }
}

//! The flow key: every matchable field of a packet, canonical, as an array of 64-bit words.
//!
//! One constant table ([`slot`]) says where each field lives; matching, set-field, hashing and the
//! cache read nothing else. Fields that can't be present together share a slot, kept apart by their
//! prerequisites (OpenFlow 1.3.5 §7.2.3.8): the TCP, UDP and SCTP ports and the ICMP type and code;
//! IPv4 and ARP addresses; IP protocol and ARP opcode; ARP and ND hardware addresses.
//! A field that a packet doesn't have is zero.
//!
//! The words that common packets use stand first: Ethernet + VLAN + IPv4 + L4 and `in_port` fill
//! words 0-4, so that a compact copy of a key fits in one cache line.

use ofproto::field::FieldId;

/// Words of a key.
pub const WORDS: usize = 34;

/// Where a field lives: its least significant bit is bit `shift` of word `word`; a 128-bit field
/// takes `word` (high half) and `word + 1` (low half) with shift 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First word.
    pub word: usize,
    /// Bit of the least significant bit.
    pub shift: u32,
    /// Width in bits.
    pub bits: u32,
}

/// Words by name, for the parser.
#[expect(missing_docs, reason = "each is described in the layout of `slot`")]
pub mod word {
    pub const ETH_DST_TYPE: usize = 0;
    pub const ETH_SRC_VLAN: usize = 1;
    pub const IP4: usize = 2;
    pub const L4: usize = 3;
    pub const IN_PORT: usize = 4;
    pub const METADATA: usize = 5;
    pub const TUNNEL_ID: usize = 6;
    pub const FLABEL_MPLS: usize = 7;
    pub const IP6_SRC: usize = 8;
    pub const IP6_DST: usize = 10;
    pub const ND_TARGET: usize = 12;
    pub const SHA: usize = 14;
    pub const THA: usize = 15;
    pub const PBB_PTYPE: usize = 16;
    pub const ACTSET_MARK: usize = 17;
    pub const REGS: usize = 18;
    pub const TUN_IP4: usize = 26;
    pub const TUN_IP6_SRC: usize = 27;
    pub const TUN_IP6_DST: usize = 29;
    pub const TUN_MISC: usize = 31;
    pub const HASHES: usize = 32;
    pub const CONJ: usize = 33;
}

/// `nw_frag` bits beside the Nicira ones (bit 0: any fragment, bit 1: later fragment).
pub mod flag {
    /// The L4 header (TCP, UDP, SCTP ports or ICMP type and code) is in this frame.
    pub const L4_PRESENT: u64 = 1 << 2;
    /// Any fragment.
    pub const FRAGMENT: u64 = 1;
}

/// The present bit of `vlan_vid` (`OFPVID_PRESENT`).
pub const VLAN_PRESENT: u16 = 0x1000;

const fn s(word: usize, shift: u32, bits: u32) -> Option<Slot> {
    Some(Slot { word, shift, bits })
}

/// Where `field` lives, or `None` for a field that is not part of the key (conntrack, NSH:
/// refused until the datapath has them).
#[inline]
pub const fn slot(field: FieldId) -> Option<Slot> {
    SLOTS[field as usize]
}

/// The table, by field number: a load where the match below would be a jump.
const SLOTS: [Option<Slot>; ofproto::field::FIELDS.len()] = {
    let mut table = [None; ofproto::field::FIELDS.len()];
    let mut i = 0;
    while i < table.len() {
        table[i] = place(ofproto::field::FIELDS[i].id);
        i += 1;
    }
    table
};

const fn place(field: FieldId) -> Option<Slot> {
    use FieldId as F;
    use word as w;
    match field {
        F::EthDst => s(w::ETH_DST_TYPE, 16, 48),
        // The payload's type, after all VLAN tags.
        F::EthType => s(w::ETH_DST_TYPE, 0, 16),
        F::EthSrc => s(w::ETH_SRC_VLAN, 16, 48),
        // PCP in bits 13-15, present in bit 12, VID in bits 0-11: the tag's TCI with DEI read as "present".
        F::VlanTci => s(w::ETH_SRC_VLAN, 0, 16),
        F::VlanVid => s(w::ETH_SRC_VLAN, 0, 13),
        F::VlanPcp => s(w::ETH_SRC_VLAN, 13, 3),
        F::Ipv4Src | F::ArpSpa => s(w::IP4, 32, 32),
        F::Ipv4Dst | F::ArpTpa => s(w::IP4, 0, 32),
        // proto/arp_op 16 | tos 8 | frag 8 | src 16 | dst 16
        F::IpProto => s(w::L4, 48, 8),
        F::ArpOp => s(w::L4, 48, 16),
        F::IpTos => s(w::L4, 40, 8),
        F::IpDscp => s(w::L4, 42, 6),
        F::IpEcn => s(w::L4, 40, 2),
        F::IpFrag => s(w::L4, 32, 8),
        F::TcpSrc | F::UdpSrc | F::SctpSrc => s(w::L4, 16, 16),
        F::TcpDst | F::UdpDst | F::SctpDst => s(w::L4, 0, 16),
        F::Icmpv4Type | F::Icmpv6Type => s(w::L4, 16, 8),
        F::Icmpv4Code | F::Icmpv6Code => s(w::L4, 0, 8),
        F::InPort => s(w::IN_PORT, 0, 32),
        F::InPhyPort => s(w::IN_PORT, 32, 32),
        F::Metadata => s(w::METADATA, 0, 64),
        F::TunnelId => s(w::TUNNEL_ID, 0, 64),
        // flabel 20 | nw_ttl 8 | mpls label 20 | tc 3 | bos 1 | mpls ttl 8 | (4 spare)
        F::Ipv6Flabel => s(w::FLABEL_MPLS, 44, 20),
        F::NwTtl => s(w::FLABEL_MPLS, 36, 8),
        F::MplsLabel => s(w::FLABEL_MPLS, 12, 20),
        F::MplsTc => s(w::FLABEL_MPLS, 9, 3),
        F::MplsBos => s(w::FLABEL_MPLS, 8, 1),
        F::MplsTtl => s(w::FLABEL_MPLS, 0, 8),
        F::Ipv6Src => s(w::IP6_SRC, 0, 128),
        F::Ipv6Dst => s(w::IP6_DST, 0, 128),
        F::Ipv6NdTarget => s(w::ND_TARGET, 0, 128),
        F::ArpSha | F::Ipv6NdSll => s(w::SHA, 16, 48),
        F::TcpFlags => s(w::SHA, 0, 12),
        F::ArpTha | F::Ipv6NdTll => s(w::THA, 16, 48),
        F::Ipv6Exthdr => s(w::THA, 0, 9),
        F::PbbIsid => s(w::PBB_PTYPE, 40, 24),
        F::PbbUca => s(w::PBB_PTYPE, 39, 1),
        F::PacketType => s(w::PBB_PTYPE, 0, 32),
        F::ActsetOutput => s(w::ACTSET_MARK, 32, 32),
        F::PktMark => s(w::ACTSET_MARK, 0, 32),
        // xxreg0 is reg0 (high) … reg3 (low); xreg0 is reg0 (high), reg1 (low).
        F::Reg0 => s(w::REGS, 32, 32),
        F::Reg1 => s(w::REGS, 0, 32),
        F::Reg2 => s(w::REGS + 1, 32, 32),
        F::Reg3 => s(w::REGS + 1, 0, 32),
        F::Reg4 => s(w::REGS + 2, 32, 32),
        F::Reg5 => s(w::REGS + 2, 0, 32),
        F::Reg6 => s(w::REGS + 3, 32, 32),
        F::Reg7 => s(w::REGS + 3, 0, 32),
        F::Reg8 => s(w::REGS + 4, 32, 32),
        F::Reg9 => s(w::REGS + 4, 0, 32),
        F::Reg10 => s(w::REGS + 5, 32, 32),
        F::Reg11 => s(w::REGS + 5, 0, 32),
        F::Reg12 => s(w::REGS + 6, 32, 32),
        F::Reg13 => s(w::REGS + 6, 0, 32),
        F::Reg14 => s(w::REGS + 7, 32, 32),
        F::Reg15 => s(w::REGS + 7, 0, 32),
        F::Xreg0 => s(w::REGS, 0, 64),
        F::Xreg1 => s(w::REGS + 1, 0, 64),
        F::Xreg2 => s(w::REGS + 2, 0, 64),
        F::Xreg3 => s(w::REGS + 3, 0, 64),
        F::Xreg4 => s(w::REGS + 4, 0, 64),
        F::Xreg5 => s(w::REGS + 5, 0, 64),
        F::Xreg6 => s(w::REGS + 6, 0, 64),
        F::Xreg7 => s(w::REGS + 7, 0, 64),
        F::Xxreg0 => s(w::REGS, 0, 128),
        F::Xxreg1 => s(w::REGS + 2, 0, 128),
        F::Xxreg2 => s(w::REGS + 4, 0, 128),
        F::Xxreg3 => s(w::REGS + 6, 0, 128),
        F::TunIpv4Src => s(w::TUN_IP4, 32, 32),
        F::TunIpv4Dst => s(w::TUN_IP4, 0, 32),
        F::TunIpv6Src => s(w::TUN_IP6_SRC, 0, 128),
        F::TunIpv6Dst => s(w::TUN_IP6_DST, 0, 128),
        F::TunFlags => s(w::TUN_MISC, 0, 16),
        F::TunGbpId => s(w::TUN_MISC, 16, 16),
        F::TunGbpFlags => s(w::TUN_MISC, 32, 8),
        F::DpHash => s(w::HASHES, 0, 32),
        F::RecircId => s(w::HASHES, 32, 32),
        F::ConjId => s(w::CONJ, 0, 32),
        F::CtState
        | F::CtZone
        | F::CtMark
        | F::CtLabel
        | F::CtNwProto
        | F::CtNwSrc
        | F::CtNwDst
        | F::CtIpv6Src
        | F::CtIpv6Dst
        | F::CtTpSrc
        | F::CtTpDst
        | F::NshFlags
        | F::NshMdtype
        | F::NshNp
        | F::NshSpi
        | F::NshSi
        | F::NshC1
        | F::NshC2
        | F::NshC3
        | F::NshC4
        | F::NshTtl => None,
    }
}

/// A packet's fields, or a mask or value over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct FlowKey(pub [u64; WORDS]);

impl Default for FlowKey {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl FlowKey {
    /// The field's value, right-aligned; zero for a field without a slot.
    pub fn get(&self, field: FieldId) -> u128 {
        slot(field).map_or(0, |s| self.read(s))
    }

    /// Sets a field; a field without a slot is ignored (such fields are refused when a flow is added).
    pub fn set(&mut self, field: FieldId, value: u128) {
        if let Some(s) = slot(field) {
            self.write(s, value);
        }
    }

    /// Reads a slot.
    pub fn read(&self, s: Slot) -> u128 {
        if s.bits == 128 {
            (u128::from(self.0[s.word]) << 64) | u128::from(self.0[s.word + 1])
        } else {
            u128::from((self.0[s.word] >> s.shift) & low_bits(s.bits))
        }
    }

    /// Writes a slot, leaving its neighbours alone.
    pub fn write(&mut self, s: Slot, value: u128) {
        if s.bits == 128 {
            self.0[s.word] = (value >> 64) as u64;
            self.0[s.word + 1] = value as u64;
        } else {
            let mask = low_bits(s.bits) << s.shift;
            self.0[s.word] = (self.0[s.word] & !mask) | (((value as u64) << s.shift) & mask);
        }
    }

    /// A first fragment as OpenFlow 1.0 sees it, whose ports (or ICMP type and code) are 0 in every fragment (OpenFlow 1.0.0
    /// §3.4); `None` for every other packet, and if they are 0 anyway.
    #[inline]
    pub fn without_ports(&self) -> Option<Self> {
        const FIRST: u64 = (flag::FRAGMENT | flag::L4_PRESENT) << 32;
        let l4 = self.0[word::L4];
        if l4 & FIRST != FIRST || l4 & 0xffff_ffff == 0 {
            return None;
        }
        let mut key = *self;
        // Without the flag no entry of a later version asks for what isn't there.
        key.0[word::L4] = l4 & !(flag::L4_PRESENT << 32 | 0xffff_ffff);
        Some(key)
    }

    /// Whether `self & mask == value` in every word.
    pub fn matches(&self, value: &FlowKey, mask: &FlowKey) -> bool {
        self.0.iter().zip(&value.0).zip(&mask.0).all(|((k, v), m)| k & m == *v)
    }
}

/// `n` ≤ 64 low bits.
pub const fn low_bits(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::field::FIELDS;

    #[test]
    fn every_slot_fits_and_round_trips() {
        for f in FIELDS {
            let Some(s) = slot(f.id) else { continue };
            assert_eq!(s.bits, u32::from(f.bits), "{}", f.name);
            assert!(s.word + usize::from(s.bits == 128) < WORDS, "{}", f.name);
            assert!(s.bits == 128 || s.shift + s.bits <= 64, "{}", f.name);
            let mut k = FlowKey([u64::MAX; WORDS]);
            k.set(f.id, 0);
            assert_eq!(k.get(f.id), 0, "{}", f.name);
            k.set(f.id, f.all_ones());
            assert_eq!(k, FlowKey([u64::MAX; WORDS]), "{}", f.name);
        }
    }
}

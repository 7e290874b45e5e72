//! ONE table of every match field: codec, matching, text, JSON, table-features and documentation read it.
//!
//! A field is a *meaning*; [`Code`] lists the header forms in which that meaning travels (OXM, NXM,
//! experimenter). Values are unsigned integers, right-aligned: `eth_dst` is a 48-bit number whose
//! most significant byte is the first on the wire.
//!
//! # The fields
//!
//! Widths, masks and prerequisites are those of OpenFlow 1.5.1 §7.2.3.8-11 (1.3.5 §7.2.3.8-9); "since" is the
//! first version whose specification (or, for Nicira's fields, extension) has the field; "set" says
//! whether set-field may write it.
//!
#![doc = include_str!("field_table.md")]

use crate::version::Version;

/// A header form of a field: an OXM class and a field number in it (`ofp_oxm_class`).
///
/// OpenFlow 1.3.5 §7.2.3.2-3, 1.5.1 §7.2.3.2-3; ovs-fields(7) has Nicira's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `OFPXMC_OPENFLOW_BASIC` (0x8000) with this field number.
    Oxm(u8),
    /// `OFPXMC_NXM_0` (0x0000).
    Nxm0(u8),
    /// `OFPXMC_NXM_1` (0x0001).
    Nxm1(u8),
    /// `OFPXMC_PACKET_REGS` (0x8001, 1.5).
    PacketRegs(u8),
    /// `OFPXMC_EXPERIMENTER` (0xffff) of the ONF, with its extension's number.
    Onf(u16),
    /// `OFPXMC_EXPERIMENTER` of the NSH experimenter.
    Nsh(u8),
}

/// What must be matched before a field may be.
///
/// OpenFlow 1.3.5 §7.2.3.6, §7.2.3.8; 1.5.1 §7.2.3.6, §7.2.3.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prereq {
    /// Nothing.
    None,
    /// `in_port` present.
    InPort,
    /// `vlan_vid` present and not "untagged".
    Vlan,
    /// `eth_type` 0x0800 or 0x86dd.
    Ip,
    /// `eth_type` 0x0800.
    Ipv4,
    /// `eth_type` 0x86dd.
    Ipv6,
    /// `eth_type` 0x0806 (Nicira: 0x8035 too).
    Arp,
    /// `eth_type` 0x8847 or 0x8848.
    Mpls,
    /// `eth_type` 0x88e7.
    Pbb,
    /// `eth_type` 0x894f.
    Nsh,
    /// `ip_proto` 6.
    Tcp,
    /// `ip_proto` 17.
    Udp,
    /// `ip_proto` 132.
    Sctp,
    /// `eth_type` 0x0800 and `ip_proto` 1.
    Icmpv4,
    /// `eth_type` 0x86dd and `ip_proto` 58.
    Icmpv6,
    /// `icmpv6_type` 135 or 136.
    Nd,
    /// `icmpv6_type` 135.
    NdSol,
    /// `icmpv6_type` 136.
    NdAdv,
}

/// What the table says of one field.
///
/// OpenFlow 1.3.5 §7.2.3.7-9, 1.5.1 §7.2.3.7-11; Nicira's fields: ovs-fields(7).
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    /// The field.
    pub id: FieldId,
    /// The specification's (or Nicira's) name in lower case: `eth_dst`.
    pub name: &'static str,
    /// The name in the flow syntax: `dl_dst`.
    pub alias: &'static str,
    /// Significant bits.
    pub bits: u16,
    /// Whether an arbitrary mask is allowed.
    pub maskable: bool,
    /// Whether set-field may write it.
    pub settable: bool,
    /// What has to be matched first.
    pub prereq: Prereq,
    /// The first version whose specification (or, for Nicira fields, extension) knows it.
    pub since: Version,
    /// Its header forms, preferred first.
    pub codes: &'static [Code],
}

impl FieldInfo {
    /// Bytes of a value on the wire: the specification gives 20-bit fields (and `nsh_spi`) 4 bytes.
    /// `NXM_OF_IN_PORT` is the one header form that is narrower than its field (2 bytes).
    pub const fn bytes(&self) -> usize {
        match self.id {
            FieldId::Ipv6Flabel | FieldId::MplsLabel | FieldId::NshSpi => 4,
            _ => (self.bits as usize).div_ceil(8),
        }
    }

    /// All significant bits set.
    pub const fn all_ones(&self) -> u128 {
        if self.bits >= 128 { u128::MAX } else { (1u128 << self.bits) - 1 }
    }

    /// All bits of the bytes that the value takes, those included that no value has.
    pub const fn all_ones_of_bytes(&self) -> u128 {
        if self.bytes() >= 16 { u128::MAX } else { (1u128 << (8 * self.bytes())) - 1 }
    }
}

macro_rules! fields {
    ($($id:ident: $name:literal, $alias:literal, $bits:literal, $mask:literal, $set:literal, $pre:ident, $since:ident, [$($code:expr),*];)*) => {
        /// A match field (`oxm_ofb_match_fields`, and Nicira's).
        ///
        /// OpenFlow 1.3.5 §7.2.3.7-9, 1.5.1 §7.2.3.7-11; Nicira's fields: ovs-fields(7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum FieldId { $(#[doc = $name] $id),* }

        /// Every field, indexed by `FieldId as usize`.
        pub static FIELDS: &[FieldInfo] = &[$(FieldInfo {
            id: FieldId::$id, name: $name, alias: $alias, bits: $bits, maskable: $mask, settable: $set,
            prereq: Prereq::$pre, since: Version::$since, codes: &[$($code),*],
        }),*];
    };
}

// id: name, flow-syntax name, bits, maskable, settable, prerequisite, first version, header forms
fields! {
    InPort: "in_port", "in_port", 32, false, false, None, V10, [Code::Oxm(0), Code::Nxm0(0)];
    InPhyPort: "in_phy_port", "in_phy_port", 32, false, false, InPort, V12, [Code::Oxm(1)];
    Metadata: "metadata", "metadata", 64, true, true, None, V11, [Code::Oxm(2)];
    EthDst: "eth_dst", "dl_dst", 48, true, true, None, V10, [Code::Oxm(3), Code::Nxm0(1)];
    EthSrc: "eth_src", "dl_src", 48, true, true, None, V10, [Code::Oxm(4), Code::Nxm0(2)];
    EthType: "eth_type", "dl_type", 16, false, true, None, V10, [Code::Oxm(5), Code::Nxm0(3)];
    VlanVid: "vlan_vid", "vlan_vid", 13, true, true, None, V10, [Code::Oxm(6)];
    VlanPcp: "vlan_pcp", "vlan_pcp", 3, false, true, Vlan, V10, [Code::Oxm(7)];
    IpDscp: "ip_dscp", "ip_dscp", 6, false, true, Ip, V10, [Code::Oxm(8)];
    IpEcn: "ip_ecn", "nw_ecn", 2, false, true, Ip, V11, [Code::Oxm(9), Code::Nxm1(28)];
    IpProto: "ip_proto", "nw_proto", 8, false, true, Ip, V10, [Code::Oxm(10), Code::Nxm0(6)];
    Ipv4Src: "ipv4_src", "nw_src", 32, true, true, Ipv4, V10, [Code::Oxm(11), Code::Nxm0(7)];
    Ipv4Dst: "ipv4_dst", "nw_dst", 32, true, true, Ipv4, V10, [Code::Oxm(12), Code::Nxm0(8)];
    TcpSrc: "tcp_src", "tcp_src", 16, true, true, Tcp, V10, [Code::Oxm(13), Code::Nxm0(9)];
    TcpDst: "tcp_dst", "tcp_dst", 16, true, true, Tcp, V10, [Code::Oxm(14), Code::Nxm0(10)];
    UdpSrc: "udp_src", "udp_src", 16, true, true, Udp, V10, [Code::Oxm(15), Code::Nxm0(11)];
    UdpDst: "udp_dst", "udp_dst", 16, true, true, Udp, V10, [Code::Oxm(16), Code::Nxm0(12)];
    SctpSrc: "sctp_src", "sctp_src", 16, true, true, Sctp, V11, [Code::Oxm(17)];
    SctpDst: "sctp_dst", "sctp_dst", 16, true, true, Sctp, V11, [Code::Oxm(18)];
    Icmpv4Type: "icmpv4_type", "icmp_type", 8, false, true, Icmpv4, V10, [Code::Oxm(19), Code::Nxm0(13)];
    Icmpv4Code: "icmpv4_code", "icmp_code", 8, false, true, Icmpv4, V10, [Code::Oxm(20), Code::Nxm0(14)];
    ArpOp: "arp_op", "arp_op", 16, false, true, Arp, V10, [Code::Oxm(21), Code::Nxm0(15)];
    ArpSpa: "arp_spa", "arp_spa", 32, true, true, Arp, V10, [Code::Oxm(22), Code::Nxm0(16)];
    ArpTpa: "arp_tpa", "arp_tpa", 32, true, true, Arp, V10, [Code::Oxm(23), Code::Nxm0(17)];
    ArpSha: "arp_sha", "arp_sha", 48, true, true, Arp, V12, [Code::Oxm(24), Code::Nxm1(17)];
    ArpTha: "arp_tha", "arp_tha", 48, true, true, Arp, V12, [Code::Oxm(25), Code::Nxm1(18)];
    Ipv6Src: "ipv6_src", "ipv6_src", 128, true, true, Ipv6, V12, [Code::Oxm(26), Code::Nxm1(19)];
    Ipv6Dst: "ipv6_dst", "ipv6_dst", 128, true, true, Ipv6, V12, [Code::Oxm(27), Code::Nxm1(20)];
    Ipv6Flabel: "ipv6_flabel", "ipv6_label", 20, true, true, Ipv6, V12, [Code::Oxm(28), Code::Nxm1(27)];
    Icmpv6Type: "icmpv6_type", "icmpv6_type", 8, false, true, Icmpv6, V12, [Code::Oxm(29), Code::Nxm1(21)];
    Icmpv6Code: "icmpv6_code", "icmpv6_code", 8, false, true, Icmpv6, V12, [Code::Oxm(30), Code::Nxm1(22)];
    Ipv6NdTarget: "ipv6_nd_target", "nd_target", 128, true, true, Nd, V12, [Code::Oxm(31), Code::Nxm1(23)];
    Ipv6NdSll: "ipv6_nd_sll", "nd_sll", 48, true, true, NdSol, V12, [Code::Oxm(32), Code::Nxm1(24)];
    Ipv6NdTll: "ipv6_nd_tll", "nd_tll", 48, true, true, NdAdv, V12, [Code::Oxm(33), Code::Nxm1(25)];
    MplsLabel: "mpls_label", "mpls_label", 20, false, true, Mpls, V11, [Code::Oxm(34)];
    MplsTc: "mpls_tc", "mpls_tc", 3, false, true, Mpls, V11, [Code::Oxm(35)];
    MplsBos: "mpls_bos", "mpls_bos", 1, false, true, Mpls, V13, [Code::Oxm(36)];
    PbbIsid: "pbb_isid", "pbb_isid", 24, true, true, Pbb, V13, [Code::Oxm(37)];
    TunnelId: "tunnel_id", "tun_id", 64, true, true, None, V13, [Code::Oxm(38), Code::Nxm1(16)];
    Ipv6Exthdr: "ipv6_exthdr", "ipv6_exthdr", 9, true, false, Ipv6, V13, [Code::Oxm(39)];
    PbbUca: "pbb_uca", "pbb_uca", 1, false, true, Pbb, V14, [Code::Oxm(41), Code::Onf(2560)];
    TcpFlags: "tcp_flags", "tcp_flags", 12, true, true, Tcp, V15, [Code::Oxm(42), Code::Onf(42), Code::Nxm1(34)];
    ActsetOutput: "actset_output", "actset_output", 32, false, false, None, V15, [Code::Oxm(43), Code::Onf(43)];
    PacketType: "packet_type", "packet_type", 32, false, false, None, V15, [Code::Oxm(44)];
    VlanTci: "vlan_tci", "vlan_tci", 16, true, true, None, V10, [Code::Nxm0(4)];
    IpTos: "ip_tos", "nw_tos", 8, false, true, Ip, V10, [Code::Nxm0(5)];
    IpFrag: "ip_frag", "ip_frag", 8, true, false, Ip, V10, [Code::Nxm1(26)];
    NwTtl: "nw_ttl", "nw_ttl", 8, false, true, Ip, V10, [Code::Nxm1(29)];
    MplsTtl: "mpls_ttl", "mpls_ttl", 8, false, true, Mpls, V10, [Code::Nxm1(30)];
    TunIpv4Src: "tun_src", "tun_src", 32, true, true, None, V10, [Code::Nxm1(31)];
    TunIpv4Dst: "tun_dst", "tun_dst", 32, true, true, None, V10, [Code::Nxm1(32)];
    TunIpv6Src: "tun_ipv6_src", "tun_ipv6_src", 128, true, true, None, V10, [Code::Nxm1(109)];
    TunIpv6Dst: "tun_ipv6_dst", "tun_ipv6_dst", 128, true, true, None, V10, [Code::Nxm1(110)];
    TunFlags: "tun_flags", "tun_flags", 16, true, true, None, V10, [Code::Nxm1(104)];
    TunGbpId: "tun_gbp_id", "tun_gbp_id", 16, true, true, None, V10, [Code::Nxm1(38)];
    TunGbpFlags: "tun_gbp_flags", "tun_gbp_flags", 8, true, true, None, V10, [Code::Nxm1(39)];
    PktMark: "pkt_mark", "pkt_mark", 32, true, true, None, V10, [Code::Nxm1(33)];
    DpHash: "dp_hash", "dp_hash", 32, true, false, None, V10, [Code::Nxm1(35)];
    RecircId: "recirc_id", "recirc_id", 32, false, false, None, V10, [Code::Nxm1(36)];
    ConjId: "conj_id", "conj_id", 32, false, false, None, V10, [Code::Nxm1(37)];
    CtState: "ct_state", "ct_state", 32, true, false, None, V10, [Code::Nxm1(105)];
    CtZone: "ct_zone", "ct_zone", 16, false, false, None, V10, [Code::Nxm1(106)];
    CtMark: "ct_mark", "ct_mark", 32, true, true, None, V10, [Code::Nxm1(107)];
    CtLabel: "ct_label", "ct_label", 128, true, true, None, V10, [Code::Nxm1(108)];
    CtNwProto: "ct_nw_proto", "ct_nw_proto", 8, false, false, None, V10, [Code::Nxm1(119)];
    CtNwSrc: "ct_nw_src", "ct_nw_src", 32, true, false, None, V10, [Code::Nxm1(120)];
    CtNwDst: "ct_nw_dst", "ct_nw_dst", 32, true, false, None, V10, [Code::Nxm1(121)];
    CtIpv6Src: "ct_ipv6_src", "ct_ipv6_src", 128, true, false, None, V10, [Code::Nxm1(122)];
    CtIpv6Dst: "ct_ipv6_dst", "ct_ipv6_dst", 128, true, false, None, V10, [Code::Nxm1(123)];
    CtTpSrc: "ct_tp_src", "ct_tp_src", 16, true, false, None, V10, [Code::Nxm1(124)];
    CtTpDst: "ct_tp_dst", "ct_tp_dst", 16, true, false, None, V10, [Code::Nxm1(125)];
    NshFlags: "nsh_flags", "nsh_flags", 8, true, true, Nsh, V10, [Code::Nsh(1)];
    NshMdtype: "nsh_mdtype", "nsh_mdtype", 8, false, false, Nsh, V10, [Code::Nsh(2)];
    NshNp: "nsh_np", "nsh_np", 8, false, false, Nsh, V10, [Code::Nsh(3)];
    NshSpi: "nsh_spi", "nsh_spi", 24, false, true, Nsh, V10, [Code::Nsh(4)];
    NshSi: "nsh_si", "nsh_si", 8, false, true, Nsh, V10, [Code::Nsh(5)];
    NshC1: "nsh_c1", "nsh_c1", 32, true, true, Nsh, V10, [Code::Nsh(6)];
    NshC2: "nsh_c2", "nsh_c2", 32, true, true, Nsh, V10, [Code::Nsh(7)];
    NshC3: "nsh_c3", "nsh_c3", 32, true, true, Nsh, V10, [Code::Nsh(8)];
    NshC4: "nsh_c4", "nsh_c4", 32, true, true, Nsh, V10, [Code::Nsh(9)];
    NshTtl: "nsh_ttl", "nsh_ttl", 8, false, true, Nsh, V10, [Code::Nsh(10)];
    Reg0: "reg0", "reg0", 32, true, true, None, V10, [Code::Nxm1(0)];
    Reg1: "reg1", "reg1", 32, true, true, None, V10, [Code::Nxm1(1)];
    Reg2: "reg2", "reg2", 32, true, true, None, V10, [Code::Nxm1(2)];
    Reg3: "reg3", "reg3", 32, true, true, None, V10, [Code::Nxm1(3)];
    Reg4: "reg4", "reg4", 32, true, true, None, V10, [Code::Nxm1(4)];
    Reg5: "reg5", "reg5", 32, true, true, None, V10, [Code::Nxm1(5)];
    Reg6: "reg6", "reg6", 32, true, true, None, V10, [Code::Nxm1(6)];
    Reg7: "reg7", "reg7", 32, true, true, None, V10, [Code::Nxm1(7)];
    Reg8: "reg8", "reg8", 32, true, true, None, V10, [Code::Nxm1(8)];
    Reg9: "reg9", "reg9", 32, true, true, None, V10, [Code::Nxm1(9)];
    Reg10: "reg10", "reg10", 32, true, true, None, V10, [Code::Nxm1(10)];
    Reg11: "reg11", "reg11", 32, true, true, None, V10, [Code::Nxm1(11)];
    Reg12: "reg12", "reg12", 32, true, true, None, V10, [Code::Nxm1(12)];
    Reg13: "reg13", "reg13", 32, true, true, None, V10, [Code::Nxm1(13)];
    Reg14: "reg14", "reg14", 32, true, true, None, V10, [Code::Nxm1(14)];
    Reg15: "reg15", "reg15", 32, true, true, None, V10, [Code::Nxm1(15)];
    Xreg0: "xreg0", "xreg0", 64, true, true, None, V13, [Code::PacketRegs(0)];
    Xreg1: "xreg1", "xreg1", 64, true, true, None, V13, [Code::PacketRegs(1)];
    Xreg2: "xreg2", "xreg2", 64, true, true, None, V13, [Code::PacketRegs(2)];
    Xreg3: "xreg3", "xreg3", 64, true, true, None, V13, [Code::PacketRegs(3)];
    Xreg4: "xreg4", "xreg4", 64, true, true, None, V13, [Code::PacketRegs(4)];
    Xreg5: "xreg5", "xreg5", 64, true, true, None, V13, [Code::PacketRegs(5)];
    Xreg6: "xreg6", "xreg6", 64, true, true, None, V13, [Code::PacketRegs(6)];
    Xreg7: "xreg7", "xreg7", 64, true, true, None, V13, [Code::PacketRegs(7)];
    Xxreg0: "xxreg0", "xxreg0", 128, true, true, None, V10, [Code::Nxm1(111)];
    Xxreg1: "xxreg1", "xxreg1", 128, true, true, None, V10, [Code::Nxm1(112)];
    Xxreg2: "xxreg2", "xxreg2", 128, true, true, None, V10, [Code::Nxm1(113)];
    Xxreg3: "xxreg3", "xxreg3", 128, true, true, None, V10, [Code::Nxm1(114)];
}

impl FieldId {
    /// Whether it belongs to the packet's way through the pipeline and not to its headers: only such fields may a
    /// packet-out of 1.5 say (OpenFlow 1.5.1 §7.3.6).
    pub const fn is_pipeline(self) -> bool {
        use FieldId::*;
        matches!(
            self,
            InPort
                | InPhyPort
                | Metadata
                | TunnelId
                | ActsetOutput
                | PacketType
                | PktMark
                | TunIpv4Src
                | TunIpv4Dst
                | TunIpv6Src
                | TunIpv6Dst
                | TunFlags
                | TunGbpId
                | TunGbpFlags
        ) || (Reg0 as u8 <= self as u8 && self as u8 <= Xxreg3 as u8)
    }

    /// The table's row for this field.
    pub fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    /// Finds a field by its specification name or flow-syntax name.
    pub fn by_name(name: &str) -> Option<Self> {
        FIELDS.iter().find(|f| f.name == name || f.alias == name).map(|f| f.id)
    }

    /// Finds the field that `code` stands for.
    pub fn by_code(code: Code) -> Option<Self> {
        FIELDS.iter().find(|f| f.codes.contains(&code)).map(|f| f.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_index_and_codes_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for (i, f) in FIELDS.iter().enumerate() {
            assert_eq!(f.id as usize, i);
            for c in f.codes {
                assert!(seen.insert(*c), "{c:?} twice");
            }
        }
    }
}

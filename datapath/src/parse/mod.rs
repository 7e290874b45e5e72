//! Frame bytes → flow key and the offsets that edits need, in one pass.
//!
//! The parser never fails and never panics: a header that is cut off or malformed leaves its fields
//! absent (zero in the key, [`L3::None`] or [`L4::None`] in the layout) and ends the walk there. Every
//! loop has a fixed bound ([`MAX_VLAN_TAGS`], [`ip::MAX_EXTENSION_HEADERS`], [`ip::MAX_ND_OPTIONS`]).
//!
//! What isn't in the frame isn't touched: port, metadata, tunnel, register and other pipeline words
//! of the key keep what the caller put there.
//!
//! Behind an MPLS stack's bottom and inside a PBB service frame nothing is matched (OpenFlow 1.3.5
//! §7.2.3.7), so nothing is parsed there.

pub mod ip;

use crate::key::{FlowKey, VLAN_PRESENT, WORDS, word};

/// VLAN tags that are walked. A frame with more has the next tag's TPID as its `eth_type`.
pub const MAX_VLAN_TAGS: u8 = 16;

/// Ethertypes that steer the parser.
#[expect(missing_docs, reason = "the names are the protocols'")]
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const QINQ: u16 = 0x88a8;
    pub const PBB: u16 = 0x88e7;
    /// What OpenFlow 1.0 §3.4 gives a frame that has no ethertype.
    pub const NOT_ETH_TYPE: u16 = 0x05ff;
    /// Smaller values are an 802.3 length.
    pub const MIN: u16 = 0x0600;
}

/// What follows the ethertype, when it is complete and well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum L3 {
    /// Nothing the parser knows.
    #[default]
    None,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// ARP or RARP for Ethernet and IPv4.
    Arp,
    /// An MPLS shim.
    Mpls,
    /// A PBB I-TAG.
    Pbb,
}

/// The upper-layer header, when it is complete in this frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum L4 {
    /// Nothing the parser knows, cut off, or in another fragment.
    #[default]
    None,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP for IPv4.
    Icmpv4,
    /// ICMPv6.
    Icmpv6,
}

/// Where a frame's headers stand, in bytes from its start. 0 stands for "not there", as nothing but
/// the Ethernet header begins at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What `l3` points at.
    pub l3_kind: L3,
    /// What `l4` points at.
    pub l4_kind: L4,
    /// VLAN tags; the outermost one's TPID is at 12.
    pub vlan_tags: u8,
    /// IP: a fragment, first or later.
    pub fragment: bool,
    /// IPv6: a routing header with segments left, so the upper layer's checksum covers another
    /// destination than the header's (RFC 8200 §8.1).
    pub routed: bool,
    /// The ethertype behind all VLAN tags (of SNAP, if the frame has it). 0 in a frame without one.
    pub eth_type: u16,
    /// The 802.3 length field, in a frame that has one.
    pub length_802_3: u16,
    /// What follows the ethertype. 0 in a frame without one.
    pub l3: u16,
    /// The byte that holds `ip_proto`: IPv4's protocol or the last walked next-header byte.
    pub ip_proto: u16,
    /// The upper-layer header. Not 0 only in the fragment that has its start; its kind may still be
    /// unknown or its header cut off.
    pub l4: u16,
    /// The first source (in a solicitation) or target (in an advertisement) link-layer address option.
    pub nd_option: u16,
    /// The end of the IP packet as far as it is in the frame: what comes behind is padding.
    /// In other frames the end of the frame.
    pub end: u32,
    /// The end of the IP packet by its own length, which a truncated frame doesn't reach.
    pub declared_end: u32,
}

/// Parses `bytes` into `key`'s header words and returns the layout.
#[inline]
pub fn parse(bytes: &[u8], key: &mut FlowKey) -> Layout {
    let mut layout = Layout { end: bytes.len() as u32, declared_end: bytes.len() as u32, ..Layout::default() };
    let w = &mut key.0;
    clear_headers(w);
    let (Some(dst), Some(src_type)) = (be64(bytes, 0), be64(bytes, 6)) else { return layout };
    let mut ty = src_type as u16;
    let mut at = 12;
    let mut tci = 0;
    while ty == ethertype::VLAN || ty == ethertype::QINQ {
        let Some(next) = be32(bytes, at + 2) else { break };
        if layout.vlan_tags == MAX_VLAN_TAGS {
            break;
        }
        if layout.vlan_tags == 0 {
            tci = (next >> 16) as u16 | VLAN_PRESENT;
        }
        layout.vlan_tags += 1;
        ty = next as u16;
        at += 4;
    }
    w[word::ETH_SRC_VLAN] = src_type & !0xffff | u64::from(tci);
    if ty < ethertype::MIN {
        layout.length_802_3 = at as u16;
        ty = match snap(bytes, at + 2) {
            Some(ty) => {
                at += 8;
                ty
            }
            None => {
                w[word::ETH_DST_TYPE] = dst & !0xffff | u64::from(ethertype::NOT_ETH_TYPE);
                return layout;
            }
        };
    }
    w[word::ETH_DST_TYPE] = dst & !0xffff | u64::from(ty);
    layout.eth_type = at as u16;
    let l3 = at + 2;
    layout.l3 = l3 as u16;
    match ty {
        ethertype::IPV4 => ip::ipv4(bytes, l3, w, &mut layout),
        ethertype::IPV6 => ip::ipv6(bytes, l3, w, &mut layout),
        ethertype::ARP | ethertype::RARP => arp(bytes, l3, w, &mut layout),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => {
            if let Some(shim) = be32(bytes, l3) {
                w[word::FLABEL_MPLS] = u64::from(shim);
                layout.l3_kind = L3::Mpls;
            }
        }
        ethertype::PBB => {
            if let Some(tag) = be32(bytes, l3) {
                w[word::PBB_PTYPE] = u64::from(tag & 0xff_ffff) << 40 | u64::from(tag >> 27 & 1) << 39;
                layout.l3_kind = L3::Pbb;
            }
        }
        _ => {}
    }
    layout
}

/// Zeroes the words that the parser owns. `PBB_PTYPE`'s other half, the packet type, becomes (0, 0):
/// Ethernet.
#[inline]
fn clear_headers(w: &mut [u64; WORDS]) {
    w[word::ETH_DST_TYPE..=word::L4].fill(0);
    w[word::FLABEL_MPLS..=word::PBB_PTYPE].fill(0);
}

/// The ethertype in an LLC/SNAP header with OUI 00-00-00 at `at`.
fn snap(bytes: &[u8], at: usize) -> Option<u16> {
    let header = be64(bytes, at)?;
    (header >> 16 == 0xaaaa_0300_0000 && header as u16 >= ethertype::MIN).then_some(header as u16)
}

fn arp(bytes: &[u8], at: usize, w: &mut [u64; WORDS], layout: &mut Layout) {
    let Some(p) = bytes.get(at..).and_then(<[u8]>::first_chunk::<28>) else { return };
    // Hardware Ethernet, protocol IPv4, address lengths 6 and 4; then the operation.
    let head = u64::from_be_bytes([p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]]);
    if head >> 16 != 0x0001_0800_0604 {
        return;
    }
    layout.l3_kind = L3::Arp;
    w[word::L4] = head << 48;
    w[word::SHA] = u64::from_be_bytes([p[8], p[9], p[10], p[11], p[12], p[13], 0, 0]);
    w[word::THA] = u64::from_be_bytes([p[18], p[19], p[20], p[21], p[22], p[23], 0, 0]);
    w[word::IP4] = u64::from_be_bytes([p[14], p[15], p[16], p[17], p[24], p[25], p[26], p[27]]);
}

/// A big-endian number at `at`, if it is there.
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|c| u16::from_be_bytes(*c))
}

/// A big-endian number at `at`, if it is there.
#[inline]
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|c| u32::from_be_bytes(*c))
}

/// A big-endian number at `at`, if it is there.
#[inline]
pub fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|c| u64::from_be_bytes(*c))
}

#[cfg(test)]
mod tests;

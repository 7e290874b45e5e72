//! The headers that the programs look at: Ethernet with VLAN tags, IPv4, IPv6, TCP, UDP, ICMP, ARP.
//!
//! A view of borrowed bytes; whatever a header lacks ends the view there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ethernet types.
pub mod eth {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A customer VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// A service VLAN tag.
    pub const QINQ: u16 = 0x88a8;
    /// MPLS.
    pub const MPLS: u16 = 0x8847;
    /// LLDP.
    pub const LLDP: u16 = 0x88cc;
}

/// Protocols of IP.
pub mod ip {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// Two bytes at an offset, big-endian.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// Four bytes at an offset, big-endian.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// An Ethernet frame's layers.
#[derive(Clone, Debug)]
pub struct Ethernet<'a> {
    /// Destination.
    pub dst: [u8; 6],
    /// Source.
    pub src: [u8; 6],
    /// VLAN tags' TCI, outermost first; two at most are looked at.
    pub vlans: Vec<u16>,
    /// The type behind the tags.
    pub ty: u16,
    /// What comes then.
    pub payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// Reads a frame's first header; `None` if it is shorter.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let dst = *frame.first_chunk()?;
        let src = *frame.get(6..)?.first_chunk()?;
        let mut ty = u16_at(frame, 12)?;
        let mut payload = frame.get(14..)?;
        let mut vlans = Vec::new();
        while vlans.len() < 2 && matches!(ty, eth::VLAN | eth::QINQ) {
            let (Some(tci), Some(next)) = (u16_at(payload, 0), u16_at(payload, 2)) else { break };
            vlans.push(tci);
            ty = next;
            payload = payload.get(4..).unwrap_or_default();
        }
        Some(Self { dst, src, vlans, ty, payload })
    }
}

/// An IP packet's header, of either version.
#[derive(Clone, Debug)]
pub struct Ip<'a> {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// The protocol behind the header and IPv6's extension headers.
    pub proto: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// A later fragment has no transport header.
    pub later_fragment: bool,
    /// What comes then, without the link's padding.
    pub payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// Reads a header of the version that its first digit says.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes),
            6 => Self::v6(bytes),
            _ => None,
        }
    }

    fn v4(bytes: &'a [u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 15) * 4;
        if header < 20 {
            return None;
        }
        let total = usize::from(u16_at(bytes, 2)?);
        // Offloaded frames may say zero: then all that is there counts.
        let end = if total >= header { total.min(bytes.len()) } else { bytes.len() };
        Some(Self {
            src: Ipv4Addr::from(u32_at(bytes, 12)?).into(),
            dst: Ipv4Addr::from(u32_at(bytes, 16)?).into(),
            proto: *bytes.get(9)?,
            ttl: *bytes.get(8)?,
            later_fragment: u16_at(bytes, 6)? & 0x1fff != 0,
            payload: bytes.get(header..end)?,
        })
    }

    fn v6(bytes: &'a [u8]) -> Option<Self> {
        let src: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
        let dst: [u8; 16] = *bytes.get(24..)?.first_chunk()?;
        let length = usize::from(u16_at(bytes, 4)?);
        let end = if length > 0 { (40 + length).min(bytes.len()) } else { bytes.len() };
        let mut payload = bytes.get(40..end)?;
        let mut proto = *bytes.get(6)?;
        let mut later_fragment = false;
        // Hop-by-hop, routing, fragment and destination options; a handful is more than anyone sends.
        for _ in 0..8 {
            let skip = match proto {
                0 | 43 | 60 => 8 + 8 * usize::from(payload.get(1).copied().unwrap_or(0)),
                44 => {
                    later_fragment |= u16_at(payload, 2).is_some_and(|f| f & 0xfff8 != 0);
                    8
                }
                _ => break,
            };
            let Some(rest) = payload.get(skip..) else { break };
            proto = payload.first().copied().unwrap_or(59);
            payload = rest;
        }
        Some(Self {
            src: Ipv6Addr::from(src).into(),
            dst: Ipv6Addr::from(dst).into(),
            proto,
            ttl: *bytes.get(7)?,
            later_fragment,
            payload,
        })
    }
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Sequence number of the first byte.
    pub seq: u32,
    /// The flags' low byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// The bytes.
    pub payload: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// Reads a segment.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = usize::from(bytes.get(12)? >> 4) * 4;
        if header < 20 {
            return None;
        }
        Some(Self {
            src: u16_at(bytes, 0)?,
            dst: u16_at(bytes, 2)?,
            seq: u32_at(bytes, 4)?,
            flags: *bytes.get(13)?,
            payload: bytes.get(header..)?,
        })
    }
}

/// The internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

//! IPv4 and IPv6 with what they carry.

use super::{L3, L4, Layout, be32, be64};
use crate::key::{WORDS, flag, word};

/// IPv6 extension headers that are walked; behind more of them the upper layer isn't looked for.
pub const MAX_EXTENSION_HEADERS: usize = 16;
/// Neighbour discovery options that are walked.
pub const MAX_ND_OPTIONS: usize = 16;

/// IP protocol numbers that steer the parser.
#[expect(missing_docs, reason = "the names are the protocols'")]
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const DEST_OPTS: u8 = 60;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

/// Neighbour solicitation and advertisement.
pub const ND_NS: u8 = 135;
/// Neighbour advertisement.
pub const ND_NA: u8 = 136;

const FRAG_ANY: u64 = 1;
const FRAG_LATER: u64 = 2;

/// `OFPIEH_*` (OpenFlow 1.3.5 §7.2.3.8).
mod exthdr {
    pub const NONEXT: u64 = 1;
    pub const ESP: u64 = 1 << 1;
    pub const AUTH: u64 = 1 << 2;
    pub const DEST: u64 = 1 << 3;
    pub const FRAG: u64 = 1 << 4;
    pub const ROUTER: u64 = 1 << 5;
    pub const HOP: u64 = 1 << 6;
    pub const UNREP: u64 = 1 << 7;
    pub const UNSEQ: u64 = 1 << 8;
}

#[inline]
pub(crate) fn ipv4(bytes: &[u8], at: usize, w: &mut [u64; WORDS], layout: &mut Layout) {
    let Some(h) = bytes.get(at..).and_then(<[u8]>::first_chunk::<20>) else { return };
    let header = usize::from(h[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([h[2], h[3]]));
    if h[0] >> 4 != 4 || header < 20 || total < header || bytes.len() - at < header {
        return;
    }
    layout.l3_kind = L3::Ipv4;
    layout.declared_end = (at + total) as u32;
    let end = bytes.len().min(at + total);
    layout.end = end as u32;
    layout.ip_proto = (at + 9) as u16;
    w[word::IP4] = u64::from_be_bytes([h[12], h[13], h[14], h[15], h[16], h[17], h[18], h[19]]);
    w[word::FLABEL_MPLS] = u64::from(h[8]) << 36;
    let fragment = u16::from_be_bytes([h[6], h[7]]) & 0x3fff;
    let later = fragment & 0x1fff != 0;
    layout.fragment = fragment != 0;
    let frag = (u64::from(fragment != 0) * FRAG_ANY) | (u64::from(later) * FRAG_LATER);
    w[word::L4] = u64::from(h[9]) << 48 | u64::from(h[1]) << 40 | frag << 32;
    if !later {
        layout.l4 = (at + header) as u16;
        upper(&bytes[..end], at + header, h[9], false, w, layout);
    }
}

#[inline]
pub(crate) fn ipv6(bytes: &[u8], at: usize, w: &mut [u64; WORDS], layout: &mut Layout) {
    let Some(h) = bytes.get(at..).and_then(<[u8]>::first_chunk::<40>) else { return };
    let first = u32::from_be_bytes([h[0], h[1], h[2], h[3]]);
    if first >> 28 != 6 {
        return;
    }
    layout.l3_kind = L3::Ipv6;
    let mut length = usize::from(u16::from_be_bytes([h[4], h[5]]));
    if length == 0 && h[6] == protocol::HOP_BY_HOP {
        // A jumbogram keeps its length in an option (RFC 2675): all of the frame counts.
        length = bytes.len() - at - 40;
    }
    layout.declared_end = (at + 40 + length) as u32;
    let end = bytes.len().min(at + 40 + length);
    layout.end = end as u32;
    for (i, half) in [word::IP6_SRC, word::IP6_SRC + 1, word::IP6_DST, word::IP6_DST + 1].into_iter().enumerate() {
        w[half] = be64(h, 8 + 8 * i).unwrap_or(0);
    }
    w[word::FLABEL_MPLS] = u64::from(first & 0xf_ffff) << 44 | u64::from(h[7]) << 36;
    let tos = u64::from(first >> 20 & 0xff);
    let chain = extension_headers(&bytes[..end], at, h[6], layout);
    w[word::THA] = chain.seen;
    w[word::L4] = u64::from(chain.protocol) << 48 | tos << 40 | chain.frag << 32;
    if let Some(l4) = chain.l4 {
        layout.l4 = l4 as u16;
        upper(&bytes[..end], l4, chain.protocol, true, w, layout);
    }
}

struct Chain {
    protocol: u8,
    seen: u64,
    frag: u64,
    l4: Option<usize>,
}

/// Walks the extension headers of the IPv6 header at `at`.
#[inline]
fn extension_headers(bytes: &[u8], at: usize, first: u8, layout: &mut Layout) -> Chain {
    // RFC 8200 §4.1's order: hop-by-hop 0, destination options 1, routing 2, fragment 3,
    // authentication 4, ESP 5, destination options for the final destination 6.
    let mut chain = Chain { protocol: first, seen: 0, frag: 0, l4: None };
    let mut next_at = at + 6;
    let mut here = at + 40;
    let mut rank = 0;
    let mut destinations = 0;
    for walked in 0..=MAX_EXTENSION_HEADERS {
        layout.ip_proto = next_at as u16;
        let (bit, header_rank) = match chain.protocol {
            protocol::HOP_BY_HOP => (exthdr::HOP, 0),
            protocol::DEST_OPTS if rank <= 1 && destinations == 0 => (exthdr::DEST, 1),
            protocol::DEST_OPTS => (exthdr::DEST, 6),
            protocol::ROUTING => (exthdr::ROUTER, 2),
            protocol::FRAGMENT => (exthdr::FRAG, 3),
            protocol::AH => (exthdr::AUTH, 4),
            protocol::ESP => (exthdr::ESP, 5),
            protocol::NO_NEXT => {
                chain.seen |= exthdr::NONEXT;
                return chain;
            }
            _ => {
                chain.l4 = Some(here);
                return chain;
            }
        };
        if header_rank < rank || (header_rank == 0 && walked > 0) {
            chain.seen |= exthdr::UNSEQ;
        }
        let repeated = if bit == exthdr::DEST {
            destinations += 1;
            destinations > 2
        } else {
            chain.seen & bit != 0
        };
        if repeated {
            chain.seen |= exthdr::UNREP;
        }
        // "Hop-by-hop present as the first extension header" is what its bit says.
        if bit != exthdr::HOP || walked == 0 {
            chain.seen |= bit;
        }
        rank = rank.max(header_rank);
        if bit == exthdr::ESP || walked == MAX_EXTENSION_HEADERS {
            return chain;
        }
        let Some(h) = be64(bytes, here) else { return chain };
        let [next, length, _, segments_left, ..] = h.to_be_bytes();
        let size = match bit {
            exthdr::FRAG => 8,
            exthdr::AUTH => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        if here + size > bytes.len() {
            return chain;
        }
        if bit == exthdr::ROUTER && segments_left > 0 {
            layout.routed = true;
        }
        next_at = here;
        chain.protocol = next;
        here += size;
        if bit == exthdr::FRAG {
            let offset_flags = (h >> 32) as u16;
            // Offset 0 without "more" is an atomic fragment: a whole packet (RFC 6946).
            if offset_flags & 0xfff9 != 0 {
                layout.fragment = true;
                chain.frag = FRAG_ANY;
            }
            if offset_flags & 0xfff8 != 0 {
                chain.frag |= FRAG_LATER;
                layout.ip_proto = next_at as u16;
                return chain;
            }
        }
    }
    chain
}

/// The upper-layer header at `at`; `bytes` ends where the IP packet ends.
#[inline]
fn upper(bytes: &[u8], at: usize, proto: u8, v6: bool, w: &mut [u64; WORDS], layout: &mut Layout) {
    let Some(b) = bytes.get(at..) else { return };
    let (kind, min) = match proto {
        protocol::TCP => (L4::Tcp, 20),
        protocol::UDP => (L4::Udp, 8),
        protocol::ICMP if !v6 => (L4::Icmpv4, 4),
        protocol::ICMPV6 if v6 => (L4::Icmpv6, 4),
        protocol::SCTP => (L4::Sctp, 12),
        _ => return,
    };
    if b.len() < min {
        return;
    }
    layout.l4_kind = kind;
    let head = be32(b, 0).unwrap_or(0);
    w[word::L4] |= flag::L4_PRESENT << 32
        | match kind {
            L4::Icmpv4 | L4::Icmpv6 => u64::from(head >> 24) << 16 | u64::from(head >> 16 & 0xff),
            _ => u64::from(head),
        };
    match kind {
        L4::Tcp => w[word::SHA] = u64::from(be32(b, 12).unwrap_or(0) >> 16 & 0xfff),
        L4::Icmpv6 if matches!((head >> 16).to_be_bytes(), [0, 0, ND_NS | ND_NA, 0]) => {
            neighbour(b, at, (head >> 24) as u8, w, layout);
        }
        _ => {}
    }
}

/// A neighbour solicitation or advertisement: `b` begins at its ICMPv6 header, which stands at `at`.
fn neighbour(b: &[u8], at: usize, ty: u8, w: &mut [u64; WORDS], layout: &mut Layout) {
    let (Some(high), Some(low)) = (be64(b, 8), be64(b, 16)) else { return };
    w[word::ND_TARGET] = high;
    w[word::ND_TARGET + 1] = low;
    // Source link-layer address 1 in a solicitation, target link-layer address 2 in an advertisement.
    let (wanted, slot) = if ty == ND_NS { (1, word::SHA) } else { (2, word::THA) };
    let mut option = 24;
    for _ in 0..MAX_ND_OPTIONS {
        let Some(o) = be64(b, option) else { return };
        let [kind, units, ..] = o.to_be_bytes();
        if units == 0 {
            return;
        }
        if kind == wanted && units == 1 {
            w[slot] |= o << 16;
            layout.nd_option = (at + option) as u16;
            return;
        }
        option += usize::from(units) * 8;
    }
}

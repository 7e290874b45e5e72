//! Edits of frames of a [`FAST`](super::FAST) kind, compiled to one word each.
//!
//! Where every header stands is known when a segment is made, so an edit is a store at a fixed place and, for
//! what a checksum covers, the arithmetic of [`crate::edit`]. What can't be said this way stays a
//! [`Step`](super::Step); the two are compared by the cache's differential test. Most are put together
//! to a [`Patch`](super::patch::Patch).

use super::key::FAST;
use super::patch::{self, Parts};
use crate::checksum::{delta, sum_u64, update};
use crate::frame::Frame;
use crate::key::{low_bits, slot};
use crate::parse::L4;
use crate::program::Op;
use ofproto::field::FieldId as F;

/// What to do (bits 56-63), where the IP header stands (48-55), and the value (0-47).
pub(crate) type Micro = u64;

const ETH_DST: u8 = 1;
const ETH_SRC: u8 = 2;
const IPV4_SRC: u8 = 3;
const IPV4_DST: u8 = 4;
const DEC_TTL: u8 = 5;
const TP_SRC: u8 = 6;
const TP_DST: u8 = 7;
const POP_VLAN: u8 = 8;
const PUSH_VLAN: u8 = 9;
const VLAN_VID: u8 = 10;
const VLAN_PCP: u8 = 11;

/// Most tags that are followed.
const MOST_TAGS: u32 = 4;

/// Follows a packet's shape through its edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Runner {
    tags: u32,
    l4: u8,
}

/// What an edit comes to.
pub(crate) enum Compiled {
    /// This.
    Micro(Micro),
    /// Nothing at all.
    Nothing,
    /// It must be done step by step.
    No,
}

impl Runner {
    /// Of a packet of this kind, if it is a fast one.
    pub(crate) fn new(kind: u32) -> Option<Self> {
        (kind & FAST != 0).then_some(Self { tags: kind & 1, l4: (kind >> 8) as u8 })
    }

    /// The shape in a byte.
    pub(super) const fn number(self) -> u8 {
        const { assert!(MOST_TAGS < 16) };
        self.l4 << 4 | self.tags as u8
    }

    /// The shape with this [number](Self::number).
    pub(super) const fn from_number(n: u8) -> Self {
        Self { tags: (n & 15) as u32, l4: n >> 4 }
    }

    /// The number of its upper layer's kind.
    #[inline]
    pub(crate) const fn l4(self) -> usize {
        self.l4 as usize
    }

    /// VLAN tags.
    pub(super) const fn tags(self) -> u32 {
        self.tags
    }

    /// Compiles one edit and follows it.
    pub(crate) fn compile(&mut self, op: &Op) -> Compiled {
        let l3 = u64::from(14 + 4 * self.tags) << 48;
        let micro = |what: u8, value: u64| Compiled::Micro(u64::from(what) << 56 | l3 | value);
        let ported = self.l4 == L4::Tcp as u8 || self.l4 == L4::Udp as u8;
        match op {
            Op::PopVlan if self.tags == 0 => Compiled::Nothing,
            Op::PopVlan => {
                self.tags -= 1;
                micro(POP_VLAN, 0)
            }
            Op::PushVlan(tpid) if self.tags < MOST_TAGS && matches!(tpid, 0x8100 | 0x88a8) => {
                let copies = u64::from(self.tags > 0);
                self.tags += 1;
                micro(PUSH_VLAN, copies << 16 | u64::from(*tpid))
            }
            Op::DecNwTtl(_) => micro(DEC_TTL, 0),
            Op::SetVlanVid { vid, add: false } if self.tags > 0 => micro(VLAN_VID, u64::from(vid & 0xfff)),
            Op::SetVlanPcp { pcp, add: false } if self.tags > 0 => micro(VLAN_PCP, u64::from(pcp & 7)),
            Op::SetTpSrc(p) if ported => micro(TP_SRC, u64::from(*p)),
            Op::SetTpDst(p) if ported => micro(TP_DST, u64::from(*p)),
            Op::WriteMetadata { .. } => Compiled::Nothing,
            Op::Set { field, value, mask } => {
                let Some(s) = slot(*field) else { return Compiled::Nothing };
                let n = *field as u8;
                if matches!(field, F::Metadata | F::TunnelId | F::PktMark)
                    || (F::Reg0 as u8..=F::Xxreg3 as u8).contains(&n)
                {
                    return Compiled::Nothing;
                }
                if s.bits > 64 || (*mask as u64) & low_bits(s.bits) != low_bits(s.bits) {
                    return Compiled::No;
                }
                let v = *value as u64 & low_bits(s.bits);
                let is = |l4: L4| self.l4 == l4 as u8;
                match field {
                    F::EthDst => micro(ETH_DST, v),
                    F::EthSrc => micro(ETH_SRC, v),
                    F::Ipv4Src => micro(IPV4_SRC, v),
                    F::Ipv4Dst => micro(IPV4_DST, v),
                    F::VlanVid if self.tags > 0 => micro(VLAN_VID, v & 0xfff),
                    F::VlanPcp if self.tags > 0 => micro(VLAN_PCP, v & 7),
                    F::VlanVid | F::VlanPcp => Compiled::Nothing,
                    F::TcpSrc if is(L4::Tcp) => micro(TP_SRC, v),
                    F::TcpDst if is(L4::Tcp) => micro(TP_DST, v),
                    F::UdpSrc if is(L4::Udp) => micro(TP_SRC, v),
                    F::UdpDst if is(L4::Udp) => micro(TP_DST, v),
                    F::TcpSrc | F::TcpDst | F::UdpSrc | F::UdpDst => Compiled::Nothing,
                    _ => Compiled::No,
                }
            }
            _ => Compiled::No,
        }
    }
}

/// Whether the edit may find a TTL that can't be decremented.
pub(crate) const fn decrements(m: Micro) -> bool {
    (m >> 56) as u8 == DEC_TTL
}

/// Whether the edit makes the frame longer or shorter.
pub(crate) const fn resizes(m: Micro) -> bool {
    matches!((m >> 56) as u8, POP_VLAN | PUSH_VLAN)
}

/// Whether the edit changes what the upper layer's checksum covers.
pub(crate) const fn is_covered(m: Micro) -> bool {
    matches!((m >> 56) as u8, IPV4_SRC | IPV4_DST | TP_SRC | TP_DST)
}

/// The edit as a part of a [`Patch`], with its value, if it can be one.
pub(super) fn part(m: Micro) -> Option<(Parts, u64)> {
    let part = match (m >> 56) as u8 {
        ETH_DST => patch::ETH_DST,
        ETH_SRC => patch::ETH_SRC,
        IPV4_SRC => patch::IPV4_SRC,
        IPV4_DST => patch::IPV4_DST,
        TP_SRC => patch::TP_SRC,
        TP_DST => patch::TP_DST,
        DEC_TTL => patch::DEC_TTL,
        POP_VLAN => patch::POP_VLAN,
        _ => return None,
    };
    Some((part, m & low_bits(48)))
}

#[inline]
fn get16(b: &[u8], at: usize) -> u16 {
    crate::parse::be16(b, at).unwrap_or(0)
}

#[inline]
fn put<const N: usize>(b: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(to) = b.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *to = value;
    }
}

/// Carries out compiled edits on a frame of the kind that they were compiled for. `l4` is that kind's upper
/// layer; no checksum that they change is left to hardware.
#[inline]
pub(crate) fn execute(frame: &mut Frame, l4: u8, micros: &[Micro]) {
    let mut rest = micros;
    while let Some((&m, behind)) = rest.split_first() {
        rest = behind;
        match (m >> 56) as u8 {
            POP_VLAN => frame.remove(12, 4),
            PUSH_VLAN => {
                let value = m & low_bits(48);
                let tci = if value >> 16 != 0 { get16(frame.bytes(), 14) & !0x1000 } else { 0 };
                frame.insert(12, 4);
                let b = frame.bytes_mut();
                put(b, 12, (value as u16).to_be_bytes());
                put(b, 14, tci.to_be_bytes());
            }
            _ => {
                // As long as nothing moves, the bytes are looked for once.
                let b = frame.bytes_mut();
                in_place(b, l4, m);
                while let Some((&m, behind)) = rest.split_first()
                    && !matches!((m >> 56) as u8, POP_VLAN | PUSH_VLAN)
                {
                    in_place(b, l4, m);
                    rest = behind;
                }
            }
        }
    }
}

/// An edit that moves nothing.
#[inline(always)]
fn in_place(b: &mut [u8], l4: u8, m: Micro) {
    let value = m & low_bits(48);
    let l3 = (m >> 48) as u8 as usize;
    match (m >> 56) as u8 {
        ETH_DST => put(b, 0, mac(value)),
        ETH_SRC => put(b, 6, mac(value)),
        IPV4_SRC => set_ipv4(b, l3, l3 + 12, l4, value),
        IPV4_DST => set_ipv4(b, l3, l3 + 16, l4, value),
        DEC_TTL => {
            if let Some(h) = b.get_mut(l3 + 8..).and_then(<[u8]>::first_chunk_mut::<4>) {
                let [ttl, protocol, sum @ ..] = *h;
                let old = u16::from_be_bytes([ttl, protocol]);
                let new = old.wrapping_sub(0x100);
                let [ttl, protocol] = new.to_be_bytes();
                let [high, low] = update(u16::from_be_bytes(sum), delta(old, new)).to_be_bytes();
                *h = [ttl, protocol, high, low];
            }
        }
        TP_SRC => set_port(b, l3 + 20, l3 + 20, l4, value as u16),
        TP_DST => set_port(b, l3 + 20, l3 + 22, l4, value as u16),
        VLAN_VID => {
            let tci = get16(b, 14) & !0xfff | value as u16;
            put(b, 14, tci.to_be_bytes());
        }
        VLAN_PCP => {
            let tci = get16(b, 14) & 0x1fff | (value as u16) << 13;
            put(b, 14, tci.to_be_bytes());
        }
        _ => {}
    }
}

#[inline]
fn mac(value: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = value.to_be_bytes();
    bytes
}

#[inline]
fn set_ipv4(b: &mut [u8], l3: usize, at: usize, l4: u8, value: u64) {
    let old = u64::from(crate::parse::be32(b, at).unwrap_or(0));
    if old == value {
        return;
    }
    put(b, at, (value as u32).to_be_bytes());
    let (before, after) = (sum_u64(old), sum_u64(value));
    if before == after {
        return;
    }
    let sum = get16(b, l3 + 10);
    put(b, l3 + 10, update(sum, delta(before, after)).to_be_bytes());
    l4_changed(b, l3 + 20, l4, before, after);
}

#[inline]
fn set_port(b: &mut [u8], l4_at: usize, at: usize, l4: u8, value: u16) {
    let old = get16(b, at);
    if old != value {
        put(b, at, value.to_be_bytes());
        l4_changed(b, l4_at, l4, old, value);
    }
}

/// TCP's or UDP's checksum; ICMP's doesn't cover the addresses.
#[inline]
fn l4_changed(b: &mut [u8], l4_at: usize, l4: u8, before: u16, after: u16) {
    if l4 == L4::Tcp as u8 {
        let sum = get16(b, l4_at + 16);
        put(b, l4_at + 16, update(sum, delta(before, after)).to_be_bytes());
    } else if l4 == L4::Udp as u8 {
        let sum = get16(b, l4_at + 6);
        if sum != 0 {
            let new = update(sum, delta(before, after));
            put(b, l4_at + 6, if new == 0 { 0xffff } else { new }.to_be_bytes());
        }
    }
}

//! The edits of a whole walk carried out at once.
//!
//! A segment whose edits move nothing but one tag, and set each field once at most, has them as an image of the headers:
//! what is set stands where it belongs, all else is zero. Those of a walk that set nothing twice are put together by OR,
//! and a frame is then read and written once: an edit after the other, each read what the one before had just written in
//! another width, and each was found by a jump of its own. The checksums come out as they do one edit after the other: a one's
//! complement sum is zero only if nothing but zeros was added.

use super::key::tag_bit;
use crate::frame::Frame;
use crate::key::low_bits;
use crate::parse::L4;

/// What a patch does, bit by bit.
pub(crate) type Parts = u8;
pub(super) const ETH_DST: Parts = 1;
pub(super) const ETH_SRC: Parts = 1 << 1;
pub(super) const IPV4_SRC: Parts = 1 << 2;
pub(super) const IPV4_DST: Parts = 1 << 3;
pub(super) const TP_SRC: Parts = 1 << 4;
pub(super) const TP_DST: Parts = 1 << 5;
pub(super) const DEC_TTL: Parts = 1 << 6;
pub(super) const POP_VLAN: Parts = 1 << 7;

const MACS: Parts = ETH_DST | ETH_SRC;
const IP: Parts = IPV4_SRC | IPV4_DST;
const TP: Parts = TP_SRC | TP_DST;

/// Bytes of a tag.
const TAG: usize = 4;
/// Where the upper layer's checksum stands behind the start of the IP header, 0 if it has none that covers addresses.
const SUM_AT: [u8; 8] = {
    let mut at = [0; 8];
    at[L4::Tcp as usize] = 20 + 16;
    at[L4::Udp as usize] = 20 + 6;
    at
};

/// Where sums stand in a patch's last word, and how long they are.
const ADDRESSES_AT: u32 = 16;
const PORTS_AT: u32 = 40;
const SUM_BITS: u32 = 24;
/// A TTL that is decremented adds this to the sum of what covers it: the word before, inverted, and the word after.
const TTL_SUM: u32 = 0xfffe;

/// Numbers as they stand in memory: the addresses' first eight bytes; their last four and the ports; the IP addresses; what
/// of all this is set, and behind it the sums of the words that are set in the IP addresses and in the ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patch([u64; 4]);

impl Patch {
    /// Does nothing.
    pub(super) const NONE: Self = Self([0; 4]);

    /// This, too; `false` and nothing done if it can't be said or is said already. `value` is a number of the field's
    /// width.
    pub(super) fn add(&mut self, part: Parts, value: u64) -> bool {
        if self.parts() & part != 0 {
            return false;
        }
        let mut macs = [0; 16];
        let [_, _, mac @ ..] = value.to_be_bytes();
        let ip = u64::from((value as u32).swap_bytes());
        match part {
            ETH_DST => macs[..6].copy_from_slice(&mac),
            ETH_SRC => macs[6..12].copy_from_slice(&mac),
            TP_SRC => macs[12..14].copy_from_slice(&(value as u16).to_be_bytes()),
            TP_DST => macs[14..].copy_from_slice(&(value as u16).to_be_bytes()),
            IPV4_SRC => self.0[2] |= ip,
            IPV4_DST => self.0[2] |= ip << 32,
            DEC_TTL | POP_VLAN => {}
            _ => return false,
        }
        let macs = u128::from_le_bytes(macs);
        self.0[0] |= macs as u64;
        self.0[1] |= (macs >> 64) as u64;
        self.0[3] |= u64::from(part);
        if part & IP != 0 {
            self.0[3] += u64::from(words(ip)) << ADDRESSES_AT;
        } else if part & TP != 0 {
            self.0[3] += u64::from((value as u16).swap_bytes()) << PORTS_AT;
        }
        true
    }

    /// What it does.
    #[inline]
    pub(super) const fn parts(&self) -> Parts {
        self.0[3] as Parts
    }

    /// A sum of words that are set.
    #[inline]
    const fn sum(&self, at: u32) -> u32 {
        (self.0[3] >> at & low_bits(SUM_BITS)) as u32
    }

    /// The bytes by which a frame becomes shorter.
    #[inline]
    pub(super) const fn shortens(&self) -> usize {
        if self.parts() & POP_VLAN != 0 { TAG } else { 0 }
    }

    /// Both; they must have nothing in common.
    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        // Six words are summed at most.
        Self([a | e, b | f, c | g, d.wrapping_add(h)])
    }

    /// Does it to frames of this kind, a [`FAST`](super::FAST) one.
    #[inline(always)]
    pub(super) fn apply_all(&self, frames: &mut [Frame], kind: u32) {
        if self.parts() == 0 {
            return;
        }
        let (l4, tags) = ((kind >> 8) as u8, tag_bit(kind) as usize);
        match frames {
            // Mostly one: without a loop and a call.
            [one] => self.apply(one, l4, tags),
            all => self.apply_each(all, l4, tags),
        }
    }

    #[inline(never)]
    fn apply_each(self, frames: &mut [Frame], l4: u8, tags: usize) {
        frames.iter_mut().for_each(|f| self.apply(f, l4, tags));
    }

    /// Does it to a frame of a [`FAST`](super::FAST) kind that has this upper layer and so many tags, one at most; its TTL
    /// isn't 0 if that is decremented.
    #[inline(always)]
    pub(super) fn apply(&self, frame: &mut Frame, l4: u8, tags: usize) {
        let parts = self.parts();
        let bytes = frame.bytes_mut();
        if parts & (IP | TP | DEC_TTL) != 0
            && let Some(ip) = bytes.get_mut(14 + TAG * tags..)
        {
            if parts & (IP | TP) == 0 {
                decrement(ip);
            } else if !self.headers(ip, l4) {
                self.headers_exactly(ip, l4);
            }
        }
        if parts & MACS == MACS {
            // Nothing of them stays.
            if let Some(macs) = bytes.get_mut(self.shortens()..).and_then(<[u8]>::first_chunk_mut::<12>) {
                macs[..8].copy_from_slice(&self.0[0].to_le_bytes());
                macs[8..].copy_from_slice(&(self.0[1] as u32).to_le_bytes());
            }
        } else if parts & (MACS | POP_VLAN) != 0 {
            let Some(macs) = bytes.first_chunk_mut::<16>() else { return };
            let old = u128::from_le_bytes(*macs);
            let set = u128::from(self.0[1] & low_bits(32)) << 64 | u128::from(self.0[0]);
            let new = old & KEPT[usize::from(parts & MACS)] | set;
            // What comes before is cut off.
            let shift = 8 * self.shortens();
            *macs = (new << shift).to_le_bytes();
        }
        if parts & POP_VLAN != 0 {
            frame.behead(TAG);
        }
    }

    /// What it does to the IP header and to what follows; `false` and nothing done if a checksum says nothing of what it
    /// comes to: a sum of all ones stays one only if nothing changes.
    #[inline(always)]
    fn headers(&self, ip: &mut [u8], l4: u8) -> bool {
        let parts = self.parts();
        let at = usize::from(SUM_AT[usize::from(l4 & 7)]);
        let covers = match ip.get(at..).and_then(<[u8]>::first_chunk) {
            Some(sum) if at != 0 => Some(u16::from_le_bytes(*sum)),
            _ => None,
        };
        let Some(h) = ip.first_chunk_mut::<24>() else { return true };
        let below = u32::from_le_bytes(part(h, 8));
        let own = (below >> 16) as u16;
        if own == u16::MAX || covers == Some(u16::MAX) {
            return false;
        }
        // Sums in the machine's order come out in the machine's order (RFC 1071 §2).
        let old = u64::from_le_bytes(part(h, 12));
        let set = SET[usize::from(parts >> IPV4_SRC.trailing_zeros() & 3)];
        let mut change = words(!old & set) + self.sum(ADDRESSES_AT);
        let ttl = u32::from(parts >> DEC_TTL.trailing_zeros() & 1);
        let low = u32::from(updated(own, change + TTL_SUM * ttl)) << 16 | below.wrapping_sub(ttl) & 0xffff;
        h[8..12].copy_from_slice(&low.to_le_bytes());
        h[12..20].copy_from_slice(&(old & !set | self.0[2]).to_le_bytes());
        if parts & TP != 0 {
            let old = u32::from_le_bytes(part(h, 20));
            let set = SET[usize::from(parts >> TP_SRC.trailing_zeros() & 3)];
            let set = (set as u16 as u32) | (set >> 32) as u32 & 0xffff_0000;
            h[20..24].copy_from_slice(&(old & !set | (self.0[1] >> 32) as u32).to_le_bytes());
            change += words(u64::from(!old & set)) + self.sum(PORTS_AT);
        }
        if let Some(sum) = covers
            && let Some(place) = ip.get_mut(at..).and_then(<[u8]>::first_chunk_mut)
        {
            *place = covering(sum, change, l4).to_le_bytes();
        }
        true
    }

    /// The same field by field.
    #[cold]
    #[inline(never)]
    fn headers_exactly(&self, ip: &mut [u8], l4: u8) {
        let parts = self.parts();
        let Some(h) = ip.first_chunk_mut::<24>() else { return };
        let (old, below, ports) = (u64::from_le_bytes(part(h, 12)), u32::from_le_bytes(part(h, 8)), part(h, 20));
        let set = SET[usize::from(parts >> IPV4_SRC.trailing_zeros() & 3)];
        let new = old & !set | self.0[2];
        let addresses = change(half(old), half(new)) + change(half(old >> 32), half(new >> 32));
        let ttl = u32::from(parts >> DEC_TTL.trailing_zeros() & 1);
        let low = u32::from(updated((below >> 16) as u16, addresses + TTL_SUM * ttl)) << 16
            | below.wrapping_sub(ttl) & 0xffff;
        h[8..12].copy_from_slice(&low.to_le_bytes());
        h[12..20].copy_from_slice(&new.to_le_bytes());
        let mut covered = addresses;
        if parts & TP != 0 {
            let all = |bit: Parts, ones: u32| if parts & bit != 0 { ones } else { 0 };
            let old = u32::from_le_bytes(ports);
            let kept = !(all(TP_SRC, 0xffff) | all(TP_DST, 0xffff_0000));
            let new = old & kept | (self.0[1] >> 32) as u32;
            h[20..24].copy_from_slice(&new.to_le_bytes());
            covered += change(old as u16, new as u16) + change((old >> 16) as u16, (new >> 16) as u16);
        }
        let at = usize::from(SUM_AT[usize::from(l4 & 7)]);
        if at != 0
            && let Some(place) = ip.get_mut(at..).and_then(<[u8]>::first_chunk_mut)
        {
            let sum = u16::from_le_bytes(*place);
            *place = covering(sum, covered, l4).to_le_bytes();
        }
    }
}

/// An upper layer's checksum when what it covers has changed: UDP's 0 means none, and is written as all ones.
#[inline]
fn covering(sum: u16, change: u32, l4: u8) -> u16 {
    let new = updated(sum, change);
    match (l4 == L4::Udp as u8, sum, new) {
        (true, 0, _) => 0,
        (true, _, 0) => 0xffff,
        _ => new,
    }
}

#[inline]
fn part<const N: usize>(h: &[u8; 24], i: usize) -> [u8; N] {
    h.get(i..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// Decrements the TTL and does nothing else.
#[inline]
fn decrement(ip: &mut [u8]) {
    let Some(place) = ip.get_mut(8..).and_then(<[u8]>::first_chunk_mut::<4>) else { return };
    let old = u32::from_le_bytes(*place);
    let sum = updated((old >> 16) as u16, TTL_SUM);
    *place = (u32::from(sum) << 16 | old.wrapping_sub(1) & 0xffff).to_le_bytes();
}

/// By what is set of the two addresses, the bits that stay.
const KEPT: [u128; 4] = {
    let (dst, src) = ((1 << 48) - 1, ((1 << 48) - 1) << 48);
    [!0, !dst, !src, !(dst | src)]
};

/// By what is set of the two IP addresses, the bits that don't stay.
const SET: [u64; 4] = [0, low_bits(32), low_bits(32) << 32, u64::MAX];

/// The sum of a number's four words.
#[inline]
const fn words(v: u64) -> u32 {
    const EVERY_SECOND: u64 = 0x0000_ffff_0000_ffff;
    let v = (v & EVERY_SECOND) + (v >> 16 & EVERY_SECOND);
    (v + (v >> 32)) as u32
}

/// The sum of a number's halves, folded.
#[inline]
const fn half(v: u64) -> u16 {
    let v = (v & 0xffff) + (v >> 16 & 0xffff);
    (v + (v >> 16)) as u16
}

/// What to add to a sum when words that summed to `old` now sum to `new`.
#[inline]
const fn change(old: u16, new: u16) -> u32 {
    if old == new { 0 } else { !old as u32 + new as u32 }
}

/// A checksum after what it covers changed by this, the sum of few numbers of 17 bits.
#[inline]
const fn updated(checksum: u16, change: u32) -> u16 {
    let sum = !checksum as u32 + change;
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum + (sum >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testbed::frames;
    use crate::packet::Packet;
    use ofproto::field::FieldId as F;

    /// Every combination of parts comes out as the edits one by one do it on a packet, odd checksums included.
    #[test]
    fn a_patch_does_what_its_edits_do() {
        let mut x = 5u64;
        let mut draw = |n: u64| {
            x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (x >> 33) % n
        };
        let odd = [0u64, 0xffff, 0xffff_0000, 0xffff_ffff, 0x0001_fffe, 0x0a00_0001, 0xfffe_0001];
        for round in 0..60_000u64 {
            let parts = (round % 256) as u8;
            let proto = [6u8, 17, 1][draw(3) as usize];
            let mut number = |wide: bool| {
                let n = odd[draw(odd.len() as u64) as usize];
                if wide { n } else { n & 0xffff }
            };
            let mut f = frames::ipv4(
                proto,
                number(true) as u32,
                number(true) as u32,
                0,
                64,
                number(false) as u16,
                number(false) as u16,
            );
            let sums = [number(false) as u16, number(false) as u16];
            let values: [u64; 4] = [number(true), number(true), number(false), number(false)];
            f[24..26].copy_from_slice(&sums[0].to_be_bytes());
            match proto {
                6 => f[50..52].copy_from_slice(&sums[1].to_be_bytes()),
                17 => f[40..42].copy_from_slice(&sums[1].to_be_bytes()),
                _ => {}
            }
            let tags = usize::from(parts & POP_VLAN != 0 || draw(2) == 0);
            if tags == 1 {
                f = frames::tagged(&f, 0x123);
            }
            let mut packet = Packet::new(Frame::from_bytes(&f));
            let l4 = packet.layout.l4_kind as u8;
            let (mut patch, mut other) = (Patch::default(), Patch::default());
            let macs = [0x0102_0304_0506, 0xffee_ddcc_bbaa];
            for part in (0..8).map(|b| 1 << b).filter(|p| parts & p != 0) {
                let field = |tcp, udp| if proto == 6 { tcp } else { udp };
                let (field, value) = match part {
                    ETH_DST => (F::EthDst, macs[0]),
                    ETH_SRC => (F::EthSrc, macs[1]),
                    IPV4_SRC => (F::Ipv4Src, values[0]),
                    IPV4_DST => (F::Ipv4Dst, values[1]),
                    TP_SRC => (field(F::TcpSrc, F::UdpSrc), values[2]),
                    TP_DST => (field(F::TcpDst, F::UdpDst), values[3]),
                    DEC_TTL => {
                        packet.dec_nw_ttl().unwrap();
                        assert!(patch.add(part, 0));
                        continue;
                    }
                    _ => {
                        packet.pop_vlan();
                        assert!(patch.add(part, 0));
                        continue;
                    }
                };
                if proto == 1 && part & TP != 0 {
                    continue;
                }
                packet.set_field(field, value.into(), u128::MAX);
                let to = if draw(2) == 0 { &mut patch } else { &mut other };
                assert!(to.add(part, value));
                assert!(!to.add(part, value), "twice");
            }
            let mut frame = Frame::from_bytes(&f);
            let both = patch.and(other);
            both.apply(&mut frame, l4, tags);
            assert_eq!(frame.bytes(), packet.frame.bytes(), "{parts:08b} {proto} {sums:x?} {values:x?}");
            assert_eq!(both.shortens(), f.len() - frame.len());
        }
    }
}

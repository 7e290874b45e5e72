//! From a frame to the cache's key, without building the whole flow key where the frame is of a common
//! shape and the mask touches the first words only.

use crate::frame::MAX_FRAME;
use crate::key::{FlowKey, VLAN_PRESENT, flag, word};
use crate::packet::Packet;
use crate::parse::{L3, L4, be32, be64, ethertype, ip::protocol};
use ofproto::field::FieldId;

/// Words of a compact key: the first five of a flow key, the upper half of the ingress port's being the
/// packet's [`kind`] (`in_phy_port`, which stands there, is the ingress port of every received packet).
pub(crate) const COMPACT: usize = 5;

/// Pushes that a remembered walk may hold.
pub(super) const MOST_PUSHES: usize = 8;
/// Longer frames go past the cache: pushed headers might not fit.
pub(crate) const LONGEST: usize = MAX_FRAME - MOST_PUSHES * 18;

/// Bit of [`kind`]: whole IPv4 without options, not a fragment, TCP, UDP or ICMP, at most one VLAN tag.
pub const FAST: u32 = 1 << 24;
const ONE_TAG: u32 = 1;
/// Bit of the others' [`kind`]: a fragment.
const FRAGMENT: u32 = 1 << 18;

/// Whether a packet of this kind, a [`FAST`] one, has a tag: 0 or 1.
pub(super) const fn tag_bit(kind: u32) -> u32 {
    kind & ONE_TAG
}

/// Whether a word of the flow key differs among received packets. What no header and no port is in begins every walk
/// as zero.
pub(crate) const fn is_received(w: usize) -> bool {
    w <= word::IN_PORT || word::FLABEL_MPLS <= w && w <= word::PBB_PTYPE
}

/// Which headers a packet has, beyond what its fields say: an IP header that is cut off leaves its fields
/// zero, and a set-field then does nothing where it would act on a whole header of zeros.
///
/// With [`FAST`] it tells where every header stands: bit 0 is a VLAN tag, bits 8-15 the upper layer.
pub fn kind(packet: &Packet) -> u32 {
    let l = &packet.layout;
    let l4 = (l.l4_kind as u32) << 8;
    if l.l3_kind == L3::Ipv4
        && !l.fragment
        && l.length_802_3 == 0
        && l.vlan_tags <= 1
        && l.l4 == l.l3 + 20
        && matches!(l.l4_kind, L4::Tcp | L4::Udp | L4::Icmpv4)
    {
        return FAST | l4 | u32::from(l.vlan_tags);
    }
    l.l3_kind as u32
        | l4
        | u32::from(l.vlan_tags.min(2)) << 16
        | if l.fragment { FRAGMENT } else { 0 }
        | u32::from(l.nd_option != 0) << 19
        | u32::from(packet.has_field(FieldId::Ipv6NdTarget)) << 20
        | u32::from(packet.frame.len() >= 14) << 21
}

/// Whether a packet of this kind is a fragment.
pub(super) const fn is_fragment(kind: u32) -> bool {
    kind & FAST == 0 && kind & FRAGMENT != 0
}

/// VLAN tags of a packet of this kind, if that is known exactly.
pub(crate) const fn tags(kind: u32) -> Option<u32> {
    let n = if kind & FAST != 0 { kind & ONE_TAG } else { kind >> 16 & 3 };
    if n < 2 { Some(n) } else { None }
}

/// The compact key of a frame of a [`FAST`] kind: what [`project`] makes of its packet; and the frame's TTL. `None`, with
/// nothing said, for every other frame.
#[inline]
pub(crate) fn extract(bytes: &[u8], in_port: u32, key: &mut [u64; COMPACT]) -> Option<u8> {
    let (dst, src_type) = (be64(bytes, 0)?, be64(bytes, 6)?);
    let mut ty = src_type as u16;
    let (mut l3, mut tci, mut tags) = (14, 0, 0);
    if ty == ethertype::VLAN || ty == ethertype::QINQ {
        let next = be32(bytes, 14)?;
        tci = (next >> 16) as u16 | VLAN_PRESENT;
        ty = next as u16;
        (l3, tags) = (18, ONE_TAG);
    }
    if ty != ethertype::IPV4 || bytes.len() > LONGEST {
        return None;
    }
    // The header, and four bytes of the upper layer.
    let h = bytes.get(l3..).and_then(<[u8]>::first_chunk::<24>)?;
    let total = usize::from(u16::from_be_bytes([h[2], h[3]]));
    let fragment = u16::from_be_bytes([h[6], h[7]]) & 0x3fff;
    if h[0] != 0x45 || total < 20 || fragment != 0 {
        return None;
    }
    let carried = total.min(bytes.len() - l3) - 20;
    let head = u32::from_be_bytes([h[20], h[21], h[22], h[23]]);
    let (l4, ports) = match h[9] {
        protocol::TCP if carried >= 20 => (L4::Tcp, u64::from(head)),
        protocol::UDP if carried >= 8 => (L4::Udp, u64::from(head)),
        protocol::ICMP if carried >= 4 => (L4::Icmpv4, u64::from(head >> 24) << 16 | u64::from(head >> 16 & 0xff)),
        _ => return None,
    };
    key[word::ETH_DST_TYPE] = dst & !0xffff | u64::from(ethertype::IPV4);
    key[word::ETH_SRC_VLAN] = src_type & !0xffff | u64::from(tci);
    key[word::IP4] = u64::from_be_bytes([h[12], h[13], h[14], h[15], h[16], h[17], h[18], h[19]]);
    key[word::L4] = u64::from(h[9]) << 48 | u64::from(h[1]) << 40 | flag::L4_PRESENT << 32 | ports;
    key[word::IN_PORT] = u64::from(FAST | (l4 as u32) << 8 | tags) << 32 | u64::from(in_port);
    Some(h[8])
}

/// The cache's view of a flow key: the ingress port's word holds the packet's kind.
#[inline]
pub(crate) const fn project(key: &FlowKey, kind: u32, w: usize) -> u64 {
    if w == word::IN_PORT { (kind as u64) << 32 | key.0[w] & 0xffff_ffff } else { key.0[w] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testbed::{TestSwitch, frames};
    use crate::frame::Frame;

    fn agree(bytes: &[u8]) -> bool {
        let packet = Packet::with_key(Frame::from_bytes(bytes), TestSwitch::key(7));
        let kind = kind(&packet);
        let mut key = [0; COMPACT];
        let fast = extract(bytes, 7, &mut key).is_some();
        assert_eq!(fast, kind & FAST != 0, "{bytes:02x?}");
        if fast {
            let want: Vec<u64> = (0..COMPACT).map(|w| project(&packet.key, kind, w)).collect();
            assert_eq!(key[..], want, "{bytes:02x?}");
        }
        fast
    }

    #[test]
    fn packed_keys_differ_where_the_masked_keys_do() {
        use crate::cache::Packing;
        use ofproto::ids::PortNo;
        let mut x = 7u64;
        let mut draw = |n: u64| {
            x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (x >> 33) % n
        };
        let part = |d: u64, all: u64| [0, all, all & 0x0f0f_0f0f_0f0f_0f0f][d as usize];
        let (mut same, mut different, mut unfit) = (0, 0, 0);
        for _ in 0..4000 {
            let mut mask = [0, 0, 0, 0, u64::MAX];
            mask[word::IP4] = part(draw(3), u64::MAX);
            mask[word::L4] = part(draw(3), 0xffff_00ff_ffff_ffff);
            mask[word::ETH_SRC_VLAN] = part(draw(3), 0xffff);
            mask[word::ETH_DST_TYPE] = part(draw(3), 0xffff);
            match draw(12) {
                0 => mask[word::L4] |= 1 << (40 + draw(8)),
                1 => mask[word::ETH_DST_TYPE] |= 1 << (16 + draw(48)),
                2 => mask[word::ETH_SRC_VLAN] |= 1 << (16 + draw(48)),
                _ => {}
            }
            let Some(packing) = Packing::new(&mask) else {
                unfit += 1;
                continue;
            };
            let mut frame = |port: u32| {
                let proto = [6u8, 17, 1][draw(3) as usize];
                let (src, dst, tos) = (draw(3) as u32, draw(3) as u32, draw(2) as u8);
                let mut f = frames::ipv4(proto, src, dst, tos, 64, draw(2) as u16, 80);
                f[5] = draw(2) as u8;
                if draw(2) == 0 {
                    f = frames::tagged(&f, (draw(2) << 13 | draw(3)) as u16);
                }
                let mut key = [0; COMPACT];
                assert!(extract(&f, port, &mut key).is_some());
                let packed = packing.of_port(PortNo(port)).map(|p| p.pack(&key));
                key.iter_mut().zip(mask).for_each(|(k, m)| *k &= m);
                (key, packed.expect("a low port"))
            };
            let [(a, p), (b, q)] = [frame(1 + (mask[0] & 1) as u32), frame(1)];
            assert_eq!(a == b, p == q, "{mask:x?} {a:x?} {b:x?}");
            if a == b { same += 1 } else { different += 1 }
        }
        assert!(same > 20 && different > 1000 && unfit > 500, "{same} {different} {unfit}");
        assert!(Packing::new(&[0; COMPACT]).and_then(|p| p.of_port(PortNo(4096))).is_none());
    }

    #[test]
    fn the_short_way_and_the_parser_agree_on_every_frame() {
        let mut x = 0x1234_5678_9abc_def1_u64;
        let mut draw = |n: u64| {
            x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (x >> 33) % n
        };
        let mut fast = 0;
        for _ in 0..60_000 {
            let proto = [6u8, 17, 1, 132, 2][draw(5) as usize];
            let mut f = frames::ipv4(proto, draw(9) as u32, draw(9) as u32, draw(256) as u8, 64, draw(9) as u16, 80);
            for _ in 0..draw(3) {
                f = frames::tagged(&f, draw(4096) as u16);
            }
            if draw(3) == 0 {
                let at = draw(f.len() as u64) as usize;
                f[at] = draw(256) as u8;
            }
            if draw(4) == 0 {
                f.truncate(draw(80) as usize);
            }
            if draw(8) == 0 && f.len() > 20 {
                f[16] = draw(2) as u8;
                f[17] = draw(64) as u8;
            }
            fast += u32::from(agree(&f));
        }
        assert!(fast > 10_000, "{fast}");
        for n in 0..60 {
            agree(&frames::tcp()[..n]);
        }
    }
}

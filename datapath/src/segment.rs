//! Cutting a super-frame into the frames it stands for, for ports that can't take it whole.
//!
//! The headers may stand behind VLAN tags, MPLS shims and I-TAGs that were pushed on the way. The
//! result is what the sender's own stack would have sent: TCP sequence numbers counted on, FIN and
//! PSH on the last segment only, CWR on the first only, IPv4 identifications counted on, lengths and
//! checksums of each segment its own.

use crate::checksum::{SCTP_OFFSET, add, delta, pseudo_header, sum};
use crate::frame::{Frame, Gso, GsoKind};
use crate::key::FlowKey;
use crate::parse::ip::{self, protocol};
use crate::parse::{L3, L4, Layout, be16, be32, ethertype, parse};

/// More segments than this are refused: no sender has so small segments, and each costs a frame.
pub const MAX_SEGMENTS: usize = 2048;
/// I-TAGs and MPLS shims that are looked behind.
const MAX_HEADERS: usize = 64;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Why a super-frame can't be cut. It has to be dropped then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The frame isn't marked as a super-frame.
    #[error("the frame is not a super-frame")]
    NotGso,
    /// The headers aren't what the frame is marked with, or are cut off.
    #[error("the headers do not fit the segmentation kind")]
    Headers,
    /// A segment size of 0, or one that makes more than [`MAX_SEGMENTS`].
    #[error("the segment size makes too many segments")]
    Size,
}

/// Cuts `frame` by its `offload.gso` and hands each segment to `emit`, finished and in order.
/// Returns how many there were.
///
/// # Errors
/// [`SegmentError`]; nothing was emitted then.
pub fn segment(frame: &Frame, mut emit: impl FnMut(Frame)) -> Result<usize, SegmentError> {
    let gso = frame.offload.gso.ok_or(SegmentError::NotGso)?;
    let plan = Plan::new(frame, gso)?;
    let payload = &frame.bytes()[plan.payload..plan.end];
    let size = usize::from(gso.size);
    if size == 0 || payload.len().div_ceil(size) > MAX_SEGMENTS {
        return Err(SegmentError::Size);
    }
    let count = payload.len().div_ceil(size).max(1);
    let headers = &frame.bytes()[..plan.payload];
    for i in 0..count {
        let part = &payload[i * size..payload.len().min((i + 1) * size)];
        let mut out = Frame::with_capacity(headers.len() + part.len());
        out.extend(headers);
        out.extend(part);
        plan.finish(out.bytes_mut(), i, i + 1 == count, size);
        emit(out);
    }
    Ok(count)
}

/// How many frames a super-frame is cut into, and how long they are together; `None` if it can't be cut.
pub(crate) fn measure(frame: &Frame) -> Option<(u64, u64)> {
    let gso = frame.offload.gso.filter(|g| g.size > 0)?;
    let plan = Plan::new(frame, gso).ok()?;
    let payload = (plan.end - plan.payload) as u64;
    let count = payload.div_ceil(gso.size.into()).max(1);
    Some((count, count * plan.payload as u64 + payload))
}

/// Whether IP stands right behind the VLAN tags, where kernels and network cards look for it. A
/// super-frame with other headers in front (MPLS, PBB, SNAP) has to be cut before it leaves the switch.
pub fn is_offloadable(frame: &Frame) -> bool {
    let bytes = frame.bytes();
    let mut at = 12;
    loop {
        match be16(bytes, at) {
            Some(ethertype::VLAN | ethertype::QINQ) => at += 4,
            Some(ethertype::IPV4 | ethertype::IPV6) => return true,
            _ => return false,
        }
    }
}

/// Where the headers of a super-frame stand.
struct Plan {
    v6: bool,
    tcp: bool,
    ip: usize,
    l4: usize,
    /// The upper layer's checksum.
    checksum: usize,
    payload: usize,
    end: usize,
    /// A UDP checksum of 0: the sender wants none.
    no_checksum: bool,
    /// With a routing header, the sum of the pseudo-header less its length, taken from what the sender
    /// left: the final destination is not in the IPv6 header.
    pseudo: Option<u16>,
}

impl Plan {
    fn new(frame: &Frame, gso: Gso) -> Result<Self, SegmentError> {
        let bytes = frame.bytes();
        let (layout, base) = innermost(bytes).ok_or(SegmentError::Headers)?;
        let v6 = layout.l3_kind == L3::Ipv6;
        let fits = match gso.kind {
            GsoKind::TcpV4 => layout.l4_kind == L4::Tcp && !v6,
            GsoKind::TcpV6 => layout.l4_kind == L4::Tcp && v6,
            GsoKind::UdpL4 => layout.l4_kind == L4::Udp,
        };
        if !fits || layout.fragment {
            return Err(SegmentError::Headers);
        }
        let l4 = base + usize::from(layout.l4);
        let end = base + layout.end as usize;
        let tcp = layout.l4_kind == L4::Tcp;
        let header = if tcp { usize::from(bytes[l4 + 12] >> 4) * 4 } else { 8 };
        if tcp && header < 20 || l4 + header > end {
            return Err(SegmentError::Headers);
        }
        let checksum = l4 + if tcp { 16 } else { 6 };
        let partial = frame.offload.checksum.is_some_and(|c| usize::from(c.start) == l4 && c.offset != SCTP_OFFSET);
        let left = be16(bytes, checksum).ok_or(SegmentError::Headers)?;
        // 16 bits of a length are enough: one's complement sums don't tell 65536 from 1.
        let length = sum(&((end - l4) as u32).to_be_bytes());
        Ok(Self {
            v6,
            tcp,
            ip: base + usize::from(layout.l3),
            l4,
            checksum,
            payload: l4 + header,
            end,
            no_checksum: !tcp && !partial && left == 0,
            pseudo: (partial && layout.routed).then(|| add(left, delta(length, 0))),
        })
    }

    /// Makes segment `i` of the copied headers and its part of the payload.
    fn finish(&self, b: &mut [u8], i: usize, last: bool, size: usize) {
        let length = b.len() - self.l4;
        if self.v6 {
            put16(b, self.ip + 4, (b.len() - self.ip - 40) as u16);
        } else {
            put16(b, self.ip + 2, (b.len() - self.ip) as u16);
            let id = be16(b, self.ip + 4).unwrap_or(0).wrapping_add(i as u16);
            put16(b, self.ip + 4, id);
            put16(b, self.ip + 10, 0);
            let checksum = !sum(&b[self.ip..self.l4]);
            put16(b, self.ip + 10, checksum);
        }
        if self.tcp {
            let sequence = be32(b, self.l4 + 4).unwrap_or(0).wrapping_add((i * size) as u32);
            b[self.l4 + 4..self.l4 + 8].copy_from_slice(&sequence.to_be_bytes());
            let flags = &mut b[self.l4 + 13];
            if !last {
                *flags &= !(FIN | PSH);
            }
            if i > 0 {
                *flags &= !CWR;
            }
        } else {
            put16(b, self.l4 + 4, length as u16);
        }
        if self.no_checksum {
            return;
        }
        let (addresses, proto) = (
            if self.v6 { self.ip + 8..self.ip + 40 } else { self.ip + 12..self.ip + 20 },
            if self.tcp { protocol::TCP } else { protocol::UDP },
        );
        let pseudo = match self.pseudo {
            Some(rest) => add(rest, sum(&(length as u32).to_be_bytes())),
            None => pseudo_header(&b[addresses], length, proto),
        };
        put16(b, self.checksum, 0);
        let checksum = !add(pseudo, sum(&b[self.l4..]));
        put16(b, self.checksum, if checksum == 0 && !self.tcp { 0xffff } else { checksum });
    }
}

fn put16(b: &mut [u8], at: usize, value: u16) {
    b[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The layout of the first IP header behind tags, shims and I-TAGs, and the offset it counts from.
fn innermost(bytes: &[u8]) -> Option<(Layout, usize)> {
    let mut key = FlowKey::default();
    let mut base = 0;
    let mut layout = parse(bytes, &mut key);
    for _ in 0..MAX_HEADERS {
        match layout.l3_kind {
            L3::Ipv4 | L3::Ipv6 => return Some((layout, base)),
            L3::Pbb => {
                base += usize::from(layout.l3) + 4;
                layout = parse(bytes.get(base..)?, &mut key);
            }
            L3::Mpls => return behind_mpls(bytes.get(base..)?, layout).map(|l| (l, base)),
            L3::Arp | L3::None => return None,
        }
    }
    None
}

fn behind_mpls(bytes: &[u8], shim: Layout) -> Option<Layout> {
    let mut at = usize::from(shim.l3);
    for _ in 0..MAX_HEADERS {
        let bottom = be32(bytes, at)? & 0x100 != 0;
        at += 4;
        if bottom {
            let mut layout = Layout { l3: at as u16, l3_kind: L3::None, ..shim };
            let w = &mut FlowKey::default().0;
            match bytes.get(at)? >> 4 {
                4 => ip::ipv4(bytes, at, w, &mut layout),
                6 => ip::ipv6(bytes, at, w, &mut layout),
                _ => return None,
            }
            return (layout.l3_kind != L3::None).then_some(layout);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PartialChecksum;
    use crate::packet::Packet;
    use ofproto::field::FieldId as F;

    const PAYLOAD: usize = 2500;

    /// A super-frame with its pseudo-header sum, as a kernel hands it over.
    fn super_frame(v6: bool, tcp: bool) -> Frame {
        let mut b = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        b.extend_from_slice(if v6 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
        let l4_len = if tcp { 24 } else { 8 } + PAYLOAD;
        let proto = if tcp { 6 } else { 17 };
        let addresses: Vec<u8> = if v6 { (1..33).collect() } else { vec![10, 0, 0, 1, 10, 0, 0, 2] };
        if v6 {
            b.extend_from_slice(&[0x60, 0, 0, 0]);
            b.extend_from_slice(&(l4_len as u16).to_be_bytes());
            b.extend_from_slice(&[proto, 64]);
            b.extend_from_slice(&addresses);
        } else {
            b.extend_from_slice(&[0x45, 0]);
            b.extend_from_slice(&(20 + l4_len as u16).to_be_bytes());
            b.extend_from_slice(&[0xff, 0xff, 0x40, 0, 64, proto, 0, 0]);
            b.extend_from_slice(&addresses);
            let c = !sum(&b[14..34]);
            put16(&mut b, 24, c);
        }
        let start = b.len() as u16;
        if tcp {
            // CWR, ACK, PSH, FIN; one timestamp-sized option.
            b.extend_from_slice(&[0x12, 0x34, 0, 80, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x60, 0x99, 1, 0]);
            b.extend_from_slice(&[0, 0, 0, 0, 1, 1, 1, 0]);
        } else {
            b.extend_from_slice(&[0x12, 0x34, 0, 53]);
            b.extend_from_slice(&(l4_len as u16).to_be_bytes());
            b.extend_from_slice(&[0, 0]);
        }
        let offset = if tcp { 16 } else { 6 };
        put16(&mut b, usize::from(start + offset), pseudo_header(&addresses, l4_len, proto));
        b.extend((0..PAYLOAD).map(|i| (i * 7) as u8));
        let mut frame = Frame::from_bytes(&b);
        frame.offload.checksum = Some(PartialChecksum { start, offset });
        let kind = match (tcp, v6) {
            (true, false) => GsoKind::TcpV4,
            (true, true) => GsoKind::TcpV6,
            _ => GsoKind::UdpL4,
        };
        frame.offload.gso = Some(Gso { kind, size: 1000, ecn: true });
        frame
    }

    fn cut(frame: &Frame) -> Vec<Packet> {
        let mut out = Vec::new();
        let n = segment(frame, |f| out.push(Packet::new(f)));
        assert_eq!(n, Ok(out.len()));
        out
    }

    /// The upper layer with its pseudo-header sums to all ones.
    fn checksum_right(p: &Packet) -> bool {
        let b = p.frame.bytes();
        let (l3, l4) = (usize::from(p.layout.l3), usize::from(p.layout.l4));
        let v6 = p.layout.l3_kind == L3::Ipv6;
        let addresses = if v6 { &b[l3 + 8..l3 + 40] } else { &b[l3 + 12..l3 + 20] };
        let proto = p.key.get(F::IpProto) as u8;
        add(pseudo_header(addresses, b.len() - l4, proto), sum(&b[l4..])) == 0xffff && (v6 || sum(&b[l3..l4]) == 0xffff)
    }

    #[test]
    fn tcp_and_udp_are_cut_by_both_ip_versions() {
        for (v6, tcp) in [(false, true), (true, true), (false, false), (true, false)] {
            let whole = super_frame(v6, tcp);
            let parts = cut(&whole);
            assert_eq!(parts.len(), 3);
            let mut payload = Vec::new();
            for (i, p) in parts.iter().enumerate() {
                assert!(checksum_right(p), "v6 {v6} tcp {tcp} segment {i}");
                assert_eq!(p.frame.offload, crate::frame::Offload::default());
                assert_eq!(p.layout.end as usize, p.frame.len());
                let b = p.frame.bytes();
                let l4 = usize::from(p.layout.l4);
                if tcp {
                    assert_eq!(be32(b, l4 + 4), Some(0xffff_ff00u32.wrapping_add(1000 * i as u32)));
                    assert_eq!(b[l4 + 13], [0x90, 0x10, 0x19][i], "flags of segment {i}");
                } else {
                    assert_eq!(usize::from(be16(b, l4 + 4).unwrap_or(0)), b.len() - l4);
                }
                if !v6 {
                    assert_eq!(be16(b, 18), Some(0xffffu16.wrapping_add(i as u16)), "identification");
                }
                payload.extend_from_slice(&b[l4 + if tcp { 24 } else { 8 }..]);
            }
            assert_eq!(payload, whole.bytes()[whole.len() - PAYLOAD..]);
        }
    }

    /// What a meter is charged is what leaves, whatever options and pushed headers there are.
    #[test]
    fn a_super_frame_is_measured_as_it_is_cut() {
        for (v6, tcp) in [(false, true), (true, true), (false, false), (true, false)] {
            // 2500 bytes in parts of 625 leave no rest in which a mistaken header would not show.
            for size in [625, 1000] {
                let mut p = Packet::new(super_frame(v6, tcp));
                if let Some(g) = &mut p.frame.offload.gso {
                    g.size = size;
                }
                for _ in 0..3 {
                    let parts = cut(&p.frame);
                    let bytes = parts.iter().map(|p| p.frame.len() as u64).sum();
                    assert_eq!(measure(&p.frame), Some((parts.len() as u64, bytes)), "v6 {v6} tcp {tcp} {size}");
                    p.push_mpls(0x8847);
                    p.push_vlan(0x8100);
                }
            }
        }
        let mut f = super_frame(false, true);
        f.truncate(40);
        assert_eq!(measure(&f), None);
    }

    #[test]
    fn headers_pushed_on_the_way_are_kept() {
        let mut p = Packet::new(super_frame(true, true));
        p.set_field(F::Ipv6Dst, 0x42, u128::MAX);
        p.set_field(F::TcpDst, 8080, u128::MAX);
        p.push_mpls(0x8847);
        p.push_mpls(0x8847);
        p.push_vlan(0x8100);
        p.push_pbb(0x88e7);
        p.push_vlan(0x88a8);
        assert!(!is_offloadable(&p.frame));
        let mut parts = cut(&p.frame);
        assert_eq!(parts.len(), 3);
        for part in &mut parts {
            part.pop_vlan();
            part.pop_pbb();
            part.pop_vlan();
            part.pop_mpls(0x8847);
            part.pop_mpls(0x86dd);
            assert_eq!(part.key.get(F::TcpDst), 8080);
            assert_eq!(part.key.get(F::Ipv6Dst), 0x42);
            assert!(checksum_right(part));
        }
    }

    /// With segments left in a routing header the checksum covers the final destination.
    #[test]
    fn a_routing_headers_destination_counts() {
        let whole = super_frame(true, true);
        let mut b = whole.bytes().to_vec();
        let last = [0x99; 16];
        let mut routing = vec![6, 2, 0, 1, 0, 0, 0, 0];
        routing.extend_from_slice(&last);
        b[20] = 43;
        put16(&mut b, 18, (24 + 24 + PAYLOAD) as u16);
        let addresses = [&b[22..38], &last].concat();
        put16(&mut b, 54 + 16, pseudo_header(&addresses, 24 + PAYLOAD, 6));
        b.splice(54..54, routing);
        let mut frame = Frame::from_bytes(&b);
        frame.offload = whole.offload;
        frame.offload.checksum = Some(PartialChecksum { start: 78, offset: 16 });
        let parts = cut(&frame);
        assert_eq!(parts.len(), 3);
        for p in parts {
            let b = p.frame.bytes();
            assert_eq!(be16(b, 18).map(usize::from), Some(b.len() - 54));
            assert_eq!(add(pseudo_header(&addresses, b.len() - 78, 6), sum(&b[78..])), 0xffff);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut f = super_frame(false, true);
        let gso = |f: &mut Frame, kind, size| f.offload.gso = Some(Gso { kind, size, ecn: false });
        gso(&mut f, GsoKind::TcpV4, 0);
        assert_eq!(segment(&f, |_| panic!("emitted")), Err(SegmentError::Size));
        gso(&mut f, GsoKind::TcpV4, 1);
        assert_eq!(segment(&f, |_| panic!("emitted")), Err(SegmentError::Size));
        for kind in [GsoKind::TcpV6, GsoKind::UdpL4] {
            gso(&mut f, kind, 1000);
            assert_eq!(segment(&f, |_| panic!("emitted")), Err(SegmentError::Headers));
        }
        f.offload.gso = None;
        assert_eq!(segment(&f, |_| panic!("emitted")), Err(SegmentError::NotGso));
        // Every truncation: an error or segments, no panic.
        let whole = super_frame(true, true);
        for n in 0..120 {
            let mut f = Frame::from_bytes(&whole.bytes()[..n]);
            f.offload = whole.offload;
            let _ = segment(&f, |_| {});
        }
    }

    #[test]
    fn only_vlan_tags_may_stand_in_front_of_offloaded_ip() {
        let mut p = Packet::new(super_frame(true, true));
        assert!(is_offloadable(&p.frame));
        p.push_vlan(0x8100);
        p.push_vlan(0x88a8);
        assert!(is_offloadable(&p.frame));
        p.push_mpls(0x8847);
        assert!(!is_offloadable(&p.frame));
        assert!(!is_offloadable(&Frame::from_bytes(&[0x81, 0].repeat(20))));
    }

    #[test]
    fn a_udp_checksum_of_zero_stays() {
        let mut f = super_frame(false, false);
        f.offload.checksum = None;
        f.bytes_mut()[40..42].fill(0);
        for p in cut(&f) {
            assert_eq!(be16(p.frame.bytes(), 40), Some(0));
        }
    }
}

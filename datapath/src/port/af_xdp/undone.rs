//! Checksums that a sender on this machine left to its network card, behind a veth whose end has XDP.
//!
//! Such a frame carries the pseudo-header's sum in its checksum field (SCTP: nothing), and no mark that
//! says so. A finished frame whose checksum happens to be that sum is none the worse for being finished
//! again: its sum over pseudo-header, header and payload is all ones, so without the pseudo-header (which
//! the field equals) it is the field's complement, and finishing writes the field's own value.

use crate::checksum::{SCTP_OFFSET, pseudo_header};
use crate::frame::PartialChecksum;
use crate::key::FlowKey;
use crate::parse::{L3, be16, be32, parse};

/// The checksum that is still to be filled in, if it looks so.
pub(super) fn left_undone(frame: &[u8]) -> Option<PartialChecksum> {
    let layout = parse(frame, &mut FlowKey::default());
    // Padding would be summed, too; a local sender pads nothing.
    let whole = layout.end as usize == frame.len() && layout.declared_end == layout.end;
    if layout.l4 == 0 || layout.fragment || layout.routed || !whole {
        return None;
    }
    let l3 = usize::from(layout.l3);
    let addresses = match layout.l3_kind {
        L3::Ipv4 => frame.get(l3 + 12..l3 + 20)?,
        L3::Ipv6 => frame.get(l3 + 8..l3 + 40)?,
        _ => return None,
    };
    let start = usize::from(layout.l4);
    let protocol = *frame.get(usize::from(layout.ip_proto))?;
    let offset = match protocol {
        6 => 16,
        17 => 6,
        132 => {
            let empty = be32(frame, start + usize::from(SCTP_OFFSET))? == 0;
            return empty.then_some(PartialChecksum { start: layout.l4, offset: SCTP_OFFSET });
        }
        _ => return None,
    };
    let left = be16(frame, start + offset)?;
    let undone = left != 0 && left == pseudo_header(addresses, frame.len() - start, protocol);
    undone.then_some(PartialChecksum { start: layout.l4, offset: offset as u16 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{finish_checksum, sum};
    use crate::frame::Frame;

    /// UDP or TCP over IPv4 with a checksum field of that value.
    fn frame(protocol: u8, payload: &[u8], checksum: u16) -> Vec<u8> {
        let header = if protocol == 6 { 20 } else { 8 };
        let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
        f.extend(((20 + header + payload.len()) as u16).to_be_bytes());
        f.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
        let l4 = f.len();
        f.resize(l4 + header, 0);
        f[l4..l4 + 4].copy_from_slice(&[0x12, 0x34, 0, 80]);
        let at = if protocol == 6 {
            f[l4 + 12] = 0x50;
            16
        } else {
            f[l4 + 4..l4 + 6].copy_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
            6
        };
        f[l4 + at..l4 + at + 2].copy_from_slice(&checksum.to_be_bytes());
        f.extend(payload);
        f
    }

    fn finished(bytes: &[u8]) -> Vec<u8> {
        let mut f = Frame::from_bytes(bytes);
        f.offload.checksum = left_undone(bytes);
        finish_checksum(&mut f);
        f.bytes().to_vec()
    }

    fn pseudo(bytes: &[u8]) -> u16 {
        pseudo_header(&bytes[26..34], bytes.len() - 34, bytes[23])
    }

    #[test]
    fn what_holds_the_pseudo_headers_sum_is_finished() {
        for protocol in [6, 17] {
            for payload in [&b"hello"[..], b"even", b""] {
                let left = frame(protocol, payload, pseudo(&frame(protocol, payload, 0)));
                assert!(left_undone(&left).is_some());
                let done = finished(&left);
                let total = crate::checksum::add(sum(&done[34..]), pseudo(&done));
                assert_eq!(total, 0xffff, "protocol {protocol}, {} bytes", payload.len());
                assert_eq!(finished(&done), done);
            }
        }
    }

    #[test]
    fn finished_checksums_stay_also_those_that_look_unfinished() {
        // Every value of two payload bytes: the right checksum of one or more of them is the
        // pseudo-header's sum.
        let mut alike = 0;
        for word in 0..=u16::MAX {
            let empty = frame(17, &word.to_be_bytes(), 0);
            let right = !crate::checksum::add(sum(&empty[34..]), pseudo(&empty));
            let right = if right == 0 { 0xffff } else { right };
            let f = frame(17, &word.to_be_bytes(), right);
            alike += u32::from(left_undone(&f).is_some());
            assert_eq!(finished(&f), f);
        }
        assert!(alike > 0);
    }

    #[test]
    fn other_frames_have_nothing_undone() {
        let left = frame(17, b"data", pseudo(&frame(17, b"data", 0)));
        let mut padded = left.clone();
        padded.push(0);
        let mut fragment = left.clone();
        fragment[20] = 0x20;
        let mut icmp = left.clone();
        icmp[23] = 1;
        for bytes in [&padded[..], &fragment, &icmp, &left[..33], &left[..13], &[], &frame(17, b"no checksum", 0)] {
            assert_eq!(left_undone(bytes), None, "{bytes:?}");
        }
        let mut sctp = frame(17, &[0; 12], 0);
        sctp[23] = 132;
        assert_eq!(left_undone(&sctp), Some(PartialChecksum { start: 34, offset: SCTP_OFFSET }));
    }
}

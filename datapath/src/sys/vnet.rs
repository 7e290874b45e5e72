//! `struct virtio_net_hdr`: how the kernel tells and is told about unfinished work on a frame.
//!
//! All multi-byte fields are in host byte order, as packet sockets and TAP devices use them.

use super::ring::VNET_LEN;
use crate::frame::{Gso, GsoKind, Offload, PartialChecksum};

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// Reads a header; `None` if it asks for something we have no meaning for.
pub fn decode(header: [u8; VNET_LEN]) -> Option<Offload> {
    if header == [0; VNET_LEN] {
        return Some(Offload::default());
    }
    let [flags, gso_type, _, _, s0, s1, c0, c1, o0, o1] = header;
    let kind = match gso_type & !GSO_ECN {
        GSO_NONE => None,
        GSO_TCPV4 => Some(GsoKind::TcpV4),
        GSO_TCPV6 => Some(GsoKind::TcpV6),
        GSO_UDP_L4 => Some(GsoKind::UdpL4),
        _ => return None,
    };
    let size = u16::from_ne_bytes([s0, s1]);
    Some(Offload {
        checksum: (flags & NEEDS_CSUM != 0)
            .then(|| PartialChecksum { start: u16::from_ne_bytes([c0, c1]), offset: u16::from_ne_bytes([o0, o1]) }),
        gso: kind.map(|kind| Gso { kind, size, ecn: gso_type & GSO_ECN != 0 }),
        checksum_valid: flags & DATA_VALID != 0,
    })
}

/// Writes the header for a frame.
pub fn encode(offload: &Offload, frame: &[u8]) -> [u8; VNET_LEN] {
    if offload.checksum.is_none() && offload.gso.is_none() {
        return [0; VNET_LEN];
    }
    let mut header = [0; VNET_LEN];
    if let Some(c) = offload.checksum {
        header[0] = NEEDS_CSUM;
        header[6..8].copy_from_slice(&c.start.to_ne_bytes());
        header[8..10].copy_from_slice(&c.offset.to_ne_bytes());
    }
    if let Some(g) = offload.gso {
        header[1] = match g.kind {
            GsoKind::TcpV4 => GSO_TCPV4,
            GsoKind::TcpV6 => GSO_TCPV6,
            GsoKind::UdpL4 => GSO_UDP_L4,
        } | if g.ecn { GSO_ECN } else { 0 };
        header[4..6].copy_from_slice(&g.size.to_ne_bytes());
        // How much the kernel should keep linear: all headers, so that it needn't pull them later.
        let start = offload.checksum.map_or(14 + 20, |c| usize::from(c.start));
        let transport = match g.kind {
            GsoKind::UdpL4 => 8,
            GsoKind::TcpV4 | GsoKind::TcpV6 => frame.get(start + 12).map_or(20, |b| usize::from(b >> 4) * 4),
        };
        let linear = (start + transport).min(frame.len());
        header[2..4].copy_from_slice(&u16::try_from(linear).unwrap_or(u16::MAX).to_ne_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_unknown_types() {
        let offload = Offload {
            checksum: Some(PartialChecksum { start: 34, offset: 16 }),
            gso: Some(Gso { kind: GsoKind::TcpV4, size: 1448, ecn: true }),
            checksum_valid: false,
        };
        let mut frame = vec![0; 2000];
        frame[34 + 12] = 0x80;
        let header = encode(&offload, &frame);
        assert_eq!(header[..2], [1, 0x81]);
        assert_eq!(u16::from_ne_bytes([header[2], header[3]]), 34 + 32);
        assert_eq!(decode(header), Some(offload));
        assert_eq!(encode(&Offload { checksum_valid: true, ..Offload::default() }, &frame), [0; VNET_LEN]);
        assert_eq!(decode([0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}

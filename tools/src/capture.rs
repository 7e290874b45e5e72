//! Captures: pcap and pcapng files (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
//!
//! Reading borrows the file's bytes and never allocates more than a few words for each packet.

/// What the packets of an interface begin with (`LINKTYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// An IP header.
    Ip,
    /// Four bytes that say the family, then an IP header.
    Loopback,
    /// Linux's cooked headers of 16 or 20 bytes, with the Ethernet type in these two bytes.
    Cooked {
        /// Where the Ethernet type stands.
        ty: usize,
        /// The header's length.
        len: usize,
    },
    /// Another.
    Other(u32),
}

impl Link {
    fn of(n: u32) -> Self {
        match n {
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            // 12 and 14 are what some systems write for raw IP.
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            113 => Self::Cooked { ty: 14, len: 16 },
            276 => Self::Cooked { ty: 0, len: 20 },
            n => Self::Other(n),
        }
    }
}

/// A captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// What `data` begins with.
    pub link: Link,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// How many there were.
    pub original_len: u32,
}

/// Reads numbers of either byte order.
#[derive(Clone, Copy)]
struct Words<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl Words<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let b = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let b = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }
}

/// Whether a file begins like a capture.
pub fn is_capture(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|b: &[u8; 4]| {
        let n = u32::from_le_bytes(*b);
        matches!(n, 0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 | 0x0a0d_0d0a)
    })
}

/// The packets of a capture.
///
/// # Errors
/// What is wrong with the file and where. A file that ends within a packet (a capture that was
/// interrupted) gives the packets before it.
pub fn read(bytes: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let magic = bytes.first_chunk().map(|b| u32::from_le_bytes(*b)).ok_or("the file is too short for a capture")?;
    match magic {
        0x0a0d_0d0a => pcapng(bytes),
        0xa1b2_c3d4 => pcap(Words { bytes, big: false }, 1000),
        0xd4c3_b2a1 => pcap(Words { bytes, big: true }, 1000),
        0xa1b2_3c4d => pcap(Words { bytes, big: false }, 1),
        0x4d3c_b2a1 => pcap(Words { bytes, big: true }, 1),
        _ => Err("neither pcap nor pcapng".into()),
    }
}

fn pcap(w: Words<'_>, unit: u64) -> Result<Vec<Packet<'_>>, String> {
    let link = Link::of(w.u32(20).ok_or("the file ends within its header")? & 0x0fff_ffff);
    let mut at = 24;
    let mut out = Vec::new();
    while let (Some(sec), Some(fraction), Some(len), Some(original_len)) =
        (w.u32(at), w.u32(at + 4), w.u32(at + 8), w.u32(at + 12))
    {
        let Some(data) = w.bytes.get(at + 16..).and_then(|b| b.get(..len as usize)) else { break };
        let time = u64::from(sec) * 1_000_000_000 + u64::from(fraction) * unit;
        out.push(Packet { time, link, data, original_len });
        at += 16 + len as usize;
    }
    Ok(out)
}

/// A pcapng interface: what it carries, and its clock's units in a second as a power.
#[derive(Clone, Copy)]
struct Interface {
    link: Link,
    snap: u32,
    per_second: u128,
}

fn pcapng(bytes: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let mut w = Words { bytes, big: false };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(ty) = w.u32(at) {
        if ty == 0x0a0d_0d0a {
            // A section has its own byte order and interfaces.
            w.big = match w.bytes.get(at + 8..at + 12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => true,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => false,
                _ => return Err(format!("offset {}: no byte order that pcapng knows", at + 8)),
            };
            interfaces.clear();
        }
        let Some(len) = w.u32(at + 4) else { break };
        let len = len as usize;
        if len < 12 || !len.is_multiple_of(4) {
            return Err(format!("offset {}: a block of {len} bytes", at + 4));
        }
        let Some(block) = bytes.get(at..).and_then(|b| b.get(..len)) else { break };
        let b = Words { bytes: block, big: w.big };
        match ty {
            1 => interfaces.push(interface(b)),
            6 => {
                let part = (b.u32(8), b.u32(12), b.u32(16), b.u32(20), b.u32(24));
                let (Some(id), Some(high), Some(low), Some(n), Some(original_len)) = part else {
                    return Err(format!("offset {at}: a packet block of {len} bytes"));
                };
                let i = interfaces.get(id as usize).ok_or(format!("offset {at}: there is no interface {id}"))?;
                let data = block.get(28..).and_then(|d| d.get(..n as usize));
                let data = data.ok_or(format!("offset {at}: {n} bytes don't fit in the block"))?;
                let ticks = u128::from(high) << 32 | u128::from(low);
                let time = u64::try_from(ticks * 1_000_000_000 / i.per_second).unwrap_or(u64::MAX);
                out.push(Packet { time, link: i.link, data, original_len });
            }
            3 => {
                let i = interfaces.first().ok_or(format!("offset {at}: a packet before any interface"))?;
                let (Some(original_len), Some(room)) = (b.u32(8), len.checked_sub(16)) else {
                    return Err(format!("offset {at}: a packet block of {len} bytes"));
                };
                let n = (original_len as usize).min(room).min(if i.snap == 0 { room } else { i.snap as usize });
                let data = block.get(12..).and_then(|d| d.get(..n)).unwrap_or_default();
                out.push(Packet { time: 0, link: i.link, data, original_len });
            }
            _ => {}
        }
        at += len;
    }
    Ok(out)
}

fn interface(b: Words<'_>) -> Interface {
    let mut i = Interface {
        link: Link::of(u32::from(b.u16(8).unwrap_or(0))),
        snap: b.u32(12).unwrap_or(0),
        per_second: 1_000_000,
    };
    let mut at = 16;
    while let (Some(code), Some(len)) = (b.u16(at), b.u16(at + 2)) {
        if code == 0 {
            break;
        }
        // if_tsresol: a power of ten, or of two with the high bit.
        if code == 9
            && let Some(n) = b.bytes.get(at + 4)
        {
            i.per_second = match n & 0x7f {
                p if n & 0x80 != 0 => 1 << p.min(63),
                p => 10u128.pow(u32::from(p.min(18))),
            };
        }
        at += 4 + usize::from(len).next_multiple_of(4);
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap_file(big: bool, nanoseconds: bool) -> Vec<u8> {
        let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut f: Vec<u8> = Vec::new();
        for n in [magic, 0, 0, 0, 65535, 1] {
            f.extend(word(n));
        }
        for (sec, fraction, data) in [(1, 2, &b"abc"[..]), (3, 4, b"defgh")] {
            for n in [sec, fraction, data.len() as u32, 99] {
                f.extend(word(n));
            }
            f.extend(data);
        }
        f
    }

    #[test]
    fn pcap_of_every_order_and_unit() {
        for (big, nanoseconds) in [(false, false), (true, false), (false, true), (true, true)] {
            let f = pcap_file(big, nanoseconds);
            assert!(is_capture(&f));
            let got = read(&f).expect("a capture");
            let unit = if nanoseconds { 1 } else { 1000 };
            assert_eq!(got.len(), 2);
            let second =
                Packet { time: 3_000_000_000 + 4 * unit, link: Link::Ethernet, data: b"defgh", original_len: 99 };
            assert_eq!(got[1], second);
            // Cut anywhere, it gives what is whole.
            for n in 24..f.len() {
                assert!(read(&f[..n]).expect("a capture").len() < 2);
            }
        }
    }

    fn pcapng_file() -> Vec<u8> {
        let mut f: Vec<u8> = Vec::new();
        let mut block = |ty: u32, body: &[u8]| {
            let len = (12 + body.len()) as u32;
            f.extend(ty.to_le_bytes());
            f.extend(len.to_le_bytes());
            f.extend(body);
            f.extend(len.to_le_bytes());
        };
        block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        // Cooked, nanoseconds.
        block(1, &[113, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let mut packet: Vec<u8> = Vec::new();
        for n in [0u32, 1, 5, 3, 60] {
            packet.extend(n.to_le_bytes());
        }
        packet.extend(b"abc\0");
        block(6, &packet);
        block(3, b"\x02\0\0\0xyzw");
        f
    }

    #[test]
    fn pcapng() {
        let f = pcapng_file();
        let got = read(&f).expect("a capture");
        let link = Link::Cooked { ty: 14, len: 16 };
        assert_eq!(got[0], Packet { time: (1 << 32) + 5, link, data: b"abc", original_len: 60 });
        assert_eq!(got[1], Packet { time: 0, link, data: b"xy", original_len: 2 });
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn a_simple_packet_block_without_its_length_is_refused() {
        let mut f = Vec::new();
        for n in [0x0a0d_0d0au32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 1, 0, 20, 3, 12, 12] {
            f.extend(n.to_le_bytes());
        }
        assert_eq!(read(&f).unwrap_err(), "offset 48: a packet block of 12 bytes");
    }

    #[test]
    fn broken_files_never_panic() {
        for f in [pcapng_file(), pcap_file(false, false)] {
            for n in 0..f.len() {
                let _ = read(&f[..n]);
                for bad in [0, 0x7f, 0xff] {
                    let mut g = f.clone();
                    g[n] = bad;
                    let _ = read(&g);
                }
            }
        }
    }
}

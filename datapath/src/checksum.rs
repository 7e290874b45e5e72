//! Internet checksums (RFC 1071, incremental by RFC 1624) and SCTP's CRC32c.
//!
//! Sums are one's complement sums over big-endian 16-bit words, held folded in a `u16`; a trailing
//! odd byte counts as the high half of a word. Nothing here keeps state.

use crate::frame::Frame;

/// `PartialChecksum::offset` that stands for SCTP: the kernel uses one flag for both kinds of
/// checksum, and no protocol with an Internet checksum keeps it 8 bytes behind its start.
pub const SCTP_OFFSET: u16 = 8;

/// Folds a wide sum to 16 bits with end-around carry.
pub const fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The one's complement sum of `bytes` (not complemented).
pub fn sum(bytes: &[u8]) -> u16 {
    // The sum may be taken over words of any width and in either byte order (RFC 1071 §2), so 32-bit
    // words in the machine's order, which the compiler turns into vector additions.
    let mut chunks = bytes.chunks_exact(4);
    let mut acc: u64 = 0;
    for c in &mut chunks {
        acc += u64::from(u32::from_ne_bytes([c[0], c[1], c[2], c[3]]));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        acc += u64::from(u32::from_ne_bytes(last));
    }
    u16::from_be(fold(acc))
}

/// Adds two folded sums.
pub const fn add(a: u16, b: u16) -> u16 {
    fold(a as u64 + b as u64)
}

/// What to add to a sum when words that summed to `old` now sum to `new`.
pub const fn delta(old: u16, new: u16) -> u16 {
    add(!old, new)
}

/// The sum of a number's 16-bit words.
pub const fn sum_u128(v: u128) -> u16 {
    add(sum_u64((v >> 64) as u64), sum_u64(v as u64))
}

/// The sum of a number's 16-bit words.
pub const fn sum_u64(v: u64) -> u16 {
    fold((v >> 32) + (v & 0xffff_ffff))
}

/// The checksum field after what it covers changed by `delta` (RFC 1624, equation 3).
pub const fn update(checksum: u16, delta: u16) -> u16 {
    !add(!checksum, delta)
}

/// The sum of the pseudo-header that TCP, UDP and ICMPv6 cover: source and destination address
/// (4 or 16 bytes each), upper-layer length and protocol.
pub fn pseudo_header(addresses: &[u8], length: usize, protocol: u8) -> u16 {
    fold(u64::from(sum(addresses)) + length as u64 + u64::from(protocol))
}

/// Does the work that `frame.offload.checksum` describes, and clears it. Returns whether there was
/// any. A description that points outside the frame is dropped without effect.
///
/// The sum runs to the end of the frame, as virtio defines it; a result of 0 is written as 0xffff,
/// which says the same and can't be read as "no checksum" (RFC 768).
pub fn finish_checksum(frame: &mut Frame) -> bool {
    let Some(partial) = frame.offload.checksum.take() else { return false };
    let start = usize::from(partial.start);
    let offset = usize::from(partial.offset);
    let Some(covered) = frame.bytes_mut().get_mut(start..) else { return false };
    if partial.offset == SCTP_OFFSET {
        if covered.len() < offset + 4 {
            return false;
        }
        covered[offset..offset + 4].fill(0);
        let crc = crc32c(covered);
        covered[offset..offset + 4].copy_from_slice(&crc.to_le_bytes());
    } else {
        if covered.len() < offset + 2 {
            return false;
        }
        // The field holds the pseudo-header's sum, so it takes part as it stands.
        let sum = !sum(covered);
        let sum = if sum == 0 { 0xffff } else { sum };
        covered[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
    }
    true
}

const POLY: u32 = 0x82f6_3b78;

const fn tables() -> [[u32; 256]; 8] {
    let mut t = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut k = 0;
        while k < 8 {
            c = if c & 1 != 0 { (c >> 1) ^ POLY } else { c >> 1 };
            k += 1;
        }
        t[0][i] = c;
        i += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut i = 0;
        while i < 256 {
            let c = t[n - 1][i];
            t[n][i] = (c >> 8) ^ t[0][(c & 0xff) as usize];
            i += 1;
        }
        n += 1;
    }
    t
}

static TABLES: [[u32; 256]; 8] = tables();

fn advance_table(mut crc: u32, bytes: &[u8]) -> u32 {
    let mut chunks = bytes.chunks_exact(8);
    for c in &mut chunks {
        let x = u64::from(crc) ^ u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
        crc = 0;
        for (i, t) in TABLES.iter().rev().enumerate() {
            crc ^= t[((x >> (8 * i)) & 0xff) as usize];
        }
    }
    for b in chunks.remainder() {
        crc = (crc >> 8) ^ TABLES[0][((crc ^ u32::from(*b)) & 0xff) as usize];
    }
    crc
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn advance_sse42(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let mut wide = u64::from(crc);
    let mut chunks = bytes.chunks_exact(8);
    for c in &mut chunks {
        wide = _mm_crc32_u64(wide, u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]));
    }
    let mut crc = wide as u32;
    for b in chunks.remainder() {
        crc = _mm_crc32_u8(crc, *b);
    }
    crc
}

fn advance(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has SSE 4.2, as just asked.
        return unsafe { advance_sse42(crc, bytes) };
    }
    advance_table(crc, bytes)
}

/// CRC32c (Castagnoli) as SCTP uses it (RFC 9260 appendix A). Its bytes go on the wire in
/// little-endian order.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !advance(!0, bytes)
}

/// How the CRC32c of a message changes (by exclusive or) when a part of it is exclusive-or-ed with
/// `difference` and `following` bytes come behind that part. CRCs are linear, so neither the rest of
/// the message nor its old CRC matters: a wrong CRC stays wrong, and bytes cut off a truncated
/// packet aren't missed.
pub fn crc32c_delta(difference: &[u8], following: usize) -> u32 {
    static ZEROS: [u8; 1024] = [0; 1024];
    let mut crc = advance(0, difference);
    let mut left = following;
    while left > 0 {
        let n = left.min(ZEROS.len());
        crc = advance(crc, &ZEROS[..n]);
        left -= n;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PartialChecksum;

    fn slow_sum(bytes: &[u8]) -> u16 {
        let mut acc = 0u32;
        for c in bytes.chunks(2) {
            acc += u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0));
            acc = (acc & 0xffff) + (acc >> 16);
        }
        acc as u16
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                x as u8
            })
            .collect()
    }

    #[test]
    fn sum_is_rfc_1071s_at_every_length() {
        // The worked example of RFC 1071 §3.
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        let bytes = noise(300);
        for n in 0..bytes.len() {
            assert_eq!(sum(&bytes[..n]), slow_sum(&bytes[..n]), "{n}");
        }
        assert_eq!(sum(&[0xff; 65_536]), 0xffff);
    }

    #[test]
    fn update_equals_a_fresh_checksum() {
        let mut bytes = noise(40);
        for i in (0..40).step_by(2) {
            let before = !sum(&bytes);
            let old = u16::from_be_bytes([bytes[i], bytes[i + 1]]);
            let new = old.wrapping_mul(31).wrapping_add(7);
            bytes[i..i + 2].copy_from_slice(&new.to_be_bytes());
            assert_eq!(update(before, delta(old, new)), !sum(&bytes));
        }
    }

    #[test]
    fn crc32c_has_the_published_values() {
        // RFC 3720 §B.4 and the usual check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let bytes = noise(100);
        for n in 0..bytes.len() {
            assert_eq!(!advance_table(!0, &bytes[..n]), crc32c(&bytes[..n]), "{n}");
        }
    }

    #[test]
    fn crc32c_delta_is_the_difference_of_two_crcs() {
        let old = noise(2000);
        let mut new = old.clone();
        new[3] ^= 0x5a;
        new[4] ^= 0xff;
        assert_eq!(crc32c(&old) ^ crc32c(&new), crc32c_delta(&[0x5a, 0xff], 2000 - 5));
    }

    #[test]
    fn finishing_a_checksum_writes_it_and_ignores_nonsense() {
        let mut f = Frame::from_bytes(&[0, 0, 1, 2, 0, 9, 3, 4]);
        f.offload.checksum = Some(PartialChecksum { start: 2, offset: 2 });
        assert!(finish_checksum(&mut f));
        assert_eq!(sum(&f.bytes()[2..]), delta(9, 0xffff));
        assert_eq!(f.offload.checksum, None);
        for (start, offset) in [(7, 0), (200, 0), (0, 7), (65_535, 65_535), (0, SCTP_OFFSET)] {
            let mut f = Frame::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]);
            f.offload.checksum = Some(PartialChecksum { start, offset });
            assert!(!finish_checksum(&mut f));
            assert_eq!(f.bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }
}

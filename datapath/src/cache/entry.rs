//! The forms that entries have, and the array they stand in.
//!
//! An entry is two words that say what was found, and its key behind them. Packets of a [`FAST`](super::FAST) kind have
//! keys of two words if the mask lets them ([`Packing`]): then two entries, a whole set, fill a line. Others have the
//! first words of the flow key, one entry a line, or any number of words.

use super::key::{COMPACT, tag_bit};
use super::segment::Traits;
use crate::checksum::SCTP_OFFSET;
use crate::frame::PartialChecksum;
use crate::key::{flag, low_bits, word};
use crate::parse::ip::protocol;
use crate::parse::{L4, ethertype};
use ofproto::ids::PortNo;

/// Segments that an entry names itself; what follows hangs on the last one.
pub(crate) const MOST_SEGMENTS: usize = 4;
/// Segments of a walk, 0 behind the last one.
pub(crate) type Ids = [u32; MOST_SEGMENTS];
/// Segments that there may be.
pub(super) const SEGMENTS: usize = 1 << ID_BITS;
const ID_BITS: u32 = 21;

/// Bytes of an entry with a packed key.
pub(crate) const ENTRY_BYTES: u64 = 8 * (HEAD + PACKED) as u64;
/// Entries at most.
pub(super) const MOST_ENTRIES: usize = 1 << 22;

/// Words of an entry before its key.
pub(super) const HEAD: usize = 2;
/// Words of a cache line.
const LINE: usize = 8;

/// Bit of the first word: the walk must be replayed step by step.
const STEPWISE: u64 = 1 << 31;
/// The walk decrements a TTL.
const DECREMENTS: u64 = 1 << 30;
/// It changes what the upper layer's checksum covers.
const COVERED: u64 = 1 << 29;
/// What tables were asked for can't be told from the key and the steps.
const OPAQUE: u64 = 1 << 28;
/// Its edits are done segment by segment.
const LISTED: u64 = 1 << 27;
/// It decrements a TTL inside a resubmit, which a packet without one leaves early.
const LEAVES: u64 = 1 << 26;
/// A TTL above this survives every walk that is compiled.
const LIVELY: u8 = 32;

/// What an entry says: its generation, its segments and what is to be known of them. The words stand as in the entry
/// and are taken apart when they are used: built from parts they would wait, at each move, for the narrow stores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found([u64; HEAD]);

impl Found {
    /// Nothing was found: an entry's generation is never 0.
    pub(crate) const NOT: Self = Self([0; HEAD]);

    /// A walk of these segments.
    pub(super) fn new(generation: u32, ids: Ids, traits: Traits, (opaque, leaves): (bool, bool)) -> Self {
        let [a, b, c, d] = ids.map(u64::from);
        let bit = |set, bit| if set { bit } else { 0 };
        let flags = bit(!traits.plain, STEPWISE)
            | bit(traits.decrements, DECREMENTS)
            | bit(traits.covered, COVERED)
            | bit(traits.listed, LISTED)
            | bit(opaque, OPAQUE)
            | bit(leaves, LEAVES);
        Self([u64::from(generation) << 32 | flags | a, b | c << ID_BITS | d << (2 * ID_BITS)])
    }

    /// Whether something was found.
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        self.0[0] != 0
    }

    /// When it was made, or last found to hold; 0 in an entry that is void.
    #[inline]
    pub(super) const fn generation(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// What is said of the walk, in 32 bits and in 64; of these none are set if it has one segment.
    #[inline]
    pub(super) const fn walk(&self) -> [u64; 2] {
        [self.0[0] & 0xffff_ffff, self.0[1]]
    }

    /// The walk's segment, if it has but one and edits are done at once.
    #[inline]
    pub(super) const fn single(&self) -> Option<u32> {
        let [a, b] = self.0;
        if b == 0 && a & LISTED == 0 { Some((a & low_bits(ID_BITS)) as u32) } else { None }
    }

    /// The walk's segments.
    #[inline]
    pub(crate) const fn ids(&self) -> Ids {
        const MASK: u64 = low_bits(ID_BITS);
        let [a, b] = self.0;
        [(a & MASK) as u32, (b & MASK) as u32, (b >> ID_BITS & MASK) as u32, (b >> (2 * ID_BITS) & MASK) as u32]
    }

    /// Whether what tables were asked for can't be told from the key and the steps.
    pub(super) const fn is_opaque(&self) -> bool {
        self.0[0] & OPAQUE != 0
    }

    /// Whether its steps don't tell what becomes of a packet whose TTL ends.
    pub(crate) const fn leaves(&self) -> bool {
        self.0[0] & LEAVES != 0
    }

    /// Whether its edits are done segment by segment, not at once.
    #[inline]
    pub(super) const fn is_listed(&self) -> bool {
        self.0[0] & LISTED != 0
    }

    /// Whether its edits are done at once, and by no replay.
    #[inline]
    pub(super) const fn is_patched(&self) -> bool {
        self.0[0] & (STEPWISE | LISTED) == 0
    }

    /// Whether its segments can be run on every [easy](is_easy) frame.
    #[inline]
    pub(crate) const fn runs_on_easy(&self) -> bool {
        self.0[0] & STEPWISE == 0
    }

    /// Whether its segments can be run on a frame with this offload work and this TTL.
    #[inline]
    pub(crate) fn runs(&self, checksum: Option<PartialChecksum>, ttl: impl FnOnce() -> u8) -> bool {
        let first = self.0[0];
        first & STEPWISE == 0
            && (first & DECREMENTS == 0 || ttl() > LIVELY)
            // A packet's SCTP checksum, or what looks like one, is finished at once.
            && checksum.is_none_or(|c| first & COVERED == 0 && c.offset != SCTP_OFFSET)
    }
}

/// Whether nothing about a frame with this TTL and this offload work keeps segments from being run on it.
#[inline]
pub(crate) fn is_easy(ttl: u8, checksum: Option<PartialChecksum>) -> bool {
    ttl > LIVELY && checksum.is_none()
}

/// Words of a packed key.
pub(crate) const PACKED: usize = 2;
/// Ports with lower numbers than this fit.
const PORTS: u32 = 1 << 12;

/// How the keys of one burst are packed: the mask's bits there, and the ingress port's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    addresses: u64,
    rest: u64,
    port: u64,
}

impl Packing {
    /// The packing of keys under `mask`, if nothing of a [`FAST`](super::FAST) packet's key is lost.
    pub(super) fn new(mask: &[u64; COMPACT]) -> Option<Self> {
        // Ethertype and protocol are said by the kind, and that the packet is whole and has an upper layer, too.
        let implied = 0xffff << 48 | 0xff << 32;
        let fits = mask[word::ETH_DST_TYPE] & !0xffff == 0
            && mask[word::ETH_SRC_VLAN] & !0xffff == 0
            && mask[word::L4] & !(implied | 0xffff_ffff) == 0;
        let rest = mask[word::L4] & 0xffff_ffff | (mask[word::ETH_SRC_VLAN] & 0xffff) << 32 | 0xffff << 48;
        fits.then_some(Self { addresses: mask[word::IP4], rest, port: 0 })
    }

    /// The packing for packets that came in on `port`.
    #[inline]
    pub(crate) fn of_port(self, port: PortNo) -> Option<Self> {
        (port.0 < PORTS).then(|| Self { port: u64::from(port.0) << 52, ..self })
    }

    /// Packs the key of a [`FAST`](super::FAST) packet that is no longer than [`LONGEST`](super::LONGEST).
    #[inline]
    pub(crate) fn pack(&self, key: &[u64; COMPACT]) -> [u64; PACKED] {
        const { assert!((L4::Icmpv4 as u8) < 8) };
        let kind = (key[word::IN_PORT] >> 32) as u32;
        let shape = u64::from(kind >> 8 & 7) << 49 | u64::from(tag_bit(kind)) << 48;
        let low = key[word::L4] & 0xffff_ffff | (key[word::ETH_SRC_VLAN] & 0xffff) << 32;
        [key[word::IP4] & self.addresses, (low | shape | self.port) & self.rest]
    }
}

/// The key that was packed, under the mask that it was packed with, but for the kind.
pub(super) fn unpack([addresses, rest]: [u64; PACKED]) -> [u64; COMPACT] {
    let proto = match (rest >> 49 & 7) as u8 {
        l4 if l4 == L4::Tcp as u8 => protocol::TCP,
        l4 if l4 == L4::Udp as u8 => protocol::UDP,
        _ => protocol::ICMP,
    };
    let mut key = [0; COMPACT];
    key[word::ETH_DST_TYPE] = u64::from(ethertype::IPV4);
    key[word::ETH_SRC_VLAN] = rest >> 32 & 0xffff;
    key[word::IP4] = addresses;
    key[word::L4] = u64::from(proto) << 48 | flag::L4_PRESENT << 32 | rest & 0xffff_ffff;
    key[word::IN_PORT] = rest >> 52;
    key
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    p as u64 ^ (p >> 64) as u64
}

/// Sets of two entries each, found by a keyed hash.
#[derive(Debug)]
pub(super) struct Places {
    words: Box<[u64]>,
    /// Words to skip so that entries begin with a line.
    skip: usize,
    /// Words of an entry with the room behind it.
    stride: usize,
    /// Sets less one.
    set_mask: usize,
    seeds: [u64; 4],
}

impl Places {
    /// `words` words, of which none is touched before it is used, for entries of `stride` words each.
    pub(super) fn new(words: usize, stride: usize, seed: u64) -> Self {
        let all = vec![0u64; words + LINE].into_boxed_slice();
        let skip = all.as_ptr().align_offset(64).min(LINE);
        crate::sys::huge_pages(&all);
        let s = |n: u64| fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93 ^ n << 17) | 1;
        let mut places = Self { words: all, skip, stride: 0, set_mask: 0, seeds: [s(1), s(2), s(3), s(4)] };
        places.set_stride(stride);
        places
    }

    /// Room for entries of another length, as many as fit. Says whether everything was forgotten for that.
    pub(super) fn set_stride(&mut self, stride: usize) -> bool {
        if stride == self.stride {
            return false;
        }
        if self.stride != 0 {
            // Old entries would be read at the wrong places.
            self.words.fill(0);
        }
        self.stride = stride;
        let sets = (self.words.len() - LINE) / (2 * stride);
        let sets = if sets.is_power_of_two() { sets } else { sets.next_power_of_two() / 2 };
        self.set_mask = sets.max(1) - 1;
        true
    }

    /// Words of an entry with a key of so many.
    pub(super) const fn stride_for(key: usize) -> usize {
        if key == PACKED { HEAD + PACKED } else { (HEAD + key).next_multiple_of(LINE) }
    }

    /// Uses no more than so many sets.
    pub(super) fn limit(&mut self, sets: usize) {
        self.set_mask = self.set_mask.min(sets.next_power_of_two() - 1);
    }

    /// More sets, four times as many if there is room: so many times as many as before. What was there stays, but most
    /// of it isn't found any more, so that few large steps are better than many small ones.
    pub(super) fn grow(&mut self) -> usize {
        let room = (self.words.len() - LINE) / (2 * self.stride);
        let sets = self.set_mask + 1;
        let times = [4, 2].into_iter().find(|n| sets * n <= room).unwrap_or(1);
        self.set_mask = sets * times - 1;
        times
    }

    pub(super) fn forget(&mut self) {
        self.words.fill(0);
    }

    /// A key's hash.
    #[inline]
    pub(super) fn hash<const N: usize>(&self, key: &[u64]) -> u64 {
        let [a, b, c, d] = self.seeds;
        match *key {
            [x, y] if N == PACKED => fold(fold(x ^ a, y ^ b) ^ c, d),
            [v, w, x, y, z] if N == COMPACT => fold(fold(v ^ a, w ^ b) ^ fold(x ^ c, y ^ d) ^ z, d),
            _ => key.iter().fold(a, |h, k| fold(h ^ k, b).wrapping_add(c)),
        }
    }

    /// Where a key's set begins.
    #[inline]
    pub(super) fn place<const N: usize>(&self, key: &[u64]) -> usize {
        // A constant is a shift.
        let stride = if N == PACKED { HEAD + PACKED } else { self.stride };
        self.skip + (self.hash::<N>(key) as usize & self.set_mask) * 2 * stride
    }

    /// Asks for a set's lines.
    #[inline]
    pub(super) fn prefetch<const N: usize>(&self, place: usize) {
        let at = self.words.as_ptr().wrapping_add(place);
        crate::classifier::prefetch(at);
        if N != PACKED {
            crate::classifier::prefetch(at.wrapping_add(self.stride));
        }
    }

    /// Both entries of a set.
    #[inline]
    pub(super) fn ways<const N: usize>(&self, place: usize) -> [usize; 2] {
        [place, place + if N == PACKED { HEAD + PACKED } else { self.stride }]
    }

    /// Whether an entry has this key, and what it says.
    #[inline]
    pub(super) fn entry<const N: usize>(&self, at: usize, key: &[u64]) -> (bool, Found) {
        let Some(entry) = self.words.get(at..at + HEAD + key.len()) else { return (false, Found::NOT) };
        let same = if N > 0 && key.len() == N {
            (0..N).fold(0, |d, i| d | entry[HEAD + i] ^ key[i]) == 0
        } else {
            entry[HEAD..] == *key
        };
        (same, Found([entry[0], entry[1]]))
    }

    /// Whether the entry at `at` is one that its key doesn't lead to: an older one than the last growth.
    pub(super) fn is_lost<const N: usize>(&self, at: usize, place: usize, key: usize) -> bool {
        self.place::<N>(self.key(at, key)) != place
    }

    /// The key of an entry, if it has so many words.
    pub(super) fn key(&self, at: usize, words: usize) -> &[u64] {
        self.words.get(at + HEAD..at + HEAD + words).unwrap_or(&[])
    }

    /// The entry is of this generation now.
    pub(super) fn renew(&mut self, at: usize, generation: u32) {
        if let Some(first) = self.words.get_mut(at) {
            *first = u64::from(generation) << 32 | *first & low_bits(32);
        }
    }

    pub(super) fn put(&mut self, at: usize, found: Found, key: &[u64]) {
        if let Some(entry) = self.words.get_mut(at..at + HEAD + key.len()) {
            entry[..HEAD].copy_from_slice(&found.0);
            entry[HEAD..].copy_from_slice(key);
        }
    }
}

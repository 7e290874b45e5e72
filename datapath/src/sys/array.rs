//! An array that grows without moving, on memory of its own: reached by one load, given back page by page.
//!
//! It consists of pieces, each twice as large as all before it, mapped when the first place in them is asked for.
//! The kernel gives memory to pages that are written, to large pieces by huge pages if it has them, so that places read at
//! random cost no walk through page tables; [`Array::discard`] takes it back at once, whatever the allocator of the
//! process keeps.
//!
//! Thread-safety: any number of readers; who grows it sees to it that nobody else does at the same time.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Places of the first piece, as a power of two, unless the array says more.
const FIRST_BITS: u32 = 10;
/// Pieces at most: places have 32-bit numbers.
const PIECES: usize = 33 - FIRST_BITS as usize;

/// Bytes of a huge page, or a multiple of it.
const HUGE: usize = 2 << 20;
/// Bytes that the kernel is asked for at once: to ask page by page costs several times as much.
const AT_ONCE: usize = 64 << 10;

/// What may lie in an [`Array`].
///
/// # Safety
/// Bytes that are all zero are a value; it may turn so at any moment while it is shared, as if by a store to each of
/// its atomics; nothing happens when it is dropped.
pub(crate) unsafe trait Zeroed: Sync {}

// SAFETY: an atomic word.
unsafe impl Zeroed for std::sync::atomic::AtomicU64 {}

/// Places by number, all zero at first; the first piece has two to the power of `BITS` of them.
pub(crate) struct Array<T: Zeroed, const BITS: u32 = FIRST_BITS> {
    pieces: [AtomicPtr<T>; PIECES],
    /// The first piece was put on huge pages since it was empty.
    huge: AtomicBool,
    _owns: PhantomData<T>,
}

// SAFETY: the pieces belong to the array, and `T` is `Sync`.
unsafe impl<T: Zeroed + Send, const BITS: u32> Send for Array<T, BITS> {}

/// The piece that a place is in, and where in it.
#[inline]
const fn locate<const BITS: u32>(i: u32) -> (usize, usize) {
    // Processors that aren't asked for more than they all have find the highest bit slowly.
    if BITS > FIRST_BITS && i < 1 << BITS {
        return (0, i as usize);
    }
    let biased = i as u64 + (1 << BITS);
    let top = 63 - biased.leading_zeros();
    ((top - BITS) as usize, (biased - (1 << top)) as usize)
}

/// New memory, all zero; a piece of whole huge pages is aligned so that they fit, and gets them if it is large.
fn map(bytes: usize) -> *mut libc::c_void {
    let fits = bytes.is_multiple_of(HUGE);
    let more = if fits { HUGE } else { 0 };
    // SAFETY: a new private mapping of memory, of no interest to anyone else.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes + more,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        // As every other allocation here.
        std::alloc::handle_alloc_error(std::alloc::Layout::new::<u64>());
    }
    if !fits {
        return base;
    }
    let skip = base.addr().next_multiple_of(HUGE) - base.addr();
    // SAFETY: within the mapping, which is `HUGE` longer than asked for; nobody knows of it yet. What stays is whole
    // pages if what was asked for was, as all of `HUGE` is. Without huge pages the advice is refused, and nothing lost.
    unsafe {
        let start = base.byte_add(skip);
        if skip > 0 {
            libc::munmap(base, skip);
        }
        if skip < HUGE {
            libc::munmap(start.byte_add(bytes), HUGE - skip);
        }
        if bytes > HUGE {
            libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
        }
        start
    }
}

impl<T: Zeroed, const BITS: u32> Array<T, BITS> {
    pub(crate) const fn new() -> Self {
        Self {
            pieces: [const { AtomicPtr::new(std::ptr::null_mut()) }; PIECES],
            huge: AtomicBool::new(false),
            _owns: PhantomData,
        }
    }

    /// The place, if it has been [grown](Self::grow) to.
    #[inline]
    pub(crate) fn get(&self, i: u32) -> Option<&T> {
        let (piece, at) = locate::<BITS>(i);
        let base = NonNull::new(self.pieces[piece].load(Ordering::Acquire))?;
        // SAFETY: a piece has `1 << BITS << piece` places and `at` is below that; it stays mapped as long as `self` lives,
        // and any bytes there are a `T`: zero, or what was written as one.
        Some(unsafe { base.add(at).as_ref() })
    }

    /// The places from `i` to the end of the piece that it is in; none if that isn't there.
    #[inline]
    pub(crate) fn from(&self, i: u32) -> &[T] {
        let (piece, at) = locate::<BITS>(i);
        match NonNull::new(self.pieces[piece].load(Ordering::Acquire)) {
            // SAFETY: as in `get`, for all places from `at` on.
            Some(base) => unsafe { std::slice::from_raw_parts(base.add(at).as_ptr(), (1 << BITS << piece) - at) },
            None => &[],
        }
    }

    /// Sees to it that place `i` is there.
    pub(crate) fn grow(&self, i: u32) {
        let (piece, _) = locate::<BITS>(i);
        if self.pieces[piece].load(Ordering::Acquire).is_null() {
            let base = map(size_of::<T>() << (BITS as usize + piece));
            self.pieces[piece].store(base.cast(), Ordering::Release);
        }
        if BITS > FIRST_BITS && i == 1 << FIRST_BITS && !self.huge.swap(true, Ordering::Relaxed) {
            self.use_huge_pages();
        }
    }

    /// As [`grow`](Self::grow), for places that are taken mostly in order and written at once.
    pub(crate) fn grow_to_write(&self, i: u32) {
        self.grow(i);
        let places = const { (AT_ONCE / size_of::<T>()) as u32 };
        if i.is_multiple_of(places) && i >= 8 * places {
            self.populate(i, places as usize);
        }
    }

    /// Has memory given to `n` places from `i` on, where there is none yet.
    #[cold]
    fn populate(&self, i: u32, n: usize) {
        if let Some((first, bytes)) = self.whole_pages(i, n) {
            // SAFETY: whole pages of ours; what stands there remains. Before Linux 5.14 it is refused, and nothing lost.
            unsafe {
                libc::madvise(first, bytes, libc::MADV_POPULATE_WRITE);
            }
        }
    }

    /// The whole pages among `n` places from `i` on, which are in one piece, and their bytes, if there are any.
    fn whole_pages(&self, i: u32, n: usize) -> Option<(*mut libc::c_void, usize)> {
        let places = self.from(i);
        let places = &places[..n.min(places.len())];
        let page = rustix::param::page_size();
        let first = places.as_ptr().addr().next_multiple_of(page);
        let end = (places.as_ptr().addr() + size_of_val(places)) / page * page;
        (first < end).then(|| (places.as_ptr().with_addr(first).cast_mut().cast(), end - first))
    }

    /// Puts the first piece on huge pages, which it has no use for until it is used beyond some pages. On a thread of its
    /// own: finding one, and moving what is there, takes the kernel up to 17 ms.
    #[cold]
    fn use_huge_pages(&self) {
        let places = self.from(0);
        let (start, bytes) = (places.as_ptr().addr(), size_of_val(places));
        if !bytes.is_multiple_of(HUGE) {
            return;
        }
        let advise = move || {
            let start = std::ptr::without_provenance_mut(start);
            // SAFETY: neither changes what is read or written there, nor whether anything is: even if the mapping is
            // another's by then. Without huge pages it is refused, and nothing lost; the second, which moves what is
            // there already, needs Linux 6.1.
            unsafe {
                libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
                libc::madvise(start, bytes, libc::MADV_COLLAPSE);
            }
        };
        // Without a thread it does without.
        let _ = std::thread::Builder::new().name("pages".into()).spawn(advise);
    }

    /// Gives back the memory of `n` places from `i` on, as far as it is whole pages, in which they are zero then. They
    /// are in one piece.
    pub(crate) fn discard(&self, i: u32, n: usize) {
        if let Some((first, bytes)) = self.whole_pages(i, n) {
            // SAFETY: whole pages of a private anonymous mapping that is ours; they read as zero afterwards, which
            // `Zeroed` allows for at any moment.
            let r = unsafe { libc::madvise(first, bytes, libc::MADV_DONTNEED) };
            debug_assert_eq!(r, 0, "whole pages of our own");
        }
        if i == 0 {
            self.huge.store(false, Ordering::Relaxed);
        }
    }
}

impl<T: Zeroed, const BITS: u32> Drop for Array<T, BITS> {
    fn drop(&mut self) {
        for (i, piece) in self.pieces.iter_mut().enumerate() {
            let base = *piece.get_mut();
            if !base.is_null() {
                // SAFETY: mapped with this length by `grow`; nobody borrows the array any more.
                unsafe { libc::munmap(base.cast(), size_of::<T>() << (BITS as usize + i)) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn places_keep_what_is_stored_and_lose_it_when_discarded() {
        let array = Array::<AtomicU64>::new();
        assert!(array.get(0).is_none() && array.from(5).is_empty());
        let places: Vec<u32> = (0..40).map(|k| k * k * 97).chain([1023, 1024, 3071, 3072, 1 << 20]).collect();
        for i in &places {
            array.grow(*i);
            assert_eq!(array.get(*i).expect("there").load(Ordering::Relaxed), 0);
        }
        for i in &places {
            array.get(*i).expect("there").store(u64::from(*i) + 1, Ordering::Relaxed);
        }
        for i in &places {
            assert_eq!(array.from(*i)[0].load(Ordering::Relaxed), u64::from(*i) + 1);
        }
        // The second piece: 2048 words are four pages.
        assert_eq!(array.from(1024).len(), 2048);
        array.discard(1024, 2048);
        assert_eq!(array.get(1024).expect("there").load(Ordering::Relaxed), 0);
        assert_eq!(array.get(3072).expect("there").load(Ordering::Relaxed), 3073);
        assert_eq!(array.get(1023).expect("there").load(Ordering::Relaxed), 1024);
    }

    #[test]
    fn places_that_are_to_be_written_keep_what_is_stored() {
        let array = Array::<AtomicU64>::new();
        let places = (AT_ONCE / size_of::<AtomicU64>()) as u32;
        for i in 0..10 * places {
            array.grow_to_write(i);
            array.get(i).expect("there").store(u64::from(i) + 1, Ordering::Relaxed);
        }
        // As if the block was emptied, and taken anew.
        array.grow_to_write(8 * places);
        let kept = (0..10 * places).all(|i| array.get(i).expect("there").load(Ordering::Relaxed) == u64::from(i) + 1);
        assert!(kept);
    }

    #[test]
    fn large_pieces_are_aligned_and_given_back_in_parts() {
        let array = Array::<AtomicU64>::new();
        // The piece from place 2^20 - 1024 on has 2^20 places.
        let first = (1 << 20) - (1 << FIRST_BITS);
        array.grow(first);
        let all = array.from(first);
        assert_eq!((all.len(), all.as_ptr().addr() % HUGE), (1 << 20, 0));
        all.iter().step_by(511).for_each(|w| w.store(7, Ordering::Relaxed));
        array.discard(first + 4096, 8192);
        let of = |i: usize| all[i / 511 * 511].load(Ordering::Relaxed);
        assert_eq!((of(3000), of(5000), of(12_000), of(13_000), of(1 << 19)), (7, 0, 0, 7, 7));
    }

    #[test]
    fn a_longer_first_piece_is_followed_by_twice_as_long_ones() {
        let at = [0, 65_535, 65_536, 196_607, 196_608, u32::MAX].map(locate::<16>);
        assert_eq!(at[..5], [(0, 0), (0, 65_535), (1, 0), (1, 131_071), (2, 0)]);
        assert!(at[5].0 < PIECES);
        let array = Array::<AtomicU64, 16>::new();
        for i in [65_535, 65_536] {
            assert!(array.get(i).is_none());
            array.grow(i);
            array.get(i).expect("there").store(u64::from(i), Ordering::Relaxed);
        }
        assert_eq!([65_535, 65_536].map(|i| array.from(i)[0].load(Ordering::Relaxed)), [65_535, 65_536]);
    }

    #[test]
    fn a_long_first_piece_keeps_what_is_in_it_when_it_gets_huge_pages() {
        // 2^18 words are one huge page.
        let array = Array::<AtomicU64, 18>::new();
        array.grow(0);
        let all = array.from(0);
        assert_eq!((size_of_val(all), all.as_ptr().addr() % HUGE), (HUGE, 0));
        let places = || [0, 1, 511, 512, 1023].map(|i| &all[i]);
        places().into_iter().zip(7..).for_each(|(p, n)| p.store(n, Ordering::Relaxed));
        array.grow(1024);
        assert_eq!(places().map(|p| p.load(Ordering::Relaxed)), [7, 8, 9, 10, 11]);
        assert!(all[1024..].iter().all(|p| p.load(Ordering::Relaxed) == 0));
        array.discard(0, 1024);
        assert!(all[..1024].iter().all(|p| p.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_place_is_in_one_piece() {
        assert_eq!(locate::<FIRST_BITS>(0), (0, 0));
        assert_eq!(locate::<FIRST_BITS>(1023), (0, 1023));
        assert_eq!(locate::<FIRST_BITS>(1024), (1, 0));
        assert_eq!(locate::<FIRST_BITS>(u32::MAX).0, PIECES - 1);
    }
}

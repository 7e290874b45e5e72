//! A burst's frames dealt out by where they go.
//!
//! A frame that is passed on by value is put together piece by piece and read whole right afterwards, which stalls on
//! the stores: 20 ns each. Here each is copied once from its place to where it is to be.

use crate::frame::Frame;

/// The first frames of a burst while they are moved out, in any order; what is still there at the end is dropped.
pub(super) struct Deal<'f> {
    /// Its length is 0 meanwhile: should something unwind, frames are leaked, never dropped twice.
    from: &'f mut Vec<Frame>,
    /// The length that it had.
    len: usize,
    /// How many frames are dealt.
    n: usize,
    /// Those of them that are still in their places, one bit each.
    here: u32,
}

impl<'f> Deal<'f> {
    /// Of the first `n` frames, at most 32.
    pub(super) fn new(from: &'f mut Vec<Frame>, n: usize) -> Self {
        let len = from.len();
        let n = n.min(len).min(32);
        // SAFETY: no longer than it was.
        unsafe { from.set_len(0) };
        Self { from, len, n, here: u32::MAX.checked_shr(32 - n as u32).unwrap_or(0) }
    }

    /// Moves the frames whose bits are set, as far as they are here, behind those in `to`, in order.
    pub(super) fn move_to(&mut self, set: u32, to: &mut Vec<Frame>) {
        let mut set = set & self.here;
        self.here &= !set;
        to.reserve(set.count_ones() as usize);
        while set != 0 {
            let i = set.trailing_zeros() as usize;
            set &= set - 1;
            // SAFETY: place `i` is one of the first `n` of the allocation and its frame is moved for the first time, as
            // its bit was set in `here`; there is room for it in `to`, which is another vector.
            unsafe {
                let end = to.len();
                std::ptr::copy_nonoverlapping(self.from.as_ptr().add(i), to.as_mut_ptr().add(end), 1);
                to.set_len(end + 1);
            }
        }
    }

    /// Takes one frame if it is here.
    pub(super) fn take(&mut self, i: usize) -> Option<Frame> {
        let bit = 1u32.checked_shl(i as u32)?;
        if self.here & bit == 0 {
            return None;
        }
        self.here &= !bit;
        // SAFETY: as in `move_to`.
        Some(unsafe { std::ptr::read(self.from.as_ptr().add(i)) })
    }
}

impl Drop for Deal<'_> {
    fn drop(&mut self) {
        while self.here != 0 {
            drop(self.take(self.here.trailing_zeros() as usize));
        }
        let behind = self.len - self.n;
        // SAFETY: the first `n` places are empty now, the `behind` next ones are as they were; they are moved to the
        // front, inside the allocation.
        unsafe {
            if behind > 0 && self.n > 0 {
                let base = self.from.as_mut_ptr();
                std::ptr::copy(base.add(self.n), base, behind);
            }
            self.from.set_len(behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(n: u8) -> Vec<Frame> {
        (0..n).map(|i| Frame::from_bytes(&[i])).collect()
    }

    fn numbers(frames: &[Frame]) -> Vec<u8> {
        frames.iter().map(|f| f.bytes()[0]).collect()
    }

    #[test]
    fn each_frame_goes_where_it_is_dealt_once_and_the_others_stay() {
        let mut all = frames(40);
        let (mut even, mut odd) = (Vec::new(), frames(1));
        let mut deal = Deal::new(&mut all, 32);
        deal.move_to(0x5555_5555, &mut even);
        deal.move_to(0xaaaa_00ff, &mut odd);
        assert_eq!(deal.take(0).map(|f| f.len()), None);
        assert_eq!(deal.take(32).map(|f| f.len()), None);
        assert_eq!(deal.take(9).map(|f| f.bytes()[0]), Some(9));
        drop(deal);
        assert_eq!(numbers(&even), (0..32).step_by(2).collect::<Vec<u8>>());
        assert_eq!(numbers(&odd), [0, 1, 3, 5, 7, 17, 19, 21, 23, 25, 27, 29, 31]);
        // 11, 13 and 15 were dropped.
        assert_eq!(numbers(&all), (32..40).collect::<Vec<u8>>());
        for n in [0, 1, 3, 7, 8] {
            let mut some = all.split_off(8 - n);
            drop(Deal::new(&mut some, n));
            assert!(some.is_empty());
            all = (32..40).map(|i| Frame::from_bytes(&[i])).collect();
        }
    }
}

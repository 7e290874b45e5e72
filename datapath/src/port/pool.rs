//! Recycled frame buffers, so that no packet costs an allocation. One pool per worker; not shared.

use crate::frame::{Frame, HEADROOM, MAX_FRAME};

/// Bytes a small buffer holds: with its headroom 2 KiB.
pub const SMALL: usize = 2048 - HEADROOM;

/// Two stocks of buffers, for ordinary frames and for everything longer. Its memory is bounded:
/// what exceeds the limits is freed.
#[derive(Debug)]
pub struct FramePool {
    small: Vec<Frame>,
    large: Vec<Frame>,
    keep_small: usize,
    keep_large: usize,
}

impl Default for FramePool {
    /// Keeps up to 2 MiB of small and 2 MiB of large buffers.
    fn default() -> Self {
        Self::new(1024, 32)
    }
}

impl FramePool {
    /// A pool that keeps up to so many unused buffers of each kind.
    pub fn new(keep_small: usize, keep_large: usize) -> Self {
        Self { small: Vec::with_capacity(keep_small), large: Vec::with_capacity(keep_large), keep_small, keep_large }
    }

    /// An empty frame with room for `len` bytes (`MAX_FRAME` at most without growing).
    pub fn take(&mut self, len: usize) -> Frame {
        if len <= SMALL {
            self.small.pop().unwrap_or_else(|| Frame::with_capacity(SMALL))
        } else {
            self.large.pop().unwrap_or_else(|| Frame::with_capacity(MAX_FRAME))
        }
    }

    /// Takes a frame's buffer back.
    #[inline]
    pub fn put(&mut self, frame: Frame) {
        let (stock, keep) = match frame.reusable_capacity() {
            c if c >= MAX_FRAME => (&mut self.large, self.keep_large),
            c if (SMALL..=2 * SMALL).contains(&c) => (&mut self.small, self.keep_small),
            _ => return,
        };
        if stock.len() < keep {
            // In its new place: moving a frame that was just written to stalls on the stores.
            stock.push(frame);
            if let Some(frame) = stock.last_mut() {
                frame.reset();
            }
        }
    }

    /// Takes back the buffers of all frames in `frames`.
    pub fn put_all(&mut self, frames: &mut Vec<Frame>) {
        let small = |f: &Frame| (SMALL..=2 * SMALL).contains(&f.reusable_capacity());
        if self.small.len() + frames.len() <= self.keep_small && frames.iter().all(small) {
            frames.iter_mut().for_each(Frame::reset);
            self.small.append(frames);
            return;
        }
        for frame in frames.drain(..) {
            self.put(frame);
        }
    }

    /// A copy of a frame in a recycled buffer, behind those in `to`.
    pub fn copy_to(&mut self, frame: &Frame, to: &mut Vec<Frame>) {
        // Filled where it is to be: moving a frame that was just written to stalls on the stores.
        to.push(self.take(frame.len()));
        if let Some(copy) = to.last_mut() {
            copy.extend(frame.bytes());
            copy.offload = frame.offload;
        }
    }

    /// A copy of a frame in a recycled buffer.
    pub fn duplicate(&mut self, frame: &Frame) -> Frame {
        let mut copy = self.take(frame.len());
        copy.extend(frame.bytes());
        copy.offload = frame.offload;
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_the_stock_is_bounded() {
        let mut pool = FramePool::new(2, 1);
        let mut f = pool.take(60);
        f.extend(&[7; 60]);
        f.offload.checksum_valid = true;
        f.insert(12, 4);
        let copy = pool.duplicate(&f);
        let mut copies = Vec::new();
        pool.copy_to(&f, &mut copies);
        assert_eq!((copies[0].bytes(), copies[0].offload), (f.bytes(), f.offload));
        assert_eq!(copy.bytes(), f.bytes());
        assert_eq!(copy.offload, f.offload);
        for f in [f, copy, Frame::with_capacity(SMALL), Frame::with_capacity(10), Frame::with_capacity(MAX_FRAME)] {
            pool.put(f);
        }
        assert_eq!((pool.small.len(), pool.large.len()), (2, 1));
        let f = pool.take(60);
        assert!(f.is_empty());
        assert_eq!(f.offload, crate::frame::Offload::default());
        assert!(pool.take(9000).room_mut().len() >= MAX_FRAME);
    }
}

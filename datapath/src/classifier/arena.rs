//! The memory of a table's structure: whole cache lines by number, given out in runs.
//!
//! Runs of up to a page are cut from chunks and used again for others of the same size; larger ones are powers of
//! two and aligned, and their memory goes back to the kernel when they are free. What a run held stays as it is until
//! no reader can be looking at it.
//!
//! Thread-safety: one writer ([`ArenaBook`]), any number of readers.

use crate::publish::Writer;
use crate::sys::array::{Array, Zeroed};
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;

/// Words of a line.
pub(super) const LINE: usize = 8;
/// Lines of a chunk that small runs are cut from.
const CHUNK: u32 = 256;
/// Lines of a page: runs of at least so many are given back.
const PAGE: usize = 64;
/// Lines at most.
const MOST: u32 = 1 << 30;
/// Places as the array counts them when it cuts itself into pieces.
const BIAS: u32 = 1024;

/// A cache line.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [AtomicU64; LINE]);

// SAFETY: atomics and nothing else.
unsafe impl Zeroed for Line {}

/// Lines by number.
pub(super) struct Arena {
    lines: Array<Line>,
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self { lines: Array::new() }
    }

    /// A line, if it was ever given out.
    #[inline(always)]
    pub(super) fn line(&self, at: u32) -> Option<&Line> {
        self.lines.get(at)
    }

    /// At most `n` lines from one on; fewer only if they were never given out.
    #[inline]
    pub(super) fn run(&self, at: u32, n: usize) -> &[Line] {
        let lines = self.lines.from(at);
        &lines[..n.min(lines.len())]
    }

    /// The words from a line on, at least to the end of what was given out with it.
    #[inline]
    pub(super) fn words(&self, at: u32) -> &[AtomicU64] {
        let lines = self.lines.from(at);
        // SAFETY: a `Line` is eight words and nothing else; the same memory for the same time.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
    }
}

/// The writer's side of an arena.
#[derive(Default)]
pub(super) struct ArenaBook {
    /// Free runs: small ones by their number of lines, then large ones by the power of two.
    free: Vec<Vec<u32>>,
    /// Runs that readers may still look at, with the version after which none does.
    waiting: VecDeque<(u64, u32, u32)>,
    /// Where small runs are cut from, and the end of that.
    cut: (u32, u32),
    /// The first line never used.
    top: u32,
    /// What all readers were known to have adopted.
    passed: u64,
}

/// Under which number free runs of so many lines are kept.
fn class(lines: usize) -> usize {
    if lines < PAGE { lines } else { PAGE + lines.trailing_zeros() as usize }
}

impl ArenaBook {
    /// A run of so many lines, with anything in them; from a page on, a power of two. `None`: there are no more.
    pub(super) fn place(&mut self, arena: &Arena, lines: usize, writer: &Writer) -> Option<u32> {
        debug_assert!(lines < PAGE || lines.is_power_of_two());
        if self.free.is_empty() {
            self.free.resize_with(class(MOST as usize) + 1, Vec::new);
        }
        if self.free[class(lines)].is_empty() && self.waiting.len() > 64 {
            self.settle(arena, 128, writer);
        }
        if let Some(at) = self.free[class(lines)].pop() {
            return Some(at);
        }
        let at = if lines < PAGE {
            let left = (self.cut.1 - self.cut.0) as usize;
            if left < lines {
                if left > 0 {
                    self.free[class(left)].push(self.cut.0);
                }
                let at = self.fresh(CHUNK)?;
                self.cut = (at, at + CHUNK);
            }
            self.cut.0 += lines as u32;
            self.cut.0 - lines as u32
        } else {
            let at = self.fresh(CHUNK.max(lines as u32))?;
            // What a smaller one leaves of a chunk.
            self.free[class(lines)].extend((1..CHUNK / lines as u32).map(|i| at + i * lines as u32));
            at
        };
        arena.lines.grow(at);
        Some(at)
    }

    /// Lines never used: so many, a power of two, aligned so that they are in one piece of the array.
    fn fresh(&mut self, lines: u32) -> Option<u32> {
        let at = (self.top + BIAS).next_multiple_of(lines) - BIAS;
        if at.checked_add(lines)? > MOST {
            return None;
        }
        // What is left out is used by smaller ones; nobody has touched it, so that it has no memory yet.
        self.free[class(PAGE)].extend((self.top..at).step_by(PAGE));
        self.top = at + lines;
        Some(at)
    }

    /// Gives a run back once nobody can be looking at it.
    pub(super) fn free(&mut self, at: u32, lines: usize, writer: &Writer) {
        self.waiting.push_back((writer.next(), at, lines as u32));
    }

    /// Makes up to `n` runs free at which nobody looks any more.
    pub(super) fn settle(&mut self, arena: &Arena, n: usize, writer: &Writer) {
        if self.waiting.front().is_some_and(|w| w.0 > self.passed) {
            self.passed = writer.oldest_seen();
        }
        for _ in 0..n {
            let Some((_, at, lines)) = self.waiting.front().copied().filter(|w| w.0 <= self.passed) else { break };
            self.waiting.pop_front();
            if lines as usize >= PAGE {
                arena.lines.discard(at, lines as usize);
            }
            self.free[class(lines as usize)].push(at);
        }
    }
}

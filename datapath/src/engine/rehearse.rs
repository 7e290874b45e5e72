//! The first stages of a burst alone, so that measurements can tell them from the rest.

use super::burst::{BURST, FastPath, cache_mask};
use super::{PipelineEngine, Source};
use crate::cache::{COMPACT, PACKED, Validity};
use crate::frame::Frame;
use crate::pipeline::View;
use ofproto::ids::PortNo;
use std::hint::black_box;

/// How far a rehearsal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// Frames are parsed as far as the rules need it, and their keys made.
    Keys,
    /// The cache is asked, too.
    Cache,
}

impl<S: Source> PipelineEngine<S> {
    /// Does a burst's first stages as [`PipelineEngine::burst`] does them, and leaves the frames as they are: nothing is
    /// counted, remembered or sent. Whether the cache is asked at all is as it was for the burst before.
    pub fn rehearse(&mut self, in_port: PortNo, frames: &mut [Frame], far: Rehearsal) {
        let view = self.source.adopt();
        self.way.rehearse(view, in_port, frames, far);
    }
}

impl FastPath {
    fn rehearse<'v, V: View<'v> + Validity>(&mut self, view: V, in_port: PortNo, frames: &mut [Frame], far: Rehearsal) {
        self.cache.adopt(&view, || cache_mask(view));
        for frames in frames.chunks_mut(BURST) {
            (self.twins, self.easy) = (0, 0);
            if let Some(packing) = self.cache.packing(in_port) {
                self.packed_keys(packing, frames, in_port);
                self.ask::<PACKED, V>(view, frames.len(), far);
            } else if self.cache.compact().is_some() {
                self.compact_keys(frames, in_port);
                self.ask::<COMPACT, V>(view, frames.len(), far);
            } else {
                self.wide_keys(frames, in_port);
                self.ask::<0, V>(view, frames.len(), far);
            }
            black_box((&self.places, &self.kinds, &self.keys));
        }
    }

    fn ask<'v, const N: usize, V: View<'v> + Validity>(&mut self, view: V, n: usize, far: Rehearsal) {
        if far == Rehearsal::Keys || !self.probing {
            return;
        }
        for i in 0..n {
            self.found[i] = if self.twins >> i & 1 != 0 { self.found[i - 1] } else { self.find::<N>(i, &view) };
        }
        black_box(&self.found);
    }
}

//! What a measurement is made of.

use crate::input::{Frames, Placed};
use datapath::engine::Rehearsal;
use ofproto::Version;
use ofproto::ids::PortNo;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// In which order frames come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// The file's, over and over
    File,
    /// Shuffled once, then over and over
    Shuffle,
    /// Each drawn anew: no predictor can learn it
    #[default]
    Random,
}

/// Whose work on the frames is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The switch's.
    Switch,
    /// The switch's with a cache of so many entries; 0: none.
    Cache(usize),
    /// The switch's with a cache of so many entries while it warms up; then only its first stages, and frames are sent to the first
    /// port.
    Only(Rehearsal, usize),
    /// Frames are sent to the first port as they are.
    Ports,
}

/// When a phase ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// After so much time.
    Time(Duration),
    /// After so many frames of each worker.
    Frames(u64),
    /// After so much time and so many frames of each worker: a thread that hardly gets to run has done little
    /// in the time.
    Both(Duration, u64),
}

/// Frames beside the main ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// None.
    #[default]
    None,
    /// So many a second.
    PerSecond(f64),
    /// Every second frame.
    Half,
}

/// A stretch of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// How long.
    pub until: Until,
    /// Into how many slices it is cut.
    pub slices: u32,
    /// The other frames during it.
    pub attack: Pace,
}

impl Phase {
    /// A phase without other frames.
    pub const fn plain(until: Until, slices: u32) -> Self {
        Self { until, slices, attack: Pace::None }
    }
}

/// What is built and driven.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Whose meaning the rules have.
    pub version: Version,
    /// The rules, in order.
    pub rules: Arc<Vec<Placed>>,
    /// Ports beside those that the rules mention.
    pub ports: BTreeSet<PortNo>,
    /// Frames that come before everything else, and where.
    pub teach: Arc<Vec<(PortNo, Frames)>>,
    /// The port that frames come from.
    pub in_port: PortNo,
    /// The frames.
    pub frames: Arc<Frames>,
    /// Their order.
    pub order: Order,
    /// Frames of [`Phase::attack`].
    pub attack: Arc<Frames>,
    /// Each of those, IPv4 without options or tags, gets addresses and ports that never came before.
    pub fresh: bool,
    /// Workers, each with an equal part of the frames.
    pub workers: usize,
    /// Every worker gets all frames instead.
    pub same_frames: bool,
    /// Frames of a burst.
    pub burst: usize,
    /// What is done with frames.
    pub variant: Variant,
    /// The phases; the first is for warming up.
    pub phases: Vec<Phase>,
}

impl Setup {
    /// One worker, frames from port 1, in random order.
    pub fn new(rules: Vec<Placed>, frames: Frames) -> Self {
        Self {
            version: Version::V13,
            rules: Arc::new(rules),
            ports: [PortNo(1), PortNo(2)].into(),
            teach: Arc::default(),
            in_port: PortNo(1),
            frames: Arc::new(frames),
            order: Order::Random,
            attack: Arc::default(),
            fresh: false,
            workers: 1,
            same_frames: false,
            burst: 32,
            variant: Variant::Switch,
            phases: Vec::new(),
        }
    }
}

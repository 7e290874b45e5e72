//! Bundles (OpenFlow 1.4.1 §7.3.9, 1.5.1 §7.3.9-10; the 1.3 extension EXT-230).

use crate::group::OtherProp;
use crate::ids::BundleId;
use crate::ids::Xid;
use crate::message::Message;
use bitflags::bitflags;

/// `ofp_bundle_ctrl_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's own words")]
pub enum BundleCtrlType {
    OpenRequest,
    OpenReply,
    CloseRequest,
    CloseReply,
    CommitRequest,
    CommitReply,
    DiscardRequest,
    DiscardReply,
    Unknown(u16),
}

bitflags! {
    /// `ofp_bundle_flags`
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BundleFlags: u16 {
        /// `OFPBF_ATOMIC`
        const ATOMIC = 1;
        /// `OFPBF_ORDERED`
        const ORDERED = 2;
        /// `OFPBF_TIME` (1.5)
        const TIME = 4;
        const _ = !0;
    }
}

/// `ofp_time` (1.5): seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfTime {
    /// Seconds.
    pub seconds: u64,
    /// Nanoseconds.
    pub nanoseconds: u32,
}

/// A bundle property.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BundleProp {
    /// `OFPBPT_TIME` (1.5): when to commit.
    Time(OfTime),
    /// Anything else.
    Other(OtherProp),
}

/// `OFPT_BUNDLE_CONTROL`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleCtrl {
    /// Which.
    pub bundle: BundleId,
    /// What.
    pub ty: BundleCtrlType,
    /// Flags.
    pub flags: BundleFlags,
    /// Properties.
    pub properties: Vec<BundleProp>,
}

/// `OFPT_BUNDLE_ADD_MESSAGE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAdd {
    /// Which.
    pub bundle: BundleId,
    /// Flags.
    pub flags: BundleFlags,
    /// The message inside and its xid.
    pub message: Box<Message>,
    /// The inner xid.
    pub inner_xid: Xid,
    /// Properties.
    pub properties: Vec<BundleProp>,
}

/// Body of the bundle-features request and reply (1.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BundleFeatures {
    /// Request: `OFPBF_REQUEST_*` flags; reply: `OFPBF_*` capabilities.
    pub flags: u32,
    /// Properties.
    pub properties: Vec<BundleFeaturesProp>,
}

/// A property of bundle features.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BundleFeaturesProp {
    /// `OFPTMPBF_TIME_CAPABILITY`
    Time {
        /// `sched_accuracy`
        accuracy: OfTime,
        /// `sched_max_future`
        max_future: OfTime,
        /// `sched_max_past`
        max_past: OfTime,
        /// `timestamp`
        timestamp: OfTime,
    },
    /// Anything else.
    Other(OtherProp),
}

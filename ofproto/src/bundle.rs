//! Bundles (OpenFlow 1.4.1 §6.8, §7.3.9; 1.5.1 §6.9, §7.3.9; the 1.3 extension EXT-230).

use crate::group::OtherProp;
use crate::ids::BundleId;
use crate::ids::Xid;
use crate::message::Message;
use bitflags::bitflags;

/// `ofp_bundle_ctrl_type`: what is done with a bundle, and the answer.
///
/// OpenFlow 1.4.1 §7.3.9.1, 1.5.1 §7.3.9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BundleCtrlType {
    /// `OFPBCT_OPEN_REQUEST`
    OpenRequest,
    /// `OFPBCT_OPEN_REPLY`
    OpenReply,
    /// `OFPBCT_CLOSE_REQUEST`
    CloseRequest,
    /// `OFPBCT_CLOSE_REPLY`
    CloseReply,
    /// `OFPBCT_COMMIT_REQUEST`
    CommitRequest,
    /// `OFPBCT_COMMIT_REPLY`
    CommitReply,
    /// `OFPBCT_DISCARD_REQUEST`
    DiscardRequest,
    /// `OFPBCT_DISCARD_REPLY`
    DiscardReply,
    /// Not defined.
    Unknown(u16),
}

bitflags! {
    /// `ofp_bundle_flags`
    ///
    /// OpenFlow 1.4.1 §7.3.9.3, 1.5.1 §7.3.9.3.
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
///
/// OpenFlow 1.5.1 §7.3.9.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfTime {
    /// Seconds.
    pub seconds: u64,
    /// Nanoseconds.
    pub nanoseconds: u32,
}

/// A bundle property (`ofp_bundle_prop_type`).
///
/// OpenFlow 1.4.1 §7.3.9.4, 1.5.1 §7.3.9.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BundleProp {
    /// `OFPBPT_TIME` (1.5): when to commit.
    Time(OfTime),
    /// Anything else.
    Other(OtherProp),
}

/// `OFPT_BUNDLE_CONTROL`: opens, closes, commits or discards a bundle.
///
/// OpenFlow 1.4.1 §6.8, §7.3.9.1; 1.5.1 §6.9, §7.3.9.1; the 1.3 extension EXT-230.
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

/// `OFPT_BUNDLE_ADD_MESSAGE`: a message for a bundle.
///
/// OpenFlow 1.4.1 §7.3.9.2, 1.5.1 §7.3.9.2; the 1.3 extension EXT-230.
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

/// `ofp_bundle_features` and `ofp_bundle_features_request` (1.5): what bundles can do, when they can be committed.
///
/// OpenFlow 1.5.1 §7.3.5.20.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BundleFeatures {
    /// Request: `OFPBF_REQUEST_*` flags; reply: `OFPBF_*` capabilities.
    pub flags: u32,
    /// Properties.
    pub properties: Vec<BundleFeaturesProp>,
}

/// A property of bundle features (`ofp_bundle_features_prop_type`).
///
/// OpenFlow 1.5.1 §7.3.5.20.3-4.
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

//! Groups (OpenFlow 1.3.5 §5.6, §7.3.4.2; 1.5.1 §7.3.4.3).

use crate::action::Action;
use crate::ids::{BucketId, ExperimenterId, GroupId, PortNo};
use crate::matching::Match;
use bitflags::bitflags;
use bytes::Bytes;

/// `ofp_group_mod_command`: what a group-mod does.
///
/// OpenFlow 1.3.5 §6.5, 1.4.1 §6.6, 1.5.1 §6.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupModCommand {
    /// `OFPGC_ADD`
    Add,
    /// `OFPGC_MODIFY`
    Modify,
    /// `OFPGC_DELETE`
    Delete,
    /// `OFPGC_INSERT_BUCKET` (1.5)
    InsertBucket,
    /// `OFPGC_REMOVE_BUCKET` (1.5)
    RemoveBucket,
    /// Nicira's add-or-modify.
    AddOrMod,
    /// Not defined.
    Unknown(u16),
}

/// `ofp_group_type`: which of the buckets act on a packet.
///
/// OpenFlow 1.3.5 §5.6.1, §7.3.4.2; 1.5.1 §5.10.1, §7.3.4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupType {
    /// `OFPGT_ALL`
    All,
    /// `OFPGT_SELECT`
    Select,
    /// `OFPGT_INDIRECT`
    Indirect,
    /// `OFPGT_FF`
    FastFailover,
    /// Not defined.
    Unknown(u8),
}

/// A property with an experimenter, of any structure that has properties.
///
/// OpenFlow 1.3.5 §7.3.5.5.2, 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2 and wherever properties are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExperimenterProp {
    /// The wire property type (0xffff, or 0xfffe for the second experimenter slot).
    pub ty: u16,
    /// Whose.
    pub experimenter: ExperimenterId,
    /// Its subtype.
    pub exp_type: u32,
    /// Its bytes.
    pub data: Bytes,
}

/// A property that this crate doesn't know.
///
/// OpenFlow 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2 and wherever properties are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownProp {
    /// The wire property type.
    pub ty: u16,
    /// The bytes after type and length, without trailing padding.
    pub data: Bytes,
}

/// What a structure's properties hold beyond the model.
///
/// OpenFlow 1.3.5 §7.3.5.5.2, 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2 and wherever properties are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OtherProp {
    /// An experimenter's.
    Experimenter(ExperimenterProp),
    /// One not known.
    Unknown(UnknownProp),
}

/// A property of a group (1.5).
///
/// OpenFlow 1.5.1 §7.3.4.3.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupProp {
    /// `NTRT_SELECTION_METHOD`: how a select group chooses its bucket.
    Selection(SelectionMethod),
    /// Another.
    Other(OtherProp),
}

/// Netronome's `ntr_group_prop_selection_method`: by what a select group chooses.
///
/// `netronome-ext.h` of Open vSwitch; ovs-ofctl(8), "Group Syntax".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SelectionMethod {
    /// Whose the property is: [`ExperimenterId::NETRONOME`], or the number it had before.
    pub experimenter: ExperimenterId,
    /// Which method.
    pub method: MethodName,
    /// What the method makes of it is its own business: the hash's basis.
    pub param: u64,
    /// The fields that are hashed. A value is a mask: the bits of the field that count. On the wire it has whole bytes,
    /// so that all of a 13-bit field is 0xffff.
    pub fields: Match,
}

impl SelectionMethod {
    /// This method, without fields.
    pub const fn new(method: MethodName) -> Self {
        Self { experimenter: ExperimenterId::NETRONOME, method, param: 0, fields: Match::any() }
    }
}

/// `selection_method`: text that ends at the first NUL, which there has to be. `netronome-ext.h` of Open vSwitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodName(pub [u8; 16]);

impl MethodName {
    /// A hash of the fields given; without fields, of what makes a flow.
    pub const HASH: Self = Self(*b"hash\0\0\0\0\0\0\0\0\0\0\0\0");
    /// A hash as the datapath makes it.
    pub const DP_HASH: Self = Self(*b"dp_hash\0\0\0\0\0\0\0\0\0");

    /// The bytes up to the NUL; `None` if there isn't one.
    pub fn text(&self) -> Option<&[u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        self.0.get(..end)
    }

    /// The name of this text; `None` if it is longer than 15 bytes or holds a NUL.
    pub fn new(text: &str) -> Option<Self> {
        let mut name = [0; 16];
        name.get_mut(..15)?.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.contains('\0')).then_some(Self(name))
    }
}

/// `OFPG_BUCKET_FIRST`, `LAST` and `ALL` are the reserved ids of `command_bucket_id`.
impl BucketId {
    /// `OFPG_BUCKET_MAX`
    pub const MAX: Self = Self(0xffff_ff00);
    /// `OFPG_BUCKET_FIRST`
    pub const FIRST: Self = Self(0xffff_fffd);
    /// `OFPG_BUCKET_LAST`
    pub const LAST: Self = Self(0xffff_fffe);
    /// `OFPG_BUCKET_ALL`
    pub const ALL: Self = Self(0xffff_ffff);
}

/// A bucket (`ofp_bucket`): an action set and when to choose it.
///
/// OpenFlow 1.3.5 §7.3.4.2, 1.4.1 §7.3.4.3, 1.5.1 §7.3.4.3.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Its id (1.5); earlier versions number them by place.
    pub id: Option<BucketId>,
    /// Weight of a select group's bucket.
    pub weight: u16,
    /// Live while this port is up (`ANY`: not watched).
    pub watch_port: PortNo,
    /// Live while this group has a live bucket (`ANY`: not watched).
    pub watch_group: GroupId,
    /// An action set.
    pub actions: Vec<Action>,
    /// Further properties (1.5).
    pub other: Vec<OtherProp>,
}

impl Bucket {
    /// A bucket of these actions, unweighted and unwatched.
    pub fn new(actions: Vec<Action>) -> Self {
        Self { id: None, weight: 0, watch_port: PortNo::ANY, watch_group: GroupId::ANY, actions, other: Vec::new() }
    }
}

/// `OFPT_GROUP_MOD`: adds, changes or deletes a group.
///
/// OpenFlow 1.3.5 §6.5, §7.3.4.2; 1.4.1 §7.3.4.3; 1.5.1 §6.7, §7.3.4.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupModCommand,
    /// Kind of group.
    pub ty: GroupType,
    /// Which group.
    pub group: GroupId,
    /// Which bucket insert and remove mean (1.5), `ALL` otherwise.
    pub command_bucket: BucketId,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Group properties (1.5).
    pub properties: Vec<GroupProp>,
}

/// `ofp_group_desc`, an entry of the group-desc multipart reply.
///
/// OpenFlow 1.3.5 §7.3.5.10, 1.4.1 §7.3.5.12, 1.5.1 §7.3.5.10.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupDesc {
    /// Kind.
    pub ty: GroupType,
    /// Which.
    pub group: GroupId,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// Group properties (1.5).
    pub properties: Vec<GroupProp>,
}

/// `ofp_group_stats`, an entry of the group statistics reply.
///
/// OpenFlow 1.3.5 §7.3.5.9, 1.4.1 §7.3.5.11, 1.5.1 §7.3.5.9.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupStats {
    /// Which.
    pub group: GroupId,
    /// Flows and groups that refer to it.
    pub ref_count: u32,
    /// Packets.
    pub packet_count: u64,
    /// Bytes.
    pub byte_count: u64,
    /// Seconds alive (1.3+).
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Packets and bytes of each bucket.
    pub buckets: Vec<(u64, u64)>,
}

bitflags! {
    /// `ofp_group_capabilities`
    ///
    /// OpenFlow 1.3.5 §7.3.5.11, 1.4.1 §7.3.5.13, 1.5.1 §7.3.5.11.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GroupCapabilities: u32 {
        /// `OFPGFC_SELECT_WEIGHT`
        const SELECT_WEIGHT = 1;
        /// `OFPGFC_SELECT_LIVENESS`
        const SELECT_LIVENESS = 2;
        /// `OFPGFC_CHAINING`
        const CHAINING = 4;
        /// `OFPGFC_CHAINING_CHECKS`
        const CHAINING_CHECKS = 8;
        const _ = !0;
    }
}

/// `ofp_group_features`, the group-features reply. Arrays are indexed by group type (all, select, indirect, ff).
///
/// OpenFlow 1.3.5 §7.3.5.11, 1.4.1 §7.3.5.13, 1.5.1 §7.3.5.11.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupFeatures {
    /// Bitmap of types.
    pub types: u32,
    /// Capabilities.
    pub capabilities: GroupCapabilities,
    /// Most groups of each type.
    pub max_groups: [u32; 4],
    /// Bitmaps of wire action types of each type.
    pub actions: [u32; 4],
}

//! Every OpenFlow error: one table from the version-independent kind to each version's type and code.
//!
//! A kind that a version lacks is answered with the nearest one that it has (see [`ErrorKind::wire`]).
//! The table is OpenFlow 1.5.1 §7.5.4 and its predecessors; nothing else in the workspace writes an
//! error number.

use crate::ids::ExperimenterId;
use crate::message::ErrorMsg;
use crate::version::Version;
use bytes::Bytes;
use std::fmt;

/// Marks "this version has no such code" in the tables below.
const X: u16 = u16::MAX;

macro_rules! error_types {
    ($($name:ident, $spec:literal, [$($n:expr),*];)*) => {
        /// An `ofp_error_type`.
        ///
        /// OpenFlow 1.3.5 §7.4.4, 1.4.1 §7.5.4, 1.5.1 §7.5.4, 1.0.0 §5.4.4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorType { $(#[doc = $spec] $name),* }
        impl ErrorType {
            /// The specification's name of the type, such as `OFPET_BAD_REQUEST`.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $spec),* } }
            const fn numbers(self) -> [u16; 6] { match self { $(Self::$name => [$($n),*]),* } }
        }
    };
}

macro_rules! error_kinds {
    ($($name:ident: $ty:ident, $spec:literal, [$($n:expr),*];)*) => {
        /// Why a request is refused, independent of the protocol version: an `ofp_*_code` of some [`ErrorType`].
        ///
        /// OpenFlow 1.3.5 §7.4.4, 1.4.1 §7.5.4, 1.5.1 §7.5.4.1-19, 1.0.0 §5.4.4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $(#[doc = $spec] $name),* }
        impl ErrorKind {
            /// All kinds, in table order.
            pub const ALL: &'static [ErrorKind] = &[$(Self::$name),*];
            /// The type this code belongs to.
            pub const fn error_type(self) -> ErrorType { match self { $(Self::$name => ErrorType::$ty),* } }
            /// The specification's name of the code, such as `OFPBRC_BAD_TYPE`.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $spec),* } }
            const fn numbers(self) -> [u16; 6] { match self { $(Self::$name => [$($n),*]),* } }
        }
    };
}

// Columns: OpenFlow 1.0, 1.1, 1.2, 1.3, 1.4, 1.5.
error_types! {
    HelloFailed, "OFPET_HELLO_FAILED", [0, 0, 0, 0, 0, 0];
    BadRequest, "OFPET_BAD_REQUEST", [1, 1, 1, 1, 1, 1];
    BadAction, "OFPET_BAD_ACTION", [2, 2, 2, 2, 2, 2];
    BadInstruction, "OFPET_BAD_INSTRUCTION", [X, 3, 3, 3, 3, 3];
    BadMatch, "OFPET_BAD_MATCH", [X, 4, 4, 4, 4, 4];
    FlowModFailed, "OFPET_FLOW_MOD_FAILED", [3, 5, 5, 5, 5, 5];
    GroupModFailed, "OFPET_GROUP_MOD_FAILED", [X, 6, 6, 6, 6, 6];
    PortModFailed, "OFPET_PORT_MOD_FAILED", [4, 7, 7, 7, 7, 7];
    TableModFailed, "OFPET_TABLE_MOD_FAILED", [X, 8, 8, 8, 8, 8];
    QueueOpFailed, "OFPET_QUEUE_OP_FAILED", [5, 9, 9, 9, 9, 9];
    SwitchConfigFailed, "OFPET_SWITCH_CONFIG_FAILED", [X, 10, 10, 10, 10, 10];
    RoleRequestFailed, "OFPET_ROLE_REQUEST_FAILED", [X, X, 11, 11, 11, 11];
    MeterModFailed, "OFPET_METER_MOD_FAILED", [X, X, X, 12, 12, 12];
    TableFeaturesFailed, "OFPET_TABLE_FEATURES_FAILED", [X, X, X, 13, 13, 13];
    BadProperty, "OFPET_BAD_PROPERTY", [X, X, X, X, 14, 14];
    AsyncConfigFailed, "OFPET_ASYNC_CONFIG_FAILED", [X, X, X, X, 15, 15];
    FlowMonitorFailed, "OFPET_FLOW_MONITOR_FAILED", [X, X, X, X, 16, 16];
    BundleFailed, "OFPET_BUNDLE_FAILED", [X, X, X, X, 17, 17];
}

error_kinds! {
    // OFPET_HELLO_FAILED
    HelloFailedIncompatible: HelloFailed, "OFPHFC_INCOMPATIBLE", [0, 0, 0, 0, 0, 0];
    HelloFailedEperm: HelloFailed, "OFPHFC_EPERM", [1, 1, 1, 1, 1, 1];

    // OFPET_BAD_REQUEST
    BadRequestBadVersion: BadRequest, "OFPBRC_BAD_VERSION", [0, 0, 0, 0, 0, 0];
    BadRequestBadType: BadRequest, "OFPBRC_BAD_TYPE", [1, 1, 1, 1, 1, 1];
    BadRequestBadMultipart: BadRequest, "OFPBRC_BAD_MULTIPART", [2, 2, 2, 2, 2, 2];
    BadRequestBadExperimenter: BadRequest, "OFPBRC_BAD_EXPERIMENTER", [3, 3, 3, 3, 3, 3];
    BadRequestBadExpType: BadRequest, "OFPBRC_BAD_EXP_TYPE", [4, 4, 4, 4, 4, 4];
    BadRequestEperm: BadRequest, "OFPBRC_EPERM", [5, 5, 5, 5, 5, 5];
    BadRequestBadLen: BadRequest, "OFPBRC_BAD_LEN", [6, 6, 6, 6, 6, 6];
    BadRequestBufferEmpty: BadRequest, "OFPBRC_BUFFER_EMPTY", [7, 7, 7, 7, 7, 7];
    BadRequestBufferUnknown: BadRequest, "OFPBRC_BUFFER_UNKNOWN", [8, 8, 8, 8, 8, 8];
    BadRequestBadTableId: BadRequest, "OFPBRC_BAD_TABLE_ID", [X, 9, 9, 9, 9, 9];
    BadRequestIsSlave: BadRequest, "OFPBRC_IS_SLAVE", [X, X, 10, 10, 10, 10];
    BadRequestBadPort: BadRequest, "OFPBRC_BAD_PORT", [X, X, 11, 11, 11, 11];
    BadRequestBadPacket: BadRequest, "OFPBRC_BAD_PACKET", [X, X, 12, 12, 12, 12];
    BadRequestMultipartBufferOverflow: BadRequest, "OFPBRC_MULTIPART_BUFFER_OVERFLOW", [X, X, X, 13, 13, 13];
    BadRequestMultipartRequestTimeout: BadRequest, "OFPBRC_MULTIPART_REQUEST_TIMEOUT", [X, X, X, X, 14, 14];
    BadRequestMultipartReplyTimeout: BadRequest, "OFPBRC_MULTIPART_REPLY_TIMEOUT", [X, X, X, X, 15, 15];
    BadRequestMultipartBadSched: BadRequest, "OFPBRC_MULTIPART_BAD_SCHED", [X, X, X, X, X, 16];
    BadRequestPipelineFieldsOnly: BadRequest, "OFPBRC_PIPELINE_FIELDS_ONLY", [X, X, X, X, X, 17];
    BadRequestUnknown: BadRequest, "OFPBRC_UNKNOWN", [X, X, X, X, X, 18];

    // OFPET_BAD_ACTION
    BadActionBadType: BadAction, "OFPBAC_BAD_TYPE", [0, 0, 0, 0, 0, 0];
    BadActionBadLen: BadAction, "OFPBAC_BAD_LEN", [1, 1, 1, 1, 1, 1];
    BadActionBadExperimenter: BadAction, "OFPBAC_BAD_EXPERIMENTER", [2, 2, 2, 2, 2, 2];
    BadActionBadExpType: BadAction, "OFPBAC_BAD_EXP_TYPE", [3, 3, 3, 3, 3, 3];
    BadActionBadOutPort: BadAction, "OFPBAC_BAD_OUT_PORT", [4, 4, 4, 4, 4, 4];
    BadActionBadArgument: BadAction, "OFPBAC_BAD_ARGUMENT", [5, 5, 5, 5, 5, 5];
    BadActionEperm: BadAction, "OFPBAC_EPERM", [6, 6, 6, 6, 6, 6];
    BadActionTooMany: BadAction, "OFPBAC_TOO_MANY", [7, 7, 7, 7, 7, 7];
    BadActionBadQueue: BadAction, "OFPBAC_BAD_QUEUE", [8, 8, 8, 8, 8, 8];
    BadActionBadOutGroup: BadAction, "OFPBAC_BAD_OUT_GROUP", [X, 9, 9, 9, 9, 9];
    BadActionMatchInconsistent: BadAction, "OFPBAC_MATCH_INCONSISTENT", [X, 10, 10, 10, 10, 10];
    BadActionUnsupportedOrder: BadAction, "OFPBAC_UNSUPPORTED_ORDER", [X, 11, 11, 11, 11, 11];
    BadActionBadTag: BadAction, "OFPBAC_BAD_TAG", [X, 12, 12, 12, 12, 12];
    BadActionBadSetType: BadAction, "OFPBAC_BAD_SET_TYPE", [X, X, 13, 13, 13, 13];
    BadActionBadSetLen: BadAction, "OFPBAC_BAD_SET_LEN", [X, X, 14, 14, 14, 14];
    BadActionBadSetArgument: BadAction, "OFPBAC_BAD_SET_ARGUMENT", [X, X, 15, 15, 15, 15];
    BadActionBadSetMask: BadAction, "OFPBAC_BAD_SET_MASK", [X, X, X, X, X, 16];
    BadActionBadMeter: BadAction, "OFPBAC_BAD_METER", [X, X, X, X, X, 17];

    // OFPET_BAD_INSTRUCTION
    BadInstructionUnknownInst: BadInstruction, "OFPBIC_UNKNOWN_INST", [X, 0, 0, 0, 0, 0];
    BadInstructionUnsupInst: BadInstruction, "OFPBIC_UNSUP_INST", [X, 1, 1, 1, 1, 1];
    BadInstructionBadTableId: BadInstruction, "OFPBIC_BAD_TABLE_ID", [X, 2, 2, 2, 2, 2];
    BadInstructionUnsupMetadata: BadInstruction, "OFPBIC_UNSUP_METADATA", [X, 3, 3, 3, 3, 3];
    BadInstructionUnsupMetadataMask: BadInstruction, "OFPBIC_UNSUP_METADATA_MASK", [X, 4, 4, 4, 4, 4];
    BadInstructionUnsupExpInst: BadInstruction, "OFPBIC_UNSUP_EXP_INST", [X, 5, X, X, X, X];
    BadInstructionBadExperimenter: BadInstruction, "OFPBIC_BAD_EXPERIMENTER", [X, X, 5, 5, 5, 5];
    BadInstructionBadExpType: BadInstruction, "OFPBIC_BAD_EXP_TYPE", [X, X, 6, 6, 6, 6];
    BadInstructionBadLen: BadInstruction, "OFPBIC_BAD_LEN", [X, X, 7, 7, 7, 7];
    BadInstructionEperm: BadInstruction, "OFPBIC_EPERM", [X, X, 8, 8, 8, 8];
    BadInstructionDupInst: BadInstruction, "OFPBIC_DUP_INST", [X, X, X, X, 9, 9];

    // OFPET_BAD_MATCH
    BadMatchBadType: BadMatch, "OFPBMC_BAD_TYPE", [X, 0, 0, 0, 0, 0];
    BadMatchBadLen: BadMatch, "OFPBMC_BAD_LEN", [X, 1, 1, 1, 1, 1];
    BadMatchBadTag: BadMatch, "OFPBMC_BAD_TAG", [X, 2, 2, 2, 2, 2];
    BadMatchBadDlAddrMask: BadMatch, "OFPBMC_BAD_DL_ADDR_MASK", [X, 3, 3, 3, 3, 3];
    BadMatchBadNwAddrMask: BadMatch, "OFPBMC_BAD_NW_ADDR_MASK", [X, 4, 4, 4, 4, 4];
    BadMatchBadWildcards: BadMatch, "OFPBMC_BAD_WILDCARDS", [X, 5, 5, 5, 5, 5];
    BadMatchBadField: BadMatch, "OFPBMC_BAD_FIELD", [X, 6, 6, 6, 6, 6];
    BadMatchBadValue: BadMatch, "OFPBMC_BAD_VALUE", [X, 7, 7, 7, 7, 7];
    BadMatchBadMask: BadMatch, "OFPBMC_BAD_MASK", [X, X, 8, 8, 8, 8];
    BadMatchBadPrereq: BadMatch, "OFPBMC_BAD_PREREQ", [X, X, 9, 9, 9, 9];
    BadMatchDupField: BadMatch, "OFPBMC_DUP_FIELD", [X, X, 10, 10, 10, 10];
    BadMatchEperm: BadMatch, "OFPBMC_EPERM", [X, X, 11, 11, 11, 11];

    // OFPET_FLOW_MOD_FAILED
    FlowModFailedAllTablesFull: FlowModFailed, "OFPFMFC_ALL_TABLES_FULL", [0, X, X, X, X, X];
    FlowModFailedUnknown: FlowModFailed, "OFPFMFC_UNKNOWN", [X, 0, 0, 0, 0, 0];
    FlowModFailedTableFull: FlowModFailed, "OFPFMFC_TABLE_FULL", [X, 1, 1, 1, 1, 1];
    FlowModFailedBadTableId: FlowModFailed, "OFPFMFC_BAD_TABLE_ID", [X, 2, 2, 2, 2, 2];
    FlowModFailedOverlap: FlowModFailed, "OFPFMFC_OVERLAP", [1, 3, 3, 3, 3, 3];
    FlowModFailedEperm: FlowModFailed, "OFPFMFC_EPERM", [2, 4, 4, 4, 4, 4];
    FlowModFailedBadEmergTimeout: FlowModFailed, "OFPFMFC_BAD_EMERG_TIMEOUT", [3, X, X, X, X, X];
    FlowModFailedBadTimeout: FlowModFailed, "OFPFMFC_BAD_TIMEOUT", [X, 5, 5, 5, 5, 5];
    FlowModFailedBadCommand: FlowModFailed, "OFPFMFC_BAD_COMMAND", [4, 6, 6, 6, 6, 6];
    FlowModFailedUnsupported: FlowModFailed, "OFPFMFC_UNSUPPORTED", [5, X, X, X, X, X];
    FlowModFailedBadFlags: FlowModFailed, "OFPFMFC_BAD_FLAGS", [X, X, 7, 7, 7, 7];
    FlowModFailedCantSync: FlowModFailed, "OFPFMFC_CANT_SYNC", [X, X, X, X, 8, 8];
    FlowModFailedBadPriority: FlowModFailed, "OFPFMFC_BAD_PRIORITY", [X, X, X, X, 9, 9];
    FlowModFailedIsSync: FlowModFailed, "OFPFMFC_IS_SYNC", [X, X, X, X, 10, 10];

    // OFPET_GROUP_MOD_FAILED
    GroupModFailedGroupExists: GroupModFailed, "OFPGMFC_GROUP_EXISTS", [X, 0, 0, 0, 0, 0];
    GroupModFailedInvalidGroup: GroupModFailed, "OFPGMFC_INVALID_GROUP", [X, 1, 1, 1, 1, 1];
    GroupModFailedWeightUnsupported: GroupModFailed, "OFPGMFC_WEIGHT_UNSUPPORTED", [X, 2, 2, 2, 2, 2];
    GroupModFailedOutOfGroups: GroupModFailed, "OFPGMFC_OUT_OF_GROUPS", [X, 3, 3, 3, 3, 3];
    GroupModFailedOutOfBuckets: GroupModFailed, "OFPGMFC_OUT_OF_BUCKETS", [X, 4, 4, 4, 4, 4];
    GroupModFailedChainingUnsupported: GroupModFailed, "OFPGMFC_CHAINING_UNSUPPORTED", [X, 5, 5, 5, 5, 5];
    GroupModFailedWatchUnsupported: GroupModFailed, "OFPGMFC_WATCH_UNSUPPORTED", [X, 6, 6, 6, 6, 6];
    GroupModFailedLoop: GroupModFailed, "OFPGMFC_LOOP", [X, 7, 7, 7, 7, 7];
    GroupModFailedUnknownGroup: GroupModFailed, "OFPGMFC_UNKNOWN_GROUP", [X, 8, 8, 8, 8, 8];
    GroupModFailedChainedGroup: GroupModFailed, "OFPGMFC_CHAINED_GROUP", [X, X, 9, 9, 9, 9];
    GroupModFailedBadType: GroupModFailed, "OFPGMFC_BAD_TYPE", [X, X, 10, 10, 10, 10];
    GroupModFailedBadCommand: GroupModFailed, "OFPGMFC_BAD_COMMAND", [X, X, 11, 11, 11, 11];
    GroupModFailedBadBucket: GroupModFailed, "OFPGMFC_BAD_BUCKET", [X, X, 12, 12, 12, 12];
    GroupModFailedBadWatch: GroupModFailed, "OFPGMFC_BAD_WATCH", [X, X, 13, 13, 13, 13];
    GroupModFailedEperm: GroupModFailed, "OFPGMFC_EPERM", [X, X, 14, 14, 14, 14];
    GroupModFailedUnknownBucket: GroupModFailed, "OFPGMFC_UNKNOWN_BUCKET", [X, X, X, X, X, 15];
    GroupModFailedBucketExists: GroupModFailed, "OFPGMFC_BUCKET_EXISTS", [X, X, X, X, X, 16];

    // OFPET_PORT_MOD_FAILED
    PortModFailedBadPort: PortModFailed, "OFPPMFC_BAD_PORT", [0, 0, 0, 0, 0, 0];
    PortModFailedBadHwAddr: PortModFailed, "OFPPMFC_BAD_HW_ADDR", [1, 1, 1, 1, 1, 1];
    PortModFailedBadConfig: PortModFailed, "OFPPMFC_BAD_CONFIG", [X, 2, 2, 2, 2, 2];
    PortModFailedBadAdvertise: PortModFailed, "OFPPMFC_BAD_ADVERTISE", [X, 3, 3, 3, 3, 3];
    PortModFailedEperm: PortModFailed, "OFPPMFC_EPERM", [X, X, 4, 4, 4, 4];

    // OFPET_TABLE_MOD_FAILED
    TableModFailedBadTable: TableModFailed, "OFPTMFC_BAD_TABLE", [X, 0, 0, 0, 0, 0];
    TableModFailedBadConfig: TableModFailed, "OFPTMFC_BAD_CONFIG", [X, 1, 1, 1, 1, 1];
    TableModFailedEperm: TableModFailed, "OFPTMFC_EPERM", [X, X, 2, 2, 2, 2];

    // OFPET_QUEUE_OP_FAILED
    QueueOpFailedBadPort: QueueOpFailed, "OFPQOFC_BAD_PORT", [0, 0, 0, 0, 0, 0];
    QueueOpFailedBadQueue: QueueOpFailed, "OFPQOFC_BAD_QUEUE", [1, 1, 1, 1, 1, 1];
    QueueOpFailedEperm: QueueOpFailed, "OFPQOFC_EPERM", [2, 2, 2, 2, 2, 2];

    // OFPET_SWITCH_CONFIG_FAILED
    SwitchConfigFailedBadFlags: SwitchConfigFailed, "OFPSCFC_BAD_FLAGS", [X, 0, 0, 0, 0, 0];
    SwitchConfigFailedBadLen: SwitchConfigFailed, "OFPSCFC_BAD_LEN", [X, 1, 1, 1, 1, 1];
    SwitchConfigFailedEperm: SwitchConfigFailed, "OFPSCFC_EPERM", [X, X, 2, 2, 2, 2];

    // OFPET_ROLE_REQUEST_FAILED
    RoleRequestFailedStale: RoleRequestFailed, "OFPRRFC_STALE", [X, X, 0, 0, 0, 0];
    RoleRequestFailedUnsup: RoleRequestFailed, "OFPRRFC_UNSUP", [X, X, 1, 1, 1, 1];
    RoleRequestFailedBadRole: RoleRequestFailed, "OFPRRFC_BAD_ROLE", [X, X, 2, 2, 2, 2];
    RoleRequestFailedIdUnsup: RoleRequestFailed, "OFPRRFC_ID_UNSUP", [X, X, X, X, X, 3];
    RoleRequestFailedIdInUse: RoleRequestFailed, "OFPRRFC_ID_IN_USE", [X, X, X, X, X, 4];

    // OFPET_METER_MOD_FAILED
    MeterModFailedUnknown: MeterModFailed, "OFPMMFC_UNKNOWN", [X, X, X, 0, 0, 0];
    MeterModFailedMeterExists: MeterModFailed, "OFPMMFC_METER_EXISTS", [X, X, X, 1, 1, 1];
    MeterModFailedInvalidMeter: MeterModFailed, "OFPMMFC_INVALID_METER", [X, X, X, 2, 2, 2];
    MeterModFailedUnknownMeter: MeterModFailed, "OFPMMFC_UNKNOWN_METER", [X, X, X, 3, 3, 3];
    MeterModFailedBadCommand: MeterModFailed, "OFPMMFC_BAD_COMMAND", [X, X, X, 4, 4, 4];
    MeterModFailedBadFlags: MeterModFailed, "OFPMMFC_BAD_FLAGS", [X, X, X, 5, 5, 5];
    MeterModFailedBadRate: MeterModFailed, "OFPMMFC_BAD_RATE", [X, X, X, 6, 6, 6];
    MeterModFailedBadBurst: MeterModFailed, "OFPMMFC_BAD_BURST", [X, X, X, 7, 7, 7];
    MeterModFailedBadBand: MeterModFailed, "OFPMMFC_BAD_BAND", [X, X, X, 8, 8, 8];
    MeterModFailedBadBandValue: MeterModFailed, "OFPMMFC_BAD_BAND_VALUE", [X, X, X, 9, 9, 9];
    MeterModFailedOutOfMeters: MeterModFailed, "OFPMMFC_OUT_OF_METERS", [X, X, X, 10, 10, 10];
    MeterModFailedOutOfBands: MeterModFailed, "OFPMMFC_OUT_OF_BANDS", [X, X, X, 11, 11, 11];

    // OFPET_TABLE_FEATURES_FAILED
    TableFeaturesFailedBadTable: TableFeaturesFailed, "OFPTFFC_BAD_TABLE", [X, X, X, 0, 0, 0];
    TableFeaturesFailedBadMetadata: TableFeaturesFailed, "OFPTFFC_BAD_METADATA", [X, X, X, 1, 1, 1];
    TableFeaturesFailedEperm: TableFeaturesFailed, "OFPTFFC_EPERM", [X, X, X, 5, 5, 5];
    TableFeaturesFailedBadType: TableFeaturesFailed, "OFPTFFC_BAD_TYPE", [X, X, X, 2, X, X];
    TableFeaturesFailedBadLen: TableFeaturesFailed, "OFPTFFC_BAD_LEN", [X, X, X, 3, X, X];
    TableFeaturesFailedBadArgument: TableFeaturesFailed, "OFPTFFC_BAD_ARGUMENT", [X, X, X, 4, X, X];
    TableFeaturesFailedBadCapa: TableFeaturesFailed, "OFPTFFC_BAD_CAPA", [X, X, X, X, X, 6];
    TableFeaturesFailedBadMaxEnt: TableFeaturesFailed, "OFPTFFC_BAD_MAX_ENT", [X, X, X, X, X, 7];
    TableFeaturesFailedBadFeatures: TableFeaturesFailed, "OFPTFFC_BAD_FEATURES", [X, X, X, X, X, 8];
    TableFeaturesFailedBadCommand: TableFeaturesFailed, "OFPTFFC_BAD_COMMAND", [X, X, X, X, X, 9];
    TableFeaturesFailedTooMany: TableFeaturesFailed, "OFPTFFC_TOO_MANY", [X, X, X, X, X, 10];

    // OFPET_BAD_PROPERTY
    BadPropertyBadType: BadProperty, "OFPBPC_BAD_TYPE", [X, X, X, X, 0, 0];
    BadPropertyBadLen: BadProperty, "OFPBPC_BAD_LEN", [X, X, X, X, 1, 1];
    BadPropertyBadValue: BadProperty, "OFPBPC_BAD_VALUE", [X, X, X, X, 2, 2];
    BadPropertyTooMany: BadProperty, "OFPBPC_TOO_MANY", [X, X, X, X, 3, 3];
    BadPropertyDupType: BadProperty, "OFPBPC_DUP_TYPE", [X, X, X, X, 4, 4];
    BadPropertyBadExperimenter: BadProperty, "OFPBPC_BAD_EXPERIMENTER", [X, X, X, X, 5, 5];
    BadPropertyBadExpType: BadProperty, "OFPBPC_BAD_EXP_TYPE", [X, X, X, X, 6, 6];
    BadPropertyBadExpValue: BadProperty, "OFPBPC_BAD_EXP_VALUE", [X, X, X, X, 7, 7];
    BadPropertyEperm: BadProperty, "OFPBPC_EPERM", [X, X, X, X, 8, 8];

    // OFPET_ASYNC_CONFIG_FAILED
    AsyncConfigFailedInvalid: AsyncConfigFailed, "OFPACFC_INVALID", [X, X, X, X, 0, 0];
    AsyncConfigFailedUnsupported: AsyncConfigFailed, "OFPACFC_UNSUPPORTED", [X, X, X, X, 1, 1];
    AsyncConfigFailedEperm: AsyncConfigFailed, "OFPACFC_EPERM", [X, X, X, X, 2, 2];

    // OFPET_FLOW_MONITOR_FAILED
    FlowMonitorFailedUnknown: FlowMonitorFailed, "OFPMOFC_UNKNOWN", [X, X, X, X, 0, 0];
    FlowMonitorFailedMonitorExists: FlowMonitorFailed, "OFPMOFC_MONITOR_EXISTS", [X, X, X, X, 1, 1];
    FlowMonitorFailedInvalidMonitor: FlowMonitorFailed, "OFPMOFC_INVALID_MONITOR", [X, X, X, X, 2, 2];
    FlowMonitorFailedUnknownMonitor: FlowMonitorFailed, "OFPMOFC_UNKNOWN_MONITOR", [X, X, X, X, 3, 3];
    FlowMonitorFailedBadCommand: FlowMonitorFailed, "OFPMOFC_BAD_COMMAND", [X, X, X, X, 4, 4];
    FlowMonitorFailedBadFlags: FlowMonitorFailed, "OFPMOFC_BAD_FLAGS", [X, X, X, X, 5, 5];
    FlowMonitorFailedBadTableId: FlowMonitorFailed, "OFPMOFC_BAD_TABLE_ID", [X, X, X, X, 6, 6];
    FlowMonitorFailedBadOut: FlowMonitorFailed, "OFPMOFC_BAD_OUT", [X, X, X, X, 7, 7];

    // OFPET_BUNDLE_FAILED
    BundleFailedUnknown: BundleFailed, "OFPBFC_UNKNOWN", [X, X, X, X, 0, 0];
    BundleFailedEperm: BundleFailed, "OFPBFC_EPERM", [X, X, X, X, 1, 1];
    BundleFailedBadId: BundleFailed, "OFPBFC_BAD_ID", [X, X, X, X, 2, 2];
    BundleFailedBundleExist: BundleFailed, "OFPBFC_BUNDLE_EXIST", [X, X, X, X, 3, 3];
    BundleFailedBundleClosed: BundleFailed, "OFPBFC_BUNDLE_CLOSED", [X, X, X, X, 4, 4];
    BundleFailedOutOfBundles: BundleFailed, "OFPBFC_OUT_OF_BUNDLES", [X, X, X, X, 5, 5];
    BundleFailedBadType: BundleFailed, "OFPBFC_BAD_TYPE", [X, X, X, X, 6, 6];
    BundleFailedBadFlags: BundleFailed, "OFPBFC_BAD_FLAGS", [X, X, X, X, 7, 7];
    BundleFailedMsgBadLen: BundleFailed, "OFPBFC_MSG_BAD_LEN", [X, X, X, X, 8, 8];
    BundleFailedMsgBadXid: BundleFailed, "OFPBFC_MSG_BAD_XID", [X, X, X, X, 9, 9];
    BundleFailedMsgUnsup: BundleFailed, "OFPBFC_MSG_UNSUP", [X, X, X, X, 10, 10];
    BundleFailedMsgConflict: BundleFailed, "OFPBFC_MSG_CONFLICT", [X, X, X, X, 11, 11];
    BundleFailedMsgTooMany: BundleFailed, "OFPBFC_MSG_TOO_MANY", [X, X, X, X, 12, 12];
    BundleFailedMsgFailed: BundleFailed, "OFPBFC_MSG_FAILED", [X, X, X, X, 13, 13];
    BundleFailedTimeout: BundleFailed, "OFPBFC_TIMEOUT", [X, X, X, X, 14, 14];
    BundleFailedBundleInProgress: BundleFailed, "OFPBFC_BUNDLE_IN_PROGRESS", [X, X, X, X, 15, 15];
    BundleFailedSchedNotSupported: BundleFailed, "OFPBFC_SCHED_NOT_SUPPORTED", [X, X, X, X, X, 16];
    BundleFailedSchedFuture: BundleFailed, "OFPBFC_SCHED_FUTURE", [X, X, X, X, X, 17];
    BundleFailedSchedPast: BundleFailed, "OFPBFC_SCHED_PAST", [X, X, X, X, X, 18];

    // Nicira's, written as its own errors.
    NxResumeStale: BadRequest, "NXR_STALE", [X, X, X, X, X, X];
    NxTlvBadCommand: BadRequest, "NXTTMFC_BAD_COMMAND", [X, X, X, X, X, X];
    NxTlvBadOptLen: BadRequest, "NXTTMFC_BAD_OPT_LEN", [X, X, X, X, X, X];
    NxTlvBadFieldIdx: BadRequest, "NXTTMFC_BAD_FIELD_IDX", [X, X, X, X, X, X];
    NxTlvTableFull: BadRequest, "NXTTMFC_TABLE_FULL", [X, X, X, X, X, X];
    NxInvalidTlvField: FlowModFailed, "NXFMFC_INVALID_TLV_FIELD", [X, X, X, X, X, X];
}

/// Kinds that the ONF extensions give an experimenter code: kind, first and last version, code.
static ONF_CODES: &[(ErrorKind, Version, Version, u16)] = {
    use ErrorKind::*;
    use Version::{V12, V13, V14};
    &[
        (BadInstructionDupInst, V12, V13, 2600),
        (BadActionBadSetMask, V13, V14, 4250),
        (BadPropertyTooMany, V13, V13, 4443),
        (BadPropertyDupType, V13, V13, 4444),
        (BadPropertyBadExperimenter, V13, V13, 4445),
        (BadPropertyBadExpType, V13, V13, 4446),
        (BadPropertyBadExpValue, V13, V13, 4447),
        (BadPropertyEperm, V13, V13, 4448),
        (BundleFailedUnknown, V13, V13, 2300),
        (BundleFailedEperm, V13, V13, 2301),
        (BundleFailedBadId, V13, V13, 2302),
        (BundleFailedBundleExist, V13, V13, 2303),
        (BundleFailedBundleClosed, V13, V13, 2304),
        (BundleFailedOutOfBundles, V13, V13, 2305),
        (BundleFailedBadType, V13, V13, 2306),
        (BundleFailedBadFlags, V13, V13, 2307),
        (BundleFailedMsgBadLen, V13, V13, 2308),
        (BundleFailedMsgBadXid, V13, V13, 2309),
        (BundleFailedMsgUnsup, V13, V13, 2310),
        (BundleFailedMsgConflict, V13, V13, 2311),
        (BundleFailedMsgTooMany, V13, V13, 2312),
        (BundleFailedMsgFailed, V13, V13, 2313),
        (BundleFailedTimeout, V13, V13, 2314),
        (BundleFailedBundleInProgress, V13, V13, 2315),
    ]
};

/// Nicira's error type that holds an error of a vendor in 1.0 and 1.1 (`NXET_VENDOR`).
const NXET_VENDOR: u16 = 0xb0c2;

/// Nicira's own errors: kind, `exp_type` of an `OFPET_EXPERIMENTER` error (1.2+), type and code in an
/// `nx_vendor_error` (1.0, 1.1).
static NICIRA_CODES: &[(ErrorKind, u16, [u16; 2])] = &[
    (ErrorKind::NxResumeStale, 35, [1, 534]),
    (ErrorKind::NxTlvBadCommand, 16, [1, 527]),
    (ErrorKind::NxTlvBadOptLen, 17, [1, 528]),
    (ErrorKind::NxTlvBadFieldIdx, 18, [1, 529]),
    (ErrorKind::NxTlvTableFull, 19, [1, 530]),
    (ErrorKind::NxInvalidTlvField, 37, [1, 536]),
];

impl ErrorKind {
    /// The `(type, code)` pair on the wire of `version`, or `None` where that version has no such code.
    pub const fn exact(self, version: Version) -> Option<(u16, u16)> {
        let column = version.column();
        let ty = self.error_type().numbers()[column];
        let code = self.numbers()[column];
        if ty == X || code == X { None } else { Some((ty, code)) }
    }

    /// The `(type, code)` pair to send in `version`: the exact one, or the nearest that the version has.
    ///
    /// The fallbacks are listed in `nearest`; what nothing resembles becomes `OFPBRC_EPERM`, which
    /// every version knows. [`ErrorMsg::of`](crate::message::ErrorMsg::of) prefers an ONF extension
    /// code where there is one.
    pub fn wire(self, version: Version) -> (u16, u16) {
        let mut kind = self;
        // The longest chain in `nearest` has four links; the bound also ends its few two-way links.
        for _ in 0..6 {
            if let Some(pair) = kind.exact(version) {
                return pair;
            }
            kind = kind.nearest(version);
        }
        Self::BadRequestEperm.exact(version).unwrap_or((1, 5))
    }

    /// The ONF extension's experimenter code (`exp_type` of an `OFPET_EXPERIMENTER` error) of a kind
    /// that `version` itself lacks: EXT-230 bundles in 1.3 and the ONF error extensions.
    pub fn onf(self, version: Version) -> Option<u16> {
        ONF_CODES.iter().find(|row| row.0 == self && row.1 <= version && version <= row.2).map(|row| row.3)
    }

    /// The kind that an ONF experimenter error of `version` means.
    pub fn from_onf(version: Version, exp_type: u16) -> Option<Self> {
        ONF_CODES.iter().find(|row| row.3 == exp_type && row.1 <= version && version <= row.2).map(|row| row.0)
    }

    /// The kind to try in the place of one that `version` lacks.
    fn nearest(self, version: Version) -> Self {
        use ErrorKind::*;
        let v10 = version == Version::V10;
        match self {
            BadRequestIsSlave => BadRequestEperm,
            BadRequestBadPort => BadActionBadOutPort,
            BadRequestBadPacket | BadRequestMultipartBufferOverflow => BadRequestBadLen,
            BadRequestMultipartRequestTimeout | BadRequestMultipartReplyTimeout | BadRequestMultipartBadSched => {
                BadRequestBadMultipart
            }
            BadRequestPipelineFieldsOnly => BadMatchBadField,
            BadActionBadOutGroup | BadActionMatchInconsistent | BadActionBadTag | BadActionBadSetArgument => {
                BadActionBadArgument
            }
            BadActionUnsupportedOrder => FlowModFailedUnsupported,
            BadActionBadSetType => BadActionBadType,
            BadActionBadSetLen => BadActionBadLen,
            BadActionBadSetMask => BadActionBadSetArgument,
            BadActionBadMeter => MeterModFailedUnknownMeter,
            BadInstructionUnsupExpInst => BadInstructionBadExperimenter,
            BadInstructionBadExperimenter if v10 => BadActionBadExperimenter,
            BadInstructionBadExpType if v10 => BadActionBadExpType,
            BadInstructionBadExperimenter | BadInstructionBadExpType => BadInstructionUnsupExpInst,
            BadInstructionBadLen if v10 => BadActionBadLen,
            BadInstructionUnknownInst | BadInstructionUnsupInst => BadActionBadType,
            BadInstructionBadLen | BadInstructionDupInst => BadInstructionUnsupInst,
            BadInstructionBadTableId => BadActionBadArgument,
            BadInstructionUnsupMetadata | BadInstructionUnsupMetadataMask => BadActionBadArgument,
            BadMatchBadLen => BadRequestBadLen,
            BadMatchBadMask => BadMatchBadWildcards,
            BadMatchBadPrereq | BadMatchDupField if !v10 => BadMatchBadField,
            BadMatchBadType
            | BadMatchBadTag
            | BadMatchBadDlAddrMask
            | BadMatchBadNwAddrMask
            | BadMatchBadWildcards
            | BadMatchBadField
            | BadMatchBadValue
            | BadMatchBadPrereq
            | BadMatchDupField => FlowModFailedUnsupported,
            FlowModFailedAllTablesFull => FlowModFailedTableFull,
            FlowModFailedTableFull => FlowModFailedAllTablesFull,
            FlowModFailedBadEmergTimeout => FlowModFailedBadTimeout,
            FlowModFailedUnsupported => BadActionUnsupportedOrder,
            FlowModFailedUnknown | FlowModFailedBadTableId | FlowModFailedBadTimeout => FlowModFailedUnsupported,
            FlowModFailedBadFlags if v10 => FlowModFailedUnsupported,
            FlowModFailedBadFlags | FlowModFailedCantSync | FlowModFailedBadPriority => FlowModFailedUnknown,
            FlowModFailedIsSync => FlowModFailedEperm,
            GroupModFailedBadWatch => GroupModFailedWatchUnsupported,
            GroupModFailedUnknownBucket | GroupModFailedBucketExists => GroupModFailedBadBucket,
            GroupModFailedChainedGroup | GroupModFailedBadType | GroupModFailedBadCommand | GroupModFailedBadBucket
                if !v10 =>
            {
                GroupModFailedInvalidGroup
            }
            RoleRequestFailedIdUnsup | RoleRequestFailedIdInUse => RoleRequestFailedUnsup,
            SwitchConfigFailedBadLen => BadRequestBadLen,
            MeterModFailedUnknownMeter => BadActionBadArgument,
            TableFeaturesFailedBadType => BadPropertyBadType,
            TableFeaturesFailedBadLen => BadPropertyBadLen,
            TableFeaturesFailedBadArgument => BadPropertyBadValue,
            TableFeaturesFailedBadCapa
            | TableFeaturesFailedBadMaxEnt
            | TableFeaturesFailedBadFeatures
            | TableFeaturesFailedBadCommand => TableFeaturesFailedBadArgument,
            TableFeaturesFailedTooMany => BadRequestMultipartBufferOverflow,
            BadPropertyBadType if version == Version::V13 => TableFeaturesFailedBadType,
            BadPropertyBadLen if version == Version::V13 => TableFeaturesFailedBadLen,
            BadPropertyBadValue | BadPropertyTooMany | BadPropertyDupType | BadPropertyBadExpValue
                if version == Version::V13 =>
            {
                TableFeaturesFailedBadArgument
            }
            BadPropertyBadLen => BadRequestBadLen,
            BadPropertyBadExperimenter => BadRequestBadExperimenter,
            BadPropertyBadExpType => BadRequestBadExpType,
            other => match other.error_type() {
                ErrorType::GroupModFailed
                | ErrorType::TableModFailed
                | ErrorType::MeterModFailed
                | ErrorType::RoleRequestFailed
                    if !matches!(other, GroupModFailedEperm | TableModFailedEperm) =>
                {
                    BadRequestBadType
                }
                ErrorType::TableFeaturesFailed | ErrorType::FlowMonitorFailed => BadRequestBadMultipart,
                ErrorType::BundleFailed => BadRequestBadType,
                _ => BadRequestEperm,
            },
        }
    }

    /// The kind that `version` writes as `(ty, code)`.
    pub fn from_wire(version: Version, ty: u16, code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.exact(version) == Some((ty, code)))
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.error_type().name(), self.name())
    }
}

/// A refusal: the kind to answer with, and for people where and why.
///
///
///
/// `offset` counts bytes from the start of the message's header; `field` is the specification's name. The answer on
/// the wire is [`ErrorMsg::of`]: OpenFlow 1.3.5 §7.4.4, 1.5.1 §7.5.4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {field} at offset {offset:?}: {reason}")]
pub struct OfError {
    /// The wire error to answer with.
    pub kind: ErrorKind,
    /// Where in the message, if the fault has a place.
    pub offset: Option<usize>,
    /// Which field is wrong, in the specification's words.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: std::borrow::Cow<'static, str>,
}

impl OfError {
    /// A refusal without a place in the bytes (a semantic one).
    pub fn new(kind: ErrorKind, field: &'static str, reason: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { kind, offset: None, field, reason: reason.into() }
    }

    /// A refusal of what stands at `offset`.
    pub fn at(
        kind: ErrorKind,
        offset: usize,
        field: &'static str,
        reason: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Self { kind, offset: Some(offset), field, reason: reason.into() }
    }
}

/// Bytes of the offending message that an error carries (all of a shorter one).
pub const ERROR_DATA_LEN: usize = 64;

impl ErrorMsg {
    /// The error message that answers `offending` (a whole message, header included) with `kind`.
    ///
    /// The specification asks for at least 64 bytes of the offending message, or all of it, and for
    /// none where a multipart sequence was too big or too slow (OpenFlow 1.3.5 §7.4.4).
    pub fn of(kind: ErrorKind, version: Version, offending: &[u8]) -> Self {
        let data = match kind {
            ErrorKind::BadRequestMultipartBufferOverflow
            | ErrorKind::BadRequestMultipartRequestTimeout
            | ErrorKind::BadRequestMultipartReplyTimeout => Bytes::new(),
            _ => Bytes::copy_from_slice(&offending[..offending.len().min(ERROR_DATA_LEN)]),
        };
        if kind.exact(version).is_none()
            && let Some(exp_type) = kind.onf(version)
        {
            return Self { ty: EXPERIMENTER_ERROR, code: exp_type, experimenter: Some(ExperimenterId::ONF), data };
        }
        if let Some((_, exp_type, [ty, code])) = NICIRA_CODES.iter().find(|row| row.0 == kind) {
            if version >= Version::V12 {
                let experimenter = Some(ExperimenterId::NICIRA);
                return Self { ty: EXPERIMENTER_ERROR, code: *exp_type, experimenter, data };
            }
            let vendor = ExperimenterId::NICIRA.0.to_be_bytes();
            let data = [&vendor[..], &ty.to_be_bytes(), &code.to_be_bytes(), &data].concat().into();
            return Self { ty: NXET_VENDOR, code: 0, experimenter: None, data };
        }
        let (ty, code) = kind.wire(version);
        Self { ty, code, experimenter: None, data }
    }

    /// `OFPHFC_INCOMPATIBLE` with a text that says why.
    pub fn hello_failed(text: &str) -> Self {
        let (ty, code) = (0, 0);
        Self { ty, code, experimenter: None, data: Bytes::copy_from_slice(text.as_bytes()) }
    }

    /// The kind that this message means in `version`, if it is one of the specification's or the ONF's.
    pub fn kind(&self, version: Version) -> Option<ErrorKind> {
        match self.experimenter {
            None if self.ty == NXET_VENDOR && version < Version::V12 => {
                let number = |at: usize| Some(u16::from_be_bytes(*self.data.get(at..)?.first_chunk()?));
                let ours = self.data.starts_with(&ExperimenterId::NICIRA.0.to_be_bytes());
                let found = NICIRA_CODES.iter().find(|row| ours && row.2.map(Some) == [number(4), number(6)]);
                found.map(|row| row.0)
            }
            None => ErrorKind::from_wire(version, self.ty, self.code),
            Some(ExperimenterId::ONF) => ErrorKind::from_onf(version, self.code),
            Some(ExperimenterId::NICIRA) => NICIRA_CODES.iter().find(|row| row.1 == self.code).map(|row| row.0),
            Some(_) => None,
        }
    }
}

/// `OFPET_EXPERIMENTER`
pub const EXPERIMENTER_ERROR: u16 = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_wire_form_in_every_version_and_exact_ones_come_back() {
        for version in Version::ALL {
            for kind in ErrorKind::ALL.iter().copied() {
                let (ty, code) = kind.wire(version);
                assert!(ErrorKind::from_wire(version, ty, code).is_some(), "{kind} in {version}: {ty}/{code}");
                if kind.exact(version).is_some() {
                    assert_eq!(ErrorKind::from_wire(version, ty, code), Some(kind));
                }
            }
        }
    }

    #[test]
    fn fallbacks_keep_the_subject() {
        use ErrorKind::*;
        assert_eq!(BadActionBadSetType.wire(Version::V10), (2, 0));
        assert_eq!(FlowModFailedTableFull.wire(Version::V10), (3, 0));
        assert_eq!(BadRequestIsSlave.wire(Version::V10), (1, 5));
        assert_eq!(TableFeaturesFailedBadType.wire(Version::V14), (14, 0));
        assert_eq!(BadPropertyBadLen.wire(Version::V13), (13, 3));
        assert_eq!(GroupModFailedBadType.wire(Version::V11), (6, 1));
    }

    #[test]
    fn a_1_3_bundle_error_is_the_onf_extension_s() {
        let e = ErrorMsg::of(ErrorKind::BundleFailedMsgFailed, Version::V13, &[4, 4, 0, 8, 0, 0, 0, 1]);
        assert_eq!((e.ty, e.code, e.experimenter), (0xffff, 2313, Some(ExperimenterId::ONF)));
        assert_eq!(e.kind(Version::V13), Some(ErrorKind::BundleFailedMsgFailed));
        assert_eq!(ErrorMsg::of(ErrorKind::BundleFailedMsgFailed, Version::V14, &[]).ty, 17);
    }

    #[test]
    fn nicira_s_own_errors_are_written_as_its_own() {
        for version in Version::ALL {
            let e = ErrorMsg::of(ErrorKind::NxResumeStale, version, &[4, 4, 0, 8, 0, 0, 0, 1]);
            assert_eq!(e.kind(version), Some(ErrorKind::NxResumeStale), "{version}");
            let expected = if version < Version::V12 { (0xb0c2, 0, 16) } else { (0xffff, 35, 8) };
            assert_eq!((e.ty, e.code, e.data.len()), expected);
        }
    }

    #[test]
    fn error_data_is_the_first_64_bytes() {
        let long = [7u8; 100];
        assert_eq!(ErrorMsg::of(ErrorKind::BadRequestBadLen, Version::V13, &long).data.len(), 64);
        assert_eq!(ErrorMsg::of(ErrorKind::BadRequestBadLen, Version::V13, &long[..9]).data.len(), 9);
        assert!(ErrorMsg::of(ErrorKind::BadRequestMultipartBufferOverflow, Version::V13, &long).data.is_empty());
    }
}

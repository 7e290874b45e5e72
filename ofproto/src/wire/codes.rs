//! Numbers of the specification's enumerations. A number that isn't listed survives as `Unknown`.

use crate::bundle::BundleCtrlType;
use crate::flow::{FlowModCommand, FlowRemovedReason};
use crate::group::{GroupModCommand, GroupType};
use crate::meter::MeterModCommand;
use crate::monitor::MonitorCommand;
use crate::packet::PacketInReason;
use crate::port::PortReason;
use crate::role::Role;
use crate::version::Version;

macro_rules! codes {
    ($($decode:ident / $encode:ident: $ty:ident as $int:ty { $($n:literal = $variant:ident),* })*) => {$(
        pub(super) fn $decode(n: $int) -> $ty {
            match n { $($n => $ty::$variant,)* n => $ty::Unknown(n) }
        }
        pub(super) fn $encode(x: $ty) -> $int {
            match x { $($ty::$variant => $n,)* $ty::Unknown(n) => n }
        }
    )*};
}

codes! {
    role / role_code: Role as u32 { 0 = NoChange, 1 = Equal, 2 = Master, 3 = Slave }
    group_type / group_type_code: GroupType as u8 { 0 = All, 1 = Select, 2 = Indirect, 3 = FastFailover }
    flow_mod_command / flow_mod_command_code: FlowModCommand as u16 {
        0 = Add, 1 = Modify, 2 = ModifyStrict, 3 = Delete, 4 = DeleteStrict
    }
    meter_mod_command / meter_mod_command_code: MeterModCommand as u16 { 0 = Add, 1 = Modify, 2 = Delete }
    port_reason / port_reason_code: PortReason as u8 { 0 = Add, 1 = Delete, 2 = Modify }
    monitor_command / monitor_command_code: MonitorCommand as u8 { 0 = Add, 1 = Modify, 2 = Delete }
    bundle_ctrl_type / bundle_ctrl_type_code: BundleCtrlType as u16 {
        0 = OpenRequest, 1 = OpenReply, 2 = CloseRequest, 3 = CloseReply,
        4 = CommitRequest, 5 = CommitReply, 6 = DiscardRequest, 7 = DiscardReply
    }
}

/// Insert and remove exist from 1.5 on; add-or-modify is Nicira's number in every version.
pub(super) fn group_mod_command(n: u16, version: Version) -> GroupModCommand {
    match n {
        0 => GroupModCommand::Add,
        1 => GroupModCommand::Modify,
        2 => GroupModCommand::Delete,
        3 if version >= Version::V15 => GroupModCommand::InsertBucket,
        5 if version >= Version::V15 => GroupModCommand::RemoveBucket,
        0x8000 => GroupModCommand::AddOrMod,
        n => GroupModCommand::Unknown(n),
    }
}

/// `None`: the version has no such command.
pub(super) fn group_mod_command_code(command: GroupModCommand, version: Version) -> Option<u16> {
    Some(match command {
        GroupModCommand::Add => 0,
        GroupModCommand::Modify => 1,
        GroupModCommand::Delete => 2,
        GroupModCommand::InsertBucket if version >= Version::V15 => 3,
        GroupModCommand::RemoveBucket if version >= Version::V15 => 5,
        GroupModCommand::InsertBucket | GroupModCommand::RemoveBucket => return None,
        GroupModCommand::AddOrMod => 0x8000,
        GroupModCommand::Unknown(n) => n,
    })
}

/// Why a flow entry went, as `version` numbers it. 1.3 has the eviction extension's number.
pub(super) fn flow_removed_reason(n: u8, version: Version) -> FlowRemovedReason {
    match n {
        0 => FlowRemovedReason::IdleTimeout,
        1 => FlowRemovedReason::HardTimeout,
        2 => FlowRemovedReason::Delete,
        3 if version >= Version::V11 => FlowRemovedReason::GroupDelete,
        4 if version >= Version::V14 => FlowRemovedReason::MeterDelete,
        5 if version >= Version::V13 => FlowRemovedReason::Eviction,
        n => FlowRemovedReason::Unknown(n),
    }
}

/// A reason that a version lacks is reported as `OFPRR_DELETE`.
pub(super) fn flow_removed_reason_code(reason: FlowRemovedReason, version: Version) -> u8 {
    match reason {
        FlowRemovedReason::IdleTimeout => 0,
        FlowRemovedReason::HardTimeout => 1,
        FlowRemovedReason::GroupDelete if version >= Version::V11 => 3,
        FlowRemovedReason::MeterDelete if version >= Version::V14 => 4,
        FlowRemovedReason::Eviction if version >= Version::V13 => 5,
        FlowRemovedReason::Unknown(n) => n,
        _ => 2,
    }
}

/// Why a packet came, as `version` numbers it.
pub(super) fn packet_in_reason(n: u8, version: Version) -> PacketInReason {
    match n {
        0 => PacketInReason::TableMiss,
        1 => PacketInReason::ApplyAction,
        2 if version >= Version::V12 => PacketInReason::InvalidTtl,
        3 if version >= Version::V14 => PacketInReason::ActionSet,
        4 if version >= Version::V14 => PacketInReason::Group,
        5 if version >= Version::V14 => PacketInReason::PacketOut,
        n => PacketInReason::Other(n),
    }
}

/// A reason that a version lacks is reported as `OFPR_ACTION`, of which it is a case.
pub(super) fn packet_in_reason_code(reason: PacketInReason, version: Version) -> u8 {
    match reason {
        PacketInReason::TableMiss => 0,
        PacketInReason::InvalidTtl if version >= Version::V12 => 2,
        PacketInReason::ActionSet if version >= Version::V14 => 3,
        PacketInReason::Group if version >= Version::V14 => 4,
        PacketInReason::PacketOut if version >= Version::V14 => 5,
        PacketInReason::Other(n) => n,
        _ => 1,
    }
}

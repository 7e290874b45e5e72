//! Controller roles and connection status (OpenFlow 1.3.5 §6.3.7, §7.3.9; 1.5.1 §7.2.7, §7.3.8, §7.4.4, §7.4.7).

use crate::group::OtherProp;

/// `ofp_controller_role`: what a controller may do.
///
/// OpenFlow 1.3.5 §6.3.7, §7.3.9; 1.4.1 §7.3.8; 1.5.1 §7.3.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `OFPCR_ROLE_NOCHANGE`
    NoChange,
    /// `OFPCR_ROLE_EQUAL`
    Equal,
    /// `OFPCR_ROLE_MASTER`
    Master,
    /// `OFPCR_ROLE_SLAVE`
    Slave,
    /// Not defined.
    Unknown(u32),
}

/// `ofp_role_request`, the body of role-request and role-reply.
///
/// OpenFlow 1.3.5 §7.3.9, 1.4.1 §7.3.8, 1.5.1 §7.3.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoleMsg {
    /// The role.
    pub role: Role,
    /// 1.5: 0 (`OFPCID_UNDEFINED`) without one.
    pub short_id: u16,
    /// Master election generation.
    pub generation_id: u64,
}

/// `OFPT_ROLE_STATUS` (1.4+; the 1.3 extension EXT-191): the switch changed the controller's role.
///
/// OpenFlow 1.4.1 §7.4.4, 1.5.1 §7.4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleStatus {
    /// New role.
    pub role: Role,
    /// `OFPCRR_*`
    pub reason: u8,
    /// Generation.
    pub generation_id: u64,
    /// Properties.
    pub properties: Vec<OtherProp>,
}

/// `ofp_controller_status` (1.5): how one of the switch's controllers is connected.
///
/// OpenFlow 1.5.1 §7.2.7, §7.3.5.15, §7.4.7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControllerStatus {
    /// The controller's short id.
    pub short_id: u16,
    /// Its role.
    pub role: Role,
    /// `OFPCSR_*`
    pub reason: u8,
    /// `OFPCT_STATUS_UP` (0) or `DOWN` (1).
    pub channel_status: u8,
    /// Properties.
    pub properties: Vec<ControllerStatusProp>,
}

/// A property of a controller's status (`ofp_controller_status_prop_type`).
///
/// OpenFlow 1.5.1 §7.2.7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ControllerStatusProp {
    /// `OFPCSPT_URI`
    Uri(String),
    /// Anything else.
    Other(OtherProp),
}

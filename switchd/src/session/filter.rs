//! Which asynchronous messages a connection gets (OpenFlow 1.3.5 §7.3.10, 1.5.1 §7.3.10).

use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::flow::FlowRemovedReason;
use ofproto::group::OtherProp;
use ofproto::packet::PacketInReason;
use ofproto::port::PortReason;
use ofproto::{ErrorKind, OfError, Version};

const KINDS: [AsyncKind; 8] = [
    AsyncKind::PacketIn,
    AsyncKind::PortStatus,
    AsyncKind::FlowRemoved,
    AsyncKind::RoleStatus,
    AsyncKind::TableStatus,
    AsyncKind::RequestForward,
    AsyncKind::FlowStats,
    AsyncKind::ControllerStatus,
];

/// `OFPTR_VACANCY_DOWN` and `OFPTR_VACANCY_UP`.
const TABLE_REASONS: u32 = 1 << 3 | 1 << 4;

/// The reason masks of a connection: per kind, for master or equal and for slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    version: Version,
    masks: [[u32; 2]; KINDS.len()],
}

/// The reasons that `version` defines for a kind; 0 where it lacks the message.
fn defined(version: Version, kind: AsyncKind) -> u32 {
    let (v14, v15) = (version >= Version::V14, version >= Version::V15);
    match kind {
        AsyncKind::PacketIn => [0b111, 0b11_1111][usize::from(v14)],
        AsyncKind::PortStatus => 0b111,
        AsyncKind::FlowRemoved => [0b1111, 0b11_1111][usize::from(v14)],
        AsyncKind::RoleStatus if v14 => 0b111,
        AsyncKind::TableStatus if v14 => TABLE_REASONS,
        AsyncKind::RequestForward if v14 => 0b11,
        AsyncKind::FlowStats if v15 => 0b11,
        AsyncKind::ControllerStatus if v15 => 0b111_1111,
        _ => 0,
    }
}

/// `version`'s number of a packet-in reason; versions before 1.4 call everything that isn't a miss
/// or a bad TTL an action, and 1.0 and 1.1 have no number for a bad TTL either.
pub fn packet_in_reason(version: Version, reason: PacketInReason) -> u8 {
    let folded = version < Version::V14;
    match reason {
        PacketInReason::TableMiss => 0,
        PacketInReason::ApplyAction => 1,
        PacketInReason::InvalidTtl => 2,
        PacketInReason::ActionSet | PacketInReason::Group | PacketInReason::PacketOut if folded => 1,
        PacketInReason::ActionSet => 3,
        PacketInReason::Group => 4,
        PacketInReason::PacketOut => 5,
        PacketInReason::Other(n) => n,
    }
}

/// `version`'s number of a flow-removed reason.
pub fn flow_removed_reason(version: Version, reason: FlowRemovedReason) -> u8 {
    match reason {
        FlowRemovedReason::IdleTimeout => 0,
        FlowRemovedReason::HardTimeout => 1,
        FlowRemovedReason::Delete => 2,
        FlowRemovedReason::GroupDelete if version >= Version::V11 => 3,
        FlowRemovedReason::MeterDelete if version >= Version::V14 => 4,
        FlowRemovedReason::Eviction if version >= Version::V14 => 5,
        FlowRemovedReason::GroupDelete | FlowRemovedReason::MeterDelete | FlowRemovedReason::Eviction => 2,
        FlowRemovedReason::Unknown(n) => n,
    }
}

/// The number of a port-status reason.
pub fn port_reason(reason: PortReason) -> u8 {
    match reason {
        PortReason::Add => 0,
        PortReason::Delete => 1,
        PortReason::Modify => 2,
        PortReason::Unknown(n) => n,
    }
}

impl Filter {
    /// What a connection gets before it says otherwise. Table-status and requestforward are off,
    /// 1.5's triggered flow statistics are on because a flow asked for them.
    pub fn defaults(version: Version) -> Self {
        let mut masks = [[0; 2]; KINDS.len()];
        for (slot, kind) in masks.iter_mut().zip(KINDS) {
            let all = defined(version, kind);
            *slot = match kind {
                AsyncKind::PacketIn => [all & !(1 << 2), 0],
                AsyncKind::PortStatus | AsyncKind::ControllerStatus => [all, all],
                AsyncKind::FlowRemoved | AsyncKind::FlowStats => [all, 0],
                AsyncKind::RoleStatus | AsyncKind::TableStatus | AsyncKind::RequestForward => [0, 0],
            };
        }
        Self { version, masks }
    }

    /// Nothing at all: a service connection that only asks.
    pub fn silent(version: Version) -> Self {
        Self { version, masks: [[0; 2]; KINDS.len()] }
    }

    /// Whether a message of `kind` with `reason` (the version's number) goes to a connection that is
    /// a `slave` or not.
    pub fn wants(&self, kind: AsyncKind, reason: u8, slave: bool) -> bool {
        let place = KINDS.iter().position(|k| *k == kind).unwrap_or(0);
        reason < 32 && self.masks[place][usize::from(slave)] & (1 << reason) != 0
    }

    /// Sets one mask, keeping to what the version defines.
    pub fn set(&mut self, kind: AsyncKind, master: bool, mask: u32) {
        let place = KINDS.iter().position(|k| *k == kind).unwrap_or(0);
        self.masks[place][usize::from(!master)] = mask & defined(self.version, kind);
    }

    /// `OFPC_INVALID_TTL_TO_CONTROLLER` of 1.1 and 1.2's switch configuration. A slave gets no packets all the same.
    pub fn set_invalid_ttl(&mut self, on: bool) {
        let mask = &mut self.masks[0][0];
        if on { *mask |= 1 << 2 } else { *mask &= !(1 << 2) }
    }

    /// Whether packets with an invalid TTL are sent to the master.
    pub fn invalid_ttl(&self) -> bool {
        self.masks[0][0] & (1 << 2) != 0
    }

    /// Carries out set-async: all of it, or an error and nothing. Masks that aren't named stay.
    pub fn apply(&mut self, config: &AsyncConfig) -> Result<(), OfError> {
        let mut next = self.clone();
        let mut named = Vec::new();
        for prop in &config.props {
            match prop {
                AsyncProp::Reasons { kind, master, mask } => {
                    if named.contains(&(kind, master)) {
                        return Err(OfError::new(ErrorKind::BadPropertyDupType, "property type", "two of one type"));
                    }
                    named.push((kind, master));
                    let known = defined(self.version, *kind);
                    if known == 0 {
                        return Err(OfError::new(
                            ErrorKind::AsyncConfigFailedUnsupported,
                            "type",
                            format!("OpenFlow {} has no {kind:?} messages", self.version),
                        ));
                    }
                    // 1.3 has no error for it, and its controllers set bits of later versions.
                    if mask & !known != 0 && self.version >= Version::V14 {
                        return Err(OfError::new(
                            ErrorKind::AsyncConfigFailedInvalid,
                            "mask",
                            format!("{kind:?} has the reasons {known:#x}, the mask has {mask:#x}"),
                        ));
                    }
                    next.set(*kind, *master, *mask);
                }
                AsyncProp::Other(OtherProp::Experimenter(p)) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadExperimenter,
                        "experimenter",
                        format!("no asynchronous messages of experimenter {} exist", p.experimenter),
                    ));
                }
                AsyncProp::Other(OtherProp::Unknown(p)) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadType,
                        "type",
                        format!("property {} is not defined", p.ty),
                    ));
                }
            }
        }
        *self = next;
        Ok(())
    }

    /// The body of get-async-reply: every kind that the version has, slave before master as the
    /// property numbers go.
    pub fn config(&self) -> AsyncConfig {
        let mut props = Vec::new();
        for (kind, masks) in KINDS.into_iter().zip(self.masks) {
            if defined(self.version, kind) != 0 {
                props.push(AsyncProp::Reasons { kind, master: false, mask: masks[1] });
                props.push(AsyncProp::Reasons { kind, master: true, mask: masks[0] });
            }
        }
        AsyncConfig { props }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::group::UnknownProp;

    fn mask(kind: AsyncKind, master: bool, mask: u32) -> AsyncConfig {
        AsyncConfig { props: vec![AsyncProp::Reasons { kind, master, mask }] }
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let f = Filter::defaults(Version::V13);
        assert!(f.wants(AsyncKind::PacketIn, 0, false) && f.wants(AsyncKind::PacketIn, 1, false));
        assert!(!f.wants(AsyncKind::PacketIn, 2, false), "invalid TTL is off");
        assert!(!f.wants(AsyncKind::PacketIn, 0, true) && !f.wants(AsyncKind::FlowRemoved, 0, true));
        assert!(f.wants(AsyncKind::PortStatus, 2, true));
        let f = Filter::defaults(Version::V15);
        assert!(f.wants(AsyncKind::PacketIn, 5, false) && f.wants(AsyncKind::FlowRemoved, 5, false));
        assert!(!f.wants(AsyncKind::RoleStatus, 0, false) && !f.wants(AsyncKind::RequestForward, 0, false));
        assert!(f.wants(AsyncKind::ControllerStatus, 1, true));
    }

    #[test]
    fn a_mask_that_is_not_named_stays() {
        let mut f = Filter::defaults(Version::V14);
        f.apply(&mask(AsyncKind::PacketIn, true, 0b100)).unwrap();
        assert!(f.wants(AsyncKind::PacketIn, 2, false) && !f.wants(AsyncKind::PacketIn, 0, false));
        assert!(f.wants(AsyncKind::PortStatus, 0, false));
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut f = Filter::defaults(Version::V14);
        let before = f.clone();
        let mut both = mask(AsyncKind::PacketIn, true, 0);
        both.props.extend(mask(AsyncKind::PortStatus, true, 1 << 9).props);
        assert_eq!(f.apply(&both).unwrap_err().kind, ErrorKind::AsyncConfigFailedInvalid);
        assert_eq!(f, before);
        let e = f.apply(&mask(AsyncKind::ControllerStatus, true, 1)).unwrap_err();
        assert_eq!(e.kind, ErrorKind::AsyncConfigFailedUnsupported);
        let unknown = OtherProp::Unknown(UnknownProp { ty: 99, data: bytes::Bytes::new() });
        let e = f.apply(&AsyncConfig { props: vec![AsyncProp::Other(unknown)] }).unwrap_err();
        assert_eq!(e.kind, ErrorKind::BadPropertyBadType);
    }

    #[test]
    fn invalid_ttls_of_1_2_are_for_others_than_slaves() {
        let mut f = Filter::defaults(Version::V12);
        f.set_invalid_ttl(true);
        assert!(f.wants(AsyncKind::PacketIn, 2, false) && !f.wants(AsyncKind::PacketIn, 2, true));
        f.set_invalid_ttl(false);
        assert!(!f.wants(AsyncKind::PacketIn, 2, false) && f.wants(AsyncKind::PacketIn, 0, false));
    }

    #[test]
    fn an_earlier_version_ignores_later_bits() {
        let mut f = Filter::defaults(Version::V13);
        f.apply(&mask(AsyncKind::PacketIn, true, 0b11_1101)).unwrap();
        assert_eq!(f.config().props[1], AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 0b101 });
        assert_eq!(f.config().props.len(), 6);
        assert_eq!(Filter::defaults(Version::V15).config().props.len(), 16);
    }

    #[test]
    fn reasons_fold_for_versions_that_lack_them() {
        assert_eq!(packet_in_reason(Version::V13, PacketInReason::Group), 1);
        assert_eq!(packet_in_reason(Version::V14, PacketInReason::Group), 4);
        assert_eq!(flow_removed_reason(Version::V13, FlowRemovedReason::MeterDelete), 2);
        assert_eq!(flow_removed_reason(Version::V10, FlowRemovedReason::GroupDelete), 2);
        assert_eq!(flow_removed_reason(Version::V14, FlowRemovedReason::Eviction), 5);
    }
}

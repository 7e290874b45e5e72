//! The switch's ports as the pipeline and the controllers see them. Frames are moved elsewhere.

use super::{Control, Event};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::ids::PortNo;
use ofproto::port::{Port, PortConfig, PortDescProp, PortFeatures, PortMod, PortModProp, PortReason, PortState};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Frames that a port's configuration or state kept from coming in or going out. Few and cold: every
/// worker adds to the same words, unlike to the counters of frames that pass.
#[derive(Debug, Default)]
pub struct PortDrops {
    received: AtomicU64,
    sent: AtomicU64,
}

impl PortDrops {
    pub(crate) fn count(&self, sending: bool) {
        let word = if sending { &self.sent } else { &self.received };
        word.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames dropped as they came in.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Frames dropped on their way out.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Counters don't make ports different.
impl PartialEq for PortDrops {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A port of the published state.
#[derive(Clone, Debug, PartialEq)]
pub struct PortEntry {
    /// Its description: number, address, name, configuration, state.
    pub desc: Port,
    /// The owner's number for whatever moves its frames.
    pub backend: u32,
    /// When it was added.
    pub created: crate::clock::Time,
    /// What it dropped since it was added.
    pub drops: Arc<PortDrops>,
}

impl PortEntry {
    /// Live for groups: not administratively down, and with a link (OpenFlow 1.3.5 §6.5).
    pub fn is_live(&self) -> bool {
        !self.desc.config.contains(PortConfig::PORT_DOWN) && !self.desc.state.contains(PortState::LINK_DOWN)
    }
}

/// All ports of one version. Copied on write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortTable {
    ports: BTreeMap<PortNo, Arc<PortEntry>>,
}

impl PortTable {
    /// The port with this number.
    #[inline]
    pub fn get(&self, port: PortNo) -> Option<&PortEntry> {
        self.ports.get(&port).map(|p| &**p)
    }

    /// All ports, by number.
    pub fn iter(&self) -> impl Iterator<Item = (PortNo, &PortEntry)> {
        self.ports.iter().map(|(n, p)| (*n, &**p))
    }

    /// Whether a watched port counts as live: it exists and is up.
    pub fn is_live(&self, port: PortNo) -> bool {
        self.get(port).is_some_and(PortEntry::is_live)
    }

    /// How many ports there are.
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
}

impl crate::group::Liveness for PortTable {
    fn port_live(&self, port: PortNo) -> bool {
        self.is_live(port)
    }
}

impl Control {
    /// Adds a port, or gives a port that exists a new description. Flow and group tables stay as
    /// they are (OpenFlow 1.3.5 §4.6). `OFPPS_LIVE` is set here, from link and configuration.
    ///
    /// # Errors
    /// `OFPPMFC_BAD_PORT` if the number is reserved (`LOCAL` is allowed).
    pub fn add_port(&mut self, desc: Port, backend: u32, now: crate::clock::Time) -> Result<(), OfError> {
        let number = desc.port_no;
        if !number.is_ordinary() && number != PortNo::LOCAL {
            return Err(OfError::new(ErrorKind::PortModFailedBadPort, "port_no", format!("{number} is reserved")));
        }
        let old = self.state.ports.get(number).map(|p| (p.created, Arc::clone(&p.drops)));
        let reason = if old.is_some() { PortReason::Modify } else { PortReason::Add };
        let (created, drops) = old.unwrap_or_else(|| (now, Arc::default()));
        self.put_port(PortEntry { desc, backend, created, drops }, reason, false);
        self.finish(now);
        Ok(())
    }

    /// Takes a port away; whether it was there.
    pub fn remove_port(&mut self, port: PortNo, now: crate::clock::Time) -> bool {
        let mut table = PortTable::clone(&self.state.ports);
        let Some(old) = table.ports.remove(&port) else { return false };
        self.state.ports = Arc::new(table);
        self.state_changed = true;
        self.stage(Event::PortStatus { reason: PortReason::Delete, port: old.desc.clone(), by_request: false });
        self.finish(now);
        true
    }

    /// Sets what the outside (the kernel, an administrator) says of a port; whether it was there.
    /// Nothing is told if nothing changed.
    pub fn update_port(&mut self, port: PortNo, now: crate::clock::Time, update: impl FnOnce(&mut Port)) -> bool {
        let Some(old) = self.state.ports.get(port) else { return false };
        let mut new = old.clone();
        update(&mut new.desc);
        new.desc.port_no = port;
        set_live(&mut new.desc);
        if new != *old {
            self.put_port(new, PortReason::Modify, false);
            self.finish(now);
        }
        true
    }

    /// Descriptions of all ports, by number.
    pub fn port_descs(&self) -> Vec<Port> {
        self.state.ports.iter().map(|(_, p)| p.desc.clone()).collect()
    }

    /// The ports as published (or, inside a transaction, as they will be).
    pub fn ports(&self) -> &Arc<PortTable> {
        &self.state.ports
    }

    /// Carries out a port-mod (OpenFlow 1.3.5 §7.3.4.3).
    ///
    /// # Errors
    /// `OFPPMFC_BAD_PORT`, `BAD_HW_ADDR`, `BAD_CONFIG`, `BAD_ADVERTISE`; nothing is changed then.
    pub fn port_mod(&mut self, version: Version, m: &PortMod, now: crate::clock::Time) -> Result<(), OfError> {
        self.atomically(now, |c| c.apply_port_mod(version, m))
    }

    pub(super) fn apply_port_mod(&mut self, version: Version, m: &PortMod) -> Result<(), OfError> {
        let Some(old) = self.state.ports.get(m.port_no) else {
            return Err(OfError::new(
                ErrorKind::PortModFailedBadPort,
                "port_no",
                format!("there is no port {}", m.port_no),
            ));
        };
        if m.hw_addr != old.desc.hw_addr {
            return Err(OfError::new(
                ErrorKind::PortModFailedBadHwAddr,
                "hw_addr",
                format!("port {} has {}, not {}", m.port_no, old.desc.hw_addr, m.hw_addr),
            ));
        }
        let known = config_bits(version);
        if let Some(bad) = Some((m.mask | m.config) - known).filter(|b| !b.is_empty()) {
            return Err(OfError::new(
                ErrorKind::PortModFailedBadConfig,
                if (m.mask - known).is_empty() { "config" } else { "mask" },
                format!("bits {:#x} are not defined", bad.bits()),
            ));
        }
        let mut new = old.clone();
        new.desc.config = (old.desc.config - m.mask) | (m.config & m.mask);
        if version > Version::V10 && m.mask.contains(PortConfig::NO_RECV) {
            // All frames, where 1.0 has 802.1D's apart.
            new.desc.config.set(PortConfig::NO_RECV_STP, m.config.contains(PortConfig::NO_RECV));
        }
        for p in &m.properties {
            match p {
                PortModProp::Ethernet(f) if f.is_empty() => {}
                PortModProp::Ethernet(f) => {
                    let Some(PortDescProp::Ethernet(e)) =
                        new.desc.properties.iter_mut().find(|p| matches!(p, PortDescProp::Ethernet(_)))
                    else {
                        return Err(OfError::new(
                            ErrorKind::PortModFailedBadAdvertise,
                            "advertise",
                            "the port is not an Ethernet port",
                        ));
                    };
                    let unknown = f.bits() & !0xffff;
                    if unknown != 0 {
                        return Err(OfError::new(
                            ErrorKind::PortModFailedBadAdvertise,
                            "advertise",
                            format!("bits {unknown:#x} are not defined"),
                        ));
                    }
                    if !(*f - e.supported).is_empty() && e.supported != PortFeatures::empty() {
                        return Err(OfError::new(
                            ErrorKind::PortModFailedBadAdvertise,
                            "advertise",
                            format!("features {:#x} are not supported by the port", (*f - e.supported).bits()),
                        ));
                    }
                    e.advertised = *f;
                }
                PortModProp::Optical(_) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadType,
                        "properties",
                        "the port is not an optical port",
                    ));
                }
                PortModProp::Other(ofproto::group::OtherProp::Experimenter(_)) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadExperimenter,
                        "properties",
                        "no experimenter property is known",
                    ));
                }
                PortModProp::Other(_) => {
                    return Err(OfError::new(ErrorKind::BadPropertyBadType, "properties", "not a known property"));
                }
            }
        }
        set_live(&mut new.desc);
        if new != *old {
            self.put_port(new, PortReason::Modify, true);
        }
        Ok(())
    }

    fn put_port(&mut self, mut entry: PortEntry, reason: PortReason, by_request: bool) {
        set_live(&mut entry.desc);
        let mut table = PortTable::clone(&self.state.ports);
        let port = entry.desc.clone();
        table.ports.insert(port.port_no, Arc::new(entry));
        self.state.ports = Arc::new(table);
        self.state_changed = true;
        if reason == PortReason::Add {
            // What was allowed for a port to come may not be for the one that came.
            self.behaviours.forget();
        }
        self.stage(Event::PortStatus { reason, port, by_request });
    }
}

/// The bits of a port's configuration that a version has (OpenFlow 1.0.0 §5.2.1, 1.3.5 §7.2.1); the others are
/// not to be shown to its controllers.
pub fn config_bits(version: Version) -> PortConfig {
    let all = PortConfig::PORT_DOWN | PortConfig::NO_RECV | PortConfig::NO_FWD | PortConfig::NO_PACKET_IN;
    if version > Version::V10 {
        return all;
    }
    all | PortConfig::NO_FLOOD | PortConfig::NO_STP | PortConfig::NO_RECV_STP
}

fn set_live(port: &mut Port) {
    let dead = port.config.contains(PortConfig::PORT_DOWN) || port.state.contains(PortState::LINK_DOWN);
    port.state.set(PortState::LIVE, !dead);
}

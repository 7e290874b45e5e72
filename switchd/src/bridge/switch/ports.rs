//! The switch's ports: their coming and going, their configuration, queues and counters, and what must pass
//! through them for the controllers' sake.

use super::{Packets, Switch};
use crate::ports::PortEvent;
use datapath::clock::Time;
use datapath::control::ports::PortEntry;
use datapath::engine::InBand;
use datapath::port::PortCounters;
use ofproto::ids::{PortNo, QueueId};
use ofproto::port::{EthernetStats, PortConfig, PortStats, PortStatsProp};
use ofproto::{ErrorKind, OfError, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

impl<P: Packets> Switch<P> {
    /// Every port's configuration that isn't empty, by its interface's name; of ports that haven't come
    /// since the restart, too.
    pub(in crate::bridge) fn port_configs(&self) -> BTreeMap<String, PortConfig> {
        let mut configs = self.kept_ports.clone();
        for (_, port) in self.control.ports().iter() {
            configs.insert(port.desc.name.clone(), port.desc.config);
        }
        configs.retain(|_, config| !config.is_empty());
        configs
    }

    /// Remembers what ports are to be configured as when they come.
    pub(in crate::bridge) fn keep_port_configs(&mut self, ports: Vec<(String, PortConfig)>) {
        self.kept_ports = ports.into_iter().collect();
    }

    /// Lets pass what reaching the controllers takes, as far as it is known.
    pub(super) fn note_in_band(&mut self, now: Time) {
        if self.config.in_band.is_empty() {
            return self.control.set_in_band(now, None);
        }
        let once = |all: &mut dyn Iterator<Item = IpAddr>| all.collect::<BTreeSet<_>>().into_iter().collect();
        let own = once(&mut self.ways.values().map(|way| way.own));
        let routers = once(&mut self.ways.values().filter_map(|way| way.router));
        let local = self.control.ports().get(PortNo::LOCAL).map(|p| p.desc.hw_addr.0);
        let controllers = self.config.in_band.clone();
        self.control.set_in_band(now, Some(InBand { local, own, controllers, routers }));
    }

    /// A port's counters: its frames' mover's, and what its configuration kept from passing.
    pub(in crate::bridge) fn port_counters(&self, no: PortNo, entry: &PortEntry) -> Option<PortCounters> {
        let mut c = self.packets.port_counters(no)?;
        c.rx_dropped = c.rx_dropped.wrapping_add(entry.drops.received());
        c.tx_dropped = c.tx_dropped.wrapping_add(entry.drops.sent());
        Some(c)
    }

    pub(super) fn port_stats(&self, now: Time, port: PortNo) -> Result<Vec<PortStats>, OfError> {
        let ports = Arc::clone(self.control.ports());
        let of = |no: PortNo, entry: &PortEntry| {
            let c = self.port_counters(no, entry).unwrap_or_default();
            let age = now.since(entry.created);
            PortStats {
                port_no: no,
                duration_sec: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
                duration_nsec: age.subsec_nanos(),
                rx_packets: c.rx_packets,
                tx_packets: c.tx_packets,
                rx_bytes: c.rx_bytes,
                tx_bytes: c.tx_bytes,
                rx_dropped: c.rx_dropped,
                tx_dropped: c.tx_dropped,
                rx_errors: c.rx_errors,
                tx_errors: c.tx_errors,
                // The kernel keeps these, per interface; a port doesn't know them.
                properties: vec![PortStatsProp::Ethernet(EthernetStats {
                    rx_frame_err: u64::MAX,
                    rx_over_err: u64::MAX,
                    rx_crc_err: u64::MAX,
                    collisions: u64::MAX,
                })],
            }
        };
        if port == PortNo::ANY {
            return Ok(ports.iter().map(|(no, p)| of(no, p)).collect());
        }
        match ports.get(port) {
            Some(p) => Ok(vec![of(port, p)]),
            None => Err(no_port(ErrorKind::BadRequestBadPort, port)),
        }
    }

    /// Whether what a request names exists; all queues of a port without any are none, and no error.
    pub(super) fn queue_check(&self, version: Version, port: PortNo, queue: QueueId) -> Result<(), OfError> {
        // Of all ports: 1.0's statistics say it so.
        let all = port == PortNo::ANY || version == Version::V10 && port == PortNo::ALL;
        if !all && self.control.ports().get(port).is_none() {
            return Err(no_port(ErrorKind::QueueOpFailedBadPort, port));
        }
        if queue != QueueId::ALL && !self.queues.has(port, queue) {
            let reason = format!("port {port} has no queue {queue}");
            return Err(OfError::new(ErrorKind::QueueOpFailedBadQueue, "queue_id", reason));
        }
        Ok(())
    }

    /// Something happened to a port.
    pub(super) fn port_happened(&mut self, now: Time, event: PortEvent) {
        self.changed(now);
        match event {
            PortEvent::Added(mut port) => {
                // A port that comes again keeps the configuration that controllers gave it.
                let known = self.control.ports().get(port.port_no).map(|p| p.desc.config);
                let kept = self.kept_ports.remove(&port.name);
                let number = port.port_no;
                port.config = known.or(kept).unwrap_or(PortConfig::empty());
                if kept.is_some() && port.config.contains(PortConfig::PORT_DOWN) && self.down.insert(number) {
                    self.packets.set_port_up(number, false);
                }
                if let Err(e) = self.control.add_port(port, number.0, now) {
                    tracing::error!(bridge = self.config.name, port = %number, error = %e, "the port can't be added");
                }
            }
            PortEvent::Changed(new) => {
                self.control.update_port(new.port_no, now, |port| {
                    let config = port.config;
                    *port = new;
                    port.config = config;
                });
            }
            PortEvent::Removed(number) => {
                self.control.remove_port(number, now);
                self.queues.set(now, number, &[]);
                self.note_queues();
                self.down.remove(&number);
            }
            PortEvent::Queues(number, queues) => {
                self.queues.set(now, number, &queues);
                self.note_queues();
            }
        }
        self.note_in_band(now);
    }

    /// Tells control which queues actions may name.
    pub(in crate::bridge) fn note_queues(&mut self) {
        self.control.set_queues(Some(self.queues.iter().map(|(port, q)| (q.id, port)).collect()));
    }
}

pub(super) fn no_port(kind: ErrorKind, port: PortNo) -> OfError {
    OfError::new(kind, "port_no", format!("there is no port {port}"))
}

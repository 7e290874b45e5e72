//! Bundles: many modifications, one version.

use super::Control;
use crate::clock::Time;
use ofproto::Version;
use ofproto::error::OfError;
use ofproto::flow::FlowMod;
use ofproto::group::GroupMod;
use ofproto::meter::MeterMod;
use ofproto::port::PortMod;
use ofproto::table::TableMod;

/// A request that changes the switch's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modification {
    /// A flow-mod.
    Flow(FlowMod),
    /// A group-mod.
    Group(GroupMod),
    /// A meter-mod.
    Meter(MeterMod),
    /// A port-mod.
    Port(PortMod),
    /// A table-mod.
    Table(TableMod),
}

/// A request of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleMessage {
    /// The version by whose rules it is carried out.
    pub version: Version,
    /// The request.
    pub request: Modification,
}

impl Control {
    /// Carries out one request.
    ///
    /// # Errors
    /// As the request's own method; nothing is changed then.
    pub fn modify(&mut self, version: Version, request: &Modification, now: Time) -> Result<(), OfError> {
        match request {
            Modification::Flow(m) => self.flow_mod(version, m, now).map(|_| ()),
            Modification::Group(m) => self.group_mod(version, m, now),
            Modification::Meter(m) => self.meter_mod(version, m, now),
            Modification::Port(m) => self.port_mod(version, m, now),
            Modification::Table(m) => self.table_mod(version, m, now),
        }
    }

    /// Carries out all of a bundle's requests, in order, as one version.
    ///
    /// # Errors
    /// The first request refused, by its place, and why; nothing is changed then.
    pub fn commit_bundle(&mut self, messages: &[BundleMessage], now: Time) -> Result<(), (usize, OfError)> {
        self.atomically(now, |c| {
            for (i, m) in messages.iter().enumerate() {
                c.modify(m.version, &m.request, now).map_err(|e| (i, e))?;
            }
            Ok(())
        })
    }
}

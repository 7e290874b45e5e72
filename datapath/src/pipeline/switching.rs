//! What the learning switch does with a packet, for the interpreter, the cache's replay and compiled segments alike.

use super::{DropReason, Env, PortFacts, View};
use crate::key::word;
use crate::normal::Where;
use crate::packet::Packet;
use crate::parse::{be32, be64, ethertype};
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use ofproto::port::{PortConfig, PortState};
use smallvec::SmallVec;

/// The addresses of a frame, and its VLAN (0: untagged).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) dst: u64,
    pub(crate) src: u64,
    pub(crate) vlan: u16,
}

impl Addresses {
    /// Of a packet.
    pub(crate) fn of(packet: &Packet) -> Self {
        let vlan = packet.field(FieldId::VlanVid).map_or(0, |v| v as u16 & 0xfff);
        let [dst, src] = [word::ETH_DST_TYPE, word::ETH_SRC_VLAN].map(|w| packet.key.0[w] >> 16);
        Self { dst, src, vlan }
    }

    /// Of a frame of at least 14 bytes, as the parser would say; zero of a shorter one.
    #[inline]
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let (Some(dst), Some(src)) = (be64(bytes, 0), be64(bytes, 6)) else { return Self::default() };
        let vlan = match src as u16 {
            ethertype::VLAN | ethertype::QINQ => be32(bytes, 14).map_or(0, |tag| (tag >> 16) as u16 & 0xfff),
            _ => 0,
        };
        Self { dst: dst >> 16, src: src >> 16, vlan }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Switched {
    /// It goes to this port, if that may send.
    To(PortNo),
    /// It is where it belongs.
    Home,
    /// It goes to every port that it may.
    Flood,
}

/// Learns from a packet, and asks where it goes.
pub(crate) fn learn_and_switch<'v>(view: impl View<'v>, env: Env<'v>, in_port: PortNo, a: Addresses) -> Switched {
    if !env.dry && view.port(in_port).is_some() {
        env.normal.learn_at(env.normal.station(a.vlan, a.src), in_port, env.now);
    }
    match env.normal.find_at(env.normal.station(a.vlan, a.dst), env.now) {
        Where::Port(p) if p == in_port => Switched::Home,
        Where::Port(p) if view.port(p).is_some() => Switched::To(p),
        Where::Port(_) | Where::Flood => Switched::Flood,
    }
}

/// Every port but the ingress port, as far as it may send, and if it is to `flood`, not those spared from that.
pub(crate) fn all_ports<'v>(view: impl View<'v>, in_port: PortNo, flood: bool) -> SmallVec<[PortNo; 16]> {
    let mut ports = SmallVec::new();
    view.each_port(&mut |p: PortFacts| {
        let spared = flood && (p.config.contains(PortConfig::NO_FLOOD) || p.state.contains(PortState::BLOCKED));
        if p.no != in_port && p.is_up() && !p.config.contains(PortConfig::NO_FWD) && !spared {
            ports.push(p.no);
        }
    });
    ports
}

/// Why a port may not send, if so.
pub(crate) fn may_not_send<'v>(view: impl View<'v>, port: PortNo) -> Option<DropReason> {
    match view.port(port) {
        None => Some(DropReason::NoSuchPort),
        Some(p) if !p.is_up() => Some(DropReason::PortDown),
        Some(p) if p.config.contains(PortConfig::NO_FWD) => Some(DropReason::PortNoFwd),
        Some(_) => None,
    }
}

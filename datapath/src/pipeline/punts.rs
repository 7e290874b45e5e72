//! Packets on their way out of the walk to the controllers: why, in whose name, and as which frames.

use super::walk::{Flow, Origin, Walk};
use super::{DropReason, Event, Observer, Sink, View};
use crate::cache::{PuntStep, Step};
use crate::frame::Frame;
use crate::meter::{Meter, Verdict};
use crate::program::Op;
use crate::punt::Punt;
use bytes::Bytes;
use ofproto::continuation::Continuation;
use ofproto::ids::{Cookie, MeterId, PortNo, TableId};
use ofproto::packet::PacketInReason;
use ofproto::port::PortConfig;
use std::sync::Arc;

impl<'v, V: View<'v>, S: Sink, O: Observer> Walk<'v, '_, '_, V, S, O> {
    pub(super) fn invalid_ttl(&mut self, op: &Op) -> Flow {
        let ids: &[u16] = match op {
            Op::DecNwTtl(ids) if !ids.is_empty() => ids,
            _ => &[0],
        };
        self.accounted = true;
        self.lose(DropReason::InvalidTtl, None);
        self.note(|| Event::Drop { reason: DropReason::InvalidTtl });
        // A packet of the same key may have a TTL: this end is the replay's to find.
        self.refuse();
        for id in ids {
            self.send_punt(PacketInReason::InvalidTtl, self.settings.miss_send_len, *id, None, None);
        }
        Flow::Leave
    }

    /// A packet-in in the name of what is being executed. `reason` is a Nicira action's own.
    pub(super) fn punt_by(
        &mut self,
        max_len: u16,
        controller_id: u16,
        reason: Option<u8>,
        userdata: Option<Bytes>,
        meter: Option<Arc<Meter>>,
    ) {
        let Some(reason) = self.reason(reason) else { return };
        let (table, cookie) = (self.table, self.cookie);
        self.step(|| {
            let (userdata, meter) = (userdata.clone(), meter.clone());
            Step::Punt(Box::new(PuntStep { reason, table, cookie, max_len, controller_id, userdata, meter }))
        });
        self.send_punt(reason, max_len, controller_id, userdata, meter);
    }

    /// Why a packet goes to the controllers; none if its port doesn't let it.
    pub(super) fn reason(&mut self, named: Option<u8>) -> Option<PacketInReason> {
        let reason = match (named, self.origin) {
            (Some(0), _) | (None, Origin::TableMiss) => PacketInReason::TableMiss,
            (Some(1), _) | (None, Origin::Apply) => PacketInReason::ApplyAction,
            (Some(2), _) => PacketInReason::InvalidTtl,
            (Some(n), _) => PacketInReason::Other(n),
            (None, Origin::ActionSet) => PacketInReason::ActionSet,
            (None, Origin::Group) => PacketInReason::Group,
            (None, Origin::PacketOut) => PacketInReason::PacketOut,
        };
        if reason == PacketInReason::TableMiss
            && self.view.port(self.in_port()).is_some_and(|p| p.config.contains(PortConfig::NO_PACKET_IN))
        {
            self.drop(DropReason::TableMiss);
            return None;
        }
        Some(reason)
    }

    fn send_punt(
        &mut self,
        reason: PacketInReason,
        max_len: u16,
        controller_id: u16,
        userdata: Option<Bytes>,
        meter: Option<Arc<Meter>>,
    ) {
        let (table, cookie) = (self.table, self.cookie);
        let what = PuntWhat { reason, table, cookie, max_len, controller_id, userdata, meter, paused: None };
        self.send_what(what);
    }

    pub(super) fn send_what(&mut self, what: PuntWhat) {
        self.accounted = true;
        let (reason, max_len) = (what.reason, what.max_len);
        self.note(|| Event::Controller { reason, max_len });
        let virtual_meter = self.view.meters().get(MeterId::CONTROLLER);
        if self.env.dry {
            hand_over(self.packet, &what, self.sink);
            return;
        }
        if !punt(self.packet, what, virtual_meter, self.env.writer, self.env.now, self.sink) {
            self.lose(DropReason::ControllerQueue, None);
        }
    }
}

/// A packet-in's circumstances.
pub(crate) struct PuntWhat {
    pub(crate) reason: PacketInReason,
    pub(crate) table: TableId,
    pub(crate) cookie: Cookie,
    pub(crate) max_len: u16,
    pub(crate) controller_id: u16,
    pub(crate) userdata: Option<Bytes>,
    pub(crate) meter: Option<Arc<Meter>>,
    pub(crate) paused: Option<Box<Continuation>>,
}

fn make_punt(packet: &crate::packet::Packet, frame: Frame, what: &PuntWhat) -> Punt {
    Punt {
        reason: what.reason,
        table: what.table,
        cookie: what.cookie,
        key: packet.key,
        frame,
        max_len: what.max_len,
        controller_id: what.controller_id,
        userdata: what.userdata.clone(),
        paused: what.paused.clone(),
    }
}

/// Hands a packet to the controllers as frames that a wire could carry: checksums finished, a super-frame
/// as its segments. False if one found no room.
pub(crate) fn hand_over<S: Sink>(packet: &crate::packet::Packet, what: &PuntWhat, sink: &mut S) -> bool {
    let mut all = true;
    each_finished(packet, |frame| all &= sink.punt(make_punt(packet, frame, what)));
    all
}

/// Copies of a packet as a wire could carry it: checksums finished, a super-frame as its segments.
pub(super) fn each_finished(packet: &crate::packet::Packet, mut one: impl FnMut(Frame)) {
    if packet.frame.offload.gso.is_some() && crate::segment::segment(&packet.frame, &mut one).is_ok() {
        return;
    }
    let mut frame = packet.frame.duplicate();
    crate::checksum::finish_checksum(&mut frame);
    frame.offload = crate::frame::Offload::default();
    one(frame);
}

/// Sends a packet to the controllers unless a meter (its own, or the virtual one for controllers) drops it.
pub(crate) fn punt<S: Sink>(
    packet: &crate::packet::Packet,
    what: PuntWhat,
    virtual_meter: Option<&Arc<Meter>>,
    writer: crate::engine::counter::Writer,
    now: crate::clock::Time,
    sink: &mut S,
) -> bool {
    let (packets, bytes) = super::metered(packet);
    let meter = what.meter.as_ref().or(virtual_meter);
    if meter.is_some_and(|m| m.charge(writer, packets, bytes, now) == Verdict::Drop) {
        return false;
    }
    let in_port = PortNo(packet.key.0[crate::key::word::IN_PORT] as u32);
    sink.admits(in_port, what.table, what.reason, now) && hand_over(packet, &what, sink)
}

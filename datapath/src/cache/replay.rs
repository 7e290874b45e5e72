//! The replay of remembered steps, one after the other.

use super::record::Step;
use crate::clock::Time;
use crate::engine::counter::Writer;
use crate::key::word;
use crate::meter::Verdict;
use crate::packet::Packet;
use crate::pipeline::{
    Addresses, DropReason, Env, Lost, Outcome, PuntWhat, Sink, Switched, View, all_ports, apply_edit, learn_and_switch,
    may_not_send, metered, punt, remark,
};
use crate::program::Op;
use ofproto::ids::{MeterId, PortNo, QueueId};
use ofproto::packet::PacketInReason;
use smallvec::SmallVec;

/// Does to a packet what a remembered walk did.
pub(crate) fn replay<'v, V: View<'v>, S: Sink>(
    view: V,
    steps: &[&Step],
    packet: &mut Packet,
    env: Env<'v>,
    sink: &mut S,
) -> Outcome {
    let Env { writer, now, .. } = env;
    packet.key.set(ofproto::field::FieldId::ActsetOutput, u128::from(PortNo::UNSET.0));
    let mut saved: SmallVec<[Packet; 2]> = SmallVec::new();
    let mut pending: Option<(PortNo, Option<QueueId>)> = None;
    let mut asked = None;
    let mut i = 0;
    while let Some(step) = steps.get(i) {
        i += 1;
        let len = packet.frame.len() as u64;
        let in_port = PortNo(packet.key.0[word::IN_PORT] as u32);
        let lost = |reason, asked| Lost { reason, in_port, table: asked, out_port: None };
        let mut stop = false;
        match step {
            Step::Lookup(table, hit) => {
                asked = Some(*table);
                view.count_table(*table, 1, u64::from(hit.is_some()));
                if let Some(hit) = hit {
                    view.count(hit.stats, 1, len, now);
                }
            }
            Step::CountGroup(g) => g.counter.add(writer, 1, len),
            Step::CountBucket(b) => b.counter.add(writer, 1, len),
            Step::Edit(op, table, cookie) => {
                flush(&mut pending, packet, sink);
                if apply_edit(packet, op).is_err() {
                    sink.dropped(lost(DropReason::InvalidTtl, asked));
                    let ids: &[u16] = match op {
                        Op::DecNwTtl(ids) if !ids.is_empty() => ids,
                        _ => &[0],
                    };
                    for id in ids {
                        let what = PuntWhat {
                            reason: PacketInReason::InvalidTtl,
                            table: *table,
                            cookie: *cookie,
                            max_len: view.settings().miss_send_len,
                            controller_id: *id,
                            userdata: None,
                            meter: None,
                            paused: None,
                        };
                        if !send(view, packet, what, writer, now, sink) {
                            sink.dropped(lost(DropReason::ControllerQueue, asked));
                        }
                    }
                    stop = true;
                }
            }
            Step::Meter(meter) => {
                let (packets, bytes) = metered(packet);
                match meter.charge(writer, packets, bytes, now) {
                    Verdict::Pass => {}
                    Verdict::Drop => {
                        sink.dropped(lost(DropReason::Meter, asked));
                        stop = true;
                    }
                    Verdict::Remark(levels) => {
                        flush(&mut pending, packet, sink);
                        remark(packet, levels);
                    }
                }
            }
            Step::Output(port, queue) => {
                flush(&mut pending, packet, sink);
                pending = Some((*port, *queue));
            }
            Step::Normal(queue) => match learn_and_switch(view, env, in_port, Addresses::of(packet)) {
                Switched::Home => sink.dropped(lost(DropReason::OutputToInPort, asked)),
                Switched::To(port) => match may_not_send(view, port) {
                    Some(reason) => {
                        view.port_dropped(port, true);
                        sink.dropped(Lost { out_port: Some(port), ..lost(reason, asked) });
                    }
                    None => {
                        flush(&mut pending, packet, sink);
                        pending = Some((port, *queue));
                    }
                },
                Switched::Flood => {
                    let ports = all_ports(view, in_port, true);
                    if ports.is_empty() {
                        sink.dropped(lost(DropReason::NoOutput, asked));
                    }
                    for port in ports {
                        flush(&mut pending, packet, sink);
                        pending = Some((port, *queue));
                    }
                }
            },
            Step::Punt(p) => {
                let what = PuntWhat {
                    reason: p.reason,
                    table: p.table,
                    cookie: p.cookie,
                    max_len: p.max_len,
                    controller_id: p.controller_id,
                    userdata: p.userdata.clone(),
                    meter: p.meter.clone(),
                    paused: None,
                };
                if !send(view, packet, what, writer, now, sink) {
                    sink.dropped(lost(DropReason::ControllerQueue, asked));
                }
            }
            Step::Save => {
                flush(&mut pending, packet, sink);
                saved.push(packet.duplicate_in(sink));
            }
            Step::Restore => {
                if let Some(before) = saved.pop() {
                    let copy = std::mem::replace(packet, before);
                    match pending.take() {
                        Some((port, queue)) => sink.transmit(port, queue, copy.frame),
                        None => sink.left(copy.frame),
                    }
                }
            }
            Step::Drop(reason) => sink.dropped(lost(*reason, asked)),
            Step::DropAtPort(reason, port, sending) => {
                view.port_dropped(*port, *sending);
                let out_port = sending.then_some(*port);
                sink.dropped(Lost { out_port, ..lost(*reason, asked) });
            }
        }
        if stop {
            // This copy is done; what follows the branch goes on, if this was one.
            let mut depth = 1;
            while depth > 0 {
                match steps.get(i) {
                    Some(Step::Save) => depth += 1,
                    Some(Step::Restore) => depth -= 1,
                    Some(_) => {}
                    None => break,
                }
                if depth > 0 {
                    i += 1;
                }
            }
        }
    }
    match pending {
        Some((port, queue)) => {
            sink.transmit(port, queue, std::mem::take(&mut packet.frame));
            Outcome::Sent
        }
        None => Outcome::Left(std::mem::take(&mut packet.frame)),
    }
}

fn flush<S: Sink>(pending: &mut Option<(PortNo, Option<QueueId>)>, packet: &Packet, sink: &mut S) {
    if let Some((port, queue)) = pending.take() {
        sink.transmit_copy(port, queue, &packet.frame);
    }
}

fn send<'v, V: View<'v>, S: Sink>(
    view: V,
    packet: &Packet,
    what: PuntWhat,
    writer: Writer,
    now: Time,
    sink: &mut S,
) -> bool {
    punt(packet, what, view.meters().get(MeterId::CONTROLLER), writer, now, sink)
}

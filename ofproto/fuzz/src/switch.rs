//! A whole switch in memory: any requests, then any packets. A refused request changes nothing, and
//! the cache forwards exactly what the tables say.

use crate::rig::{self, Worker};
use datapath::clock::Time;
use datapath::control::{BundleMessage, Control, Modification};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::program::{Place, compile_packet_out};
use ofproto::field::FieldId;
use ofproto::ids::{PortNo, TableId};
use ofproto::message::{Message, MultipartRequest};
use ofproto::wire::framer::Framer;
use ofproto::{Version, validate, wire};

fn modification(message: Message) -> Option<Modification> {
    Some(match message {
        Message::FlowMod(m) => Modification::Flow(m),
        Message::GroupMod(m) => Modification::Group(m),
        Message::MeterMod(m) => Modification::Meter(m),
        Message::PortMod(m) => Modification::Port(m),
        Message::TableMod(m) => Modification::Table(m),
        _ => return None,
    })
}

/// Input: a stream of OpenFlow messages. One of version 0 is a packet: the type is the port it comes
/// in on, what follows the header is the frame.
pub fn run(data: &[u8]) {
    let mut now = Time(1_000_000_000);
    let mut control = rig::control(now);
    let (mut cached, mut plain) = (Worker::new(&mut control, 256), Worker::new(&mut control, 0));
    let mut framer = Framer::default();
    framer.feed(data);
    // Both workers draw on the same meters, so what one lets pass the other may not.
    let mut metered = false;
    while let Ok(Some(bytes)) = framer.next_message() {
        now = Time(now.0 + 50_000_000);
        if bytes[0] == 0 {
            let port = PortNo(u32::from(bytes[1] % 4) + 1);
            for _ in 0..2 {
                let a = cached.receive(port, &bytes[8..], now);
                let b = plain.receive(port, &bytes[8..], now);
                assert!(metered || a == b, "with the cache {a:02x?}\nwithout {b:02x?}");
            }
            continue;
        }
        let Ok((header, message)) = wire::decode(bytes) else { continue };
        let version = Version::from_wire(header.version).expect("decoded");
        if validate::message(&message, version).is_err() {
            continue;
        }
        handle(&mut control, &mut cached, version, message, now, &mut metered);
        control.tick(now);
        control.events().for_each(drop);
    }
}

fn handle(
    control: &mut Control,
    worker: &mut Worker,
    version: Version,
    message: Message,
    now: Time,
    metered: &mut bool,
) {
    let before = control.version();
    match message {
        Message::PacketOut(m) => {
            let Ok(program) = compile_packet_out(&m.actions, &control.context(version, Place::PacketOut)) else {
                return;
            };
            let mut key = FlowKey::default();
            for field in &m.matching.fields {
                key.set(field.id, field.value);
            }
            if key.get(FieldId::InPort) == 0 {
                key.set(FieldId::InPort, PortNo::CONTROLLER.0.into());
            }
            worker.engine.packet_out(&program, key, Frame::from_bytes(&m.data), &mut worker.tx, now);
            worker.done();
        }
        Message::BundleAdd(m) => {
            // A bundle of the message twice: whole or not at all.
            if let Some(request) = modification(*m.message) {
                *metered |= matches!(request, Modification::Meter(_));
                let list = vec![BundleMessage { version, request }; 2];
                if control.commit_bundle(&list, now).is_err() {
                    assert_eq!(control.version(), before, "a refused bundle changed something");
                }
            }
        }
        Message::MultipartRequest(m) => match m.body {
            MultipartRequest::Flow(r) | MultipartRequest::FlowStats(r) => {
                if let Ok(dump) = control.flow_stats(&r, version) {
                    while let (_, false) = control.next_flows(dump, 3, now) {}
                }
            }
            MultipartRequest::Aggregate(r) => drop(control.aggregate(&r, version)),
            MultipartRequest::Group(g) => drop(control.group_stats(g, now)),
            MultipartRequest::GroupDesc(g) => drop(control.group_desc(g)),
            MultipartRequest::Meter(m) => drop(control.meter_stats(m, now)),
            MultipartRequest::MeterConfig(m) => drop(control.meter_config(m)),
            MultipartRequest::Table => drop(control.table_stats()),
            MultipartRequest::TableDesc => drop(control.table_desc()),
            MultipartRequest::TableFeatures(list) if list.is_empty() => {
                let _ = control.table_features(version);
            }
            MultipartRequest::TableFeatures(list) => {
                if control.set_table_features(version, &list, now).is_err() {
                    assert_eq!(control.version(), before, "refused table features changed something");
                }
            }
            _ => {}
        },
        message => {
            let Some(request) = modification(message) else { return };
            *metered |= matches!(request, Modification::Meter(_));
            if control.modify(version, &request, now).is_err() {
                assert_eq!(control.version(), before, "a refused request changed something");
            }
            let flows: u32 = (0..control.n_tables()).map(|t| control.flow_count(TableId(t))).sum();
            assert!(flows <= 64 * 4);
        }
    }
}

//! Requests and their replies.

use super::fake::{Bench, Did, group_add};
use crate::session::{Purpose, Settings, limits};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{BufferId, ExperimenterId, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Experimenter, Message, Multipart, MultipartReply, MultipartRequest, SwitchConfig};
use ofproto::nx_message::{NxMessage, PacketIn2};
use ofproto::packet::PacketOut;
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::FlowStatsRequest;
use ofproto::table::{TableConfig, TableFeatures};
use ofproto::{ErrorKind, Version, wire};

fn role(role: Role, generation_id: u64) -> Message {
    Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id })
}

fn ask(body: MultipartRequest) -> Message {
    Message::MultipartRequest(Multipart::last(body))
}

pub(super) fn packet_out(in_port: PortNo, buffer_id: BufferId, data: &'static [u8]) -> PacketOut {
    PacketOut {
        buffer_id,
        matching: Match::any().with(FieldId::InPort, u128::from(in_port.0)),
        actions: vec![Action::output(PortNo(2))],
        data: Bytes::from_static(data),
    }
}

pub(super) const FRAME: &[u8] = &[0xee; 60];

#[test]
fn features_fit_the_version() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        let Message::FeaturesReply(f) = b.reply(4, &Message::FeaturesRequest) else { panic!() };
        assert_eq!((f.dpid.0, f.n_tables, f.n_buffers), (0xab, 8, 256));
        assert_eq!(f.ports.len(), if version < Version::V13 { 2 } else { 0 }, "{version}");
        let bundles = f.capabilities.contains(ofproto::message::Capabilities::BUNDLES);
        assert_eq!(bundles, version >= Version::V14);
        assert_eq!(f.actions != 0, version == Version::V10);
    }
}

#[test]
fn config_is_set_and_told() {
    let mut b = Bench::up(Version::V13);
    let get = |b: &mut Bench| match b.reply(1, &Message::GetConfigRequest) {
        Message::GetConfigReply(c) => (c.flags, c.miss_send_len),
        other => panic!("{other:?}"),
    };
    assert_eq!(get(&mut b), (0, 128));
    assert_eq!(b.ask(2, &Message::SetConfig(SwitchConfig { flags: 1, miss_send_len: 77 })), []);
    assert_eq!(get(&mut b), (1, 77));
    for flags in [2, 3, 4, 1 << 4] {
        let set = Message::SetConfig(SwitchConfig { flags, miss_send_len: 5 });
        assert_eq!(b.refused(3, &set), ErrorKind::SwitchConfigFailedBadFlags, "{flags}");
    }
    assert_eq!(get(&mut b), (1, 77), "a refused one changes nothing");
}

#[test]
fn a_refused_change_is_answered_with_its_error_and_its_bytes() {
    let mut b = Bench::up(Version::V13);
    b.host.refuse = Some(ErrorKind::FlowModFailedTableFull);
    let fm = FlowMod { matching: Match::any().with(FieldId::InPort, 3), ..FlowMod::default() };
    assert_eq!(b.refused(77, &Message::FlowMod(fm.clone())), ErrorKind::FlowModFailedTableFull);
    assert!(b.session.last_error().unwrap().contains("told to refuse"));
    assert_eq!(b.ask(78, &Message::FlowMod(fm.clone())), []);
    assert_eq!(b.host.did, [Did::Flow(fm)]);
}

#[test]
fn a_broken_message_gets_the_decoder_s_error() {
    let mut b = Bench::up(Version::V13);
    // A barrier request of 12 bytes, and an unknown type.
    for (bytes, kind) in [
        (&[4, 20, 0, 12, 0, 0, 0, 9, 1, 2, 3, 4][..], ErrorKind::BadRequestBadLen),
        (&[4, 99, 0, 8, 0, 0, 0, 9][..], ErrorKind::BadRequestBadType),
    ] {
        let out = b.bytes(bytes);
        let Message::Error(e) = &out[0].1 else { panic!("{out:?}") };
        assert_eq!((e.kind(Version::V13), out[0].0.xid, &e.data[..]), (Some(kind), Xid(9), bytes));
    }
}

#[test]
fn a_barrier_waits_for_the_workers_and_holds_back_what_follows() {
    let mut b = Bench::up(Version::V13);
    assert_eq!(b.ask(1, &Message::FlowMod(FlowMod::default())), []);
    assert_eq!(b.ask(2, &Message::BarrierRequest), [], "not adopted yet");
    assert!(!b.session.ready() && b.session.awaits_barrier());
    b.session.advance(b.now, &mut b.host);
    assert_eq!(b.output(), []);
    b.host.adopted = 1;
    b.session.advance(b.now, &mut b.host);
    let out = b.output();
    assert_eq!((out[0].0.xid, &out[0].1), (Xid(2), &Message::BarrierReply));
    assert!(b.session.ready());
    assert_eq!(b.reply(3, &Message::BarrierRequest), Message::BarrierReply, "nothing new: at once");
}

#[test]
fn roles_follow_the_generation() {
    let mut b = Bench::up(Version::V13);
    let Message::RoleReply(r) = b.reply(1, &role(Role::NoChange, 0)) else { panic!() };
    assert_eq!((r.role, r.generation_id), (Role::Equal, u64::MAX));
    let Message::RoleReply(r) = b.reply(2, &role(Role::Master, 5)) else { panic!() };
    assert_eq!((r.role, r.generation_id), (Role::Master, 5));
    assert_eq!(b.refused(3, &role(Role::Slave, 4)), ErrorKind::RoleRequestFailedStale);
    assert_eq!(b.refused(4, &role(Role::Unknown(7), 9)), ErrorKind::RoleRequestFailedBadRole);
    assert_eq!(b.session.role(), Role::Master);
    assert!(b.host.effects.contains(&crate::session::host::Effect::NewMaster));
}

#[test]
fn short_ids_are_unique() {
    let mut b = Bench::up(Version::V15);
    b.host.taken_short_id = 3;
    let ask = |short_id| Message::RoleRequest(RoleMsg { role: Role::Equal, short_id, generation_id: 0 });
    assert_eq!(b.refused(1, &ask(3)), ErrorKind::RoleRequestFailedIdInUse);
    let Message::RoleReply(r) = b.reply(2, &ask(4)) else { panic!() };
    assert_eq!(r.short_id, 4);
    assert_eq!(b.session.short_id(), 4);
    let Message::RoleReply(r) = b.reply(3, &role(Role::NoChange, 0)) else { panic!() };
    assert_eq!(r.short_id, 4, "a query changes nothing");
    let Message::RoleReply(r) = b.reply(4, &ask(0)) else { panic!() };
    assert_eq!((r.short_id, b.session.short_id(), b.host.taken_short_id), (0, 0, 0), "it is given back");
    // The whole request is refused.
    b.host.taken_short_id = 3;
    let slave = Message::RoleRequest(RoleMsg { role: Role::Slave, short_id: 3, generation_id: 8 });
    assert_eq!(b.refused(5, &slave), ErrorKind::RoleRequestFailedIdInUse);
    assert_eq!((b.session.role(), b.host.election.generation()), (Role::Equal, u64::MAX));
}

#[test]
fn a_slave_reads_and_changes_nothing() {
    let mut b = Bench::up(Version::V13);
    b.reply(1, &role(Role::Slave, 1));
    let group = group_add();
    let features = TableFeatures {
        table: TableId(0),
        command: 0,
        features: 0,
        name: "t".into(),
        metadata_match: 0,
        metadata_write: 0,
        capabilities: TableConfig::empty(),
        max_entries: 1,
        properties: Vec::new(),
    };
    for message in [
        Message::FlowMod(FlowMod::default()),
        Message::GroupMod(group),
        Message::PacketOut(packet_out(PortNo(1), BufferId::NONE, FRAME)),
        ask(MultipartRequest::TableFeatures(vec![features])),
    ] {
        assert_eq!(b.refused(2, &message), ErrorKind::BadRequestIsSlave);
    }
    assert!(b.host.did.is_empty());
    assert!(matches!(b.reply(3, &ask(MultipartRequest::TableFeatures(Vec::new()))), Message::MultipartReply(_)));
    assert_eq!(b.reply(4, &Message::BarrierRequest), Message::BarrierReply);
    b.ask(5, &Message::SetConfig(SwitchConfig { flags: 1, miss_send_len: 9 }));
    assert_eq!(b.host.frag, 0, "fragments are the whole switch's");
}

#[test]
fn packet_outs_are_judged_before_they_are_sent() {
    let mut b = Bench::up(Version::V13);
    let ok = packet_out(PortNo::CONTROLLER, BufferId::NONE, FRAME);
    assert_eq!(b.ask(1, &Message::PacketOut(ok)), []);
    assert_eq!(b.host.did.len(), 1);
    for (po, kind) in [
        (packet_out(PortNo(99), BufferId::NONE, FRAME), ErrorKind::BadRequestBadPort),
        (packet_out(PortNo::ANY, BufferId::NONE, FRAME), ErrorKind::BadRequestBadPort),
        (packet_out(PortNo(1), BufferId::NONE, &[0]), ErrorKind::BadRequestBadPacket),
        (packet_out(PortNo(1), BufferId(5), &[]), ErrorKind::BadRequestBufferUnknown),
    ] {
        assert_eq!(b.refused(2, &Message::PacketOut(po)), kind);
    }
    assert_eq!(b.host.did.len(), 1);
    let mut b = Bench::up(Version::V15);
    let mut po = packet_out(PortNo(1), BufferId::NONE, FRAME);
    po.matching = po.matching.with(FieldId::EthType, 0x800);
    assert_eq!(b.refused(3, &Message::PacketOut(po)), ErrorKind::BadRequestPipelineFieldsOnly);
    for field in [FieldId::Metadata, FieldId::TunnelId, FieldId::Xreg4, FieldId::Reg0, FieldId::PktMark] {
        let mut po = packet_out(PortNo(1), BufferId::NONE, FRAME);
        po.matching = po.matching.with(field, 9);
        assert_eq!(b.ask(3, &Message::PacketOut(po)), [], "{field:?}");
    }
    let mut po = packet_out(PortNo(1), BufferId::NONE, FRAME);
    po.matching = Match::any();
    assert_eq!(b.refused(4, &Message::PacketOut(po)), ErrorKind::BadRequestBadPort);
}

/// Its bytes would be taken for an Ethernet header.
#[test]
fn a_packet_out_of_another_packet_type_is_refused() {
    let mut b = Bench::up(Version::V15);
    let out = |ty: u128| {
        let matching = Match::any().with(FieldId::PacketType, ty).with(FieldId::InPort, PortNo::CONTROLLER.0.into());
        let data = Bytes::from_static(&[0; 60]);
        Message::PacketOut(PacketOut { buffer_id: BufferId::NONE, matching, actions: Vec::new(), data })
    };
    assert_eq!(b.ask(1, &out(0)), []);
    assert_eq!(b.refused(2, &out(1 << 16 | 0x0800)), ErrorKind::BadMatchBadValue);
}

#[test]
fn tables_of_1_0_s_flow_mods() {
    use FlowModCommand as C;
    let commands = [C::Add, C::Modify, C::ModifyStrict, C::Delete, C::DeleteStrict];
    let mut b = Bench::up(Version::V10);
    let meant = |b: &mut Bench, command, table: u8, nicira: bool| {
        let fm = FlowMod { table: TableId(table), command, ..FlowMod::default() };
        let m = if nicira { Message::Nicira(NxMessage::FlowMod(fm)) } else { Message::FlowMod(fm) };
        assert_eq!(b.ask(2, &m), []);
        let Some(Did::Flow(did)) = b.host.did.last() else { panic!("{:?}", b.host.did) };
        assert_eq!(did.command, command);
        did.table
    };
    // No word of tables: the first one gets it, whatever is there is changed wherever it is.
    for nicira in [false, true] {
        for command in commands {
            let expected = if command == C::Add { TableId(0) } else { TableId::ALL };
            assert_eq!(meant(&mut b, command, 0, nicira), expected, "{command:?}");
        }
    }
    // Nicira's table ids; 255 names none.
    b.ask(1, &Message::Nicira(NxMessage::FlowModTableId(true)));
    for nicira in [false, true] {
        for command in commands {
            assert_eq!(meant(&mut b, command, 5, nicira), TableId(5), "{command:?}");
            let expected = if command == C::Add { TableId(0) } else { TableId::ALL };
            assert_eq!(meant(&mut b, command, 255, nicira), expected, "{command:?}");
        }
    }
}

#[test]
fn a_resumption_is_judged_before_the_packet_goes_on() {
    use ofproto::continuation::{Continuation, Part};
    use ofproto::instruction::Instruction;
    use ofproto::wire::encode_continuation;
    let mut b = Bench::up(Version::V13);
    let to = |port| {
        let part = Part {
            table: TableId(1),
            cookie: ofproto::ids::Cookie(0),
            version: Version::V13,
            nested: false,
            table_miss: false,
            instructions: vec![Instruction::ApplyActions(vec![Action::output(port)])],
        };
        Continuation { parts: vec![part], ..Continuation::default() }
    };
    let good = PacketIn2 {
        packet: Some(FRAME.into()),
        metadata: Some(Match::any().with(FieldId::InPort, 2).with(FieldId::Reg3, 7)),
        continuation: Some(encode_continuation(&to(PortNo(3))).unwrap()),
        ..PacketIn2::default()
    };
    let message = |m: &PacketIn2| Message::Nicira(NxMessage::Resume(Box::new(m.clone())));
    assert_eq!(b.ask(1, &message(&good)), []);
    let did = Did::Resume { frame: FRAME.into(), in_port: 2, rest: to(PortNo(3)) };
    assert_eq!(b.host.did.last(), Some(&did));
    let with = |f: &dyn Fn(&mut PacketIn2)| {
        let mut m = good.clone();
        f(&mut m);
        message(&m)
    };
    let header = Match::any().with(FieldId::InPort, 2).with(FieldId::EthType, 0x800);
    for (m, kind) in [
        (with(&|m| m.packet = None), ErrorKind::BadRequestBadLen),
        (with(&|m| m.packet = Some(FRAME[..9].into())), ErrorKind::BadRequestBadPacket),
        (with(&|m| m.full_len = Some(3)), ErrorKind::BadRequestBadLen),
        (with(&|m| m.metadata = None), ErrorKind::BadRequestBadPort),
        (with(&|m| m.metadata = Some(Match::any().with(FieldId::InPort, 99))), ErrorKind::BadRequestBadPort),
        (with(&|m| m.metadata = Some(header.clone())), ErrorKind::BadMatchBadField),
        (with(&|m| m.continuation = None), ErrorKind::NxResumeStale),
        (with(&|m| m.continuation = Some(Bytes::from_static(&[0; 4]))), ErrorKind::NxResumeStale),
        (with(&|m| m.continuation = Some(Bytes::from_static(&[0; 9]))), ErrorKind::TableFeaturesFailedBadLen),
        (
            with(&|m| m.continuation = Some(encode_continuation(&to(PortNo::TABLE)).unwrap())),
            ErrorKind::BadActionBadOutPort,
        ),
    ] {
        assert_eq!(b.refused(2, &m), kind, "{m:?}");
    }
    assert_eq!(b.host.did.len(), 1);
    b.ask(3, &role(Role::Slave, 1));
    assert_eq!(b.refused(4, &message(&good)), ErrorKind::BadRequestIsSlave);
}

#[test]
fn a_dump_is_streamed_in_segments_and_only_the_last_ends_it() {
    let mut b = Bench::up(Version::V13);
    b.host.flows = 1000;
    let out = b.ask(5, &ask(MultipartRequest::Flow(FlowStatsRequest::default())));
    let mut seen = 0;
    for (i, (header, message)) in out.iter().enumerate() {
        let Message::MultipartReply(m) = message else { panic!() };
        let MultipartReply::Flow(flows) = &m.body else { panic!() };
        assert_eq!((header.xid, m.more), (Xid(5), i + 1 < out.len()));
        seen += flows.len();
    }
    assert_eq!(seen, 1000);
    b.host.flows = 0;
    let Message::MultipartReply(m) = b.reply(6, &ask(MultipartRequest::Flow(FlowStatsRequest::default()))) else {
        panic!()
    };
    assert_eq!(m, Multipart::last(MultipartReply::Flow(Vec::new())), "no flows: one empty reply");
}

#[test]
fn a_dump_stops_while_the_peer_does_not_read() {
    let mut b = Bench::up(Version::V13);
    (b.host.flows, b.host.flow_actions) = (20_000, 1000);
    let bytes =
        ofproto::wire::encode(Version::V13, Xid(5), &ask(MultipartRequest::Flow(FlowStatsRequest::default()))).unwrap();
    let header = ofproto::wire::Header::decode(&bytes).unwrap();
    let received = crate::session::Received::new(header, bytes.into());
    b.session.receive(b.now, received, &mut b.host);
    let mut total = 0;
    loop {
        let out = b.session.take_output();
        assert!(out.len() < limits::REPLY_QUEUE + (1 << 18), "{}", out.len());
        total += super::fake::split(&out).len();
        if !b.session.awaits_output() {
            break;
        }
        assert!(!b.session.ready());
        b.session.advance(b.now, &mut b.host);
        assert!(b.session.take_output().is_empty(), "the peer has read nothing");
        b.session.set_queued(0);
        b.session.advance(b.now, &mut b.host);
    }
    assert!(total > 300, "{total} segments");
    assert!(b.session.ending().is_none());
}

#[test]
fn a_long_reply_is_cut_into_segments() {
    let mut b = Bench::up(Version::V13);
    let out = b.ask(5, &ask(MultipartRequest::PortStats(PortNo::ANY)));
    assert!(out.len() > 1);
    let counts: usize = out
        .iter()
        .map(|(_, m)| match m {
            Message::MultipartReply(Multipart { body: MultipartReply::PortStats(v), .. }) => v.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(counts, 5000);
    let mores: Vec<_> =
        out.iter().map(|(_, m)| matches!(m, Message::MultipartReply(Multipart { more: true, .. }))).collect();
    assert!(mores[..mores.len() - 1].iter().all(|m| *m) && !mores[mores.len() - 1]);
}

#[test]
fn unknown_multiparts_and_experimenters_are_refused() {
    let mut b = Bench::up(Version::V13);
    let unknown = MultipartRequest::Unknown { ty: 200, body: Bytes::new() };
    assert_eq!(b.refused(1, &ask(unknown)), ErrorKind::BadRequestBadMultipart);
    let e = |experimenter| Experimenter { experimenter, exp_type: Some(9), data: Bytes::new() };
    let other = ExperimenterId(0x1234);
    assert_eq!(b.refused(2, &ask(MultipartRequest::Experimenter(e(other)))), ErrorKind::BadRequestBadExperimenter);
    assert_eq!(b.refused(3, &Message::Experimenter(e(other))), ErrorKind::BadRequestBadExperimenter);
    let queue = Message::QueueGetConfigRequest(PortNo(9));
    assert_eq!(b.refused(4, &queue), ErrorKind::QueueOpFailedBadPort);
}

#[test]
fn segments_of_a_request_are_put_together_within_bounds() {
    let mut b = Bench::up(Version::V13);
    let features = |n: u8| TableFeatures {
        table: TableId(n),
        command: 0,
        features: 0,
        name: format!("t{n}"),
        metadata_match: 0,
        metadata_write: 0,
        capabilities: TableConfig::empty(),
        max_entries: 1,
        properties: Vec::new(),
    };
    let segment = |n: u8, more: bool| {
        let body = MultipartRequest::TableFeatures(vec![features(n)]);
        Message::MultipartRequest(Multipart { more, other_flags: 0, body })
    };
    assert_eq!(b.ask(1, &segment(0, true)), []);
    let Message::MultipartReply(m) = b.reply(1, &segment(1, false)) else { panic!() };
    let MultipartReply::TableFeatures(v) = m.body else { panic!() };
    assert_eq!(v.iter().map(|t| t.table.0).collect::<Vec<_>>(), [0, 1]);

    // Sequences interleave, with each other and with whatever else.
    b.ask(5, &segment(0, true));
    b.ask(6, &segment(2, true));
    assert_eq!(b.reply(7, &Message::BarrierRequest), Message::BarrierReply);
    for (xid, table) in [(6, 3), (5, 1)] {
        let Message::MultipartReply(m) = b.reply(xid, &segment(table, false)) else { panic!() };
        let MultipartReply::TableFeatures(v) = m.body else { panic!() };
        assert_eq!(v.iter().map(|t| t.table.0).collect::<Vec<_>>(), [table - 1, table]);
    }

    b.ask(2, &segment(0, true));
    assert_eq!(b.refused(2, &ask(MultipartRequest::Desc)), ErrorKind::BadRequestBadMultipart);
    b.ask(3, &segment(0, true));
    let out = b.at(Time::ZERO + limits::MULTIPART_WAIT);
    assert_eq!(out[0].0.xid, Xid(3));
    assert!(matches!(&out[0].1, Message::Error(e) if e.data.is_empty()));
    // For ever and ever: refused at a bound.
    let kind = (0..100_000u32).find_map(|_| match b.ask(4, &segment(0, true)).pop() {
        Some((_, Message::Error(e))) => Some(e.kind(Version::V13)),
        _ => None,
    });
    assert_eq!(kind, Some(Some(ErrorKind::BadRequestMultipartBufferOverflow)));
    // Its rest alone would be another request.
    assert_eq!(b.ask(4, &segment(0, true)), []);
    assert_eq!(b.ask(4, &segment(1, false)), []);
    assert!(matches!(b.reply(4, &segment(1, false)), Message::MultipartReply(_)), "the next one is new");
}

/// A structure may have empty segments beside it, as Open vSwitch takes them; a second one is too much, none too little.
#[test]
fn empty_segments_beside_a_structure_add_nothing() {
    for version in [Version::V13, Version::V15] {
        let mut b = Bench::up(version);
        let flags =
            |more: bool, body: MultipartRequest| Message::MultipartRequest(Multipart { more, other_flags: 0, body });
        let empty = |more| flags(more, MultipartRequest::Empty { ty: 4 });
        let full = |more| flags(more, MultipartRequest::PortStats(PortNo(1)));
        let answered = |out: &[(wire::Header, Message)]| matches!(&out[0].1, Message::MultipartReply(m) if matches!(m.body, MultipartReply::PortStats(_)));
        assert_eq!(b.ask(1, &empty(true)), []);
        assert_eq!(b.ask(1, &full(true)), []);
        assert!(answered(&b.ask(1, &empty(false))));
        assert_eq!(b.ask(2, &empty(true)), []);
        assert!(answered(&b.ask(2, &full(false))));
        assert_eq!(b.refused(3, &empty(false)), ErrorKind::BadRequestBadLen);
        assert_eq!(b.ask(4, &empty(true)), []);
        assert_eq!(b.refused(4, &empty(false)), ErrorKind::BadRequestBadLen);
        assert_eq!(b.ask(5, &full(true)), []);
        assert_eq!(b.refused(5, &full(false)), ErrorKind::BadRequestBadLen);
        assert_eq!(b.ask(6, &full(true)), []);
        let other = flags(false, MultipartRequest::Empty { ty: 5 });
        assert_eq!(b.refused(6, &other), ErrorKind::BadRequestBadMultipart);
    }
}

/// 1.3.5 §7.1.3; before 1.3 no flag of a request has a meaning, and no request comes in segments.
#[test]
fn reserved_flags_of_a_multipart_are_refused() {
    let flagged =
        |other_flags| Message::MultipartRequest(Multipart { more: false, other_flags, body: MultipartRequest::Desc });
    for version in [Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        assert_eq!(b.refused(1, &flagged(0x8000)), ErrorKind::BadRequestBadMultipart);
        assert!(matches!(b.reply(2, &flagged(0)), Message::MultipartReply(_)));
    }
    for version in [Version::V10, Version::V11, Version::V12] {
        let mut b = Bench::up(version);
        assert!(matches!(b.reply(1, &flagged(1)), Message::MultipartReply(_)), "{version}");
        assert!(matches!(b.reply(2, &flagged(2)), Message::MultipartReply(_)), "{version}");
    }
}

/// `ovs-ofctl monitor SWITCH 65534` asks for a length between `OFPCML_MAX` and `OFPCML_NO_BUFFER`.
#[test]
fn every_length_is_taken() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        for miss_send_len in [0, 128, 0xffe5, 0xffe6, 0xfffe, 0xffff] {
            let config = SwitchConfig { flags: 0, miss_send_len };
            assert_eq!(b.ask(1, &Message::SetConfig(config)), [], "{version}: {miss_send_len:#x}");
            assert_eq!(b.reply(2, &Message::GetConfigRequest), Message::GetConfigReply(config), "{version}");
        }
    }
}

#[test]
fn a_request_whose_segment_is_refused_is_not_carried_out_without_it() {
    let mut b = Bench::up(Version::V13);
    let segment = |more: bool| {
        let body = MultipartRequest::TableFeatures(Vec::new());
        Message::MultipartRequest(Multipart { more, other_flags: 0, body })
    };
    let mut broken = wire::encode(Version::V13, Xid(1), &segment(true)).unwrap();
    broken.extend([0; 8]);
    broken[3] += 8;
    assert_eq!(b.ask(1, &segment(true)), []);
    let out = b.bytes(&broken);
    assert!(matches!(&out[..], [(_, Message::Error(_))]), "{out:?}");
    assert_eq!(b.ask(1, &segment(false)), []);
    assert!(matches!(b.reply(1, &segment(false)), Message::MultipartReply(_)));
    // A first one, too.
    assert_eq!(b.bytes(&broken).len(), 1);
    assert_eq!(b.ask(1, &segment(false)), []);
}

#[test]
fn a_refused_set_async_makes_no_controller_of_a_visitor() {
    let mut b = Bench::fresh(Purpose::Visitor, Settings::default());
    b.version = Version::V14;
    b.ask(1, &Message::Hello(Vec::new()));
    let mask = |mask| {
        Message::SetAsync(AsyncConfig {
            props: vec![AsyncProp::Reasons { kind: AsyncKind::PortStatus, master: true, mask }],
        })
    };
    assert_eq!(b.refused(2, &mask(1 << 9)), ErrorKind::AsyncConfigFailedInvalid);
    assert_eq!(b.session.purpose(), Purpose::Visitor);
    assert_eq!(b.ask(3, &mask(1)), []);
    assert_eq!(b.session.purpose(), Purpose::Controller);
}

#[test]
fn a_set_async_that_names_a_mask_twice_changes_nothing() {
    let mut b = Bench::up(Version::V14);
    let mask = |master, mask| AsyncProp::Reasons { kind: AsyncKind::PortStatus, master, mask };
    let before = b.reply(1, &Message::GetAsyncRequest(AsyncConfig::default()));
    let twice = Message::SetAsync(AsyncConfig { props: vec![mask(true, 1), mask(true, 2)] });
    assert_eq!(b.refused(2, &twice), ErrorKind::BadPropertyDupType);
    assert_eq!(b.reply(3, &Message::GetAsyncRequest(AsyncConfig::default())), before);
    let both = Message::SetAsync(AsyncConfig { props: vec![mask(true, 1), mask(false, 2)] });
    assert_eq!(b.ask(4, &both), []);
}

#[test]
fn async_filters_are_set_and_told() {
    let mut b = Bench::up(Version::V13);
    let mask = |master, mask| AsyncProp::Reasons { kind: AsyncKind::PacketIn, master, mask };
    assert_eq!(b.ask(1, &Message::SetAsync(AsyncConfig { props: vec![mask(true, 4), mask(false, 1)] })), []);
    let Message::GetAsyncReply(c) = b.reply(2, &Message::GetAsyncRequest(AsyncConfig::default())) else { panic!() };
    assert!(c.props.contains(&mask(true, 4)) && c.props.contains(&mask(false, 1)));
}

#[test]
fn what_1_0_deletes_is_gone_from_every_table() {
    let mut b = Bench::up(Version::V10);
    for command in [FlowModCommand::Add, FlowModCommand::Delete] {
        b.ask(1, &Message::FlowMod(FlowMod { command, ..FlowMod::default() }));
    }
    let tables: Vec<_> = b.host.did.iter().map(|d| if let Did::Flow(fm) = d { fm.table } else { panic!() }).collect();
    assert_eq!(tables, [TableId(0), TableId::ALL]);
}

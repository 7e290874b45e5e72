//! What a message looks like: its type, length, padding and data (OpenFlow 1.5.1 §7.1 and its predecessors).

use super::fake::Bench;
use super::requests::{FRAME, packet_out};
use bytes::Bytes;
use ofproto::async_config::AsyncConfig;
use ofproto::flow::FlowMod;
use ofproto::ids::{BufferId, PortNo, TableId, Xid};
use ofproto::message::{Message, SwitchConfig};
use ofproto::role::{Role, RoleMsg};
use ofproto::table::{TableConfig, TableMod};
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, Version};

/// The error that bytes get: its kind.
fn refused(b: &mut Bench, bytes: &[u8]) -> Option<ErrorKind> {
    match &b.bytes(bytes)[..] {
        [(header, Message::Error(e))] => {
            assert_eq!(header.xid, Header::decode(bytes).unwrap().xid);
            e.kind(b.version)
        }
        other => panic!("{bytes:x?}: {other:?}"),
    }
}

/// The same message, so much longer or shorter.
fn resized(mut bytes: Vec<u8>, by: i32) -> Vec<u8> {
    bytes.resize((bytes.len() as i32 + by) as usize, 0);
    let length = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    bytes
}

#[test]
fn a_type_that_the_version_lacks_is_refused() {
    for (version, last) in Version::ALL.into_iter().zip([21, 23, 25, 29, 34, 35]) {
        let mut b = Bench::up(version);
        let ended = |ty| version >= Version::V14 && [22, 23].contains(&ty);
        for ty in (0..=255).filter(|ty| *ty > last || ended(*ty)) {
            let kind = refused(&mut b, &[version.wire(), ty, 0, 8, 0, 0, 0, 9]);
            assert_eq!(kind, Some(ErrorKind::BadRequestBadType), "{version}, type {ty}");
        }
        assert!(b.session.ending().is_none());
    }
}

#[test]
fn a_multipart_type_that_the_version_lacks_is_refused() {
    for (version, last) in Version::ALL.into_iter().zip([5, 7, 8, 13, 16, 19]) {
        let mut b = Bench::up(version);
        let (ty, len) = if version == Version::V10 { (16, 12) } else { (18, 16) };
        for multipart in last + 1..=40 {
            let mut bytes = vec![0; len];
            bytes[..10].copy_from_slice(&[version.wire(), ty, 0, len as u8, 0, 0, 0, 9, 0, multipart]);
            let kind = refused(&mut b, &bytes);
            assert_eq!(kind, Some(ErrorKind::BadRequestBadMultipart), "{version}, type {multipart}");
        }
    }
}

/// Requests of one length.
fn fixed(version: Version) -> Vec<Message> {
    let mut all = vec![
        Message::FeaturesRequest,
        Message::GetConfigRequest,
        Message::BarrierRequest,
        Message::SetConfig(SwitchConfig { flags: 0, miss_send_len: 9 }),
    ];
    if version < Version::V14 {
        all.push(Message::QueueGetConfigRequest(PortNo(1)));
    }
    if (Version::V11..=Version::V13).contains(&version) {
        let (table, config) = (TableId(0), TableConfig::empty());
        all.push(Message::TableMod(TableMod { table, config, properties: Vec::new() }));
    }
    if version >= Version::V12 {
        all.push(Message::RoleRequest(RoleMsg { role: Role::NoChange, short_id: 0, generation_id: 0 }));
    }
    if version == Version::V13 {
        all.push(Message::GetAsyncRequest(AsyncConfig::default()));
    }
    all
}

/// §7.3.10; the layouts of 1.4 and 1.5 would let it have properties.
#[test]
fn a_get_async_request_has_no_body() {
    for version in [Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        let request = wire::encode(version, Xid(9), &Message::GetAsyncRequest(AsyncConfig::default())).unwrap();
        let mut bytes = resized(request.clone(), 8);
        bytes[11] = 8;
        assert_eq!(refused(&mut b, &bytes), Some(ErrorKind::BadRequestBadLen), "{version}");
        assert!(matches!(b.bytes(&request)[..], [(_, Message::GetAsyncReply(_))]));
    }
}

#[test]
fn a_message_of_another_length_than_its_type_s_is_refused() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        for message in fixed(version) {
            let bytes = wire::encode(version, Xid(9), &message).unwrap();
            let longer = resized(bytes.clone(), 8);
            assert_eq!(refused(&mut b, &longer), Some(ErrorKind::BadRequestBadLen), "{version} {message:?}");
            if bytes.len() > 8 {
                let shorter = resized(bytes.clone(), -4);
                assert_eq!(refused(&mut b, &shorter), Some(ErrorKind::BadRequestBadLen), "{version} {message:?}");
            }
            let fine = b.bytes(&bytes);
            assert!(!fine.iter().any(|(_, m)| matches!(m, Message::Error(_))), "{version} {message:?}: {fine:?}");
        }
    }
}

/// 7.1.2: padding is ignored, whatever it holds.
#[test]
fn padding_is_ignored() {
    let table = Message::TableMod(TableMod { table: TableId(0), config: TableConfig::empty(), properties: Vec::new() });
    let out = Message::PacketOut(packet_out(PortNo(1), BufferId::NONE, FRAME));
    let desc = ofproto::message::MultipartRequest::Desc;
    let desc = Message::MultipartRequest(ofproto::message::Multipart::last(desc));
    let role = Message::RoleRequest(RoleMsg { role: Role::NoChange, short_id: 0, generation_id: 0 });
    for (message, padding) in
        [(Message::FlowMod(FlowMod::default()), 46..48), (table, 9..12), (out, 18..24), (desc, 12..16), (role, 12..16)]
    {
        let mut b = Bench::up(Version::V13);
        let clean = wire::encode(Version::V13, Xid(9), &message).unwrap();
        let mut dirty = clean.clone();
        assert!(dirty[padding.clone()].iter().all(|byte| *byte == 0), "{message:?}");
        dirty[padding].fill(0xff);
        let expected = b.bytes(&clean);
        let did = std::mem::take(&mut b.host.did);
        assert_eq!(b.bytes(&dirty), expected);
        assert_eq!(b.host.did, did);
    }
}

#[test]
fn an_echo_s_data_comes_back_whatever_its_length() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        for len in [0, 1, 8, 1500, 65_527] {
            let data = Bytes::from((0..len).map(|n| n as u8).collect::<Vec<_>>());
            assert_eq!(b.reply(4, &Message::EchoRequest(data.clone())), Message::EchoReply(data), "{version}");
        }
    }
}

/// 7.1.1: the highest bit of the version is reserved.
#[test]
fn a_reserved_bit_of_the_version_is_another_version() {
    let mut b = Bench::up(Version::V13);
    let kind = refused(&mut b, &[0x84, 2, 0, 8, 0, 0, 0, 9]);
    assert_eq!(kind, Some(ErrorKind::BadRequestBadVersion));
}

/// 7.5.4: at least 64 bytes of a longer message, all of a shorter one; never an error without its message's xid.
#[test]
fn an_error_holds_the_beginning_of_what_it_is_about() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        for len in [8, 9, 63, 64, 65, 3000] {
            let mut bytes = vec![7; 8];
            bytes[..4].copy_from_slice(&[version.wire(), 200, 0, 8]);
            let bytes = resized(bytes, len - 8);
            let [(header, Message::Error(e))] = &b.bytes(&bytes)[..] else { panic!() };
            assert_eq!((header.xid, &e.data[..]), (Xid(0x0707_0707), &bytes[..bytes.len().min(64)]));
        }
    }
}

/// Whoever writes one expects no answer, and a loop of errors about errors has no end.
#[test]
fn replies_and_errors_of_a_controller_are_never_answered() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        for ty in [1, 3] {
            assert_eq!(b.bytes(&[version.wire(), ty, 0, 12, 0, 0, 0, 9, 0, 1, 0, 1]), []);
        }
    }
}

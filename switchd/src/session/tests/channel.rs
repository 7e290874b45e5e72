//! Hello, probes, ending.

use super::fake::Bench;
use crate::session::hello::VersionSet;
use crate::session::{Purpose, Settings, limits};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::ids::Xid;
use ofproto::message::{HelloElement, Message};
use ofproto::{ErrorKind, Version};
use std::time::Duration;

fn settings(versions: &[Version]) -> Settings {
    Settings { versions: VersionSet::of(versions), ..Settings::default() }
}

#[test]
fn we_greet_first_with_our_highest_version_and_a_bitmap() {
    let mut b = Bench::fresh(Purpose::Controller, settings(&[Version::V10, Version::V14]));
    let out = b.output();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0.version, 5);
    assert_eq!(out[0].1, Message::Hello(vec![HelloElement::VersionBitmap(vec![1 << 1 | 1 << 5])]));
}

#[test]
fn every_version_is_agreed_on_by_header_alone() {
    for version in Version::ALL {
        let mut b = Bench::up(version);
        assert_eq!(b.reply(9, &Message::EchoRequest(Bytes::from_static(b"ping"))), Message::EchoReply("ping".into()));
    }
}

#[test]
fn a_version_of_the_future_is_met_at_ours() {
    let mut b = Bench::fresh(Purpose::Controller, Settings::default());
    b.output();
    assert_eq!(b.bytes(&[0x55, 0, 0, 8, 0, 0, 0, 1]), []);
    assert_eq!(b.session.version(), Some(Version::V15));
}

#[test]
fn no_common_version_is_told_with_both_sides_sets_and_ends() {
    let mut b = Bench::fresh(Purpose::Controller, settings(&[Version::V13]));
    b.output();
    let out = b.bytes(&[1, 0, 0, 8, 0, 0, 0, 5]);
    let Message::Error(e) = &out[0].1 else { panic!("{out:?}") };
    assert_eq!((e.ty, e.code, out[0].0.xid, out[0].0.version), (0, 0, Xid(5), 1));
    let text = String::from_utf8(e.data.to_vec()).unwrap();
    assert!(text.contains("speaks 1.3") && text.contains("version 1.0"), "{text}");
    assert!(b.session.ending().unwrap().flush);
    assert!(!b.session.ready());
}

#[test]
fn anything_before_hello_is_refused_and_ends() {
    let mut b = Bench::fresh(Purpose::Controller, Settings::default());
    b.output();
    let out = b.ask(3, &Message::FeaturesRequest);
    let Message::Error(e) = &out[0].1 else { panic!("{out:?}") };
    assert_eq!(e.kind(Version::V13), Some(ErrorKind::BadRequestBadType));
    assert!(b.session.ending().is_some());
}

#[test]
fn a_refused_hello_of_ours_ends_it() {
    let mut b = Bench::fresh(Purpose::Controller, Settings::default());
    b.output();
    let refusal = ofproto::message::ErrorMsg::hello_failed("1.0 only");
    b.version = Version::V10;
    assert_eq!(b.ask(1, &Message::Error(refusal)), [], "an error is never answered");
    assert!(b.session.ending().unwrap().reason.contains("1.0 only"));
}

#[test]
fn no_hello_in_time_ends() {
    let mut b = Bench::fresh(Purpose::Visitor, Settings::default());
    b.at(Time::ZERO + limits::HANDSHAKE - Duration::from_millis(1));
    assert!(b.session.ending().is_none());
    assert_eq!(b.session.deadline(), Some(Time::ZERO + limits::HANDSHAKE));
    b.at(Time::ZERO + limits::HANDSHAKE);
    assert!(b.session.ending().unwrap().reason.contains("no hello"));
}

#[test]
fn a_second_hello_and_a_wrong_version_are_refused_without_ending() {
    let mut b = Bench::up(Version::V13);
    assert_eq!(b.refused(1, &Message::Hello(Vec::new())), ErrorKind::BadRequestBadType);
    for version in [1, 5, 0x55] {
        let out = b.bytes(&[version, 2, 0, 8, 0, 0, 0, 7]);
        let Message::Error(e) = &out[0].1 else { panic!("{out:?}") };
        assert_eq!((e.kind(Version::V13), out[0].0.version), (Some(ErrorKind::BadRequestBadVersion), 4));
    }
    assert!(b.session.ending().is_none());
}

#[test]
fn what_a_switch_says_is_nothing_for_a_switch_to_hear() {
    let mut b = Bench::up(Version::V13);
    assert_eq!(b.refused(1, &Message::BarrierReply), ErrorKind::BadRequestBadType);
    assert_eq!(b.ask(2, &Message::EchoReply(Bytes::new())), []);
    let e = ofproto::message::ErrorMsg { ty: 1, code: 1, experimenter: None, data: Bytes::new() };
    assert_eq!(b.ask(3, &Message::Error(e)), [], "an error is never answered");
    assert_eq!(b.session.counters().errors_received, 1);
}

/// Also where its body can't be read.
#[test]
fn what_a_switch_says_is_refused_by_its_type_in_every_version() {
    for version in Version::ALL {
        let types: &[u8] = if version == Version::V10 {
            &[6, 8, 10, 11, 12, 17, 19, 21]
        } else {
            &[6, 8, 10, 11, 12, 19, 21, 23, 25, 27, 30, 31, 32, 35]
        };
        let mut b = Bench::up(version);
        for ty in types {
            for len in [8_u8, 9, 48] {
                let mut message = vec![0x77; usize::from(len)];
                message[..8].copy_from_slice(&[version.wire(), *ty, 0, len, 0, 0, 0, 5]);
                let out = b.bytes(&message);
                let [(header, Message::Error(e))] = &out[..] else { panic!("{version} {ty}: {out:?}") };
                assert_eq!(header.xid, Xid(5));
                assert_eq!(e.kind(version), Some(ErrorKind::BadRequestBadType), "{version}, type {ty}, {len} bytes");
            }
        }
        assert!(b.session.ending().is_none());
    }
}

#[test]
fn silence_is_probed_and_then_ended() {
    let mut b = Bench::up(Version::V13);
    let probe = Duration::from_secs(15);
    assert_eq!(b.at(Time::from_secs(14)), []);
    assert_eq!(b.session.deadline(), Some(Time::ZERO + probe));
    let out = b.at(Time::from_secs(15));
    assert!(matches!(out[0].1, Message::EchoRequest(_)));
    // Any message is an answer.
    b.now = Time::from_secs(20);
    b.ask(1, &Message::EchoReply(Bytes::new()));
    assert_eq!(b.at(Time::from_secs(34)), []);
    assert_eq!(b.at(Time::from_secs(35)).len(), 1);
    assert_eq!(b.at(Time::from_secs(49)), []);
    assert!(b.session.ending().is_none());
    b.at(Time::from_secs(50));
    assert!(b.session.ending().unwrap().reason.contains("probe"));
}

#[test]
fn probes_can_be_switched_off() {
    let mut b = Bench::fresh(Purpose::Controller, Settings { probe: None, ..Settings::default() });
    b.ask(1, &Message::Hello(Vec::new()));
    assert_eq!(b.at(Time::from_secs(1_000_000)), []);
    assert!(b.session.ending().is_none());
}

#[test]
fn a_peer_that_reads_nothing_holds_up_itself_and_is_cut() {
    let mut b = Bench::up(Version::V13);
    b.session.set_queued(limits::REPLY_QUEUE);
    assert!(!b.session.ready());
    b.session.set_queued(limits::HARD_QUEUE + 1);
    b.session.advance(b.now, &mut b.host);
    assert!(!b.session.ending().unwrap().flush);
}

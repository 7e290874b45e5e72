//! Group-mods and meter-mods.

use super::{
    FROM_11, FROM_12, FROM_13, Table, band, buckets, change, experimenter_prop, groups, meter, out, unknown_field,
    unknown_prop,
};
use bytes::Bytes;
use ofproto::Version::{V13, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupProp, GroupType, MethodName, OtherProp, SelectionMethod};
use ofproto::ids::{BucketId, ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use ofproto::matching::Match;
use ofproto::message::Message;
use ofproto::meter::{Band, BandAction, MeterFlags, MeterModCommand};

#[test]
fn group_mods() {
    use GroupModCommand as C;
    use GroupType::{All, FastFailover, Indirect, Select, Unknown};
    for v in FROM_11.iter().copied() {
        let mut t = Table::new(v);
        t.row("one that is there", FROM_11, groups(1, All, vec![out(1)]), E::GroupModFailedGroupExists);
        t.row("a modify of none", FROM_11, change(C::Modify, 9, All, vec![out(1)]), E::GroupModFailedUnknownGroup);
        t.row("a reserved id", FROM_11, groups(0xffff_ff01, All, vec![]), E::GroupModFailedInvalidGroup);
        t.row(
            "a delete of a reserved id",
            FROM_11,
            change(C::Delete, 0xffff_ff01, All, vec![]),
            E::GroupModFailedInvalidGroup,
        );
        t.row(
            "a delete of any",
            FROM_11,
            change(C::Delete, GroupId::ANY.0, All, vec![]),
            E::GroupModFailedInvalidGroup,
        );
        t.row("an indirect one without bucket", FROM_11, groups(9, Indirect, vec![]), E::GroupModFailedInvalidGroup);
        let two = || vec![out(1), out(2)];
        t.row("an indirect one with two buckets", FROM_11, groups(9, Indirect, two()), E::GroupModFailedInvalidGroup);
        t.row("an undefined type", FROM_11, groups(9, Unknown(77), vec![]), E::GroupModFailedBadType);
        t.row("an undefined command", FROM_11, change(C::Unknown(77), 9, All, vec![]), E::GroupModFailedBadCommand);
        let heavy = || vec![Bucket { weight: 5, ..out(1) }];
        t.row("a weight where nothing is selected", FROM_13, groups(9, All, heavy()), E::GroupModFailedInvalidGroup);
        if v < V13 {
            t.fine(groups(99, All, heavy()));
            t.fine(change(C::Delete, 99, All, vec![]));
        }
        t.row("a delete with buckets", FROM_13, change(C::Delete, 2, All, two()), E::GroupModFailedInvalidGroup);
        t.row(
            "a delete of one that another names",
            FROM_12,
            change(C::Delete, 1, All, vec![]),
            E::GroupModFailedChainedGroup,
        );
        let names = |g| vec![Bucket::new(vec![Action::Group(GroupId(g))])];
        t.row("a loop", FROM_11, change(C::Modify, 1, All, names(2)), E::GroupModFailedLoop);
        t.row("a loop of one", FROM_11, groups(9, All, names(9)), E::GroupModFailedLoop);
        t.row("a bucket to a group that isn't there", FROM_11, groups(9, All, names(77)), E::BadActionBadOutGroup);
        t.row("a bucket to nowhere", FROM_11, groups(9, All, vec![out(0)]), E::BadActionBadOutPort);
        t.row("a bucket to a table", FROM_11, groups(9, All, vec![out(PortNo::TABLE.0)]), E::BadActionBadOutPort);
        let queued = vec![Bucket::new(vec![Action::SetQueue(QueueId(1)), Action::output(PortNo(2))])];
        t.row("a bucket's queue that its port lacks", FROM_11, groups(9, All, queued), E::BadActionBadQueue);
        let unknown = Bucket::new(vec![Action::Unknown { ty: 0x77, data: vec![0; 4].into() }]);
        t.row("a bucket's undefined action", FROM_11, groups(9, All, vec![unknown]), E::BadActionBadType);
        let watch = |port, group| vec![Bucket { watch_port: port, watch_group: group, ..out(1) }];
        let reserved = groups(9, FastFailover, watch(PortNo::FLOOD, GroupId::ANY));
        t.row("a watch on no port", FROM_12, reserved, E::GroupModFailedBadWatch);
        let none = groups(9, FastFailover, watch(PortNo::ANY, GroupId(77)));
        t.row("a watch on no group", FROM_12, none, E::GroupModFailedBadWatch);
        let own = groups(9, FastFailover, watch(PortNo::ANY, GroupId(9)));
        t.row("a watch on itself", FROM_11, own, E::GroupModFailedLoop);
        if v >= V15 {
            let at = |id: u32| Bucket { id: Some(BucketId(id)), ..out(1) };
            let only = &[V15];
            t.row("an id twice", only, groups(9, All, vec![at(1), at(1)]), E::GroupModFailedBucketExists);
            t.row("a reserved bucket id", only, groups(9, All, vec![at(BucketId::LAST.0)]), E::GroupModFailedBadBucket);
            let insert = |g, place, id| buckets(C::InsertBucket, g, place, vec![at(id)]);
            let last = BucketId::LAST.0;
            t.row("an insert into no group", only, insert(77, last, 5), E::GroupModFailedUnknownGroup);
            t.row("an insert after no bucket", only, insert(1, 55, 5), E::GroupModFailedUnknownBucket);
            t.row("an insert of an id that is there", only, insert(1, last, 0), E::GroupModFailedBucketExists);
            t.row("a second bucket of an indirect one", only, insert(4, last, 5), E::GroupModFailedInvalidGroup);
            let remove = |g, place| buckets(C::RemoveBucket, g, place, vec![]);
            t.row("a remove from no group", only, remove(77, last), E::GroupModFailedUnknownGroup);
            t.row("a remove of no bucket", only, remove(1, 55), E::GroupModFailedUnknownBucket);
            t.row("the last bucket of an indirect one", only, remove(4, last), E::GroupModFailedInvalidGroup);
            t.fine(groups(8, All, vec![]));
            t.row("a remove from an empty group", only, remove(8, BucketId::FIRST.0), E::GroupModFailedUnknownBucket);
            let with = |p: OtherProp| Bucket { other: vec![p], ..at(1) };
            t.row(
                "a bucket's undefined property",
                only,
                groups(9, All, vec![with(unknown_prop())]),
                E::BadPropertyBadType,
            );
            let m = groups(9, All, vec![with(experimenter_prop())]);
            t.row("a bucket's property of somebody", only, m, E::BadPropertyBadExperimenter);
            selection_methods(&mut t);
        }
        for n in 1000..1500 {
            if t.bench.hub.switch.control_mut().group_desc(GroupId::ALL).unwrap().len() < 1000 {
                t.bench.say(t.conn, v, 1, &groups(n, Select, vec![]));
            }
        }
        t.bench.hear(t.conn);
        t.row("no room", FROM_11, groups(5000, Select, vec![]), E::GroupModFailedOutOfGroups);
        t.end(18);
    }
}

/// What Open vSwitch, whose property it is, answers.
fn selection_methods(t: &mut Table) {
    use GroupType::{All, Select};
    let choosing = |command, ty, method: MethodName, fields: Match| {
        let Message::GroupMod(m) = groups(9, ty, vec![out(1)]) else { unreachable!() };
        let selection = GroupProp::Selection(SelectionMethod { fields, ..SelectionMethod::new(method) });
        Message::GroupMod(GroupMod { command, properties: vec![selection], ..m })
    };
    let add = |method, fields| choosing(GroupModCommand::Add, Select, method, fields);
    let (hash, dp_hash, none) = (MethodName::HASH, MethodName::DP_HASH, Match::any);
    let refused = E::BadPropertyBadValue;
    t.row("a method without a select", &[V15], choosing(GroupModCommand::Add, All, hash, none()), refused);
    t.row("a delete with a method", &[V15], choosing(GroupModCommand::Delete, Select, hash, none()), refused);
    for other in ["", "hash2", "dp_has"] {
        t.row("a method of another name", &[V15], add(MethodName::new(other).unwrap(), none()), refused);
    }
    t.row("a method without an end", &[V15], add(MethodName([b'h'; 16]), none()), refused);
    let ports = || none().with(F::TcpSrc, 0xffff);
    t.row("fields of dp_hash", &[V15], add(dp_hash, ports()), refused);
    t.row("a field twice", &[V15], add(hash, ports().with(F::TcpSrc, 1)), E::BadMatchDupField);
    t.row("a mask of a mask", &[V15], add(hash, ports().with_mask(F::TcpDst, 1, 1)), E::BadMatchBadMask);
    t.row("half of what has no halves", &[V15], add(hash, none().with(F::EthType, 0xff)), E::BadMatchBadMask);
    let unknown = Match { unknown: vec![(0, unknown_field())], ..Match::any() };
    t.row("no such field", &[V15], add(hash, unknown), E::BadMatchBadField);
    t.row("a field of no packet here", &[V15], add(hash, none().with(F::CtMark, 1)), E::BadMatchBadField);
    let Message::GroupMod(m) = add(hash, none()) else { unreachable!() };
    let other = GroupMod { properties: vec![GroupProp::Other(unknown_prop())], ..m };
    t.row("a group's undefined property", &[V15], Message::GroupMod(other), E::BadPropertyBadType);
    t.fine(add(hash, ports()));
    let delete = buckets(GroupModCommand::Delete, 9, BucketId::ALL.0, vec![]);
    t.fine(delete);
}

#[test]
fn meter_mods() {
    use MeterModCommand as C;
    for v in FROM_13.iter().copied() {
        let mut t = Table::new(v);
        let (kbps, drop) = (MeterFlags::KBPS, || vec![band(BandAction::Drop)]);
        t.row("one that is there", FROM_13, meter(C::Add, 1, kbps, drop()), E::MeterModFailedMeterExists);
        t.row("a modify of none", FROM_13, meter(C::Modify, 9, kbps, drop()), E::MeterModFailedUnknownMeter);
        for id in [0, MeterId::MAX.0 + 1, MeterId::ALL.0] {
            t.row("a reserved id", FROM_13, meter(C::Add, id, kbps, drop()), E::MeterModFailedInvalidMeter);
        }
        t.row("an undefined command", FROM_13, meter(C::Unknown(9), 9, kbps, drop()), E::MeterModFailedBadCommand);
        let undefined = MeterFlags::from_bits_retain(0x11);
        t.row("an undefined flag", FROM_13, meter(C::Add, 9, undefined, drop()), E::MeterModFailedBadFlags);
        let both = MeterFlags::KBPS | MeterFlags::PKTPS;
        t.row("two units", FROM_13, meter(C::Add, 9, both, drop()), E::MeterModFailedBadFlags);
        let of = |action| meter(C::Add, 9, kbps, vec![band(action)]);
        t.row(
            "an undefined band",
            FROM_13,
            of(BandAction::Unknown { ty: 9, data: vec![0; 4].into() }),
            E::MeterModFailedBadBand,
        );
        let experimenter = ExperimenterId(0x00ab_cdef);
        t.row(
            "somebody's band",
            FROM_13,
            of(BandAction::Experimenter { experimenter, data: Bytes::new() }),
            E::MeterModFailedBadBand,
        );
        t.row(
            "a precedence that can't be",
            FROM_13,
            of(BandAction::DscpRemark { prec_level: 9 }),
            E::MeterModFailedBadBandValue,
        );
        let none = meter(C::Add, 9, kbps, vec![Band { rate: 0, ..band(BandAction::Drop) }]);
        t.row("a rate of nothing", FROM_13, none, E::MeterModFailedBadRate);
        let many = meter(C::Add, 9, kbps, vec![band(BandAction::Drop); 17]);
        t.row("too many bands", FROM_13, many, E::MeterModFailedOutOfBands);
        t.end(13);
    }
}

use super::*;
use crate::clock::Time;
use crate::engine::counter::Writer;
use crate::key::FlowKey;
use crate::meter::MeterTable;
use crate::program::{Context, Place};
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupProp, MethodName, SelectionMethod};
use ofproto::matching::{Match, MatchField};
use ofproto::{ErrorKind as E, OfError, Version};

struct Up(Vec<u32>);
impl Liveness for Up {
    fn port_live(&self, port: PortNo) -> bool {
        self.0.contains(&port.0)
    }
}

fn group_mod(command: GroupModCommand, ty: GroupType, id: u32, buckets: Vec<Bucket>) -> GroupMod {
    GroupMod { command, ty, group: GroupId(id), command_bucket: BucketId::ALL, buckets, properties: Vec::new() }
}

fn out(port: u32) -> Bucket {
    Bucket::new(vec![Action::output(PortNo(port))])
}

fn weighted(port: u32, weight: u16) -> Bucket {
    Bucket { weight, ..out(port) }
}

fn watching(port: u32) -> Bucket {
    Bucket { watch_port: PortNo(port), ..out(port) }
}

fn to_group(id: u32) -> Bucket {
    Bucket::new(vec![Action::Group(GroupId(id))])
}

fn apply(t: &GroupTable, m: &GroupMod) -> Result<(GroupTable, GroupChange), OfError> {
    let meters = MeterTable::new(10, 1);
    let ctx = Context {
        version: Version::V15,
        place: Place::Bucket,
        n_tables: 254,
        tables: &[],
        first_egress: None,
        groups: t,
        meters: &meters,
        queues: None,
    };
    t.apply(m, &ctx, Time::from_secs(1))
}

fn with(mods: &[GroupMod]) -> GroupTable {
    mods.iter().fold(GroupTable::new(100, 1, 7), |t, m| apply(&t, m).unwrap().0)
}

use GroupModCommand::{Add, Delete, InsertBucket, Modify, RemoveBucket};
use GroupType::{All, FastFailover, Indirect, Select};

#[test]
fn refusals_have_the_exact_code() {
    let t = with(&[
        group_mod(Add, All, 1, vec![out(1)]),
        group_mod(Add, All, 2, vec![to_group(1)]),
        group_mod(Add, Select, 3, vec![weighted(1, 1)]),
    ]);
    let code = |m: GroupMod| apply(&t, &m).unwrap_err().kind;
    assert_eq!(code(group_mod(Add, All, 1, vec![])), E::GroupModFailedGroupExists);
    assert_eq!(code(group_mod(Modify, All, 9, vec![])), E::GroupModFailedUnknownGroup);
    assert_eq!(code(group_mod(Add, All, 0xffff_ff01, vec![])), E::GroupModFailedInvalidGroup);
    assert_eq!(code(group_mod(Add, GroupType::Unknown(9), 9, vec![])), E::GroupModFailedBadType);
    assert_eq!(code(group_mod(GroupModCommand::Unknown(9), All, 9, vec![])), E::GroupModFailedBadCommand);
    assert_eq!(code(group_mod(Add, Indirect, 9, vec![])), E::GroupModFailedInvalidGroup);
    assert_eq!(code(group_mod(Add, Indirect, 9, vec![out(1), out(2)])), E::GroupModFailedInvalidGroup);
    assert_eq!(code(group_mod(Add, All, 9, vec![weighted(1, 2)])), E::GroupModFailedInvalidGroup);
    assert_eq!(code(group_mod(Add, All, 9, vec![out(PortNo::ANY.0)])), E::BadActionBadOutPort);
    assert_eq!(code(group_mod(Add, All, 9, vec![out(PortNo::TABLE.0)])), E::BadActionBadOutPort);
    assert_eq!(code(group_mod(Add, All, 9, vec![to_group(77)])), E::BadActionBadOutGroup);
    assert_eq!(code(group_mod(Add, All, 9, vec![to_group(9)])), E::GroupModFailedLoop);
    assert_eq!(code(group_mod(Modify, All, 1, vec![to_group(2)])), E::GroupModFailedLoop);
    assert_eq!(code(group_mod(Delete, All, 1, vec![])), E::GroupModFailedChainedGroup);
    assert_eq!(code(group_mod(Delete, All, 2, vec![out(1)])), E::GroupModFailedInvalidGroup);
    let bad_watch = Bucket { watch_group: GroupId(55), ..out(1) };
    assert_eq!(code(group_mod(Add, FastFailover, 9, vec![bad_watch])), E::GroupModFailedBadWatch);
    let bad_watch = Bucket { watch_port: PortNo::CONTROLLER, ..out(1) };
    assert_eq!(code(group_mod(Add, FastFailover, 9, vec![bad_watch])), E::GroupModFailedBadWatch);
    let same = Bucket { id: Some(BucketId(3)), ..out(1) };
    assert_eq!(code(group_mod(Add, All, 9, vec![same.clone(), same])), E::GroupModFailedBucketExists);
    let reserved = Bucket { id: Some(BucketId::LAST), ..out(1) };
    assert_eq!(code(group_mod(Add, All, 9, vec![reserved])), E::GroupModFailedBadBucket);
    assert_eq!(code(group_mod(Add, All, 9, vec![out(1); MAX_BUCKETS + 1])), E::GroupModFailedOutOfBuckets);
    assert_eq!(code(group_mod(InsertBucket, All, 9, vec![out(1)])), E::GroupModFailedUnknownGroup);
    let full = (10..107).fold(t, |t, i| apply(&t, &group_mod(Add, All, i, vec![])).map_or(t, |(t, _)| t));
    let m = group_mod(Add, All, 999, vec![]);
    let e = apply(&full, &m).map(|(t, _)| apply(&t, &group_mod(Add, All, 1000, vec![])));
    assert_eq!(e.unwrap().unwrap_err().kind, E::GroupModFailedOutOfGroups);
}

#[test]
fn long_chains_and_loops_through_watches_are_refused() {
    let mut t = GroupTable::new(100, 1, 0);
    for i in 0..MAX_CHAIN as u32 {
        let buckets = if i == 0 { vec![out(1)] } else { vec![to_group(i - 1)] };
        t = apply(&t, &group_mod(Add, All, i, buckets)).unwrap().0;
    }
    let m = group_mod(Add, All, 99, vec![to_group(MAX_CHAIN as u32 - 1)]);
    assert_eq!(apply(&t, &m).unwrap_err().kind, E::GroupModFailedChainingUnsupported);
    let t = with(&[
        group_mod(Add, FastFailover, 1, vec![watching(1)]),
        group_mod(Add, FastFailover, 2, vec![Bucket { watch_group: GroupId(1), ..out(1) }]),
    ]);
    let m = group_mod(Modify, FastFailover, 1, vec![Bucket { watch_group: GroupId(2), ..out(1) }]);
    assert_eq!(apply(&t, &m).unwrap_err().kind, E::GroupModFailedLoop);
}

#[test]
fn delete_frees_what_it_named_and_reports_the_groups() {
    let t = with(&[group_mod(Add, All, 1, vec![out(1)]), group_mod(Add, All, 2, vec![to_group(1)])]);
    let (t2, change) = apply(&t, &group_mod(Delete, All, 2, vec![])).unwrap();
    assert_eq!(change.deleted, [GroupId(2)]);
    assert!(apply(&t2, &group_mod(Delete, All, 1, vec![])).is_ok());
    let (empty, change) = apply(&t, &group_mod(Delete, All, GroupId::ALL.0, vec![])).unwrap();
    assert_eq!(change.deleted, [GroupId(1), GroupId(2)]);
    assert!(empty.is_empty());
    assert!(apply(&empty, &group_mod(Delete, All, 5, vec![])).unwrap().1.deleted.is_empty());
}

#[test]
fn modify_keeps_group_counters_and_resets_buckets() {
    let t = with(&[group_mod(Add, All, 1, vec![out(1)]), group_mod(Add, All, 2, vec![to_group(1)])]);
    let g = t.get(GroupId(1)).unwrap();
    g.counter.add(Writer(0), 3, 300);
    g.buckets[0].counter.add(Writer(0), 3, 300);
    let (t, _) = apply(&t, &group_mod(Modify, Select, 1, vec![weighted(1, 1), weighted(2, 1)])).unwrap();
    let g = t.get(GroupId(1)).unwrap();
    let s = t.stats(g, 5, Time::from_secs(11));
    assert_eq!((s.packet_count, s.byte_count, s.ref_count, s.duration_sec), (3, 300, 6, 10));
    assert_eq!(s.buckets, [(0, 0), (0, 0)]);
}

#[test]
fn buckets_can_be_inserted_and_removed_and_keep_their_counters() {
    let t = with(&[group_mod(Add, Select, 1, vec![weighted(1, 1), weighted(2, 1)])]);
    t.get(GroupId(1)).unwrap().buckets[1].counter.add(Writer(0), 7, 70);
    let at = |command, bucket: BucketId, buckets| GroupMod {
        command_bucket: bucket,
        ..group_mod(command, Select, 1, buckets)
    };
    let ids = |t: &GroupTable| t.get(GroupId(1)).unwrap().buckets.iter().map(|b| b.id.0).collect::<Vec<_>>();
    let new = |id: u32| Bucket { id: Some(BucketId(id)), ..weighted(3, 1) };
    let (t, _) = apply(&t, &at(InsertBucket, BucketId(0), vec![new(10)])).unwrap();
    let (t, _) = apply(&t, &at(InsertBucket, BucketId::FIRST, vec![new(11)])).unwrap();
    let (t, _) = apply(&t, &at(InsertBucket, BucketId::LAST, vec![new(12)])).unwrap();
    assert_eq!(ids(&t), [11, 0, 10, 1, 12]);
    assert_eq!(t.get(GroupId(1)).unwrap().buckets[3].counter.sum(), (7, 70));
    let code = |m: &GroupMod| apply(&t, m).unwrap_err().kind;
    assert_eq!(code(&at(InsertBucket, BucketId(99), vec![new(13)])), E::GroupModFailedUnknownBucket);
    assert_eq!(code(&at(InsertBucket, BucketId::LAST, vec![new(12)])), E::GroupModFailedBucketExists);
    assert_eq!(code(&at(RemoveBucket, BucketId(99), vec![])), E::GroupModFailedUnknownBucket);
    let (t, _) = apply(&t, &at(RemoveBucket, BucketId::FIRST, vec![])).unwrap();
    let (t, _) = apply(&t, &at(RemoveBucket, BucketId(10), vec![])).unwrap();
    assert_eq!(ids(&t), [0, 1, 12]);
    let (t, _) = apply(&t, &at(RemoveBucket, BucketId::ALL, vec![])).unwrap();
    assert_eq!(apply(&t, &at(RemoveBucket, BucketId::LAST, vec![])).unwrap_err().kind, E::GroupModFailedUnknownBucket);
}

fn flow(i: u64) -> FlowKey {
    let mut k = FlowKey::default();
    k.set(FieldId::EthType, 0x0800);
    k.set(FieldId::Ipv4Src, u128::from(0x0a00_0000 + (i as u32 >> 10)));
    k.set(FieldId::Ipv4Dst, u128::from(0x0b00_0000 + (i as u32 & 0x3ff)));
    k.set(FieldId::TcpSrc, 1024);
    k
}

#[test]
fn select_shares_follow_the_weights_within_one_percent() {
    for weights in [vec![1u16, 1], vec![1, 2], vec![1, 2, 3, 4], vec![5, 0, 5]] {
        let buckets = weights.iter().enumerate().map(|(i, w)| weighted(i as u32 + 1, *w)).collect();
        let t = with(&[group_mod(Add, Select, 1, buckets)]);
        let g = t.get(GroupId(1)).unwrap();
        let up = Up((1..9).collect());
        let mut n = vec![0u64; weights.len()];
        let flows = 1_000_000;
        for i in 0..flows {
            n[t.select(g, &flow(i), &up).unwrap()] += 1;
        }
        let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        for (got, w) in n.iter().zip(&weights) {
            let want = flows as f64 * f64::from(*w) / sum as f64;
            assert!((*got as f64 - want).abs() <= want * 0.01, "{weights:?}: {n:?}");
        }
    }
}

#[test]
fn select_moves_only_the_flows_of_a_dead_bucket() {
    let t = with(&[group_mod(Add, Select, 1, (1..=4).map(|p| weighted(p, p as u16)).collect())]);
    let g = t.get(GroupId(1)).unwrap();
    let (all, without3) = (Up(vec![1, 2, 3, 4]), Up(vec![1, 2, 4]));
    for i in 0..20_000 {
        let key = flow(i);
        let (a, b) = (t.select(g, &key, &all).unwrap(), t.select(g, &key, &without3).unwrap());
        assert!(a == b || a == 2);
        assert_ne!(b, 2);
    }
    assert_eq!(t.select(g, &flow(1), &Up(vec![])), None);
}

#[test]
fn a_bucket_that_comes_or_goes_moves_its_own_flows_alone() {
    let weights = [3u16, 1, 2, 4];
    let buckets =
        |n: usize| (0..n).map(|i| Bucket { id: Some(BucketId(i as u32)), ..weighted(i as u32 + 1, weights[i]) });
    let t = with(&[group_mod(Add, Select, 1, buckets(3).collect())]);
    let change = |t: &GroupTable, command, bucket: u32, list| {
        apply(t, &GroupMod { command_bucket: BucketId(bucket), ..group_mod(command, Select, 1, list) }).unwrap().0
    };
    let more = change(&t, InsertBucket, BucketId::LAST.0, buckets(4).skip(3).collect());
    let less = change(&t, RemoveBucket, 1, Vec::new());
    // The whole group given again, with one bucket more, is the same to flows.
    let again = change(&t, GroupModCommand::Modify, BucketId::ALL.0, buckets(4).collect());
    let up = Up((1..9).collect());
    let taken = |t: &GroupTable, key: &FlowKey| {
        let g = t.get(GroupId(1)).unwrap();
        g.buckets[t.select(g, key, &up).unwrap()].id.0
    };
    let flows = 200_000;
    let (mut to_new, mut from_old) = (0, 0);
    for i in 0..flows {
        let key = flow(i);
        let (before, with_more, with_less) = (taken(&t, &key), taken(&more, &key), taken(&less, &key));
        assert!(with_more == before || with_more == 3);
        assert!(with_less == before || before == 1);
        assert_eq!(taken(&again, &key), with_more);
        to_new += u64::from(with_more == 3);
        from_old += u64::from(before == 1);
    }
    // The shares that the weights give: 4 of 10, 1 of 6.
    assert!(to_new.abs_diff(flows * 4 / 10) < flows / 100, "{to_new}");
    assert!(from_old.abs_diff(flows / 6) < flows / 100, "{from_old}");
}

fn choosing(method: MethodName, param: u64, fields: &[(FieldId, u128)]) -> GroupMod {
    let fields = Match::new(fields.iter().map(|(id, mask)| MatchField::exact(*id, *mask)).collect());
    let selection = SelectionMethod { param, fields, ..SelectionMethod::new(method) };
    GroupMod {
        properties: vec![GroupProp::Selection(selection)],
        ..group_mod(Add, Select, 1, (1..=8).map(|p| weighted(p, 1)).collect())
    }
}

/// How many of the packets take another bucket than the packet before.
fn moves(m: &GroupMod, packets: impl Iterator<Item = FlowKey>) -> usize {
    let t = with(std::slice::from_ref(m));
    let g = t.get(m.group).unwrap();
    let up = Up((1..9).collect());
    let chosen: Vec<_> = packets.map(|k| t.select(g, &k, &up).unwrap()).collect();
    chosen.windows(2).filter(|w| w[0] != w[1]).count()
}

fn tcp(set: &[(FieldId, u128)]) -> FlowKey {
    let mut k = flow(5);
    k.set(FieldId::IpProto, 6);
    k.set(FieldId::IpFrag, u128::from(crate::key::flag::L4_PRESENT));
    set.iter().for_each(|(id, value)| k.set(*id, *value));
    k
}

#[test]
fn only_the_fields_of_a_hash_move_the_choice() {
    use FieldId as F;
    let by = |fields: &[(F, u128)]| choosing(MethodName::HASH, 0, fields);
    let run = |m: &GroupMod, id: F, shift: u32| moves(m, (0..64).map(|i| tcp(&[(id, i << shift)])));
    let source = by(&[(F::Ipv4Src, u128::MAX), (F::TcpDst, 0xff)]);
    assert!(run(&source, F::Ipv4Src, 0) > 32);
    assert!(run(&source, F::TcpDst, 0) > 32);
    assert_eq!(run(&source, F::TcpDst, 8), 0, "bits outside the mask");
    for other in [F::Ipv4Dst, F::TcpSrc, F::EthSrc, F::Metadata, F::NwTtl, F::Reg3] {
        assert_eq!(run(&source, other, 0), 0, "{other:?}");
    }
    // What else is hashed by default counts only if it is listed, and what isn't does if it is.
    assert!(run(&by(&[(F::Metadata, u128::MAX)]), F::Metadata, 40) > 32);
    // Fields that the packet doesn't have don't count, though they share a place in the key.
    assert_eq!(run(&by(&[(F::UdpDst, 0xffff), (F::ArpTpa, u128::MAX)]), F::TcpDst, 0), 0);
    assert_eq!(run(&by(&[(F::UdpDst, 0xffff), (F::ArpTpa, u128::MAX)]), F::Ipv4Dst, 0), 0);
}

#[test]
fn bits_that_decide_are_all_that_decides() {
    use FieldId as F;
    let fields = [(F::TcpDst, 0xf0), (F::VlanPcp, 0xff), (F::Ipv6NdTarget, u128::MAX), (F::Ipv4Src, 0xff00_ff00)];
    let m = choosing(MethodName::HASH, 3, &fields);
    let t = with(std::slice::from_ref(&m));
    let g = t.get(GroupId(1)).unwrap();
    let bits = *g.hashed_bits().unwrap();
    let up = Up((1..9).collect());
    let mut x = 1u64;
    for i in 0..2000u32 {
        let mut k = tcp(&[(F::VlanTci, u128::from(i) << 12), (F::EthType, [0x800, 0x86dd, 0x806][i as usize % 3])]);
        k.set(F::IpProto, [6, 17, 58][i as usize / 3 % 3]);
        let mut other = k;
        for w in 0..crate::key::WORDS {
            x = select::mix(x);
            other.0[w] ^= x & !bits.0[w];
        }
        assert_eq!(t.select(g, &k, &up), t.select(g, &other, &up), "{k:?} {other:?}");
    }
}

#[test]
fn a_parameter_makes_switches_and_groups_choose_alike() {
    let chosen = |seed, id, method, param| {
        let m = GroupMod { group: GroupId(id), ..choosing(method, param, &[]) };
        let t = apply(&GroupTable::new(10, 1, seed), &m).unwrap().0;
        let g = t.get(GroupId(id)).unwrap();
        let up = Up((1..9).collect());
        (0..200).map(|i| t.select(g, &flow(i), &up).unwrap()).collect::<Vec<_>>()
    };
    for method in [MethodName::HASH, MethodName::DP_HASH] {
        let one = chosen(1, 1, method, 9);
        assert_eq!(one, chosen(2, 7, method, 9));
        assert_ne!(one, chosen(1, 1, method, 10));
        assert_ne!(chosen(1, 1, method, 0), chosen(2, 1, method, 0));
        assert_ne!(chosen(1, 1, method, 0), chosen(1, 2, method, 0));
    }
    // The algorithm is another switch's business.
    assert_eq!(chosen(1, 1, MethodName::DP_HASH, 9), chosen(1, 1, MethodName::DP_HASH, 1 << 32 | 9));
}

#[test]
fn the_table_knows_the_bits_as_long_as_there_are_such_groups() {
    use FieldId as F;
    let m = choosing(MethodName::HASH, 0, &[(F::Metadata, 0xff)]);
    let t = with(std::slice::from_ref(&m));
    assert_eq!((t.has_select_by_flow(), t.fields_bits().get(F::Metadata)), (false, 0xff));
    let plain = group_mod(Modify, Select, 1, vec![weighted(1, 1)]);
    let t = apply(&t, &plain).unwrap().0;
    assert_eq!((t.has_select_by_flow(), t.fields_bits().get(F::Metadata)), (true, 0));
    let t = apply(&t, &GroupMod { command: Modify, ..m.clone() }).unwrap().0;
    let t = apply(&t, &GroupMod { group: GroupId(2), ..m }).unwrap().0;
    let t = apply(&t, &group_mod(Delete, All, 1, vec![])).unwrap().0;
    assert_eq!((t.has_select_by_flow(), t.fields_bits().get(F::Metadata)), (false, 0xff));
    for id in [2, GroupId::ALL.0] {
        let t = apply(&t, &group_mod(Delete, All, id, vec![])).unwrap().0;
        assert_eq!((t.has_select_by_flow(), t.fields_bits().get(F::Metadata)), (false, 0));
    }
    let unknown = choosing(MethodName::HASH, 0, &[(F::NshSi, 0xff)]);
    assert_eq!(apply(&t, &GroupMod { group: GroupId(5), ..unknown }).unwrap_err().kind, E::BadMatchBadField);
}

#[test]
fn fragments_of_a_flow_hash_alike() {
    let mut first = flow(1);
    first.set(FieldId::IpFrag, 1);
    let mut later = first;
    later.set(FieldId::IpFrag, 3);
    later.set(FieldId::TcpSrc, 0);
    assert_eq!(flow_hash(&first), flow_hash(&later));
}

#[test]
fn failover_takes_the_first_live_bucket_through_groups_too() {
    let t = with(&[
        group_mod(Add, FastFailover, 1, vec![watching(1), watching(2)]),
        group_mod(Add, FastFailover, 2, vec![out(9), Bucket { watch_group: GroupId(1), ..to_group(1) }, watching(3)]),
    ]);
    let g = t.get(GroupId(2)).unwrap();
    // A bucket without a watch is never live.
    assert_eq!(t.failover(g, &Up(vec![2, 3, 9])), Some(1));
    assert_eq!(t.failover(g, &Up(vec![3, 9])), Some(2));
    assert_eq!(t.failover(g, &Up(vec![9])), None);
}

/// Before 1.5 each bucket has the two watches, and controllers that don't need them write 0.
#[test]
fn watches_that_nobody_reads_close_no_loop() {
    let zero = |b: Bucket| Bucket { watch_port: PortNo(0), watch_group: GroupId(0), ..b };
    let t = with(&[group_mod(Add, All, 0, vec![zero(out(1))]), group_mod(Add, Indirect, 1, vec![zero(to_group(0))])]);
    let t = apply(&t, &group_mod(Add, All, 2, vec![zero(to_group(1))])).unwrap().0;
    let t = apply(&t, &group_mod(Modify, All, 0, vec![zero(out(2))])).unwrap().0;
    // Somebody else reads them, and goes no further than the bounds.
    let ff = Bucket { watch_group: GroupId(0), ..out(3) };
    let t = apply(&t, &group_mod(Add, FastFailover, 3, vec![ff])).unwrap().0;
    let group = t.get(GroupId(3)).unwrap();
    assert_eq!(t.failover(group, &Up(vec![3])), None);
    assert_eq!(t.failover(group, &Up(vec![0])), Some(0));
}

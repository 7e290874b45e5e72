//! The cache against the interpreter, and the engine end to end.

mod cache;
mod ports;
mod random;
mod ways;

use super::testbed::{TABLES, TestSwitch, digest, frames};
use super::*;
use crate::engine::burst::{Around, FastPath};
use crate::pipeline::{DropReason, MAX_STEPS};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupProp, GroupType, MethodName, SelectionMethod};
use ofproto::ids::{BucketId, GroupId, MeterId, QueueId, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::port::PortConfig;
use random::*;

/// Random pipelines that change under random packets: through the cache everything must be as without,
/// frames, packets for the controllers, drops, wishes and every counter.
fn compare(seeds: std::ops::Range<u64>, packets: usize) -> crate::cache::CacheStats {
    let mut stats = crate::cache::CacheStats::default();
    for seed in seeds {
        let mut r = Rng(seed);
        let (mut plain, mut cached) = pair(seed);
        let mut cache = FastPath::new(256, 256, seed);
        for _ in 0..30 {
            change(&mut r, &mut plain, &mut cached);
        }
        // Few flows, so that they come again.
        let flows: Vec<_> = (0..24).map(|_| (1 + r.below(4) as u32, a_frame(&mut r))).collect();
        for n in 0..packets {
            let now = Time(n as u64 * 200_000);
            if r.one_in(12) {
                change(&mut r, &mut plain, &mut cached);
            }
            let (port, frame) = r.pick(&flows);
            let want = plain.run(port, &frame, now);
            let got = cached.run_cached(&mut cache, port, &frame, now);
            assert_eq!(digest(&got), digest(&want), "seed {seed} packet {n} on port {port}: {frame:02x?}");
            assert_eq!(got.requests, want.requests);
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        assert_eq!(cached.shared.normal().dump(), plain.shared.normal().dump(), "seed {seed}");
        stats += cache.cache.stats;
    }
    stats
}

#[test]
fn the_cache_does_what_the_interpreter_does() {
    let s = compare(0..240, 500);
    // The comparison is worth something only if the cache is used.
    assert!(s.hits > 32_000 && s.stale > 2_000, "{s:?}");
}

/// [`digest`], frames by port and queue: the order among those of different ones says nothing.
fn by_port(c: &Collected) -> (Vec<super::testbed::SentFrame>, Vec<String>, Vec<crate::pipeline::Lost>) {
    let (mut sent, punts, lost) = digest(c);
    sent.sort_by_key(|(port, queue, _)| (*port, *queue));
    (sent, punts, lost)
}

/// Bursts of several flows, through compiled edits, replays and walks in turn: everything must leave in the order
/// of arrival and be counted as if one packet came after the other.
#[test]
fn a_burst_does_what_its_packets_do_one_by_one() {
    let (mut hits, mut merged) = (0, 0);
    for seed in 0..60 {
        let mut r = Rng(seed + 5000);
        let (mut plain, mut cached) = pair(seed);
        let mut way = FastPath::new(256, 256, seed);
        for _ in 0..20 {
            change(&mut r, &mut plain, &mut cached);
        }
        let flows: Vec<_> = (0..16).map(|_| a_frame(&mut r)).collect();
        for n in 0..40u64 {
            let now = Time(n * 20_000_000);
            if r.one_in(4) {
                change(&mut r, &mut plain, &mut cached);
            }
            let port = 1 + r.below(4) as u32;
            let burst: Vec<_> = (0..1 + r.below(70)).map(|_| r.pick(&flows)).collect();
            let mut want = Collected::default();
            for f in &burst {
                let one = plain.run(port, f, now);
                want.sent.extend(one.sent);
                want.punts.extend(one.punts);
                want.drops.extend(one.drops);
                want.lost.extend(one.lost);
                want.requests.extend(one.requests);
            }
            let mut frames: Vec<_> = burst.iter().map(|f| Frame::from_bytes(f)).collect();
            let got = cached.run_burst(&mut way, port, &mut frames, now);
            assert!(frames.is_empty());
            let ((sent, punts, mut drops), (got_sent, got_punts, mut got_drops)) = (by_port(&want), by_port(&got));
            assert_eq!(got_sent, sent, "seed {seed} burst {n}");
            assert_eq!(got_punts, punts, "seed {seed} burst {n}");
            drops.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            got_drops.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            assert_eq!(got_drops, drops, "seed {seed} burst {n}");
            assert_eq!(got.requests, want.requests);
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        hits += way.cache.stats.hits;
        merged += way.merged;
    }
    assert!(hits > 20_000 && merged > 1_000, "{hits} {merged}");
}

/// The pipelines that compiled edits are for: rewriting IPv4 hosts, routers, taggers; all from compiled segments.
#[test]
fn compiled_edits_do_what_the_interpreter_does() {
    let set = |id, v: u128| Action::SetField(MatchField::exact(id, v));
    let (mut compiled, mut merged) = (0, 0);
    for seed in 0..200 {
        let mut r = Rng(seed + 9000);
        let make = |r: &mut Rng| {
            let mut s = TestSwitch::new(Version::V13);
            for table in 0..3u8 {
                for i in 0..3u128 {
                    let m = Match::any().with(F::EthType, 0x0800).with_mask(F::Ipv4Src, i, 3);
                    let mut list: Vec<Action> = (0..r.below(4))
                        .map(|_| match r.below(12) {
                            0 => set(F::EthDst, u128::from(r.below(1 << 48))),
                            1 => set(F::EthSrc, u128::from(r.below(1 << 48))),
                            2 => set(F::Ipv4Src, u128::from(r.below(1 << 32) & !3 | r.below(3))),
                            3 => set(F::Ipv4Dst, u128::from(r.below(1 << 32))),
                            4 => set(F::TcpDst, u128::from(r.below(1 << 16))),
                            5 => set(F::UdpSrc, u128::from(r.below(1 << 16))),
                            6 => Action::DecNwTtl,
                            7 => Action::PopVlan,
                            8 => Action::PushVlan(r.pick(&[0x8100, 0x88a8])),
                            9 => set(F::VlanVid, u128::from(0x1000 | r.below(4096))),
                            10 => set(F::VlanPcp, u128::from(r.below(8))),
                            _ => set(F::Metadata, u128::from(r.below(8))),
                        })
                        .collect();
                    let last = table == 2 || r.one_in(5);
                    if last && !r.one_in(6) {
                        list.push(Action::output(PortNo(2 + r.below(2) as u32)));
                    }
                    let mut instructions = vec![I::ApplyActions(list)];
                    if !last {
                        instructions.push(I::GotoTable(TableId(table + 1)));
                    }
                    // Prerequisites refuse some lists: those flows just aren't there.
                    let _ = s.flow(table, 1, m, instructions);
                }
            }
            s
        };
        let start = r.0;
        let plain = make(&mut r);
        let cached = make(&mut Rng(start));
        let mut way = FastPath::new(256, 256, seed);
        for round in 0..6 {
            let frames: Vec<Vec<u8>> = (0..20)
                .map(|_| {
                    let proto = r.pick(&[6u8, 17, 17, 1]);
                    let ttl = r.pick(&[64u8, 64, 33, 3, 2, 1]);
                    let (src, dst) = (r.below(4) as u32, r.below(4) as u32);
                    let mut f = frames::ipv4(proto, src, dst, 4, ttl, r.below(9) as u16, 80);
                    if proto == 17 && r.one_in(3) {
                        // UDP without a checksum.
                        f[40..42].fill(0);
                    }
                    if r.one_in(3) { frames::tagged(&f, r.below(1 << 16) as u16) } else { f }
                })
                .collect();
            let mut want: Vec<_> = frames.iter().flat_map(|f| digest(&plain.run(1, f, Time(round))).0).collect();
            let mut burst = frames.iter().map(|f| Frame::from_bytes(f)).collect();
            let mut got = digest(&cached.run_burst(&mut way, 1, &mut burst, Time(round))).0;
            // The order among frames of different ports says nothing.
            for sent in [&mut want, &mut got] {
                sent.sort_by_key(|(port, queue, _)| (*port, *queue));
            }
            assert_eq!(got, want, "seed {seed}");
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        compiled += way.compiled;
        merged += way.merged;
    }
    assert!(compiled > 10_000 && merged > 1_000, "{compiled} {merged}");
}

/// The long form, a million packets: 25 s of processor time, 2 s optimised.
#[test]
fn the_cache_does_what_the_interpreter_does_at_length() {
    let s = compare(1000..3000, 500);
    assert!(s.hits > 300_000, "{s:?}");
}

#[test]
fn bounds_hold_for_random_pipelines() {
    let (mut a, mut b) = pair(0);
    let mut r = Rng(42);
    for _ in 0..200 {
        change(&mut r, &mut a, &mut b);
    }
    for _ in 0..500 {
        let f = a_frame(&mut r);
        let c = a.run(1 + r.below(4) as u32, &f, Time::ZERO);
        assert!(c.sent.len() <= MAX_STEPS as usize);
    }
}

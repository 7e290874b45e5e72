//! Figures of the flow tables alone: `cargo run --release -p datapath --example flow_table [flows [one|acl|masks|few]]`,
//! or with rules and frames of one's own: `… flow_table files RULES FRAMES…`: a file of flows in the flow syntax, of
//! which table 0 counts, and files of frames of 64 bytes each.
//!
//! Rates are per second of one thread's processor time; keys are prebuilt and drawn at random. Memory is what the process grew by.

use datapath::clock::Time;
use datapath::control::{BundleMessage, Control, ControlConfig, Modification};
use datapath::key::{FlowKey, flag};
use datapath::parse::parse;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};
use ofproto::text::{ParseContext, parse_flow_mods};
use std::hint::black_box;

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0.0);
    pages * 4096.0
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Processor time of this thread in seconds: other load on the machine counts for nothing.
fn cpu() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

fn rate(what: &str, n: usize, work: impl FnOnce()) {
    let start = cpu();
    work();
    let t = cpu() - start;
    println!("{what:<44} {:>8.3} M/s   ({:.1} ns)", n as f64 / t / 1e6, t * 1e9 / n as f64);
}

fn output(port: u32) -> Vec<Instruction> {
    vec![Instruction::ApplyActions(vec![Action::output(PortNo(port))])]
}

/// A flow per 5-tuple, as a reactive controller makes them.
fn exact(i: u32) -> (FlowMod, FlowKey) {
    let src = 0x0a00_0000 | u128::from(i);
    let (sport, dport) = (u128::from(1024 + i % 50_000), 443u128);
    let m = Match::any()
        .with(F::InPort, 1)
        .with(F::EthType, 0x800)
        .with(F::IpProto, 6)
        .with(F::Ipv4Src, src)
        .with(F::Ipv4Dst, 0xc0a8_0001)
        .with(F::TcpSrc, sport)
        .with(F::TcpDst, dport);
    let mut k = FlowKey::default();
    k.set(F::InPort, 1);
    k.set(F::EthType, 0x800);
    k.set(F::IpProto, 6);
    k.set(F::Ipv4Src, src);
    k.set(F::Ipv4Dst, 0xc0a8_0001);
    k.set(F::TcpSrc, sport);
    k.set(F::TcpDst, dport);
    k.set(F::IpFrag, u128::from(flag::L4_PRESENT));
    (FlowMod { matching: m, instructions: output(2 + i % 4), priority: 100, ..FlowMod::default() }, k)
}

/// `words` are the parts of the keys that differ; a burst of keys is put together from them, as a
/// parser would leave it in the cache. What that costs is shown first, and not subtracted.
fn lookups(what: &str, control: &mut Control, keys: &[FlowKey], n: usize) {
    let mut reader = control.attach_worker().expect("a place");
    let small: Vec<[u64; 5]> = keys.iter().map(|k| std::array::from_fn(|i| k.0[i])).collect();
    let mut r = Random(99);
    let order: Vec<u32> = (0..n).map(|_| ((r.next() >> 20) as usize % keys.len()) as u32).collect();
    let mut burst: [FlowKey; 32] = std::array::from_fn(|_| FlowKey::default());
    let fill = |burst: &mut [FlowKey; 32], chunk: &[u32]| {
        for (k, i) in burst.iter_mut().zip(chunk) {
            k.0[..5].copy_from_slice(&small[*i as usize]);
        }
    };
    rate("  (building keys alone)", n, || {
        for chunk in order.chunks_exact(32) {
            fill(&mut burst, chunk);
            black_box(&burst);
        }
    });
    let snap = reader.adopt();
    let mut hits = 0usize;
    rate(&format!("{what}: one at a time"), n, || {
        for chunk in order.chunks_exact(32) {
            fill(&mut burst, chunk);
            for k in &burst {
                hits += usize::from(black_box(snap.lookup(TableId(0), k)).is_some());
            }
        }
    });
    let mut out = [None; 32];
    let mut burst_hits = 0usize;
    rate(&format!("{what}: bursts of 32"), n, || {
        for chunk in order.chunks_exact(32) {
            fill(&mut burst, chunk);
            let refs: [&FlowKey; 32] = std::array::from_fn(|i| &burst[i]);
            snap.lookup_burst(TableId(0), &refs, &mut out);
            burst_hits += black_box(&out).iter().filter(|o| o.is_some()).count();
        }
    });
    println!("    hits {:.1} % / {:.1} %", hits as f64 * 100.0 / n as f64, burst_hits as f64 * 100.0 / n as f64);
}

/// Rules like an access list: prefixes, protocols and ports in a few hundred mask combinations.
fn acl(n: u32) -> (Vec<FlowMod>, Vec<FlowKey>) {
    let mut r = Random(7);
    let mut mods = Vec::new();
    let mut keys = Vec::new();
    for i in 0..n {
        let mut m = vec![MatchField::exact(F::EthType, 0x800)];
        let mut k = FlowKey::default();
        k.set(F::EthType, 0x800);
        k.set(F::IpFrag, u128::from(flag::L4_PRESENT));
        for f in [F::Ipv4Src, F::Ipv4Dst] {
            let addr = 0x0a00_0000 | u128::from(r.next() >> 40);
            let len = [0, 16, 20, 22, 24, 24, 26, 28, 30, 32, 32, 32][(r.next() >> 30) as usize % 12];
            k.set(f, addr);
            if len == 32 {
                m.push(MatchField::exact(f, addr));
            } else if len > 0 {
                let mask = (0xffff_ffffu128 << (32 - len)) & 0xffff_ffff;
                m.push(MatchField::masked(f, addr & mask, mask));
            }
        }
        let tcp = !r.next().is_multiple_of(4);
        let port = u128::from(r.next() >> 50);
        k.set(F::IpProto, if tcp { 6 } else { 17 });
        k.set(F::TcpDst, port);
        k.set(F::TcpSrc, u128::from(r.next() >> 48));
        if !r.next().is_multiple_of(5) {
            m.push(MatchField::exact(F::IpProto, if tcp { 6 } else { 17 }));
            if !r.next().is_multiple_of(3) {
                m.push(MatchField::exact(if tcp { F::TcpDst } else { F::UdpDst }, port));
            }
        }
        mods.push(FlowMod {
            matching: Match::new(m),
            priority: (n - i).min(60_000) as u16,
            instructions: output(i % 8 + 1),
            ..FlowMod::default()
        });
        keys.push(k);
    }
    (mods, keys)
}

/// Rules made to have as many masks as possible, none containing another for most pairs: every bit of
/// addresses and ports is matched or not by chance. A tuple per mask would make each lookup walk them all.
fn incompatible(n: u32) -> (Vec<FlowMod>, Vec<FlowKey>) {
    let mut r = Random(11);
    let mut mods = Vec::new();
    let mut keys = Vec::new();
    for i in 0..n {
        let mut k = FlowKey::default();
        k.set(F::EthType, 0x800);
        k.set(F::IpProto, 6);
        k.set(F::IpFrag, u128::from(flag::L4_PRESENT));
        let mut m = vec![MatchField::exact(F::EthType, 0x800), MatchField::exact(F::IpProto, 6)];
        for (f, bits) in [(F::Ipv4Src, 32), (F::Ipv4Dst, 32), (F::TcpSrc, 16), (F::TcpDst, 16)] {
            let value = u128::from(r.next() >> (64 - bits));
            let mask = u128::from(r.next() >> (64 - bits));
            k.set(f, value);
            m.push(MatchField::masked(f, value & mask, mask));
        }
        mods.push(FlowMod {
            matching: Match::new(m),
            priority: (r.next() >> 50) as u16,
            instructions: output(i % 8 + 1),
            ..FlowMod::default()
        });
        keys.push(k);
    }
    (mods, keys)
}

/// Rules from a file, packets from files.
fn files(paths: &[String]) {
    let now = Time::from_secs(1);
    let text = std::fs::read_to_string(&paths[0]).expect("the rules");
    let mods = parse_flow_mods(&text, FlowModCommand::Add, &ParseContext::new(Version::V13)).expect("rules");
    let mods: Vec<FlowMod> = mods.into_iter().filter(|m| m.table == TableId(0)).collect();
    println!("-- {}: {} rules", paths[0], mods.len());
    let mut control = Control::new(ControlConfig { max_entries: 16_000_000, ..ControlConfig::default() });
    rate("add", mods.len(), || {
        for m in &mods {
            control.flow_mod(Version::V13, m, now).expect("added");
        }
    });
    while control.tick(now).busy {}
    println!("    {}", control.table_structure(TableId(0)).expect("a table"));
    for path in &paths[1..] {
        let bytes = std::fs::read(path).expect("the frames");
        let keys: Vec<FlowKey> = bytes
            .chunks_exact(64)
            .map(|frame| {
                let mut key = FlowKey::default();
                key.set(F::InPort, 1);
                parse(frame, &mut key);
                key
            })
            .collect();
        let name = path.rsplit('/').next().unwrap_or(path);
        for _ in 0..3 {
            lookups(name, &mut control, &keys, 2_000_000);
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "files") {
        return files(&args[2..]);
    }
    let n: u32 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let now = Time::from_secs(1);
    let only = std::env::args().nth(2);
    let wanted = |what: &str| only.as_deref().is_none_or(|o| o == what);
    let config = ControlConfig { max_entries: 16_000_000, ..ControlConfig::default() };

    if wanted("one") {
        one_mask(n, &config, now);
    }
    if wanted("acl") {
        for n in [1_000, 10_000, 100_000] {
            println!("-- access list of {n}");
            rules(&config, acl(n), 2_000_000, now);
        }
    }
    if wanted("masks") {
        for n in [1_000, 10_000] {
            println!("-- {n} rules of as many masks");
            rules(&config, incompatible(n), 2_000_000, now);
        }
    }
    if wanted("few") {
        for n in [1, 16, 32, 100, 1000] {
            let mut control = Control::new(config.clone());
            let (mods, keys): (Vec<_>, Vec<_>) = (0..n).map(exact).unzip();
            for m in &mods {
                control.flow_mod(Version::V13, m, now).expect("added");
            }
            lookups(&format!("{n} flows"), &mut control, &keys, 4_000_000);
        }
    }
}

/// Adds rules and looks packets up that match them.
fn rules(config: &ControlConfig, (mods, keys): (Vec<FlowMod>, Vec<FlowKey>), lookups_n: usize, now: Time) {
    let mut control = Control::new(config.clone());
    rate("add", mods.len(), || {
        for m in &mods {
            control.flow_mod(Version::V13, m, now).expect("added");
        }
    });
    while control.tick(now).busy {}
    println!("    {}", control.table_structure(TableId(0)).expect("a table"));
    lookups("lookup", &mut control, &keys, lookups_n);
}

/// A life of many flows: add, look up, modify, dump, delete.
fn one_mask(n: u32, config: &ControlConfig, now: Time) {
    println!("-- {n} flows of one mask");
    let keys: Vec<FlowKey> = (0..n).map(|i| exact(i).1).collect();
    let mut control = Control::new(config.clone());
    let before = resident();
    rate("  (building requests alone)", n as usize, || {
        for i in 0..n {
            black_box(exact(i));
        }
    });
    rate("add, one by one", n as usize, || {
        for i in 0..n {
            control.flow_mod(Version::V13, &exact(i).0, now).expect("added");
            if i % 64 == 0 {
                control.tick(now);
            }
        }
    });
    while control.tick(now).busy {}
    println!("{:<44} {:>8.0}", "bytes per flow, no worker", (resident() - before) / f64::from(n));
    lookups("lookup", &mut control, &keys, 4_000_000);
    let mut reader = control.attach_worker().expect("a place");
    let mut r = Random(3);
    let mut change = || FlowMod {
        command: FlowModCommand::ModifyStrict,
        instructions: output((r.next() >> 60) as u32 + 1),
        ..exact((r.next() >> 20) as u32 % n).0
    };
    rate("modify-strict, one by one, a worker online", 500_000, || {
        for i in 0..500_000 {
            control.flow_mod(Version::V13, &change(), now).expect("modified");
            if i % 64 == 0 {
                reader.adopt();
                control.tick(now);
            }
        }
    });
    let bundle: Vec<BundleMessage> =
        (0..100_000).map(|_| BundleMessage { version: Version::V13, request: Modification::Flow(change()) }).collect();
    rate("modify-strict, bundle of 100000", bundle.len(), || {
        control.commit_bundle(&bundle, now).expect("modified");
    });
    let dump = control.flow_stats(&Default::default(), Version::V13).expect("a dump");
    rate("dump", n as usize, || {
        let mut seen = 0;
        while let (flows, false) = control.next_flows(dump, 500, now) {
            seen += flows.len();
        }
        assert!(seen <= n as usize);
    });
    rate("delete all: marked", n as usize, || {
        let m = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
        control.flow_mod(Version::V13, &m, now).expect("deleted");
    });
    drop((reader, bundle));
    // Takes in the counters of the worker that has gone.
    control.tick(now);
    let start = cpu();
    let (mut turns, mut longest) = (0, 0.0f64);
    loop {
        let turn = cpu();
        let t = control.tick(now);
        longest = longest.max(cpu() - turn);
        turns += 1;
        if !t.busy && !t.waiting {
            break;
        }
    }
    println!(
        "{:<44} {:>8.1} ms in {turns} turns, longest {:.2} ms",
        "delete all: freed",
        (cpu() - start) * 1e3,
        longest * 1e3
    );
    // SAFETY: gives free memory of the C library's heap back to the kernel; no pointers involved.
    unsafe { libc::malloc_trim(0) };
    println!("{:<44} {:>8.1} MB", "left after deletion", (resident() - before) / 1e6);
}

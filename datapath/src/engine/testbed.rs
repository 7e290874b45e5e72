//! A switch in memory for tests: tables searched one by one, everything else as in the real one.

use super::burst::{Around, FastPath};
use super::{Collected, Shared, SharedConfig, Shortcuts, Source};
use crate::cache::{CachedHit, Seen, Validity};
use crate::clock::Time;
use crate::control::ports::PortDrops;
use crate::engine::counter::{Counter, Writer};
use crate::frame::Frame;
use crate::group::GroupTable;
use crate::key::{FlowKey, flag, word};
use crate::meter::MeterTable;
use crate::packet::Packet;
use crate::pipeline::{Env, Hit, Miss, PortFacts, Settings, Start, Unobserved, View, execute};
use crate::program::{Context, Place, Program, compile, compile_packet_out, compile_resumption};
use crate::table::changes::{MaskWords, News, hash, told, touches};
use ofproto::action::Action;
use ofproto::continuation::Continuation;
use ofproto::field::FieldId;
use ofproto::group::GroupMod;
use ofproto::ids::{Cookie, PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::meter::MeterMod;
use ofproto::port::{PortConfig, PortState};
use ofproto::{OfError, Version};
use std::collections::BTreeMap;

pub(crate) const TABLES: u8 = 6;

pub(crate) struct TestEntry {
    pub value: FlowKey,
    pub mask: FlowKey,
    pub priority: u16,
    pub program: Program,
    pub cookie: Cookie,
    pub added: u64,
    pub index: u32,
    pub counter: Counter,
}

pub(crate) struct TestSwitch {
    pub tables: Vec<Vec<TestEntry>>,
    pub miss: Miss,
    pub groups: GroupTable,
    pub meters: MeterTable,
    pub ports: BTreeMap<PortNo, PortFacts>,
    pub settings: Settings,
    pub version: u64,
    pub epoch: u64,
    pub last_add: Vec<u64>,
    /// Version, table, value and mask of every entry that came; version and index of every one that went.
    pub came: Vec<(u64, u8, FlowKey, FlowKey)>,
    pub gone: Vec<(u64, u32)>,
    pub lookups: Vec<Counter>,
    /// What each port dropped; there for every port from the start.
    pub port_drops: BTreeMap<PortNo, PortDrops>,
    pub of: Version,
    pub shared: Shared,
    next_index: u32,
}

impl TestSwitch {
    pub fn new(of: Version) -> Self {
        let ports = (1..=4)
            .map(|n| (PortNo(n), PortFacts { no: PortNo(n), config: PortConfig::empty(), state: PortState::LIVE }))
            .collect();
        let port_drops = (1..=4).map(|n| (PortNo(n), PortDrops::default())).collect();
        Self {
            port_drops,
            tables: (0..TABLES).map(|_| Vec::new()).collect(),
            miss: if of <= Version::V12 { Miss::Controller } else { Miss::Drop },
            groups: GroupTable::new(1000, 2, 11),
            meters: MeterTable::new(1000, 2),
            ports,
            settings: Settings { n_tables: TABLES, first_egress: None, miss_send_len: 128, drop_fragments: false },
            version: 1,
            epoch: 1,
            last_add: vec![0; usize::from(TABLES)],
            came: Vec::new(),
            gone: Vec::new(),
            lookups: (0..TABLES).map(|_| Counter::new(2)).collect(),
            of,
            shared: Shared::new(SharedConfig::default()),
            next_index: 0,
        }
    }

    pub fn context<'a>(&'a self, place: Place<'a>) -> Context<'a> {
        Context {
            version: self.of,
            place,
            n_tables: TABLES,
            tables: &[],
            first_egress: self.settings.first_egress,
            groups: &self.groups,
            meters: &self.meters,
            queues: None,
        }
    }

    pub fn flow(&mut self, table: u8, priority: u16, m: Match, i: Vec<Instruction>) -> Result<u32, OfError> {
        let place = Place::Flow { table: TableId(table), matching: &m, priority };
        let program = compile(&i, &self.context(place))?;
        let (mut value, mut mask) = (FlowKey::default(), FlowKey::default());
        for f in &m.fields {
            let bits = if f.id == FieldId::VlanVid && f.value == 0 { 0x1000 } else { f.effective_mask() };
            mask.set(f.id, mask.get(f.id) | bits);
            value.set(f.id, value.get(f.id) | f.value);
            if matches!(f.id, FieldId::TcpSrc | FieldId::TcpDst | FieldId::UdpSrc | FieldId::UdpDst) {
                mask.0[word::L4] |= flag::L4_PRESENT << 32;
                value.0[word::L4] |= flag::L4_PRESENT << 32;
            }
        }
        self.version += 1;
        self.next_index += 1;
        let index = self.next_index;
        let entry = TestEntry {
            value,
            mask,
            priority,
            program,
            cookie: Cookie(u64::from(index)),
            added: self.version,
            index,
            counter: Counter::new(2),
        };
        self.came.push((self.version, table, entry.value, entry.mask));
        let union = self.union_mask();
        if entry.mask.0.iter().zip(union.0).any(|(m, u)| m & !u != 0) {
            self.epoch += 1;
        }
        self.last_add[usize::from(table)] = self.version;
        self.tables[usize::from(table)].push(entry);
        self.tables[usize::from(table)].sort_by_key(|e| (std::cmp::Reverse(e.priority), e.index));
        Ok(index)
    }

    /// A 1.0-style or apply-only flow.
    pub fn apply(&mut self, table: u8, priority: u16, m: Match, actions: Vec<Action>) -> u32 {
        self.flow(table, priority, m, vec![Instruction::ApplyActions(actions)]).unwrap()
    }

    pub fn remove(&mut self, index: u32) {
        self.version += 1;
        for t in &mut self.tables {
            let before = t.len();
            t.retain(|e| e.index != index);
            if t.len() != before {
                self.gone.push((self.version, index));
            }
        }
    }

    pub fn group(&mut self, m: &GroupMod) -> Result<(), OfError> {
        let next = self.groups.apply(m, &self.context(Place::Bucket), Time::ZERO)?.0;
        self.groups = next;
        self.changed();
        Ok(())
    }

    pub fn meter(&mut self, m: &MeterMod) {
        self.meters = self.meters.apply(m, Time::ZERO).unwrap().0;
        self.changed();
    }

    pub fn changed(&mut self) {
        self.version += 1;
        self.epoch += 1;
    }

    pub fn port_mut(&mut self, n: u32) -> &mut PortFacts {
        self.changed();
        self.ports.get_mut(&PortNo(n)).unwrap()
    }

    pub fn env(&self, now: Time) -> Env<'_> {
        Env { now, writer: Writer(1), normal: self.shared.normal(), dry: false }
    }

    pub fn key(in_port: u32) -> FlowKey {
        let mut key = FlowKey::default();
        key.set(FieldId::InPort, u128::from(in_port));
        key.set(FieldId::InPhyPort, u128::from(in_port));
        key
    }

    /// One packet by the interpreter.
    pub fn run(&self, in_port: u32, bytes: &[u8], now: Time) -> Collected {
        let mut packet = Packet::with_key(Frame::from_bytes(bytes), Self::key(in_port));
        let mut out = Collected::default();
        execute(self, self.env(now), &mut packet, Start::Received, &mut out, &mut Unobserved);
        out
    }

    /// One packet through a cache.
    pub fn run_cached(&self, way: &mut FastPath, in_port: u32, bytes: &[u8], now: Time) -> Collected {
        self.run_burst(way, in_port, &mut vec![Frame::from_bytes(bytes)], now)
    }

    /// A burst through a cache.
    pub fn run_burst(&self, way: &mut FastPath, in_port: u32, frames: &mut Vec<Frame>, now: Time) -> Collected {
        self.run_by(Shortcuts::All, way, in_port, frames, now)
    }

    /// A burst with some shortcuts.
    pub fn run_by(
        &self,
        shortcuts: Shortcuts,
        way: &mut FastPath,
        in_port: u32,
        frames: &mut Vec<Frame>,
        now: Time,
    ) -> Collected {
        let mut out = Collected::default();
        let mut around = Around { view: self, env: self.env(now), in_port: PortNo(in_port), sink: &mut out };
        way.burst(&mut around, frames, shortcuts);
        out
    }

    pub fn packet_out(&self, in_port: PortNo, actions: &[Action], bytes: &[u8]) -> Result<Collected, OfError> {
        let program = compile_packet_out(actions, &self.context(Place::PacketOut))?;
        let mut packet = Packet::with_key(Frame::from_bytes(bytes), Self::key(in_port.0));
        let mut out = Collected::default();
        let start = Start::PacketOut(&program);
        execute(self, self.env(Time::ZERO), &mut packet, start, &mut out, &mut Unobserved);
        Ok(out)
    }

    /// Lets a paused packet go on; what it was when it was paused is in `punt`.
    pub fn resume(&self, punt: &crate::punt::Punt, rest: &Continuation) -> Result<Collected, OfError> {
        self.go_on(punt.key, punt.frame.bytes(), rest)
    }

    /// Lets a packet go on that waited.
    pub fn go_on(&self, key: FlowKey, frame: &[u8], rest: &Continuation) -> Result<Collected, OfError> {
        let rest = compile_resumption(rest, &self.context(Place::PacketOut))?;
        let mut packet = Packet::with_key(Frame::from_bytes(frame), key);
        let mut out = Collected::default();
        execute(self, self.env(Time::ZERO), &mut packet, Start::Resume(&rest), &mut out, &mut Unobserved);
        Ok(out)
    }

    /// Every counter there is, to compare two switches.
    pub fn counters(&self) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = self.tables.iter().flatten().map(|e| e.counter.sum()).collect();
        all.extend(self.lookups.iter().map(Counter::sum));
        all.extend(self.port_drops.values().map(|d| (d.received(), d.sent())));
        for g in self.groups.all() {
            all.push(g.counter.sum());
            all.extend(g.buckets.iter().map(|b| b.counter.sum()));
        }
        for m in self.meters.all() {
            let s = m.stats(0, Time::ZERO);
            all.push((s.packet_in_count, s.byte_in_count));
            all.extend(s.bands);
        }
        all
    }
}

impl<'v> View<'v> for &'v TestSwitch {
    fn lookup(self, table: TableId, key: &FlowKey) -> Option<Hit<'v>> {
        let entry = self.tables.get(usize::from(table.0))?.iter().find(|e| key.matches(&e.value, &e.mask))?;
        let handle = CachedHit { table, index: entry.index, added: entry.added, stats: entry.index };
        Some(Hit { program: &entry.program, cookie: entry.cookie, priority: entry.priority, handle })
    }
    fn miss(self, _table: TableId) -> Miss {
        self.miss
    }
    fn settings(self) -> Settings {
        self.settings
    }
    fn groups(self) -> &'v GroupTable {
        &self.groups
    }
    fn meters(self) -> &'v MeterTable {
        &self.meters
    }
    fn port(self, no: PortNo) -> Option<PortFacts> {
        self.ports.get(&no).copied()
    }
    fn port_dropped(self, no: PortNo, sending: bool) {
        if let Some(d) = self.port_drops.get(&no) {
            d.count(sending);
        }
    }
    fn each_port(self, f: &mut dyn FnMut(PortFacts)) {
        self.ports.values().copied().for_each(f);
    }
    fn union_mask(self) -> FlowKey {
        let mut union = FlowKey::default();
        for e in self.tables.iter().flatten() {
            for (u, m) in union.0.iter_mut().zip(e.mask.0) {
                *u |= m;
            }
        }
        union
    }
    fn count(self, stats: u32, packets: u64, bytes: u64, _now: Time) {
        if let Some(e) = self.tables.iter().flatten().find(|e| e.index == stats) {
            e.counter.add(Writer(1), packets, bytes);
        }
    }
    fn count_table(self, table: TableId, lookups: u64, matched: u64) {
        self.lookups[usize::from(table.0)].add(Writer(1), lookups, matched);
    }
}

fn words(mask: &FlowKey) -> MaskWords {
    (0..).zip(mask.0).filter(|(_, m)| *m != 0).collect()
}

impl Validity for &TestSwitch {
    fn version(&self) -> u64 {
        self.version
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
    fn last_add(&self, table: TableId) -> u64 {
        self.last_add[usize::from(table.0)]
    }
    fn may_have_come(&self, table: TableId, since: u64, seen: &Seen) -> bool {
        self.came.iter().any(|(version, t, value, mask)| {
            *version > since && *t == table.0 && (touches(&words(mask), seen.unknown) || seen.key.matches(value, mask))
        })
    }
    fn may_have_gone(&self, _table: TableId, since: u64, stats: u32) -> bool {
        self.gone.iter().any(|(version, index)| *version > since && *index == stats)
    }
    // A change's number is its version.
    fn changes(&self, _: TableId) -> u64 {
        self.version + 1
    }
    fn next_change(&self, _: TableId) -> Option<u64> {
        Some(self.version + 1)
    }
    fn news(&self, table: TableId, first: u64, mut tell: impl FnMut(News)) -> Option<u64> {
        for (_, t, value, mask) in self.came.iter().filter(|c| c.0 >= first && c.1 == table.0) {
            let number = self.came.iter().position(|c| c.1 == *t && c.3 == *mask).unwrap() as u32;
            tell(News::Came { mask: number, hash: told(hash(number, &words(mask), value)) });
        }
        for (_, index) in self.gone.iter().filter(|g| g.0 >= first) {
            tell(News::Gone(*index));
        }
        Some(self.version + 1)
    }
    fn mask_of(&self, _: TableId, number: u32) -> Option<MaskWords> {
        self.came.get(number as usize).map(|c| words(&c.3))
    }
    fn holds(&self, hit: CachedHit) -> bool {
        self.tables[usize::from(hit.table.0)].iter().any(|e| e.index == hit.index && e.added == hit.added)
    }
}

impl Source for TestSwitch {
    type View<'r> = &'r TestSwitch;
    fn writer(&mut self) -> Writer {
        Writer(1)
    }
    fn adopt(&mut self) -> &TestSwitch {
        self
    }
}

pub(crate) type SentFrame = (u32, Option<u32>, Vec<u8>);

/// The outcome of one packet in a comparable form.
pub(crate) fn digest(c: &Collected) -> (Vec<SentFrame>, Vec<String>, Vec<crate::pipeline::Lost>) {
    let sent = c.sent.iter().map(|(p, q, f)| (p.0, q.map(|q| q.0), f.bytes().to_vec())).collect();
    let punts = c
        .punts
        .iter()
        .map(|p| {
            let mut key = p.key;
            key.set(FieldId::ActsetOutput, 0);
            format!(
                "{:?} {} {} {} {:?} {:?} {:?}",
                p.reason,
                p.table,
                p.cookie,
                p.max_len,
                p.controller_id,
                key,
                p.frame.bytes()
            )
        })
        .collect();
    (sent, punts, c.lost.clone())
}

/// Frames.
pub(crate) mod frames {
    use crate::checksum::finish_checksum;
    use crate::frame::{Frame, PartialChecksum};

    pub fn eth(dst: [u8; 6], src: [u8; 6], ty: u16, payload: &[u8]) -> Vec<u8> {
        let mut f = Vec::new();
        f.extend(dst);
        f.extend(src);
        f.extend(ty.to_be_bytes());
        f.extend(payload);
        f
    }

    pub fn tagged(f: &[u8], vid: u16) -> Vec<u8> {
        let mut t = f[..12].to_vec();
        t.extend([0x81, 0x00]);
        t.extend(vid.to_be_bytes());
        t.extend(&f[12..]);
        t
    }

    /// An MPLS frame around an IPv4 packet.
    pub fn mpls(f: &[u8], label: u32, ttl: u8) -> Vec<u8> {
        let mut t = f[..12].to_vec();
        t.extend([0x88, 0x47]);
        t.extend((label << 12 | 1 << 8 | u32::from(ttl)).to_be_bytes());
        t.extend(&f[14..]);
        t
    }

    pub fn ipv4(proto: u8, src: u32, dst: u32, tos: u8, ttl: u8, sport: u16, dport: u16) -> Vec<u8> {
        let l4_len = if proto == 6 { 20 } else { 8 };
        let total = 20 + l4_len + 10u16;
        let mut p = vec![0x45, tos];
        p.extend(total.to_be_bytes());
        p.extend([0, 0, 0, 0, ttl, proto, 0, 0]);
        p.extend(src.to_be_bytes());
        p.extend(dst.to_be_bytes());
        let sum = p.chunks(2).fold(0u32, |s, c| s + u32::from(u16::from_be_bytes([c[0], c[1]])));
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        p[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut l4 = Vec::new();
        l4.extend(sport.to_be_bytes());
        l4.extend(dport.to_be_bytes());
        if proto == 6 {
            l4.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        } else {
            l4.extend((l4_len + 10).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4.extend([7; 10]);
        // The pseudo header's sum stands in the checksum field, as offload leaves it.
        let mut pseudo = u32::from(proto) + u32::from(l4_len + 10);
        for w in [src >> 16, src & 0xffff, dst >> 16, dst & 0xffff] {
            pseudo += w;
        }
        let pseudo = (pseudo & 0xffff) + (pseudo >> 16);
        let pseudo = ((pseudo & 0xffff) + (pseudo >> 16)) as u16;
        let at = if proto == 6 { 16 } else { 6 };
        l4[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        p.extend(l4);
        let mut f = Frame::from_bytes(&eth([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1], 0x0800, &p));
        f.offload.checksum = Some(PartialChecksum { start: 34, offset: at as u16 });
        finish_checksum(&mut f);
        f.bytes().to_vec()
    }

    pub fn tcp() -> Vec<u8> {
        ipv4(6, 0x0a00_0001, 0x0a00_0002, 0, 64, 1000, 80)
    }
}

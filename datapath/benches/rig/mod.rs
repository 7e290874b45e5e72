//! One engine in memory: its ports throw away what they get, frames come from a list.

#![allow(dead_code, reason = "each benchmark uses a part")]

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{PipelineEngine, Shared, SharedConfig, Shortcuts};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::publish::Reader;
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::group::GroupModCommand;
use ofproto::ids::{MacAddr, PortNo, QueueId};
use ofproto::meter::MeterModCommand;
use ofproto::port::Port;
use ofproto::text::{ParseContext, parse_flow_mod, parse_group_mod, parse_meter_mod};
use std::sync::Arc;

/// Nanoseconds from one burst to the next: ten million packets a second.
const PACE: u64 = 3200;

const PORTS: std::ops::RangeInclusive<u32> = 1..=4;

/// A switch with its ports.
fn switch() -> Control {
    let mut control = Control::new(ControlConfig { n_tables: 8, ..ControlConfig::default() });
    for n in PORTS {
        let port = Port::new(PortNo(n), MacAddr([2, 0, 0, 0, 1, n as u8]), format!("p{n}"));
        control.add_port(port, n, Time::ZERO).expect("a port");
    }
    control
}

/// Throws frames away, and gives them back as the next burst's.
struct Drain;

impl PortTx for Drain {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len() as u64;
        pool.put_all(frames);
        Transmitted { sent, dropped: 0 }
    }
}

/// An engine with ports 1 to 4, and the control that must outlive it.
pub struct Rig {
    engine: PipelineEngine<Reader>,
    shared: Arc<Shared>,
    tx: TxQueues,
    burst: Vec<Frame>,
    control: Control,
    now: Time,
}

impl Rig {
    /// With these rules, one a line, groups and meters by the word in front; and a cache of so many entries.
    pub fn new(version: Version, rules: &str, cache: usize) -> Self {
        let mut control = switch();
        let ctx = ParseContext::new(version);
        for rule in rules.lines() {
            let refused = |e: &dyn std::fmt::Display| -> ! { panic!("{rule}: {e}") };
            let done = match rule.split_once(' ') {
                Some(("group", text)) => {
                    let m = parse_group_mod(text, GroupModCommand::Add, &ctx).unwrap_or_else(|e| refused(&e));
                    control.group_mod(version, &m, Time::ZERO)
                }
                Some(("meter", text)) => {
                    let m = parse_meter_mod(text, MeterModCommand::Add, &ctx).unwrap_or_else(|e| refused(&e));
                    control.meter_mod(version, &m, Time::ZERO)
                }
                _ => {
                    let m = parse_flow_mod(rule, FlowModCommand::Add, &ctx).unwrap_or_else(|e| refused(&e));
                    control.flow_mod(version, &m, Time::ZERO).map(drop)
                }
            };
            done.unwrap_or_else(|e| refused(&e));
        }
        Self::around(control, cache)
    }

    /// With these flows.
    pub fn with_flows(flows: &[FlowMod], cache: usize) -> Self {
        let mut control = switch();
        for f in flows {
            control.flow_mod(Version::V13, f, Time::ZERO).expect("a flow");
        }
        Self::around(control, cache)
    }

    fn around(mut control: Control, cache: usize) -> Self {
        let mut tx = TxQueues::new();
        for n in PORTS {
            tx.add_port(PortNo(n), Box::new(Drain));
        }
        while control.tick(Time::ZERO).busy {}
        let reader = control.attach_worker().expect("room for a worker");
        let shared = Arc::new(Shared::new(SharedConfig::default()));
        let engine = PipelineEngine::new(reader, Arc::clone(&shared), cache);
        Self { engine, shared, tx, burst: Vec::with_capacity(32), control, now: Time::ZERO }
    }

    /// Every packet by the interpreter, step by step.
    pub fn interpret(&mut self) {
        self.engine.shortcuts = Shortcuts::None;
    }

    /// Receives a burst on port 1, sends what comes of it, and throws away what goes to controllers.
    pub fn burst<'f>(&mut self, frames: impl IntoIterator<Item = &'f [u8]>) {
        for bytes in frames {
            let mut f = self.tx.pool().take(64);
            f.extend(bytes);
            self.burst.push(f);
        }
        self.now.0 += PACE;
        self.engine.burst(PortNo(1), &mut self.burst, &mut self.tx, self.now);
        self.tx.flush();
        while self.shared.punts().pop().is_some() {}
        while self.shared.next_request().is_some() {}
    }

    /// How many packets came to the first table, and how many of them matched.
    pub fn first_table(&mut self) -> (u64, u64) {
        self.control.table_stats().first().map_or((0, 0), |t| (t.lookup_count, t.matched_count))
    }

    /// How many of the packets the cache knew.
    pub fn hit_rate(&self) -> f64 {
        let c = self.engine.cache_stats();
        c.hits as f64 / c.packets().max(1) as f64
    }
}

/// 4096 UDP frames of so many flows.
pub fn frames(flows: u32) -> Vec<Vec<u8>> {
    (0..4096u32).map(|i| udp(i.wrapping_mul(2_654_435_761) % flows)).collect()
}

/// A UDP frame of a flow, to one of a thousand destinations.
pub fn udp(flow: u32) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    f.extend((0x0a00_0000 + flow).to_be_bytes());
    f.extend((0x0b00_0000 + flow % 1000).to_be_bytes());
    f.extend([4, 0, 0, 53, 0, 26, 0, 0]);
    f.resize(60, 7);
    let sum = !datapath::checksum::sum(&f[14..34]);
    f[24..26].copy_from_slice(&sum.to_be_bytes());
    f
}

/// The frame with these bytes before its ethertype, or instead of it.
pub fn tagged(mut frame: Vec<u8>, replace: usize, bytes: &[u8]) -> Vec<u8> {
    frame.splice(12..12 + replace, bytes.iter().copied());
    frame
}

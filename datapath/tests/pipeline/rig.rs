//! A switch without a thread: control, an engine and the far ends of its ports.

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::port::memory::Memory;
use datapath::port::{FramePool, Port as _, PortRx};
use datapath::publish::Reader;
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::flow::FlowMod;
use ofproto::ids::{MacAddr, PortNo, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::Match;
use ofproto::port::Port;
use ofproto::stats::FlowStatsRequest;
use std::sync::Arc;

pub const V: Version = Version::V13;

pub struct Switch {
    pub control: Control,
    pub engine: PipelineEngine<Reader>,
    pub shared: Arc<Shared>,
    pub tx: TxQueues,
    ends: Vec<Box<dyn PortRx>>,
    _ports: Vec<(Memory, Memory)>,
    pub now: Time,
}

impl Switch {
    pub fn new() -> Self {
        let mut control = Control::new(ControlConfig { n_tables: 8, ..ControlConfig::default() });
        let mut tx = TxQueues::new();
        let mut ends = Vec::new();
        let mut ports = Vec::new();
        for n in 1..=4u32 {
            let (a, b) = Memory::pair("a", "b", 4096).unwrap();
            tx.add_port(PortNo(n), a.open_tx().unwrap());
            ends.push(b.open_rx().unwrap());
            ports.push((a, b));
            control.add_port(port(n), n, Time::ZERO).unwrap();
        }
        let shared = Arc::new(Shared::new(SharedConfig::default()));
        let engine = PipelineEngine::new(control.attach_worker().unwrap(), Arc::clone(&shared), CACHE_ENTRIES);
        Self { control, engine, shared, tx, ends, _ports: ports, now: Time::ZERO }
    }

    pub fn add(&mut self, table: u8, priority: u16, m: Match, i: Vec<I>) {
        let f = FlowMod { table: TableId(table), priority, matching: m, instructions: i, ..FlowMod::default() };
        self.control.flow_mod(V, &f, self.now).unwrap();
    }

    pub fn send(&mut self, port: u32, frames: &[&[u8]]) {
        let mut burst: Vec<Frame> = frames.iter().map(|f| Frame::from_bytes(f)).collect();
        self.engine.burst(PortNo(port), &mut burst, &mut self.tx, self.now);
        self.tx.flush();
    }

    pub fn received(&mut self, port: u32) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut pool = FramePool::default();
        self.ends[port as usize - 1].receive(&mut got, 4096, &mut pool).unwrap();
        got.iter().map(|f| f.bytes().to_vec()).collect()
    }

    pub fn counts(&mut self) -> Vec<(u64, u64)> {
        let dump = self.control.flow_stats(&FlowStatsRequest::default(), V).unwrap();
        let (flows, _) = self.control.next_flows(dump, 1000, self.now);
        self.control.end_dump(dump);
        flows.iter().map(|f| (f.stats.packet_count, f.stats.byte_count)).collect()
    }
}

pub fn port(n: u32) -> Port {
    Port::new(PortNo(n), MacAddr([2, 0, 0, 0, 1, n as u8]), format!("p{n}"))
}

pub fn out(n: u32) -> Action {
    Action::output(PortNo(n))
}

pub fn frame(dst: u8, src: u8) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 0x08, 0x06];
    // An ARP request.
    f.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, src, 10, 0, 0, src, 0, 0, 0, 0, 0, 0, 10, 0, 0, dst]);
    f
}

//! One engine in memory: ports 1 and 2 throw away what they get, frames come from a list.

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::publish::Reader;
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::flow::FlowMod;
use ofproto::ids::{MacAddr, PortNo, QueueId};
use ofproto::port::Port;
use std::sync::Arc;

/// Throws frames away, and gives them back as the next burst's.
struct Drain;

impl PortTx for Drain {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len() as u64;
        pool.put_all(frames);
        Transmitted { sent, dropped: 0 }
    }
}

/// An engine with its ports, and the control that must outlive it.
pub struct Rig {
    engine: PipelineEngine<Reader>,
    tx: TxQueues,
    burst: Vec<Frame>,
    _control: Control,
}

impl Rig {
    /// With these flows, and a cache of so many entries.
    pub fn new(flows: &[FlowMod], cache: usize) -> Self {
        let mut control = Control::new(ControlConfig { n_tables: 8, ..ControlConfig::default() });
        let mut tx = TxQueues::new();
        for n in 1..=2u32 {
            tx.add_port(PortNo(n), Box::new(Drain));
            let port = Port::new(PortNo(n), MacAddr([2, 0, 0, 0, 1, n as u8]), format!("p{n}"));
            control.add_port(port, n, Time::ZERO).expect("a port");
        }
        for f in flows {
            control.flow_mod(Version::V13, f, Time::ZERO).expect("a flow");
        }
        let reader = control.attach_worker().expect("room for a worker");
        let engine = PipelineEngine::new(reader, Arc::new(Shared::new(SharedConfig::default())), cache);
        Self { engine, tx, burst: Vec::with_capacity(32), _control: control }
    }

    /// Receives a burst on port 1 and sends what comes of it.
    pub fn burst(&mut self, frames: &[Vec<u8>], now: Time) {
        for bytes in frames {
            let mut f = self.tx.pool().take(64);
            f.extend(bytes);
            self.burst.push(f);
        }
        self.engine.burst(PortNo(1), &mut self.burst, &mut self.tx, now);
        self.tx.flush();
    }
}

/// 4096 UDP frames of so many flows, to a thousand destinations.
pub fn frames(flows: u32) -> Vec<Vec<u8>> {
    (0..4096u32).map(|i| udp(i.wrapping_mul(2_654_435_761) % flows)).collect()
}

fn udp(flow: u32) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    f.extend((0x0a00_0000 + flow).to_be_bytes());
    f.extend((0x0b00_0000 + flow % 1000).to_be_bytes());
    f.extend([4, 0, 0, 53, 0, 26, 0, 0]);
    f.resize(60, 7);
    f
}

//! A datapath in memory for the targets that reach it: four ports that remember what is sent, and workers that are
//! run by hand.

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::publish::Reader;
use datapath::punt::Punt;
use datapath::worker::TxQueues;
use ofproto::ids::{MacAddr, PortNo, QueueId};
use ofproto::port::Port;
use std::sync::{Arc, Mutex};

/// Ports 1 to this.
pub const PORTS: u32 = 4;

/// A small switch with its ports.
pub fn control(now: Time) -> Control {
    let config = ControlConfig {
        n_tables: 4,
        max_entries: 64,
        max_workers: 2,
        max_groups: 16,
        max_meters: 16,
        ..ControlConfig::default()
    };
    let mut control = Control::new(config);
    for number in 1..=PORTS {
        control.add_port(port(number), number, now).expect("an ordinary port");
    }
    control
}

/// A port's description.
pub fn port(number: u32) -> Port {
    Port::new(PortNo(number), MacAddr([2, 0, 0, 0, 0, number as u8]), format!("p{number}"))
}

/// Frames sent: port, queue, bytes.
pub type Sent = Arc<Mutex<Vec<(u32, u32, Vec<u8>)>>>;

/// A port that remembers.
struct Memory {
    port: u32,
    sent: Sent,
}

impl PortTx for Memory {
    fn transmit(&mut self, queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let mut list = self.sent.lock().expect("one thread");
        let sent = frames.len() as u64;
        for mut frame in frames.drain(..) {
            datapath::checksum::finish_checksum(&mut frame);
            list.push((self.port, queue.0, frame.bytes().to_vec()));
            pool.put(frame);
        }
        Transmitted { sent, dropped: 0 }
    }
}

/// A worker without a thread.
pub struct Worker {
    /// Its engine.
    pub engine: PipelineEngine<Reader>,
    /// What it shares with control.
    pub shared: Arc<Shared>,
    /// Its ports.
    pub tx: TxQueues,
    sent: Sent,
}

impl Worker {
    /// A worker with a cache of so many entries, sharing nothing with another one.
    pub fn new(control: &mut Control, cache: usize) -> Self {
        Self::sharing(control, cache, shared())
    }

    /// A worker that shares what workers share.
    pub fn sharing(control: &mut Control, cache: usize, shared: Arc<Shared>) -> Self {
        let reader = control.attach_worker().expect("room for two");
        let mut tx = TxQueues::new();
        let sent = Sent::default();
        for port in 1..=PORTS {
            tx.add_port(PortNo(port), Box::new(Memory { port, sent: Arc::clone(&sent) }));
        }
        Self { engine: PipelineEngine::new(reader, Arc::clone(&shared), cache), shared, tx, sent }
    }

    /// Works on a frame: what was sent.
    pub fn receive(&mut self, port: PortNo, bytes: &[u8], now: Time) -> Vec<(u32, u32, Vec<u8>)> {
        self.engine.burst(port, &mut vec![Frame::from_bytes(bytes)], &mut self.tx, now);
        self.done()
    }

    /// What was sent since the last call; what went to control is lost.
    pub fn done(&mut self) -> Vec<(u32, u32, Vec<u8>)> {
        while self.shared.next_request().is_some() {}
        self.punts();
        self.sent()
    }

    /// What was sent since the last call.
    pub fn sent(&mut self) -> Vec<(u32, u32, Vec<u8>)> {
        self.tx.flush();
        std::mem::take(&mut *self.sent.lock().expect("one thread"))
    }

    /// Takes the packets for controllers.
    pub fn punts(&mut self) -> Vec<Punt> {
        std::iter::from_fn(|| self.shared.punts().pop()).collect()
    }
}

/// What workers share, with little room.
pub fn shared() -> Arc<Shared> {
    let config = SharedConfig { requests: 16, mac_entries: 16, writers: 3, ..SharedConfig::default() };
    Arc::new(Shared::new(config))
}

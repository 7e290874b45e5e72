//! The worker's thread.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::Receiver;
use ofproto::ids::PortNo;

use super::{Command, Engine, Half, PortEvent, PortEventKind, TxQueues, Wake, WorkerConfig, WorkerStats, bump};
use crate::clock::Time;
use crate::frame::Frame;
use crate::port::{LinkState, PortError, PortRx};
use crate::sys::{self, PollSet};

/// How often every port's state is looked at.
const CHECK: Duration = Duration::from_secs(1);
/// The same while a port is down or gone.
const CHECK_DOWN: Duration = Duration::from_millis(200);
/// Rounds with frames after which idle ports that cost a system call are looked at too.
const SWEEP: u32 = 16;

struct RxPort {
    no: PortNo,
    rx: Box<dyn PortRx>,
    /// It had frames when last asked.
    hot: bool,
    cheap: bool,
    state: LinkState,
    /// One past its last descriptor in the poll set.
    polled: usize,
}

/// What survives a panic.
pub(super) struct State<E> {
    config: WorkerConfig,
    commands: Receiver<Command<E>>,
    wake: Arc<Wake>,
    stats: Arc<WorkerStats>,
    ports: Vec<RxPort>,
    tx: TxQueues,
    burst: Vec<Frame>,
    poll: PollSet,
    next_check: Time,
}

enum Next {
    Continue,
    Stop,
}

impl<E: Engine> State<E> {
    pub(super) fn new(
        config: WorkerConfig,
        commands: Receiver<Command<E>>,
        wake: Arc<Wake>,
        stats: Arc<WorkerStats>,
    ) -> Self {
        Self {
            burst: Vec::with_capacity(config.burst),
            config,
            commands,
            wake,
            stats,
            ports: Vec::new(),
            tx: TxQueues::new(),
            poll: PollSet::default(),
            next_check: Time::ZERO,
        }
    }

    fn event(&self, port: PortNo, kind: PortEventKind) {
        (self.config.events)(PortEvent { port, kind });
    }

    fn commands(&mut self, engine: &mut E, now: Time) -> Next {
        if !self.wake.pending.load(Ordering::Relaxed) {
            return Next::Continue;
        }
        self.wake.pending.swap(false, Ordering::AcqRel);
        self.wake.event.clear();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::AddRx(no, rx) => {
                    let cheap = rx.cheap_when_idle();
                    self.ports.push(RxPort { no, rx, hot: true, cheap, state: LinkState::Up, polled: 0 });
                    self.next_check = now;
                }
                // Whoever asked closes them; where nobody waits for them any more, they end here.
                Command::RemoveRx(no, to) => {
                    self.ports.extract_if(.., |p| p.no == no).for_each(|p| drop(to.send(Half::Rx(p.rx))));
                }
                Command::AddTx(no, tx) => self.tx.add_port(no, tx),
                Command::RemoveTx(no, to) => {
                    if let Some(tx) = self.tx.take_port(no) {
                        let _ = to.send(Half::Tx(tx));
                    }
                }
                Command::Run(task) => {
                    task(engine, &mut self.tx, now);
                    self.tx.flush();
                }
            }
        }
        if self.wake.stop.load(Ordering::Acquire) { Next::Stop } else { Next::Continue }
    }

    /// Receives from and works on every port that may have frames. Returns how many came.
    fn round(&mut self, engine: &mut E, now: Time) -> usize {
        let mut total = 0;
        let mut i = 0;
        while let Some(port) = self.ports.get_mut(i) {
            i += 1;
            if !(port.hot || port.cheap) || port.state == LinkState::Gone {
                continue;
            }
            match port.rx.receive(&mut self.burst, self.config.burst, self.tx.pool()) {
                Ok(0) => port.hot = false,
                Ok(n) => {
                    port.hot = true;
                    total += n;
                    engine.process(port.no, &mut self.burst, &mut self.tx, now);
                    self.tx.pool().put_all(&mut self.burst);
                }
                Err(PortError::Closed) => {
                    i -= 1;
                    let no = self.ports.remove(i).no;
                    self.event(no, PortEventKind::Closed);
                }
                Err(e) => {
                    port.hot = false;
                    if !matches!(e, PortError::Down) {
                        tracing::warn!(port = port.no.0, error = %e, "receiving failed");
                    }
                    self.check(i - 1);
                }
            }
        }
        self.tx.flush();
        total
    }

    /// Looks at one port's interface, reports a change, and opens it again if it was replaced.
    fn check(&mut self, at: usize) {
        let Some(port) = self.ports.get_mut(at) else { return };
        let mut state = port.rx.check();
        if state == LinkState::Gone && port.rx.reopen().is_ok() {
            port.cheap = port.rx.cheap_when_idle();
            port.hot = true;
            state = port.rx.check();
            if port.state != LinkState::Gone {
                // It was replaced between two looks: nobody heard that the old one went.
                port.state = LinkState::Gone;
                let no = port.no;
                self.event(no, PortEventKind::Link(LinkState::Gone));
            }
        }
        let Some(port) = self.ports.get_mut(at) else { return };
        if state != port.state {
            port.state = state;
            let no = port.no;
            tracing::info!(port = no.0, ?state, "interface state");
            self.event(no, PortEventKind::Link(state));
        }
    }

    fn check_all(&mut self, now: Time) {
        for i in 0..self.ports.len() {
            self.check(i);
        }
        self.next_check = now + self.check_interval();
    }

    fn check_interval(&self) -> Duration {
        if self.ports.iter().all(|p| p.state == LinkState::Up) { CHECK } else { CHECK_DOWN }
    }

    /// Asks the kernel which ports have frames, waiting up to `timeout` for the first.
    fn wait(&mut self, timeout: Duration) {
        self.poll.clear();
        self.poll.add(self.wake.event.as_fd());
        for port in &mut self.ports {
            // A port that is gone would report an error for ever.
            if port.state != LinkState::Gone {
                port.rx.each_fd(&mut |fd| self.poll.add(fd));
            }
            port.polled = self.poll.len();
        }
        if self.poll.wait(timeout) == 0 {
            return;
        }
        if self.poll.result(0).readable {
            // The ring may come after what it announced was taken; unless cleared it would end every wait.
            self.wake.pending.store(true, Ordering::Release);
        }
        let mut from = 1;
        for i in 0..self.ports.len() {
            let port = &mut self.ports[i];
            let mut failed = false;
            for at in from..port.polled {
                let ready = self.poll.result(at);
                port.hot |= ready.readable;
                failed |= ready.failed;
            }
            from = port.polled;
            if failed {
                self.check(i);
            }
        }
    }

    fn run(&mut self, engine: &mut E) {
        let mut idle_since = None;
        let mut rounds = 0u32;
        engine.online();
        loop {
            let now = (self.config.clock)();
            if let Next::Stop = self.commands(engine, now) {
                return;
            }
            if now >= self.next_check {
                self.check_all(now);
            }
            engine.begin_burst(now);
            let n = self.round(engine, now);
            engine.end_burst(now);
            let all_cheap = self.ports.iter().all(|p| p.cheap || p.hot);
            rounds = rounds.wrapping_add(1);
            if n > 0 {
                bump(&self.stats.rounds, 1);
                bump(&self.stats.frames, n as u64);
                let unknown = self.tx.unknown_port_drops();
                self.stats.unknown_port.store(unknown, Ordering::Relaxed);
                idle_since = None;
                if !all_cheap && rounds.is_multiple_of(SWEEP) {
                    self.wait(Duration::ZERO);
                }
                continue;
            }
            let since = *idle_since.get_or_insert(now);
            if now.since(since) < self.config.spin {
                // One system call per empty round, whichever: let others run, or ask for all ports. Whoever runs
                // instead may keep the processor for long: nobody is to wait for this worker meanwhile.
                engine.offline();
                if all_cheap {
                    std::thread::yield_now();
                } else {
                    self.wait(Duration::ZERO);
                }
                engine.online();
                continue;
            }
            // No short-cut here: every port must be asked, for some prepare their wake-up.
            let ready = self.ports.iter_mut().filter(|p| p.state != LinkState::Gone).fold(false, |any, p| {
                let ready = p.rx.prepare_wait();
                p.hot |= ready;
                any | ready
            });
            if ready {
                continue;
            }
            bump(&self.stats.sleeps, 1);
            engine.offline();
            let timeout = if self.ports.is_empty() { Duration::from_secs(3600) } else { self.check_interval() };
            self.wait(timeout);
            engine.online();
            idle_since = None;
        }
    }
}

pub(super) fn thread<E: Engine>(mut state: State<E>, mut make: impl FnMut() -> E) {
    super::wake_promptly();
    if let Some(cpu) = state.config.cpu
        && let Err(e) = sys::pin_to_cpu(cpu)
    {
        tracing::warn!(worker = state.config.name, cpu, error = %e, "cannot pin to CPU");
    }
    loop {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut engine = make();
            state.run(&mut engine);
            engine.offline();
        }));
        if result.is_ok() {
            return;
        }
        bump(&state.stats.panics, 1);
        tracing::error!(worker = state.config.name, "the engine panicked; starting another");
        if state.wake.stop.load(Ordering::Acquire) {
            return;
        }
        // The frames it was working on are lost; ports and commands are not.
        state.burst.clear();
        state.tx.discard();
        state.wake.pending.store(true, Ordering::Release);
        // An engine that can't even start must not burn the CPU.
        if state.stats.panics.load(Ordering::Relaxed).is_multiple_of(16) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

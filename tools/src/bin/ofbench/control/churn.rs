//! Frames that go through while the tables change as fast as asked.

use super::flows::{all, flow, output};
use super::packets::{frame, number};
use super::{Lab, Samples};
use crate::client::Batch;
use crate::flood;
use anyhow::{Context as _, ensure};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::matching::Match;
use ofproto::message::Message;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the tables change.
const TIME: Duration = Duration::from_secs(5);
/// Flow-mods of one batch, and how often a batch is due: 100,000 a second.
const BATCH: u32 = 1000;
const DUE: Duration = Duration::from_millis(10);
/// Flow entries that come and go.
const ENTRIES: u32 = 10_000;
/// Between frames.
const PACE: Duration = Duration::from_micros(50);
/// How long the last frames may be under way.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Traffic {
    /// Nothing more is sent.
    quiet: AtomicBool,
    /// Nothing more is received.
    ends: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
    /// Frames that came after a later one.
    late: AtomicU64,
}

fn send_on(tx: &OwnedFd, t: &Traffic) {
    let (start, mut n) = (Instant::now(), 0_u32);
    while !t.quiet.load(Ordering::Relaxed) {
        if let Some(wait) = (PACE * n).checked_sub(start.elapsed()).filter(|w| !w.is_zero()) {
            thread::sleep(wait);
            continue;
        }
        n += 1;
        // What finds no room on our own side was not sent.
        let sent = send(tx, &frame(n.into()), SendFlags::empty()).is_ok();
        t.sent.fetch_add(u64::from(sent), Ordering::Relaxed);
    }
}

fn receive_on(rx: &OwnedFd, t: &Traffic) {
    let (mut buffer, mut last) = ([0; 256], 0);
    while !t.ends.load(Ordering::Relaxed) {
        // The timeout only lets the thread end.
        let Ok((n, _)) = recv(rx, &mut buffer, RecvFlags::empty()) else { continue };
        if let Some(n) = buffer.get(..n).and_then(number) {
            t.received.fetch_add(1, Ordering::Relaxed);
            t.late.fetch_add(u64::from(n < last), Ordering::Relaxed);
            last = last.max(n);
        }
    }
}

/// 100,000 flow-mods a second, adds and deletes of entries that no frame meets, in the table that forwards
/// 20,000 frames a second: how many flow-mods were done, and how many frames got lost.
pub fn churn(lab: &mut Lab) -> anyhow::Result<Samples> {
    let tx = lab.net.h1.within(|| flood::socket("eth0"))?;
    let rx = lab.net.h2.within(|| flood::socket("eth0"))?;
    set_socket_timeout(&rx, Timeout::Recv, Some(Duration::from_millis(50)))?;
    let c = &mut lab.client;
    let way = FlowMod {
        priority: 7,
        matching: Match::any().with(FieldId::InPort, 1),
        instructions: output(2),
        ..FlowMod::default()
    };
    let b = c.batch([Message::FlowMod(way)])?;
    c.run(&b)?;
    let mut batches = Vec::new();
    for command in [FlowModCommand::Add, FlowModCommand::DeleteStrict] {
        for first in (0..ENTRIES).step_by(BATCH as usize) {
            batches.push(c.batch((first..first + BATCH).map(|i| Message::FlowMod(flow(i, command, 1))))?);
        }
    }
    let t = Traffic::default();
    let (mut done, mut time) = (0, Duration::ZERO);
    thread::scope(|scope| {
        scope.spawn(|| receive_on(&rx, &t));
        scope.spawn(|| send_on(&tx, &t));
        let changed = change(lab, &batches).map(|(n, elapsed)| (done, time) = (n, elapsed));
        t.quiet.store(true, Ordering::Relaxed);
        thread::sleep(SETTLE);
        t.ends.store(true, Ordering::Relaxed);
        changed
    })
    .context("changing flows under traffic")?;
    let (sent, received) = (t.sent.load(Ordering::Relaxed), t.received.load(Ordering::Relaxed));
    ensure!(sent > 0 && received > 0, "no frames went through");
    let b = lab.client.batch([all(FlowModCommand::Delete, Vec::new())])?;
    lab.client.run(&b)?;
    Ok(vec![
        ("churn", f64::from(done) / time.as_secs_f64() / 1e3),
        ("churn_frames", sent as f64 / time.as_secs_f64() / 1e3),
        ("churn_lost", sent.saturating_sub(received) as f64),
        ("churn_late", t.late.load(Ordering::Relaxed) as f64),
    ])
}

/// Sends batches as they are due, each once the one before is done: how many flow-mods in what time.
fn change(lab: &mut Lab, batches: &[Batch]) -> anyhow::Result<(u32, Duration)> {
    let (start, mut done) = (Instant::now(), 0);
    for (turn, batch) in (0..).zip(batches.iter().cycle()) {
        if start.elapsed() >= TIME {
            break;
        }
        thread::sleep((DUE * turn).saturating_sub(start.elapsed()));
        lab.client.run(batch)?;
        done += BATCH;
    }
    Ok((done, start.elapsed()))
}

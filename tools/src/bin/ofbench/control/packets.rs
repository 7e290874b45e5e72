//! Packets to and from the controller, and when a flow-mod takes effect.

use super::flows::{all, output};
use super::{Lab, Samples, quantile_us};
use crate::client::{Wait, ty};
use crate::flood;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{BufferId, PortNo};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::Message;
use ofproto::packet::PacketOut;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Packet-outs of the rate's measurement.
const PACKET_OUTS: u32 = 100_000;
/// Frames of the latencies' measurements.
const FRAMES: u32 = 1000;
/// Flow-mods whose effect is waited for.
const CHANGES: usize = 80;
/// Between the frames that the effect is seen by.
const PACE: Duration = Duration::from_micros(20);
/// Where the test frames have their number.
const NUMBER_AT: usize = 42;

/// A 60-byte UDP frame with a number in its payload and source port.
pub(super) fn frame(number: u64) -> Vec<u8> {
    let mut f = vec![2, 0x99, 0, 0, 2, 0x99, 2, 0x99, 0, 0, 0, 1, 8, 0];
    let mut ip = vec![0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2];
    let sum = tools::packet::checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    f.extend(ip);
    f.extend([4, (number & 0xff) as u8, 0, 9, 0, 26, 0, 0]);
    f.extend(number.to_be_bytes());
    f.resize(60, 0);
    f
}

/// The number in a frame of [`frame`].
pub(super) fn number(frame: &[u8]) -> Option<u64> {
    if frame.get(..2)? != [2, 0x99] {
        return None;
    }
    Some(u64::from_be_bytes(frame.get(NUMBER_AT..NUMBER_AT + 8)?.try_into().ok()?))
}

fn to_controller() -> Message {
    let send = Action::Output { port: PortNo::CONTROLLER, max_len: 128 };
    all(FlowModCommand::Add, vec![Instruction::ApplyActions(vec![send])])
}

fn packet_out(data: Vec<u8>) -> Message {
    Message::PacketOut(PacketOut {
        buffer_id: BufferId::NONE,
        matching: Match::any().with(FieldId::InPort, PortNo::CONTROLLER.0.into()),
        actions: vec![Action::Output { port: PortNo(2), max_len: 0 }],
        data: Bytes::from(data),
    })
}

/// The next test frame on a socket, if one comes in time; spins.
fn next_frame(socket: &OwnedFd, time: Duration) -> anyhow::Result<Option<u64>> {
    let (start, mut buffer) = (Instant::now(), [0; 256]);
    while start.elapsed() < time {
        match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((n, _)) => {
                if let Some(n) = buffer.get(..n).and_then(number) {
                    return Ok(Some(n));
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(None)
}

/// Packet-ins and packet-outs.
pub fn packets(lab: &mut Lab) -> anyhow::Result<Samples> {
    let mut out = Vec::new();
    let b = lab.client.batch([to_controller()])?;
    lab.client.run(&b)?;

    // One frame at a time, first: a flood may leave packets waiting.
    let tx = lab.net.h1.within(|| flood::socket("eth0"))?;
    let rx = lab.net.h2.within(|| flood::socket("eth0"))?;
    let (mut ins, mut loops) = (Vec::new(), Vec::new());
    let nothing = crate::client::Batch::default();
    for i in 0..u64::from(FRAMES) {
        let start = Instant::now();
        send(&tx, &frame(i), SendFlags::empty())?;
        let mut data = Vec::new();
        lab.client.exchange(&nothing, Wait::Spin, |h, m| {
            // The message ends with the frame.
            let got = m.get(m.len().saturating_sub(60)..).filter(|f| h.ty == ty::PACKET_IN && number(f) == Some(i));
            data = got.unwrap_or_default().to_vec();
            !data.is_empty()
        })?;
        ins.push(start.elapsed().as_secs_f64());
        let mut b = crate::client::Batch::default();
        lab.client.put(&mut b, &packet_out(data))?;
        lab.client.put(&mut b, &Message::BarrierRequest)?;
        // The loop's time ends with the frame; the barrier is taken afterwards.
        lab.client.send_only(&b)?;
        let got = next_frame(&rx, Duration::from_secs(1))?;
        ensure!(got == Some(i), "frame {i} did not come back by a packet-out: {got:?}");
        loops.push(start.elapsed().as_secs_f64());
        lab.client.exchange(&nothing, Wait::Sleep, |h, _| h.ty == ty::BARRIER_REPLY)?;
        thread::sleep(Duration::from_micros(200));
    }
    out.push(("pin_latency", quantile_us(&mut ins, 0.5)));
    out.push(("react", quantile_us(&mut loops, 0.5)));
    drop((tx, rx));

    let words = [lab.bench.as_str(), "flood", "eth0", "--seconds", "2.6", "--flows", "1000"];
    let source = lab.net.h1.spawn(&words, &[])?;
    thread::sleep(Duration::from_millis(300));
    let mut packet_ins = 0u64;
    let processor = lab.processor()?;
    let time = lab.client.listen_for(Duration::from_secs(2), |h, _| packet_ins += u64::from(h.ty == ty::PACKET_IN))?;
    let processor = lab.processor()? - processor;
    drop(source);
    out.push(("pin", packet_ins as f64 / time.as_secs_f64() / 1e3));
    out.push(("pin_cpu", processor * 1e6 / packet_ins.max(1) as f64));
    let b = lab.client.batch([all(FlowModCommand::Delete, Vec::new())])?;
    lab.client.run(&b)?;

    let b = lab.client.batch((0..PACKET_OUTS).map(|i| packet_out(frame(i.into()))))?;
    let before = lab.net.h2.received("eth0")?;
    let processor = lab.processor()?;
    let time = lab.client.run(&b)?;
    thread::sleep(Duration::from_millis(300));
    let processor = lab.processor()? - processor;
    let arrived = lab.net.h2.received("eth0")?.saturating_sub(before) as f64;
    out.push(("pout", arrived / time.as_secs_f64() / 1e3));
    out.push(("pout_cpu", processor * 1e6 / f64::from(PACKET_OUTS)));
    out.push(("pout_lost", (1.0 - arrived / f64::from(PACKET_OUTS)).max(0.0) * 100.0));
    Ok(out)
}

/// What the threads of [`effect`] share.
struct Traffic {
    ends: AtomicBool,
    /// The number of the last frame that was sent, or is just being sent.
    sent: AtomicU64,
    /// Whether the next frame to arrive is waited for.
    armed: AtomicBool,
    first: Mutex<Option<(Instant, u64)>>,
}

fn send_on(tx: &OwnedFd, t: &Traffic) {
    let (start, mut n) = (Instant::now(), 0u32);
    while !t.ends.load(Ordering::Relaxed) {
        if start.elapsed() < PACE * n {
            std::hint::spin_loop();
            continue;
        }
        n += 1;
        t.sent.store(n.into(), Ordering::SeqCst);
        // A frame for which there is no room is seen as one that didn't arrive.
        let _ = send(tx, &frame(n.into()), SendFlags::empty());
    }
}

fn receive_on(rx: &OwnedFd, t: &Traffic) {
    let mut buffer = [0; 256];
    while !t.ends.load(Ordering::Relaxed) {
        // The timeout only lets the thread end.
        let Ok((n, _)) = recv(rx, &mut buffer, RecvFlags::empty()) else { continue };
        if let Some(n) = buffer.get(..n).and_then(number)
            && t.armed.swap(false, Ordering::SeqCst)
            && let Ok(mut first) = t.first.lock()
        {
            *first = Some((Instant::now(), n));
        }
    }
}

/// From a flow-mod to the first frame that it lets through, under traffic; and whether the barrier's
/// reply keeps its word: every frame sent after it must meet the new entry (OpenFlow 1.3.5 §7.3.8).
pub fn effect(lab: &mut Lab) -> anyhow::Result<Samples> {
    let tx = lab.net.h1.within(|| flood::socket("eth0"))?;
    let rx = lab.net.h2.within(|| flood::socket("eth0"))?;
    rustix::net::sockopt::set_socket_timeout(
        &rx,
        rustix::net::sockopt::Timeout::Recv,
        Some(Duration::from_millis(50)),
    )?;
    let t = Traffic {
        ends: AtomicBool::new(false),
        sent: AtomicU64::new(0),
        armed: AtomicBool::new(false),
        first: Mutex::new(None),
    };
    let add = |instructions| Message::FlowMod(FlowMod { instructions, ..FlowMod::default() });
    let b = lab.client.batch([add(Vec::new())])?;
    lab.client.run(&b)?;
    let (mut effects, mut barriers, mut stale) = (Vec::new(), Vec::new(), 0u32);
    thread::scope(|scope| {
        scope.spawn(|| send_on(&tx, &t));
        scope.spawn(|| receive_on(&rx, &t));
        let all_changes = (0..CHANGES).try_for_each(|_| {
            thread::sleep(Duration::from_millis(20));
            let b = lab.client.batch([add(output(2))])?;
            t.armed.store(true, Ordering::SeqCst);
            let start = Instant::now();
            let barrier = lab.client.run(&b)?;
            let sent = t.sent.load(Ordering::SeqCst);
            let end = Instant::now() + Duration::from_secs(3);
            let (at, n) = loop {
                if let Some(first) = t.first.lock().ok().and_then(|mut f| f.take()) {
                    break first;
                }
                if Instant::now() > end {
                    bail!("a flow-mod had no effect in 3 s");
                }
                thread::sleep(Duration::from_micros(50));
            };
            effects.push((at - start).as_secs_f64());
            barriers.push(barrier.as_secs_f64());
            // Frame `sent` may have been on its way before the reply.
            stale += u32::from(n > sent + 1);
            let b = lab.client.batch([add(Vec::new())])?;
            lab.client.run(&b)?;
            anyhow::Ok(())
        });
        t.ends.store(true, Ordering::Relaxed);
        all_changes
    })
    .context("changing a flow under traffic")?;
    Ok(vec![
        ("effect", quantile_us(&mut effects, 0.5)),
        ("effect_max", quantile_us(&mut effects, 1.0)),
        ("effect_barrier", quantile_us(&mut barriers, 0.5)),
        ("stale", f64::from(stale) * 100.0 / CHANGES as f64),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_their_number() {
        for n in [0, 1, 255, 65_536, u64::MAX] {
            let f = frame(n);
            assert_eq!((f.len(), number(&f)), (60, Some(n)));
        }
        assert_eq!(number(&[0; 60]), None);
        assert_eq!(number(&frame(1)[..49]), None);
    }

    #[test]
    fn packet_outs_end_with_their_frame() {
        let bytes =
            ofproto::wire::encode(crate::client::VERSION, ofproto::ids::Xid(1), &packet_out(frame(5))).expect("fits");
        assert_eq!(number(&bytes[bytes.len() - 60..]), Some(5));
    }
}

//! Flow tables: rates, latencies, dumps, memory.

use super::{Lab, Samples, quantile_us};
use crate::client::{Batch, Client, Wait, flow_entries, more_follows, ty};
use anyhow::ensure;
use ofproto::action::Action;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{BundleId, Cookie, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, MultipartRequest};
use ofproto::stats::FlowStatsRequest;
use std::time::Duration;

/// Round trips of a latency measurement.
const ROUND_TRIPS: u32 = 2000;
/// Bundles' id.
const BUNDLE: BundleId = BundleId(7);

/// Outputs to a port.
pub fn output(port: u32) -> Vec<Instruction> {
    vec![Instruction::ApplyActions(vec![Action::Output { port: PortNo(port), max_len: 0 }])]
}

/// The entry of a number: protocol, both addresses and both ports of TCP.
pub(super) fn flow(i: u32, command: FlowModCommand, port: u32) -> FlowMod {
    // Spreads the numbers, as hosts and ports of real traffic are spread.
    let h = i.wrapping_mul(2_654_435_761);
    let matching = Match::any()
        .with(FieldId::EthType, 0x800)
        .with(FieldId::IpProto, 6)
        .with(FieldId::Ipv4Src, u128::from(0x0a00_0000 + i))
        .with(FieldId::Ipv4Dst, u128::from(0xc0a8_0000 | (h & 0xffff)))
        .with(FieldId::TcpSrc, u128::from(1024 + (h >> 16) % 60_000))
        .with(FieldId::TcpDst, 80);
    let instructions = if command == FlowModCommand::DeleteStrict { Vec::new() } else { output(port) };
    FlowMod { cookie: Cookie(i.into()), command, priority: 100, matching, instructions, ..FlowMod::default() }
}

/// A flow-mod of every entry.
pub fn all(command: FlowModCommand, instructions: Vec<Instruction>) -> Message {
    let table = if command == FlowModCommand::Delete { TableId::ALL } else { TableId(0) };
    Message::FlowMod(FlowMod { command, table, instructions, ..FlowMod::default() })
}

fn batch(client: &mut Client, n: u32, command: FlowModCommand, port: u32) -> anyhow::Result<Batch> {
    client.batch((0..n).map(|i| Message::FlowMod(flow(i, command, port))))
}

/// The same adds in one bundle, committed, with a barrier behind.
fn bundle(client: &mut Client, n: u32) -> anyhow::Result<Batch> {
    let flags = BundleFlags::ATOMIC;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle: BUNDLE, ty, flags, properties: Vec::new() });
    let mut b = Batch::default();
    client.put(&mut b, &control(BundleCtrlType::OpenRequest))?;
    for i in 0..n {
        // The inner message has the outer one's number (OpenFlow 1.4.1 §7.3.9.6).
        let inner_xid = Xid(b.last.0.wrapping_add(1));
        let message = Box::new(Message::FlowMod(flow(i, FlowModCommand::Add, 2)));
        let add = BundleAdd { bundle: BUNDLE, flags, message, inner_xid, properties: Vec::new() };
        client.put(&mut b, &Message::BundleAdd(add))?;
    }
    client.put(&mut b, &control(BundleCtrlType::CommitRequest))?;
    client.put(&mut b, &Message::BarrierRequest)?;
    Ok(b)
}

/// Dumps every flow; gives their number and the time.
fn dump(client: &mut Client) -> anyhow::Result<(usize, Duration)> {
    let request = client.request(MultipartRequest::Flow(FlowStatsRequest::default()))?;
    let mut entries = 0;
    let time = client.exchange(&request, Wait::Sleep, |h, m| {
        if h.ty != ty::MULTIPART_REPLY || h.xid != request.last {
            return false;
        }
        entries += flow_entries(m);
        !more_follows(m)
    })?;
    Ok((entries, time))
}

fn thousands(n: u32, time: Duration) -> f64 {
    f64::from(n) / time.as_secs_f64() / 1e3
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Clears the table.
fn clear(client: &mut Client) -> anyhow::Result<Duration> {
    let b = client.batch([all(FlowModCommand::Delete, Vec::new())])?;
    client.run(&b)
}

/// The times in seconds of batches that go one after the other.
fn round_trips(
    c: &mut Client,
    mut make: impl FnMut(&mut Client, u32) -> anyhow::Result<Batch>,
) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for i in 0..ROUND_TRIPS {
        let b = make(c, i)?;
        times.push(c.run(&b)?.as_secs_f64());
    }
    Ok(times)
}

/// Echo, barrier, add with barrier.
pub fn latency(lab: &mut Lab) -> anyhow::Result<Samples> {
    let c = &mut lab.client;
    let mut echo = round_trips(c, |c, _| {
        let mut b = Batch::default();
        c.put(&mut b, &Message::EchoRequest(Default::default()))?;
        Ok(b)
    })?;
    let mut barrier = round_trips(c, |c, _| c.batch([]))?;
    let mut add = round_trips(c, |c, i| c.batch([Message::FlowMod(flow(i, FlowModCommand::Add, 2))]))?;
    Ok(vec![
        ("echo", quantile_us(&mut echo, 0.5)),
        ("barrier", quantile_us(&mut barrier, 0.5)),
        ("add_barrier", quantile_us(&mut add, 0.5)),
        ("add_barrier_p99", quantile_us(&mut add, 0.99)),
    ])
}

/// Rates of flow-mods, and what concerns a table of them.
pub fn flows(lab: &mut Lab, n: u32) -> anyhow::Result<Samples> {
    let c = &mut lab.client;
    let mut out = Vec::new();
    let b = bundle(c, n)?;
    out.push(("bundle", thousands(n, c.run(&b)?)));
    ensure!(dump(c)?.0 == n as usize, "a bundle of {n} adds made another number of flows");
    clear(c)?;
    let b = batch(c, n, FlowModCommand::Add, 2)?;
    out.push(("add", thousands(n, c.run(&b)?)));
    let b = batch(c, n, FlowModCommand::ModifyStrict, 1)?;
    out.push(("modify_strict", thousands(n, c.run(&b)?)));
    let (entries, time) = dump(c)?;
    ensure!(entries == n as usize, "{n} adds made {entries} flows");
    out.push(("dump", ms(time)));
    let b = c.batch([all(FlowModCommand::Modify, output(2))])?;
    out.push(("modify", ms(c.run(&b)?)));
    let b = batch(c, n, FlowModCommand::DeleteStrict, 0)?;
    out.push(("delete_strict", thousands(n, c.run(&b)?)));
    ensure!(dump(c)?.0 == 0, "strict deletes left flows");
    let b = batch(c, n, FlowModCommand::Add, 2)?;
    c.run(&b)?;
    out.push(("delete", ms(clear(c)?)));
    ensure!(dump(c)?.0 == 0, "a delete of all left flows");
    Ok(out)
}

/// A large table.
pub fn large(lab: &mut Lab, n: u32) -> anyhow::Result<Samples> {
    let before = lab.memory()?;
    let b = batch(&mut lab.client, n, FlowModCommand::Add, 2)?;
    let processor = lab.processor()?;
    let time = lab.client.run(&b)?;
    let processor = lab.processor()? - processor;
    drop(b);
    let memory = lab.memory()? - before;
    let (entries, dumped) = dump(&mut lab.client)?;
    ensure!(entries == n as usize, "{n} adds made {entries} flows");
    let deleted = clear(&mut lab.client)?;
    // What is freed in the background gets time for it.
    std::thread::sleep(Duration::from_secs(2));
    let left = lab.memory()? - before;
    ensure!(dump(&mut lab.client)?.0 == 0, "a delete of all left flows");
    Ok(vec![
        ("large_add", thousands(n, time)),
        ("large_add_cpu", processor / f64::from(n) * 1e6),
        ("large_memory", memory / f64::from(n)),
        ("large_dump", ms(dumped)),
        ("large_delete", ms(deleted)),
        ("large_left", left / 1e6),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_number_has_a_flow_of_its_own() {
        let matches: HashSet<Match> = (0..50_000).map(|i| flow(i, FlowModCommand::Add, 1).matching).collect();
        assert_eq!(matches.len(), 50_000);
        assert_eq!(flow(9, FlowModCommand::Add, 1).matching, flow(9, FlowModCommand::DeleteStrict, 0).matching);
    }
}

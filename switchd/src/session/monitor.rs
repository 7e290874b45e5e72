//! Flow monitors' requests and initial states (OpenFlow 1.4.1 §7.3.5.17).

use super::host::{Answer, Host};
use super::notify::{covers, full_update};
use super::{DumpKind, Session, Waiting, limits};
use datapath::clock::Time;
use ofproto::ids::{Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use ofproto::message::{MultipartReply, MultipartRequest};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::{ErrorKind, OfError};
use std::collections::VecDeque;

const KNOWN: MonitorFlags = MonitorFlags::INITIAL
    .union(MonitorFlags::ADD)
    .union(MonitorFlags::REMOVED)
    .union(MonitorFlags::MODIFY)
    .union(MonitorFlags::INSTRUCTIONS)
    .union(MonitorFlags::NO_ABBREV)
    .union(MonitorFlags::ONLY_OWN);

impl Session {
    /// Carries out all of a request's monitors, or none; the reply holds the initial state.
    pub(super) fn flow_monitor(
        &mut self,
        now: Time,
        xid: Xid,
        requests: &[FlowMonitorRequest],
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let mut next = self.monitors.clone();
        let mut initial = Vec::new();
        let n_tables = host.identity().n_tables;
        for r in requests {
            let unknown = || {
                let reason = format!("there is no monitor {} on this connection", r.id);
                OfError::new(ErrorKind::FlowMonitorFailedUnknownMonitor, "monitor_id", reason)
            };
            match r.command {
                MonitorCommand::Delete => {
                    next.remove(&r.id).ok_or_else(unknown)?;
                    continue;
                }
                MonitorCommand::Modify => {
                    next.remove(&r.id).ok_or_else(unknown)?;
                }
                MonitorCommand::Add if next.contains_key(&r.id) => {
                    let reason = format!("monitor {} is there already", r.id);
                    return Err(OfError::new(ErrorKind::FlowMonitorFailedMonitorExists, "monitor_id", reason));
                }
                MonitorCommand::Add => {}
                MonitorCommand::Unknown(n) => {
                    let reason = format!("command {n} is not defined");
                    return Err(OfError::new(ErrorKind::FlowMonitorFailedBadCommand, "command", reason));
                }
            }
            if !(r.flags - KNOWN).is_empty() {
                let reason = format!("bits {:#x} are not defined", (r.flags - KNOWN).bits());
                return Err(OfError::new(ErrorKind::FlowMonitorFailedBadFlags, "flags", reason));
            }
            if r.table != TableId::ALL && r.table.0 >= n_tables {
                let reason = format!("there is no table {}", r.table);
                return Err(OfError::new(ErrorKind::FlowMonitorFailedBadTableId, "table_id", reason));
            }
            let output = r.out_port.is_ordinary()
                || [
                    PortNo::ANY,
                    PortNo::IN_PORT,
                    PortNo::NORMAL,
                    PortNo::FLOOD,
                    PortNo::ALL,
                    PortNo::CONTROLLER,
                    PortNo::LOCAL,
                ]
                .contains(&r.out_port);
            if !output {
                let reason = format!("no flow has an output to {}", r.out_port);
                return Err(OfError::new(ErrorKind::FlowMonitorFailedBadOut, "out_port", reason));
            }
            if r.out_group != GroupId::ANY && r.out_group.0 > GroupId::MAX.0 {
                let reason = format!("no flow uses group {:?}", r.out_group);
                return Err(OfError::new(ErrorKind::FlowMonitorFailedBadOut, "out_group", reason));
            }
            if next.len() >= limits::MONITORS {
                let reason = format!("a connection may have {} monitors", limits::MONITORS);
                return Err(OfError::new(ErrorKind::FlowMonitorFailedUnknown, "monitor_id", reason));
            }
            if r.flags.contains(MonitorFlags::INITIAL) {
                initial.push(r.clone());
            }
            next.insert(r.id, r.clone());
        }
        let mut cursors = VecDeque::new();
        for r in &initial {
            let request = FlowStatsRequest {
                table: r.table,
                out_port: r.out_port,
                out_group: r.out_group,
                cookie: Cookie(0),
                cookie_mask: 0,
                matching: r.matching.clone(),
            };
            if let Answer::Flows(cursor) = host.multipart(now, self.version, &MultipartRequest::Flow(request))? {
                cursors.push_back(cursor);
            }
        }
        self.monitors = next;
        if cursors.is_empty() {
            self.send_reply(xid, MultipartReply::FlowMonitor(Vec::new()), true);
        } else {
            self.waiting =
                Waiting::Flows { xid, cursors, kind: DumpKind::Initial(initial), held: None, spare: Vec::new() };
        }
        Ok(())
    }

    /// The extensions' way to end a monitor.
    pub(super) fn cancel_monitor(&mut self, id: u32) -> Result<(), OfError> {
        match self.monitors.remove(&MonitorId(id)) {
            Some(_) => Ok(()),
            None => Err(OfError::new(
                ErrorKind::FlowMonitorFailedUnknownMonitor,
                "id",
                format!("there is no monitor {id} on this connection"),
            )),
        }
    }
}

/// The initial updates for flows that the monitor `at` found; those an earlier one told of are left out.
pub(super) fn initial(monitors: &[FlowMonitorRequest], at: usize, flows: &[FlowDesc]) -> Vec<FlowUpdate> {
    let earlier = monitors.get(..at).unwrap_or(&[]);
    flows
        .iter()
        .filter(|flow| !earlier.iter().any(|m| covers(m, flow, &flow.instructions)))
        .map(|flow| {
            let instructions = monitors
                .iter()
                .any(|m| m.flags.contains(MonitorFlags::INSTRUCTIONS) && covers(m, flow, &flow.instructions));
            full_update(FlowUpdateEvent::Initial, flow, instructions)
        })
        .collect()
}

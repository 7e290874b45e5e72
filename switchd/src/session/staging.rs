//! The requests of bundles; their rules one by one are in [`super::bundle`].

use super::bundle::{Bundles, Reading};
use super::host::{Host, Staged};
use super::requests::{check_frame, check_pipeline, err};
use super::schedule::{Due, unknown_property};
use super::{Session, State};
use datapath::clock::Time;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags, BundleProp};
use ofproto::ids::{BufferId, BundleId, Xid};
use ofproto::message::Message;
use ofproto::validate;
use ofproto::wire;
use ofproto::{ErrorKind, OfError, Version};
use std::collections::HashSet;
use std::time::Duration;
use tracing::warn;

/// What a message of a bundle asks for once the bundle is carried out.
enum Left {
    /// Sends a kept packet on its way.
    Release(BufferId),
    /// Other controllers are told.
    Forward(Message),
}

/// The messages of a bundle while it is carried out.
struct Committed<'a> {
    session: &'a Session,
    now: Time,
    reading: Reading<'a>,
    /// Kept packets that some message sends.
    used: HashSet<BufferId>,
    /// What is left to do when all of it is in force.
    left: Vec<(Xid, Left)>,
    flow_mods: u64,
    packet_outs: u64,
}

impl Staged for Committed<'_> {
    fn next(&mut self) -> Option<Result<(Xid, &mut Message), OfError>> {
        let (xid, message) = self.reading.read_next()?;
        Some(message.and_then(|message| {
            self.session.resolve_buffer(self.now, message, &mut self.used)?;
            match message {
                Message::FlowMod(fm) => {
                    self.flow_mods += 1;
                    if self.session.releases(fm) {
                        self.left.push((xid, Left::Release(fm.buffer_id)));
                    }
                }
                Message::GroupMod(_) | Message::MeterMod(_) => self.left.push((xid, Left::Forward(message.clone()))),
                Message::PacketOut(_) => self.packet_outs += 1,
                _ => {}
            }
            Ok((xid, message))
        }))
    }
}

impl Session {
    pub(super) fn bundle_add(
        &mut self,
        now: Time,
        xid: Xid,
        add: &BundleAdd,
        bytes: &[u8],
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        self.check_bundle_flags(add.bundle, add.flags)?;
        // One that is closed is gone by this, whatever is inside.
        let taken = self.bundles.takes(add.bundle, add.flags);
        self.forget_discarded(add.bundle);
        taken?;
        check_bundle_props(&add.properties)?;
        Bundles::allowed(&add.message)?;
        if let Err(e) = self.check_bundled(&add.message, host) {
            let inner = wire::bundled(bytes).map_or(bytes, |(_, inner)| inner);
            self.refuse_with(add.inner_xid, inner, &e);
            return Ok(());
        }
        self.bundles.add(now, xid, add, bytes)
    }

    /// Judges a message before it is staged.
    fn check_bundled(&self, message: &Message, host: &dyn Host) -> Result<(), OfError> {
        validate::message(message, self.version)?;
        if let Message::PacketOut(po) = message {
            check_pipeline(self.version, &po.matching, host)?;
        }
        host.check(self.version, message)
    }

    /// The commit of a bundle that was discarded waits no longer.
    fn forget_discarded(&mut self, id: BundleId) {
        if !self.bundles.contains(id) {
            self.schedule.cancel(id);
        }
    }

    pub(super) fn bundle_control(
        &mut self,
        now: Time,
        xid: Xid,
        control: &BundleCtrl,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let done = self.bundle_step(now, xid, control, host);
        self.forget_discarded(control.bundle);
        done
    }

    fn bundle_step(&mut self, now: Time, xid: Xid, control: &BundleCtrl, host: &mut dyn Host) -> Result<(), OfError> {
        let (id, flags) = (control.bundle, control.flags);
        if !matches!(control.ty, BundleCtrlType::DiscardRequest) {
            self.check_bundle_flags(id, flags)?;
        }
        let ty = match control.ty {
            BundleCtrlType::OpenRequest => {
                check_bundle_props(&control.properties)?;
                self.bundles.open(now, id, flags)?;
                BundleCtrlType::OpenReply
            }
            BundleCtrlType::CloseRequest => {
                self.bundles.close(now, id, flags)?;
                BundleCtrlType::CloseReply
            }
            BundleCtrlType::DiscardRequest => {
                self.bundles.discard(id)?;
                BundleCtrlType::DiscardReply
            }
            BundleCtrlType::CommitRequest => {
                check_bundle_props(&control.properties)?;
                self.bundles.committable(id, flags)?;
                self.schedule.refuse_waiting(id)?;
                if flags.contains(BundleFlags::TIME) && self.commit_later(now, xid, control, host.wall())? {
                    return Ok(());
                }
                self.bundle_commit(now, control, host)?;
                BundleCtrlType::CommitReply
            }
            BundleCtrlType::OpenReply
            | BundleCtrlType::CloseReply
            | BundleCtrlType::CommitReply
            | BundleCtrlType::DiscardReply
            | BundleCtrlType::Unknown(_) => {
                return Err(err(ErrorKind::BundleFailedBadType, "type", format!("{:?} is no request", control.ty)));
            }
        };
        let reply = BundleCtrl { bundle: id, ty, flags, properties: Vec::new() };
        self.send(xid, &Message::BundleControl(reply));
        Ok(())
    }

    /// Puts a commit off to its time, if that is still to come. After a commit there is no bundle, failed or not
    /// (OpenFlow 1.5.1 §7.3.9.9), and one that waits takes no more messages.
    fn commit_later(&mut self, now: Time, xid: Xid, control: &BundleCtrl, wall: Duration) -> Result<bool, OfError> {
        let id = control.bundle;
        let at = self.schedule.time(now, wall, control).inspect_err(|_| {
            // It is there.
            let _ = self.bundles.discard(id);
        })?;
        if let Some(at) = at {
            self.bundles.shut(id);
            self.schedule.add(Due { at, xid, control: control.clone() });
        }
        Ok(at.is_some())
    }

    /// Refuses flags of a later version, as any that a bundle wasn't opened with: it is discarded.
    fn check_bundle_flags(&mut self, id: BundleId, flags: BundleFlags) -> Result<(), OfError> {
        if self.version < Version::V15 && flags.contains(BundleFlags::TIME) {
            // There needn't be one yet.
            let _ = self.bundles.discard(id);
            let reason = format!("OpenFlow {} has no commits at a set time", self.version);
            return Err(err(ErrorKind::BundleFailedBadFlags, "flags", reason));
        }
        Ok(())
    }

    /// Whether the time of a commit has come.
    pub fn has_commit_due(&self, now: Time) -> bool {
        self.state == State::Up && self.schedule.deadline().is_some_and(|at| at <= now)
    }

    /// Carries out one commit whose time has come: its xid.
    pub fn commit_due(&mut self, now: Time, host: &mut dyn Host) -> Option<Xid> {
        if !self.has_commit_due(now) {
            return None;
        }
        let Due { xid, control, .. } = self.schedule.due(now)?;
        self.abbreviated = None;
        let done = if self.is_slave() {
            // It was none when it asked.
            let _ = self.bundles.discard(control.bundle);
            Err(err(ErrorKind::BadRequestIsSlave, "type", "the controller became a slave before the commit's time"))
        } else {
            self.bundle_commit(now, &control, host)
        };
        if let Err(e) = done {
            let request = Message::BundleControl(control);
            let bytes = wire::encode(self.version, xid, &request).unwrap_or_default();
            self.refuse_with(xid, &bytes, &e);
            return Some(xid);
        }
        let ty = BundleCtrlType::CommitReply;
        let reply = BundleCtrl { bundle: control.bundle, ty, flags: control.flags, properties: Vec::new() };
        self.send(xid, &Message::BundleControl(reply));
        Some(xid)
    }

    fn bundle_commit(&mut self, now: Time, control: &BundleCtrl, host: &mut dyn Host) -> Result<(), OfError> {
        let staged = self.bundles.commit(control.bundle, control.flags)?;
        let mut messages = Committed {
            session: self,
            now,
            reading: staged.messages(),
            used: HashSet::new(),
            left: Vec::new(),
            flow_mods: 0,
            packet_outs: 0,
        };
        let done = host.commit(now, self.version, self.governing(), &mut messages);
        let Committed { used, left, flow_mods, packet_outs, .. } = messages;
        if let Err((i, e)) = done {
            let mut again = staged.messages();
            (0..i).for_each(|_| drop(again.read_next()));
            if let Some((xid, Ok(message))) = again.read_next() {
                let inner = wire::encode(self.version, xid, message).unwrap_or_default();
                self.refuse_with(xid, &inner, &e);
            }
            return Err(err(
                ErrorKind::BundleFailedMsgFailed,
                "bundle_id",
                format!("message {} of bundle {} failed, none was carried out: {e}", i + 1, control.bundle),
            ));
        }
        self.counters.flow_mods += flow_mods;
        self.counters.packet_outs += packet_outs;
        for (xid, left) in left {
            match left {
                Left::Release(buffer) => {
                    if let Err(e) = self.release(now, buffer, host) {
                        warn!(conn = %self.id, %xid, error = %e, "a bundle's buffered packet was lost");
                    }
                }
                Left::Forward(message) => self.forward(xid, message, host),
            }
        }
        for id in used {
            // The packets have gone with their packet-outs, or with flow-mods, which took them.
            let _ = self.channel.buffer.take(now, id);
        }
        Ok(())
    }

    /// Checks a bundled message's buffer, which no other may use; a packet-out gets its frame, to be judged with the
    /// rest.
    fn resolve_buffer(&self, now: Time, message: &mut Message, used: &mut HashSet<BufferId>) -> Result<(), OfError> {
        let id = match message {
            Message::FlowMod(fm) if self.releases(fm) => fm.buffer_id,
            Message::PacketOut(po) if po.buffer_id != BufferId::NONE => po.buffer_id,
            Message::PacketOut(po) => return check_frame(&po.data),
            _ => return Ok(()),
        };
        let kept = self.channel.buffer.peek(now, id)?;
        if !used.insert(id) {
            let reason = format!("packet {id} is used twice in the bundle");
            return Err(err(ErrorKind::BadRequestBufferEmpty, "buffer_id", reason));
        }
        if let Message::PacketOut(po) = message {
            po.data = kept.frame.clone();
        }
        Ok(())
    }
}

fn check_bundle_props(properties: &[BundleProp]) -> Result<(), OfError> {
    properties.iter().try_for_each(|p| match p {
        BundleProp::Time(_) => Ok(()),
        BundleProp::Other(other) => Err(unknown_property(other)),
    })
}

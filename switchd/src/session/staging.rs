//! The requests of bundles; their rules one by one are in [`super::bundle`].

use super::Session;
use super::bundle::Bundles;
use super::host::Host;
use super::requests::{check_frame, check_pipeline, err};
use super::schedule::Due;
use datapath::clock::Time;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags, BundleProp};
use ofproto::group::OtherProp;
use ofproto::ids::{BufferId, Xid};
use ofproto::message::Message;
use ofproto::validate;
use ofproto::wire;
use ofproto::{ErrorKind, OfError};
use tracing::warn;

impl Session {
    pub(super) fn bundle_add(
        &mut self,
        now: Time,
        xid: Xid,
        mut add: BundleAdd,
        bytes: usize,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        check_bundle_props(&add.properties)?;
        Bundles::allowed(&add.message)?;
        if let Message::FlowMod(fm) = &mut *add.message {
            self.place_flow_mod(fm);
        }
        if let Message::PacketOut(po) = &*add.message {
            check_pipeline(self.version, &po.matching, host)?;
        }
        let sound = validate::message(&add.message, self.version).and_then(|()| host.check(self.version, &add.message));
        if let Err(e) = sound {
            let inner = wire::encode(self.version, add.inner_xid, &add.message).unwrap_or_default();
            self.refuse_with(add.inner_xid, &inner, &e);
            return Ok(());
        }
        self.schedule.refuse_waiting(add.bundle)?;
        self.bundles.add(now, xid, add, bytes)
    }

    pub(super) fn bundle_control(
        &mut self,
        now: Time,
        xid: Xid,
        control: &BundleCtrl,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let (id, flags) = (control.bundle, control.flags);
        if !matches!(control.ty, BundleCtrlType::DiscardRequest) {
            self.schedule.refuse_waiting(id)?;
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
                self.schedule.cancel(id);
                BundleCtrlType::DiscardReply
            }
            BundleCtrlType::CommitRequest => {
                check_bundle_props(&control.properties)?;
                if flags.contains(BundleFlags::TIME) {
                    self.bundles.committable(id, flags)?;
                    if let Some(at) = self.schedule.time(now, host.wall(), control)? {
                        self.schedule.add(Due { at, xid, control: control.clone() });
                        return Ok(());
                    }
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

    /// Carries out commits whose time has come.
    pub(super) fn commit_due(&mut self, now: Time, host: &mut dyn Host) {
        while let Some(Due { xid, control, .. }) = self.schedule.due(now) {
            if let Err(e) = self.bundle_commit(now, &control, host) {
                let request = Message::BundleControl(control);
                let bytes = wire::encode(self.version, xid, &request).unwrap_or_default();
                self.refuse_with(xid, &bytes, &e);
                continue;
            }
            let ty = BundleCtrlType::CommitReply;
            let reply = BundleCtrl { bundle: control.bundle, ty, flags: control.flags, properties: Vec::new() };
            self.send(xid, &Message::BundleControl(reply));
        }
    }

    fn bundle_commit(&mut self, now: Time, control: &BundleCtrl, host: &mut dyn Host) -> Result<(), OfError> {
        let staged = self.bundles.commit(control.bundle, control.flags)?;
        let xids: Vec<Xid> = staged.iter().map(|s| s.xid).collect();
        let mut messages: Vec<Message> = staged.into_iter().map(|s| s.message).collect();
        let mut used = Vec::new();
        let mut outcome = Ok(());
        for (i, message) in messages.iter_mut().enumerate() {
            if let Err(e) = self.resolve_buffer(now, message, &mut used) {
                outcome = Err((i, e));
                break;
            }
        }
        let outcome = outcome.and_then(|()| host.commit(now, self.version, self.governing(), &messages));
        if let Err((i, e)) = outcome {
            if let (Some(message), Some(xid)) = (messages.get(i), xids.get(i)) {
                let inner = wire::encode(self.version, *xid, message).unwrap_or_default();
                self.refuse_with(*xid, &inner, &e);
            }
            return Err(err(
                ErrorKind::BundleFailedMsgFailed,
                "bundle_id",
                format!("message {} of bundle {} failed, none was carried out: {e}", i + 1, control.bundle),
            ));
        }
        for (message, xid) in messages.into_iter().zip(xids) {
            match message {
                Message::FlowMod(fm) => {
                    self.counters.flow_mods += 1;
                    if self.releases(&fm)
                        && let Err(e) = self.release(now, fm.buffer_id, host)
                    {
                        warn!(conn = %self.id, %xid, error = %e, "a bundle's buffered packet was lost");
                    }
                }
                Message::GroupMod(_) | Message::MeterMod(_) => self.forward(xid, message, host),
                Message::PacketOut(_) => self.counters.packet_outs += 1,
                _ => {}
            }
        }
        for id in used {
            // Checked above; the packets have gone with their packet-outs.
            let _ = self.channel.buffer.take(now, id);
        }
        Ok(())
    }

    /// Checks a bundled message's buffer; a packet-out gets its frame, to be judged with the rest.
    fn resolve_buffer(&self, now: Time, message: &mut Message, used: &mut Vec<BufferId>) -> Result<(), OfError> {
        match message {
            Message::FlowMod(fm) if self.releases(fm) => self.channel.buffer.check(now, fm.buffer_id),
            Message::PacketOut(po) if po.buffer_id != BufferId::NONE => {
                if used.contains(&po.buffer_id) {
                    return Err(err(
                        ErrorKind::BadRequestBufferEmpty,
                        "buffer_id",
                        format!("packet {} is used twice in the bundle", po.buffer_id),
                    ));
                }
                po.data = self.channel.buffer.peek(now, po.buffer_id)?.frame.clone();
                used.push(po.buffer_id);
                Ok(())
            }
            Message::PacketOut(po) => check_frame(&po.data),
            _ => Ok(()),
        }
    }
}

fn check_bundle_props(properties: &[BundleProp]) -> Result<(), OfError> {
    properties.iter().try_for_each(|p| match p {
        BundleProp::Time(_) => Ok(()),
        BundleProp::Other(OtherProp::Experimenter(p)) => {
            Err(err(ErrorKind::BadPropertyBadExperimenter, "experimenter", format!("{} is not known", p.experimenter)))
        }
        BundleProp::Other(OtherProp::Unknown(p)) => {
            Err(err(ErrorKind::BadPropertyBadType, "type", format!("property {} is not defined", p.ty)))
        }
    })
}

//! Groups and meters: changes, what goes with them, statistics.

use super::{Cause, Control, Event};
use crate::clock::Time;
use crate::program::{Context, Place};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::flow::FlowRemovedReason;
use ofproto::group::{GroupDesc, GroupFeatures, GroupMod, GroupStats};
use ofproto::ids::{GroupId, MeterId, TableId};
use ofproto::meter::{MeterConfig, MeterFeatures, MeterMod, MeterStats};
use std::collections::HashMap;
use std::sync::Arc;

impl Control {
    /// What instructions of `version` are checked against, at `place`.
    pub fn context<'a>(&'a self, version: Version, place: Place<'a>) -> Context<'a> {
        super::flows::context(&self.state, self.queues.as_ref(), version, place)
    }

    /// Carries out a group-mod (OpenFlow 1.3.5 §6.5). Deleting a group ends the flows that name it.
    ///
    /// # Errors
    /// `OFPGMFC_*`, `OFPBAC_*`; nothing is changed then.
    pub fn group_mod(&mut self, version: Version, m: &GroupMod, now: Time) -> Result<(), OfError> {
        self.atomically(now, |c| {
            let (table, change) = c.state.groups.apply(m, &c.context(version, Place::Bucket), now)?;
            c.state.groups = Arc::new(table);
            c.state_changed = true;
            c.behaviours.forget();
            for id in change.deleted {
                let flows = c.group_refs.candidates(id.0);
                c.end_users(flows, FlowRemovedReason::GroupDelete, |uses| uses.groups.contains(&id));
                c.stage(Event::GroupDeleted(id));
            }
            Ok(())
        })
    }

    /// Carries out a meter-mod (OpenFlow 1.3.5 §6.6). Deleting a meter ends the flows that use it.
    ///
    /// # Errors
    /// `OFPMMFC_*`; nothing is changed then.
    pub fn meter_mod(&mut self, _version: Version, m: &MeterMod, now: Time) -> Result<(), OfError> {
        self.atomically(now, |c| {
            let (table, change) = c.state.meters.apply(m, now)?;
            c.state.meters = Arc::new(table);
            c.state_changed = true;
            c.behaviours.forget();
            for id in change.deleted {
                let flows = c.meter_refs.candidates(id.0);
                c.end_users(flows, FlowRemovedReason::MeterDelete, |uses| uses.meters.contains(&id));
                c.stage(Event::MeterDeleted(id));
            }
            Ok(())
        })
    }

    fn end_users(
        &mut self,
        flows: Vec<(TableId, u32)>,
        reason: FlowRemovedReason,
        uses: impl Fn(&crate::program::Uses) -> bool,
    ) {
        for (table, index) in flows {
            if self.is_current(table, index) && self.body(table, index).is_some_and(|b| uses(&b.behaviour.program.uses))
            {
                self.end(table, index, Cause::Ended(reason), true);
            }
        }
    }

    /// Statistics of a group, or of all (`OFPG_ALL`).
    ///
    /// # Errors
    /// `OFPGMFC_UNKNOWN_GROUP` (OpenFlow 1.3.5 §7.3.5.9).
    pub fn group_stats(&self, group: GroupId, now: Time) -> Result<Vec<GroupStats>, OfError> {
        let groups = &self.state.groups;
        let stats = |g: &crate::group::Group| groups.stats(g, self.group_refs.count(g.id().0), now);
        if group == GroupId::ALL {
            return Ok(groups.all().map(|g| stats(g)).collect());
        }
        groups.get(group).map(|g| vec![stats(g)]).ok_or_else(|| unknown_group(group))
    }

    /// Descriptions of a group, or of all (`OFPG_ALL`).
    ///
    /// # Errors
    /// `OFPGMFC_UNKNOWN_GROUP`.
    pub fn group_desc(&self, group: GroupId) -> Result<Vec<GroupDesc>, OfError> {
        if group == GroupId::ALL {
            return Ok(self.state.groups.descs());
        }
        self.state.groups.get(group).map(|g| vec![g.desc.clone()]).ok_or_else(|| unknown_group(group))
    }

    /// What groups can do; `actions` is the version's bitmap of wire action types.
    pub fn group_features(&self, actions: u32) -> GroupFeatures {
        self.state.groups.features(actions)
    }

    /// Statistics of a meter, or of all (`OFPM_ALL`).
    ///
    /// # Errors
    /// `OFPMMFC_UNKNOWN_METER` (OpenFlow 1.3.5 §7.3.5.12).
    pub fn meter_stats(&self, meter: MeterId, now: Time) -> Result<Vec<MeterStats>, OfError> {
        let mut by_groups: HashMap<MeterId, u32> = HashMap::new();
        for g in self.state.groups.all() {
            for m in &g.meters {
                *by_groups.entry(*m).or_default() += 1;
            }
        }
        let stats = |m: &crate::meter::Meter| {
            let id = m.config.meter;
            let refs = self.meter_refs.count(id.0) + by_groups.get(&id).copied().unwrap_or(0);
            m.stats(refs, now)
        };
        if meter == MeterId::ALL {
            return Ok(self.state.meters.all().map(|m| stats(m)).collect());
        }
        self.state.meters.get(meter).map(|m| vec![stats(m)]).ok_or_else(|| unknown_meter(meter))
    }

    /// Configuration of a meter, or of all (`OFPM_ALL`).
    ///
    /// # Errors
    /// `OFPMMFC_UNKNOWN_METER`.
    pub fn meter_config(&self, meter: MeterId) -> Result<Vec<MeterConfig>, OfError> {
        if meter == MeterId::ALL {
            return Ok(self.state.meters.all().map(|m| m.config.clone()).collect());
        }
        self.state.meters.get(meter).map(|m| vec![m.config.clone()]).ok_or_else(|| unknown_meter(meter))
    }

    /// What meters can do.
    pub fn meter_features(&self) -> MeterFeatures {
        self.state.meters.features()
    }
}

fn unknown_group(id: GroupId) -> OfError {
    OfError::new(ErrorKind::GroupModFailedUnknownGroup, "group_id", format!("there is no group {id}"))
}

fn unknown_meter(id: MeterId) -> OfError {
    OfError::new(ErrorKind::MeterModFailedUnknownMeter, "meter_id", format!("there is no meter {id}"))
}

//! What a bridge does that nobody controls, in standalone fail mode.
//!
//! - **No controller is configured**: the tables count as always, and begin with one entry that sends every packet to
//!   NORMAL. It is an entry like others: shown, counted, replaced or deleted by whoever asks.
//! - **Controllers are configured and none is connected**: every packet goes to NORMAL and the tables are left aside
//!   until one is (OpenFlow 1.3.5 §6.3.5), while their entries' times run on.
//!
//! Who only listens has no controller configured. The entry follows the configuration, so it is no part of what
//! `--state` keeps: it is there at every start, whether it was deleted before or not.

use super::snapshot::TERMS;
use super::switch::{Packets, Switch};
use crate::config::FailMode;
use datapath::clock::Time;
use datapath::engine::FailMode as Mode;
use ofproto::action::Action;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::stats::FlowDesc;

/// The entry of a switch that stands alone.
fn entry() -> FlowMod {
    FlowMod {
        priority: 0,
        instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo::NORMAL)])],
        ..FlowMod::default()
    }
}

/// Whether an entry is, in all that was asked for, the one that a switch alone begins with.
pub(super) fn is_own(f: &FlowDesc) -> bool {
    let own = entry();
    f.table == own.table
        && f.priority == own.priority
        && f.matching == own.matching
        && f.instructions == own.instructions
        && (f.cookie, f.importance) == (own.cookie, own.importance)
        && (f.idle_timeout, f.hard_timeout) == (0, 0)
        && f.flags.is_empty()
}

impl<P: Packets> Switch<P> {
    /// Whether the bridge begins with an entry of its own.
    pub(super) fn stands_alone(&self) -> bool {
        self.config.fail_mode == FailMode::Standalone && !self.config.dials
    }

    /// Whether packets pass the tables by now, because the controllers there should be aren't.
    pub(super) fn leaves_flows_aside(&self) -> bool {
        self.config.fail_mode == FailMode::Standalone && self.config.dials && !self.demand.controlled
    }

    /// Gives a bridge that stands alone its entry, unless one of the same match and priority is there: what somebody
    /// asked for, and was kept, has the say.
    pub fn stand_alone(&mut self, now: Time) {
        if !self.stands_alone() {
            return;
        }
        let entry = entry();
        self.changed(now);
        let done = self
            .control
            .would_replace(TERMS, &entry)
            .and_then(|there| if there { Ok(()) } else { self.control.flow_mod(TERMS, &entry, now).map(|_| ()) });
        if let Err(e) = done {
            tracing::warn!(bridge = self.config.name, error = %e, "the tables don't take the entry that sends everything to NORMAL");
        }
    }

    /// Tells the datapath whether the tables count now.
    pub(super) fn set_mode(&mut self) {
        let aside = self.leaves_flows_aside();
        self.shared.set_mode(if aside { Mode::Standalone } else { Mode::Secure });
    }

    /// Controllers are to be dialled from now on, or none any more. As in Open vSwitch all entries go when the first
    /// controller comes or the last one is taken away: they were made for who decided before.
    pub(super) fn note_dials(&mut self, now: Time, dials: bool) {
        if dials == self.config.dials {
            return;
        }
        self.config.dials = dials;
        self.set_mode();
        self.begin_anew(now);
    }

    /// Another fail mode from now on. As in Open vSwitch all entries go where no controller is configured, and stay where
    /// one is.
    pub(super) fn set_fail_mode(&mut self, now: Time, mode: FailMode) {
        if mode == self.config.fail_mode {
            return;
        }
        let before = std::mem::replace(&mut self.config.fail_mode, mode);
        self.set_mode();
        if !self.config.dials {
            self.begin_anew(now);
        }
        let (before, mode, flows_aside) = (before.name(), mode.name(), self.leaves_flows_aside());
        tracing::info!(bridge = self.config.name, before, mode, flows_aside, "fail mode changed");
    }

    /// Deletes all entries and puts the own one there, if there is to be one.
    fn begin_anew(&mut self, now: Time) {
        let all = FlowMod { table: TableId::ALL, command: FlowModCommand::Delete, ..FlowMod::default() };
        self.changed(now);
        if let Err(e) = self.control.flow_mod(TERMS, &all, now) {
            tracing::warn!(bridge = self.config.name, error = %e, "the entries stay");
        }
        self.stand_alone(now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::saving::save;
    use super::super::snapshot::restore;
    use super::super::tests::{Bench, add};
    use super::*;
    use ofproto::Version;
    use ofproto::flow::FlowModFlags;
    use ofproto::message::Message;

    /// A standalone bridge without controllers, that `stand_alone` was called for.
    fn alone() -> Bench {
        let mut b = Bench::new();
        b.hub.set_configured(b.now, Vec::new());
        b
    }

    fn flows(b: &mut Bench) -> Vec<FlowDesc> {
        let tool = b.connect(Version::V15);
        let flows = b.flows(tool, Version::V15);
        b.hub.session_mut(tool).unwrap().end(false, "test");
        b.hub.closed(b.now, tool);
        flows
    }

    fn only(flows: &[FlowDesc]) -> &FlowDesc {
        assert_eq!(flows.len(), 1, "{flows:?}");
        &flows[0]
    }

    #[test]
    fn a_bridge_without_controllers_begins_with_one_entry() {
        let mut b = alone();
        assert!(is_own(only(&flows(&mut b))));
        assert!(!b.hub.switch.leaves_flows_aside());
        b.hub.switch.stand_alone(b.now);
        assert!(is_own(only(&flows(&mut b))), "it is there once");
    }

    #[test]
    fn who_replaced_the_entry_has_the_say() {
        let mut b = alone();
        let tool = b.connect(Version::V13);
        b.say(tool, Version::V13, 1, &Message::FlowMod(FlowMod { priority: 0, ..FlowMod::default() }));
        b.hub.switch.stand_alone(b.now);
        assert_eq!(only(&flows(&mut b)).instructions, []);
        let gone = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
        b.say(tool, Version::V13, 2, &Message::FlowMod(gone));
        assert_eq!(flows(&mut b), []);
        b.hub.switch.stand_alone(b.now);
        assert!(is_own(only(&flows(&mut b))), "a start brings it again");
    }

    #[test]
    fn a_secure_bridge_gets_none() {
        let mut b = Bench::new();
        b.hub.switch.config.fail_mode = FailMode::Secure;
        b.hub.set_configured(b.now, Vec::new());
        assert_eq!(flows(&mut b), []);
        assert!(!b.hub.switch.leaves_flows_aside());
    }

    #[test]
    fn the_entry_is_no_part_of_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = alone();
        let tool = b.connect(Version::V13);
        b.say(tool, Version::V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
        assert_eq!(save(&mut b.hub.switch, b.now, &path).unwrap(), 1);
        // The next start has controllers: nothing sends to NORMAL then.
        let mut controlled = Bench::new();
        restore(&mut controlled.hub.switch, b.now, &path).unwrap();
        controlled.hub.switch.stand_alone(b.now);
        assert_eq!(only(&flows(&mut controlled)).priority, 0x8000);
        let mut again = Bench::new();
        again.hub.switch.config.dials = false;
        restore(&mut again.hub.switch, b.now, &path).unwrap();
        again.hub.switch.stand_alone(b.now);
        assert_eq!(flows(&mut again).len(), 2);
        // With another cookie it is somebody's, and kept.
        let own = FlowMod { cookie: ofproto::ids::Cookie(7), ..entry() };
        b.say(tool, Version::V13, 2, &Message::FlowMod(own));
        assert_eq!(save(&mut b.hub.switch, b.now, &path).unwrap(), 2);
    }

    #[test]
    fn another_fail_mode_counts_at_once() {
        let mut b = alone();
        let tool = b.connect(Version::V13);
        let own = |b: &mut Bench| b.say(tool, Version::V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
        own(&mut b);
        b.hub.switch.set_fail_mode(b.now, FailMode::Standalone);
        assert_eq!(flows(&mut b).len(), 2, "it is that already");
        // Nobody is configured: all begins anew.
        b.hub.switch.set_fail_mode(b.now, FailMode::Secure);
        assert_eq!(flows(&mut b), []);
        own(&mut b);
        b.hub.switch.set_fail_mode(b.now, FailMode::Standalone);
        assert!(is_own(only(&flows(&mut b))));
        // Somebody is: flows stay, and count or don't.
        b.hub.set_configured(b.now, vec!["tcp:test".into()]);
        own(&mut b);
        b.hub.session_mut(tool).unwrap().end(false, "test");
        b.hub.closed(b.now, tool);
        assert!(b.hub.switch.leaves_flows_aside());
        b.hub.switch.set_fail_mode(b.now, FailMode::Secure);
        assert!(!b.hub.switch.leaves_flows_aside());
        assert_eq!(only(&flows(&mut b)).priority, 0x8000);
        b.hub.switch.set_fail_mode(b.now, FailMode::Standalone);
        assert!(b.hub.switch.leaves_flows_aside());
        assert_eq!(only(&flows(&mut b)).priority, 0x8000);
    }

    #[test]
    fn tables_are_left_aside_while_configured_controllers_are_away() {
        let mut b = alone();
        let tool = b.connect(Version::V13);
        b.say(tool, Version::V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
        b.hub.session_mut(tool).unwrap().end(false, "test");
        b.hub.closed(b.now, tool);
        assert!(!b.hub.switch.leaves_flows_aside());
        assert_eq!(flows(&mut b).len(), 2);
        // The first controller begins with empty tables, the second changes nothing.
        b.hub.set_configured(b.now, vec!["tcp:test".into()]);
        assert!(b.hub.switch.leaves_flows_aside());
        assert_eq!(flows(&mut b), []);
        let c = b.connect(Version::V13);
        assert!(!b.hub.switch.leaves_flows_aside());
        b.say(c, Version::V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
        b.hub.set_configured(b.now, vec!["tcp:test".into(), "tcp:b".into()]);
        b.hub.undialled(&["tcp:b".into()]);
        assert!(b.hub.session(c).unwrap().ending().is_none());
        b.hub.undialled(&["tcp:test".into()]);
        assert!(b.hub.session(c).unwrap().ending().is_some());
        b.hub.closed(b.now, c);
        assert!(b.hub.switch.leaves_flows_aside());
        assert_eq!(only(&flows(&mut b)).priority, 0x8000);
        // Without any the switch decides by itself again.
        b.hub.set_configured(b.now, Vec::new());
        assert!(!b.hub.switch.leaves_flows_aside());
        assert!(is_own(only(&flows(&mut b))));
    }
}

//! Which ports a bridge has, their numbers, and which interface stands behind each now. No system
//! call is made here: link events go in, [`Change`]s come out.
//!
//! Invariants: a port keeps its number as long as it is configured, whatever its interface does; when it is taken
//! away its number is kept for its name, until a port is given that number by name or no other is left.

use crate::config::value::MAX_PORT_NO;
use crate::config::{IfName, PortSpec};
use crate::netlink::{Link, LinkEvent};
use ofproto::ids::{MacAddr, PortNo};
use ofproto::port::{EthernetPort, Port, PortConfig, PortDescProp, PortFeatures, PortState};
use std::collections::{BTreeMap, HashMap};

/// What a link event means for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface came to stand behind it: open it (if that isn't done yet).
    Attached(PortNo),
    /// Its interface went away.
    Detached(PortNo),
    /// Its description changed.
    Described(PortNo),
}

/// A configured port.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As configured.
    pub spec: PortSpec,
    /// The interface behind it now.
    pub link: Option<Link>,
    /// The address of the last one: the port keeps it while it has none.
    mac: MacAddr,
    /// The interface as it was when it left for another network namespace, where it carries frames still.
    /// Its state can't be seen there.
    pub away: Option<Link>,
}

/// Why a port can't be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The interface has a port.
    #[error("interface `{0}` is port {1} already")]
    Interface(IfName, PortNo),
    /// The number is taken.
    #[error("port number {0} is taken by `{1}`")]
    Number(PortNo, IfName),
    /// No number is left.
    #[error("no port number is left")]
    Full,
}

/// The ports of a bridge.
#[derive(Debug, Default)]
pub struct PortTable {
    entries: BTreeMap<PortNo, Entry>,
    /// Numbers that ports had which are gone, by name. A number stands here once, so that there are no more of them
    /// than numbers, whatever comes and goes.
    given: HashMap<IfName, PortNo>,
    /// Numbers that must not be given automatically because the configuration names them.
    reserved: Vec<PortNo>,
}

impl PortTable {
    /// A table for these ports, which are added one by one later: their explicit numbers are kept for them.
    pub fn for_specs<'a>(specs: impl IntoIterator<Item = &'a PortSpec>) -> Self {
        Self { reserved: specs.into_iter().filter_map(|s| s.number).collect(), ..Self::default() }
    }

    /// Adds a port.
    ///
    /// # Errors
    /// The interface or number is taken, or no number is left.
    pub fn add(&mut self, spec: PortSpec) -> Result<PortNo, AddError> {
        if let Some(no) = self.named(spec.name.as_str()) {
            return Err(AddError::Interface(spec.name, no));
        }
        let number = match spec.number {
            Some(n) => match self.entries.get(&n) {
                Some(other) => return Err(AddError::Number(n, other.spec.name.clone())),
                None => n,
            },
            None => self.choose(&spec.name).ok_or(AddError::Full)?,
        };
        self.entries.insert(number, Entry { spec, link: None, mac: MacAddr::default(), away: None });
        Ok(number)
    }

    /// The number this name had, or the lowest that nobody has, had, or is promised.
    fn choose(&self, name: &IfName) -> Option<PortNo> {
        if let Some(n) = self.given.get(name)
            && n.0 <= MAX_PORT_NO
            && !self.entries.contains_key(n)
        {
            return Some(*n);
        }
        let taken: std::collections::HashSet<PortNo> =
            self.given.values().chain(&self.reserved).chain(self.entries.keys()).copied().collect();
        let fresh = (1..=MAX_PORT_NO).map(PortNo).find(|n| !taken.contains(n));
        // All were given once: those of ports that are gone may be had again.
        fresh.or_else(|| (1..=MAX_PORT_NO).map(PortNo).find(|n| !self.entries.contains_key(n)))
    }

    /// Removes a port, whose number is kept for its name.
    pub fn remove(&mut self, number: PortNo) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.given.retain(|_, n| *n != number);
        self.given.insert(entry.spec.name.clone(), number);
        Some(entry)
    }

    /// Removes a port that nobody has been told of: its number is as free as before.
    pub fn withdraw(&mut self, number: PortNo) {
        self.entries.remove(&number);
    }

    /// The port with this number.
    pub fn get(&self, number: PortNo) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// The port given by number (`3`, `LOCAL`), by its configured name or its interface's present one.
    pub fn find(&self, text: &str) -> Option<PortNo> {
        if text == "LOCAL" && self.entries.contains_key(&PortNo::LOCAL) {
            return Some(PortNo::LOCAL);
        }
        self.named(text).or_else(|| text.parse().ok().map(PortNo).filter(|n| self.entries.contains_key(n)))
    }

    /// The port given by its configured name or its interface's present one.
    pub fn named(&self, text: &str) -> Option<PortNo> {
        let by_name = |e: &Entry| e.spec.name.as_str() == text || e.link.as_ref().is_some_and(|l| l.name == text);
        self.entries.iter().find(|(_, e)| by_name(e)).map(|(n, _)| *n)
    }

    /// The port that this interface stands behind.
    pub fn behind(&self, ifindex: u32) -> Option<PortNo> {
        self.entries.iter().find(|(_, e)| e.link.as_ref().is_some_and(|l| l.ifindex == ifindex)).map(|(n, _)| *n)
    }

    /// How many ports there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every port, by number.
    pub fn iter(&self) -> impl Iterator<Item = (PortNo, &Entry)> {
        self.entries.iter().map(|(n, e)| (*n, e))
    }

    /// Takes a link event. `Attached` and `Detached` change the description, too.
    pub fn apply(&mut self, event: &LinkEvent) -> Vec<Change> {
        match event {
            LinkEvent::Synced => Vec::new(),
            LinkEvent::Removed(link) => {
                let behind = |e: &Entry| e.link.as_ref().is_some_and(|l| l.ifindex == link.ifindex);
                let found = self.entries.iter_mut().find(|(_, e)| behind(e));
                found.map_or_else(Vec::new, |(n, e)| {
                    e.link = None;
                    vec![Change::Detached(*n)]
                })
            }
            LinkEvent::Added(link) | LinkEvent::Changed { new: link, .. } => self.present(link),
        }
    }

    /// Takes an interface that exists.
    pub fn present(&mut self, link: &Link) -> Vec<Change> {
        // One that stands behind a port stays there whatever its name becomes.
        for (n, e) in &mut self.entries {
            if let Some(old) = e.link.as_mut().filter(|l| l.ifindex == link.ifindex) {
                let before = described(&e.spec, Some(old), e.mac, *n);
                *old = link.clone();
                e.mac = link.mac;
                let after = described(&e.spec, Some(link), e.mac, *n);
                return if before == after { Vec::new() } else { vec![Change::Described(*n)] };
            }
        }
        for (n, e) in &mut self.entries {
            if e.link.is_none() && e.spec.name.as_str() == link.name {
                e.link = Some(link.clone());
                e.mac = link.mac;
                e.away = None;
                return vec![Change::Attached(*n)];
            }
        }
        Vec::new()
    }

    /// The port's description for OpenFlow; its configuration bits are the bridge's business.
    pub fn describe(&self, number: PortNo) -> Option<Port> {
        self.entries.get(&number).map(|e| described(&e.spec, e.link.as_ref().or(e.away.as_ref()), e.mac, number))
    }

    /// The port's interface left for another network namespace and lives there; or no longer (`None`).
    pub fn set_away(&mut self, number: PortNo, last_seen: Option<Link>) {
        if let Some(e) = self.entries.get_mut(&number) {
            // Whether it is up there can't be seen: taken for up, for frames do reach it if it is.
            e.away = last_seen.map(|l| Link { up: true, running: true, ..l });
        }
    }
}

fn described(spec: &PortSpec, link: Option<&Link>, mac: MacAddr, number: PortNo) -> Port {
    let up = link.is_some_and(|l| l.up && l.running);
    let speed = link.filter(|_| up).and_then(|l| l.speed);
    let curr = speed.map_or(PortFeatures::empty(), |s| s.features() | PortFeatures::COPPER);
    let kbps = speed.map_or(0, |s| s.kbps());
    Port {
        port_no: number,
        hw_addr: link.map_or(mac, |l| l.mac),
        name: link.map_or_else(|| spec.name.to_string(), |l| l.name.clone()),
        config: PortConfig::empty(),
        state: if up { PortState::LIVE } else { PortState::LINK_DOWN },
        properties: vec![PortDescProp::Ethernet(EthernetPort {
            curr,
            supported: curr,
            curr_speed: kbps,
            max_speed: kbps,
            ..EthernetPort::default()
        })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(s: &str) -> PortSpec {
        s.parse().unwrap()
    }

    fn link(ifindex: u32, name: &str, running: bool) -> Link {
        let mac = MacAddr([2, 0, 0, 0, 0, ifindex as u8]);
        Link { ifindex, name: name.into(), mac, mtu: 1500, up: true, running, speed: None, master: None }
    }

    #[test]
    fn numbers_are_the_lowest_free_and_stay_with_the_name() {
        let specs = [spec("a"), spec("1=b"), spec("c")];
        let mut t = PortTable::for_specs(&specs);
        let numbers: Vec<u32> = specs.into_iter().map(|s| t.add(s).unwrap().0).collect();
        assert_eq!(numbers, [2, 1, 3]);
        t.remove(PortNo(2));
        assert_eq!(t.add(spec("d")), Ok(PortNo(4)), "another interface doesn't inherit a number");
        assert_eq!(t.add(spec("a")), Ok(PortNo(2)), "the same one does");
        assert_eq!(t.add(spec("a")), Err(AddError::Interface("a".parse().unwrap(), PortNo(2))));
        assert_eq!(t.add(spec("4=e")), Err(AddError::Number(PortNo(4), "d".parse().unwrap())));
    }

    #[test]
    fn what_comes_and_goes_leaves_no_more_than_there_are_numbers() {
        let mut t = PortTable::default();
        // One that never was takes no number with it.
        let n = t.add(spec("a")).unwrap();
        t.withdraw(n);
        assert_eq!(t.add(spec("b")), Ok(n));
        t.remove(n);
        for i in 0..100 {
            assert_eq!(t.add(spec(&format!("1=x{i}"))), Ok(n));
            t.remove(n);
        }
        assert_eq!(t.given.len(), 1);
        assert_eq!((t.add(spec("b")), t.add(spec("x99"))), (Ok(PortNo(2)), Ok(n)), "the last one has it");
    }

    #[test]
    fn a_port_outlives_its_interface() {
        let mut t = PortTable::default();
        let n = t.add(spec("eth1")).unwrap();
        let port = t.describe(n).unwrap();
        assert_eq!((port.state, port.name.as_str()), (PortState::LINK_DOWN, "eth1"));
        assert_eq!(t.apply(&LinkEvent::Added(link(7, "other", true))), []);
        assert_eq!(t.apply(&LinkEvent::Added(link(8, "eth1", true))), [Change::Attached(n)]);
        assert_eq!(t.describe(n).unwrap().state, PortState::LIVE);
        let down = LinkEvent::Changed { old: link(8, "eth1", true), new: link(8, "eth1", false) };
        assert_eq!(t.apply(&down), [Change::Described(n)]);
        assert_eq!(t.apply(&down), [], "the same again is no news");
        assert_eq!(t.apply(&LinkEvent::Removed(link(8, "eth1", false))), [Change::Detached(n)]);
        let gone = t.describe(n).unwrap();
        assert_eq!((gone.state, gone.hw_addr), (PortState::LINK_DOWN, link(8, "eth1", false).mac));
        assert_eq!(t.apply(&LinkEvent::Added(link(9, "eth1", true))), [Change::Attached(n)]);
    }

    #[test]
    fn a_renamed_interface_stays_behind_its_port() {
        let mut t = PortTable::default();
        let n = t.add(spec("eth1")).unwrap();
        t.apply(&LinkEvent::Added(link(8, "eth1", true)));
        let renamed = LinkEvent::Changed { old: link(8, "eth1", true), new: link(8, "lan", true) };
        assert_eq!(t.apply(&renamed), [Change::Described(n)]);
        assert_eq!(t.describe(n).unwrap().name, "lan");
        // Another one takes the old name: the port keeps the interface it has.
        assert_eq!(t.apply(&LinkEvent::Added(link(9, "eth1", true))), []);
        assert_eq!((t.find("lan"), t.find("eth1"), t.find("1"), t.find("2")), (Some(n), Some(n), Some(n), None));
        // It can't stand behind two ports, whatever it is called; and no number is a name.
        assert_eq!(t.add(spec("lan")), Err(AddError::Interface("lan".parse().unwrap(), n)));
        assert_eq!(t.named("1"), None);
    }

    #[test]
    fn renamed_into_a_waiting_port_attaches() {
        let mut t = PortTable::default();
        let n = t.add(spec("eth1")).unwrap();
        let renamed = LinkEvent::Changed { old: link(8, "tmp", true), new: link(8, "eth1", true) };
        assert_eq!(t.apply(&renamed), [Change::Attached(n)]);
    }
}

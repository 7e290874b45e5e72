//! Interfaces as the kernel has them: link state, names, addresses, speeds.
//!
//! [`watch`] runs the netlink connection and turns messages into [`LinkEvent`]s through a
//! [`LinkTable`], which holds no socket and is tested alone. When the kernel had to drop messages
//! (a burst of changes overran the socket) the watch starts over with a dump, and the table makes
//! events of the differences, so a missed change is late but never lost.

pub mod htb;
mod route;
mod speed;
mod watch;

pub use route::{RouteChanges, gateway};
pub use speed::{Speed, speed_of};
pub use watch::{Links, watch};

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use ofproto::ids::MacAddr;
use std::collections::{HashMap, HashSet};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number; a new one whenever the interface is made anew.
    pub ifindex: u32,
    /// Name now.
    pub name: String,
    /// Ethernet address; zero for an interface without one.
    pub mac: MacAddr,
    /// Most bytes of a packet.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// There is a carrier (`IFF_LOWER_UP`).
    pub running: bool,
    /// Speed and duplex where the driver tells.
    pub speed: Option<Speed>,
    /// The interface that this one belongs to, by its number: a bridge, a bond, a VRF.
    pub master: Option<u32>,
}

impl Link {
    /// What a netlink message says; `None` without a name.
    fn from_message(message: &LinkMessage) -> Option<Self> {
        let mut name = None;
        let mut mac = MacAddr::default();
        let mut mtu = 0;
        let mut master = None;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(n) => name = Some(n.clone()),
                LinkAttribute::Address(a) => {
                    if let Ok(bytes) = <[u8; 6]>::try_from(a.as_slice()) {
                        mac = MacAddr(bytes);
                    }
                }
                LinkAttribute::Mtu(n) => mtu = *n,
                LinkAttribute::Controller(n) => master = Some(*n).filter(|n| *n != 0),
                _ => {}
            }
        }
        let flags = message.header.flags;
        Some(Self {
            ifindex: message.header.index,
            name: name?,
            mac,
            mtu,
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::LowerUp),
            speed: None,
            master,
        })
    }
}

/// A change of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is there: seen first, or made.
    Added(Link),
    /// Something about it changed, its name perhaps (the number is the same).
    Changed {
        /// Before.
        old: Link,
        /// Now.
        new: Link,
    },
    /// It is gone.
    Removed(Link),
    /// The table is complete: everything that exists has been announced. Sent after the first dump and
    /// after each one that mends an overrun.
    Synced,
}

/// All interfaces, and what changes when a message arrives.
#[derive(Debug, Default)]
pub struct LinkTable {
    links: HashMap<u32, Link>,
    /// Those seen by the dump that is under way.
    dump: Option<HashSet<u32>>,
}

impl LinkTable {
    /// Takes an interface's present state.
    pub fn update(&mut self, link: Link) -> Option<LinkEvent> {
        if let Some(seen) = &mut self.dump {
            seen.insert(link.ifindex);
        }
        match self.links.insert(link.ifindex, link.clone()) {
            None => Some(LinkEvent::Added(link)),
            Some(old) if old == link => None,
            Some(old) => Some(LinkEvent::Changed { old, new: link }),
        }
    }

    /// Takes an interface's end.
    pub fn remove(&mut self, ifindex: u32) -> Option<LinkEvent> {
        if let Some(seen) = &mut self.dump {
            seen.remove(&ifindex);
        }
        self.links.remove(&ifindex).map(LinkEvent::Removed)
    }

    /// A dump begins.
    pub fn begin_dump(&mut self) {
        self.dump = Some(HashSet::new());
    }

    /// The dump is complete: what it didn't show is gone.
    pub fn end_dump(&mut self) -> Vec<LinkEvent> {
        let seen = self.dump.take().unwrap_or_default();
        let gone: Vec<u32> = self.links.keys().filter(|i| !seen.contains(*i)).copied().collect();
        let mut events: Vec<_> = gone.into_iter().filter_map(|i| self.remove(i)).collect();
        events.push(LinkEvent::Synced);
        events
    }

    /// The interface of that number.
    pub fn get(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// The interface that bears this name now.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|l| l.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str) -> Link {
        Link {
            ifindex,
            name: name.into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            up: true,
            running: true,
            speed: None,
            master: None,
        }
    }

    #[test]
    fn the_table_tells_what_changed_and_nothing_twice() {
        let mut t = LinkTable::default();
        assert_eq!(t.update(link(1, "a")), Some(LinkEvent::Added(link(1, "a"))));
        assert_eq!(t.update(link(1, "a")), None);
        let renamed = t.update(link(1, "b"));
        assert_eq!(renamed, Some(LinkEvent::Changed { old: link(1, "a"), new: link(1, "b") }));
        assert!(t.by_name("a").is_none() && t.by_name("b").is_some());
        assert_eq!(t.remove(1), Some(LinkEvent::Removed(link(1, "b"))));
        assert_eq!(t.remove(1), None);
    }

    #[test]
    fn a_dump_after_an_overrun_removes_what_it_does_not_show() {
        let mut t = LinkTable::default();
        t.update(link(1, "a"));
        t.update(link(2, "b"));
        t.begin_dump();
        assert_eq!(t.update(link(2, "b")), None);
        assert_eq!(t.update(link(3, "c")), Some(LinkEvent::Added(link(3, "c"))));
        // Removed while the dump was under way: it must not come back.
        t.update(link(4, "d"));
        t.remove(4);
        assert_eq!(t.end_dump(), [LinkEvent::Removed(link(1, "a")), LinkEvent::Synced]);
        assert!(t.get(4).is_none());
        assert!(t.get(3).is_some());
    }

    #[test]
    fn a_message_without_a_name_is_no_link() {
        assert_eq!(Link::from_message(&LinkMessage::default()), None);
    }
}

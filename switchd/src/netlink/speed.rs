//! Speed and duplex, and asking for them beside the stream of changes.

use super::Link;
use ofproto::port::PortFeatures;
use std::collections::HashMap;

/// How fast an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// In Mb/s, as drivers report it.
    pub mbps: u32,
    /// Both ways at once.
    pub full_duplex: bool,
}

impl Speed {
    /// The speed in kb/s as OpenFlow counts it (`ofp_port.curr_speed`), at most `u32::MAX`.
    pub const fn kbps(self) -> u32 {
        self.mbps.saturating_mul(1000)
    }

    /// The one `ofp_port_features` bit for it; `OTHER` for a speed without a bit.
    pub const fn features(self) -> PortFeatures {
        match (self.mbps, self.full_duplex) {
            (10, false) => PortFeatures::MB10_HD,
            (10, true) => PortFeatures::MB10_FD,
            (100, false) => PortFeatures::MB100_HD,
            (100, true) => PortFeatures::MB100_FD,
            (1000, false) => PortFeatures::GB1_HD,
            (1000, true) => PortFeatures::GB1_FD,
            (10_000, true) => PortFeatures::GB10_FD,
            (40_000, true) => PortFeatures::GB40_FD,
            (100_000, true) => PortFeatures::GB100_FD,
            (1_000_000, true) => PortFeatures::TB1_FD,
            _ => PortFeatures::OTHER,
        }
    }
}

/// What the driver of an interface says, if it says anything.
pub fn speed_of(name: &str) -> Option<Speed> {
    datapath::port::link_speed(name).map(|(mbps, full_duplex)| Speed { mbps, full_duplex })
}

/// Which interfaces are being asked for their speed.
///
/// The answer takes the kernel's one lock for interfaces, which somebody who takes down a namespace holds for
/// hundreds of milliseconds. So nothing waits for it: what is told of an interface that runs is held back until
/// its speed is known, and what ends that (it is down, it is gone) passes at once. One question at a time per
/// interface; pure, so that tests can say what comes when.
#[derive(Debug, Default)]
pub struct Questions(HashMap<u32, Question>);

#[derive(Debug)]
struct Question {
    /// What to tell with the answer; `None`: overtaken.
    link: Option<Link>,
    /// Told of again since it was asked.
    again: bool,
}

/// What is to be done about a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Tell it.
    Tell(Link),
    /// Ask for the speed of the interface that bears this name, and bring the answer.
    Ask(String),
    /// An answer is on its way.
    Wait,
}

impl Questions {
    /// The kernel told of an interface.
    pub fn told(&mut self, link: Link) -> Turn {
        let running = link.running;
        match self.0.get_mut(&link.ifindex) {
            Some(q) if running => {
                (q.link, q.again) = (Some(link), true);
                Turn::Wait
            }
            None if running => {
                let name = link.name.clone();
                self.0.insert(link.ifindex, Question { link: Some(link), again: false });
                Turn::Ask(name)
            }
            q => {
                if let Some(q) = q {
                    q.link = None;
                }
                Turn::Tell(link)
            }
        }
    }

    /// The interface is gone.
    pub fn gone(&mut self, ifindex: u32) {
        if let Some(q) = self.0.get_mut(&ifindex) {
            q.link = None;
        }
    }

    /// The speed of what bore `name` when it was asked; what to tell now, and what to ask next.
    pub fn answer(&mut self, ifindex: u32, name: &str, speed: Option<Speed>) -> (Option<Link>, Option<String>) {
        let Some(Question { link: Some(mut link), again }) = self.0.remove(&ifindex) else { return (None, None) };
        let ask = (again || link.name != name).then(|| {
            self.0.insert(ifindex, Question { link: Some(link.clone()), again: false });
            link.name.clone()
        });
        link.speed = speed;
        ((link.name == name).then_some(link), ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_their_bits() {
        let bits = |mbps, full_duplex| Speed { mbps, full_duplex }.features();
        assert_eq!(bits(10_000, true), PortFeatures::GB10_FD);
        assert_eq!(bits(100, false), PortFeatures::MB100_HD);
        assert_eq!(bits(2500, true), PortFeatures::OTHER);
        assert_eq!(Speed { mbps: 5_000_000, full_duplex: true }.kbps(), u32::MAX);
        assert_eq!((speed_of("no-such-link"), speed_of("a/b"), speed_of("")), (None, None, None));
    }

    fn link(ifindex: u32, name: &str, running: bool) -> Link {
        let mac = ofproto::ids::MacAddr([2, 0, 0, 0, 0, 1]);
        Link { ifindex, name: name.into(), mac, mtu: 1500, up: true, running, speed: None, master: None }
    }

    /// However long the answer takes, a link's loss passes at once, and no later answer brings the link back.
    #[test]
    fn what_ends_a_link_waits_for_no_answer() {
        let (fast, mut q) = (Some(Speed { mbps: 1000, full_duplex: true }), Questions::default());
        assert_eq!(q.told(link(1, "a", true)), Turn::Ask("a".into()));
        assert_eq!(q.told(link(1, "a", false)), Turn::Tell(link(1, "a", false)));
        // Up again, with the first question still out: its answer is old, so that another is asked for.
        assert_eq!(q.told(link(1, "a", true)), Turn::Wait);
        let (told, ask) = q.answer(1, "a", fast);
        assert_eq!((told.map(|l| l.speed), ask.as_deref()), (Some(fast), Some("a")));
        assert_eq!(q.told(link(1, "a", false)), Turn::Tell(link(1, "a", false)));
        assert_eq!(q.answer(1, "a", fast), (None, None));
        // Gone meanwhile; another interface isn't concerned.
        assert_eq!(q.told(link(1, "a", true)), Turn::Ask("a".into()));
        assert_eq!(q.told(link(2, "b", true)), Turn::Ask("b".into()));
        q.gone(1);
        assert_eq!(q.answer(1, "a", fast), (None, None));
        assert_eq!(q.answer(2, "b", None), (Some(link(2, "b", true)), None));
    }

    #[test]
    fn an_answer_under_an_old_name_is_asked_for_again() {
        let (fast, mut q) = (Some(Speed { mbps: 1000, full_duplex: true }), Questions::default());
        assert_eq!(q.told(link(1, "a", true)), Turn::Ask("a".into()));
        assert_eq!(q.told(link(1, "b", true)), Turn::Wait);
        assert_eq!(q.answer(1, "a", fast), (None, Some("b".into())));
        assert_eq!(q.answer(1, "b", fast).0, Some(Link { speed: fast, ..link(1, "b", true) }));
    }
}

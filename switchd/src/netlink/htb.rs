//! The kernel's hierarchical token buckets (HTB) on an interface, set up over netlink.
//!
//! Layouts are those of `linux/pkt_sched.h`; netlink integers are in host byte order.

use super::watch::{Links, to_io};
use futures_util::StreamExt;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use std::io;

/// The handle's major number of every hierarchy made here.
pub const MAJOR: u16 = 1;

/// A class: a share of what leaves through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The handle's minor number, not 0.
    pub minor: u16,
    /// The class it borrows from; 0: none, it is at the top.
    pub parent: u16,
    /// What it gets whatever others do, in bits per second.
    pub rate: u64,
    /// What it can't exceed, in bits per second.
    pub ceil: u64,
    /// Bytes that may wait; 0 for a class that has classes below it.
    pub limit: u32,
}

impl Class {
    /// The class as `skb->priority` names it.
    pub const fn priority(minor: u16) -> u32 {
        (MAJOR as u32) << 16 | minor as u32
    }
}

const HTB_PARMS: u16 = 1;
const HTB_INIT: u16 = 2;
const HTB_RATE64: u16 = 6;
const HTB_CEIL64: u16 = 7;
const HTB_VERSION: u32 = 3;
const LINKLAYER_ETHERNET: u8 = 1;
const OPTIONS: u16 = 2;
/// A super-frame's most bytes: what a burst must have room for.
const SUPER_FRAME: u64 = 65_536;
/// Nanoseconds of one tick in which the kernel takes burst times.
const TICK_NS: u64 = 64;

/// `struct tc_htb_glob`: what has no class of its own goes to `default`.
fn global(default: u16) -> Vec<u8> {
    // Version, rate to quantum (every class names its quantum), default class, debug, direct packets.
    [HTB_VERSION, 10, u32::from(default), 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect()
}

/// `struct tc_ratespec` of a rate in bytes per second.
fn rate_spec(bytes: u64) -> [u8; 12] {
    let mut out = [0; 12];
    out[1] = LINKLAYER_ETHERNET;
    // A rate that doesn't fit stands in an attribute of its own.
    out[8..].copy_from_slice(&u32::try_from(bytes).unwrap_or(u32::MAX).to_ne_bytes());
    out
}

/// How long a class may send at once, in ticks: a millisecond's worth, one frame at least.
fn burst(bytes: u64) -> u32 {
    let size = (bytes / 1000).max(3000);
    let ns = u128::from(size) * 1_000_000_000 / u128::from(bytes.max(1));
    u32::try_from(ns / u128::from(TICK_NS)).unwrap_or(u32::MAX)
}

fn class_options(c: &Class) -> Vec<TcOption> {
    let (rate, ceil) = ((c.rate / 8).max(1), (c.ceil / 8).max(1));
    let mut parms = Vec::with_capacity(44);
    parms.extend(rate_spec(rate));
    parms.extend(rate_spec(ceil));
    // What neighbours have left is shared in proportion to their rates.
    let quantum = (rate / 100).clamp(1514, 2 * SUPER_FRAME) as u32;
    for n in [burst(rate), burst(ceil), quantum, 0, 0] {
        parms.extend(n.to_ne_bytes());
    }
    let mut options = vec![TcOption::Other(DefaultNla::new(HTB_PARMS, parms))];
    for (kind, n) in [(HTB_RATE64, rate), (HTB_CEIL64, ceil)] {
        if n > u64::from(u32::MAX) {
            options.push(TcOption::Other(DefaultNla::new(kind, n.to_ne_bytes().to_vec())));
        }
    }
    options
}

fn message(ifindex: u32, handle: (u16, u16), parent: TcHandle) -> io::Result<TcMessage> {
    let index = i32::try_from(ifindex).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut m = TcMessage::with_index(index);
    m.header.handle = TcHandle { major: handle.0, minor: handle.1 };
    m.header.parent = parent;
    Ok(m)
}

const fn below(minor: u16) -> TcHandle {
    TcHandle { major: MAJOR, minor }
}

impl Links {
    async fn traffic(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut answers = self.handle().request(request).map_err(to_io)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(e) = answer.payload
                && e.code.is_some()
            {
                return Err(e.to_io());
            }
        }
        Ok(())
    }

    /// Puts an HTB at an interface's root in place of whatever is there; what has no class goes to
    /// `default`.
    ///
    /// # Errors
    /// The kernel's; `NotFound` if it has no HTB or the interface is gone.
    pub async fn add_htb(&self, ifindex: u32, default: u16) -> io::Result<()> {
        // Left over from a process that was killed, or somebody else's.
        let _ = self.remove_root(ifindex).await;
        let mut m = message(ifindex, (MAJOR, 0), TcHandle::ROOT)?;
        m.attributes.push(TcAttribute::Kind("htb".into()));
        let init = TcOption::Other(DefaultNla::new(HTB_INIT, global(default)));
        m.attributes.push(TcAttribute::Options(vec![init]));
        self.traffic(RouteNetlinkMessage::NewQueueDiscipline(m), NLM_F_CREATE | NLM_F_EXCL).await
    }

    /// Makes a class, or gives one that exists other rates.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn set_class(&self, ifindex: u32, class: &Class) -> io::Result<()> {
        let mut m = message(ifindex, (MAJOR, class.minor), below(class.parent))?;
        m.attributes.push(TcAttribute::Kind("htb".into()));
        m.attributes.push(TcAttribute::Options(class_options(class)));
        self.traffic(RouteNetlinkMessage::NewTrafficClass(m), NLM_F_CREATE).await?;
        if class.limit == 0 {
            return Ok(());
        }
        let mut m = message(ifindex, (0, 0), below(class.minor))?;
        m.attributes.push(TcAttribute::Kind("bfifo".into()));
        // `struct tc_fifo_qopt`, not nested.
        m.attributes.push(TcAttribute::Other(DefaultNla::new(OPTIONS, class.limit.to_ne_bytes().to_vec())));
        self.traffic(RouteNetlinkMessage::NewQueueDiscipline(m), NLM_F_CREATE | NLM_F_REPLACE).await
    }

    /// Takes a class away; what waits in it is lost.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn remove_class(&self, ifindex: u32, minor: u16) -> io::Result<()> {
        let m = message(ifindex, (MAJOR, minor), TcHandle::UNSPEC)?;
        self.traffic(RouteNetlinkMessage::DelTrafficClass(m), 0).await
    }

    /// Takes away what is at an interface's root; the kernel puts its default there.
    ///
    /// # Errors
    /// The kernel's, also if its default is there already.
    pub async fn remove_root(&self, ifindex: u32) -> io::Result<()> {
        let m = message(ifindex, (0, 0), TcHandle::ROOT)?;
        self.traffic(RouteNetlinkMessage::DelQueueDiscipline(m), 0).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_and_units_are_the_kernels() {
        let class = Class { minor: 2, parent: 1, rate: 8_000_000, ceil: 80_000_000_000, limit: 1 };
        let options = class_options(&class);
        let [TcOption::Other(parms), TcOption::Other(ceil64)] = &options[..] else { panic!("{options:?}") };
        use rtnetlink::packet_core::Nla;
        assert_eq!((parms.kind(), parms.value_len()), (HTB_PARMS, 44));
        let mut p = [0; 44];
        parms.emit_value(&mut p);
        let word = |at: usize| u32::from_ne_bytes(p[at..at + 4].try_into().unwrap());
        assert_eq!((word(8), word(20)), (1_000_000, u32::MAX), "bytes per second");
        // 3000 bytes at a megabyte per second are 3 ms.
        assert_eq!(word(24), 3_000_000 / 64);
        let mut c = [0; 8];
        ceil64.emit_value(&mut c);
        assert_eq!((ceil64.kind(), u64::from_ne_bytes(c)), (HTB_CEIL64, 10_000_000_000));
        assert_eq!(global(7).len(), 20);
        assert_eq!(burst(1), u32::MAX, "no overflow");
        assert_eq!(Class::priority(0x20), 0x1_0020);
    }
}

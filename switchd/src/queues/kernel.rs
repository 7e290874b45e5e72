//! Classes in the kernel.

use super::{DEFAULT, Shaper};
use crate::netlink::Links;
use crate::netlink::htb::Class;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the kernel may take over one change.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// Sets classes over netlink. Its thread must not be one of the runtime's.
pub struct KernelShaper {
    links: Links,
    runtime: Handle,
    /// What is set, by interface and class.
    installed: HashMap<u32, BTreeMap<u16, Class>>,
}

impl KernelShaper {
    /// A shaper that asks through `links`, whose tasks `runtime` runs.
    pub fn new(links: Links, runtime: Handle) -> Self {
        Self { links, runtime, installed: HashMap::new() }
    }

    fn wait(&self, work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        let timed = async { tokio::time::timeout(ANSWER_TIME, work).await };
        self.runtime.block_on(timed).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Makes the differences between what is set and what is wanted.
    fn change(&mut self, ifindex: u32, wanted: &BTreeMap<u16, Class>) -> io::Result<()> {
        let links = self.links.clone();
        if !self.installed.contains_key(&ifindex) {
            self.wait(links.add_htb(ifindex, DEFAULT))?;
            self.installed.insert(ifindex, BTreeMap::new());
        }
        let old = self.installed.get(&ifindex).cloned().unwrap_or_default();
        for minor in old.keys().filter(|m| !wanted.contains_key(m)) {
            self.wait(links.remove_class(ifindex, *minor))?;
            self.note(ifindex, *minor, None);
        }
        // Classes come after the one they are below: that one's number is the highest.
        for (minor, class) in wanted.iter().rev().filter(|(m, c)| old.get(m) != Some(c)) {
            self.wait(links.set_class(ifindex, class))?;
            self.note(ifindex, *minor, Some(*class));
        }
        Ok(())
    }

    fn note(&mut self, ifindex: u32, minor: u16, class: Option<Class>) {
        let classes = self.installed.entry(ifindex).or_default();
        match class {
            Some(c) => classes.insert(minor, c),
            None => classes.remove(&minor),
        };
    }
}

impl Shaper for KernelShaper {
    fn shape(&mut self, ifindex: u32, classes: &[Class]) -> io::Result<()> {
        if classes.is_empty() {
            return match self.installed.remove(&ifindex) {
                Some(_) => self.wait(self.links.remove_root(ifindex)),
                None => Ok(()),
            };
        }
        let before = self.installed.get(&ifindex).cloned();
        let wanted = classes.iter().map(|c| (c.minor, *c)).collect();
        self.change(ifindex, &wanted).inspect_err(|_| {
            // Back to what it was, as far as the kernel lets us.
            let back = match before {
                Some(before) => self.change(ifindex, &before),
                None => self.shape(ifindex, &[]),
            };
            if let Err(e) = back {
                tracing::warn!(ifindex, error = %e, "can't restore the queues after a failure");
            }
        })
    }

    fn gone(&mut self, ifindex: u32) {
        self.installed.remove(&ifindex);
    }
}

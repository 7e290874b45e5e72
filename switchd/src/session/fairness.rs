//! Whose packet-ins go on to a controller that reads too slowly for all of them.
//!
//! Until half of the room for packet-ins is taken everything is written. Above that a source that has
//! written more than its even part since the peer last kept up is left out, so that what is left of the
//! room stays for the others.

use super::limits;
use ofproto::ids::{PortNo, TableId};
use ofproto::packet::PacketInReason;
use std::collections::HashMap;

/// What packet-ins are counted by.
pub(super) type Source = (PortNo, TableId, PacketInReason);

/// Sources told apart; more are taken for one.
const SOURCES: usize = 4096;

/// The packet-ins written since the peer last kept up.
#[derive(Debug, Default)]
pub(super) struct Shares {
    written: HashMap<Source, u64>,
    all: u64,
}

impl Shares {
    /// Whether a source may write a packet-in while `unsent` bytes wait; if so it is counted.
    pub(super) fn admits(&mut self, source: Source, unsent: usize) -> bool {
        if unsent > limits::PACKET_IN_QUEUE {
            return false;
        }
        if unsent < limits::PACKET_IN_QUEUE / 8 {
            // It keeps up: who wrote what doesn't matter yet.
            if self.all > 0 {
                self.written.clear();
                self.all = 0;
            }
            return true;
        }
        let own = self.written.get(&source).copied().unwrap_or(0);
        let sources = self.written.len() as u64 + u64::from(own == 0);
        if unsent > limits::PACKET_IN_QUEUE / 2 && own * sources.max(2) > self.all {
            return false;
        }
        self.all += 1;
        if own > 0 || self.written.len() < SOURCES {
            *self.written.entry(source).or_default() += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u32) -> Source {
        (PortNo(port), TableId(0), PacketInReason::TableMiss)
    }

    /// Writes until nothing more is taken, `flood` packets of port 1 for each of ports 2 to 4.
    fn run(flood: u32) -> [u32; 5] {
        let (mut shares, mut unsent, mut written) = (Shares::default(), 0, [0; 5]);
        for _ in 0..1000 {
            let mut offer = |port: u32, written: &mut [u32; 5]| {
                if shares.admits(source(port), unsent) {
                    unsent += 200;
                    written[port as usize] += 1;
                }
            };
            (0..flood).for_each(|_| offer(1, &mut written));
            (2..=4).for_each(|p| offer(p, &mut written));
        }
        written
    }

    #[test]
    fn a_flood_takes_half_of_the_room_and_others_the_rest() {
        let written = run(1000);
        assert!(written[1] <= 1400, "{written:?}");
        // A quarter of a mebibyte at 200 bytes each: room for 430 of each.
        assert!(written[2..].iter().all(|n| *n >= 300), "{written:?}");
    }

    #[test]
    fn equals_are_treated_alike() {
        let written = run(1);
        assert!(written[1..].iter().all(|n| n.abs_diff(655) < 30), "{written:?}");
    }

    #[test]
    fn a_peer_that_keeps_up_gets_everything_and_clears_the_past() {
        let mut shares = Shares::default();
        assert!((0..100_000).all(|_| shares.admits(source(1), 1000)));
        assert!(!shares.admits(source(1), limits::PACKET_IN_QUEUE + 1));
    }
}

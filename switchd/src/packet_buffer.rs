//! The packets that a switch keeps for one controller under a `buffer_id` (OpenFlow 1.3.5 §6.1.2).
//!
//! A fixed ring: the newest packet takes the oldest place, a packet expires after a lifetime, and
//! nothing grows with traffic. Ids are unique to the connection and are not issued again until the
//! counter has gone round (2³¹), so that a late packet-out can't release somebody else's packet.
//!
//! Invariant: a slot's id modulo the ring's size is the slot's place. One owner, no locks.

use bytes::Bytes;
use datapath::clock::Time;
use ofproto::ids::{BufferId, PortNo};
use ofproto::{ErrorKind, OfError};
use std::time::Duration;

/// A kept packet: the whole frame as it was when it went to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The frame without FCS.
    pub frame: Bytes,
    /// Where it came in.
    pub in_port: PortNo,
}

#[derive(Debug)]
struct Slot {
    id: u32,
    kept: Option<Kept>,
    expires: Time,
}

/// The ring.
#[derive(Debug)]
pub struct PacketBuffer {
    slots: Vec<Option<Slot>>,
    next: u32,
    lifetime: Duration,
}

/// Ids stay below 2³¹ so that no arithmetic reaches `OFP_NO_BUFFER`.
const ID_MASK: u32 = 0x7fff_ffff;

impl PacketBuffer {
    /// A ring of `size` packets (0: nothing is ever kept) that are kept for `lifetime`; the first id
    /// derives from `seed`, so that two connections' ids rarely coincide.
    pub fn new(size: usize, lifetime: Duration, seed: u32) -> Self {
        let slots = (0..size).map(|_| None).collect();
        Self { slots, next: seed.wrapping_mul(0x9e37_79b1) & ID_MASK, lifetime }
    }

    /// How many packets fit (`n_buffers`).
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many are kept and neither taken nor expired.
    pub fn occupied(&self, now: Time) -> usize {
        self.slots.iter().flatten().filter(|s| s.kept.is_some() && now <= s.expires).count()
    }

    /// Keeps `packet`; `None` where nothing is kept at all.
    pub fn keep(&mut self, now: Time, packet: Kept) -> Option<BufferId> {
        let size = u32::try_from(self.slots.len()).ok().filter(|n| *n > 0)?;
        let id = self.next;
        self.next = id.wrapping_add(1) & ID_MASK;
        let expires = now + self.lifetime;
        *self.slots.get_mut((id % size) as usize)? = Some(Slot { id, kept: Some(packet), expires });
        Some(BufferId(id))
    }

    /// Whether [`take`](Self::take) would succeed, changing nothing.
    pub fn check(&self, now: Time, id: BufferId) -> Result<(), OfError> {
        match self.slot(id) {
            Some(Slot { kept: None, .. }) => Err(OfError::new(
                ErrorKind::BadRequestBufferEmpty,
                "buffer_id",
                format!("packet {id} was already used"),
            )),
            Some(slot) if now <= slot.expires => Ok(()),
            Some(_) => Err(OfError::new(
                ErrorKind::BadRequestBufferUnknown,
                "buffer_id",
                format!("packet {id} was kept for {:?} and has expired", self.lifetime),
            )),
            None => Err(OfError::new(
                ErrorKind::BadRequestBufferUnknown,
                "buffer_id",
                format!("no packet {id} is kept; the last {} are", self.slots.len()),
            )),
        }
    }

    /// Takes the packet out: `OFPBRC_BUFFER_EMPTY` for one already taken, `OFPBRC_BUFFER_UNKNOWN`
    /// for one that never was, has expired or was overwritten.
    pub fn take(&mut self, now: Time, id: BufferId) -> Result<Kept, OfError> {
        self.check(now, id)?;
        let place = id.0 as usize % self.slots.len().max(1);
        self.slots.get_mut(place).and_then(Option::as_mut).and_then(|s| s.kept.take()).ok_or_else(|| {
            OfError::new(ErrorKind::BadRequestBufferUnknown, "buffer_id", format!("no packet {id} is kept"))
        })
    }

    /// The packet, left where it is.
    pub fn peek(&self, now: Time, id: BufferId) -> Result<&Kept, OfError> {
        self.check(now, id)?;
        self.slot(id).and_then(|s| s.kept.as_ref()).ok_or_else(|| {
            OfError::new(ErrorKind::BadRequestBufferUnknown, "buffer_id", format!("no packet {id} is kept"))
        })
    }

    fn slot(&self, id: BufferId) -> Option<&Slot> {
        let place = (id.0 as usize).checked_rem(self.slots.len())?;
        self.slots.get(place)?.as_ref().filter(|s| s.id == id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u8) -> Kept {
        Kept { frame: Bytes::copy_from_slice(&[n; 60]), in_port: PortNo(u32::from(n)) }
    }

    fn kind<T: std::fmt::Debug>(r: Result<T, OfError>) -> ErrorKind {
        r.unwrap_err().kind
    }

    #[test]
    fn a_packet_is_taken_once() {
        let mut b = PacketBuffer::new(4, Duration::from_secs(5), 7);
        let id = b.keep(Time::ZERO, packet(1)).unwrap();
        assert_eq!(b.occupied(Time::ZERO), 1);
        assert_eq!(b.take(Time::from_secs(1), id).unwrap(), packet(1));
        assert_eq!(kind(b.take(Time::from_secs(1), id)), ErrorKind::BadRequestBufferEmpty);
        assert_eq!(b.occupied(Time::ZERO), 0);
    }

    #[test]
    fn an_unknown_id_and_an_expired_packet_are_unknown() {
        let mut b = PacketBuffer::new(4, Duration::from_secs(5), 0);
        let id = b.keep(Time::ZERO, packet(1)).unwrap();
        assert_eq!(kind(b.take(Time::ZERO, BufferId(id.0 + 1))), ErrorKind::BadRequestBufferUnknown);
        assert_eq!(kind(b.take(Time::ZERO, BufferId::NONE)), ErrorKind::BadRequestBufferUnknown);
        assert_eq!(kind(b.take(Time::from_secs(6), id)), ErrorKind::BadRequestBufferUnknown);
    }

    #[test]
    fn the_ring_overwrites_the_oldest_and_stays_its_size() {
        let mut b = PacketBuffer::new(4, Duration::from_secs(5), 0);
        let ids: Vec<_> = (0..9).map(|n| b.keep(Time::ZERO, packet(n)).unwrap()).collect();
        assert_eq!(b.occupied(Time::ZERO), 4);
        assert_eq!(kind(b.take(Time::ZERO, ids[4])), ErrorKind::BadRequestBufferUnknown);
        assert_eq!(b.take(Time::ZERO, ids[5]).unwrap(), packet(5));
        assert_eq!(b.take(Time::ZERO, ids[8]).unwrap(), packet(8));
    }

    #[test]
    fn a_ring_of_none_keeps_nothing() {
        let mut b = PacketBuffer::new(0, Duration::from_secs(5), 0);
        assert_eq!(b.keep(Time::ZERO, packet(1)), None);
        assert_eq!(kind(b.take(Time::ZERO, BufferId(0))), ErrorKind::BadRequestBufferUnknown);
    }
}

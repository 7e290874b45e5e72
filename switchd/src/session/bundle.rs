//! Bundles being staged on one connection (OpenFlow 1.4.1 §6.8, §7.3.9).
//!
//! What goes wrong with a bundle discards it or leaves it, as the specification says per case;
//! nothing reaches the switch before the commit.
//!
//! Messages are judged as they come and kept as bytes, without what was around them: the decoded form takes some eight
//! times their memory, and writing and reading that costs more than decoding them once more. Of a flow-mod that differs
//! from the message before it in cookie, priority and the match's values alone, those are kept (`rows`).

use super::limits;
use super::rows::{self, Rows};
use datapath::clock::Time;
use ofproto::bundle::{BundleAdd, BundleFlags};
use ofproto::ids::{BundleId, Xid};
use ofproto::message::Message;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError};
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of the first piece of memory for a bundle's messages, and the most of any that isn't for one longer message.
const PIECE: (usize, usize) = (4 << 10, 1 << 20);

/// The messages of a bundle, as they came inside `OFPT_BUNDLE_ADD_MESSAGE`.
#[derive(Debug, Default)]
pub struct Staged {
    /// Whole messages, and [rows](super::rows), one after the other. No piece ever grows, so that nothing is copied twice.
    pieces: Vec<Vec<u8>>,
    rows: Rows,
    messages: usize,
    /// Over the wire, what was around them included.
    bytes: usize,
}

impl Staged {
    /// Keeps a message, which the bytes are, that took so many bytes with what was around it.
    fn push(&mut self, xid: Xid, message: &Message, inner: &[u8], bytes: usize) {
        let kept = self.rows.take(xid, message, inner.len()).unwrap_or(inner);
        let full = |p: &Vec<u8>| p.capacity() - p.len() < kept.len();
        if self.pieces.last().is_none_or(full) {
            let next = self.pieces.last().map_or(PIECE.0, |p| (2 * p.capacity()).min(PIECE.1));
            self.pieces.push(Vec::with_capacity(next.max(kept.len())));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(kept);
            self.messages += 1;
            self.bytes += bytes;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.messages
    }

    /// The messages inside, in order.
    pub fn messages(&self) -> Reading<'_> {
        Reading { pieces: self.pieces.iter(), rest: &[], message: Message::BarrierReply }
    }
}

/// Hands out what was staged.
#[derive(Debug)]
pub struct Reading<'a> {
    pieces: std::slice::Iter<'a, Vec<u8>>,
    rest: &'a [u8],
    /// The last one, over which the next is read.
    message: Message,
}

impl Reading<'_> {
    /// The next message, and its xid, which was the outer one's as well. It was judged when it came.
    pub fn read_next(&mut self) -> Option<(Xid, Result<&mut Message, OfError>)> {
        if self.rest.is_empty() {
            self.rest = self.pieces.next()?;
        }
        if let Some((xid, after)) = rows::read_over(&mut self.message, self.rest) {
            self.rest = after;
            return Some((xid, Ok(&mut self.message)));
        }
        let header = Header::decode(self.rest).ok()?;
        let (one, after) = self.rest.split_at_checked(header.length.into())?;
        self.rest = after;
        let read = wire::decode_over(&mut self.message, one);
        Some((header.xid, read.map(|_| &mut self.message)))
    }
}

#[derive(Debug)]
struct Bundle {
    flags: BundleFlags,
    closed: bool,
    staged: Staged,
    touched: Time,
}

/// All bundles of a connection.
#[derive(Debug, Default)]
pub struct Bundles {
    open: BTreeMap<BundleId, Bundle>,
    bytes: usize,
}

/// Flags that have to agree between a bundle's messages: all but the commit's time.
fn compared(flags: BundleFlags) -> BundleFlags {
    flags - BundleFlags::TIME
}

fn refuse(kind: ErrorKind, field: &'static str, reason: String) -> OfError {
    OfError::new(kind, field, reason)
}

impl Bundles {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// `OPEN_REQUEST`.
    pub fn open(&mut self, now: Time, id: BundleId, flags: BundleFlags) -> Result<(), OfError> {
        if self.open.contains_key(&id) {
            self.drop(id);
            return Err(refuse(
                ErrorKind::BundleFailedBadId,
                "bundle_id",
                format!("bundle {id} was open already; it is discarded"),
            ));
        }
        let unknown = flags - (BundleFlags::ATOMIC | BundleFlags::ORDERED | BundleFlags::TIME);
        if !unknown.is_empty() {
            return Err(refuse(
                ErrorKind::BundleFailedBadFlags,
                "flags",
                format!("bits {:#x} are not defined", unknown.bits()),
            ));
        }
        if self.open.len() >= limits::BUNDLES {
            return Err(refuse(
                ErrorKind::BundleFailedOutOfBundles,
                "bundle_id",
                format!("{} bundles are open, as many as a connection may have", self.open.len()),
            ));
        }
        self.open.insert(id, Bundle { flags, closed: false, staged: Staged::default(), touched: now });
        Ok(())
    }

    /// Whether a bundle is there.
    pub fn contains(&self, id: BundleId) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether a bundle, if it is there, takes messages with these flags; one that doesn't is discarded.
    pub fn takes(&mut self, id: BundleId, flags: BundleFlags) -> Result<(), OfError> {
        let Some(bundle) = self.open.get(&id) else { return Ok(()) };
        if bundle.closed {
            self.drop(id);
            return Err(refuse(
                ErrorKind::BundleFailedBundleClosed,
                "bundle_id",
                format!("bundle {id} was closed; it is discarded"),
            ));
        }
        if compared(flags) != compared(bundle.flags) {
            let reason = flags_differ(id, bundle.flags, flags);
            self.drop(id);
            return Err(refuse(ErrorKind::BundleFailedBadFlags, "flags", reason));
        }
        Ok(())
    }

    /// Nothing more is added to a bundle: its commit waits.
    pub fn shut(&mut self, id: BundleId) {
        if let Some(bundle) = self.open.get_mut(&id) {
            bundle.closed = true;
        }
    }

    /// Adds the message that `bytes` are and that `xid` brought; opens the bundle if there is none.
    ///
    /// The caller has judged the bundle ([`Bundles::takes`]) and the message itself ([`Bundles::allowed`] and the
    /// host's check).
    pub fn add(&mut self, now: Time, xid: Xid, add: &BundleAdd, bytes: &[u8]) -> Result<(), OfError> {
        let id = add.bundle;
        if !self.open.contains_key(&id) {
            self.open(now, id, add.flags)?;
        }
        let total = self.bytes;
        let Some(bundle) = self.open.get_mut(&id) else { return Ok(()) };
        bundle.touched = now;
        if add.inner_xid != xid {
            return Err(refuse(
                ErrorKind::BundleFailedMsgBadXid,
                "xid",
                format!("the message inside has xid {}, the one around it {xid}", add.inner_xid),
            ));
        }
        if bundle.staged.count() >= limits::BUNDLE_MESSAGES || total + bytes.len() > limits::BUNDLE_BYTES {
            return Err(refuse(
                ErrorKind::BundleFailedMsgTooMany,
                "message",
                format!("the bundle holds {} messages, all of this connection {total} bytes", bundle.staged.count()),
            ));
        }
        let Some((_, inner)) = wire::bundled(bytes) else {
            let reason = "there is no message inside".to_owned();
            return Err(refuse(ErrorKind::BundleFailedMsgBadLen, "message", reason));
        };
        bundle.staged.push(xid, &add.message, inner, bytes.len());
        self.bytes += bytes.len();
        Ok(())
    }

    /// `CLOSE_REQUEST`.
    pub fn close(&mut self, now: Time, id: BundleId, flags: BundleFlags) -> Result<(), OfError> {
        let bundle = self.existing(id)?;
        bundle.touched = now;
        if bundle.closed {
            self.drop(id);
            return Err(refuse(
                ErrorKind::BundleFailedBundleClosed,
                "bundle_id",
                format!("bundle {id} was closed already; it is discarded"),
            ));
        }
        if compared(flags) != compared(bundle.flags) {
            let reason = flags_differ(id, bundle.flags, flags);
            self.drop(id);
            return Err(refuse(ErrorKind::BundleFailedBadFlags, "flags", reason));
        }
        bundle.closed = true;
        Ok(())
    }

    /// `COMMIT_REQUEST`: the messages to carry out; the bundle is gone whatever comes of them.
    pub fn commit(&mut self, id: BundleId, flags: BundleFlags) -> Result<Staged, OfError> {
        self.committable(id, flags)?;
        Ok(self.drop(id).map(|b| b.staged).unwrap_or_default())
    }

    /// Whether a commit of this bundle would be taken up; a bundle that it doesn't fit is discarded.
    pub fn committable(&mut self, id: BundleId, flags: BundleFlags) -> Result<(), OfError> {
        let bundle = self.existing(id)?;
        if compared(flags) != compared(bundle.flags) {
            let reason = flags_differ(id, bundle.flags, flags);
            self.drop(id);
            return Err(refuse(ErrorKind::BundleFailedBadFlags, "flags", reason));
        }
        Ok(())
    }

    /// `DISCARD_REQUEST`.
    pub fn discard(&mut self, id: BundleId) -> Result<(), OfError> {
        self.existing(id)?;
        self.drop(id);
        Ok(())
    }

    /// Discards bundles that lay idle too long: their ids.
    ///
    /// Those that `held` names wait for their time.
    pub fn expire(&mut self, now: Time, held: impl Fn(BundleId) -> bool) -> Vec<BundleId> {
        let idle = |b: &Bundle| now.since(b.touched) >= limits::BUNDLE_WAIT;
        let idle: Vec<_> = self.open.iter().filter(|(id, b)| idle(b) && !held(**id)).map(|(id, _)| *id).collect();
        for id in &idle {
            self.drop(*id);
        }
        idle
    }

    /// When the next bundle expires.
    pub fn deadline(&self, held: impl Fn(BundleId) -> bool) -> Option<Time> {
        let wait: Duration = limits::BUNDLE_WAIT;
        self.open.iter().filter(|(id, _)| !held(**id)).map(|(_, b)| b.touched + wait).min()
    }

    /// Whether a message may stand in a bundle at all.
    pub fn allowed(message: &Message) -> Result<(), OfError> {
        match message {
            Message::FlowMod(_)
            | Message::GroupMod(_)
            | Message::MeterMod(_)
            | Message::PortMod(_)
            | Message::TableMod(_)
            | Message::PacketOut(_) => Ok(()),
            other => Err(refuse(
                ErrorKind::BundleFailedMsgUnsup,
                "message",
                format!("{} can't stand in a bundle", super::message_name(other)),
            )),
        }
    }

    fn existing(&mut self, id: BundleId) -> Result<&mut Bundle, OfError> {
        self.open.get_mut(&id).ok_or_else(|| {
            refuse(ErrorKind::BundleFailedBadId, "bundle_id", format!("there is no bundle {id} on this connection"))
        })
    }

    fn drop(&mut self, id: BundleId) -> Option<Bundle> {
        let bundle = self.open.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(bundle.staged.bytes);
        Some(bundle)
    }
}

fn flags_differ(id: BundleId, first: BundleFlags, now: BundleFlags) -> String {
    format!("bundle {id} was opened with {:#x}, this message says {:#x}; it is discarded", first.bits(), now.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::Version;
    use ofproto::action::Action;
    use ofproto::field::FieldId;
    use ofproto::flow::FlowMod;
    use ofproto::ids::{BufferId, Cookie, PortNo, TableId};
    use ofproto::instruction::Instruction;
    use ofproto::matching::Match;
    use ofproto::packet::PacketOut;

    const ORDERED: BundleFlags = BundleFlags::ORDERED;
    const ID: BundleId = BundleId(7);

    fn add(xid: u32, flags: BundleFlags) -> BundleAdd {
        BundleAdd {
            bundle: ID,
            flags,
            message: Box::new(Message::FlowMod(FlowMod::default())),
            inner_xid: Xid(xid),
            properties: Vec::new(),
        }
    }

    /// Adds a message as it would come.
    fn put(b: &mut Bundles, xid: u32, add: BundleAdd) -> Result<(), OfError> {
        let bytes = wire::encode(Version::V14, Xid(xid), &Message::BundleAdd(add.clone())).unwrap();
        b.takes(add.bundle, add.flags)?;
        b.add(Time::ZERO, Xid(xid), &add, &bytes)
    }

    fn all(staged: &Staged) -> Vec<(Xid, Message)> {
        let mut reading = staged.messages();
        std::iter::from_fn(|| reading.read_next().map(|(xid, m)| (xid, m.unwrap().clone()))).collect()
    }

    fn kind<T: std::fmt::Debug>(r: Result<T, OfError>) -> ErrorKind {
        r.unwrap_err().kind
    }

    #[test]
    fn messages_come_out_in_order_once() {
        let mut b = Bundles::default();
        b.open(Time::ZERO, ID, ORDERED).unwrap();
        put(&mut b, 1, add(1, ORDERED)).unwrap();
        put(&mut b, 2, add(2, ORDERED)).unwrap();
        b.close(Time::ZERO, ID, ORDERED).unwrap();
        let xids: Vec<_> =
            all(&b.commit(ID, ORDERED | BundleFlags::TIME).unwrap()).iter().map(|(xid, _)| xid.0).collect();
        assert_eq!(xids, [1, 2]);
        assert_eq!(kind(b.commit(ID, ORDERED)), ErrorKind::BundleFailedBadId);
        assert_eq!(b.bytes, 0);
    }

    #[test]
    fn an_add_opens_and_an_empty_bundle_commits() {
        let mut b = Bundles::default();
        put(&mut b, 1, add(1, ORDERED)).unwrap();
        assert_eq!(b.len(), 1);
        b.discard(ID).unwrap();
        assert_eq!(kind(b.discard(ID)), ErrorKind::BundleFailedBadId);
        b.open(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(b.commit(ID, ORDERED).unwrap().count(), 0);
    }

    #[test]
    fn what_discards_discards_and_what_does_not_leaves() {
        let mut b = Bundles::default();
        b.open(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(kind(b.open(Time::ZERO, ID, ORDERED)), ErrorKind::BundleFailedBadId);
        assert!(b.is_empty());

        b.open(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(kind(put(&mut b, 1, add(2, ORDERED))), ErrorKind::BundleFailedMsgBadXid);
        assert_eq!(b.len(), 1);
        let other = BundleFlags::ATOMIC;
        assert_eq!(kind(put(&mut b, 1, add(1, other))), ErrorKind::BundleFailedBadFlags);
        assert!(b.is_empty());

        b.open(Time::ZERO, ID, ORDERED).unwrap();
        b.close(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(kind(put(&mut b, 1, add(1, ORDERED))), ErrorKind::BundleFailedBundleClosed);
        assert!(b.is_empty());

        b.open(Time::ZERO, ID, ORDERED).unwrap();
        b.close(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(kind(b.close(Time::ZERO, ID, ORDERED)), ErrorKind::BundleFailedBundleClosed);
        assert!(b.is_empty());

        b.open(Time::ZERO, ID, ORDERED).unwrap();
        assert_eq!(kind(b.commit(ID, other)), ErrorKind::BundleFailedBadFlags);
        assert!(b.is_empty());
        assert_eq!(kind(b.open(Time::ZERO, ID, BundleFlags::from_bits_retain(8))), ErrorKind::BundleFailedBadFlags);
    }

    #[test]
    fn bundles_are_bounded_in_number_size_and_time() {
        let mut b = Bundles::default();
        for n in 0..limits::BUNDLES as u32 {
            b.open(Time::ZERO, BundleId(n), ORDERED).unwrap();
        }
        assert_eq!(kind(b.open(Time::ZERO, BundleId(999), ORDERED)), ErrorKind::BundleFailedOutOfBundles);
        let r = b.add(Time::ZERO, Xid(1), &add(1, ORDERED), &vec![0; limits::BUNDLE_BYTES + 1]);
        assert_eq!(kind(r), ErrorKind::BundleFailedMsgTooMany);
        assert_eq!(b.deadline(|_| false), Some(Time::ZERO + limits::BUNDLE_WAIT));
        assert_eq!(b.expire(Time::from_secs(9), |_| false), []);
        assert_eq!(b.expire(Time::from_secs(10), |_| true), []);
        assert_eq!(b.expire(Time::from_secs(10), |_| false).len(), limits::BUNDLES);
        assert!(b.is_empty());
    }

    /// Messages of all lengths, across many pieces of memory.
    #[test]
    fn what_comes_out_is_what_went_in() {
        let mut b = Bundles::default();
        let mut all = Vec::new();
        for n in 0..3000u32 {
            let data = vec![n as u8; (n * 7919 % 60_000) as usize / (1 + n as usize % 97)];
            let message = if n % 3 == 0 {
                let actions = vec![Action::output(PortNo(n))];
                let (buffer_id, matching) = (BufferId::NONE, Match::any().with(FieldId::InPort, 1));
                Message::PacketOut(PacketOut { buffer_id, matching, actions, data: data.into() })
            } else {
                Message::FlowMod(FlowMod { priority: n as u16, ..FlowMod::default() })
            };
            put(&mut b, n, BundleAdd { message: Box::new(message.clone()), ..add(n, ORDERED) }).unwrap();
            all.push((Xid(n), message));
        }
        let staged = b.commit(ID, ORDERED).unwrap();
        assert_eq!(staged.count(), all.len());
        assert!(staged.pieces.len() > 5 && staged.pieces.iter().all(|p| p.capacity() <= PIECE.1));
        assert!(super::tests::all(&staged) == all);
    }

    /// Rows of flow-mods of all lengths, with others between them.
    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut x = 9u64;
        let mut random = |n: u64| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 33) % n
        };
        let mut b = Bundles::default();
        let mut all = Vec::new();
        let (mut kind, mut left, mut port) = (0, 0, 1);
        for n in 0..20_000u32 {
            if left == 0 {
                (kind, left, port) = (random(5), random(40), random(3) as u32);
            } else {
                left -= 1;
            }
            let matching = match kind {
                0 => Match::any().with(FieldId::InPort, u128::from(random(9) as u32)),
                1 => Match::any()
                    .with(FieldId::EthType, 0x86dd)
                    .with(FieldId::Ipv6Dst, u128::from(random(1 << 30)) << 77),
                2 => {
                    let mask = if random(20) == 0 { 0xfe00_0000 } else { 0xff00_0000 };
                    Match::any().with(FieldId::EthType, 0x800).with_mask(
                        FieldId::Ipv4Dst,
                        u128::from(random(4)) << 25,
                        mask,
                    )
                }
                _ => Match::any(),
            };
            let actions = vec![Action::output(PortNo(port))];
            let message = if kind == 4 {
                let (buffer_id, matching) = (BufferId::NONE, Match::any().with(FieldId::InPort, 1));
                Message::PacketOut(PacketOut { buffer_id, matching, actions, data: vec![0; 60].into() })
            } else {
                let mut m = FlowMod {
                    cookie: Cookie(random(1 << 40)),
                    priority: random(3) as u16,
                    matching,
                    ..FlowMod::default()
                };
                m.instructions = vec![Instruction::ApplyActions(actions)];
                match random(60) {
                    0 => m.idle_timeout = 7,
                    1 => m.table = TableId(3),
                    2 => m.out_port = PortNo(3),
                    3 => m.importance = 2,
                    _ => {}
                }
                Message::FlowMod(m)
            };
            put(&mut b, n, BundleAdd { message: Box::new(message.clone()), ..add(n, ORDERED) }).unwrap();
            all.push((Xid(n), message));
        }
        let staged = b.commit(ID, ORDERED).unwrap();
        assert!(super::tests::all(&staged) == all);
        let kept: usize = staged.pieces.iter().map(Vec::len).sum();
        assert!(kept * 3 < staged.bytes * 2, "{kept} of {}", staged.bytes);
        // As many as there are of one kind, nearly all in rows.
        let mut b = Bundles::default();
        for n in 0..1000 {
            put(&mut b, n, add(n, ORDERED)).unwrap();
        }
        let staged = b.commit(ID, ORDERED).unwrap();
        assert!(staged.pieces.iter().map(Vec::len).sum::<usize>() < 17 * 1000 && staged.bytes > 70 * 1000);
        assert_eq!(super::tests::all(&staged).len(), 1000);
    }
}

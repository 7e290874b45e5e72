//! A session with the switch, as a controller: hello, requests with their answers, mods with a
//! barrier behind them.
//!
//! One request is under way at a time, except for mods, which go in batches so that a long list
//! neither waits for a round trip each nor fills both directions' buffers at once. What comes
//! unasked (packet-ins and the like) meanwhile is dropped; `monitor` reads it with [`Connection::next`].

use crate::channel::Channel;
use crate::target::Stream;
use anyhow::{Context as _, anyhow, bail};
use ofproto::bundle::{BundleAdd, BundleFlags};
use ofproto::error::OfError;
use ofproto::flow::FlowMod;
use ofproto::ids::{BundleId, ExperimenterId, PortNo, TableId, Xid};
use ofproto::message::{ErrorMsg, HelloElement, Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::nx_message::NxMessage;
use ofproto::port::Port;
use ofproto::wire::segment::{Limits, Reassembler};
use ofproto::wire::{self, EncodeError, Header};
use ofproto::{Version, validate};
use std::fmt;
use std::time::{Duration, Instant};

/// How often to look what the switch asks while nothing is awaited.
const LOOK: Duration = Duration::from_secs(1);
/// Mods that are sent before a barrier is waited for.
const BATCH: usize = 256;
/// Most bytes of one multipart answer: millions of flows.
const MOST_ANSWER: usize = 1 << 30;

/// A request that the switch refused.
#[derive(Debug)]
pub struct Refused {
    /// What was asked, in the user's words.
    pub what: String,
    /// The switch's answer.
    pub error: ErrorMsg,
    /// The names of type and code.
    pub name: String,
    /// Why, where this side can tell.
    pub reason: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the switch refused {}: {}", self.what, self.name)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// A flow-mod of 1.0, or Nicira's where the match has fields that 1.0 lacks.
fn flow_mod_10(xid: Xid, m: &FlowMod) -> Result<Vec<u8>, EncodeError> {
    wire::encode(Version::V10, xid, &Message::FlowMod(m.clone())).or_else(|e| {
        let nicira = Message::Nicira(NxMessage::FlowMod(m.clone()));
        wire::encode(Version::V10, xid, &nicira).map_err(|_| e)
    })
}

/// The names of an error's type and code, or its numbers.
pub fn error_name(e: &ErrorMsg, version: Version) -> String {
    match (e.kind(version), e.experimenter) {
        (Some(kind), _) => kind.to_string(),
        (None, Some(ExperimenterId::ONF)) => format!("an ONF experimenter's error {}", e.code),
        (None, Some(whose)) => format!("experimenter {whose}'s error {}", e.code),
        (None, None) => format!("error type {} code {}", e.ty, e.code),
    }
}

/// A message: its header, what it says or why that can't be read, its bytes.
pub type Received = (Header, Result<Message, OfError>, Vec<u8>);

/// A session.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    version: Version,
    next_xid: u32,
    timeout: Duration,
    started: Instant,
    /// When it was last looked what the switch asks.
    looked: Instant,
    /// Of the mods under way, in their order.
    xids: Vec<Xid>,
    /// Whether 1.0's flow-mods say their table, by Nicira's extension.
    tables: bool,
}

impl Connection {
    /// Agrees on a version: the highest common one, out of `versions`.
    ///
    /// `target` says whom, for errors.
    pub fn open(stream: Stream, target: &str, versions: &[Version], timeout: Duration) -> anyhow::Result<Self> {
        let highest = versions.iter().copied().max().context("no version is allowed")?;
        let mut c = Self {
            channel: Channel::new(stream),
            version: highest,
            next_xid: 1,
            timeout,
            started: Instant::now(),
            looked: Instant::now(),
            xids: Vec::new(),
            tables: false,
        };
        c.send(&hello(versions))?;
        let deadline = Instant::now() + timeout;
        let first = c.channel.next(Some(deadline))?.with_context(|| format!("{target}: no hello in {timeout:?}"))?;
        let header = Header::decode(&first)?;
        if let Ok((_, Message::Error(e))) = wire::decode(&first) {
            bail!("{target}: the switch refused the connection: {}", hello_text(&e));
        }
        let (_, elements) = wire::decode_hello(&first).map_err(|e| anyhow!("{target} speaks no OpenFlow: {e}"))?;
        c.version = agree(versions, &header, &elements).ok_or_else(|| {
            let list = |v: &[Version]| v.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            anyhow!(
                "{target}: no version in common: ofctl may speak {}, the switch offers {}",
                list(versions),
                list(&offered(&header, &elements))
            )
        })?;
        Ok(c)
    }

    /// The version agreed on.
    pub fn version(&self) -> Version {
        self.version
    }

    fn send(&mut self, message: &Message) -> anyhow::Result<Xid> {
        if let Message::FlowMod(m) = message
            && self.version == Version::V10
            && m.table != TableId(0)
            && !self.tables
        {
            // 1.0 names no table; with Nicira's extension the command does.
            self.tables = true;
            self.send(&Message::Nicira(NxMessage::FlowModTableId(true)))?;
        }
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.wrapping_add(1);
        let bytes = match message {
            Message::MultipartRequest(m) => wire::segment::encode_request(self.version, xid, m)?.concat(),
            Message::FlowMod(m) if self.version == Version::V10 => flow_mod_10(xid, m)?,
            m => wire::encode(self.version, xid, m)?,
        };
        self.channel.send(&bytes)?;
        Ok(xid)
    }

    /// The next message, or `None` at the deadline. Echo requests are answered here.
    ///
    /// A message that can't be read comes as its header and why.
    pub fn next(&mut self, deadline: Option<Instant>) -> anyhow::Result<Option<Received>> {
        loop {
            let Some(bytes) = self.channel.next(deadline)? else { return Ok(None) };
            match wire::decode(&bytes) {
                Ok((header, Message::EchoRequest(data))) => {
                    let reply = wire::encode(self.version, header.xid, &Message::EchoReply(data))?;
                    self.channel.send(&reply)?;
                }
                Ok((header, m)) => return Ok(Some((header, Ok(m), bytes))),
                Err(e) => return Ok(Some((Header::decode(&bytes)?, Err(e), bytes))),
            }
        }
    }

    /// Answers what the switch asked, if that is due: call from work that takes long while nothing is awaited, or the
    /// switch takes this side for dead.
    pub fn keep_alive(&mut self) -> anyhow::Result<()> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        while self.next(Some(Instant::now() + Duration::from_millis(1)))?.is_some() {}
        self.looked = Instant::now();
        Ok(())
    }

    /// Sends without waiting for anything.
    pub fn tell(&mut self, message: &Message) -> anyhow::Result<Xid> {
        self.send(message)
    }

    /// Sends a request and waits for its answer; multipart answers come whole.
    pub fn ask(&mut self, message: &Message, what: &str) -> anyhow::Result<Message> {
        let xid = self.send(message)?;
        let limits = Limits { sequences: 1, segments: usize::MAX, bytes: MOST_ANSWER, timeout: u64::MAX };
        let mut parts: Reassembler<MultipartReply> = Reassembler::new(limits);
        loop {
            // Each segment may take its time; a switch that keeps sending isn't silent.
            let deadline = Instant::now() + self.timeout;
            let Some((header, got, bytes)) = self.next(Some(deadline))? else {
                bail!("no answer to {what} in {:?}", self.timeout);
            };
            if header.xid != xid {
                continue;
            }
            match got.map_err(|e| anyhow!("the answer to {what} can't be read: {e}"))? {
                Message::Error(error) => return Err(self.refused(what.to_owned(), error, message).into()),
                Message::MultipartReply(part) => {
                    let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    if let Some(body) = parts.push(now, xid, part, bytes.len())? {
                        return Ok(Message::MultipartReply(Multipart::last(body)));
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Asks for a multipart body.
    pub fn query(&mut self, body: MultipartRequest, what: &str) -> anyhow::Result<MultipartReply> {
        match self.ask(&Message::MultipartRequest(Multipart::last(body)), what)? {
            Message::MultipartReply(m) => Ok(m.body),
            other => bail!("the answer to {what} is an {}", wire::message_name(&other)),
        }
    }

    /// Sends mods and waits until the switch has done them; says which it refused.
    pub fn modify(&mut self, mods: &[(String, Message)]) -> anyhow::Result<Vec<Refused>> {
        self.xids.clear();
        let mut refused = Vec::new();
        for batch in mods.chunks(BATCH) {
            for (what, message) in batch {
                let xid = self.send(message).with_context(|| what.clone())?;
                self.xids.push(xid);
            }
            self.settle(mods, &mut refused)?;
        }
        Ok(refused)
    }

    /// Puts mods into an open bundle; says which the switch refused to take.
    pub fn modify_in_bundle(
        &mut self,
        bundle: BundleId,
        flags: BundleFlags,
        mods: &[(String, Message)],
    ) -> anyhow::Result<Vec<Refused>> {
        self.xids.clear();
        let mut refused = Vec::new();
        for batch in mods.chunks(BATCH) {
            for (what, message) in batch {
                // The inner message has the outer one's xid (OpenFlow 1.4.1 §7.3.9.6).
                let add = BundleAdd {
                    bundle,
                    flags,
                    message: Box::new(message.clone()),
                    inner_xid: Xid(self.next_xid),
                    properties: Vec::new(),
                };
                let xid = self.send(&Message::BundleAdd(add)).with_context(|| what.clone())?;
                self.xids.push(xid);
            }
            self.settle(mods, &mut refused)?;
            if !refused.is_empty() {
                break;
            }
        }
        Ok(refused)
    }

    /// Commits a bundle whose mods [`Connection::modify_in_bundle`] has put in; says which of them
    /// made it fail.
    pub fn commit(&mut self, commit: &Message, mods: &[(String, Message)]) -> anyhow::Result<Vec<Refused>> {
        let xid = self.send(commit)?;
        let mut refused = Vec::new();
        loop {
            let Some((header, got, _)) = self.next(Some(Instant::now() + self.timeout))? else {
                bail!("no answer to the bundle's commit in {:?}", self.timeout);
            };
            match got {
                Ok(Message::Error(error)) if header.xid == xid => {
                    // The mod's own error, which comes first, says more.
                    if refused.is_empty() {
                        refused.push(self.refused("the bundle's commit".into(), error, commit));
                    }
                    return Ok(refused);
                }
                Ok(Message::Error(error)) => self.note(header.xid, error, mods, &mut refused),
                Ok(Message::BundleControl(_)) if header.xid == xid => return Ok(refused),
                _ => {}
            }
        }
    }

    /// Waits for a barrier and notes the errors that come before its reply.
    fn settle(&mut self, mods: &[(String, Message)], refused: &mut Vec<Refused>) -> anyhow::Result<()> {
        let barrier = self.send(&Message::BarrierRequest)?;
        loop {
            let Some((header, got, _)) = self.next(Some(Instant::now() + self.timeout))? else {
                bail!("no barrier reply in {:?}", self.timeout);
            };
            match got {
                Ok(Message::BarrierReply) if header.xid == barrier => return Ok(()),
                Ok(Message::Error(error)) if header.xid == barrier => {
                    return Err(self.refused("barrier".into(), error, &Message::BarrierRequest).into());
                }
                Ok(Message::Error(error)) => self.note(header.xid, error, mods, refused),
                _ => {}
            }
        }
    }

    /// Notes an error if it is about one of the mods sent.
    fn note(&self, xid: Xid, error: ErrorMsg, mods: &[(String, Message)], refused: &mut Vec<Refused>) {
        // They were numbered in order.
        let which = self.xids.binary_search(&xid).ok().and_then(|i| mods.get(i));
        if let Some((what, message)) = which {
            refused.push(self.refused(what.clone(), error, message));
        }
    }

    fn refused(&self, what: String, error: ErrorMsg, asked: &Message) -> Refused {
        let kind = error.kind(self.version);
        // What is wrong with the message by itself can be told here, in words.
        let reason = match validate::message(asked, self.version) {
            Err(e) if Some(e.kind) == kind => Some(format!("{}: {}", e.field, e.reason)),
            _ => None,
        };
        Refused { what, name: error_name(&error, self.version), error, reason }
    }

    /// The ports' descriptions, wherever the version has them.
    pub fn ports(&mut self) -> anyhow::Result<Vec<Port>> {
        if self.version < Version::V13 {
            match self.ask(&Message::FeaturesRequest, "features")? {
                Message::FeaturesReply(f) => Ok(f.ports),
                other => bail!("the answer to features is an {}", wire::message_name(&other)),
            }
        } else {
            match self.query(MultipartRequest::PortDesc(PortNo::ANY), "port descriptions")? {
                MultipartReply::PortDesc(ports) => Ok(ports),
                _ => bail!("the answer to port descriptions is another one"),
            }
        }
    }
}

/// A hello that offers these versions.
pub fn hello(versions: &[Version]) -> Message {
    let bits = versions.iter().fold(0u32, |bits, v| bits | 1 << v.wire());
    Message::Hello(vec![HelloElement::VersionBitmap(vec![bits])])
}

fn hello_text(e: &ErrorMsg) -> String {
    let text: String = String::from_utf8_lossy(&e.data).chars().filter(|c| !c.is_control()).collect();
    let name = error_name(e, Version::V13);
    if text.is_empty() { name } else { format!("{name}: {text}") }
}

/// The versions that a peer's hello offers.
fn offered(header: &Header, elements: &[HelloElement]) -> Vec<Version> {
    let bitmap =
        elements.iter().find_map(|e| if let HelloElement::VersionBitmap(words) = e { Some(words) } else { None });
    match bitmap.and_then(|words| words.first()) {
        Some(word) => Version::ALL.into_iter().filter(|v| word >> v.wire() & 1 == 1).collect(),
        None => Version::ALL.into_iter().filter(|v| v.wire() <= header.version).collect(),
    }
}

/// The version to speak (OpenFlow 1.3.5 §6.3.3): the highest in both bitmaps; without the peer's,
/// the lower of the two headers' if it is ours too.
fn agree(ours: &[Version], header: &Header, elements: &[HelloElement]) -> Option<Version> {
    let theirs = offered(header, elements);
    let bitmap = elements.iter().any(|e| matches!(e, HelloElement::VersionBitmap(_)));
    if bitmap {
        return ours.iter().copied().filter(|v| theirs.contains(v)).max();
    }
    let highest = ours.iter().copied().max()?;
    let lower = Version::from_wire(header.version.min(highest.wire()))?;
    ours.contains(&lower).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_works_long_answers_the_switch() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut switch = Channel::new(Stream::Unix(theirs));
        switch.send(&wire::encode(Version::V13, Xid(0), &hello(&[Version::V13])).unwrap()).unwrap();
        let mut c = Connection::open(Stream::Unix(ours), "test", &[Version::V13], Duration::from_secs(60)).unwrap();
        switch.send(&wire::encode(Version::V13, Xid(7), &Message::EchoRequest(vec![1].into())).unwrap()).unwrap();
        c.looked = c.looked.checked_sub(LOOK).unwrap();
        c.keep_alive().unwrap();
        let mut heard = || {
            let bytes = switch.next(Some(Instant::now() + Duration::from_secs(60))).unwrap().unwrap();
            wire::decode(&bytes).unwrap()
        };
        assert!(matches!(heard().1, Message::Hello(_)));
        let (header, answer) = heard();
        assert_eq!((header.xid, answer), (Xid(7), Message::EchoReply(vec![1].into())));
    }

    fn offer(version: u8, bits: Option<u32>) -> (Header, Vec<HelloElement>) {
        let header = Header { version, ty: 0, length: 8, xid: Xid(1) };
        (header, bits.map(|b| HelloElement::VersionBitmap(vec![b])).into_iter().collect())
    }

    #[test]
    fn the_highest_common_version_is_spoken() {
        use Version::*;
        for (ours, version, bits, agreed) in [
            (&Version::ALL[..], 6, Some(0x7e), Some(V15)),
            (&Version::ALL, 4, Some(0x12), Some(V13)),
            (&Version::ALL, 4, None, Some(V13)),
            (&[V10, V13], 6, Some(0x7e), Some(V13)),
            (&[V10], 6, Some(0x70), None),
            (&[V13], 1, None, None),
            (&[V10, V13], 3, None, None),
            (&[V13], 9, None, Some(V13)),
        ] {
            let (header, elements) = offer(version, bits);
            assert_eq!(agree(ours, &header, &elements), agreed, "{ours:?} {version} {bits:?}");
        }
    }

    #[test]
    fn errors_have_names_or_numbers() {
        let e = |ty, code, experimenter| ErrorMsg { ty, code, experimenter, data: Default::default() };
        assert_eq!(error_name(&e(1, 6, None), Version::V13), "OFPET_BAD_REQUEST/OFPBRC_BAD_LEN");
        assert_eq!(error_name(&e(77, 6, None), Version::V13), "error type 77 code 6");
        assert_eq!(
            error_name(&e(0xffff, 9, Some(ExperimenterId(1))), Version::V13),
            "experimenter 0x00000001's error 9"
        );
    }
}

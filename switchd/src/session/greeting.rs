//! How a connection begins: both hellos, and which version they agree on (OpenFlow 1.3.5 §6.3.3).

use super::filter::Filter;
use super::{Meaning, Purpose, Session, State, hello, message_name};
use bytes::Bytes;
use ofproto::message::{ErrorMsg, Message};
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};
use tracing::{debug, info, warn};

/// `OFPT_HELLO`
const HELLO: u8 = 0;

/// Reads a message as if it had been sent in `version`.
fn as_version(bytes: &Bytes, version: Version) -> Option<Message> {
    let mut bytes = bytes.to_vec();
    *bytes.first_mut()? = version.wire();
    wire::decode(&bytes).ok().map(|(_, message)| message)
}

impl Session {
    /// Takes the first message: a hello, or the end.
    pub(super) fn greet(&mut self, header: &Header, message: &Meaning, bytes: &Bytes) {
        // A hello looks the same in every version, also in those that aren't written yet.
        let later = (header.ty == HELLO && Version::from_wire(header.version).is_none())
            .then(|| as_version(bytes, self.version))
            .flatten();
        match later.as_ref().map_or(message.as_ref().map(|(_, m)| m), Ok) {
            Ok(Message::Hello(elements)) => {
                match hello::negotiate(self.settings.versions, header.version, elements) {
                    Ok(version) => {
                        self.version = version;
                        match self.purpose {
                            Purpose::Controller => self.channel.filter = Filter::defaults(version),
                            Purpose::Visitor => self.channel.filter = Filter::silent(version),
                            // The channel has its filter.
                            Purpose::Auxiliary { .. } => {}
                        }
                        self.state = State::Up;
                        self.established = true;
                        // Tools come and go with every call.
                        if self.purpose == Purpose::Visitor {
                            debug!(conn = %self.id, peer = %self.peer, %version, "OpenFlow version agreed");
                        } else {
                            info!(conn = %self.id, peer = %self.peer, %version, "OpenFlow version agreed");
                        }
                    }
                    Err(text) => {
                        warn!(conn = %self.id, peer = %self.peer, text, "hello failed");
                        // In the peer's own version, if there is such a one: it reads no other.
                        self.version = Version::from_wire(header.version).unwrap_or(self.version);
                        self.counters.errors_sent += 1;
                        self.send(header.xid, &Message::Error(ErrorMsg::hello_failed(&text)));
                        self.end(true, text);
                    }
                }
            }
            Ok(Message::Error(e)) => {
                self.counters.errors_received += 1;
                let text = String::from_utf8_lossy(&e.data).into_owned();
                self.end(false, format!("the peer refused our hello: type {} code {} {text:?}", e.ty, e.code));
            }
            other => {
                let what = match other {
                    Ok(m) => message_name(m).to_owned(),
                    Err(e) => e.to_string(),
                };
                self.version = Version::from_wire(header.version).unwrap_or(self.version);
                let e =
                    OfError::new(ErrorKind::BadRequestBadType, "type", format!("expected a hello first, got {what}"));
                self.refuse(header, bytes, &e);
                self.end(true, format!("the first message was no hello but {what}"));
            }
        }
    }
}

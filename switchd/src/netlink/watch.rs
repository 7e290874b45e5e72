//! The netlink connection.

use super::speed::{Questions, Turn};
use super::{Link, LinkEvent, LinkTable, speed_of};
use futures_util::StreamExt;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::{Handle, LinkUnspec, MulticastGroup};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{debug, warn};

/// A way to ask the kernel for changes; cheap to clone.
#[derive(Clone, Debug)]
pub struct Links {
    handle: Arc<Mutex<Handle>>,
}

impl Links {
    pub(super) fn handle(&self) -> Handle {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets an interface administratively up or down.
    ///
    /// # Errors
    /// The kernel's: no such interface, no permission.
    pub async fn set_up(&self, ifindex: u32, up: bool) -> io::Result<()> {
        let message = LinkUnspec::new_with_index(ifindex);
        let message = if up { message.up() } else { message.down() }.build();
        self.handle().link().change(message).execute().await.map_err(to_io)
    }
}

pub(super) fn to_io(e: rtnetlink::Error) -> io::Error {
    match e {
        rtnetlink::Error::NetlinkError(m) => m.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// How long to wait before connecting again after the kernel dropped messages: a storm of changes
/// shall not become a storm of dumps.
const RECONNECT: Duration = Duration::from_millis(200);

/// Begins to watch the interfaces of this network namespace; `sink` gets every event, in order, from
/// a task of the running tokio runtime, and must not block. The task ends when `sink` returns `false`.
///
/// # Errors
/// No netlink socket could be made.
pub fn watch(mut sink: impl FnMut(LinkEvent) -> bool + Send + 'static) -> io::Result<Links> {
    let first = connect()?;
    let links = Links { handle: Arc::new(Mutex::new(first.0.clone())) };
    let shared = links.handle.clone();
    tokio::spawn(async move {
        let mut table = LinkTable::default();
        let mut connection = Some(first);
        loop {
            let (handle, messages) = match connection.take().map_or_else(connect, Ok) {
                Ok(pair) => pair,
                Err(e) => {
                    warn!(error = %e, "can't watch interfaces; trying again");
                    tokio::time::sleep(RECONNECT).await;
                    continue;
                }
            };
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = handle.clone();
            match follow(&mut table, &handle, messages, &mut sink).await {
                Ended::SinkClosed => return,
                Ended::Lost(why) => debug!(why, "starting over with a dump of the interfaces"),
            }
            tokio::time::sleep(RECONNECT).await;
        }
    });
    Ok(links)
}

type Messages = std::pin::Pin<Box<dyn futures_util::Stream<Item = NetlinkPayload<RouteNetlinkMessage>> + Send>>;

fn connect() -> io::Result<(Handle, Messages)> {
    let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    Ok((handle, Box::pin(messages.map(|(m, _)| m.payload))))
}

enum Ended {
    SinkClosed,
    Lost(&'static str),
}

async fn follow(
    table: &mut LinkTable,
    handle: &Handle,
    mut messages: Messages,
    sink: &mut (impl FnMut(LinkEvent) -> bool + Send),
) -> Ended {
    // Joined the group before the dump: what changes meanwhile waits in `messages` and is taken after.
    table.begin_dump();
    let mut dump = Box::pin(handle.link().get().execute());
    loop {
        match dump.next().await {
            Some(Ok(message)) => {
                if let Some(event) = take(table, &message)
                    && !sink(event)
                {
                    return Ended::SinkClosed;
                }
            }
            Some(Err(e)) => {
                warn!(error = %e, "the kernel broke off its list of interfaces");
                return Ended::Lost("the dump failed");
            }
            None => break,
        }
    }
    for event in table.end_dump() {
        if !sink(event) {
            return Ended::SinkClosed;
        }
    }
    let mut questions = Questions::default();
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    // As many at once as there are interfaces at most.
    let ask = |ifindex: u32, name: String| {
        let answered = answered.clone();
        tokio::task::spawn_blocking(move || {
            let speed = speed_of(&name);
            // Nobody waits any more when the connection was lost meanwhile.
            let _ = answered.send((ifindex, name, speed));
        });
    };
    loop {
        let event = tokio::select! {
            payload = messages.next() => match payload {
                None => return Ended::Lost("the socket closed"),
                // A bridge announces its ports in its own family (a DELLINK there means "left the bridge").
                Some(NetlinkPayload::InnerMessage(
                    RouteNetlinkMessage::NewLink(m) | RouteNetlinkMessage::DelLink(m),
                )) if m.header.interface_family != AddressFamily::Unspec => None,
                Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(m))) => {
                    Link::from_message(&m).and_then(|link| {
                        let ifindex = link.ifindex;
                        match questions.told(link) {
                            Turn::Tell(link) => table.update(link),
                            Turn::Ask(name) => {
                                ask(ifindex, name);
                                None
                            }
                            Turn::Wait => None,
                        }
                    })
                }
                Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(m))) => {
                    questions.gone(m.header.index);
                    table.remove(m.header.index)
                }
                Some(NetlinkPayload::Overrun(_)) => return Ended::Lost("messages were dropped"),
                _ => None,
            },
            Some((ifindex, name, speed)) = answers.recv() => {
                let (tell, again) = questions.answer(ifindex, &name, speed);
                if let Some(name) = again {
                    ask(ifindex, name);
                }
                tell.and_then(|link| table.update(link))
            }
        };
        if let Some(event) = event
            && !sink(event)
        {
            return Ended::SinkClosed;
        }
    }
}

/// What the dump shows, speeds and all: who waits for the first one wants the whole.
fn take(table: &mut LinkTable, message: &netlink_packet_route::link::LinkMessage) -> Option<LinkEvent> {
    let mut link = Link::from_message(message)?;
    // Asked for only of what can have one; two calls of the driver per change are cheap.
    if link.running {
        link.speed = speed_of(&link.name);
    }
    table.update(link)
}

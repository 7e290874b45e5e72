//! Where the kernel would send packets.

use super::watch::to_io;
use futures_util::{FutureExt, Stream, StreamExt};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia};
use rtnetlink::{MulticastGroup, RouteMessageBuilder};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinSet;

/// The kernel answers at once, if at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The router over which packets to an address go now; `None` where it is on a link of ours.
///
/// Errors: there is no way to it, or the kernel can't be asked.
pub async fn gateway(to: IpAddr) -> io::Result<Option<IpAddr>> {
    let whole = if to.is_ipv4() { 32 } else { 128 };
    let request = RouteMessageBuilder::<IpAddr>::new().destination_prefix(to, whole).map_err(io::Error::other)?.build();
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let answer = tokio::time::timeout(PATIENCE, Box::pin(handle.route().get(request).execute()).next()).await;
    connection.abort();
    match answer {
        Ok(Some(route)) => Ok(router(&route.map_err(to_io)?)),
        Ok(None) => Err(io::Error::other("the kernel names no route")),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// How long to wait for what belongs to a change: many routes may change at once, and none needs an answer at once.
const SETTLE: Duration = Duration::from_millis(100);

/// Changes of routes and of own addresses, after which packets may go over another router.
pub struct RouteChanges {
    messages: Pin<Box<dyn Stream<Item = ()> + Send>>,
    /// Ended with it; it ends by itself without a handle.
    _connection: (JoinSet<()>, rtnetlink::Handle),
}

impl RouteChanges {
    /// Watches them from now on; call within a runtime.
    ///
    /// # Errors
    /// No netlink socket could be made.
    pub fn watch() -> io::Result<Self> {
        use MulticastGroup::{Ipv4Ifaddr, Ipv4Route, Ipv6Ifaddr, Ipv6Route};
        let (connection, handle, messages) =
            rtnetlink::new_multicast_connection(&[Ipv4Ifaddr, Ipv4Route, Ipv6Ifaddr, Ipv6Route])?;
        let mut task = JoinSet::new();
        task.spawn(connection);
        // That some were dropped comes as a message, too.
        Ok(Self { messages: Box::pin(messages.map(|_| ())), _connection: (task, handle) })
    }

    /// Waits for the next one; several close together are one.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn next(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        self.messages.next().await.ok_or_else(gone)?;
        tokio::time::sleep(SETTLE).await;
        while let Some(message) = self.messages.next().now_or_never() {
            message.ok_or_else(gone)?;
        }
        Ok(())
    }
}

fn router(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(RouteAddress::Inet(at)) => Some(IpAddr::V4(*at)),
        RouteAttribute::Gateway(RouteAddress::Inet6(at)) | RouteAttribute::Via(RouteVia::Inet6(at)) => {
            Some(IpAddr::V6(*at))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_here_has_no_router() {
        assert_eq!(gateway("127.0.0.1".parse().unwrap()).await.ok(), Some(None));
    }
}

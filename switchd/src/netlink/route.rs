//! Where the kernel would send packets.

use super::watch::to_io;
use futures_util::StreamExt;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia};
use rtnetlink::RouteMessageBuilder;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

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

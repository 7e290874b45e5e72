//! Values of the OpenFlow channel: whom to dial and how, where to listen, names in certificates.

use super::value::socket_path;
use crate::session::channel::MAX_AUXILIARY;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port of OpenFlow channels (OpenFlow 1.3.5 §6.3.1).
pub const OPENFLOW_PORT: u16 = 6653;

/// Where to dial: a host by name or address (IPv6 without brackets), and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        // A bare IPv6 address has more than one colon and no brackets.
        let (host, port) = if let Some(rest) = s.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or("`[` without `]`; expected `[IPV6]:PORT`")?;
            host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is no IPv6 address"))?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(format!("`{rest}` after `]`; expected `:PORT`")),
            }
        } else if s.parse::<Ipv6Addr>().is_ok() {
            (s, None)
        } else {
            match s.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (s, None),
            }
        };
        if host.is_empty() {
            return Err("a host is missing; expected HOST[:PORT]".into());
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if let Some(c) = host.chars().find(|c| !legal(*c)) {
            return Err(format!("host `{host}` holds {c:?}; expected a name or an address"));
        }
        let port = match port {
            Some(p) => tcp_port(p)?,
            None => OPENFLOW_PORT,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

fn tcp_port(s: &str) -> Result<u16, String> {
    s.parse::<u16>().ok().filter(|p| *p != 0).ok_or_else(|| format!("`{s}` is no TCP port; expected 1 to 65535"))
}

/// A controller to dial: `tcp:HOST[:PORT]`, `tls:HOST[:PORT]` (or `ssl:`), `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Plain TCP.
    Tcp(HostPort),
    /// TLS over TCP.
    Tls(HostPort),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "tcp:{at}"),
            Self::Tls(at) => write!(f, "tls:{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected tcp:HOST[:PORT], tls:HOST[:PORT] or unix:PATH";
        match s.split_once(':') {
            Some(("tcp", at)) => at.parse().map(Self::Tcp),
            Some(("tls" | "ssl", at)) => at.parse().map(Self::Tls),
            Some(("unix", path)) => socket_path(path).map(Self::Unix),
            Some(("ptcp" | "ptls" | "pssl" | "punix", _)) => {
                Err(format!("`{s}` is a listener: give it to `--listen`; {EXPECTED}"))
            }
            _ => Err(format!("`{s}` names no transport; {EXPECTED}")),
        }
    }
}

/// A controller: its target and what holds for it alone, `TARGET[,auxiliary=N][,name=NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControllerSpec {
    /// Where to dial.
    pub target: Target,
    /// Auxiliary connections beside the main one.
    pub auxiliary: u8,
    /// The name that its certificate must bear.
    pub name: Option<CertName>,
}

impl ControllerSpec {
    /// Where it is, if in-band control can reach it there.
    pub fn in_band(&self) -> Option<SocketAddr> {
        match &self.target {
            // An IPv4 address in IPv6's clothes is IPv4 on the wire.
            Target::Tcp(at) | Target::Tls(at) => {
                Some(SocketAddr::new(at.host.parse::<IpAddr>().ok()?.to_canonical(), at.port))
            }
            Target::Unix(_) => None,
        }
    }

    /// Whether in-band control leads to it, or it is on this machine: a name can't be looked up before there is a way.
    ///
    /// # Errors
    /// It is given by name.
    pub fn check_in_band(&self) -> Result<(), String> {
        if matches!(self.target, Target::Unix(_)) || self.in_band().is_some() {
            return Ok(());
        }
        Err(format!("`in-band` needs a controller's address, not its name: `{}`", self.target))
    }
}

impl fmt::Display for ControllerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)?;
        if self.auxiliary != 0 {
            write!(f, ",auxiliary={}", self.auxiliary)?;
        }
        self.name.iter().try_for_each(|n| write!(f, ",name={n}"))
    }
}

impl FromStr for ControllerSpec {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        // Split off from the end: a path may hold commas.
        let (mut rest, mut auxiliary, mut name) = (s, None, None);
        while let Some((head, option)) = rest.rsplit_once(',') {
            match option.split_once('=') {
                Some(("auxiliary", _)) if auxiliary.is_some() => return Err("`auxiliary` is given twice".into()),
                Some(("auxiliary", n)) => {
                    let count = n.parse().ok().filter(|n| *n <= MAX_AUXILIARY);
                    let wrong = || format!("`{n}` auxiliary connections can't be; expected 0 to {MAX_AUXILIARY}");
                    auxiliary = Some(count.ok_or_else(wrong)?);
                }
                Some(("name", _)) if name.is_some() => return Err("`name` is given twice".into()),
                Some(("name", n)) => name = Some(n.parse()?),
                _ if head.starts_with("unix:") => break,
                _ => return Err(format!("`{option}` is no controller's option; expected auxiliary=N or name=NAME")),
            }
            rest = head;
        }
        let target = rest.parse()?;
        if name.is_some() && !matches!(target, Target::Tls(_)) {
            return Err(format!("`name` is of a certificate, which `{target}` shows none"));
        }
        Ok(Self { target, auxiliary: auxiliary.unwrap_or(0), name })
    }
}

/// A name in a certificate: one of its alternative names (DNS, URI, address or mail), or the subject's
/// common name. Without regard to upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertName(String);

impl CertName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertName {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.is_empty() || s.len() > 255 || s.chars().any(char::is_control) {
            return Err(format!("{s:?} can't be a certificate's name; expected 1 to 255 characters"));
        }
        Ok(Self(s.to_owned()))
    }
}

/// A listener for controllers: `ptcp:[PORT][:IP]`, `ptls:[PORT][:IP]` (or `pssl:`), `punix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// Plain TCP.
    Tcp(SocketAddr),
    /// TLS over TCP.
    Tls(SocketAddr),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "ptcp:{}:{}", at.port(), Bracketed(at.ip())),
            Self::Tls(at) => write!(f, "ptls:{}:{}", at.port(), Bracketed(at.ip())),
            Self::Unix(path) => write!(f, "punix:{}", path.display()),
        }
    }
}

struct Bracketed(IpAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(a) => a.fmt(f),
            IpAddr::V6(a) => write!(f, "[{a}]"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected ptcp:[PORT][:IP], ptls:[PORT][:IP] or punix:PATH";
        match s.split_once(':').unwrap_or((s, "")) {
            ("ptcp", at) => listen_address(at).map(Self::Tcp),
            ("ptls" | "pssl", at) => listen_address(at).map(Self::Tls),
            ("punix", path) => socket_path(path).map(Self::Unix),
            ("tcp" | "tls" | "ssl" | "unix", _) => {
                Err(format!("`{s}` is a controller to dial: give it to `--controller`; {EXPECTED}"))
            }
            _ => Err(format!("`{s}` names no transport; {EXPECTED}")),
        }
    }
}

/// `[PORT][:IP]`; without an address every IPv4 address is listened on.
fn listen_address(s: &str) -> Result<SocketAddr, String> {
    let (port, ip) = s.split_once(':').map_or((s, None), |(p, ip)| (p, Some(ip)));
    let port = if port.is_empty() { OPENFLOW_PORT } else { tcp_port(port)? };
    let ip = match ip {
        None | Some("") => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(ip) => {
            let bare = ip.strip_prefix('[').and_then(|i| i.strip_suffix(']')).unwrap_or(ip);
            bare.parse().map_err(|_| format!("`{ip}` is no IP address; expected [PORT][:IP]"))?
        }
    };
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_and_print() {
        for (text, shown) in [
            ("tcp:10.0.0.1", "tcp:10.0.0.1:6653"),
            ("tcp:c0.example:6633", "tcp:c0.example:6633"),
            ("tls:[::1]:6653", "tls:[::1]:6653"),
            ("ssl:[2001:db8::1]", "tls:[2001:db8::1]:6653"),
            ("tcp:::1", "tcp:[::1]:6653"),
            ("unix:/run/c.sock", "unix:/run/c.sock"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
        for (text, why) in [
            ("10.0.0.1:6653", "names no transport"),
            ("udp:10.0.0.1", "names no transport"),
            ("tcp:", "host is missing"),
            ("tcp:a:0", "1 to 65535"),
            ("tcp:a:b:c", "1 to 65535"),
            ("tcp:[::1", "without `]`"),
            ("tcp:[::1]x", "after `]`"),
            ("tcp:a b", "holds ' '"),
            ("ptcp:6653", "--listen"),
            ("unix:", "missing"),
        ] {
            let e = text.parse::<Target>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn controllers_take_auxiliary_connections_and_a_name() {
        let c: ControllerSpec = "tls:c0:6653,auxiliary=2,name=sc id:7".parse().unwrap();
        assert_eq!((c.auxiliary, c.name.as_ref().map(CertName::as_str)), (2, Some("sc id:7")));
        assert_eq!(c.to_string(), "tls:c0:6653,auxiliary=2,name=sc id:7");
        let c: ControllerSpec = "unix:/run/a,b".parse().unwrap();
        assert_eq!((c.target.to_string().as_str(), c.auxiliary), ("unix:/run/a,b", 0));
        for (text, why) in [
            ("tcp:a,auxiliary=17", "0 to 16"),
            ("tcp:a,auxiliary=x", "0 to 16"),
            ("tcp:a,auxiliary=1,auxiliary=1", "twice"),
            ("tcp:a,name=b", "shows none"),
            ("tls:a,name=", "1 to 255"),
            ("tcp:a,aux=1", "expected auxiliary=N"),
            ("tcp:a,b", "expected auxiliary=N"),
        ] {
            let e = text.parse::<ControllerSpec>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn listeners_read_and_print() {
        for (text, shown) in [
            ("ptcp:", "ptcp:6653:0.0.0.0"),
            ("ptcp", "ptcp:6653:0.0.0.0"),
            ("ptcp:6634", "ptcp:6634:0.0.0.0"),
            ("ptcp:6634:127.0.0.1", "ptcp:6634:127.0.0.1"),
            ("ptcp::127.0.0.1", "ptcp:6653:127.0.0.1"),
            ("pssl:6634:[::1]", "ptls:6634:[::1]"),
            ("punix:/run/l.sock", "punix:/run/l.sock"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown);
        }
        for (text, why) in [
            ("ptcp:x", "1 to 65535"),
            ("ptcp:1:host", "no IP address"),
            ("tcp:1.2.3.4", "--controller"),
            ("6653", "no transport"),
        ] {
            let e = text.parse::<Listen>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }
}

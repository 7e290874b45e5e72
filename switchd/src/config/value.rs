//! The values that options take, each parsed in one place for the command line and the file alike.
//!
//! Every error says what was expected; the caller adds the option's name and place.

use crate::session::channel::MAX_AUXILIARY;
use ofproto::Version;
use ofproto::ids::{Dpid, PortNo};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port of OpenFlow channels (OpenFlow 1.3.5 §6.3.1).
pub const OPENFLOW_PORT: u16 = 6653;

/// The highest number that a port can be given: OpenFlow 1.0 has no higher ones, and every port
/// must be visible to every version.
pub const MAX_PORT_NO: u32 = 0xfeff;

/// A network interface's name: 1 to 15 bytes without `/`, `:`, `,`, `=` or blanks.
///
/// The kernel forbids `/`, `:` and blanks; `,` and `=` have a meaning in `--port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName(String);

impl IfName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IfName {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.is_empty() {
            return Err("an interface name is missing".into());
        }
        if s.len() > 15 {
            return Err(format!("interface name `{s}` has {} bytes; the kernel takes 15 at most", s.len()));
        }
        if s == "." || s == ".." {
            return Err(format!("`{s}` can't be an interface name"));
        }
        match s.chars().find(|c| matches!(c, '/' | ':' | ',' | '=') || c.is_whitespace() || c.is_control()) {
            Some(c) => Err(format!("interface name `{s}` holds {c:?}, which interface names can't")),
            None => Ok(Self(s.to_owned())),
        }
    }
}

/// How a port reaches its interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PortKind {
    /// A packet socket on an interface that somebody else made.
    #[default]
    AfPacket,
    /// A TAP interface that the switch makes and takes away again.
    Tap,
    /// AF_XDP sockets on an interface that somebody else made.
    AfXdp,
}

impl PortKind {
    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfPacket => "af_packet",
            Self::Tap => "tap",
            Self::AfXdp => "af_xdp",
        }
    }
}

impl FromStr for PortKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "af_packet" => Ok(Self::AfPacket),
            "tap" => Ok(Self::Tap),
            "af_xdp" => Ok(Self::AfXdp),
            _ => Err(format!("unknown port type `{s}`; expected `af_packet`, `tap` or `af_xdp`")),
        }
    }
}

/// One `--port`: `[NO=]IFNAME[,type=KIND][,workers=N]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSpec {
    /// The OpenFlow number, if the user chose it.
    pub number: Option<PortNo>,
    /// The interface.
    pub name: IfName,
    /// How to reach it.
    pub kind: PortKind,
    /// How many workers receive from it, if there are so many.
    pub workers: usize,
}

impl PortSpec {
    /// What may follow the name.
    const OPTIONS: &str = "`type=af_packet|tap|af_xdp` or `workers=N`";

    /// A port as `--port IFNAME` makes it.
    pub fn new(name: IfName) -> Self {
        Self { number: None, name, kind: PortKind::default(), workers: 1 }
    }
}

impl FromStr for PortSpec {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let mut parts = s.split(',');
        let head = parts.next().unwrap_or_default();
        let (number, name) = match head.split_once('=') {
            None => (None, head),
            Some((no, name)) => {
                let n = no.parse::<u32>().ok().filter(|n| (1..=MAX_PORT_NO).contains(n));
                let n = n.ok_or_else(|| format!("`{no}` is no port number; expected 1 to {MAX_PORT_NO} before `=`"))?;
                (Some(PortNo(n)), name)
            }
        };
        let name = name.parse()?;
        let (mut kind, mut workers) = (None, None);
        for option in parts {
            match option.split_once('=') {
                Some(("type", _)) if kind.is_some() => return Err("`type` is given twice".into()),
                Some(("type", v)) => kind = Some(v.parse()?),
                Some(("workers", _)) if workers.is_some() => return Err("`workers` is given twice".into()),
                Some(("workers", v)) => {
                    workers = Some(self::workers(v.parse().map_err(|_| format!("`{v}` is no number of workers"))?)?);
                }
                Some((key, _)) => return Err(format!("unknown port option `{key}`; expected {}", Self::OPTIONS)),
                None => return Err(format!("`{option}` is no port option; expected {}", Self::OPTIONS)),
            }
        }
        Ok(Self { number, name, kind: kind.unwrap_or_default(), workers: workers.unwrap_or(1) })
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(n) = self.number {
            write!(f, "{}=", n.0)?;
        }
        write!(f, "{},type={}", self.name, self.kind.name())?;
        if self.workers == 1 { Ok(()) } else { write!(f, ",workers={}", self.workers) }
    }
}

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

/// Longest path that fits `sockaddr_un` with its terminating zero.
const MAX_SOCKET_PATH: usize = 107;

/// A path that a unix socket can have.
pub fn socket_path(s: &str) -> Result<PathBuf, String> {
    match s.len() {
        0 => Err("a socket's path is missing".into()),
        n if n > MAX_SOCKET_PATH => {
            Err(format!("socket path `{s}` has {n} bytes; the kernel takes {MAX_SOCKET_PATH} at most"))
        }
        _ if s.contains('\0') => Err("a socket's path can't hold a zero byte".into()),
        _ => Ok(PathBuf::from(s)),
    }
}

/// What a bridge does while no controller is connected (OpenFlow 1.3.5 §6.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailMode {
    /// Flow entries stay, packets to the controller are dropped.
    Secure,
    /// The bridge is a learning switch.
    Standalone,
}

impl FailMode {
    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Standalone => "standalone",
        }
    }
}

impl FromStr for FailMode {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "secure" => Ok(Self::Secure),
            "standalone" => Ok(Self::Standalone),
            _ => Err(format!("`{s}` is no fail mode; expected `secure` or `standalone`")),
        }
    }
}

/// The place of a socket that may also not be wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketPath {
    /// None.
    Off,
    /// There.
    At(PathBuf),
}

impl FromStr for SocketPath {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s == "none" { Ok(Self::Off) } else { socket_path(s).map(Self::At) }
    }
}

/// A datapath id: 1 to 16 hexadecimal digits, with or without `0x` (and `:` as Mininet and others
/// print it), not zero.
pub fn dpid(s: &str) -> Result<Dpid, String> {
    const EXPECTED: &str = "expected up to 16 hexadecimal digits, not all zero";
    let digits = s.strip_prefix("0x").unwrap_or(s).replace(':', "");
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("`{s}` is no datapath id; {EXPECTED}"));
    }
    match u64::from_str_radix(&digits, 16) {
        Ok(0) | Err(_) => Err(format!("`{s}` is no datapath id; {EXPECTED}")),
        Ok(n) => Ok(Dpid(n)),
    }
}

/// A protocol version: `1.3` or `OpenFlow13`.
pub fn version(s: &str) -> Result<Version, String> {
    Version::parse(s.trim()).ok_or_else(|| {
        format!("`{s}` is no OpenFlow version; expected 1.0, 1.1, 1.2, 1.3, 1.4 or 1.5 (or OpenFlow10 …)")
    })
}

/// A number of workers.
pub fn workers(n: i64) -> Result<usize, String> {
    usize::try_from(n)
        .ok()
        .filter(|n| (1..=MAX_WORKERS).contains(n))
        .ok_or_else(|| format!("{n} workers can't be; expected 1 to {MAX_WORKERS}"))
}

/// CPUs, as in `0,2-3`: not empty, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

impl FromStr for CpuList {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let n = text.parse::<usize>().ok().filter(|n| *n <= MAX_CPU);
            n.ok_or_else(|| format!("`{text}` is no CPU; expected 0 to {MAX_CPU}, as in `0,2-3`"))
        };
        let mut cpus = Vec::new();
        for part in s.split(',') {
            match part.split_once('-') {
                None => cpus.push(number(part)?),
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    if from > to {
                        return Err(format!("`{part}` runs backwards"));
                    }
                    cpus.extend(from..=to);
                }
            }
            if cpus.len() > MAX_CPU + 1 {
                return Err(format!("more than {} CPUs", MAX_CPU + 1));
            }
        }
        Ok(Self(cpus))
    }
}

/// Seconds between probes; 0 is never.
pub fn probe(n: i64) -> Result<u32, String> {
    u32::try_from(n)
        .ok()
        .filter(|n| *n <= MAX_PROBE)
        .ok_or_else(|| format!("{n} seconds can't be; expected 0 (never) to {MAX_PROBE}"))
}

/// Packets for controllers per second; 0 is any number.
pub fn packet_in_rate(n: i64) -> Result<u32, String> {
    u32::try_from(n)
        .ok()
        .filter(|n| *n <= MAX_PACKET_INS)
        .ok_or_else(|| format!("{n} a second can't be; expected 0 (any number) to {MAX_PACKET_INS}"))
}

/// Packets for controllers at once.
pub fn packet_in_burst(n: i64) -> Result<u32, String> {
    u32::try_from(n)
        .ok()
        .filter(|n| (1..=MAX_PACKET_INS).contains(n))
        .ok_or_else(|| format!("{n} packets can't be; expected 1 to {MAX_PACKET_INS}"))
}

/// Most packets for controllers, per second and at once.
pub const MAX_PACKET_INS: u32 = 10_000_000;

/// Longest silence before a probe, in seconds: a day.
pub const MAX_PROBE: u32 = 86_400;

/// The highest number of a CPU.
pub const MAX_CPU: usize = 1023;

/// Most worker threads.
pub const MAX_WORKERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_take_a_number_a_name_and_a_type() {
        let p: PortSpec = "3=eth0,type=tap".parse().unwrap();
        assert_eq!((p.number, p.name.as_str(), p.kind), (Some(PortNo(3)), "eth0", PortKind::Tap));
        assert_eq!(p.to_string(), "3=eth0,type=tap");
        let p: PortSpec = "s1-eth1".parse().unwrap();
        assert_eq!((p.number, p.kind, p.workers), (None, PortKind::AfPacket, 1));
        let p: PortSpec = "s1-eth1,workers=3".parse().unwrap();
        assert_eq!((p.kind, p.workers), (PortKind::AfPacket, 3));
        assert_eq!(p.to_string(), "s1-eth1,type=af_packet,workers=3");
        assert_eq!("e,type=af_xdp".parse::<PortSpec>().map(|p| p.kind), Ok(PortKind::AfXdp));
    }

    #[test]
    fn a_bad_port_says_what_was_expected() {
        for (text, why) in [
            ("", "missing"),
            ("0=eth0", "expected 1 to 65279"),
            ("65280=eth0", "expected 1 to 65279"),
            ("x=eth0", "expected 1 to 65279"),
            ("1=", "missing"),
            ("1=a234567890123456", "15 at most"),
            ("a/b", "'/'"),
            ("eth0,type=dpdk", "expected `af_packet`, `tap` or `af_xdp`"),
            ("eth0,speed=10", "unknown port option `speed`"),
            ("eth0,tap", "expected `type="),
            ("eth0,workers=0", "expected 1 to 64"),
            ("eth0,workers=65", "expected 1 to 64"),
            ("eth0,workers=all", "`all` is no number of workers"),
            ("eth0,workers=2,workers=2", "twice"),
            ("eth0,type=tap,type=tap", "twice"),
        ] {
            let e = text.parse::<PortSpec>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn cpus_are_numbers_and_ranges() {
        assert_eq!("0,2-3,1".parse(), Ok(CpuList(vec![0, 2, 3, 1])));
        for (text, why) in [
            ("", "expected 0 to 1023"),
            ("0,x", "`x`"),
            ("3-1", "backwards"),
            ("1024", "0 to 1023"),
            ("0-1023,0", "more"),
        ] {
            let e = text.parse::<CpuList>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

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

    #[test]
    fn datapath_ids_and_versions() {
        assert_eq!(dpid("0x00000000000000ff"), Ok(Dpid(255)));
        assert_eq!(dpid("00:00:00:00:00:00:00:0a"), Ok(Dpid(10)));
        for bad in ["", "0", "0x", "g", "00000000000000001", "+1"] {
            assert!(dpid(bad).is_err(), "{bad}");
        }
        assert_eq!(version("OpenFlow13"), Ok(Version::V13));
        assert_eq!(version(" 1.5"), Ok(Version::V15));
        assert!(version("1.6").unwrap_err().contains("1.3, 1.4 or 1.5"));
    }
}

//! The values that options take, each parsed in one place for the command line and the file alike.
//!
//! Every error says what was expected; the caller adds the option's name and place.

use ofproto::Version;
use ofproto::ids::{Dpid, PortNo};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

/// How long a thread may look for more to do, from a number of microseconds.
pub fn spin(n: i64) -> Result<Duration, String> {
    u64::try_from(n)
        .ok()
        .map(Duration::from_micros)
        .filter(|d| *d <= MAX_SPIN)
        .ok_or_else(|| format!("{n} microseconds can't be; expected 0 to {}", MAX_SPIN.as_micros()))
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

/// Most flows of a table: as many as it was measured with.
pub const MAX_TABLE_SIZE: u32 = 1_000_000;
/// Packets for controllers per second; 0 is any number.
pub fn packet_in_rate(n: i64) -> Result<u32, String> {
    u32::try_from(n)
        .ok()
        .filter(|n| *n <= MAX_PACKET_INS)
        .ok_or_else(|| format!("{n} a second can't be; expected 0 (any number) to {MAX_PACKET_INS}"))
}

/// Flows of a table.
pub fn table_size(n: i64) -> Result<u32, String> {
    u32::try_from(n)
        .ok()
        .filter(|n| (1..=MAX_TABLE_SIZE).contains(n))
        .ok_or_else(|| format!("a table of {n} flows can't be; expected 1 to {MAX_TABLE_SIZE}"))
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

/// The longest time that threads may look for more to do.
const MAX_SPIN: Duration = Duration::from_millis(10);

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

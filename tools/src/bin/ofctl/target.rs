//! Where the switch is: `unix:PATH` or `tcp:HOST[:PORT]`.

use anyhow::{Context as _, anyhow};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// OpenFlow's port (OpenFlow 1.3.5 §6.3.1).
const DEFAULT_PORT: u16 = 6653;

/// An address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// A host and port.
    Tcp(String, u16),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let forms = "expected unix:PATH or tcp:HOST[:PORT]";
        if let Some(path) = s.strip_prefix("unix:") {
            return if path.is_empty() { Err(format!("no path; {forms}")) } else { Ok(Self::Unix(path.into())) };
        }
        let Some(rest) = s.strip_prefix("tcp:") else {
            // A path alone can't mean anything else.
            return if s.starts_with(['/', '.']) { Ok(Self::Unix(s.into())) } else { Err(forms.into()) };
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, after)) => (host, Some(after.strip_prefix(':').ok_or(forms)?)),
            // Several colons without brackets are an IPv6 address without a port.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest.split_once(':').map_or((rest, None), |(h, p)| (h, Some(p))),
        };
        if host.is_empty() {
            return Err(format!("no host; {forms}"));
        }
        let port = match port {
            Some(p) => p.parse().map_err(|_| format!("`{p}` is no port number"))?,
            None => DEFAULT_PORT,
        };
        Ok(Self::Tcp(host.into(), port))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp:{host}:{port}"),
        }
    }
}

impl Target {
    /// Dials.
    pub fn connect(&self, timeout: Duration) -> anyhow::Result<Stream> {
        let stream = match self {
            Self::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Self::Tcp(host, port) => {
                let addresses: Vec<_> = (host.as_str(), *port)
                    .to_socket_addrs()
                    .with_context(|| format!("cannot find the host of {self}"))?
                    .collect();
                let mut last = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                for address in addresses {
                    last = TcpStream::connect_timeout(&address, timeout).map(Stream::Tcp);
                    if last.is_ok() {
                        break;
                    }
                }
                last
            }
        };
        let stream = stream.map_err(|e| anyhow!("cannot connect to {self}: {e}"))?;
        if let Stream::Tcp(tcp) = &stream {
            tcp.set_nodelay(true)?;
        }
        stream.set_write_timeout(Some(timeout))?;
        Ok(stream)
    }
}

/// A connection's socket.
#[derive(Debug)]
pub enum Stream {
    /// Unix.
    Unix(UnixStream),
    /// TCP.
    Tcp(TcpStream),
}

impl Stream {
    /// How long a read may wait; `None` for ever. Zero counts as a microsecond.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|t| t.max(Duration::from_micros(1)));
        match self {
            Self::Unix(s) => s.set_read_timeout(timeout),
            Self::Tcp(s) => s.set_read_timeout(timeout),
        }
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(s) => s.set_write_timeout(timeout),
            Self::Tcp(s) => s.set_write_timeout(timeout),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.read(buf),
            Self::Tcp(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.write(buf),
            Self::Tcp(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(s) => s.flush(),
            Self::Tcp(s) => s.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_and_print() {
        for (text, shown) in [
            ("unix:/run/of.sock", "unix:/run/of.sock"),
            ("/run/of.sock", "unix:/run/of.sock"),
            ("./of.sock", "unix:./of.sock"),
            ("tcp:10.0.0.1", "tcp:10.0.0.1:6653"),
            ("tcp:switch.example:6633", "tcp:switch.example:6633"),
            ("tcp:[::1]:6633", "tcp:[::1]:6633"),
            ("tcp:[fe80::1]", "tcp:[fe80::1]:6653"),
            ("tcp:::1", "tcp:[::1]:6653"),
        ] {
            assert_eq!(text.parse::<Target>().expect(text).to_string(), shown);
        }
        for text in ["", "br0", "unix:", "tcp:", "tcp::6653", "tcp:h:99999", "tcp:[::1]x", "ssl:h"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}

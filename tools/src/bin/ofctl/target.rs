//! Where the switch is: a bridge's name, `unix:PATH`, `tcp:HOST[:PORT]` or `ssl:HOST[:PORT]`.

pub use crate::tls::TlsFiles;
use crate::tls::TlsStream;
use anyhow::{Context as _, anyhow};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// OpenFlow's port (OpenFlow 1.3.5 §6.3.1).
const DEFAULT_PORT: u16 = 6653;

/// Where switchd puts its sockets.
const RUN: &str = "/run/switchd";
/// What there is to dial.
const FORMS: &str = "expected a bridge's name, unix:PATH, tcp:HOST[:PORT] or ssl:HOST[:PORT]";

/// An address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A bridge of a switchd on this machine, by its name.
    Bridge(String),
    /// A unix socket.
    Unix(PathBuf),
    /// A host and port.
    Tcp(String, u16),
    /// A host and port, by TLS.
    Tls(String, u16),
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => (host, Some(after.strip_prefix(':').ok_or(FORMS)?)),
        // Several colons without brackets are an IPv6 address without a port.
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
    };
    if host.is_empty() {
        return Err(format!("no host; {FORMS}"));
    }
    let port = match port {
        Some(p) => p.parse().map_err(|_| format!("`{p}` is no port number"))?,
        None => DEFAULT_PORT,
    };
    Ok((host.into(), port))
}

impl FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (scheme, rest) = s.split_once(':').unwrap_or(("", s));
        match scheme {
            "unix" if rest.is_empty() => Err(format!("no path; {FORMS}")),
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" => host_and_port(rest).map(|(host, port)| Self::Tcp(host, port)),
            "ssl" | "tls" => host_and_port(rest).map(|(host, port)| Self::Tls(host, port)),
            // A path alone can't mean anything else.
            _ if s.contains('/') => Ok(Self::Unix(s.into())),
            "" if s.chars().any(char::is_alphanumeric) && !s.starts_with(':') => Ok(Self::Bridge(s.into())),
            _ => Err(FORMS.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, scheme: &str, host: &str, port: u16| {
            if host.contains(':') { write!(f, "{scheme}:[{host}]:{port}") } else { write!(f, "{scheme}:{host}:{port}") }
        };
        match self {
            Self::Bridge(_) => write!(f, "unix:{}", self.path("mgmt").display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) => at(f, "tcp", host, *port),
            Self::Tls(host, port) => at(f, "ssl", host, *port),
        }
    }
}

impl Target {
    /// The socket's path; of a bridge its socket of this kind. Empty for what is reached otherwise.
    fn path(&self, kind: &str) -> PathBuf {
        match self {
            Self::Bridge(name) => Path::new(RUN).join(format!("{name}.{kind}")),
            Self::Unix(path) => path.clone(),
            Self::Tcp(..) | Self::Tls(..) => PathBuf::new(),
        }
    }

    /// Where those listen that watch this switch's controllers: a bridge has a socket of its own for them.
    pub fn watched(self) -> Self {
        match &self {
            Self::Bridge(_) => Self::Unix(self.path("snoop")),
            _ => self,
        }
    }

    /// Dials.
    pub fn connect(&self, timeout: Duration, files: &TlsFiles) -> anyhow::Result<Stream> {
        let stream = match self {
            Self::Bridge(_) | Self::Unix(_) => UnixStream::connect(self.path("mgmt")).map(Stream::Unix),
            Self::Tcp(host, port) => tcp(host, *port, timeout).map(Stream::Tcp),
            Self::Tls(host, port) => {
                // What is wrong with the files is wrong with or without a switch.
                let tls = files.load()?;
                match tcp(host, *port, timeout) {
                    Ok(socket) => {
                        socket.set_read_timeout(Some(timeout))?;
                        socket.set_write_timeout(Some(timeout))?;
                        let secured = tls.secure(socket, host).with_context(|| format!("no TLS with {self}"))?;
                        Ok(Stream::Tls(Box::new(secured)))
                    }
                    Err(e) => Err(e),
                }
            }
        };
        let stream = stream.map_err(|e| match self {
            Self::Bridge(name) => anyhow!(
                "cannot connect to {self}: {e}; there a switchd listens that has a bridge `{name}` and was given no \
                 --management"
            ),
            _ => anyhow!("cannot connect to {self}: {e}"),
        })?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(stream)
    }
}

fn tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in (host, port).to_socket_addrs()? {
        last = TcpStream::connect_timeout(&address, timeout);
        if last.is_ok() {
            break;
        }
    }
    let stream = last?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection's socket.
#[derive(Debug)]
pub enum Stream {
    /// Unix.
    Unix(UnixStream),
    /// TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// How long a read may wait; `None` for ever. Zero counts as a microsecond.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|t| t.max(Duration::from_micros(1)));
        match self {
            Self::Unix(s) => s.set_read_timeout(timeout),
            Self::Tcp(s) => s.set_read_timeout(timeout),
            Self::Tls(s) => s.sock.set_read_timeout(timeout),
        }
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(s) => s.set_write_timeout(timeout),
            Self::Tcp(s) => s.set_write_timeout(timeout),
            Self::Tls(s) => s.sock.set_write_timeout(timeout),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.read(buf),
            Self::Tcp(s) => s.read(buf),
            Self::Tls(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.write(buf),
            Self::Tcp(s) => s.write(buf),
            Self::Tls(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(s) => s.flush(),
            Self::Tcp(s) => s.flush(),
            Self::Tls(s) => s.flush(),
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
            ("ssl:10.0.0.1", "ssl:10.0.0.1:6653"),
            ("tls:[::1]:6633", "ssl:[::1]:6633"),
            ("br0", "unix:/run/switchd/br0.mgmt"),
            ("run/of.sock", "unix:run/of.sock"),
        ] {
            assert_eq!(text.parse::<Target>().expect(text).to_string(), shown);
        }
        for text in ["", "-", ":", "unix:", "tcp:", "tcp::6653", "tcp:h:99999", "tcp:[::1]x", "ssl:", "ftp:h"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let watched = |text: &str| text.parse::<Target>().expect(text).watched().to_string();
        assert_eq!(watched("br0"), "unix:/run/switchd/br0.snoop");
        assert_eq!(watched("unix:/run/a"), "unix:/run/a");
    }
}

//! Whom a certificate names, and whether that is somebody this switch talks to.
//!
//! That a certificate comes from the configured authority says only that the authority knows its holder.
//! Two further checks can be asked for: the peer must bear one of given names (`tls-peer`, and `name=` of a
//! controller), and certificates can be bound to the datapath id (`tls-bind-dpid`). A certificate names a
//! datapath by `dpid:` and 16 hexadecimal digits, in any place where a certificate holds names.

use crate::config::CertName;
use ofproto::ids::Dpid;
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, CertificateError, Error};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What a certificate says of its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// A peer must bear one of these, if there are any.
    pub peers: Vec<CertName>,
    /// Certificates are bound to this datapath id.
    pub dpid: Option<Dpid>,
}

/// What the name of a datapath begins with.
const DPID: &str = "dpid:";

impl Names {
    /// Reads them: alternative names first, then the subject's common names.
    ///
    /// # Errors
    /// It is no certificate, or its names can't be read.
    pub fn of(cert: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, cert) = X509Certificate::from_der(cert).map_err(|e| format!("the certificate can't be read: {e}"))?;
        let alternative = cert.subject_alternative_name().map_err(|e| format!("the certificate's names: {e}"))?;
        let alternative = alternative.iter().flat_map(|a| &a.value.general_names).filter_map(|n| match n {
            GeneralName::DNSName(n) | GeneralName::URI(n) | GeneralName::RFC822Name(n) => Some((*n).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
        let common = cert.subject().iter_common_name().filter_map(|n| n.as_str().ok()).map(str::to_owned);
        Ok(Self(alternative.chain(common).collect()))
    }

    fn bears(&self, name: &str) -> bool {
        self.0.iter().any(|n| n.eq_ignore_ascii_case(name))
    }

    /// The names of datapaths.
    fn datapaths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|n| n.get(..DPID.len()).is_some_and(|p| p.eq_ignore_ascii_case(DPID)))
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { f.write_str("no name") } else { write!(f, "`{}`", self.0.join("`, `")) }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|b| Ipv4Addr::from(b).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).to_string())).ok()
}

fn datapath(dpid: Dpid) -> String {
    format!("{DPID}{:016x}", dpid.0)
}

impl Policy {
    /// Judges a peer; `name` is what this one alone must bear.
    ///
    /// # Errors
    /// What it bears and what was expected.
    pub fn peer(&self, names: &Names, name: Option<&CertName>) -> Result<(), String> {
        if let Some(name) = name
            && !names.bears(name.as_str())
        {
            return Err(format!("the peer's certificate bears {names}; expected `{name}` (name= of --controller)"));
        }
        if !self.peers.is_empty() && !self.peers.iter().any(|p| names.bears(p.as_str())) {
            let peers = self.peers.iter().map(CertName::as_str).collect::<Vec<_>>().join("`, `");
            return Err(format!("the peer's certificate bears {names}; expected one of `{peers}` (--tls-peer)"));
        }
        match self.dpid.map(datapath) {
            Some(own) if names.datapaths().next().is_some() && !names.bears(&own) => Err(format!(
                "the peer's certificate is for other datapaths: it bears {names}; this one is `{own}` (--tls-bind-dpid)"
            )),
            _ => Ok(()),
        }
    }

    /// Judges the switch's own certificate.
    ///
    /// # Errors
    /// It doesn't name this datapath and should.
    pub fn own(&self, names: &Names) -> Result<(), String> {
        match self.dpid.map(datapath) {
            Some(own) if !names.bears(&own) => Err(format!(
                "the certificate bears {names}; bound to the datapath id (--tls-bind-dpid), it must bear `{own}`"
            )),
            _ => Ok(()),
        }
    }

    /// Whether names have to be looked at at all.
    pub fn looks(&self) -> bool {
        !self.peers.is_empty() || self.dpid.is_some()
    }
}

/// Why a certificate can't be used at this time, if so.
pub fn out_of_date(cert: &CertificateDer<'_>, now: SystemTime) -> Option<String> {
    let (_, cert) = X509Certificate::from_der(cert).ok()?;
    let now = i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let validity = cert.validity();
    if validity.not_after.timestamp() < now {
        return Some(format!("has expired ({})", validity.not_after));
    }
    (now < validity.not_before.timestamp()).then(|| format!("isn't valid before {}", validity.not_before))
}

/// Why TLS failed, in words that say which side's certificate to look at.
pub fn explain(e: &io::Error) -> String {
    let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return e.to_string() };
    let why = match tls {
        Error::InvalidCertificate(c) => match c {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the peer's certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the peer's certificate isn't valid yet"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the peer's certificate isn't signed by the authority of --tls-ca"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "the peer's certificate is for another purpose"
            }
            _ => "the peer's certificate can't be taken",
        },
        Error::NoCertificatesPresented => "the peer shows no certificate",
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the peer says that our certificate (--tls-cert) has expired"
        }
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "the peer doesn't know the authority of our certificate (--tls-cert)"
        }
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => "the peer doesn't take our certificate (--tls-cert)",
        Error::InvalidMessage(_) => "the peer doesn't speak TLS",
        _ => return format!("TLS: {tls}"),
    };
    format!("TLS: {why} ({tls})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        Names(list.iter().map(|n| (*n).to_owned()).collect())
    }

    fn policy(peers: &[&str], dpid: Option<u64>) -> Policy {
        Policy { peers: peers.iter().map(|p| p.parse().unwrap()).collect(), dpid: dpid.map(Dpid) }
    }

    #[test]
    fn a_certificate_s_names_are_those_of_all_its_places() {
        let mut params = rcgen::CertificateParams::new(["c0.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI("dpid:00000000000000d1".try_into().unwrap()));
        params.distinguished_name.push(rcgen::DnType::CommonName, "ctl id:1234");
        let key = rcgen::KeyPair::generate().unwrap();
        let found = Names::of(params.self_signed(&key).unwrap().der()).unwrap();
        for name in ["C0.example", "10.0.0.1", "dpid:00000000000000D1", "ctl id:1234"] {
            assert!(found.bears(name), "{name}: {found}");
        }
        assert!(!found.bears("c0") && !found.bears(""));
        assert!(Names::of(&CertificateDer::from(vec![0x30, 3, 1, 2])).is_err());
    }

    #[test]
    fn a_certificate_has_its_time() {
        let mut params = rcgen::CertificateParams::new(["c0.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        let cert = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let at = |seconds| out_of_date(cert.der(), UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        assert_eq!(at(1_590_000_000), None);
        assert!(at(1_570_000_000).unwrap().contains("isn't valid before"));
        assert!(at(1_610_000_000).unwrap().contains("has expired"));
    }

    #[test]
    fn a_peer_must_bear_one_of_the_names() {
        let p = policy(&["c0", "c1"], None);
        assert_eq!(p.peer(&names(&["x", "c1"]), None), Ok(()));
        let e = p.peer(&names(&["x", "c2"]), None).unwrap_err();
        assert!(e.contains("`x`, `c2`; expected one of `c0`, `c1`"), "{e}");
        assert!(p.peer(&names(&[]), None).unwrap_err().contains("no name"));
        let own = "c0".parse().unwrap();
        assert!(p.peer(&names(&["c1"]), Some(&own)).unwrap_err().contains("expected `c0`"));
        assert_eq!(policy(&[], None).peer(&names(&[]), None), Ok(()));
    }

    #[test]
    fn a_datapath_is_bound_both_ways() {
        let p = policy(&[], Some(0xd1));
        assert_eq!(p.own(&names(&["sw", "DPID:00000000000000d1"])), Ok(()));
        assert!(p.own(&names(&["sw"])).unwrap_err().contains("must bear `dpid:00000000000000d1`"));
        assert_eq!(p.peer(&names(&["c0"]), None), Ok(()), "bound to none");
        assert_eq!(p.peer(&names(&["dpid:00000000000000d2", "dpid:00000000000000d1"]), None), Ok(()));
        assert!(p.peer(&names(&["dpid:00000000000000d2"]), None).unwrap_err().contains("other datapaths"));
    }
}

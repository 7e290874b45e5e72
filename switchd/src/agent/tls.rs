//! TLS for OpenFlow channels (OpenFlow 1.3.5 §6.3.6): both sides show a certificate, and each must come
//! from the configured authority.
//!
//! A controller is known by its certificate's chain, not by a name: authorities made for OpenFlow
//! (`ovs-pki` and its like) sign names that no DNS has, and controllers are given by address; names are
//! looked at where the configuration asks for it (see [`identity`](super::identity)). Files that have changed
//! are read again for the next connection, so that renewed ones need no restart.

use super::identity::{Names, Policy, out_of_date};
use crate::config::{CertName, Tls};
use ofproto::ids::Dpid;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How soon files that couldn't be used are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What tells one version of a file from another.
type Stamp = [Option<(SystemTime, u64, u64)>; 3];

/// Both sides' settings, made of one reading of the files.
#[derive(Clone)]
struct Loaded {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// Certificates and keys by their files.
pub struct TlsFiles {
    files: Tls,
    policy: Policy,
    loaded: Mutex<Held>,
}

struct Held {
    loaded: Loaded,
    /// Of the files that were read.
    stamp: Stamp,
    /// When files that have changed turned out unusable.
    failed: Option<Instant>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles").field("files", &self.files).finish_non_exhaustive()
    }
}

/// A file and the option that names it.
#[derive(Clone, Copy)]
struct Named<'a>(&'static str, &'a Path);

impl Named<'_> {
    fn bad(self, what: &str, e: impl std::fmt::Display) -> io::Error {
        io::Error::other(format!("{self}: {what}: {e}"))
    }

    fn certificates(self) -> io::Result<Vec<CertificateDer<'static>>> {
        let read = |e| self.bad("can't be read as PEM certificates", e);
        let list = CertificateDer::pem_file_iter(self.1).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
        if list.is_empty() {
            return Err(self.bad("unusable", "there is no certificate in it"));
        }
        Ok(list)
    }
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--{} {}", self.0, self.1.display())
    }
}

fn stamp(files: &Tls) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    [&files.key, &files.cert, &files.ca].map(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.ino(), meta.len()))
    })
}

fn load(files: &Tls, policy: &Policy) -> io::Result<Loaded> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (ca, cert, key) = (Named("tls-ca", &files.ca), Named("tls-cert", &files.cert), Named("tls-key", &files.key));
    let mut roots = RootCertStore::empty();
    for root in ca.certificates()? {
        roots.add(root).map_err(|e| ca.bad("can't be an authority", e))?;
    }
    let roots = Arc::new(roots);
    let chain = cert.certificates()?;
    if let Some(own) = chain.first() {
        if policy.looks() {
            Names::of(own).and_then(|names| policy.own(&names)).map_err(|e| cert.bad("unusable", e))?;
        }
        // No reason not to start: the clock may not be right yet.
        if let Some(why) = out_of_date(own, SystemTime::now()) {
            tracing::warn!("{cert}: the certificate {why}: peers won't take it");
        }
    }
    let unfit = |e| cert.bad(&format!("doesn't go with {key}"), e);
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| key.bad("can't be read as a PEM key", e))?;
    let versions = |e| io::Error::other(format!("TLS: {e}"));

    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ChainOnly {
            roots: Arc::clone(&roots),
            provider: Arc::clone(&provider),
        }))
        .with_client_auth_cert(chain.clone(), key.clone_key())
        .map_err(unfit)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|e| ca.bad("can't be an authority", e))?;
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(versions)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    Ok(Loaded { client: Arc::new(client), server: Arc::new(server) })
}

impl TlsFiles {
    /// Reads the files, for a switch with this datapath id.
    ///
    /// # Errors
    /// A file can't be read, or isn't what it should be: which and why.
    pub fn new(files: Tls, dpid: Dpid) -> io::Result<Self> {
        let policy = Policy { peers: files.peers.clone(), dpid: files.bind_dpid.then_some(dpid) };
        let stamp = stamp(&files);
        let loaded = load(&files, &policy)?;
        Ok(Self { files, policy, loaded: Mutex::new(Held { loaded, stamp, failed: None }) })
    }

    /// The settings, read again if a file has changed; the old ones while the files are unusable, which they
    /// are while they are being replaced one by one.
    fn current(&self) -> Loaded {
        let mut held = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.files);
        if stamp != held.stamp && held.failed.is_none_or(|at| at.elapsed() >= AGAIN) {
            match load(&self.files, &self.policy) {
                Ok(loaded) => {
                    tracing::info!(cert = %self.files.cert.display(), "TLS files read again");
                    *held = Held { loaded, stamp, failed: None };
                }
                Err(e) => {
                    tracing::warn!(error = %e, "TLS files are unusable; what was read before stays");
                    held.failed = Some(Instant::now());
                }
            }
        }
        held.loaded.clone()
    }

    /// Judges the peer by its certificate's names; `name` is what this one must bear.
    ///
    /// # Errors
    /// It is somebody else, or shows no certificate.
    pub fn admit(&self, peer: Option<&[CertificateDer<'_>]>, name: Option<&CertName>) -> io::Result<()> {
        if name.is_none() && !self.policy.looks() {
            return Ok(());
        }
        let denied = |why| io::Error::new(io::ErrorKind::PermissionDenied, why);
        let cert = peer.and_then(|chain| chain.first());
        let cert = cert.ok_or_else(|| denied("the peer shows no certificate".to_owned()))?;
        Names::of(cert).and_then(|names| self.policy.peer(&names, name)).map_err(denied)
    }

    /// For dialling.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.current().client)
    }

    /// For listening.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().server)
    }
}

/// The name that a dialled host is asked for by; it is not verified.
pub fn server_name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned())
        .unwrap_or_else(|_| ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()))
}

/// Accepts every certificate that the authority signed, whatever its name.
#[derive(Debug)]
struct ChainOnly {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let cert = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

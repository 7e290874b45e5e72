//! TLS to a switch (OpenFlow 1.3.5 §6.3.6): both sides show a certificate, and the switch's must come from the
//! authority, whatever name it bears, as with ovs-ofctl: switches are given by address.

use crate::Misuse;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, StreamOwned,
};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// TLS over TCP.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Key, certificate and authority, for `ssl:` targets. (`-c` is read before the command.)
#[derive(Args, Debug, Default)]
pub struct TlsFiles {
    /// This side's private key (PEM), for ssl:
    #[arg(short, long, global = true, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// This side's certificate (PEM), for ssl:; -c before the command
    #[arg(long, global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The authority that the switch's certificate must come from (PEM), for ssl:
    #[arg(short = 'C', long, global = true, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
}

/// What is needed to dial by TLS.
pub struct Tls(Arc<ClientConfig>);

fn certificates(option: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable = || format!("{option} {}: can't be read as PEM certificates", path.display());
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(unreadable)?
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    if list.is_empty() {
        bail!("{option} {}: there is no certificate in it", path.display());
    }
    Ok(list)
}

impl TlsFiles {
    /// Reads the files.
    pub fn load(&self) -> anyhow::Result<Tls> {
        let (Some(key), Some(certificate), Some(authority)) = (&self.private_key, &self.certificate, &self.ca_cert)
        else {
            bail!(Misuse("ssl: needs --private-key, --certificate and --ca-cert".into()));
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for cert in certificates("--ca-cert", authority)? {
            roots.add(cert).with_context(|| format!("--ca-cert {}: can't be an authority", authority.display()))?;
        }
        let chain = certificates("--certificate", certificate)?;
        let unfit =
            || format!("--certificate {}: doesn't go with --private-key {}", certificate.display(), key.display());
        let key = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("--private-key {}: can't be read as a PEM key", key.display()))?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ChainOnly { roots, provider }))
            .with_client_auth_cert(chain, key)
            .with_context(unfit)?;
        Ok(Tls(Arc::new(config)))
    }
}

impl Tls {
    /// Shakes hands.
    pub fn secure(&self, mut socket: TcpStream, host: &str) -> anyhow::Result<TlsStream> {
        let name = ServerName::try_from(host.to_owned())
            .unwrap_or_else(|_| ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()));
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(|e| match e.kind() {
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => anyhow!("no answer in time"),
                _ => e.into(),
            })?;
        }
        Ok(StreamOwned::new(connection, socket))
    }
}

/// Accepts every certificate that the authority signed, whatever its name.
#[derive(Debug)]
struct ChainOnly {
    roots: RootCertStore,
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
    ) -> Result<ServerCertVerified, Error> {
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
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! TLS (rustls): whom to trust, what to show, and what failed.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    RootCertStore, SignatureScheme,
};

use crate::error::{Error, ErrorKind};
use crate::options::{Endpoint, TlsOptions};

/// The TLS of one client: its files are read at the first connection, and again after a failure, so
/// that renewed certificates are taken up.
#[derive(Debug)]
pub(super) struct Tls {
    options: TlsOptions,
    config: ArcSwapOption<ClientConfig>,
}

impl Tls {
    pub(super) fn new(options: TlsOptions) -> Self {
        Self { options, config: ArcSwapOption::empty() }
    }

    /// Returns the configuration of a connection.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`] for files that cannot be read or do not hold what they should.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.load_full() {
            return Ok(config);
        }
        let config = Arc::new(read(&self.options)?);
        self.config.store(Some(config.clone()));
        Ok(config)
    }

    /// Has the files read again at the next connection.
    pub(super) fn reread(&self) {
        self.config.store(None);
    }

    /// Returns the name that the certificate of `endpoint` must be made out to.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`] where there is none.
    pub(super) fn name(&self, endpoint: &Endpoint) -> Result<ServerName<'static>, Error> {
        let name = match (&self.options.server_name, endpoint) {
            (Some(name), _) => name,
            (None, Endpoint::Tcp { host, .. }) => host,
            (None, Endpoint::Unix(_)) => {
                return Err(error(
                    "a unix socket has no name to check; leave TLS out, or set server_name",
                ));
            }
        };
        ServerName::try_from(name.clone())
            .map_err(|_| error(format!("{name:?} is no name that a certificate can have")))
    }
}

fn error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Tls, message)
}

fn read(options: &TlsOptions) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|problem| error(format!("TLS cannot be set up: {problem}")))?;
    let builder = if options.accept_invalid {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAll(provider)))
    } else {
        builder.with_root_certificates(roots(options)?)
    };
    let Some(cert_file) = &options.cert_file else {
        return Ok(builder.with_no_client_auth());
    };
    let Some(key_file) = &options.key_file else {
        return Err(error("cert_file needs key_file, the private key that belongs to it"));
    };
    let what = || format!("the certificate in {}", cert_file.display());
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect)
        .map_err(|problem| error(format!("cannot read {}: {problem}", what())))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|problem| {
        error(format!("cannot read the private key in {}: {problem}", key_file.display()))
    })?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|problem| error(format!("{} cannot be used: {problem}", what())))
}

fn roots(options: &TlsOptions) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &options.ca_file {
        let what = format!("certificates in {}", file.display());
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|problem| error(format!("cannot read the {what}: {problem}")))?;
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|problem| error(format!("cannot trust the {what}: {problem}")))?;
        }
        if roots.is_empty() {
            return Err(error(format!("there are no {what}; it must be PEM")));
        }
        return Ok(roots);
    }
    // One bad certificate among the system's must not keep the good ones from being used.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(error("this system has no certificates to trust; pass ca_file"));
    }
    Ok(roots)
}

/// Returns the TLS failure in an I/O error.
pub(super) fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns the TLS failure in an I/O error, as callers see it.
pub(super) fn failure(error: &io::Error) -> Option<String> {
    Some(match cause(error)? {
        rustls::Error::InvalidCertificate(problem) => format!(
            "its certificate was refused: {}",
            match problem {
                CertificateError::UnknownIssuer => {
                    "nobody that is trusted has signed it; pass the signer's certificate as ca_file"
                        .into()
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired; renew it".into()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet; check the clocks".into()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "it is made out to another name; connect by that name, or pass it as server_name"
                        .into()
                }
                other => format!("{other:?}"),
            }
        ),
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied => format!(
                "it did not accept this client's certificate ({alert:?}); pass cert_file and key_file that \
                 it trusts"
            ),
            other => format!("it ended the handshake ({other:?})"),
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port; use its TLS port, or redis:// without TLS".into()
        }
        other => format!("the TLS connection failed: {other}"),
    })
}

/// Returns how a TLS connection begins, whoever it is to.
pub(super) fn hello() -> Option<Vec<u8>> {
    let anybody = TlsOptions { accept_invalid: true, ..TlsOptions::default() };
    let name = ServerName::try_from("localhost").ok()?;
    let mut session = ClientConnection::new(Arc::new(read(&anybody).ok()?), name).ok()?;
    let mut hello = Vec::new();
    session.write_tls(&mut hello).ok().map(|_| hello)
}

/// Takes any certificate from anybody: what `verify=False` asks for.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

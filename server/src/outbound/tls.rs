//! Whom the server believes when it connects somewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why certificates could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the certificates in {}, which SSL_CERT_FILE names", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate in PEM form, and SSL_CERT_FILE names it", path.display())]
    Empty { path: PathBuf },
    #[error("a certificate in {} cannot be used", path.display())]
    Certificate { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// The authorities that the browsers trust, and those in `bundle` besides.
///
/// # Errors
/// Where the bundle cannot be read.
pub fn client_config(bundle: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = bundle {
        let text = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let unusable = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::Certificate {
                path: path.to_owned(),
                source,
            };
            let certificate = certificate.map_err(|error| unusable(Box::new(error)))?;
            roots.add(certificate).map_err(|error| unusable(Box::new(error)))?;
        }
        if roots.len() == before {
            return Err(TlsError::Empty { path: path.to_owned() });
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

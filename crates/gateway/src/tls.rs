//! TLS 1.2 and 1.3 for S3 and admin: one certificate, read again when its files change.
//!
//! The files are the operator's (a mounted Secret, certbot's links), so they are followed by path and compared by
//! content: that sees a changed file, a replaced one and a symlink that points elsewhere, and needs no watch. What
//! connections already have stays as it is; the next handshake gets the new certificate. This module knows nothing of
//! HTTP.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio_rustls::TlsAcceptor;

/// How often the files are compared with what was last read.
const POLL_PERIOD: Duration = Duration::from_secs(1);

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key in PEM: PKCS #8, PKCS #1 or SEC1.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no usable PEM.
    #[error("{path} holds no PEM {wanted}: {reason}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The key is not the certificate's, or neither is usable.
    #[error("certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Reload {
    /// They are as they were at the last look.
    Unchanged,
    /// The next handshake uses what they hold now.
    Replaced,
    /// What they hold cannot be used: the certificate before it stays. Answered once for each content.
    Kept(TlsError),
}

/// A server's certificate and how it speaks TLS; clones share both.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    source: Arc<Source>,
}

struct Source {
    files: TlsFiles,
    current: Arc<CurrentCertificate>,
    seen: Mutex<Seen>,
}

/// Contents of both files at the last looks.
struct Seen {
    served: Contents,
    /// Something else that was there at the last look: it is judged when it is still there at the next one, because
    /// certificate and key are never replaced in the same instant.
    changed: Option<Contents>,
    refused: Option<Contents>,
}

#[derive(Clone, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let contents = files.read()?;
        let certified = contents.certified_key(&files, &provider)?;
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(certified)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<CurrentCertificate>::clone(&current));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let seen = Mutex::new(Seen { served: contents, changed: None, refused: None });
        Ok(Self { config: Arc::new(config), source: Arc::new(Source { files, current, seen }) })
    }

    /// Makes TLS streams of accepted sockets, each with the certificate of the moment.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Looks at the files, and uses what they hold if that changed and stayed so since the last look. Blocks.
    pub fn reload_if_changed(&self) -> Reload {
        let source = &*self.source;
        let mut seen = source.seen.lock();
        let contents = match source.files.read() {
            Ok(contents) => contents,
            // In the middle of being replaced, or gone for good: both are seen again at the next look.
            Err(error) => return seen.refuse(Contents::NONE, error),
        };
        if contents == seen.served {
            (seen.changed, seen.refused) = (None, None);
            return Reload::Unchanged;
        }
        if seen.refused.as_ref() == Some(&contents) {
            return Reload::Unchanged;
        }
        if seen.changed.as_ref() != Some(&contents) {
            seen.changed = Some(contents);
            return Reload::Unchanged;
        }
        match contents.certified_key(&source.files, self.config.crypto_provider()) {
            Ok(certified) => {
                source.current.0.store(Arc::new(certified));
                *seen = Seen { served: contents, changed: None, refused: None };
                Reload::Replaced
            }
            Err(error) => seen.refuse(contents, error),
        }
    }

    /// Looks at the files every second, for ever; says in the log what it does.
    pub async fn follow_files(self) {
        let mut ticks = tokio::time::interval(POLL_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let tls = self.clone();
            // Not on the reactor: a network file system may hang.
            let Ok(reload) = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await else { return };
            let certificate = self.source.files.certificate.display();
            match reload {
                Reload::Unchanged => {}
                Reload::Replaced => tracing::info!(%certificate, "TLS certificate replaced"),
                Reload::Kept(error) => {
                    tracing::error!(%certificate, error = %telemetry::with_causes(&error), "new TLS certificate refused, the old one stays");
                }
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.source.files).finish_non_exhaustive()
    }
}

impl Seen {
    fn refuse(&mut self, contents: Contents, error: TlsError) -> Reload {
        if self.refused.as_ref() == Some(&contents) {
            return Reload::Unchanged;
        }
        if self.changed.as_ref() != Some(&contents) {
            self.changed = Some(contents);
            return Reload::Unchanged;
        }
        self.refused = Some(contents);
        Reload::Kept(error)
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let read =
            |path: &PathBuf| read_file(path).map_err(|source| TlsError::Unreadable { path: path.clone(), source });
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }
}

#[allow(clippy::disallowed_methods, reason = "the operator's own files, read-only and on no disk of the store")]
fn read_file(path: &PathBuf) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

impl Contents {
    /// What an unreadable pair of files counts as.
    const NONE: Self = Self { certificate: Vec::new(), key: Vec::new() };

    fn certified_key(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let not_pem = |path: &PathBuf, wanted, reason| TlsError::NotPem { path: path.clone(), wanted, reason };
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| not_pem(&files.certificate, "certificate", error.to_string()))?;
        if chain.is_empty() {
            return Err(not_pem(&files.certificate, "certificate", "no such section".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| not_pem(&files.key, "private key", error.to_string()))?;
        CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Unusable)
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate")
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test of files")]
mod tests {
    use super::*;

    /// Writes a fresh self-signed certificate and its key.
    fn write_certificate(directory: &std::path::Path) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn served(tls: &Tls) -> Vec<u8> {
        tls.source.current.0.load().cert[0].to_vec()
    }

    #[test]
    fn a_changed_certificate_is_used_once_both_files_have_settled() {
        let directory = tempfile::tempdir().unwrap();
        let tls = Tls::load(write_certificate(directory.path())).unwrap();
        let first = served(&tls);
        assert!(matches!(tls.reload_if_changed(), Reload::Unchanged));

        write_certificate(directory.path());
        assert!(matches!(tls.reload_if_changed(), Reload::Unchanged), "not judged while it may still change");
        assert!(matches!(tls.reload_if_changed(), Reload::Replaced));
        assert_ne!(served(&tls), first);
        assert!(matches!(tls.reload_if_changed(), Reload::Unchanged));
    }

    #[test]
    fn a_symlink_that_points_elsewhere_is_a_changed_certificate() {
        let (old, new, links) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_certificate(old.path());
        write_certificate(new.path());
        let data = links.path().join("..data");
        std::os::unix::fs::symlink(old.path(), &data).unwrap();
        let files = TlsFiles { certificate: data.join("tls.crt"), key: data.join("tls.key") };
        let tls = Tls::load(files).unwrap();
        let first = served(&tls);

        let moving = links.path().join("..moving");
        std::os::unix::fs::symlink(new.path(), &moving).unwrap();
        std::fs::rename(&moving, &data).unwrap();
        tls.reload_if_changed();
        assert!(matches!(tls.reload_if_changed(), Reload::Replaced));
        assert_ne!(served(&tls), first);
    }

    #[test]
    fn a_broken_certificate_is_refused_once_and_the_old_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let files = write_certificate(directory.path());
        let tls = Tls::load(files.clone()).unwrap();
        let first = served(&tls);
        let good = std::fs::read(&files.certificate).unwrap();

        std::fs::write(&files.certificate, "no certificate").unwrap();
        tls.reload_if_changed();
        assert!(matches!(tls.reload_if_changed(), Reload::Kept(TlsError::NotPem { .. })));
        assert!(matches!(tls.reload_if_changed(), Reload::Unchanged), "said once");
        assert_eq!(served(&tls), first);

        std::fs::remove_file(&files.certificate).unwrap();
        tls.reload_if_changed();
        assert!(matches!(tls.reload_if_changed(), Reload::Kept(TlsError::Unreadable { .. })));
        std::fs::write(&files.certificate, good).unwrap();
        assert!(matches!(tls.reload_if_changed(), Reload::Unchanged));
        assert_eq!(served(&tls), first);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = TlsFiles { key: write_certificate(other.path()).key, ..write_certificate(one.path()) };
        assert!(matches!(Tls::load(files), Err(TlsError::Unusable(_))));
    }
}

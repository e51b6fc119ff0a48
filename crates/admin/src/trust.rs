//! Which certificates of an admin API are trusted: those that an authority in the user's file vouches for, and those
//! that are in the file themselves.
//!
//! A certificate of one's own, made by one command and named with `--tls-cert`, has nobody above it. webpki takes no
//! certificate that calls itself an authority for a server's own, which such a one often does, so that it is compared
//! here. Its time and its names count all the same.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What a user's file of certificates vouches for.
#[derive(Debug)]
pub(crate) struct TrustedCertificates {
    listed: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    issued: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl TrustedCertificates {
    /// Trusts `listed`, and what they issued. With none, nothing is trusted.
    ///
    /// # Errors
    /// rustls's, where one is no X.509 certificate.
    pub(crate) fn new(listed: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Arc<Self>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            roots.add(certificate.clone())?;
        }
        let roots = Arc::new(roots);
        let issued = match listed.is_empty() {
            true => None,
            false => {
                let builder = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
                Some(builder.build().map_err(|error| Error::General(error.to_string()))?)
            }
        };
        Ok(Arc::new(Self { listed, roots, issued, provider }))
    }

    /// A certificate that is in the file: its time, its use and its names are checked, not who signed it.
    fn verify_listed(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        // webpki looks at the time first, then at what the certificate is for, then for who signed it.
        match verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, &[], now, algorithms) {
            Err(error) if !is_of_who_signed(&error) => return Err(error),
            _ => {}
        }
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

fn is_of_who_signed(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        _ => false,
    }
}

impl ServerCertVerifier for TrustedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.listed.contains(end_entity) {
            return self.verify_listed(end_entity, server_name, now);
        }
        let issued = self.issued.as_ref().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        issued.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    /// 2030-01-01, in seconds.
    const NOW: u64 = 1_893_456_000;

    fn params(is_ca: IsCa, years: std::ops::Range<i32>) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        params
    }

    fn self_signed(is_ca: IsCa, years: std::ops::Range<i32>) -> CertificateDer<'static> {
        params(is_ca, years).self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params(is_ca, 2020..2040), KeyPair::generate().unwrap()).unwrap()
    }

    fn issued_by(authority: &CertifiedIssuer<'static, KeyPair>) -> CertificateDer<'static> {
        let params = params(IsCa::ExplicitNoCa, 2020..2040);
        params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().clone()
    }

    /// Whether a server with `certificate` is trusted under `name` by a file with `listed`.
    fn trusts(listed: &[&CertificateDer<'static>], certificate: &CertificateDer<'static>, name: &str) -> bool {
        let listed = listed.iter().map(|listed| (*listed).clone()).collect();
        let trusted = TrustedCertificates::new(listed, Arc::new(rustls::crypto::ring::default_provider())).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        trusted.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn a_certificate_that_is_in_the_file_is_trusted_whoever_signed_it() {
        let of_an_authority = issued_by(&authority());
        // As rcgen and `openssl req -x509` make them: the second calls itself an authority.
        for certificate in [
            self_signed(IsCa::NoCa, 2020..2040),
            self_signed(IsCa::Ca(BasicConstraints::Unconstrained), 2020..2040),
            of_an_authority,
        ] {
            assert!(trusts(&[&certificate], &certificate, "localhost"));
            assert!(trusts(&[&certificate], &certificate, "127.0.0.1"));
            assert!(!trusts(&[&certificate], &certificate, "example.com"), "its names count");
            assert!(!trusts(&[], &certificate, "localhost"));
        }
    }

    #[test]
    fn the_time_of_a_certificate_in_the_file_counts() {
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            let over = self_signed(is_ca, 2020..2029);
            let not_begun = self_signed(is_ca, 2031..2040);
            assert!(!trusts(&[&over], &over, "localhost") && !trusts(&[&not_begun], &not_begun, "localhost"));
        }
    }

    #[test]
    fn what_an_authority_in_the_file_issued_is_trusted_and_nothing_else() {
        let (authority, other) = (authority(), authority());
        let listed = authority.der().clone();
        assert!(trusts(&[&listed], &issued_by(&authority), "localhost"));
        assert!(!trusts(&[&listed], &issued_by(&other), "localhost"));
        let pinned = self_signed(IsCa::NoCa, 2020..2040);
        assert!(!trusts(&[&pinned], &self_signed(IsCa::NoCa, 2020..2040), "localhost"));
    }
}

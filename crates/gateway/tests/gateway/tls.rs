//! S3 over TLS 1.2 and 1.3, and the certificate replaced without a restart.

#![allow(clippy::disallowed_methods, reason = "a test of files")]

use std::path::Path;
use std::sync::Arc;

use gateway::tls::{Reload, Tls, TlsFiles};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, Payload, read_answer};
use crate::world::World;

/// Writes a fresh certificate for localhost and returns it.
fn write_certificate(directory: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

/// A connection of a client that trusts this certificate alone.
async fn connect(
    client: &Client,
    trusted: &CertificateDer<'static>,
    protocol: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[protocol])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, client.connect().await).await
}

async fn list_buckets(client: &Client, stream: &mut TlsStream<TcpStream>) -> u16 {
    let signed = client.sign("GET", "/", &[], &Payload::Whole(b""));
    stream.write_all(&signed.head()).await.unwrap();
    read_answer(stream, false).await.status
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_certificate(directory.path());
    let tls = Tls::load(files).unwrap();
    let world = World::with(|settings| settings.tls = Some(tls)).await;
    let client = world.client();
    for protocol in [&version::TLS12, &version::TLS13] {
        let mut stream = connect(&client, &certificate, protocol).await.unwrap();
        assert_eq!(list_buckets(&client, &mut stream).await, 200);
    }
}

#[tokio::test]
async fn a_replaced_certificate_serves_new_connections_and_old_ones_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old) = write_certificate(directory.path());
    let tls = Tls::load(files).unwrap();
    let served = tls.clone();
    let world = World::with(|settings| settings.tls = Some(served)).await;
    let client = world.client();
    let mut before = connect(&client, &old, &version::TLS13).await.unwrap();
    assert_eq!(list_buckets(&client, &mut before).await, 200);

    let (_, new) = write_certificate(directory.path());
    tls.reload_if_changed();
    assert!(matches!(tls.reload_if_changed(), Reload::Replaced));
    let mut after = connect(&client, &new, &version::TLS13).await.unwrap();
    assert_eq!(list_buckets(&client, &mut after).await, 200);
    assert_eq!(list_buckets(&client, &mut before).await, 200);
    assert!(connect(&client, &old, &version::TLS13).await.is_err(), "the old certificate is served no more");
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_hung_up_on() {
    let directory = tempfile::tempdir().unwrap();
    let tls = Tls::load(write_certificate(directory.path()).0).unwrap();
    let world = World::with(|settings| settings.tls = Some(tls)).await;
    let mut stream = world.client().connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(!rest.starts_with(b"HTTP/"), "{rest:?}");
}

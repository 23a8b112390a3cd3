use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyward::jwks::FailureKind;
use keyward::{FetchOptions, KeySetError, KeySource};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::server::{Reply, Server};

const SET: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}]}"#;

/// A certificate authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority for tests");
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn certify(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().clone(), &key)
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()))
}

async fn fetch(port: u16, ca_file: Option<PathBuf>) -> Result<Vec<String>, (FailureKind, String)> {
    let source = KeySource::Url(format!("https://localhost:{port}/jwks?apikey=query-secret"));
    let options = FetchOptions { ca_file, ..FetchOptions::default() };
    match keyward::fetch_key_set(&source, &options, Duration::from_secs(5)).await {
        Ok(set) => Ok(set.kids()),
        Err(KeySetError::Fetch(error)) => {
            assert!(!error.message.contains("query-secret"), "{error}");
            Err((error.kind, error.message))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_certificate_of_a_configured_authority_is_trusted_and_of_no_other() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Server::start_tls(ours.certify("localhost", |_| {}), |_| Reply::json(SET)).await;
    assert_eq!(fetch(server.port, Some(ours.file())).await, Ok(vec!["ed".to_owned()]));
    for ca_file in [Some(theirs.file()), None] {
        let (kind, error) = fetch(server.port, ca_file).await.unwrap_err();
        assert_eq!(kind, FailureKind::Tls, "{error}");
    }
}

#[tokio::test]
async fn self_signed_expired_and_foreign_certificates_are_failures_of_trust() {
    let ours = Authority::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let self_signed = acceptor(params.self_signed(&key).unwrap().der().clone(), &key);
    let expired = ours.certify("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let early = ours.certify("localhost", |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
    let foreign = ours.certify("login.example", |_| {});
    for (name, acceptor) in
        [("self-signed", self_signed), ("expired", expired), ("too early", early), ("foreign", foreign)]
    {
        let server = Server::start_tls(acceptor, |_| Reply::json(SET)).await;
        let (kind, error) = fetch(server.port, Some(ours.file())).await.unwrap_err();
        assert_eq!(kind, FailureKind::Tls, "{name}: {error}");
        assert!(server.requests().is_empty(), "{name}: nothing was asked over a connection without trust");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_failure_of_trust() {
    let ours = Authority::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    });
    let (kind, error) = fetch(port, Some(ours.file())).await.unwrap_err();
    assert_eq!(kind, FailureKind::Tls, "{error}");
    plain.await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_the_other_end_breaks_off_is_a_failure_of_trust() {
    let ours = Authority::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let closing = tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        // All of it: a connection that is closed with something unread is reset.
        let _ = stream.read(&mut [0; 65_536]).await;
    });
    let (kind, error) = fetch(port, Some(ours.file())).await.unwrap_err();
    assert_eq!(kind, FailureKind::Tls, "{error}");
    closing.await.unwrap();
}

#[tokio::test]
async fn a_redirect_to_http_is_not_followed() {
    let ours = Authority::new();
    let plain = Server::start(|_| Reply::json(SET)).await;
    let target = format!("http://localhost:{}/jwks", plain.port);
    let redirect = move |_: &str| Reply::with(302, &[("location", &target)], "");
    let server = Server::start_tls(ours.certify("localhost", |_| {}), redirect).await;
    let (kind, error) = fetch(server.port, Some(ours.file())).await.unwrap_err();
    assert_eq!(kind, FailureKind::Status, "{error}");
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn a_file_without_certificates_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, content).unwrap();
        let source = KeySource::Url("https://localhost:9/".to_owned());
        let options = FetchOptions { ca_file: Some(path.clone()), ..FetchOptions::default() };
        let error = keyward::fetch_key_set(&source, &options, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, KeySetError::Url(keyward::UrlError::Certificates { .. })), "{content:?}: {error:?}");
    }
}

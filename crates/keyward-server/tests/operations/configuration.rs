use std::net::TcpListener;

use crate::support::{Setup, secrets};

#[tokio::test]
async fn a_wrong_value_is_one_clear_line_before_any_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let url = ("SUPABASE_URL", "http://127.0.0.1:1");
    for (variables, mentions) in [
        (vec![], &["SUPABASE_URL"][..]),
        (vec![url, ("JWKS_CACHE_TTL_SECONDS", "soon")], &["JWKS_CACHE_TTL_SECONDS", "soon", "1 to 86400"]),
        (vec![url, ("JWKS_CACHE_TTL_SECONDS", "0")], &["JWKS_CACHE_TTL_SECONDS", "0"]),
        (vec![url, ("JWKS_STALE_TTL_SECONDS", "10")], &["JWKS_STALE_TTL_SECONDS", "10"]),
        (vec![url, ("JWKS_REFRESH_TIMEOUT_SECONDS", "NaN")], &["JWKS_REFRESH_TIMEOUT_SECONDS", "NaN"]),
        (vec![url, ("JWKS_REFRESH_RETRIES", "-1")], &["JWKS_REFRESH_RETRIES", "-1"]),
        (vec![url, ("JWT_LEEWAY_SECONDS", "1e9")], &["JWT_LEEWAY_SECONDS", "1e9"]),
        (vec![url, ("KEYWARD_LOG_FORMAT", "xml")], &["KEYWARD_LOG_FORMAT", "xml", "json"]),
        (vec![url, ("KEYWARD_ADMIN_LISTEN", "0.0.0.0:8001")], &["KEYWARD_ADMIN_LISTEN", "KEYWARD_ADMIN_TOKEN"]),
        (vec![url, ("KEYWARD_DATABASE_URL", "postgres://db.example/jobs")], &["KEYWARD_DATABASE_URL"]),
        (vec![("SUPABASE_URL", "http://project.example")], &["SUPABASE_URL", "http://project.example", "https"]),
    ] {
        let setup = Setup::new().set_all(&variables).set("KEYWARD_LISTEN", address.clone());
        let line = is_refused(&setup).await;
        for text in mentions {
            assert!(line.contains(text), "{text} is missing: {line}");
        }
        assert!(!line.contains(&address), "the port was tried first: {line}");
    }
}

/// Ends with 2 and one line, which is returned.
async fn is_refused(setup: &Setup) -> String {
    let mut process = setup.spawn();
    let status = process.ended().await;
    let line = process.stderr.text();
    assert_eq!(status.code(), Some(2), "{line}");
    assert_eq!(process.stderr.all().len(), 1, "{line}");
    assert_eq!(process.stdout.text(), "", "nothing was started");
    line
}

#[tokio::test]
async fn a_secret_that_is_wrong_is_not_shown() {
    let secret = "only-twenty-four-bytes!!";
    secrets::remember(secret);
    let line =
        is_refused(&Setup::new().set("SUPABASE_URL", "http://127.0.0.1:1").set("SUPABASE_JWT_SECRET", secret)).await;
    assert!(line.contains("SUPABASE_JWT_SECRET") && line.contains("32"), "{line}");
}

#[tokio::test]
async fn a_wrong_file_is_told_with_its_line() {
    for (toml, mentions) in [
        ("listen = \n", &["keyward.toml", "1"][..]),
        ("lissten = \"127.0.0.1:0\"\n", &["lissten", "listen"]),
        ("[[issuers]]\nname = \"a\"\n", &["issuer"]),
        ("[policies.staff]\nany = [\"nobody\"]\n", &["nobody"]),
    ] {
        let line = is_refused(&Setup::new().set("SUPABASE_URL", "http://127.0.0.1:1").config(toml)).await;
        assert!(mentions.iter().all(|text| line.contains(text)), "{line}");
    }
    let missing = Setup::new().argument("--config").argument("/nonexistent/keyward.toml");
    assert!(is_refused(&missing).await.contains("/nonexistent/keyward.toml"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new().set("SUPABASE_URL", "http://127.0.0.1:1").set("KEYWARD_LISTEN", address.clone());
    let mut process = setup.spawn();
    assert_eq!(process.ended().await.code(), Some(2));
    assert!(process.stderr.text().contains(&address), "{}", process.stderr.text());
}

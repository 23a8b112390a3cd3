use super::*;

#[test]
fn http_is_for_this_machine_unless_allowed() {
    for url in
        ["https://a.example/x", "http://127.0.0.1:9/x", "http://127.8.8.8/", "http://localhost/", "http://[::1]:9/"]
    {
        assert!(check_url(url, false).is_ok(), "{url}");
    }
    for url in
        ["http://a.example/", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://10.0.0.1/"]
    {
        assert_eq!(check_url(url, false), Err(UrlError::Insecure), "{url}");
        assert!(check_url(url, true).is_ok(), "{url}");
    }
    assert!(matches!(check_url("ftp://a.example/", true), Err(UrlError::Scheme(_))));
    assert!(matches!(check_url("a.example/jwks", true), Err(UrlError::Invalid(_))));
    assert_eq!(check_url("https://user:secret@a.example/", false), Err(UrlError::Credentials));
}

#[test]
fn cache_control_is_read_as_it_is_written() {
    let age = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CACHE_CONTROL, value.parse().unwrap());
        }
        max_age(&headers).map(|age| age.as_secs())
    };
    assert_eq!(age(&["public, max-age=600"]), Some(600));
    assert_eq!(age(&["public", "MAX-AGE=\"5\""]), Some(5));
    assert_eq!(age(&["max-age=600, no-store"]), Some(0));
    assert_eq!(age(&["max-age=-1"]), None);
    assert_eq!(age(&["max-age=99999999999999999999"]), None);
    assert_eq!(age(&["s-maxage=7"]), None);
    assert_eq!(age(&[]), None);
}

/// A DNS server that never answers.
struct Unanswered;

impl reqwest::dns::Resolve for Unanswered {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_name_that_is_still_being_resolved_when_time_is_up_is_a_failure_of_dns() {
    use super::super::Source;
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(20));
    for (timeout, connect_timeout) in [(short, None), (long, Some(short))] {
        let options = FetchOptions { connect_timeout, ..FetchOptions::default() };
        let url = check_url("http://localhost:9/jwks", false).unwrap();
        let client = HttpClient::with_resolver(Unanswered, &url, &options).unwrap();
        let error = Source::Http(HttpSource { client, url }).fetch(None, timeout).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Dns, "{error}");
    }
}

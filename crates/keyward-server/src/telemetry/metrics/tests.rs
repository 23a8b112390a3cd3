use std::time::Duration;

use super::*;

const REASONS: &[&str] = &["missing_token", "expired"];

fn metrics() -> Metrics {
    let metrics = Metrics::new(REASONS).unwrap();
    for issuer in ["supabase", "partner"] {
        metrics.issuer(issuer).set_state(CacheState::Empty);
    }
    metrics
}

fn text(metrics: &Metrics) -> String {
    metrics.page(None, |_| {}).unwrap().body
}

fn open(metrics: &Metrics) -> String {
    metrics.page(Some("application/openmetrics-text; version=1.0.0"), |_| {}).unwrap().body
}

#[track_caller]
fn assert_lines(page: &str, lines: &[&str]) {
    for line in lines {
        assert!(page.lines().any(|seen| seen == *line), "{line} is not in:\n{page}");
    }
}

#[test]
fn every_family_of_the_contract_is_there_with_its_type() {
    let metrics = metrics();
    metrics.http_request("GET", "/v1/me", 200, Duration::from_millis(1));
    let page = text(&metrics);
    for (name, kind) in [
        ("auth_jwt_invalid_total", "counter"),
        ("auth_jwt_validations_total", "counter"),
        ("msaas_jwt_validation_duration_seconds", "histogram"),
        ("auth_jwks_refreshes_total", "counter"),
        ("auth_jwks_refresh_failures_total", "counter"),
        ("auth_jwks_refresh_duration_seconds", "histogram"),
        ("auth_jwks_keys", "gauge"),
        ("auth_jwks_cache_state", "gauge"),
        ("auth_jwks_last_success_timestamp_seconds", "gauge"),
        ("auth_jwks_fail_closed_timestamp_seconds", "gauge"),
        ("auth_jwks_cache_ttl_seconds", "gauge"),
        ("auth_jwks_stale_ttl_seconds", "gauge"),
        ("auth_jwks_unknown_kid_suppressed_total", "counter"),
        ("auth_token_cache_requests_total", "counter"),
        ("auth_token_cache_entries", "gauge"),
        ("http_requests_total", "counter"),
        ("http_request_duration_seconds", "histogram"),
        ("msaas_jobs_submitted_total", "counter"),
        ("msaas_jobs_finished_total", "counter"),
        ("msaas_jobs", "gauge"),
        ("msaas_job_queue_age_seconds", "gauge"),
        ("keyward_build_info", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
    ] {
        assert_lines(&page, &[&format!("# TYPE {name} {kind}")]);
        assert!(page.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
}

#[test]
fn every_value_of_a_closed_set_is_there_from_the_start() {
    let page = text(&metrics());
    let zeros = |family: &str| page.lines().filter(|line| line.starts_with(&format!("{family}{{"))).count();
    assert_eq!(zeros("auth_jwt_invalid_total"), 2);
    assert_eq!(zeros("auth_jwt_validations_total"), 2 * 3);
    assert_eq!(zeros("auth_jwks_refreshes_total"), 2 * 3 * 4);
    assert_eq!(zeros("auth_jwks_refresh_failures_total"), 2 * 8);
    assert_eq!(zeros("auth_jwks_keys"), 2 * 3);
    assert_eq!(zeros("auth_jwks_cache_state"), 2 * 4);
    assert_eq!(zeros("auth_jwks_unknown_kid_suppressed_total"), 2 * 4);
    assert_eq!(zeros("msaas_jobs_finished_total"), 3);
    assert_eq!(zeros("msaas_jobs"), 5);
    assert_lines(
        &page,
        &[
            "auth_jwt_invalid_total{reason=\"expired\"} 0",
            "auth_jwks_cache_state{issuer=\"partner\",state=\"empty\"} 1",
            "auth_jwks_refreshes_total{issuer=\"partner\",outcome=\"not_modified\",trigger=\"unknown_kid\"} 0",
            "auth_token_cache_requests_total{result=\"miss\"} 0",
        ],
    );
}

#[test]
fn what_happens_is_counted_under_its_own_labels() {
    let metrics = metrics();
    metrics.refusal(1);
    metrics.refusal(99);
    metrics.issuer("partner").validation(Outcome::Unavailable);
    metrics.observe_validation(Duration::from_nanos(1500));
    metrics.token_cache(true);
    metrics.set_token_cache_entries(7);
    metrics.http_request("BREW", "/v1/jobs/{id}", 404, Duration::from_secs(20));
    metrics.job_submitted();
    metrics.job_finished(JobOutcome::Cancelled);
    metrics.set_jobs(JobStatus::Queued, 3);
    metrics.set_queue_age(Some(Duration::from_millis(1500)));
    let partner = metrics.issuer("partner");
    partner.refresh(RefreshOutcome::NotModified, Trigger::Operator);
    partner.observe_fetch(Duration::from_millis(30));
    partner.refresh_failure(FailureKind::Tls);
    partner.unknown_kid_suppressed(Suppressed::NegativeCache);
    partner.set_keys(KeyState::Denied, 2);
    partner.set_state(CacheState::Stale);
    partner.set_last_success(Some(1_700_000_000.25));
    partner.set_ttls(Duration::from_secs(300), Duration::from_secs(3600));
    assert_lines(
        &text(&metrics),
        &[
            "auth_jwt_invalid_total{reason=\"expired\"} 1",
            "auth_jwt_validations_total{issuer=\"partner\",outcome=\"unavailable\"} 1",
            "auth_jwt_validations_total{issuer=\"supabase\",outcome=\"unavailable\"} 0",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"0.000001\"} 0",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"0.0000025\"} 1",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"5\"} 1",
            "auth_token_cache_requests_total{result=\"hit\"} 1",
            "auth_token_cache_entries 7",
            "http_requests_total{method=\"OTHER\",route=\"/v1/jobs/{id}\",status=\"404\"} 1",
            "http_request_duration_seconds_bucket{method=\"OTHER\",route=\"/v1/jobs/{id}\",le=\"10\"} 0",
            "http_request_duration_seconds_bucket{method=\"OTHER\",route=\"/v1/jobs/{id}\",le=\"+Inf\"} 1",
            "msaas_jobs_submitted_total 1",
            "msaas_jobs_finished_total{outcome=\"cancelled\"} 1",
            "msaas_jobs{status=\"queued\"} 3",
            "msaas_job_queue_age_seconds 1.5",
            "auth_jwks_refreshes_total{issuer=\"partner\",outcome=\"not_modified\",trigger=\"operator\"} 1",
            "auth_jwks_refresh_failures_total{issuer=\"partner\",kind=\"tls\"} 1",
            "auth_jwks_unknown_kid_suppressed_total{issuer=\"partner\",why=\"negative_cache\"} 1",
            "auth_jwks_keys{issuer=\"partner\",state=\"denied\"} 2",
            "auth_jwks_cache_state{issuer=\"partner\",state=\"empty\"} 0",
            "auth_jwks_cache_state{issuer=\"partner\",state=\"stale\"} 1",
            "auth_jwks_last_success_timestamp_seconds{issuer=\"partner\"} 1700000000.25",
            "auth_jwks_fail_closed_timestamp_seconds{issuer=\"partner\"} 0",
            "auth_jwks_stale_ttl_seconds{issuer=\"partner\"} 3600",
        ],
    );
}

#[test]
fn what_depends_on_time_is_set_when_the_page_is_asked_for() {
    let page = metrics().page(None, |metrics| metrics.set_token_cache_entries(42)).unwrap();
    assert_eq!(page.content_type, TEXT);
    assert_lines(&page.body, &["auth_token_cache_entries 42"]);
}

#[test]
fn openmetrics_names_counter_families_without_their_suffix_and_ends_with_a_mark() {
    let metrics = metrics();
    metrics.refusal(0);
    metrics.observe_validation(Duration::from_micros(3));
    metrics.http_request("GET", "/a\"\\\n", 200, Duration::ZERO);
    let page = open(&metrics);
    assert_lines(
        &page,
        &[
            "# TYPE auth_jwt_invalid counter",
            "# HELP auth_jwt_invalid Requests refused, by reason.",
            "auth_jwt_invalid_total{reason=\"missing_token\"} 1",
            "# TYPE process_cpu_seconds counter",
            "# TYPE msaas_jobs_submitted counter",
            "msaas_jobs_submitted_total 0",
            "# TYPE msaas_jwt_validation_duration_seconds histogram",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"1e-6\"} 0",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"5e-6\"} 1",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"1.0\"} 1",
            "msaas_jwt_validation_duration_seconds_bucket{le=\"+Inf\"} 1",
            "msaas_jwt_validation_duration_seconds_count 1",
            "auth_token_cache_entries 0",
            "http_requests_total{method=\"GET\",route=\"/a\\\"\\\\\\n\",status=\"200\"} 1",
        ],
    );
    assert!(page.ends_with("\n# EOF\n"));
    assert!(!page.contains("\n\n"));
    assert!(!page.lines().any(|line| line.starts_with("# TYPE") && line.contains("_total ")));
}

#[test]
fn both_formats_have_the_same_samples() {
    let metrics = metrics();
    // Memory and processor time move between two looks.
    let samples = |page: String| {
        let is_sample = |line: &&str| !line.starts_with('#') && !line.starts_with("process_");
        let mut names: Vec<String> =
            page.lines().filter(is_sample).map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(samples(text(&metrics)), samples(open(&metrics)));
}

#[test]
fn openmetrics_is_given_to_who_prefers_it() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    for (accept, expected) in [
        (Some(prometheus), OPENMETRICS),
        (Some("application/openmetrics-text"), OPENMETRICS),
        (Some("Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8"), OPENMETRICS),
        (Some("text/plain;q=0.9, application/openmetrics-text;q=0.1"), TEXT),
        (Some("application/openmetrics-text;q=0"), TEXT),
        (Some("application/openmetrics-text;version=0.0.1"), TEXT),
        (Some("*/*"), TEXT),
        (Some(""), TEXT),
        (None, TEXT),
    ] {
        assert_eq!(metrics().page(accept, |_| {}).unwrap().content_type, expected, "{accept:?}");
    }
}

#[test]
fn an_issuer_that_is_configured_no_more_leaves_no_series_behind() {
    let metrics = metrics();
    metrics.forget_issuers_except(&["supabase"]);
    let page = text(&metrics);
    assert!(page.contains("issuer=\"supabase\"") && !page.contains("issuer=\"partner\""));
}

use serde_json::{json, value::to_raw_value};

use super::*;

fn noon() -> Timestamp {
    "2026-10-05T12:00:00Z".parse().unwrap()
}

fn owner() -> Owner {
    Owner::new("supabase", "alice")
}

fn submission(body: &str) -> Result<Submission, InvalidInput> {
    parse_body::<SubmitBody>(body.as_bytes())?.checked(owner(), None, noon())
}

fn fingerprint(body: &str) -> Fingerprint {
    let key = IdempotencyKey::new(b"k").unwrap();
    let body: SubmitBody = parse_body(body.as_bytes()).unwrap();
    let submission = body.checked(owner(), Some(key), noon()).unwrap();
    submission.idempotency.unwrap().fingerprint
}

#[test]
fn a_job_is_written_with_exactly_the_names_of_the_contract() {
    let submission = submission(r#"{"kind":"echo","payload":{"b":1.50,"a":2}}"#).unwrap();
    let id = submission.id;
    let written = serde_json::to_string(&submission.into_job(noon())).unwrap();
    let expected = format!(
        r#"{{"id":"{id}","kind":"echo","payload":{{"b":1.50,"a":2}},"status":"queued","attempts":0,"max_attempts":3,"run_at":"2026-10-05T12:00:00.000Z","result":null,"error":null,"created_at":"2026-10-05T12:00:00.000Z","updated_at":"2026-10-05T12:00:00.000Z"}}"#
    );
    assert_eq!(written, expected);
    let read: Job = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

#[test]
fn a_leased_job_is_a_job_with_its_lease() {
    let mut record = JobRecord {
        job: submission(r#"{"kind":"echo","payload":[1.0]}"#).unwrap().into_job(noon()),
        owner: owner(),
        lease_id: None,
        lease_expires_at: None,
    };
    let leased = record.lease(LeaseId::generate(), 30, noon());
    let written = serde_json::to_string(&LeaseList { jobs: vec![leased.clone()] }).unwrap();
    assert!(written.starts_with(r#"{"jobs":[{"id":""#), "{written}");
    assert!(written.contains(r#""payload":[1.0],"status":"running","attempts":1"#), "{written}");
    let end = format!(r#""lease_id":"{}","lease_expires_at":"2026-10-05T12:00:30.000Z"}}]}}"#, leased.lease_id);
    assert!(written.ends_with(&end), "{written}");
}

#[test]
fn job_ids_are_version_7_carry_the_time_and_only_grow() {
    let ids: Vec<_> = (0..1000).map(|_| JobId::generate(noon())).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let uuid: uuid::Uuid = ids[0].to_string().parse().unwrap();
    assert_eq!(uuid.get_version_num(), 7);
    assert_eq!(ids[0].to_string().parse::<JobId>().unwrap(), ids[0]);
}

#[test]
fn timestamps_are_rfc_3339_in_utc_with_milliseconds() {
    let cases = [
        ("2026-10-05T12:34:56.789Z", "2026-10-05T12:34:56.789Z"),
        ("2026-10-05T12:34:56Z", "2026-10-05T12:34:56.000Z"),
        ("2026-10-05T14:34:56.7899999+02:00", "2026-10-05T12:34:56.789Z"),
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), expected);
    }
    for text in ["", "2026-10-05", "2026-10-05T12:00:00", "1791201600", "2026-13-05T12:00:00Z"] {
        assert_eq!(text.parse::<Timestamp>(), Err(timestamp::NotATimestamp), "{text}");
    }
    assert_eq!(Timestamp::from_unix_millis(i64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::MAX.plus_seconds(3600).to_string(), Timestamp::MAX.to_string());
    assert_eq!(noon().day().to_string(), "2026-10-05");
}

#[test]
fn days_are_ten_characters_of_the_calendar() {
    assert_eq!("2028-02-29".parse::<Day>().unwrap().to_string(), "2028-02-29");
    for text in ["", "2026-2-01", "2026-02-30", "+026-01-01", "2026-01-01Z", "20260101  ", "2026-01-0é"] {
        assert_eq!(text.parse::<Day>(), Err(timestamp::NotADay), "{text}");
    }
}

#[test]
fn a_submission_says_what_is_wrong_with_it() {
    let cases = [
        ("", "JSON object"),
        ("[]", "JSON object"),
        (r#"{"kind":"a"}"#, "payload"),
        (r#"{"payload":1}"#, "kind"),
        (r#"{"kind":"","payload":1}"#, "kind: expected"),
        (r#"{"kind":"a b","payload":1}"#, "kind: expected"),
        (r#"{"kind":"a","payload":1,"max_attempts":0}"#, "max_attempts: expected a whole number from 1 to 25"),
        (r#"{"kind":"a","payload":1,"max_attempts":26}"#, "max_attempts: expected"),
        (r#"{"kind":"a","payload":1,"max_attempts":-1}"#, "max_attempts: expected"),
        (r#"{"kind":"a","payload":1,"run_at":"tomorrow"}"#, "RFC 3339"),
        (r#"{"kind":"a","payload":1,"runat":null}"#, "runat"),
        (r#"{"kind":"a","payload":1e999}"#, "payload: expected"),
        (r#"{"kind":"a","payload":"\ud800"}"#, "payload: expected"),
    ];
    for (body, expected) in cases {
        let error = submission(body).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let long = "x".repeat(MAX_KIND_BYTES);
    assert!(long.parse::<Kind>().is_ok());
    assert!(format!("{long}x").parse::<Kind>().is_err());
}

#[test]
fn nulls_in_place_of_optional_members_mean_absent() {
    let body = r#"{"kind":"a","payload":null,"max_attempts":null,"run_at":null}"#;
    let submission = submission(body).unwrap();
    assert_eq!((submission.max_attempts, submission.run_at), (3, noon()));
    assert_eq!(submission.payload.as_str(), "null");
    let lease = LeaseId::generate();
    let body = format!(r#"{{"lease_id":"{lease}","result":null}}"#);
    let completion = parse_body::<CompleteBody>(body.as_bytes()).unwrap().checked();
    assert_eq!(completion.unwrap().result, None);
}

#[test]
fn a_payload_of_64_kib_is_accepted_and_one_byte_more_is_not() {
    let body = |bytes: usize| format!(r#"{{"kind":"a","payload":"{}"}}"#, "x".repeat(bytes - 2));
    let accepted = submission(&body(MAX_PAYLOAD_BYTES)).unwrap();
    assert_eq!(accepted.payload.as_str().len(), 65_536);
    let error = submission(&body(MAX_PAYLOAD_BYTES + 1)).unwrap_err();
    let expected = InvalidInput::TooLarge { field: "payload", max_bytes: 65_536 };
    assert_eq!(error, expected);
}

#[test]
fn a_payload_that_would_break_a_workers_parser_is_refused() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        submission(&format!(r#"{{"kind":"a","payload":{open}"[\"["{close}}}"#))
    };
    assert!(nested(64).is_ok());
    assert!(nested(65).is_err());
    assert!(nested(30_000).is_err());
}

#[test]
fn a_run_at_in_the_past_is_now() {
    let body = r#"{"kind":"a","payload":1,"run_at":"2020-01-01T00:00:00Z"}"#;
    assert_eq!(submission(body).unwrap().run_at, noon());
}

#[test]
fn the_same_request_has_the_same_fingerprint() {
    let base = fingerprint(r#"{"kind":"a","payload":{"a":[1,"x y"]}}"#);
    let same = [
        r#"{ "payload": {"a" : [ 1,"x y"] }, "kind":"a" }"#,
        r#"{"kind":"a","payload":{"a":[1,"x y"]},"max_attempts":3}"#,
    ];
    for body in same {
        assert_eq!(fingerprint(body), base, "{body}");
    }
    let other = [
        r#"{"kind":"a","payload":{"a":[1,"xy"]}}"#,
        r#"{"kind":"a","payload":{"a":[1.0,"x y"]}}"#,
        r#"{"kind":"b","payload":{"a":[1,"x y"]}}"#,
        r#"{"kind":"a","payload":{"a":[1,"x y"]},"max_attempts":4}"#,
        r#"{"kind":"a","payload":{"a":[1,"x y"]},"run_at":"1970-01-01T00:00:00Z"}"#,
    ];
    for body in other {
        assert_ne!(fingerprint(body), base, "{body}");
    }
    // An escaped quote does not end the string.
    let a = fingerprint(r#"{"kind":"a","payload":"\" x"}"#);
    let b = fingerprint(r#"{"kind":"a","payload":"\"x"}"#);
    assert_ne!(a, b);
}

#[test]
fn idempotency_keys_are_visible_ascii() {
    assert!(IdempotencyKey::new(b"\"8e03978e-40d5\"").is_ok());
    assert!(IdempotencyKey::new(&[b'x'; 255]).is_ok());
    for key in [&b""[..], &[b'x'; 256], b"a b", "é".as_bytes(), b"\xff"] {
        assert!(IdempotencyKey::new(key).is_err());
    }
}

#[test]
fn list_parameters_are_checked_and_empty_ones_ignored() {
    let params = |status: &str, kind: &str, limit: &str, cursor: &str| ListParams {
        status: Some(status.to_owned()),
        kind: Some(kind.to_owned()),
        limit: Some(limit.to_owned()),
        cursor: Some(cursor.to_owned()),
    };
    let empty = params("", "", "", "").checked().unwrap();
    assert_eq!(empty, ListParams::default().checked().unwrap());
    assert_eq!(empty.limit, 20);
    assert_eq!(params("failed", "a", "100", "").checked().unwrap().limit, 100);
    for (bad, field) in [
        (params("done", "", "", ""), "status"),
        (params("", "?", "", ""), "kind"),
        (params("", "", "0", ""), "limit"),
        (params("", "", "101", ""), "limit"),
        (params("", "", "ten", ""), "limit"),
        (params("", "", "", "AQ"), "cursor"),
        (params("", "", "", "not base64url!"), "cursor"),
    ] {
        let error = bad.checked().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{field}: expected")), "{error}");
    }
}

#[test]
fn a_cursor_survives_its_text_and_nothing_else_is_one() {
    let cursor = Cursor { created_at: noon(), id: JobId::generate(noon()) };
    let text = cursor.to_string();
    assert_eq!(text.parse::<Cursor>().unwrap(), cursor);
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    let other_version = format!("B{}", &text[1..]);
    for bad in [&text[1..], &format!("{text}AAAA"), &other_version, ""] {
        assert!(bad.parse::<Cursor>().is_err(), "{bad}");
    }
}

#[test]
fn usage_defaults_to_thirty_days_up_to_today() {
    let today = noon().day();
    let period = UsageParams::default().checked(today).unwrap();
    assert_eq!(period.from.to_string(), "2026-09-06");
    assert_eq!(period.to, today);
    let between = |from: &str, to: &str| {
        let params = UsageParams { from: Some(from.to_owned()), to: Some(to.to_owned()) };
        params.checked(today)
    };
    assert!(between("2026-01-01", "2026-01-01").is_ok());
    assert!(between("2025-01-01", "2026-01-01").is_ok());
    assert!(between("2024-12-31", "2026-01-01").is_err());
    assert!(between("2026-01-02", "2026-01-01").is_err());
    assert!(between("yesterday", "").is_err());
    let report = UsageReport {
        from: period.from,
        to: period.to,
        usage: vec![UsageRow { day: today, kind: "echo".parse().unwrap(), outcome: Outcome::Succeeded, count: 2 }],
    };
    let expected = json!({
        "from": "2026-09-06", "to": "2026-10-05",
        "usage": [{ "day": "2026-10-05", "kind": "echo", "outcome": "succeeded", "count": 2 }],
    });
    assert_eq!(serde_json::to_value(report).unwrap(), expected);
}

#[test]
fn a_lease_request_is_checked() {
    let parsed = |body: &str| parse_body::<LeaseBody>(body.as_bytes())?.checked();
    let default = parsed("{}").unwrap();
    assert_eq!((default.kinds, default.limit, default.lease_seconds), (None, 1, 60));
    let kinds = parsed(r#"{"kinds":["b","a","b"]}"#).unwrap().kinds.unwrap();
    assert_eq!(kinds.iter().map(Kind::as_str).collect::<Vec<_>>(), ["a", "b"]);
    for bad in [
        r#"{"kinds":[]}"#,
        r#"{"kinds":[""]}"#,
        r#"{"limit":0}"#,
        r#"{"limit":101}"#,
        r#"{"lease_seconds":0}"#,
        r#"{"lease_seconds":3601}"#,
    ] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_long_error_is_cut_between_characters_and_holds_no_nul() {
    let body = |error: &str| {
        let body = json!({ "lease_id": LeaseId::generate(), "error": error });
        parse_body::<FailBody>(body.to_string().as_bytes()).unwrap().checked()
    };
    assert_eq!(body("a\0b").error, "a\u{fffd}b");
    assert!(body("x").retry);
    let cut = body(&"é".repeat(4000)).error;
    assert_eq!(cut.len(), MAX_ERROR_BYTES);
    assert_eq!(body(&format!("x{}", "é".repeat(4000))).error.len(), MAX_ERROR_BYTES - 1);
}

#[test]
fn retry_delays_double_up_to_five_minutes() {
    let delays: Vec<_> = (1..=11).map(retry_delay_millis).collect();
    let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
    assert_eq!(delays, seconds.map(|s| s * 1000));
    assert_eq!(retry_delay_millis(u32::MAX), 300_000);
}

#[test]
fn payloads_stay_out_of_debug_output() {
    let raw = to_raw_value("secret").unwrap();
    let json = JsonText::checked(raw, "payload", 100).unwrap();
    assert_eq!(format!("{json:?}"), "JsonText(8 bytes)");
}

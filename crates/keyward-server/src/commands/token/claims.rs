//! What a token says, as it may be shown.

use std::collections::BTreeMap;

use keyward::time::UnixTime;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commands::output::{hidden, mask_email, redact};

/// The order in which people look for claims and header parameters; others follow by name.
const FIRST: [&str; 20] = [
    "alg",
    "kid",
    "typ",
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "jti",
    "role",
    "session_id",
    "aal",
    "amr",
    "is_anonymous",
    "client_id",
    "scope",
    "ref",
    "email",
    "phone",
];
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];
/// OpenID Connect Core 1.0 section 5.1: who somebody is.
const PERSONAL: [&str; 18] = [
    "phone",
    "phone_number",
    "name",
    "full_name",
    "given_name",
    "family_name",
    "middle_name",
    "first_name",
    "last_name",
    "nickname",
    "preferred_username",
    "user_name",
    "username",
    "picture",
    "avatar_url",
    "birthdate",
    "address",
    "profile",
];
/// Parts of names whose values open something.
const SECRET: [&str; 5] = ["token", "secret", "password", "api_key", "apikey"];
/// The end of the year 9999, in seconds; milliseconds of our days lie beyond it.
const LAST_SECOND: i64 = 253_402_300_799;

/// The members of a header or of a payload, in the order they are shown, redacted.
#[derive(Debug)]
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads an object that has been checked to be one.
    pub(super) fn read(json: &str) -> Self {
        let raw: BTreeMap<String, &RawValue> = serde_json::from_str(json).unwrap_or_default();
        let mut members: Vec<_> = raw.iter().map(|(name, raw)| (redact(name), redacted(name, raw.get()))).collect();
        let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        members.sort_by_key(|(name, _)| rank(name));
        Self(members)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The moments among them.
    pub(super) fn times(&self) -> impl Iterator<Item = (&str, UnixTime)> {
        self.iter().filter(|(name, _)| TIMES.contains(name)).filter_map(|(name, value)| Some((name, moment(value)?)))
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The moment that a NumericDate is, if it is one.
pub(super) fn moment(value: &Value) -> Option<UnixTime> {
    if let Some(seconds) = value.as_i64() {
        return (0..=LAST_SECOND).contains(&seconds).then(|| UnixTime::from_secs(seconds));
    }
    #[expect(clippy::cast_precision_loss, reason = "the bound is far below 2^53")]
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND as f64).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range just above")]
    Some(UnixTime::from_secs(seconds as i64))
}

/// The moment that a number is if it counts milliseconds, as JavaScript's clock does.
pub(super) fn moment_in_millis(value: &Value) -> Option<UnixTime> {
    let millis = value.as_i64().filter(|millis| *millis > LAST_SECOND)?;
    (millis / 1000 <= LAST_SECOND).then(|| UnixTime::from_millis(millis))
}

fn redacted(name: &str, raw: &str) -> Value {
    // The user writes it: it may hold anything.
    if name == "user_metadata" || name == "raw_user_meta_data" {
        return Value::String(format!("<{} bytes, not shown>", raw.len()));
    }
    // A number that no type can hold is well-formed JSON all the same.
    let value =
        serde_json::from_str(raw).unwrap_or_else(|_| Value::String(format!("<not readable: {} bytes>", raw.len())));
    redact_value(name, value)
}

fn redact_value(name: &str, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact_text(name, &text)),
        Value::Number(number) if PERSONAL.contains(&name) => Value::String(hidden(&number.to_string())),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| redact_value(name, item)).collect()),
        Value::Object(members) if PERSONAL.contains(&name) => {
            Value::String(format!("<{} members, not shown>", members.len()))
        }
        Value::Object(members) => {
            let redact_member = |(name, value): (String, Value)| (redact(&name), redact_value(&name, value));
            Value::Object(members.into_iter().map(redact_member).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn redact_text(name: &str, text: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name == "email" || name.ends_with("_email") {
        mask_email_or_nothing(text)
    } else if PERSONAL.contains(&name.as_str()) || SECRET.iter().any(|part| name.contains(part)) {
        hidden(text)
    } else {
        redact(text)
    }
}

fn mask_email_or_nothing(text: &str) -> String {
    if text.is_empty() { String::new() } else { mask_email(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_shown_without_what_identifies_a_person_or_opens_a_door() {
        let payload = json!({
            "email": "alice@example.com", "phone": "+491511234567", "sub": "s", "scope": "read alice@example.com",
            "user_metadata": {"bio": "hunter2", "email": "alice@example.com"},
            "app_metadata": {"provider": "email", "contact": {"email": "alice@example.com"}, "api_token": "hunter2"},
            "name": "Alice Liddell", "address": {"street": "hunter2"}, "phone_number": 491_511_234_567_i64,
            "list": ["alice@example.com", {"password": "hunter2"}], "alice@example.com": 1,
            "nested": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
        });
        let members = Members::read(&payload.to_string());
        let shown = serde_json::to_string(&members).unwrap();
        for secret in ["alice@", "hunter2", "1511234567", "Liddell", "eyJ"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert_eq!(members.get("email"), Some(&json!("a…@example.com")));
        assert_eq!(members.get("user_metadata"), Some(&json!("<45 bytes, not shown>")));
        assert_eq!(members.get("app_metadata").unwrap()["provider"], "email");
        assert_eq!(members.get("scope"), Some(&json!("read a…@example.com")));
    }

    #[test]
    fn empty_texts_stay_empty_and_unreadable_numbers_are_said_to_be() {
        let members = Members::read(r#"{"phone":"","email":"","big":1e400,"exp":1}"#);
        let names: Vec<&str> = members.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["exp", "email", "phone", "big"]);
        assert_eq!((members.get("phone"), members.get("email")), (Some(&json!("")), Some(&json!(""))));
        assert_eq!(members.get("big"), Some(&json!("<not readable: 5 bytes>")));
    }

    #[test]
    fn milliseconds_are_told_from_seconds() {
        assert_eq!(moment(&json!(1_700_000_000)), Some(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(moment(&json!(1_700_000_000.9)), Some(UnixTime::from_secs(1_700_000_000)));
        for other in [json!(-1), json!("1700000000"), json!(1_700_000_000_000_i64), json!(null)] {
            assert_eq!(moment(&other), None, "{other}");
        }
        assert_eq!(moment_in_millis(&json!(1_700_000_000_000_i64)), Some(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(moment_in_millis(&json!(1_700_000_000)), None);
    }
}

//! `keyward token inspect`.

use std::fmt::Write as _;

use keyward::jws::Unverified;
use keyward::time::UnixTime;
use keyward::{Reason, Rejection};
use serde::Serialize;
use serde_json::Value;

use super::claims::Members;
use super::{InspectArgs, hints, input, moment};
use crate::cli::OutputFormat;
use crate::commands::output::{self, columns, count, shown};
use crate::exit::Exit;

#[derive(Serialize)]
struct Document {
    /// Always false: nothing here is.
    verified: bool,
    kind: &'static str,
    explanation: String,
    bytes: usize,
    header: Members,
    claims: Members,
    times: Vec<Time>,
    signature_bytes: usize,
}

#[derive(Serialize)]
struct Time {
    claim: String,
    time: String,
    relative: String,
}

/// What is not a token.
#[derive(Serialize)]
struct NoToken {
    verified: bool,
    reason: &'static str,
    explanation: String,
    hints: Vec<String>,
}

pub(super) fn run(args: &InspectArgs) -> Exit {
    let read = moment::parse(args.at.as_deref()).and_then(|now| Ok((now, input::read(&args.input)?)));
    let (now, input) = match read {
        Ok(read) => read,
        Err(message) => {
            eprintln!("{message}");
            return Exit::Usage;
        }
    };
    for note in &input.notes {
        eprintln!("note: {note}");
    }
    match Unverified::parse(&input.token, input::MAX_BYTES) {
        Ok(token) => {
            show(&token, now, args.format);
            Exit::Success
        }
        Err(rejection) => {
            refuse(&input.token, &rejection, args.format);
            Exit::Negative
        }
    }
}

fn show(token: &Unverified<'_>, now: UnixTime, format: OutputFormat) {
    let document = Document::new(token, now);
    output::answer(&match format {
        OutputFormat::Text => document.text(now),
        OutputFormat::Json => output::json(&document),
    });
}

fn refuse(token: &str, rejection: &Rejection, format: OutputFormat) {
    let explanation = match rejection.reason() {
        Reason::ApiKeyAsBearer => hints::api_key(token).to_owned(),
        _ => rejection.to_string(),
    };
    let document =
        NoToken { verified: false, reason: rejection.reason().as_str(), explanation, hints: hints::shape(token) };
    match format {
        OutputFormat::Json => output::answer(&output::json(&document)),
        OutputFormat::Text => {
            output::answer(&format!("{}: {}\n", document.reason, document.explanation));
            for hint in &document.hints {
                eprintln!("hint: {hint}");
            }
        }
    }
}

/// What sort of token this says it is.
fn kind(claims: &Members) -> (&'static str, String) {
    match hints::legacy_api_key(claims) {
        Some(key) => ("legacy API key", key),
        None => (
            "JSON Web Token",
            "anybody can write such a token: keyward token verify tells whether it is good".to_owned(),
        ),
    }
}

impl Document {
    fn new(token: &Unverified<'_>, now: UnixTime) -> Self {
        let claims = Members::read(token.payload_json());
        let (kind, explanation) = kind(&claims);
        let time = |(claim, at): (&str, UnixTime)| Time {
            claim: claim.to_owned(),
            time: moment::absolute(at),
            relative: moment::relative(at, now),
        };
        let signature = token.token().rsplit('.').next().unwrap_or_default();
        Self {
            verified: false,
            kind,
            explanation,
            bytes: token.token().len(),
            header: Members::read(token.header_json()),
            times: claims.times().map(time).collect(),
            claims,
            // Base64url without padding: four characters for three bytes.
            signature_bytes: signature.len() * 3 / 4,
        }
    }

    fn text(&self, now: UnixTime) -> String {
        let mut out = format!("NOT VERIFIED: {}, {}\n", self.kind, count(self.bytes, "byte", "bytes"));
        let _ = writeln!(out, "{}", self.explanation);
        let _ = write!(out, "\nheader\n{}", columns(&rows(&self.header, now)));
        let _ = write!(out, "\nclaims\n{}", columns(&rows(&self.claims, now)));
        let _ = writeln!(out, "\nsignature\n  {}, not shown", count(self.signature_bytes, "byte", "bytes"));
        out
    }
}

fn rows(members: &Members, now: UnixTime) -> Vec<[String; 2]> {
    let time = |name: &str| members.times().find(|(known, _)| *known == name).map(|(_, at)| at);
    let value = |name: &str, value: &Value| match time(name) {
        Some(at) => format!("{value}  {}", moment::both(at, now)),
        None => plain(value),
    };
    let mut rows = Vec::new();
    for (name, member) in members.iter() {
        match member {
            Value::Object(inner) if !inner.is_empty() => {
                rows.extend(inner.iter().map(|(key, inner)| [shown(&format!("{name}.{key}")), plain(inner)]));
            }
            _ => rows.push([shown(name), value(name, member)]),
        }
    }
    rows
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

//! The answer of `keyward token verify`.

use std::fmt::Write as _;

use keyward::rejection::Claimed;
use keyward::time::UnixTime;
use keyward::{Reason, Rejection};
use serde::Serialize;

use super::accepted::Accepted;
use super::checks::{self, Check};
use super::{hints, moment};
use crate::cli::OutputFormat;
use crate::commands::output::{self, columns, redact};
use crate::config::Config;
use crate::exit::Exit;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Valid,
    Refused,
    Undecided,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    pub(super) reason: Option<&'static str>,
    pub(super) explanation: String,
    /// The moment it was verified at.
    pub(super) at: String,
    pub(super) checks: Vec<Check>,
    pub(super) claimed: Option<Claims>,
    pub(super) accepted: Option<Expected>,
    pub(super) hints: Vec<String>,
}

/// What the token says of itself.
#[derive(Debug, Serialize)]
pub(super) struct Claims {
    kid: Option<String>,
    alg: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    subject: Option<String>,
}

/// `None` accepts any.
#[derive(Debug, Serialize)]
pub(super) struct Expected {
    issuers: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    algorithms: Vec<&'static str>,
}

impl Report {
    pub(super) fn of_no_token(token: &str, config: &Config, rejection: &Rejection, now: UnixTime) -> Self {
        let explanation = match rejection.reason() {
            Reason::ApiKeyAsBearer => hints::api_key(token).to_owned(),
            _ => rejection.to_string(),
        };
        Self {
            verdict: Verdict::Refused,
            reason: Some(rejection.reason().as_str()),
            at: moment::absolute(now),
            checks: checks::of_no_token(token.len(), config.max_token_bytes, rejection, &explanation),
            explanation,
            claimed: None,
            accepted: None,
            hints: if rejection.reason() == Reason::MalformedToken { hints::shape(token) } else { Vec::new() },
        }
    }

    pub(super) fn print(&self, format: OutputFormat) {
        match format {
            OutputFormat::Json => output::answer(&output::json(self)),
            OutputFormat::Text => {
                output::answer(&self.text());
                for hint in &self.hints {
                    eprintln!("hint: {hint}");
                }
            }
        }
    }

    fn text(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Valid => "valid",
            Verdict::Refused => "refused: ",
            Verdict::Undecided => "undecided: ",
        };
        let mut out = format!("{verdict}{}\n{}\n", self.reason.unwrap_or_default(), self.explanation);
        let rows: Vec<_> = self.checks.iter().map(Check::row).collect();
        let _ = write!(out, "\n{}", columns(&rows));
        out
    }

    pub(super) const fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Valid => Exit::Success,
            Verdict::Refused => Exit::Negative,
            Verdict::Undecided => Exit::Unavailable,
        }
    }
}

impl Claims {
    pub(super) fn new(claimed: Claimed) -> Self {
        let redacted = |text: Option<String>| text.as_deref().map(redact);
        Self {
            kid: redacted(claimed.kid),
            alg: redacted(claimed.alg),
            issuer: redacted(claimed.issuer),
            audience: redacted(claimed.audience),
            subject: redacted(claimed.subject),
        }
    }
}

impl Expected {
    pub(super) fn new(accepted: &Accepted) -> Self {
        Self {
            issuers: (!accepted.any_issuer).then(|| accepted.issuers.clone()),
            audiences: (!accepted.any_audience).then(|| accepted.audiences.clone()),
            algorithms: accepted.verifier.algorithms().iter().map(keyward::alg::Algorithm::name).collect(),
        }
    }
}

//! The checks of the pipeline as a table: what was compared, and how far it got.

use keyward::alg::AlgorithmSet;
use keyward::jwk::{Found, KeySet};
use keyward::jws::Unverified;
use keyward::rejection::Detail;
use keyward::time::UnixTime;
use keyward::{Reason, Rejection};
use serde::Serialize;
use serde_json::Value;

use super::accepted::Accepted;
use super::claims::{Members, moment};
use super::moment as moments;
use crate::commands::jwks::KeyRow;
use crate::commands::output::{count, quoted, shown};

/// Most values of a list that are shown.
const MOST_LISTED: usize = 8;

/// A step of the pipeline, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Size,
    Shape,
    Header,
    Algorithm,
    Key,
    Signature,
    Exp,
    Nbf,
    Iat,
    Iss,
    Aud,
    Claims,
    Policy,
}

impl Step {
    const ALL: [Self; 13] = [
        Self::Size,
        Self::Shape,
        Self::Header,
        Self::Algorithm,
        Self::Key,
        Self::Signature,
        Self::Exp,
        Self::Nbf,
        Self::Iat,
        Self::Iss,
        Self::Aud,
        Self::Claims,
        Self::Policy,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Shape => "shape",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
            Self::Iss => "iss",
            Self::Aud => "aud",
            Self::Claims => "claims",
            Self::Policy => "policy",
        }
    }

    /// Where a refusal comes from. Its reason tells, and for claims their name.
    pub(super) fn of(rejection: &Rejection) -> Self {
        match rejection.reason() {
            Reason::TokenTooLarge => Self::Size,
            Reason::ApiKeyAsBearer | Reason::MalformedToken => Self::Shape,
            Reason::UnsupportedCrit | Reason::WrongType => Self::Header,
            Reason::UnsupportedAlg | Reason::LegacyApiKey => Self::Algorithm,
            Reason::AlgMismatch
            | Reason::UnknownKid
            | Reason::AmbiguousKey
            | Reason::Revoked
            | Reason::KeysUnavailable => Self::Key,
            Reason::InvalidSignature => Self::Signature,
            Reason::Expired => Self::Exp,
            Reason::NotYetValid => Self::Nbf,
            Reason::IssuedInFuture => Self::Iat,
            Reason::WrongIssuer => Self::Iss,
            Reason::WrongAudience => Self::Aud,
            Reason::MissingClaim | Reason::InvalidClaim => Self::of_claim(rejection),
            _ => Self::Policy,
        }
    }

    fn of_claim(rejection: &Rejection) -> Self {
        match rejection.detail() {
            Detail::Claim("exp") => Self::Exp,
            Detail::Claim("nbf") => Self::Nbf,
            Detail::Claim("iat") => Self::Iat,
            Detail::Claim("iss") => Self::Iss,
            Detail::Claim("aud") => Self::Aud,
            // A subject that is missing is missed by the policy; one of the wrong type is no claim at all.
            Detail::Claim("sub") if rejection.reason() == Reason::MissingClaim => Self::Policy,
            _ => Self::Claims,
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Ok,
    Fail,
    NotReached,
    NotChecked,
}

impl Outcome {
    const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "FAIL",
            Self::NotReached => "not reached",
            Self::NotChecked => "not checked",
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    result: Outcome,
    detail: String,
}

impl Check {
    /// The line for people.
    pub(super) fn row(&self) -> [String; 3] {
        [self.result.text().to_owned(), self.name.to_owned(), self.detail.clone()]
    }
}

/// What the checks of a token look at.
pub(super) struct Subject<'a> {
    pub(super) token: &'a Unverified<'a>,
    pub(super) header: &'a Members,
    pub(super) claims: &'a Members,
    pub(super) accepted: &'a Accepted,
    pub(super) keys: Option<&'a KeySet>,
    pub(super) leeway_secs: u64,
    pub(super) now: UnixTime,
}

/// The table for a text that could not be taken apart.
pub(super) fn of_no_token(length: usize, max_bytes: usize, rejection: &Rejection, why: &str) -> Vec<Check> {
    let details = |step| match step {
        Step::Size => size(length, max_bytes),
        Step::Shape if Step::of(rejection) == Step::Shape => why.to_owned(),
        _ => String::new(),
    };
    table(Some(Step::of(rejection)), details, |_| false)
}

/// The table for a token; `rejection` is how it was refused, if it was.
pub(super) fn of_token(subject: &Subject<'_>, rejection: Option<&Rejection>) -> Vec<Check> {
    let failed = rejection.map(Step::of);
    let unchecked = |step| match step {
        Step::Iss => subject.accepted.any_issuer,
        Step::Aud => subject.accepted.any_audience,
        Step::Policy => !subject.accepted.policy.subject_required && !subject.accepted.policy_asks_more(),
        _ => false,
    };
    table(failed, |step| subject.detail(step, rejection.filter(|_| failed == Some(step))), unchecked)
}

fn table(failed: Option<Step>, detail: impl Fn(Step) -> String, unchecked: impl Fn(Step) -> bool) -> Vec<Check> {
    let outcome = |step| match failed {
        Some(failed) if step == failed => Outcome::Fail,
        Some(failed) if step > failed => Outcome::NotReached,
        _ if unchecked(step) => Outcome::NotChecked,
        _ => Outcome::Ok,
    };
    let check = |step: Step| Check { name: step.name(), result: outcome(step), detail: detail(step) };
    let mut checks: Vec<Check> = Step::ALL.into_iter().map(check).collect();
    let revoked = "revocations and denied keys are known to a running service only";
    checks.push(Check { name: "revoked", result: Outcome::NotChecked, detail: revoked.to_owned() });
    checks
}

fn size(length: usize, max_bytes: usize) -> String {
    format!("{} (at most {max_bytes})", count(length, "byte", "bytes"))
}

impl Subject<'_> {
    /// What is compared in a step, and what is wrong with it.
    fn detail(&self, step: Step, rejection: Option<&Rejection>) -> String {
        match step {
            Step::Size => size(self.token.token().len(), self.accepted.verifier.max_token_bytes()),
            Step::Shape => "three parts, header and payload are JSON objects".to_owned(),
            Step::Header => self.header(),
            Step::Algorithm => self.algorithm(rejection),
            Step::Key => self.key(),
            Step::Signature if rejection.is_some() => "not by this key over this content".to_owned(),
            Step::Signature => format!("{} over header and payload", self.alg()),
            Step::Exp => self.time("exp", "required"),
            Step::Nbf => self.time("nbf", "optional"),
            Step::Iat => self.time("iat", "optional"),
            Step::Iss => self.issuer(),
            Step::Aud => self.audience(),
            Step::Claims => rejection.map_or_else(|| self.identity(), ToString::to_string),
            Step::Policy => self.policy(),
        }
    }

    fn header(&self) -> String {
        let mut parts = vec![format!("typ {}", self.value(self.header.get("typ")))];
        for name in ["crit", "cty"] {
            if let Some(value) = self.header.get(name) {
                parts.push(format!("{name} {} (not supported)", self.value(Some(value))));
            }
        }
        parts.join(", ")
    }

    fn alg(&self) -> String {
        self.header.get("alg").and_then(Value::as_str).map(shown).unwrap_or_default()
    }

    fn algorithm(&self, rejection: Option<&Rejection>) -> String {
        if rejection.is_some_and(|rejection| rejection.reason() == Reason::LegacyApiKey) {
            return format!("{}: a legacy API key, not a user's token", self.alg());
        }
        format!("{} (accepted: {})", self.alg(), algorithms(self.accepted.verifier.algorithms()))
    }

    fn key(&self) -> String {
        let kid = self.token.kid().map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
        let Some(algorithm) = self.token.algorithm() else { return kid };
        if algorithm.is_symmetric()
            && self.keys.is_none_or(|keys| !self.token.kid().is_some_and(|kid| keys.has_kid(kid)))
        {
            return if self.accepted.has_secret {
                format!("{kid}: the configured secret ({})", self.accepted.secret_from)
            } else {
                kid
            };
        }
        let Some(keys) = self.keys else { return format!("{kid}: there is no key set to look in") };
        match keys.find(self.token.kid(), algorithm) {
            Found::Keys(candidates) => {
                let found: Vec<String> = candidates.iter().map(|key| describe(keys, key)).collect();
                format!("{kid}: {}", found.join("; "))
            }
            Found::OtherAlgorithm => format!("{kid}: it is for {}, not {algorithm}", self.pinned(keys)),
            Found::Denied => format!("{kid}: denied"),
            Found::Ambiguous => format!("{kid}: more than one key fits {algorithm}"),
            Found::Nothing => {
                let has = list(keys.kids().iter().map(String::as_str));
                format!("{kid}: not in the set, which has {}", if has.is_empty() { "no kid" } else { &has })
            }
        }
    }

    /// The algorithms of the keys with the token's `kid`.
    fn pinned(&self, keys: &KeySet) -> String {
        let sharing = keys.keys().iter().filter(|key| key.kid() == self.token.kid());
        let all: AlgorithmSet = sharing.flat_map(|key| key.algorithms().iter()).collect();
        algorithms(all)
    }

    fn time(&self, name: &str, when_absent: &str) -> String {
        let Some(value) = self.claims.get(name) else { return format!("absent ({when_absent})") };
        match moment(value) {
            Some(at) => {
                let (at, relative) = (moments::absolute(at), moments::relative(at, self.now));
                format!("{at} ({relative}, leeway {} s)", self.leeway_secs)
            }
            None => format!("{}: not a number of seconds since 1970", self.value(Some(value))),
        }
    }

    fn issuer(&self) -> String {
        let claimed = self.value(self.claims.get("iss"));
        let accepted = self.accepted;
        if accepted.any_issuer {
            return format!("{claimed}; any is accepted: no --issuer given, none configured");
        }
        let list = list(accepted.issuers.iter().map(String::as_str));
        format!("{claimed} (accepted: {list}, from {})", accepted.issuers_from)
    }

    fn audience(&self) -> String {
        let claimed = self.value(self.claims.get("aud"));
        let accepted = self.accepted;
        if accepted.any_audience {
            return format!("{claimed}; any is accepted: no --audience given, none configured");
        }
        let list = list(accepted.audiences.iter().map(String::as_str));
        format!("{claimed} (accepted: {list}, from {})", accepted.audiences_from)
    }

    fn identity(&self) -> String {
        let claims = ["sub", "role", "session_id", "aal", "is_anonymous", "jti"];
        let present = claims.iter().filter_map(|name| Some((name, self.claims.get(name)?)));
        present.map(|(name, value)| format!("{name} {}", self.value(Some(value)))).collect::<Vec<_>>().join(", ")
    }

    fn policy(&self) -> String {
        let subject = if self.accepted.policy.subject_required { "a sub is required" } else { "sub is optional" };
        let more = if self.accepted.policy_asks_more() { ", and what else the configuration asks for" } else { "" };
        format!("default: {subject}{more}")
    }

    fn value(&self, value: Option<&Value>) -> String {
        match value {
            None => "absent".to_owned(),
            Some(Value::String(text)) => quoted(text),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                format!("[{}]", list(items.iter().filter_map(Value::as_str)))
            }
            Some(other) => shown(&other.to_string()),
        }
    }
}

fn describe(keys: &KeySet, key: &keyward::jwk::Key) -> String {
    let kind = keys.keys().iter().position(|known| std::ptr::eq(&**known, key));
    let kind = kind.and_then(|index| KeyRow::all(keys).get(index).map(KeyRow::kind)).unwrap_or_default();
    format!("{kind}, thumbprint {}", key.thumbprint())
}

/// Algorithms as people call them.
fn algorithms(set: AlgorithmSet) -> String {
    let asymmetric = AlgorithmSet::asymmetric();
    let names = |set: &mut dyn Iterator<Item = keyward::alg::Algorithm>| {
        set.map(|one| one.name()).collect::<Vec<_>>().join(", ")
    };
    if !asymmetric.iter().all(|algorithm| set.contains(algorithm)) {
        return names(&mut set.iter());
    }
    match names(&mut set.iter().filter(|algorithm| algorithm.is_symmetric())) {
        secret if secret.is_empty() => "any with a public key".to_owned(),
        secret => format!("any with a public key, {secret}"),
    }
}

fn list<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: Vec<String> = values.map(quoted).collect();
    match values.len().checked_sub(MOST_LISTED) {
        None | Some(0) => values.join(", "),
        Some(more) => format!("{} and {more} more", values[..MOST_LISTED].join(", ")),
    }
}

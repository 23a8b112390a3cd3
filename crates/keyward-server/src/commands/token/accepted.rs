//! What is accepted: from the command line, else from the configuration, else anything.

use keyward::jws::Unverified;
use keyward::policy::Policy;
use keyward::verifier::{Verifier, VerifierError};
use serde_json::Value;

use super::VerifyArgs;
use crate::config::{Config, DEFAULT_POLICY, IssuerSettings, SUPABASE};
use crate::engine;

/// What is accepted, and where that was said.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Accepted `iss`; with [`any_issuer`](Self::any_issuer) the token's own.
    pub(super) issuers: Vec<String>,
    /// Nobody said whose tokens are accepted.
    pub(super) any_issuer: bool,
    /// Accepted `aud`; with [`any_audience`](Self::any_audience) the token's own.
    pub(super) audiences: Vec<String>,
    /// Nobody said what tokens must be meant for.
    pub(super) any_audience: bool,
    /// Who said it, for people.
    pub(super) issuers_from: String,
    pub(super) audiences_from: String,
    /// Whether a shared secret is configured, and where.
    pub(super) has_secret: bool,
    pub(super) secret_from: String,
    /// The policy `default`.
    pub(super) policy: Policy,
    pub(super) verifier: Verifier,
}

impl Accepted {
    /// For a token that could be taken apart. `issuer` is the configured one whose tokens it is judged as.
    pub(super) fn new(
        args: &VerifyArgs,
        config: &Config,
        issuer: Option<&IssuerSettings>,
        token: &Unverified<'_>,
    ) -> Result<Self, VerifierError> {
        let name = issuer.map_or_else(String::new, |issuer| format!("issuer {}", issuer.name));
        let pick = |given: &[String], flag: &str, configured: Option<&Vec<String>>| match configured {
            _ if !given.is_empty() => (given.to_vec(), flag.to_owned(), false),
            Some(configured) => (configured.clone(), name.clone(), false),
            None => (Vec::new(), String::new(), true),
        };
        let (mut issuers, issuers_from, any_issuer) =
            pick(&args.issuer, "--issuer", issuer.map(|issuer| &issuer.issuers));
        let (mut audiences, audiences_from, any_audience) =
            pick(&args.audience, "--audience", issuer.map(|issuer| &issuer.audiences));
        if any_issuer {
            issuers = vec![token.issuer().unwrap_or_default().into_owned()];
        }
        if any_audience {
            audiences = audiences_of(token);
        }
        let verifier = engine::verifier(config, issuer, &issuers, &audiences)?;
        let policy = config
            .policies
            .iter()
            .find(|policy| policy.name == DEFAULT_POLICY)
            .map_or_else(|| Policy::named(DEFAULT_POLICY), |settings| engine::policy(settings, &config.policies));
        Ok(Self {
            issuers,
            any_issuer,
            audiences,
            any_audience,
            issuers_from,
            audiences_from,
            has_secret: verifier.has_secret(),
            secret_from: if issuer.is_some_and(|issuer| issuer.name == SUPABASE) {
                "SUPABASE_JWT_SECRET".to_owned()
            } else {
                name
            },
            policy,
            verifier,
        })
    }

    /// Whether the policy asks for anything beyond a `sub`.
    pub(super) fn policy_asks_more(&self) -> bool {
        let Policy { issuers, audiences, roles, assurance, anonymous, claims, .. } = &self.policy;
        let lists = [issuers, audiences, roles];
        lists.iter().any(|list| !list.is_empty()) || assurance.is_some() || !anonymous || !claims.is_empty()
    }

    /// Whether this `iss` is accepted.
    pub(super) fn accepts_issuer(&self, iss: &str) -> bool {
        self.verifier.accepts_issuer(iss)
    }
}

/// The configured issuer that this `iss` is one of.
pub(super) fn configured<'c>(config: &'c Config, iss: &str) -> Option<&'c IssuerSettings> {
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    config.issuers.iter().find(|issuer| {
        let same =
            |accepted: &String| *accepted == *iss || (issuer.ignore_trailing_slash && bare(accepted) == bare(iss));
        issuer.issuers.iter().any(same)
    })
}

/// The token's own audiences, so that whichever it names is accepted; an empty text where there are none.
fn audiences_of(token: &Unverified<'_>) -> Vec<String> {
    // Not through the redacted claims: these are compared, not shown.
    let payload: Value = serde_json::from_str(token.payload_json()).unwrap_or_default();
    let list = match &payload["aud"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if list.is_empty() { vec![String::new()] } else { list }
}

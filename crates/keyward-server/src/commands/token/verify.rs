//! `keyward token verify`.

use std::time::Duration;

use keyward::jwk::KeySet;
use keyward::jws::Unverified;
use keyward::time::UnixTime;
use keyward::{FetchOptions, Rejection, VerifiedToken};

use super::accepted::{self, Accepted};
use super::checks::{self, Step};
use super::claims::Members;
use super::input::Input;
use super::report::{Claims, Expected, Report, Verdict};
use super::{VerifyArgs, hints, input, moment};
use crate::commands::jwks::{self, Location, Unobtainable};
use crate::config::{Config, Flags, IssuerSettings, KeySource};
use crate::exit::Exit;

/// How long fetching a key set may take when no issuer says otherwise.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(args: &VerifyArgs) -> Exit {
    match examine(args) {
        Ok(report) => {
            report.print(args.format);
            report.exit()
        }
        Err(error) => error.report(),
    }
}

fn examine(args: &VerifyArgs) -> Result<Report, Unobtainable> {
    let now = moment::parse(args.at.as_deref()).map_err(usage)?;
    let config = Config::read(&Flags::new(), args.config.as_deref()).map_err(usage)?;
    let Input { token, notes } = input::read(&args.input).map_err(usage)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    match Unverified::parse(&token, config.max_token_bytes) {
        Ok(parsed) => Examination::new(args, &config, &parsed, now)?.report(),
        Err(rejection) => Ok(Report::of_no_token(&token, &config, &rejection, now)),
    }
}

fn usage(message: impl ToString) -> Unobtainable {
    Unobtainable { is_usage: true, message: message.to_string(), hint: None }
}

/// A token and what it is judged by.
struct Examination<'a> {
    args: &'a VerifyArgs,
    config: &'a Config,
    token: &'a Unverified<'a>,
    issuer: Option<&'a IssuerSettings>,
    accepted: Accepted,
    now: UnixTime,
}

impl<'a> Examination<'a> {
    fn new(
        args: &'a VerifyArgs,
        config: &'a Config,
        token: &'a Unverified<'a>,
        now: UnixTime,
    ) -> Result<Self, Unobtainable> {
        let issuer = choose(args, config, token);
        let accepted = Accepted::new(args, config, issuer, token).map_err(usage)?;
        Ok(Self { args, config, token, issuer, accepted, now })
    }

    fn report(&self) -> Result<Report, Unobtainable> {
        let early = self.verify(None);
        // A token that is refused before its key is looked for needs no key set.
        if early.as_ref().is_err_and(|rejection| Step::of(rejection) < Step::Key) {
            return Ok(self.write(&early, None));
        }
        let by_secret = self.token.algorithm().is_some_and(|algorithm| algorithm.is_symmetric());
        match self.keys() {
            Ok(set) if by_secret || !set.keys().is_empty() => Ok(self.write(&self.verify(Some(&set)), Some(&set))),
            Ok(set) => {
                let message = "the key set has no usable key".to_owned();
                let error = Unobtainable { is_usage: false, message, hint: jwks::no_usable_key(&set) };
                Ok(self.undecided(&early, error))
            }
            // The secret is enough; a set would only tell whether the kid is one of its keys.
            Err(error) if by_secret => {
                if self.has_key_set() {
                    eprintln!("note: not looked whether the key set has the token's kid: {}", error.message);
                }
                Ok(self.write(&early, None))
            }
            Err(error) if error.is_usage => Err(error),
            Err(error) => Ok(self.undecided(&early, error)),
        }
    }

    /// The pipeline, then the policy `default`.
    fn verify(&self, keys: Option<&KeySet>) -> Result<VerifiedToken, Rejection> {
        let verified = self.accepted.verifier.verify_parsed(self.token, keys, self.now)?;
        self.accepted.policy.check(&verified).map_err(|rejection| rejection.claimed_by(self.token))?;
        Ok(verified)
    }

    fn has_key_set(&self) -> bool {
        self.args.jwks.is_some() || self.issuer.is_some_and(|issuer| issuer.keys != KeySource::None)
    }

    fn keys(&self) -> Result<KeySet, Unobtainable> {
        match (&self.args.jwks, self.issuer) {
            (Some(text), issuer) => {
                let location = Location::parse(text);
                if location == Location::StandardInput && self.args.input.as_os_str() == "-" {
                    return Err(usage("the token and the key set cannot both come from standard input"));
                }
                jwks::load(&location, &self.args.fetching(issuer), timeout(issuer))
            }
            (None, Some(issuer)) => keys_of(issuer, self.args),
            (None, None) => Err(usage(
                "there is no key set to verify with: give --jwks FILE|URL, or configure an issuer (SUPABASE_URL, or a \
                 file given with --config)",
            )),
        }
    }

    fn write(&self, verdict: &Result<VerifiedToken, Rejection>, keys: Option<&KeySet>) -> Report {
        let (header, claims) = (Members::read(self.token.header_json()), Members::read(self.token.payload_json()));
        let rejection = verdict.as_ref().err();
        let subject = checks::Subject {
            token: self.token,
            header: &header,
            claims: &claims,
            accepted: &self.accepted,
            keys,
            leeway_secs: self.config.leeway.as_secs(),
            now: self.now,
        };
        let hints = rejection.map(|rejection| hints::refusal(rejection, self.token, &claims, &self.accepted));
        Report {
            verdict: if rejection.is_some() { Verdict::Refused } else { Verdict::Valid },
            reason: rejection.map(|rejection| rejection.reason().as_str()),
            explanation: match verdict {
                Ok(verified) => format!("expires {}", moment::both(verified.expires(), self.now)),
                Err(rejection) => rejection.to_string(),
            },
            at: moment::absolute(self.now),
            checks: checks::of_token(&subject, rejection),
            claimed: Some(Claims::new(self.token.claimed())),
            accepted: Some(Expected::new(&self.accepted)),
            hints: hints.unwrap_or_default(),
        }
    }

    fn undecided(&self, early: &Result<VerifiedToken, Rejection>, error: Unobtainable) -> Report {
        let report = self.write(early, None);
        let hints = error.hint.into_iter().collect();
        Report { verdict: Verdict::Undecided, explanation: error.message, hints, ..report }
    }
}

/// The configured issuer that a token is judged by: the one its `iss` names, as the engine does it.
fn choose<'c>(args: &VerifyArgs, config: &'c Config, token: &Unverified<'_>) -> Option<&'c IssuerSettings> {
    let named = token.issuer().and_then(|iss| accepted::configured(config, &iss));
    if args.jwks.is_some() && !args.issuer.is_empty() {
        // Keys and issuer of somebody else: what is configured for others does not apply.
        return named.or_else(|| args.issuer.iter().find_map(|iss| accepted::configured(config, iss)));
    }
    named.or_else(|| with_key(args, config, token)).or(config.issuers.first())
}

/// The issuer whose set has the token's key, for a token whose `iss` is no configured one: as the engine does it, so
/// that it is refused for its `iss`.
fn with_key<'c>(args: &VerifyArgs, config: &'c Config, token: &Unverified<'_>) -> Option<&'c IssuerSettings> {
    let kid = token.kid().filter(|_| args.jwks.is_none() && config.issuers.len() > 1)?;
    config.issuers.iter().find(|issuer| keys_of(issuer, args).is_ok_and(|set| set.has_kid(kid)))
}

fn keys_of(issuer: &IssuerSettings, args: &VerifyArgs) -> Result<KeySet, Unobtainable> {
    let (options, timeout) = (args.fetching(Some(issuer)), timeout(Some(issuer)));
    match &issuer.keys {
        KeySource::JwksUrl { url, .. } => jwks::load(&Location::Url(url.clone()), &options, timeout),
        KeySource::File(path) => jwks::load(&Location::File(path.clone()), &options, timeout),
        KeySource::Discovery { issuer_url, .. } => {
            let name = Location::Url(issuer_url.clone()).name();
            jwks::load_source(&name, &keyward::KeySource::Discovery(issuer_url.clone()), &options, timeout)
        }
        KeySource::Static(keys) => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            Ok(KeySet::from_jwks(keys.iter().map(String::as_str)))
        }
        KeySource::None => {
            let name = &issuer.name;
            Err(usage(format!("the issuer {name} has a secret and no key set, and this token needs one: give --jwks")))
        }
    }
}

fn timeout(issuer: Option<&IssuerSettings>) -> Duration {
    issuer.map_or(FETCH_TIMEOUT, |issuer| issuer.refresh_timeout)
}

impl VerifyArgs {
    fn fetching(&self, issuer: Option<&IssuerSettings>) -> FetchOptions {
        let allowed = issuer.is_some_and(|issuer| {
            let (KeySource::JwksUrl { allow_http, .. } | KeySource::Discovery { allow_http, .. }) = issuer.keys else {
                return false;
            };
            // What is allowed for the configured address is not allowed for another one.
            allow_http && self.jwks.is_none()
        });
        let configured = issuer.and_then(|issuer| issuer.ca_file.clone());
        FetchOptions {
            ca_file: self.ca_file.clone().or(configured),
            allow_http: self.allow_http || allowed,
            connect_timeout: None,
        }
    }
}

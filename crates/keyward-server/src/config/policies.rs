//! What a verified token must have.

use std::fmt;

use serde_json::{Value as Json, json};

use super::file::{Raw, Table};
use super::issuers::{IssuerSettings, NAME, is_name};
use super::load::Loader;
use super::values::{self, Shown};
use super::{ConfigError, DEFAULT_POLICY, Source, policy_checks};

const KEYS: &[&str] = &["issuers", "audiences", "roles", "aal", "anonymous", "subject", "claims", "any"];
const CONDITION_KEYS: &[&str] = &["path", "equals", "in", "contains", "exists"];
const TESTS: [&str; 4] = ["equals", "in", "contains", "exists"];
const PATH: &str = "names joined by dots, such as app_metadata.roles; a name with a dot in it in double quotes";

/// A policy. A token satisfies it when it meets everything said here, or satisfies one of the policies in `any`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicySettings {
    /// Its name: `[a-z0-9_-]{1,64}`.
    pub name: String,
    /// Names of issuers whose tokens it takes; `None` for every configured one.
    pub issuers: Option<Vec<String>>,
    /// Accepted `aud`; `None` for those that the token's issuer accepts.
    pub audiences: Option<Vec<String>>,
    /// Accepted `role`; `None` for any.
    pub roles: Option<Vec<String>>,
    /// The least authenticator assurance level; `None` for any.
    pub aal: Option<Aal>,
    /// Whether anonymous users pass. Default true.
    pub anonymous: bool,
    /// Whether `sub` must be there. Default [`Subject::Required`].
    pub subject: Subject,
    /// Conditions on claims; all must hold.
    pub claims: Vec<ClaimCondition>,
    /// Policies of which any one is enough instead. They exist, and there is no cycle.
    pub any: Vec<String>,
}

/// An authenticator assurance level (Supabase's `aal` claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aal {
    /// `aal1`: one factor.
    Aal1,
    /// `aal2`: two factors.
    Aal2,
    /// `aal3`: two factors, one of them bound to hardware.
    Aal3,
}

/// Whether a token without `sub` passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// It does not.
    Required,
    /// It does.
    Optional,
}

/// A condition on one claim.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClaimCondition {
    /// The names that lead to the claim, outermost first; at least one.
    pub path: Vec<String>,
    /// What must hold there.
    pub test: ClaimTest,
}

/// What must hold of a claim.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClaimTest {
    /// It is this value.
    Equals(Json),
    /// It is one of these values.
    In(Vec<Json>),
    /// It is an array that has this element.
    Contains(Json),
    /// It is there (`true`), or is not (`false`).
    Exists(bool),
}

impl PolicySettings {
    /// A policy that every token of a configured issuer with a subject satisfies.
    fn open(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            issuers: None,
            audiences: None,
            roles: None,
            aal: None,
            anonymous: true,
            subject: Subject::Required,
            claims: Vec::new(),
            any: Vec::new(),
        }
    }
}

/// Every policy: `default` first, the others by their place in the file.
pub(super) fn load(loader: &mut Loader<'_>, issuers: &[IssuerSettings]) -> Result<Vec<PolicySettings>, ConfigError> {
    let mut policies = Vec::new();
    let section = loader.file.get("policies").cloned();
    let empty = Table::default();
    let table = section.as_ref().map_or(Ok(&empty), Raw::table)?;
    if table.get(DEFAULT_POLICY).is_none() {
        let policy = PolicySettings::open(DEFAULT_POLICY);
        show(loader, &policy, &empty);
        policies.push(policy);
    }
    for (name, raw) in table.entries() {
        if !is_name(name) {
            return Err(ConfigError::invalid(&raw.source, Some(format!("{name:?}")), "is not a name", NAME));
        }
        let policy = policy(name, raw.table()?)?;
        show(loader, &policy, raw.table()?);
        policies.push(policy);
    }
    policies.sort_by_key(|policy| policy.name != DEFAULT_POLICY);
    policy_checks::check(table, &policies, issuers)?;
    loader.warnings.extend(policy_checks::warnings(&policies));
    Ok(policies)
}

fn policy(name: &str, table: &Table) -> Result<PolicySettings, ConfigError> {
    let mut policy = PolicySettings::open(name);
    let list = |key| table.get(key).map(values::list).transpose();
    policy.issuers = list("issuers")?;
    policy.audiences = list("audiences")?;
    policy.roles = list("roles")?;
    policy.any = list("any")?.unwrap_or_default();
    policy.aal = table.get("aal").map(aal).transpose()?;
    policy.anonymous = table.get("anonymous").map_or(Ok(true), values::boolean)?;
    policy.subject = table.get("subject").map_or(Ok(Subject::Required), subject)?;
    if let Some(raw) = table.get("claims") {
        policy.claims = raw.array()?.iter().map(condition).collect::<Result<_, _>>()?;
    }
    table.refuse_unknown(KEYS)?;
    Ok(policy)
}

fn aal(raw: &Raw) -> Result<Aal, ConfigError> {
    match values::text(raw)?.as_str() {
        "aal1" => Ok(Aal::Aal1),
        "aal2" => Ok(Aal::Aal2),
        "aal3" => Ok(Aal::Aal3),
        _ => Err(raw.error("is not an assurance level", "aal1, aal2 or aal3")),
    }
}

fn subject(raw: &Raw) -> Result<Subject, ConfigError> {
    match values::text(raw)?.as_str() {
        "required" => Ok(Subject::Required),
        "optional" => Ok(Subject::Optional),
        _ => Err(raw.error("says not whether sub is required", "required or optional")),
    }
}

fn condition(raw: &Raw) -> Result<ClaimCondition, ConfigError> {
    let table = raw.table()?;
    let path =
        table.get("path").ok_or_else(|| raw.error("has no path", "path = …, and equals, in, contains or exists"))?;
    let path = claim_path(path)?;
    let said: Vec<(&str, &Raw)> = TESTS.into_iter().filter_map(|key| Some((key, table.get(key)?))).collect();
    table.refuse_unknown(CONDITION_KEYS)?;
    let test = match said[..] {
        [("equals", value)] => ClaimTest::Equals(values::to_json(value)?),
        [("contains", value)] => ClaimTest::Contains(values::to_json(value)?),
        [("exists", value)] => ClaimTest::Exists(values::boolean(value)?),
        [("in", value)] => {
            let values = value.array()?.iter().map(values::to_json).collect::<Result<Vec<_>, _>>()?;
            if values.is_empty() {
                return Err(value.error("can never be satisfied", "at least one value"));
            }
            ClaimTest::In(values)
        }
        _ => return Err(raw.error(format!("has {} tests", said.len()), "exactly one of equals, in, contains, exists")),
    };
    Ok(ClaimCondition { path, test })
}

/// Splits `app_metadata.roles`, or `"https://example.com/roles".admin`.
fn claim_path(raw: &Raw) -> Result<Vec<String>, ConfigError> {
    let text = values::text(raw)?;
    let mut names = Vec::new();
    let mut rest = text.as_str();
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| raw.error("has an open quote", PATH))?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if name.is_empty()
            || (!rest.starts_with('"') && name.contains(|c: char| c == '"' || c.is_whitespace() || c.is_control()))
        {
            return Err(raw.error("is not a path to a claim", PATH));
        }
        names.push(name.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(names),
            None => return Err(raw.error("is not a path to a claim", PATH)),
        }
    }
}

fn show(loader: &mut Loader<'_>, policy: &PolicySettings, table: &Table) {
    let claims: Vec<String> = policy.claims.iter().map(ToString::to_string).collect();
    let any = (!policy.any.is_empty()).then(|| policy.any.clone());
    let shown = [
        ("issuers", policy.issuers.shown()),
        ("audiences", policy.audiences.shown()),
        ("roles", policy.roles.shown()),
        ("aal", policy.aal.map_or(Json::Null, |aal| json!(format!("{aal:?}").to_lowercase()))),
        ("anonymous", policy.anonymous.shown()),
        ("subject", json!(format!("{:?}", policy.subject).to_lowercase())),
        ("claims", if claims.is_empty() { Json::Null } else { json!(claims) }),
        ("any", any.shown()),
    ];
    for (key, value) in shown {
        let source = table.get(key).map_or(Source::Default, |raw| raw.source.clone());
        loader.show(format!("policies.{}.{key}", policy.name), value, source);
    }
}

impl fmt::Display for ClaimCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name: &String| if name.contains('.') { format!("\"{name}\"") } else { name.clone() };
        f.write_str(&self.path.iter().map(quoted).collect::<Vec<_>>().join("."))?;
        match &self.test {
            ClaimTest::Equals(value) => write!(f, " equals {value}"),
            ClaimTest::In(values) => write!(f, " in {}", json!(values)),
            ClaimTest::Contains(value) => write!(f, " contains {value}"),
            ClaimTest::Exists(value) => write!(f, " exists {value}"),
        }
    }
}

//! Checks across policies: every name exists, and every policy can be satisfied.

use super::file::Table;
use super::issuers::IssuerSettings;
use super::policies::PolicySettings;
use super::suggest::closest;
use super::{ConfigError, Source};

/// The claim that users write themselves.
const USER_METADATA: &str = "user_metadata";

/// Fails on the first policy that names what does not exist or can never be satisfied.
pub(super) fn check(table: &Table, policies: &[PolicySettings], issuers: &[IssuerSettings]) -> Result<(), ConfigError> {
    for policy in policies {
        issuers_exist(table, policy, issuers)?;
        audiences_are_accepted(table, policy, issuers)?;
        alternatives_exist(table, policy, policies)?;
    }
    policies.iter().try_for_each(|policy| no_cycle(table, policy, policies))
}

/// One line for each policy that relies on what users write themselves.
pub(super) fn warnings(policies: &[PolicySettings]) -> impl Iterator<Item = String> + '_ {
    policies.iter().filter(|policy| policy.claims.iter().any(|condition| condition.path[0] == USER_METADATA)).map(
        |policy| {
            format!(
                "the policy {:?} relies on {USER_METADATA}, which users write themselves: use app_metadata instead",
                policy.name
            )
        },
    )
}

fn issuers_exist(table: &Table, policy: &PolicySettings, issuers: &[IssuerSettings]) -> Result<(), ConfigError> {
    let known = || issuers.iter().map(|issuer| issuer.name.as_str());
    match policy.issuers.iter().flatten().find(|name| known().all(|known| known != *name)) {
        None => Ok(()),
        Some(name) => Err(unknown(&at(table, policy, "issuers"), name, "issuer", known().collect())),
    }
}

fn audiences_are_accepted(
    table: &Table,
    policy: &PolicySettings,
    issuers: &[IssuerSettings],
) -> Result<(), ConfigError> {
    let of_policy = |issuer: &&IssuerSettings| policy.issuers.as_ref().is_none_or(|names| names.contains(&issuer.name));
    let accepted: Vec<&str> =
        issuers.iter().filter(of_policy).flat_map(|issuer| &issuer.audiences).map(String::as_str).collect();
    match policy.audiences.iter().flatten().find(|audience| !accepted.contains(&audience.as_str())) {
        // Without issuers nothing is accepted anyway; that is said elsewhere.
        Some(audience) if !issuers.is_empty() => Err(ConfigError::invalid(
            &at(table, policy, "audiences"),
            Some(format!("{audience:?}")),
            "is accepted by none of the policy's issuers",
            accepted.join(", "),
        )),
        _ => Ok(()),
    }
}

fn alternatives_exist(table: &Table, policy: &PolicySettings, policies: &[PolicySettings]) -> Result<(), ConfigError> {
    let known = || policies.iter().map(|policy| policy.name.as_str());
    match policy.any.iter().find(|name| known().all(|known| known != *name)) {
        None => Ok(()),
        Some(name) => Err(unknown(&at(table, policy, "any"), name, "policy", known().collect())),
    }
}

/// Follows `any` from one policy; meeting that policy again is a cycle.
fn no_cycle(table: &Table, start: &PolicySettings, policies: &[PolicySettings]) -> Result<(), ConfigError> {
    let mut seen: Vec<&str> = Vec::new();
    let mut to_visit: Vec<&str> = start.any.iter().map(String::as_str).collect();
    while let Some(name) = to_visit.pop() {
        if name == start.name {
            let value = Some(format!("{:?}", start.any.join(", ")));
            let problem = format!("leads back to the policy {:?}", start.name);
            return Err(ConfigError::invalid(&at(table, start, "any"), value, problem, "policies without a cycle"));
        }
        if !seen.contains(&name) {
            seen.push(name);
            to_visit.extend(
                policies.iter().filter(|policy| policy.name == name).flat_map(|policy| &policy.any).map(String::as_str),
            );
        }
    }
    Ok(())
}

fn unknown(at: &Source, name: &str, what: &str, known: Vec<&str>) -> ConfigError {
    let hint =
        closest(name, known.iter().copied()).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default();
    let accepted = if known.is_empty() { format!("none: no {what} is configured") } else { known.join(", ") };
    ConfigError::invalid(at, Some(format!("{name:?}")), format!("is an unknown {what}{hint}"), accepted)
}

fn at(table: &Table, policy: &PolicySettings, key: &str) -> Source {
    let entry = table.get(&policy.name).and_then(|raw| raw.table().ok()?.get(key));
    entry.map_or(Source::Default, |raw| raw.source.clone())
}

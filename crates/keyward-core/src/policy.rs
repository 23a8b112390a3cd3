//! What a verified token must be to be allowed somewhere.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use crate::claims::missing;
use crate::rejection::{Detail, Reason, Rejection};
use crate::token::VerifiedToken;

/// A named set of requirements. The default asks for a subject and nothing else.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The configured names of the issuers it accepts; empty accepts all.
    pub issuers: Vec<String>,
    /// The audiences of which the token must have one; empty accepts what the issuer accepts.
    pub audiences: Vec<String>,
    /// The roles of which the token must have one; empty accepts all.
    pub roles: Vec<String>,
    /// The authenticator assurance level that is needed at least.
    pub assurance: Option<Assurance>,
    /// Whether anonymous users are allowed. Default yes.
    pub anonymous: bool,
    /// Whether the token must have a `sub`. Default yes.
    pub subject_required: bool,
    /// What claims must say.
    pub claims: Vec<ClaimRule>,
    /// Other policies, each of which is enough instead of this one.
    pub any: Vec<Arc<Policy>>,
}

impl Policy {
    /// A policy that asks for a subject and nothing else.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            roles: Vec::new(),
            assurance: None,
            anonymous: true,
            subject_required: true,
            claims: Vec::new(),
            any: Vec::new(),
        }
    }

    /// Whether the token satisfies this policy or one of its alternatives.
    ///
    /// # Errors
    ///
    /// This policy's own refusal: [`Reason::MissingClaim`] without a subject, [`Reason::InsufficientRole`] when only
    /// the role is another, [`Reason::PolicyDenied`] otherwise.
    pub fn check(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        let own = self.check_own(token);
        if own.is_ok() || self.any.iter().any(|other| other.check(token).is_ok()) { Ok(()) } else { own }
    }

    fn check_own(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        if self.subject_required && token.subject().is_none() {
            return Err(missing("sub"));
        }
        if !self.issuers.is_empty() && !self.issuers.iter().any(|name| name == token.issuer()) {
            return Err(denied("the policy does not accept this issuer"));
        }
        if !self.anonymous && token.is_anonymous() {
            return Err(denied("the policy does not accept anonymous users"));
        }
        if let Some(needed) = self.assurance
            && token.assurance().and_then(|aal| aal.parse().ok()).is_none_or(|aal: Assurance| aal < needed)
        {
            return Err(denied("the policy asks for a higher assurance level"));
        }
        if !self.audiences.is_empty() || !self.claims.is_empty() {
            self.check_claims(token)?;
        }
        if !self.roles.is_empty() && !self.roles.iter().any(|role| Some(role.as_str()) == token.role()) {
            return Err(Reason::InsufficientRole.into());
        }
        Ok(())
    }

    fn check_claims(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        let claims: Value = token.claims().map_err(|_| denied("the claims cannot be read"))?;
        if !self.audiences.is_empty() {
            let accepted = |aud: &Value| aud.as_str().is_some_and(|aud| self.audiences.iter().any(|one| one == aud));
            let aud = &claims["aud"];
            if !accepted(aud) && !aud.as_array().is_some_and(|list| list.iter().any(accepted)) {
                return Err(denied("the policy does not accept this audience"));
            }
        }
        if !self.claims.iter().all(|rule| rule.holds(&claims)) {
            return Err(denied("a claim is not what the policy asks for"));
        }
        Ok(())
    }
}

fn denied(why: &'static str) -> Rejection {
    Rejection::new(Reason::PolicyDenied).with_detail(Detail::Because(why))
}

/// The authenticator assurance levels of the `aal` claim, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
    /// Two factors, one of them hardware.
    Aal3,
}

/// The text is no assurance level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an assurance level (accepted: aal1, aal2, aal3)")]
pub struct UnknownAssurance;

impl FromStr for Assurance {
    type Err = UnknownAssurance;

    fn from_str(text: &str) -> Result<Self, UnknownAssurance> {
        match text {
            "aal1" => Ok(Self::Aal1),
            "aal2" => Ok(Self::Aal2),
            "aal3" => Ok(Self::Aal3),
            _ => Err(UnknownAssurance),
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
        })
    }
}

/// What one claim must say.
#[derive(Clone, Debug)]
pub struct ClaimRule {
    /// The names that lead to the claim, outermost first.
    pub path: Vec<String>,
    /// What must be there.
    pub test: ClaimTest,
}

/// What must be found at a claim's path.
#[derive(Clone, Debug)]
pub enum ClaimTest {
    /// An array with this element, or a string that is this one.
    Contains(Value),
    /// This very value.
    Equals(Value),
    /// One of these values.
    In(Vec<Value>),
    /// Anything but null (`true`), or nothing (`false`).
    Exists(bool),
}

impl ClaimRule {
    /// Whether `claims` satisfies the rule.
    #[must_use]
    pub fn holds(&self, claims: &Value) -> bool {
        let found = self.path.iter().try_fold(claims, |value, name| value.get(name)).filter(|value| !value.is_null());
        match (&self.test, found) {
            (ClaimTest::Exists(expected), found) => found.is_some() == *expected,
            (_, None) => false,
            (ClaimTest::Equals(expected), Some(value)) => value == expected,
            (ClaimTest::In(expected), Some(value)) => expected.contains(value),
            (ClaimTest::Contains(expected), Some(Value::Array(list))) => list.contains(expected),
            (ClaimTest::Contains(expected), Some(value)) => value.is_string() && value == expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(path: &str, test: ClaimTest) -> ClaimRule {
        ClaimRule { path: path.split('.').map(str::to_owned).collect(), test }
    }

    #[test]
    fn rules_look_at_one_claim_and_fail_when_it_is_not_there() {
        let claims = json!({"app_metadata": {"roles": ["admin", 7], "plan": "pro", "off": null}, "n": 1});
        let holds = |path, test| rule(path, test).holds(&claims);
        assert!(holds("app_metadata.roles", ClaimTest::Contains(json!("admin"))));
        assert!(holds("app_metadata.plan", ClaimTest::Contains(json!("pro"))));
        assert!(!holds("app_metadata.plan", ClaimTest::Contains(json!("pr"))), "no substrings");
        assert!(!holds("n", ClaimTest::Contains(json!(1))), "a number contains nothing");
        assert!(holds("n", ClaimTest::Equals(json!(1))));
        assert!(!holds("n", ClaimTest::Equals(json!("1"))), "types are told apart");
        assert!(holds("app_metadata.plan", ClaimTest::In(vec![json!("free"), json!("pro")])));
        assert!(!holds("app_metadata.roles.0", ClaimTest::Equals(json!("admin"))), "no indexing into arrays");
        assert!(!holds("app_metadata.off", ClaimTest::Exists(true)));
        assert!(holds("app_metadata.off", ClaimTest::Exists(false)));
        assert!(holds("no.such", ClaimTest::Exists(false)));
        for test in [ClaimTest::Contains(json!(null)), ClaimTest::Equals(json!(null)), ClaimTest::In(vec![json!(null)])]
        {
            assert!(!holds("no.such", test), "what is absent equals nothing");
        }
    }

    #[test]
    fn assurance_levels_are_ordered() {
        assert!(Assurance::Aal1 < Assurance::Aal2 && Assurance::Aal2 < Assurance::Aal3);
        assert!("AAL2".parse::<Assurance>().is_err() && "aal4".parse::<Assurance>().is_err());
    }
}

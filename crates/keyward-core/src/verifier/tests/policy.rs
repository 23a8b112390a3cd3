//! Policies on verified tokens.

use super::*;
use crate::policy::{Assurance, ClaimRule, ClaimTest, Policy};

fn check(policy: &Policy, draft: &Draft) -> Option<Reason> {
    policy.check(&draft.verified()).err().map(|rejection| rejection.reason())
}

fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::named("test");
    change(&mut policy);
    policy
}

#[test]
fn the_default_asks_for_a_subject_and_nothing_else() {
    let default = Policy::named("default");
    assert_eq!(check(&default, &Draft::valid().claim("role", "")), None);
    for sub in ["", r#""""#] {
        let nobody = Draft::valid().claim("sub", sub);
        assert_eq!(check(&default, &nobody), Some(Reason::MissingClaim));
        assert_eq!(check(&with(|policy| policy.subject_required = false), &nobody), None);
    }
}

#[test]
fn roles_are_compared_byte_for_byte() {
    let workers = with(|policy| policy.roles = vec!["service_role".to_owned(), "worker".to_owned()]);
    let role = |raw: &str| check(&workers, &Draft::valid().claim("role", raw));
    assert_eq!(role(r#""worker""#), None);
    for raw in [r#""authenticated""#, r#""Worker""#, r#""worker,x""#, "", "null", r#""""#] {
        assert_eq!(role(raw), Some(Reason::InsufficientRole), "{raw}");
    }
    // An empty role in the policy is not what a token without one has.
    assert_eq!(
        check(&with(|policy| policy.roles = vec![String::new()]), &Draft::valid().claim("role", "")),
        Some(Reason::InsufficientRole)
    );
}

#[test]
fn an_assurance_level_is_a_minimum() {
    let policy = with(|policy| policy.assurance = Some(Assurance::Aal2));
    let level = |raw: &str| check(&policy, &Draft::valid().claim("aal", raw));
    assert_eq!((level(r#""aal2""#), level(r#""aal3""#)), (None, None));
    for raw in [r#""aal1""#, r#""AAL2""#, r#""aal4""#, r#""aal22""#, "null", ""] {
        assert_eq!(level(raw), Some(Reason::PolicyDenied), "{raw}");
    }
}

#[test]
fn anonymous_users_can_be_left_out() {
    let policy = with(|policy| policy.anonymous = false);
    let anonymous = |raw: &str| check(&policy, &Draft::valid().claim("is_anonymous", raw));
    assert_eq!((anonymous("false"), anonymous("")), (None, None));
    assert_eq!(anonymous("true"), Some(Reason::PolicyDenied));
    assert_eq!(check(&Policy::named("default"), &Draft::valid().claim("is_anonymous", "true")), None);
}

#[test]
fn a_policy_can_be_for_some_issuers_and_audiences_only() {
    let issuers = with(|policy| policy.issuers = vec!["login".to_owned()]);
    assert_eq!(check(&issuers, &Draft::valid()), None);
    // The configured name counts, not the claim.
    let by_claim = with(|policy| policy.issuers = vec![ISSUER.to_owned()]);
    assert_eq!(check(&by_claim, &Draft::valid()), Some(Reason::PolicyDenied));

    let audiences = with(|policy| policy.audiences = vec!["orders".to_owned()]);
    let aud = |raw: &str| check(&audiences, &Draft::valid().claim("aud", raw));
    assert_eq!(aud(r#"["authenticated","orders"]"#), None);
    assert_eq!(aud(r#"["authenticated","order"]"#), Some(Reason::PolicyDenied));
    assert_eq!(aud(r#""authenticated""#), Some(Reason::PolicyDenied));
}

#[test]
fn an_alternative_is_enough_and_the_refusal_is_the_policys_own() {
    let staff = with(|policy| policy.roles = vec!["staff".to_owned()]);
    let nested = with(|policy| {
        policy.roles = vec!["partner".to_owned()];
        policy.any = vec![Arc::new(staff)];
    });
    let outer = with(|policy| {
        policy.assurance = Some(Assurance::Aal3);
        policy.any = vec![Arc::new(nested)];
    });
    assert_eq!(check(&outer, &Draft::valid().claim("role", r#""staff""#)), None);
    assert_eq!(check(&outer, &Draft::valid().claim("role", r#""partner""#)), None);
    assert_eq!(check(&outer, &Draft::valid()), Some(Reason::PolicyDenied));
}

#[test]
fn a_role_is_what_is_lacking_only_when_nothing_else_is() {
    let policy = with(|policy| {
        policy.roles = vec!["staff".to_owned()];
        let path = vec!["app_metadata".to_owned(), "plan".to_owned()];
        policy.claims = vec![ClaimRule { path, test: ClaimTest::Equals("pro".into()) }];
    });
    let draft = |plan: &str, role: &str| Draft::valid().claim("app_metadata", plan).claim("role", role);
    assert_eq!(check(&policy, &draft(r#"{"plan":"pro"}"#, r#""staff""#)), None);
    assert_eq!(check(&policy, &draft(r#"{"plan":"pro"}"#, r#""user""#)), Some(Reason::InsufficientRole));
    assert_eq!(check(&policy, &draft(r#"{"plan":"free"}"#, r#""user""#)), Some(Reason::PolicyDenied));
    assert_eq!(check(&policy, &draft("", r#""staff""#)), Some(Reason::PolicyDenied));
}

#[test]
fn claims_that_cannot_be_read_satisfy_no_rule_about_them() {
    // Both are well-formed JSON, and neither has a value.
    for raw in ["1e400", r#""\ud800""#] {
        let draft = Draft::valid().claim("strange", raw);
        assert_eq!(check(&Policy::named("default"), &draft), None);
        let absent = ClaimRule { path: vec!["strange".to_owned()], test: ClaimTest::Exists(false) };
        assert_eq!(check(&with(|policy| policy.claims = vec![absent]), &draft), Some(Reason::PolicyDenied), "{raw}");
    }
}

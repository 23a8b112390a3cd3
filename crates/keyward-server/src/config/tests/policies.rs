use serde_json::json;

use super::super::{Aal, ClaimTest, PolicySettings, Subject};
use super::{PROJECT, check_errors, error, load};

fn policy(name: &str, file: &str) -> PolicySettings {
    let config = load(&[PROJECT], file).unwrap();
    config.policies.into_iter().find(|policy| policy.name == name).unwrap()
}

#[test]
fn the_policy_default_always_exists_and_can_be_written() {
    let default = policy("default", "");
    assert_eq!((default.issuers, default.audiences, default.roles, default.aal), (None, None, None, None));
    assert!(default.anonymous);
    assert_eq!(default.subject, Subject::Required);
    let config = load(&[PROJECT], "[policies.a]\n[policies.default]\nanonymous = false").unwrap();
    let names: Vec<_> = config.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["default", "a"]);
    assert!(!config.policies[0].anonymous);
}

#[test]
fn a_policy_says_what_a_token_must_have() {
    let file = r#"
        [policies.partners]
        [policies.staff]
        issuers = ["supabase"]
        audiences = ["authenticated"]
        roles = ["authenticated"]
        aal = "aal2"
        anonymous = false
        subject = "optional"
        claims = [
            { path = "app_metadata.roles", contains = "admin" },
            { path = "\"https://a.example/plan\".name", in = ["pro", 2, true] },
            { path = "org", equals = { id = 1 } },
            { path = "banned", exists = false },
        ]
        any = ["partners"]
    "#;
    let staff = policy("staff", file);
    assert_eq!(staff.issuers.as_deref(), Some(&["supabase".to_owned()][..]));
    assert_eq!(staff.aal, Some(Aal::Aal2));
    assert_eq!((staff.anonymous, staff.subject), (false, Subject::Optional));
    assert_eq!(staff.any, ["partners"]);
    let paths: Vec<_> = staff.claims.iter().map(|condition| condition.path.join("|")).collect();
    assert_eq!(paths, ["app_metadata|roles", "https://a.example/plan|name", "org", "banned"]);
    let tests: Vec<_> = staff.claims.into_iter().map(|condition| condition.test).collect();
    assert_eq!(tests[0], ClaimTest::Contains(json!("admin")));
    assert_eq!(tests[1], ClaimTest::In(vec![json!("pro"), json!(2), json!(true)]));
    assert_eq!(tests[2], ClaimTest::Equals(json!({"id": 1})));
    assert_eq!(tests[3], ClaimTest::Exists(false));
}

#[test]
fn a_policy_that_cannot_be_satisfied_or_names_what_is_not_there_is_refused() {
    let cases = [
        (
            "issuers = ['supabse']",
            r#"keyward.toml:2: policies.p.issuers: "supabse" is an unknown issuer (did you mean supabase?) (accepted: supabase)"#,
        ),
        (
            "audiences = ['authenticated', 'orders']",
            r#"keyward.toml:2: policies.p.audiences: "orders" is accepted by none of the policy's issuers (accepted: authenticated)"#,
        ),
        ("any = ['nobody']", r#"keyward.toml:2: policies.p.any: "nobody" is an unknown policy (accepted: default, p)"#),
        (
            "any = ['p']",
            r#"keyward.toml:2: policies.p.any: "p" leads back to the policy "p" (accepted: policies without a cycle)"#,
        ),
        ("roles = []", "keyward.toml:2: policies.p.roles: [] has no element (accepted: a list of at least one text)"),
        ("any = []", "keyward.toml:2: policies.p.any: [] has no element (accepted: a list of at least one text)"),
        (
            "aal = 'aal4'",
            r#"keyward.toml:2: policies.p.aal: "aal4" is not an assurance level (accepted: aal1, aal2 or aal3)"#,
        ),
        (
            "subject = 'maybe'",
            r#"keyward.toml:2: policies.p.subject: "maybe" says not whether sub is required (accepted: required or optional)"#,
        ),
        ("role = ['a']", "keyward.toml:2: policies.p.role: unknown key (did you mean roles?)"),
        (
            "claims = [{ path = 'a', contains = 1, equals = 2 }]",
            "keyward.toml:2: policies.p.claims[0]: a table has 2 tests (accepted: exactly one of equals, in, contains, exists)",
        ),
        (
            "claims = [{ path = 'a' }]",
            "keyward.toml:2: policies.p.claims[0]: a table has 0 tests (accepted: exactly one of equals, in, contains, exists)",
        ),
        (
            "claims = [{ path = 'a', contain = 1 }]",
            "keyward.toml:2: policies.p.claims[0].contain: unknown key (did you mean contains?)",
        ),
        (
            "claims = [{ path = 'a', in = [] }]",
            "keyward.toml:2: policies.p.claims[0].in: [] can never be satisfied (accepted: at least one value)",
        ),
        (
            "claims = [{ equals = 1 }]",
            "keyward.toml:2: policies.p.claims[0]: a table has no path (accepted: path = …, and equals, in, contains or exists)",
        ),
    ];
    check_errors(&cases, |line| error(&[PROJECT], &format!("[policies.p]\n{line}\n")));
}

#[test]
fn a_path_to_a_claim_has_names_and_dots() {
    for path in ["", ".", "a.", ".a", "a..b", "a b", "a\\\"b", "\\\"a", "\\\"a\\\"b", "\\\"\\\""] {
        let file = format!("[policies.p]\nclaims = [{{ path = \"{path}\", exists = true }}]\n");
        let message = error(&[PROJECT], &file);
        assert!(message.starts_with("keyward.toml:2: policies.p.claims[0].path: "), "{message}");
    }
}

#[test]
fn a_cycle_over_several_policies_is_refused() {
    let file = "[policies.a]\nany = ['b']\n[policies.b]\nany = ['c']\n[policies.c]\nany = ['b']\n";
    assert_eq!(
        error(&[PROJECT], file),
        r#"keyward.toml:4: policies.b.any: "c" leads back to the policy "b" (accepted: policies without a cycle)"#
    );
    let diamond =
        "[policies.a]\nany = ['b', 'c']\n[policies.b]\nany = ['d']\n[policies.c]\nany = ['d']\n[policies.d]\n";
    assert!(load(&[PROJECT], diamond).is_ok());
}

#[test]
fn a_name_of_a_policy_fits_a_path() {
    for name in ["Staff", "a.b", "a/b", "", &"a".repeat(65)] {
        let message = error(&[PROJECT], &format!("[policies.\"{name}\"]\naal = 'aal2'\n"));
        assert!(message.contains("is not a name (accepted: 1 to 64 of a-z, 0-9, _ and -)"), "{message}");
    }
}

#[test]
fn relying_on_what_users_write_themselves_is_warned_about() {
    let file = "[policies.p]\nclaims = [{ path = 'user_metadata.admin', equals = true }]";
    let config = load(&[PROJECT], file).unwrap();
    assert!(config.warnings()[0].starts_with(r#"the policy "p" relies on user_metadata"#));
    let file = "[policies.p]\nclaims = [{ path = 'app_metadata.admin', equals = true }]";
    assert!(load(&[PROJECT], file).unwrap().warnings().is_empty());
}

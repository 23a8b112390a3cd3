//! Nothing that is shown or logged holds a token, a secret, or more of its claims than it says.

use std::fmt::Debug;

use serde::Deserialize;

use super::*;

const MARK: &str = "xyzzy-never-shown";

fn marked() -> Draft {
    let quoted = format!(r#""{MARK}""#);
    Draft::valid()
        .claim("email", quoted.clone())
        .claim("user_metadata", format!(r#"{{"{MARK}":{quoted},"list":[{quoted}]}}"#))
        .claim("phone", quoted)
}

#[test]
fn an_error_about_claims_holds_nothing_of_them() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only that it cannot be read matters")]
    struct WrongType {
        phone: u64,
    }
    #[derive(Debug, Deserialize)]
    enum Variant {
        Known,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only that it cannot be read matters")]
    struct WrongVariant {
        phone: Variant,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Closed {}
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only that it cannot be read matters")]
    struct UnknownField {
        user_metadata: Closed,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only that it cannot be read matters")]
    struct Missing {
        tenant: String,
    }
    fn custom<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("{text} is not welcome")))
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only that it cannot be read matters")]
    struct Custom {
        #[serde(deserialize_with = "custom")]
        phone: (),
    }

    let token = marked().verified();
    fn text<T: serde::de::DeserializeOwned + Debug>(token: &VerifiedToken) -> String {
        let error = token.claims::<T>().unwrap_err();
        format!("{error} {error:?}")
    }
    for text in [
        text::<WrongType>(&token),
        text::<WrongVariant>(&token),
        text::<UnknownField>(&token),
        text::<Custom>(&token),
        text::<Vec<String>>(&token),
    ] {
        assert!(!text.contains(MARK), "{text}");
        assert!(text.contains("column"), "{text}");
    }
    assert!(text::<Missing>(&token).contains("tenant"), "what is missing is named");
    assert!(matches!(serde_json::from_str("\"Known\""), Ok(Variant::Known)));
}

#[test]
fn a_verified_token_shows_its_identity_and_neither_the_token_nor_its_claims() {
    let token = marked().verified();
    let shown = format!("{token:?}");
    assert!(shown.contains("login") && shown.contains(token.subject().unwrap()));
    for part in token.expose_token().split('.').chain([MARK]) {
        assert!(!shown.contains(part), "{shown}");
    }
    assert_eq!(token.expose_token(), marked().token());
}

#[test]
fn a_refusal_is_worded_without_a_byte_of_the_token() {
    let quoted = format!(r#""{MARK}""#);
    let drafts = [
        marked().header("alg", quoted.clone()),
        marked().header("kid", quoted.clone()),
        marked().header("typ", quoted.clone()),
        marked().header("crit", quoted.clone()),
        marked().claim("exp", quoted.clone()),
        marked().claim("iss", quoted.clone()),
        marked().claim("aud", quoted.clone()),
        marked().claim("sub", format!("[{quoted}]")),
        Draft { seed: [9; 32], ..marked() },
        Draft { suffix: "!", ..marked() },
    ];
    for draft in drafts {
        let token = draft.token();
        let rejection = verifier().verify(&token, &keys(), now()).unwrap_err();
        let worded = format!("{rejection} {} {:?}", rejection.reason(), rejection.detail());
        assert!(!worded.contains(MARK), "{worded}");
        // Its Debug has what the token claims of itself, for logs; never a part of the token.
        let debug = format!("{rejection:?}");
        assert!(token.split('.').all(|part| !debug.contains(part)), "{debug}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "correct horse battery staple, forty bytes";
    let builder = builder().secret(secret);
    let shown = format!("{builder:?}") + &format!("{:?}", builder.build().unwrap());
    let bytes = format!("{:?}", secret.as_bytes());
    assert!(!shown.contains("horse") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

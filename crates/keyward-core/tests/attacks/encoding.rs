//! Two readers must not see two tokens: one base64url, one JSON object, every name once (RFC 7515 sections 2 and 4).

use super::*;
use crate::support::encode;

fn by_parts() -> [String; 3] {
    let token = world().signed_payload(&payload(&[]));
    let mut parts = token.split('.').map(str::to_owned);
    [(); 3].map(|()| parts.next().unwrap())
}

#[test]
fn each_part_has_one_spelling() {
    let parts = by_parts();
    check_accepted("untouched", &parts.join("."));
    for part in 0..3 {
        let with = |name: &str, text: String| {
            let mut changed = parts.clone();
            changed[part] = text;
            check(&format!("{name} in part {part}"), &changed.join("."), Reason::MalformedToken);
        };
        let text = &parts[part];
        let middle = text.len() / 2;
        let inserted = |what: &str| format!("{}{what}{}", &text[..middle], &text[middle..]);
        for what in
            ["=", "==", " ", "\n", "\r\n", "\t", "\0", "+", "/", "%", "%3D", "é", "\u{200b}", "\u{ff21}", "*", "~"]
        {
            with(what, inserted(what));
            with(what, format!("{text}{what}"));
            with(what, format!("{what}{text}"));
        }
        with(
            "one character too many",
            if text.len().is_multiple_of(4) { format!("{text}A") } else { inserted(&"A".repeat(5 - text.len() % 4)) },
        );
    }
}

#[test]
fn bits_that_mean_nothing_must_be_zero() {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // A signature of 64 bytes ends with 2 bits in its last character, and 4 that mean nothing.
    let [header, body, signature] = by_parts();
    assert_eq!(signature.len(), 86);
    let last = signature.as_bytes()[85];
    let mut refused = 0;
    for other in alphabet.iter().filter(|other| **other != last) {
        let token = format!("{header}.{body}.{}{}", &signature[..85], char::from(*other));
        let place = |byte: u8| alphabet.iter().position(|one| *one == byte).unwrap();
        let expected = if place(*other) % 16 == 0 { Reason::InvalidSignature } else { Reason::MalformedToken };
        check("last character", &token, expected);
        refused += 1;
    }
    assert_eq!(refused, 63);
    // The same for a payload, whose length we choose: of the three, two leave bits over.
    for spaces in ["", " ", "  "] {
        let token = world().signed_payload(&format!("{}{spaces}", payload(&[])));
        let [header, body, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        check_accepted("untouched", &token);
        if body.len() % 4 != 0 {
            let last = alphabet.iter().position(|one| *one == body.as_bytes()[body.len() - 1]).unwrap();
            let next = char::from(alphabet[last + 1]);
            let token = format!("{header}.{}{next}.{signature}", &body[..body.len() - 1]);
            check("payload's last character", &token, Reason::MalformedToken);
        }
    }
}

#[test]
fn a_token_has_three_parts_and_nothing_around_them() {
    let [header, body, signature] = by_parts();
    let token = format!("{header}.{body}.{signature}");
    for (name, token) in [
        ("empty", String::new()),
        ("one dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("two parts", format!("{header}.{body}")),
        ("four parts", format!("{token}.")),
        ("four parts, first empty", format!(".{token}")),
        ("twice", format!("{token}.{token}")),
        ("two by comma", format!("{token},{token}")),
        ("two by space", format!("{token} {token}")),
        ("scheme", format!("Bearer {token}")),
        ("quotes", format!("\"{token}\"")),
        ("space before", format!(" {token}")),
        ("newline after", format!("{token}\n")),
        ("byte order mark", format!("\u{feff}{token}")),
        ("no header", format!(".{body}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("other dots", token.replace('.', "\u{3002}")),
    ] {
        check(name, &token, Reason::MalformedToken);
    }
    check("no signature", &format!("{header}.{body}."), Reason::InvalidSignature);
}

#[test]
fn a_name_that_occurs_twice_is_refused_however_it_is_spelt() {
    let world = world();
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"ec"}"#,
        r#"{"alg":"ES256","kid":"ec","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"ec"}"#,
        r#"{"alg":"ES256","kid":"ec","kid":"rsa"}"#,
        r#"{"alg":"ES256","kid":"ec","x":1,"x":1}"#,
        r#"{"alg":"ES256","kid":"ec","":1,"":1}"#,
    ] {
        check(header, &world.signed(header, &payload(&[])), Reason::MalformedToken);
    }
    for (name, more) in [
        ("exp", r#""exp":1800000000"#),
        ("exp, escaped", r#""\u0065xp":1800000000"#),
        ("exp, escaped in capitals", r#""e\u0078\u0070":1800000000"#),
        ("sub", r#""sub":"admin""#),
        ("role", r#""ro\u006ce":"service_role""#),
        ("any", r#""x":1,"\u0078":2"#),
        ("surrogates", r#""😀":1,"\ud83d\ude00":2"#),
    ] {
        let twice = payload(&[]).replacen('{', &format!("{{{more},"), 1);
        check(name, &world.signed_payload(&twice), Reason::MalformedToken);
    }
    check("a name that is no text", &world.signed_payload(&payload(&[(r"\ud800", "1")])), Reason::MalformedToken);
}

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let good = payload(&[]);
    let cases = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("{good},"),
        format!("{good}x"),
        format!("{good}\0"),
        format!("\u{feff}{good}"),
        good.replacen('{', "{,", 1),
        good.replace('"', "'"),
        good.replacen('}', ",}", 1),
        good.replacen('{', "{/* */", 1),
        good.replacen('{', "{//\n", 1),
        good.replacen(r#""iss""#, "iss", 1),
        good[..good.len() - 1].to_owned(),
        good.replacen("project", "pro\nject", 1),
        good.replacen("project", "pro\u{1}ject", 1),
        good.replacen("project", r"pro\xject", 1),
        good.replacen("project", r"pro\u12ject", 1),
    ];
    for case in cases {
        check(&case, &world().signed_payload(&case), Reason::MalformedToken);
        let as_header = world().signed(&case.replace(r#""iss""#, r#""alg":"ES256","iss""#), &good);
        check(&case, &as_header, Reason::MalformedToken);
    }
    check_accepted("whitespace in JSON", &world().signed_payload(&format!(" \t\r\n{good}\n ")));
    for not_utf8 in [&b"\xff\xfe{}"[..], b"{\"sub\":\"\xc0\xaf\"}", b"{\"sub\":\"\xed\xa0\x80\"}", b"{\x00\"\x00"] {
        let input = format!("{}.{}", encode(EC_HEADER), encode(not_utf8));
        let signature = encode(world().ec.sign(Algorithm::ES256, input.as_bytes()));
        check("not UTF-8", &format!("{input}.{signature}"), Reason::MalformedToken);
    }
}

//! Running the binary, and deterministic tokens to give it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// 2023-11-14T22:13:20Z.
pub(crate) const NOW: i64 = 1_700_000_000;
pub(crate) const AT: &str = "2023-11-14T22:13:20Z";
pub(crate) const ISSUER: &str = "https://abc.supabase.co/auth/v1";
pub(crate) const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";
pub(crate) const EMAIL: &str = "alice.liddell@example.com";
pub(crate) const PHONE: &str = "+491511234567";

/// What a run of the binary said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    /// Everything, for a snapshot.
    pub(crate) fn all(&self) -> String {
        format!("exit code {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// Runs `keyward` with nothing but these variables.
pub(crate) fn keyward(args: &[&str], variables: &[(&str, &str)], stdin: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env_clear().args(args).envs(variables.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().expect("it is piped").write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Said { code: status.code().expect("no signal"), out: text(stdout), err: text(stderr) }
}

/// An Ed25519 key whose seed is all `seed`.
pub(crate) fn jwk(seed: u8, kid: &str) -> Value {
    let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode_to_string(key.public_key())})
}

/// The header and the claims of a token.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Draft {
    /// As Supabase writes it, valid for the key `a` at [`NOW`].
    pub(crate) fn valid() -> Self {
        Self {
            header: json!({"alg": "EdDSA", "kid": "a", "typ": "JWT"}),
            claims: json!({
                "iss": ISSUER, "aud": "authenticated", "sub": "5f1c0e52-0000-4000-8000-000000000001",
                "exp": NOW + 2880, "iat": NOW - 720, "role": "authenticated", "aal": "aal1",
                "session_id": "5f1c0e52-0000-4000-8000-000000000002", "is_anonymous": false,
                "email": EMAIL, "phone": PHONE, "app_metadata": {"provider": "email"},
                "user_metadata": {"note": "hunter2"},
            }),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        let claims = self.claims.as_object_mut().unwrap();
        claims.retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    /// Signed with the Ed25519 key whose seed is all `seed`.
    pub(crate) fn sign(&self, seed: u8) -> String {
        let input = self.signing_input();
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(key.sign(input.as_bytes())))
    }

    /// Signed with HS256.
    pub(crate) fn sign_with(&self, secret: &str) -> String {
        let input = self.signing_input();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(tag))
    }

    fn signing_input(&self) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }
}

/// A directory with key sets in it.
pub(crate) struct Sets {
    directory: tempfile::TempDir,
}

impl Sets {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Writes a set and gives its path.
    pub(crate) fn write(&self, name: &str, keys: &[Value]) -> String {
        self.write_text(name, &json!({ "keys": keys }).to_string())
    }

    pub(crate) fn write_text(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }
}

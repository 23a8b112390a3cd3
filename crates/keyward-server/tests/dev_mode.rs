//! `keyward serve --dev`: what a new user sees first. Its issuer's port is fixed, so there is one test for all of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Client, Keyward, Setup, eventually, secrets};

const ISSUER: &str = "http://127.0.0.1:9999";

fn setup() -> Setup {
    Setup::new().argument("--dev")
}

#[tokio::test]
async fn the_first_minutes_with_keyward_go_as_promised() {
    let setup = setup();
    let keyward = setup.start_ready().await;
    assert!(keyward.address.ip().is_loopback());
    let pasted = paste(&keyward);
    let token = sign_in("alice@example.com").await;
    // The story signs Alice out, everywhere.
    let session = sign_in("bob@example.com").await;
    let job = eventually("the job that was pasted succeeds", async || {
        let list = keyward.get("/v1/jobs", Some(&token["access_token"])).await.json();
        list["jobs"].as_array().unwrap().iter().find(|job| job["status"] == "succeeded").cloned()
    })
    .await;
    assert_eq!(job["result"], json!({"hello": "world"}));
    assert!(pasted.contains(job["id"].as_str().unwrap()), "{pasted}");
    tell_the_story(&keyward);
    let job_path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    interrupt(keyward).await;

    let keyward = setup.start_ready().await;
    assert_eq!(
        keyward.get(&job_path, Some(&token["access_token"])).await.json(),
        job,
        "jobs and tokens are still good"
    );
    let refreshed = grant("refresh_token", &json!({"refresh_token": &session["refresh_token"]})).await;
    let again = keyward.get("/v1/jobs", refreshed["access_token"].as_str()).await;
    assert_eq!(again.status, 200, "sessions are, too");
    let slept =
        keyward.post("/v1/jobs", &token["access_token"], &json!({"kind": "sleep", "payload": {"ms": 50}})).await;
    let path = slept.header("location").unwrap().to_owned();
    eventually("a job that sleeps succeeds", async || {
        let job = keyward.get(&path, Some(&token["access_token"])).await.json();
        (job["status"] == "succeeded").then_some(())
    })
    .await;
    interrupt(keyward).await;
}

/// Runs the lines that were printed as a person would, and gives what they print.
fn paste(keyward: &Keyward) -> String {
    let printed = keyward.process.stderr.all();
    let lines: Vec<String> =
        printed.into_iter().filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl ")).collect();
    assert!((2..=3).contains(&lines.len()), "two or three lines: {lines:?}");
    succeed(Command::new("bash").args(["-euo", "pipefail", "-c", &lines.join("\n")]))
}

fn tell_the_story(keyward: &Keyward) {
    let story = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/supabase_js");
    assert!(
        story.join("node_modules/@supabase/supabase-js").exists(),
        "the Supabase client is not installed: run `cargo xtask setup`"
    );
    let own = story.join("node_modules/.bin/node");
    let node = if own.exists() { own } else { "node".into() };
    let mut command = Command::new(node);
    command.arg("story.mjs").current_dir(&story).env("SUPABASE_URL", ISSUER).env("API_URL", keyward.url());
    let told = succeed(&mut command);
    let seen: Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!((&seen["job"]["status"], &seen["job"]["for_others"]), (&json!("succeeded"), &json!(404)), "{seen}");
    assert_eq!((&seen["anonymous"]["api"], &seen["signed_out"]), (&json!(200), &json!(true)), "{seen}");
}

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} ended with {status}:\n{stdout}\n{stderr}");
    stdout.into_owned()
}

struct Session(Value);

impl std::ops::Index<&str> for Session {
    type Output = str;

    fn index(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }
}

async fn sign_in(email: &str) -> Session {
    Session(grant("password", &json!({"email": email, "password": "keyward-dev"})).await)
}

async fn grant(kind: &str, body: &Value) -> Value {
    let client = Client::new(ISSUER);
    let request = client.request("POST", &format!("/auth/v1/token?grant_type={kind}"), None).json(body);
    let answer = Client::send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = answer.json();
    secrets::remember_token(session["access_token"].as_str().unwrap());
    session
}

/// Ctrl-C.
async fn interrupt(mut keyward: Keyward) {
    keyward.signal(Signal::INT);
    let status = keyward.process.ended().await;
    assert_eq!(status.code(), Some(0), "{status}: {}", keyward.process.stderr.text());
}

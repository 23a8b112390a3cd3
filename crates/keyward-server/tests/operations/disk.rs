use std::fs;

use serde_json::json;

use crate::support::{Keyward, Setup, TestIssuer, eventually};

async fn serves_without_a_store(keyward: &Keyward, token: &str) {
    assert_eq!(keyward.verdict(token).await.0, 200, "tokens are verified all the same");
    let refused = submit(keyward, token).await;
    assert_eq!(refused.verdict(), (503, "store_unavailable".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(keyward.get("/readyz", None).await.status, 200);
    assert_eq!(keyward.get("/metrics", None).await.status, 200);
}

async fn submit(keyward: &Keyward, token: &str) -> crate::support::http::Answer {
    keyward.post("/v1/jobs", token, &json!({"kind": "echo", "payload": "x".repeat(20_000)})).await
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_does_not_stop_verification() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer);
    // Below a file there can be no directory, not even for root.
    fs::write(setup.data_dir(), "a file").unwrap();
    let below = setup.data_dir().join("below");
    let setup = setup.set("KEYWARD_DATA_DIR", below.to_str().unwrap());
    let keyward = setup.start_ready().await;
    let token = issuer.token();
    keyward.log().first("store_unavailable").await;
    keyward.log().first("jwks_store_failed").await;
    serves_without_a_store(&keyward, &token).await;
    fs::remove_file(setup.data_dir()).unwrap();
    eventually("jobs are kept again without a restart", async || {
        (submit(&keyward, &token).await.status == 201).then_some(())
    })
    .await;
    keyward.log().first("store_available").await;
    keyward.stop().await;
}

#[tokio::test]
async fn a_full_disk_does_not_stop_verification() {
    if !may_mount() {
        eprintln!("SKIPPED: a full disk cannot be made here, for want of the right to mount one");
        return;
    }
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer);
    fs::create_dir(setup.data_dir()).unwrap();
    let mount =
        format!("mount -t tmpfs -o size=1m keyward-test '{}' && exec \"$0\" \"$@\"", setup.data_dir().display());
    // In a name space of its own: nobody else sees it, and it goes with the process.
    let setup = setup.launched_by(&["unshare", "--mount", "sh", "-c", &mount]);
    let keyward = setup.start_ready().await;
    let token = issuer.token();
    assert_eq!(submit(&keyward, &token).await.status, 201);
    let filler = keyward.sees(&setup.data_dir().join("filler"));
    fs::write(&filler, vec![0; 2 << 20]).unwrap_err();
    eventually("the disk is full", async || (submit(&keyward, &token).await.status == 503).then_some(())).await;
    serves_without_a_store(&keyward, &token).await;
    assert_eq!(keyward.get("/v1/jobs", Some(&token)).await.status, 200, "what is kept can be read");
    fs::remove_file(&filler).unwrap();
    eventually("jobs are kept again", async || (submit(&keyward, &token).await.status == 201).then_some(())).await;
    keyward.stop().await;
}

fn may_mount() -> bool {
    let mut command = std::process::Command::new("unshare");
    let tried = command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=64k keyward-test /mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_corrupt_file_of_keys_is_ignored_with_a_warning_and_replaced() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer);
    let keyward = setup.start_ready().await;
    let token = issuer.token();
    let file = eventually("the keys are kept", async || kept(&setup)).await;
    keyward.stop().await;
    let good = fs::read_to_string(&file).unwrap();
    for bad in ["", "{", &good[..good.len() / 2], &good.replace("succeeded_at_ms", "succeeded_at_mz"), "\0\0\0"] {
        fs::write(&file, bad).unwrap();
        let keyward = setup.start_ready().await;
        let warning = keyward.log().first("jwks_store_failed").await;
        assert_eq!(warning["level"], "warn");
        assert!(warning["error"].as_str().unwrap().contains(file.file_name().unwrap().to_str().unwrap()), "{warning}");
        assert_eq!(keyward.verdict(&token).await.0, 200);
        eventually("it is replaced", async || {
            let text = fs::read_to_string(&file).ok()?;
            (text != bad && serde_json::from_str::<serde_json::Value>(&text).is_ok()).then_some(())
        })
        .await;
        keyward.stop().await;
    }
    let keyward = setup.start_ready().await;
    keyward.log().first("jwks_cache_restored").await;
    keyward.stop().await;
}

fn kept(setup: &Setup) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(setup.data_dir().join("jwks")).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_str().is_some_and(|path| path.ends_with(".keys.json")))
}

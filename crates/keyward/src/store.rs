//! The last known good key sets, kept on disk so that a start in the middle of an outage serves.
//!
//! A file holds public keys only. It is written atomically and readable by its owner alone; what it holds is checked
//! against a digest, belongs to one source, and is of no use past the stale ttl.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::{OperatorState, StaleExtension, Stored};
use keyward_core::time::UnixTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// A directory with one file per issuer.
#[derive(Clone, Debug)]
pub struct KeyStore {
    directory: PathBuf,
}

/// A file that was found and cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It was damaged, or was not written by Keyward.
    #[error("{path}: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

/// What a file holds around its content.
#[derive(Serialize, Deserialize)]
struct Envelope {
    keyward: u32,
    /// Where the content came from: content of another source is not ours.
    source: String,
    sha256: String,
    content: String,
}

#[derive(Serialize, Deserialize)]
struct KeysContent {
    succeeded_at_ms: i64,
    jwks: String,
}

#[derive(Serialize, Deserialize)]
struct OperatorContent {
    denied_until_ms: BTreeMap<String, Option<i64>>,
    extension: Option<ExtensionContent>,
}

#[derive(Serialize, Deserialize)]
struct ExtensionContent {
    by_seconds: u64,
    until_ms: i64,
}

impl KeyStore {
    /// A store in `directory`, which is made when something is kept.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The set kept for `issuer`, if there is one; `source` is where its keys come from now.
    ///
    /// # Errors
    ///
    /// When there is a file that cannot be used.
    pub fn load_keys(&self, issuer: &str, source: &str) -> Result<Option<Stored>, StoreError> {
        let path = self.path(issuer, "keys");
        let Some(content) = load::<KeysContent>(&path, source)? else { return Ok(None) };
        let set = KeySet::parse(content.jwks.as_bytes())
            .map_err(|_| StoreError::Unusable { path, why: "what it holds is no JWK Set" })?;
        let succeeded_at = UnixTime::from_millis(content.succeeded_at_ms);
        Ok(Some(Stored { set: Arc::new(set), succeeded_at }))
    }

    /// Keeps a set for `issuer`.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was kept before is then still there.
    pub fn save_keys(&self, issuer: &str, source: &str, stored: &Stored) -> Result<(), StoreError> {
        let content = KeysContent { succeeded_at_ms: stored.succeeded_at.as_millis(), jwks: stored.set.to_json() };
        self.save(&self.path(issuer, "keys"), source, &content)
    }

    /// What the operator has decided about `issuer`.
    ///
    /// # Errors
    ///
    /// When there is a file that cannot be used.
    pub fn load_operator(&self, issuer: &str) -> Result<Option<OperatorState>, StoreError> {
        let content = load::<OperatorContent>(&self.path(issuer, "operator"), issuer)?;
        Ok(content.map(|content| OperatorState {
            denied: content.denied_until_ms.into_iter().map(|(kid, ms)| (kid, ms.map(UnixTime::from_millis))).collect(),
            extension: content.extension.map(|extension| StaleExtension {
                by: Duration::from_secs(extension.by_seconds),
                until: UnixTime::from_millis(extension.until_ms),
            }),
        }))
    }

    /// Keeps what the operator has decided about `issuer`.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was kept before is then still there.
    pub fn save_operator(&self, issuer: &str, state: &OperatorState) -> Result<(), StoreError> {
        let denied = state.denied.iter();
        let content = OperatorContent {
            denied_until_ms: denied.map(|(kid, until)| (kid.clone(), until.map(UnixTime::as_millis))).collect(),
            extension: state.extension.map(|extension| ExtensionContent {
                by_seconds: extension.by.as_secs(),
                until_ms: extension.until.as_millis(),
            }),
        };
        self.save(&self.path(issuer, "operator"), issuer, &content)
    }

    fn path(&self, issuer: &str, what: &str) -> PathBuf {
        // Issuers' names are chosen in the configuration, but a file name should not depend on their good will.
        let name: String =
            issuer.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let short = &digest(issuer.as_bytes())[..8];
        self.directory.join(format!("{name}-{short}.{what}.json"))
    }

    fn save(&self, path: &Path, source: &str, content: &impl Serialize) -> Result<(), StoreError> {
        let io = |error| StoreError::Io { path: path.to_owned(), error };
        let content = serde_json::to_string(content).map_err(|error| io(error.into()))?;
        let sha256 = digest(content.as_bytes());
        let envelope = Envelope { keyward: VERSION, source: source.to_owned(), sha256, content };
        let text = serde_json::to_vec(&envelope).map_err(|error| io(error.into()))?;
        make_private_directory(&self.directory).map_err(io)?;
        write_atomically(path, &text).map_err(io)
    }
}

fn load<T: DeserializeOwned>(path: &Path, source: &str) -> Result<Option<T>, StoreError> {
    const MAX_BYTES: u64 = 4 * 1024 * 1024;
    let io = |error| StoreError::Io { path: path.to_owned(), error };
    let unusable = |why| StoreError::Unusable { path: path.to_owned(), why };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > MAX_BYTES => return Err(unusable("it is too large to be ours")),
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(io)?;
    let envelope: Envelope = serde_json::from_slice(&text).map_err(|_| unusable("it is damaged or not ours"))?;
    if envelope.keyward != VERSION {
        return Err(unusable("it was written by another version"));
    }
    if envelope.sha256 != digest(envelope.content.as_bytes()) {
        return Err(unusable("it is damaged: its digest does not match"));
    }
    if envelope.source != source {
        return Err(unusable("it belongs to another source of keys"));
    }
    serde_json::from_str(&envelope.content).map(Some).map_err(|_| unusable("it is damaged or not ours"))
}

fn make_private_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

/// Either the old content or the new one is there, whenever the machine stops.
fn write_atomically(path: &Path, text: &[u8]) -> io::Result<()> {
    // Two engines of one process write the same file for a moment, when one takes over from the other.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The old file stays; a half-written one is of no use to anyone.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}]}"#;
    const SOURCE: &str = "https://a.example/jwks";

    fn stored() -> Stored {
        let set = KeySet::parse(ED.as_bytes()).unwrap();
        Stored { set: Arc::new(set), succeeded_at: UnixTime::from_millis(1_234_567) }
    }

    fn store() -> (tempfile::TempDir, KeyStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path().join("jwks"));
        (directory, store)
    }

    #[test]
    fn what_is_kept_is_found_again_and_private() {
        let (_directory, store) = store();
        assert!(store.load_keys("a", SOURCE).unwrap().is_none());
        store.save_keys("a", SOURCE, &stored()).unwrap();
        let found = store.load_keys("a", SOURCE).unwrap().unwrap();
        assert_eq!((found.set.kids(), found.succeeded_at), (vec!["ed".to_owned()], stored().succeeded_at));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.path("a", "keys")), mode(&store.directory)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&store.directory).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn decisions_of_the_operator_are_found_again() {
        let (_directory, store) = store();
        let state = OperatorState {
            denied: [("k".to_owned(), None), ("l".to_owned(), Some(UnixTime::from_millis(5)))].into(),
            extension: Some(StaleExtension { by: Duration::from_secs(9), until: UnixTime::from_millis(7) }),
        };
        store.save_operator("a", &state).unwrap();
        assert_eq!(store.load_operator("a").unwrap(), Some(state));
        assert_eq!(store.load_operator("b").unwrap(), None);
    }

    #[test]
    fn damaged_and_foreign_files_are_refused_at_every_byte() {
        let (_directory, store) = store();
        store.save_keys("a", SOURCE, &stored()).unwrap();
        assert!(matches!(store.load_keys("a", "https://b.example/"), Err(StoreError::Unusable { .. })));
        let path = store.path("a", "keys");
        let good = fs::read(&path).unwrap();
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(store.load_keys("a", SOURCE).is_err(), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let changed = store.load_keys("a", SOURCE);
            assert!(changed.is_err(), "bit flipped at {at}");
        }
        fs::write(&path, b"{}").unwrap();
        assert!(store.load_keys("a", SOURCE).is_err());
        store.save_keys("a", SOURCE, &stored()).unwrap();
        assert!(store.load_keys("a", SOURCE).unwrap().is_some(), "and replaced");
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_directory() {
        let (directory, store) = store();
        store.save_keys("../../evil/name", SOURCE, &stored()).unwrap();
        assert!(store.load_keys("../../evil/name", SOURCE).unwrap().is_some());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_ne!(store.path("a_b", "keys"), store.path("a.b", "keys"));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_and_no_more() {
        let store = KeyStore::new(PathBuf::from("/proc/no/such"));
        assert!(matches!(store.save_keys("a", SOURCE, &stored()), Err(StoreError::Io { .. })));
    }
}

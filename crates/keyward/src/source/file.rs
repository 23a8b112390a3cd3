use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::{FailureKind, Fetched};

use super::http::MAX_BYTES;
use super::{Fetch, FetchError};

/// A JWK Set in a file.
#[derive(Debug)]
pub(crate) struct FileSource {
    path: PathBuf,
    seen: Mutex<Option<Appearance>>,
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Appearance {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileSource {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new(None) }
    }

    pub(super) async fn fetch(&self, etag: Option<&str>) -> Result<Fetch, FetchError> {
        let appearance = self.appearance().await;
        if let Ok(mut seen) = self.seen.lock() {
            *seen = appearance;
        }
        let text = self.read().await?;
        let set = KeySet::parse(&text).map_err(|error| FetchError::new(FailureKind::Parse, error.to_string()))?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if etag == Some(fingerprint.as_str()) {
            return Ok(Fetch::NotModified { max_age: None });
        }
        Ok(Fetch::Set(Fetched { set, etag: Some(fingerprint), max_age: None }))
    }

    async fn read(&self) -> Result<Vec<u8>, FetchError> {
        let unreadable = |error: std::io::Error| {
            FetchError::new(FailureKind::Body, format!("{} cannot be read: {error}", self.path.display()))
        };
        let metadata = tokio::fs::metadata(&self.path).await.map_err(unreadable)?;
        if !metadata.is_file() {
            // Reading a pipe could wait, and a device go on, for ever.
            return Err(FetchError::new(FailureKind::Body, format!("{} is no regular file", self.path.display())));
        }
        if metadata.len() > MAX_BYTES as u64 {
            return Err(FetchError::new(FailureKind::Body, format!("{} is larger than 1 MiB", self.path.display())));
        }
        tokio::fs::read(&self.path).await.map_err(unreadable)
    }

    pub(super) async fn has_changed(&self) -> bool {
        let appearance = self.appearance().await;
        self.seen.lock().is_ok_and(|seen| appearance.is_some() && *seen != appearance)
    }

    async fn appearance(&self) -> Option<Appearance> {
        use std::os::unix::fs::MetadataExt;
        let metadata = tokio::fs::metadata(&self.path).await.ok()?;
        Some(Appearance { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
    }
}

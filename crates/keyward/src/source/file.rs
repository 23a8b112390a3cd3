use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::{FailureKind, Fetched};
use tokio::sync::Semaphore;

use super::http::MAX_BYTES;
use super::{Fetch, FetchError};

/// A JWK Set in a file.
#[derive(Debug)]
pub(crate) struct FileSource {
    path: PathBuf,
    seen: Mutex<Option<Appearance>>,
    /// One read at a time. On a file system that hangs a thread hangs with each read, and cannot be ended.
    reading: Arc<Semaphore>,
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Appearance {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileSource {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new(None), reading: Arc::new(Semaphore::new(1)) }
    }

    pub(super) async fn fetch(&self, etag: Option<&str>) -> Result<Fetch, FetchError> {
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
        let Ok(permit) = Arc::clone(&self.reading).try_acquire_owned() else {
            let why = format!("an earlier read of {} has not ended: its file system hangs", self.path.display());
            return Err(FetchError::new(FailureKind::Timeout, why));
        };
        let path = self.path.clone();
        let (appearance, text) = tokio::task::spawn_blocking(move || {
            // Until the thread is free again, even when nobody waits for it any more.
            let _permit = permit;
            // Before the reading, so that what is written meanwhile is noticed.
            let metadata = std::fs::metadata(&path);
            (metadata.as_ref().ok().map(Appearance::of), read(&path, metadata))
        })
        .await
        .map_err(|_| FetchError::new(FailureKind::Body, "the runtime is ending"))?;
        if let Ok(mut seen) = self.seen.lock() {
            *seen = appearance;
        }
        text
    }

    /// Whether the file looks different from when it was last read. Asked by one at a time.
    pub(super) async fn has_changed(&self) -> bool {
        let appearance = tokio::fs::metadata(&self.path).await.ok().map(|metadata| Appearance::of(&metadata));
        self.seen.lock().is_ok_and(|seen| appearance.is_some() && *seen != appearance)
    }
}

impl Appearance {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() }
    }
}

fn read(path: &Path, metadata: std::io::Result<Metadata>) -> Result<Vec<u8>, FetchError> {
    let failed = |why: String| FetchError::new(FailureKind::Body, format!("{} {why}", path.display()));
    let unreadable = |error: std::io::Error| failed(format!("cannot be read: {error}"));
    let metadata = metadata.map_err(unreadable)?;
    if !metadata.is_file() {
        // Reading a pipe could wait, and a device go on, for ever.
        return Err(failed("is no regular file".to_owned()));
    }
    if metadata.len() > MAX_BYTES as u64 {
        return Err(failed("is larger than 1 MiB".to_owned()));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_hangs_is_not_joined_by_others() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"keys":[]}"#).unwrap();
        let source = FileSource::new(file.path().to_owned());
        let hanging = Arc::clone(&source.reading).try_acquire_owned().unwrap();
        for _ in 0..3 {
            let error = source.fetch(None).await.unwrap_err();
            assert_eq!(error.kind, FailureKind::Timeout);
            assert!(error.message.contains("hangs"), "{error}");
        }
        drop(hanging);
        assert!(source.fetch(None).await.is_ok());
        assert_eq!(source.reading.available_permits(), 1, "given back");
    }
}

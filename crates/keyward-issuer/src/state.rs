//! What the issuer remembers, in memory and in its state file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::{
    algorithm::{Alg, SigningAlgorithm},
    error::{IssuerError, KeyError},
    keyring::{Entry, KeyRing, Listing},
    keys::{SigningKey, base64url},
    sessions::{SavedSessions, Sessions},
    users::{User, Users},
};

/// Keys, users and sessions.
pub(crate) struct State {
    pub(crate) keys: KeyRing,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    /// The algorithm of the configuration that made or last rotated the keys: a restart with another one
    /// rotates, a restart with the same one keeps what an operator has rotated to since.
    configured: SigningAlgorithm,
}

/// The format of the file; a file of another one is refused rather than guessed at.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    configured: SavedAlgorithm,
    algorithm: SavedAlgorithm,
    keys: Vec<SavedKey>,
    users: Vec<User>,
    sessions: SavedSessions,
}

#[derive(Serialize, Deserialize)]
struct SavedAlgorithm {
    name: String,
    secret: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedKey {
    kid: String,
    alg: String,
    listing: Listing,
    private_key: String,
}

impl State {
    /// A state with one new key.
    pub(crate) fn new(algorithm: &SigningAlgorithm) -> Result<Self, KeyError> {
        Ok(Self {
            keys: KeyRing::new(algorithm.clone())?,
            users: Users::default(),
            sessions: Sessions::default(),
            configured: algorithm.clone(),
        })
    }

    /// Restores the state of `path`, or makes a new one when there is no such file.
    pub(crate) fn load(path: &Path, algorithm: &SigningAlgorithm) -> Result<Self, IssuerError> {
        let unusable = |reason: String| IssuerError::State { path: path.to_owned(), reason };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::new(algorithm)?);
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        // The parser's message tells the place and never the content, which holds private keys.
        let saved: Saved = serde_json::from_slice(&text)
            .map_err(|error| unusable(format!("not a state file (line {})", error.line())))?;
        let mut state = Self::restore(saved).map_err(|reason| unusable(reason.to_owned()))?;
        if state.configured != *algorithm {
            let rotate = crate::Rotate { alg: Some(algorithm.clone()), ..Default::default() };
            state.keys.rotate(rotate, crate::clock::now())?;
            state.configured = algorithm.clone();
        }
        Ok(state)
    }

    /// The content of the state file.
    pub(crate) fn to_saved(&self) -> Result<Vec<u8>, KeyError> {
        let keys = self.keys.entries.iter().map(SavedKey::new);
        let saved = Saved {
            version: VERSION,
            configured: SavedAlgorithm::new(&self.configured),
            algorithm: SavedAlgorithm::new(&self.keys.algorithm),
            keys: keys.collect::<Result<_, _>>()?,
            users: self.users.iter().cloned().collect(),
            sessions: self.sessions.to_saved(),
        };
        serde_json::to_vec(&saved).map_err(|_| KeyError::Refused)
    }

    fn restore(saved: Saved) -> Result<Self, &'static str> {
        if saved.version != VERSION {
            return Err("written by another version");
        }
        let entries = saved.keys.into_iter().map(SavedKey::load);
        let entries: Vec<_> = entries.collect::<Option<_>>().ok_or("holds a broken key")?;
        if entries.is_empty() {
            return Err("holds no key");
        }
        let mut users = Users::default();
        for user in saved.users {
            users.insert(user);
        }
        Ok(Self {
            keys: KeyRing { entries, algorithm: saved.algorithm.load().ok_or("names an unknown algorithm")? },
            users,
            sessions: saved.sessions.into(),
            configured: saved.configured.load().ok_or("names an unknown algorithm")?,
        })
    }
}

impl SavedAlgorithm {
    fn new(algorithm: &SigningAlgorithm) -> Self {
        Self { name: algorithm.name().to_owned(), secret: algorithm.secret().map(ToOwned::to_owned) }
    }

    fn load(self) -> Option<SigningAlgorithm> {
        SigningAlgorithm::from_name(&self.name, self.secret.as_deref())
    }
}

impl SavedKey {
    fn new(entry: &Entry) -> Result<Self, KeyError> {
        Ok(Self {
            kid: entry.key.kid.clone(),
            alg: entry.key.alg.name().to_owned(),
            listing: entry.listing,
            private_key: base64url(&entry.key.to_document()?),
        })
    }

    fn load(self) -> Option<Entry> {
        let document = URL_SAFE_NO_PAD.decode_to_vec(&self.private_key).ok()?;
        let alg = Alg::from_name(&self.alg)?;
        let key = SigningKey::from_document(self.kid, alg, &document).ok()?;
        Some(Entry { key: key.into(), listing: self.listing })
    }
}

/// Replaces `path` as a whole: a reader, or a crash, sees the old content or the new.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    let mut file = create_private(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn create_private(path: &Path) -> io::Result<File> {
    // A file left by a crash may have another mode, which opening it would keep.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

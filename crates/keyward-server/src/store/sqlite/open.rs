//! Opening the file.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::is_reusable;
use crate::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

const READERS: u32 = 4;
/// How long another process's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call queues for a connection before it is answered with unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The log is cut back to this after a burst.
const WAL_LIMIT_BYTES: &str = "67108864";

/// The pool of the one writer, and the pool of readers.
pub(super) async fn open(path: &Path) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let path = std::path::absolute(path).map_err(|error| unavailable(path, &error))?;
    let file = path.clone();
    tokio::task::spawn_blocking(move || create_private(&file))
        .await
        .map_err(|error| StoreError::Internal(Arc::new(error)))?
        .map_err(|error| unavailable(&path, &error))?;

    let options = connect_options(&path);
    let writer = pool(1).connect_with(options.clone()).await?;
    MIGRATIONS.run(&writer).await?;
    // A file that may not be written is opened for reading without a word.
    writer.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
    let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await?;
    Ok((writer, readers))
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // macOS only: its fsync leaves data in the drive's cache.
        .pragma("fullfsync", "ON")
        .pragma("journal_size_limit", WAL_LIMIT_BYTES)
        .disable_statement_logging()
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        // Would cost a trip to the connection's thread at every call, and find nothing: it is a file.
        .test_before_acquire(false)
        .after_release(|conn, _| Box::pin(is_reusable(conn)))
}

/// Creates the file, private from its first moment; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let made_directory = !directory.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // An existing file is not opened: closing it would drop the locks that this process has on it (POSIX).
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            file.sync_all()?;
            File::open(directory)?.sync_all()?;
            if made_directory && let Some(parent) = directory.parent() {
                File::open(parent)?.sync_all()?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(Arc::new(io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
}

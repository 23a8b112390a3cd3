//! The suite over SQLite, and what only SQLite can get wrong.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{DATABASE_FILE, SqliteStore};
use crate::store::{
    JobStore, LazyStore, StoreError,
    suite::{Fixture, alice, any_kind, at, draft, job, leased, store_suite},
};

struct InDirectory {
    directory: TempDir,
}

impl InDirectory {
    fn path(&self) -> PathBuf {
        self.directory.path().join("data").join(DATABASE_FILE)
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }
}

#[async_trait]
impl Fixture for InDirectory {
    async fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    async fn store(&self) -> Arc<dyn JobStore> {
        Arc::new(self.open().await)
    }

    async fn after_kill(&self) -> Arc<dyn JobStore> {
        // What is in the files now is what a killed process leaves: the log has not been written back.
        let copy = self.directory.path().join("after kill").join(DATABASE_FILE);
        std::fs::create_dir(copy.parent().unwrap()).unwrap();
        std::fs::copy(self.path(), &copy).unwrap();
        std::fs::copy(with_suffix(&self.path(), "-wal"), with_suffix(&copy, "-wal")).unwrap();
        Arc::new(SqliteStore::open(&copy).await.unwrap())
    }
}

store_suite!(InDirectory);

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn every_commit_reaches_the_disk() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let pragma = |name: &'static str| {
        let writer = store.writer.clone();
        async move { sqlx::query_scalar::<_, String>(name).fetch_one(&writer).await.unwrap() }
    };
    assert_eq!(pragma("SELECT * FROM pragma_journal_mode").await, "wal");
    let full = pragma("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await;
    assert_eq!(full, "2");
}

#[tokio::test]
async fn readers_cannot_write() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let write = sqlx::query("DELETE FROM jobs").execute(&store.readers).await;
    assert!(write.is_err());
}

#[tokio::test]
async fn the_files_are_private() {
    let fixture = InDirectory::new().await;
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let path = fixture.path();
    for file in [path.clone(), with_suffix(&path, "-wal"), with_suffix(&path, "-shm")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    store.close().await;

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fixture.store().await;
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let fixture = InDirectory::new().await;
    let path = fixture.path();
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "not a database, but somebody's file".repeat(100)).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("not a"));
}

#[tokio::test]
async fn a_database_of_something_else_or_of_a_newer_version_is_refused() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999").execute(&store.writer).await.unwrap();
    store.close().await;
    let error = SqliteStore::open(&fixture.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Incompatible(_)), "{error:?}");

    let store = InDirectory::new().await;
    let foreign = store.open().await;
    sqlx::query("DELETE FROM _sqlx_migrations").execute(&foreign.writer).await.unwrap();
    foreign.close().await;
    let error = SqliteStore::open(&store.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Incompatible(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_passes() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let kept = draft("echo").submitted(&store, at(0)).await;
    let limit = |pages: &'static str| sqlx::query(pages).execute(&store.writer);
    limit("PRAGMA max_page_count = 60").await.unwrap();
    let big = format!("\"{}\"", "x".repeat(60_000));
    let mut full = None;
    for n in 0..20 {
        let submission = draft("echo").payload(&big).at(at(n));
        if let Err(error) = store.submit(submission, at(n)).await {
            full = Some(error);
            break;
        }
    }
    let full = full.expect("the disk is full");
    assert!(full.is_temporary(), "{full:?}");
    assert_eq!(job(&store, kept.id).await, kept, "reading goes on");

    limit("PRAGMA max_page_count = 1000000").await.unwrap();
    let after = draft("echo").payload(&big).submitted(&store, at(100)).await;
    assert_eq!(job(&store, after.id).await, after);
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_does_not_block_the_writer() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let mut tx = store.begin().await.unwrap();
    // As SQLite does by itself after some errors.
    sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
    drop(tx);
    let created = draft("echo").submitted(&store, at(0)).await;
    assert_eq!(job(&store, created.id).await, created);
}

#[tokio::test]
async fn the_lock_of_another_process_is_waited_for() {
    let fixture = InDirectory::new().await;
    let (store, other) = (fixture.open().await, fixture.open().await);
    let lock = other.begin().await.unwrap();
    let submission = draft("echo").at(at(0));
    let waiting = store.submit(submission, at(0));
    let release = async {
        // Long enough to be refused at once, if it were.
        tokio::time::sleep(Duration::from_millis(100)).await;
        lock.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, release);
    answer.unwrap();
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_corrupt_not_a_panic() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let created = draft("echo").submitted(&store, at(0)).await;
    sqlx::query("UPDATE jobs SET payload = '{'").execute(&store.writer).await.unwrap();
    let error = store.get(&alice(), created.id).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn queues_and_lists_are_read_from_indexes() {
    let fixture = InDirectory::new().await;
    let store = fixture.open().await;
    let plans = [
        (
            "EXPLAIN QUERY PLAN SELECT run_at, created_at, id FROM jobs
             WHERE status = 'queued' AND kind = ?1 AND run_at <= ?2 ORDER BY run_at, created_at, id LIMIT ?3",
            "COVERING INDEX jobs_due_by_kind",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT run_at, created_at, id FROM jobs
             WHERE status = 'queued' AND run_at <= ?1 ORDER BY run_at, created_at, id LIMIT ?2",
            "COVERING INDEX jobs_due",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT id FROM jobs WHERE issuer = ?1 AND subject = ?2
             AND (created_at, id) < (?3, ?4) ORDER BY created_at DESC, id DESC LIMIT 1",
            "jobs_by_owner (issuer=? AND subject=? AND (created_at,id)<(?,?))",
        ),
        (
            "EXPLAIN QUERY PLAN UPDATE jobs SET status = 'queued' WHERE status = 'running' AND lease_expires_at <= ?1",
            "INDEX jobs_leased",
        ),
    ];
    for (query, index) in plans {
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(query).fetch_all(&store.writer).await.unwrap();
        let plan = format!("{rows:?}");
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn a_lazy_store_starts_without_its_database_and_recovers() {
    let fixture = InDirectory::new().await;
    let directory = fixture.path().parent().unwrap().to_owned();
    // A file where the directory should be: not even root can write into it.
    std::fs::write(&directory, "in the way").unwrap();
    let store = LazyStore::new(SqliteStore::opener(fixture.path()));
    let error = store.ping().await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
    assert!(error.to_string().contains(DATABASE_FILE), "{error}");

    std::fs::remove_file(&directory).unwrap();
    let soon = store.lease(&any_kind(1), at(0)).await.unwrap_err();
    assert_eq!(soon.to_string(), error.to_string(), "not tried again within a second");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    draft("echo").submitted(&store, at(0)).await;
    leased(&store, at(0)).await;
    store.close().await;
    assert!(store.ping().await.is_err());
}

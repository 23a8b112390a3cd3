//! Which of SQLite's errors mean what.

use std::{error::Error, sync::Arc};

use sqlx::{error::DatabaseError, migrate::MigrateError};

use crate::store::StoreError;

// https://www.sqlite.org/rescode.html
const ERROR: i32 = 1;
const INTERNAL: i32 = 2;
const CORRUPT: i32 = 11;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const MISUSE: i32 = 21;
const FORMAT: i32 = 24;
const RANGE: i32 = 25;
const NOTADB: i32 = 26;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let constructor = match &error {
            E::Database(error) => for_code(error.as_ref()),
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => Self::Unavailable,
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt,
            _ => Self::Internal,
        };
        constructor(Arc::new(error))
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                match Self::from(error) {
                    // Tables of another program are in the way.
                    Self::Internal(cause) => Self::Incompatible(cause),
                    other => other,
                }
            }
            other => Self::Incompatible(Arc::new(other)),
        }
    }
}

type Constructor = fn(Arc<dyn Error + Send + Sync>) -> StoreError;

fn for_code(error: &dyn DatabaseError) -> Constructor {
    let extended = error.code().and_then(|code| code.parse::<i32>().ok());
    match extended.map(|code| code & 0xff) {
        Some(CORRUPT | NOTADB | FORMAT) => StoreError::Corrupt,
        Some(ERROR | INTERNAL | TOOBIG | CONSTRAINT | MISMATCH | MISUSE | RANGE) | None => StoreError::Internal,
        // FULL, READONLY, IOERR, CANTOPEN, BUSY and their like pass.
        Some(_) => StoreError::Unavailable,
    }
}

-- Instants are Unix milliseconds, days are UTC as YYYY-MM-DD, identifiers are hyphenated lower-case UUIDs.

CREATE TABLE jobs (
    id               TEXT    NOT NULL PRIMARY KEY,
    issuer           TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    payload          TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempts         INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND max_attempts),
    max_attempts     INTEGER NOT NULL,
    run_at           INTEGER NOT NULL,
    result           TEXT,
    error            TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    -- The lease that holds the job, or the one whose worker finished or failed it: a repeated call is recognised by it.
    lease_id         TEXT,
    lease_expires_at INTEGER,
    idempotency_key  TEXT,
    -- SHA-256 of the submission that used the key.
    fingerprint      BLOB,
    CHECK ((status = 'running') = (lease_expires_at IS NOT NULL)),
    CHECK ((idempotency_key IS NULL) = (fingerprint IS NULL))
) STRICT;

CREATE UNIQUE INDEX jobs_by_idempotency_key ON jobs (issuer, subject, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- Carries status and kind, so that a filtered page of a long history reads the index alone.
CREATE INDEX jobs_by_owner ON jobs (issuer, subject, created_at, id, status, kind);
CREATE INDEX jobs_due ON jobs (run_at, created_at, id) WHERE status = 'queued';
CREATE INDEX jobs_due_by_kind ON jobs (kind, run_at, created_at, id) WHERE status = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_expires_at) WHERE status = 'running';

-- What bills are made of: written with the state change that ended the job, never derived from jobs afterwards.
CREATE TABLE usage (
    issuer  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    day     TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    outcome TEXT    NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'cancelled')),
    count   INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (issuer, subject, day, kind, outcome)
) STRICT, WITHOUT ROWID;

-- Jobs per status, kept by triggers: a gauge must not count millions of rows at each scrape.
CREATE TABLE job_counts (
    status TEXT    NOT NULL PRIMARY KEY,
    count  INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts (status, count)
VALUES ('queued', 0), ('running', 0), ('succeeded', 0), ('failed', 0), ('cancelled', 0);

CREATE TRIGGER jobs_counted_on_insert AFTER INSERT ON jobs BEGIN
    UPDATE job_counts SET count = count + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER jobs_counted_on_update AFTER UPDATE OF status ON jobs WHEN OLD.status <> NEW.status BEGIN
    UPDATE job_counts SET count = count - 1 WHERE status = OLD.status;
    UPDATE job_counts SET count = count + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER jobs_counted_on_delete AFTER DELETE ON jobs BEGIN
    UPDATE job_counts SET count = count - 1 WHERE status = OLD.status;
END;

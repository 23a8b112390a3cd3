//! What callers send, and what they send it as once it has been checked.
//!
//! Each `…Body` and `…Params` is read as is; its `checked` gives the type that a store takes.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    Cursor, Day, Fingerprint, Idempotency, IdempotencyKey, InvalidInput, Job, JobId, JsonText, Kind, LeaseId,
    LeasedJob, Outcome, Owner, Status, Timestamp,
    checks::{
        DEFAULT_LEASE_LIMIT, DEFAULT_LEASE_SECONDS, DEFAULT_LIST_LIMIT, DEFAULT_MAX_ATTEMPTS, MAX_KINDS,
        MAX_LEASE_SECONDS, MAX_LIMIT, MAX_MAX_ATTEMPTS, MAX_PAYLOAD_BYTES, MAX_RESULT_BYTES, MAX_USAGE_DAYS, in_range,
        kept_error,
    },
};

/// Reads a request body: one JSON object. Members nobody knows are refused: they are misspelt ones more often than not.
///
/// # Errors
///
/// [`InvalidInput::Body`] with what is wrong and where.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, InvalidInput> {
    // Serde would also take an array of the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(InvalidInput::Body("expected a JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| InvalidInput::Body(named(&error)))?;
    json.end().map_err(|error| InvalidInput::Body(error.to_string()))?;
    Ok(parsed)
}

/// The error, with the member's name in front when it does not say it itself.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, text) = (error.path().to_string(), error.inner().to_string());
    if matches!(path.as_str(), "." | "?") || text.contains(&format!("`{path}`")) {
        return text;
    }
    format!("{path}: {text}")
}

/// Body of a submission.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitBody {
    /// See [`Kind`].
    pub kind: String,
    /// Any JSON.
    pub payload: Box<RawValue>,
    /// 1 to 25, 3 when absent.
    #[serde(default)]
    pub max_attempts: Option<i64>,
    /// Not leased before; at once when absent.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
}

/// A submission that a store can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Identifies the job, if one is made.
    pub id: JobId,
    /// Whose job it is.
    pub owner: Owner,
    /// Which worker it is for.
    pub kind: Kind,
    /// What the worker needs to know.
    pub payload: JsonText,
    /// Leases that may be taken.
    pub max_attempts: u32,
    /// When it is due, never before its submission: nobody gets ahead of the queue by naming the past.
    pub run_at: Timestamp,
    /// Set when the client may repeat the submission.
    pub idempotency: Option<Idempotency>,
}

impl SubmitBody {
    /// The submission, made at `now`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::TooLarge`] for a payload over 64 KiB, [`InvalidInput::Field`] for anything else.
    pub fn checked(
        self,
        owner: Owner,
        key: Option<IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Submission, InvalidInput> {
        let kind: Kind = self.kind.try_into()?;
        let max_attempts = in_range("max_attempts", self.max_attempts, DEFAULT_MAX_ATTEMPTS, 1..=MAX_MAX_ATTEMPTS)?;
        let payload = JsonText::checked(self.payload, "payload", MAX_PAYLOAD_BYTES)?;
        let idempotency = key
            .map(|key| Idempotency { key, fingerprint: Fingerprint::of(&kind, max_attempts, self.run_at, &payload) });
        Ok(Submission {
            id: JobId::generate(now),
            owner,
            kind,
            payload,
            max_attempts,
            run_at: self.run_at.map_or(now, |run_at| run_at.max(now)),
            idempotency,
        })
    }
}

impl Submission {
    /// The job this submission makes when it is stored at `now`.
    #[must_use]
    pub fn into_job(self, now: Timestamp) -> Job {
        Job {
            id: self.id,
            kind: self.kind,
            payload: self.payload,
            status: Status::Queued,
            attempts: 0,
            max_attempts: self.max_attempts,
            run_at: self.run_at,
            result: None,
            error: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Query parameters of a list. An empty one counts as absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListParams {
    /// Only jobs with this status.
    pub status: Option<String>,
    /// Only jobs of this kind.
    pub kind: Option<String>,
    /// Jobs on the page: 1 to 100, 20 when absent.
    pub limit: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which page of whose jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Only jobs with this status.
    pub status: Option<Status>,
    /// Only jobs of this kind.
    pub kind: Option<Kind>,
    /// Most jobs on the page.
    pub limit: u32,
    /// Where the page begins; at the newest job when absent.
    pub cursor: Option<Cursor>,
}

impl ListParams {
    /// The page asked for.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] naming the parameter.
    pub fn checked(self) -> Result<ListQuery, InvalidInput> {
        let status = given(self.status)
            .map(|word| word.parse::<Status>())
            .transpose()
            .map_err(|_| InvalidInput::field("status", "queued, running, succeeded, failed or cancelled"))?;
        // Text that is no number is as wrong as a number out of range.
        let limit = given(self.limit).map(|limit| limit.parse().unwrap_or(-1));
        Ok(ListQuery {
            status,
            kind: given(self.kind).map(Kind::try_from).transpose()?,
            limit: in_range("limit", limit, DEFAULT_LIST_LIMIT, 1..=MAX_LIMIT)?,
            cursor: given(self.cursor).map(|text| text.parse()).transpose()?,
        })
    }
}

/// Answer of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobList {
    /// The page, newest first.
    pub jobs: Vec<Job>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Body of a lease.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseBody {
    /// Only jobs of these kinds, 1 to 32 of them; any when absent.
    pub kinds: Option<Vec<String>>,
    /// Most jobs wanted: 1 to 100, 1 when absent.
    pub limit: Option<i64>,
    /// Length of the leases: 1 to 3600 seconds, 60 when absent.
    pub lease_seconds: Option<i64>,
}

/// What a worker is ready for.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRequest {
    /// Only jobs of these kinds, each named once; any when `None`.
    pub kinds: Option<Vec<Kind>>,
    /// Most jobs wanted.
    pub limit: u32,
    /// Length of the leases, in seconds.
    pub lease_seconds: u32,
}

impl LeaseBody {
    /// What the worker is ready for.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] naming the member.
    pub fn checked(self) -> Result<LeaseRequest, InvalidInput> {
        let kinds = self.kinds.map(checked_kinds).transpose()?;
        Ok(LeaseRequest {
            kinds,
            limit: in_range("limit", self.limit, DEFAULT_LEASE_LIMIT, 1..=MAX_LIMIT)?,
            lease_seconds: checked_lease_seconds(self.lease_seconds)?,
        })
    }
}

/// Answer of a lease.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaseList {
    /// The jobs now in the worker's hands.
    pub jobs: Vec<LeasedJob>,
}

/// Body of a heartbeat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewBody {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// From now: 1 to 3600 seconds, 60 when absent.
    #[serde(default)]
    pub lease_seconds: Option<i64>,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Renewal {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// How long it is to be held from now on, in seconds.
    pub lease_seconds: u32,
}

impl RenewBody {
    /// The heartbeat.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] naming the member.
    pub fn checked(self) -> Result<Renewal, InvalidInput> {
        Ok(Renewal { lease_id: self.lease_id, lease_seconds: checked_lease_seconds(self.lease_seconds)? })
    }
}

/// Body of a completion.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteBody {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// Any JSON; `null` and absent are the same.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
}

/// A completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// What the worker answers, if anything.
    pub result: Option<JsonText>,
}

impl CompleteBody {
    /// The completion.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::TooLarge`] for a result over 64 KiB, [`InvalidInput::Field`] for JSON that parsers refuse.
    pub fn checked(self) -> Result<Completion, InvalidInput> {
        let checked = |raw| JsonText::checked(raw, "result", MAX_RESULT_BYTES);
        Ok(Completion { lease_id: self.lease_id, result: self.result.map(checked).transpose()? })
    }
}

/// Body of a failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailBody {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// What went wrong; what is over 4 KiB is cut off.
    pub error: String,
    /// Whether to try again while attempts remain; true when absent.
    #[serde(default)]
    pub retry: Option<bool>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The lease that holds the job.
    pub lease_id: LeaseId,
    /// What went wrong.
    pub error: String,
    /// Whether to try again while attempts remain.
    pub retry: bool,
}

impl FailBody {
    /// The failure. Nothing in it can be wrong: a worker must be able to report any failure.
    #[must_use]
    pub fn checked(self) -> Failure {
        Failure { lease_id: self.lease_id, error: kept_error(self.error), retry: self.retry.unwrap_or(true) }
    }
}

/// Query parameters of a usage report. An empty one counts as absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct UsageParams {
    /// First day; 30 days ending with `to` when absent.
    pub from: Option<String>,
    /// Last day, included; today in UTC when absent.
    pub to: Option<String>,
}

/// The days of a report, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsagePeriod {
    /// First day.
    pub from: Day,
    /// Last day, included.
    pub to: Day,
}

impl UsageParams {
    /// The period asked for on the day `today`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when a parameter is no day, `from` is after `to`, or there are more than 366 days.
    pub fn checked(self, today: Day) -> Result<UsagePeriod, InvalidInput> {
        let day = |field, text: Option<String>| {
            let parsed = given(text).map(|text| text.parse::<Day>()).transpose();
            parsed.map_err(|_| InvalidInput::field(field, "a UTC day like 2026-01-31"))
        };
        let to = day("to", self.to)?.unwrap_or(today);
        let from = day("from", self.from)?.unwrap_or_else(|| to.minus_days(29));
        match from.days_until(to) {
            ..0 => Err(InvalidInput::field("from", "a day not after to")),
            days if days >= i64::from(MAX_USAGE_DAYS) => {
                Err(InvalidInput::field("from", format!("at most {MAX_USAGE_DAYS} days up to to")))
            }
            _ => Ok(UsagePeriod { from, to }),
        }
    }
}

/// Answer of a usage report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageReport {
    /// First day.
    pub from: Day,
    /// Last day, included.
    pub to: Day,
    /// By day, kind and outcome. What did not happen is not listed.
    pub usage: Vec<UsageRow>,
}

/// Jobs of one owner that ended on one day, of one kind, with one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// The UTC day on which their end was recorded.
    pub day: Day,
    /// Their kind.
    pub kind: Kind,
    /// How they ended.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
}

fn given(parameter: Option<String>) -> Option<String> {
    parameter.filter(|text| !text.is_empty())
}

fn checked_kinds(names: Vec<String>) -> Result<Vec<Kind>, InvalidInput> {
    if !(1..=MAX_KINDS).contains(&names.len()) {
        return Err(InvalidInput::field("kinds", "1 to 32 kinds, or none of it for any"));
    }
    let mut kinds = names.into_iter().map(Kind::try_from).collect::<Result<Vec<_>, _>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

fn checked_lease_seconds(seconds: Option<i64>) -> Result<u32, InvalidInput> {
    in_range("lease_seconds", seconds, DEFAULT_LEASE_SECONDS, 1..=MAX_LEASE_SECONDS)
}

//! `/v1/worker`: leasing jobs and finishing them.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::error::ApiError;
use super::extract::{JobPath, JsonBody};
use super::{Api, answer};
use crate::jobs::{CompleteBody, FailBody, LeaseBody, LeaseList, Outcome, RenewBody};
use crate::store::Fenced;
use crate::telemetry::metrics::JobOutcome;

pub(super) async fn lease(State(api): State<Api>, JsonBody(body): JsonBody<LeaseBody>) -> Result<Response, ApiError> {
    let leased = api.store.lease(&body.checked()?, api.now()).await?;
    for _ in 0..leased.reclaimed.failed {
        api.metrics.job_finished(JobOutcome::Failed);
    }
    answer::json(StatusCode::OK, &LeaseList { jobs: leased.jobs })
}

pub(super) async fn renew(
    State(api): State<Api>,
    JobPath(id): JobPath,
    JsonBody(body): JsonBody<RenewBody>,
) -> Result<Response, ApiError> {
    let renewal = body.checked()?;
    fenced(&api, api.store.renew(id, &renewal, api.now()).await?)
}

pub(super) async fn complete(
    State(api): State<Api>,
    JobPath(id): JobPath,
    JsonBody(body): JsonBody<CompleteBody>,
) -> Result<Response, ApiError> {
    let completion = body.checked()?;
    fenced(&api, api.store.complete(id, &completion, api.now()).await?)
}

pub(super) async fn fail(
    State(api): State<Api>,
    JobPath(id): JobPath,
    JsonBody(body): JsonBody<FailBody>,
) -> Result<Response, ApiError> {
    let failure = body.checked();
    fenced(&api, api.store.fail(id, &failure, api.now()).await?)
}

/// The answer to a call for a leased job. A job that ended with the call is counted; a repeated call was counted
/// before.
fn fenced(api: &Api, fenced: Fenced) -> Result<Response, ApiError> {
    match fenced {
        Fenced::Done(job) => {
            if let Some(outcome) = job.status.outcome() {
                api.metrics.job_finished(label(outcome));
            }
            answer::json(StatusCode::OK, &job)
        }
        Fenced::Repeated(job) => answer::json(StatusCode::OK, &job),
        Fenced::LeaseLost => Err(ApiError::LeaseLost),
        Fenced::NotFound => Err(ApiError::NotFound("job")),
    }
}

const fn label(outcome: Outcome) -> JobOutcome {
    match outcome {
        Outcome::Succeeded => JobOutcome::Succeeded,
        Outcome::Failed => JobOutcome::Failed,
        Outcome::Cancelled => JobOutcome::Cancelled,
    }
}

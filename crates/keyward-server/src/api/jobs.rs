//! `/v1/jobs`: what users submit, look at and cancel.

use axum::extract::State;
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::error::ApiError;
use super::extract::{JobPath, JsonBody, Params, Repeatable, User};
use super::{Api, answer};
use crate::jobs::{Job, JobList, ListParams, SubmitBody};
use crate::store::{Cancellation, Submitted};
use crate::telemetry::metrics::JobOutcome;

pub(super) async fn submit(
    State(api): State<Api>,
    User { owner, .. }: User,
    Repeatable(key): Repeatable,
    JsonBody(body): JsonBody<SubmitBody>,
) -> Result<Response, ApiError> {
    let now = api.now();
    let submission = body.checked(owner, key, now)?;
    match api.store.submit(submission, now).await? {
        Submitted::Created(job) => {
            api.metrics.job_submitted();
            located(StatusCode::CREATED, &job)
        }
        Submitted::Existing(job) => located(StatusCode::OK, &job),
        Submitted::IdempotencyConflict => Err(ApiError::IdempotencyConflict),
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    User { owner, .. }: User,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let page = api.store.list(&owner, &params.checked()?).await?;
    let list = JobList { jobs: page.jobs, next_cursor: page.next.map(|cursor| cursor.to_string()) };
    answer::json(StatusCode::OK, &list)
}

pub(super) async fn show(
    State(api): State<Api>,
    User { owner, .. }: User,
    JobPath(id): JobPath,
) -> Result<Response, ApiError> {
    let job = api.store.get(&owner, id).await?.ok_or(ApiError::NotFound("job"))?;
    answer::json(StatusCode::OK, &job)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    User { owner, .. }: User,
    JobPath(id): JobPath,
) -> Result<Response, ApiError> {
    match api.store.cancel(&owner, id, api.now()).await? {
        Cancellation::Cancelled(job) => {
            api.metrics.job_finished(JobOutcome::Cancelled);
            answer::json(StatusCode::OK, &job)
        }
        Cancellation::AlreadyCancelled(job) => answer::json(StatusCode::OK, &job),
        Cancellation::AlreadyFinished(_) => Err(ApiError::AlreadyFinished),
        Cancellation::NotFound => Err(ApiError::NotFound("job")),
    }
}

fn located(status: StatusCode, job: &Job) -> Result<Response, ApiError> {
    let mut answer = answer::json(status, job)?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

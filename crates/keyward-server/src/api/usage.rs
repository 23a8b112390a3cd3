//! `/v1/usage`: what a bill is made of.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::error::ApiError;
use super::extract::{Params, User};
use super::{Api, answer};
use crate::jobs::{UsageParams, UsageReport};

pub(super) async fn show(
    State(api): State<Api>,
    User { owner, .. }: User,
    Params(params): Params<UsageParams>,
) -> Result<Response, ApiError> {
    let period = params.checked(api.now().day())?;
    let usage = api.store.usage(&owner, period).await?;
    answer::json(StatusCode::OK, &UsageReport { from: period.from, to: period.to, usage })
}

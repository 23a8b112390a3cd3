//! Sign-up, sign-in, refresh, user and sign-out, as Supabase Auth answers them.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, Router,
    extract::{Query, State},
    middleware,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tower_http::cors::{Any, CorsLayer};

use super::error::{self, AuthError};
use crate::{
    clock,
    error::MintError,
    password::PasswordHash,
    sessions::{RefreshError, Scope},
    shared::Shared,
    tokens::{self, Bearer},
    users::{User, is_email},
};

/// The real server's default.
const MINIMUM_PASSWORD_LENGTH: usize = 6;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/token", post(token))
        .route("/signup", post(sign_up))
        .route("/user", get(user).put(update_user))
        .route("/logout", post(logout))
        .layer(middleware::from_fn(error::shape))
        .layer(cors())
}

/// What a browser needs to call the issuer from any page.
pub(crate) fn cors() -> CorsLayer {
    let supabase = ["apikey", "x-client-info", "x-supabase-api-version"];
    let allowed = [header::AUTHORIZATION, header::CONTENT_TYPE];
    let allowed = allowed.into_iter().chain(supabase.map(HeaderName::from_static));
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(allowed.collect::<Vec<_>>())
        .expose_headers([error::API_VERSION, error::ERROR_CODE])
}

#[derive(Deserialize)]
struct Grant {
    grant_type: Option<String>,
}

#[derive(Deserialize)]
struct PasswordGrant {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

#[derive(Deserialize)]
struct RefreshGrant {
    #[serde(default)]
    refresh_token: String,
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Query(grant): Query<Grant>,
    body: Bytes,
) -> Result<Json<Value>, AuthError> {
    match grant.grant_type.as_deref() {
        Some("password") => blocking(move || sign_in(&shared, &parse(&body)?)).await,
        Some("refresh_token") => blocking(move || refresh(&shared, &parse(&body)?)).await,
        _ => Err(invalid_credentials("unsupported_grant_type")),
    }
}

fn sign_in(shared: &Shared, grant: &PasswordGrant) -> Result<Json<Value>, AuthError> {
    if grant.email.is_empty() {
        return Err(AuthError::validation("missing email or phone"));
    }
    let found = shared.state().users.by_email(&grant.email).cloned();
    // The hash is slow: no lock is held meanwhile.
    let user = found.filter(|user| {
        let hash = user.password.as_ref();
        hash.is_some_and(|hash| hash.matches(&grant.password))
    });
    let user = user.ok_or_else(|| invalid_credentials("Invalid login credentials"))?;
    open_session(shared, user, "password")
}

fn refresh(shared: &Shared, grant: &RefreshGrant) -> Result<Json<Value>, AuthError> {
    if grant.refresh_token.is_empty() {
        return Err(AuthError::validation("refresh_token required"));
    }
    let now = clock::now();
    let refreshed = {
        let mut state = shared.state();
        let reuse = shared.refresh_reuse;
        let refreshed = state.sessions.refresh(&grant.refresh_token, reuse, now);
        refreshed.map(|(session, token)| (state.users.get(session.user).cloned(), session, token))
    };
    shared.persist();
    let (user, session, token) = refreshed.map_err(AuthError::from)?;
    let user = user.ok_or_else(|| AuthError::from(RefreshError::NotFound))?;
    shared.stats.refreshes.fetch_add(1, Ordering::Relaxed);
    Ok(Json(shared.session_json(&user, &session, &token, now)?))
}

#[derive(Deserialize)]
struct SignUp {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

async fn sign_up(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, AuthError> {
    blocking(move || {
        let sign_up: SignUp = parse(&body)?;
        let anonymous = sign_up.email.is_empty() && sign_up.password.is_empty();
        let (mut user, method) = if anonymous {
            (User::anonymous(clock::now()), "anonymous")
        } else {
            (new_user(&shared, &sign_up)?, "password")
        };
        user.user_metadata.extend(sign_up.data.unwrap_or_default());
        {
            let mut state = shared.state();
            // Checked again under the lock that inserts: two sign-ups may have come together.
            if state.users.by_email(&user.email).is_some() {
                return Err(user_already_exists());
            }
            state.users.insert(user.clone());
        }
        open_session(&shared, user, method)
    })
    .await
}

fn new_user(shared: &Shared, sign_up: &SignUp) -> Result<User, AuthError> {
    if sign_up.password.is_empty() {
        return Err(AuthError::validation("Signup requires a valid password"));
    }
    check_email(&sign_up.email)?;
    check_password(&sign_up.password)?;
    if shared.state().users.by_email(&sign_up.email).is_some() {
        return Err(user_already_exists());
    }
    Ok(User::with_password(&sign_up.email, hash(&sign_up.password)?, clock::now()))
}

async fn user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Json<Value>, AuthError> {
    let (_, user) = authenticate(&shared, &headers)?;
    Ok(Json(user.to_json(&shared.policy.audience)))
}

#[derive(Deserialize)]
struct UserUpdate {
    email: Option<String>,
    password: Option<String>,
    data: Option<Map<String, Value>>,
}

async fn update_user(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, AuthError> {
    blocking(move || {
        let (bearer, user) = authenticate(&shared, &headers)?;
        apply_update(&shared, &bearer, &user, parse(&body)?)
    })
    .await
}

fn apply_update(shared: &Shared, bearer: &Bearer, user: &User, update: UserUpdate) -> Result<Json<Value>, AuthError> {
    let email = update.email.filter(|email| !email.eq_ignore_ascii_case(&user.email));
    if let Some(email) = &email {
        check_email(email)?;
    }
    let password = update.password.map(|password| new_password(user, &password)).transpose()?;
    let updated = {
        let mut state = shared.state();
        if email.as_ref().is_some_and(|email| state.users.by_email(email).is_some()) {
            return Err(email_exists());
        }
        let Some(user) = state.users.get_mut(bearer.user) else {
            return Err(user_not_found());
        };
        if let Some(email) = &email {
            user.set_email(email);
        }
        for (name, value) in update.data.unwrap_or_default() {
            // As in the real server, null removes a member.
            match value {
                Value::Null => drop(user.user_metadata.remove(&name)),
                value => drop(user.user_metadata.insert(name, value)),
            }
        }
        user.updated_at = clock::now();
        let changes_password = password.is_some();
        user.password = password.or(user.password.take());
        let updated = user.clone();
        if let (true, Some(session)) = (changes_password, bearer.session) {
            state.sessions.close(bearer.user, session, Scope::Others);
        }
        updated
    };
    shared.persist();
    Ok(Json(updated.to_json(&shared.policy.audience)))
}

fn new_password(user: &User, password: &str) -> Result<PasswordHash, AuthError> {
    check_password(password)?;
    if user.password.as_ref().is_some_and(|hash| hash.matches(password)) {
        let message = "New password should be different from the old password.";
        return Err(AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, "same_password", message));
    }
    hash(password)
}

#[derive(Deserialize)]
struct Logout {
    scope: Option<String>,
}

async fn logout(
    State(shared): State<Arc<Shared>>,
    Query(logout): Query<Logout>,
    headers: HeaderMap,
) -> Result<StatusCode, AuthError> {
    let scope = match logout.scope.as_deref() {
        None | Some("global" | "") => Scope::Global,
        Some("local") => Scope::Local,
        Some("others") => Scope::Others,
        Some(_) => return Err(AuthError::validation("Unsupported logout scope")),
    };
    blocking(move || {
        let (bearer, _) = authenticate(&shared, &headers)?;
        let session = bearer.session.ok_or_else(AuthError::session_not_found)?;
        shared.state().sessions.close(bearer.user, session, scope);
        shared.persist();
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn open_session(shared: &Shared, mut user: User, method: &str) -> Result<Json<Value>, AuthError> {
    let now = clock::now();
    let (session, refresh_token) = {
        let mut state = shared.state();
        user.last_sign_in_at = Some(now);
        if let Some(stored) = state.users.get_mut(user.id) {
            stored.last_sign_in_at = Some(now);
        }
        state.sessions.open(user.id, method, now)
    };
    shared.persist();
    shared.stats.sign_ins.fetch_add(1, Ordering::Relaxed);
    Ok(Json(shared.session_json(&user, &session, &refresh_token, now)?))
}

/// The user of the request's token, whose session must still exist.
fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<(Bearer, User), AuthError> {
    let token = bearer_token(headers).ok_or_else(no_authorization)?;
    let state = shared.state();
    let bearer = tokens::verify(token, &state.keys, clock::now())?;
    let user = state.users.get(bearer.user).cloned().ok_or_else(user_not_found)?;
    if let Some(session) = bearer.session {
        let session = state.sessions.get(session);
        if session.is_none_or(|session| session.user != user.id) {
            return Err(AuthError::session_not_found());
        }
    }
    Ok((bearer, user))
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Keeps password hashing, signing and the state file off the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
) -> Result<T, AuthError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(AuthError::internal()))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AuthError> {
    serde_json::from_slice(body).map_err(|_| {
        let message = "Could not parse request body as JSON";
        AuthError::new(StatusCode::BAD_REQUEST, "bad_json", message)
    })
}

fn check_email(email: &str) -> Result<(), AuthError> {
    let message = "Unable to validate email address: invalid format";
    is_email(email).then_some(()).ok_or_else(|| AuthError::validation(message))
}

fn check_password(password: &str) -> Result<(), AuthError> {
    let long_enough = password.chars().count() >= MINIMUM_PASSWORD_LENGTH;
    let weak = || AuthError::weak_password(MINIMUM_PASSWORD_LENGTH);
    long_enough.then_some(()).ok_or_else(weak)
}

fn hash(password: &str) -> Result<PasswordHash, AuthError> {
    PasswordHash::new(password).map_err(|error| MintError::from(error).into())
}

fn invalid_credentials(message: &str) -> AuthError {
    AuthError::new(StatusCode::BAD_REQUEST, "invalid_credentials", message)
}

fn no_authorization() -> AuthError {
    let message = "This endpoint requires a valid Bearer token";
    AuthError::new(StatusCode::UNAUTHORIZED, "no_authorization", message)
}

fn user_not_found() -> AuthError {
    let message = "User from sub claim in JWT does not exist";
    AuthError::new(StatusCode::FORBIDDEN, "user_not_found", message)
}

fn user_already_exists() -> AuthError {
    let message = "User already registered";
    AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, "user_already_exists", message)
}

fn email_exists() -> AuthError {
    let message = "A user with this email address has already been registered";
    AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, "email_exists", message)
}

impl From<RefreshError> for AuthError {
    fn from(error: RefreshError) -> Self {
        let (code, message) = match error {
            RefreshError::NotFound => ("refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"),
            RefreshError::AlreadyUsed => ("refresh_token_already_used", "Invalid Refresh Token: Already Used"),
        };
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }
}

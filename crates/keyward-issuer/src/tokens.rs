//! Access tokens: the claims of the real server, signed, and read back by the issuer's own routes.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    keyring::KeyRing,
    keys::{SigningKey, base64url},
    sessions::Session,
    users::User,
};

/// What every token of an issuer has in common.
pub(crate) struct TokenPolicy {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) ttl_seconds: i64,
}

impl TokenPolicy {
    /// The claims of an access token for this session.
    pub(crate) fn claims(&self, user: &User, session: &Session, now: OffsetDateTime) -> Map<String, Value> {
        let issued_at = now.unix_timestamp();
        let claims = json!({
            "iss": self.issuer,
            "sub": user.id,
            "aud": self.audience,
            "exp": issued_at.saturating_add(self.ttl_seconds),
            "iat": issued_at,
            "email": user.email,
            "phone": "",
            "app_metadata": user.app_metadata,
            "user_metadata": user.user_metadata,
            "role": user.role,
            "aal": "aal1",
            "amr": [{"method": session.method, "timestamp": session.created_at.unix_timestamp()}],
            "session_id": session.id,
            "is_anonymous": user.is_anonymous,
        });
        object(claims)
    }
}

/// The JOSE header of a token under this key.
pub(crate) fn header(key: &SigningKey) -> Map<String, Value> {
    object(json!({"alg": key.alg.name(), "kid": key.kid, "typ": "JWT"}))
}

/// The part of a JWS that is signed (RFC 7515 section 5.1).
pub(crate) fn signing_input(header: &str, payload: &str) -> String {
    format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()))
}

/// Appends the signature: the compact serialization is complete.
pub(crate) fn compact(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", base64url(signature))
}

/// Why the issuer does not honour a token; the text ends up in its `bad_jwt` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("token is malformed")]
    Malformed,
    #[error("signing key is unknown or withdrawn")]
    UnknownKey,
    #[error("signature is invalid")]
    Signature,
    #[error("token is expired")]
    Expired,
}

/// Whom a token presented to the issuer speaks for.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) user: Uuid,
    /// Absent from tokens that belong to no session, such as a service's.
    pub(crate) session: Option<Uuid>,
}

/// Verifies a token with the issuer's own keys.
pub(crate) fn verify(token: &str, keys: &KeyRing, now: OffsetDateTime) -> Result<Bearer, TokenError> {
    let (input, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = input.split_once('.').ok_or(TokenError::Malformed)?;
    let header = decode_object(header)?;
    let kid = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    let key = keys.honoured(kid).ok_or(TokenError::UnknownKey)?;
    let signature = decode(signature)?;
    let same_alg = header.get("alg").and_then(Value::as_str) == Some(key.alg.name());
    if !same_alg || !key.verifies(input.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims = decode_object(payload)?;
    let expires = claims.get("exp").and_then(Value::as_i64);
    if now.unix_timestamp() >= expires.ok_or(TokenError::Malformed)? {
        return Err(TokenError::Expired);
    }
    let id = |name: &str| claims.get(name).and_then(Value::as_str)?.parse().ok();
    Ok(Bearer { user: id("sub").ok_or(TokenError::Malformed)?, session: id("session_id") })
}

/// The members of a JSON object; nothing for any other value.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| TokenError::Malformed)
}

fn decode_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    serde_json::from_slice(&decode(part)?).map_err(|_| TokenError::Malformed)
}

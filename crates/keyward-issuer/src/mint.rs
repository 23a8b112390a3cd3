//! Tokens made to order, for tests.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    algorithm::Alg,
    error::MintError,
    keyring::KeyRing,
    keys::{SigningKey, hmac_sign},
    sessions::Session,
    tokens::{self, TokenPolicy, object},
    users::{User, Users},
};

/// A token made to order, for [`Issuer::mint`](crate::Issuer::mint) and `POST /dev/mint`.
///
/// Starts from the header and the claims of a real access token for `user`, then applies `header` and `claims`
/// member by member, then removes `omit_header` and `omit`. A JSON `null` among them is put into the token as
/// `null`: only the `omit` lists remove.
///
/// What is *signed with* (`kid`, `alg`, `secret`) is separate from what the header *says* (`header`), so that a
/// token can lie about its algorithm or its key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mint {
    /// Header parameters to set.
    pub header: Map<String, Value>,
    /// Claims to set.
    pub claims: Map<String, Value>,
    /// Header parameters to remove.
    pub omit_header: Vec<String>,
    /// Claims to remove.
    pub omit: Vec<String>,
    /// Signs with this key of the issuer, withdrawn and unpublished ones included. Default the current one, or the
    /// newest that can do `alg`.
    pub kid: Option<String>,
    /// Signs with this algorithm; `none` leaves the signature empty. Default the key's own, or HS256 with `secret`.
    pub alg: Option<String>,
    /// Signs with HMAC under this secret instead of a key of the issuer. The header then has no `kid` of its own.
    pub secret: Option<String>,
    /// Email of the user the claims speak for. Default the first one seeded, or a fresh one when there is none.
    pub user: Option<String>,
    /// Makes it a token of role `service_role`, without email or session.
    pub service_role: bool,
    /// Seconds from now to `exp`; negative for an expired token. Default the issuer's token life.
    pub expires_in: Option<i64>,
    /// Signed as it is in place of the header, whether JSON or not.
    pub raw_header: Option<String>,
    /// Signed as it is in place of the claims, whether JSON or not.
    pub raw_claims: Option<String>,
}

impl Mint {
    /// An ordinary token for the default user.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a header parameter.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        self.omit.push(name.to_owned());
        self
    }

    /// Removes a header parameter.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.omit_header.push(name.to_owned());
        self
    }

    /// Signs with this key of the issuer.
    #[must_use]
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Expires this many seconds from now; negative for an expired token.
    #[must_use]
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        self
    }
}

/// Header and claims in their final text, and what to sign them with.
pub(crate) struct Prepared {
    input: String,
    signer: Signer,
}

enum Signer {
    None,
    Key(std::sync::Arc<SigningKey>, Alg),
    Secret(String, Alg),
}

impl Prepared {
    pub(crate) fn new(
        mint: Mint,
        keys: &KeyRing,
        users: &Users,
        policy: &TokenPolicy,
        now: OffsetDateTime,
    ) -> Result<Self, MintError> {
        let signer = signer(&mint, keys)?;
        let mut header = signer.header();
        let mut claims = claims(&mint, users, policy, now)?;
        apply(&mut header, mint.header, &mint.omit_header);
        apply(&mut claims, mint.claims, &mint.omit);
        let header = mint.raw_header.unwrap_or_else(|| Value::Object(header).to_string());
        let claims = mint.raw_claims.unwrap_or_else(|| Value::Object(claims).to_string());
        let input = tokens::signing_input(&header, &claims);
        Ok(Self { input, signer })
    }

    /// Signs. Needs no lock: an RSA signature takes a millisecond.
    pub(crate) fn sign(self) -> Result<String, MintError> {
        let input = self.input.as_bytes();
        let signature = match self.signer {
            Signer::None => Vec::new(),
            Signer::Key(key, alg) => key.sign(alg, input)?,
            Signer::Secret(secret, alg) => hmac_sign(alg, secret.as_bytes(), input)?,
        };
        Ok(tokens::compact(&self.input, &signature))
    }
}

impl Signer {
    fn header(&self) -> Map<String, Value> {
        match self {
            Self::None => object(json!({"alg": "none", "typ": "JWT"})),
            Self::Secret(_, alg) => object(json!({"alg": alg.name(), "typ": "JWT"})),
            Self::Key(key, alg) => {
                let mut header = tokens::header(key);
                header.insert("alg".to_owned(), alg.name().into());
                header
            }
        }
    }
}

fn signer(mint: &Mint, keys: &KeyRing) -> Result<Signer, MintError> {
    if mint.alg.as_deref() == Some("none") {
        return Ok(Signer::None);
    }
    let alg = match mint.alg.as_deref() {
        Some(name) => Some(Alg::from_name(name).ok_or_else(|| MintError::UnknownAlgorithm(name.to_owned()))?),
        None => None,
    };
    if let Some(secret) = &mint.secret {
        return Ok(Signer::Secret(secret.clone(), alg.unwrap_or(Alg::HS256)));
    }
    let key = match (&mint.kid, alg) {
        (Some(kid), _) => keys.find(kid).ok_or_else(|| MintError::UnknownKid(kid.clone()))?,
        (None, Some(alg)) if keys.signing().alg.family() != alg.family() => {
            keys.newest(alg.family()).ok_or_else(|| MintError::NoKeyFor(alg.name().to_owned()))?
        }
        _ => keys.signing(),
    };
    let alg = alg.unwrap_or(key.alg);
    Ok(Signer::Key(key, alg))
}

fn claims(
    mint: &Mint,
    users: &Users,
    policy: &TokenPolicy,
    now: OffsetDateTime,
) -> Result<Map<String, Value>, MintError> {
    let user = match &mint.user {
        Some(email) => users.by_email(email).cloned().ok_or_else(|| MintError::UnknownUser(email.clone()))?,
        None => users.first.and_then(|id| users.get(id)).cloned().unwrap_or_else(|| User::anonymous(now)),
    };
    let session = Session {
        id: Uuid::new_v4(),
        user: user.id,
        method: if user.is_anonymous { "anonymous" } else { "password" }.to_owned(),
        created_at: now,
    };
    let mut claims = policy.claims(&user, &session, now);
    if mint.service_role {
        make_service_role(&mut claims, policy);
    }
    if let Some(seconds) = mint.expires_in {
        let expires = now.unix_timestamp().saturating_add(seconds);
        claims.insert("exp".to_owned(), expires.into());
    }
    Ok(claims)
}

/// The same service on every call, so that its `sub` can be told from a user's in logs.
const SERVICE_SUBJECT: Uuid = Uuid::from_u128(0x5e12_71ce_0000_4000_8000_0000_0000_0001);

fn make_service_role(claims: &mut Map<String, Value>, policy: &TokenPolicy) {
    for user_only in ["email", "phone", "amr", "session_id", "user_metadata"] {
        claims.remove(user_only);
    }
    let service = json!({
        "sub": SERVICE_SUBJECT,
        "aud": policy.audience,
        "role": "service_role",
        "is_anonymous": false,
        "app_metadata": {},
    });
    claims.extend(object(service));
}

fn apply(members: &mut Map<String, Value>, set: Map<String, Value>, omit: &[String]) {
    members.extend(set);
    for name in omit {
        members.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::SigningAlgorithm;

    #[test]
    fn an_algorithm_no_key_can_do_is_refused() {
        let keys = KeyRing::new(SigningAlgorithm::ES256).unwrap();
        let mint = Mint { alg: Some("RS256".to_owned()), ..Mint::new() };
        assert_eq!(signer(&mint, &keys).err(), Some(MintError::NoKeyFor("RS256".to_owned())));
    }
}

//! Users: what `auth.users` keeps of them, and how the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::password::PasswordHash;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    /// Lower case; empty for an anonymous user.
    pub(crate) email: String,
    pub(crate) password: Option<PasswordHash>,
    pub(crate) role: String,
    pub(crate) app_metadata: Map<String, Value>,
    pub(crate) user_metadata: Map<String, Value>,
    pub(crate) is_anonymous: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) last_sign_in_at: Option<OffsetDateTime>,
}

impl User {
    /// A user who signs in with email and password.
    pub(crate) fn with_password(email: &str, password: PasswordHash, now: OffsetDateTime) -> Self {
        let mut user = Self::anonymous(now);
        user.email = normalise(email);
        user.password = Some(password);
        user.is_anonymous = false;
        user.app_metadata = email_provider();
        user.user_metadata.insert("email_verified".to_owned(), true.into());
        user
    }

    /// A user without any credentials but a session.
    pub(crate) fn anonymous(now: OffsetDateTime) -> Self {
        Self {
            id: Uuid::new_v4(),
            email: String::new(),
            password: None,
            role: "authenticated".to_owned(),
            app_metadata: Map::new(),
            user_metadata: Map::new(),
            is_anonymous: true,
            created_at: now,
            updated_at: now,
            last_sign_in_at: None,
        }
    }

    /// Gives an anonymous user an email, or changes it. Confirmed at once: no mail is sent.
    pub(crate) fn set_email(&mut self, email: &str) {
        self.email = normalise(email);
        self.is_anonymous = false;
        for (name, value) in email_provider() {
            self.app_metadata.entry(name).or_insert(value);
        }
    }

    /// The user as `GET /auth/v1/user` and the session answers show it.
    pub(crate) fn to_json(&self, audience: &str) -> Value {
        let mut user = json!({
            "id": self.id,
            "aud": audience,
            "role": self.role,
            "email": self.email,
            "phone": "",
            "last_sign_in_at": self.last_sign_in_at.map(timestamp),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": self.identities(),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "is_anonymous": self.is_anonymous,
        });
        if !self.is_anonymous {
            user["email_confirmed_at"] = timestamp(self.created_at).into();
            user["confirmed_at"] = timestamp(self.created_at).into();
        }
        user
    }

    fn identities(&self) -> Value {
        if self.is_anonymous {
            return json!([]);
        }
        json!([{
            "identity_id": self.id,
            "id": self.id,
            "user_id": self.id,
            "identity_data": {
                "email": self.email,
                "email_verified": true,
                "phone_verified": false,
                "sub": self.id,
            },
            "provider": "email",
            "last_sign_in_at": self.last_sign_in_at.map(timestamp),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "email": self.email,
        }])
    }
}

/// All users, by id.
#[derive(Default)]
pub(crate) struct Users {
    by_id: BTreeMap<Uuid, User>,
    /// The user that minted tokens speak for by default: the first one seeded.
    pub(crate) first: Option<Uuid>,
}

impl Users {
    pub(crate) fn insert(&mut self, user: User) {
        self.by_id.insert(user.id, user);
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Option<User> {
        self.by_id.remove(&id)
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&User> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: Uuid) -> Option<&mut User> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn by_email(&self, email: &str) -> Option<&User> {
        let email = normalise(email);
        self.by_id.values().find(|user| !user.email.is_empty() && user.email == email)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.by_id.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// `app_metadata` of a user who signs in with a password.
pub(crate) fn email_provider() -> Map<String, Value> {
    Map::from_iter([("provider".to_owned(), json!("email")), ("providers".to_owned(), json!(["email"]))])
}

/// The rough check the real server makes: one `@`, something on both sides, no white space.
pub(crate) fn is_email(text: &str) -> bool {
    let mut parts = text.split('@');
    let (local, domain, rest) = (parts.next(), parts.next(), parts.next());
    let filled = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    filled(local) && filled(domain) && rest.is_none() && !text.contains(char::is_whitespace)
}

fn normalise(email: &str) -> String {
    email.trim().to_lowercase()
}

/// RFC 3339 in UTC; empty for a year that the format cannot write.
fn timestamp(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

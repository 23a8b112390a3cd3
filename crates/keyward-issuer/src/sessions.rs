//! Sessions and their refresh tokens: rotation, and detection of reuse (RFC 9700 section 4.14.2).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A sign-in on one device; the `session_id` claim names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    /// How the user signed in: `password` or `anonymous`.
    pub(crate) method: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

#[derive(Clone, Serialize, Deserialize)]
struct RefreshToken {
    token: String,
    session: Uuid,
    parent: Option<String>,
    revoked: bool,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// Why a refresh token gives no new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshError {
    NotFound,
    /// Presented again too late: every token of the session is revoked now.
    AlreadyUsed,
}

/// Which sessions of a user a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Global,
    Local,
    Others,
}

#[derive(Default)]
pub(crate) struct Sessions {
    sessions: HashMap<Uuid, Session>,
    tokens: HashMap<String, RefreshToken>,
}

impl Sessions {
    /// Opens a session with its first refresh token.
    pub(crate) fn open(&mut self, user: Uuid, method: &str, now: OffsetDateTime) -> (Session, String) {
        let session = Session { id: Uuid::new_v4(), user, method: method.to_owned(), created_at: now };
        self.sessions.insert(session.id, session.clone());
        let token = self.issue(session.id, None, now);
        (session, token)
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Trades a refresh token for its successor.
    ///
    /// As in the real server, the parent of the active token gives that active token again, whenever it
    /// comes: the client has lost an answer. Any other used token within `reuse` of its rotation still gives a
    /// new one (two tabs refreshed at once), and later reveals a theft.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        reuse: Duration,
        now: OffsetDateTime,
    ) -> Result<(Session, String), RefreshError> {
        let presented = self.tokens.get(token).ok_or(RefreshError::NotFound)?.clone();
        let session = self.sessions.get(&presented.session);
        let session = session.ok_or(RefreshError::NotFound)?.clone();
        if presented.revoked {
            let active = self.active(session.id);
            if let Some(active) = active.filter(|active| active.parent.as_deref() == Some(token)) {
                let token = active.token.clone();
                return Ok((session, token));
            }
            if now > presented.updated_at.saturating_add(reuse) {
                self.revoke_tokens(session.id, now);
                return Err(RefreshError::AlreadyUsed);
            }
        }
        self.revoke_tokens(session.id, now);
        let token = self.issue(session.id, Some(token.to_owned()), now);
        Ok((session, token))
    }

    /// Ends sessions of `user`; `current` is the one that asks.
    pub(crate) fn close(&mut self, user: Uuid, current: Uuid, scope: Scope) {
        self.sessions.retain(|id, session| {
            let ends = match scope {
                Scope::Global => true,
                Scope::Local => *id == current,
                Scope::Others => *id != current,
            };
            session.user != user || !ends
        });
        let sessions = &self.sessions;
        self.tokens.retain(|_, token| sessions.contains_key(&token.session));
    }

    pub(crate) fn to_saved(&self) -> SavedSessions {
        SavedSessions {
            sessions: self.sessions.values().cloned().collect(),
            tokens: self.tokens.values().cloned().collect(),
        }
    }

    fn active(&self, session: Uuid) -> Option<&RefreshToken> {
        self.tokens.values().find(|token| token.session == session && !token.revoked)
    }

    /// Keeps the time of an earlier revocation: reuse is counted from there.
    fn revoke_tokens(&mut self, session: Uuid, now: OffsetDateTime) {
        for token in self.tokens.values_mut() {
            if token.session == session && !token.revoked {
                token.revoked = true;
                token.updated_at = now;
            }
        }
    }

    fn issue(&mut self, session: Uuid, parent: Option<String>, now: OffsetDateTime) -> String {
        // 122 random bits: nobody guesses one.
        let token = Uuid::new_v4().simple().to_string();
        let issued = RefreshToken { token: token.clone(), session, parent, revoked: false, updated_at: now };
        self.tokens.insert(token.clone(), issued);
        token
    }
}

/// Sessions as the state file keeps them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct SavedSessions {
    sessions: Vec<Session>,
    tokens: Vec<RefreshToken>,
}

impl From<SavedSessions> for Sessions {
    fn from(saved: SavedSessions) -> Self {
        let sessions = saved.sessions.into_iter().map(|s| (s.id, s)).collect();
        let tokens = saved.tokens.into_iter().map(|t| (t.token.clone(), t)).collect();
        Self { sessions, tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REUSE: Duration = Duration::seconds(10);

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    #[test]
    fn a_refresh_token_is_replaced_by_its_successor() {
        let mut sessions = Sessions::default();
        let (session, first) = sessions.open(Uuid::new_v4(), "password", at(0));
        let (again, second) = sessions.refresh(&first, REUSE, at(1)).unwrap();
        assert_eq!(again.id, session.id);
        assert_ne!(first, second);
        assert!(sessions.refresh(&second, REUSE, at(2)).is_ok());
    }

    #[test]
    fn the_parent_of_the_active_token_gives_the_active_token_again_however_late() {
        let mut sessions = Sessions::default();
        let (_, first) = sessions.open(Uuid::new_v4(), "password", at(0));
        let (_, second) = sessions.refresh(&first, REUSE, at(1)).unwrap();
        let (_, repeated) = sessions.refresh(&first, REUSE, at(1000)).unwrap();
        assert_eq!(second, repeated);
    }

    #[test]
    fn an_ancestor_presented_late_revokes_the_whole_session() {
        let mut sessions = Sessions::default();
        let (_, first) = sessions.open(Uuid::new_v4(), "password", at(0));
        let (_, second) = sessions.refresh(&first, REUSE, at(1)).unwrap();
        let (_, third) = sessions.refresh(&second, REUSE, at(2)).unwrap();
        let late = sessions.refresh(&first, REUSE, at(12));
        assert_eq!(late.unwrap_err(), RefreshError::AlreadyUsed);
        let stolen = sessions.refresh(&third, REUSE, at(23));
        assert_eq!(stolen.unwrap_err(), RefreshError::AlreadyUsed);
    }

    #[test]
    fn an_ancestor_presented_soon_still_refreshes() {
        let mut sessions = Sessions::default();
        let (_, first) = sessions.open(Uuid::new_v4(), "password", at(0));
        let (_, second) = sessions.refresh(&first, REUSE, at(1)).unwrap();
        sessions.refresh(&second, REUSE, at(2)).unwrap();
        assert!(sessions.refresh(&first, REUSE, at(11)).is_ok());
    }

    #[test]
    fn each_scope_ends_its_sessions_and_no_one_elses() {
        for (scope, here, elsewhere) in
            [(Scope::Global, false, false), (Scope::Local, false, true), (Scope::Others, true, false)]
        {
            let mut sessions = Sessions::default();
            let (alice, bob) = (Uuid::new_v4(), Uuid::new_v4());
            let (current, token) = sessions.open(alice, "password", at(0));
            let (other, _) = sessions.open(alice, "password", at(0));
            let (bobs, _) = sessions.open(bob, "password", at(0));
            sessions.close(alice, current.id, scope);
            assert_eq!(sessions.get(current.id).is_some(), here, "{scope:?}");
            assert_eq!(sessions.get(other.id).is_some(), elsewhere, "{scope:?}");
            assert!(sessions.get(bobs.id).is_some(), "{scope:?}");
            let refreshed = sessions.refresh(&token, REUSE, at(1));
            assert_eq!(refreshed.is_ok(), here, "{scope:?}");
        }
    }
}

//! The engine's token cache in the states that matter: nothing in it helps, or everything does.

use std::hint::black_box;

use keyward::{Authenticator, PolicyId, TokenCacheConfig};

use crate::contenders::{accepted, engine};
use crate::issuer::Issuer;

/// Tokens that the full token cache has never seen: each is verified, remembered, and drives another one out.
///
/// An entry of the cache belongs to a token and a policy, so few signatures make many tokens that are new to it.
pub struct EverNew {
    engine: Authenticator,
    tokens: Vec<String>,
    policies: Vec<PolicyId>,
    next: usize,
}

impl EverNew {
    const ENTRIES: u64 = 10_000;
    const POLICIES: usize = 400;

    /// With these tokens under 400 policies: so many that none is remembered when its turn comes again.
    ///
    /// # Panics
    ///
    /// When there are too few tokens, one is not accepted, or the cache does not behave as described.
    #[must_use]
    pub fn new(issuer: &Issuer, tokens: Vec<String>) -> Self {
        assert!(tokens.len() * Self::POLICIES >= 10 * Self::ENTRIES as usize, "too few tokens");
        let config = TokenCacheConfig { max_entries: Self::ENTRIES, max_bytes: Self::ENTRIES * 4096 };
        let engine = engine(issuer, Some(config), Self::POLICIES);
        let named = |number: usize| engine.policy(&number.to_string()).expect("a policy");
        let policies = (0..Self::POLICIES).map(named).collect();
        let mut this = Self { engine, tokens, policies, next: 0 };
        for before in 0..Self::ENTRIES as usize / 2 {
            assert_eq!(this.engine.cached_tokens(), Some(before), "it was not new");
            assert!(this.verify());
        }
        (0..Self::ENTRIES).for_each(|_| assert!(this.verify()));
        this
    }

    /// Verifies the next one.
    pub fn verify(&mut self) -> bool {
        let (policy, token) = (self.next / self.tokens.len(), self.next % self.tokens.len());
        self.next = (self.next + 1) % (self.tokens.len() * self.policies.len());
        accepted(self.engine.try_verify(self.policies[policy], black_box(&self.tokens[token])))
    }
}

/// Tokens that are all in the token cache, asked for in random order.
pub struct Resident {
    engine: Authenticator,
    tokens: Vec<String>,
    order: Vec<u32>,
}

impl Resident {
    /// With this many tokens.
    ///
    /// # Panics
    ///
    /// When a token is not accepted or not remembered.
    #[must_use]
    pub fn new(issuer: &Issuer, tokens: usize) -> Self {
        // Room for all: the cache is divided, and its parts do not fill evenly.
        let entries = tokens as u64 * 5 / 4;
        let engine = engine(issuer, Some(TokenCacheConfig { max_entries: entries, max_bytes: entries * 4096 }), 0);
        let tokens: Vec<String> = (0..tokens).map(|user| issuer.token(user)).collect();
        for token in &tokens {
            assert!(accepted(engine.try_verify(PolicyId::DEFAULT, token)));
        }
        assert_eq!(engine.cached_tokens(), Some(tokens.len()));
        let order = shuffled(tokens.len());
        Self { engine, tokens, order }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Some tokens of the random order, read once, as a server has just read what it is asked to verify. What the
    /// cache holds of them is as near or far as use has left it.
    #[must_use]
    pub fn just_received(&self, from: usize, count: usize) -> Vec<&str> {
        let pick = |at: usize| self.tokens[self.order[at % self.order.len()] as usize].as_str();
        let tokens: Vec<&str> = (from..from + count).map(pick).collect();
        for token in &tokens {
            black_box(token.bytes().fold(0_u8, u8::wrapping_add));
        }
        tokens
    }

    /// Verifies one of them.
    #[must_use]
    pub fn verify(&self, token: &str) -> bool {
        accepted(self.engine.try_verify(PolicyId::DEFAULT, black_box(token)))
    }

    /// Verifies the token at this place of the random order.
    #[must_use]
    pub fn verify_at(&self, at: usize) -> bool {
        self.verify(&self.tokens[self.order[at % self.order.len()] as usize])
    }
}

/// The numbers below `count`, in an order that is random and always the same.
fn shuffled(count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(count).expect("a count")).collect();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for last in (1..order.len()).rev() {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        order.swap(last, (random % (last as u64 + 1)) as usize);
    }
    order
}

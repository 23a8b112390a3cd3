//! Errors of starting an issuer and of minting tokens.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why an issuer did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The address is not loopback and `allow_remote` is not set.
    #[error(
        "the development issuer refuses to listen on {0}: it gives tokens to anyone; only loopback is allowed unless allow_remote is set"
    )]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The state file exists but could not be read or understood.
    #[error("cannot use the state file {}: {reason}; delete it to start afresh", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state file could not be written.
    #[error("cannot write the state file {}: {source}", path.display())]
    StateWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two seeded users share an email, or one has none.
    #[error("seeded user {0:?} is not usable: {1}")]
    SeedUser(String, &'static str),
    /// A key could not be made.
    #[error("cannot make a signing key: {0}")]
    Key(#[from] KeyError),
}

/// Why a key could not be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The cryptographic library refused to generate or load a key.
    #[error("the cryptographic library refused the key")]
    Refused,
    /// The key cannot sign with the algorithm asked for.
    #[error("the key cannot sign with this algorithm")]
    WrongAlgorithm,
}

/// Why [`Issuer::try_mint`](crate::Issuer::try_mint) made no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// `kid` names no key of this issuer.
    #[error("no key has the kid {0:?}")]
    UnknownKid(String),
    /// `alg` is no algorithm the issuer knows.
    #[error("unknown signing algorithm {0:?}")]
    UnknownAlgorithm(String),
    /// No key of this issuer can sign with `alg`.
    #[error("no key of this issuer signs with {0}; rotate to it first, or give a secret for HMAC")]
    NoKeyFor(String),
    /// `user` names no user of this issuer.
    #[error("no user has the email {0:?}")]
    UnknownUser(String),
    /// The key exists and does not fit.
    #[error(transparent)]
    Key(#[from] KeyError),
}

//! The service as its users meet it: the real binary as a process of its own, an issuer, clients, and traffic.
//!
//! Whatever a process has written is searched for every token and secret of the test when the process ends.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

pub(crate) mod clock;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod secrets;
pub(crate) mod traffic;

pub(crate) use clock::{eventually, within};
pub(crate) use http::Client;
pub(crate) use issuer::TestIssuer;
pub(crate) use log::assert_fields;
pub(crate) use metrics::Page;
pub(crate) use process::{Keyward, Setup};
pub(crate) use traffic::Traffic;

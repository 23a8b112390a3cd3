//! What the machine does, in simulated time.

mod events;
mod operator;
mod refreshing;
mod restoring;
mod serving;
mod unknown_kids;

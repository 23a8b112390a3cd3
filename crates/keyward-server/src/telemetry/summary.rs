//! What `jwt_validation_summary` reports: how many tokens were verified, and with what result.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use super::log::Fields;

/// Counts since the last report. Recording takes no lock.
#[derive(Debug)]
pub struct Summary {
    reasons: Vec<&'static str>,
    valid: AtomicU64,
    invalid: AtomicU64,
    unavailable: AtomicU64,
    by_reason: Vec<AtomicU64>,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Tokens accepted.
    pub valid: u64,
    /// Tokens refused.
    pub invalid: u64,
    /// Tokens that could be neither accepted nor refused.
    pub unavailable: u64,
    /// The last two by reason; only reasons that occurred.
    pub by_reason: Vec<(&'static str, u64)>,
}

impl Summary {
    /// A summary over the reasons, which are named by their index.
    #[must_use]
    pub fn new(reasons: &[&'static str]) -> Self {
        Self {
            reasons: reasons.to_vec(),
            valid: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            by_reason: reasons.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A token was accepted.
    pub fn valid(&self) {
        self.valid.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was refused.
    pub fn invalid(&self, reason: usize) {
        self.invalid.fetch_add(1, Ordering::Relaxed);
        self.count(reason);
    }

    /// It could not be told whether a token is good.
    pub fn unavailable(&self, reason: usize) {
        self.unavailable.fetch_add(1, Ordering::Relaxed);
        self.count(reason);
    }

    /// The counts since the last call, which start again at zero; `None` when there was no traffic.
    pub fn take(&self) -> Option<Totals> {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let totals = Totals {
            valid: take(&self.valid),
            invalid: take(&self.invalid),
            unavailable: take(&self.unavailable),
            by_reason: self
                .reasons
                .iter()
                .zip(&self.by_reason)
                .map(|(reason, count)| (*reason, take(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        };
        let quiet = totals.valid == 0 && totals.invalid == 0 && totals.unavailable == 0 && totals.by_reason.is_empty();
        (!quiet).then_some(totals)
    }

    fn count(&self, reason: usize) {
        if let Some(count) = self.by_reason.get(reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Totals {
    /// The fields of the event `jwt_validation_summary`.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let by_reason: Json =
            self.by_reason.iter().map(|(reason, count)| ((*reason).to_owned(), json!(count))).collect();
        Fields::new()
            .with("valid", self.valid)
            .with("invalid", self.invalid)
            .with("unavailable", self.unavailable)
            .with("by_reason", by_reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_reported_once_and_silence_is_not_reported() {
        let summary = Summary::new(&["expired", "unknown_kid"]);
        assert_eq!(summary.take(), None);
        summary.valid();
        summary.valid();
        summary.invalid(0);
        summary.unavailable(1);
        summary.invalid(1);
        let totals = summary.take().unwrap();
        assert_eq!((totals.valid, totals.invalid, totals.unavailable), (2, 2, 1));
        assert_eq!(totals.by_reason, [("expired", 1), ("unknown_kid", 2)]);
        assert_eq!(summary.take(), None);
    }

    #[test]
    fn only_reasons_that_occurred_are_named() {
        let summary = Summary::new(&["expired", "unknown_kid"]);
        summary.invalid(1);
        let totals = summary.take().unwrap();
        assert_eq!(totals.fields().to_json()["by_reason"], json!({"unknown_kid": 1}));
    }
}

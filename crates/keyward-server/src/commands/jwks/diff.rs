//! `keyward jwks diff`.

use std::fmt::Write as _;

use keyward::jwk::KeySet;
use serde::Serialize;

use super::DiffArgs;
use super::key::{KeyRow, UnusableRow};
use super::source::{self, Location, Unobtainable};
use crate::cli::OutputFormat;
use crate::commands::output::{self, columns, shown};
use crate::exit::Exit;

/// What changed from one set to another.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) same: Vec<KeyRow>,
    pub(super) added: Vec<KeyRow>,
    pub(super) removed: Vec<KeyRow>,
    pub(super) replaced: Vec<Replaced>,
    unusable: Unusable,
}

/// A `kid` whose key is another one now.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Replaced {
    pub(super) old: KeyRow,
    pub(super) new: KeyRow,
}

/// Unusable keys that the other set does not have. Their places do not count.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Unusable {
    only_in_a: Vec<UnusableRow>,
    only_in_b: Vec<UnusableRow>,
}

pub(super) fn run(args: &DiffArgs) -> Exit {
    match load(args) {
        Err(error) => error.report(),
        Ok((old, new)) => {
            let difference = Difference::between(&old, &new);
            output::answer(&match args.options.format {
                OutputFormat::Text => difference.text(),
                OutputFormat::Json => output::json(&difference),
            });
            if difference.is_none() { Exit::Success } else { Exit::Negative }
        }
    }
}

fn load(args: &DiffArgs) -> Result<(KeySet, KeySet), Unobtainable> {
    let (fetch, timeout) = args.options.fetching()?;
    let [old, new] = [&args.old, &args.new].map(|text| Location::parse(text));
    if old == Location::StandardInput && new == old {
        let message = "only one of the two can be standard input".to_owned();
        return Err(Unobtainable { is_usage: true, message, hint: None });
    }
    Ok((source::load(&old, &fetch, timeout)?, source::load(&new, &fetch, timeout)?))
}

impl Difference {
    /// Compares key by key: the order of a set means nothing, and Supabase's is random.
    pub(super) fn between(old: &KeySet, new: &KeySet) -> Self {
        let (mut removed, mut added) = (KeyRow::all(old), KeyRow::all(new));
        let pairs = take_pairs(&mut removed, &mut added, |a, b| a == b);
        let same = pairs.into_iter().map(|(key, _)| key).collect();
        let replaced = take_pairs(&mut removed, &mut added, |a, b| a.kid == b.kid);
        let replaced = replaced.into_iter().map(|(old, new)| Replaced { old, new }).collect();
        let rows = |set: &KeySet| set.unusable().iter().map(UnusableRow::new).collect::<Vec<_>>();
        let (mut only_in_a, mut only_in_b) = (rows(old), rows(new));
        take_pairs(&mut only_in_a, &mut only_in_b, |a, b| (&a.kid, &a.why) == (&b.kid, &b.why));
        Self { same, added, removed, replaced, unusable: Unusable { only_in_a, only_in_b } }
    }

    pub(super) fn is_none(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.replaced.is_empty()
            && self.unusable.only_in_a.is_empty()
            && self.unusable.only_in_b.is_empty()
    }

    pub(super) fn text(&self) -> String {
        let mut rows: Vec<[String; 5]> = Vec::new();
        let key = |what: &str, key: &KeyRow, more: String| {
            [what.to_owned(), key.name(), key.kind(), key.algorithms(), format!("{}{more}", key.thumbprint)]
        };
        rows.extend(self.same.iter().map(|one| key("same", one, String::new())));
        rows.extend(self.added.iter().map(|one| key("added", one, self.other_name(one, &self.removed))));
        rows.extend(self.removed.iter().map(|one| key("removed", one, self.other_name(one, &self.added))));
        for Replaced { old, new } in &self.replaced {
            let material = if old.thumbprint == new.thumbprint { " (same material)" } else { "" };
            rows.push(key("replaced", old, String::new()));
            rows.push(key("      by", new, material.to_owned()));
        }
        let mut out = self.summary();
        if !rows.is_empty() {
            let _ = write!(out, "\n{}", columns(&rows));
        }
        for (side, keys) in [("A", &self.unusable.only_in_a), ("B", &self.unusable.only_in_b)] {
            if !keys.is_empty() {
                let rows: Vec<_> = keys.iter().map(|key| [key.name(), shown(&key.why)]).collect();
                let _ = write!(out, "\nunusable in {side} only\n{}", columns(&rows));
            }
        }
        out
    }

    fn summary(&self) -> String {
        let verdict = if self.is_none() { "same" } else { "different" };
        let (same, added) = (self.same.len(), self.added.len());
        let (removed, replaced) = (self.removed.len(), self.replaced.len());
        format!("{verdict}: {same} same, {added} added, {removed} removed, {replaced} replaced\n")
    }

    /// That the material is on the other side too, under another `kid`.
    fn other_name(&self, key: &KeyRow, others: &[KeyRow]) -> String {
        match others.iter().find(|other| other.thumbprint == key.thumbprint) {
            Some(other) => format!(" (same material as {})", other.name()),
            None => String::new(),
        }
    }
}

/// Takes out of both lists what belongs together, each at most once.
fn take_pairs<T>(a: &mut Vec<T>, b: &mut Vec<T>, belong: impl Fn(&T, &T) -> bool) -> Vec<(T, T)> {
    let mut pairs = Vec::new();
    let mut index = 0;
    while index < a.len() {
        match b.iter().position(|other| belong(&a[index], other)) {
            Some(at) => pairs.push((a.remove(index), b.remove(at))),
            None => index += 1,
        }
    }
    pairs
}

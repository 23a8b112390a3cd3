//! `keyward jwks show`.

use std::fmt::Write as _;

use keyward::jwk::KeySet;
use serde::Serialize;

use super::key::{KeyRow, UnusableRow};
use super::source::{self, Location};
use super::{ShowArgs, hints};
use crate::cli::OutputFormat;
use crate::commands::output::{self, columns, count, shown};
use crate::exit::Exit;

#[derive(Serialize)]
struct Document {
    usable: Vec<KeyRow>,
    unusable: Vec<UnusableRow>,
    hint: Option<String>,
}

pub(super) fn run(args: &ShowArgs) -> Exit {
    let location = Location::parse(&args.source);
    let loaded = args.options.fetching().and_then(|(fetch, timeout)| source::load(&location, &fetch, timeout));
    let set = match loaded {
        Ok(set) => set,
        Err(error) => return error.report(),
    };
    let document = Document::new(&location, &set);
    match args.options.format {
        OutputFormat::Json => output::answer(&output::json(&document)),
        OutputFormat::Text => {
            output::answer(&document.text());
            if let Some(hint) = &document.hint {
                eprintln!("hint: {hint}");
            }
        }
    }
    if set.keys().is_empty() { Exit::Negative } else { Exit::Success }
}

impl Document {
    fn new(location: &Location, set: &KeySet) -> Self {
        let no_key = hints::no_usable_key(set);
        let address = match location {
            Location::Url(url) if no_key.is_some() => hints::address(url),
            _ => None,
        };
        Self {
            usable: KeyRow::all(set),
            unusable: set.unusable().iter().map(UnusableRow::new).collect(),
            hint: address.or(no_key),
        }
    }

    fn text(&self) -> String {
        let usable = count(self.usable.len(), "usable key", "usable keys");
        let mut out = format!("{usable}, {} unusable\n", self.unusable.len());
        if !self.usable.is_empty() {
            let header = ["kid", "type", "algorithms", "thumbprint"].map(str::to_owned);
            let row = |key: &KeyRow| [key.name(), key.kind(), key.algorithms(), key.thumbprint.clone()];
            let rows: Vec<_> = std::iter::once(header).chain(self.usable.iter().map(row)).collect();
            let _ = write!(out, "\n{}", columns(&rows));
        }
        if !self.unusable.is_empty() {
            let row = |key: &UnusableRow| [format!("#{}", key.index + 1), key.name(), shown(&key.why)];
            let rows: Vec<_> = self.unusable.iter().map(row).collect();
            let _ = write!(out, "\nunusable\n{}", columns(&rows));
        }
        out
    }
}

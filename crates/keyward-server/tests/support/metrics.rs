//! A metrics page, read as a scraper reads it.

use std::collections::BTreeMap;

/// The samples and types of a page in the Prometheus text format.
#[derive(Debug)]
pub(crate) struct Page {
    types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self { types: BTreeMap::new(), samples: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(page.types.insert(name.to_owned(), kind.to_owned()).is_none(), "typed twice: {line}");
            } else if !line.starts_with('#') {
                page.samples.push(Sample::parse(line));
            }
        }
        page
    }

    /// The type of a family; `None` when there is no such family.
    pub(crate) fn kind(&self, family: &str) -> Option<&str> {
        self.types.get(family).map(String::as_str)
    }

    /// The names of the families.
    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// The one sample with these labels among its labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self.matching(name, labels);
        let sample = found.next().unwrap_or_else(|| panic!("no sample {name} {labels:?}"));
        assert!(found.next().is_none(), "several samples {name} {labels:?}");
        sample.value
    }

    /// The sum of the samples with these labels among their labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// The values that a label has in a family.
    pub(crate) fn values_of(&self, name: &str, label: &str) -> Vec<&str> {
        let mut values: Vec<&str> = self.matching(name, &[]).map(|sample| sample.labels[label].as_str()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let has = move |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        self.samples.iter().filter(has)
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let (name, labels) = match key.split_once('{') {
            None => (key, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("no sample: {line}"))),
        };
        // None of our label values holds a comma or a quotation mark.
        let label = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        Self {
            name: name.to_owned(),
            labels: labels.split(',').filter(|pair| !pair.is_empty()).map(label).collect(),
            value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")),
        }
    }
}

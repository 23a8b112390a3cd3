//! "Did you mean": the known name closest to a mistyped one.

/// The candidate closest to `name`, when it is close enough to be what was meant.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed(name, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A third of the longer name may differ, three characters at most.
fn allowed(name: &str, candidate: &str) -> usize {
    (name.len().max(candidate.len()).div_ceil(3)).min(3)
}

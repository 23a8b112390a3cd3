//! Reading a JSON object member by member, without copying, and refusing what two parsers could read differently.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Containers nested deeper than this are refused: as deep as `serde_json` will read a value later.
const MAX_DEPTH: usize = 100;

/// Calls `member` with the name and the raw value of every member of the object in `text`.
///
/// Refuses anything but one object, a name that occurs twice (RFC 7515 section 4, RFC 7519 section 4), and containers
/// nested deeper than a later reader could follow.
pub(crate) fn for_each_member<'a>(
    text: &'a str,
    member: impl FnMut(&str, &'a str) -> Result<(), &'static str>,
) -> Result<(), serde_json::Error> {
    walk(text, Members { member, max_depth: MAX_DEPTH })
}

/// The same for a caller that looks at the depth of each part itself.
pub(crate) fn for_each_member_of_any_depth<'a>(
    text: &'a str,
    member: impl FnMut(&str, &'a str) -> Result<(), &'static str>,
) -> Result<(), serde_json::Error> {
    walk(text, Members { member, max_depth: usize::MAX })
}

fn walk<'a, F>(text: &'a str, members: Members<F>) -> Result<(), serde_json::Error>
where
    F: FnMut(&str, &'a str) -> Result<(), &'static str>,
{
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(members)?;
    deserializer.end()
}

/// The string that `raw` is, or `None` if it is another kind of value.
pub(crate) fn as_str(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

struct Members<F> {
    member: F,
    max_depth: usize,
}

impl<'de, F: FnMut(&str, &'de str) -> Result<(), &'static str>> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Names::default();
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let raw: &'de RawValue = map.next_value()?;
            let raw = raw.get();
            if too_deep(raw, self.max_depth) {
                return Err(A::Error::custom("nested too deeply"));
            }
            (self.member)(&name, raw).map_err(A::Error::custom)?;
            if !seen.insert(name) {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The names seen so far: a list while it is short, as it is in every honest token, and a tree when it gets long, so
/// that a hostile object costs no more than its length.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: std::collections::BTreeSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    const FEW: usize = 32;

    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < Self::FEW {
            if self.few.is_empty() {
                self.few.reserve_exact(Self::FEW);
            }
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// Whether a syntactically valid value nests deeper than `max_depth`.
fn too_deep(raw: &str, max_depth: usize) -> bool {
    // Cheap, and enough for every honest value: what opens no more than so often, strings included, is no deeper.
    if raw.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= max_depth {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > max_depth {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        for_each_member(text, |name, raw| {
            found.push((name.to_owned(), raw.to_owned()));
            Ok(())
        })
        .ok()?;
        Some(found)
    }

    #[test]
    fn members_are_given_as_they_are_written() {
        let found = members(r#" {"a":1e400 , "b\u0063":[1, {"x":null}],"d":"\n"} "#).unwrap();
        let expected = [("a", "1e400"), ("bc", r#"[1, {"x":null}]"#), ("d", r#""\n""#)];
        assert_eq!(found, expected.map(|(name, raw)| (name.to_owned(), raw.to_owned())));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "1", "null", "{", "{}x", "{}{}", r#"{"a"}"#, r#"{"a":NaN}"#, r#"{a:1}"#, "\u{feff}{}"] {
            assert!(members(text).is_none(), "{text:?}");
        }
        assert!(members("{}").is_some());
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused_however_it_is_spelt() {
        assert!(members(r#"{"exp":1,"exp":2}"#).is_none());
        assert!(members(r#"{"exp":1,"\u0065xp":2}"#).is_none());
        let many: String = (0..100).map(|n| format!(r#""k{n}":0,"#)).collect();
        assert!(members(&format!(r#"{{{many}"last":0}}"#)).is_some());
        assert!(members(&format!(r#"{{{many}"k99":0}}"#)).is_none());
        assert!(members(&format!(r#"{{{many}"k0":0}}"#)).is_none());
    }

    #[test]
    fn deep_nesting_is_refused_but_brackets_in_strings_are_not_nesting() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(members(&nested(MAX_DEPTH)).is_some());
        assert!(members(&nested(MAX_DEPTH + 1)).is_none());
        assert!(members(&nested(100_000)).is_none());
        assert!(members(&format!(r#"{{"a":["\"{}"]}}"#, "[".repeat(300))).is_some());
    }

    #[test]
    fn strings_are_borrowed_unless_escaped() {
        assert!(matches!(as_str(r#""abc""#), Some(Cow::Borrowed("abc"))));
        assert_eq!(as_str(r#""a\"c""#).as_deref(), Some("a\"c"));
        assert_eq!(as_str("12"), None);
        assert_eq!(as_str("null"), None);
    }
}

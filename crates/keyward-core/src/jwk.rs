//! JSON Web Keys and their sets (RFC 7517): the set is read leniently, each key strictly.
//!
//! One bad key never spoils the others: it is listed as unusable, with the reason, and left out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::value::RawValue;

use crate::alg::{Algorithm, AlgorithmSet};
use crate::crypto::{self, KeyError, VerificationKey};
use crate::json;
use crate::time::UnixTime;

/// More keys than any issuer has, few enough to prepare in an instant.
const MAX_KEYS: usize = 512;
const MAX_KID_BYTES: usize = 1024;
/// How many keys of one `kid` are tried. RFC 7517 section 4.5 lets keys share one; a set full of them would make every
/// token expensive.
const MAX_KEYS_PER_KID: usize = 4;

/// A key of a set, parsed, prepared and pinned to its algorithms.
pub struct Key {
    kid: Option<Box<str>>,
    thumbprint: Thumbprint,
    verification: VerificationKey,
    json: Box<str>,
    last_used: AtomicI64,
}

impl Key {
    /// The `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What identifies the key material (RFC 7638).
    #[must_use]
    pub const fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The algorithms the key is pinned to.
    #[must_use]
    pub fn algorithms(&self) -> AlgorithmSet {
        self.verification.algorithms()
    }

    /// The prepared key.
    #[must_use]
    pub const fn verification(&self) -> &VerificationKey {
        &self.verification
    }

    /// When a token was last verified with it, to the second.
    #[must_use]
    pub fn last_used(&self) -> Option<UnixTime> {
        let secs = self.last_used.load(Ordering::Relaxed);
        (secs != i64::MIN).then(|| UnixTime::from_secs(secs))
    }

    /// Notes that a token was verified with it. Writes once a second at most, so that readers on other cores keep
    /// their cache line.
    pub fn mark_used(&self, now: UnixTime) {
        let secs = now.as_secs();
        if self.last_used.load(Ordering::Relaxed) < secs {
            self.last_used.store(secs, Ordering::Relaxed);
        }
    }

    /// Whether it is the same key: same `kid`, same material, same algorithms.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid && self.thumbprint == other.thumbprint && self.algorithms() == other.algorithms()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("thumbprint", &self.thumbprint)
            .field("algorithms", &self.algorithms())
            .finish_non_exhaustive()
    }
}

/// The SHA-256 thumbprint of a key (RFC 7638), shown as base64url.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that stands in the set and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, if it could be read; shortened to 128 characters.
    pub kid: Option<String>,
    /// Why it cannot be used.
    pub why: String,
}

/// The text is no JWK Set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JWK Set: {0}")]
pub struct SetError(&'static str);

/// A set of keys: those that can be used, and why the others cannot.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// Sorted by `kid`, those without one first.
    keys: Vec<Arc<Key>>,
    unusable: Vec<UnusableKey>,
    denied: BTreeSet<String>,
}

/// What a set has for a token's `kid` and `alg`.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// These keys fit; more than one only when they share a `kid`.
    Keys(Candidates<'a>),
    /// The `kid` is known, but none of its keys is pinned to the algorithm.
    OtherAlgorithm,
    /// The operator has denied the `kid`.
    Denied,
    /// No `kid`, and more than one key fits; or more keys than will be tried share it.
    Ambiguous,
    /// Nothing fits.
    Nothing,
}

/// Keys that share a `kid`, of which some fit the algorithm.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    keys: &'a [Arc<Key>],
    algorithm: Algorithm,
}

impl<'a> Candidates<'a> {
    /// The keys that fit, in the order of the set.
    pub fn iter(self) -> impl Iterator<Item = &'a Arc<Key>> {
        self.keys.iter().filter(move |key| key.algorithms().contains(self.algorithm))
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys that cannot be used are listed in [`KeySet::unusable`], not an error; shared secrets
    /// (`oct`) are among them, since a secret that was published is none.
    ///
    /// # Errors
    ///
    /// When `text` is not a JSON object with an array `keys`.
    pub fn parse(text: &[u8]) -> Result<Self, SetError> {
        let text = std::str::from_utf8(text).map_err(|_| SetError("it is not UTF-8"))?;
        let mut list = None;
        // A key that nests too deeply is one bad key, found when it is read.
        json::for_each_member_of_any_depth(text, |name, raw| {
            if name == "keys" {
                list = Some(raw);
            }
            Ok(())
        })
        .map_err(|_| SetError("it is not a JSON object"))?;
        let list = list.ok_or(SetError("it has no member keys"))?;
        let list: Vec<&RawValue> = serde_json::from_str(list).map_err(|_| SetError("its member keys is no array"))?;
        Ok(Self::from_jwks(list.iter().map(|raw| raw.get())))
    }

    /// A set of the given keys, each the JSON text of a JWK.
    #[must_use]
    pub fn from_jwks<'a>(jwks: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for (index, jwk) in jwks.into_iter().enumerate() {
            match parse_key(jwk) {
                _ if index >= MAX_KEYS => {
                    set.reject(index, None, format!("the set has more than {MAX_KEYS} keys"));
                    break;
                }
                Ok(key) if set.keys.iter().any(|known| known.is_same(&key)) => {}
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(unusable) => set.reject(index, unusable.kid, unusable.why),
            }
        }
        // Stable: keys that share a kid stay in the order of the issuer.
        set.keys.sort_by(|a, b| a.kid.cmp(&b.kid));
        set
    }

    fn reject(&mut self, index: usize, kid: Option<String>, why: String) {
        self.unusable.push(UnusableKey { index, kid, why });
    }

    /// The keys that can be used, denied ones included, sorted by `kid`.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The keys that cannot be used.
    #[must_use]
    pub fn unusable(&self) -> &[UnusableKey] {
        &self.unusable
    }

    /// The kids that the operator has denied.
    #[must_use]
    pub const fn denied(&self) -> &BTreeSet<String> {
        &self.denied
    }

    /// The `kid`s of the keys that can be used.
    #[must_use]
    pub fn kids(&self) -> Vec<String> {
        self.keys.iter().filter_map(|key| key.kid().map(str::to_owned)).collect()
    }

    /// The same set with these kids denied.
    #[must_use]
    pub fn with_denied(mut self, denied: BTreeSet<String>) -> Self {
        self.denied = denied;
        self
    }

    /// The same set, where a key that `earlier` had too is that very key: what was learned of it (its last use) stays.
    #[must_use]
    pub fn reusing(mut self, earlier: &Self) -> Self {
        for key in &mut self.keys {
            if let Some(same) = earlier.keys.iter().find(|known| known.is_same(key)) {
                *key = Arc::clone(same);
            }
        }
        self
    }

    /// The keys for a token with this `kid` and `alg`.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        match kid {
            Some(kid) => self.find_by_kid(kid, algorithm),
            None => self.find_without_kid(algorithm),
        }
    }

    fn find_by_kid(&self, kid: &str, algorithm: Algorithm) -> Found<'_> {
        if self.denied.contains(kid) {
            return Found::Denied;
        }
        let keys = self.sharing(Some(kid));
        let candidates = Candidates { keys, algorithm };
        match candidates.iter().count() {
            0 if keys.is_empty() => Found::Nothing,
            0 => Found::OtherAlgorithm,
            1..=MAX_KEYS_PER_KID => Found::Keys(candidates),
            _ => Found::Ambiguous,
        }
    }

    fn find_without_kid(&self, algorithm: Algorithm) -> Found<'_> {
        let fits = |key: &Key| key.algorithms().contains(algorithm);
        let mut fitting = self.keys.iter().enumerate().filter(|(_, key)| fits(key) && !self.is_denied(key));
        match (fitting.next(), fitting.next()) {
            (None, _) if self.keys.iter().any(|key| fits(key)) => Found::Denied,
            (None, _) => Found::Nothing,
            (Some((index, _)), None) => Found::Keys(Candidates { keys: &self.keys[index..=index], algorithm }),
            (Some(_), Some(_)) => Found::Ambiguous,
        }
    }

    /// The keys of this `kid`.
    fn sharing(&self, kid: Option<&str>) -> &[Arc<Key>] {
        let start = self.keys.partition_point(|key| key.kid() < kid);
        let length = self.keys[start..].iter().take_while(|key| key.kid() == kid).count();
        &self.keys[start..start + length]
    }

    fn is_denied(&self, key: &Key) -> bool {
        key.kid().is_some_and(|kid| self.denied.contains(kid))
    }

    /// Whether exactly this key is in the set and not denied.
    #[must_use]
    pub fn holds(&self, key: &Arc<Key>) -> bool {
        let is_it = |known: &Arc<Key>| Arc::ptr_eq(known, key) || known.is_same(key);
        self.sharing(key.kid()).iter().any(is_it) && !self.is_denied(key)
    }

    /// Whether a token with this `kid` has a key to be tried with.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.binary_search_by(|key| key.kid().cmp(&Some(kid))).is_ok()
    }

    /// The usable keys as a JWK Set, reduced to what makes the public key: no private or unknown member is kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().map(|key| &*key.json).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }
}

struct Refused {
    kid: Option<String>,
    why: String,
}

/// The members of a JWK that decide something.
#[derive(Default)]
struct Members {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    public_use: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl Members {
    fn read(text: &str) -> (Self, Result<(), String>) {
        let mut members = Self::default();
        let mut fault = None;
        let walked = json::for_each_member(text, |name, raw| {
            if raw == "null" {
                // How some serialisers write what is not there.
                return Ok(());
            }
            let place = match name {
                "kty" => &mut members.kty,
                "crv" => &mut members.crv,
                "x" => &mut members.x,
                "y" => &mut members.y,
                "n" => &mut members.n,
                "e" => &mut members.e,
                "alg" => &mut members.alg,
                "kid" => &mut members.kid,
                "use" => &mut members.public_use,
                "key_ops" => {
                    members.key_ops = serde_json::from_str(raw).ok();
                    if members.key_ops.is_none() {
                        fault = Some("its key_ops is no array of strings".to_owned());
                    }
                    return Ok(());
                }
                _ => return Ok(()),
            };
            *place = json::as_str(raw).map(std::borrow::Cow::into_owned);
            if place.is_none() {
                fault = Some(format!("its {name} is not a string"));
            }
            Ok(())
        });
        let outcome = match (walked, fault) {
            (Err(_), _) => Err("it is not a JSON object with unique members".to_owned()),
            (Ok(()), Some(fault)) => Err(fault),
            (Ok(()), None) => Ok(()),
        };
        (members, outcome)
    }
}

fn parse_key(text: &str) -> Result<Key, Refused> {
    let (members, outcome) = Members::read(text);
    let kid = members.kid.clone();
    let shown = kid.as_deref().map(|kid| kid.chars().take(128).collect());
    outcome.and_then(|()| prepare(members, kid)).map_err(|why| Refused { kid: shown, why })
}

fn prepare(members: Members, kid: Option<String>) -> Result<Key, String> {
    if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
        return Err(format!("its kid is longer than {MAX_KID_BYTES} bytes"));
    }
    if let Some(other) = members.public_use.as_deref().filter(|one| *one != "sig") {
        return Err(format!("its use is {}, not sig", quoted(other)));
    }
    // An empty list says nothing, as some serialisers write it.
    if members.key_ops.as_ref().is_some_and(|ops| !ops.is_empty() && !ops.iter().any(|op| op == "verify")) {
        return Err("its key_ops do not have verify".to_owned());
    }
    let (verification, material) = match members.kty.as_deref() {
        Some("RSA") => rsa(&members)?,
        Some("EC") => ec(&members)?,
        Some("OKP") => okp(&members)?,
        Some("oct") => return Err("it is a shared secret, which no longer is one when it is published".to_owned()),
        Some(other) => return Err(format!("its kty {} is not supported", quoted(other))),
        None => return Err("it has no kty".to_owned()),
    };
    // The order of the members is the one RFC 7638 hashes.
    let thumbprint = Thumbprint(crypto::sha256(format!("{{{material}}}").as_bytes()));
    let mut json = format!("{{{material}");
    for (name, value) in [("alg", &members.alg), ("kid", &kid)] {
        if let Some(value) = value {
            json.push_str(&format!(r#","{name}":{}"#, serde_json::Value::from(value.as_str())));
        }
    }
    json.push('}');
    let last_used = AtomicI64::new(i64::MIN);
    Ok(Key { kid: kid.map(Into::into), thumbprint, verification, json: json.into(), last_used })
}

fn rsa(members: &Members) -> Result<(VerificationKey, String), String> {
    const RSA: [Algorithm; 6] =
        [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
    let pinned = pin(members, RSA.into_iter().collect())?;
    let (n, e) = (bytes(members.n.as_ref(), "n")?, bytes(members.e.as_ref(), "e")?);
    check_exponent(&e)?;
    let key = VerificationKey::rsa(&n, &e, pinned).map_err(in_words)?;
    Ok((key, format!(r#""e":"{}","kty":"RSA","n":"{}""#, encode(&e), encode(&n))))
}

/// Odd and at least 65537: smaller exponents have made forgeries possible, and an even one is no RSA key. Of longer
/// ones aws-lc verifies nothing.
fn check_exponent(e: &[u8]) -> Result<(), String> {
    let value = e.iter().try_fold(0_u64, |value, byte| Some(value.checked_mul(256)? + u64::from(*byte)));
    match value {
        Some(value) if (65_537..1 << 33).contains(&value) && value % 2 == 1 => Ok(()),
        _ => Err("its exponent is not an odd number from 65537 to 2^33".to_owned()),
    }
}

fn ec(members: &Members) -> Result<(VerificationKey, String), String> {
    let (algorithm, length) = match members.crv.as_deref() {
        Some("P-256") => (Algorithm::ES256, 32),
        Some("P-384") => (Algorithm::ES384, 48),
        Some("P-521") => (Algorithm::ES512, 66),
        Some(other) => return Err(format!("its curve {} is not supported", quoted(other))),
        None => return Err("it has no crv".to_owned()),
    };
    pin(members, AlgorithmSet::EMPTY.with(algorithm))?;
    let (x, y) = (bytes(members.x.as_ref(), "x")?, bytes(members.y.as_ref(), "y")?);
    if x.len() != length || y.len() != length {
        return Err(format!("its coordinates do not have the {length} bytes of the curve"));
    }
    let key = VerificationKey::ec(algorithm, &x, &y).map_err(in_words)?;
    let curve = members.crv.as_deref().unwrap_or_default();
    Ok((key, format!(r#""crv":"{curve}","kty":"EC","x":"{}","y":"{}""#, encode(&x), encode(&y))))
}

fn okp(members: &Members) -> Result<(VerificationKey, String), String> {
    match members.crv.as_deref() {
        Some("Ed25519") => {}
        Some(other) => return Err(format!("its curve {} is not supported", quoted(other))),
        None => return Err("it has no crv".to_owned()),
    }
    pin(members, AlgorithmSet::EMPTY.with(Algorithm::Ed25519))?;
    let x = bytes(members.x.as_ref(), "x")?;
    let key = VerificationKey::ed25519(&x).map_err(in_words)?;
    Ok((key, format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(&x))))
}

/// The algorithms of the key's type, or the one of them that its `alg` names.
fn pin(members: &Members, of_type: AlgorithmSet) -> Result<AlgorithmSet, String> {
    let Some(name) = members.alg.as_deref() else { return Ok(of_type) };
    match Algorithm::from_name(name) {
        Some(algorithm) if of_type.contains(algorithm) => Ok(AlgorithmSet::EMPTY.with(algorithm)),
        Some(_) => Err(format!("its alg {} does not fit its type", quoted(name))),
        None => Err(format!("its alg {} is no supported signature algorithm", quoted(name))),
    }
}

fn bytes(text: Option<&String>, name: &str) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("it has no {name}"))?;
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| format!("its {name} is not base64url without padding"))
}

fn encode(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn in_words(error: KeyError) -> String {
    error.to_string()
}

/// Text of the issuer's, shortened and escaped for a message.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests;

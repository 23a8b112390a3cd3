//! Instants and days as the API writes them: RFC 3339 in UTC.

use std::{fmt, str::FromStr};

use keyward::time::UnixTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{
    Date, OffsetDateTime, UtcOffset,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};

const INSTANT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// An instant in Unix milliseconds, from 1970 to the end of 9999. Values outside are moved to the nearest end.
///
/// In JSON it is an RFC 3339 string in UTC with three digits of fraction, `2026-10-05T12:34:56.789Z`. Any offset and
/// any precision is read; what is finer than a millisecond is cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant: 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// The latest instant: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// The instant `millis` milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_unix_millis(self.0.saturating_add(millis))
    }

    /// The instant `seconds` seconds later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u32) -> Self {
        self.plus_millis(seconds as i64 * 1000)
    }

    /// The UTC day this instant falls on.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.date_time().date())
    }

    fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self::from_unix_millis(time.as_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().format(INSTANT).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an RFC 3339 date-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a date and time like 2026-01-31T12:00:00Z (RFC 3339)")]
pub struct NotATimestamp;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATimestamp)?.to_offset(UtcOffset::UTC);
        let millis = instant.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_unix_millis(i64::try_from(millis).map_err(|_| NotATimestamp)?))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A UTC day, written `2026-10-05`. Days order as their text does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// The day `days` days earlier, or the first day there is.
    #[must_use]
    pub fn minus_days(self, days: u16) -> Self {
        Self(self.0.saturating_sub(time::Duration::days(days.into())))
    }

    /// How many days `later` is after this one; negative when it is before.
    #[must_use]
    pub fn days_until(self, later: Self) -> i64 {
        (later.0 - self.0).whole_days()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(DAY).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a day like 2026-01-31")]
pub struct NotADay;

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        // The format alone would take signs and longer years.
        if text.len() != 10 || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(NotADay);
        }
        Date::parse(text, DAY).map(Self).map_err(|_| NotADay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

//! Moments: read from `--at`, and shown with their distance from now.

use keyward::clock::{Clock as _, SystemClock};
use keyward::time::UnixTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970 have no more digits than this until the year 5138; milliseconds had 12 in 1973.
const MOST_DIGITS: usize = 11;

/// The moment that `--at` names; now when it is not given.
pub(super) fn parse(text: Option<&str>) -> Result<UnixTime, String> {
    let Some(text) = text else { return Ok(SystemClock.now().unix) };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(seconds) if text.len() <= MOST_DIGITS => Ok(UnixTime::from_secs(seconds)),
            _ => Err(format!("--at: {text} has more digits than seconds since 1970 have: are these milliseconds?")),
        };
    }
    // A blank instead of the T is allowed by RFC 3339 section 5.6, and what `date --rfc-3339` prints.
    let moment = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339);
    let moment = moment.map_err(|_| {
        format!(
            "--at: {text:?} is not a moment (accepted: RFC 3339 such as 2026-01-31T12:00:00Z, or seconds since 1970)"
        )
    })?;
    let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    Ok(UnixTime::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// RFC 3339 in UTC, to the second.
pub(super) fn absolute(moment: UnixTime) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(moment.as_secs()).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| "beyond the calendar".to_owned())
}

/// `12 min ago`, `in 3 h`, `now`.
pub(super) fn relative(moment: UnixTime, now: UnixTime) -> String {
    let seconds = moment.as_secs().saturating_sub(now.as_secs());
    match seconds {
        0 => "now".to_owned(),
        ..0 => format!("{} ago", distance(seconds.unsigned_abs())),
        1.. => format!("in {}", distance(seconds.unsigned_abs())),
    }
}

/// Both at once.
pub(super) fn both(moment: UnixTime, now: UnixTime) -> String {
    format!("{} ({})", absolute(moment), relative(moment, now))
}

fn distance(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / MINUTE),
        7_200..172_800 => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rfc_3339_or_seconds_but_not_milliseconds() {
        let millis = |text| parse(Some(text)).map(UnixTime::as_millis);
        assert_eq!(millis("1700000000"), Ok(1_700_000_000_000));
        assert_eq!(millis("0"), Ok(0));
        assert_eq!(millis("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert_eq!(millis("2023-11-14 23:13:20.5+01:00"), Ok(1_700_000_000_500));
        assert!(millis("1700000000000").unwrap_err().contains("milliseconds"));
        for wrong in ["", "-5", "1.5", "tomorrow", "2023-11-14", "2023-11-14T22:13:20"] {
            assert!(millis(wrong).unwrap_err().contains("RFC 3339"), "{wrong}");
        }
    }

    #[test]
    fn distances_are_rounded_down_to_what_a_person_says() {
        let now = UnixTime::from_secs(1_700_000_000);
        let from_now = |seconds: i64| relative(UnixTime::from_secs(1_700_000_000 + seconds), now);
        for (seconds, expected) in [
            (0, "now"),
            (-1, "1 s ago"),
            (119, "in 119 s"),
            (-750, "12 min ago"),
            (7_200, "in 2 h"),
            (-172_800, "2 days ago"),
        ] {
            assert_eq!(from_now(seconds), expected);
        }
        assert_eq!(both(now, now), "2023-11-14T22:13:20Z (now)");
    }
}

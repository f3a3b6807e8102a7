//! Durations, sizes and shares as people write them: `"500ms"`, `"2GiB"`, `"5%"`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

/// A duration, written as `"500ms"`, `"10s"` or `"1m 30s"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

impl TimeSpan {
    /// The longest duration that can be read. Clocks cannot count much further.
    pub const MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

    /// A number of seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A number of milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Without anything finer than a millisecond, which no reader needs.
    #[must_use]
    pub fn whole_millis(self) -> Self {
        Self::millis(self.0.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl FromStr for TimeSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|_| "not a duration: write a number and a unit, such as \"500ms\", \"10s\" or \"1m\"".to_owned())?;
        if duration > Self::MAX { Err("longer than a hundred years".to_owned()) } else { Ok(Self(duration)) }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl fmt::Debug for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A number of bytes, written as `"512"`, `"64KiB"`, `"2GiB"` or `"1.5GB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a size: write a number and a unit, such as \"64KiB\", \"500MB\" or \"2GiB\"".to_owned();
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let number: f64 = trimmed[..digits].parse().map_err(|_| wrong())?;
        let factor = match trimmed[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and no sign was read")]
        let bytes = (number * factor).round() as u64;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match UNITS.iter().find(|(_, size)| self.0 >= *size) {
            #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
            Some((unit, size)) if !self.0.is_multiple_of(*size) => write!(formatter, "{:.1} {unit}", self.0 as f64 / *size as f64),
            Some((unit, size)) => write!(formatter, "{} {unit}", self.0 / size),
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}

/// Part of a whole, as a share (`"5%"`) or a size (`"2GiB"`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A number from 0 to 1.
    Share(f64),
    /// A number of bytes.
    Size(ByteSize),
}

impl Amount {
    /// Whether `part` of `whole` is less than this amount.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a threshold does not turn on the sixteenth digit")]
    pub fn is_above(self, part: u64, whole: u64) -> bool {
        match self {
            Self::Share(share) => (part as f64) < share * whole as f64,
            Self::Size(size) => part < size.0,
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "neither a share nor a size: write \"5%\" or \"2GiB\"".to_owned();
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
                if (0.0..=100.0).contains(&percent) { Ok(Self::Share(percent / 100.0)) } else { Err(wrong()) }
            }
            None => text.parse().map(Self::Size).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // 29 must not become 28.999999999999996.
            Self::Share(share) => write!(formatter, "{}%", (share * 1e8).round() / 1e6),
            Self::Size(size) => size.fmt(formatter),
        }
    }
}

/// A share of a whole, written as `"80%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// Whether `part` is more than this share of `whole`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a threshold does not turn on the sixteenth digit")]
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        part as f64 > self.0 * whole as f64
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Amount::Share(share)) => Ok(Self(share)),
            _ => Err("not a share: write \"80%\"".to_owned()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Amount::Share(self.0).fmt(formatter)
    }
}

/// Deserializes a type from its text form. The error of `T` must not quote the text: written in the wrong place, it may be a secret.
pub(crate) fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Defaults in the documentation have the form in which users write them.
impl serde::Serialize for TimeSpan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for TimeSpan {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "duration", "examples": ["500ms", "10s", "1m"] })
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "size", "examples": ["64KiB", "2GiB"] })
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "share or size", "examples": ["5%", "2GiB"] })
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "share", "examples": ["80%"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in
            [("64", 64, "64 bytes"), ("64KiB", 65_536, "64 KiB"), ("2 GiB", 2 << 30, "2 GiB"), ("1.5gb", 1_500_000_000, "1.4 GiB")]
        {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown));
        }
        assert!("2 parsecs".parse::<ByteSize>().is_err());
        assert!("-1MB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn amounts_are_shares_or_sizes() {
        assert_eq!("5%".parse(), Ok(Amount::Share(0.05)));
        assert_eq!("1KiB".parse(), Ok(Amount::Size(ByteSize(1024))));
        assert!("101%".parse::<Amount>().is_err());
        assert!(Amount::Share(0.05).is_above(4, 100));
        assert!(!Amount::Share(0.05).is_above(5, 100));
    }

    #[test]
    fn a_share_is_not_a_size() {
        assert!("80%".parse::<Share>().is_ok_and(|share| share.is_exceeded(81, 100) && !share.is_exceeded(80, 100)));
        assert!("1GiB".parse::<Share>().is_err_and(|message| message.contains("write \"80%\"")));
        assert_eq!("29%".parse::<Share>().map(|share| share.to_string()).as_deref(), Ok("29%"));
    }

    #[test]
    fn a_duration_needs_a_unit() {
        assert_eq!("1m 30s".parse(), Ok(TimeSpan::seconds(90)));
        assert!("18446744073709551615s".parse::<TimeSpan>().is_err_and(|message| message.contains("hundred years")));
        assert!("10".parse::<TimeSpan>().is_err_and(|message| message.contains("not a duration")));
    }
}

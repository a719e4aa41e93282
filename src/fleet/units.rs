//! Quantities with their unit in the type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number with its noun, of which both forms are given.
#[must_use]
pub fn counted(count: u64, (one, several): (&str, &str)) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
}

/// A percentage from 0 to 100, never NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(f64);

/// Why a number is not a [`Percent`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0} is not a share from 0 to 100 %")]
pub struct InvalidPercent(pub f64);

impl Percent {
    /// 0 %.
    pub const ZERO: Self = Self(0.0);
    /// 100 %.
    pub const HUNDRED: Self = Self(100.0);

    /// Makes a percentage from a number.
    ///
    /// # Errors
    /// [`InvalidPercent`] if the value is outside 0 to 100 or NaN.
    pub fn new(value: f64) -> Result<Self, InvalidPercent> {
        if (0.0..=100.0).contains(&value) { Ok(Self(value)) } else { Err(InvalidPercent(value)) }
    }

    /// Makes a percentage of a measured value, rounded to hundredths: more digits say nothing.
    ///
    /// # Errors
    /// [`InvalidPercent`] as for [`new`](Self::new).
    pub fn measured(value: f64) -> Result<Self, InvalidPercent> {
        Self::new(value).map(|Self(value)| Self((value * 100.0).round() / 100.0))
    }

    /// The percentage that `part` is of `whole`, rounded to hundredths; `None` if `whole` is 0 or `part` exceeds it.
    #[must_use]
    pub fn of(part: Bytes, whole: Bytes) -> Option<Self> {
        if whole.0 == 0 || part.0 > whole.0 {
            return None;
        }
        Self::measured(part.0 as f64 / whole.0 as f64 * 100.0).ok()
    }

    /// The number, 0 to 100.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = InvalidPercent;

    fn try_from(value: f64) -> Result<Self, InvalidPercent> {
        Self::new(value)
    }
}

impl From<Percent> for f64 {
    fn from(value: Percent) -> Self {
        value.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*} %", f.precision().unwrap_or(1), self.0)
    }
}

/// A number of bytes. Shown in powers of 1024, as `free -h` and `df -h` show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64;
        let mut shown = "B";
        for unit in UNITS {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            shown = unit;
        }
        write!(f, "{value:.1} {shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_lies_between_0_and_100() {
        for (value, valid) in [
            (0.0, true),
            (100.0, true),
            (55.5, true),
            (-0.1, false),
            (100.1, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(Percent::new(value).is_ok(), valid, "{value}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_not_measured() {
        assert_eq!(Percent::of(Bytes(0), Bytes(0)), None);
        assert_eq!(Percent::of(Bytes(2), Bytes(1)), None);
        assert_eq!(Percent::of(Bytes(1), Bytes(4)), Some(Percent(25.0)));
    }

    #[test]
    fn a_measured_percentage_has_two_decimals() {
        for (value, shown) in [
            (5.319_567_900_445_857, "5.32"),
            (99.996, "100"),
            (0.004_9, "0"),
            (12.5, "12.5"),
            (100.0, "100"),
            (0.0, "0"),
        ] {
            assert_eq!(Percent::measured(value).unwrap().get().to_string(), shown, "{value}");
        }
        assert!(Percent::measured(100.001).is_err() && Percent::measured(f64::NAN).is_err());
        assert_eq!(Percent::of(Bytes(1), Bytes(3)), Some(Percent(33.33)));
    }

    #[test]
    fn bytes_are_shown_in_powers_of_1024() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (8 * 1024 * 1024 * 1024, "8.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }
}

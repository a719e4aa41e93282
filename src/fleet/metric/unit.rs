//! The units of metrics: how values, limits and differences are formatted. Limits in the configuration are parsed
//! elsewhere.

use crate::fleet::outlook::{HORIZON_DAYS, short_days};

/// The unit of a metric's values and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A percentage from 0 to 100.
    Percent,
    /// A number for each core, 0 or more.
    PerCore,
    /// The number of failed sweeps in a row.
    FailedSweeps,
    /// Megabits per second, 0 or more.
    MbitPerSecond,
    /// A number of things, with their names.
    Count {
        /// The name of one.
        one: &'static str,
        /// The name of several.
        many: &'static str,
    },
    /// Seconds, 0 or more.
    Seconds,
    /// Days until something happens, 0 or more; from [`HORIZON_DAYS`] on it is not known when.
    Days,
    /// Degrees Celsius.
    Celsius,
    /// 1 or 0, with a word for each.
    Flag {
        /// The word for 1.
        set: &'static str,
        /// The word for 0.
        clear: &'static str,
    },
}

impl Unit {
    /// A value with its unit: `93.0 %`, `1.25 per core`, `3 failed sweeps in a row`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        self.show_with(self.decimals_of(value), value)
    }

    /// A value with its unit and enough decimals (at most three) to distinguish it from `limit`: `85.04 %`, not `85.0
    /// %`, for a limit of 85.
    #[must_use]
    pub fn show_beside(self, value: f64, limit: f64) -> String {
        self.show_with(self.decimals_beside(value, limit), value)
    }

    /// A limit with its unit, as it was configured: `85 %`, `1.5 per core`, `2`.
    #[must_use]
    pub fn show_limit(self, limit: f64) -> String {
        match self {
            Self::Percent => format!("{limit} %"),
            Self::PerCore => format!("{limit} per core"),
            Self::MbitPerSecond => format!("{limit} Mbit/s"),
            Self::Seconds => format!("{limit} s"),
            Self::Days => format!("{limit} d"),
            Self::Celsius => format!("{limit} °C"),
            Self::FailedSweeps | Self::Count { .. } => format!("{limit}"),
            // There is only one that makes sense.
            Self::Flag { .. } => String::new(),
        }
    }

    /// An exceeding value with its limit: `93.0 % > 85.0 %`. Of a flag, the value alone: `needed`.
    #[must_use]
    pub fn compare(self, value: f64, sign: char, limit: f64) -> String {
        self.beside_limit(self.show_beside(value, limit), sign, &self.show(limit))
    }

    /// The same in short form: `93% > 85%`.
    #[must_use]
    pub fn compare_short(self, value: f64, sign: char, limit: f64) -> String {
        self.beside_limit(self.show_short_beside(value, limit), sign, &self.show_short(limit))
    }

    fn beside_limit(self, value: String, sign: char, limit: &str) -> String {
        match self {
            Self::Flag { .. } => value,
            Self::Percent
            | Self::PerCore
            | Self::FailedSweeps
            | Self::MbitPerSecond
            | Self::Count { .. }
            | Self::Seconds
            | Self::Days
            | Self::Celsius => format!("{value} {sign} {limit}"),
        }
    }

    /// By how much a value exceeds its limit: `6.0 points`, `0.50 per core`, `1`.
    #[must_use]
    pub fn show_excess(self, value: f64, limit: f64) -> String {
        let (excess, decimals) = ((value - limit).abs(), self.decimals_beside(value, limit));
        match self {
            Self::Percent => format!("{excess:.decimals$} points"),
            Self::PerCore => format!("{excess:.decimals$} per core"),
            Self::MbitPerSecond => format!("{excess:.decimals$} Mbit/s"),
            Self::Seconds => format!("{excess:.decimals$} s"),
            Self::Days => format!("{excess:.decimals$} d"),
            Self::Celsius => format!("{excess:.decimals$} °C"),
            Self::FailedSweeps | Self::Count { .. } | Self::Flag { .. } => format!("{excess:.0}"),
        }
    }

    /// A value in a series: `93 %`, `1.25`, `3`.
    #[must_use]
    pub fn show_in_series(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{value:.0} %"),
            Self::PerCore => format!("{value:.2}"),
            Self::MbitPerSecond => format!("{value:.1} Mbit/s"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Days => self.show_with(1, value),
            Self::Celsius => format!("{value:.0} °C"),
            Self::FailedSweeps | Self::Count { .. } => format!("{value:.0}"),
            Self::Flag { .. } => self.show_with(0, value),
        }
    }

    /// A value in short form: `91%`, `91.5%`, `1.25`, `3`.
    #[must_use]
    pub fn show_short(self, value: f64) -> String {
        match self {
            Self::Percent if (value - value.round()).abs() < 0.05 => format!("{value:.0}%"),
            Self::Percent => format!("{value:.1}%"),
            Self::PerCore => format!("{value:.2}"),
            Self::MbitPerSecond if value >= 99.95 => format!("{value:.0}M"),
            Self::MbitPerSecond => format!("{value:.1}M"),
            Self::Seconds if value >= 99.95 => format!("{value:.0}s"),
            Self::Seconds if is_small(value) => format!("{:.0}ms", value * 1000.0),
            Self::Seconds => format!("{value:.1}s"),
            Self::Days if value >= HORIZON_DAYS => "none".to_owned(),
            Self::Days => short_days(value),
            Self::Celsius => format!("{value:.0}°C"),
            Self::FailedSweeps | Self::Count { .. } => format!("{value:.0}"),
            Self::Flag { .. } => self.show_with(0, value),
        }
    }

    /// The same with enough decimals (at most three) to distinguish it from `limit` in short form.
    #[must_use]
    pub fn show_short_beside(self, value: f64, limit: f64) -> String {
        let short = self.show_short(value);
        if value == limit || short != self.show_short(limit) {
            return short;
        }
        let decimals = self.decimals_beside(value, limit);
        match self {
            Self::Percent => format!("{value:.decimals$}%"),
            Self::PerCore => format!("{value:.decimals$}"),
            Self::MbitPerSecond => format!("{value:.decimals$}M"),
            Self::Seconds => format!("{value:.decimals$}s"),
            Self::Days => format!("{value:.decimals$}d"),
            Self::Celsius => format!("{value:.decimals$}°C"),
            Self::FailedSweeps | Self::Count { .. } | Self::Flag { .. } => short,
        }
    }

    /// An example of a limit in the configuration.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Percent => "limit=\"90%\"",
            Self::PerCore => "limit=\"1.5\"",
            Self::FailedSweeps => "limit=\"2\"",
            Self::MbitPerSecond => "limit=\"800\"",
            Self::Seconds => "limit=\"5s\"",
            Self::Days => "limit=\"7d\"",
            Self::Celsius => "limit=\"80\"",
            Self::Count { .. } | Self::Flag { .. } => "limit=\"0\"",
        }
    }

    /// The greatest possible value; `None` if there is no bound.
    #[must_use]
    pub fn greatest(self) -> Option<f64> {
        match self {
            Self::Percent => Some(100.0),
            Self::Flag { .. } => Some(1.0),
            Self::PerCore
            | Self::FailedSweeps
            | Self::MbitPerSecond
            | Self::Count { .. }
            | Self::Seconds
            | Self::Days
            | Self::Celsius => None,
        }
    }

    /// The least number of sweeps until a value can reach a limit. A count of failed sweeps grows by one per sweep.
    #[must_use]
    pub fn sweeps_up_to(self, limit: f64) -> u64 {
        match self {
            Self::Percent
            | Self::PerCore
            | Self::MbitPerSecond
            | Self::Count { .. }
            | Self::Seconds
            | Self::Days
            | Self::Celsius
            | Self::Flag { .. } => 0,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a limit of this unit is a whole number, checked when it was read"
            )]
            Self::FailedSweeps => limit as u64,
        }
    }

    /// A measured value without the digits that say nothing: percentages have two decimals, counts none, others three.
    #[must_use]
    pub fn round(self, value: f64) -> f64 {
        let steps = match self {
            Self::Percent => 100.0,
            Self::PerCore | Self::MbitPerSecond | Self::Seconds | Self::Days | Self::Celsius => 1_000.0,
            Self::FailedSweeps | Self::Count { .. } | Self::Flag { .. } => 1.0,
        };
        (value * steps).round() / steps
    }

    /// A value in the base unit of Prometheus: percentages as a ratio from 0 to 1, traffic as bytes per second, days as
    /// seconds, others unchanged. It has as many digits as the value.
    #[must_use]
    pub fn to_base(self, value: f64) -> f64 {
        match self {
            Self::Percent => (value * 100.0).round() / 10_000.0,
            Self::MbitPerSecond => (value * 1_000.0).round() * 125.0,
            Self::Days => (value * 86_400.0).round(),
            Self::PerCore
            | Self::FailedSweeps
            | Self::Count { .. }
            | Self::Seconds
            | Self::Celsius
            | Self::Flag { .. } => value,
        }
    }

    /// The least number of decimals of a value.
    fn decimals(self) -> usize {
        match self {
            Self::Percent | Self::MbitPerSecond | Self::Seconds | Self::Days | Self::Celsius => 1,
            Self::PerCore => 2,
            Self::FailedSweeps | Self::Count { .. } | Self::Flag { .. } => 0,
        }
    }

    /// The same, with more for a small value.
    fn decimals_of(self, value: f64) -> usize {
        if self == Self::Seconds && is_small(value) { 3 } else { self.decimals() }
    }

    /// The smallest number of decimals, at most three, with which `value` and `limit` look different.
    fn decimals_beside(self, value: f64, limit: f64) -> usize {
        let fewest = self.decimals_of(value);
        (fewest..3)
            .find(|&decimals| format!("{value:.decimals$}") != format!("{limit:.decimals$}"))
            .unwrap_or(if value == limit { fewest } else { 3 })
    }

    fn show_with(self, decimals: usize, value: f64) -> String {
        match self {
            Self::Percent => format!("{value:.decimals$} %"),
            Self::PerCore => format!("{value:.decimals$} per core"),
            Self::MbitPerSecond => format!("{value:.decimals$} Mbit/s"),
            Self::Count { one, .. } if value == 1.0 => format!("1 {one}"),
            Self::Count { many, .. } => format!("{value:.0} {many}"),
            Self::Seconds => format!("{value:.decimals$} s"),
            Self::Days if value >= HORIZON_DAYS => "no date within 1 y".to_owned(),
            Self::Days => format!("{value:.decimals$} d"),
            Self::Celsius => format!("{value:.decimals$} °C"),
            Self::Flag { set, .. } if value > 0.0 => set.to_owned(),
            Self::Flag { clear, .. } => clear.to_owned(),
            Self::FailedSweeps if value == 1.0 => "1 failed sweep".to_owned(),
            Self::FailedSweeps => format!("{value:.0} failed sweeps in a row"),
        }
    }
}

/// Whether a number of seconds is better told in thousandths.
fn is_small(seconds: f64) -> bool {
    seconds.abs() < 0.0995 && seconds != 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_digits_that_were_measured() {
        const COUNT: Unit = Unit::Count { one: "restart", many: "restarts" };
        for (unit, value, rounded, in_base) in [
            (Unit::Percent, 5.319_567_900_445_857, "5.32", "0.0532"),
            (Unit::Percent, 1.1, "1.1", "0.011"),
            (Unit::Percent, 100.0, "100", "1"),
            (Unit::PerCore, 1.0 / 3.0, "0.333", "0.333"),
            (Unit::MbitPerSecond, 0.1 + 0.2, "0.3", "37500"),
            (Unit::MbitPerSecond, 812.345_6, "812.346", "101543250"),
            (Unit::Seconds, 0.1 + 0.2, "0.3", "0.3"),
            (Unit::Celsius, 61.5, "61.5", "61.5"),
            (COUNT, 3.0, "3", "3"),
        ] {
            let found = unit.round(value);
            assert_eq!(
                (found.to_string(), unit.to_base(found).to_string()),
                (rounded.into(), in_base.into()),
                "{value}"
            );
        }
    }

    #[test]
    fn a_value_is_never_written_like_the_limit_it_exceeds() {
        for (unit, value, limit, shown, shown_limit, excess) in [
            (Unit::Percent, 91.0, 85.0, "91.0 %", "85 %", "6.0 points"),
            (Unit::Percent, 85.04, 85.0, "85.04 %", "85 %", "0.04 points"),
            (Unit::Percent, 85.0001, 85.0, "85.000 %", "85 %", "0.000 points"),
            (Unit::Percent, 90.0, 90.0, "90.0 %", "90 %", "0.0 points"),
            (Unit::Percent, 12.34, 12.3, "12.34 %", "12.3 %", "0.04 points"),
            (Unit::PerCore, 1.5, 1.0, "1.50 per core", "1 per core", "0.50 per core"),
            (Unit::FailedSweeps, 3.0, 2.0, "3 failed sweeps in a row", "2", "1"),
            (Unit::MbitPerSecond, 812.5, 800.0, "812.5 Mbit/s", "800 Mbit/s", "12.5 Mbit/s"),
            (Unit::Count { one: "restart", many: "restarts" }, 1.0, 0.0, "1 restart", "0", "1"),
            (Unit::Seconds, 12.34, 5.0, "12.3 s", "5 s", "7.3 s"),
            (Unit::Seconds, 0.062, 0.05, "0.062 s", "0.05 s", "0.012 s"),
            (Unit::Seconds, 0.12, 0.1, "0.12 s", "0.1 s", "0.02 s"),
            (Unit::Seconds, 0.0, 0.05, "0.0 s", "0.05 s", "0.1 s"),
            (Unit::Days, 5.24, 7.0, "5.2 d", "7 d", "1.8 d"),
            (Unit::Days, 6.98, 7.0, "6.98 d", "7 d", "0.02 d"),
            (Unit::Days, 365.0, 7.0, "no date within 1 y", "7 d", "358.0 d"),
            (Unit::Celsius, 85.04, 85.0, "85.04 °C", "85 °C", "0.04 °C"),
            (Unit::Flag { set: "failed", clear: "not failed" }, 1.0, 0.0, "failed", "", "1"),
            (Unit::Flag { set: "failed", clear: "not failed" }, 0.0, 0.0, "not failed", "", "0"),
            (Unit::Count { one: "restart", many: "restarts" }, 2.0, 0.0, "2 restarts", "0", "2"),
        ] {
            assert_eq!(unit.show_beside(value, limit), shown);
            assert_eq!(unit.show_limit(limit), shown_limit);
            assert_eq!(unit.show_excess(value, limit), excess);
        }
    }

    #[test]
    fn a_flag_is_not_compared_with_its_limit() {
        let flag = Unit::Flag { set: "needed", clear: "not needed" };
        for (unit, value, limit, expected) in
            [(Unit::Percent, 93.0, 85.0, "93.0 % > 85.0 %"), (flag, 1.0, 0.0, "needed"), (flag, 0.0, 0.0, "not needed")]
        {
            assert_eq!(unit.compare(value, '>', limit), expected);
        }
    }

    #[test]
    fn a_short_value_is_not_written_like_its_limit_either() {
        for (unit, value, limit, shown, shown_limit) in [
            (Unit::Percent, 91.0, 85.0, "91%", "85%"),
            (Unit::Percent, 85.04, 85.0, "85.04%", "85%"),
            (Unit::Seconds, 0.062, 0.05, "62ms", "50ms"),
            (Unit::Seconds, 0.12, 0.1, "0.12s", "0.1s"),
            (Unit::Seconds, 12.0, 5.0, "12.0s", "5.0s"),
            (Unit::Days, 5.24, 7.0, "5d", "7d"),
            (Unit::Days, 6.98, 7.0, "6.98d", "7d"),
            (Unit::Days, 0.25, 7.0, "6h", "7d"),
            (Unit::Celsius, 80.2, 80.0, "80.2°C", "80°C"),
            (Unit::PerCore, 1.5, 1.5, "1.50", "1.50"),
        ] {
            assert_eq!(unit.show_short_beside(value, limit), shown);
            assert_eq!(unit.show_short(limit), shown_limit);
        }
    }
}

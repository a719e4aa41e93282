//! When a file system will be full, as far as that can be told: its [`Trend`] and the space that is left. Pure.

use std::fmt;

use jiff::{SignedDuration, Timestamp, tz::Offset};

use super::{
    Bytes,
    reading::{FileSystem, Reading},
    trend::Trend,
};

/// How far anything is told, days. A date beyond is none.
pub const HORIZON_DAYS: f64 = 365.0;

/// What is told in hours, days.
const HOURS_BELOW_DAYS: f64 = 2.0;

/// From how many days on a date has its year.
const YEAR_FROM_DAYS: f64 = 300.0;

/// When a file system will be full. Unknown if its history is too short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlook {
    /// It is full: nothing is left for ordinary users.
    Full,
    /// It fills steadily.
    Filling {
        /// What is expected, days; at most [`HORIZON_DAYS`].
        days: f64,
        /// The earliest, days.
        earliest_days: f64,
        /// The latest, days. It can be beyond the horizon.
        latest_days: f64,
    },
    /// It may be full within the horizon, but grows and shrinks, so that no date can be told.
    Fluctuating,
    /// Not within the horizon: it does not grow, or not fast enough.
    OverOneYear,
}

impl Outlook {
    /// The outlook of a file system with so much space left.
    #[must_use]
    pub fn of(available: Bytes, trend: Option<Trend>) -> Option<Self> {
        if available.0 == 0 {
            return Some(Self::Full);
        }
        let Trend { low, middle, high, is_steady } = trend?;
        let days = |rate: i64| if rate > 0 { available.0 as f64 / rate as f64 } else { f64::INFINITY };
        let (earliest_days, expected, latest_days) = (days(high), days(middle), days(low));
        Some(if earliest_days > HORIZON_DAYS {
            Self::OverOneYear
        } else if !is_steady {
            Self::Fluctuating
        } else if expected > HORIZON_DAYS {
            Self::OverOneYear
        } else {
            Self::Filling { days: expected, earliest_days, latest_days }
        })
    }

    /// Its keyword in the database and in exports; at most 16 bytes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Filling { .. } => "filling",
            Self::Fluctuating => "fluctuating",
            Self::OverOneYear => "over-1y",
        }
    }

    /// The days until it is full; `None` if there is no date.
    #[must_use]
    pub fn days(self) -> Option<f64> {
        match self {
            Self::Full => Some(0.0),
            Self::Filling { days, .. } => Some(days),
            Self::Fluctuating | Self::OverOneYear => None,
        }
    }

    /// The earliest and the latest, days.
    #[must_use]
    pub fn range_days(self) -> Option<(f64, f64)> {
        match self {
            Self::Filling { earliest_days, latest_days, .. } => Some((earliest_days, latest_days)),
            Self::Full | Self::Fluctuating | Self::OverOneYear => None,
        }
    }

    /// The value of the metric: the days until it is full, [`HORIZON_DAYS`] if there is no date within.
    #[must_use]
    pub fn value(self) -> f64 {
        self.days().unwrap_or(HORIZON_DAYS)
    }

    /// The order of urgency: the soonest first, then what may be, then what will not be.
    #[must_use]
    pub fn urgency(self) -> f64 {
        match self {
            Self::OverOneYear => HORIZON_DAYS + 1.0,
            Self::Full | Self::Filling { .. } | Self::Fluctuating => self.value(),
        }
    }

    /// In a few columns: `full`, `7h`, `12d`, `fluct.`, `>1y`.
    #[must_use]
    pub fn short(self) -> String {
        match self {
            Self::Full => "full".to_owned(),
            Self::Filling { days, .. } => short_days(days),
            Self::Fluctuating => "fluct.".to_owned(),
            Self::OverOneYear => ">1y".to_owned(),
        }
    }

    /// In words, at this time: `full about 3 Dec (2–6 Dec)`.
    #[must_use]
    pub fn words(self, now: Timestamp) -> String {
        match self {
            Self::Full => "full".to_owned(),
            Self::Fluctuating => "fluctuating".to_owned(),
            Self::OverOneYear => "not full within 1 y".to_owned(),
            Self::Filling { days, earliest_days, latest_days } if days < HOURS_BELOW_DAYS => {
                let hours = |days: f64| (days * 24.0).round();
                format!("full in about {} h ({}–{} h)", hours(days), hours(earliest_days), hours(latest_days))
            }
            Self::Filling { days, earliest_days, latest_days } => {
                let (about, earliest) = (Day::after(now, days), Day::after(now, earliest_days));
                if latest_days > HORIZON_DAYS {
                    return format!("full about {about} ({earliest} at the earliest)");
                }
                let latest = Day::after(now, latest_days);
                let range = match (earliest.date == latest.date, earliest.month() == latest.month()) {
                    (true, _) => return format!("full about {about}"),
                    (false, true) => format!("{}–{latest}", earliest.number()),
                    (false, false) => format!("{earliest} – {latest}"),
                };
                format!("full about {about} ({range})")
            }
        }
    }
}

/// `7h`, `12d`.
#[must_use]
pub fn short_days(days: f64) -> String {
    if days < HOURS_BELOW_DAYS { format!("{:.0}h", days * 24.0) } else { format!("{days:.0}d") }
}

/// A day of the calendar, UTC.
#[derive(Debug, Clone, Copy)]
struct Day {
    date: jiff::civil::Date,
    with_year: bool,
}

impl Day {
    fn after(now: Timestamp, days: f64) -> Self {
        let later = SignedDuration::try_from_secs_f64(days * 86_400.0).ok().and_then(|time| now.checked_add(time).ok());
        let date = Offset::UTC.to_datetime(later.unwrap_or(Timestamp::MAX)).date();
        Self { date, with_year: days >= YEAR_FROM_DAYS }
    }

    fn number(self) -> i8 {
        self.date.day()
    }

    fn month(self) -> (i16, i8) {
        (self.date.year(), self.date.month())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.date.strftime(if self.with_year { "%-d %b %Y" } else { "%-d %b" }).to_string())
    }
}

impl FileSystem {
    /// When it will be full; `None` if that is not known.
    #[must_use]
    pub fn outlook(&self) -> Option<Outlook> {
        Outlook::of(self.available, self.trend)
    }

    /// By how much it grows a day, if it does so steadily.
    #[must_use]
    pub fn growth(&self) -> Option<Bytes> {
        let trend = self.trend.filter(|trend| trend.is_steady)?;
        u64::try_from(trend.middle).ok().map(Bytes)
    }

    /// Use, growth and outlook in words, at this time: `81 %, +1.9 GiB a day, full about 3 Dec (2–6 Dec)`.
    #[must_use]
    pub fn outlook_words(&self, now: Timestamp) -> Option<String> {
        let outlook = self.outlook()?;
        let used = self.percent().map(|percent| format!("{:.0} %", percent.get()));
        let growth = match outlook {
            Outlook::Filling { .. } => self.growth().map(|growth| format!("+{growth} a day")),
            Outlook::Full | Outlook::Fluctuating | Outlook::OverOneYear => None,
        };
        Some([used, growth, Some(outlook.words(now))].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Reading {
    /// The file systems with an outlook, the most urgent first.
    #[must_use]
    pub fn outlooks(&self) -> Vec<(&FileSystem, Outlook)> {
        let mut known: Vec<_> =
            self.file_systems.iter().filter_map(|system| Some((system, system.outlook()?))).collect();
        known.sort_by(|(_, one), (_, other)| one.urgency().total_cmp(&other.urgency()));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: i64 = 1 << 30;

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn filling(low: i64, middle: i64, high: i64) -> Option<Trend> {
        Some(Trend { low, middle, high, is_steady: true })
    }

    #[test]
    fn an_outlook_is_told_as_far_as_it_is_known() {
        let uncertain = |high| Some(Trend { low: -GIB, middle: 1, high, is_steady: false });
        for (gib, trend, short, words) in [
            (12, None, None, None),
            (0, None, Some("full"), Some("full")),
            (0, filling(GIB, GIB, GIB), Some("full"), Some("full")),
            (12, filling(GIB * 4 / 3, 2 * GIB, 3 * GIB), Some("6d"), Some("full about 3 Dec (1–6 Dec)")),
            (12, filling(2 * GIB, 2 * GIB, 2 * GIB), Some("6d"), Some("full about 3 Dec")),
            (12, filling(GIB, 2 * GIB, 4 * GIB), Some("6d"), Some("full about 3 Dec (30 Nov – 9 Dec)")),
            (2, filling(GIB, 2 * GIB, 4 * GIB), Some("24h"), Some("full in about 24 h (12–48 h)")),
            (
                300,
                filling(GIB / 2, GIB, 2 * GIB),
                Some("300d"),
                Some("full about 23 Sep 2027 (26 Apr at the earliest)"),
            ),
            (300, filling(GIB / 4, GIB / 2, GIB), Some(">1y"), Some("not full within 1 y")),
            (300, filling(1, 2, 3), Some(">1y"), Some("not full within 1 y")),
            (300, uncertain(GIB), Some("fluct."), Some("fluctuating")),
            // It fluctuates, but nothing near the space that is left.
            (3_000, uncertain(GIB), Some(">1y"), Some("not full within 1 y")),
            (300, uncertain(-GIB), Some(">1y"), Some("not full within 1 y")),
        ] {
            let outlook = Outlook::of(Bytes(gib << 30), trend);
            assert_eq!(outlook.map(Outlook::short).as_deref(), short, "{gib} {trend:?}");
            assert_eq!(outlook.map(|outlook| outlook.words(now())).as_deref(), words, "{gib} {trend:?}");
            assert!(outlook.is_none_or(|outlook| outlook.word().len() <= 16));
        }
    }

    #[test]
    fn a_file_system_says_how_it_grows_only_if_it_does() {
        let system = |trend| FileSystem {
            mount: "/var".into(),
            kind: "ext4".into(),
            total: Bytes(100 << 30),
            used: Bytes(81 << 30),
            available: Bytes(19 << 30),
            inodes: None,
            trend,
        };
        let words = |trend| system(trend).outlook_words(now());
        let expected = "81 %, +1.9 GiB a day, full about 7 Dec (5–9 Dec)";
        let trend = filling(GIB * 8 / 5, GIB * 19 / 10, GIB * 12 / 5);
        assert_eq!(words(trend).as_deref(), Some(expected));
        let uncertain = Trend { low: 0, middle: GIB, high: 2 * GIB, is_steady: false };
        assert_eq!(words(Some(uncertain)).as_deref(), Some("81 %, fluctuating"));
        assert_eq!(words(None), None);
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let filling = |days| Outlook::Filling { days, earliest_days: 1.0, latest_days: 9.0 };
        let order = [Outlook::Full, filling(3.0), filling(364.0), Outlook::Fluctuating, Outlook::OverOneYear];
        assert!(order.map(Outlook::urgency).is_sorted());
        let values = [0.0, 3.0, 364.0, HORIZON_DAYS, HORIZON_DAYS];
        assert_eq!(order.map(Outlook::value), values);
        assert_eq!(Day::after(now(), f64::INFINITY).date.year(), 9999);
    }
}

//! Limits that fit what was measured: the usual ones, and higher ones where a host is near them already, so that the first
//! sweep does not mail what everybody knows.

use crate::fleet::{Metric, Percent, Reading, reading::Usage};

/// How far above the measured value a limit is at least, in percent.
const ROOM: f64 = 10.0;
/// Limits are rounded up to a multiple of this.
const STEP: f64 = 5.0;
/// The highest limit that is proposed, in percent.
const HIGHEST: f64 = 98.0;
/// How far below its limit an alert ends, in percent.
const CLEAR_BELOW: f64 = 5.0;

/// What a host has measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// CPU use in percent. It is shown, but no limit follows from a quarter of a second.
    pub cpu_percent: Option<f64>,
    /// Used memory, in percent.
    pub memory_percent: Option<f64>,
    /// The fullest file system: its mount and used percentage.
    pub disk_percent: Option<(String, f64)>,
}

impl Measured {
    /// What a reading says.
    #[must_use]
    pub fn of(name: &str, reading: &Reading) -> Self {
        Self {
            name: name.to_owned(),
            cpu_percent: reading.cpu.map(Percent::get),
            memory_percent: reading.memory.and_then(Usage::percent).map(Percent::get),
            disk_percent: reading.fullest().map(|(system, percent)| (system.mount.clone(), percent.get())),
        }
    }
}

/// An `<alert>` that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its type.
    pub metric: Metric,
    /// `limit`, with its unit.
    pub limit: String,
    /// `for`, if it is more than one sweep.
    pub for_sweeps: Option<u32>,
    /// `clear`, if it is another value.
    pub clear: Option<String>,
    /// What it means, and why it is this one.
    pub reason: String,
}

/// The limits for a fleet of which these hosts have measured something.
#[must_use]
pub fn limits(measured: &[Measured]) -> Vec<Limit> {
    let highest = |value: fn(&Measured) -> Option<f64>| {
        let values = measured.iter().filter_map(|host| Some((value(host)?, host)));
        values.max_by(|(one, _), (other, _)| one.total_cmp(other))
    };
    let share = |metric: Metric, usual: f64, found: Option<(f64, &Measured)>, for_sweeps: Option<u32>, what: &str| {
        let (limit, seen) = match found {
            None => (usual, String::new()),
            Some((value, host)) => {
                let room = ((value + ROOM) / STEP).ceil() * STEP;
                let limit = usual.max(room).min(HIGHEST);
                let seen = format!("; the highest measured was {value:.0} %, on {}", host.name);
                let beyond = if value > limit { ", which is above this limit already" } else { "" };
                (limit, format!("{seen}{beyond}"))
            }
        };
        let clear = for_sweeps.is_none().then(|| format!("{:.0}%", limit - CLEAR_BELOW));
        Limit { metric, limit: format!("{limit:.0}%"), for_sweeps, clear, reason: format!("{what}{seen}") }
    };
    let disk = highest(|host| host.disk_percent.as_ref().map(|(_, percent)| *percent));
    let mount = disk.and_then(|(_, host)| host.disk_percent.as_ref()).map(|(mount, _)| format!(" ({mount})"));
    let mut disk = share(Metric::Disk, 90.0, disk, None, "used space of each file system");
    disk.reason += &mount.unwrap_or_default();
    vec![
        Limit {
            metric: Metric::Cpu,
            limit: "90%".to_owned(),
            for_sweeps: Some(5),
            clear: None,
            reason: "CPU use of all cores, five sweeps in a row".to_owned(),
        },
        share(Metric::Memory, 90.0, highest(|host| host.memory_percent), Some(3), "used memory, three sweeps in a row"),
        disk,
        Limit {
            metric: Metric::DiskFull,
            limit: "7d".to_owned(),
            for_sweeps: None,
            clear: Some("10d".to_owned()),
            reason: "days until a file system is full, if it goes on growing as in the last 30 days".to_owned(),
        },
        Limit {
            metric: Metric::Unreachable,
            limit: "2".to_owned(),
            for_sweeps: None,
            clear: None,
            reason: "failed sweeps in a row: raised with the third".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_ten_points_above_what_was_measured() {
        let check = |values: &[f64], limit: &str, clear: &str, reason: &str| {
            let host = |(number, value): (usize, &f64)| Measured {
                name: format!("h{number}"),
                cpu_percent: None,
                memory_percent: None,
                disk_percent: Some(("/var".to_owned(), *value)),
            };
            let measured: Vec<Measured> = (1..).zip(values).map(host).collect();
            let limits = limits(&measured);
            let disk = limits.iter().find(|limit| limit.metric == Metric::Disk).unwrap();
            assert_eq!((disk.limit.as_str(), disk.clear.as_deref()), (limit, Some(clear)), "{values:?}");
            assert_eq!(disk.reason, format!("used space of each file system{reason}"));
        };
        check(&[], "90%", "85%", "");
        check(&[12.0], "90%", "85%", "; the highest measured was 12 %, on h1 (/var)");
        check(&[80.0, 79.0], "90%", "85%", "; the highest measured was 80 %, on h1 (/var)");
        check(&[12.0, 80.1], "95%", "90%", "; the highest measured was 80 %, on h2 (/var)");
        check(&[93.0], "98%", "93%", "; the highest measured was 93 %, on h1 (/var)");
        check(
            &[99.5],
            "98%",
            "93%",
            "; the highest measured was 100 %, on h1, which is above this limit already (/var)",
        );
    }
}

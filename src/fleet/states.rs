//! The states in a report that are no counters: committed memory, units, processes, updates, temperature. Some are only
//! reported if a rule asks for them.

use fleetsweep_agent::{
    report::{self, Report},
    request::Questions,
};
use serde::{Deserialize, Serialize};

use super::{
    Bytes, Percent,
    clean_text::text,
    invalid_reading::{InvalidReading, LeftOut},
};

/// The most failed units and the most names of processes that are kept.
pub(super) const MOST_NAMES: usize = 64;

/// The states of a client. A value that was not measured is `None`, never 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct States {
    /// Memory that is promised to processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The names of failed units of systemd or of stopped automatic services of Windows; `None` if they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_units: Option<Vec<String>>,
    /// How many more of them there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted_failed_units: u32,
    /// How many processes have each of the names that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process_counts: Vec<(String, u32)>,
    /// Whether the system has to be restarted for its updates; `None` if it does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_needed: Option<bool>,
    /// The number of security updates that are not installed; `None` if the distribution does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_updates: Option<u32>,
    /// The highest temperature of a sensor, degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f64>,
}

/// Memory that is promised to processes (commit charge).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The most that can be promised.
    pub limit: Bytes,
    /// What is promised; never above `limit`.
    pub used: Bytes,
}

impl Commit {
    /// The promised percentage; `None` if the limit is 0.
    #[must_use]
    pub fn percent(self) -> Option<Percent> {
        Percent::of(self.used, self.limit)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl States {
    /// Checks the states of a report. Values that cannot be are left out, names are cleaned, and at most [`MOST_NAMES`] of
    /// a list are kept.
    pub(super) fn from_report(report: &Report, left_out: &mut LeftOut) -> Self {
        let commit = report.commit.and_then(|report::Commit { limit_bytes, used_bytes }| {
            let problem = format_args!("{used_bytes} bytes used of {limit_bytes}");
            let commit = Commit { limit: Bytes(limit_bytes), used: Bytes(used_bytes) };
            left_out.keep(if used_bytes > limit_bytes {
                Err(InvalidReading::new("commit", problem))
            } else {
                Ok(commit)
            })
        });
        let temperature_celsius = report.temperature_millicelsius.and_then(|milli| {
            let celsius = f64::from(milli) / 1000.0;
            let problem = format_args!("{celsius} °C is none of a machine");
            left_out.keep(if (-100.0..=1000.0).contains(&celsius) {
                Ok(celsius)
            } else {
                Err(InvalidReading::new("temperature", problem))
            })
        });
        let units = report.failed_units.as_ref();
        let omitted = units.map_or(0, |units| units.len().saturating_sub(MOST_NAMES));
        let counts = report.process_counts.iter().flatten().take(MOST_NAMES);
        Self {
            commit,
            failed_units: units.map(|units| units.iter().take(MOST_NAMES).map(|unit| text(unit)).collect()),
            omitted_failed_units: u32::try_from(omitted).unwrap_or(u32::MAX),
            process_counts: counts.map(|(name, count)| (text(name), *count)).collect(),
            restart_needed: report.restart_needed,
            security_updates: report.security_updates,
            temperature_celsius,
        }
    }

    /// Drops what the request did not ask for, so that a client cannot add names of its own.
    pub fn keep_asked(&mut self, questions: &Questions) {
        if !questions.units {
            self.failed_units = None;
            self.omitted_failed_units = 0;
        }
        let asked: Vec<String> = questions.processes().iter().map(|name| text(name)).collect();
        self.process_counts.retain(|(name, _)| asked.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states, and the warnings about those that are left out.
    fn states(report: &Report) -> (States, Vec<String>) {
        let mut left_out = LeftOut::default();
        let states = States::from_report(report, &mut left_out);
        (states, left_out.into_warnings())
    }

    fn questions(units: bool, processes: &[&str]) -> Questions {
        let mut questions = Questions::default();
        questions.units = units;
        for name in processes {
            questions.ask_for_process(name).unwrap();
        }
        questions
    }

    #[test]
    fn states_that_cannot_be_are_left_out_by_name() {
        let refused = |report: Report| states(&report);
        let warned = |warning: &str| (States::default(), vec![warning.to_owned()]);
        let commit = |limit_bytes, used_bytes| Report {
            commit: Some(report::Commit { limit_bytes, used_bytes }),
            ..Report::default()
        };
        assert_eq!(refused(commit(1, 2)), warned("commit: 2 bytes used of 1"));
        assert_eq!(states(&commit(0, 0)).0.commit.unwrap().percent(), None);
        for (milli, expected) in [(61_500, Some(61.5)), (-20_000, Some(-20.0))] {
            let report = Report { temperature_millicelsius: Some(milli), ..Report::default() };
            assert_eq!(states(&report).0.temperature_celsius, expected);
        }
        for (milli, warning) in [
            (i32::MAX, "temperature: 2147483.647 °C is none of a machine"),
            (-273_150, "temperature: -273.15 °C is none of a machine"),
        ] {
            let report = Report { temperature_millicelsius: Some(milli), ..Report::default() };
            assert_eq!(refused(report), warned(warning));
        }
    }

    #[test]
    fn names_of_a_client_are_cleaned_counted_and_only_those_asked_for() {
        let report = Report {
            failed_units: Some((0..100).map(|n| format!("\x1b[2J{n}.service\n")).collect()),
            process_counts: Some((0..100).map(|n| (format!("p{n}"), 1)).collect()),
            ..Report::default()
        };
        let states = states(&report).0;
        let units = states.failed_units.as_ref().unwrap();
        assert_eq!((units.len(), &*units[1], states.omitted_failed_units), (MOST_NAMES, "[2J1.service", 36));
        assert_eq!(states.process_counts.len(), MOST_NAMES);
        let kept = |questions: Questions| {
            let mut states = states.clone();
            states.keep_asked(&questions);
            (states.failed_units.map(|units| units.len()), states.omitted_failed_units, states.process_counts)
        };
        assert_eq!(kept(Questions::default()), (None, 0, vec![]));
        assert_eq!(kept(questions(true, &["p7", "other"])), (Some(MOST_NAMES), 36, vec![("p7".to_owned(), 1)]));
    }

    #[test]
    fn states_that_were_not_reported_are_absent_and_stored_readings_without_them_are_read() {
        let states = states(&Report::default()).0;
        assert_eq!(states, States::default());
        assert_eq!(serde_json::to_string(&states).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<States>("{}").unwrap(), states);
    }
}

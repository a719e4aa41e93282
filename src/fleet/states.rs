//! The states in a report that are no counters: committed memory, units, processes, updates, temperature. Some are only
//! reported if a rule asks for them.

use fleetsweep_agent::{report::Report, request::Questions};
use serde::{Deserialize, Serialize};

use super::{Bytes, Percent, clean_text::text, invalid_reading::InvalidReading};

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
    /// Checks the states of a report. Names are cleaned, and at most [`MOST_NAMES`] of a list are kept.
    ///
    /// # Errors
    /// [`InvalidReading`] for the first part that is invalid.
    pub fn from_report(report: &Report) -> Result<Self, InvalidReading> {
        let commit = match report.commit {
            None => None,
            Some(commit) if commit.used_bytes > commit.limit_bytes => {
                let problem = format_args!("{} bytes used of {}", commit.used_bytes, commit.limit_bytes);
                return Err(InvalidReading::new("commit", problem));
            }
            Some(commit) => Some(Commit { limit: Bytes(commit.limit_bytes), used: Bytes(commit.used_bytes) }),
        };
        let temperature_celsius = match report.temperature_millicelsius.map(|milli| f64::from(milli) / 1000.0) {
            Some(celsius) if !(-100.0..=1000.0).contains(&celsius) => {
                return Err(InvalidReading::new("temperature", format_args!("{celsius} °C is none of a machine")));
            }
            temperature => temperature,
        };
        let units = report.failed_units.as_ref();
        let omitted = units.map_or(0, |units| units.len().saturating_sub(MOST_NAMES));
        let counts = report.process_counts.iter().flatten().take(MOST_NAMES);
        Ok(Self {
            commit,
            failed_units: units.map(|units| units.iter().take(MOST_NAMES).map(|unit| text(unit)).collect()),
            omitted_failed_units: u32::try_from(omitted).unwrap_or(u32::MAX),
            process_counts: counts.map(|(name, count)| (text(name), *count)).collect(),
            restart_needed: report.restart_needed,
            security_updates: report.security_updates,
            temperature_celsius,
        })
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
    use fleetsweep_agent::report;

    use super::*;

    fn questions(units: bool, processes: &[&str]) -> Questions {
        let mut questions = Questions::default();
        questions.units = units;
        for name in processes {
            questions.ask_for_process(name).unwrap();
        }
        questions
    }

    #[test]
    fn states_that_cannot_be_are_refused_by_name() {
        let refused = |report: Report| States::from_report(&report).unwrap_err().part;
        let commit = |limit_bytes, used_bytes| Report {
            commit: Some(report::Commit { limit_bytes, used_bytes }),
            ..Report::default()
        };
        assert_eq!(refused(commit(1, 2)), "commit");
        assert_eq!(States::from_report(&commit(0, 0)).unwrap().commit.unwrap().percent(), None);
        for (milli, expected) in [(61_500, Some(61.5)), (-20_000, Some(-20.0))] {
            let report = Report { temperature_millicelsius: Some(milli), ..Report::default() };
            assert_eq!(States::from_report(&report).unwrap().temperature_celsius, expected);
        }
        for milli in [i32::MAX, -273_150] {
            assert_eq!(refused(Report { temperature_millicelsius: Some(milli), ..Report::default() }), "temperature");
        }
    }

    #[test]
    fn names_of_a_client_are_cleaned_counted_and_only_those_asked_for() {
        let report = Report {
            failed_units: Some((0..100).map(|n| format!("\x1b[2J{n}.service\n")).collect()),
            process_counts: Some((0..100).map(|n| (format!("p{n}"), 1)).collect()),
            ..Report::default()
        };
        let states = States::from_report(&report).unwrap();
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
        let states = States::from_report(&Report::default()).unwrap();
        assert_eq!(states, States::default());
        assert_eq!(serde_json::to_string(&states).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<States>("{}").unwrap(), states);
    }
}

//! The template data of a mail about alerts, and its subject. All texts are free of control characters.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config,
    fleet::{
        Failure, Percent, Reading,
        alert::{Change, HoldReason, Notice, NoticeReason, Step},
        judge::rule_for,
        mail::MailKind,
        metric::{Evidence, Instance, Nature, Observation},
        outlook::Outlook,
        reading::{FileSystem, Process, clean},
        rule::Repeat,
    },
    mail::words::{self, SUBJECT_CHARS, TEXT_CHARS},
};

use super::occasion::MailContext;

/// How many file systems are listed, fullest first.
const FILE_SYSTEMS: usize = 5;

/// The template data of a mail about alerts.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    client: ClientFacts,
    /// The exceeded limits that are the reason for this mail.
    alerts: Vec<AlertFacts>,
    /// The other open alerts.
    also: Vec<HeldFacts>,
    /// The alerts that ended.
    ended: Vec<EndedFacts>,
    now: String,
    collector: String,
}

/// The client, in every mail about one.
#[derive(Debug, Serialize)]
pub(super) struct ClientFacts {
    name: String,
    /// Name and address, or only the address if that is the name.
    title: String,
    host_name: Option<String>,
    system: Option<String>,
    uptime: Option<String>,
}

/// The metric and instance of an alert, in every part of a mail.
#[derive(Debug, Serialize)]
struct About {
    /// The name of the metric.
    label: &'static str,
    /// The instance; empty for the host.
    instance: String,
    value: String,
    limit: String,
    /// The sign between an exceeding value and its limit.
    sign: char,
    since: String,
}

#[derive(Debug, Serialize)]
struct AlertFacts {
    about: About,
    reason: NoticeReason,
    /// By how much the value exceeds the limit.
    over_by: String,
    /// How long it has lasted; `None` if it began in this collection.
    lasting: Option<String>,
    for_sweeps: u32,
    /// The configured interval of reminders; `None` for a mail at every collection.
    reminder: Option<String>,
    history: Option<words::Series>,
    evidence: Shown,
    /// Whether it is something that happened, and not a state.
    happened: bool,
}

/// The evidence for a value. Parts that do not apply are empty.
#[derive(Debug, Default, Serialize)]
struct Shown {
    /// The order of the processes.
    processes_by: &'static str,
    processes: Vec<ProcessFacts>,
    /// The processes that were killed because memory ran out.
    victims: Vec<String>,
    file_systems: Vec<FileSystemFacts>,
    /// The file systems that are full first, each with its outlook.
    outlooks: Vec<String>,
    failure: Option<FailureFacts>,
}

#[derive(Debug, Serialize)]
struct ProcessFacts {
    share: String,
    name: String,
    pid: u32,
}

#[derive(Debug, Serialize)]
struct FileSystemFacts {
    percent: String,
    mount: String,
    used: String,
    total: String,
}

#[derive(Debug, Serialize)]
struct FailureFacts {
    stage: &'static str,
    words: &'static str,
    causes: Vec<String>,
    next_step: &'static str,
}

#[derive(Debug, Serialize)]
struct HeldFacts {
    about: About,
    held: &'static str,
}

#[derive(Debug, Serialize)]
struct EndedFacts {
    about: About,
    how: End,
    peak: String,
    lasting: String,
    /// The outlook of a file system now.
    outlook: Option<String>,
}

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// The value is within the limit again.
    Back,
    /// The client answers again.
    Reachable,
    /// The instance no longer exists.
    Gone,
}

fn text(text: &str) -> String {
    clean(text, TEXT_CHARS)
}

impl Facts {
    pub(super) fn of(occasion: &MailContext<'_>) -> Self {
        let mut facts = Self {
            client: ClientFacts::of(occasion.client, reading(occasion)),
            alerts: Vec::new(),
            also: Vec::new(),
            ended: Vec::new(),
            now: words::moment(occasion.now),
            collector: text(occasion.collector_name),
        };
        for change in &occasion.verdict.changes {
            match (change.notice, change.step) {
                (Notice::Send(NoticeReason::Recovered | NoticeReason::Gone), _) => {
                    facts.ended.push(EndedFacts::of(change, occasion));
                }
                (Notice::Send(reason), _) => {
                    let mut alert = AlertFacts::of(change, reason, occasion);
                    // Of the alerts of several mounts, only the first shows a list.
                    if facts.alerts.iter().any(|shown| !shown.evidence.file_systems.is_empty()) {
                        alert.evidence.file_systems.clear();
                    }
                    if facts.alerts.iter().any(|shown| !shown.evidence.outlooks.is_empty()) {
                        alert.evidence.outlooks.clear();
                    }
                    facts.alerts.push(alert);
                }
                (Notice::Hold(reason), Step::Continues) => facts.also.push(HeldFacts::of(change, reason)),
                (Notice::Hold(_), Step::Raised | Step::Resolved | Step::Gone | Step::Withdrawn) => {}
            }
        }
        facts
    }

    /// The kind of mail; `None` if there is nothing to report.
    pub(super) fn kind(&self) -> Option<MailKind> {
        match (self.alerts.is_empty(), self.ended.is_empty()) {
            (false, _) => Some(MailKind::Alert),
            (true, false) => Some(MailKind::Recovery),
            (true, true) => None,
        }
    }

    /// The subject: the client, then the problems, the most important first.
    pub(super) fn subject(&self) -> String {
        let matters: Vec<String> = match self.alerts.as_slice() {
            [] => self.ended.iter().map(EndedFacts::in_subject).collect(),
            [alert] => vec![alert.in_subject(true)],
            alerts => alerts.iter().map(|alert| alert.in_subject(false)).collect(),
        };
        clean(&format!("[fleetsweep] {}: {}", self.client.name, matters.join(", ")), SUBJECT_CHARS)
    }
}

impl ClientFacts {
    pub(super) fn of(client: &config::Client, reading: Option<&Reading>) -> Self {
        let (name, address) = (text(&client.name), text(&client.id.to_string()));
        let named = client.name != client.id.address();
        let title = if named { format!("{name} ({address})") } else { address };
        let system: Vec<String> = reading
            .into_iter()
            .flat_map(|r| [&r.os_version, &r.kernel, &r.architecture])
            .flatten()
            .map(|part| text(part))
            .collect();
        Self {
            name,
            title,
            host_name: reading.and_then(|r| r.host_name.as_deref()).map(text),
            system: (!system.is_empty()).then(|| system.join(", ")),
            uptime: reading.and_then(|r| r.uptime_seconds).map(|seconds| words::duration(Duration::from_secs(seconds))),
        }
    }
}

impl About {
    fn of(change: &Change) -> Self {
        let (spec, alert) = (change.metric.spec(), &change.alert);
        Self {
            label: spec.label,
            instance: text(change.instance.name()),
            value: spec.unit.show_beside(alert.value, alert.limit),
            limit: spec.unit.show_limit(alert.limit),
            sign: spec.worse.sign(),
            since: words::moment(alert.raised_at),
        }
    }

    /// `memory`, `disk /var`.
    fn name(&self) -> String {
        format!("{} {}", self.label, self.instance).trim_end().to_owned()
    }
}

impl AlertFacts {
    fn of(change: &Change, reason: NoticeReason, occasion: &MailContext<'_>) -> Self {
        let (spec, alert) = (change.metric.spec(), &change.alert);
        let rule = rule_for(&occasion.client.rules, &change.key());
        let history = occasion.histories.iter().find(|(of, _)| *of == change.metric && change.instance.is_host());
        Self {
            about: About::of(change),
            reason,
            over_by: spec.unit.show_excess(alert.value, alert.limit),
            lasting: match change.step {
                Step::Raised => None,
                Step::Continues | Step::Resolved | Step::Gone | Step::Withdrawn => {
                    Some(words::duration(words::lasting(alert.raised_at, occasion.now)))
                }
            },
            for_sweeps: rule.map_or(1, |rule| rule.for_sweeps),
            reminder: rule.and_then(|rule| match rule.repeat {
                Repeat::Every => None,
                Repeat::After(repeat) => Some(humantime::format_duration(repeat).to_string()),
            }),
            history: history.and_then(|(_, before)| words::series(spec.unit, before, alert.value, occasion.now)),
            evidence: Shown::of(spec.evidence, occasion.observation, occasion.now),
            happened: spec.nature == Nature::Event,
        }
    }

    /// Its part of the subject; with the limit if it is `alone` there.
    fn in_subject(&self, alone: bool) -> String {
        let still = match self.reason {
            NoticeReason::Reminder => "still ",
            NoticeReason::Raised | NoticeReason::EveryCollection | NoticeReason::Recovered | NoticeReason::Gone => "",
        };
        let About { value, limit, sign, .. } = &self.about;
        match &self.evidence.failure {
            Some(failure) => format!("{still}unreachable, {value}: {}", failure.words),
            // Its unit says what happened.
            None if self.happened => format!("{still}{value}"),
            None if alone && !limit.is_empty() => format!("{} {still}{value} {sign} {limit}", self.about.name()),
            None => format!("{} {still}{value}", self.about.name()),
        }
    }
}

impl Shown {
    fn of(evidence: Evidence, observation: Observation<'_>, now: Timestamp) -> Self {
        match (evidence, observation) {
            (Evidence::ProcessesByCpu, Observation::Reading(reading)) => Self {
                processes_by: "CPU (percent of one core)",
                processes: processes(&reading.top_cpu, |process| format!("{:.1} %", process.cpu_percent)),
                ..Self::default()
            },
            (Evidence::ProcessesByMemory, Observation::Reading(reading)) => Self {
                processes_by: "memory",
                processes: processes(&reading.top_memory, |process| process.memory.to_string()),
                // At the first contact it is not known when they were.
                victims: match reading.rates.oom_kills {
                    Some(1..) => reading.rates.oom_victims.clone(),
                    Some(0) | None => Vec::new(),
                },
                ..Self::default()
            },
            (Evidence::FileSystems, Observation::Reading(reading)) => {
                Self { file_systems: file_systems(reading), ..Self::default() }
            }
            (Evidence::Outlooks, Observation::Reading(reading)) => {
                Self { outlooks: outlooks(reading, now), ..Self::default() }
            }
            (Evidence::Failure, Observation::Failed(failure)) => {
                Self { failure: Some(FailureFacts::of(failure)), ..Self::default() }
            }
            (
                Evidence::ProcessesByCpu | Evidence::ProcessesByMemory | Evidence::FileSystems | Evidence::Outlooks,
                Observation::Failed(_),
            )
            | (Evidence::Failure, Observation::Reading(_))
            | (Evidence::Nothing, _) => Self::default(),
        }
    }
}

impl EndedFacts {
    fn of(change: &Change, occasion: &MailContext<'_>) -> Self {
        let (spec, alert) = (change.metric.spec(), &change.alert);
        Self {
            about: About::of(change),
            how: match (change.step, spec.evidence) {
                (Step::Gone, _) => End::Gone,
                (_, Evidence::Failure) => End::Reachable,
                (
                    _,
                    Evidence::ProcessesByCpu
                    | Evidence::ProcessesByMemory
                    | Evidence::FileSystems
                    | Evidence::Outlooks
                    | Evidence::Nothing,
                ) => End::Back,
            },
            peak: spec.unit.show_beside(alert.peak, alert.limit),
            lasting: words::duration(words::lasting(alert.raised_at, occasion.now)),
            outlook: (spec.evidence == Evidence::Outlooks).then(|| outlook_of(change, occasion)).flatten(),
        }
    }

    fn in_subject(&self) -> String {
        match self.how {
            End::Back => format!("{} back to {}", self.about.name(), self.about.value),
            End::Reachable => "reachable again".to_owned(),
            End::Gone => format!("{} is gone", self.about.name()),
        }
    }
}

impl HeldFacts {
    fn of(change: &Change, reason: HoldReason) -> Self {
        Self { about: About::of(change), held: reason.words() }
    }
}

impl FailureFacts {
    fn of(failure: &Failure) -> Self {
        Self {
            stage: failure.stage.word(),
            words: failure.kind.words(),
            causes: failure.causes.iter().map(|cause| text(cause)).collect(),
            next_step: failure.kind.next_step(),
        }
    }
}

fn reading<'a>(occasion: &MailContext<'a>) -> Option<&'a Reading> {
    match occasion.observation {
        Observation::Reading(reading) => Some(reading),
        Observation::Failed(_) => None,
    }
}

/// Processes with the usage of each.
fn processes(processes: &[Process], share: impl Fn(&Process) -> String) -> Vec<ProcessFacts> {
    let facts = |process: &Process| ProcessFacts { share: share(process), name: text(&process.name), pid: process.pid };
    processes.iter().map(facts).collect()
}

/// The fullest file systems, fullest first.
fn file_systems(reading: &Reading) -> Vec<FileSystemFacts> {
    let mut systems: Vec<_> =
        reading.file_systems.iter().filter_map(|system| Some((system.percent()?, system))).collect();
    systems.sort_by(|(a, _), (b, _)| b.get().total_cmp(&a.get()));
    let facts = |(percent, system): (Percent, &FileSystem)| FileSystemFacts {
        percent: percent.to_string(),
        mount: text(&system.mount),
        used: system.used.to_string(),
        total: system.total.to_string(),
    };
    systems.into_iter().take(FILE_SYSTEMS).map(facts).collect()
}

/// The file systems that are full or have a date, soonest first, each with its outlook.
fn outlooks(reading: &Reading, now: Timestamp) -> Vec<String> {
    let with_date = |(system, outlook): (&FileSystem, Outlook)| {
        outlook.days()?;
        Some(format!("{} {}", text(&system.mount), system.outlook_words(now)?))
    };
    reading.outlooks().into_iter().filter_map(with_date).take(FILE_SYSTEMS).collect()
}

/// The outlook of the file system that an alert is about.
fn outlook_of(change: &Change, occasion: &MailContext<'_>) -> Option<String> {
    let systems = &reading(occasion)?.file_systems;
    let system = systems.iter().find(|system| change.instance.is_named(&Instance::new(&system.mount)))?;
    system.outlook_words(occasion.now)
}

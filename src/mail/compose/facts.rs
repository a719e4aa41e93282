//! The facts that a mail about alerts tells, made ready for its template, and its subject. Every text in
//! them is clean. Not the sentences.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config,
    fleet::{
        Failure, Metric, Percent, Reading,
        judge::{Change, HoldReason, Notice, NoticeReason, Observation, Step},
        mail::MailKind,
        reading::{FileSystem, Process, clean},
        rule::Repeat,
    },
    mail::words,
};

use super::{Occasion, SUBJECT_CHARS, TEXT_CHARS};

/// How many file systems are listed, fullest first.
const FILE_SYSTEMS: usize = 5;

/// What a mail about alerts tells.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    client: ClientFacts,
    /// Exceeded limits that cause this mail.
    alerts: Vec<AlertFacts>,
    /// Open alerts that do not.
    also: Vec<HeldFacts>,
    /// Ends that are told.
    ended: Vec<EndedFacts>,
    now: String,
    collector: String,
}

/// Who it is, in every mail about a client.
#[derive(Debug, Serialize)]
pub(super) struct ClientFacts {
    name: String,
    /// Name and address, or the address where it is the name.
    title: String,
    host_name: Option<String>,
    system: Option<String>,
    uptime: Option<String>,
}

#[derive(Debug, Serialize)]
struct AlertFacts {
    metric: Metric,
    reason: NoticeReason,
    value: String,
    limit: String,
    over_by: String,
    since: String,
    /// How long it has lasted; `None` where it began in this collection.
    lasting: Option<String>,
    for_sweeps: u32,
    /// How often reminders come, as it was configured; `None` for a mail at every collection.
    reminder: Option<String>,
    history: Option<words::Series>,
    /// Where the metric is one that processes move.
    processes: Vec<ProcessFacts>,
    /// Where the metric is the disk.
    file_systems: Vec<FileSystemFacts>,
    /// Where the client is unreachable.
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
    metric: Metric,
    value: String,
    limit: String,
    since: String,
    held: &'static str,
}

#[derive(Debug, Serialize)]
struct EndedFacts {
    metric: Metric,
    value: String,
    limit: String,
    peak: String,
    since: String,
    lasting: String,
}

fn text(text: &str) -> String {
    clean(text, TEXT_CHARS)
}

impl Facts {
    pub(super) fn of(occasion: &Occasion<'_>) -> Self {
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
                (Notice::Send(NoticeReason::Recovered), _) => facts.ended.push(EndedFacts::of(change, occasion.now)),
                (Notice::Send(reason), _) => facts.alerts.push(AlertFacts::of(change, reason, occasion)),
                (Notice::Hold(reason), Step::Continues) => facts.also.push(HeldFacts::of(change, reason)),
                (Notice::Hold(_), Step::Raised | Step::Resolved | Step::Withdrawn) => {}
            }
        }
        facts
    }

    /// What kind of mail they make; `None` where nothing is to be told.
    pub(super) fn kind(&self) -> Option<MailKind> {
        match (self.alerts.is_empty(), self.ended.is_empty()) {
            (false, _) => Some(MailKind::Alert),
            (true, false) => Some(MailKind::Recovery),
            (true, true) => None,
        }
    }

    /// The subject: the client, then what is the matter, the most telling first.
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

impl AlertFacts {
    fn of(change: &Change, reason: NoticeReason, occasion: &Occasion<'_>) -> Self {
        let (metric, alert) = (change.metric, &change.alert);
        let rule = occasion.client.rules.iter().find(|rule| rule.metric == metric);
        let history = occasion.histories.iter().find(|(of, _)| *of == metric);
        Self {
            metric,
            reason,
            value: words::value(metric, alert.value, alert.limit),
            limit: words::limit(metric, alert.limit),
            over_by: words::over_by(metric, alert.value, alert.limit),
            since: words::moment(alert.raised_at),
            lasting: match change.step {
                Step::Raised => None,
                Step::Continues | Step::Resolved | Step::Withdrawn => {
                    Some(words::duration(words::lasting(alert.raised_at, occasion.now)))
                }
            },
            for_sweeps: rule.map_or(1, |rule| rule.for_sweeps),
            reminder: rule.and_then(|rule| match rule.repeat {
                Repeat::Every => None,
                Repeat::After(repeat) => Some(humantime::format_duration(repeat).to_string()),
            }),
            history: history.and_then(|(_, before)| words::series(metric, before, alert.value, occasion.now)),
            processes: reading(occasion).map(|reading| processes(metric, reading)).unwrap_or_default(),
            file_systems: match (metric, reading(occasion)) {
                (Metric::Disk, Some(reading)) => file_systems(reading),
                (Metric::Disk, None)
                | (Metric::Cpu | Metric::Memory | Metric::Swap | Metric::Load | Metric::Unreachable, _) => Vec::new(),
            },
            failure: match (metric, occasion.observation) {
                (Metric::Unreachable, Observation::Failed(failure)) => Some(FailureFacts::of(failure)),
                (Metric::Unreachable, Observation::Reading(_))
                | (Metric::Cpu | Metric::Memory | Metric::Swap | Metric::Disk | Metric::Load, _) => None,
            },
        }
    }

    /// Its part of the subject; with the limit where it stands `alone` there.
    fn in_subject(&self, alone: bool) -> String {
        let still = match self.reason {
            NoticeReason::Reminder => "still ",
            NoticeReason::Raised | NoticeReason::EveryCollection | NoticeReason::Recovered => "",
        };
        match &self.failure {
            Some(failure) => format!("{still}unreachable, {}: {}", self.value, failure.words),
            None if alone => format!("{} {still}{} > {}", self.metric, self.value, self.limit),
            None => format!("{} {still}{}", self.metric, self.value),
        }
    }
}

impl EndedFacts {
    fn of(change: &Change, now: Timestamp) -> Self {
        let (metric, alert) = (change.metric, &change.alert);
        Self {
            metric,
            value: words::value(metric, alert.value, alert.limit),
            limit: words::limit(metric, alert.limit),
            peak: words::value(metric, alert.peak, alert.limit),
            since: words::moment(alert.raised_at),
            lasting: words::duration(words::lasting(alert.raised_at, now)),
        }
    }

    fn in_subject(&self) -> String {
        match self.metric {
            Metric::Unreachable => "reachable again".to_owned(),
            Metric::Cpu | Metric::Memory | Metric::Swap | Metric::Disk | Metric::Load => {
                format!("{} back to {}", self.metric, self.value)
            }
        }
    }
}

impl HeldFacts {
    fn of(change: &Change, reason: HoldReason) -> Self {
        let (metric, alert) = (change.metric, &change.alert);
        Self {
            metric,
            value: words::value(metric, alert.value, alert.limit),
            limit: words::limit(metric, alert.limit),
            since: words::moment(alert.raised_at),
            held: match reason {
                HoldReason::RecentlyMailed => "mailed recently",
                HoldReason::Acknowledged => "acknowledged",
                HoldReason::BelowLimit => "below the limit, not yet low enough to end",
                HoldReason::NoRecipient => "nobody to mail",
                HoldReason::NoRecoveryMail => "ends are not mailed",
                HoldReason::RuleRemoved => "its rule is gone",
            },
        }
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

fn reading<'a>(occasion: &Occasion<'a>) -> Option<&'a Reading> {
    match occasion.observation {
        Observation::Reading(reading) => Some(reading),
        Observation::Failed(_) => None,
    }
}

/// The processes that explain a metric, most first.
fn processes(metric: Metric, reading: &Reading) -> Vec<ProcessFacts> {
    let (processes, by_memory) = match metric {
        Metric::Cpu | Metric::Load => (&reading.top_cpu, false),
        Metric::Memory | Metric::Swap => (&reading.top_memory, true),
        Metric::Disk | Metric::Unreachable => return Vec::new(),
    };
    let facts = |process: &Process| ProcessFacts {
        share: if by_memory { process.memory.to_string() } else { format!("{:.1} %", process.cpu_percent) },
        name: text(&process.name),
        pid: process.pid,
    };
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

//! Events: everything that happens, as plain data. The same stream of events is shown, logged, recorded and replayed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ClientId, Failure, Metric, Reading, Stage,
    alert::{Exceeded, Notice, Step},
    mail::MailKind,
    metric::Instance,
};

/// The id of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepId(pub Uuid);

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the collector's clock.
    pub at: Timestamp,
    /// The sweep; `None` if it belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepId>,
    /// The client; `None` if it concerns the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The configuration was loaded or reloaded. These are the clients from now on.
    Configured {
        /// Every client, in the configuration's order.
        clients: Vec<ClientCard>,
    },
    /// A sweep started.
    SweepStarted {
        /// The number of the sweep in this process, from 1.
        number: u64,
        /// The trigger.
        trigger: Trigger,
        /// Its clients, in order.
        clients: Vec<ClientId>,
    },
    /// A collection entered a stage.
    StageEntered {
        /// The stage that begins.
        stage: Stage,
        /// Counts from 1.
        attempt: u32,
    },
    /// An attempt failed and another will follow.
    AttemptFailed {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
        /// The time until the next attempt.
        retry_in_ms: u64,
    },
    /// A collection succeeded and is stored.
    Collected {
        /// The id of the collection.
        collection: Uuid,
        /// From leaving the queue until it was passed to the database, without waiting for the outcomes of other
        /// clients. This is also stored.
        duration_ms: u64,
        /// How many attempts it took.
        attempts: u32,
        /// The reading.
        reading: Box<Reading>,
        /// The limits exceeded now.
        alerts: Vec<Exceeded>,
    },
    /// A collection finally failed or was cancelled. This is stored, unless storing is what failed.
    CollectionFailed {
        /// The id of the collection.
        collection: Uuid,
        /// As in `Collected`.
        duration_ms: u64,
        /// How many attempts were made; 0 if it never left the queue.
        attempts: u32,
        /// Why the last one failed.
        failure: Failure,
        /// The limits exceeded now: `unreachable` at most.
        alerts: Vec<Exceeded>,
    },
    /// An alert began, continues or ended.
    Alert {
        /// The metric.
        metric: Metric,
        /// The instance.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
        /// The rule's limit.
        limit: f64,
        /// The value now.
        value: f64,
        /// When that began.
        raised_at: Timestamp,
        /// Whether it began, continues or ended.
        step: Step,
        /// Whether it is mailed, with the reason.
        notice: Notice,
    },
    /// An operator acknowledged an open alert: no reminders until it ends.
    Acknowledged {
        /// The metric.
        metric: Metric,
        /// The instance.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
        /// When it began.
        raised_at: Timestamp,
        /// The operator's account.
        actor: String,
    },
    /// An operator withdrew an acknowledgement: reminders go out again.
    Unacknowledged {
        /// The metric.
        metric: Metric,
        /// The instance.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
        /// When it began.
        raised_at: Timestamp,
        /// The operator's account.
        actor: String,
    },
    /// A mail was decided, sent, deferred or refused.
    Mail {
        /// The id of the mail.
        mail: Uuid,
        /// Its kind.
        kind: MailKind,
        /// The recipient.
        recipient: String,
        /// What happened to it.
        step: MailStep,
    },
    /// A sweep ended: every client it visited has its outcome.
    SweepEnded {
        /// As in `SweepStarted`.
        number: u64,
        /// From its start.
        duration_ms: u64,
        /// How many clients were collected.
        ok: u32,
        /// Failed or cancelled.
        failed: u32,
    },
    /// An operator paused or resumed the schedule.
    SchedulePaused {
        /// Whether it is paused now.
        paused: bool,
        /// The operator's account.
        actor: String,
    },
    /// The database is away. Collected data waits in the spool and is stored when it is back. Published at the
    /// beginning, and at most once a second when the number changes.
    DatabaseAway {
        /// When that began.
        since: Timestamp,
        /// How many changes wait: collections, starts and ends of sweeps, results of mails.
        waiting: u64,
        /// The error of the database or the system; `None` if only the number changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The database is back, and everything that waited is stored.
    DatabaseBack {
        /// How many changes had waited.
        stored: u64,
        /// How long it was away.
        after_ms: u64,
    },
    /// A changed configuration was rejected; the old one stays in use.
    ConfigurationRefused {
        /// Every error, as `check` prints them.
        errors: Vec<String>,
    },
}

/// The data of a configured client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientCard {
    /// Its identity.
    pub id: ClientId,
    /// Its name in the configuration.
    pub name: String,
    /// The account on the client.
    pub username: String,
    /// The limits that hold for every instance of a metric. Recordings from before they were told have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<CardLimit>,
}

/// A limit of a client, as far as a screen needs it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CardLimit {
    /// The metric.
    pub metric: Metric,
    /// What it is not to exceed, in the metric's unit.
    pub limit: f64,
}

impl ClientCard {
    /// The limit of a metric, where the client has one.
    #[must_use]
    pub fn limit(&self, metric: Metric) -> Option<f64> {
        self.limits.iter().find(|limit| limit.metric == metric).map(|limit| limit.limit)
    }
}

/// What started a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `--once`.
    Once,
    /// The interval.
    Schedule,
    /// An operator.
    Manual,
}

/// What happened to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MailStep {
    /// Decided, and in the outbox.
    Queued,
    /// The SMTP server accepted it.
    Sent {
        /// Its answer.
        answer: String,
    },
    /// It was deferred.
    Deferred {
        /// The server's reply, or the reason why there is none.
        error: String,
        /// The earliest time of the next attempt.
        next_at: Timestamp,
    },
    /// It was permanently refused.
    Refused {
        /// The server's reply, or the reason why there is none.
        error: String,
    },
}

#[cfg(test)]
mod tests {
    use fleetsweep_agent::report::Report;

    use super::*;
    use crate::fleet::{FailureKind, alert::NoticeReason};

    #[test]
    fn an_event_survives_its_json() {
        let at: Timestamp = "2026-03-01T12:00:00.5Z".parse().unwrap();
        let id = ClientId::new("fd00::3", 22);
        let failure = Failure::new(Stage::Connect, FailureKind::TimedOut).because("2 s passed");
        let exceeded = Exceeded { metric: Metric::Memory, instance: Instance::HOST, limit: 50.0, value: 91.5 };
        let reading = Box::new(Reading::from_report(&Report::default(), 0));
        let limits = vec![CardLimit { metric: Metric::Cpu, limit: 90.0 }];
        let card = ClientCard { id: id.clone(), name: "db".to_owned(), username: "ops".to_owned(), limits };
        for kind in [
            EventKind::Configured { clients: vec![card] },
            EventKind::SweepStarted { number: 1, trigger: Trigger::Schedule, clients: vec![id.clone()] },
            EventKind::StageEntered { stage: Stage::Upload, attempt: 2 },
            EventKind::AttemptFailed { attempt: 1, failure: failure.clone(), retry_in_ms: 500 },
            EventKind::Collected {
                collection: Uuid::from_u128(7),
                duration_ms: 312,
                attempts: 1,
                reading,
                alerts: vec![exceeded],
            },
            EventKind::CollectionFailed {
                collection: Uuid::from_u128(8),
                duration_ms: 2000,
                attempts: 2,
                failure,
                alerts: Vec::new(),
            },
            EventKind::Alert {
                metric: Metric::Disk,
                instance: Instance::new("/var"),
                limit: 80.0,
                value: 97.0,
                raised_at: at,
                step: Step::Raised,
                notice: Notice::Send(NoticeReason::Raised),
            },
            EventKind::Acknowledged {
                metric: Metric::Cpu,
                instance: Instance::HOST,
                raised_at: at,
                actor: "ops".to_owned(),
            },
            EventKind::Unacknowledged {
                metric: Metric::Disk,
                instance: Instance::new("/var"),
                raised_at: at,
                actor: "ops".to_owned(),
            },
            EventKind::Mail {
                mail: Uuid::from_u128(9),
                kind: MailKind::Alert,
                recipient: "ops@example.com".to_owned(),
                step: MailStep::Deferred { error: "451 later".to_owned(), next_at: at },
            },
            EventKind::SweepEnded { number: 1, duration_ms: 2010, ok: 1, failed: 1 },
            EventKind::SchedulePaused { paused: true, actor: "ops".to_owned() },
            EventKind::DatabaseAway { since: at, waiting: 3, why: Some("cannot be reached".to_owned()) },
            EventKind::DatabaseAway { since: at, waiting: 4, why: None },
            EventKind::DatabaseBack { stored: 4, after_ms: 61_000 },
            EventKind::ConfigurationRefused { errors: vec!["config.xml:1:1: no".to_owned()] },
        ] {
            let event = Event { at, sweep: Some(SweepId(Uuid::from_u128(1))), client: Some(id.clone()), kind };
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
        }
    }

    #[test]
    fn what_was_recorded_before_there_were_instances_is_about_the_host() {
        let old = r#"{"at":"2026-03-01T12:00:00Z","kind":{"type":"alert","metric":"memory","limit":50.0,"value":91.5,"raised_at":"2026-03-01T12:00:00Z","step":"raised","notice":{"mail":"send","reason":"raised"}}}"#;
        let event: Event = serde_json::from_str(old).unwrap();
        let EventKind::Alert { instance, .. } = &event.kind else { panic!("{event:?}") };
        assert!(instance.is_host());
        assert_eq!(serde_json::to_string(&event).unwrap(), old);
    }
}

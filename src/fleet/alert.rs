//! An alert and what happens to it, as plain data: what it is about, its steps, and what is decided about mailing
//! it. Not the decision ([`super::judge`]) and not the list of all alerts ([`super::alerts`]).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{
    Metric,
    metric::{Instance, InvalidMetric},
};

/// What an alert is about: a metric, and what has the value. With the client it is the identity of an alert.
///
/// As text it is the word of the metric, followed by a colon and the instance where there is one: `cpu`,
/// `disk:/var`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AlertKey {
    /// The metric.
    pub metric: Metric,
    /// What has the value.
    pub instance: Instance,
}

impl From<Metric> for AlertKey {
    fn from(metric: Metric) -> Self {
        Self { metric, instance: Instance::HOST }
    }
}

/// For people: `disk /var`.
impl fmt::Display for AlertKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric)?;
        if self.instance.is_host() { Ok(()) } else { write!(f, " {}", self.instance) }
    }
}

impl From<AlertKey> for String {
    fn from(AlertKey { metric, instance }: AlertKey) -> Self {
        if instance.is_host() { metric.to_string() } else { format!("{metric}:{instance}") }
    }
}

impl TryFrom<String> for AlertKey {
    type Error = InvalidMetric;

    fn try_from(text: String) -> Result<Self, InvalidMetric> {
        let (metric, instance) = text.split_once(':').unwrap_or((&text, ""));
        Ok(Self { metric: metric.parse()?, instance: Instance::new(instance) })
    }
}

/// An alert that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenAlert {
    /// Its identifier.
    pub id: Uuid,
    /// When it began.
    pub raised_at: Timestamp,
    /// The limit at its last judgement.
    pub limit: f64,
    /// The value last measured.
    pub value: f64,
    /// The worst value measured while it lasted.
    pub peak: f64,
    /// When a mail about it was last decided.
    pub last_mail_at: Option<Timestamp>,
    /// When an operator acknowledged it: no reminders from then on.
    pub acknowledged_at: Option<Timestamp>,
    /// Who that was; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

/// Whether an operator acknowledged an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// Nobody did.
    #[default]
    No,
    /// Somebody did; a recording from before that was an event does not tell more.
    Yes,
    /// It is known when.
    By {
        /// When, by the collector's clock.
        at: Timestamp,
        /// The operator's account; `None` where it is not known.
        actor: Option<String>,
    },
    /// It was withdrawn. What was decided about mails before that does not bring it back.
    Withdrawn,
}

impl Acknowledged {
    /// Whether the alert is acknowledged now.
    #[must_use]
    pub fn is_given(&self) -> bool {
        match self {
            Self::No | Self::Withdrawn => false,
            Self::Yes | Self::By { .. } => true,
        }
    }

    /// Reads it also as it was written before it was known who and when: as a truth value.
    pub(super) fn deserialize_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Before(bool),
            Now(Acknowledged),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Before(false) => Self::No,
            Written::Before(true) => Self::Yes,
            Written::Now(acknowledged) => acknowledged,
        })
    }
}

/// What happened to one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What is measured.
    pub metric: Metric,
    /// What has the value.
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    pub instance: Instance,
    /// The alert after this collection (the last state of it where it ended).
    pub alert: OpenAlert,
    /// Beginning, going on or end.
    pub step: Step,
    /// Whether it is mailed, and why or why not.
    pub notice: Notice,
}

impl Change {
    /// What the alert is about.
    #[must_use]
    pub fn key(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }
}

/// Beginning, going on or end of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It began.
    Raised,
    /// It goes on.
    Continues,
    /// It ended: the value is at or below `clear`, or the client answers again.
    Resolved,
    /// It ended because what it is about is gone: the mount, the interface or the service is not there any more.
    Gone,
    /// It ended because its rule is gone from the configuration.
    Withdrawn,
}

/// Whether a change is mailed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mail", content = "reason", rename_all = "snake_case")]
pub enum Notice {
    /// It is.
    Send(NoticeReason),
    /// It is not.
    Hold(HoldReason),
}

/// Why a mail goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    /// The alert began, or this is the first mail about it.
    Raised,
    /// `repeat="every"`: a mail at every collection over the limit.
    EveryCollection,
    /// `repeat` has passed since the last mail, and the limit is exceeded still.
    Reminder,
    /// The alert ended and `recovery` is on.
    Recovered,
    /// What the alert is about is gone, and `recovery` is on.
    Gone,
}

/// Why no mail goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The client has no `mail`.
    NoRecipient,
    /// The last mail is younger than `repeat`.
    RecentlyMailed,
    /// An operator acknowledged it.
    Acknowledged,
    /// The alert is open, but the value lies between `clear` and `limit`.
    BelowLimit,
    /// The alert ended and `recovery` is off, or nothing was ever mailed about it.
    NoRecoveryMail,
    /// What the alert is about is gone, and there is nobody to tell or nothing was ever mailed about it.
    Gone,
    /// The rule was removed from the configuration.
    RuleRemoved,
}

/// A limit that is exceeded: its alert is open and its value was measured in this collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exceeded {
    /// What is measured.
    pub metric: Metric,
    /// What has the value.
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    pub instance: Instance,
    /// The rule's limit.
    pub limit: f64,
    /// The value now.
    pub value: f64,
}

impl Exceeded {
    /// What the alert is about.
    #[must_use]
    pub fn key(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_its_metric_and_its_instance() {
        for (text, metric, instance, shown) in [
            ("cpu", Metric::Cpu, "", "cpu"),
            ("disk:/var", Metric::Disk, "/var", "disk /var"),
            ("disk:C:", Metric::Disk, "C:", "disk C:"),
        ] {
            let key = AlertKey { metric, instance: Instance::new(instance) };
            assert_eq!(key.to_string(), shown);
            assert_eq!(serde_json::to_value(&key).unwrap(), text);
            assert_eq!(serde_json::from_value::<AlertKey>(text.into()).unwrap(), key);
        }
        assert!(serde_json::from_value::<AlertKey>("sick:/var".into()).is_err());
    }

    #[test]
    fn what_was_written_before_there_were_instances_is_about_the_host() {
        let alert = r#"{"id":"00000000-0000-0000-0000-000000000007","raised_at":"1970-01-01T00:00:00Z","limit":80.0,"value":85.0,"peak":97.0,"last_mail_at":null,"acknowledged_at":null}"#;
        let change = format!(
            r#"{{"metric":"cpu","alert":{alert},"step":"raised","notice":{{"mail":"hold","reason":"no_recipient"}}}}"#
        );
        let read: Change = serde_json::from_str(&change).unwrap();
        assert_eq!(read.key(), Metric::Cpu.into());
        assert_eq!(serde_json::to_string(&read).unwrap(), change);
        let exceeded = r#"{"metric":"memory","limit":50.0,"value":91.5}"#;
        let read: Exceeded = serde_json::from_str(exceeded).unwrap();
        assert!(read.instance.is_host());
        assert_eq!(serde_json::to_string(&read).unwrap(), exceeded);
    }
}

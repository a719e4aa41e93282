//! An alert and its changes, as plain data. The decisions are in [`super::judge`], the list of all alerts in
//! [`super::alerts`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{
    Metric,
    metric::{Instance, InvalidMetric},
};

/// The metric and the instance that an alert is about. Together with the client they identify the alert.
///
/// As text it is the keyword of the metric, followed by a colon and the instance if there is one: `cpu`, `disk:/var`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AlertKey {
    /// The metric.
    pub metric: Metric,
    /// The instance.
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
    /// When a mail about it was last decided; `None` if never.
    pub last_mail_at: Option<Timestamp>,
    /// When an operator acknowledged it: no reminders from then on.
    pub acknowledged_at: Option<Timestamp>,
    /// The operator; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

/// Whether an operator acknowledged an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// Nobody has, or it was withdrawn.
    #[default]
    No,
    /// Yes, but not known when and by whom: old recordings do not say.
    Yes,
    /// Yes, at a known time.
    By {
        /// When, by the collector's clock.
        at: Timestamp,
        /// The operator's account; `None` if unknown.
        actor: Option<String>,
    },
    /// It was withdrawn. Earlier decisions about mails do not restore it.
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

    /// Also reads the old form without operator and time: a boolean.
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
    /// The metric.
    pub metric: Metric,
    /// The instance.
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    pub instance: Instance,
    /// The alert after this collection, or its last state if it has ended.
    pub alert: OpenAlert,
    /// Whether it began, continued or ended.
    pub step: Step,
    /// Whether it is mailed, with the reason.
    pub notice: Notice,
}

impl Change {
    /// The metric and the instance.
    #[must_use]
    pub fn key(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }
}

/// How an alert changed in a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It began.
    Raised,
    /// It continues.
    Continues,
    /// It ended: the value is at or below `clear`, or the client answers again.
    Resolved,
    /// It ended because its instance (a mount, an interface, a service) no longer exists.
    Gone,
    /// It ended because its rule was removed from the configuration.
    Withdrawn,
}

/// Whether a change is mailed, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mail", content = "reason", rename_all = "snake_case")]
pub enum Notice {
    /// It is.
    Send(NoticeReason),
    /// It is not.
    Hold(HoldReason),
}

/// Why a mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    /// The alert began, or this is the first mail about it.
    Raised,
    /// `repeat="every"`: a mail at every collection over the limit.
    EveryCollection,
    /// `repeat` has passed since the last mail, and the limit is still exceeded.
    Reminder,
    /// The alert ended and `recovery` is on.
    Recovered,
    /// The instance no longer exists, and `recovery` is on.
    Gone,
}

impl NoticeReason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Raised => "new alert",
            Self::EveryCollection => "one for every collection",
            Self::Reminder => "reminder",
            Self::Recovered => "the alert ended",
            Self::Gone => "its instance is gone",
        }
    }
}

/// Why no mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The client has no `mail`.
    NoRecipient,
    /// The last mail is younger than `repeat`.
    RecentlyMailed,
    /// An operator acknowledged it.
    Acknowledged,
    /// The alert is open, but the value is between `clear` and `limit`.
    BelowLimit,
    /// The alert ended and `recovery` is off, or nothing was ever mailed about it.
    NoRecoveryMail,
    /// The instance no longer exists, and the end is not mailed: `recovery` is off, or nothing was ever mailed about it.
    Gone,
    /// The rule was removed from the configuration.
    RuleRemoved,
}

impl HoldReason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoRecipient => "no recipient",
            Self::RecentlyMailed => "already mailed",
            Self::Acknowledged => "acknowledged",
            Self::BelowLimit => "within its limit, not cleared yet",
            Self::NoRecoveryMail => "its end is not mailed",
            Self::Gone => "gone",
            Self::RuleRemoved => "rule removed",
        }
    }
}

/// A limit that is exceeded: its alert is open and its value was measured in this collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exceeded {
    /// The metric.
    pub metric: Metric,
    /// The instance.
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    pub instance: Instance,
    /// The rule's limit.
    pub limit: f64,
    /// The value now.
    pub value: f64,
}

impl Exceeded {
    /// The metric and the instance.
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

//! The alerts and the mails about them, folded from events: which are open, which have ended, who was mailed. They are
//! decided in [`super::judge`].

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ClientId, Event, EventKind, Metric, SweepId,
    alert::{Acknowledged, AlertKey, HoldReason, Notice, Step},
    event::MailStep,
    mail::MailKind,
    metric::Instance,
};

/// How many ended alerts are kept.
const ENDED_KEPT: usize = 500;
/// How many mails are kept.
const MAILS_KEPT: usize = 500;

/// All alerts and mails, folded from events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertList {
    #[serde(with = "by_key")]
    open: BTreeMap<(ClientId, AlertKey), AlertView>,
    ended: VecDeque<AlertView>,
    mails: VecDeque<MailView>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    /// The client.
    pub client: ClientId,
    /// The metric.
    pub metric: Metric,
    /// The instance.
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    pub instance: Instance,
    /// The rule's limit at its last judgement.
    pub limit: f64,
    /// The value last measured.
    pub value: f64,
    /// When it began.
    pub raised_at: Timestamp,
    /// When and how it ended; `None` while it lasts.
    pub ended: Option<(Timestamp, AlertEnd)>,
    /// What was last decided about mailing it.
    pub notice: Notice,
    /// The sweep in which a mail about it was last decided.
    pub mailed_in: Option<SweepId>,
    /// Whether an operator acknowledged it.
    #[serde(deserialize_with = "Acknowledged::deserialize_any")]
    pub acknowledged: Acknowledged,
}

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertEnd {
    /// The value is no longer worse than `clear`.
    Resolved,
    /// Its instance (a mount, an interface, a service) no longer exists.
    Gone,
    /// Its rule was removed from the configuration.
    Withdrawn,
}

/// A mail, folded from events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailView {
    /// Its id.
    pub id: Uuid,
    /// The sweep in which it was decided.
    pub sweep: Option<SweepId>,
    /// The client that it is about.
    pub client: Option<ClientId>,
    /// Its kind.
    pub kind: MailKind,
    /// The recipient.
    pub recipient: String,
    /// Its last step and when that was.
    pub step: (Timestamp, MailStep),
}

impl AlertList {
    /// Applies one event.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Alert { metric, instance, limit, value, raised_at, step, notice } => {
                let Some(client) = &event.client else { return };
                let about = AlertKey { metric: *metric, instance: instance.clone() };
                let key = (client.clone(), about);
                let mut alert = self.open.remove(&key).unwrap_or_else(|| AlertView {
                    client: client.clone(),
                    metric: *metric,
                    instance: instance.clone(),
                    limit: *limit,
                    value: *value,
                    raised_at: *raised_at,
                    ended: None,
                    notice: *notice,
                    mailed_in: None,
                    acknowledged: Acknowledged::No,
                });
                (alert.limit, alert.value, alert.notice) = (*limit, *value, *notice);
                // Old recordings have no `Acknowledged` event, only this.
                if alert.acknowledged == Acknowledged::No && *notice == Notice::Hold(HoldReason::Acknowledged) {
                    alert.acknowledged = Acknowledged::Yes;
                }
                if matches!(notice, Notice::Send(_)) {
                    alert.mailed_in = event.sweep;
                }
                let end = match step {
                    Step::Raised | Step::Continues => None,
                    Step::Resolved => Some(AlertEnd::Resolved),
                    Step::Gone => Some(AlertEnd::Gone),
                    Step::Withdrawn => Some(AlertEnd::Withdrawn),
                };
                match end {
                    None => {
                        self.open.insert(key, alert);
                    }
                    Some(end) => {
                        alert.ended = Some((event.at, end));
                        self.ended.push_front(alert);
                        self.ended.truncate(ENDED_KEPT);
                    }
                }
            }
            EventKind::Acknowledged { metric, instance, raised_at, actor } => {
                if let Some(alert) = self.open_since(event, *metric, instance, *raised_at) {
                    alert.acknowledged = Acknowledged::By { at: event.at, actor: Some(actor.clone()) };
                    alert.notice = Notice::Hold(HoldReason::Acknowledged);
                }
            }
            EventKind::Unacknowledged { metric, instance, raised_at, .. } => {
                if let Some(alert) = self.open_since(event, *metric, instance, *raised_at) {
                    alert.acknowledged = Acknowledged::Withdrawn;
                    // The next collection decides again.
                    let mailed = alert.mailed_in.is_some();
                    let reason = if mailed { HoldReason::RecentlyMailed } else { HoldReason::NoRecipient };
                    alert.notice = Notice::Hold(reason);
                }
            }
            EventKind::Mail { mail, kind, recipient, step } => {
                let step = (event.at, step.clone());
                if let Some(known) = self.mails.iter_mut().find(|known| known.id == *mail) {
                    known.step = step;
                    return;
                }
                self.mails.push_front(MailView {
                    id: *mail,
                    sweep: event.sweep,
                    client: event.client.clone(),
                    kind: *kind,
                    recipient: recipient.clone(),
                    step,
                });
                self.mails.truncate(MAILS_KEPT);
            }
            EventKind::Configured { .. }
            | EventKind::SweepStarted { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::Collected { .. }
            | EventKind::CollectionFailed { .. }
            | EventKind::SweepEnded { .. }
            | EventKind::SchedulePaused { .. }
            | EventKind::DatabaseAway { .. }
            | EventKind::DatabaseBack { .. }
            | EventKind::ConfigurationRefused { .. } => {}
        }
    }

    /// The open alert that an event is about.
    fn open_since(
        &mut self,
        event: &Event,
        metric: Metric,
        instance: &Instance,
        raised_at: Timestamp,
    ) -> Option<&mut AlertView> {
        let about = AlertKey { metric, instance: instance.clone() };
        let alert = self.open.get_mut(&(event.client.clone()?, about))?;
        (alert.raised_at == raised_at).then_some(alert)
    }

    /// Adds the stored history. Data from events is newer and is kept.
    pub fn remember(&mut self, alerts: Vec<AlertView>) {
        for alert in alerts {
            if alert.ended.is_none() {
                self.open.entry((alert.client.clone(), alert.key())).or_insert(alert);
            } else if !self.ended.iter().any(|known| known.is_same(&alert)) {
                self.ended.push_back(alert);
            }
        }
        self.ended.make_contiguous().sort_by_key(|alert| std::cmp::Reverse(alert.ended.map(|(at, _)| at)));
        self.ended.truncate(ENDED_KEPT);
    }

    /// How many are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many there are, both open and ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    /// The open ones, newest first, then the ended ones, last ended first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<&AlertView> {
        let mut alerts: Vec<_> = self.open.values().collect();
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        alerts.extend(&self.ended);
        alerts
    }

    /// The open ones of one client, in the order of [`Metric::ALL`] and of the instances of each.
    pub fn open_of<'a>(&'a self, client: &'a ClientId) -> impl Iterator<Item = &'a AlertView> {
        let [first, ..] = Metric::ALL;
        let from = (client.clone(), AlertKey::from(first));
        self.open.range(from..).take_while(move |((of, _), _)| of == client).map(|(_, alert)| alert)
    }

    /// How many began at `since` or later, ended or not.
    #[must_use]
    pub fn raised_since(&self, since: Timestamp) -> usize {
        self.open.values().chain(&self.ended).filter(|alert| alert.raised_at >= since).count()
    }

    /// The mail about an alert, if its event was received.
    #[must_use]
    pub fn mail_about(&self, alert: &AlertView) -> Option<&MailView> {
        let sweep = alert.mailed_in?;
        self.mails.iter().find(|mail| {
            mail.sweep == Some(sweep)
                && mail.client.as_ref() == Some(&alert.client)
                && match mail.kind {
                    MailKind::Alert | MailKind::Recovery => true,
                    MailKind::Events | MailKind::Test | MailKind::Trouble => false,
                }
        })
    }
}

/// Serializes the open alerts as a list, because each contains its key.
mod by_key {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{AlertKey, AlertView, ClientId};

    pub(super) fn serialize<S: Serializer>(
        open: &BTreeMap<(ClientId, AlertKey), AlertView>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(open.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<(ClientId, AlertKey), AlertView>, D::Error> {
        let open = Vec::<AlertView>::deserialize(deserializer)?;
        Ok(open.into_iter().map(|alert| ((alert.client.clone(), alert.key()), alert)).collect())
    }
}

impl AlertView {
    /// The metric and the instance.
    #[must_use]
    pub fn key(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }

    /// Whether it is the same alert as another, whatever has become of it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.client == other.client && self.key() == other.key() && self.raised_at == other.raised_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::alert::NoticeReason;

    const SWEEP: SweepId = SweepId(Uuid::from_u128(1));

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tell(list: &mut AlertList, at: i64, client: &str, step: Step, notice: Notice) {
        let kind = EventKind::Alert {
            metric: Metric::Cpu,
            instance: Instance::HOST,
            limit: 90.0,
            value: 90.0 + at as f64,
            raised_at: second(1),
            step,
            notice,
        };
        list.apply(&Event { at: second(at), sweep: Some(SWEEP), client: Some(ClientId::new(client, 22)), kind });
    }

    #[test]
    fn an_alert_is_open_until_it_ends_and_then_kept_as_ended() {
        let mut list = AlertList::default();
        tell(&mut list, 1, "a", Step::Raised, Notice::Send(NoticeReason::Raised));
        tell(&mut list, 2, "a", Step::Continues, Notice::Hold(HoldReason::Acknowledged));
        tell(&mut list, 2, "b", Step::Raised, Notice::Hold(HoldReason::NoRecipient));
        assert_eq!((list.open_count(), list.raised_since(second(1)), list.raised_since(second(2))), (2, 2, 0));
        let client = ClientId::new("a", 22);
        let a = list.open_of(&client).next().unwrap();
        assert!(a.acknowledged.is_given() && a.value == 92.0 && a.mailed_in == Some(SWEEP));
        tell(&mut list, 3, "a", Step::Resolved, Notice::Hold(HoldReason::NoRecoveryMail));
        assert_eq!(list.open_count(), 1);
        let ends: Vec<_> = list.newest_first().iter().map(|alert| alert.ended).collect();
        assert_eq!(ends, [None, Some((second(3), AlertEnd::Resolved))]);
    }

    #[test]
    fn an_acknowledgement_is_an_event_of_its_own() {
        for (metric, raised_at, acknowledged) in
            [(Metric::Cpu, 1, true), (Metric::Memory, 1, false), (Metric::Cpu, 2, false)]
        {
            let mut list = AlertList::default();
            tell(&mut list, 1, "a", Step::Raised, Notice::Send(NoticeReason::Raised));
            let client = ClientId::new("a", 22);
            let (instance, actor) = (Instance::HOST, "ops".to_owned());
            let kind = EventKind::Acknowledged { metric, instance, raised_at: second(raised_at), actor };
            list.apply(&Event { at: second(2), sweep: None, client: Some(client.clone()), kind });
            let alert = list.open_of(&client).next().unwrap();
            let given = alert.acknowledged.is_given();
            assert_eq!((given, alert.mailed_in), (acknowledged, Some(SWEEP)), "{metric} {raised_at}");
            assert_eq!(matches!(alert.notice, Notice::Hold(HoldReason::Acknowledged)), acknowledged);
        }
    }

    #[test]
    fn a_withdrawn_acknowledgement_is_not_brought_back_by_a_collection_that_was_judged_before() {
        let mut list = AlertList::default();
        let client = ClientId::new("a", 22);
        let (metric, instance, raised_at) = (Metric::Cpu, Instance::HOST, second(1));
        tell(&mut list, 1, "a", Step::Raised, Notice::Send(NoticeReason::Raised));
        let mut say = |at, kind| {
            list.apply(&Event { at: second(at), sweep: None, client: Some(client.clone()), kind });
            list.open_of(&client).next().unwrap().acknowledged.clone()
        };
        let actor = "ops".to_owned();
        let given = say(2, EventKind::Acknowledged { metric, instance: instance.clone(), raised_at, actor });
        assert_eq!(given, Acknowledged::By { at: second(2), actor: Some("ops".to_owned()) });
        let actor = "dev".to_owned();
        let withdrawn = say(3, EventKind::Unacknowledged { metric, instance, raised_at, actor });
        assert_eq!(withdrawn, Acknowledged::Withdrawn);
        tell(&mut list, 4, "a", Step::Continues, Notice::Hold(HoldReason::Acknowledged));
        assert!(!list.open_of(&client).next().unwrap().acknowledged.is_given());
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<AlertList>(&json).unwrap(), list);
    }

    #[test]
    fn an_alert_that_was_written_before_it_was_known_who_acknowledged_is_read() {
        for (written, expected) in [
            ("false", Acknowledged::No),
            ("true", Acknowledged::Yes),
            (r#""withdrawn""#, Acknowledged::Withdrawn),
            (r#"{"by":{"at":"1970-01-01T00:00:02Z","actor":null}}"#, Acknowledged::By { at: second(2), actor: None }),
        ] {
            let json = format!(
                r#"{{"client":"a:22","metric":"cpu","limit":90.0,"value":91.0,"raised_at":"1970-01-01T00:00:01Z","ended":null,"notice":{{"mail":"hold","reason":"acknowledged"}},"mailed_in":null,"acknowledged":{written}}}"#
            );
            assert_eq!(serde_json::from_str::<AlertView>(&json).unwrap().acknowledged, expected, "{written}");
        }
    }

    #[test]
    fn the_mail_about_an_alert_is_that_of_its_client_and_sweep_with_its_last_step() {
        let mut list = AlertList::default();
        tell(&mut list, 1, "a", Step::Raised, Notice::Send(NoticeReason::Raised));
        let mail = |at, sweep, step| Event {
            at: second(at),
            sweep,
            client: Some(ClientId::new("a", 22)),
            kind: EventKind::Mail {
                mail: Uuid::from_u128(7),
                kind: MailKind::Alert,
                recipient: "ops@example.com".to_owned(),
                step,
            },
        };
        list.apply(&mail(2, Some(SWEEP), MailStep::Queued));
        // The outbox worker sends later, outside of any sweep.
        list.apply(&mail(9, None, MailStep::Sent { answer: "250 ok".to_owned() }));
        let alert = list.newest_first()[0].clone();
        let about = list.mail_about(&alert).unwrap();
        assert_eq!((about.step.0, about.recipient.as_str()), (second(9), "ops@example.com"));
        assert_eq!(about.step.1, MailStep::Sent { answer: "250 ok".to_owned() });
    }

    #[test]
    fn each_instance_of_a_metric_has_an_alert_of_its_own() {
        let mut list = AlertList::default();
        let mut tell = |at, instance, step| {
            let kind = EventKind::Alert {
                metric: Metric::Disk,
                instance: Instance::new(instance),
                limit: 90.0,
                value: 95.0,
                raised_at: second(1),
                step,
                notice: Notice::Hold(HoldReason::NoRecipient),
            };
            list.apply(&Event { at: second(at), sweep: None, client: Some(ClientId::new("a", 22)), kind });
        };
        tell(1, "/var", Step::Raised);
        tell(1, "/home", Step::Raised);
        tell(2, "/var", Step::Gone);
        let client = ClientId::new("a", 22);
        let open: Vec<_> = list.open_of(&client).map(|alert| alert.key().to_string()).collect();
        assert_eq!(open, ["disk /home"]);
        assert_eq!(list.newest_first()[1].ended, Some((second(2), AlertEnd::Gone)));
        assert_eq!(list.open_of(&ClientId::new("a", 23)).count(), 0);
        // The open alerts survive the JSON in which a late reader gets them.
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<AlertList>(&json).unwrap(), list);
    }
}

//! Judges a collection against the client's rules: which alerts begin, go on or end, and whether each
//! is mailed, with the reason. A pure function of the state before, the observation and the time.
//! Not the mail's text, not the database.
//!
//! What the words of a rule mean, to the letter:
//!
//! * A limit is exceeded when the value is strictly greater. An alert is raised when it was exceeded in
//!   `for` collections in a row, and ends when the value is at or below `clear`. In between it stays open
//!   but is not mailed: no mail says that a limit is exceeded which is not.
//! * What was not measured says nothing: it neither counts, nor breaks a row, nor ends an alert. A failed
//!   collection measures the count of failed sweeps alone; a collection for whose failure the collector is to
//!   [blame](super::failure::Blame) measures nothing at all.
//! * The first mail about an alert is the one of its beginning, also where the client had no recipient
//!   when it began. Reminders follow `repeat` after the last mail. An acknowledged alert is mailed once
//!   more: when it ends.
//! * A rule whose limit changed judges its open alert by the new limit.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Metric, Rule,
    event::Exceeded,
    metric::{Instance, Measured},
    rule::Repeat,
    sample::{Previous, Sample},
};

pub use super::sample::Observation;

#[cfg(test)]
mod tests;

/// What is known of a client's rules between two collections; kept in the database.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClientState {
    /// Failed collections in a row, up to and with the last.
    pub failed_in_a_row: u32,
    /// By metric; absent means never over the limit, no alert.
    pub rules: BTreeMap<Metric, RuleState>,
}

/// One rule's state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleState {
    /// Collections in a row over the limit, up to and with the last measured one.
    pub over_in_a_row: u32,
    /// The alert, while it lasts.
    pub alert: Option<OpenAlert>,
}

/// An alert that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenAlert {
    /// Names it.
    pub id: Uuid,
    /// When it began.
    pub raised_at: Timestamp,
    /// The limit at its last judgement.
    pub limit: f64,
    /// The value last measured.
    pub value: f64,
    /// The highest value measured while it lasted.
    pub peak: f64,
    /// When a mail about it was last decided.
    pub last_mail_at: Option<Timestamp>,
    /// When an operator acknowledged it: no reminders from then on.
    pub acknowledged_at: Option<Timestamp>,
}

/// What follows from a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The state from now on.
    pub state: ClientState,
    /// What happened to alerts, in the order of [`Metric::ALL`].
    pub changes: Vec<Change>,
    /// The limits exceeded now, in the same order.
    pub exceeded: Vec<Exceeded>,
}

/// What happened to one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it is about.
    pub metric: Metric,
    /// The alert after this collection (the last state of it where it ended).
    pub alert: OpenAlert,
    /// Beginning, going on or end.
    pub step: Step,
    /// Whether it is mailed, and why or why not.
    pub notice: Notice,
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
    /// The rule is gone.
    RuleRemoved,
}

/// Judges one collection.
///
/// `before` is what the last judgement of this client left, `rules` are the client's rules now,
/// `has_recipient` tells whether it has a `mail`, `now` stamps what is decided, `new_id` names a new
/// alert and is called only for one.
///
/// With no rules it withdraws every open alert: so ends what belongs to a client that was taken out of
/// the configuration.
pub fn judge(
    before: &ClientState,
    rules: &[Rule],
    has_recipient: bool,
    observation: Observation<'_>,
    now: Timestamp,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Verdict {
    let previous = Previous { failed_in_a_row: before.failed_in_a_row };
    let sample = Sample::new(observation, previous);
    judge_sample(before, rules, has_recipient, &sample, now, new_id)
}

fn judge_sample(
    before: &ClientState,
    rules: &[Rule],
    has_recipient: bool,
    sample: &Sample,
    now: Timestamp,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Verdict {
    let failed_in_a_row = sample.failed_in_a_row.unwrap_or(before.failed_in_a_row);
    let mut verdict = Verdict {
        state: ClientState { failed_in_a_row, rules: BTreeMap::new() },
        changes: Vec::new(),
        exceeded: Vec::new(),
    };
    for metric in Metric::ALL {
        let state = before.rules.get(&metric).cloned().unwrap_or_default();
        let Some(rule) = rules.iter().find(|rule| rule.metric == metric) else {
            verdict.changes.extend(state.alert.map(|alert| Change {
                metric,
                alert,
                step: Step::Withdrawn,
                notice: Notice::Hold(HoldReason::RuleRemoved),
            }));
            continue;
        };
        let after = match metric.values(sample).of(&Instance::HOST) {
            Measured::Nothing | Measured::Gone => state,
            Measured::Value(value) => {
                let (after, change) = judge_value(state, rule, has_recipient, value, now, new_id);
                verdict.changes.extend(change);
                if after.alert.is_some() {
                    verdict.exceeded.push(Exceeded { metric, limit: rule.limit, value });
                }
                after
            }
        };
        if after != RuleState::default() {
            verdict.state.rules.insert(metric, after);
        }
    }
    verdict
}

/// Judges one measured value: the rule's state from now on, and what happened to its alert.
fn judge_value(
    before: RuleState,
    rule: &Rule,
    has_recipient: bool,
    value: f64,
    now: Timestamp,
    new_id: &mut dyn FnMut() -> Uuid,
) -> (RuleState, Option<Change>) {
    let worse = rule.metric.spec().worse;
    let over = worse.is_worse(value, rule.limit);
    let over_in_a_row = if over { before.over_in_a_row.saturating_add(1) } else { 0 };
    let (mut alert, step) = match before.alert {
        None if over_in_a_row >= rule.for_sweeps.max(1) => {
            let alert = OpenAlert {
                id: new_id(),
                raised_at: now,
                limit: rule.limit,
                value,
                peak: value,
                last_mail_at: None,
                acknowledged_at: None,
            };
            (alert, Step::Raised)
        }
        None => return (RuleState { over_in_a_row, alert: None }, None),
        Some(open) => {
            let alert = OpenAlert { limit: rule.limit, value, peak: worse.worst(open.peak, value), ..open };
            (alert, if !over && !worse.is_worse(value, rule.clear) { Step::Resolved } else { Step::Continues })
        }
    };
    // A mail from the future means that the clock was set back. Counted from now, reminders neither pour
    // out nor fall silent until the old time has come again.
    alert.last_mail_at = alert.last_mail_at.map(|at| at.min(now));
    let notice = notice(&alert, step, over, rule, has_recipient, now);
    if let Notice::Send(_) = notice {
        alert.last_mail_at = Some(now);
    }
    let still_open = (step != Step::Resolved).then(|| alert.clone());
    (RuleState { over_in_a_row, alert: still_open }, Some(Change { metric: rule.metric, alert, step, notice }))
}

/// Whether a step of an alert is mailed. What holds it back is named in the order in which an operator
/// would ask: is there anybody to mail, is there anything to tell, who wanted silence.
fn notice(alert: &OpenAlert, step: Step, over: bool, rule: &Rule, has_recipient: bool, now: Timestamp) -> Notice {
    if !has_recipient {
        return Notice::Hold(HoldReason::NoRecipient);
    }
    match step {
        Step::Raised => Notice::Send(NoticeReason::Raised),
        Step::Resolved if rule.recovery && alert.last_mail_at.is_some() => Notice::Send(NoticeReason::Recovered),
        Step::Resolved => Notice::Hold(HoldReason::NoRecoveryMail),
        Step::Withdrawn => Notice::Hold(HoldReason::RuleRemoved),
        Step::Continues if !over => Notice::Hold(HoldReason::BelowLimit),
        Step::Continues if alert.acknowledged_at.is_some() => Notice::Hold(HoldReason::Acknowledged),
        Step::Continues => match (alert.last_mail_at, rule.repeat) {
            (None, _) => Notice::Send(NoticeReason::Raised),
            (Some(_), Repeat::Every) => Notice::Send(NoticeReason::EveryCollection),
            (Some(last), Repeat::After(repeat)) if has_passed(repeat, last, now) => {
                Notice::Send(NoticeReason::Reminder)
            }
            (Some(_), Repeat::After(_)) => Notice::Hold(HoldReason::RecentlyMailed),
        },
    }
}

/// Whether at least `span` lies between the two; false where `now` is the earlier one.
fn has_passed(span: Duration, since: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|elapsed| elapsed >= span)
}

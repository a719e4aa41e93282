//! The judge: decides from a collection and the client's rules which alerts begin, continue or end, and whether each is
//! mailed, with the reason. It is a pure function of the previous state, the observation and the time.
//!
//! The exact meaning of a rule:
//!
//! * A limit is exceeded when the value is strictly worse. An alert is raised when the limit was exceeded in `for`
//!   collections in a row, and ends when the value is no worse than `clear`. In between it stays open but is not
//!   mailed, because the limit is not exceeded.
//! * A metric with instances has an alert for each: a rule applies to every instance that has no rule of its own, unless
//!   the rule leaves it out. If an instance no longer exists, its alert ends; if the instance comes back, a new alert can begin.
//! * A value that was not measured is ignored: it does not count, does not interrupt a row of collections, and does not
//!   end an alert. A failed collection only measures the number of failed sweeps; one that failed because of the
//!   collector ([blame](super::failure::Blame)) measures nothing.
//! * The first mail about an alert reports its beginning, even if the client had no recipient when it began. Reminders
//!   follow `repeat` after the last mail. An acknowledged alert is mailed once more: when it ends.
//! * What happens, such as a restart, is a count since the last collection. Its alert ends when nothing happened, and this
//!   end is not mailed.
//! * If the limit of a rule changes, its open alert is judged by the new limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Metric, Reading, Rule,
    alert::{AlertKey, Change, Exceeded, HoldReason, Notice, NoticeReason, OpenAlert, Step},
    metric::{Measured, Nature, Observation, Observed, Previous, Scope, Values},
    rule::Repeat,
};

#[cfg(test)]
mod tests;

/// The state of a client's rules between two collections. It is stored in the database.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClientState {
    /// How many collections failed in a row, including the last.
    pub failed_in_a_row: u32,
    /// The state by metric and instance. If absent, the limit is not exceeded and there is no alert.
    pub rules: BTreeMap<AlertKey, RuleState>,
}

/// One rule's state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleState {
    /// How many measured collections in a row were over the limit, including the last.
    pub over_in_a_row: u32,
    /// The open alert; `None` if there is none.
    pub alert: Option<OpenAlert>,
}

/// The decisions about a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The new state.
    pub state: ClientState,
    /// The changes of alerts, in the order of [`Metric::ALL`] and of the instances of each.
    pub changes: Vec<Change>,
    /// The limits exceeded now, in the same order.
    pub exceeded: Vec<Exceeded>,
}

/// Judges one collection.
///
/// `before` is the state after the last collection of this client, `rules` are its current rules, `has_recipient` is
/// whether it has a `mail`, `now` is the time of the decisions, and `new_id` is called for each new alert.
///
/// Without rules, every open alert is withdrawn. This is used for a client that was removed from the configuration.
pub fn judge(
    before: &ClientState,
    rules: &[Rule],
    has_recipient: bool,
    observation: Observation<'_>,
    now: Timestamp,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Verdict {
    let observed = Observed::new(observation, Previous { failed_in_a_row: before.failed_in_a_row });
    let failed_in_a_row = observed.failed_in_a_row.unwrap_or(before.failed_in_a_row);
    let context = JudgeContext { has_recipient, now };
    let mut verdict = judge_values(&before.rules, rules, |metric| metric.measure(observed), context, new_id);
    verdict.state.failed_in_a_row = failed_in_a_row;
    verdict
}

/// What the decisions depend on besides the values.
#[derive(Debug, Clone, Copy)]
struct JudgeContext {
    has_recipient: bool,
    now: Timestamp,
}

/// Judges the values of every metric.
fn judge_values(
    before: &BTreeMap<AlertKey, RuleState>,
    rules: &[Rule],
    values_of: impl Fn(Metric) -> Values,
    context: JudgeContext,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Verdict {
    let mut verdict = Verdict { state: ClientState::default(), changes: Vec::new(), exceeded: Vec::new() };
    for metric in Metric::ALL {
        let values = values_of(metric);
        let measured = values.measured().into_iter().map(|(instance, _)| AlertKey { metric, instance });
        let known = before.keys().filter(|key| key.metric == metric).cloned();
        for key in measured.chain(known).collect::<BTreeSet<_>>() {
            let state = before.get(&key).cloned().unwrap_or_default();
            let (after, happened) = match (rule_for(rules, &key), values.of(&key.instance)) {
                (None, _) => {
                    let notice = Notice::Hold(HoldReason::RuleRemoved);
                    (RuleState::default(), state.alert.map(|alert| Happened { alert, step: Step::Withdrawn, notice }))
                }
                (Some(_), Measured::Nothing) => (state, None),
                (Some(rule), Measured::Gone) => {
                    let end = |alert| happened(alert, Step::Gone, false, rule, context);
                    (RuleState::default(), state.alert.map(end))
                }
                (Some(rule), Measured::Value(value)) => {
                    let (after, happened) = judge_value(state, rule, value, context, new_id);
                    if after.alert.is_some() {
                        let AlertKey { metric, instance } = key.clone();
                        verdict.exceeded.push(Exceeded { metric, instance, limit: rule.limit, value });
                    }
                    (after, happened)
                }
            };
            verdict.changes.extend(happened.map(|Happened { alert, step, notice }| {
                let AlertKey { metric, instance } = key.clone();
                Change { metric, instance, alert, step, notice }
            }));
            if after != RuleState::default() {
                verdict.state.rules.insert(key, after);
            }
        }
    }
    verdict
}

/// The rule for a value: the one for this instance, otherwise the one for every instance that does not leave it out.
/// `None` for a value of the host that is now measured by instance.
#[must_use]
pub fn rule_for<'a>(rules: &'a [Rule], key: &AlertKey) -> Option<&'a Rule> {
    if key.instance.is_host() && key.metric.spec().scope != Scope::Host {
        return None;
    }
    let of_metric = || rules.iter().filter(|rule| rule.metric == key.metric);
    let own = of_metric().find(|rule| rule.is_only_for(&key.instance));
    own.or_else(|| of_metric().find(|rule| rule.is_also_for(&key.instance)))
}

/// A warning for each mount, interface and disk that a rule names and the client does not have. Such a rule never raises an
/// alert, as after a typing error.
#[must_use]
pub fn warnings_of_absent(rules: &[Rule], reading: &Reading) -> Vec<String> {
    let mut warnings = Vec::new();
    for rule in rules {
        let Some(named) = &rule.instance else { continue };
        let (kind, there_is_none) = match rule.metric.spec().scope {
            Scope::Mount => ("mount", "no file system that can be written is mounted there"),
            Scope::Interface => ("interface", "there is none with this name"),
            Scope::Disk => ("disk", "there is none with this name"),
            // Services and processes that do not exist are counted, and resources depend on the kernel.
            Scope::Host | Scope::Resource | Scope::Service | Scope::Process => continue,
        };
        let Values::Each(values) = rule.metric.measure(Observed::reading(reading)) else { continue };
        if !values.keys().any(|instance| instance.is_named(named)) {
            let warning = format!("{kind} {named}: an <alert> names it, but {there_is_none}");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

/// What happened to an alert.
struct Happened {
    alert: OpenAlert,
    step: Step,
    notice: Notice,
}

/// Judges one measured value. Returns the new state of the rule and the change of its alert.
fn judge_value(
    before: RuleState,
    rule: &Rule,
    value: f64,
    context: JudgeContext,
    new_id: &mut dyn FnMut() -> Uuid,
) -> (RuleState, Option<Happened>) {
    let worse = rule.metric.spec().worse;
    let over = worse.is_worse(value, rule.limit);
    let over_in_a_row = if over { before.over_in_a_row.saturating_add(1) } else { 0 };
    let (alert, step) = match before.alert {
        None if over_in_a_row >= rule.for_sweeps.max(1) => {
            let alert = OpenAlert {
                id: new_id(),
                raised_at: context.now,
                limit: rule.limit,
                value,
                peak: value,
                last_mail_at: None,
                acknowledged_at: None,
                acknowledged_by: None,
            };
            (alert, Step::Raised)
        }
        None => return (RuleState { over_in_a_row, alert: None }, None),
        Some(open) => {
            let alert = OpenAlert { limit: rule.limit, value, peak: worse.worst(open.peak, value), ..open };
            (alert, if !over && !worse.is_worse(value, rule.clear) { Step::Resolved } else { Step::Continues })
        }
    };
    let happened = happened(alert, step, over, rule, context);
    let still_open = (step != Step::Resolved).then(|| happened.alert.clone());
    (RuleState { over_in_a_row, alert: still_open }, Some(happened))
}

/// Decides whether a step of an alert is mailed, and stores the time in the alert if it is.
fn happened(mut alert: OpenAlert, step: Step, over: bool, rule: &Rule, context: JudgeContext) -> Happened {
    let now = context.now;
    // A last mail in the future means that the clock was set back. It is then counted from now, so that reminders are
    // neither sent at every collection nor suppressed until the old time.
    alert.last_mail_at = alert.last_mail_at.map(|at| at.min(now));
    let notice = notice(&alert, step, over, rule, context);
    if let Notice::Send(_) = notice {
        alert.last_mail_at = Some(now);
    }
    Happened { alert, step, notice }
}

/// Whether a step of an alert is mailed. If several reasons prevent it, the first of these is given: no recipient,
/// nothing to report, acknowledged or too early.
fn notice(alert: &OpenAlert, step: Step, over: bool, rule: &Rule, context: JudgeContext) -> Notice {
    let JudgeContext { has_recipient, now } = context;
    let lasts = rule.metric.spec().nature == Nature::State;
    let is_told_of_end = has_recipient && rule.recovery && lasts && alert.last_mail_at.is_some();
    match step {
        // Each kind of end has separate notices, so that the stored notice shows how an alert ended.
        Step::Gone if is_told_of_end => Notice::Send(NoticeReason::Gone),
        Step::Gone => Notice::Hold(HoldReason::Gone),
        Step::Withdrawn => Notice::Hold(HoldReason::RuleRemoved),
        Step::Raised | Step::Continues | Step::Resolved if !has_recipient => Notice::Hold(HoldReason::NoRecipient),
        Step::Raised => Notice::Send(NoticeReason::Raised),
        Step::Resolved if is_told_of_end => Notice::Send(NoticeReason::Recovered),
        Step::Resolved => Notice::Hold(HoldReason::NoRecoveryMail),
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

/// Whether at least `span` has passed; false if `now` is the earlier time.
fn has_passed(span: Duration, since: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|elapsed| elapsed >= span)
}

//! Logs events, for `--headless` and `-v`. The subscriber that writes the lines is elsewhere.

use tracing::{debug, error, error_span, info, warn};

use crate::fleet::{
    Event, EventKind,
    alert::{AlertKey, Notice, Step},
    event::MailStep,
    state::Fleet,
};

/// Whether an event is logged at every verbosity. These are the events that report a loss.
#[must_use]
pub fn is_grave(event: &Event) -> bool {
    matches!(&event.kind, EventKind::Mail { step: MailStep::Refused { .. }, .. })
}

/// Logs one event. `fleet` is the state after it.
pub fn log(fleet: &Fleet, event: &Event) {
    let _sweep = event.sweep.map(|sweep| error_span!("sweep", sweep = %sweep.0).entered());
    let _client = event.client.as_ref().map(|id| {
        let name = fleet.client(id).map_or("", |client| client.card.name.as_str());
        error_span!("client", client = %id, name).entered()
    });
    match &event.kind {
        EventKind::Configured { clients } => info!(clients = clients.len(), "configuration read"),
        EventKind::ConfigurationRefused { errors } => {
            for line in errors {
                error!("invalid configuration, keeping the current one: {line}");
            }
        }
        EventKind::SchedulePaused { paused: true, actor } => info!(actor, "schedule paused"),
        EventKind::SchedulePaused { paused: false, actor } => info!(actor, "schedule resumed"),
        EventKind::DatabaseAway { waiting, why: Some(why), .. } => {
            warn!(waiting, "the database is unavailable, collected data waits in the spool: {why}");
        }
        EventKind::DatabaseAway { waiting, why: None, .. } => debug!(waiting, "the database is still unavailable"),
        EventKind::DatabaseBack { stored, after_ms } => {
            info!(stored, after_ms, "the database is back, the spooled data is stored");
        }
        EventKind::SweepStarted { number, clients, .. } => {
            info!(number, clients = clients.len(), "sweep started");
        }
        EventKind::SweepEnded { number, duration_ms, ok, failed } => {
            info!(number, duration_ms, ok, failed, "sweep ended");
        }
        EventKind::StageEntered { stage, attempt } => debug!(%stage, attempt, "stage entered"),
        EventKind::AttemptFailed { attempt, failure, retry_in_ms } => {
            info!(stage = %failure.stage, attempt, retry_in_ms, "attempt failed: {failure}");
        }
        EventKind::Collected { duration_ms, attempts, reading, .. } => {
            debug!(duration_ms, attempts, "collected");
            for warning in &reading.warnings {
                debug!("warning: {warning}");
            }
        }
        EventKind::CollectionFailed { duration_ms, attempts, failure, .. } => {
            warn!(stage = %failure.stage, duration_ms, attempts, "collection failed: {failure}; {}", failure.kind.next_step());
        }
        EventKind::Alert { metric, instance, limit, value, step, notice, .. } => {
            let about = AlertKey { metric: *metric, instance: instance.clone() };
            let (value, limit) = (metric.show(*value), metric.show(*limit));
            let mailed = match notice {
                Notice::Send(reason) => format!("mail decided: {}", reason.words()),
                Notice::Hold(reason) => format!("no mail: {}", reason.words()),
            };
            match step {
                Step::Raised => warn!(metric = %about, value, limit, "alert raised; {mailed}"),
                Step::Continues => debug!(metric = %about, value, limit, "alert continues; {mailed}"),
                Step::Resolved => info!(metric = %about, value, limit, "alert ended; {mailed}"),
                Step::Gone => {
                    info!(metric = %about, "alert ended, because its instance no longer exists; {mailed}");
                }
                Step::Withdrawn => info!(metric = %about, "alert ended, because its rule was removed"),
            }
        }
        EventKind::Acknowledged { metric, instance, actor, .. } => {
            let about = AlertKey { metric: *metric, instance: instance.clone() };
            info!(metric = %about, actor, "alert acknowledged");
        }
        EventKind::Unacknowledged { metric, instance, actor, .. } => {
            let about = AlertKey { metric: *metric, instance: instance.clone() };
            info!(metric = %about, actor, "acknowledgement withdrawn: reminders go out again");
        }
        EventKind::Mail { mail, kind, recipient, step } => match step {
            MailStep::Queued => debug!(%mail, %kind, recipient, "mail in the outbox"),
            MailStep::Sent { answer } => info!(%mail, %kind, recipient, "mail sent: {answer}"),
            MailStep::Deferred { error, next_at } => {
                warn!(%mail, %kind, recipient, %next_at, "mail deferred: {error}");
            }
            MailStep::Refused { error } => error!(
                %mail,
                %kind,
                "mail to {recipient} permanently refused: {error}; it is kept in v1_mails: correct the `mail` attribute \
                 with this address, or fix what the server rejects"
            ),
        },
    }
}

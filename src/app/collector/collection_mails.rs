//! Composes the mails of one collection, with data from other sources. Whether a mail is sent is decided in `fleet`.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    app::error::chain,
    config::{AttachmentFormat, Client},
    fleet::{
        Bytes, Reading, Stage,
        judge::Verdict,
        mail::Mail,
        metric::Observation,
        rule::Repeat,
        security::{
            SecurityEvent, SecurityLog,
            allowance::{Allowed, Spent},
            digest,
            gathering::{self, Collected, GatheredLog, Gathering, GatheringChange, Step},
            routine::Visitor,
        },
    },
    mail::compose::{self, Composer, EventsContext, MailContext, TemplateError},
    store::Store,
    sweep::Collection,
};

/// How many earlier values a mail shows.
const HISTORY: u32 = 8;

/// Composes the mails of collections.
#[derive(Debug)]
pub struct CollectionMails {
    pub(super) composer: Arc<Composer>,
    /// Reads the earlier values that mails show.
    pub(super) store: Store,
    /// The host name that mails show.
    pub(super) host_name: String,
    /// The command name of this program that mails show.
    pub(super) program: String,
    /// How lists are attached.
    pub(super) attachments: AttachmentFormat,
    /// The largest mail.
    pub(super) mail_size: Bytes,
}

impl CollectionMails {
    /// The mails about the alerts that a verdict raised, continued or ended.
    pub(super) async fn alerts(
        &self,
        client: &Client,
        collection: &Collection,
        verdict: Option<&Verdict>,
        now: Timestamp,
    ) -> Vec<Mail> {
        let Some(verdict) = verdict else { return Vec::new() };
        let mut histories = Vec::new();
        for metric in compose::history_wanted(verdict) {
            match self.store.recent(&client.id, metric, HISTORY).await {
                Ok(values) => histories.push((metric, values)),
                // If the history cannot be read, the mail is sent without it.
                Err(error) => tracing::warn!("no history for a mail: {}", chain(&error)),
            }
        }
        let observation = match &collection.outcome {
            Ok(received) => Observation::Reading(&received.reading),
            Err(failure) => Observation::Failed(failure),
        };
        let occasion =
            MailContext { client, verdict, observation, histories: &histories, now, collector_name: &self.host_name };
        self.composer.alert_mails(&occasion, &mut Uuid::now_v7).unwrap_or_else(|error| no_mails(&error))
    }

    /// The mails about the security log of a collection, and what changes about the logs that are gathered. The log is
    /// mailed with those that are gathered, or gathered itself.
    pub(super) async fn events(
        &self,
        client: &Client,
        collection: &Collection,
        security: Option<(&SecurityLog, Allowed)>,
        before: Option<Gathering>,
        now: Timestamp,
    ) -> (Vec<Mail>, Option<GatheringChange>) {
        let reading = collection.outcome.as_ref().ok().map(|received| &received.reading);
        let login_unix_ms = reading.and_then(|reading| login(collection, reading));
        let is_gathered = client.events_mail != Repeat::Every;
        let collected = security.map(|(log, allowed)| Collected {
            log,
            is_urgent: is_gathered && is_urgent(client, log, login_unix_ms),
            is_kept: allowed.events == log.events.len(),
        });
        let step = gathering::decide(client.events_mail, before, collected, now);
        let add = GatheringChange::Add { login_unix_ms };
        let gathered = match step {
            Step::Nothing => return (Vec::new(), None),
            Step::Gather => return (Vec::new(), Some(add)),
            Step::Mail => self.gathered(client, before).await,
        };
        let mail = |gathered: &[GatheredLog]| {
            let occasion = Occasion { client, reading, security, gathered, login_unix_ms, now };
            self.event_mails(&occasion)
        };
        match gathered {
            Some(gathered) => {
                let change = GatheringChange::Mailed { since: is_gathered.then_some(now) };
                (mail(&gathered), (is_gathered || before.is_some()).then_some(change))
            }
            // They stay gathered until they can be read. This log is not delayed if it must not be.
            None if is_gathered && collected.is_some_and(|collected| collected.is_kept && !collected.is_urgent) => {
                (Vec::new(), Some(add))
            }
            None => (mail(&[]), None),
        }
    }

    /// The gathered logs of a client; `None` if they cannot be read now.
    async fn gathered(&self, client: &Client, before: Option<Gathering>) -> Option<Vec<GatheredLog>> {
        if client.mail.is_empty() || before.is_none_or(|gathering| gathering.logs == 0) {
            return Some(Vec::new());
        }
        if self.store.is_away() {
            return None;
        }
        let logs = self.store.reader().gathered_logs(&client.id).await;
        logs.inspect_err(|error| tracing::warn!("gathered security events wait: {}", chain(error))).ok()
    }

    fn event_mails(&self, occasion: &Occasion<'_>) -> Vec<Mail> {
        let Occasion { client, reading, security, gathered, login_unix_ms, now } = *occasion;
        let log = security.map(|(log, _)| log);
        let log = match log {
            Some(log) if gathered.is_empty() => Cow::Borrowed(log),
            Some(_) | None => match gathering::joined(gathered, log) {
                Some(joined) => Cow::Owned(joined),
                None => return Vec::new(),
            },
        };
        let earlier: usize = gathered.iter().map(|gathered| gathered.log.events.len()).sum();
        let (events, spent) = security.map_or((0, Spent::default()), |(_, allowed)| (allowed.events, allowed.spent));
        let logins: Vec<(i64, i64)> =
            gathered.iter().filter_map(|gathered| gathered.login_unix_ms).chain(login_unix_ms).collect();
        let allowed = Allowed { events: earlier + events, spent };
        let (log, allowed, ignored) = match &client.ignore {
            Some(noise) => {
                let (rest, allowed, ignored) = noise.without(&log, allowed);
                (Cow::Owned(rest), allowed, ignored)
            }
            None => (log, allowed, 0),
        };
        let occasion = EventsContext {
            client,
            reading,
            log: &log,
            gathered,
            allowed,
            ignored,
            attachments: self.attachments,
            mail_size: self.mail_size,
            logins_unix_ms: &logins,
            now,
            collector_name: &self.host_name,
            program: &self.program,
        };
        self.composer.event_mails(&occasion, &mut Uuid::now_v7).unwrap_or_else(|error| no_mails(&error))
    }
}

/// What a mail about security logs is made from.
#[derive(Clone, Copy)]
struct Occasion<'a> {
    client: &'a Client,
    reading: Option<&'a Reading>,
    security: Option<(&'a SecurityLog, Allowed)>,
    gathered: &'a [GatheredLog],
    login_unix_ms: Option<(i64, i64)>,
    now: Timestamp,
}

/// How far the clock of a client may be off when its events are compared with our login.
const LOGIN_TOLERANCE_MS: i64 = 2_000;

/// When this program logged in, from and to in milliseconds, by the client's clock; `None` if it used an earlier session.
fn login(collection: &Collection, reading: &Reading) -> Option<(i64, i64)> {
    let entered = |wanted| collection.stages.iter().find(|(stage, _)| *stage == wanted).map(|(_, at)| *at);
    let ahead_ms = reading.clock_ahead_ms.unwrap_or_default();
    let theirs = |at: Timestamp, tolerance| at.as_millisecond().saturating_add(ahead_ms).saturating_add(tolerance);
    let from = entered(Stage::Connect).or_else(|| entered(Stage::Authenticate))?;
    let to = entered(Stage::Execute).or_else(|| entered(Stage::Decrypt))?;
    Some((theirs(from, -LOGIN_TOLERANCE_MS), theirs(to, LOGIN_TOLERANCE_MS)))
}

/// Whether a log has events that are mailed at once.
fn is_urgent(client: &Client, log: &SecurityLog, login_unix_ms: Option<(i64, i64)>) -> bool {
    let logins: Vec<(i64, i64)> = login_unix_ms.into_iter().collect();
    let visitor = Visitor { account: &client.username, logins_unix_ms: &logins };
    let mailed: Cow<'_, [SecurityEvent]> = match &client.ignore {
        Some(noise) => Cow::Owned(log.events.iter().filter(|event| !noise.covers(event)).cloned().collect()),
        None => Cow::Borrowed(&log.events),
    };
    digest::is_urgent(&digest::groups(&mailed, visitor))
}

/// Logs a template error. The tests render every template.
fn no_mails(error: &TemplateError) -> Vec<Mail> {
    tracing::error!("a mail could not be composed: {}", chain(error));
    Vec::new()
}

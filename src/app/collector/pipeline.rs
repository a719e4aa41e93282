//! The pipeline: one collection of one client, from connect to the stored record.
//!
//! It calls the network stages in `sweep`, the judge in `fleet` and the transaction in `store` in order. The scheduler
//! decides which clients are due and how many run at once.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use fleetsweep_agent::request::{Bookmark, EventsWanted};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    app::{error::chain, mail::wakeup::OutboxWakeup, troubles::tracker::TroubleTracker, units::milliseconds},
    bus::Publisher,
    config::Client,
    fleet::{
        EventKind, Failure, FailureKind, Stage, SweepId,
        alert::Exceeded,
        event::MailStep,
        judge::{self, Verdict},
        login_hold::{HeldLogins, HoldChange},
        mail::Mail,
        metric::Observation,
        security::{
            SecurityLog,
            account::add_accounts,
            allowance::{Allowance, Allowed, Spent},
            gathering,
        },
        troubles::TroubleKind,
    },
    store::{Outcome, Record, Store, StoreError},
    sweep::{
        Collection, CollectionOrder, Collector,
        descriptor_budget::{DescriptorBudget, DescriptorPermit},
        span,
    },
};

use super::{
    client_states::ClientStates,
    collection_mails::CollectionMails,
    sweep_evidence::{self, ClientEvidence, Known, SweepContext, SweepEvidence},
    trends,
};

/// How far back security events are read at the first collection of a client.
const FIRST_CONTACT: Duration = Duration::from_secs(24 * 60 * 60);

/// The pipeline of one configuration.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) clients: Vec<Arc<Client>>,
    pub(super) events: Allowance,
    pub(super) concurrency: usize,
    pub(super) budget: DescriptorBudget,
    pub(super) collector: Collector,
    pub(super) store: Store,
    pub(super) client_states: Arc<ClientStates>,
    pub(super) publisher: Publisher,
    pub(super) mails: CollectionMails,
    /// Wakes the outbox worker.
    pub(super) wakeup: Arc<OutboxWakeup>,
    pub(super) troubles: Arc<TroubleTracker>,
    /// Whether `clients` are all the clients of the configuration.
    pub(super) has_all_clients: bool,
}

/// A slot among the concurrent collections, and its descriptors.
pub type CollectionPermits = (Result<OwnedSemaphorePermit, AcquireError>, DescriptorPermit);

/// The resources of one client in a sweep.
#[derive(Debug)]
pub struct CollectionSlot {
    /// Released when its collection ends, or when it only waits for the evidence of others.
    pub place: CollectionPermits,
    /// Its part of the sweep's evidence.
    pub evidence: ClientEvidence,
}

impl Pipeline {
    /// The clients, in the configuration's order.
    #[must_use]
    pub fn clients(&self) -> &[Arc<Client>] {
        &self.clients
    }

    /// The maximum number of concurrent collections.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Reserves the descriptors for one collection. Waits until there are enough.
    pub async fn descriptors(&self) -> DescriptorPermit {
        self.budget.for_collection().await
    }

    /// Collects one client, judges the result, stores it and publishes it.
    ///
    /// # Errors
    /// The failure, which has been published already.
    pub async fn visit(
        &self,
        client: &Client,
        (sweep, held_logins): (SweepId, HeldLogins),
        slot: CollectionSlot,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let CollectionSlot { place, mut evidence } = slot;
        let mut place = Some(place);
        let mut started = Instant::now();
        let order = CollectionOrder {
            sweep,
            events: self.events_wanted(client),
            login_hold: self.client_states.login_hold(&client.id),
            held_logins,
        };
        let collection = self.collector.collect(client, order, cancel).await;
        // Before it is stored: what was refused is not sent again, even if the database is away.
        self.client_states.note_login(&client.id, &collection.login_hold);
        let collected = Instant::now();
        let leave = || drop(place.take());
        let is_ours = evidence.collected(client, collection.outcome.as_ref().map(drop), leave, cancel).await;
        // The time that it waited for others does not count.
        started += collected.elapsed();
        let concluding = self.conclude_collection(client, collection, is_ours, started, &evidence);
        concluding.instrument(span::of_stage(Stage::Store)).await
    }

    /// Judges the collection, stores it and publishes it. A failure that `is_ours` is not judged.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    async fn conclude_collection(
        &self,
        client: &Client,
        mut collection: Collection,
        is_ours: bool,
        started: Instant,
        evidence: &ClientEvidence,
    ) -> Result<(), Failure> {
        let sweep = collection.sweep;
        collection.stages.push((Stage::Store, Timestamp::now()));
        self.publisher
            .publish(
                Some(sweep),
                Some(&client.id),
                EventKind::StageEntered { stage: Stage::Store, attempt: collection.attempts.max(1) },
            )
            .await;
        let now = Timestamp::now();
        self.average(client, &mut collection);
        Self::add_warnings(client, &mut collection);
        let trends_at = self.add_trends(client, &mut collection, now).await;
        // A failure of the collector itself is not a failure of the client.
        let verdict = if is_ours { None } else { self.judge(client, &collection, now) };
        let mut security = security(client, &collection);
        let spent = security.as_ref().map(|log| self.allow(client, log, now));
        let mut mails = self.mails.alerts(client, &collection, verdict.as_ref(), now).await;
        let before = self.client_states.gathering(&client.id);
        let (event_mails, gathering) = match verdict {
            Some(_) => self.mails.events(client, &collection, security.as_ref().zip(spent), before, now).await,
            None => (Vec::new(), None),
        };
        mails.extend(event_mails);
        if let (Some(log), Some(allowed)) = (&mut security, spent) {
            log.events.truncate(allowed.events);
        }
        let spent = spent.map(|allowed| allowed.spent);
        let bookmark = security.as_ref().and_then(|log| log.bookmark.clone());
        let gathered = gathering.map(|change| gathering::after(before, change, security.as_ref()));
        // The same duration is stored and published. It does not include the storing.
        let duration_ms = milliseconds(started.elapsed());
        let record = self.record(client, &collection, verdict.as_ref(), (security, spent), &mails, duration_ms);
        let stored = self.store.record(Record { gathering, trends_at, ..record }).await;
        evidence.stored(stored.as_ref().map(drop));
        let mut exceeded = Vec::new();
        if stored.is_ok() {
            exceeded = verdict.as_ref().map(|verdict| verdict.exceeded.clone()).unwrap_or_default();
            let counters = collection.outcome.as_mut().ok().and_then(|received| received.counters.take());
            if let Some(counters) = counters {
                self.client_states.follow_counters(&client.id, *counters);
            }
            if let Some(gathered) = gathered {
                self.client_states.note_gathering(&client.id, gathered);
            }
            self.follow(client, sweep, verdict, (bookmark, spent), &mails).await;
        }
        self.tell_end(client, &collection, duration_ms, stored, exceeded).await
    }

    /// Runs a visit. If it panics, the collection fails, which is stored and published like any other failure.
    ///
    /// # Errors
    /// The failure, which has been published already.
    pub async fn catch_panic(
        &self,
        client: &Client,
        sweep: SweepId,
        visit: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        match AssertUnwindSafe(visit).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_panic) => {
                let failure = Failure::new(Stage::Queued, FailureKind::Defect).because("see the log");
                self.fail(client, sweep, failure).await
            }
        }
    }

    /// Stores and publishes that a client is not collected, without visiting it.
    ///
    /// # Errors
    /// Always: the published failure.
    pub async fn fail(&self, client: &Client, sweep: SweepId, failure: Failure) -> Result<(), Failure> {
        let collection = Collection {
            id: Uuid::now_v7(),
            client: client.id.clone(),
            sweep,
            started_at: Timestamp::now(),
            attempts: 0,
            stages: Vec::new(),
            outcome: Err(failure),
            login_hold: HoldChange::Unchanged,
        };
        let duration_ms = 0;
        let record = self.record(client, &collection, None, (None, None), &[], duration_ms);
        let stored = self.store.record(record).await;
        self.tell_end(client, &collection, duration_ms, stored, Vec::new()).await
    }

    /// Publishes how a collection ended, after the attempt to store it.
    async fn tell_end(
        &self,
        client: &Client,
        collection: &Collection,
        duration_ms: u64,
        stored: Result<(), StoreError>,
        alerts: Vec<Exceeded>,
    ) -> Result<(), Failure> {
        let (id, attempts) = (collection.id, collection.attempts);
        let outcome = match (stored, &collection.outcome) {
            (Ok(()), outcome) => outcome.as_ref().map_err(Clone::clone),
            (Err(error), before) => {
                let failure = Failure::new(Stage::Store, FailureKind::StoreFailed).because(chain(&error));
                Err(match before {
                    Ok(_) => failure,
                    Err(before) => failure.because(format_args!("the collection itself had failed: {before}")),
                })
            }
        };
        let kind = match &outcome {
            Ok(received) => {
                let reading = Box::new(received.reading.clone());
                EventKind::Collected { collection: id, duration_ms, attempts, reading, alerts }
            }
            Err(failure) => {
                let failure = failure.clone();
                EventKind::CollectionFailed { collection: id, duration_ms, attempts, failure, alerts }
            }
        };
        self.publisher.publish(Some(collection.sweep), Some(&client.id), kind).await;
        outcome.map(drop)
    }

    /// Whether this is the number of all configured clients.
    #[must_use]
    pub fn is_whole(&self, clients: usize) -> bool {
        self.has_all_clients && clients == self.clients.len()
    }

    /// The evidence of a new sweep; this many of its clients answered at their last collection.
    #[must_use]
    pub fn evidence(&self, answered_before: usize, is_whole: bool) -> Arc<SweepEvidence> {
        SweepEvidence::new(SweepContext {
            answered_before,
            is_whole,
            was_cut_off: self.troubles.is_open(TroubleKind::CutOff),
            is_told: self.troubles.has_recipients(),
        })
    }

    /// Reports what the evidence of an ended sweep shows about the collector itself.
    pub fn conclude(&self, evidence: &SweepEvidence, is_whole: bool) {
        let known = self.has_all_clients.then(|| Known {
            clients: self.clients.iter().map(|client| sweep_evidence::label(client)).collect(),
            bastions: self.clients.iter().flat_map(|client| client.via.iter()).map(|bastion| bastion.label()).collect(),
        });
        evidence.conclude(&self.troubles, self.store.is_away(), is_whole, known);
    }

    /// Closes the kept sessions.
    pub async fn close(&self) {
        self.collector.close().await;
    }

    /// Which events of a client are requested.
    fn events_wanted(&self, client: &Client) -> EventsWanted {
        match self.client_states.bookmark(&client.id).map(Bookmark::new) {
            Some(Ok(bookmark)) => EventsWanted::After(bookmark),
            Some(Err(_)) | None => EventsWanted::Within(FIRST_CONTACT),
        }
    }

    /// Averages the reading over the time since the client's last collection, if that has counters.
    fn average(&self, client: &Client, collection: &mut Collection) {
        let Ok(received) = &mut collection.outcome else { return };
        if let (Some(before), Some(now)) = (self.client_states.counters(&client.id), &received.counters) {
            received.reading.average_since(&before, now);
        }
    }

    /// Adds a warning to the reading for each rule that cannot apply.
    fn add_warnings(client: &Client, collection: &mut Collection) {
        let Ok(received) = &mut collection.outcome else { return };
        let warnings = judge::warnings_of_absent(&client.rules, &received.reading);
        received.reading.add_warnings(warnings);
    }

    /// Adds the trends of the file systems to the reading. Returns when they were estimated, if that was now.
    async fn add_trends(&self, client: &Client, collection: &mut Collection, now: Timestamp) -> Option<Timestamp> {
        let received = collection.outcome.as_mut().ok()?;
        trends::add(&self.store, &self.client_states, &client.id, &mut received.reading, now).await
    }

    /// The observation for the judge; `None` for a cancelled collection, which says nothing about the client.
    fn judge(&self, client: &Client, collection: &Collection, now: Timestamp) -> Option<Verdict> {
        let observation = match &collection.outcome {
            Ok(received) => Observation::Reading(&received.reading),
            Err(failure) if failure.kind == FailureKind::Cancelled => return None,
            Err(failure) => Observation::Failed(failure),
        };
        let before = self.client_states.state(&client.id);
        Some(judge::judge(&before, &client.rules, !client.mail.is_empty(), observation, now, &mut Uuid::now_v7))
    }

    /// The events that the client's daily allowance leaves. That it is used up is reported once a day.
    fn allow(&self, client: &Client, log: &SecurityLog, now: Timestamp) -> Allowed {
        let before = self.client_states.spent(&client.id);
        let allowed = self.events.allow(before, &log.events, now);
        let Allowed { spent, .. } = allowed;
        if spent.left_out > 0 && (before.left_out == 0 || before.day < spent.day) {
            tracing::warn!(
                "the daily allowance of security events is used up after {} ({} KiB): until 00:00 UTC further ones are neither stored nor attached to mails; raise `max-events` on <collector> if that is too few",
                spent.stored,
                spent.bytes / 1024,
            );
        }
        allowed
    }

    fn record(
        &self,
        client: &Client,
        collection: &Collection,
        verdict: Option<&Verdict>,
        (security, spent): (Option<SecurityLog>, Option<Spent>),
        mails: &[Mail],
        duration_ms: u64,
    ) -> Record {
        let (outcome, counters) = match &collection.outcome {
            Ok(received) => (Outcome::Collected(Box::new(received.reading.clone())), received.counters.clone()),
            Err(failure) => (Outcome::Failed(failure.clone()), None),
        };
        Record {
            sweep: collection.sweep,
            collection: collection.id,
            client: client.id.clone(),
            client_name: client.name.clone(),
            started_at: collection.started_at,
            duration_ms,
            attempts: collection.attempts,
            stages: collection.stages.clone(),
            outcome,
            state: verdict.map_or_else(|| self.client_states.state(&client.id), |verdict| verdict.state.clone()),
            changes: verdict.map(|verdict| verdict.changes.clone()).unwrap_or_default(),
            security,
            spent,
            gathering: None,
            login_hold: collection.login_hold.clone(),
            counters,
            trends_at: None,
            mails: mails.to_vec(),
        }
    }

    /// After the commit, updates the client states and publishes the decisions.
    async fn follow(
        &self,
        client: &Client,
        sweep: SweepId,
        verdict: Option<Verdict>,
        (bookmark, spent): (Option<String>, Option<Spent>),
        mails: &[Mail],
    ) {
        let Some(verdict) = verdict else { return };
        for change in &verdict.changes {
            let kind = EventKind::Alert {
                metric: change.metric,
                instance: change.instance.clone(),
                limit: change.alert.limit,
                value: change.alert.value,
                raised_at: change.alert.raised_at,
                step: change.step,
                notice: change.notice,
            };
            self.publisher.publish(Some(sweep), Some(&client.id), kind).await;
        }
        self.client_states.follow(&client.id, verdict.state, bookmark, spent);
        for mail in mails {
            let kind = EventKind::Mail {
                mail: mail.id,
                kind: mail.kind,
                recipient: mail.recipient.clone(),
                step: MailStep::Queued,
            };
            self.publisher.publish(Some(sweep), Some(&client.id), kind).await;
        }
        if !mails.is_empty() {
            self.wakeup.mail_decided();
        }
    }
}

/// The security log of a collection, redacted as configured.
fn security(client: &Client, collection: &Collection) -> Option<SecurityLog> {
    let received = collection.outcome.as_ref().ok()?;
    let mut log = SecurityLog::from_report(received.events.as_ref()?);
    add_accounts(&mut log);
    if let Some(redaction) = &client.redact {
        log.redact(redaction);
    }
    Some(log)
}

#[cfg(test)]
mod tests;

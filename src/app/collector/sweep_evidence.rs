//! Collects what one sweep shows about the collector itself: whether it is cut off from the network, which host keys
//! changed, which resources are short and whether records are stored. `fleet::troubles` decides what follows.
//!
//! If a client fails as if the network were down, its failure is judged only when it is known whether the collector is
//! cut off. Usually that is a moment later, when the first other clients have answered.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{error::chain, troubles::tracker::TroubleTracker},
    config::Client,
    fleet::{
        Failure, FailureKind, Stage,
        cut_off::Evidence,
        troubles::{Finding, TroubleKind},
    },
    store::{StoreError, StoreErrorKind},
};

/// Texts of the errors of exhausted resources: ENFILE, EMFILE, ENOMEM, ENOSPC.
const SHORTAGES: [&str; 4] = ["(os error 23)", "(os error 24)", "(os error 12)", "(os error 28)"];

/// The evidence of one sweep.
#[derive(Debug)]
pub struct SweepEvidence {
    cut_off: watch::Sender<Evidence>,
    /// The verdict to use if this sweep cannot show it.
    fixed: Option<bool>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    visited: usize,
    reached: usize,
    changed_keys: BTreeSet<String>,
    trusted_keys: BTreeSet<String>,
    dead_bastions: BTreeSet<String>,
    used_bastions: BTreeSet<String>,
    shortage: Option<String>,
    stored: usize,
    unstored: Option<StoreError>,
}

/// What is known about a sweep before it starts.
#[derive(Debug, Clone, Copy)]
pub struct SweepContext {
    /// How many of its clients answered at their last collection.
    pub answered_before: usize,
    /// Whether it visits every client that is configured.
    pub is_whole: bool,
    /// Whether the collector was cut off before.
    pub was_cut_off: bool,
    /// Whether anybody receives mails about troubles of the collector.
    pub is_told: bool,
}

impl SweepEvidence {
    /// The evidence of a new sweep.
    #[must_use]
    pub fn new(context: SweepContext) -> Arc<Self> {
        let evidence = Evidence { open: context.answered_before, ..Evidence::default() };
        let fixed = if !context.is_told {
            // Otherwise nobody would be notified.
            Some(false)
        } else if context.is_whole && context.answered_before > 0 && evidence.verdict().is_none() {
            None
        } else {
            Some(context.was_cut_off)
        };
        Arc::new(Self { cut_off: watch::Sender::new(evidence), fixed, found: Mutex::default() })
    }

    /// The part of one client, which `answered_before` or not.
    #[must_use]
    pub fn client(self: &Arc<Self>, answered_before: bool) -> ClientEvidence {
        ClientEvidence { evidence: Arc::clone(self), counts: answered_before }
    }

    /// Notes whether a record was stored.
    pub fn stored(&self, stored: Result<(), &StoreError>) {
        let mut found = self.lock();
        match stored {
            Ok(()) => found.stored += 1,
            Err(error) => found.unstored = Some(error.clone()),
        }
    }

    /// Reports the findings of the whole sweep. `known` are the configured clients, if they were all swept.
    pub fn conclude(&self, troubles: &TroubleTracker, is_away: bool, is_whole: bool, known: Option<Known>) {
        let mut found = self.lock();
        let found = std::mem::take(&mut *found);
        let evidence = *self.cut_off.borrow();
        if is_whole && evidence.verdict() == Some(true) {
            let (silent, all) = (evidence.silent, evidence.silent + evidence.reached);
            let detail = format!("{silent} of {all} clients that answered before do not answer");
            troubles.note(Finding::Present { kind: TroubleKind::CutOff, detail });
        } else if is_whole && found.reached * 10 > found.visited {
            troubles.note(Finding::Absent(TroubleKind::CutOff));
        }
        let (have, have_not) = (found.changed_keys, found.trusted_keys);
        let (clients, bastions) = known.map(|Known { clients, bastions }| (clients, bastions)).unzip();
        troubles.note(Finding::OfSome { kind: TroubleKind::HostKeys, have, have_not, known: clients });
        // One that failed for some clients and served others is not in order.
        let have_not = found.used_bastions.difference(&found.dead_bastions).cloned().collect();
        let have = found.dead_bastions;
        troubles.note(Finding::OfSome { kind: TroubleKind::Bastions, have, have_not, known: bastions });
        match (found.shortage, found.visited) {
            (Some(detail), _) => troubles.note(Finding::Present { kind: TroubleKind::Shortage, detail }),
            (None, 1..) if is_whole => troubles.note(Finding::Absent(TroubleKind::Shortage)),
            (None, _) => {}
        }
        match (found.unstored, found.stored) {
            (Some(error), _) => {
                let is_lost = matches!(
                    error.kind,
                    StoreErrorKind::Full | StoreErrorKind::SpoolFull | StoreErrorKind::SpoolFailed
                );
                if is_lost {
                    let detail = chain(&error);
                    troubles.note(Finding::Present { kind: TroubleKind::Unstored, detail });
                } else {
                    troubles.note_database(&error);
                }
            }
            (None, 1..) => {
                troubles.note(Finding::Absent(TroubleKind::Unstored));
                if !is_away {
                    troubles.note(Finding::Absent(TroubleKind::Database));
                }
            }
            (None, 0) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is configured, by the names under which it is listed.
#[derive(Debug)]
pub struct Known {
    /// The clients.
    pub clients: BTreeSet<String>,
    /// The bastions.
    pub bastions: BTreeSet<String>,
}

/// The name under which a client is listed.
#[must_use]
pub fn label(client: &Client) -> String {
    if client.name == client.id.address() { client.id.to_string() } else { format!("{} ({})", client.name, client.id) }
}

/// The part of one client in the evidence. If it is dropped before an outcome, the client does not count.
#[derive(Debug)]
pub struct ClientEvidence {
    evidence: Arc<SweepEvidence>,
    /// Whether its outcome has still to be counted.
    counts: bool,
}

impl ClientEvidence {
    /// Notes the outcome of a collection before it is judged. Returns true if the collector is cut off, so that the
    /// failure is not the client's. For a failure that looks like a network outage, it waits until the evidence is
    /// sufficient or `cancel`. `leave` is called before it waits.
    pub async fn collected(
        &mut self,
        client: &Client,
        outcome: Result<(), &Failure>,
        leave: impl FnOnce(),
        cancel: &CancellationToken,
    ) -> bool {
        self.note(client, outcome);
        let is_silent = match outcome {
            Ok(()) => false,
            Err(failure) if says_nothing(failure) => return false,
            Err(failure) => failure.kind.spec().looks_like_outage,
        };
        if std::mem::take(&mut self.counts) {
            self.evidence.cut_off.send_modify(|evidence| {
                evidence.open = evidence.open.saturating_sub(1);
                if is_silent { evidence.silent += 1 } else { evidence.reached += 1 }
            });
        }
        if !is_silent {
            return false;
        }
        if let Some(fixed) = self.evidence.fixed {
            return fixed;
        }
        let mut watched = self.evidence.cut_off.subscribe();
        if let Some(verdict) = watched.borrow().verdict() {
            return verdict;
        }
        leave();
        let decided = watched.wait_for(|evidence| evidence.verdict().is_some());
        tokio::select! {
            decided = decided => decided.is_ok_and(|evidence| evidence.verdict() == Some(true)),
            // The run ends, so no more evidence will come.
            () = cancel.cancelled() => true,
        }
    }

    /// Notes whether its record was stored.
    pub fn stored(&self, stored: Result<(), &StoreError>) {
        self.evidence.stored(stored);
    }

    fn note(&self, client: &Client, outcome: Result<(), &Failure>) {
        let mut found = self.evidence.lock();
        let failure = match outcome {
            Ok(()) => None,
            Err(failure) if failure.kind == FailureKind::NotReached => {
                found.dead_bastions.extend(failure.causes.first().cloned());
                return;
            }
            Err(failure) if says_nothing(failure) => return,
            Err(failure) => Some(failure),
        };
        found.used_bastions.extend(client.via.iter().map(|bastion| bastion.label()));
        found.visited += 1;
        if failure.is_none_or(|failure| !failure.kind.spec().looks_like_outage) {
            found.reached += 1;
        }
        let Some(failure) = failure else {
            found.trusted_keys.insert(label(client));
            return;
        };
        if matches!(failure.kind, FailureKind::HostKeyChanged | FailureKind::HostKeyRevoked) {
            found.changed_keys.insert(label(client));
        } else if failure.kind == FailureKind::HostKeyUnknown || failure.stage > Stage::Connect {
            found.trusted_keys.insert(label(client));
        }
        if is_our_shortage(failure) {
            found.shortage.get_or_insert(failure.to_string());
        }
    }
}

impl Drop for ClientEvidence {
    fn drop(&mut self) {
        if self.counts {
            self.evidence.cut_off.send_modify(|evidence| evidence.open = evidence.open.saturating_sub(1));
        }
    }
}

/// Whether a failure is no evidence about the client or the network: nobody asked the client.
fn says_nothing(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Cancelled | FailureKind::NotReached | FailureKind::LoginHeld)
}

/// Whether a failure is caused by exhausted resources of this machine. The texts are only searched in kinds of failures
/// whose causes come from our own operating system and not from clients.
fn is_our_shortage(failure: &Failure) -> bool {
    let is_told_here = matches!(failure.kind, FailureKind::CredentialUnusable | FailureKind::KnownHostsUnusable);
    let says_so = |cause: &String| SHORTAGES.iter().any(|words| cause.contains(words));
    failure.kind == FailureKind::CollectorShort || (is_told_here && failure.causes.iter().any(says_so))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{
        config::{AgentDelivery, Login},
        fleet::ClientId,
    };

    fn client(number: usize) -> Client {
        Client {
            id: ClientId::new(format!("10.0.0.{number}"), 22),
            name: format!("c{number}"),
            username: "ops".into(),
            login: Login::default(),
            mail: Vec::new(),
            rules: Vec::new(),
            agent: AgentDelivery::default(),
            events: None,
            events_mail: crate::fleet::rule::Repeat::Every,
            logs: Vec::new(),
            ignore: None,
            redact: None,
            legacy: false,
            via: Arc::default(),
            openssh: None,
        }
    }

    fn context(answered_before: usize) -> SweepContext {
        SweepContext { answered_before, is_whole: true, was_cut_off: false, is_told: true }
    }

    fn silent() -> Failure {
        Failure::new(Stage::Connect, FailureKind::TimedOut)
    }

    /// A sweep of clients whose collections end one second apart. Returns whether each failure was ours, and how many
    /// waited.
    async fn sweep(
        context: SweepContext,
        outcomes: &[Result<(), Failure>],
        cancel: &CancellationToken,
    ) -> (Vec<bool>, usize) {
        let evidence = SweepEvidence::new(context);
        let left = AtomicUsize::new(0);
        let visits = (0..).zip(outcomes).map(|(number, outcome)| {
            let (mut client_evidence, left) = (evidence.client(number < context.answered_before), &left);
            async move {
                tokio::time::sleep(Duration::from_secs(number as u64)).await;
                let leave = || {
                    left.fetch_add(1, Ordering::Relaxed);
                };
                client_evidence.collected(&client(number), outcome.as_ref().map(drop), leave, cancel).await
            }
        });
        let verdicts = tokio::time::timeout(Duration::from_secs(600), futures_util::future::join_all(visits)).await;
        (verdicts.expect("nobody waits for ever"), left.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_until_it_is_known_whose_they_are() {
        let never = CancellationToken::new();
        let all_silent = vec![Err(silent()); 10];
        assert_eq!(sweep(context(10), &all_silent, &never).await, (vec![true; 10], 9));
        // The second answer decides: waiting failures are judged, and later ones do not wait.
        let mut outcomes = all_silent.clone();
        (outcomes[2], outcomes[4]) = (Ok(()), Ok(()));
        assert_eq!(sweep(context(10), &outcomes, &never).await, (vec![false; 10], 3));
        // A refused login is an answer too.
        let refused = Err(Failure::new(Stage::Authenticate, FailureKind::AuthenticationRefused));
        (outcomes[2], outcomes[4]) = (refused.clone(), refused);
        assert_eq!(sweep(context(10), &outcomes, &never).await.0, [false; 10]);
        // Two clients are too few evidence, and if nobody is notified, nothing waits.
        assert_eq!(sweep(context(2), &all_silent[..2], &never).await, (vec![false; 2], 0));
        let untold = SweepContext { is_told: false, ..context(10) };
        assert_eq!(sweep(untold, &all_silent, &never).await, (vec![false; 10], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_the_clients_is_judged_by_what_was_known_before() {
        let never = CancellationToken::new();
        for was_cut_off in [false, true] {
            let part = SweepContext { is_whole: false, was_cut_off, ..context(5) };
            assert_eq!(sweep(part, &vec![Err(silent()); 5], &never).await, (vec![was_cut_off; 5], 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn visits_that_end_without_an_outcome_keep_nobody_waiting() {
        let cancel = CancellationToken::new();
        let cancelled = || Err(Failure::new(Stage::Queued, FailureKind::Cancelled));
        let outcomes = [Err(silent()), cancelled(), Err(silent()), cancelled(), Err(silent())];
        let (verdicts, _) = sweep(context(5), &outcomes, &cancel).await;
        assert_eq!(verdicts, [true, false, true, false, true], "three are left, and all of them are silent");
        let evidence = SweepEvidence::new(context(3));
        let [mut one, two, three] = [0; 3].map(|_| evidence.client(true));
        let waiting =
            tokio::spawn(
                async move { one.collected(&client(1), Err(&silent()), || {}, &CancellationToken::new()).await },
            );
        tokio::task::yield_now().await;
        drop((two, three));
        assert!(!waiting.await.unwrap(), "one alone shows nothing");
        // At the end of the run nothing waits.
        let evidence = SweepEvidence::new(context(3));
        let [mut one, _two, _three] = [0; 3].map(|_| evidence.client(true));
        cancel.cancel();
        assert!(one.collected(&client(1), Err(&silent()), || {}, &cancel).await);
    }

    #[test]
    fn only_what_our_own_system_says_is_our_shortage() {
        let of = |kind, cause: &str| is_our_shortage(&Failure::new(Stage::Connect, kind).because(cause));
        assert!(of(FailureKind::CollectorShort, "Too many open files (os error 24)"));
        assert!(of(FailureKind::KnownHostsUnusable, "No space left on device (os error 28)"));
        assert!(!of(FailureKind::NetworkUnreachable, "No route to host (os error 113)"));
        assert!(!of(FailureKind::AgentFailed, "No space left on device (os error 28)"), "that is the client's");
    }
}

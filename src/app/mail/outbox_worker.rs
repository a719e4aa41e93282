//! The outbox worker: takes due mails from the store, offers them to the SMTP server and stores the results. When a
//! mail is tried again is decided in `mail`.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::{error::chain, troubles::tracker::TroubleTracker},
    bus::Publisher,
    config::{Smtp, show_duration},
    fleet::{
        EventKind,
        event::MailStep,
        mail::Mail,
        troubles::{Finding, TroubleKind},
    },
    mail::{
        backoff,
        delivery::{self, DeliveryAttempt},
        outcome::{Answer, SendError},
        resize::{self, TooLarge},
        smtp::SmtpClient,
    },
    store::{Due, OutboxMail, Store, StoreError},
};

use super::wakeup::OutboxWakeup;

/// How many mails are taken from the database at once.
const BATCH: u32 = 100;

/// The longest sleep, which is also the time until the database is queried again after an error.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long `--once` waits for the SMTP server. Mails that were not accepted by then stay in the outbox.
pub const MAIL_WAIT: Duration = Duration::from_secs(10);

/// How long the current mail may still take when the worker is stopped. This is enough for a healthy server, so that an
/// accepted mail is stored as sent. Otherwise the attempt is aborted and the mail is offered again.
pub const LAST_MAIL: Duration = Duration::from_secs(2);

/// How often the waiting time of mails is updated.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

/// The first update of a process depends on the clock. It adds at most this fraction of the time that mails may wait,
/// so that no mail is given up because the clock jumped between two runs.
const UNSEEN_PART: u32 = 4;

/// The most refused mails and causes that are remembered.
const REMEMBERED: usize = 10_000;

/// The outbox worker.
#[derive(Debug)]
pub struct OutboxWorker {
    store: Store,
    client: SmtpClient,
    smtp: Smtp,
    publisher: Publisher,
    troubles: Arc<TroubleTracker>,
    /// When the waiting time of mails was last updated.
    counted: Option<Instant>,
    /// The mails for which the server last refused us, with its answers.
    refusing: HashMap<Uuid, String>,
    /// The causes of such refusals that were logged.
    logged: HashSet<String>,
    /// Whether every waiting mail was offered once. Before that, a mail that is not refused may just not have been
    /// offered.
    offered_all: bool,
}

/// The results of one round so far.
#[derive(Debug, Default)]
struct Round {
    /// Recipients for which the server refuses us. Their other mails are skipped.
    put_off: HashMap<String, (String, Timestamp)>,
    /// Whether the connection was lost during the previous mail.
    broke: bool,
    /// Whether any mail was sent.
    sent: bool,
}

impl OutboxWorker {
    /// A worker for the outbox of a store, with a client of the SMTP server `smtp`.
    #[must_use]
    pub fn new(
        store: Store,
        client: SmtpClient,
        smtp: Smtp,
        publisher: Publisher,
        troubles: Arc<TroubleTracker>,
    ) -> Self {
        Self {
            store,
            client,
            smtp,
            publisher,
            troubles,
            counted: None,
            refusing: HashMap::new(),
            logged: HashSet::new(),
            offered_all: false,
        }
    }

    /// Offers every due mail once, oldest first. Offers none while the database is away, because results could not be
    /// stored. Stops if no mail would get through, and returns the time until which all of them are deferred. Once
    /// `end` is cancelled, no further mail is offered, and the current one has [`LAST_MAIL`].
    ///
    /// # Errors
    /// [`StoreError`] if the database fails. A mail that was sent but whose result could not be stored is sent again
    /// later, with the same Message-ID.
    pub async fn offer(&mut self, due: Due, end: &CancellationToken) -> Result<ControlFlow<Timestamp>, StoreError> {
        let mut round = Round::default();
        let outcome = self.offer_all(due, &mut round, end).await;
        let is_complete = matches!(outcome, Ok(ControlFlow::Continue(()))) && !end.is_cancelled();
        self.offered_all |= is_complete && due == Due::All && !self.store.is_away();
        self.note_refusals(&round);
        // `QUIT` takes time too. If none is left, the connection is simply closed.
        if !end.is_cancelled() {
            self.client.quit().await;
        }
        outcome
    }

    async fn offer_all(
        &mut self,
        due: Due,
        round: &mut Round,
        end: &CancellationToken,
    ) -> Result<ControlFlow<Timestamp>, StoreError> {
        let began = Timestamp::now();
        self.count_waiting(began).await?;
        let mut after = None;
        loop {
            if self.store.is_away() {
                return Ok(ControlFlow::Continue(()));
            }
            let mails = self.store.mails_due(began, due, after, BATCH).await?;
            let Some(last) = mails.last() else { return Ok(ControlFlow::Continue(())) };
            after = Some(last.mail.id);
            for mail in mails {
                if end.is_cancelled() || self.store.is_away() {
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some((error, next_at)) = round.put_off.get(&mail.mail.recipient) {
                    let step = MailStep::Deferred { error: error.clone(), next_at: *next_at };
                    self.write_down(&mail, step, mail.attempts).await?;
                } else if let ControlFlow::Break(until) = self.offer_one(mail, round, end).await? {
                    return Ok(ControlFlow::Break(until));
                }
            }
        }
    }

    /// Offers mails as they become due until `stop`, which ends as described in [`offer`](Self::offer). All of them are
    /// offered at first, because the configuration may have been corrected. Database errors are logged, and the worker
    /// tries again.
    pub async fn run(&mut self, wakeup: &OutboxWakeup, stop: &CancellationToken) {
        let mut due = Due::All;
        loop {
            let offered = self.offer(std::mem::replace(&mut due, Due::Ready), stop).await;
            let (sleep, until_decided) = match offered {
                Ok(ControlFlow::Continue(())) => (self.until_next().await, true),
                // New mails are deferred too, because the server is not available for them either.
                Ok(ControlFlow::Break(until)) => (time_until(until), false),
                Err(error) => {
                    tracing::error!("the outbox cannot be read: {}", chain(&error));
                    // The worker is woken when the database is back.
                    (LONGEST_SLEEP, true)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = wakeup.decided(), if until_decided => {}
                () = wakeup.all() => due = Due::All,
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Updates the waiting time of mails. Between two updates of one process it uses the monotonic clock.
    async fn count_waiting(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let since = self.counted.map(|counted| counted.elapsed());
        if since.is_some_and(|since| since < COUNTED_EVERY)
            || self.store.is_away()
            || self.store.next_mail_at().await?.is_none()
        {
            return Ok(());
        }
        let most = since.unwrap_or(self.smtp.give_up / UNSEEN_PART);
        match self.store.count_waiting(now, most).await {
            Err(error) if error.kind.will_pass() => {
                tracing::debug!("how long mails have waited was not counted: {error}");
                Ok(())
            }
            counted => {
                self.counted = Some(Instant::now());
                counted
            }
        }
    }

    /// The time until the next mail is due, according to the database.
    async fn until_next(&self) -> Duration {
        if self.store.is_away() {
            return LONGEST_SLEEP;
        }
        match self.store.next_mail_at().await {
            Ok(next) => next.map_or(LONGEST_SLEEP, time_until).min(LONGEST_SLEEP),
            Err(error) => {
                tracing::error!("the outbox cannot be read: {}", chain(&error));
                LONGEST_SLEEP
            }
        }
    }

    /// Offers one mail and stores the result. A mail that is too large is offered again in a smaller form. Breaks if no
    /// mail would get through.
    async fn offer_one(
        &mut self,
        mut waiting: OutboxMail,
        round: &mut Round,
        end: &CancellationToken,
    ) -> Result<ControlFlow<Timestamp>, StoreError> {
        loop {
            waiting.attempts = waiting.attempts.saturating_add(1);
            let given_up = async {
                end.cancelled().await;
                tokio::time::sleep(LAST_MAIL).await;
            };
            let result = self.client.send_until(&waiting.mail, given_up).await;
            if let Err(error @ SendError::TooLarge { limit_bytes, .. }) = &result
                && let Some(parts) = self.smaller(&waiting, *limit_bytes).await
            {
                let reason = format!("{error}: {}", words_of_parts(&waiting.mail, &parts));
                tracing::warn!(mail = %waiting.mail.id, "mail to {}: {reason}", waiting.mail.recipient);
                self.store.mail_split(waiting.mail.id, parts.clone(), &reason).await?;
                // The other parts are new mails, which are offered later in this round.
                let Some(first) = parts.into_iter().next() else { return Ok(ControlFlow::Continue(())) };
                (waiting.mail, waiting.splits) = (first, waiting.splits.saturating_add(1));
                if !end.is_cancelled() {
                    continue;
                }
                return Ok(ControlFlow::Continue(()));
            }
            return self.conclude(&waiting, &result, round).await;
        }
    }

    /// Stores the result of a mail and applies its consequences for the others.
    async fn conclude(
        &mut self,
        waiting: &OutboxMail,
        result: &Result<Answer, SendError>,
        round: &mut Round,
    ) -> Result<ControlFlow<Timestamp>, StoreError> {
        let mail = &waiting.mail;
        let (attempts, give_up, now) = (waiting.attempts, self.smtp.give_up, Timestamp::now());
        let step = delivery::after_try(
            result,
            DeliveryAttempt { attempts, waited: waiting.waited, give_up, now },
            rand::random(),
        );
        self.write_down(waiting, step.clone(), attempts).await?;
        let ends = delivery::ends_the_round(result, round.broke);
        round.broke = delivery::broke(result);
        round.sent |= result.is_ok();
        match delivery::refusal_of_us(result) {
            Some(error) => {
                self.log_once(error);
                if self.refusing.len() < REMEMBERED {
                    self.refusing.insert(mail.id, error.to_string());
                }
            }
            None => {
                self.refusing.remove(&mail.id);
            }
        }
        let mut until = now.saturating_add(backoff::rest(attempts, 0.0)).unwrap_or(Timestamp::MAX);
        match step {
            MailStep::Deferred { error, next_at } => {
                if delivery::refuses_us_the_recipient(result) {
                    round.put_off.insert(mail.recipient.clone(), (error, next_at));
                }
                until = next_at;
            }
            MailStep::Refused { .. } | MailStep::Sent { .. } | MailStep::Queued => {
                self.refusing.remove(&mail.id);
            }
        }
        match result {
            Err(error) if ends => {
                self.give_up_all(&error.to_string()).await?;
                Ok(ControlFlow::Break(until))
            }
            Ok(_) | Err(_) => Ok(ControlFlow::Continue(())),
        }
    }

    /// Stores the result of a mail in the database, then publishes it.
    async fn write_down(&self, waiting: &OutboxMail, step: MailStep, attempts: u32) -> Result<(), StoreError> {
        let (mail, now) = (&waiting.mail, Timestamp::now());
        match &step {
            MailStep::Sent { answer } => self.store.mail_sent(mail.id, now, answer).await?,
            MailStep::Refused { error } => self.store.mail_refused(mail.id, now, error).await?,
            MailStep::Deferred { error, next_at } => {
                self.store.mail_deferred(mail.id, attempts, *next_at, error).await?;
            }
            MailStep::Queued => {}
        }
        let kind = EventKind::Mail { mail: mail.id, kind: mail.kind, recipient: mail.recipient.clone(), step };
        self.publisher.publish(waiting.sweep, waiting.client.as_ref(), kind).await;
        Ok(())
    }

    /// No mail gets through. Gives up the mails that have waited for the maximum time.
    async fn give_up_all(&mut self, error: &str) -> Result<(), StoreError> {
        let error = delivery::given_up(error, self.smtp.give_up);
        loop {
            let mails = self.store.mails_due(Timestamp::now(), Due::Waited(self.smtp.give_up), None, BATCH).await?;
            if mails.is_empty() {
                return Ok(());
            }
            for waiting in &mails {
                self.write_down(waiting, MailStep::Refused { error: error.clone() }, waiting.attempts).await?;
                self.refusing.remove(&waiting.mail.id);
            }
        }
    }

    /// Smaller mails that replace one that is too large; `None` if nothing can be removed.
    async fn smaller(&self, waiting: &OutboxMail, limit_bytes: Option<u64>) -> Option<Vec<Mail>> {
        let (mail, splits, from) = (waiting.mail.clone(), waiting.splits, self.smtp.from.clone());
        // Encoding a list of several MiB repeatedly takes some CPU time.
        let resized = tokio::task::spawn_blocking(move || {
            let size_of = |mail: &Mail| resize::size_of(&from, mail);
            resize::resized(&mail, &TooLarge { splits, limit_bytes, size_of: &size_of }, &mut Uuid::now_v7)
        });
        match resized.await {
            Ok(parts) => parts,
            Err(error) => {
                tracing::error!("making a mail smaller failed: {error}");
                None
            }
        }
    }

    /// Logs one line per cause, for however many mails it concerns.
    fn log_once(&mut self, error: &SendError) {
        if self.logged.len() < REMEMBERED && self.logged.insert(delivery::cause(error)) {
            tracing::error!(
                "the mail server refuses this collector: {error}; mails wait and are given up after {}: fix <smtp> or the \
                 server, then reload or restart",
                show_duration(self.smtp.give_up)
            );
        }
    }

    /// After a round, reports whether the server refuses us.
    fn note_refusals(&mut self, round: &Round) {
        if let Some(words) = self.refusing.values().next() {
            let detail = format!("{words} ({} mails wait for that reason)", self.refusing.len());
            self.troubles.note(Finding::Present { kind: TroubleKind::Mail, detail });
        } else if round.sent && self.offered_all {
            self.logged.clear();
            self.troubles.note(Finding::Absent(TroubleKind::Mail));
        }
    }
}

/// The result of a mail in words.
fn words_of_parts(mail: &Mail, parts: &[Mail]) -> String {
    match parts {
        [_] if mail.attachments.is_empty() => "truncated".to_owned(),
        [_] => "sent without its attachments".to_owned(),
        parts => format!("split into {} mails", parts.len()),
    }
}

/// At least a short time, so that a mail that stays due does not cause a busy loop.
fn time_until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default().max(Duration::from_secs(1))
}

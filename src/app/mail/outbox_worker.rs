//! Empties the outbox: takes due mails from the store, offers them to the SMTP server, writes down what
//! became of each. When and how a mail is tried again is `mail`'s to say.

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

/// The longest sleep: also the bound after which a database that failed is asked again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The longest that `--once` waits for the SMTP server; what it has not taken by then stays in the outbox.
pub const MAIL_WAIT: Duration = Duration::from_secs(10);

/// How long a mail on its way may still take when the offering is to end: enough for a server in health, so
/// that what it has taken is written down as sent. Others are given up, with the reason, and offered again.
pub const LAST_MAIL: Duration = Duration::from_secs(2);

/// How often it is counted how long mails have waited.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

/// The first count of a process knows no more than the clock: it takes this part of the time that mails may wait at
/// most, so that a clock that leaps between two runs gives up no mail.
const UNSEEN_PART: u32 = 4;

/// The most refusals that are remembered, of mails and of causes.
const REMEMBERED: usize = 10_000;

/// The way from the outbox to the SMTP server.
#[derive(Debug)]
pub struct OutboxWorker {
    store: Store,
    client: SmtpClient,
    smtp: Smtp,
    publisher: Publisher,
    troubles: Arc<TroubleTracker>,
    /// When it was last counted how long mails have waited.
    counted: Option<Instant>,
    /// The mails at which the server last refused us, with its words.
    refusing: HashMap<Uuid, String>,
    /// The causes of such refusals that were logged.
    logged: HashSet<String>,
    /// Whether every waiting mail was offered once: before that, what is not refused may only not have been offered.
    offered_all: bool,
}

/// What one round has met so far.
#[derive(Debug, Default)]
struct Round {
    /// Recipients for which the server refuses us: their other mails would meet the same.
    put_off: HashMap<String, (String, Timestamp)>,
    /// Whether the server was lost in the middle of the mail before.
    broke: bool,
    /// Whether any mail was sent.
    sent: bool,
}

impl OutboxWorker {
    /// An outbox over a store and a client of the SMTP server `smtp`.
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

    /// Offers every due mail once, oldest first; none while the database is away, which cannot say what became of
    /// each. Breaks off where no mail would get through, and gives the
    /// time until which all of them rest. Once `end` is cancelled no further mail is offered, and the one on
    /// its way has [`LAST_MAIL`].
    ///
    /// # Errors
    /// [`StoreError`] where the database fails; a mail that was sent but could not be written down is
    /// sent again later, with the same Message-ID.
    pub async fn offer(&mut self, due: Due, end: &CancellationToken) -> Result<ControlFlow<Timestamp>, StoreError> {
        let mut round = Round::default();
        let outcome = self.offer_all(due, &mut round, end).await;
        let is_complete = matches!(outcome, Ok(ControlFlow::Continue(()))) && !end.is_cancelled();
        self.offered_all |= is_complete && due == Due::All && !self.store.is_away();
        self.note_refusals(&round);
        // Taking leave takes time as well: where none is left, the connection is simply closed.
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

    /// Offers mails as they fall due until `stop`, which ends an offering as [`offer`](Self::offer) says; all of them
    /// at first, since the configuration may be a corrected one. The database failing is logged and tried again.
    pub async fn run(&mut self, wakeup: &OutboxWakeup, stop: &CancellationToken) {
        let mut due = Due::All;
        loop {
            let offered = self.offer(std::mem::replace(&mut due, Due::Ready), stop).await;
            let (sleep, until_decided) = match offered {
                Ok(ControlFlow::Continue(())) => (self.until_next().await, true),
                // What is decided meanwhile rests too: the server is away for it as well.
                Ok(ControlFlow::Break(until)) => (time_until(until), false),
                Err(error) => {
                    tracing::error!("the outbox cannot be read: {}", chain(&error));
                    // A database that is away rings when it is back.
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

    /// Counts how long the mails have waited. Between two counts of one process it trusts its own clock, which does
    /// not leap.
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

    /// The time until the next mail falls due, as far as the database tells.
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

    /// Offers one mail and writes down what became of it. One that is too large is offered again in a smaller form.
    /// Breaks where no mail would get through.
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
                // The others are new mails, and have their turn in this round still.
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

    /// Writes down what became of a mail, and what follows for the others.
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

    /// Keeps in the database what became of a mail, then tells it.
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

    /// No mail gets through: those that have waited for their whole time wait no longer.
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

    /// Smaller mails in the place of one that is too large; `None` where nothing can be left out.
    async fn smaller(&self, waiting: &OutboxMail, limit_bytes: Option<u64>) -> Option<Vec<Mail>> {
        let (mail, splits, from) = (waiting.mail.clone(), waiting.splits, self.smtp.from.clone());
        // Encoding a list of some MiB several times takes a moment of a processor.
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

    /// One line for each cause, however many mails meet it.
    fn log_once(&mut self, error: &SendError) {
        if self.logged.len() < REMEMBERED && self.logged.insert(delivery::cause(error)) {
            tracing::error!(
                "the mail server refuses this collector: {error}; mails wait and are given up after {}: fix <smtp> or the \
                 server, then reload or restart",
                show_duration(self.smtp.give_up)
            );
        }
    }

    /// After a round: whether the server refuses us.
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

/// What a mail became, in words.
fn words_of_parts(mail: &Mail, parts: &[Mail]) -> String {
    match parts {
        [_] if mail.attachments.is_empty() => "truncated".to_owned(),
        [_] => "sent without its attachments".to_owned(),
        parts => format!("split into {} mails", parts.len()),
    }
}

/// At least a moment: a mail that stays due must not make a busy loop.
fn time_until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default().max(Duration::from_secs(1))
}

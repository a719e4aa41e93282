//! Empties the outbox: takes due mails from the store, offers them to the SMTP server, writes down what
//! became of each. When and how a mail is tried again is `mail`'s to say.

use std::{ops::ControlFlow, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{EventKind, event::MailStep},
    mail::{delivery, smtp::SmtpClient},
    spine::Spine,
    store::{Due, OutboxMail, Store, StoreError},
};

use super::bell::Bell;

/// How many mails are taken from the database at once.
const BATCH: u32 = 100;

/// The longest sleep: also the bound after which a database that failed is asked again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long a mail on its way may still take when the offering is to end: enough for a server in health, so
/// that what it has taken is written down as sent. Others are given up, with the reason, and offered again.
pub const LAST_MAIL: Duration = Duration::from_secs(2);

/// The way from the outbox to the SMTP server.
#[derive(Debug)]
pub struct Outbox {
    store: Store,
    client: SmtpClient,
    spine: Spine,
}

impl Outbox {
    /// An outbox over a store and a client of the SMTP server.
    #[must_use]
    pub fn new(store: Store, client: SmtpClient, spine: Spine) -> Self {
        Self { store, client, spine }
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
        let outcome = self.offer_all(due, end).await;
        // Taking leave takes time as well: where none is left, the connection is simply closed.
        if !end.is_cancelled() {
            self.client.quit().await;
        }
        outcome
    }

    async fn offer_all(&mut self, due: Due, end: &CancellationToken) -> Result<ControlFlow<Timestamp>, StoreError> {
        let began = Timestamp::now();
        let mut after = None;
        loop {
            if self.store.is_away() {
                return Ok(ControlFlow::Continue(()));
            }
            let mails = self.store.mails_due(began, due, after, BATCH).await?;
            let Some(last) = mails.last() else { return Ok(ControlFlow::Continue(())) };
            after = Some(last.mail.id);
            for mail in &mails {
                if end.is_cancelled() || self.store.is_away() {
                    return Ok(ControlFlow::Continue(()));
                }
                if let ControlFlow::Break(until) = self.offer_one(mail, end).await? {
                    return Ok(ControlFlow::Break(until));
                }
            }
        }
    }

    /// Offers mails as they fall due until `stop`, which ends an offering as [`offer`](Self::offer) says. The
    /// database failing is logged and tried again.
    pub async fn run(&mut self, bell: &Bell, stop: &CancellationToken) {
        let mut due = Due::Ready;
        loop {
            let offered = self.offer(std::mem::replace(&mut due, Due::Ready), stop).await;
            let (sleep, until_decided) = match offered {
                Ok(ControlFlow::Continue(())) => (self.until_next().await, true),
                // What is decided meanwhile rests too: the server is away for it as well.
                Ok(ControlFlow::Break(until)) => (time_until(until), false),
                Err(error) => {
                    tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                    // A database that is away rings when it is back.
                    (LONGEST_SLEEP, true)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.decided(), if until_decided => {}
                () = bell.all() => due = Due::All,
                () = tokio::time::sleep(sleep) => {}
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
                tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                LONGEST_SLEEP
            }
        }
    }

    /// Offers one mail and writes down what became of it. Breaks where no mail would get through.
    async fn offer_one(
        &mut self,
        waiting: &OutboxMail,
        end: &CancellationToken,
    ) -> Result<ControlFlow<Timestamp>, StoreError> {
        let mail = &waiting.mail;
        let attempts = waiting.attempts + 1;
        let given_up = async {
            end.cancelled().await;
            tokio::time::sleep(LAST_MAIL).await;
        };
        let result = self.client.send_until(mail, given_up).await;
        let now = Timestamp::now();
        let step = delivery::after_try(&result, attempts, now, rand::random());
        let mut flow = ControlFlow::Continue(());
        match &step {
            MailStep::Sent { answer } => self.store.mail_sent(mail.id, now, answer).await?,
            MailStep::Refused { error } => self.store.mail_refused(mail.id, now, error).await?,
            MailStep::Deferred { error, next_at } => {
                self.store.mail_deferred(mail.id, attempts, *next_at, error).await?;
                if delivery::ends_the_round(&result) {
                    flow = ControlFlow::Break(*next_at);
                }
            }
            MailStep::Queued => {}
        }
        let kind = EventKind::Mail { mail: mail.id, kind: mail.kind, recipient: mail.recipient.clone(), step };
        self.spine.tell(waiting.sweep, waiting.client.as_ref(), kind).await;
        Ok(flow)
    }
}

/// At least a moment: a mail that stays due must not make a busy loop.
fn time_until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default().max(Duration::from_secs(1))
}

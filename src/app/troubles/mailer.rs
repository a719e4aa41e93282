//! Mails about the collector's own troubles. They go directly to the SMTP server and not to the outbox, so that neither
//! the database nor the disk is needed.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::{
        error::{RunError, chain},
        mail::{outbox_worker::MAIL_WAIT, smtp_clients::smtp_client},
        process::identity::host_name,
    },
    config::{Config, Smtp},
    fleet::{mail::Mail, troubles::TroubleNotice},
    mail::{
        backoff,
        compose::Composer,
        outcome::SendError,
        resize::{self, TooLarge},
        smtp::SmtpClient,
    },
};

use super::tracker::TroubleTracker;

/// The longest pause after failed attempts. It is short, because there are few such mails and each is important.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);

/// The mailer for troubles.
#[derive(Debug)]
pub struct TroubleMailer {
    troubles: Arc<TroubleTracker>,
    client: SmtpClient,
    smtp: Smtp,
    composer: Arc<Composer>,
    /// The host name that mails show.
    here: String,
    /// What was last logged about a mail that could not be sent.
    logged: String,
}

impl TroubleMailer {
    /// A mailer with its own client of the SMTP server `smtp`, because a connection sends one mail at a time.
    #[must_use]
    pub fn new(
        troubles: Arc<TroubleTracker>,
        client: SmtpClient,
        smtp: Smtp,
        composer: Arc<Composer>,
        here: String,
    ) -> Self {
        Self { troubles, client, smtp, composer, here, logged: String::new() }
    }

    /// Sends mails about troubles until `stop`. The next run sends the remaining ones.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut failed = 0_u32;
        loop {
            let told = tokio::select! {
                told = self.tell() => told,
                () = stop.cancelled() => break,
            };
            failed = if told { 0 } else { failed.saturating_add(1) };
            let rest = async {
                match failed {
                    0 => std::future::pending().await,
                    failed => tokio::time::sleep(backoff::rest(failed, rand::random()).min(LONGEST_REST)).await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = rest => {}
                // A new trouble does not shorten the pause after a failure of the server.
                () = self.troubles.changed(), if failed == 0 => {}
            }
        }
        self.troubles.keep().await;
    }

    /// Sends the mails that are due now, until a deadline.
    pub async fn deliver(&mut self, until: Instant) {
        if tokio::time::timeout_at(until, self.tell()).await.is_err() {
            tracing::warn!("the SMTP server is slow: the next run mails the collector's own troubles");
        }
        self.troubles.keep().await;
    }

    /// Offers every due mail once. Returns whether none is left.
    async fn tell(&mut self) -> bool {
        // Before anything is sent: otherwise a mail that was sent before its id was stored would be sent again with
        // another id.
        self.troubles.keep().await;
        let mut all_told = true;
        for notice in self.troubles.notices() {
            let mail = match self.composer.trouble_mail(&notice, &self.here) {
                Ok(mail) => mail,
                Err(error) => {
                    tracing::error!("a mail could not be composed: {}", chain(&error));
                    continue;
                }
            };
            // Even if sending was interrupted, so that the recipient is also told about the end of the trouble.
            self.troubles.tried(&notice, false);
            match self.send(mail).await {
                Ok(()) => {
                    tracing::info!(trouble = %notice.kind, "mailed {}: {}", notice.recipient, notice.kind.spec().title);
                    self.troubles.tried(&notice, true);
                }
                Err(error @ SendError::Refused { .. }) => {
                    self.log_once(&notice, &format!("{error}; fix `mail` on <collector>"));
                    self.troubles.tried(&notice, true);
                }
                Err(error @ (SendError::Deferred { .. } | SendError::TooLarge { .. })) => {
                    self.log_once(&notice, &error.to_string());
                    all_told = false;
                }
            }
        }
        self.client.quit().await;
        self.troubles.keep().await;
        all_told
    }

    async fn send(&mut self, mail: Mail) -> Result<(), SendError> {
        match self.client.send(&mail).await {
            Err(SendError::TooLarge { limit_bytes, words }) => match self.smaller(&mail, limit_bytes) {
                Some(smaller) => self.client.send(&smaller).await.map(drop),
                None => Err(SendError::TooLarge { limit_bytes, words }),
            },
            sent => sent.map(drop),
        }
    }

    /// As much of the text as the server accepts.
    fn smaller(&self, mail: &Mail, limit_bytes: Option<u64>) -> Option<Mail> {
        let size_of = |mail: &Mail| resize::size_of(&self.smtp.from, mail);
        let known = TooLarge { splits: 0, limit_bytes, size_of: &size_of };
        resize::resized(mail, &known, &mut Uuid::now_v7)?.into_iter().next()
    }

    fn log_once(&mut self, notice: &TroubleNotice, words: &str) {
        let line = format!("could not mail {} about \"{}\": {words}", notice.recipient, notice.kind.spec().title);
        if self.logged != line {
            tracing::error!("{line}");
            self.logged = line;
        }
    }
}

/// Reports that the database could not be opened or failed permanently to the recipients of troubles, within
/// [`MAIL_WAIT`]. `troubles` is the tracker of this run, if it had one.
pub async fn report_database(config: &Config, troubles: Option<Arc<TroubleTracker>>, failed: &RunError) {
    let RunError::Database(error) = failed else { return };
    let troubles = match troubles {
        Some(troubles) => troubles,
        None => TroubleTracker::open(config).await,
    };
    troubles.note_database(error);
    if !troubles.has_recipients() {
        return troubles.keep().await;
    }
    let trouble_mailer = async {
        let client = smtp_client(&config.smtp).await?;
        let composer = Arc::new(Composer::new()?);
        Ok::<_, RunError>(TroubleMailer::new(troubles.clone(), client, config.smtp.clone(), composer, host_name()))
    };
    match trouble_mailer.await {
        Ok(mut trouble_mailer) => trouble_mailer.deliver(Instant::now() + MAIL_WAIT).await,
        Err(error) => tracing::error!("this could not be mailed: {}", chain(&error)),
    }
}

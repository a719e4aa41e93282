//! What outlives a configuration (store, ledger, spine, wheel), and the putting to work of one.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Client, Config, DEFAULT_FILE, Smtp, directories::Environment, harmless},
    fleet::{EventKind, event::ClientCard},
    mail::{
        compose::{self, Composer},
        smtp::SmtpClient,
    },
    spine::Spine,
    store::{Holder, Store, StoreError, StoreErrorKind},
    sweep::{Collector, SessionKeeping, room::Costs},
};

use super::{
    Failed, bell::Bell, beside, courier::Courier, descriptors::Descriptors, ledger::Ledger, once, outage,
    outbox::Outbox, pipeline::Pipeline, troubles::Troubles, wheel::Wheel,
};

/// How long another run that sweeps once, or one that is ending, is waited for: as long as most sweeps take.
pub const ONCE_PATIENCE: Duration = Duration::from_secs(120);

/// How long a service waits for a collector that is ending, or of which nothing is left but its lock.
pub const SERVICE_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const ONCE_PAUSE: Duration = Duration::from_millis(200);

/// Whether sessions outlive a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// As many as there are descriptors for.
    Kept,
    /// None.
    Closed,
}

/// Who collects into a database.
#[derive(Debug)]
pub enum Opened {
    /// This process.
    Ours(Box<Base>),
    /// Another one; the error names it as far as that can be read.
    Held(Box<StoreError>),
}

/// The lasting parts.
#[derive(Debug)]
pub struct Base {
    /// The database.
    pub store: Store,
    /// Turns the sweeps.
    pub wheel: Wheel,
    /// Where everything is told.
    pub spine: Spine,
    /// Wakes the outbox.
    pub bell: Arc<Bell>,
    /// What is known between two collections.
    pub ledger: Arc<Ledger>,
    /// What is wrong with the collector itself.
    pub troubles: Arc<Troubles>,
    /// What this process may open.
    pub descriptors: Descriptors,
    /// What the database was told of this process.
    pub(super) announced: Mutex<Option<Holder>>,
    composer: Arc<Composer>,
    here: String,
}

impl Base {
    /// Opens the database of `config` and reads what it knows of the clients' rules; or finds out who collects into it
    /// already.
    ///
    /// # Errors
    /// [`Failed::Database`] where the database cannot be opened or read.
    pub async fn open_now(config: &Config, costs: Costs, spine: Spine) -> Result<Opened, Failed> {
        match Store::open_configured(&config.database, &Environment::of_process()).await {
            Ok(store) => Ok(Opened::Ours(Box::new(Self::over(config, store, costs, spine).await?))),
            Err(error) if error.kind == StoreErrorKind::InUse => Ok(Opened::Held(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    async fn over(config: &Config, store: Store, costs: Costs, spine: Spine) -> Result<Self, Failed> {
        let turns = store.last_sweep_number().await?;
        let ledger = Ledger::new(store.client_states().await?, store.bookmarks().await?);
        ledger.take_in_spent(store.reader().spent().await?);
        let wheel = Wheel::new(ledger.clone(), spine.clone(), store.clone(), turns);
        let bell = Arc::new(Bell::default());
        // Whoever collects minds them: the lock of the database comes first.
        let troubles = Troubles::open(config).await;
        // Ends with the store.
        tokio::spawn(outage::tell(store.condition(), spine.clone(), bell.clone()));
        tokio::spawn(troubles.clone().follow(store.condition()));
        let descriptors = Descriptors::of_process(costs)?;
        let composer = Arc::new(Composer::new()?);
        let announced = Mutex::new(None);
        Ok(Self { store, wheel, spine, bell, ledger, troubles, descriptors, announced, composer, here: super::here() })
    }

    /// The same, with so much patience for a run that sweeps once or a collector that is ending.
    ///
    /// # Errors
    /// As [`open_now`](Self::open_now); also where that one is still there in the end.
    pub async fn open_or_find(
        config: &Config,
        costs: Costs,
        spine: Spine,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Opened, Failed> {
        let deadline = Instant::now() + patience;
        let mut said = false;
        loop {
            let held = match Self::open_now(config, costs, spine.clone()).await? {
                Opened::Held(held) if beside::ends_soon(held.holder.as_deref()) => held,
                opened @ (Opened::Ours(_) | Opened::Held(_)) => return Ok(opened),
            };
            if Instant::now() >= deadline || stop.is_cancelled() {
                return Err(Failed::Database(*held));
            }
            if !said {
                said = true;
                tracing::info!("waiting: {held}");
            }
            // The lock tells nobody of its end.
            tokio::time::sleep(ONCE_PAUSE).await;
        }
    }

    /// Puts the sweeping part of `config` to work, and tells who its clients are.
    ///
    /// # Errors
    /// [`Failed::Sweep`] where its host keys cannot be used.
    pub async fn pipeline(&self, config: &Config, sessions: Sessions) -> Result<Arc<Pipeline>, Failed> {
        let (wanted, clients) = (config.collector.concurrency.get(), config.clients.len());
        let plan = self.descriptors.plan(wanted, clients);
        let keeps = sessions == Sessions::Kept;
        if let Some(shortfall) = self.descriptors.shortfall(plan, wanted, clients, keeps) {
            tracing::warn!("{shortfall}");
        }
        let kept = if keeps { NonZeroUsize::new(plan.kept) } else { None };
        let keeping = kept.map_or(SessionKeeping::CloseAfterUse, SessionKeeping::Keep);
        let room = self.descriptors.room().clone();
        let collector = Collector::new(config, keeping, self.spine.clone())?.with_room(keeping, room.clone());
        let clients = config.clients.iter().map(card).collect();
        self.spine.tell(None, None, EventKind::Configured { clients }).await;
        Ok(Arc::new(Pipeline {
            clients: config.clients.iter().cloned().map(Arc::new).collect(),
            events: config.collector.events,
            concurrency: plan.concurrency,
            room,
            collector,
            store: self.store.clone(),
            ledger: self.ledger.clone(),
            spine: self.spine.clone(),
            composer: self.composer.clone(),
            bell: self.bell.clone(),
            here: self.here.clone(),
            program: program(config),
            troubles: self.troubles.clone(),
            has_all_clients: config.whole,
        }))
    }

    /// Puts the mailing part of `config` to work: the outbox, and the courier beside it.
    ///
    /// # Errors
    /// [`Failed`] where its account cannot be used.
    pub async fn mailing(&self, config: &Config) -> Result<(Outbox, Courier), Failed> {
        let smtp = &config.smtp;
        let [for_mails, for_troubles] = smtp_clients(smtp).await?;
        let outbox =
            Outbox::new(self.store.clone(), for_mails, smtp.clone(), self.spine.clone(), self.troubles.clone());
        let (composer, here) = (self.composer.clone(), self.here.clone());
        Ok((outbox, Courier::new(self.troubles.clone(), for_troubles, smtp.clone(), composer, here)))
    }
}

/// The database could not be opened, or failed for good: whoever hears of the collector's own troubles is told, for as
/// long as a run waits for mails. `troubles` are those of this run where it came so far.
pub async fn tell_of_database(config: &Config, troubles: Option<Arc<Troubles>>, failed: &Failed) {
    let Failed::Database(error) = failed else { return };
    let troubles = match troubles {
        Some(troubles) => troubles,
        None => Troubles::open(config).await,
    };
    troubles.note_database(error);
    if !troubles.has_recipients() {
        return troubles.keep().await;
    }
    let courier = async {
        let [client, _] = smtp_clients(&config.smtp).await?;
        let composer = Arc::new(Composer::new()?);
        Ok::<_, Failed>(Courier::new(troubles.clone(), client, config.smtp.clone(), composer, super::here()))
    };
    match courier.await {
        Ok(mut courier) => courier.deliver(Instant::now() + once::MAIL_WAIT).await,
        Err(error) => tracing::error!("nobody is told of it: {}", super::chain(&error)),
    }
}

/// How this program is called on this machine, from any directory.
fn program(config: &Config) -> String {
    let directory = std::env::current_dir().unwrap_or_default();
    let option = if config.file.as_os_str() == DEFAULT_FILE {
        String::new()
    } else {
        format!(" --config {}", compose::in_shell(&config.file.display().to_string()))
    };
    format!("cd {} && fleetsweep{option}", compose::in_shell(&directory.display().to_string()))
}

/// A client for the SMTP server, its password fetched.
///
/// # Errors
/// [`Failed`] where the password cannot be fetched or TLS not be set up.
pub async fn smtp_client(smtp: &Smtp) -> Result<SmtpClient, Failed> {
    let [client, _] = smtp_clients(smtp).await?;
    Ok(client)
}

/// Two of them, the password fetched once.
async fn smtp_clients(smtp: &Smtp) -> Result<[SmtpClient; 2], Failed> {
    let password = match &smtp.login {
        Some(login) => Some(login.password.fetch().await?),
        None => None,
    };
    let client = || SmtpClient::with_password(smtp, password.as_ref());
    Ok([client()?, client()?])
}

/// What the fleet needs to know of a configured client.
#[must_use]
pub fn card(client: &Client) -> ClientCard {
    let username = harmless::account(&client.username).to_string();
    ClientCard { id: client.id.clone(), name: client.name.clone(), username }
}

//! What outlives a configuration (store, ledger, spine, wheel), and the putting to work of one.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Client, Config, Smtp},
    fleet::{EventKind, event::ClientCard},
    mail::{compose::Composer, postman::Postman},
    spine::Spine,
    store::{Holder, Store, StoreErrorKind, place::Environment},
    sweep::{Collector, SessionKeeping},
};

use super::{Failed, bell::Bell, beside, ledger::Ledger, outage, outbox::Outbox, pipeline::Pipeline, wheel::Wheel};

/// How long another run that sweeps once is waited for: as long as most sweeps take.
const ONCE_PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked whether it has ended.
const ONCE_PAUSE: Duration = Duration::from_millis(200);

/// Who collects into a database.
#[derive(Debug)]
pub enum Opened {
    /// This process.
    Ours(Box<Base>),
    /// Another one, which takes orders; who it is, as far as that can be read.
    Held(Option<Box<Holder>>),
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
    composer: Arc<Composer>,
    here: String,
}

impl Base {
    /// Opens the database of `config` and reads what it knows of the clients' rules.
    ///
    /// # Errors
    /// [`Failed::Database`] where the database cannot be opened or read.
    pub async fn open(config: &Config, spine: Spine) -> Result<Self, Failed> {
        Self::over(Store::open_configured(&config.database, &Environment::of_process()).await?, spine).await
    }

    async fn over(store: Store, spine: Spine) -> Result<Self, Failed> {
        let turns = store.last_sweep_number().await?;
        let ledger = Ledger::new(store.client_states().await?, store.bookmarks().await?);
        let wheel = Wheel::new(ledger.clone(), spine.clone(), store.clone(), turns);
        let bell = Arc::new(Bell::default());
        // Ends with the store.
        tokio::spawn(outage::tell(store.condition(), spine.clone(), bell.clone()));
        Ok(Self { store, wheel, spine, bell, ledger, composer: Arc::new(Composer::new()?), here: super::here() })
    }

    /// Opens it, or finds out who collects into it already. A run that sweeps once is waited for.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_or_find(config: &Config, spine: Spine, stop: &CancellationToken) -> Result<Opened, Failed> {
        let deadline = Instant::now() + ONCE_PATIENCE;
        loop {
            let error = match Store::open_configured(&config.database, &Environment::of_process()).await {
                Ok(store) => return Ok(Opened::Ours(Box::new(Self::over(store, spine).await?))),
                Err(error) if error.kind == StoreErrorKind::InUse => error,
                Err(error) => return Err(error.into()),
            };
            if !beside::ends_soon(error.holder.as_deref()) {
                return Ok(Opened::Held(error.holder));
            }
            if Instant::now() >= deadline || stop.is_cancelled() {
                return Err(error.into());
            }
            // The lock tells nobody of its end.
            tokio::time::sleep(ONCE_PAUSE).await;
        }
    }

    /// Puts the sweeping part of `config` to work, and tells who its clients are.
    ///
    /// # Errors
    /// [`Failed::Sweep`] where its host keys cannot be used.
    pub async fn pipeline(&self, config: &Config, keeping: SessionKeeping) -> Result<Arc<Pipeline>, Failed> {
        let collector = Collector::new(config, keeping, self.spine.clone())?;
        let clients = config.clients.iter().map(card).collect();
        self.spine.tell(None, None, EventKind::Configured { clients }).await;
        Ok(Arc::new(Pipeline {
            clients: config.clients.iter().cloned().map(Arc::new).collect(),
            concurrency: config.collector.concurrency.get(),
            collector,
            store: self.store.clone(),
            ledger: self.ledger.clone(),
            spine: self.spine.clone(),
            composer: self.composer.clone(),
            bell: self.bell.clone(),
            here: self.here.clone(),
        }))
    }

    /// Puts the mailing part of `config` to work.
    ///
    /// # Errors
    /// [`Failed`] where its account cannot be used.
    pub async fn outbox(&self, config: &Config) -> Result<Outbox, Failed> {
        Ok(Outbox::new(self.store.clone(), postman(&config.smtp).await?, self.spine.clone()))
    }
}

/// A postman for a server, its password fetched.
///
/// # Errors
/// [`Failed`] where the password cannot be fetched or TLS not be set up.
pub async fn postman(smtp: &Smtp) -> Result<Postman, Failed> {
    let password = match &smtp.login {
        Some(login) => Some(login.password.fetch().await?),
        None => None,
    };
    Ok(Postman::with_password(smtp, password.as_ref())?)
}

/// What the fleet needs to know of a configured client.
#[must_use]
pub fn card(client: &Client) -> ClientCard {
    ClientCard { id: client.id.clone(), name: client.name.clone(), username: client.username.clone() }
}

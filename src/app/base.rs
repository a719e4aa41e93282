//! What outlives a configuration (store, ledger, spine, wheel), and the putting to work of one.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    config::{Client, Config, Smtp},
    fleet::{EventKind, event::ClientCard},
    mail::{compose::Composer, postman::Postman},
    spine::Spine,
    store::Store,
    sweep::{Collector, SessionKeeping},
};

use super::{Failed, ledger::Ledger, outbox::Outbox, pipeline::Pipeline, wheel::Wheel};

/// The lasting parts.
#[derive(Debug)]
pub struct Base {
    /// The database.
    pub store: Store,
    /// Turns the sweeps.
    pub wheel: Wheel,
    /// Where everything is told.
    pub spine: Spine,
    /// Told when a mail has entered the outbox.
    pub mail_decided: Arc<Notify>,
    ledger: Arc<Ledger>,
    composer: Arc<Composer>,
    here: String,
}

impl Base {
    /// Opens the database of `config` and reads what it knows of the clients' rules.
    ///
    /// # Errors
    /// [`Failed::Database`] where the database cannot be opened or read.
    pub async fn open(config: &Config, spine: Spine) -> Result<Self, Failed> {
        let store = Store::open(&config.database.url).await?;
        let ledger = Ledger::new(store.client_states().await?, store.bookmarks().await?);
        Ok(Self {
            store,
            wheel: Wheel::new(ledger.clone(), spine.clone()),
            spine,
            mail_decided: Arc::new(Notify::new()),
            ledger,
            composer: Arc::new(Composer::new()?),
            here: super::here(),
        })
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
            mail_decided: self.mail_decided.clone(),
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

fn card(client: &Client) -> ClientCard {
    ClientCard { id: client.id.clone(), name: client.name.clone(), username: client.username.clone() }
}

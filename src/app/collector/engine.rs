//! The parts of a collector that survive a reload of the configuration (store, client states, scheduler, troubles), and
//! how a configuration is applied to them. [`super::main_loop`] and [`super::one_shot`] decide when.

use std::{num::NonZeroUsize, sync::Arc};

use crate::{
    app::{
        audit,
        config_source::cards,
        error::{RunError, chain},
        mail::{
            outbox_worker::OutboxWorker,
            smtp_clients::{audit_note, smtp_clients},
            wakeup::OutboxWakeup,
        },
        process::{descriptors::Descriptors, identity::host_name},
        troubles::{mailer::TroubleMailer, tracker::TroubleTracker},
    },
    bus::Publisher,
    config::{Config, DEFAULT_FILE},
    fleet::EventKind,
    mail::compose::{self, Composer},
    store::Store,
    sweep::{Collector, SessionKeeping, descriptor_budget::Costs},
};

use super::{
    client_states::ClientStates, collection_mails::CollectionMails, outage, pipeline::Pipeline, scheduler::Scheduler,
};

/// Whether SSH sessions outlive a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// They do, as many as there are descriptors for.
    Kept,
    /// They do not: each ends with its collection.
    Closed,
}

/// The parts of a collector that survive a reload.
#[derive(Debug)]
pub struct Engine {
    /// The database.
    pub store: Store,
    /// Runs the sweeps.
    pub scheduler: Scheduler,
    /// Publishes the events.
    pub publisher: Publisher,
    /// Wakes the outbox worker.
    pub wakeup: Arc<OutboxWakeup>,
    /// The state of the clients between two collections.
    pub client_states: Arc<ClientStates>,
    /// The troubles of the collector itself.
    pub troubles: Arc<TroubleTracker>,
    /// The files that this process may open.
    pub descriptors: Descriptors,
    composer: Arc<Composer>,
    host_name: String,
}

impl Engine {
    /// Creates an engine for an open database and reads the state of the clients from it.
    ///
    /// # Errors
    /// [`RunError`] if the database cannot be read or this process may open too few files.
    pub async fn new(config: &Config, store: Store, costs: Costs, publisher: Publisher) -> Result<Self, RunError> {
        let sweeps = store.reader().last_sweep_number().await?;
        let client_states = ClientStates::new(store.reader().client_states().await?, store.reader().bookmarks().await?);
        client_states.take_in_spent(store.reader().spent().await?);
        client_states.take_in_gatherings(store.reader().gatherings().await?);
        client_states.take_in_login_holds(store.reader().login_holds().await?);
        client_states.take_in_counters(store.reader().counters().await?);
        client_states.take_in_trends(store.reader().trends().await?);
        let scheduler = Scheduler::new(client_states.clone(), publisher.clone(), store.clone(), sweeps);
        let wakeup = Arc::new(OutboxWakeup::default());
        // Only the collector tracks its problems: the lock of the database comes first.
        let troubles = TroubleTracker::open(config).await;
        // Both tasks end with the store.
        tokio::spawn(outage::tell(store.status(), publisher.clone(), wakeup.clone()));
        tokio::spawn(troubles.clone().follow(store.status()));
        let descriptors = Descriptors::of_process(costs, config.metrics.is_some())?;
        let composer = Arc::new(Composer::new()?);
        Ok(Self {
            store,
            scheduler,
            publisher,
            wakeup,
            client_states,
            troubles,
            descriptors,
            composer,
            host_name: host_name(),
        })
    }

    /// Applies the part of `config` that concerns sweeps and publishes the clients.
    ///
    /// # Errors
    /// [`RunError::Sweep`] if its host keys cannot be used.
    pub async fn pipeline(&self, config: &Config, sessions: Sessions) -> Result<Arc<Pipeline>, RunError> {
        let (wanted, clients) = (config.collector.concurrency.get(), config.clients.len());
        let plan = self.descriptors.plan(wanted, clients);
        let keeps = sessions == Sessions::Kept;
        if let Some(shortfall) = self.descriptors.shortfall(plan, wanted, clients, keeps) {
            tracing::warn!("{shortfall}");
        }
        let kept = if keeps { NonZeroUsize::new(plan.kept) } else { None };
        let keeping = kept.map_or(SessionKeeping::CloseAfterUse, SessionKeeping::Keep);
        let budget = self.descriptors.budget().clone();
        let collector = Collector::new(config, keeping, self.publisher.clone())?.with_budget(keeping, budget.clone());
        self.publisher.publish(None, None, EventKind::Configured { clients: cards(config) }).await;
        Ok(Arc::new(Pipeline {
            clients: config.clients.iter().cloned().map(Arc::new).collect(),
            events: config.collector.events,
            concurrency: plan.concurrency,
            budget,
            collector,
            store: self.store.clone(),
            client_states: self.client_states.clone(),
            publisher: self.publisher.clone(),
            mails: CollectionMails {
                composer: self.composer.clone(),
                store: self.store.clone(),
                host_name: self.host_name.clone(),
                program: program(config),
                attachments: config.smtp.attachments,
                mail_size: config.smtp.mail_size,
            },
            wakeup: self.wakeup.clone(),
            troubles: self.troubles.clone(),
            has_all_clients: config.whole,
        }))
    }

    /// Applies the part of `config` that concerns mail: the outbox worker, and the mailer of the collector's own
    /// troubles.
    ///
    /// # Errors
    /// [`RunError`] if its account cannot be used.
    pub async fn mailing(&self, config: &Config) -> Result<(OutboxWorker, TroubleMailer), RunError> {
        let smtp = &config.smtp;
        let [for_mails, for_troubles] = smtp_clients(smtp).await?;
        if let Some(note) = audit_note(smtp)
            && let Err(error) = audit::write(&self.store, &[note]).await
        {
            tracing::error!("the password of <smtp> was read, which is not in the audit: {}", chain(&error));
        }
        let outbox = OutboxWorker::new(
            self.store.clone(),
            for_mails,
            smtp.clone(),
            self.publisher.clone(),
            self.troubles.clone(),
        );
        let (composer, host_name) = (self.composer.clone(), self.host_name.clone());
        Ok((outbox, TroubleMailer::new(self.troubles.clone(), for_troubles, smtp.clone(), composer, host_name)))
    }
}

/// The command that runs this program on this machine, from any directory.
fn program(config: &Config) -> String {
    let directory = std::env::current_dir().unwrap_or_default();
    let option = if config.file.as_os_str() == DEFAULT_FILE {
        String::new()
    } else {
        format!(" --config {}", compose::in_shell(&config.file.display().to_string()))
    };
    format!("cd {} && fleetsweep{option}", compose::in_shell(&directory.display().to_string()))
}

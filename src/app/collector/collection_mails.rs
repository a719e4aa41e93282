//! Composes the mails of one collection, with data from other sources. Whether a mail is sent is decided in `fleet`.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    app::error::chain,
    config::Client,
    fleet::{
        Stage,
        judge::Verdict,
        mail::Mail,
        metric::Observation,
        security::{SecurityLog, allowance::Allowed},
    },
    mail::compose::{self, Composer, EventsContext, MailContext, TemplateError},
    store::Store,
    sweep::Collection,
};

/// How many earlier values a mail shows.
const HISTORY: u32 = 8;

/// Composes the mails of collections.
#[derive(Debug)]
pub struct CollectionMails {
    pub(super) composer: Arc<Composer>,
    /// Reads the earlier values that mails show.
    pub(super) store: Store,
    /// The host name that mails show.
    pub(super) host_name: String,
    /// The command name of this program that mails show.
    pub(super) program: String,
}

impl CollectionMails {
    /// The mails about the alerts that a verdict raised, continued or ended.
    pub(super) async fn alerts(
        &self,
        client: &Client,
        collection: &Collection,
        verdict: Option<&Verdict>,
        now: Timestamp,
    ) -> Vec<Mail> {
        let Some(verdict) = verdict else { return Vec::new() };
        let mut histories = Vec::new();
        for metric in compose::history_wanted(verdict) {
            match self.store.recent(&client.id, metric, HISTORY).await {
                Ok(values) => histories.push((metric, values)),
                // If the history cannot be read, the mail is sent without it.
                Err(error) => tracing::warn!("no history for a mail: {}", chain(&error)),
            }
        }
        let observation = match &collection.outcome {
            Ok(received) => Observation::Reading(&received.reading),
            Err(failure) => Observation::Failed(failure),
        };
        let occasion =
            MailContext { client, verdict, observation, histories: &histories, now, collector_name: &self.host_name };
        self.composer.alert_mails(&occasion, &mut Uuid::now_v7).unwrap_or_else(|error| no_mails(&error))
    }

    /// The mails about the security log of a collection, if it has one.
    pub(super) fn events(
        &self,
        client: &Client,
        collection: &Collection,
        security: Option<(&SecurityLog, Allowed)>,
        now: Timestamp,
    ) -> Vec<Mail> {
        let (Ok(received), Some((log, allowed))) = (&collection.outcome, security) else { return Vec::new() };
        let occasion = EventsContext {
            client,
            reading: &received.reading,
            log,
            allowed,
            login: login(collection),
            now,
            collector_name: &self.host_name,
            program: &self.program,
        };
        self.composer.event_mails(&occasion, &mut Uuid::now_v7).unwrap_or_else(|error| no_mails(&error))
    }
}

/// When this program logged in, and when it was ready to ask.
fn login(collection: &Collection) -> Option<(Timestamp, Timestamp)> {
    let entered = |wanted| collection.stages.iter().find(|(stage, _)| *stage == wanted).map(|(_, at)| *at);
    let from = entered(Stage::Connect).or_else(|| entered(Stage::Authenticate))?;
    Some((from, entered(Stage::Execute).or_else(|| entered(Stage::Decrypt))?))
}

/// Logs a template error. The tests render every template.
fn no_mails(error: &TemplateError) -> Vec<Mail> {
    tracing::error!("a mail could not be composed: {}", chain(error));
    Vec::new()
}

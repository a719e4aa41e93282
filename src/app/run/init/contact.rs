//! Contacts the hosts of a new configuration: shows their host keys, pins those that the operator accepts, and collects
//! from some of them as a sweep does. What follows for the configuration is decided elsewhere.

use std::io::{self, Write as _};

use fleetsweep_agent::request::EventsWanted;
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::InitError;
use crate::{
    app::{
        error::RunError,
        process::{descriptors::Descriptors, question},
    },
    bus::Publisher,
    config::{Client, Config},
    fleet::{Failure, SweepId, audit::AuditNote, login_hold::HeldLogins, units::counted},
    setup::proposal::Measured,
    sweep::{CollectionOrder, Collector, SeenHostKey, SessionKeeping, descriptor_budget::Costs},
};

/// The most hosts from which something is collected. The others have shown their key.
const MOST_TRIED: usize = 20;

/// The hosts of a configuration, and what they have shown.
pub(super) struct Contact<'a> {
    config: &'a Config,
    collector: Collector,
    concurrency: usize,
    /// The widest name.
    width: usize,
    /// The hosts whose host key is pinned now.
    usable: Vec<&'a Client>,
    /// Whether a host key was pinned.
    pub(super) has_pinned: bool,
    /// How many hosts could not be used.
    pub(super) failed: usize,
    /// What they have measured.
    pub(super) measured: Vec<Measured>,
}

impl<'a> Contact<'a> {
    /// Contacts nobody yet.
    pub(super) fn new(config: &'a Config) -> Result<Self, RunError> {
        // Nobody reads the events: the results are printed here.
        let (publisher, _) = Publisher::new();
        let collector = Collector::new(config, SessionKeeping::CloseAfterUse, publisher)?;
        let plan = Descriptors::of_process(Costs::ELSEWHERE, false)?
            .plan(config.collector.concurrency.get(), config.clients.len());
        let width = config.clients.iter().map(|client| client.name.chars().count()).max().unwrap_or(0);
        let (usable, measured) = (Vec::new(), Vec::new());
        Ok(Self {
            config,
            collector,
            concurrency: plan.concurrency,
            width,
            usable,
            has_pinned: false,
            failed: 0,
            measured,
        })
    }

    /// Shows the host keys, and pins those that are accepted.
    pub(super) async fn host_keys(
        &mut self,
        is_accepted: bool,
        may_ask: bool,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let (direct, behind): (Vec<&Client>, Vec<&Client>) =
            self.config.clients.iter().partition(|client| client.via.is_empty());
        let mut new: Vec<SeenHostKey> = Vec::new();
        let collector = &self.collector;
        let mut looks = stream::iter(direct)
            .map(async |client| (client, collector.look(client, stop).await))
            .buffered(self.concurrency);
        while let Some((client, seen)) = looks.next().await {
            match seen {
                Ok(key) => {
                    let state = if key.is_pinned() { "pinned already" } else { "new" };
                    say(client, self.width, &format!("{} {}  {state}", key.algorithm(), key.fingerprint()))?;
                    self.usable.push(client);
                    if !key.is_pinned() {
                        new.push(key);
                    }
                }
                // That of every host that is left would be the interruption.
                Err(_) if stop.is_cancelled() => break,
                Err(failure) => {
                    self.failed += 1;
                    say_failure(client, self.width, &failure)?;
                }
            }
        }
        drop(looks);
        if stop.is_cancelled() {
            return Err(self.interrupted().into());
        }
        for client in behind {
            // Its key is fetched only after the server in between is trusted.
            say(client, self.width, "behind another server: pin its key with `fleetsweep trust`")?;
            self.usable.push(client);
        }
        if new.is_empty() {
            return Ok(());
        }
        let count = counted(new.len() as u64, ("host key is", "host keys are"));
        if !is_accepted {
            if !may_ask {
                return Err(InitError::NotAccepted(count).into());
            }
            writeln!(
                io::stderr(),
                "{count} new. Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the hosts."
            )?;
            let them = if new.len() == 1 { "it" } else { "them" };
            let asked = format!("Pin {them} in {}?", self.config.ssh.known_hosts.display());
            if !question::confirm(&asked, false, stop).await.map_err(InitError::from)? {
                return Err(InitError::Declined { keys_stay: false }.into());
            }
        }
        for key in &new {
            self.collector.pin(key).map_err(InitError::from)?;
            self.has_pinned = true;
        }
        Ok(())
    }

    /// Collects from some hosts.
    pub(super) async fn collect(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let sweep = SweepId(Uuid::now_v7());
        let collector = &self.collector;
        let mut collections = stream::iter(self.tried().to_vec())
            .map(async |client| {
                let order = CollectionOrder {
                    sweep,
                    events: EventsWanted::No,
                    login_hold: None,
                    held_logins: HeldLogins::Respected,
                };
                (client, collector.collect(client, order, stop).await.outcome)
            })
            .buffered(self.concurrency);
        while let Some((client, outcome)) = collections.next().await {
            match outcome {
                Ok(received) => {
                    let measured = Measured::of(&client.name, &received.reading);
                    let percent = |name: &str, value: Option<f64>| value.map(|value| format!(", {name} {value:.0} %"));
                    let system = received.reading.os_version.as_deref().unwrap_or("unknown system");
                    let text = [
                        percent("cpu", measured.cpu_percent),
                        percent("memory", measured.memory_percent),
                        measured.disk_percent.as_ref().map(|(mount, value)| format!(", disk {value:.0} % ({mount})")),
                    ];
                    let values: String = text.into_iter().flatten().collect();
                    say(client, self.width, &format!("collected: {system}{values}"))?;
                    self.measured.push(measured);
                }
                Err(_) if stop.is_cancelled() => break,
                Err(failure) => {
                    self.failed += 1;
                    say_failure(client, self.width, &failure)?;
                }
            }
        }
        drop(collections);
        if stop.is_cancelled() {
            return Err(self.interrupted().into());
        }
        let left = self.usable.len() - self.tried().len();
        if left > 0 {
            writeln!(io::stdout(), "({left} more hosts were not tried: `fleetsweep --once` collects from all)")?;
        }
        Ok(())
    }

    /// The operator interrupted it.
    pub(super) fn interrupted(&self) -> InitError {
        InitError::Interrupted { keys_stay: self.has_pinned }
    }

    /// The hosts that something is collected from.
    pub(super) fn tried(&self) -> &[&'a Client] {
        self.usable.get(..MOST_TRIED).unwrap_or(&self.usable)
    }

    /// Closes all sessions. The result is what belongs in the audit.
    pub(super) async fn close(self) -> Vec<AuditNote> {
        self.collector.close().await;
        self.collector.take_audit_notes()
    }
}

fn say(client: &Client, width: usize, text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{:width$}  {}  {text}", client.name, client.endpoint())
}

fn say_failure(client: &Client, width: usize, failure: &Failure) -> io::Result<()> {
    say(client, width, &format!("FAILED at {}: {failure}", failure.stage))?;
    writeln!(io::stdout(), "{:width$}  {}", "", failure.kind.next_step())
}

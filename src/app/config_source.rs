//! The source of the configuration: a file and the selection of its clients.

use std::path::PathBuf;

use crate::{
    config::{Client, Config, Loaded, safe_text},
    fleet::{
        ClientId,
        event::{CardLimit, ClientCard},
        select::Pattern,
    },
    sweep::descriptor_budget::Costs,
};

use super::error::RunError;

/// A configuration that can be read again and again.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    /// The file.
    pub path: PathBuf,
    /// `--client`; empty means every client.
    pub patterns: Vec<Pattern>,
    /// Its name on the dashboard.
    pub name: String,
    /// How many descriptors of this process one client takes.
    pub costs: Costs,
}

impl ConfigSource {
    /// A file. Its name is the file name without extension.
    #[must_use]
    pub fn of(path: PathBuf, patterns: Vec<Pattern>) -> Self {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { path, patterns, name, costs: Costs::ELSEWHERE }
    }

    /// Reads the file. Its warnings go to the log.
    ///
    /// # Errors
    /// [`RunError::Configuration`] with every error of the file; [`RunError::NoClient`].
    pub fn load(&self) -> Result<Config, RunError> {
        self.read().map(|loaded| loaded.config)
    }

    /// The same, with how it was written.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read(&self) -> Result<Loaded, RunError> {
        self.chosen(warned(Config::load(&self.path)?))
    }

    /// The same, and checks what the file refers to: whether secrets, keys and files exist, and who else may use them.
    ///
    /// # Errors
    /// As [`load`](Self::load), and for everything that is missing.
    pub fn check(&self) -> Result<Loaded, RunError> {
        self.chosen(warned(Config::check(&self.path)?))
    }

    /// The same without logging warnings, for repeated attempts.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read_quietly(&self) -> Result<Loaded, RunError> {
        self.chosen(Config::load(&self.path)?)
    }

    fn chosen(&self, mut loaded: Loaded) -> Result<Loaded, RunError> {
        if !self.patterns.is_empty() {
            loaded.retain_clients(|client| self.meets(&client.id, &client.name));
            if loaded.config.clients.is_empty() {
                return Err(self.no_client());
            }
        }
        Ok(loaded)
    }

    /// Whether any of the patterns matches a client.
    #[must_use]
    pub fn meets(&self, id: &ClientId, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.meets(id, name))
    }

    /// Whether one of the patterns names exactly this client of all, without wildcards.
    #[must_use]
    pub fn names(&self, client: &Client, all: &[Client]) -> bool {
        let mut names = self.patterns.iter().filter(|pattern| pattern.is_name());
        names.any(|name| {
            name.meets(&client.id, &client.name)
                && all.iter().filter(|other| name.meets(&other.id, &other.name)).count() == 1
        })
    }

    /// The error that no client matches the patterns.
    #[must_use]
    pub fn no_client(&self) -> RunError {
        RunError::NoClient(format!("`fleetsweep --config {} check`", self.path.display()))
    }
}

/// The same, and logs its warnings.
fn warned(loaded: Loaded) -> Loaded {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    loaded
}

/// The data of a configured client that the fleet needs.
#[must_use]
pub fn card(client: &Client) -> ClientCard {
    let username = safe_text::account(&client.username).to_string();
    let rules = client.rules.iter().filter(|rule| rule.instance.is_none());
    let limits = rules.map(|rule| CardLimit { metric: rule.metric, limit: rule.limit }).collect();
    ClientCard { id: client.id.clone(), name: client.name.clone(), username, limits }
}

/// The same for every client of a configuration.
#[must_use]
pub fn cards(config: &Config) -> Vec<ClientCard> {
    config.clients.iter().map(card).collect()
}

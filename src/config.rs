//! The configuration: from the text of an XML file to a [`Config`] in which nothing is invalid.
//!
//! Reading collects every error of the file at once, each with its place and what to write instead
//! ([`diagnostic::Diagnostic`]). It contacts nothing. Secrets are not used here, and sweeps are not known.

pub mod ca;
pub mod check;
pub mod database;
pub mod diagnostic;
pub mod directories;
pub mod entry;
pub mod identity_file;
pub mod inspect;
pub mod key_text;
pub mod rights;
pub mod safe_text;
pub mod secret;

mod address;
mod age_secret;
mod agent_delivery;
mod agent_path;
mod bastions;
mod choices;
mod clients;
mod debug;
mod event_logs;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod instances;
mod load;
mod loaded;
mod model;
mod openssh;
mod range;
mod rules;
mod schema;
mod settings;
mod shape;
mod small_file;
mod source;
mod span;
mod value_error;
mod values;
mod ways;

pub use age_secret::AgeSecret;
pub use agent_delivery::{AgentDelivery, InstalledAgent, System};
pub use agent_path::AgentPath;
pub use choices::{AgentKeeping, AttachmentFormat, HostKeyPolicy, OpensshFiles, SmtpSecurity};
pub use load::{LoadContext, LoadError};
pub use loaded::{ClientElement, Loaded, Setting};
pub use model::{Bastion, Client, Collector, Config, Database, KeyFile, Login, Metrics, Smtp, SmtpLogin, Ssh};
pub use openssh::{OpensshHost, has_user as has_openssh_user, hosts as openssh_hosts};
pub use schema::Schema;
pub use span::show_duration;

/// The file that is read where no other is named.
pub const DEFAULT_FILE: &str = "config.xml";

#[cfg(test)]
mod tests;

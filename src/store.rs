//! The database of collections, alerts and mails: opens it, records collections and answers queries. The decisions
//! about alerts and mails are made by [`fleet::judge`](crate::fleet::judge).
//!
//! All changes go through one writer with the only writing connection ([`writer`]), and only one process at a time has
//! the writer ([`lock`]). Queries use other connections and do not wait for it ([`Reader`]). While the database is
//! away, changes wait in a file on disk ([`spool`]) and are stored in order when it is back ([`outage`]). A [`Record`]
//! is stored completely or not at all: sample, alerts, events, bookmark and mails are one transaction. Other programs
//! only read the `v1_` views in `migrations/README.md`.

mod alert_changes;
mod alerts;
mod attachments;
mod batch_size;
mod catch_up;
mod cells;
mod chart;
mod classify;
mod clients;
pub mod clock;
mod collectors;
mod commit;
mod connect;
mod connection;
mod convert;
pub mod database_status;
mod deadlines;
mod drain;
pub mod error;
mod error_kind;
pub mod export;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gathered;
mod handle;
mod history;
mod history_export;
mod history_groups;
mod history_rows;
mod lock;
pub mod lock_owner;
mod newest;
mod open;
mod outage;
mod outbox;
mod pages;
mod past;
mod pool;
pub mod process;
mod queue;
mod read_pool;
mod readable;
pub mod reader;
pub mod record;
mod record_cache;
mod recording;
mod retention;
mod rollups;
mod schema;
mod size_limit;
mod space;
mod spool;
mod spool_path;
mod spooled;
mod stepwise;
mod stored_history;
mod sweeps;
mod target;
mod threads;
mod trends;
mod upsert;
mod view_rows;
mod write;
mod write_error;
mod writer;

pub use chart::HISTORY;
pub use error::{StoreError, StoreErrorKind};
pub use handle::Store;
pub use lock_owner::LockOwner;
pub use outbox::{Due, MailCounts, OutboxMail};
pub use reader::Reader;
pub use record::{Outcome, Record};
pub use size_limit::Shrunk;

#[cfg(test)]
mod tests;

//! The time limits for the database.

use std::time::Duration;

/// How long one answer or one transaction may take before the database counts as unreachable.
pub(super) const TRANSACTION_DEADLINE: Duration = Duration::from_secs(30);

/// How long connecting may take, and how long another program's lock on a SQLite file is waited for.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

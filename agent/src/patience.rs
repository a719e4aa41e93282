//! How long the parts of a look may take that can hang. Not the deadline of the whole: that is in [`crate::ending`].

use std::time::Duration;

/// How long all file systems together may take to tell their size.
pub(crate) fn of_file_systems(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(1), deadline)
}

/// How long the security log may take.
pub(crate) fn of_events(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(10), deadline)
}

/// Never more than a quarter of the deadline: the rest of the report is to be told all the same.
fn at_most(patience: Duration, deadline: Duration) -> Duration {
    patience.min(deadline / 4)
}

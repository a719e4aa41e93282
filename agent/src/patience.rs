//! The time limits of parts that can hang. The deadline of the whole is in [`crate::ending`].

use std::time::Duration;

/// How long querying the sizes of all file systems may take.
pub(crate) fn of_file_systems(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(1), deadline)
}

/// How long files of the distribution may take, which can be on a file system that does not answer.
#[cfg(target_os = "linux")]
pub(crate) fn of_files(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(1), deadline)
}

/// How long the sensors may take, which are read within the sampling window.
#[cfg(target_os = "linux")]
pub(crate) fn of_sensors(deadline: Duration) -> Duration {
    at_most(Duration::from_millis(150), deadline)
}

/// How long listing the failed units may take.
#[cfg(target_os = "linux")]
pub(crate) fn of_units(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(5), deadline)
}

/// How long the security log may take.
pub(crate) fn of_events(deadline: Duration) -> Duration {
    at_most(Duration::from_secs(10), deadline)
}

/// At most a quarter of the deadline, so that the rest of the report can still be sent.
fn at_most(patience: Duration, deadline: Duration) -> Duration {
    patience.min(deadline / 4)
}

//! Tells systemd how the run goes, where it is the service manager; elsewhere nobody asks.

use sd_notify::NotifyState;

/// The run works, first or again.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again. `Type=notify-reload` wants the time at which that began.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// The run ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("notifying the service manager failed: {error}");
    }
}

//! Notifies systemd of the state of the service, if systemd started it.

use sd_notify::NotifyState;

/// The service is ready, after the start or a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being reloaded. `Type=notify-reload` needs the time at which that began.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// The service is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("notifying the service manager failed: {error}");
    }
}

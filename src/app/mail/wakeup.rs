//! Wakes the outbox worker: a mail is new in the outbox, or every waiting mail is to be offered now.

use tokio::sync::Notify;

/// Exists once per process and survives reloads of the configuration.
#[derive(Debug, Default)]
pub struct OutboxWakeup {
    decided: Notify,
    all: Notify,
}

impl OutboxWakeup {
    /// A mail has entered the outbox.
    pub fn mail_decided(&self) {
        self.decided.notify_one();
    }

    /// Every waiting mail is to be offered once, regardless of its back-off.
    pub fn offer_all(&self) {
        self.all.notify_one();
    }

    /// Waits until a mail has entered the outbox since the last call.
    pub async fn decided(&self) {
        self.decided.notified().await;
    }

    /// Waits until all are to be offered.
    pub async fn all(&self) {
        self.all.notified().await;
    }
}

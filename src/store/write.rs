//! The changes of the database: sent to the writer, and stored in the spool.

use std::{
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    clock::{ClockReading, TrustedTime},
    lock_owner::LockOwner,
    record::Record,
    size_limit::Shrunk,
};
use crate::fleet::{
    Bytes, ClientId, Metric, SweepId,
    alert::AlertKey,
    event::Trigger,
    mail::Mail,
    metric::Instance,
    rollup::{Series, Tier},
};

/// An operator's decision about an open alert.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Acknowledgement {
    pub(super) client: ClientId,
    metric: Metric,
    #[serde(default, skip_serializing_if = "Instance::is_host")]
    instance: Instance,
    pub(super) alert: Uuid,
    pub(super) at: Timestamp,
    pub(super) actor: String,
}

impl Acknowledgement {
    pub(super) fn new(client: &ClientId, about: &AlertKey, alert: Uuid, at: Timestamp, actor: &str) -> Self {
        let AlertKey { metric, instance } = about.clone();
        Self { client: client.clone(), metric, instance, alert, at, actor: actor.to_owned() }
    }

    /// The alert.
    pub(super) fn about(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }
}

/// A change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Write {
    Record(Box<Record>),
    Queue(Mail),
    Sent {
        id: Uuid,
        at: Timestamp,
        answer: String,
    },
    Deferred {
        id: Uuid,
        attempts: u32,
        next_at: Timestamp,
        error: String,
    },
    Refused {
        id: Uuid,
        at: Timestamp,
        error: String,
    },
    Split {
        id: Uuid,
        parts: Vec<Mail>,
        reason: String,
    },
    /// Adds to the waiting time of mails.
    #[serde(skip)]
    Waited {
        at: Timestamp,
        most: Duration,
    },
    Audit {
        at: Timestamp,
        actor: String,
        action: String,
        target: String,
        detail: String,
    },
    SweepStarted {
        sweep: SweepId,
        number: u64,
        set_off_by: Trigger,
        at: Timestamp,
        clients: u64,
    },
    SweepEnded {
        sweep: SweepId,
        at: Timestamp,
        duration_ms: u64,
        ok: u64,
        failed: u64,
    },
    Acknowledge(Acknowledgement),
    /// Withdraws an acknowledgement.
    Unacknowledge(Acknowledgement),
    #[serde(skip)]
    Announce(LockOwner),
    /// Deletes a batch of old rows. Returns whether there may be more.
    #[serde(skip)]
    Forget {
        before: Timestamp,
        more: Arc<AtomicBool>,
    },
    /// Rolls up a batch of samples from before there were roll-ups. Returns whether there may be more.
    #[serde(skip)]
    CatchUp {
        more: Arc<AtomicBool>,
    },
    /// Adds values from before the first collection of a client to its roll-ups.
    #[serde(skip)]
    AddHistory {
        client: ClientId,
        name: String,
        values: Vec<(Timestamp, Series, f64)>,
    },
    /// Deletes a batch of old roll-ups of each length, those that ended before these times. Returns whether there may be
    /// more.
    #[serde(skip)]
    ForgetHistory {
        before: [(Tier, Timestamp); Tier::ALL.len()],
        more: Arc<AtomicBool>,
    },
    /// Deletes a batch of the oldest data of a file that is larger than it may be. Data from `newest` on stays.
    #[serde(skip)]
    Shrink {
        most: Bytes,
        newest: Timestamp,
        done: Arc<Mutex<Option<Shrunk>>>,
    },
    /// Gives back the space of deleted rows. Returns whether there may be more.
    #[serde(skip)]
    GiveBack {
        more: Arc<AtomicBool>,
    },
    /// Stores a clock reading. Returns the trusted time.
    #[serde(skip)]
    Observe {
        witness: ClockReading,
        believed: Arc<OnceLock<TrustedTime>>,
    },
    /// Closes the store. Answered when all connections are closed.
    #[serde(skip)]
    Close,
}

impl Write {
    /// Whether it can wait in the spool while the database is away.
    pub(super) fn may_wait(&self) -> bool {
        match self {
            // Events that have happened. They must be stored in order, whenever the database is back.
            Self::Record(_)
            | Self::Queue(_)
            | Self::Sent { .. }
            | Self::Deferred { .. }
            | Self::Refused { .. }
            | Self::Split { .. }
            | Self::Audit { .. }
            | Self::SweepStarted { .. }
            | Self::SweepEnded { .. } => true,
            // Orders of an operator. Only the database knows whether the alert is still open.
            Self::Acknowledge(_)
            | Self::Unacknowledge(_)
            // The next count includes the time.
            | Self::Waited { .. }
            // Nobody can read the owner while the database is away.
            | Self::Announce(_)
            | Self::Forget { .. }
            | Self::ForgetHistory { .. }
            | Self::CatchUp { .. }
            | Self::AddHistory { .. }
            | Self::GiveBack { .. }
            | Self::Shrink { .. }
            | Self::Observe { .. }
            | Self::Close => false,
        }
    }
}

//! The changes of the database, as they are sent to the writer and as they wait in the spool.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    clock::{ClockReading, TrustedTime},
    lock_owner::LockOwner,
    record::Record,
};
use crate::fleet::{ClientId, Metric, SweepId, alert::AlertKey, event::Trigger, mail::Mail, metric::Instance};

/// What an operator decided about an open alert.
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

    /// What the alert is about.
    pub(super) fn about(&self) -> AlertKey {
        AlertKey { metric: self.metric, instance: self.instance.clone() }
    }
}

/// One change.
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
    /// Counts how long mails have waited.
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
    /// Withdraws it.
    Unacknowledge(Acknowledgement),
    #[serde(skip)]
    Announce(LockOwner),
    /// Deletes one piece of what is older; tells whether more may be left.
    #[serde(skip)]
    Forget {
        before: Timestamp,
        more: Arc<AtomicBool>,
    },
    /// Notes what the machine says of time; tells what is believed.
    #[serde(skip)]
    Observe {
        witness: ClockReading,
        believed: Arc<OnceLock<TrustedTime>>,
    },
    /// Nothing more from now on; answered when every connection has ended.
    #[serde(skip)]
    Close,
}

impl Write {
    /// Whether it can wait in the spool while the database is away.
    pub(super) fn may_wait(&self) -> bool {
        match self {
            // What happened: it is to be found in the database, in its order, whenever that is back.
            Self::Record(_)
            | Self::Queue(_)
            | Self::Sent { .. }
            | Self::Deferred { .. }
            | Self::Refused { .. }
            | Self::Split { .. }
            | Self::Audit { .. }
            | Self::SweepStarted { .. }
            | Self::SweepEnded { .. } => true,
            // What an operator asks: whether the alert is open still is the database's to say.
            Self::Acknowledge(_)
            | Self::Unacknowledge(_)
            // The next round counts it.
            | Self::Waited { .. }
            // Who holds the database is of no use where nobody can read it.
            | Self::Announce(_)
            | Self::Forget { .. }
            | Self::Observe { .. }
            | Self::Close => false,
        }
    }
}

//! Troubles of the collector itself: the current ones, and which recipients have still to be told about their beginning
//! or end. Pure. Detection, the state file and the mails are elsewhere.
//!
//! The beginning and the end of each trouble are mailed once, even across many short runs, because the [`TroubleState`]
//! is saved between runs. The recipients are those of `<collector mail="…">`; without it, troubles are only logged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::reading::clean;

pub use spec::{LoggedBy, Noun, TROUBLES, TroubleKind, TroubleSpec};

mod spec;

/// The longest detail, in characters.
const DETAIL_CHARS: usize = 500;

/// The longest name of a client, in characters.
const CLIENT_CHARS: usize = 120;

/// The most clients and recipients that are kept for one trouble.
const CLIENTS: usize = 4096;

/// The least time between two mails about further clients of a trouble.
const FURTHER_AFTER: Duration = Duration::from_secs(60 * 60);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The trouble is present.
    Present {
        /// The kind of trouble.
        kind: TroubleKind,
        /// The details.
        detail: String,
    },
    /// The trouble is absent.
    Absent(TroubleKind),
    /// For some clients or bastions it is known whether they have the trouble; for the others nothing is new.
    OfSome {
        /// The kind of trouble.
        kind: TroubleKind,
        /// Those that have it.
        have: BTreeSet<String>,
        /// Those that do not.
        have_not: BTreeSet<String>,
        /// All configured clients; `None` if they are not all known.
        known: Option<BTreeSet<String>>,
    },
}

/// What a finding changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A trouble began.
    Began {
        /// The kind of trouble.
        kind: TroubleKind,
        /// The details.
        detail: String,
    },
    /// A trouble ended.
    Ended {
        /// The kind of trouble.
        kind: TroubleKind,
        /// When it began.
        since: Timestamp,
    },
}

/// What a mail reports about a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It began.
    Began,
    /// It concerns further clients.
    Further,
    /// It is over.
    Ended,
}

/// A mail to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleNotice {
    /// The id of the mail. It is the same in every attempt and differs per recipient.
    pub id: Uuid,
    /// The id of the first mail to this recipient about the trouble; `None` if this is the first.
    pub under: Option<Uuid>,
    /// The trouble.
    pub kind: TroubleKind,
    /// The recipient.
    pub recipient: String,
    /// What it reports.
    pub phase: Phase,
    /// When the trouble began.
    pub since: Timestamp,
    /// When the trouble ended, or when the mail was decided.
    pub at: Timestamp,
    /// The details.
    pub detail: String,
    /// The clients concerned.
    pub clients: Vec<String>,
}

/// The current troubles, and those whose end has still to be mailed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleState {
    troubles: BTreeMap<TroubleKind, Trouble>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trouble {
    /// The base of the ids of the first mails.
    first: Uuid,
    since: Timestamp,
    detail: String,
    clients: BTreeSet<String>,
    /// What has to be mailed now; `None` if all recipients know.
    telling: Option<Telling>,
    /// The clients that were mailed.
    told_clients: BTreeSet<String>,
    /// Whether it has ended.
    ended: Option<Timestamp>,
    /// Whether anybody was mailed, or at least an attempt was made.
    tried: bool,
    /// When all recipients were last told something.
    told_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Telling {
    id: Uuid,
    phase: Phase,
    at: Timestamp,
    /// The recipients that know already.
    told: BTreeSet<String>,
}

impl TroubleState {
    /// Whether a trouble of a kind lasts.
    #[must_use]
    pub fn is_open(&self, kind: TroubleKind) -> bool {
        self.troubles.get(&kind).is_some_and(|trouble| trouble.ended.is_none())
    }

    /// The current troubles.
    pub fn open(&self) -> impl Iterator<Item = TroubleKind> {
        self.troubles.iter().filter(|(_, trouble)| trouble.ended.is_none()).map(|(kind, _)| *kind)
    }

    /// Applies a finding and returns what it changed. `new_id` is called for the ids of mails.
    pub fn note(&mut self, finding: Finding, now: Timestamp, new_id: &mut dyn FnMut() -> Uuid) -> Option<Change> {
        match finding {
            Finding::Present { kind, detail } => self.present(kind, &detail, BTreeSet::new(), now, new_id),
            Finding::Absent(kind) => self.absent(kind, now, new_id),
            Finding::OfSome { kind, have, have_not, known } => {
                let before = self.troubles.get(&kind).filter(|trouble| trouble.ended.is_none());
                let mut clients = before.map(|trouble| trouble.clients.clone()).unwrap_or_default();
                clients.retain(|client| !have_not.contains(client));
                if let Some(known) = known {
                    clients.retain(|client| known.contains(client));
                }
                clients.extend(have.iter().map(|client| clean(client, CLIENT_CHARS)).take(CLIENTS));
                while clients.len() > CLIENTS {
                    clients.pop_last();
                }
                if clients.is_empty() {
                    return self.absent(kind, now, new_id);
                }
                let detail = kind.spec().concerned.counted(clients.len());
                self.present(kind, &detail, clients, now, new_id)
            }
        }
    }

    fn present(
        &mut self,
        kind: TroubleKind,
        detail: &str,
        clients: BTreeSet<String>,
        now: Timestamp,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Option<Change> {
        let detail = clean(detail, DETAIL_CHARS);
        if let Some(trouble) = self.troubles.get_mut(&kind) {
            let is_end_told = trouble.telling.as_ref().is_some_and(|telling| !telling.told.is_empty());
            match trouble.ended {
                None => {
                    trouble.detail = detail;
                    trouble.clients = clients;
                    trouble.consider_further(now, new_id);
                    return None;
                }
                // It is back before anybody was told that it had ended, so it counts as never ended.
                Some(_) if !is_end_told => {
                    trouble.ended = None;
                    trouble.detail = detail;
                    trouble.clients = clients;
                    let first = trouble.first;
                    trouble.telling = trouble.told_at.is_none().then(|| Telling::new(first, Phase::Began, now));
                    return None;
                }
                Some(_) => {}
            }
        }
        let first = new_id();
        let trouble = Trouble {
            first,
            since: now,
            detail: detail.clone(),
            told_clients: clients.clone(),
            clients,
            telling: Some(Telling::new(first, Phase::Began, now)),
            ended: None,
            tried: false,
            told_at: None,
        };
        self.troubles.insert(kind, trouble);
        Some(Change::Began { kind, detail })
    }

    fn absent(&mut self, kind: TroubleKind, now: Timestamp, new_id: &mut dyn FnMut() -> Uuid) -> Option<Change> {
        let trouble = self.troubles.get_mut(&kind).filter(|trouble| trouble.ended.is_none())?;
        let since = trouble.since;
        if trouble.tried {
            trouble.ended = Some(now);
            trouble.telling = Some(Telling::new(new_id(), Phase::Ended, now));
        } else {
            self.troubles.remove(&kind);
        }
        Some(Change::Ended { kind, since })
    }

    /// The mails to send now to the recipients of troubles.
    #[must_use]
    pub fn notices(&self, recipients: &[String]) -> Vec<TroubleNotice> {
        let mut notices = Vec::new();
        for (kind, trouble) in &self.troubles {
            let Some(telling) = &trouble.telling else { continue };
            for recipient in recipients.iter().filter(|recipient| !telling.told.contains(*recipient)) {
                let (id, first) = (of_recipient(telling.id, recipient), of_recipient(trouble.first, recipient));
                notices.push(TroubleNotice {
                    id,
                    under: (telling.phase != Phase::Began).then_some(first),
                    kind: *kind,
                    recipient: recipient.clone(),
                    phase: telling.phase,
                    since: trouble.since,
                    at: trouble.ended.unwrap_or(telling.at),
                    detail: trouble.detail.clone(),
                    clients: trouble.clients.iter().cloned().collect(),
                });
            }
        }
        notices
    }

    /// Notes that a mail was sent or tried. With `told`, its recipient needs no further attempt. When this is so for
    /// all `recipients`, the notification is done.
    pub fn tried(&mut self, notice: &TroubleNotice, told: bool, recipients: &[String], now: Timestamp) {
        let Some(trouble) = self.troubles.get_mut(&notice.kind) else { return };
        trouble.tried = true;
        let Some(telling) = &mut trouble.telling else { return };
        if !told || of_recipient(telling.id, &notice.recipient) != notice.id {
            return;
        }
        if telling.told.len() < CLIENTS {
            telling.told.insert(notice.recipient.clone());
        }
        if recipients.iter().all(|recipient| telling.told.contains(recipient)) {
            if trouble.ended.is_some() {
                self.troubles.remove(&notice.kind);
                return;
            }
            trouble.telling = None;
            trouble.told_at = Some(now);
            trouble.told_clients = notice.clients.iter().cloned().collect();
        }
    }

    /// Drops ends that cannot be mailed, because there are no recipients any more.
    pub fn forget_untold_ends(&mut self) {
        self.troubles.retain(|_, trouble| trouble.ended.is_none());
    }

    /// Validates a state from a file that may have been changed: bounded and without control characters.
    #[must_use]
    pub fn checked(mut self) -> Self {
        for trouble in self.troubles.values_mut() {
            trouble.detail = clean(&trouble.detail, DETAIL_CHARS);
            for clients in [&mut trouble.clients, &mut trouble.told_clients] {
                *clients = clients.iter().take(CLIENTS).map(|client| clean(client, CLIENT_CHARS)).collect();
            }
        }
        self
    }
}

impl Trouble {
    fn consider_further(&mut self, now: Timestamp, new_id: &mut dyn FnMut() -> Uuid) {
        let is_new = self.clients.iter().any(|client| !self.told_clients.contains(client));
        // A time in the future means that the clock was set back.
        let rested = self
            .told_at
            .is_some_and(|at| Duration::try_from(now.duration_since(at)).map_or(true, |since| since >= FURTHER_AFTER));
        if is_new && rested && self.telling.is_none() {
            self.telling = Some(Telling::new(new_id(), Phase::Further, now));
        }
    }
}

impl Telling {
    fn new(id: Uuid, phase: Phase, at: Timestamp) -> Self {
        Self { id, phase, at, told: BTreeSet::new() }
    }
}

/// The id of a mail to one of several recipients. It is deterministic.
fn of_recipient(id: Uuid, recipient: &str) -> Uuid {
    let digest = Sha256::new().chain_update(id.as_bytes()).chain_update(recipient.as_bytes()).finalize();
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest) {
        *byte = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests;

//! The connections in the session with a bastion: which channels carry one, and the reasons for which it opens none to a
//! client. The sessions with bastions are in [`super::bastion_pool`].

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{ChannelId, ChannelOpenFailure};
use tokio::sync::Notify;

use crate::fleet::{ClientId, Failure, FailureKind, Stage, reading::clean};

/// The most messages that wait for their callers. If there are more, the oldest is dropped. A caller waits for at most a
/// second, so it is probably not wanted any more.
const MOST_WAITING: usize = 256;
/// How long the message of a refusal is awaited. It arrives together with the refusal.
const WORDS_WITHIN: Duration = Duration::from_secs(1);
/// The most of a message that is kept, characters.
const WORDS_CHARS: usize = 300;

/// The messages with which a server refuses channels. The library returns the reason code to the caller and passes the
/// message to the handler of the session, immediately afterwards.
#[derive(Debug, Default, Clone)]
pub(super) struct Refusals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    words: Mutex<VecDeque<String>>,
    come: Notify,
}

impl Refusals {
    /// Adds the message of a refusal.
    pub(super) fn note(&self, words: &str) {
        let mut waiting = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(clean(words, WORDS_CHARS));
        self.0.come.notify_one();
    }

    /// The message of a refusal that was just returned. If there were several refusals at the same moment with different
    /// messages, it consists of all of them, because it is unknown which one belongs to which refusal.
    pub(super) async fn take(&self) -> String {
        let words = async {
            loop {
                let come = self.0.come.notified();
                if let Some(words) = self.oldest() {
                    return words;
                }
                come.await;
            }
        };
        tokio::time::timeout(WORDS_WITHIN, words).await.unwrap_or_default()
    }

    fn oldest(&self) -> Option<String> {
        let mut waiting = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
        let mut distinct: Vec<&str> = Vec::new();
        for words in &*waiting {
            if !distinct.contains(&words.as_str()) {
                distinct.push(words);
            }
        }
        let words = distinct.join(" or ");
        waiting.pop_front()?;
        if !waiting.is_empty() {
            self.0.come.notify_one();
        }
        Some(words)
    }
}

/// The channels of a session that carry connections. What arrives in other channels is limited like anything that was not
/// asked for.
#[derive(Debug, Default, Clone)]
pub(super) struct CarriedChannels(Arc<Mutex<HashSet<ChannelId>>>);

impl CarriedChannels {
    /// This channel carries a connection until the result is dropped.
    pub(super) fn carry(&self, channel: ChannelId) -> CarriedChannel {
        self.lock().insert(channel);
        CarriedChannel { channel, all: self.clone() }
    }

    /// Whether this channel carries a connection.
    pub(super) fn contains(&self, channel: ChannelId) -> bool {
        self.lock().contains(&channel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ChannelId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel that carries a connection.
#[derive(Debug)]
pub(super) struct CarriedChannel {
    channel: ChannelId,
    all: CarriedChannels,
}

impl Drop for CarriedChannel {
    fn drop(&mut self) {
        self.all.lock().remove(&self.channel);
    }
}

/// Why a bastion opens no connection.
#[derive(Debug)]
pub(super) enum ForwardError {
    /// It opens no more of them in this session.
    Full(String),
    /// It opens none to this client, for this reason.
    Refused(Failure),
    /// The session has ended.
    Ended,
}

/// The error for a client after a refusal of `bastion` with the message `words`.
pub(super) fn refused(reason: &ChannelOpenFailure, words: &str, bastion: &str, client: &ClientId) -> ForwardError {
    let failure = |kind| Failure::new(Stage::Connect, kind).because(format!("bastion {bastion}"));
    let said = |words: &str| if words.trim().is_empty() { "no reason given".to_owned() } else { words.to_owned() };
    match reason {
        ChannelOpenFailure::ResourceShortage => ForwardError::Full(said(words)),
        // The limit of OpenSSH is one of the process that serves the session. Another session has another process.
        ChannelOpenFailure::ConnectFailed if is_short_of_files(words) => ForwardError::Full(said(words)),
        ChannelOpenFailure::ConnectFailed => {
            let failure = failure(kind_of(words));
            ForwardError::Refused(failure.because(if words.trim().is_empty() {
                format!("it cannot connect to {client}")
            } else {
                words.to_owned()
            }))
        }
        ChannelOpenFailure::AdministrativelyProhibited => {
            ForwardError::Refused(failure(FailureKind::NotReached).because(format!(
                "it may not forward to {client} ({}): see AllowTcpForwarding and PermitOpen there",
                said(words)
            )))
        }
        ChannelOpenFailure::UnknownChannelType | ChannelOpenFailure::Other { .. } => ForwardError::Refused(
            failure(FailureKind::NotReached).because(format!("it does not forward connections ({})", said(words))),
        ),
    }
}

fn is_short_of_files(words: &str) -> bool {
    words.to_ascii_lowercase().contains("too many open files")
}

/// The kind of failure that the words of a bastion describe. They are those of its operating system.
fn kind_of(words: &str) -> FailureKind {
    let words = words.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["cannot assign requested address", "no buffer space", "cannot allocate memory", "file table overflow"]) {
        FailureKind::NotReached
    } else if says(&["refused"]) {
        FailureKind::Refused
    } else if says(&["timed out", "timeout"]) {
        FailureKind::TimedOut
    } else if says(&["name or service", "not known", "resol", "nodename", "no address", "unknown host"]) {
        FailureKind::NameUnknown
    } else {
        FailureKind::NetworkUnreachable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_is_to_blame() {
        use ChannelOpenFailure::{AdministrativelyProhibited, ConnectFailed, UnknownChannelType};
        for (reason, words, expected) in [
            (ConnectFailed, "Connection refused", "connection refused: bastion gate: Connection refused"),
            (ConnectFailed, "Connection timed out", "timed out: bastion gate: Connection timed out"),
            (ConnectFailed, "No route to host", "network unreachable: bastion gate: No route to host"),
            (
                ConnectFailed,
                "Name or service not known",
                "host name not found: bastion gate: Name or service not known",
            ),
            (
                ConnectFailed,
                "Cannot assign requested address",
                "not reached: bastion gate: Cannot assign requested address",
            ),
            (ConnectFailed, "", "network unreachable: bastion gate: it cannot connect to 10.0.0.1:22"),
            (
                AdministrativelyProhibited,
                "open failed",
                "not reached: bastion gate: it may not forward to 10.0.0.1:22 (open failed): see AllowTcpForwarding and PermitOpen there",
            ),
            (UnknownChannelType, "", "not reached: bastion gate: it does not forward connections (no reason given)"),
        ] {
            let client = ClientId::new("10.0.0.1", 22);
            let ForwardError::Refused(failure) = refused(&reason, words, "gate", &client) else { panic!("{reason:?}") };
            assert_eq!(failure.to_string(), expected);
        }
    }

    #[test]
    fn a_session_that_is_full_is_no_refusal() {
        use ChannelOpenFailure::{ConnectFailed, ResourceShortage};
        for (reason, words, expected) in [
            (ResourceShortage, "", "no reason given"),
            (ResourceShortage, "no more channels", "no more channels"),
            (ConnectFailed, "Too many open files", "Too many open files"),
        ] {
            let refused = refused(&reason, words, "gate", &ClientId::new("10.0.0.1", 22));
            assert!(matches!(&refused, ForwardError::Full(said) if said == expected), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_message_is_kept_to_a_bound() {
        let refusals = Refusals::default();
        refusals.note(&"no \u{1b}".repeat(100_000));
        let words = refusals.take().await;
        assert!(words.chars().count() <= WORDS_CHARS + 1 && !words.contains('\u{1b}'), "{words}");
    }

    #[tokio::test]
    async fn words_belong_to_their_refusal_or_all_are_given() {
        let refusals = Refusals::default();
        let (taken, ()) = tokio::join!(refusals.take(), async {
            tokio::task::yield_now().await;
            refusals.note("late");
        });
        assert_eq!(taken, "late");
        for words in ["one", "one", "two"] {
            refusals.note(words);
        }
        assert_eq!([refusals.take().await, refusals.take().await], ["one or two", "one or two"]);
        assert_eq!(refusals.take().await, "two");
    }
}

//! The table of kinds of troubles, which mails, documents and tests read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// The database cannot be used.
    Database,
    /// Collected data is lost.
    Unstored,
    /// The mail server refuses us.
    Mail,
    /// Clients have other host keys than the pinned ones.
    HostKeys,
    /// Bastions cannot be used.
    Bastions,
    /// Almost no client can be reached.
    CutOff,
    /// The machine has no more descriptors, memory or disk.
    Shortage,
    /// The database is as large as it may be.
    Size,
}

/// The description of a kind of trouble.
#[derive(Debug, Clone, Copy)]
pub struct TroubleSpec {
    /// The kind of trouble.
    pub kind: TroubleKind,
    /// Its keyword in the log and in the state file.
    pub word: &'static str,
    /// The headline, used as the subject.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What the operator should do.
    pub next_step: &'static str,
    /// What the mail about its end says.
    pub end: &'static str,
    /// What it concerns one or several of.
    pub concerned: Noun,
    /// Who logs its beginning.
    pub logged_by: LoggedBy,
}

/// A word in both numbers.
#[derive(Debug, Clone, Copy)]
pub struct Noun {
    /// One.
    pub one: &'static str,
    /// Several.
    pub many: &'static str,
}

impl Noun {
    /// A number of them.
    #[must_use]
    pub fn counted(self, count: usize) -> String {
        if count == 1 { format!("1 {}", self.one) } else { format!("{count} {}", self.many) }
    }
}

/// Who logs the beginning of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedBy {
    /// The part that finds it, which knows the reason.
    Finder,
    /// Whoever keeps the list of troubles.
    Tracker,
}

const CLIENTS: Noun = Noun { one: "client", many: "clients" };
const BASTIONS: Noun = Noun { one: "bastion", many: "bastions" };

/// Every kind, in the order of [`TroubleKind`].
pub const TROUBLES: [TroubleSpec; 8] = [
    TroubleSpec {
        kind: TroubleKind::Database,
        word: "database",
        title: "the database cannot be used",
        meaning: "The database does not take what is collected. While the spool takes it, nothing is lost: it waits there.",
        next_step: "do what the message says: free disk space, bring the database back, or correct `url` on <database>",
        end: "the database takes everything again",
        concerned: CLIENTS,
        logged_by: LoggedBy::Tracker,
    },
    TroubleSpec {
        kind: TroubleKind::Unstored,
        word: "unstored",
        title: "what is collected is lost",
        meaning: "Neither the database nor the spool takes what is collected: no limit is judged, and no alert is mailed.",
        next_step: "free disk space where database and spool lie, or bring the database back",
        end: "a sweep is stored again",
        concerned: CLIENTS,
        logged_by: LoggedBy::Tracker,
    },
    TroubleSpec {
        kind: TroubleKind::Mail,
        word: "mail",
        title: "the mail server refuses this collector",
        meaning: "The server refuses our login, name, sender or relaying, not the recipients. Mails wait, and are given up after `give-up`.",
        next_step: "correct <smtp> in the configuration, or the mail server; then reload or restart, which offers every mail again",
        end: "the server takes the mails that waited",
        concerned: CLIENTS,
        logged_by: LoggedBy::Finder,
    },
    TroubleSpec {
        kind: TroubleKind::HostKeys,
        word: "host-keys",
        title: "host keys changed",
        meaning: "These clients answer with another host key than the pinned one, or with a revoked one. Nothing was sent to them.",
        next_step: "find out why before you trust the new keys; for a client that was reinstalled, `fleetsweep trust` with its name pins the new key",
        end: "each of them was reached again under a trusted key",
        concerned: CLIENTS,
        logged_by: LoggedBy::Tracker,
    },
    TroubleSpec {
        kind: TroubleKind::Bastions,
        word: "bastions",
        title: "clients behind a bastion are not reached",
        meaning: "These bastions cannot be used. The clients behind them were not asked: no `unreachable` alert counts this or is mailed meanwhile.",
        next_step: "look at the error of any client behind it; correct the bastion, its <bastion> element or `via`",
        end: "clients are reached through each of them again",
        concerned: BASTIONS,
        logged_by: LoggedBy::Finder,
    },
    TroubleSpec {
        kind: TroubleKind::CutOff,
        word: "cut-off",
        title: "nearly no client can be reached",
        meaning: "At least nine of ten clients that answered before fail at once, as if the network were gone. Either this machine is cut off, or all of them are down: no `unreachable` alert counts this or is mailed meanwhile.",
        next_step: "check this machine's network, name server and firewall; if they are fine, check what all clients share",
        end: "a sweep reaches more than a tenth of them",
        concerned: CLIENTS,
        logged_by: LoggedBy::Tracker,
    },
    TroubleSpec {
        kind: TroubleKind::Shortage,
        word: "shortage",
        title: "this machine lacks what the collector needs",
        meaning: "The operating system refuses file descriptors, memory or disk space. Collections fail by our own fault.",
        next_step: "raise the limit that the message names (LimitNOFILE=, MemoryMax=), free disk space, or lower `concurrency` on <collector>",
        end: "a sweep meets no such refusal",
        concerned: CLIENTS,
        logged_by: LoggedBy::Finder,
    },
    TroubleSpec {
        kind: TroubleKind::Size,
        word: "size",
        title: "the database is as large as it may be",
        meaning: "The data has reached `max-size`. The oldest samples are deleted before `retention` ends, then the oldest security events and roll-ups.",
        next_step: "raise `max-size` on <database>, or shorten `retention` to what fits",
        end: "a quarter of `max-size` is free again",
        concerned: CLIENTS,
        logged_by: LoggedBy::Tracker,
    },
];

impl TroubleKind {
    /// Its description.
    #[must_use]
    pub fn spec(self) -> &'static TroubleSpec {
        let [database, unstored, mail, host_keys, bastions, cut_off, shortage, size] = &TROUBLES;
        match self {
            Self::Database => database,
            Self::Unstored => unstored,
            Self::Mail => mail,
            Self::HostKeys => host_keys,
            Self::Bastions => bastions,
            Self::CutOff => cut_off,
            Self::Shortage => shortage,
            Self::Size => size,
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.spec().word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_its_words_are_those_of_the_file() {
        for spec in &TROUBLES {
            assert_eq!(spec.kind.spec().word, spec.word);
            assert_eq!(serde_json::to_string(&spec.kind).unwrap(), format!("{:?}", spec.word));
        }
    }
}

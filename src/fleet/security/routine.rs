//! Recognises what happens on a machine all the time: logons of the system's own accounts, jobs of cron, and the visits
//! of this program. Such events are listed and marked, but a subject does not name them. The most important classes are
//! never routine.

use std::collections::HashSet;

use super::{SecurityEvent, numbered::field, syslog::Message};

/// Who does something all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Routine {
    /// An account of the system itself.
    System,
    /// A job of cron.
    Cron,
    /// This program, when it collects.
    Collector,
}

impl Routine {
    /// The mark of such events.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::System => "the system itself",
            Self::Cron => "cron",
            Self::Collector => "fleetsweep's own visit",
        }
    }
}

/// This program as its client sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visitor<'a> {
    /// The account with which it logs in.
    pub account: &'a str,
    /// When it logged in, from and to in milliseconds, by the client's clock; empty if this is not known.
    pub logins_unix_ms: &'a [(i64, i64)],
}

/// SYSTEM, LOCAL SERVICE and NETWORK SERVICE.
const SYSTEM_SIDS: [&str; 3] = ["S-1-5-18", "S-1-5-19", "S-1-5-20"];
/// Services with an account of their own, and the accounts of the window manager and the font driver.
const SERVICE_SIDS: [&str; 3] = ["S-1-5-80-", "S-1-5-90-", "S-1-5-96-"];
const SYSTEM_NAMES: [&str; 3] = ["SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE"];
const NOBODY: &str = "S-1-0-0";

/// Whether the account of a numbered event is one of the system's own.
pub(super) fn is_system(event: &SecurityEvent) -> bool {
    let sid = |name| field(event, name).filter(|sid| *sid != NOBODY);
    match sid("TargetUserSid").or_else(|| sid("SubjectUserSid")) {
        Some(sid) => SYSTEM_SIDS.contains(&sid) || SERVICE_SIDS.iter().any(|prefix| sid.starts_with(prefix)),
        None => field(event, "TargetUserName")
            .or_else(|| field(event, "SubjectUserName"))
            .is_some_and(|name| SYSTEM_NAMES.contains(&name)),
    }
}

/// What belongs to the visits of this program in one log.
#[derive(Debug, Default)]
pub(super) struct Visits<'a> {
    account: &'a str,
    /// Its address as the client sees it.
    address: Option<&'a str>,
    /// Its processes, as Linux numbers them.
    processes: HashSet<&'a str>,
    /// Whether somebody else logged in with the same account.
    is_shared: bool,
    /// Its sessions, as Windows numbers them.
    logons: HashSet<&'a str>,
}

impl<'a> Visits<'a> {
    /// Finds the visits among events; a message is `None` for a numbered event.
    pub(super) fn find(visitor: Visitor<'a>, events: &'a [SecurityEvent], messages: &[Option<Message<'a>>]) -> Self {
        let mut visits = Self { account: visitor.account, ..Self::default() };
        if visitor.account.is_empty() {
            return visits;
        }
        let logins = || {
            let with_messages = events.iter().zip(messages);
            with_messages
                .filter_map(|(event, message)| Some((event, message.as_ref()?)))
                .filter(|(_, message)| message.is_login && (message.account == Some(visitor.account)))
        };
        let is_ours = |at_ms: i64| visitor.logins_unix_ms.iter().any(|(from, to)| (*from..=*to).contains(&at_ms));
        let own = logins().find(|(event, _)| is_ours(event.occurred_unix_ms));
        visits.address = own.and_then(|(_, message)| message.address);
        for (_, message) in logins() {
            if visits.address.is_some() && message.address == visits.address {
                visits.processes.extend(message.process);
            } else {
                visits.is_shared = true;
            }
        }
        for event in events.iter().filter(|event| event.event_id == Some(4624)) {
            let by_sshd = field(event, "ProcessName").is_some_and(|name| name.to_lowercase().ends_with(r"\sshd.exe"));
            let name = field(event, "TargetUserName").unwrap_or_default();
            if by_sshd && name.eq_ignore_ascii_case(short(visitor.account)) {
                visits.logons.extend(field(event, "TargetLogonId"));
            }
        }
        visits
    }

    /// Whether a numbered event belongs to a visit.
    pub(super) fn has(&self, event: &SecurityEvent) -> bool {
        let is_own = |name| field(event, name).is_some_and(|logon| self.logons.contains(logon));
        !self.logons.is_empty() && (is_own("TargetLogonId") || is_own("SubjectLogonId"))
    }

    /// Whether an event without a number belongs to a visit.
    pub(super) fn has_message(&self, event: &SecurityEvent, message: &Message<'_>) -> bool {
        let Some(own) = self.address else { return false };
        let is_elsewhere = message.address.is_some_and(|address| address != own);
        if is_elsewhere || message.is_login && message.account != Some(self.account) {
            return false;
        }
        let mentions = || event.message.split([' ', '(', '.']).any(|word| word == self.account);
        match event.source.as_str() {
            "sshd" | "sshd-session" => {
                message.address == Some(own)
                    || message.process.is_some_and(|process| self.processes.contains(process))
                    // Of an earlier visit, whose login is in an earlier log.
                    || !self.is_shared && event.message.contains("session closed") && mentions()
            }
            "systemd-logind" | "systemd" => !self.is_shared && mentions(),
            _ => false,
        }
    }
}

/// The name of an account without its domain.
fn short(account: &str) -> &str {
    account.rsplit('\\').next().unwrap_or(account).split('@').next().unwrap_or(account)
}

//! Which errors of the operating system tell of trouble of our own, not of a client's: the collector is short of
//! something, or has no network. Not what is done about it.

use std::{error::Error, fmt, fs, io, path::Path};

use rustix::io::Errno;

use crate::fleet::{Failure, FailureKind, Stage};

/// Errors for want of something that this machine gives out.
const SHORT: [Errno; 6] = [
    // Descriptors, of this process and of the whole machine.
    Errno::MFILE,
    Errno::NFILE,
    // Memory, also that of the network stack.
    Errno::NOMEM,
    Errno::NOBUFS,
    // Local ports, or a local address of the right family.
    Errno::ADDRNOTAVAIL,
    // Processes and threads.
    Errno::AGAIN,
];

/// Errors that come before anything was sent to the network.
const OFFLINE: [Errno; 5] = [
    Errno::NETDOWN,
    // A firewall or a sandbox on this machine.
    Errno::PERM,
    Errno::ACCESS,
    // The kernel has no IPv6, for instance.
    Errno::AFNOSUPPORT,
    Errno::NODEV,
];

/// The failure of our own that an error of the network amounts to; `None` where it tells of the other side.
pub(super) fn of_network(error: &io::Error) -> Option<FailureKind> {
    let errno = Errno::from_io_error(error)?;
    // For a socket, no space is left for a watch of the event queue.
    if SHORT.contains(&errno) || errno == Errno::NOSPC {
        Some(FailureKind::CollectorShort)
    } else if OFFLINE.contains(&errno) || (errno == Errno::NETUNREACH && is_offline(Path::new("/sys/class/net"))) {
        Some(FailureKind::CollectorOffline)
    } else {
        None
    }
}

/// Whether an error, or one behind it, tells that the collector is short of something that may be had in a moment. A
/// full disk is not that.
pub(super) fn is_behind(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let errno = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        if errno.is_some_and(|errno| SHORT.contains(&errno)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The failure that a name without an answer amounts to. The system's library says only in words what it was, and
/// where it is out of descriptors it may say that there is no such name.
pub(super) fn of_lookup(error: &io::Error) -> Failure {
    let text = error.to_string();
    let kind = of_network(error)
        .unwrap_or_else(|| if has_no_descriptor() { FailureKind::CollectorShort } else { of_lookup_words(&text) });
    Failure::new(Stage::Connect, kind).because(text)
}

/// By the words of `gai_strerror`, of glibc and of musl.
fn of_lookup_words(text: &str) -> FailureKind {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if says(&["Memory allocation failure", "Out of memory"]) {
        FailureKind::CollectorShort
    } else if says(&[
        "Temporary failure in name resolution",
        "Non-recoverable failure in name resolution",
        "Try again",
        "Non-recoverable error",
        "System error",
    ]) {
        FailureKind::NameServiceFailed
    } else {
        FailureKind::NameUnknown
    }
}

/// Whether the next file that is opened would be one too many.
fn has_no_descriptor() -> bool {
    let opened = fs::File::open("/dev/null");
    opened.is_err_and(|error| matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)))
}

/// Whether no interface but the loopback is up. Where that cannot be told, it is not said.
fn is_offline(interfaces: &Path) -> bool {
    /// `IFF_UP` and `IFF_LOOPBACK` of `linux/if.h`.
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    let Ok(entries) = fs::read_dir(interfaces) else { return false };
    !entries.flatten().any(|entry| {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let flags = u32::from_str_radix(read("flags").trim().trim_start_matches("0x"), 16).unwrap_or(0);
        let state = read("operstate");
        // Tunnels and some drivers do not tell their state.
        flags & UP != 0 && flags & LOOPBACK == 0 && matches!(state.trim(), "up" | "unknown")
    })
}

/// Why a credential of ours cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    /// In words for the operator.
    pub(super) words: String,
    /// Whether only because the collector is short of something: another try may do.
    pub(super) is_short: bool,
}

impl Unusable {
    /// For a reason of its own.
    pub(super) fn new(words: String) -> Self {
        Self { words, is_short: false }
    }

    /// Because of an error.
    pub(super) fn after(error: &(dyn Error + 'static), words: String) -> Self {
        Self { words, is_short: is_behind(error) }
    }

    /// The kind of the failure.
    pub(super) fn kind(&self) -> FailureKind {
        if self.is_short { FailureKind::CollectorShort } else { FailureKind::CredentialUnusable }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// An error with everything behind it.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::secret::SecretError, fleet::failure::Blame};

    #[test]
    fn want_of_our_own_is_never_the_clients_failure() {
        let check = |errno: Errno, expected: Option<FailureKind>| {
            let error = io::Error::from(errno);
            assert_eq!(of_network(&error), expected, "{error}");
            if let Some(kind) = expected {
                assert!(kind.blame() == Blame::Collector && kind.is_worth_retrying(), "{error}");
            }
        };
        for errno in SHORT {
            check(errno, Some(FailureKind::CollectorShort));
        }
        for errno in OFFLINE {
            check(errno, Some(FailureKind::CollectorOffline));
        }
        for errno in
            [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::CONNRESET, Errno::HOSTDOWN, Errno::PIPE]
        {
            check(errno, None);
        }
        assert_eq!(of_network(&io::Error::other("words alone")), None);
    }

    #[test]
    fn a_name_without_an_answer_is_not_a_name_that_does_not_exist() {
        for (words, expected) in [
            ("Name or service not known", FailureKind::NameUnknown),
            ("No address associated with hostname", FailureKind::NameUnknown),
            ("Name does not resolve", FailureKind::NameUnknown),
            ("Temporary failure in name resolution", FailureKind::NameServiceFailed),
            ("Non-recoverable failure in name resolution", FailureKind::NameServiceFailed),
            ("Try again", FailureKind::NameServiceFailed),
            ("Memory allocation failure", FailureKind::CollectorShort),
        ] {
            let error = io::Error::other(format!("failed to lookup address information: {words}"));
            let failure = of_lookup(&error);
            assert_eq!(failure.kind, expected, "{words}");
            assert!(failure.to_string().contains(words));
        }
        assert_eq!(of_lookup(&Errno::MFILE.into()).kind, FailureKind::CollectorShort);
    }

    #[test]
    fn a_machine_without_an_interface_that_is_up_is_offline() {
        let check = |interfaces: &[(&str, &str, &str)], expected: bool| {
            let folder = tempfile::tempdir().unwrap();
            for (name, flags, state) in interfaces {
                let interface = folder.path().join(name);
                fs::create_dir(&interface).unwrap();
                fs::write(interface.join("flags"), format!("{flags}\n")).unwrap();
                fs::write(interface.join("operstate"), format!("{state}\n")).unwrap();
            }
            assert_eq!(is_offline(folder.path()), expected, "{interfaces:?}");
        };
        let loopback = ("lo", "0x9", "unknown");
        check(&[loopback], true);
        check(&[loopback, ("eth0", "0x1003", "up")], false);
        check(&[loopback, ("eth0", "0x1003", "down")], true);
        check(&[loopback, ("eth0", "0x1002", "down"), ("tun0", "0x1091", "unknown")], false);
        check(&[loopback, ("tun0", "0x1090", "unknown")], true);
        assert!(!is_offline(Path::new("/nonexistent")));
    }

    #[test]
    fn the_want_behind_an_error_is_found() {
        let short = SecretError::Command(Errno::AGAIN.into());
        assert!(is_behind(&short));
        assert_eq!(Unusable::after(&short, String::new()).kind(), FailureKind::CollectorShort);
        let missing = SecretError::File { path: "/p".into(), source: Errno::NOENT.into() };
        assert!(!is_behind(&missing));
        assert_eq!(Unusable::after(&missing, String::new()).kind(), FailureKind::CredentialUnusable);
        assert!(chain(&missing).contains("/p cannot be read") && chain(&missing).contains("No such file"));
    }
}

//! Which errors of the operating system are problems of the collector and not of a client: a lack of resources, or no
//! network.

use std::{error::Error, fmt, fs, io};

use rustix::io::Errno;

use crate::fleet::{Failure, FailureKind, Stage};

/// Errors because of a lack of resources of this machine.
const SHORT: [Errno; 6] = [
    // File descriptors of this process and of the whole machine.
    Errno::MFILE,
    Errno::NFILE,
    // Memory, including that of the network stack.
    Errno::NOMEM,
    Errno::NOBUFS,
    // Local ports, or a local address of the right family.
    Errno::ADDRNOTAVAIL,
    // Processes and threads.
    Errno::AGAIN,
];

/// Errors before anything was sent to the network.
const OFFLINE: [Errno; 5] = [
    Errno::NETDOWN,
    // A firewall or a sandbox on this machine.
    Errno::PERM,
    Errno::ACCESS,
    // For example if the kernel has no IPv6.
    Errno::AFNOSUPPORT,
    Errno::NODEV,
];

/// The failure of the collector for a network error; `None` if it is about the other side.
pub(super) fn of_network(error: &io::Error) -> Option<FailureKind> {
    let errno = Errno::from_io_error(error)?;
    // For a socket, this means that there is no space for a watch of the event queue.
    if SHORT.contains(&errno) || errno == Errno::NOSPC {
        Some(FailureKind::CollectorShort)
    } else if OFFLINE.contains(&errno) || (errno == Errno::NETUNREACH && is_offline()) {
        Some(FailureKind::CollectorOffline)
    } else {
        None
    }
}

/// Whether an error or one of its causes is a temporary lack of resources. A full disk is not.
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

/// The failure for a name that could not be resolved. The system's library only returns a text, and without file
/// descriptors it may report that the name does not exist.
pub(super) fn of_lookup(error: &io::Error) -> Failure {
    let text = error.to_string();
    let kind = of_network(error)
        .unwrap_or_else(|| if has_no_descriptor() { FailureKind::CollectorShort } else { of_lookup_words(&text) });
    Failure::new(Stage::Connect, kind).because(text)
}

/// By the texts of `gai_strerror` in glibc and musl.
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

/// Whether opening another file would exceed the limit.
fn has_no_descriptor() -> bool {
    let opened = fs::File::open("/dev/null");
    opened.is_err_and(|error| matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)))
}

/// Whether this machine only has routes to itself. `false` if this cannot be determined.
fn is_offline() -> bool {
    let Ok(ipv4) = fs::read_to_string("/proc/net/route") else { return false };
    // The file does not exist without IPv6.
    let ipv6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    has_no_route(&ipv4, &ipv6)
}

/// From the kernel's tables, with one route per line. That of IPv4 has a heading and no loopback routes; that of IPv6
/// has all routes, with the interface at the end.
fn has_no_route(ipv4: &str, ipv6: &str) -> bool {
    let leads_out = |line: &&str| {
        let is_local = line.starts_with("fe80") || line.starts_with("ff");
        !is_local && line.split_ascii_whitespace().next_back().is_some_and(|interface| interface != "lo")
    };
    ipv4.lines().nth(1).is_none() && !ipv6.lines().any(|line| leads_out(&line))
}

/// The reason why a credential cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CredentialError {
    /// The message for the operator.
    pub(super) words: String,
    /// Whether it is only a temporary lack of resources.
    pub(super) is_short: bool,
}

impl CredentialError {
    /// With a reason of its own.
    pub(super) fn new(words: String) -> Self {
        Self { words, is_short: false }
    }

    /// With an error as the cause.
    pub(super) fn after(error: &(dyn Error + 'static), words: String) -> Self {
        Self { words, is_short: is_behind(error) }
    }

    /// The kind of the failure.
    pub(super) fn kind(&self) -> FailureKind {
        if self.is_short { FailureKind::CollectorShort } else { FailureKind::CredentialUnusable }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// An error with all its causes.
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
    use crate::{
        config::secret::SecretError,
        fleet::failure::{Blame, Retry},
    };

    #[test]
    fn want_of_our_own_is_never_the_clients_failure() {
        let check = |errno: Errno, expected: Option<FailureKind>| {
            let error = io::Error::from(errno);
            assert_eq!(of_network(&error), expected, "{error}");
            if let Some(kind) = expected {
                assert!(kind.blame() == Blame::Collector && kind.spec().retry != Retry::Never, "{error}");
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
    fn a_machine_without_a_route_is_offline() {
        let heading = "Iface\tDestination\tGateway\n";
        let route = format!("{heading}eth0\t00000000\t0101A8C0\n");
        let [loopback, link, multicast, global] = [
            "00000000000000000000000000000001 80 lo\n",
            "fe800000000000000000000000000000 40 eth0\n",
            "ff000000000000000000000000000000 08 eth0\n",
            "20010db8000000000000000000000000 40 eth0\n",
        ];
        for (ipv4, ipv6, expected) in [
            ("", "", true),
            (heading, "", true),
            (heading, loopback, true),
            (heading, &[loopback, link, multicast].concat(), true),
            (heading, &[loopback, link, global].concat(), false),
            (&route, loopback, false),
        ] {
            assert_eq!(has_no_route(ipv4, ipv6), expected, "{ipv4}{ipv6}");
        }
    }

    #[test]
    fn the_want_behind_an_error_is_found() {
        let short = SecretError::Command(Errno::AGAIN.into());
        assert!(is_behind(&short));
        assert_eq!(CredentialError::after(&short, String::new()).kind(), FailureKind::CollectorShort);
        let missing = SecretError::File { path: "/p".into(), source: Errno::NOENT.into() };
        assert!(!is_behind(&missing));
        assert_eq!(CredentialError::after(&missing, String::new()).kind(), FailureKind::CredentialUnusable);
        assert!(chain(&missing).contains("/p cannot be read") && chain(&missing).contains("No such file"));
    }
}

//! The choices that a configuration offers in words of a closed list. Not the words: those are parsed elsewhere.

/// How the connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// `none`: plain text.
    None,
    /// `starttls`: upgraded, or nothing is sent.
    StartTls,
    /// `tls`: from the first byte.
    Tls,
}

/// What happens to a host key that is not pinned. A changed or revoked one is refused by all but `Off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// It is refused.
    Strict,
    /// Pinned at first sight.
    AcceptNew,
    /// Nothing is checked.
    Off,
}

/// What becomes of the uploaded agent after a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKeeping {
    /// It stays in its private directory for the next sweep.
    Keep,
    /// Nothing is left behind.
    Remove,
}

//! The host name and the account of this process.

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The account of this process.
#[must_use]
pub fn account() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

/// The name for the audit log: the account that called `sudo`, otherwise that of this process.
#[must_use]
pub fn actor() -> String {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("SUDO_USER").unwrap_or_else(account)
}

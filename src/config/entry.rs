//! The values of a configuration before it is written: whether a text can be the value of an attribute, as the parser of
//! the file has it. Not where the text comes from.

use std::path::{Path, PathBuf};

use quick_xml::escape::partial_escape;

use super::{
    address, database,
    range::Pattern,
    secret::{SecretContext, SecretSource},
    value_error::ValueError,
    values,
};

/// Why a text cannot be the value: what is wrong, and what to write instead. It repeats nothing that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {hint}")]
pub struct Refused {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl Refused {
    fn new(problem: &str, hint: &str) -> Self {
        Self { problem: problem.to_owned(), hint: hint.to_owned() }
    }
}

impl From<ValueError> for Refused {
    fn from(wrong: ValueError) -> Self {
        Self::new(wrong.problem.as_str(), wrong.hint.as_str())
    }
}

/// The most clients of a fleet.
pub const MOST_CLIENTS: usize = super::range::MOST;

/// The addresses that `ip` of a client expands to, each in its canonical form.
///
/// # Errors
/// [`Refused`]
pub fn addresses(ip: &str) -> Result<Vec<String>, Refused> {
    Ok(address::expanded(ip)?)
}

/// `name` of a client, without a range.
///
/// # Errors
/// [`Refused`]
pub fn name(text: &str) -> Result<String, Refused> {
    if text.contains(['[', ']']) {
        return Err(Refused::new("a name with brackets would be a range", "write it without `[` and `]`"));
    }
    let name = values::line(text)?;
    Pattern::parse(&name)?;
    Ok(name)
}

/// `username` of a client or of the mail server.
///
/// # Errors
/// [`Refused`]
pub fn account(text: &str) -> Result<String, Refused> {
    Ok(values::line(text)?)
}

/// `port`.
///
/// # Errors
/// [`Refused`]
pub fn port(text: &str) -> Result<u16, Refused> {
    Ok(values::port(text)?)
}

/// The address of the mail server.
///
/// # Errors
/// [`Refused`]
pub fn server(text: &str) -> Result<String, Refused> {
    Ok(address::parse(text)?)
}

/// `from` of the mail server.
///
/// # Errors
/// [`Refused`]
pub fn sender(text: &str) -> Result<(), Refused> {
    values::mailbox(text)?;
    Ok(())
}

/// `mail`: one or more addresses.
///
/// # Errors
/// [`Refused`]
pub fn recipients(text: &str) -> Result<(), Refused> {
    values::mails(text)?;
    Ok(())
}

/// A path, with `~` replaced by `home`.
///
/// # Errors
/// [`Refused`]
pub fn path(text: &str, home: Option<&Path>) -> Result<PathBuf, Refused> {
    if text.chars().any(char::is_control) {
        return Err(Refused::new("the path contains control characters", "choose another file"));
    }
    Ok(values::path(text, home)?)
}

/// Where a secret is. The secret itself is refused.
///
/// # Errors
/// [`Refused`]
pub fn reference(text: &str, home: Option<&Path>) -> Result<SecretSource, Refused> {
    match SecretSource::parse(text, SecretContext { home, age_identity: None })? {
        SecretSource::Literal(_) => Err(Refused::new(
            "this is not a reference to a secret",
            "write env:NAME, file:PATH, cred:NAME, age:FILE or cmd:COMMAND, so that the secret stands neither here nor in the \
             file",
        )),
        source @ (SecretSource::Environment(_)
        | SecretSource::File(_)
        | SecretSource::Command(_)
        | SecretSource::Credential(_)
        | SecretSource::Age(_)) => Ok(source),
    }
}

/// `url` of the database, without a password.
///
/// # Errors
/// [`Refused`]
pub fn database_url(text: &str, home: Option<&Path>) -> Result<(), Refused> {
    if values::url_has_password(text) {
        return Err(Refused::new(
            "this URL contains a password, which other users of this machine can see in the list of processes",
            "leave out --database, and write the URL into the file",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::new("the path contains control characters", "choose another file"));
    }
    database::parse(text, home)?;
    Ok(())
}

/// A value as it stands between double quotes in the file.
#[must_use]
pub fn escaped(value: &str) -> String {
    partial_escape(value).replace('"', "&quot;")
}

/// Whether a server is this machine.
#[must_use]
pub fn is_loopback(server: &str) -> bool {
    address::is_loopback(server)
}

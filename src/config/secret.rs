//! Sources of secrets, and how secrets are read from them. A secret itself is never shown.

use std::{
    env::VarError,
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use tokio::io::AsyncReadExt as _;

use super::{
    age_secret::{AgeSecret, AgeSecretError},
    directories::CREDENTIALS_VARIABLE,
    safe_text::{self, SafeText, words},
    small_file::{self, SmallFileError},
    value_error::ValueError,
    values,
};

/// The time limit for a command to print the secret.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// The environment variable that passes the command to its shell.
const COMMAND_VARIABLE: &str = "FLEETSWEEP_SECRET_COMMAND";

mod error;

use error::LONGEST_BYTES;
pub use error::SecretError;

/// What the meaning of a source depends on besides its text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SecretContext<'a> {
    /// What `~` stands for.
    pub home: Option<&'a Path>,
    /// `age-identity` on `<collector>`.
    pub age_identity: Option<&'a Path>,
}

/// The source of a secret, as the configuration writes it.
#[derive(Clone)]
pub enum SecretSource {
    /// The secret itself.
    Literal(SecretString),
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:PATH`: the first line of a file.
    File(PathBuf),
    /// `cmd:COMMAND`: the first line of output of a shell command.
    Command(String),
    /// `cred:NAME`: the first line of a credential that systemd passes to a service.
    Credential(String),
    /// `age:FILE` or `age:` and the encrypted secret: the first line of what is decrypted.
    Age(AgeSecret),
}

/// Shows the source, unless it may be the secret itself. A command is not shown, because its arguments may contain a
/// secret.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown().as_str())
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}

/// Two sources are equal if they are the same source; literals are equal if they are the same secret.
impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one.expose_secret() == other.expose_secret(),
            (Self::Environment(one), Self::Environment(other))
            | (Self::Command(one), Self::Command(other))
            | (Self::Credential(one), Self::Credential(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Age(one), Self::Age(other)) => one == other,
            (
                Self::Literal(_)
                | Self::Environment(_)
                | Self::File(_)
                | Self::Command(_)
                | Self::Credential(_)
                | Self::Age(_),
                _,
            ) => false,
        }
    }
}

impl Eq for SecretSource {}

impl SecretSource {
    /// The source as it may be shown.
    pub(super) fn shown(&self) -> SafeText {
        match self {
            Self::Literal(_) => "in the file".into(),
            Self::Environment(name) => words!["env:", safe_text::environment_name(name)],
            Self::File(path) => words!["file:", safe_text::path(path)],
            Self::Command(_) => "cmd:…".into(),
            Self::Credential(_) => "cred:…".into(),
            Self::Age(secret) => secret.shown(),
        }
    }

    /// The program that is run to read it, as far as it is known; `None` if none is run. Arguments are left out, because
    /// they may contain a secret.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        let Self::Command(command) = self else { return None };
        let first = command.split_whitespace().next();
        Some(first.filter(|word| !word.contains(['=', '$', '\'', '"', '`'])).unwrap_or("a command"))
    }

    /// Parses a source. Errors never repeat the text.
    pub(super) fn parse(text: &str, context: SecretContext<'_>) -> Result<Self, ValueError> {
        let SecretContext { home, age_identity } = context;
        const NO_CREDENTIAL: &str = "the text after `cred:` is not the name of a credential";
        const CREDENTIAL_HINT: &str =
            "write the name that LoadCredential= in the unit gives it; write a literal secret without `cred:`";
        const HINT: &str = "write `env:NAME`, `file:PATH`, `age:FILE`, `cred:NAME`, `cmd:COMMAND` or the secret itself";
        let lacking = |what: &'static str| ValueError::new(words![what, " is missing"], HINT);
        if text.is_empty() {
            return Err(lacking("the secret"));
        }
        if let Some(name) = text.strip_prefix("env:") {
            if name.is_empty() {
                return Err(lacking("the name of the environment variable"));
            }
            // Shells and service managers allow no other names. A text with a blank may be the secret itself.
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !plain || name.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(ValueError::new(
                    "the text after `env:` is not the name of an environment variable",
                    "write `env:NAME` with only letters, digits and `_`; write a literal secret without `env:`",
                ));
            }
            return Ok(Self::Environment(name.to_owned()));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() { Err(lacking("the path")) } else { values::path(path, home).map(Self::File) };
        }
        if let Some(encrypted) = text.strip_prefix("age:") {
            return if encrypted.trim().is_empty() {
                Err(lacking("the path of the encrypted secret"))
            } else {
                AgeSecret::parse(encrypted, home, age_identity).map(Self::Age)
            };
        }
        if let Some(command) = text.strip_prefix("cmd:") {
            return match command.trim() {
                "" => Err(lacking("the command")),
                command => Ok(Self::Command(command.to_owned())),
            };
        }
        if let Some(name) = text.strip_prefix("cred:") {
            // It is the name of a file in the directory of the credentials.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte);
            return match name {
                "" => Err(lacking("the name of the credential")),
                "." | ".." => Err(ValueError::new(NO_CREDENTIAL, CREDENTIAL_HINT)),
                name if name.len() <= 255 && name.bytes().all(plain) => Ok(Self::Credential(name.to_owned())),
                _ => Err(ValueError::new(NO_CREDENTIAL, CREDENTIAL_HINT)),
            };
        }
        Ok(Self::Literal(SecretString::from(text)))
    }

    /// Reads the secret. A file or command is read each time, so that a changed secret takes effect.
    ///
    /// # Errors
    /// [`SecretError`] if the source cannot be read, or if its content is empty, too long or not UTF-8.
    pub async fn fetch(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::Environment(name) => self.variable(name),
            Self::File(path) => {
                let owned = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&owned)).await;
                let failed = |broken: tokio::task::JoinError| SecretError::File {
                    path: safe_text::path(path),
                    source: broken.into(),
                };
                self.first_line(&read.map_err(failed)??)
            }
            Self::Credential(name) => {
                let name = name.clone();
                let read = tokio::task::spawn_blocking(move || read_credential(&name)).await;
                self.first_line(&read.map_err(|broken| SecretError::Credential(broken.into()))??)
            }
            Self::Age(secret) => {
                let secret = secret.clone();
                let opened = tokio::task::spawn_blocking(move || secret.open()).await;
                let opened = opened.map_err(|broken| SecretError::Age(AgeSecretError::Stopped(broken.into())))?;
                self.first_line(&opened.map_err(SecretError::Age)?)
            }
            Self::Command(command) => {
                let output = tokio::time::timeout(COMMAND_DEADLINE, run(command));
                let bytes = output.await.map_err(|_| SecretError::CommandTimedOut(COMMAND_DEADLINE))??;
                self.first_line(&bytes)
            }
        }
    }

    /// Checks whether the secret can be read now. Commands are not run.
    pub(super) fn look(&self) -> Result<(), SecretError> {
        match self {
            Self::Literal(_) | Self::Command(_) => Ok(()),
            Self::Environment(name) => self.variable(name).map(drop),
            Self::File(path) => self.first_line(&read_file(path)?).map(drop),
            Self::Credential(name) => self.first_line(&read_credential(name)?).map(drop),
            Self::Age(secret) => self.first_line(&secret.open().map_err(SecretError::Age)?).map(drop),
        }
    }

    fn variable(&self, name: &str) -> Result<SecretString, SecretError> {
        match std::env::var(name) {
            Ok(value) if value.is_empty() => Err(SecretError::Empty(self.shown())),
            Ok(value) if value.len() > LONGEST_BYTES => Err(SecretError::TooLong(self.shown())),
            Ok(value) => Ok(SecretString::from(value)),
            Err(VarError::NotPresent) => Err(SecretError::NotSet(safe_text::environment_name(name))),
            Err(VarError::NotUnicode(_)) => Err(SecretError::NotText(self.shown())),
        }
    }

    /// The secret in the first line that somebody has typed.
    ///
    /// # Errors
    /// [`SecretError`] if it is empty, too long or not UTF-8.
    pub fn from_input(bytes: &[u8]) -> Result<SecretString, SecretError> {
        first_line(bytes, || "standard input".into())
    }

    fn first_line(&self, bytes: &[u8]) -> Result<SecretString, SecretError> {
        first_line(bytes, || self.shown())
    }
}

/// The secret in the first line of `source`.
fn first_line(bytes: &[u8], source: impl Fn() -> SafeText) -> Result<SecretString, SecretError> {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.len() > LONGEST_BYTES {
        return Err(SecretError::TooLong(source()));
    }
    let line = str::from_utf8(line).map_err(|_| SecretError::NotText(source()))?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err(SecretError::Empty(source())) } else { Ok(SecretString::from(line)) }
}

/// The first bytes of a file, enough for any secret or to see that it is too long.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    small_file::read(path, LONGEST_BYTES).map_err(|error| match error {
        SmallFileError::Io(source) => SecretError::File { path: safe_text::path(path), source },
        SmallFileError::NotRegular => SecretError::NotRegular(safe_text::existing_path(path)),
    })
}

/// The first bytes of a credential of this service.
fn read_credential(name: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let directory = std::env::var_os(CREDENTIALS_VARIABLE).ok_or(SecretError::NoCredentials)?;
    // The directory is of no use to the reader of an error, and the name may be a misplaced secret.
    read_file(&Path::new(&directory).join(name)).map_err(|error| {
        if let SecretError::File { source, .. } = error { SecretError::Credential(source) } else { error }
    })
}

/// The first bytes of a stream, enough for any secret or to see that it is too long.
async fn start_of(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = LONGEST_BYTES + 1;
    // Allocated at full size, because growing would leave copies of the secret in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    let mut buffer = Zeroizing::new([0_u8; 512]);
    while bytes.len() < limit && !bytes.contains(&b'\n') {
        let read = stream.read(buffer.as_mut_slice()).await?;
        if read == 0 {
            break;
        }
        let room = limit - bytes.len();
        bytes.extend(buffer.iter().take(read.min(room)));
    }
    Ok(bytes)
}

/// The start of the output of a shell command. Standard error is dropped, because it might repeat the secret.
async fn run(command: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    // The command may contain a secret. It is passed in the environment, because every user of the machine can see
    // arguments. The variable is unset before the command runs, so that its children do not inherit it.
    let mut child = tokio::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!("fleetsweep_command=${COMMAND_VARIABLE}; unset {COMMAND_VARIABLE}; eval \"$fleetsweep_command\""),
        ])
        .env(COMMAND_VARIABLE, command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(SecretError::Command)?;
    let bytes = match child.stdout.as_mut() {
        Some(stdout) => {
            let bytes = start_of(stdout).await.map_err(SecretError::Command)?;
            // The rest is read and dropped, because a closed pipe would make the command fail.
            tokio::io::copy(stdout, &mut tokio::io::sink()).await.map_err(SecretError::Command)?;
            bytes
        }
        None => Zeroizing::new(Vec::new()),
    };
    let status = child.wait().await.map_err(SecretError::Command)?;
    if status.success() { Ok(bytes) } else { Err(SecretError::CommandFailed(status)) }
}

#[cfg(test)]
mod tests;

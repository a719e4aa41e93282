//! Sources of secrets, and how secrets are read from them. A secret itself is never shown.

use std::{
    env::VarError,
    fmt,
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use tokio::io::AsyncReadExt as _;

use super::{
    safe_text::{self, SafeText, words},
    value_error::ValueError,
    values,
};

/// The time limit for a command to print the secret.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// The environment variable that passes the command to its shell.
const COMMAND_VARIABLE: &str = "FLEETSWEEP_SECRET_COMMAND";
/// The environment variable in which systemd names the directory of a service's credentials.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// The longest secret. Anything longer is probably the wrong file.
const LONGEST_BYTES: usize = 4096;

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
            (Self::Literal(_) | Self::Environment(_) | Self::File(_) | Self::Command(_) | Self::Credential(_), _) => {
                false
            }
        }
    }
}

impl Eq for SecretSource {}

/// Why a secret cannot be read. Messages name the source and never the content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.problem(), self.hint())]
pub enum SecretError {
    /// The environment variable is not set.
    NotSet(SafeText),
    /// The file cannot be read.
    File {
        /// The file.
        path: SafeText,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path (links followed) is a pipe, a device or a socket, which cannot be read repeatedly.
    NotRegular(SafeText),
    /// The command cannot be started, or its output cannot be read.
    Command(#[source] io::Error),
    /// The command failed.
    CommandFailed(ExitStatus),
    /// The command did not finish in time.
    CommandTimedOut(Duration),
    /// systemd has passed no credentials to this process.
    NoCredentials,
    /// The credential cannot be read.
    Credential(#[source] io::Error),
    /// The first line is empty.
    Empty(SafeText),
    /// It is not UTF-8.
    NotText(SafeText),
    /// It is longer than a secret can be.
    TooLong(SafeText),
}

impl SecretError {
    /// What is wrong.
    pub(super) fn problem(&self) -> SafeText {
        match self {
            Self::NotSet(name) if *name == SafeText::hidden() => "the environment variable of `env:` is not set".into(),
            Self::NotSet(name) => words!["the environment variable ", *name, " is not set"],
            Self::File { path, source } => {
                let hidden = *path == SafeText::hidden();
                let file = if hidden { "the secret file".into() } else { words!["the secret file ", *path] };
                words![file, " cannot be read: ", safe_text::io_error(source)]
            }
            Self::NotRegular(path) => words!["the secret file ", *path, " is not a regular file"],
            Self::Command(error) => words!["the command of `cmd:` cannot be run: ", safe_text::io_error(error)],
            Self::CommandFailed(status) => match status.code().and_then(|code| u32::try_from(code).ok()) {
                Some(code) => words!["the command of `cmd:` failed with exit status ", code],
                None => "the command of `cmd:` was killed by a signal".into(),
            },
            Self::CommandTimedOut(time) => words!["the command of `cmd:` did not finish within ", *time],
            Self::NoCredentials => {
                words!["systemd has passed no credentials to this process (", CREDENTIALS_VARIABLE, " is not set)"]
            }
            Self::Credential(error) => words!["the credential of `cred:` cannot be read: ", safe_text::io_error(error)],
            Self::Empty(source) => words!["the secret from ", *source, " is empty"],
            Self::NotText(source) => words!["the secret from ", *source, " is not UTF-8 text"],
            Self::TooLong(source) => words!["the secret from ", *source, " is longer than ", LONGEST_BYTES, " bytes"],
        }
    }

    /// What to do.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NotSet(_) => "set it for the fleetsweep process, or change `env:` in the configuration",
            Self::File { .. } => "check the path and its permissions",
            Self::NotRegular(_) => "name a regular file, or use `cmd:COMMAND`",
            Self::Command(_) | Self::CommandFailed(_) => "run it in a shell to see why",
            Self::CommandTimedOut(_) => "the command must not wait for input",
            Self::NoCredentials | Self::Credential(_) => {
                "pass it to the unit with LoadCredential= or LoadCredentialEncrypted=; outside of the unit use systemd-run"
            }
            Self::Empty(_) => "its first line must contain the secret",
            Self::NotText(_) | Self::TooLong(_) => "check that this is the right source",
        }
    }
}

impl SecretSource {
    /// The source as it may be shown.
    pub(super) fn shown(&self) -> SafeText {
        match self {
            Self::Literal(_) => "in the file".into(),
            Self::Environment(name) => words!["env:", safe_text::environment_name(name)],
            Self::File(path) => words!["file:", safe_text::path(path)],
            Self::Command(_) => "cmd:…".into(),
            Self::Credential(_) => "cred:…".into(),
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
    pub(super) fn parse(text: &str, home: Option<&Path>) -> Result<Self, ValueError> {
        const NO_CREDENTIAL: &str = "the text after `cred:` is not the name of a credential";
        const CREDENTIAL_HINT: &str =
            "write the name that LoadCredential= in the unit gives it; write a literal secret without `cred:`";
        const HINT: &str = "write `env:NAME`, `file:PATH`, `cred:NAME`, `cmd:COMMAND` or the secret itself";
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

    fn first_line(&self, bytes: &[u8]) -> Result<SecretString, SecretError> {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        if line.len() > LONGEST_BYTES {
            return Err(SecretError::TooLong(self.shown()));
        }
        let line = str::from_utf8(line).map_err(|_| SecretError::NotText(self.shown()))?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() { Err(SecretError::Empty(self.shown())) } else { Ok(SecretString::from(line)) }
    }
}

/// The first bytes of a regular file, enough for any secret or to see that it is too long. A pipe is rejected: reading
/// it would block, and each secret in it could be read only once.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |source| SecretError::File { path: safe_text::path(path), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(SecretError::NotRegular(safe_text::existing_path(path)));
    }
    // If a pipe has replaced the file since, opening it does not block.
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(not_waiting).open(path).map_err(failed)?;
    // Allocated at full size, because growing would leave copies of the secret in memory.
    let limit = LONGEST_BYTES + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
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
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn check(text: &str, expected: Result<&str, &str>) {
        let source = SecretSource::parse(text, None).unwrap();
        let fetched = source.fetch().await;
        let shown = fetched.as_ref().map(|secret| secret.expose_secret().to_owned()).map_err(ToString::to_string);
        match (shown, expected) {
            (Ok(secret), Ok(expected)) => assert_eq!(secret, expected, "{text}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[tokio::test]
    async fn a_secret_comes_from_where_the_configuration_says() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from a file\r\nsecond line\n").unwrap();
        let path = file.path().display().to_string();
        let home = std::env::var("PATH").unwrap();
        check("literal", Ok("literal")).await;
        check("env:PATH", Ok(&home)).await;
        check(&format!("file:{path}"), Ok("from a file")).await;
        check("cmd:echo one; echo two", Ok("one")).await;
        check("cmd:printf %s bare", Ok("bare")).await;
        check("cmd:cat; echo closed", Ok("closed")).await;
        check("cmd:echo first; yes | head -c 300000", Ok("first")).await;
        check("cmd:printf '%s' \"a  b\"'$c \\d'", Ok("a  b$c \\d")).await;
        check("cmd:echo one\n echo two", Ok("one")).await;
        check("cmd:# a comment\necho behind", Ok("behind")).await;
        check("cmd:env | grep -c FLEETSWEEP_SECRET_COMMAND || true", Ok("0")).await;
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_had_says_why() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let empty = format!("file:{}", empty.path().display());
        check("env:FLEETSWEEP_NOT_SET", Err("FLEETSWEEP_NOT_SET is not set")).await;
        check("file:/nonexistent/secret", Err("/nonexistent/secret cannot be read: it does not exist")).await;
        check(&empty, Err("is empty")).await;
        check("file:/dev/zero", Err("the secret file /dev/zero is not a regular file")).await;
        check("cmd:head -c 9999 /dev/zero", Err("longer than 4096 bytes")).await;
        check("cmd:exit 3", Err("failed with exit status 3")).await;
        check("cmd:true", Err("is empty")).await;
        check("cmd:echo; echo second", Err("is empty")).await;
        check("cmd:printf '\\377\\n'", Err("not UTF-8")).await;
    }

    #[tokio::test]
    async fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [pipe, link] {
            let expected = format!("the secret file {} is not a regular file", path.display());
            check(&format!("file:{}", path.display()), Err(&expected)).await;
            assert!(SecretSource::File(path).look().unwrap_err().to_string().contains(&expected));
        }
    }

    #[tokio::test]
    async fn a_command_is_not_in_the_list_of_processes() {
        // The shell looks at its own arguments: they are what other users see.
        let seen = SecretSource::parse("cmd:tr '\\0' ' ' </proc/$$/cmdline # geheim", None).unwrap();
        let seen = seen.fetch().await.unwrap();
        let seen = seen.expose_secret();
        assert!(seen.starts_with("/bin/sh -c ") && !seen.contains("geheim"), "{seen}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_waits_is_given_up() {
        check("cmd:exec tail -f /dev/null", Err("did not finish within 10s")).await;
    }

    #[test]
    fn a_source_without_its_part_is_refused() {
        for (text, problem) in [
            ("", "the secret is missing"),
            ("env:", "the name of the environment variable is missing"),
            ("env:A=B", "the text after `env:` is not the name of an environment variable"),
            ("env: geheim", "the text after `env:` is not the name of an environment variable"),
            ("env:1A", "the text after `env:` is not the name of an environment variable"),
            ("file:", "the path is missing"),
            ("cmd: ", "the command is missing"),
            ("cred:", "the name of the credential is missing"),
            ("cred:..", "the text after `cred:` is not the name of a credential"),
            ("cred:a/b", "the text after `cred:` is not the name of a credential"),
        ] {
            assert_eq!(SecretSource::parse(text, None).unwrap_err().problem.as_str(), problem);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        for (text, shown) in [
            ("geheim", "SecretSource(in the file)"),
            ("env:NAME", "SecretSource(env:NAME)"),
            ("env:geheim", "SecretSource(env:***)"),
            ("file:/etc/pw", "SecretSource(file:/etc/pw)"),
            ("file:geheim", "SecretSource(file:***)"),
            ("cmd:echo geheim", "SecretSource(cmd:…)"),
            ("cred:geheim", "SecretSource(cred:…)"),
        ] {
            assert_eq!(format!("{:?}", SecretSource::parse(text, None).unwrap()), shown);
        }
    }
}

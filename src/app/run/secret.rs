//! `secret`: encrypts a secret with age for `password="age:…"`, and makes the identity that decrypts it if there is none.
//! It contacts nothing.

use std::{
    fs::DirBuilder,
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use base64ct::{Base64, Encoding as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::output_file::{Audience, Output, OutputError};
use crate::{
    age::{self, Identity, Recipient},
    app::{
        error::{EncryptionError, RunError},
        process::hidden_input,
    },
    cli::Exit,
    config::{
        self, Config,
        directories::Environment,
        identity_file::{IdentityFile, IdentityFileError},
        secret::SecretSource,
    },
};

/// For whom a secret is encrypted.
enum Readers {
    /// The keys that the operator names, or that of the own identity.
    Known(Vec<Recipient>),
    /// A new identity in this file.
    New(PathBuf),
}

/// Reads a secret, encrypts it for `recipients` or the own identity, and prints the value for the configuration at
/// `config`. With `output`, the encrypted secret is in that file, and the value names it.
///
/// # Errors
/// [`RunError`] if it cannot be read, encrypted or written. No file is replaced.
pub async fn run(
    config: &Path,
    output: Option<&Path>,
    recipients: Vec<Recipient>,
    stop: &CancellationToken,
) -> Result<Exit, RunError> {
    // What would fail afterwards is found before somebody types a secret.
    if let Some(output) = output
        && output.symlink_metadata().is_ok()
    {
        return Err(OutputError::Exists { file: output.display().to_string() }.into());
    }
    let readers = if recipients.is_empty() { own(config)? } else { Readers::Known(recipients) };
    let secret = secret(stop).await?;
    let recipients = match readers {
        Readers::Known(recipients) => recipients,
        Readers::New(path) => vec![new_identity(&path)?],
    };
    let content = secret.expose_secret().as_bytes();
    let encrypted = age::encrypt(content, &recipients).ok_or(EncryptionError::Recipients)?;
    let value = match output {
        Some(path) => {
            write_new(path, age::armored(&encrypted).as_bytes())?;
            // The program may run in another directory.
            path.canonicalize()?.display().to_string()
        }
        None => Base64::encode_string(&encrypted),
    };
    writeln!(io::stdout(), "age:{value}")?;
    Ok(Exit::Success)
}

/// The own identity, or where a new one will be.
fn own(config: &Path) -> Result<Readers, RunError> {
    let is_default = config == Path::new(config::DEFAULT_FILE) && !config.exists();
    let file = if is_default { IdentityFile::Usual } else { Config::identity_file(config)? };
    match file.read() {
        Ok((_, identities)) => {
            // New secrets are for the first one, so that the others can be removed some day.
            Ok(Readers::Known(identities.newest().map(Identity::recipient).into_iter().collect()))
        }
        Err(IdentityFileError::NoneFound(_)) => {
            let is_root = rustix::process::geteuid().is_root();
            Ok(Readers::New(file.place_of_new(&Environment::of_process(), is_root)))
        }
        Err(IdentityFileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Readers::New(file.place_of_new(&Environment::of_process(), false)))
        }
        Err(error) => Err(EncryptionError::from(error).into()),
    }
}

/// Makes an identity and tells the operator what to do with it.
fn new_identity(path: &Path) -> Result<Recipient, RunError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut directory = DirBuilder::new();
        directory
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(|source| OutputError::NotBegun { file: path.display().to_string(), source })?;
    }
    let identity = Identity::generate();
    write_new(path, age::written(&identity, Timestamp::now()).as_bytes())?;
    let recipient = identity.recipient();
    let path = path.display();
    writeln!(
        io::stderr(),
        "A new identity is in {path}. Back it up: without it, nobody can decrypt the secrets.\n\
         A service that runs as another user needs it too, for example with LoadCredential=age-identity:{path}\n\
         Its public key, for --recipient on other machines: {recipient}"
    )?;
    Ok(recipient)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let mut file = Output::create(path, Audience::Owner)?;
    file.write(bytes)?;
    file.finish_new()
}

/// The secret that somebody types twice, or that is on standard input.
async fn secret(stop: &CancellationToken) -> Result<SecretString, RunError> {
    let typed = if hidden_input::is_terminal() {
        let typed = hidden_input::ask("Secret (not shown): ", stop).await.map_err(EncryptionError::from)?;
        usable(&typed)?;
        let again = hidden_input::ask("Once more: ", stop).await.map_err(EncryptionError::from)?;
        if typed != again {
            return Err(EncryptionError::Different.into());
        }
        typed
    } else {
        hidden_input::read(stop).await.map_err(EncryptionError::from)?
    };
    Ok(usable(&typed)?)
}

/// The line that was typed, if it can be a secret.
fn usable(typed: &[u8]) -> Result<SecretString, EncryptionError> {
    let line = typed.strip_suffix(b"\n").unwrap_or(typed);
    if line.contains(&b'\n') {
        return Err(EncryptionError::SeveralLines);
    }
    Ok(SecretSource::from_input(line)?)
}

//! A secret that is encrypted with age, in a file or in the configuration itself. The format is in [`crate::age`], the
//! identities are in [`super::identity_file`].

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::zeroize::Zeroizing;

use super::{
    identity_file::{IdentityFile, IdentityFileError},
    safe_text::{self, SafeText, words},
    small_file::{self, SmallFileError},
    value_error::ValueError,
    values,
};
use crate::age::{self, AgeError, RecipientKind};

/// An encrypted secret and the identities that decrypt it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AgeSecret {
    place: Place,
    identity: IdentityFile,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    File(PathBuf),
    /// The secret in binary form.
    Inline(Arc<[u8]>),
}

impl fmt::Debug for AgeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeSecret({})", self.shown())
    }
}

/// Why a secret cannot be decrypted.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.problem(), self.hint())]
pub enum AgeSecretError {
    /// There are no identities.
    Identity(#[source] IdentityFileError),
    /// The file cannot be read.
    File {
        /// The file.
        path: SafeText,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It is a pipe, a device or a socket.
    NotRegular(SafeText),
    /// It cannot be decrypted.
    Encrypted {
        /// The secret, with its path.
        secret: SafeText,
        /// The file of identities.
        identity: SafeText,
        /// How many identities it has.
        identities: usize,
        /// What is wrong.
        source: AgeError,
    },
    /// It could not be read, because this process is ending.
    Stopped(#[source] io::Error),
}

impl AgeSecretError {
    /// What is wrong.
    pub(super) fn problem(&self) -> SafeText {
        match self {
            Self::Identity(error) => error.problem(),
            Self::File { path, source } => {
                let hidden = *path == SafeText::hidden();
                let file = if hidden { "the secret file".into() } else { words!["the secret file ", *path] };
                words![file, " cannot be read: ", safe_text::io_error(source)]
            }
            Self::NotRegular(path) => words!["the secret file ", *path, " is not a regular file"],
            Self::Encrypted { secret, identity, identities, source } => {
                let AgeError::NoMatch(kinds) = source else { return words![*secret, is(source)] };
                match kinds.as_slice() {
                    [] | [RecipientKind::X25519, ..] if *identities == 1 => {
                        words![*secret, " cannot be decrypted with the identity in ", *identity]
                    }
                    [] | [RecipientKind::X25519, ..] => {
                        let any = words![" cannot be decrypted with any of the ", *identities, " identities in "];
                        words![*secret, any, *identity]
                    }
                    [RecipientKind::Passphrase, ..] => words![*secret, " is encrypted with a passphrase"],
                    [kind, ..] => words![*secret, " is encrypted for ", kind.words(), ", which is not supported"],
                }
            }
            Self::Stopped(error) => words!["the secret of `age:` cannot be read: ", safe_text::io_error(error)],
        }
    }

    /// What to do.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Identity(error) => error.hint(),
            Self::File { .. } | Self::Stopped(_) => "check the path and its permissions",
            Self::NotRegular(_) => "name a regular file",
            Self::Encrypted { source, .. } => {
                let AgeError::NoMatch(kinds) = source else { return fix(source) };
                match kinds.as_slice() {
                    [] | [RecipientKind::X25519, ..] => {
                        "add the identity that it was written for to this file, or write the secret again with `fleetsweep secret`"
                    }
                    [_, ..] => "write it again with `fleetsweep secret`, or with `age -r` and the public key",
                }
            }
        }
    }
}

/// What the file is, after its name.
fn is(error: &AgeError) -> &'static str {
    match error {
        AgeError::NotAge => " is not encrypted with age",
        AgeError::TooLarge => " is larger than 64 KiB",
        AgeError::Version => " is in a version of the format of age that is not supported",
        AgeError::Armor => " is damaged or cut short (its base64)",
        AgeError::Header => " is damaged or cut short (its header)",
        AgeError::Mac => " is damaged (its header was changed)",
        AgeError::Payload => " is damaged or cut short (its content)",
        AgeError::NoMatch(_) => " is for other identities",
    }
}

/// What to do about it.
fn fix(error: &AgeError) -> &'static str {
    match error {
        AgeError::NotAge => {
            "write it with `fleetsweep secret --output FILE`; for a file with the secret itself, write `file:PATH`"
        }
        AgeError::TooLarge => "check that this is the right file",
        AgeError::Version | AgeError::NoMatch(_) => "write it again with `fleetsweep secret`",
        AgeError::Armor | AgeError::Header | AgeError::Mac | AgeError::Payload => {
            "copy it again from where it was written, or write it again with `fleetsweep secret`"
        }
    }
}

impl AgeSecret {
    /// Parses the text after `age:`.
    pub(super) fn parse(text: &str, home: Option<&Path>, identity: Option<&Path>) -> Result<Self, ValueError> {
        let wrong = |error: &AgeError| ValueError::new(words!["the text after `age:`", is(error)], fix(error));
        let place = match age::from_line(text).map_err(|error| wrong(&error))? {
            Some(file) => {
                age::examine(&file).map_err(|error| wrong(&error))?;
                Place::Inline(file.into())
            }
            None => Place::File(values::path(text, home)?),
        };
        Ok(Self { place, identity: IdentityFile::of(identity) })
    }

    /// The secret as it may be shown.
    pub(super) fn shown(&self) -> SafeText {
        match &self.place {
            Place::File(path) => words!["age:", safe_text::path(path)],
            Place::Inline(_) => "age:…".into(),
        }
    }

    /// The file; `None` if the secret is in the configuration.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Inline(_) => None,
        }
    }

    /// The identities that decrypt it.
    pub(super) fn identity(&self) -> &IdentityFile {
        &self.identity
    }

    /// Reads and decrypts it. The identities are read each time, so that a change takes effect.
    pub(super) fn open(&self) -> Result<Zeroizing<Vec<u8>>, AgeSecretError> {
        let read;
        let (file, secret): (&[u8], SafeText) = match &self.place {
            Place::Inline(file) => (file, "the secret after `age:`".into()),
            Place::File(path) => {
                read = small_file::read(path, age::LARGEST_BYTES).map_err(|error| match error {
                    SmallFileError::Io(source) => AgeSecretError::File { path: safe_text::path(path), source },
                    SmallFileError::NotRegular => AgeSecretError::NotRegular(safe_text::existing_path(path)),
                })?;
                (&read, words!["the secret file ", safe_text::existing_path(path)])
            }
        };
        let (path, identities) = self.identity.read().map_err(AgeSecretError::Identity)?;
        age::decrypt(file, identities.all()).map_err(|source| AgeSecretError::Encrypted {
            secret,
            identity: safe_text::existing_path(&path),
            identities: identities.all().len(),
            source,
        })
    }
}

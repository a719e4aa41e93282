//! The file of identities that decrypt the secrets of `age:`: where it is, and reading it. The format is in
//! [`crate::age`].

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    directories::Environment,
    safe_text::{self, SafeText, words},
    shape::Element,
    small_file::{self, SmallFileError},
    values,
};
use crate::age::{Identities, IdentitiesError};

/// The attribute of `<collector>` that names the file.
pub(super) const ATTRIBUTE: &str = "age-identity";
/// The name of the file in the usual places, and of the credential of systemd.
const NAME: &str = "age-identity";
/// The largest file, in bytes.
const LARGEST_BYTES: usize = 64 * 1024;

/// Where the identities are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum IdentityFile {
    /// The first of the usual places where there is a file.
    #[default]
    Usual,
    /// The file that the configuration names.
    Named(PathBuf),
}

/// Why there are no identities.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.problem(), self.hint())]
pub enum IdentityFileError {
    /// None of the usual places has one.
    NoneFound(Vec<PathBuf>),
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: SafeText,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It is a pipe, a device or a socket.
    NotRegular(SafeText),
    /// It is larger than 64 KiB.
    TooLarge(SafeText),
    /// It is another file.
    Content {
        /// The file.
        path: SafeText,
        /// What is wrong.
        source: IdentitiesError,
    },
}

impl IdentityFileError {
    /// What is wrong.
    pub(super) fn problem(&self) -> SafeText {
        match self {
            Self::NoneFound(places) => {
                let places: Vec<SafeText> = places.iter().map(|place| safe_text::path(place)).collect();
                words!["there is no age identity in ", SafeText::join(&places, ", ")]
            }
            Self::Unreadable { path, source } => {
                let hidden = *path == SafeText::hidden();
                let file = if hidden { "the age identity".into() } else { words!["the age identity ", *path] };
                words![file, " cannot be read: ", safe_text::io_error(source)]
            }
            Self::NotRegular(path) => words!["the age identity ", *path, " is not a regular file"],
            Self::TooLarge(path) => words!["the age identity ", *path, " is larger than ", LARGEST_BYTES, " bytes"],
            Self::Content { path, source } => words!["the age identity ", *path, " cannot be used: ", content(*source)],
        }
    }

    /// What to do.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoneFound(_) => {
                "put it there, or name it with `age-identity` on <collector>; `fleetsweep secret` makes a new one"
            }
            Self::Unreadable { .. } => "check the path and its permissions; `fleetsweep secret` makes a new one",
            Self::NotRegular(_) | Self::TooLarge(_) => "name a file that age-keygen or `fleetsweep secret` has made",
            Self::Content { source, .. } => match source {
                IdentitiesError::Encrypted => "decrypt it with `age -d`, because a service cannot ask for a passphrase",
                IdentitiesError::Ssh | IdentitiesError::Unsupported | IdentitiesError::Public(_) => {
                    "name a file with a line AGE-SECRET-KEY-1…, as age-keygen or `fleetsweep secret` makes it"
                }
                IdentitiesError::None
                | IdentitiesError::NotText
                | IdentitiesError::Line(_)
                | IdentitiesError::TooMany => "restore it from your backup, or name the right file",
            },
        }
    }
}

fn content(error: IdentitiesError) -> SafeText {
    match error {
        IdentitiesError::None => "it contains no identity".into(),
        IdentitiesError::NotText => "it is not UTF-8 text".into(),
        IdentitiesError::Line(line) => words!["line ", line, " is not an identity"],
        IdentitiesError::Unsupported => "it contains only identities of plugins or post-quantum ones".into(),
        IdentitiesError::Encrypted => "it is encrypted itself".into(),
        IdentitiesError::Ssh => "it is a private key of SSH".into(),
        IdentitiesError::Public(line) => words!["line ", line, " is a public key"],
        IdentitiesError::TooMany => "it contains too many identities".into(),
    }
}

impl IdentityFile {
    /// The one that an attribute names, or else the usual one.
    pub(super) fn of(named: Option<&Path>) -> Self {
        named.map_or(Self::Usual, |path| Self::Named(path.to_owned()))
    }

    /// The path that a tree names, if it is valid.
    pub(super) fn named_in(root: &Element, home: Option<&Path>) -> Option<PathBuf> {
        let mut collectors = root.children.iter().filter(|child| child.name.text == "collector");
        let attribute = collectors.find_map(|element| element.attribute(ATTRIBUTE))?;
        values::path(&attribute.value.text, home).ok()
    }

    /// The places where it may be, in the order in which they are tried.
    #[must_use]
    pub fn places(&self, environment: &Environment) -> Vec<PathBuf> {
        match self {
            Self::Named(path) => vec![path.clone()],
            Self::Usual => {
                let directories = [environment.credentials(), environment.user_config()];
                let directories = directories.into_iter().flatten().chain([Environment::system_config()]);
                directories.map(|directory| directory.join(NAME)).collect()
            }
        }
    }

    /// The place for a new one. Root prepares the file of a service; everyone else has one of their own.
    #[must_use]
    pub fn place_of_new(&self, environment: &Environment, is_root: bool) -> PathBuf {
        let own = environment.user_config().filter(|_| !is_root);
        match self {
            Self::Named(path) => path.clone(),
            Self::Usual => own.unwrap_or_else(Environment::system_config).join(NAME),
        }
    }

    /// The file and its identities.
    ///
    /// # Errors
    /// [`IdentityFileError`].
    pub fn read(&self) -> Result<(PathBuf, Identities), IdentityFileError> {
        let places = self.places(&Environment::of_process());
        let is_absent = |path: &PathBuf| {
            let error = std::fs::metadata(path).err().map(|error| error.kind());
            matches!(error, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
        };
        let path = match self {
            Self::Named(path) => path.clone(),
            Self::Usual => match places.iter().find(|path| !is_absent(path)) {
                Some(path) => path.clone(),
                None => return Err(IdentityFileError::NoneFound(places)),
            },
        };
        let existing = || safe_text::existing_path(&path);
        let bytes = small_file::read(&path, LARGEST_BYTES).map_err(|error| match error {
            SmallFileError::Io(source) => IdentityFileError::Unreadable { path: safe_text::path(&path), source },
            SmallFileError::NotRegular => IdentityFileError::NotRegular(existing()),
        })?;
        if bytes.len() > LARGEST_BYTES {
            return Err(IdentityFileError::TooLarge(existing()));
        }
        let identities =
            Identities::parse(&bytes).map_err(|source| IdentityFileError::Content { path: existing(), source })?;
        Ok((path, identities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_are_the_credential_the_user_and_the_system() {
        let environment = Environment {
            credentials_directory: Some("/run/credentials/fleetsweep.service".into()),
            xdg_config_home: None,
            home: Some("/home/ops".into()),
            ..Environment::default()
        };
        let shown = |file: &IdentityFile, environment: &Environment| {
            let places = file.places(environment);
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            shown(&IdentityFile::Usual, &environment),
            "/run/credentials/fleetsweep.service/age-identity /home/ops/.config/fleetsweep/age-identity /etc/fleetsweep/age-identity"
        );
        let config = Environment { xdg_config_home: Some("/conf".into()), ..environment.clone() };
        assert!(shown(&IdentityFile::Usual, &config).contains(" /conf/fleetsweep/age-identity "));
        assert_eq!(shown(&IdentityFile::Usual, &Environment::default()), "/etc/fleetsweep/age-identity");
        let named = IdentityFile::of(Some(Path::new("/x")));
        assert_eq!(shown(&named, &environment), "/x");
        for (file, is_root, expected) in [
            (&IdentityFile::Usual, false, "/home/ops/.config/fleetsweep/age-identity"),
            (&IdentityFile::Usual, true, "/etc/fleetsweep/age-identity"),
            (&named, true, "/x"),
        ] {
            assert_eq!(file.place_of_new(&environment, is_root), Path::new(expected));
        }
    }
}

//! Loads the configuration from a file, with its permissions and the home directory. What the text means is decided in
//! the other modules.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    ca, clients,
    diagnostic::Problems,
    fields,
    identity_file::IdentityFile,
    inspect,
    loaded::Loaded,
    model::Config,
    openssh::{Openssh, Reach},
    rights::{self, Rights},
    safe_text::{self, words},
    settings,
    shape::{self, Element},
    source::{Findings, Source},
};

/// What parsing depends on besides the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadContext {
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// The permissions of the file; `None` if the text does not come from a file.
    pub rights: Option<Rights>,
}

/// Why a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("there is no configuration file {}: write one with `fleetsweep init`, name one with --config FILE, or try --demo", .0.display())]
    Missing(PathBuf),
    /// The file exists but cannot be read.
    #[error("the configuration file {} cannot be read: check that it is a file and that you have permission to read it", .path.display())]
    Unreadable {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is larger than 64 MiB.
    #[error("the configuration file {} is larger than {} MiB: is it the right file?", .0.display(), LARGEST_BYTES >> 20)]
    TooLarge(PathBuf),
    /// The file is not UTF-8.
    #[error("{}:{line}:{column}: the text is not UTF-8: save the file as UTF-8, or write the character as `&#…;`", .path.display())]
    NotUtf8 {
        /// The file or socket.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// Counts characters from 1.
        column: usize,
    },
    /// The file was read, but it contains errors.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// The largest file that is read. This is enough for the maximum number of clients, each with its own element and
/// alerts.
const LARGEST_BYTES: u64 = 64 << 20;

impl Config {
    /// Parses a configuration. Diagnostics name it `file_name`.
    ///
    /// Reads the home directory from the environment, but no file and nothing from the network.
    ///
    /// # Errors
    /// [`Problems`]: every error of the text at once.
    pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Problems> {
        Self::parse_in(text, file_name, &LoadContext::of_this_process())
    }

    /// Parses a configuration in a given context.
    ///
    /// # Errors
    /// [`Problems`]: every error of the text at once.
    pub fn parse_in(text: &str, file_name: &str, context: &LoadContext) -> Result<Loaded, Problems> {
        Self::parse_and(text, file_name, context, Reach::Text, |_, _| {})
    }

    /// The same, and calls `inspect_tree` if the text has a root element.
    fn parse_and(
        text: &str,
        file_name: &str,
        context: &LoadContext,
        reach: Reach,
        inspect_tree: impl FnOnce(&Element, &mut Findings),
    ) -> Result<Loaded, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let home = context.home.as_deref();
        let source = Source::new(file_name, text);
        let mut findings = Findings::default();
        if let Some(at) = text.find('\0') {
            let hint = "save the file as UTF-8; it may be UTF-16 or a binary file";
            findings.error(at..at + 1, "the file contains a NUL character", hint);
            return Err(Problems(findings.placed(&source).0));
        }
        let Some(root) = shape::read(text, &mut findings) else {
            return Err(Problems(findings.placed(&source).0));
        };
        fields::check(&root, None, &mut findings);
        let settings = settings::read(&root, home, &source, &mut findings);
        let openssh = Openssh::read(settings.ssh.as_ref().map(|ssh| &ssh.config), home, reach);
        let clients = clients::read(&root, &settings, &openssh, home, &source, &mut findings);
        context.warn_of_literal_secrets(&root, file_name, &mut findings);
        inspect_tree(&root, &mut findings);
        let (errors, warnings) = findings.placed(&source);
        match (settings.collector, settings.database, settings.smtp, settings.ssh) {
            (Some(collector), Some(database), Some(smtp), Some(ssh)) if errors.is_empty() => Ok(Loaded {
                config: Self {
                    collector,
                    database,
                    smtp,
                    ssh,
                    metrics: settings.metrics,
                    clients: clients.clients,
                    file: PathBuf::from(file_name),
                    whole: true,
                },
                warnings,
                settings: settings.shown,
                entered: clients.entered,
                openssh_remarks: openssh.remarks().to_vec(),
                secrets: inspect::Sources::of(&root, &|offset| source.line_of(offset)),
            }),
            _ => Err(Problems(errors)),
        }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read or contains errors; all errors are reported at once.
    pub fn load(path: &Path) -> Result<Loaded, LoadError> {
        let (text, context) = read(path)?;
        let home = context.home.as_deref();
        Ok(Self::parse_and(&text, &path.display().to_string(), &context, Reach::Commands, |root, findings| {
            ca::inspect(root, home, findings);
        })?)
    }

    /// Loads a configuration file and also checks what it refers to: whether secrets, keys and files exist, and who
    /// else may read or change them. Runs no command, not even those of `Match exec`.
    ///
    /// # Errors
    /// As [`load`](Self::load), and for everything that is missing.
    pub fn check(path: &Path) -> Result<Loaded, LoadError> {
        let (text, context) = read(path)?;
        let home = context.home.as_deref();
        let mut identity = IdentityFile::Usual;
        let loaded = Self::parse_and(&text, &path.display().to_string(), &context, Reach::Files, |root, findings| {
            ca::inspect(root, home, findings);
            inspect::inspect(root, path, home, findings);
            identity = IdentityFile::of(IdentityFile::named_in(root, home).as_deref());
        })?;
        Ok(Loaded { secrets: loaded.secrets.clone().with_identity(&identity), ..loaded })
    }

    /// The file of identities that a configuration file names. Errors elsewhere in the file do not matter, so that a
    /// secret can be written before the configuration is complete.
    ///
    /// # Errors
    /// As [`load`](Self::load), if the file cannot be read or its elements cannot be told apart.
    pub fn identity_file(path: &Path) -> Result<IdentityFile, LoadError> {
        let (text, context) = read(path)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut findings = Findings::default();
        match shape::read(text, &mut findings) {
            Some(root) => Ok(IdentityFile::of(IdentityFile::named_in(&root, context.home.as_deref()).as_deref())),
            None => {
                let file_name = path.display().to_string();
                Err(LoadError::Invalid(Problems(findings.placed(&Source::new(&file_name, text)).0)))
            }
        }
    }
}

/// The text of a configuration file and its context.
fn read(path: &Path) -> Result<(String, LoadContext), LoadError> {
    let unreadable = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            LoadError::Missing(path.to_owned())
        } else {
            LoadError::Unreadable { path: path.to_owned(), source }
        }
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let rights = Rights::of(&file.metadata().map_err(unreadable)?);
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LARGEST_BYTES + 1), &mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_BYTES) {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let (line, column) = (1 + before.matches('\n').count(), 1 + last_line.chars().count());
        LoadError::NotUtf8 { path: path.to_owned(), line, column }
    })?;
    Ok((text, LoadContext { rights: Some(rights), ..LoadContext::of_this_process() }))
}

impl LoadContext {
    /// The home directory of this process, without a file.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self { home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()), rights: None }
    }

    /// Warns if the file contains secrets and users other than its owner may read it.
    pub(super) fn warn_of_literal_secrets(&self, root: &Element, file: &str, findings: &mut Findings) {
        let me = rustix::process::geteuid().as_raw();
        let Some(rights) = self.rights else { return };
        let Some((who, mode)) = rights::read_by(rights, me) else { return };
        let mut secrets = Vec::new();
        clients::literal_secrets(root, &mut secrets);
        let Some(first) = secrets.first() else { return };
        let what: safe_text::SafeText = match secrets.len() {
            1 => "this secret".into(),
            2 => "this secret and another one".into(),
            count => words!["this secret and ", count - 1, " others"],
        };
        let file = safe_text::existing_path(Path::new(file));
        findings.warning(
            first.value.at.clone(),
            words![what, " can be read by ", who, " (mode ", safe_text::mode(rights.mode), ")"],
            words!["run `chmod ", mode, " ", file, "`, or write env:NAME, file:PATH, age:FILE or cmd:COMMAND instead"],
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    use super::*;
    use crate::config::diagnostic::Diagnostic;

    const LITERAL: &[u8] = b"<config><client ip='h' username='u' password='geheim'/></config>";

    /// The warnings if the file is valid, otherwise the errors; with paths relative to its directory.
    fn load(bytes: &[u8], mode: u32) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.xml");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        let directory = format!("{}/", directory.path().display());
        let lines = |warnings: &[Diagnostic]| warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        match Config::load(&path) {
            Ok(loaded) => Ok(lines(&loaded.warnings).replace(&directory, "")),
            Err(error) => Err(error.to_string().replace(&directory, "")),
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_an_error_at_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("good.pem"), support::TestCertificate::of_names(&["mail"]).certificate_pem).unwrap();
        fs::write(path("empty.pem"), "").unwrap();
        let check = |ca: &str, expected: &str| {
            let text = format!("<config>\n<smtp security='tls' ca='{ca}'/><client ip='h' username='u'/></config>");
            match (load(text.as_bytes(), 0o600), expected) {
                (Ok(warnings), "") => assert_eq!(warnings, ""),
                (Err(error), expected) => {
                    assert!(error.starts_with("c.xml:2:26: `ca`: ") && error.contains(expected), "{error}");
                }
                (Ok(_), expected) => panic!("{ca} is taken: {expected}"),
            }
        };
        check(&path("good.pem"), "");
        check(&path("empty.pem"), "it contains no certificate");
        check(&path("none.pem"), "it does not exist");
        check("/dev/zero", "it is not a regular file");
    }

    #[test]
    fn literal_secrets_in_a_file_that_others_may_read_draw_one_warning() {
        let warnings = |bytes, mode| load(bytes, mode).unwrap();
        let expected = "\
c.xml:1:47: warning: this secret can be read by other users of this machine (mode 644): run `chmod 600 c.xml`, or write env:NAME, file:PATH, age:FILE or cmd:COMMAND instead
    1 | <config><client ip='***' username='***' password='***'/></config>
      |                                                   ^^^";
        assert_eq!(warnings(LITERAL, 0o644), expected);
        assert_eq!(warnings(LITERAL, 0o600), "");
        assert_eq!(warnings(b"<config><client ip='h' username='u' password='env:P'/></config>", 0o644), "");
        let url = b"<config><database url='postgres://u:p@h/d'/><client ip='h' username='u' password='p'/></config>";
        assert!(warnings(url, 0o640).contains("this secret and another one can be read"));
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
        for (bytes, expected) in [
            (&b"<config>\n<client ip='\xfc'/>"[..], "c.xml:2:13: the text is not UTF-8"),
            (b"\xff\xfe<\0", "c.xml:1:1: the text is not UTF-8"),
            (b"<config/>", "c.xml:1:2: this file defines no client"),
        ] {
            let error = load(bytes, 0o600).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(load(&[b"\xef\xbb\xbf", LITERAL].concat(), 0o600).is_ok());
        let missing = Config::load(Path::new("no/such/config.xml")).unwrap_err().to_string();
        assert!(["fleetsweep init", "--config FILE", "--demo"].iter().all(|way| missing.contains(way)), "{missing}");
        assert!(matches!(Config::load(Path::new("/")), Err(LoadError::Unreadable { .. })));
    }
}

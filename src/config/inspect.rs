//! What only `check` does: it tests whether the secrets, keys and files that a configuration names exist and can be
//! used, and who else may read or change them. It runs no command and contacts nobody. A missing file is an error at
//! its place; too wide permissions are a warning.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    io::Read as _,
    net::TcpListener,
    ops::Range,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::zeroize::Zeroizing;

use super::{
    age_secret::AgeSecret,
    database,
    diagnostic::{Diagnostic, Severity},
    identity_file::{self, IdentityFile},
    key_text::{self, NoKey},
    rights::{self, Rights, Role},
    safe_text::{self, SafeText, words},
    schema::{self, ValueKind},
    secret::{SecretContext, SecretSource},
    shape::Element,
    source::Findings,
    values,
};

/// Something outside the configuration file that the file refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reference {
    Environment(String),
    Credential(String),
    SecretFile(PathBuf),
    Age(AgeSecret),
    Identity(PathBuf),
    Key(PathBuf),
    KnownHosts { path: PathBuf, strict: bool },
    Certificates(PathBuf),
    Database(PathBuf),
}

/// An attribute that refers to something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    attribute: &'static str,
    /// `None` if it is the built-in default.
    at: Option<Range<usize>>,
}

/// Everything that a tree refers to, each with the attributes that do so, in the order of the file.
fn named(root: &Element, home: Option<&Path>) -> Vec<(Reference, Vec<Place>)> {
    let mut all = Vec::new();
    let age_identity = IdentityFile::named_in(root, home);
    let context = SecretContext { home, age_identity: age_identity.as_deref() };
    collect(root, context, &mut all);
    for (element, attribute) in [("ssh", "known-hosts"), ("database", "url")] {
        let written =
            root.children.iter().any(|child| child.name.text == element && child.attribute(attribute).is_some());
        let default = schema::default_of(element, attribute).filter(|_| !written);
        if let Some(thing) = default.and_then(|text| of_value(attribute, text, root, context)) {
            all.push((thing, Place { attribute, at: None }));
        }
    }
    let mut index: HashMap<Reference, usize> = HashMap::new();
    let mut once: Vec<(Reference, Vec<Place>)> = Vec::new();
    for (thing, place) in all {
        let position = *index.entry(thing.clone()).or_insert(once.len());
        match once.get_mut(position) {
            Some((_, places)) => places.push(place),
            None => once.push((thing, vec![place])),
        }
    }
    once
}

fn collect(element: &Element, context: SecretContext<'_>, all: &mut Vec<(Reference, Place)>) {
    if let Some(kind) = schema::element(&element.name.text) {
        for known in kind.attributes {
            let Some(attribute) = element.attribute(known.name) else { continue };
            if let Some(thing) = of_value(known.name, &attribute.value.text, element, context) {
                let at = Some(attribute.value.at.clone());
                all.push((thing, Place { attribute: known.name, at }));
            }
        }
    }
    element.children.iter().for_each(|child| collect(child, context, all));
}

/// What one value refers to; `None` if the value is wrong, which is reported elsewhere.
fn of_value(attribute: &str, text: &str, element: &Element, context: SecretContext<'_>) -> Option<Reference> {
    let path = |text: &str| values::path(text, context.home).ok();
    match attribute {
        identity_file::ATTRIBUTE => path(text).map(Reference::Identity),
        "password" | "passphrase" => match SecretSource::parse(text, context).ok()? {
            SecretSource::Age(secret) => Some(Reference::Age(secret)),
            SecretSource::Environment(name) => Some(Reference::Environment(name)),
            SecretSource::Credential(name) => Some(Reference::Credential(name)),
            SecretSource::File(path) => Some(Reference::SecretFile(path)),
            SecretSource::Literal(_) | SecretSource::Command(_) => None,
        },
        "key" => path(text).map(Reference::Key),
        "ca" => path(text).map(Reference::Certificates),
        "known-hosts" => {
            let strict = element.attribute("host-keys").is_some_and(|attribute| attribute.value.text == "strict");
            path(text).map(|path| Reference::KnownHosts { path, strict })
        }
        "url" => {
            let file = text.strip_prefix("sqlite:")?;
            let file = file.strip_prefix("//").unwrap_or(file).split('?').next().unwrap_or_default();
            if file.is_empty() || file.contains('%') { None } else { path(file).map(Reference::Database) }
        }
        _ => None,
    }
}

/// Checks everything that a configuration refers to.
pub(super) fn inspect(root: &Element, file: &Path, home: Option<&Path>, findings: &mut Findings) {
    let mut inspector = Inspector {
        me: rustix::process::geteuid().as_raw(),
        findings,
        directories: HashSet::new(),
        identities: HashSet::new(),
    };
    inspector.configuration(file);
    for (thing, places) in named(root, home) {
        inspector.look_at(&thing, &places);
    }
    inspector.files_of_database(root);
    inspector.metrics(root);
}

/// Warnings about a directory of agents and its files whose permissions are too wide. Whether the agents can be used is
/// not checked here.
#[must_use]
pub fn agents(folder: &Path) -> Vec<Diagnostic> {
    let me = rustix::process::geteuid().as_raw();
    let mut warnings = Vec::new();
    let mut warn = |role, path: &Path| {
        let Ok(metadata) = fs::metadata(path) else { return };
        if let Some((problem, hint)) = rights::warning(role, path, Rights::of(&metadata), me) {
            let file = Arc::from(safe_text::existing_path(path).as_str());
            warnings.push(Diagnostic {
                severity: Severity::Warning,
                file,
                line: 0,
                column: 0,
                problem,
                hint,
                excerpt: None,
            });
        }
    };
    // Anyone who may change one of these can execute a program on every client.
    warn(Role::Directory, folder);
    for (role, directory) in directories_above(folder) {
        warn(role, &directory);
    }
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        warn(Role::Agent, &file);
    }
    warnings
}

struct Inspector<'a> {
    /// The user id of this process.
    me: u32,
    findings: &'a mut Findings,
    /// Directories that were checked already.
    directories: HashSet<PathBuf>,
    /// Files of identities that were checked already.
    identities: HashSet<IdentityFile>,
}

impl Inspector<'_> {
    fn error(&mut self, places: &[Place], problem: &SafeText, hint: impl Into<SafeText>) {
        let (attribute, at, others) = first(places);
        match at {
            Some(at) => self.findings.error(at, words!["`", attribute, "`: ", *problem, others], hint),
            None => self.findings.error_of_file(words!["`", attribute, "`: ", *problem], hint),
        }
    }

    fn warn(&mut self, places: &[Place], problem: &SafeText, hint: impl Into<SafeText>) {
        let (attribute, at, others) = first(places);
        match at {
            Some(at) => self.findings.warning(at, words!["`", attribute, "`: ", *problem, others], hint),
            None => self.findings.warning_of_file(words!["`", attribute, "`: ", *problem], hint),
        }
    }

    /// Warns about the permissions of the configuration. That others may read the secrets in it is reported when it is
    /// loaded.
    fn configuration(&mut self, file: &Path) {
        let Ok(metadata) = fs::metadata(file) else { return };
        if let Some((problem, hint)) = rights::warning(Role::Configuration, file, Rights::of(&metadata), self.me) {
            self.findings.warning_of_file(problem, hint);
        }
        for (role, directory) in directories_above(file) {
            if let Some((problem, hint)) = self.directory(role, &directory) {
                self.findings.warning_of_file(problem, hint);
            }
        }
    }

    /// Reports an address that is not one of this machine. Whether the port is free cannot be checked: a running collector
    /// uses it.
    fn metrics(&mut self, root: &Element) {
        for element in root.children.iter().filter(|child| child.name.text == "metrics") {
            let Some(listen) = element.attribute("listen") else { continue };
            let Ok(address) = values::listen(&listen.value.text) else { continue };
            if let Err(error) = TcpListener::bind((address.ip(), 0))
                && error.kind() == io::ErrorKind::AddrNotAvailable
            {
                self.findings.error(
                    listen.value.at.clone(),
                    "`listen`: no network interface of this machine has this address",
                    "write 127.0.0.1 or [::1] for this machine alone, or the address of one of its interfaces (`ip address`)",
                );
            }
        }
    }

    fn look_at(&mut self, thing: &Reference, places: &[Place]) {
        match thing {
            Reference::Environment(name) => {
                if let Err(error) = SecretSource::Environment(name.clone()).look() {
                    self.error(places, &error.problem(), error.hint());
                }
            }
            Reference::Credential(name) => {
                if let Err(error) = SecretSource::Credential(name.clone()).look() {
                    self.error(places, &error.problem(), error.hint());
                }
            }
            Reference::SecretFile(path) => self.secret_file(path, places),
            Reference::Age(secret) => self.age_secret(secret, places),
            Reference::Identity(path) => {
                let _read = self.identity(&IdentityFile::Named(path.clone()), places);
            }
            Reference::Key(path) => self.key(path, places),
            Reference::KnownHosts { path, strict } => self.known_hosts(path, *strict, places),
            // Whether it contains certificates is checked when the configuration is loaded.
            Reference::Certificates(path) => {
                if let Ok(metadata) = fs::metadata(path) {
                    self.rights(Role::Certificates, path, &metadata, places);
                }
            }
            // The first run creates it.
            Reference::Database(path) => {
                if let Ok(metadata) = fs::metadata(path) {
                    self.rights(Role::Database, path, &metadata, places);
                }
            }
        }
    }

    /// Checks the files of certificates and keys that the URL of the database names.
    fn files_of_database(&mut self, root: &Element) {
        let databases = root.children.iter().filter(|child| child.name.text == "database");
        for attribute in databases.filter_map(|element| element.attribute("url")) {
            for named in database::files(&attribute.value.text) {
                let (whole, part) = (&attribute.value.at, named.at);
                let at =
                    if attribute.verbatim { whole.start + part.start..whole.start + part.end } else { whole.clone() };
                match readable_file(&named.path) {
                    Ok(metadata) => {
                        let role = if named.is_key { Role::Key } else { Role::Certificates };
                        self.rights(role, &named.path, &metadata, &[Place { attribute: "url", at: Some(at) }]);
                    }
                    Err(error) => {
                        let problem =
                            words!["`url`: a file that it names cannot be read: ", safe_text::io_error(&error)];
                        self.findings.error(at, problem, "check the path and whether this account may read the file");
                    }
                }
            }
        }
    }

    fn secret_file(&mut self, path: &Path, places: &[Place]) {
        if let Ok(metadata) = fs::metadata(path) {
            self.rights(Role::Secret, path, &metadata, places);
        }
        if let Err(error) = SecretSource::File(path.to_owned()).look() {
            self.error(places, &error.problem(), error.hint());
        }
    }

    fn age_secret(&mut self, secret: &AgeSecret, places: &[Place]) {
        if let Some(path) = secret.file()
            && let Ok(metadata) = fs::metadata(path)
        {
            self.rights(Role::EncryptedSecret, path, &metadata, places);
        }
        // A file that the configuration names is checked at its own place.
        let has_identity = match secret.identity() {
            IdentityFile::Usual => self.identity(&IdentityFile::Usual, places),
            named @ IdentityFile::Named(_) => named.read().is_ok(),
        };
        if has_identity && let Err(error) = SecretSource::Age(secret.clone()).look() {
            self.error(places, &error.problem(), error.hint());
        }
    }

    /// Whether there are identities. Their absence is reported once.
    fn identity(&mut self, file: &IdentityFile, places: &[Place]) -> bool {
        let is_first = self.identities.insert(file.clone());
        match file.read() {
            Ok((path, _)) => {
                if is_first && let Ok(metadata) = fs::metadata(&path) {
                    self.rights(Role::Identity, &path, &metadata, places);
                }
                true
            }
            Err(error) => {
                if is_first {
                    self.error(places, &error.problem(), error.hint());
                }
                false
            }
        }
    }

    fn key(&mut self, path: &Path, places: &[Place]) {
        const HINT: &str = "write the path of a private key that this account may read";
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                // A path that does not exist may be the key itself, or a password.
                let path = safe_text::path(path);
                let file =
                    if path == SafeText::hidden() { "the key file".into() } else { words!["the key file ", path] };
                return self.error(places, &words![file, " cannot be read: ", safe_text::io_error(&error)], HINT);
            }
        };
        let shown = safe_text::existing_path(path);
        if metadata.is_dir() {
            return self.error(places, &words!["the key file ", shown, " is a directory"], HINT);
        }
        if !metadata.is_file() {
            return self.error(places, &words!["the key file ", shown, " is not a regular file"], HINT);
        }
        if metadata.len() > key_text::LARGEST_BYTES {
            let size = words![" is not a private key: it has ", metadata.len(), " bytes"];
            return self.error(places, &words!["the key file ", shown, size], HINT);
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) => {
                let problem = words!["the key file ", shown, " cannot be read: ", safe_text::io_error(&error)];
                return self.error(places, &problem, HINT);
            }
        };
        match key_text::parse(&bytes) {
            // Whether it can be read, a login shows.
            Ok(_) | Err(NoKey::Damaged) => self.rights(Role::Key, path, &metadata, places),
            // It selects a key of the ssh-agent.
            Err(NoKey::Public | NoKey::Certificate) if key_text::is_public(path) => {
                if key_text::public_line(&bytes).is_none() {
                    let problem = words!["the key file ", shown, " contains a damaged public key"];
                    self.error(places, &problem, NoKey::Damaged.fix().0);
                }
            }
            Err(no_key) => {
                let hint = match no_key.fix() {
                    (before, None) => before.into(),
                    (before, Some(after)) => words![before, shown, after],
                };
                self.error(places, &words!["the key file ", shown, " ", no_key.is()], hint);
            }
        }
    }

    fn known_hosts(&mut self, path: &Path, strict: bool, places: &[Place]) {
        match fs::metadata(path) {
            Ok(metadata) => {
                if let Err(error) = start_of(path) {
                    let shown = safe_text::existing_path(path);
                    let problem = words!["the host keys in ", shown, " cannot be read: ", safe_text::io_error(&error)];
                    self.error(places, &problem, "write the path of a file that this account may read");
                }
                self.rights(Role::KnownHosts, path, &metadata, places);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if strict {
                    let problem =
                        words!["the file does not exist, and host-keys=\"strict\" accepts only keys that are in it"];
                    self.warn(places, &problem, "run `fleetsweep trust`, and compare the fingerprints");
                }
            }
            Err(error) => {
                let problem = words!["the host keys cannot be read: ", safe_text::io_error(&error)];
                self.error(places, &problem, "write the path of a file that this account may read");
            }
        }
    }

    /// Warns if the permissions of a file, or of a directory above it, are too wide.
    fn rights(&mut self, role: Role, path: &Path, metadata: &fs::Metadata, places: &[Place]) {
        if let Some((problem, hint)) = rights::warning(role, path, Rights::of(metadata), self.me) {
            self.warn(places, &problem, hint);
        }
        for (role, directory) in directories_above(path) {
            if let Some((problem, hint)) = self.directory(role, &directory) {
                self.warn(places, &problem, hint);
            }
        }
    }

    /// The warning about a directory. Each directory is reported once.
    fn directory(&mut self, role: Role, directory: &Path) -> Option<(SafeText, SafeText)> {
        let metadata = fs::metadata(directory).ok()?;
        let warning = rights::warning(role, directory, Rights::of(&metadata), self.me)?;
        self.directories.insert(directory.to_owned()).then_some(warning)
    }
}

/// The directories above a file, both of the path as it is written and of the real path behind symbolic links.
fn directories_above(path: &Path) -> Vec<(Role, PathBuf)> {
    let parent = |path: &Path| {
        path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }.to_owned())
    };
    let mut found: Vec<(Role, PathBuf)> = Vec::new();
    let written = parent(path).and_then(|parent| parent.canonicalize().ok());
    let real = path.canonicalize().ok().and_then(|real| parent(&real));
    for directory in [written, real].into_iter().flatten() {
        let roles = std::iter::once(Role::Directory).chain(std::iter::repeat(Role::FartherDirectory));
        for (role, ancestor) in roles.zip(directory.ancestors()) {
            if !found.iter().any(|(_, known)| known == ancestor) {
                found.push((role, ancestor.to_owned()));
            }
        }
    }
    found
}

/// The first place, and a text that says how many others there are.
fn first(places: &[Place]) -> (&'static str, Option<Range<usize>>, SafeText) {
    let others = match places.len() {
        0 | 1 => "".into(),
        2 => " (also used in another place)".into(),
        more => words![" (also used in ", more - 1, " other places)"],
    };
    places.first().map_or(("", None, "".into()), |place| (place.attribute, place.at.clone(), others))
}

/// The metadata of a file that can be read. A pipe is rejected: opening it would block until somebody writes to it.
fn readable_file(path: &Path) -> io::Result<fs::Metadata> {
    let metadata = fs::metadata(path)?;
    if metadata.file_type().is_fifo() || metadata.file_type().is_socket() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    fs::File::open(path)?;
    Ok(metadata)
}

/// The first bytes of a file.
fn start_of(path: &Path) -> io::Result<Vec<u8>> {
    readable_file(path)?;
    let mut start = Vec::new();
    fs::File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(start)
}

/// How many secrets a configuration has, by where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Written in the file itself.
    pub literal: usize,
    /// `env:`.
    pub environment: usize,
    /// `file:`.
    pub files: usize,
    /// `cred:`.
    pub credentials: usize,
    /// `age:`.
    pub encrypted: usize,
    /// The file of identities that decrypts those of `age:`, if `check` has found one.
    pub identity: Option<SafeText>,
    /// `cmd:`: the lines in the file.
    pub commands: Vec<usize>,
}

impl Sources {
    /// Counts the secrets of a tree. `line_of` converts an offset to a line.
    pub(super) fn of(root: &Element, line_of: &impl Fn(usize) -> usize) -> Self {
        let mut sources = Self::default();
        sources.count(root, line_of);
        sources
    }

    /// The same with the file of identities that decrypts the secrets of a tree, if there are such secrets.
    pub(super) fn with_identity(mut self, file: &IdentityFile) -> Self {
        if self.encrypted > 0 {
            self.identity = file.read().ok().map(|(path, _)| safe_text::existing_path(&path));
        }
        self
    }

    fn count(&mut self, element: &Element, line_of: &impl Fn(usize) -> usize) {
        for attribute in &element.attributes {
            match schema::kind_of(&element.name.text, &attribute.name.text) {
                Some(ValueKind::Secret) => match SecretSource::parse(&attribute.value.text, SecretContext::default()) {
                    Ok(SecretSource::Literal(_)) => self.literal += 1,
                    Ok(SecretSource::Environment(_)) => self.environment += 1,
                    Ok(SecretSource::Command(_)) => self.commands.push(line_of(attribute.value.at.start)),
                    Ok(SecretSource::Credential(_)) => self.credentials += 1,
                    Ok(SecretSource::Age(_)) => self.encrypted += 1,
                    // A path with `~` fails to parse here, because no home is given.
                    Err(_) if attribute.value.text.starts_with("age:") => self.encrypted += 1,
                    Ok(SecretSource::File(_)) | Err(_) => self.files += 1,
                },
                Some(ValueKind::DatabaseUrl) if values::url_has_password(&attribute.value.text) => self.literal += 1,
                Some(
                    ValueKind::DatabaseUrl
                    | ValueKind::Choice(_)
                    | ValueKind::Metric
                    | ValueKind::Whole(_)
                    | ValueKind::Duration
                    | ValueKind::DurationOrChoice(_)
                    | ValueKind::Size
                    | ValueKind::Limit
                    | ValueKind::Namespace
                    | ValueKind::PathOrNothing
                    | ValueKind::Address
                    | ValueKind::Socket
                    | ValueKind::Servers
                    | ValueKind::Path
                    | ValueKind::PathOrChoice(_)
                    | ValueKind::Mail
                    | ValueKind::Account
                    | ValueKind::Label
                    | ValueKind::Expression,
                )
                | None => {}
            }
        }
        element.children.iter().for_each(|child| self.count(child, line_of));
    }
}

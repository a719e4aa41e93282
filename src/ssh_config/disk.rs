//! The edge to the disk: reads a file, if nobody else may write it, and finds the files of an `Include`. Not what they
//! say.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};

use super::remark::FileProblem;

/// The largest file that is read.
const LARGEST: u64 = 1 << 20;
/// The most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 10_000;
/// The most files that one `Include` finds.
const MOST_FOUND: usize = 1024;

/// Where the files are.
pub trait Disk {
    /// The text of a file. If it must be private, it belongs to us or to root, and nobody else may write it.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn read(&self, path: &Path, is_private: bool) -> Result<String, FileProblem>;

    /// The files that a pattern stands for, in the order of their names. A pattern without wildcards is one file.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn read(&self, path: &Path, is_private: bool) -> Result<String, FileProblem> {
        let problem = |error: &io::Error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                FileProblem::Missing
            } else {
                FileProblem::Unreadable
            }
        };
        // Opening a pipe would wait for its writer.
        let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path).map_err(|error| problem(&error))?;
        let metadata = file.metadata().map_err(|error| problem(&error))?;
        if !metadata.is_file() && path != Path::new("/dev/null") {
            return Err(FileProblem::Unreadable);
        }
        if is_private && is_writable_by_others(&metadata) {
            return Err(FileProblem::Writable);
        }
        bounded(file)
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            let name = component.as_os_str();
            let matcher = match component {
                Component::Normal(name) => matcher(name),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
            };
            found = match matcher {
                None => found.into_iter().map(|path| path.join(name)).collect(),
                Some(matcher) => found.iter().flat_map(|folder| entries(folder, &matcher, name)).collect(),
            };
            found.truncate(MOST_FOUND);
        }
        found
    }
}

fn bounded(file: File) -> Result<String, FileProblem> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|_| FileProblem::Unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > LARGEST) {
        return Err(FileProblem::TooLarge);
    }
    // A comment in an old encoding is no reason to refuse the file.
    Ok(String::from_utf8(bytes).unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned()))
}

/// Whether the file belongs to somebody else, or somebody else may write it. A group that has the number of the account
/// is the account's own.
fn is_writable_by_others(metadata: &fs::Metadata) -> bool {
    let account = rustix::process::getuid().as_raw();
    let is_ours = metadata.uid() == account || metadata.uid() == 0;
    let (group, others) = (metadata.mode() & 0o020 != 0, metadata.mode() & 0o002 != 0);
    !is_ours || others || (group && metadata.gid() != account)
}

/// What matches the names of a component with wildcards; `None` if it has none.
fn matcher(name: &OsStr) -> Option<GlobMatcher> {
    let name = name.to_str().filter(|name| name.contains(['*', '?', '[']))?;
    // Braces mean nothing there.
    let pattern = name.replace('{', "[{]").replace('}', "[}]");
    GlobBuilder::new(&pattern).backslash_escape(true).build().ok().map(|glob| glob.compile_matcher())
}

fn entries(folder: &Path, matcher: &GlobMatcher, pattern: &OsStr) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let is_dot = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let names = listing.take(MOST_ENTRIES).filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    let mut names: Vec<_> = names
        .filter(|name| matcher.is_match(Path::new(name)))
        // A wildcard does not match a dot at the start.
        .filter(|name| !is_dot(name) || is_dot(pattern))
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_include_finds_its_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        for name in ["d/b.conf", "d/a.conf", "d/.c.conf", "d/x{y}", "top"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let check = |pattern: &str, expected: &[&str]| {
            let found = FileSystem.glob(&folder.path().join(pattern));
            let expected: Vec<PathBuf> = expected.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("d/*.conf", &["d/a.conf", "d/b.conf"]);
        check("d/.*.conf", &["d/.c.conf"]);
        check("?/[ax]*", &["d/a.conf", "d/x{y}"]);
        check("d/{a,b}.con*", &[]);
        check("d/x{*", &["d/x{y}"]);
        check("top", &["top"]);
        check("none/*", &[]);
    }

    #[test]
    fn a_file_is_read_if_only_we_may_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let check = |mode: u32, is_private: bool, expected: Result<&str, FileProblem>| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(FileSystem.read(&path, is_private), expected.map(str::to_owned), "{mode:o}");
        };
        assert_eq!(FileSystem.read(&path, true), Err(FileProblem::Missing));
        fs::write(&path, "User x").unwrap();
        check(0o600, true, Ok("User x"));
        check(0o644, true, Ok("User x"));
        check(0o646, true, Err(FileProblem::Writable));
        check(0o646, false, Ok("User x"));
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        check(0o600, true, Err(FileProblem::TooLarge));
        assert_eq!(FileSystem.read(folder.path(), true), Err(FileProblem::Unreadable));
    }
}

//! Reads the files and everything that they include into one tree, within bounds: how large, how many, how deep. The
//! disk is a trait, so this is a function of what is on it. Not which lines apply to a host.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::Disk,
    origin::Line,
    remark::{FileProblem, Remark, RemarkKind},
    setting::{self, Criterion, Setting, Statement},
};

/// How deep files may include each other, as in OpenSSH.
const DEEPEST: usize = 16;
/// The most files that are read.
const MOST_FILES: usize = 1024;
/// The most bytes that are read in all.
const MOST_BYTES: usize = 16 << 20;
/// The longest line.
const LONGEST_LINE: usize = 64 << 10;

/// A file to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its path.
    pub path: PathBuf,
    /// The directory of its relative includes.
    pub includes_from: PathBuf,
    /// Whether it must be there.
    pub is_required: bool,
    /// Whether nobody else may write it. This holds for included files anyway.
    pub is_private: bool,
}

/// The files of a configuration in the order in which they count, and what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    pub(super) roots: Vec<Vec<Item>>,
    /// What there is to say whatever the host is, in the order of the files.
    pub remarks: Vec<Remark>,
}

/// A line that says something, with what it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: Line,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Host(Vec<String>),
    Match(Vec<Criterion>),
    /// A block that never applies.
    Never,
    Include(Vec<Vec<Item>>),
    Set(Setting),
    NotUsed(&'static str),
}

impl Files {
    /// Reads the files.
    #[must_use]
    pub fn load(roots: &[Root], home: Option<&Path>, disk: &dyn Disk) -> Self {
        let mut loader =
            Loader { home, disk, ignored: None, files: 0, bytes: 0, is_stopped: false, remarks: Vec::new() };
        let mut files = Vec::new();
        for root in roots {
            let here = Line { file: root.path.as_path().into(), number: 1 };
            match loader.file(&root.path, root, root.is_private, 0) {
                Ok(items) => files.push(items),
                Err(FileProblem::Missing) if !root.is_required => {}
                Err(problem) => loader.remark(&here, RemarkKind::File(problem)),
            }
        }
        Self { roots: files, remarks: loader.remarks }
    }

    /// Whether there is anything in the files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.iter().all(Vec::is_empty)
    }

    /// The names of `Host` lines that have no wildcards and are not negated, each once with its first line.
    #[must_use]
    pub fn host_names(&self) -> Vec<(&str, &Line)> {
        fn collect<'a>(items: &'a [Item], seen: &mut HashSet<&'a str>, names: &mut Vec<(&'a str, &'a Line)>) {
            for Item { line, content } in items {
                match content {
                    Content::Host(patterns) => {
                        let plain = patterns.iter().filter(|name| !name.contains(['*', '?']) && !name.starts_with('!'));
                        names.extend(plain.filter(|name| seen.insert(name)).map(|name| (name.as_str(), line)));
                    }
                    Content::Include(files) => files.iter().for_each(|file| collect(file, seen, names)),
                    Content::Match(_) | Content::Never | Content::Set(_) | Content::NotUsed(_) => {}
                }
            }
        }
        let (mut seen, mut names) = (HashSet::new(), Vec::new());
        self.roots.iter().for_each(|root| collect(root, &mut seen, &mut names));
        names
    }
}

struct Loader<'a> {
    home: Option<&'a Path>,
    disk: &'a dyn Disk,
    /// The last `IgnoreUnknown`.
    ignored: Option<String>,
    files: usize,
    bytes: usize,
    /// Whether a bound was reached. Nothing more is included then.
    is_stopped: bool,
    remarks: Vec<Remark>,
}

impl Loader<'_> {
    fn remark(&mut self, line: &Line, about: RemarkKind) {
        self.remarks.push(Remark { line: line.clone(), about });
    }

    fn file(&mut self, path: &Path, root: &Root, is_private: bool, depth: usize) -> Result<Vec<Item>, FileProblem> {
        if depth > DEEPEST {
            return Err(FileProblem::TooDeep);
        }
        if self.files >= MOST_FILES {
            return Err(FileProblem::TooMany);
        }
        self.files += 1;
        let text = self.disk.read(path, is_private)?;
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return Err(FileProblem::TooLarge);
        }
        let file: Arc<Path> = path.into();
        let mut items = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = Line { file: Arc::clone(&file), number: index + 1 };
            if let Some(content) = self.line(text, &line, root, depth) {
                items.push(Item { line, content });
            }
        }
        Ok(items)
    }

    fn line(&mut self, text: &str, line: &Line, root: &Root, depth: usize) -> Option<Content> {
        if text.len() > LONGEST_LINE {
            // It might have begun a block.
            self.remark(line, RemarkKind::WrongBlock("the line is too long"));
            return Some(Content::Never);
        }
        match setting::read(text) {
            Statement::Nothing => None,
            Statement::Host(patterns) => Some(Content::Host(patterns)),
            Statement::Match(criteria) => Some(Content::Match(criteria)),
            Statement::Include(globs) => Some(Content::Include(self.included(&globs, line, root, depth))),
            Statement::Set(Setting::IgnoreUnknown(list)) => {
                self.ignored.get_or_insert(list);
                None
            }
            Statement::Set(setting) => Some(Content::Set(setting)),
            Statement::NotUsed(keyword) => Some(Content::NotUsed(keyword)),
            Statement::Unknown => {
                if !setting::is_ignored(text, self.ignored.as_deref()) {
                    self.remark(line, RemarkKind::UnknownKeyword);
                }
                None
            }
            Statement::Wrong(why) => {
                self.remark(line, RemarkKind::Wrong(why));
                None
            }
            Statement::WrongBlock(why) => {
                self.remark(line, RemarkKind::WrongBlock(why));
                Some(Content::Never)
            }
        }
    }

    fn included(&mut self, globs: &[String], line: &Line, root: &Root, depth: usize) -> Vec<Vec<Item>> {
        let mut found = Vec::new();
        for written in globs {
            let pattern = match written.strip_prefix("~/") {
                Some(rest) => match self.home {
                    Some(home) => home.join(rest),
                    None => {
                        self.remark(line, RemarkKind::NoHome);
                        continue;
                    }
                },
                None => root.includes_from.join(written),
            };
            for path in self.disk.glob(&pattern) {
                if self.is_stopped {
                    return found;
                }
                match self.file(&path, root, true, depth + 1) {
                    Ok(items) => found.push(items),
                    Err(FileProblem::Missing) => {}
                    Err(problem @ (FileProblem::TooDeep | FileProblem::TooMany)) => {
                        // Files that include each other can do so in exponentially many ways.
                        self.is_stopped = true;
                        self.remark(line, RemarkKind::File(problem));
                    }
                    Err(problem @ (FileProblem::Unreadable | FileProblem::TooLarge | FileProblem::Writable)) => {
                        let at = Line { file: path.as_path().into(), number: 1 };
                        self.remark(&at, RemarkKind::File(problem));
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Files in memory. A glob is the beginning of a path, with `*` behind it.
    struct Memory(BTreeMap<PathBuf, String>);

    impl Disk for Memory {
        fn read(&self, path: &Path, _is_private: bool) -> Result<String, FileProblem> {
            self.0.get(path).cloned().ok_or(FileProblem::Missing)
        }

        fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
            let pattern = pattern.to_string_lossy();
            match pattern.strip_suffix('*') {
                Some(start) => {
                    self.0.keys().filter(|path| path.to_string_lossy().starts_with(start)).cloned().collect()
                }
                None => vec![pattern.as_ref().into()],
            }
        }
    }

    fn load(files: &[(&str, &str)]) -> Files {
        let disk = Memory(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect());
        let root = Root {
            path: "/h/.ssh/config".into(),
            includes_from: "/h/.ssh".into(),
            is_required: false,
            is_private: true,
        };
        Files::load(&[root], Some(Path::new("/h")), &disk)
    }

    #[test]
    fn remarks_name_the_line() {
        let check = |files: &[(&str, &str)], expected: &[&str]| {
            let remarks: Vec<String> = load(files).remarks.iter().map(ToString::to_string).collect();
            assert_eq!(remarks, expected, "{files:?}");
        };
        check(&[], &[]);
        check(&[("/h/.ssh/config", "\nFoo x\n")], &["/h/.ssh/config:2: OpenSSH does not know this keyword"]);
        check(&[("/h/.ssh/config", "IgnoreUnknown a,Fo*\nfOO x\n")], &[]);
        check(
            &[("/h/.ssh/config", "Include d/*"), ("/h/.ssh/d/a", "Port x"), ("/h/.ssh/d/b", "Host \"")],
            &[
                "/h/.ssh/d/a:1: this is not a port; the line is skipped",
                "/h/.ssh/d/b:1: a quote is not closed; nothing up to the next Host or Match applies",
            ],
        );
        check(
            &[("/h/.ssh/config", "Include config config")],
            &["/h/.ssh/config:1: the files include each other more than 16 deep"],
        );
        let long = format!("Host {}", "x".repeat(LONGEST_LINE));
        check(
            &[("/h/.ssh/config", &long)],
            &["/h/.ssh/config:1: the line is too long; nothing up to the next Host or Match applies"],
        );
    }

    #[test]
    fn hosts_without_wildcards_have_names() {
        let check = |files: &[(&str, &str)], expected: &[&str]| {
            let loaded = load(files);
            let names: Vec<String> =
                loaded.host_names().iter().map(|(name, line)| format!("{name} {}", line.number)).collect();
            assert_eq!(names, expected, "{files:?}");
        };
        check(&[], &[]);
        check(
            &[("/h/.ssh/config", "Host *\nHost web-1 web-? !db web-2\n\nhost=web-1 x\nMatch host y\n")],
            &["web-1 2", "web-2 2", "x 4"],
        );
        check(&[("/h/.ssh/config", "Host a\nInclude d/*\n"), ("/h/.ssh/d/b", "\nHost b a\n")], &["a 1", "b 2"]);
    }

    #[test]
    fn files_that_include_each_other_end() {
        let loaded = load(&[("/h/.ssh/config", "Include ~/.ssh/* ~/.ssh/*\n"), ("/h/.ssh/other", "Include *\n")]);
        assert!(!loaded.remarks.is_empty());
    }
}

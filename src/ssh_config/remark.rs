//! What there is to say about a line: it has no effect here, cannot be read, or depends on something that is missing.
//! The words contain nothing of the file.

use std::fmt;

use super::origin::Line;

/// Something about a line that someone who relies on it must know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Remark {
    /// The line.
    pub line: Line,
    /// What there is to say.
    pub about: RemarkKind,
}

/// What a remark says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RemarkKind {
    /// This keyword, or criterion of `Match`, has no effect here.
    NotUsed(&'static str),
    /// No OpenSSH knows the keyword.
    UnknownKeyword,
    /// The line cannot be read. It is skipped.
    Wrong(&'static str),
    /// The `Host` or `Match` cannot be read. Nothing up to the next one applies.
    WrongBlock(&'static str),
    /// A file cannot be used.
    File(FileProblem),
    /// A token is not known there. The setting is skipped.
    UnknownToken,
    /// A variable is not set. The setting is skipped.
    NoVariable,
    /// `~` stands for a home directory that is not known. The setting is skipped.
    NoHome,
    /// A command would contain a name with characters that a shell interprets. It is not run.
    Unsafe,
    /// The command of `Match exec` was not run. The block does not apply.
    NotRun,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileProblem {
    /// There is none.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It is larger than what is read.
    TooLarge,
    /// Others may write it: they could have commands executed.
    Writable,
    /// The files include each other too deeply.
    TooDeep,
    /// There are too many of them.
    TooMany,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Missing => "there is no such file",
            Self::Unreadable => "the file cannot be read",
            Self::TooLarge => "the file is too large",
            Self::Writable => "the file is not used, because others may write it: run chmod go-w on it",
            Self::TooDeep => "the files include each other more than 16 deep",
            Self::TooMany => "there are too many included files",
        })
    }
}

impl fmt::Display for RemarkKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUsed(keyword) => write!(out, "{keyword} has no effect here"),
            Self::UnknownKeyword => out.write_str("OpenSSH does not know this keyword"),
            Self::Wrong(why) => write!(out, "{why}; the line is skipped"),
            Self::WrongBlock(why) => write!(out, "{why}; nothing up to the next Host or Match applies"),
            Self::File(problem) => problem.fmt(out),
            Self::UnknownToken => out.write_str("a token (%) is not known there; the line is skipped"),
            Self::NoVariable => out.write_str("an environment variable is not set; the line is skipped"),
            Self::NoHome => out.write_str("the home directory is not known; the line is skipped"),
            Self::Unsafe => out.write_str("a name has characters that a shell interprets; the command is not run"),
            Self::NotRun => out.write_str("the command of Match exec is not run now; the block is taken not to apply"),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.line, self.about)
    }
}

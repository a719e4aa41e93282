//! The errors of the spool.

use std::{io, path::PathBuf};

use super::line::FORMAT;

/// An error of the spool.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum SpoolError {
    #[error("there is no directory for a spool: set STATE_DIRECTORY, XDG_STATE_HOME or HOME")]
    NoPlace,
    #[error("the spool {} belongs to another process: end that one first", .0.display())]
    InUse(PathBuf),
    #[error("the spool {} has format {found}, and this program knows {}: run the fleetsweep that wrote it", file.display(), FORMAT)]
    OtherFormat { file: PathBuf, found: u32 },
    #[error("the spool's directory {} is {what}: remove it, or run `chmod 700` on it as its owner", directory.display())]
    NotOurs { directory: PathBuf, what: &'static str },
    #[error("the spool {} cannot be used", file.display())]
    File { file: PathBuf, source: io::Error },
}

//! Which files are read: the current log, and the rotated ones beside it that have lines after a place.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Found, Log, Place, Position, Rules};

/// The most rotated files.
const MAX_ROTATED: usize = 64;
/// What the names of compressed files end with.
const COMPRESSED: [&str; 6] = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"];

/// The files to read.
pub(super) struct Chain {
    /// Oldest first, with the offset from which each is read.
    pub(super) logs: Vec<(Log, u64)>,
    /// Lines until this time are left out, up to the first later one.
    pub(super) after_ms: i64,
}

/// The files with lines after `from`. Reports in `found` what cannot be read.
pub(super) fn chain(
    path: &Path,
    current: Log,
    from: &Place,
    rules: Option<Rules>,
    found: &mut Found,
) -> io::Result<Chain> {
    let Position::File { inode, offset, fingerprint } = from.position else {
        return since(path, current, from.at_ms, rules, found);
    };
    let continues = |log: &Log| -> io::Result<bool> {
        Ok(log.size >= offset && (fingerprint.is_none() || fingerprint == Some(log.fingerprint(offset)?)))
    };
    if current.inode == inode && continues(&current)? {
        return Ok(Chain { logs: vec![(current, offset)], after_ms: i64::MIN });
    }
    let is_same = current.inode == inode;
    let rotated = Rotated::beside(path)?;
    let mut logs = vec![(current, 0)];
    for (_, path) in rotated.plain {
        // It may be removed at this moment.
        let Ok(log) = Log::open(&path, rules) else { break };
        // A copy has another inode.
        let is_ours = log.inode == inode || fingerprint.is_some() && offset > 0;
        let is_last = is_ours && continues(&log)?;
        logs.insert(0, (log, if is_last { offset } else { 0 }));
        if is_last {
            return Ok(Chain { logs, after_ms: i64::MIN });
        }
    }
    let compressed = rotated.compressed.filter(|(modified_ms, _)| *modified_ms >= from.at_ms);
    if is_same && compressed.is_none() {
        // The file is shorter now or another one, and there is no copy of it.
        found.cleared = true;
        logs.drain(..logs.len() - 1);
        return Ok(Chain { logs, after_ms: i64::MIN });
    }
    found.trouble = Some("it was rotated out of reach: events may be missing".to_owned());
    let current = logs.pop().map(|(log, _)| log).ok_or(io::ErrorKind::NotFound)?;
    since(path, current, from.at_ms, rules, found)
}

/// The files with lines later than `after_ms`.
fn since(path: &Path, current: Log, after_ms: i64, rules: Option<Rules>, found: &mut Found) -> io::Result<Chain> {
    let rotated = Rotated::beside(path)?;
    let mut logs = vec![(current, 0)];
    let begins_later = |logs: &[(Log, u64)]| -> io::Result<bool> {
        let Some((oldest, _)) = logs.first() else { return Ok(false) };
        // Files without times are not followed back.
        Ok(oldest.time_at(0)?.map_or(oldest.size == 0, |at_ms| at_ms > after_ms))
    };
    for (modified_ms, path) in rotated.plain {
        if modified_ms < after_ms || !begins_later(&logs)? {
            break;
        }
        let Ok(log) = Log::open(&path, rules) else { break };
        logs.insert(0, (log, 0));
    }
    let compressed = rotated.compressed.filter(|(modified_ms, _)| *modified_ms > after_ms);
    if let Some((_, name)) = compressed
        && begins_later(&logs)?
    {
        let name = name.to_string_lossy();
        let why = format!("{name} is compressed and was not read: older events are missing");
        found.trouble.get_or_insert(why);
    }
    if let Some((oldest, offset)) = logs.first_mut() {
        *offset = oldest.offset_after(after_ms)?;
    }
    Ok(Chain { logs, after_ms })
}

/// The rotated files beside a log, for example `auth.log.1` or `secure-20260101`.
struct Rotated {
    /// With the time of their last change, newest first.
    plain: Vec<(i64, PathBuf)>,
    /// The newest compressed one, and its name.
    compressed: Option<(i64, OsString)>,
}

impl Rotated {
    fn beside(path: &Path) -> io::Result<Self> {
        let mut rotated = Self { plain: Vec::new(), compressed: None };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Ok(rotated);
        };
        for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
            let file_name = entry.file_name();
            let text = file_name.to_string_lossy();
            let is_rotated = text.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '-']));
            let Some(metadata) = entry.metadata().ok().filter(|metadata| is_rotated && metadata.is_file()) else {
                continue;
            };
            let modified_ms = metadata.mtime().saturating_mul(1000);
            if COMPRESSED.iter().any(|ending| text.ends_with(ending)) {
                if rotated.compressed.as_ref().is_none_or(|(newest_ms, _)| *newest_ms < modified_ms) {
                    rotated.compressed = Some((modified_ms, file_name));
                }
            } else {
                rotated.plain.push((modified_ms, entry.path()));
            }
        }
        rotated.plain.sort_by_key(|(modified_ms, _)| -modified_ms);
        rotated.plain.truncate(MAX_ROTATED);
        Ok(rotated)
    }
}

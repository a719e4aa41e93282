//! The spool: changes that wait on the disk while the database is away, oldest first, each on the disk before it
//! counts as kept. Not when something waits ([`super::bridge`]), and not where that is ([`super::place`]).
//!
//! One file: a header, then a [`mod@line`] a change. What is stored is passed over; the file is removed when all of it
//! is. What could not be stored for its own sake goes into a second file, `NAME.rejected`, for a human.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::place::Place;

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod line;
pub(super) mod progress;

/// The most that waits. At the 3 to 10 KiB that a collection takes these are some 30,000 to 80,000 collections:
/// 500 clients every five minutes for five hours at least.
pub(super) const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The most that is read back at once.
const PEEK_BYTES: u64 = 8 * 1024 * 1024;

/// The format's version.
const FORMAT: u32 = 1;

/// What is wrong with the spool.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    #[error("there is no directory for a spool: set STATE_DIRECTORY, XDG_STATE_HOME or HOME")]
    NoPlace,
    #[error("the spool {} belongs to another process: end that one first", .0.display())]
    InUse(PathBuf),
    #[error("the spool {} has format {found}, and this program knows {FORMAT}: run the fleetsweep that wrote it", file.display())]
    OtherFormat { file: PathBuf, found: u32 },
    #[error("the spool's directory {} is {what}: remove it, or run `chmod 700` on it as its owner", directory.display())]
    NotOurs { directory: PathBuf, what: &'static str },
    #[error("the spool {} cannot be used", file.display())]
    File { file: PathBuf, source: io::Error },
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    fleetsweep_spool: u32,
    spool: Uuid,
}

/// A line read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// What it holds; the bytes as they are where it is damaged.
    pub(super) content: Result<String, Vec<u8>>,
    /// Where it ends.
    pub(super) end: u64,
}

/// The spool of one database.
#[derive(Debug)]
pub(super) struct Spool {
    /// `None` where the environment has no place for one.
    place: Option<Place>,
    most_bytes: u64,
    /// Held for as long as this lives, once there was something to keep.
    lock: Option<File>,
    /// `None` where nothing waits.
    tape: Option<Tape>,
}

#[derive(Debug)]
struct Tape {
    file: File,
    id: Uuid,
    /// Up to here everything is stored.
    stored: u64,
    /// Up to here everything is on the disk; what may lie behind is the rest of a failed write.
    end: u64,
    waiting: u64,
}

impl Spool {
    /// Opens what an earlier run left. Makes nothing where there is nothing.
    pub(super) fn open(place: Option<Place>, most_bytes: u64) -> Result<Self, SpoolError> {
        let mut spool = Self { place, most_bytes, lock: None, tape: None };
        let Some(file) = spool.file() else { return Ok(spool) };
        let failed = |source| SpoolError::File { file: file.clone(), source };
        if file.try_exists().map_err(failed)? {
            spool.claim()?;
            spool.tape = read_in(&file)?;
        }
        Ok(spool)
    }

    /// The file, whether it is there or not.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.place.as_ref().map(|place| place.directory.join(format!("{}.jsonl", place.name)))
    }

    /// How many changes wait.
    pub(super) fn waiting(&self) -> u64 {
        self.tape.as_ref().map_or(0, |tape| tape.waiting)
    }

    /// Names the file: another one after everything was stored.
    pub(super) fn id(&self) -> Option<Uuid> {
        self.tape.as_ref().map(|tape| tape.id)
    }

    /// Keeps these, in their order, as far as there is room: gives how many. They are on the disk then.
    pub(super) fn append(&mut self, contents: &[String]) -> Result<usize, SpoolError> {
        let Some(file) = self.file() else { return Err(SpoolError::NoPlace) };
        let failed = |source| SpoolError::File { file: file.clone(), source };
        let mut bytes = Vec::new();
        let is_new = self.tape.is_none();
        if is_new {
            self.claim()?;
            let id = Uuid::new_v4();
            let header = serde_json::to_string(&Header { fleetsweep_spool: FORMAT, spool: id })
                .map_err(|error| failed(error.into()))?;
            let made = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&file);
            bytes.extend(line::of(&header).into_bytes());
            let stored = bytes.len() as u64;
            self.tape = Some(Tape { file: made.map_err(failed)?, id, stored, end: 0, waiting: 0 });
        }
        let Some(tape) = &mut self.tape else { return Err(SpoolError::NoPlace) };
        let mut kept = 0;
        for content in contents {
            let line = line::of(content).into_bytes();
            if tape.end + (bytes.len() + line.len()) as u64 > self.most_bytes {
                break;
            }
            bytes.extend(line);
            kept += 1;
        }
        let written = if kept == 0 { Ok(()) } else { tape.write(&bytes) };
        match written {
            Ok(()) => tape.waiting += kept as u64,
            Err(error) => {
                if is_new {
                    self.tape = None;
                    discard(&file);
                }
                return Err(failed(error));
            }
        }
        if is_new {
            if kept == 0 {
                self.tape = None;
                discard(&file);
            } else {
                // Otherwise a power failure could take back the file's name.
                file.parent().map_or(Ok(()), sync).map_err(failed)?;
            }
        }
        Ok(kept)
    }

    /// The oldest that wait, so many at most.
    pub(super) fn peek(&mut self, most: usize) -> Result<Vec<Waiting>, SpoolError> {
        let Some(file) = self.file() else { return Ok(Vec::new()) };
        let Some(tape) = &self.tape else { return Ok(Vec::new()) };
        tape.peek(most).map_err(|source| SpoolError::File { file, source })
    }

    /// So many are stored, the last of which ends there.
    pub(super) fn pass(&mut self, count: usize, end: u64) -> Result<(), SpoolError> {
        let Some(file) = self.file() else { return Ok(()) };
        let Some(tape) = &mut self.tape else { return Ok(()) };
        tape.stored = end;
        tape.waiting = tape.waiting.saturating_sub(count as u64);
        if tape.stored < tape.end {
            return Ok(());
        }
        self.tape = None;
        // Where it comes back after a power failure, the database knows that all of it is stored.
        let removed = fs::remove_file(&file).and_then(|()| file.parent().map_or(Ok(()), sync));
        removed.map_err(|source| SpoolError::File { file, source })
    }

    /// Keeps for a human what the database will not take: a line of `NAME.rejected`. Gives that file.
    pub(super) fn set_aside(&self, content: &[u8]) -> Result<PathBuf, SpoolError> {
        let Some(place) = &self.place else { return Err(SpoolError::NoPlace) };
        let file = place.directory.join(format!("{}.rejected", place.name));
        let append = || {
            let mut opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&file)?;
            opened.write_all(&[content, b"\n"].concat())?;
            opened.sync_data()
        };
        match append() {
            Ok(()) => Ok(file),
            Err(source) => Err(SpoolError::File { file, source }),
        }
    }

    /// Makes the directory and takes the spool for this process. The database's lock decides who owns it; this
    /// one is for the moments in which a server has lost that lock.
    fn claim(&mut self) -> Result<(), SpoolError> {
        let Some(place) = &self.place else { return Err(SpoolError::NoPlace) };
        if self.lock.is_some() {
            return Ok(());
        }
        let directory = place.directory.as_path();
        let file = directory.join(format!("{}.lock", place.name));
        let failed = |source| SpoolError::File { file: file.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let found = fs::symlink_metadata(directory).map_err(failed)?;
        let not_ours = |what| SpoolError::NotOurs { directory: directory.to_owned(), what };
        if !found.is_dir() {
            return Err(not_ours("no directory"));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(not_ours("another user's"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(not_ours("open to others"));
        }
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => self.lock = Some(lock),
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(())
    }
}

impl Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all_at(bytes, self.end).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            Err(error) => {
                // What is there of it was never kept. Where it cannot be cut off either, the next write covers it.
                if let Err(also) = self.file.set_len(self.end) {
                    tracing::debug!("what was written in part stays behind the spool's end: {also}");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn peek(&self, most: usize) -> io::Result<Vec<Waiting>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.stored))?;
        let mut reader = BufReader::new(file.take(self.end.saturating_sub(self.stored)));
        let (mut found, mut end) = (Vec::new(), self.stored);
        while found.len() < most && end - self.stored < PEEK_BYTES {
            let mut bytes = Vec::new();
            let read = reader.read_until(b'\n', &mut bytes)?;
            if read == 0 {
                break;
            }
            end += read as u64;
            let content = line::content(&bytes).map(str::to_owned).ok_or(bytes);
            found.push(Waiting { content, end });
        }
        Ok(found)
    }
}

/// What an earlier run left: up to the last whole line. What follows it was never kept.
fn read_in(path: &Path) -> Result<Option<Tape>, SpoolError> {
    let failed = |source| SpoolError::File { file: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let mut reader = BufReader::new(&file);
    let mut bytes = Vec::new();
    let mut at = reader.read_until(b'\n', &mut bytes).map_err(failed)? as u64;
    let header = line::content(&bytes).and_then(|content| serde_json::from_str::<Header>(content).ok());
    if let Some(Header { fleetsweep_spool: found, .. }) = header
        && found != FORMAT
    {
        return Err(SpoolError::OtherFormat { file: path.to_owned(), found });
    }
    // Where the header is damaged nothing can be known to be stored by its position.
    let id = header.map_or_else(Uuid::new_v4, |header| header.spool);
    let (stored, mut end, mut waiting, mut lines) = (at, at, 0, 0);
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes).map_err(failed)?;
        if read == 0 {
            break;
        }
        at += read as u64;
        lines += 1;
        if bytes.last() == Some(&b'\n') && line::content(&bytes).is_some() {
            (end, waiting) = (at, lines);
        }
    }
    if at > end {
        tracing::warn!("the last {} bytes of {} were written in part and never kept", at - end, path.display());
        file.set_len(end).and_then(|()| file.sync_data()).map_err(failed)?;
    }
    if waiting == 0 {
        discard(path);
        return Ok(None);
    }
    Ok(Some(Tape { file, id, stored, end, waiting }))
}

/// Removes a file in which nothing waits. Where that fails it is overwritten the next time.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!("{} stays: {error}", path.display());
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;

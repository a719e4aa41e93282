//! The outage spool: changes that wait on disk while the database is away, oldest first. A change counts as kept when
//! it is synced to disk. When the spool is used is decided in [`super::outage`], and where it is in
//! [`super::spool_path`].
//!
//! It is one file, a [`segment`]. If its disk is full, a second segment is started in the next location, which is on
//! another disk. Segments are stored one after the other. A change that the database rejects goes to the file
//! `NAME.rejected`, for a human to look at.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::spool_path::SpoolPath;

mod error;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod line;
pub(super) mod progress;
mod segment;

pub(super) use error::SpoolError;
#[cfg(any(test, fuzzing))]
use line::FORMAT;
use segment::Segment;
pub(super) use segment::Waiting;

/// The maximum size of the spool. A collection takes 3 to 10 KiB, so this is enough for 30,000 to 80,000 collections:
/// 500 clients every five minutes for at least five hours.
pub(super) const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The spool of one database.
#[derive(Debug)]
pub(super) struct Spool {
    /// Possible locations, best first; empty if the environment names none.
    locations: Vec<SpoolLocation>,
    most_bytes: u64,
    /// The waiting changes, oldest first.
    segments: VecDeque<Segment>,
}

/// A possible location of a segment.
#[derive(Debug)]
struct SpoolLocation {
    place: SpoolPath,
    /// The lock file. It is locked once there is something to keep, until this is dropped.
    lock: Option<File>,
}

impl Spool {
    /// Opens the segments that an earlier run left in any location. Creates nothing.
    pub(super) fn open(locations: impl IntoIterator<Item = SpoolPath>, most_bytes: u64) -> Result<Self, SpoolError> {
        let locations = locations.into_iter().map(|place| SpoolLocation { place, lock: None }).collect();
        let mut spool = Self { locations, most_bytes, segments: VecDeque::new() };
        let mut segments = Vec::new();
        for (index, location) in spool.locations.iter_mut().enumerate() {
            match location.left_behind() {
                Ok(found) => segments.extend(found),
                // Other users can create files in a directory that everybody can write to.
                Err(error @ SpoolError::NotOurs { .. }) if index > 0 => tracing::warn!("{error}"),
                Err(error @ SpoolError::File { .. }) if index > 0 && location.lock.is_none() => {
                    tracing::debug!("nothing of an earlier run can be there: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        segments.sort_by_key(Segment::number);
        spool.segments = segments.into();
        Ok(spool)
    }

    /// The file that is or would be written, whether it exists or not.
    #[cfg(test)]
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.segments
            .back()
            .map(|segment| segment.path().to_owned())
            .or_else(|| self.locations.first().map(|location| location.place.file()))
    }

    /// All files with waiting changes.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.segments.iter().map(|segment| segment.path().to_owned()).collect()
    }

    /// The number of waiting changes.
    pub(super) fn waiting(&self) -> u64 {
        self.segments.iter().map(Segment::waiting).sum()
    }

    /// The id of the segment with the oldest waiting changes. It changes after all of it is stored.
    pub(super) fn id(&self) -> Option<Uuid> {
        self.segments.front().map(Segment::id)
    }

    /// Appends as many of these, in order, as fit, and syncs them to disk. Returns how many.
    pub(super) fn append(&mut self, contents: &[String]) -> Result<usize, SpoolError> {
        let room = self.most_bytes.saturating_sub(self.segments.iter().map(Segment::bytes).sum());
        let (first_error, mut full_devices) = match self.append_to_last(contents, room) {
            Some(Ok(kept)) => return Ok(kept),
            Some(Err(error)) => {
                let device = self.segments.back().and_then(|segment| device_of(segment.path()));
                let is_full = is_of_disk(&error);
                (Some(error), device.filter(|_| is_full).into_iter().collect::<Vec<u64>>())
            }
            None => (None, Vec::new()),
        };
        let number = self.segments.back().map_or(0, |segment| segment.number() + 1);
        let mut why = first_error;
        for location in &mut self.locations {
            let file = location.place.file();
            if self.segments.iter().any(|segment| segment.path() == file) {
                continue;
            }
            let device = device_of(&file);
            if device.is_some_and(|device| full_devices.contains(&device)) {
                continue;
            }
            let begun = location.claim().and_then(|()| Segment::begin(&file, number, contents, room));
            match begun {
                Ok(None) => return Ok(0),
                Ok(Some((segment, kept))) => {
                    if let Some(why) = &why {
                        tracing::warn!(
                            error = why as &dyn std::error::Error,
                            "changes that wait for the database are kept in {} from here on",
                            file.display()
                        );
                    }
                    self.segments.push_back(segment);
                    return Ok(kept);
                }
                Err(error @ SpoolError::InUse(_)) => return Err(error),
                Err(error) => {
                    if is_of_disk(&error) {
                        full_devices.extend(device);
                    }
                    why.get_or_insert(error);
                }
            }
        }
        Err(why.unwrap_or(SpoolError::NoPlace))
    }

    /// `None` if there is no segment yet.
    fn append_to_last(&mut self, contents: &[String], room: u64) -> Option<Result<usize, SpoolError>> {
        let segment = self.segments.back_mut()?;
        let before = segment.bytes();
        let appended = match segment.append(contents, room) {
            // The file is lost, but its content is known and can be written again.
            Ok(kept) if segment.is_lost() => {
                let path = segment.path().to_owned();
                let location = self.locations.iter_mut().find(|location| location.place.file() == path);
                let claimed = match location {
                    Some(location) => {
                        location.lock = None;
                        location.claim()
                    }
                    None => Ok(()),
                };
                claimed
                    .and_then(|()| segment.write_anew())
                    .map(|()| kept)
                    .inspect_err(|_| segment.take_back(kept, before))
            }
            appended => appended,
        };
        Some(appended)
    }

    /// The oldest waiting changes, at most this many.
    pub(super) fn peek(&mut self, most: usize) -> Result<Vec<Waiting>, SpoolError> {
        self.segments.front().map_or(Ok(Vec::new()), |segment| segment.peek(most))
    }

    /// Marks this many changes as stored, the last of which ends at `end`.
    pub(super) fn pass(&mut self, count: usize, end: u64) -> Result<(), SpoolError> {
        let Some(segment) = self.segments.front_mut() else { return Ok(()) };
        if !segment.pass(count, end) {
            return Ok(());
        }
        // If the file reappears after a power failure, the progress in the database shows that all of it is stored.
        self.segments.pop_front().map_or(Ok(()), Segment::remove)
    }

    /// Appends a change that the database rejects to `NAME.rejected`, for inspection. Returns the path of that file.
    pub(super) fn set_aside(&self, content: &[u8]) -> Result<PathBuf, SpoolError> {
        let mut why = SpoolError::NoPlace;
        for SpoolLocation { place, .. } in &self.locations {
            let file = place.directory.join(format!("{}.rejected", place.name));
            let append = || {
                let mut opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&file)?;
                opened.write_all(&[content, b"\n"].concat())?;
                opened.sync_data()
            };
            match append() {
                Ok(()) => return Ok(file),
                Err(source) if matches!(why, SpoolError::NoPlace) => why = SpoolError::File { file, source },
                Err(error) => tracing::debug!("{} cannot be used either: {error}", file.display()),
            }
        }
        Err(why)
    }
}

impl SpoolLocation {
    /// The segment that an earlier run left in this location.
    fn left_behind(&mut self) -> Result<Option<Segment>, SpoolError> {
        let file = self.place.file();
        let there = file.try_exists().map_err(|source| SpoolError::File { file: file.clone(), source })?;
        if !there {
            return Ok(None);
        }
        self.claim()?;
        Segment::read_in(&file)
    }

    /// Creates the directory and locks the spool for this process. Normally the lock of the database is sufficient;
    /// this one is for times in which a server has lost that lock.
    fn claim(&mut self) -> Result<(), SpoolError> {
        let SpoolPath { directory, name } = &self.place;
        if self.lock.is_some() {
            return Ok(());
        }
        let directory = directory.as_path();
        let file = directory.join(format!("{name}.lock"));
        let failed = |source| SpoolError::File { file: file.clone(), source };
        match DirBuilder::new().recursive(self.place.may_make_parents()).mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
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

/// Whether the disk is full or broken, so that other directories on it cannot be used either.
fn is_of_disk(error: &SpoolError) -> bool {
    match error {
        SpoolError::File { source, .. } => matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
        ),
        SpoolError::NoPlace | SpoolError::InUse(_) | SpoolError::OtherFormat { .. } | SpoolError::NotOurs { .. } => {
            false
        }
    }
}

/// The device of a file, or of its directory if it does not exist.
fn device_of(file: &Path) -> Option<u64> {
    file.ancestors().find_map(|path| fs::metadata(path).ok()).map(|found| found.dev())
}

#[cfg(test)]
mod tests;

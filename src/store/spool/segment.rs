//! One file of the spool: a header, then a [`mod@line`](super::line) a change. What is stored is passed over; the file is
//! removed when all of it is. Not which file is written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    error::SpoolError,
    line::{self, FORMAT},
};
use crate::store::file::Identity;

/// The most that is read back at once.
const PEEK_BYTES: u64 = 8 * 1024 * 1024;

/// The most that is copied at once.
const COPY_BYTES: u64 = 1024 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    fleetsweep_spool: u32,
    spool: Uuid,
    /// Tells the order of the segments where there are several.
    #[serde(default)]
    number: u64,
}

/// A line read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Waiting {
    /// What it holds; the bytes as they are where it is damaged.
    pub(in crate::store) content: Result<String, Vec<u8>>,
    /// Where it ends.
    pub(in crate::store) end: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    id: Uuid,
    number: u64,
    /// Up to here everything is stored.
    stored: u64,
    /// Up to here everything is on the disk; what may lie behind is the rest of a failed write.
    end: u64,
    waiting: u64,
}

impl Segment {
    /// Begins a file with these, as far as there is room; `None` where there is none for any.
    pub(super) fn begin(
        path: &Path,
        number: u64,
        contents: &[String],
        room: u64,
    ) -> Result<Option<(Self, usize)>, SpoolError> {
        let failed = |source| SpoolError::File { file: path.to_owned(), source };
        let id = Uuid::new_v4();
        let header = serde_json::to_string(&Header { fleetsweep_spool: FORMAT, spool: id, number })
            .map_err(|error| failed(error.into()))?;
        let mut bytes = line::of(&header).into_bytes();
        let stored = bytes.len() as u64;
        let kept = lines(&mut bytes, contents, room);
        if kept == 0 {
            return Ok(None);
        }
        let made = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = made.map_err(failed)?;
        let mut segment = Self { path: path.to_owned(), file, id, number, stored, end: 0, waiting: kept as u64 };
        // The name too: otherwise a power failure could take it back.
        let written = segment.write(&bytes).and_then(|()| path.parent().map_or(Ok(()), sync));
        if let Err(error) = written {
            discard(path);
            return Err(failed(error));
        }
        Ok(Some((segment, kept)))
    }

    /// Adds these, as far as there is room: gives how many.
    pub(super) fn append(&mut self, contents: &[String], room: u64) -> Result<usize, SpoolError> {
        let mut bytes = Vec::new();
        let kept = lines(&mut bytes, contents, room);
        if kept > 0 {
            self.write(&bytes).map_err(|source| SpoolError::File { file: self.path.clone(), source })?;
            self.waiting += kept as u64;
        }
        Ok(kept)
    }

    /// The last that were added, from there on, do not count as kept.
    pub(super) fn take_back(&mut self, count: usize, end: u64) {
        self.waiting = self.waiting.saturating_sub(count as u64);
        self.end = end;
        // Otherwise the next run would find them, wherever the file is.
        if let Err(error) = self.file.set_len(end).and_then(|()| self.file.sync_data()) {
            tracing::debug!("what was written in vain stays behind the spool's end: {error}");
        }
    }

    /// Whether the file does not lie where it was made any more: nobody would find what is written into it.
    pub(super) fn is_lost(&self) -> bool {
        let ours = self.file.metadata().map(|found| Identity::from(&found));
        !matches!((ours, Identity::of(&self.path)), (Ok(ours), Ok(found)) if ours == found)
    }

    /// Writes everything that is known into a new file in the same place.
    pub(super) fn write_anew(&mut self) -> Result<(), SpoolError> {
        let copy = || {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
            let mut at = 0;
            while at < self.end {
                let mut bytes = vec![0; usize::try_from(COPY_BYTES.min(self.end - at)).unwrap_or(0)];
                self.file.read_exact_at(&mut bytes, at)?;
                file.write_all_at(&bytes, at)?;
                at += bytes.len() as u64;
            }
            file.sync_data()?;
            self.path.parent().map_or(Ok(()), sync)?;
            Ok(file)
        };
        self.file = copy().map_err(|source| SpoolError::File { file: self.path.clone(), source })?;
        tracing::error!(
            "{} was removed or replaced while changes waited in it: it was written anew",
            self.path.display()
        );
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// So many are stored, the last of which ends there; whether that was all.
    pub(super) fn pass(&mut self, count: usize, end: u64) -> bool {
        self.stored = end;
        self.waiting = self.waiting.saturating_sub(count as u64);
        self.stored >= self.end
    }

    /// Removes the file: all of it is stored.
    pub(super) fn remove(self) -> Result<(), SpoolError> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.path.parent().map_or(Ok(()), sync)),
        };
        removed.map_err(|source| SpoolError::File { file: self.path, source })
    }

    /// The oldest that wait, so many at most.
    pub(super) fn peek(&self, most: usize) -> Result<Vec<Waiting>, SpoolError> {
        self.read(most).map_err(|source| SpoolError::File { file: self.path.clone(), source })
    }

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

    fn read(&self, most: usize) -> io::Result<Vec<Waiting>> {
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

    /// What an earlier run left: up to the last whole line. What follows it was never kept.
    pub(super) fn read_in(path: &Path) -> Result<Option<Self>, SpoolError> {
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
        let (id, number) = header.map_or_else(|| (Uuid::new_v4(), 0), |header| (header.spool, header.number));
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
        Ok(Some(Self { path: path.to_owned(), file, id, number, stored, end, waiting }))
    }
}

/// Adds the lines of as many as there is room for: gives how many.
fn lines(bytes: &mut Vec<u8>, contents: &[String], room: u64) -> usize {
    let mut kept = 0;
    for content in contents {
        let line = line::of(content).into_bytes();
        if (bytes.len() + line.len()) as u64 > room {
            break;
        }
        bytes.extend(line);
        kept += 1;
    }
    kept
}

/// Removes a file in which nothing waits. Where that fails it is overwritten the next time.
pub(super) fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!("{} stays: {error}", path.display());
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

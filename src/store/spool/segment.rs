//! One file of the spool: a header, then one [`mod@line`](super::line) per change. Stored changes are skipped, and the
//! file is removed when all are stored.

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

/// The most bytes that are read back at once.
const PEEK_BYTES: u64 = 8 * 1024 * 1024;

/// The most bytes that are copied at once.
const COPY_BYTES: u64 = 1024 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    fleetsweep_spool: u32,
    spool: Uuid,
    /// Orders the segments if there are several.
    #[serde(default)]
    number: u64,
}

/// A line read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Waiting {
    /// The content; the raw bytes if the line is damaged.
    pub(in crate::store) content: Result<String, Vec<u8>>,
    /// The offset of its end.
    pub(in crate::store) end: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    id: Uuid,
    number: u64,
    /// The offset up to which everything is stored.
    stored: u64,
    /// The offset up to which everything is synced. Anything after it is the rest of a failed write.
    end: u64,
    waiting: u64,
}

impl Segment {
    /// Creates a file with as many of these as fit; `None` if none fits.
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
        // The directory is synced too: otherwise the file could be lost in a power failure.
        let written = segment.write(&bytes).and_then(|()| path.parent().map_or(Ok(()), sync));
        if let Err(error) = written {
            discard(path);
            return Err(failed(error));
        }
        Ok(Some((segment, kept)))
    }

    /// Appends as many of these as fit. Returns how many.
    pub(super) fn append(&mut self, contents: &[String], room: u64) -> Result<usize, SpoolError> {
        let mut bytes = Vec::new();
        let kept = lines(&mut bytes, contents, room);
        if kept > 0 {
            self.write(&bytes).map_err(|source| SpoolError::File { file: self.path.clone(), source })?;
            self.waiting += kept as u64;
        }
        Ok(kept)
    }

    /// Discards everything from this offset on.
    pub(super) fn take_back(&mut self, count: usize, end: u64) {
        self.waiting = self.waiting.saturating_sub(count as u64);
        self.end = end;
        // Otherwise the next run would find them.
        if let Err(error) = self.file.set_len(end).and_then(|()| self.file.sync_data()) {
            tracing::debug!("a failed write could not be removed from the end of the spool: {error}");
        }
    }

    /// Whether the file was removed or replaced, so that nobody would find what is written to it.
    pub(super) fn is_lost(&self) -> bool {
        let ours = self.file.metadata().map(|found| Identity::from(&found));
        !matches!((ours, Identity::of(&self.path)), (Ok(ours), Ok(found)) if ours == found)
    }

    /// Writes all waiting changes to a new file at the same path.
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
            "{} was removed or replaced while changes waited in it: it was written again",
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

    /// Marks this many changes as stored, the last of which ends at this offset. Returns whether those were all.
    pub(super) fn pass(&mut self, count: usize, end: u64) -> bool {
        self.stored = end;
        self.waiting = self.waiting.saturating_sub(count as u64);
        self.stored >= self.end
    }

    /// Removes the file, because all of it is stored.
    pub(super) fn remove(self) -> Result<(), SpoolError> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.path.parent().map_or(Ok(()), sync)),
        };
        removed.map_err(|source| SpoolError::File { file: self.path, source })
    }

    /// The oldest waiting changes, at most this many.
    pub(super) fn peek(&self, most: usize) -> Result<Vec<Waiting>, SpoolError> {
        self.read(most).map_err(|source| SpoolError::File { file: self.path.clone(), source })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all_at(bytes, self.end).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            Err(error) => {
                // The incomplete line was never kept. If it cannot be truncated, the next write overwrites it.
                if let Err(also) = self.file.set_len(self.end) {
                    tracing::debug!("a partly written line could not be removed from the end of the spool: {also}");
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

    /// Reads what an earlier run left, up to the last complete line. Anything after it was never kept.
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
        // If the header is damaged, positions cannot show what is stored.
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
            tracing::warn!(
                "the last {} bytes of {} are a partly written line, which was never kept",
                at - end,
                path.display()
            );
            file.set_len(end).and_then(|()| file.sync_data()).map_err(failed)?;
        }
        if waiting == 0 {
            discard(path);
            return Ok(None);
        }
        Ok(Some(Self { path: path.to_owned(), file, id, number, stored, end, waiting }))
    }
}

/// Adds the lines of as many contents as fit. Returns how many.
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

/// Removes a file in which nothing waits. If that fails, it is overwritten next time.
pub(super) fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!("{} was not removed: {error}", path.display());
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

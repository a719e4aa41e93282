//! Reads and plays recordings, which [`super::record`] writes.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    line::LONGEST_FRAME,
    record::{FORMAT, Header, fold},
};
use crate::fleet::{
    state::Fleet,
    stream::{Frame, Stamped},
};

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod player;

pub use player::{Played, play};

/// The size of one read from the file, bytes. A longer line is read completely.
const CHUNK: u64 = 256 * 1024;

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be opened or read.
    #[error("cannot read {}: check its name and permissions", path.display())]
    Read {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It is not a recording.
    #[error("{} is not a fleetsweep recording: use a file written with --record", .0.display())]
    NotARecording(PathBuf),
    /// It was written by a newer version.
    #[error("{} has format version {found}, but this fleetsweep only supports {FORMAT}: use a newer fleetsweep", path.display())]
    Newer {
        /// The file or socket.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It contains no frames.
    #[error("{} is empty: nothing was recorded", .0.display())]
    Empty(PathBuf),
    /// A line is damaged.
    #[error("{}:{line}: {problem}: remove that line, or play another copy", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error in it.
        problem: String,
    },
}

/// A recording with an index of its frames. The frames themselves stay in the file.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
    /// The entries at which a sweep starts.
    sweeps: Vec<usize>,
    /// The offset of the end of the last entry.
    end: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Never earlier than the time of the previous entry.
    at: Timestamp,
    offset: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    About,
    Fleet,
    SweepStarted,
    Other,
}

/// The part of a line that the index needs.
#[derive(Deserialize)]
struct Peek<'a> {
    at: Timestamp,
    #[serde(borrow)]
    frame: PeekFrame<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PeekFrame<'a> {
    About(IgnoredAny),
    Fleet(IgnoredAny),
    Remembered(IgnoredAny),
    #[serde(borrow)]
    Event(PeekEvent<'a>),
    Log(IgnoredAny),
}

#[derive(Deserialize)]
struct PeekEvent<'a> {
    #[serde(borrow)]
    kind: PeekKind<'a>,
}

#[derive(Deserialize)]
struct PeekKind<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
}

impl Peek<'_> {
    fn kind(&self) -> Kind {
        match &self.frame {
            PeekFrame::About(_) => Kind::About,
            PeekFrame::Fleet(_) => Kind::Fleet,
            PeekFrame::Event(event) if event.kind.name == "sweep_started" => Kind::SweepStarted,
            PeekFrame::Event(_) | PeekFrame::Remembered(_) | PeekFrame::Log(_) => Kind::Other,
        }
    }
}

impl Recording {
    /// Indexes a recording in one pass, which takes about as long as copying the file. An incomplete last line is
    /// ignored.
    ///
    /// # Errors
    /// [`ReplayError`], with file and line if a line is damaged.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let broken = |source| ReplayError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(broken)?;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        let mut offset = next_line(&mut reader, &mut line).map_err(broken)?;
        let header: Header = serde_json::from_slice(&line).map_err(|_| ReplayError::NotARecording(path.to_owned()))?;
        if header.fleetsweep_recording > FORMAT {
            return Err(ReplayError::Newer { path: path.to_owned(), found: header.fleetsweep_recording });
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut sweeps = Vec::new();
        loop {
            let bytes = next_line(&mut reader, &mut line).map_err(broken)?;
            if bytes == 0 {
                break;
            }
            let peek: Peek<'_> = match serde_json::from_slice(&line) {
                Ok(peek) => peek,
                Err(_) if line.last() != Some(&b'\n') && line.len() <= LONGEST_FRAME => break,
                Err(error) => {
                    let problem = if line.len() > LONGEST_FRAME {
                        format!("longer than {LONGEST_FRAME} bytes")
                    } else {
                        error.to_string()
                    };
                    return Err(ReplayError::Line { path: path.to_owned(), line: entries.len() + 2, problem });
                }
            };
            let kind = peek.kind();
            // Publishers take the time before they wait for the bus, so times may go back a little.
            let at = entries.last().map_or(peek.at, |last| last.at.max(peek.at));
            if kind == Kind::SweepStarted {
                sweeps.push(entries.len());
            }
            entries.push(Entry { at, offset, kind });
            offset += bytes;
        }
        if entries.is_empty() {
            return Err(ReplayError::Empty(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), file, entries, sweeps, end: offset })
    }

    /// When it starts and ends.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let at = |entry: Option<&Entry>| entry.map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
        (at(self.entries.first()), at(self.entries.last()))
    }

    /// How many sweeps start in it.
    #[must_use]
    pub fn sweeps(&self) -> usize {
        self.sweeps.len()
    }

    fn at(&self, index: usize) -> Option<Timestamp> {
        self.entries.get(index).map(|entry| entry.at)
    }

    fn offset(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(self.end, |entry| entry.offset)
    }

    /// The first piece after which there is a fleet.
    fn beginning(&self) -> usize {
        self.entries.iter().position(|entry| entry.kind == Kind::Fleet).unwrap_or(0)
    }

    fn last_of(&self, kind: Kind, up_to: usize) -> Option<usize> {
        self.entries.iter().take(up_to.saturating_add(1)).rposition(|entry| entry.kind == kind)
    }

    /// Reads frames from `first` on and before `end`, as many as fit into one read.
    fn read(&self, first: usize, end: usize) -> Result<Vec<Frame>, ReplayError> {
        let start = self.offset(first);
        let mut after = first.saturating_add(1);
        while after < end && self.offset(after + 1).saturating_sub(start) <= CHUNK {
            after += 1;
        }
        let broken = |source| ReplayError::Read { path: self.path.clone(), source };
        let bytes = usize::try_from(self.offset(after).saturating_sub(start))
            .map_err(|error| broken(io::Error::other(error)))?;
        let mut chunk = vec![0; bytes];
        self.file.read_exact_at(&mut chunk, start).map_err(broken)?;
        let mut frames = Vec::with_capacity(after - first);
        for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let stamped: Stamped = serde_json::from_slice(line).map_err(|error| ReplayError::Line {
                path: self.path.clone(),
                line: first + frames.len() + 2,
                problem: error.to_string(),
            })?;
            frames.push(stamped.frame);
        }
        if frames.len() == after - first {
            Ok(frames)
        } else {
            Err(broken(io::Error::other("it was changed meanwhile")))
        }
    }

    /// The fleet just after a frame, computed from the last keyframe.
    fn fleet_after(&self, index: usize) -> Result<Fleet, ReplayError> {
        let mut fleet = Fleet::default();
        let mut next = self.last_of(Kind::Fleet, index).unwrap_or(0);
        while next <= index {
            let frames = self.read(next, index.saturating_add(1))?;
            next += frames.len();
            for frame in frames {
                match frame {
                    Frame::Fleet(whole) => fleet = Arc::unwrap_or_clone(whole),
                    other @ (Frame::About(_) | Frame::Remembered(_) | Frame::Event(_) | Frame::Log(_)) => {
                        fold(&mut fleet, &other);
                    }
                }
            }
        }
        Ok(fleet)
    }
}

/// Reads a line with its line end. Returns its length in bytes; 0 at the end of the file.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    let most = u64::try_from(LONGEST_FRAME).unwrap_or(u64::MAX).saturating_add(1);
    let bytes = reader.take(most).read_until(b'\n', line)?;
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

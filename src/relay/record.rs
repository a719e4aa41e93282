//! Records the stream to a file: a header, then one [`Stamped`] frame per line. [`super::replay`] plays it.
//!
//! The whole fleet is written before some sweeps as a keyframe, so that a player can seek quickly: at most every five
//! minutes, and only if at least as many bytes as the fleet itself have been written since the last one. This at most
//! doubles the size of a recording.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::line::{self, VERSION};
use crate::{
    bus::Subscriber,
    fleet::{
        EventKind,
        state::Fleet,
        stream::{Frame, Stamped},
    },
};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

/// The least time between two keyframes.
const KEYFRAME: SignedDuration = SignedDuration::from_mins(5);

/// How often written data is flushed to the operating system.
const FLUSH: Duration = Duration::from_secs(1);

/// How many frames may wait for the disk. When the channel is full, the recorder stops reading: its subscriber lags,
/// and the whole fleet is recorded in place of missed events. The bus never waits.
const WAITING: usize = 1024;

/// The first line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the format.
    pub fleetsweep_recording: u32,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
}

/// Why a recording cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file exists; a recording is never overwritten.
    #[error("{} is there already: name a file that is not, or remove it", .0.display())]
    Exists(PathBuf),
    /// The file cannot be created.
    #[error("{} cannot be recorded to: check that its directory is there and can be written", path.display())]
    Create {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Writes a stream to a file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    recording: RecordingFile<BufWriter<File>>,
}

/// The source of the frames.
#[derive(Debug)]
enum Source {
    Subscriber(Subscriber),
    Frames(mpsc::Receiver<Frame>),
}

impl Source {
    /// The next frame. Cancel-safe.
    async fn next(&mut self) -> Option<Frame> {
        match self {
            Self::Subscriber(subscriber) => subscriber.next().await,
            Self::Frames(frames) => frames.recv().await,
        }
    }
}

/// A job for the writing thread.
#[derive(Debug)]
enum Job {
    Write(Timestamp, Frame),
    Flush,
}

impl Recorder {
    /// Creates the file, readable only by its owner, and writes the header.
    ///
    /// # Errors
    /// [`RecordError`] if the file exists or cannot be created.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                RecordError::Exists(path.to_owned())
            } else {
                RecordError::Create { path: path.to_owned(), source }
            }
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut recording = RecordingFile::new(BufWriter::new(file));
        recording.begin().and_then(|()| recording.flush()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), recording })
    }

    /// Starts a recording over that this program started before.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn anew(path: &Path) -> Result<Self, RecordError> {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RecordError::Create { path: path.to_owned(), source })
            }
            Ok(()) | Err(_) => Self::create(path),
        }
    }

    /// Records until the bus ends or writing fails, which is logged once.
    pub async fn run(self, subscriber: Subscriber) {
        self.record(Source::Subscriber(subscriber)).await;
    }

    /// Records received frames until the sender is dropped or writing fails, which is logged once. The sender then
    /// finds the channel closed.
    pub async fn run_frames(self, frames: mpsc::Receiver<Frame>) {
        self.record(Source::Frames(frames)).await;
    }

    async fn record(self, mut source: Source) {
        let Self { path, mut recording } = self;
        let (jobs, mut waiting) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            while let Some(job) = waiting.blocking_recv() {
                match job {
                    Job::Write(at, frame) => recording.write(at, &frame)?,
                    Job::Flush => recording.flush()?,
                }
            }
            recording.flush()
        });
        let mut flush = interval_at(Instant::now() + FLUSH, FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_dirty = false;
        loop {
            let job = tokio::select! {
                biased;
                _ = flush.tick(), if is_dirty => Job::Flush,
                frame = source.next() => match frame {
                    Some(frame) => Job::Write(stamp(&frame), frame),
                    None => break,
                },
                // The thread has ended; the reason is logged below.
                () = jobs.closed() => break,
            };
            if !is_dirty {
                flush.reset();
            }
            is_dirty = matches!(job, Job::Write(..));
            if jobs.send(job).await.is_err() {
                break;
            }
        }
        drop(jobs);
        let told = match writing.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!("{} takes no more, the recording ends here: {told}", path.display());
    }
}

/// The time of a frame.
fn stamp(frame: &Frame) -> Timestamp {
    match frame {
        Frame::Event(event) => event.at,
        Frame::Log(line) => line.at,
        Frame::About(_) | Frame::Fleet(_) | Frame::Remembered(_) => Timestamp::now(),
    }
}

/// A recording that is being written, with the fleet for its keyframes.
#[derive(Debug)]
pub(super) struct RecordingFile<W> {
    out: W,
    line: Vec<u8>,
    fleet: Fleet,
    /// When the last keyframe was written, and how many bytes it took.
    keyframe: Option<(Timestamp, usize)>,
    /// How many bytes were written since.
    since: usize,
}

impl<W: Write> RecordingFile<W> {
    /// A recording without lines.
    pub(super) fn new(out: W) -> Self {
        Self { out, line: Vec::new(), fleet: Fleet::default(), keyframe: None, since: 0 }
    }

    /// Writes the header.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let header = Header { fleetsweep_recording: FORMAT, version: VERSION.to_owned() };
        line::append(&mut self.line, &header)?;
        self.put().map(drop)
    }

    /// Writes a frame, and a keyframe before it if one is due.
    pub(super) fn write(&mut self, at: Timestamp, frame: &Frame) -> io::Result<()> {
        if self.is_time_for_a_keyframe(at, frame) {
            let whole = Frame::Fleet(Arc::new(std::mem::take(&mut self.fleet)));
            let written = self.put_frame(at, &whole);
            if let Frame::Fleet(fleet) = whole {
                self.fleet = Arc::unwrap_or_clone(fleet);
            }
            written?;
        }
        fold(&mut self.fleet, frame);
        self.put_frame(at, frame)
    }

    /// Flushes written data to the operating system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn is_time_for_a_keyframe(&self, at: Timestamp, frame: &Frame) -> bool {
        let Frame::Event(event) = frame else { return false };
        matches!(event.kind, EventKind::SweepStarted { .. })
            && self.keyframe.is_none_or(|(last, bytes)| at.duration_since(last) >= KEYFRAME && self.since >= bytes)
    }

    fn put_frame(&mut self, at: Timestamp, frame: &Frame) -> io::Result<()> {
        line::append(&mut self.line, &Stamped { at, frame: frame.clone() })?;
        let bytes = self.put()?;
        if matches!(frame, Frame::Fleet(_)) {
            (self.keyframe, self.since) = (Some((at, bytes)), 0);
        } else {
            self.since = self.since.saturating_add(bytes);
        }
        Ok(())
    }

    fn put(&mut self) -> io::Result<usize> {
        self.out.write_all(&self.line)?;
        let bytes = self.line.len();
        self.line.clear();
        // A whole fleet is large and rare.
        self.line.shrink_to(64 * 1024);
        Ok(bytes)
    }
}

/// Applies a frame to the fleet.
pub(super) fn fold(fleet: &mut Fleet, frame: &Frame) {
    match frame {
        Frame::Fleet(whole) => *fleet = Fleet::clone(whole),
        Frame::Remembered(memory) => fleet.remember(memory.as_ref().clone()),
        Frame::Event(event) => fleet.apply(event),
        Frame::About(_) | Frame::Log(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use tokio::time::timeout;

    use super::*;
    use crate::{
        bus::{EventBus, Publisher},
        relay::{
            replay::{self, Played, Recording},
            script,
        },
    };

    const SOON: Duration = Duration::from_secs(20);

    /// The fleet at the end of a recording.
    async fn fleet_at_the_end(path: &Path) -> Fleet {
        let (commands, orders) = mpsc::channel(1);
        let (sender, mut out) = mpsc::channel(8);
        let playing = tokio::spawn(replay::play(Recording::open(path).unwrap(), orders, sender));
        commands.send(crate::fleet::stream::Play::End).await.unwrap();
        let mut fleet = Fleet::default();
        loop {
            match timeout(SOON, out.recv()).await.unwrap().unwrap() {
                Played::Frame(frame) => fold(&mut fleet, &frame),
                Played::At(replay) if replay.percent >= 100.0 => break,
                Played::At(_) => {}
            }
        }
        drop(commands);
        timeout(SOON, playing).await.unwrap().unwrap().unwrap();
        fleet
    }

    #[tokio::test]
    async fn what_a_listener_hears_is_recorded_to_a_file_of_ones_own_and_played_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        let (publisher, told) = Publisher::new();
        let bus = EventBus::start(told);
        let recorder = Recorder::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let recording = tokio::spawn(recorder.run(bus.subscribe()));
        publisher.publish(None, None, script::configured(3)).await;
        for n in 0..50 {
            publisher
                .publish(Some(crate::fleet::SweepId(uuid::Uuid::nil())), Some(&script::id(n % 3)), script::collected(n))
                .await;
        }
        // The data is in the file within about a second, before the recording ends.
        let written = async {
            while fs::read_to_string(&path).unwrap().lines().count() < 54 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, written).await.unwrap();
        let fleet = bus.finish().await;
        timeout(SOON, recording).await.unwrap().unwrap();
        assert_eq!(fleet_at_the_end(&path).await, fleet);
        assert_eq!(fleet.client(&script::id(0)).unwrap().recent.len(), 17);
    }

    #[tokio::test]
    async fn what_an_attached_dashboard_gets_is_recorded_likewise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        let (sender, frames) = mpsc::channel(4);
        let recording = tokio::spawn(Recorder::create(&path).unwrap().run_frames(frames));
        let mut fleet = Fleet::default();
        for (_, frame) in script::stream(&[(5, 0), (7, 3), (9, 4)]) {
            fold(&mut fleet, &frame);
            timeout(SOON, sender.send(frame)).await.unwrap().unwrap();
        }
        drop(sender);
        timeout(SOON, recording).await.unwrap().unwrap();
        assert_eq!(fleet_at_the_end(&path).await, fleet);
    }

    #[test]
    fn no_file_is_overwritten_and_what_cannot_be_made_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        fs::write(&path, "mine").unwrap();
        let error = Recorder::create(&path).unwrap_err().to_string();
        assert!(error.ends_with("x.jsonl is there already: name a file that is not, or remove it"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let error = Recorder::create(&directory.path().join("absent/x")).unwrap_err();
        assert!(error.to_string().contains("absent/x cannot be recorded to"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[tokio::test]
    async fn a_full_disk_ends_the_recording_and_nothing_else() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let recorder =
            Recorder { path: PathBuf::from("/dev/full"), recording: RecordingFile::new(BufWriter::new(full)) };
        let (publisher, told) = Publisher::new();
        let bus = EventBus::start(told);
        let recording = tokio::spawn(recorder.run(bus.subscribe()));
        for n in 0..2000 {
            publisher.publish(None, None, script::configured(n % 7)).await;
        }
        // The recording ends by itself while the bus continues.
        timeout(SOON, recording).await.unwrap().unwrap();
        assert_eq!(bus.finish().await.clients().count(), 1999 % 7);
    }
}

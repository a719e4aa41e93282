//! Plays a recording at its original speed, faster or slower, and seeks in it.
//!
//! If more than ten seconds pass without a frame, time runs ten times as fast.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Kind, Recording, ReplayError};
use crate::fleet::stream::{Frame, Play, Replay};

/// A longer time without a frame is an idle gap.
const GAP: SignedDuration = SignedDuration::from_secs(10);

/// How many times as fast an idle gap passes.
const GAP_RATE: f64 = 10.0;

/// How often the position is reported while it changes.
const TELL: Duration = Duration::from_millis(250);

/// The longest delay that is caught up after the receiver did not read frames.
const MOST_AT_ONCE: Duration = Duration::from_secs(1);

/// How soon after the start of a sweep `Earlier` goes to the previous one.
const JUST_BEGUN: SignedDuration = SignedDuration::from_secs(1);

/// The speed is a power of two: from 1/8 to 64.
const SLOWEST: i32 = -3;
const FASTEST: i32 = 6;

/// The output of a player.
#[derive(Debug, Clone, PartialEq)]
pub enum Played {
    /// A frame of the stream.
    Frame(Frame),
    /// The position: after every command, at least once a second while it plays, and at the end.
    At(Replay),
}

/// Plays until `commands` or `out` is closed. At its end a recording is paused at 100 %.
///
/// `Earlier` goes to the start of the current sweep; within a second after that (of recorded time, or of real time if
/// it plays faster), to the start of the previous one. If there is none, it goes to the beginning. `Later` goes to the
/// end if no sweep follows.
///
/// # Errors
/// [`ReplayError`] if the file can no longer be read, or a line is invalid.
pub async fn play(
    recording: Recording,
    mut commands: mpsc::Receiver<Play>,
    out: mpsc::Sender<Played>,
) -> Result<(), ReplayError> {
    let mut player = Player::new(recording, out);
    let played = async {
        player.step().await?;
        if !player.paused {
            player.tell().await?;
        }
        loop {
            let wake = player.wake();
            let command = tokio::select! {
                biased;
                command = commands.recv() => Some(command.ok_or(End::Unwatched)?),
                () = player.out.closed() => return Err(End::Unwatched),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => None,
            };
            player.step().await?;
            match command {
                Some(command) => {
                    player.heed(command).await?;
                    player.tell().await?;
                }
                None if player.is_to_tell() => player.tell().await?,
                None => {}
            }
        }
    };
    match played.await {
        Ok(()) | Err(End::Unwatched) => Ok(()),
        Err(End::Broken(error)) => Err(error),
    }
}

/// Why the player ends.
#[derive(Debug)]
enum End {
    /// The receiver is gone.
    Unwatched,
    /// The recording cannot be read.
    Broken(ReplayError),
}

impl From<ReplayError> for End {
    fn from(error: ReplayError) -> Self {
        Self::Broken(error)
    }
}

#[derive(Debug)]
struct Player {
    recording: Arc<Recording>,
    /// When the channel is full, the player and its clock wait.
    out: mpsc::Sender<Played>,
    /// The first frame that has not been played.
    next: usize,
    /// The recording's time at `anchor`.
    clock: Timestamp,
    anchor: Instant,
    /// The exponent of the speed, a power of two.
    power: i32,
    paused: bool,
    /// When the position was last reported.
    told: Instant,
    /// The index of the last frame that described what is swept.
    about: Option<usize>,
}

impl Player {
    fn new(recording: Recording, out: mpsc::Sender<Played>) -> Self {
        let now = Instant::now();
        let (clock, _) = recording.span();
        let recording = Arc::new(recording);
        Self { recording, out, next: 0, clock, anchor: now, power: 0, paused: false, told: now, about: None }
    }

    fn speed(&self) -> f64 {
        2.0_f64.powi(self.power)
    }

    /// The speed between the frame before `index` and that frame, in recorded seconds per second.
    fn rate(&self, index: usize) -> f64 {
        let before = index.checked_sub(1).and_then(|before| self.recording.at(before));
        let gap = match (before, self.recording.at(index)) {
            (Some(before), Some(at)) => at.duration_since(before),
            (None, _) | (_, None) => SignedDuration::ZERO,
        };
        if gap > GAP { self.speed() * GAP_RATE } else { self.speed() }
    }

    /// When there is something to do next; `None` while it is paused.
    fn wake(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let tell = self.told + TELL;
        let Some(at) = self.recording.at(self.next) else { return Some(tell) };
        let wait = at.duration_since(self.clock).as_secs_f64().max(0.0) / self.rate(self.next);
        Some(Duration::try_from_secs_f64(wait).map_or(tell, |wait| tell.min(self.anchor + wait)))
    }

    /// Advances the clock and plays the due frames.
    async fn step(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let mut left = now.duration_since(self.anchor).min(MOST_AT_ONCE).as_secs_f64();
        self.anchor = now;
        if self.paused {
            return Ok(());
        }
        let mut due = self.next;
        while let Some(at) = self.recording.at(due) {
            let rate = self.rate(due);
            let needed = at.duration_since(self.clock).as_secs_f64().max(0.0) / rate;
            // Timers have a resolution of a millisecond, so a nanosecond that is lost by rounding would cost another
            // timer.
            if needed > left + 1e-9 {
                let passed = SignedDuration::try_from_secs_f64(left * rate).unwrap_or_default();
                self.clock = self.clock.checked_add(passed).unwrap_or(at).min(at);
                break;
            }
            left = (left - needed).max(0.0);
            self.clock = self.clock.max(at);
            due += 1;
        }
        while self.next < due {
            let first = self.next;
            let frames = self.beside(move |recording| recording.read(first, due)).await?;
            for frame in frames {
                if matches!(frame, Frame::About(_)) {
                    self.about = Some(self.next);
                }
                self.send(Played::Frame(frame)).await?;
                self.next += 1;
            }
        }
        if self.recording.at(self.next).is_none() {
            self.paused = true;
            self.tell().await?;
        }
        Ok(())
    }

    async fn heed(&mut self, command: Play) -> Result<(), End> {
        let sweeps = &self.recording.sweeps;
        let begun = sweeps.partition_point(|start| *start < self.next);
        match command {
            // At the end there is nothing more to play.
            Play::PauseOrGo => self.paused = !self.paused || self.recording.at(self.next).is_none(),
            Play::Faster => self.power = (self.power + 1).min(FASTEST),
            Play::Slower => self.power = (self.power - 1).max(SLOWEST),
            Play::Earlier => {
                let this = begun.checked_sub(1);
                let has_just_begun = this
                    .and_then(|this| self.recording.at(*sweeps.get(this)?))
                    .is_some_and(|start| self.clock.duration_since(start) < self.just_begun());
                let wanted = if has_just_begun { begun.checked_sub(2) } else { this };
                let start = wanted.and_then(|wanted| sweeps.get(wanted).copied());
                let target = start.unwrap_or_else(|| self.recording.beginning());
                self.seek(target).await?;
            }
            Play::Later => {
                let target = sweeps.get(begun).copied();
                self.seek(target.unwrap_or(usize::MAX)).await?;
            }
            Play::End => self.seek(usize::MAX).await?,
            Play::To(at) => {
                let after = self.recording.entries.partition_point(|entry| entry.at <= at);
                self.seek(after.saturating_sub(1).max(self.recording.beginning())).await?;
            }
        }
        Ok(())
    }

    /// Pressing twice within a second goes to the previous sweep, at every speed.
    fn just_begun(&self) -> SignedDuration {
        let factor = if self.paused { 1.0 } else { self.speed().max(1.0) };
        SignedDuration::try_from_secs_f64(JUST_BEGUN.as_secs_f64() * factor).unwrap_or(JUST_BEGUN)
    }

    /// Seeks to just after a frame, at most to the last one.
    async fn seek(&mut self, target: usize) -> Result<(), End> {
        let target = target.min(self.recording.entries.len().saturating_sub(1));
        let about = self.recording.last_of(Kind::About, target).filter(|about| self.about != Some(*about));
        let (about_frames, fleet) = self
            .beside(move |recording| {
                let about = about.map_or_else(|| Ok(Vec::new()), |about| recording.read(about, about + 1))?;
                Ok((about, recording.fleet_after(target)?))
            })
            .await?;
        for frame in about_frames {
            self.about = about;
            self.send(Played::Frame(frame)).await?;
        }
        self.send(Played::Frame(Frame::Fleet(Arc::new(fleet)))).await?;
        self.next = target + 1;
        self.clock = self.recording.at(target).unwrap_or(self.clock);
        self.paused |= self.recording.at(self.next).is_none();
        // Seeking takes no recorded time.
        self.anchor = Instant::now();
        Ok(())
    }

    fn is_to_tell(&self) -> bool {
        !self.paused && self.told.elapsed() >= TELL
    }

    async fn tell(&mut self) -> Result<(), End> {
        let (first, last) = self.recording.span();
        let whole = last.duration_since(first).as_secs_f64();
        let is_over = self.recording.at(self.next).is_none();
        let percent = if is_over || whole <= 0.0 {
            100.0
        } else {
            (100.0 * self.clock.duration_since(first).as_secs_f64() / whole).clamp(0.0, 100.0)
        };
        self.told = Instant::now();
        self.send(Played::At(Replay { at: self.clock, percent, speed: self.speed(), paused: self.paused })).await
    }

    async fn send(&self, played: Played) -> Result<(), End> {
        self.out.send(played).await.map_err(|_| End::Unwatched)
    }

    /// Reads the file on a thread for blocking work.
    async fn beside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Recording) -> Result<T, ReplayError> + Send + 'static,
    ) -> Result<T, ReplayError> {
        let recording = self.recording.clone();
        tokio::task::spawn_blocking(move || read(&recording)).await.unwrap_or_else(|error| {
            Err(ReplayError::Read { path: self.recording.path.clone(), source: std::io::Error::other(error) })
        })
    }
}

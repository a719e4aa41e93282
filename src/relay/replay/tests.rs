//! Recordings, written and played.

use std::{fs, time::Duration};

use proptest::prelude::*;
use tokio::{sync::mpsc, time::Instant};

use super::*;
use crate::{
    fleet::{
        EventKind,
        stream::{About, Play, Replay},
    },
    relay::{record::RecordingFile, script},
};

fn write(frames: &[(Timestamp, Frame)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut recording = RecordingFile::new(&mut bytes);
    recording.begin().unwrap();
    for (at, frame) in frames {
        recording.write(*at, frame).unwrap();
    }
    bytes
}

fn opened(bytes: &[u8]) -> Result<Recording, ReplayError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    // The file is held open, its name may go.
    Recording::open(file.path())
}

fn starts_a_sweep(frame: &Frame) -> bool {
    matches!(frame, Frame::Event(event) if matches!(event.kind, EventKind::SweepStarted { .. }))
}

/// The state of a dashboard.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    fleet: Fleet,
    about: About,
}

impl Seen {
    fn take(&mut self, frame: &Frame) {
        fold(&mut self.fleet, frame);
        if let Frame::About(about) = frame {
            self.about = about.clone();
        }
    }
}

/// A running player and what was received from it.
struct Watched {
    commands: mpsc::Sender<Play>,
    out: mpsc::Receiver<Played>,
    seen: Seen,
    frames: usize,
    started: Instant,
}

impl Watched {
    fn start(recording: Recording) -> Self {
        let (commands, orders) = mpsc::channel(8);
        let (sender, out) = mpsc::channel(64);
        tokio::spawn(async move { play(recording, orders, sender).await.unwrap() });
        Self { commands, out, seen: Seen::default(), frames: 0, started: Instant::now() }
    }

    async fn next(&mut self) -> Played {
        let played = tokio::time::timeout(Duration::from_secs(1000), self.out.recv()).await.unwrap().unwrap();
        if let Played::Frame(frame) = &played {
            self.seen.take(frame);
            self.frames += 1;
        }
        played
    }

    /// Up to the next time that fulfils `is_it`.
    async fn until(&mut self, is_it: impl Fn(&Replay) -> bool) -> Replay {
        loop {
            if let Played::At(replay) = self.next().await
                && is_it(&replay)
            {
                return replay;
            }
        }
    }

    /// Sends a command to a player that stands still.
    async fn press(&mut self, command: Play) -> Replay {
        self.commands.send(command).await.unwrap();
        self.until(|_| true).await
    }

    fn elapsed(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.02
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn played_or_sought_the_fleet_is_the_recorded_one(
        steps in proptest::collection::vec((0_u32..200_000, any::<u8>()), 0..40),
    ) {
        let frames = script::stream(&steps);
        let mut seen = Seen::default();
        let mut at_sweeps = Vec::new();
        for (at, frame) in &frames {
            seen.take(frame);
            if starts_a_sweep(frame) {
                at_sweeps.push((*at, seen.clone()));
            }
        }
        let recording = opened(&write(&frames)).unwrap();
        let whole = frames.last().unwrap().0;
        prop_assert_eq!(recording.sweeps(), at_sweeps.len());
        prop_assert_eq!(recording.span(), (script::start(), whole));
        let pieces = recording.entries.len();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut watched = Watched::start(recording);
            let end = watched.until(|replay| replay.paused).await;
            assert_eq!((end.percent, end.at), (100.0, whole));
            assert_eq!(watched.frames, pieces);
            assert_eq!(watched.seen, seen);
            // Backwards over every sweep, then forwards, then to the end.
            for (position, (at, expected)) in at_sweeps.iter().enumerate().rev() {
                let is_last = position + 1 == at_sweeps.len();
                if is_last && whole.duration_since(*at).as_secs_f64() < 1.0 {
                    continue;
                }
                let there = watched.press(Play::Earlier).await;
                assert_eq!((&watched.seen, there.at, there.paused), (expected, *at, true));
            }
            let first = watched.press(Play::Earlier).await;
            assert_eq!((first.at, first.percent), (script::start(), if pieces == 2 { 100.0 } else { first.percent }));
            for (at, expected) in &at_sweeps {
                let there = watched.press(Play::Later).await;
                assert_eq!((&watched.seen, there.at), (expected, *at));
            }
            for command in [Play::Later, Play::End, Play::PauseOrGo] {
                let end = watched.press(command).await;
                assert_eq!((&watched.seen, end.percent, end.paused), (&seen, 100.0, true));
            }
        });
    }

    #[test]
    fn a_file_of_anything_is_an_error_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0_usize..3000,
        flip in 0_usize..3000,
    ) {
        let _ = opened(&bytes);
        let mut damaged = write(&script::stream(&[(5, 0), (7, 3), (9, 4)]));
        damaged.truncate(cut);
        if let Some(byte) = damaged.get_mut(flip) {
            *byte ^= 0x15;
        }
        if let Ok(recording) = opened(&damaged) {
            let _ = recording.fleet_after(recording.entries.len() - 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn time_runs_as_recorded_and_idle_gaps_ten_times_as_fast() {
    // 8 s, then 100 s of nothing, then 9 s.
    let recording = opened(&write(&script::stream(&[(8_000, 0), (100_000, 4), (9_000, 4)]))).unwrap();
    let mut watched = Watched::start(recording);
    let arrived = async |watched: &mut Watched, frames: usize| {
        while watched.frames < frames {
            watched.next().await;
        }
        watched.elapsed()
    };
    let begun = arrived(&mut watched, 3).await;
    assert!(close(begun, 0.0), "{begun}");
    // The clock moves on between the pieces.
    let on_the_way = watched.until(|replay| replay.percent > 3.0).await;
    let passed = on_the_way.at.duration_since(script::start()).as_secs_f64();
    assert!(close(passed, watched.elapsed()), "{passed}");
    // The first sweep start brings no further keyframe: one has just been written.
    let times = [arrived(&mut watched, 4).await, arrived(&mut watched, 5).await, arrived(&mut watched, 6).await];
    for (time, expected) in times.into_iter().zip([8.0, 18.0, 27.0]) {
        assert!(close(time, expected), "{times:?}");
    }
    assert!(watched.until(|replay| replay.paused).await.percent >= 100.0);
    assert!(close(watched.elapsed(), 27.0));
}

#[tokio::test(start_paused = true)]
async fn it_plays_faster_and_slower_and_stands_still() {
    let steps: Vec<_> = std::iter::once((0, 0)).chain((0..100).map(|_| (5_000, 2))).collect();
    let recording = opened(&write(&script::stream(&steps))).unwrap();
    let mut watched = Watched::start(recording);
    watched.until(|_| true).await;
    for _ in 0..2 {
        watched.commands.send(Play::Faster).await.unwrap();
    }
    let quick = watched.until(|replay| replay.speed >= 4.0).await;
    assert!(close(quick.speed, 4.0) && !quick.paused);
    let later = watched.until(|replay| replay.percent >= 50.0).await;
    let passed = later.at.duration_since(script::start()).as_secs_f64();
    assert!(close(passed / 4.0, watched.elapsed()), "{passed} {}", watched.elapsed());
    watched.commands.send(Play::PauseOrGo).await.unwrap();
    let stopped = watched.until(|replay| replay.paused).await;
    // Nothing comes while it stands still.
    tokio::time::timeout(Duration::from_secs(60), watched.next()).await.unwrap_err();
    for _ in 0..9 {
        watched.press(Play::Slower).await;
    }
    let slow = watched.press(Play::PauseOrGo).await;
    assert_eq!((slow.at, slow.speed, slow.paused), (stopped.at, 0.125, false));
    for _ in 0..12 {
        watched.commands.send(Play::Faster).await.unwrap();
    }
    assert!(close(watched.until(|replay| replay.speed > 40.0).await.speed, 64.0));
    assert_eq!(watched.until(|replay| replay.paused).await.at, script::start() + jiff::SignedDuration::from_secs(500));
}

#[tokio::test(start_paused = true)]
async fn earlier_means_this_sweep_and_pressed_again_the_one_before() {
    let steps = [(1_000, 0), (5_000, 2), (5_000, 0), (5_000, 2), (5_000, 2)];
    let recording = opened(&write(&script::stream(&steps))).unwrap();
    let mut watched = Watched::start(recording);
    let second = |second: i64| script::start() + jiff::SignedDuration::from_secs(second);
    watched.until(|replay| replay.at >= second(13)).await;
    watched.commands.send(Play::Earlier).await.unwrap();
    let back = watched.until(|replay| replay.at < second(12)).await;
    assert_eq!((back.at, back.paused), (second(11), false));
    watched.until(|replay| replay.at > second(11)).await;
    watched.commands.send(Play::Earlier).await.unwrap();
    assert_eq!(watched.until(|replay| replay.at < second(5)).await.at, second(1));
    assert_eq!(watched.seen.fleet.newest_sweep().unwrap().number, 1);
}

#[test]
fn a_recording_cut_off_anywhere_is_played_up_to_there() {
    let frames = script::stream(&[(5, 0), (7, 3), (9, 4)]);
    let bytes = write(&frames);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() - 1;
    let cut = opened(&bytes[..bytes.len() - 30]).unwrap();
    assert_eq!(cut.entries.len(), lines - 1);
    cut.fleet_after(lines - 2).unwrap();
    // Only the end of the line is missing.
    assert_eq!(opened(&bytes[..bytes.len() - 1]).unwrap().entries.len(), lines);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let message = |bytes: &[u8]| opened(bytes).unwrap_err().to_string();
    assert!(message(b"").contains("is not a fleetsweep recording"));
    assert!(message(b"{\"fleet\":1}\n{}\n").contains("is not a fleetsweep recording"));
    assert!(message(b"{\"fleetsweep_recording\":1}\n").contains("is empty"));
    let newer = message(b"{\"fleetsweep_recording\":7,\"version\":\"9.1.0\"}\n");
    assert!(newer.contains("has format version 7, but this fleetsweep only supports 1"), "{newer}");
    let mut bytes = write(&script::stream(&[(5, 0)]));
    bytes.extend_from_slice(b"garbage\n");
    let damaged = message(&bytes);
    assert!(damaged.contains(":6: expected value at line 1 column 1: remove that line"), "{damaged}");
    let absent = Recording::open(Path::new("/nonexistent/x.jsonl")).unwrap_err();
    assert!(absent.to_string().contains("cannot read /nonexistent/x.jsonl"));
}

#[test]
fn the_whole_fleet_is_written_every_five_minutes_before_a_sweep_and_doubles_nothing() {
    // A sweep every minute, each with 20 collections.
    let sweep = || std::iter::once((60_000, 0)).chain((0..20).map(|_| (1, 3)));
    let steps: Vec<_> = (0..21).flat_map(|_| sweep()).collect();
    let bytes = write(&script::stream(&steps));
    let recording = opened(&bytes).unwrap();
    let whole: Vec<_> = (0..recording.entries.len()).filter(|i| recording.entries[*i].kind == Kind::Fleet).collect();
    let minutes: Vec<_> =
        whole.iter().map(|i| (recording.entries[*i].at.duration_since(script::start())).as_mins()).collect();
    assert_eq!(minutes, [0, 5, 10, 15, 20]);
    for index in &whole[1..] {
        assert_eq!(recording.entries[index + 1].kind, Kind::SweepStarted);
    }
    let size = |index: usize| recording.offset(index + 1) - recording.offset(index);
    let spent: u64 = whole.iter().map(|index| size(*index)).sum();
    assert!(spent * 2 <= bytes.len() as u64 + size(whole[1]));
}

//! The subscribers besides dashboard and result: the log and the recording.

use tokio::{sync::mpsc, task::JoinSet};

use crate::{bus::EventBus, fleet::stream::Frame, headless::log, relay::record::Recorder};

/// How many frames of another process may wait to be recorded. When the channel is full, the stream is not read, and
/// its collector then sends the whole fleet in place of missed events.
const WAITING: usize = 1024;

/// Running readers. They end with their streams.
#[derive(Debug, Default)]
pub struct Readers(JoinSet<()>);

impl Readers {
    /// Logs every event.
    pub fn log(&mut self, bus: &EventBus) {
        self.0.spawn(bus.subscribe().each(log::log));
    }

    /// Records everything, if `--record` is given.
    pub fn record(&mut self, bus: &EventBus, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            self.0.spawn(recorder.run(bus.subscribe()));
        }
    }

    /// The same for frames from another process. Returns the channel to send them to.
    pub fn record_frames(&mut self, recorder: Option<Recorder>) -> Option<mpsc::Sender<Frame>> {
        recorder.map(|recorder| {
            let (frames, waiting) = mpsc::channel(WAITING);
            self.0.spawn(recorder.run_frames(waiting));
            frames
        })
    }

    /// Waits until each reader has finished. Must be called after their streams have ended.
    pub async fn ended(mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended {
                tracing::error!("a reader of events failed: {error}");
            }
        }
    }
}

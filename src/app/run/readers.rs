//! The readers of a stream beside the screen and the result: the log and the recording. Not what they do with it.

use tokio::{sync::mpsc, task::JoinSet};

use crate::{bus::EventBus, fleet::stream::Frame, headless::log, relay::record::Recorder};

/// How many pieces of another process's stream may wait to be recorded. When it is full that stream is not read; its
/// collector then gives the whole fleet in place of what was missed.
const WAITING: usize = 1024;

/// Readers under way; they end with their streams.
#[derive(Debug, Default)]
pub struct Readers(JoinSet<()>);

impl Readers {
    /// Logs every event.
    pub fn log(&mut self, bus: &EventBus) {
        self.0.spawn(bus.subscribe().each(log::log));
    }

    /// Records everything, where that is wanted.
    pub fn record(&mut self, bus: &EventBus, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            self.0.spawn(recorder.run(bus.subscribe()));
        }
    }

    /// The same for what comes from another process: it is to be sent there.
    pub fn record_frames(&mut self, recorder: Option<Recorder>) -> Option<mpsc::Sender<Frame>> {
        recorder.map(|recorder| {
            let (frames, waiting) = mpsc::channel(WAITING);
            self.0.spawn(recorder.run_frames(waiting));
            frames
        })
    }

    /// Waits until each has read to the end. To be called after their streams have ended.
    pub async fn ended(mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended {
                tracing::error!("a reader of events failed: {error}");
            }
        }
    }
}

//! The readers of this process's own stream beside the screen: the log, the recording, the progress. Not what they
//! do with it.

use tokio::task::JoinSet;

use crate::{headless::log, relay::record::Recorder, spine::Hub};

/// Readers under way; they end with the hub.
#[derive(Debug, Default)]
pub struct Readers(JoinSet<()>);

impl Readers {
    /// Has events logged.
    pub fn log(&mut self, hub: &Hub) {
        self.add(hub.listen().each(log::log));
    }

    /// Has everything recorded, where that is wanted.
    pub fn record(&mut self, hub: &Hub, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            self.add(recorder.run(hub.listen()));
        }
    }

    /// Adds a reader of another kind.
    pub fn add(&mut self, reader: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(reader);
    }

    /// Waits until each has read to the end. To be called after the hub has ended.
    pub async fn ended(mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended {
                tracing::error!("a reader of events broke: {error}");
            }
        }
    }
}

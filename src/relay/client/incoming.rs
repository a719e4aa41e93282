//! What the attach client receives.

use crate::fleet::stream::Frame;

/// An update from the attach client.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Connected; the stream starts.
    Connected {
        /// A description of the collector.
        to: String,
    },
    /// A frame of the stream.
    Frame(Frame),
    /// There is no connection, and connecting is retried. Sent once, and again if the reason changes.
    Missing {
        /// The reason, for the operator.
        why: String,
        /// Whether it is known that no collector is running.
        is_gone: bool,
    },
    /// This process is now the collector; its own stream starts.
    Succeeded,
}

//! What a connection to the collector brings. Not how.

use crate::fleet::stream::Frame;

/// What comes from the collector.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// There is a connection; the stream begins.
    Connected {
        /// To whom, in words.
        to: String,
    },
    /// A piece of the stream.
    Frame(Frame),
    /// There is none, or no longer, and it is tried again and again. Published once, and again where the reason
    /// is another.
    Gone {
        /// The reason, for the operator.
        why: String,
    },
    /// This process is the collector now; its own stream begins.
    Succeeded,
}

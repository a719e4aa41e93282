//! The fold of the event stream. Not the stream.

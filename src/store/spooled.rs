//! The content of a line of the spool: a change, and the transaction that may have stored it already.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{spool::progress::Origin, write::Write};

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Uuid>,
    write: &'a Write,
}

/// The content of a line when it is read.
#[derive(Deserialize)]
struct ReadLine {
    tried: Option<Uuid>,
    write: Write,
}

/// A change that waits in the spool.
pub(super) struct SpooledWrite {
    pub(super) write: Write,
    pub(super) origin: Origin,
    /// The content of the line.
    pub(super) content: String,
}

/// Why a line of the spool cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnreadableLine {
    #[error("its line in the spool is damaged")]
    Damaged,
    #[error("its line in the spool says nothing that this version knows")]
    Unknown(#[source] serde_json::Error),
}

/// The content of a line. `tried` is the transaction that failed to store the change, but may have been committed.
pub(super) fn content(write: &Write, tried: Option<Uuid>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Line { tried, write })
}

/// Reads the content of a line that ends at offset `end` of the spool. If this fails, returns the content with the
/// reason.
pub(super) fn read(
    content: Result<String, Vec<u8>>,
    spool: Uuid,
    end: u64,
) -> Result<SpooledWrite, (Vec<u8>, UnreadableLine)> {
    let content = content.map_err(|bytes| (bytes, UnreadableLine::Damaged))?;
    match serde_json::from_str::<ReadLine>(&content) {
        Ok(ReadLine { tried, write }) => Ok(SpooledWrite { write, origin: Origin { spool, end, tried }, content }),
        Err(error) => Err((content.into_bytes(), UnreadableLine::Unknown(error))),
    }
}

/// Whether the content of a line can be decoded.
#[cfg(any(test, fuzzing))]
pub(super) fn is_understood(content: &str) -> bool {
    serde_json::from_str::<ReadLine>(content).is_ok()
}

//! The fuzz targets of the socket protocol and of recordings; see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use std::{fmt::Debug, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::{Builder, Runtime};

pub use super::replay::fuzzing::recording;
use super::{
    line::{Hello, LineError, Lines, OrderLine, ServerLine, Welcome, append, parse},
    record::fold,
};
use crate::fleet::{state::Fleet, stream::Frame};

/// The longest line; a real one may be longer.
const LONGEST: usize = 2048;

/// Checks that every valid line survives writing and reading, and that its frames can be folded into a fleet that can
/// be serialized.
pub fn relay(data: &[u8]) {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(hear(data)));
}

async fn hear(data: &[u8]) {
    let mut fleet = Fleet::default();
    let mut lines = Lines::new(data, LONGEST);
    loop {
        let line = match lines.next().await {
            Ok(line) => line,
            Err(error @ LineError::Broken(_)) => unreachable!("{error}"),
            Err(LineError::Closed | LineError::TooLong(_) | LineError::NotUnderstood(_)) => break,
        };
        assert!(line.len() <= LONGEST);
        let _ = same::<Hello>(&line).await;
        let _ = same::<Welcome>(&line).await;
        let _ = same::<OrderLine>(&line).await;
        if let Some(frame) = same::<ServerLine>(&line).await.and_then(|told| told.frame) {
            fold(&mut fleet, &frame);
        }
    }
    let whole = ServerLine { frame: Some(Frame::Fleet(Arc::new(fleet))), ..ServerLine::default() };
    let mut bytes = Vec::new();
    append(&mut bytes, &whole).expect("a fleet is written");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    assert_eq!(parse::<ServerLine>(text).await.expect("a fleet that was written"), whole);
}

/// Parses a line and checks that it is the same after writing and parsing it again.
async fn same<T: DeserializeOwned + Serialize + PartialEq + Debug + Send + 'static>(line: &str) -> Option<T> {
    let said: T = parse(line.to_owned()).await.ok()?;
    let mut bytes = Vec::new();
    append(&mut bytes, &said).expect("what was read is written");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    assert_eq!(parse::<T>(text).await.expect("what was written"), said);
    Some(said)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpora_of_the_stream_are_replayed() {
        support::replay("relay", super::relay);
        support::replay("recording", super::recording);
    }
}

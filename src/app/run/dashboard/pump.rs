//! Passes the events of a source to the dashboard.

use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    app::source::{Stream, Update},
    fleet::stream::{Collector, StreamOrigin},
    tui::{Answer, Message, data::StatusMessage, screen::Feed},
};

/// The most frames in one message.
const BATCH: usize = 512;

/// Passes everything to the dashboard, with all waiting frames in one message. It waits for the dashboard. The event
/// bus does not wait for it, but sends the whole fleet in place of missed events.
pub fn pump(mut stream: Stream, feed: Feed) -> JoinHandle<()> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        while let Some(first) = runtime.block_on(stream.next()) {
            let mut pending = messages(first);
            for _ in 0..BATCH {
                let Some(more) = runtime.block_on(stream.next_now()) else { break };
                for message in messages(more) {
                    join(&mut pending, message);
                }
            }
            for message in pending {
                if feed.send_waiting(message).is_err() {
                    return;
                }
            }
        }
    })
}

fn messages(update: Update) -> Vec<Message> {
    let said = |is_error, text| Message::Answer(Answer::Status(StatusMessage { is_error, text }));
    match update {
        Update::Frame(frame) => vec![Message::Frames(vec![frame])],
        Update::State(source) => vec![Message::Origin(source)],
        Update::Missing { to, why, is_gone } => {
            let collector = if is_gone { Collector::Gone } else { Collector::Unreachable };
            vec![Message::Origin(StreamOrigin::Attached { to, collector }), said(true, why)]
        }
        Update::Succeeded => {
            let text = "this dashboard sweeps now: the collector it was attached to has ended".to_owned();
            vec![Message::Origin(StreamOrigin::Own), said(false, text)]
        }
    }
}

/// Appends a message and merges consecutive frames.
fn join(messages: &mut Vec<Message>, message: Message) {
    match (messages.last_mut(), message) {
        (Some(Message::Frames(before)), Message::Frames(more)) => before.extend(more),
        (_, message) => messages.push(message),
    }
}

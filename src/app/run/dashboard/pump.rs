//! Feeds a screen from the stream of a source. Not what the screen makes of it.

use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    app::source::{Stream, Update},
    fleet::stream::StreamOrigin,
    tui::{Answer, Message, data::StatusMessage, screen::Feed},
};

/// How many pieces of the stream go to the screen in one message.
const BATCH: usize = 512;

/// Passes everything on to the screen, as much as waits in one message. It waits for the screen; the stream does not
/// wait for it, but gives the whole fleet for what was missed.
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
        Update::Gone { to, why } => {
            vec![Message::Origin(StreamOrigin::Attached { to, connected: false }), said(true, why)]
        }
        Update::Succeeded => {
            let text = "this dashboard sweeps now: the collector it was attached to has ended".to_owned();
            vec![Message::Origin(StreamOrigin::Own), said(false, text)]
        }
    }
}

/// Appends a message; neighbouring pieces of the stream become one.
fn join(messages: &mut Vec<Message>, message: Message) {
    match (messages.last_mut(), message) {
        (Some(Message::Frames(before)), Message::Frames(more)) => before.extend(more),
        (_, message) => messages.push(message),
    }
}

//! The messages that come into the dashboard, and the commands and queries that go out of it. Nothing else crosses.

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::{data::Answer, query::Query, theme::Background};
use crate::fleet::{
    order::Order,
    stream::{Frame, Play, StreamOrigin},
};

/// What comes in.
#[derive(Debug, Clone)]
pub enum Message {
    /// Pieces of the stream, in their order.
    Frames(Vec<Frame>),
    /// Where they come from, or how far a recording is.
    Origin(StreamOrigin),
    /// An answer to a query or command.
    Answer(Answer),
    /// The time. Comes about once a second, and before anything else that was waiting.
    Tick(Timestamp),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has a new size, columns and rows.
    Resize(u16, u16),
    /// The terminal told its background.
    Background(Background),
    /// The process was continued after a stop: the terminal is taken again.
    Continued,
    /// The run ends: leave the terminal.
    Quit,
}

/// What the operator wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Something of the collector; answered with `Answer::Status`.
    Order(Order),
    /// Have this process sweep in place of a collector that has gone.
    TakeOver,
    /// Play the recording otherwise.
    Play(Play),
    /// Write what is shown to a file; answered with `Answer::Status`, which names it.
    Export {
        /// A file name without a directory.
        file_name: String,
        /// What is in it.
        text: String,
    },
    /// Put text into the operator's clipboard. Done by the screen itself.
    Copy(String),
    /// Have the terminal report the mouse, or leave it alone. Done by the screen itself.
    Mouse(bool),
    /// Draw everything anew. Done by the screen itself.
    Redraw,
    /// Stop the process until the shell continues it. Done by the screen itself.
    Suspend,
    /// End the run in an orderly way.
    Quit,
    /// Ask the database; answered with the `Answer` of the same name, or with `Answer::Failed`.
    Ask(Query),
}

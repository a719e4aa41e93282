//! The messages to the dashboard, and its commands and queries.

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::{data::Answer, query::Query, theme::Background};
use crate::fleet::{
    order::Order,
    stream::{Frame, Play, StreamOrigin},
};

/// A message to the dashboard.
#[derive(Debug, Clone)]
pub enum Message {
    /// Frames of the stream, in order.
    Frames(Vec<Frame>),
    /// The origin of the stream, or the position in a recording.
    Origin(StreamOrigin),
    /// The result of a query or command.
    Answer(Answer),
    /// The current time. Comes about once a second, before other waiting messages.
    Tick(Timestamp),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// A mouse event.
    Mouse(MouseEvent),
    /// The terminal has a new size, columns and rows.
    Resize(u16, u16),
    /// The terminal reported its background.
    Background(Background),
    /// The process was continued after a stop, so the terminal must be taken over again.
    Continued,
    /// The run ends: leave the terminal.
    Quit,
}

/// A command of the operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// An order to the collector. Answered with `Answer::Status`.
    Order(Order),
    /// Become the collector in place of one that has gone.
    TakeOver,
    /// Control the playback of a recording.
    Play(Play),
    /// Write a file. Answered with `Answer::Status`, which names it.
    Export {
        /// A file name without a directory.
        file_name: String,
        /// Its content.
        text: String,
    },
    /// Copy text to the operator's clipboard. Executed by the screen itself.
    Copy(String),
    /// Turn mouse reports on or off. Executed by the screen itself.
    Mouse(bool),
    /// Redraw everything. Executed by the screen itself.
    Redraw,
    /// Stop the process until the shell continues it. Executed by the screen itself.
    Suspend,
    /// End the run properly.
    Quit,
    /// Query the database. Answered with the `Answer` of the same name, or with `Answer::Failed`.
    Ask(Query),
}

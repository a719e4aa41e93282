//! What comes into the dashboard and what goes out of it. Nothing else crosses.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::{
    data::{About, Answer, LogLine, Span},
    theme::Background,
};
use crate::fleet::{
    ClientId, Event, Metric, SweepId,
    alerts::AlertView,
    state::{Fleet, Remembered},
};

/// What comes in.
#[derive(Debug, Clone)]
pub enum Message {
    /// Events, in their order.
    Events(Vec<Arc<Event>>),
    /// The folded fleet in place of events that were missed. The screen goes on from it.
    Fleet(Box<Fleet>),
    /// What the database remembers from before the stream began.
    Remembered {
        /// The clients.
        clients: Vec<Remembered>,
        /// The alerts, open and lately ended.
        alerts: Vec<AlertView>,
    },
    /// What the header says.
    About(About),
    /// Whether the schedule stands still.
    Paused(bool),
    /// Lines of the log, in their order.
    Log(Vec<LogLine>),
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
    /// Collect these clients now, in the same pipeline as ever.
    CollectNow(Vec<ClientId>),
    /// Collect every client whose last collection failed.
    CollectFailed,
    /// Collect all clients now.
    CollectAll,
    /// No sweep begins by itself until `Resume`.
    Pause,
    /// Sweeps begin by themselves again.
    Resume,
    /// Cancel a client's collection under way.
    Cancel(ClientId),
    /// No reminders about this alert until it ends. The stream answers with an alert event whose notice is
    /// `Hold(Acknowledged)`.
    Acknowledge {
        /// Whose.
        client: ClientId,
        /// What it is about.
        metric: Metric,
    },
    /// Write what is shown to a file; answered with `Answer::Said`, which names it.
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
    /// Ask the database; answered with the `Answer` of the same name.
    Ask(Query),
}

/// A question to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// CPU and memory of a client.
    History {
        /// Whose.
        client: ClientId,
        /// Over which span up to now.
        span: Span,
    },
    /// The newest security events of a client.
    SecurityEvents(ClientId),
    /// The alert history.
    AlertHistory,
    /// The outbox.
    Mails,
    /// The sweeps that can be travelled to.
    Sweeps,
    /// The fleet as it stood at the end of a sweep.
    Past(SweepId),
}

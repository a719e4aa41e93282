//! A mail that has been decided, as the outbox keeps it. Not its text's making, not its sending.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailKind {
    /// Some limit is exceeded; ends of other alerts of the same collection may stand in it too.
    Alert,
    /// One alert or several ended, and nothing else is to be told.
    Recovery,
    /// Security events of a collection.
    Events,
    /// `fleetsweep mail-test`.
    Test,
    /// A trouble of the collector itself. It goes past the outbox, so that no row of the database has this kind.
    Trouble,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Alert, Self::Recovery, Self::Events, Self::Test, Self::Trouble];

    /// Its word in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Recovery => "recovery",
            Self::Events => "events",
            Self::Test => "test",
            Self::Trouble => "trouble",
        }
    }
}

impl fmt::Display for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One mail to one recipient. Its id makes its Message-ID, the same at every try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Names it.
    pub id: Uuid,
    /// What it is for.
    pub kind: MailKind,
    /// The address it goes to; checked when the configuration was read.
    pub recipient: String,
    /// One line, cleaned.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// What is attached, in order; mostly nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The mails that it belongs under, oldest first; mostly one or none. Said in `References` and `In-Reply-To`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thread: Vec<Uuid>,
    /// The command that prints what is attached, for a server that does not take it; `None` where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_command: Option<String>,
    /// When it was decided.
    pub created_at: Timestamp,
}

/// A text file that goes with a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name, without a folder.
    pub file_name: String,
    /// Its content; shared, because every recipient gets the same.
    pub text: Arc<str>,
}

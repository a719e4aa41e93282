//! A mail as it is stored in the outbox. It is composed and sent elsewhere.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kind of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailKind {
    /// A limit is exceeded. It may also report the end of other alerts of the same collection.
    Alert,
    /// One or more alerts ended, and there is nothing else to report.
    Recovery,
    /// Security events of a collection.
    Events,
    /// `fleetsweep mail-test`.
    Test,
    /// A trouble of the collector itself. It is not stored in the outbox, so no row of the database has this kind.
    Trouble,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Alert, Self::Recovery, Self::Events, Self::Test, Self::Trouble];

    /// Its keyword in the database.
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

/// A mail to one recipient. The Message-ID is derived from its id and is the same in every attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: MailKind,
    /// The recipient's address, which was validated with the configuration.
    pub recipient: String,
    /// The subject: one line without control characters.
    pub subject: String,
    /// The body, plain text.
    pub body: String,
    /// The attachments in order; usually none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The earlier mails of its thread, oldest first; usually one or none. They are listed in `References` and
    /// `In-Reply-To`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thread: Vec<Uuid>,
    /// The command that prints the attached data, in case the server does not accept the attachment; `None` without
    /// attachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_command: Option<String>,
    /// When it was decided.
    pub created_at: Timestamp,
}

/// A text file attached to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its file name, without a directory. If it ends with [`COMPRESSED`], the text is compressed when the mail is encoded.
    pub file_name: String,
    /// Its content; shared, because every recipient gets the same.
    pub text: Arc<str>,
}

/// The ending of file names of compressed attachments.
pub const COMPRESSED: &str = ".gz";

impl Attachment {
    /// Whether it is compressed when the mail is encoded.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.file_name.ends_with(COMPRESSED)
    }

    /// The same text as a compressed attachment.
    #[must_use]
    pub fn compressed(&self) -> Self {
        let ending = if self.is_compressed() { "" } else { COMPRESSED };
        Self { file_name: format!("{}{ending}", self.file_name), text: Arc::clone(&self.text) }
    }
}

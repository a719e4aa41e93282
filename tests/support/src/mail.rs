//! A parsed mail.

use mail_parser::{MessageParser, MimeHeaders};

/// A parsed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address in `From`.
    pub from: String,
    /// The addresses in `To`.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// `Message-ID`, without brackets.
    pub message_id: String,
    /// The text of the body, decoded.
    pub text: String,
    /// The attached text files, name and content.
    pub attachments: Vec<(String, String)>,
    /// The mail as it was received.
    pub raw: String,
}

impl Mail {
    /// Parses a mail.
    ///
    /// # Panics
    /// If it is not a mail.
    pub fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw).into_owned();
        let message = MessageParser::default().parse(raw).unwrap_or_else(|| panic!("no mail:\n{text}"));
        let addresses = |list: Option<&mail_parser::Address<'_>>| -> Vec<String> {
            list.into_iter()
                .flat_map(mail_parser::Address::iter)
                .filter_map(|one| one.address().map(str::to_owned))
                .collect()
        };
        Self {
            from: addresses(message.from()).join(", "),
            to: addresses(message.to()),
            subject: message.subject().unwrap_or_default().to_owned(),
            message_id: message.message_id().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            attachments: message
                .attachments()
                .map(|part| {
                    let name = part.attachment_name().unwrap_or_default().to_owned();
                    (name, part.text_contents().unwrap_or_default().replace("\r\n", "\n"))
                })
                .collect(),
            raw: text,
        }
    }
}

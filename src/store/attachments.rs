//! The attachments of mails.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    convert::{from_count, to_count},
    pool::{Transaction, execute, fetch_all, fetch_of},
};
use crate::fleet::{Bytes, history::AttachmentRow, mail::Attachment};

/// The most bytes of attachments that are loaded together. A larger one is loaded alone.
const LOADED_BYTES: u64 = 32 << 20;

pub(super) async fn insert(
    transaction: &mut Transaction,
    mail: Uuid,
    attachments: &[Attachment],
) -> Result<(), sqlx::Error> {
    for (part, attachment) in (0_i64..).zip(attachments) {
        execute!(
            transaction,
            "INSERT INTO mail_attachments (mail_id, part, file_name, size_bytes, content) VALUES (?, ?, ?, ?, ?)",
            mail.to_string(),
            part,
            &attachment.file_name,
            to_count(attachment.text.len() as u64),
            &*attachment.text
        )?;
    }
    Ok(())
}

/// Deletes the content of the attachments of a sent mail. Names and sizes are kept.
pub(super) async fn empty(transaction: &mut Transaction, mail: Uuid) -> Result<(), sqlx::Error> {
    execute!(transaction, "UPDATE mail_attachments SET content = '' WHERE mail_id = ?", mail.to_string()).map(drop)
}

/// How many of these mails, from the first on and at least one, can be loaded together.
pub(super) async fn loadable(transaction: &mut Transaction, mails: &[String]) -> Result<usize, sqlx::Error> {
    let rows: Vec<(String, i64)> = fetch_of!(
        transaction,
        (String, i64),
        "SELECT mail_id, size_bytes FROM mail_attachments WHERE mail_id IN ({})",
        mails
    )?;
    let mut sizes: HashMap<String, u64> = HashMap::new();
    for (mail, size) in rows {
        let sum = sizes.entry(mail).or_default();
        *sum = sum.saturating_add(from_count(size)?);
    }
    let mut sum = 0_u64;
    let fits = mails.iter().take_while(|mail| {
        sum = sum.saturating_add(sizes.get(*mail).copied().unwrap_or(0));
        sum <= LOADED_BYTES
    });
    Ok(fits.count().max(1))
}

/// The attachments of a mail, in order.
pub(super) async fn of(transaction: &mut Transaction, mail: &str) -> Result<Vec<Attachment>, sqlx::Error> {
    let rows: Vec<(String, String)> = fetch_all!(
        transaction,
        (String, String),
        "SELECT file_name, content FROM mail_attachments WHERE mail_id = ? ORDER BY part",
        mail
    )?;
    Ok(rows.into_iter().map(|(file_name, content)| Attachment { file_name, text: content.into() }).collect())
}

/// The names and sizes of the attachments of these mails.
pub(super) async fn rows(
    transaction: &mut Transaction,
    mails: &[String],
) -> Result<HashMap<String, Vec<AttachmentRow>>, sqlx::Error> {
    let rows: Vec<(String, String, i64)> = fetch_of!(
        transaction,
        (String, String, i64),
        "SELECT mail_id, file_name, size_bytes FROM mail_attachments WHERE mail_id IN ({}) ORDER BY mail_id, part",
        mails
    )?;
    let mut of_mail: HashMap<String, Vec<AttachmentRow>> = HashMap::new();
    for (mail, file_name, size) in rows {
        of_mail.entry(mail).or_default().push(AttachmentRow { file_name, size: Bytes(from_count(size)?) });
    }
    Ok(of_mail)
}

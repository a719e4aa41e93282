//! Creates SMTP clients and reads their password.

use crate::{
    app::error::RunError,
    config::Smtp,
    fleet::audit::{AuditAction, AuditNote},
    mail::smtp::SmtpClient,
};

/// One client.
///
/// # Errors
/// [`RunError`] if the password cannot be read or TLS cannot be set up.
pub async fn smtp_client(smtp: &Smtp) -> Result<SmtpClient, RunError> {
    let [client, _] = smtp_clients(smtp).await?;
    Ok(client)
}

/// The audit note about reading the password, if a command was run for it.
#[must_use]
pub fn audit_note(smtp: &Smtp) -> Option<AuditNote> {
    let program = smtp.login.as_ref()?.password.program()?;
    let detail = "password of <smtp> read by cmd:".to_owned();
    Some(AuditNote { action: AuditAction::Secret, target: program.to_owned(), detail })
}

/// Two clients; the password is read once.
///
/// # Errors
/// As [`smtp_client`].
pub async fn smtp_clients(smtp: &Smtp) -> Result<[SmtpClient; 2], RunError> {
    let password = match &smtp.login {
        Some(login) => Some(login.password.fetch().await?),
        None => None,
    };
    let client = || SmtpClient::with_password(smtp, password.as_ref());
    Ok([client()?, client()?])
}

//! Creates SMTP clients and reads their password.

use crate::{app::error::RunError, config::Smtp, mail::smtp::SmtpClient};

/// One client.
///
/// # Errors
/// [`RunError`] if the password cannot be read or TLS cannot be set up.
pub async fn smtp_client(smtp: &Smtp) -> Result<SmtpClient, RunError> {
    let [client, _] = smtp_clients(smtp).await?;
    Ok(client)
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

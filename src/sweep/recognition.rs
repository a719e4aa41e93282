//! Determines the platform of a client: known from an earlier visit, from the server's identification and one command,
//! or assumed until the client shows otherwise.

use super::{deadline::Deadlines, delivery::probe, known_clients::KnownClients, platform::Platform, session::Session};
use crate::fleet::{ClientId, Failure, FailureKind, Stage};

/// The platform of a client, as far as it can be determined before the first command. If the server's identification
/// names Windows, a command is sent once, which costs a round trip.
///
/// # Errors
/// [`FailureKind::PlatformUnknown`] for a Windows machine with an unknown shell, and all failures of a command.
pub(super) async fn recognise(
    known: &KnownClients,
    session: &Session,
    client: &ClientId,
    stage: Stage,
    deadlines: &Deadlines<'_>,
) -> Result<Platform, Failure> {
    if let Some(platform) = known.platform(client) {
        return Ok(platform);
    }
    if !session.names_windows() {
        return Ok(Platform::most_common());
    }
    match deadlines.run(stage, probe::ask(session, stage)).await? {
            Some(windows) => {
                let platform = Platform::Windows(windows);
                known.meet(client, platform.clone());
                Ok(platform)
            }
            None => Err(Failure::new(stage, FailureKind::PlatformUnknown).because(
                "the client is `Windows` with another default shell than cmd.exe and PowerShell: set DefaultShell to one of them",
            )),
        }
}

/// The platform of a client that was assumed to be a Unix and did not understand the first command. It is Windows if it
/// answers the second one.
pub(super) async fn reconsider(
    known: &KnownClients,
    session: &Session,
    client: &ClientId,
    taken_for: &Platform,
    failure: &Failure,
    deadlines: &Deadlines<'_>,
) -> Option<Platform> {
    if !matches!(taken_for, Platform::Unix(_)) || failure.kind != FailureKind::CommandRefused {
        return None;
    }
    match deadlines.run(failure.stage, probe::ask(session, failure.stage)).await {
        Ok(windows) => {
            let platform = Platform::Windows(windows?);
            known.meet(client, platform.clone());
            Some(platform)
        }
        // The first failure says more.
        Err(second) => {
            tracing::debug!(failure = %second, "the client did not answer either when asked for its shell");
            None
        }
    }
}

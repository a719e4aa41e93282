//! The spans of the log: which client and which stage a line belongs to. The span of the sweep around them is the
//! scheduler's.
//!
//! They are spans of the level ERROR, so that no filter of the log takes them away from a line that it lets through.
//! Their fields hold what the configuration says of a client, never what the client says.

use tracing::{Span, error_span};

use crate::{
    config::Client,
    fleet::{ClientId, Stage},
};

/// What is done for one client.
#[must_use]
pub fn of_client(client: &Client) -> Span {
    error_span!("client", client = %client.id, name = client.name.as_str())
}

/// What the SSH session of a client does by itself, maybe after the sweep that began it.
pub(super) fn of_session(client: &ClientId) -> Span {
    error_span!(parent: None, "session", client = %client)
}

/// The work of one stage.
#[must_use]
pub fn of_stage(stage: Stage) -> Span {
    error_span!("stage", %stage)
}

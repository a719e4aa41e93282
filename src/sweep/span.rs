//! The spans of the log: the client and the stage of a line. The scheduler adds the span of the sweep.
//!
//! Spans have the level ERROR, so that no log filter removes them from a line that it shows. Their fields only contain
//! values from the configuration, never from the client.

use tracing::{Span, error_span};

use crate::{
    config::Client,
    fleet::{ClientId, Stage},
};

/// The span for the work for one client.
#[must_use]
pub fn of_client(client: &Client) -> Span {
    error_span!("client", client = %client.id, name = client.name.as_str())
}

/// The span for the connection to a bastion.
pub(super) fn of_bastion(bastion: &ClientId) -> Span {
    error_span!("bastion", %bastion)
}

/// The span for the SSH session of a client, which may outlive the sweep that opened it.
pub(super) fn of_session(client: &ClientId) -> Span {
    error_span!(parent: None, "session", client = %client)
}

/// The span for the work of one stage.
#[must_use]
pub fn of_stage(stage: Stage) -> Span {
    error_span!("stage", %stage)
}

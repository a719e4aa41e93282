//! The orders to a running collector, from its own dashboard or from another process. They are executed elsewhere.

use serde::{Deserialize, Serialize};

use super::{ClientId, Metric, SweepId, audit::AuditNote, metric::Instance};

/// An order to the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Collect now. Clients that are being collected are skipped.
    Collect(Selection),
    /// Sweep these clients for `--once`. Clients that are being collected are collected again afterwards, and at the
    /// end every waiting mail is offered once. Answered when the sweep has started.
    Once(Vec<ClientId>),
    /// The same, and logins that are held are tried.
    OnceRetryingLogins(Vec<ClientId>),
    /// Pause the schedule until `Resume`.
    Pause,
    /// Resume the schedule.
    Resume,
    /// Cancel the running collection of a client.
    Cancel(ClientId),
    /// Acknowledge an alert: no reminders until it ends.
    Acknowledge {
        /// The client.
        client: ClientId,
        /// The metric.
        metric: Metric,
        /// The instance.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
    },
    /// Withdraw an acknowledgement: reminders are sent again.
    Unacknowledge {
        /// The client.
        client: ClientId,
        /// The metric.
        metric: Metric,
        /// The instance.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
    },
    /// Add entries to the audit: what a command of another process did.
    Note(Vec<AuditNote>),
    /// Several of `Cancel`, `Acknowledge` and `Unacknowledge`, answered together.
    Each(Vec<Order>),
}

/// A selection of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All clients.
    All,
    /// Those whose last collection failed.
    Failed,
    /// The clients in this list.
    These(Vec<ClientId>),
}

/// An order and the operator who gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedOrder {
    /// The operator's account, for the audit.
    pub actor: String,
    /// The order.
    pub order: Order,
}

/// The reply to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done or in progress.
    Done {
        /// One sentence for the operator.
        text: String,
        /// The sweep that it started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sweep: Option<SweepId>,
    },
    /// It was refused.
    Refused {
        /// Why, and what to do.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_from_before_there_were_instances_is_about_the_host() {
        let old = r#"{"acknowledge":{"client":"a:22","metric":"cpu"}}"#;
        let order: Order = serde_json::from_str(old).unwrap();
        let (client, metric) = (ClientId::new("a", 22), Metric::Cpu);
        assert_eq!(order, Order::Acknowledge { client, metric, instance: Instance::HOST });
        assert_eq!(serde_json::to_string(&order).unwrap(), old);
    }
}

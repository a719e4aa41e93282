//! What can be asked of a running collector, from its own dashboard or from another process. Not who may,
//! and not the doing.

use serde::{Deserialize, Serialize};

use super::{ClientId, Metric, SweepId, metric::Instance};

/// What is asked of the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Collect now. Clients that are being collected already are left out.
    Collect(Selection),
    /// Sweep these clients for `--once`: those being collected already are collected again after that, and
    /// afterwards every waiting mail is offered once. Answered when the sweep has begun.
    Once(Vec<ClientId>),
    /// No sweep begins by itself until `Resume`.
    Pause,
    /// Sweeps begin by themselves again.
    Resume,
    /// End a client's collection under way.
    Cancel(ClientId),
    /// No reminders about this alert until it ends.
    Acknowledge {
        /// The client.
        client: ClientId,
        /// What is measured.
        metric: Metric,
        /// What has the value.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
    },
    /// Reminders about this alert again, although it was acknowledged.
    Unacknowledge {
        /// The client.
        client: ClientId,
        /// What is measured.
        metric: Metric,
        /// What has the value.
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
    },
    /// Several of `Cancel`, `Acknowledge` and `Unacknowledge`, answered together.
    Each(Vec<Order>),
}

/// Some of the clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Every one.
    All,
    /// Those whose last collection failed.
    Failed,
    /// The clients named here.
    These(Vec<ClientId>),
}

/// An order, and who gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedOrder {
    /// The operator's account, for the audit.
    pub actor: String,
    /// What is asked.
    pub order: Order,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done or under way.
    Done {
        /// One sentence for the operator.
        text: String,
        /// The sweep that it set off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sweep: Option<SweepId>,
    },
    /// It cannot be done.
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

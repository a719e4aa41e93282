//! The channel of orders from operators to the running collector, and of its replies. Orders are executed elsewhere.

use tokio::sync::{mpsc, oneshot};

use crate::fleet::order::{IssuedOrder, Reply};

/// How many orders may wait. When the channel is full, the sender waits, which is acceptable because people type
/// orders.
const WAITING: usize = 64;

/// The reply if the collector accepts no more orders.
pub const HAS_ENDED: &str = "the collector has ended, the order was not carried out";

/// Sends orders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<Request>);

/// An order and the sender of its reply.
#[derive(Debug)]
pub struct Request {
    /// The order.
    pub issued: IssuedOrder,
    answer: oneshot::Sender<Reply>,
}

impl Orders {
    /// Creates a channel of orders.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Sends an order and waits for the reply. If the collector ends meanwhile, the order counts as refused.
    pub async fn ask(&self, issued: IssuedOrder) -> Reply {
        let ended = || Reply::Refused { text: HAS_ENDED.to_owned() };
        let (answer, answered) = oneshot::channel();
        if self.0.send(Request { issued, answer }).await.is_err() {
            return ended();
        }
        answered.await.unwrap_or_else(|_| ended())
    }
}

impl Request {
    /// Sends the reply. It is dropped if nobody waits for it any more.
    pub fn answer(self, reply: Reply) {
        let _ = self.answer.send(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::order::Order;

    #[tokio::test]
    async fn an_order_is_answered_or_refused_at_the_end() {
        let (orders, mut taken) = Orders::new();
        let issued = || IssuedOrder { actor: "ops".to_owned(), order: Order::Pause };
        let done = Reply::Done { text: "paused".to_owned(), sweep: None };
        let take = async {
            let request = taken.recv().await.unwrap();
            assert_eq!(request.issued, issued());
            request.answer(done.clone());
            // The second one is received and dropped.
            drop(taken.recv().await);
            drop(taken);
        };
        let ask = async { (orders.ask(issued()).await, orders.ask(issued()).await, orders.ask(issued()).await) };
        let ((first, second, third), ()) = tokio::join!(ask, take);
        assert_eq!(first, done);
        for refused in [second, third] {
            assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
        }
    }
}

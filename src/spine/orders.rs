//! The way back: what operators ask of the running collector, and what it answers. Not the doing.

use tokio::sync::{mpsc, oneshot};

use crate::fleet::order::{Reply, Signed};

/// How many orders may wait. When it is full, whoever asks waits: orders are typed by people.
const WAITING: usize = 64;

/// What is answered where nobody takes orders any more.
pub const HAS_ENDED: &str = "the collector has ended: nothing was done";

/// Where orders are given; cheap to clone.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<Asked>);

/// An order, and who waits for the answer.
#[derive(Debug)]
pub struct Asked {
    /// The order.
    pub signed: Signed,
    answer: oneshot::Sender<Reply>,
}

impl Orders {
    /// A way in, and the end at which orders are taken.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Gives an order and waits for what becomes of it. A collector that ends meanwhile refuses.
    pub async fn ask(&self, signed: Signed) -> Reply {
        let ended = || Reply::Refused { text: HAS_ENDED.to_owned() };
        let (answer, answered) = oneshot::channel();
        if self.0.send(Asked { signed, answer }).await.is_err() {
            return ended();
        }
        answered.await.unwrap_or_else(|_| ended())
    }
}

impl Asked {
    /// Answers it. Who has stopped waiting is not missed.
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
        let signed = || Signed { actor: "ops".to_owned(), order: Order::Pause };
        let done = Reply::Done { text: "paused".to_owned(), sweep: None };
        let take = async {
            let asked = taken.recv().await.unwrap();
            assert_eq!(asked.signed, signed());
            asked.answer(done.clone());
            // The second one is taken and dropped.
            drop(taken.recv().await);
            drop(taken);
        };
        let ask = async { (orders.ask(signed()).await, orders.ask(signed()).await, orders.ask(signed()).await) };
        let ((first, second, third), ()) = tokio::join!(ask, take);
        assert_eq!(first, done);
        for refused in [second, third] {
            assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
        }
    }
}

//! Decides when queries of the dashboard run: only one of each kind at a time, and of the waiting ones only the newest.
//! A key that is held down therefore never uses up the connections. The answers are in [`super::answers`].

use std::{
    mem::{Discriminant, discriminant},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::tui::Query;

/// The questions that wait, and who asks them: one task for time travel, one for lists, one for details. So they have
/// three connections at most.
#[derive(Debug)]
pub struct Questions {
    lanes: [Arc<Lane>; 3],
    tasks: JoinSet<()>,
}

impl Questions {
    /// Starts tasks that answer queries with `ask` and pass the answers to `deliver`. `ask` may abandon a query after its
    /// token was cancelled. The answer to such a query is dropped: an equal query that was put later is to have its own
    /// answer, which includes what changed in between.
    pub fn start<A, F, W, D, V>(ask: F, deliver: D) -> Self
    where
        A: Send + 'static,
        F: Fn(Query, CancellationToken) -> W + Clone + Send + 'static,
        W: Future<Output = Option<A>> + Send,
        D: Fn(A) -> V + Clone + Send + 'static,
        V: Future<Output = ()> + Send,
    {
        let lanes: [Arc<Lane>; 3] = Default::default();
        let mut tasks = JoinSet::new();
        for lane in lanes.clone() {
            let (ask, deliver) = (ask.clone(), deliver.clone());
            tasks.spawn(async move {
                loop {
                    let (query, superseded) = lane.next().await;
                    let answer = ask(query, superseded.clone()).await;
                    if let Some(answer) = answer.filter(|_| !superseded.is_cancelled()) {
                        deliver(answer).await;
                    }
                    lane.held().running = None;
                }
            });
        }
        Self { lanes, tasks }
    }

    /// Asks, in place of an older question of the same kind.
    pub fn put(&self, query: Query) {
        let [past, lists, details] = &self.lanes;
        match &query {
            Query::Sweeps(_) | Query::Past(_) => past.put(query),
            Query::AlertHistory(_) | Query::Mails(_) => lists.put(query),
            Query::History { .. } | Query::SecurityEvents(_) => details.put(query),
        }
    }

    /// Asks no more.
    pub fn end(&mut self) {
        self.tasks.abort_all();
    }
}

#[derive(Debug, Default)]
struct Lane {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// At most one of each kind, in the order in which they came.
    waiting: Vec<Query>,
    /// The running query, and the token that cancels it when it is no longer needed.
    running: Option<(Discriminant<Query>, CancellationToken)>,
}

impl Lane {
    fn put(&self, query: Query) {
        let mut state = self.held();
        let kind = discriminant(&query);
        state.waiting.retain(|waiting| discriminant(waiting) != kind);
        state.waiting.push(query);
        if let Some((running, superseded)) = &state.running
            && *running == kind
        {
            superseded.cancel();
        }
        drop(state);
        self.news.notify_one();
    }

    async fn next(&self) -> (Query, CancellationToken) {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<(Query, CancellationToken)> {
        let mut state = self.held();
        if state.waiting.is_empty() {
            return None;
        }
        let query = state.waiting.remove(0);
        let superseded = CancellationToken::new();
        state.running = Some((discriminant(&query), superseded.clone()));
        Some((query, superseded))
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{
        SweepId,
        listing::{Part, Wish},
    };

    fn past(number: u128) -> Query {
        Query::Past(SweepId(Uuid::from_u128(number)))
    }

    /// Starts with `ask`, and returns what is delivered.
    fn start<F, W>(ask: F) -> (Questions, mpsc::UnboundedReceiver<Query>)
    where
        F: Fn(Query, CancellationToken) -> W + Clone + Send + 'static,
        W: Future<Output = Option<Query>> + Send,
    {
        let (delivered, answers) = mpsc::unbounded_channel();
        let questions = Questions::start(ask, move |answer| {
            let delivered = delivered.clone();
            async move { delivered.send(answer).unwrap() }
        });
        (questions, answers)
    }

    async fn is_running(questions: &Questions) {
        while questions.lanes[0].held().running.is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// The dashboard once asked for every sweep that a held key passed, all at the same time.
    #[tokio::test]
    async fn of_a_thousand_sweeps_one_at_a_time_is_asked_for_and_only_the_last_one_is_answered() {
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let most_there = most.clone();
        let (questions, mut answers) = start(move |query, superseded| {
            let (under_way, most) = (under_way.clone(), most_there.clone());
            async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // As long as nothing newer is wanted: a query that takes its time.
                let end = past(999);
                if query != end {
                    superseded.cancelled().await;
                }
                under_way.fetch_sub(1, Ordering::SeqCst);
                Some(query)
            }
        });
        for number in 0..1000 {
            questions.put(past(number));
            tokio::task::yield_now().await;
        }
        assert_eq!(answers.recv().await, Some(past(999)));
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    /// The answer to the first query would be taken for that to the second, which was put after a change.
    #[tokio::test]
    async fn a_query_that_is_put_again_is_answered_once_by_the_later_one() {
        let asked = Arc::new(AtomicUsize::new(0));
        let (questions, mut answers) = start(move |_, superseded| {
            let asked = asked.clone();
            async move {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                if number == 0 {
                    superseded.cancelled().await;
                }
                Some(past(number as u128))
            }
        });
        questions.put(past(7));
        is_running(&questions).await;
        questions.put(past(7));
        assert_eq!(answers.recv().await, Some(past(1)));
    }

    #[tokio::test]
    async fn questions_of_other_kinds_are_asked_too_and_cancel_nothing() {
        let cancelled = Arc::new(AtomicUsize::new(0));
        let counted = cancelled.clone();
        let (mut questions, mut answers) = start(move |query, superseded| {
            let counted = counted.clone();
            async move {
                if query == past(1) {
                    superseded.cancelled().await;
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                Some(query)
            }
        });
        let wish = |most| Wish { part: Part::Newest, most };
        questions.put(past(1));
        is_running(&questions).await;
        // The sweeps wait for the fleet, the mails do not, and only a fleet takes the place of a fleet.
        questions.put(Query::Sweeps(wish(1)));
        questions.put(Query::Sweeps(wish(2)));
        questions.put(Query::Mails(wish(3)));
        assert_eq!(answers.recv().await, Some(Query::Mails(wish(3))));
        assert_eq!(cancelled.load(Ordering::SeqCst), 0);
        questions.put(past(2));
        let rest = [answers.recv().await.unwrap(), answers.recv().await.unwrap()];
        assert_eq!(rest, [Query::Sweeps(wish(2)), past(2)]);
        questions.end();
    }
}

//! The file descriptors for sessions, of which a process may have a limited number. A collection takes its share first
//! and waits until there is one; a session is kept for the next sweep only if there is one at once. Not how many
//! descriptors there are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What each use costs, in descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A collection: its session and one more thing, one after the other: a name that is looked up, a key file, the
    /// ssh-agent.
    pub collection: u32,
    /// A session that is kept between sweeps.
    pub kept: u32,
}

impl Costs {
    /// Where clients are elsewhere.
    pub const ELSEWHERE: Self = Self { collection: 2, kept: 1 };
    /// Where this process serves the clients as well: the other end of each session, and pipes to the agent that is
    /// run for it.
    pub const SERVED_HERE: Self = Self { collection: 8, kept: 2 };
}

/// The descriptors that collections share; cheap to clone.
#[derive(Debug, Clone)]
pub struct DescriptorBudget {
    descriptors: Arc<Semaphore>,
    costs: Costs,
}

/// Descriptors that were taken; given back when this is dropped.
#[derive(Debug)]
pub struct DescriptorPermit {
    _descriptors: OwnedSemaphorePermit,
}

impl DescriptorBudget {
    /// So many descriptors.
    #[must_use]
    pub fn of(descriptors: usize, costs: Costs) -> Self {
        let descriptors = Arc::new(Semaphore::new(descriptors.min(Semaphore::MAX_PERMITS)));
        Self { descriptors, costs }
    }

    /// Descriptors for one collection, first come, first served. Waits for ever if the budget is too small for one.
    pub async fn for_collection(&self) -> DescriptorPermit {
        loop {
            // Never closed.
            if let Ok(taken) = Arc::clone(&self.descriptors).acquire_many_owned(self.costs.collection).await {
                return DescriptorPermit { _descriptors: taken };
            }
            tokio::task::yield_now().await;
        }
    }

    /// Descriptors for a session to be kept; `None` where there are not enough at once.
    #[must_use]
    pub fn for_kept(&self) -> Option<DescriptorPermit> {
        let taken = Arc::clone(&self.descriptors).try_acquire_many_owned(self.costs.kept).ok()?;
        Some(DescriptorPermit { _descriptors: taken })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn collections_wait_for_room_and_kept_sessions_do_not() {
        let budget = DescriptorBudget::of(5, Costs::ELSEWHERE);
        let first = budget.for_collection().await;
        let _second = budget.for_collection().await;
        let kept = budget.for_kept();
        assert!(kept.is_some() && budget.for_kept().is_none());
        let third = tokio::spawn({
            let budget = budget.clone();
            async move { budget.for_collection().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!third.is_finished());
        drop(first);
        third.await.unwrap();
        drop(kept);
        assert!(budget.for_kept().is_some());
    }
}

//! The budget of file descriptors for sessions. A collection waits until there are descriptors for it; a session is
//! kept for the next sweep only if there are some at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of descriptors for each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A collection: its session and one more descriptor, for the name lookup, a key file or the ssh-agent.
    pub collection: u32,
    /// A session that is kept between sweeps.
    pub kept: u32,
}

impl Costs {
    /// For clients on other machines.
    pub const ELSEWHERE: Self = Self { collection: 2, kept: 1 };
    /// For a demo, whose clients are in this process: also the other end of each session, and the pipes to the agent.
    pub const SERVED_HERE: Self = Self { collection: 8, kept: 2 };
}

/// The descriptors that collections share; cheap to clone.
#[derive(Debug, Clone)]
pub struct DescriptorBudget {
    descriptors: Arc<Semaphore>,
    costs: Costs,
}

/// Reserved descriptors. Released when dropped.
#[derive(Debug)]
pub struct DescriptorPermit {
    _descriptors: OwnedSemaphorePermit,
}

impl DescriptorBudget {
    /// A budget of this many descriptors.
    #[must_use]
    pub fn of(descriptors: usize, costs: Costs) -> Self {
        let descriptors = Arc::new(Semaphore::new(descriptors.min(Semaphore::MAX_PERMITS)));
        Self { descriptors, costs }
    }

    /// Descriptors for one collection, first come, first served. Waits for ever if the budget is too small for one.
    pub async fn for_collection(&self) -> DescriptorPermit {
        loop {
            // The semaphore is never closed.
            if let Ok(taken) = Arc::clone(&self.descriptors).acquire_many_owned(self.costs.collection).await {
                return DescriptorPermit { _descriptors: taken };
            }
            tokio::task::yield_now().await;
        }
    }

    /// Descriptors for a kept session; `None` if there are not enough now.
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

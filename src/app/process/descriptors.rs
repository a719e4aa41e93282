//! How many files this process may have open, and what follows: how many clients are visited at once, and for how
//! many a session is kept. Some are set aside first, so that database, mail and log never go without. Not the waiting
//! for descriptors ([`crate::sweep::descriptor_budget`]).

use std::fs;

use crate::sweep::descriptor_budget::{Costs, DescriptorBudget};

/// What the runtime and the database open at the start.
const STARTED: usize = 16;

/// What is set aside beyond what is open when the database is, since it comes and goes while sweeps go on: usually, and
/// where there is little.
const SET_ASIDE: [(&str, usize, usize); 5] = [
    // Further connections for questions, each with the file and its log; the writer's, made anew.
    ("the database", 10, 4),
    // The connection, and the name that is looked up for it.
    ("the outbox", 2, 2),
    // The spool with its directory, host keys that are read or written.
    ("spool and host keys", 4, 2),
    // A command with its pipe, a file.
    ("secrets and keys", 4, 2),
    ("the log", 2, 1),
];

/// How many dashboards may attach: usually, and where there is little.
const MOST_ATTACHED: usize = 32;
const FEW_ATTACHED: usize = 2;

/// The customary limit. Below it, few dashboards may attach.
const CUSTOMARY: usize = 1024;

/// Below it, as little as possible is set aside.
const LITTLE: usize = 64;

/// There are so few that nothing can be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {limit} files open at once, and needs {needed} to collect from one client: raise the limit with `ulimit -n {CUSTOMARY}`, or with LimitNOFILE={CUSTOMARY} in the unit of the service"
)]
pub struct TooFewDescriptors {
    limit: usize,
    needed: usize,
}

/// The descriptors of this process. One for its whole life: what is open is counted once.
#[derive(Debug)]
pub struct Descriptors {
    limit: usize,
    /// Open already, or set aside.
    taken: usize,
    costs: Costs,
    budget: DescriptorBudget,
}

/// What a configuration gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Clients visited at once.
    pub concurrency: usize,
    /// Sessions kept between sweeps.
    pub kept: usize,
}

/// Raises the limit as far as that may be done.
pub fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}

/// Whether collecting can begin at all; to be asked before anything is opened.
///
/// # Errors
/// [`TooFewDescriptors`] where it cannot.
pub fn check_limit() -> Result<(), TooFewDescriptors> {
    let limit = limit();
    let needed = open_now() + STARTED + set_aside(limit) + costs_of_one(Costs::ELSEWHERE);
    if limit < needed { Err(TooFewDescriptors { limit, needed }) } else { Ok(()) }
}

impl Descriptors {
    /// Those of this process, to be counted when everything lasting is open.
    ///
    /// # Errors
    /// [`TooFewDescriptors`] where there are not enough for one collection.
    pub fn of_process(costs: Costs) -> Result<Self, TooFewDescriptors> {
        Self::new(limit(), open_now(), costs)
    }

    fn new(limit: usize, open: usize, costs: Costs) -> Result<Self, TooFewDescriptors> {
        let taken = open + set_aside(limit);
        let needed = taken + costs_of_one(costs);
        if limit < needed {
            return Err(TooFewDescriptors { limit, needed });
        }
        Ok(Self { limit, taken, costs, budget: DescriptorBudget::of(limit - taken, costs) })
    }

    /// The budget for collections and kept sessions.
    #[must_use]
    pub fn budget(&self) -> &DescriptorBudget {
        &self.budget
    }

    /// How many dashboards may attach.
    #[must_use]
    pub fn attached(&self) -> usize {
        most_attached(self.limit)
    }

    /// What a configuration gets that would visit so many clients at once, of so many. Collections come first: a
    /// session that is not kept costs a login, a client that waits costs the sweep.
    #[must_use]
    pub fn plan(&self, concurrency: usize, clients: usize) -> Plan {
        let free = self.limit - self.taken;
        let at_once = concurrency.min(clients).max(1);
        let visited = at_once.min((free / costs_of_one(self.costs)).max(1));
        let left = free.saturating_sub(visited * costs_of_one(self.costs));
        let kept = clients.min(left / widened(self.costs.kept).max(1));
        // What is not the descriptors' doing stays as it was asked for.
        Plan { concurrency: if visited == at_once { concurrency } else { visited }, kept }
    }

    /// What is to be said where a plan falls short of what was asked for; `keeps` tells whether sessions are to be
    /// kept at all.
    #[must_use]
    pub fn shortfall(&self, plan: Plan, concurrency: usize, clients: usize, keeps: bool) -> Option<String> {
        let fewer_at_once = plan.concurrency < concurrency;
        let fewer_kept = keeps && plan.kept < clients;
        if !fewer_at_once && !fewer_kept {
            return None;
        }
        let wanted = self.taken
            + concurrency.min(clients) * costs_of_one(self.costs)
            + if keeps { clients * widened(self.costs.kept) } else { 0 };
        let enough = wanted.next_power_of_two().max(CUSTOMARY);
        let mut what = Vec::new();
        if fewer_at_once {
            what.push(format!("{} clients are visited at once in place of {concurrency}", plan.concurrency));
        }
        if fewer_kept {
            what.push(format!("{} of {clients} sessions are kept between sweeps", plan.kept));
        }
        Some(format!(
            "this process may have {} files open at once: {}; raise the limit with `ulimit -n {enough}`, or with LimitNOFILE={enough} in the unit of the service",
            self.limit,
            what.join(", and ")
        ))
    }
}

fn costs_of_one(costs: Costs) -> usize {
    widened(costs.collection)
}

fn widened(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn set_aside(limit: usize) -> usize {
    let counts = SET_ASIDE.iter().map(|(_, usual, least)| if limit < LITTLE { least } else { usual });
    counts.sum::<usize>() + most_attached(limit)
}

fn most_attached(limit: usize) -> usize {
    if limit < CUSTOMARY { FEW_ATTACHED } else { MOST_ATTACHED }
}

/// How many files this process may have open. Where that cannot be told, there is no limit to keep to.
fn limit() -> usize {
    let (soft, _) = rlimit::Resource::NOFILE.get().unwrap_or((u64::MAX, u64::MAX));
    usize::try_from(soft).unwrap_or(usize::MAX).min(usize::MAX / 4)
}

/// How many are open. Where that cannot be told, as many as there are after an ordinary start.
fn open_now() -> usize {
    let count = |folder: &str| Some(fs::read_dir(folder).ok()?.count().saturating_sub(1));
    count("/proc/self/fd").or_else(|| count("/dev/fd")).unwrap_or(STARTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 16 open at the start.
    fn plan(limit: usize, concurrency: usize, clients: usize) -> Plan {
        Descriptors::new(limit, 16, Costs::ELSEWHERE).unwrap().plan(concurrency, clients)
    }

    #[test]
    fn what_there_is_bounds_what_is_done_at_once() {
        for (limit, concurrency, clients, expected) in [
            (65_536, 128, 500, (128, 500)),
            (65_536, 4096, 20_000, (4096, 20_000)),
            // Nothing falls short where all clients fit.
            (64, 128, 3, (128, 3)),
            (64, 128, 80, (12, 0)),
            (256, 128, 80, (128, 56)),
            (1024, 128, 500, (128, 500)),
            (1024, 128, 1000, (128, 698)),
            (31, 128, 80, (1, 0)),
            (40, 128, 80, (5, 1)),
        ] {
            let (at_once, kept) = expected;
            assert_eq!(plan(limit, concurrency, clients), Plan { concurrency: at_once, kept }, "{limit} {clients}");
        }
    }

    #[test]
    fn no_plan_takes_more_than_there_is() {
        for limit in 31..3000 {
            for (concurrency, clients) in [(1, 1), (2, 700), (128, 80), (128, 5000)] {
                let descriptors = Descriptors::new(limit, 16, Costs::ELSEWHERE).unwrap();
                let plan = descriptors.plan(concurrency, clients);
                let at_once = plan.concurrency.min(clients);
                assert!(descriptors.taken + 2 * at_once + plan.kept <= limit, "{limit} {plan:?}");
                assert!(plan.concurrency >= 1);
            }
        }
    }

    #[test]
    fn a_shortfall_names_the_numbers_and_the_way_out() {
        let say = |limit, concurrency, clients, keeps| {
            let descriptors = Descriptors::new(limit, 16, Costs::ELSEWHERE).unwrap();
            descriptors.shortfall(descriptors.plan(concurrency, clients), concurrency, clients, keeps)
        };
        assert_eq!(say(65_536, 128, 500, true), None);
        assert_eq!(say(64, 128, 3, true), None);
        assert_eq!(say(256, 128, 80, false), None);
        assert_eq!(
            say(64, 128, 80, false).unwrap(),
            "this process may have 64 files open at once: 12 clients are visited at once in place of 128; raise the limit with `ulimit -n 1024`, or with LimitNOFILE=1024 in the unit of the service"
        );
        assert_eq!(
            say(256, 128, 2000, true).unwrap(),
            "this process may have 256 files open at once: 108 clients are visited at once in place of 128, and 0 of 2000 sessions are kept between sweeps; raise the limit with `ulimit -n 4096`, or with LimitNOFILE=4096 in the unit of the service"
        );
    }

    #[test]
    fn with_too_few_nothing_begins() {
        let error = Descriptors::new(30, 16, Costs::ELSEWHERE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this process may have 30 files open at once, and needs 31 to collect from one client: raise the limit with `ulimit -n 1024`, or with LimitNOFILE=1024 in the unit of the service"
        );
        assert!(Descriptors::new(31, 16, Costs::ELSEWHERE).is_ok());
        assert!(check_limit().is_ok() && open_now() > 2);
    }
}

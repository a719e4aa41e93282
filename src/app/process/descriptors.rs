//! The limit of open file descriptors, and what follows from it: how many clients are collected at once, and for how
//! many a session is kept. Some descriptors are reserved first for database, mail and log.
//! [`crate::sweep::descriptor_budget`] hands out the rest.

use std::fs;

use crate::sweep::descriptor_budget::{Costs, DescriptorBudget};

/// The descriptors that the runtime and the database open at the start.
const STARTED: usize = 16;

/// The reserve for descriptors that are opened temporarily during sweeps: the normal one, and the one for low limits.
const SET_ASIDE: [(&str, usize, usize); 5] = [
    // Further connections for queries, each with the file and its log, and the writer's, if it is opened again.
    ("the database", 10, 4),
    // The SMTP connection and the name lookup for it.
    ("the outbox", 2, 2),
    // The spool with its directory, and the host key file.
    ("spool and host keys", 4, 2),
    // A command with its pipe, and a file.
    ("secrets and keys", 4, 2),
    ("the log", 2, 1),
];

/// How many dashboards may attach: normally, and with a low limit.
const MOST_ATTACHED: usize = 32;
const FEW_ATTACHED: usize = 2;

/// How many connections the metrics endpoint may have at once: normally, and with a low limit.
const USUAL_METRICS_CONNECTIONS: usize = 16;
const FEW_METRICS_CONNECTIONS: usize = 2;

/// The usual limit. Below it, few dashboards may attach.
const CUSTOMARY: usize = 1024;

/// Below this limit, the reserve is as small as possible.
const LITTLE: usize = 64;

/// The limit is too low to collect anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {limit} files open at once, and needs {needed} to collect from one client: raise the limit with `ulimit -n {CUSTOMARY}`, or with LimitNOFILE={CUSTOMARY} in the unit of the service"
)]
pub struct TooFewDescriptors {
    limit: usize,
    needed: usize,
}

/// The descriptors of this process. Created once, because the open ones are counted once.
#[derive(Debug)]
pub struct Descriptors {
    limit: usize,
    /// Already open or reserved.
    taken: usize,
    costs: Costs,
    budget: DescriptorBudget,
}

/// The share of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Clients visited at once.
    pub concurrency: usize,
    /// Sessions kept between sweeps.
    pub kept: usize,
}

/// Raises the limit as far as possible.
pub fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}

/// Checks whether collecting is possible at all. Must be called before anything is opened.
///
/// # Errors
/// [`TooFewDescriptors`] if it is not.
pub fn check_limit() -> Result<(), TooFewDescriptors> {
    let limit = limit();
    let needed = open_now() + STARTED + set_aside(limit) + costs_of_one(Costs::ELSEWHERE);
    if limit < needed { Err(TooFewDescriptors { limit, needed }) } else { Ok(()) }
}

impl Descriptors {
    /// The descriptors of this process. Must be called when everything that stays open is open. `has_endpoint` is whether it
    /// has a metrics endpoint.
    ///
    /// # Errors
    /// [`TooFewDescriptors`] if they are not enough for one collection.
    pub fn of_process(costs: Costs, has_endpoint: bool) -> Result<Self, TooFewDescriptors> {
        // The socket itself, and its connections.
        let of_endpoint = if has_endpoint { 1 + metrics_connections() } else { 0 };
        Self::new(limit(), open_now() + of_endpoint, costs)
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

    /// The share of a configuration with this concurrency and number of clients. Collections come first: a session that
    /// is not kept costs a login, but a waiting client delays the sweep.
    #[must_use]
    pub fn plan(&self, concurrency: usize, clients: usize) -> Plan {
        let free = self.limit - self.taken;
        let at_once = concurrency.min(clients).max(1);
        let visited = at_once.min((free / costs_of_one(self.costs)).max(1));
        let left = free.saturating_sub(visited * costs_of_one(self.costs));
        let kept = clients.min(left / widened(self.costs.kept).max(1));
        // Limits that are not caused by descriptors stay as requested.
        Plan { concurrency: if visited == at_once { concurrency } else { visited }, kept }
    }

    /// The warning if a plan has less than was requested. `keeps` is whether sessions are kept at all.
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

/// How many connections the metrics endpoint may have at once.
#[must_use]
pub fn metrics_connections() -> usize {
    if limit() < CUSTOMARY { FEW_METRICS_CONNECTIONS } else { USUAL_METRICS_CONNECTIONS }
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

/// The limit of open files of this process; unlimited if it cannot be determined.
fn limit() -> usize {
    let (soft, _) = rlimit::Resource::NOFILE.get().unwrap_or((u64::MAX, u64::MAX));
    usize::try_from(soft).unwrap_or(usize::MAX).min(usize::MAX / 4)
}

/// The number of open files; if it cannot be determined, the usual number after a start.
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
            // There is no warning if all clients fit.
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

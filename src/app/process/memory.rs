//! Keeps the memory of this process to itself: passwords and private keys are in it. Not how much of it is used.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// From here on a crash writes no memory to the disk, and no other process of this account reads it, nor the
/// environment in which `env:NAME` finds its secrets. Root still may.
///
/// What the system does not grant is left as it is: no run is worth less for it.
pub fn keep_private() {
    // Children inherit this limit, and services of the system that take care of crashes go by it.
    let refused = [
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }),
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
    ];
    for error in refused.into_iter().filter_map(Result::err) {
        tracing::debug!("core dumps could not be disabled: {error}");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn the_memory_is_kept_private() {
        keep_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let Rlimit { current, maximum } = getrlimit(Resource::Core);
        assert_eq!((current, maximum), (Some(0), Some(0)));
    }
}

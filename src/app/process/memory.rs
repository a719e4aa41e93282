//! Protects the memory of this process, which contains passwords and private keys.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// After this call a crash writes no core dump, and other processes of this account can read neither the memory nor the
/// environment with the secrets of `env:NAME`. Root still can.
///
/// Errors are ignored: the program works without this protection.
pub fn keep_private() {
    // Children inherit this limit, and crash handlers of the system respect it.
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

//! Decides which services should run and do not. Pure.

/// The kind of start that means automatic.
const AUTOMATIC: u32 = 2;
/// The exit code of a service that was not started since the machine was.
const NEVER_STARTED: u32 = 1077;

/// A service that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    /// How it is started.
    pub(super) start: u32,
    /// Whether it is started some time after the others.
    pub(super) is_delayed: bool,
    /// How many events start it.
    pub(super) triggers: u32,
    /// With which error it ended last.
    pub(super) exit_code: u32,
}

/// The names of the services that should run.
///
/// Windows starts some services when something happens, and ends them when nothing is left to do. Those that are started
/// with a delay also end by themselves; of these, only those that ended with an error count.
pub(super) fn failed(stopped: Vec<Service>) -> Vec<String> {
    let should_run = |service: &Service| {
        let has_ended_well = service.is_delayed && [0, NEVER_STARTED].contains(&service.exit_code);
        service.start == AUTOMATIC && service.triggers == 0 && !has_ended_well
    };
    let mut names: Vec<String> = stopped.into_iter().filter(should_run).map(|service| service.name).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_services_that_stopped_have_failed_unless_windows_ends_them() {
        let service = |name: &str, start, is_delayed, triggers, exit_code| Service {
            name: name.to_owned(),
            start,
            is_delayed,
            triggers,
            exit_code,
        };
        let stopped = vec![
            service("Spooler", 2, false, 0, 0),
            service("MSSQLSERVER", 2, false, 0, 1067),
            service("Fax", 3, false, 0, 1077),
            service("Disabled", 4, false, 0, 1077),
            service("RemoteRegistry", 2, false, 1, 0),
            service("sppsvc", 2, true, 0, 0),
            service("edgeupdate", 2, true, 0, 1077),
            service("BITS", 2, true, 0, 5),
        ];
        assert_eq!(failed(stopped), ["BITS", "MSSQLSERVER", "Spooler"]);
        assert_eq!(failed(Vec::new()), [""; 0]);
    }
}

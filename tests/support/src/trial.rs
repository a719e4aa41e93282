//! Tests as async functions that name the tools they need, and the runner for them.

use std::{panic::resume_unwind, pin::Pin, process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::{Tool, shared, wait::crowding};

/// The time limit of one test on an idle machine. Its servers end with it.
const DEADLINE: Duration = Duration::from_secs(300);

/// The stack of the threads of a test. As large as that of a main thread, because tests call what the program runs there, and
/// without optimisation this needs more than the default of 2 MiB.
const STACK_BYTES: usize = 8 << 20;

/// How often the load of the machine is checked.
const EVERY: Duration = Duration::from_secs(1);

/// A test with this name. If a tool is missing, it is ignored with the reason.
pub fn trial(name: &str, needs: &'static [Tool], test: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> Trial {
    let name = name.replace('_', " ");
    Trial::ignorable_test(name, move || {
        if let Some(missing) = needs.iter().find_map(|tool| tool.missing()) {
            return Ok(Completion::ignored_with(missing));
        }
        let running = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || run_one(test))?;
        running.join().unwrap_or_else(|panicked| resume_unwind(panicked))
    })
}

fn run_one(test: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> Result<Completion, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            () = test() => Ok(Completion::Completed),
            () = deadline() => Err(Failed::from(format!("it did not end within {DEADLINE:?} of an idle machine"))),
        }
    })
}

/// Ends after [`DEADLINE`]. The time is longer on a busy machine.
async fn deadline() {
    let mut left = DEADLINE;
    while !left.is_zero() {
        tokio::time::sleep(EVERY).await;
        left = left.saturating_sub(EVERY.div_f64(crowding()));
    }
}

/// Runs tests with the command line that `cargo test` passes to a test binary.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    shared::end();
    conclusion.exit_code()
}

/// A list of tests, grouped by the tools that they need.
///
/// ```ignore
/// support::trial_list! {
///     needs() => a_test, another_test;
///     needs(Sshd, Root) => a_test_with_a_real_server;
/// }
/// ```
#[macro_export]
macro_rules! trial_list {
    (@one $test:ident ($($tool:ident),*)) => {
        $crate::trial(stringify!($test), &[$($crate::Tool::$tool),*], || Box::pin($test()))
    };
    ($(needs $tools:tt => $($test:ident),+;)+) => {
        vec![$($($crate::trial_list!(@one $test $tools)),+),+]
    };
}

/// A list of tests that take a [`Database`](crate::Database). Each runs once per engine.
#[macro_export]
macro_rules! trials_per_database {
    (@one $test:ident $engine:ident $needs:expr) => {
        $crate::trial(concat!(stringify!($test), " on ", stringify!($engine)), $needs, || {
            Box::pin(async { $test($crate::Database::new($crate::Engine::$engine).await).await })
        })
    };
    ($($test:ident),+ $(,)?) => {
        vec![$(
            $crate::trials_per_database!(@one $test Sqlite &[]),
            $crate::trials_per_database!(@one $test Postgres &[$crate::Tool::Postgres]),
            $crate::trials_per_database!(@one $test Mariadb &[$crate::Tool::Mariadb]),
        )+]
    };
}

/// A list of tests that take a [`Database`](crate::Database) on a server. Each runs once per engine.
#[macro_export]
macro_rules! trials_per_server {
    ($($test:ident),+ $(,)?) => {
        vec![$(
            $crate::trials_per_database!(@one $test Postgres &[$crate::Tool::Postgres]),
            $crate::trials_per_database!(@one $test Mariadb &[$crate::Tool::Mariadb]),
        )+]
    };
}

/// The `main` function of a test binary with one file, with tests as in [`trial_list!`].
#[macro_export]
macro_rules! trials {
    ($($tests:tt)+) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run($crate::trial_list! { $($tests)+ })
        }
    };
}

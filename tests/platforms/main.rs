//! Clients of other platforms: the agents for them, executed here, and their delivery through a real sshd whose login
//! shell imitates the other platform. Not what is the same on every platform.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

mod wine;

use std::process::ExitCode;

use wine::*;

fn main() -> ExitCode {
    let ended = support::run(support::trial_list! {
        needs(Wine, Mingw, WindowsAgent) =>
            the_state_of_a_machine_is_what_it_is,
            events_come_oldest_first_and_the_bookmark_goes_on,
            what_is_not_read_is_named,
            a_cleared_log_is_noticed_and_read_from_its_start,
            a_log_that_cannot_be_read_does_not_pass_for_a_quiet_one,
            a_deadline_ends_the_agent_whose_answer_nobody_reads,
            a_deadline_ends_the_agent_for_windows;
    });
    end_wine();
    ended
}

//! Clients of other platforms: the agents for them, executed here, and their delivery through a real sshd whose login
//! shell imitates the other platform. Not what is the same on every platform.

fn main() -> std::process::ExitCode {
    support::run(vec![])
}

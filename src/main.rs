//! The program: arguments, run mode, exit code.

fn main() {}

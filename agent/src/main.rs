//! The agent: looks at the machine it runs on and answers with one sealed report.

fn main() {}

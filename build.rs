//! The build script: nothing to do yet.

fn main() {}

//! The exit codes of the agent, and their meaning for messages of the collector.
//!
//! They avoid the codes that shells use themselves (1, 2, and 126 upwards).

/// It answered: the envelope is on standard output.
pub const ANSWERED: u8 = 0;
/// The argument is no request; the line on standard error says why.
pub const BAD_REQUEST: u8 = 64;
/// The report could not be sealed: no random bytes, or larger than the wire carries.
pub const NOT_SEALED: u8 = 65;
/// The answer could not be written to standard output.
pub const NOT_WRITTEN: u8 = 66;
/// The deadline of the request passed before the answer was written.
pub const DEADLINE: u8 = 67;
/// The collector hung up: standard input ended before the answer was written.
pub const HUNG_UP: u8 = 68;
/// A bug in the agent; the line on standard error says where.
pub const FAULT: u8 = 69;

/// What a code of the agent means; `None` for one that is not the agent's.
#[must_use]
pub fn words(code: u8) -> Option<&'static str> {
    Some(match code {
        ANSWERED => "the agent answered",
        BAD_REQUEST => "the agent does not understand the request",
        NOT_SEALED => "the agent could not seal its report",
        NOT_WRITTEN => "the agent could not write its answer",
        DEADLINE => "the agent ran into its deadline",
        HUNG_UP => "the agent found its standard input closed",
        FAULT => "the agent met a fault of its own",
        _ => return None,
    })
}

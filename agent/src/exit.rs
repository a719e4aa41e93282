//! The exit codes of the agent, and their meaning for messages of the collector.
//!
//! They avoid the codes that shells use themselves (1, 2, and 126 upwards).

/// Success: the envelope is on standard output.
pub const ANSWERED: u8 = 0;
/// The argument is not a valid request; the line on standard error gives the reason.
pub const BAD_REQUEST: u8 = 64;
/// The report could not be sealed: there are no random bytes, or it is larger than the limit.
pub const NOT_SEALED: u8 = 65;
/// The answer could not be written to standard output.
pub const NOT_WRITTEN: u8 = 66;
/// The deadline of the request passed before the answer was written.
pub const DEADLINE: u8 = 67;
/// Standard input ended before the answer was written, because the collector closed the connection.
pub const HUNG_UP: u8 = 68;
/// A bug in the agent; the line on standard error names its location.
pub const FAULT: u8 = 69;

/// The request is of another wire version; the line on standard error names both versions. Only an agent that is
/// installed on the client can be of another version.
pub const OTHER_VERSION: u8 = 70;

/// The meaning of an exit code of the agent; `None` for other codes.
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
        OTHER_VERSION => "the versions differ",
        _ => return None,
    })
}

//! The wire format between the collector and its clients: request, report and envelope, in both directions.
//!
//! The collector and the agent link this library, so they cannot disagree. It does no I/O and reads no clock. The agent
//! itself is the binary of this package.
//!
//! One exchange: the collector creates a [`request::Request`] with a new key pair ([`envelope::fresh_secret`]) and
//! passes it to the agent as an argument. The agent gathers a [`report::Report`], [`envelope::seal`]s its XML for this
//! request and prints the armoured text. The collector finds the armour in the output of the login shell and
//! [`envelope::open`]s it. All three have the [`VERSION`]. If an agent cannot answer, it prints one line on standard
//! error and exits with one of the codes in [`exit`].
//!
//! Every decoder here takes bytes of a machine that may be hostile: none panics, and each is bounded by constants next
//! to it.

pub mod envelope;
pub mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod report;
pub mod request;

/// The operating system's source of random bytes, for [`envelope`].
pub use getrandom::SysRng;

/// The version of the wire format. Request, envelope and report change together.
pub const VERSION: u8 = 1;

// A fuzzer needs a library, so the decoders of the program are compiled into this one for it.
#[cfg(all(fuzzing, feature = "collect"))]
extern crate self as fleetsweep_agent;
#[cfg(all(fuzzing, feature = "collect"))]
mod calendar;
#[cfg(all(fuzzing, feature = "collect"))]
#[expect(dead_code, reason = "the program uses the rest")]
mod linux {
    pub(crate) mod events;
}
#[cfg(all(fuzzing, feature = "collect"))]
#[expect(dead_code, reason = "the program uses the rest")]
mod windows {
    pub(crate) mod events;
}

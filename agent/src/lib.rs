//! The wire format between the collector and its clients: request, report and envelope, in both directions.
//!
//! The collector and the agent link this library, so they cannot disagree. It does no I/O and reads no clock. The agent
//! itself is the binary of this package.
//!
//! One exchange: the collector makes a [`request::Request`] with a fresh key pair
//! ([`envelope::fresh_secret`]) and hands it to the agent as one argument; the agent gathers a
//! [`report::Report`], [`envelope::seal`]s its XML for that request alone and prints the armoured text;
//! the collector finds the armour in whatever else a login shell printed and [`envelope::open`]s it. All
//! three carry [`VERSION`]. An agent that cannot answer prints one line on standard error and ends with
//! one of the codes in [`exit`].
//!
//! Every decoder here takes bytes of a machine that may be hostile: none panics, and each is bounded by constants next
//! to it.

pub mod envelope;
pub mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod report;
pub mod request;

/// The operating system's source of random bytes, which both sides pass to [`envelope`].
pub use getrandom::SysRng;

/// The version of the wire format. Request, envelope and report change together.
pub const VERSION: u8 = 1;

// A fuzzer links a library: the program's own decoders are compiled into this one for it.
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

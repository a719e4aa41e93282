//! A small HTTP server that only answers questions: GET and HEAD of a few pages, over connections that are limited in number,
//! size and time. What the pages say is decided by the caller.
//!
//! It has no TLS, no login and no state. A connection has one request.

mod answer;
mod server;

pub use answer::{Page, Pages};
pub use hyper::StatusCode;
pub use server::{Limits, Server};

#[cfg(test)]
mod tests;

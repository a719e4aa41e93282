//! What the collector asks of the agent: one argument, in text, with nothing secret in it.
//!
//! The text has six fields or seven, joined by dots, the version first:
//!
//! ```text
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.no
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.within.<age ms>
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.after.<bookmark>
//! ```
//!
//! The collection is 32 hexadecimal digits, the key the compressed point and the bookmark its UTF-8, both
//! in base64url without padding. So the text is made of `A-Z a-z 0-9 . _ -` alone: one word, never an
//! option, in every shell and in `cmd.exe`. Each request has one spelling; any other is refused.

use std::{ops::RangeInclusive, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::elliptic_curve::sec1::ToSec1Point;
use uuid::Uuid;

use crate::VERSION;

/// What one collection asks of the agent. Times are carried in whole milliseconds: finer parts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the collection; the answer is bound to it.
    pub collection: Uuid,
    /// The collector's ephemeral P-256 public key for this collection alone.
    pub server_key: p256::PublicKey,
    /// How long CPU use is sampled: within [`Request::WINDOW`].
    pub window: Duration,
    /// After this the agent ends by its own alarm: within [`Request::DEADLINE`].
    pub deadline: Duration,
    /// Whether security events are asked for, and from where on.
    pub events: EventsWanted,
}

/// Which security events a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsWanted {
    /// None: the report carries no event log.
    No,
    /// The first contact: whatever is not older than this, at most [`Request::EVENT_AGE_MAX`].
    Within(Duration),
    /// Those after a bookmark that an earlier report of this client carried.
    After(Bookmark),
}

/// A place in a client's event log, in words that only its agent understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark(String);

/// Why a text is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It begins with the version of another agent's wire.
    #[error("the request speaks version {0}, this agent version {VERSION}")]
    OtherVersion(u64),
    /// It is longer than any request.
    #[error("the request has {0} characters, more than {max}", max = Request::MAX_CHARS)]
    TooLong(usize),
    /// A field is missing, too many or not of its form.
    #[error("the request's {0} is not well formed")]
    Malformed(&'static str),
    /// A time is out of its range.
    #[error("the request's {field} of {given_ms} ms is not within {min_ms} to {max_ms} ms")]
    OutOfRange {
        /// Which time.
        field: &'static str,
        /// What was asked.
        given_ms: u64,
        /// The least that is taken.
        min_ms: u64,
        /// The most that is taken.
        max_ms: u64,
    },
    /// The bookmark is none.
    #[error(transparent)]
    Bookmark(#[from] BookmarkError),
}

/// Why a text is no bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookmarkError {
    /// It has no characters.
    #[error("the bookmark is empty")]
    Empty,
    /// It is longer than a request carries.
    #[error("the bookmark has {0} bytes, more than {max}", max = Bookmark::MAX_BYTES)]
    TooLong(usize),
}

impl Bookmark {
    /// The longest bookmark, bytes.
    pub const MAX_BYTES: usize = 1024;

    /// A bookmark as an agent gave it: any text but an empty one.
    ///
    /// # Errors
    /// [`BookmarkError`] where it is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(text: String) -> Result<Self, BookmarkError> {
        match text.len() {
            0 => Err(BookmarkError::Empty),
            1..=Self::MAX_BYTES => Ok(Self(text)),
            bytes => Err(BookmarkError::TooLong(bytes)),
        }
    }

    /// The text, for the agent that wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Request {
    /// The sampling windows an agent accepts. Below 200 ms the kernel's 10 ms ticks are too coarse.
    pub const WINDOW: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(10);
    /// The deadlines an agent accepts.
    pub const DEADLINE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
    /// The oldest events a first contact asks for: 366 days.
    pub const EVENT_AGE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
    /// No request is longer: the six short fields and the longest bookmark in base64.
    const MAX_CHARS: usize = 2048;

    /// The argument that carries this request. Times out of range are carried as they are, and the
    /// agent refuses them.
    #[must_use]
    pub fn to_argument(&self) -> String {
        let head = format!(
            "{VERSION}.{}.{}.{}.{}",
            self.collection.simple(),
            Base64UrlUnpadded::encode_string(&self.server_key_bytes()),
            self.window.as_millis(),
            self.deadline.as_millis(),
        );
        match &self.events {
            EventsWanted::No => format!("{head}.no"),
            EventsWanted::Within(age) => format!("{head}.within.{}", age.as_millis()),
            EventsWanted::After(bookmark) => {
                format!("{head}.after.{}", Base64UrlUnpadded::encode_string(bookmark.0.as_bytes()))
            }
        }
    }

    /// Reads an argument.
    ///
    /// # Errors
    /// [`RequestError`] with the first field that is wrong; it quotes nothing of the text.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        if text.len() > Self::MAX_CHARS {
            return Err(RequestError::TooLong(text.len()));
        }
        let mut fields = text.split('.');
        let mut next = |name| fields.next().ok_or(RequestError::Malformed(name));
        let version = number("version", next("version")?)?;
        if version != u64::from(VERSION) {
            return Err(RequestError::OtherVersion(version));
        }
        let collection = Uuid::try_parse(next("collection")?).map_err(|_| RequestError::Malformed("collection"))?;
        let server_key = decode("server key", next("server key")?)?;
        let server_key =
            p256::PublicKey::from_sec1_bytes(&server_key).map_err(|_| RequestError::Malformed("server key"))?;
        let window = time("window", next("window")?, Self::WINDOW)?;
        let deadline = time("deadline", next("deadline")?, Self::DEADLINE)?;
        let events = match next("wish for events")? {
            "no" => EventsWanted::No,
            "within" => EventsWanted::Within(time(
                "age of events",
                next("age of events")?,
                Duration::ZERO..=Self::EVENT_AGE_MAX,
            )?),
            "after" => {
                let bookmark = String::from_utf8(decode("bookmark", next("bookmark")?)?)
                    .map_err(|_| RequestError::Malformed("bookmark"))?;
                EventsWanted::After(Bookmark::new(bookmark)?)
            }
            _ => return Err(RequestError::Malformed("wish for events")),
        };
        let request = Self { collection, server_key, window, deadline, events };
        // One comparison refuses every other spelling: leading zeros, signs, capitals, further fields.
        if request.to_argument() == text { Ok(request) } else { Err(RequestError::Malformed("spelling")) }
    }

    /// The server's key as both sides bind it into the envelope: the compressed point.
    pub(crate) fn server_key_bytes(&self) -> Vec<u8> {
        self.server_key.to_sec1_point(true).as_bytes().to_vec()
    }
}

fn number(field: &'static str, text: &str) -> Result<u64, RequestError> {
    text.parse().map_err(|_| RequestError::Malformed(field))
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, RequestError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| RequestError::Malformed(field))
}

fn time(field: &'static str, text: &str, range: RangeInclusive<Duration>) -> Result<Duration, RequestError> {
    let given_ms = number(field, text)?;
    let given = Duration::from_millis(given_ms);
    if range.contains(&given) {
        return Ok(given);
    }
    let whole_ms = |limit: &Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    Err(RequestError::OutOfRange { field, given_ms, min_ms: whole_ms(range.start()), max_ms: whole_ms(range.end()) })
}

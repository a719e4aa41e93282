//! The request of the collector: one argument as text, without secrets.
//!
//! The text has six to nine fields, separated by dots, with the version first:
//!
//! ```text
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.no
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.within.<age ms>
//! 1.<collection>.<server key>.<window ms>.<deadline ms>.after.<bookmark>
//! ```
//!
//! `.also.<questions>` may follow, with what only some rules need: lines of text, `u` for failed units, `p` and a name
//! for the number of processes with this name, `e` and a channel for a further log, a tab, and its event ids, `m` and a
//! mount point that is reported although another one shows the same file system.
//!
//! The collection is 32 hexadecimal digits. The key is the compressed point; bookmark and questions are UTF-8. All are
//! in base64url without padding. The text therefore only contains the characters `A-Z a-z 0-9 . _ -`: it is a single word
//! and never an option in all shells and in `cmd.exe`. Each request has only one valid spelling.

use std::{ops::RangeInclusive, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::elliptic_curve::sec1::ToSec1Point;
use uuid::Uuid;

use crate::VERSION;

/// The request of one collection. Times are in whole milliseconds; smaller parts are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id of the collection. The answer is bound to it.
    pub collection: Uuid,
    /// The collector's ephemeral P-256 public key for this collection.
    pub server_key: p256::PublicKey,
    /// The sampling window of the CPU usage, within [`Request::WINDOW`].
    pub window: Duration,
    /// The time limit of the agent, within [`Request::DEADLINE`].
    pub deadline: Duration,
    /// Whether security events are requested, and since when.
    pub events: EventsWanted,
    /// What else is requested.
    pub questions: Questions,
}

/// What only some rules need, and is not measured without being asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// Whether the failed units or services are requested.
    pub units: bool,
    /// The names of processes that are counted.
    processes: Vec<String>,
    /// The logs that are read beside the security log.
    logs: Vec<FurtherLog>,
    /// The mount points that are reported although another one shows the same file system.
    mounts: Vec<String>,
}

/// A log that is read beside the security log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherLog {
    channel: String,
    ids: Vec<u32>,
}

/// The reason why a further log cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FurtherLogError {
    /// The name of the channel is empty, too long, or contains other characters than names of channels have.
    #[error("this is not the name of a log")]
    Channel,
    /// There are too many ids, which the event log of Windows would refuse.
    #[error("a log can have {max} ids", max = FurtherLog::MAX_IDS)]
    Ids,
}

impl FurtherLog {
    /// The longest name of a channel, bytes.
    pub const MAX_CHANNEL_BYTES: usize = 128;
    /// The most ids of a channel. The event log of Windows accepts no longer conditions.
    pub const MAX_IDS: usize = 20;

    /// The events of a channel with these ids, or all of them. An id that is given twice counts once.
    ///
    /// # Errors
    /// [`FurtherLogError`] if it is no name, or there are too many ids.
    pub fn new(channel: &str, mut ids: Vec<u32>) -> Result<Self, FurtherLogError> {
        // These characters have no meaning in XML, paths of files, or expressions.
        let is_plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | '@' | ':' | '\\');
        let is_name = channel.starts_with(|c: char| c.is_ascii_alphanumeric()) && channel.chars().all(is_plain);
        if !is_name || channel.ends_with(' ') || channel.len() > Self::MAX_CHANNEL_BYTES {
            return Err(FurtherLogError::Channel);
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > Self::MAX_IDS {
            return Err(FurtherLogError::Ids);
        }
        Ok(Self { channel: channel.to_owned(), ids })
    }

    /// The channel of Windows, or the unit or facility of Linux.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The ids, in ascending order; empty for all events.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn parse(text: &str) -> Option<Self> {
        let (channel, ids) = text.split_once('\t').unwrap_or((text, ""));
        let ids = ids.split(',').filter(|id| !id.is_empty()).map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
        Self::new(channel, ids).ok()
    }

    fn to_text(&self) -> String {
        let ids = self.ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        if ids.is_empty() { self.channel.clone() } else { format!("{}\t{ids}", self.channel) }
    }
}

/// The reason why a name cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// It is empty or contains control characters.
    #[error("the name is empty or contains control characters")]
    Name,
    /// There are too many names, or they are too long together.
    #[error("the names have more than {max} bytes together", max = Questions::MAX_BYTES)]
    TooLong,
}

impl Questions {
    /// The longest text of all questions, bytes.
    pub const MAX_BYTES: usize = 2048;
    /// The most further logs.
    pub const MAX_LOGS: usize = 8;

    /// Asks for the number of processes with this name. A name that is asked for twice counts once.
    ///
    /// # Errors
    /// [`QuestionError`] if the name is none, or the names are longer than [`Self::MAX_BYTES`] together.
    pub fn ask_for_process(&mut self, name: &str) -> Result<(), QuestionError> {
        self.ask_for_name(|questions| &mut questions.processes, name)
    }

    /// Asks for the file system at this mount point, also if another mount point shows the same one. A mount point that is
    /// asked for twice counts once.
    ///
    /// # Errors
    /// [`QuestionError`] if it is none, or the names are longer than [`Self::MAX_BYTES`] together.
    pub fn ask_for_mount(&mut self, point: &str) -> Result<(), QuestionError> {
        self.ask_for_name(|questions| &mut questions.mounts, point)
    }

    fn ask_for_name(&mut self, names: fn(&mut Self) -> &mut Vec<String>, name: &str) -> Result<(), QuestionError> {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(QuestionError::Name);
        }
        if names(self).iter().any(|known| known == name) {
            return Ok(());
        }
        names(self).push(name.to_owned());
        if self.to_text().len() <= Self::MAX_BYTES {
            return Ok(());
        }
        names(self).pop();
        Err(QuestionError::TooLong)
    }

    /// Asks for a further log.
    ///
    /// # Errors
    /// [`QuestionError`] if there are too many logs, or the questions are too long.
    pub fn ask_for_log(&mut self, log: FurtherLog) -> Result<(), QuestionError> {
        self.logs.push(log);
        if self.logs.len() <= Self::MAX_LOGS && self.to_text().len() <= Self::MAX_BYTES {
            return Ok(());
        }
        self.logs.pop();
        Err(QuestionError::TooLong)
    }

    /// The logs that are read beside the security log.
    #[must_use]
    pub fn logs(&self) -> &[FurtherLog] {
        &self.logs
    }

    /// The names of processes that are counted.
    #[must_use]
    pub fn processes(&self) -> &[String] {
        &self.processes
    }

    /// The mount points that are reported although another one shows the same file system.
    #[must_use]
    pub fn mounts(&self) -> &[String] {
        &self.mounts
    }

    fn to_text(&self) -> String {
        let units = self.units.then(|| "u".to_owned());
        let processes = self.processes.iter().map(|name| format!("p{name}"));
        let logs = self.logs.iter().map(|log| format!("e{}", log.to_text()));
        let mounts = self.mounts.iter().map(|point| format!("m{point}"));
        units.into_iter().chain(processes).chain(logs).chain(mounts).collect::<Vec<_>>().join("\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut questions = Self::default();
        if text.len() > Self::MAX_BYTES {
            return None;
        }
        for line in text.split('\n') {
            match line.split_at_checked(1)? {
                ("u", "") => questions.units = true,
                ("p", name) => questions.ask_for_process(name).ok()?,
                ("e", log) => questions.ask_for_log(FurtherLog::parse(log)?).ok()?,
                ("m", point) => questions.ask_for_mount(point).ok()?,
                (_, _) => return None,
            }
        }
        Some(questions)
    }
}

/// The requested security events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsWanted {
    /// None: the report has no event log.
    No,
    /// For a first collection: events that are not older than this, at most [`Request::EVENT_AGE_MAX`].
    Within(Duration),
    /// The events after a bookmark in an earlier report of this client.
    After(Bookmark),
}

/// A position in a client's event log, in a format that only its agent understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark(String);

/// The reason why a text is not a valid request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It has the version of another wire format.
    #[error("the request speaks version {0}, this agent version {VERSION}")]
    OtherVersion(u64),
    /// It is longer than any request.
    #[error("the request has {0} characters, more than {max}", max = Request::MAX_CHARS)]
    TooLong(usize),
    /// A field is missing, superfluous or has the wrong format.
    #[error("the request's {0} is not well formed")]
    Malformed(&'static str),
    /// A time is out of its range.
    #[error("the request's {field} of {given_ms} ms is not within {min_ms} to {max_ms} ms")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The requested time.
        given_ms: u64,
        /// The minimum.
        min_ms: u64,
        /// The maximum.
        max_ms: u64,
    },
    /// The bookmark is invalid.
    #[error(transparent)]
    Bookmark(#[from] BookmarkError),
}

/// The reason why a text is not a valid bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookmarkError {
    /// It is empty.
    #[error("the bookmark is empty")]
    Empty,
    /// It is longer than the limit.
    #[error("the bookmark has {0} bytes, more than {max}", max = Bookmark::MAX_BYTES)]
    TooLong(usize),
}

impl Bookmark {
    /// The longest bookmark, bytes.
    pub const MAX_BYTES: usize = 3072;

    /// A bookmark from an agent: any text that is not empty.
    ///
    /// # Errors
    /// [`BookmarkError`] if it is empty or longer than [`Self::MAX_BYTES`].
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
    /// The accepted sampling windows. Below 200 ms, the kernel's ticks of 10 ms are too coarse.
    pub const WINDOW: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(10);
    /// The accepted deadlines.
    pub const DEADLINE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
    /// The oldest events of a first collection: 366 days.
    pub const EVENT_AGE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
    /// The longest request: the short fields, the longest bookmark and the longest questions in base64.
    const MAX_CHARS: usize = 7200;

    /// The argument for this request. Times out of range are not changed, and the agent rejects them.
    #[must_use]
    pub fn to_argument(&self) -> String {
        let head = format!(
            "{VERSION}.{}.{}.{}.{}",
            self.collection.simple(),
            Base64UrlUnpadded::encode_string(&self.server_key_bytes()),
            self.window.as_millis(),
            self.deadline.as_millis(),
        );
        let with_events = match &self.events {
            EventsWanted::No => format!("{head}.no"),
            EventsWanted::Within(age) => format!("{head}.within.{}", age.as_millis()),
            EventsWanted::After(bookmark) => {
                format!("{head}.after.{}", Base64UrlUnpadded::encode_string(bookmark.0.as_bytes()))
            }
        };
        if self.questions == Questions::default() {
            return with_events;
        }
        format!("{with_events}.also.{}", Base64UrlUnpadded::encode_string(self.questions.to_text().as_bytes()))
    }

    /// Parses an argument.
    ///
    /// # Errors
    /// [`RequestError`] for the first wrong field. It quotes nothing of the text.
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
        let questions = match next("further questions") {
            Ok("also") => {
                let text = String::from_utf8(decode("questions", next("questions")?)?).ok();
                text.and_then(|text| Questions::parse(&text)).ok_or(RequestError::Malformed("questions"))?
            }
            Ok(_) => return Err(RequestError::Malformed("further questions")),
            Err(_) => Questions::default(),
        };
        let request = Self { collection, server_key, window, deadline, events, questions };
        // This comparison rejects all other spellings: leading zeros, signs, capitals, further fields.
        if request.to_argument() == text { Ok(request) } else { Err(RequestError::Malformed("spelling")) }
    }

    /// The server's key in the form in which it is bound into the envelope: the compressed point.
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

//! Reads an event log: a query, its records, and each record as XML.

use std::{fmt, io, ptr};

use windows_sys::Win32::{
    Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_NO_MORE_ITEMS, GetLastError, SetLastError},
    System::EventLog::{
        EVT_HANDLE, EvtClose, EvtCreateBookmark, EvtNext, EvtQuery, EvtQueryChannelPath, EvtQueryReverseDirection,
        EvtRender, EvtRenderEventXml, EvtSeek, EvtSeekRelativeToBookmark,
    },
};

use super::{narrow, wide};

/// The largest record that is rendered, bytes of UTF-16. The limit of the log is lower.
const MAX_RENDERED_BYTES: u32 = 4 << 20;

/// An error code; zero if a call failed without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::windows) struct Failure(pub(in crate::windows) u32);

impl Failure {
    fn last() -> Self {
        // SAFETY: it takes nothing and only reads.
        Self(unsafe { GetLastError() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the event log's interface gave nothing and no reason"),
            code => {
                let words = io::Error::from_raw_os_error(code.cast_signed()).to_string();
                let words = words.strip_suffix(&format!(" (os error {code})")).unwrap_or(&words);
                write!(f, "error {code}, {}", words.trim_end_matches('.'))
            }
        }
    }
}

/// A handle of the event log. It is closed when it is dropped.
pub(in crate::windows) struct Handle(EVT_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle comes from the event log, is not null, and is closed here alone.
        unsafe { EvtClose(self.0) };
    }
}

/// Queries the records of a channel with an XPath expression, newest first.
pub(in crate::windows) fn query(channel: &str, select: &str) -> Result<Handle, Failure> {
    let (channel, select) = (wide(channel), wide(select));
    // SAFETY: both texts end with a zero. The number is cleared, so that one that was there before is not taken for
    // this call's.
    let query = unsafe {
        SetLastError(0);
        EvtQuery(0, channel.as_ptr(), select.as_ptr(), EvtQueryChannelPath | EvtQueryReverseDirection)
    };
    if query == 0 { Err(Failure::last()) } else { Ok(Handle(query)) }
}

/// Moves a query to a record of the channel by its id, without looking at those in between.
pub(in crate::windows) fn seek(query: &Handle, channel: &str, record_id: u64) -> Result<(), Failure> {
    let xml =
        format!("<BookmarkList><Bookmark Channel='{channel}' RecordId='{record_id}' IsCurrent='true'/></BookmarkList>");
    let xml = wide(&xml);
    // SAFETY: the text ends with a zero.
    let bookmark = unsafe {
        SetLastError(0);
        EvtCreateBookmark(xml.as_ptr())
    };
    if bookmark == 0 {
        return Err(Failure::last());
    }
    let bookmark = Handle(bookmark);
    // SAFETY: both are open. There is no time limit, as the interface demands.
    let is_there = unsafe {
        SetLastError(0);
        EvtSeek(query.0, 0, bookmark.0, 0, EvtSeekRelativeToBookmark) != 0
    };
    if is_there { Ok(()) } else { Err(Failure::last()) }
}

/// The next records of a query, at most `most`; none at the end.
pub(in crate::windows) fn next(query: &Handle, most: u32, timeout_ms: u32) -> Result<Vec<Handle>, Failure> {
    let mut events = vec![0; most as usize];
    let mut returned = 0;
    // SAFETY: the query is open, and there is room for as many handles as are said.
    let found = unsafe {
        SetLastError(0);
        EvtNext(query.0, most, events.as_mut_ptr(), timeout_ms, 0, &mut returned) != 0
    };
    if found {
        // Only these are handles. From here on, each is closed.
        return Ok(events.into_iter().take(returned as usize).filter(|event| *event != 0).map(Handle).collect());
    }
    match Failure::last() {
        Failure(ERROR_NO_MORE_ITEMS) => Ok(Vec::new()),
        failure => Err(failure),
    }
}

/// A record as XML. The buffer is reused.
pub(in crate::windows) fn render(event: &Handle, buffer: &mut Vec<u16>) -> Result<String, Failure> {
    loop {
        let bytes = u32::try_from(buffer.len() * 2).unwrap_or(MAX_RENDERED_BYTES);
        let (mut used_bytes, mut properties) = (0, 0);
        // SAFETY: the record is open, the buffer has as many bytes as are said, and both numbers live through the call.
        let rendered = unsafe {
            SetLastError(0);
            let buffer = if bytes == 0 { ptr::null_mut() } else { buffer.as_mut_ptr().cast() };
            EvtRender(0, event.0, EvtRenderEventXml, bytes, buffer, &mut used_bytes, &mut properties) != 0
        };
        if rendered {
            let text = buffer.get(..(used_bytes as usize).div_ceil(2)).unwrap_or(buffer);
            return Ok(narrow(text));
        }
        let failure = Failure::last();
        if failure != Failure(ERROR_INSUFFICIENT_BUFFER) || used_bytes <= bytes || used_bytes > MAX_RENDERED_BYTES {
            return Err(failure);
        }
        buffer.resize((used_bytes as usize).div_ceil(2), 0);
    }
}

//! The fuzz target of SMTP replies; see [`crate::fuzzing`].

use super::smtp::{
    capabilities::Capabilities,
    reply::{MAX_LINE_BYTES, MAX_LINES, MAX_REPLY_BYTES, MalformedReply, Progress, Reply, ReplyParser},
};

/// Parses the bytes of a mail server after the first byte, which determines how they are split. Checks that the result
/// does not depend on this, that limits hold, and that capabilities are words of the reply.
pub fn smtp_reply(data: &[u8]) {
    let Some((size, said)) = data.split_first() else { return };
    let whole = Reply::parse(said);
    assert_eq!(in_pieces(said, usize::from(*size).max(1)), whole);
    let Ok(Some((reply, used))) = whole else { return };
    assert!(used <= said.len() && used <= MAX_REPLY_BYTES);
    assert!((200..=599).contains(&reply.code()));
    assert!((1..=MAX_LINES).contains(&reply.lines().len()));
    // An invalid UTF-8 byte becomes three bytes.
    assert!(reply.lines().iter().all(|line| line.len() <= 3 * MAX_LINE_BYTES && !line.contains('\n')));
    assert!(!reply.words().contains('\n'));
    let offered = Capabilities::parse(&reply);
    assert!(offered.mechanisms.len() <= 16 && offered.mechanisms.iter().all(|name| name.len() <= 20));
}

fn in_pieces(said: &[u8], size: usize) -> Result<Option<(Reply, usize)>, MalformedReply> {
    let mut parser = ReplyParser::default();
    let mut before = 0;
    for piece in said.chunks(size) {
        match parser.push(piece)? {
            Progress::Done { reply, used } => return Ok(Some((reply, before + used))),
            Progress::More => before += piece.len(),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_mail_servers_is_replayed() {
        support::replay("smtp_reply", super::smtp_reply);
    }
}

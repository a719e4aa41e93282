//! Splits a mail that is too large: the text first, with the attachments spread over several mails. If these would be too
//! many, the attachments are compressed. If that is not possible either, only the text remains, with the command that
//! prints the rest. Pure. The outbox replaces the mail.

use lettre::message::Mailbox;
use uuid::Uuid;

use crate::fleet::mail::{Attachment, COMPRESSED, Mail};

use super::message::EncodedMail;

/// The most mails that one mail is split into.
const MOST_PARTS: usize = 20;

/// The smallest mail with a part of a list, bytes. With a lower limit, there would be too many parts.
const SMALLEST_PART: u64 = 32 * 1024;

/// Reserve for sentences that are added to the text, bytes.
const NOTES: u64 = 2048;

/// How often a mail is split without knowing the limit.
const BLIND_SPLITS: u32 = 2;

/// How often a list is cut into smaller files before this counts as impossible.
const CUTS: usize = 6;

/// The size of an encoded mail with its headers, bytes. 0 if it cannot be encoded.
#[must_use]
pub fn size_of(from: &Mailbox, mail: &Mail) -> u64 {
    EncodedMail::new(from, mail).map_or(0, |letter| letter.content.len() as u64)
}

/// The data about a mail that is too large.
pub struct TooLarge<'a> {
    /// How often it was split already.
    pub splits: u32,
    /// The largest mail that the server accepts, if it announces this.
    pub limit_bytes: Option<u64>,
    /// The size of an encoded mail with its headers.
    pub size_of: &'a dyn Fn(&Mail) -> u64,
}

/// The mails that replace one that is too large. The first has its id. `None` if nothing can be omitted.
#[must_use]
pub fn resized(mail: &Mail, known: &TooLarge<'_>, new_id: &mut dyn FnMut() -> Uuid) -> Option<Vec<Mail>> {
    // RFC 1870: 0 means no limit.
    let limit = known.limit_bytes.filter(|limit| *limit > 0).map(|limit| limit - (limit / 100 + 512).min(limit / 2));
    let size = (known.size_of)(mail);
    let exceeded = limit.filter(|limit| size > *limit);
    if mail.attachments.is_empty() {
        return shortened(mail, exceeded?, known.size_of).map(|mail| vec![mail]);
    }
    // If a mail within the limit is refused, there is another limit, which is unknown.
    let target = exceeded.or_else(|| (known.splits < BLIND_SPLITS).then(|| size / (2 << known.splits)));
    let parts = target.filter(|target| *target >= SMALLEST_PART).and_then(|target| {
        split(mail, target, known.size_of, new_id).or_else(|| {
            let compressed = compressed(mail)?;
            match (known.size_of)(&compressed) {
                size if size <= target => Some(vec![compressed]),
                _ => split(&compressed, target, known.size_of, new_id),
            }
        })
    });
    parts.or_else(|| {
        let bare = stripped(mail);
        match limit {
            Some(limit) if (known.size_of)(&bare) > limit => {
                Some(vec![shortened(&bare, limit, known.size_of).unwrap_or(bare)])
            }
            Some(_) | None => Some(vec![bare]),
        }
    })
}

/// Distributes the attachments over mails of at most `target` bytes.
fn split(
    mail: &Mail,
    target: u64,
    size_of: &dyn Fn(&Mail) -> u64,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Option<Vec<Mail>> {
    let bare = Mail { attachments: Vec::new(), ..mail.clone() };
    let mut room = target.checked_sub(size_of(&bare) + NOTES)?;
    let room_of_others = target.checked_sub(NOTES)?;
    // Encoded in a mail of its own, which is a little more than the real size.
    let weight = |attachment: &Attachment| {
        size_of(&Mail { body: String::new(), attachments: vec![attachment.clone()], ..mail.clone() })
    };
    let mut loads: Vec<Vec<Attachment>> = vec![Vec::new()];
    for attachment in &mail.attachments {
        for piece in cut(attachment, room_of_others, &weight)? {
            let piece_weight = weight(&piece);
            if piece_weight > room {
                loads.push(Vec::new());
                room = room_of_others;
            }
            room = room.saturating_sub(piece_weight);
            loads.last_mut()?.push(piece);
        }
    }
    let count = loads.len();
    if !(2..=MOST_PARTS).contains(&count) {
        return None;
    }
    let part = |(number, attachments): (usize, Vec<Attachment>)| {
        let is_first = number == 1;
        let names: Vec<&str> = attachments.iter().map(|attachment| attachment.file_name.as_str()).collect();
        let body = if is_first {
            let command =
                mail.export_command.as_deref().map(|command| format!("\nThis prints all of it, too:\n  {command}\n"));
            format!(
                "This mail was too large and is split: this is part 1 of {count}. What is said below to be \
                 attached comes in pieces with these parts.\n{}\n{}",
                command.unwrap_or_default(),
                mail.body
            )
        } else {
            format!(
                "This is part {number} of {count} of a mail that was too large:\n{}\n\nAttached: {}\n",
                mail.subject,
                names.join(", ")
            )
        };
        Mail {
            id: if is_first { mail.id } else { new_id() },
            subject: format!("{} (part {number} of {count})", mail.subject),
            body,
            thread: if is_first || !mail.thread.is_empty() { mail.thread.clone() } else { vec![mail.id] },
            attachments,
            ..mail.clone()
        }
    };
    Some((1..).zip(loads).map(part).collect())
}

/// The same mail with compressed attachments; `None` if they are compressed already.
fn compressed(mail: &Mail) -> Option<Mail> {
    if mail.attachments.iter().all(Attachment::is_compressed) {
        return None;
    }
    let attachments = mail.attachments.iter().map(Attachment::compressed).collect();
    let body = format!(
        "This mail was too large. The attached files are compressed (gzip): their names end with \
         {COMPRESSED}.\n\n{}",
        mail.body
    );
    Some(Mail { body, attachments, ..mail.clone() })
}

/// Cuts a list into files with a size of at most `room`, each with the first line as its heading. `None` if a single
/// line is too large.
fn cut(attachment: &Attachment, room: u64, weight: &dyn Fn(&Attachment) -> u64) -> Option<Vec<Attachment>> {
    let whole = weight(attachment);
    if whole <= room {
        return Some(vec![attachment.clone()]);
    }
    // This would be far too many files.
    if whole / (2 * MOST_PARTS as u64) > room {
        return None;
    }
    let head = attachment.text.split_inclusive('\n').next().unwrap_or_default();
    let lines: Vec<&str> = attachment.text.split_inclusive('\n').skip(1).collect();
    let mut count = usize::try_from(whole.div_ceil(room.max(1))).ok()?;
    for _ in 0..CUTS {
        count += 1;
        if count > 2 * MOST_PARTS {
            return None;
        }
        let most = attachment.text.len() / count;
        let mut texts: Vec<String> = Vec::new();
        for line in &lines {
            match texts.last_mut() {
                Some(text) if text.len() + line.len() <= most => text.push_str(line),
                Some(_) | None => texts.push(format!("{head}{line}")),
            }
        }
        let pieces = texts.len();
        let name = attachment.file_name.strip_suffix(COMPRESSED).unwrap_or(&attachment.file_name);
        let at = name.rfind('.').unwrap_or(name.len());
        let (stem, ending) = attachment.file_name.split_at_checked(at).unwrap_or((name, ""));
        let piece = |(number, text): (usize, String)| Attachment {
            file_name: format!("{stem}-{number}of{pieces}{ending}"),
            text: text.into(),
        };
        let files: Vec<Attachment> = (1..).zip(texts).map(piece).collect();
        if files.iter().all(|file| weight(file) <= room) {
            return Some(files);
        }
    }
    None
}

/// Only the text.
fn stripped(mail: &Mail) -> Mail {
    let command = mail.export_command.as_deref().unwrap_or("fleetsweep export events");
    let body = format!(
        "This mail was too large. What is said below to be attached is left out: this prints it:\n  \
         {command}\n\n{}",
        mail.body
    );
    Mail { body, attachments: Vec::new(), export_command: None, ..mail.clone() }
}

/// The beginning of the text; `None` if not even a small part fits.
fn shortened(mail: &Mail, limit: u64, size_of: &dyn Fn(&Mail) -> u64) -> Option<Mail> {
    const CUT: &str = "\n[cut here: the mail was too large]\n";
    let mut keep = mail.body.len();
    loop {
        keep -= keep.div_ceil(8);
        let at = (0..=keep).rev().find(|at| mail.body.is_char_boundary(*at))?;
        let text = mail.body.get(..at)?.trim_end();
        if text.is_empty() {
            return None;
        }
        let mail = Mail { body: format!("{text}{CUT}"), ..mail.clone() };
        if size_of(&mail) <= limit {
            return Some(mail);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::mail::MailKind;

    fn size_of(mail: &Mail) -> u64 {
        super::size_of(&"fleetsweep@mon.example.com".parse().unwrap(), mail)
    }

    fn list(name: &str, lines: usize, line: &str) -> Attachment {
        let text: String = (0..lines).map(|number| format!("{number}\t{line}\n")).collect();
        Attachment { file_name: name.into(), text: format!("number\tline\n{text}").into() }
    }

    fn mail(attachments: Vec<Attachment>) -> Mail {
        Mail {
            id: Uuid::from_u128(1),
            kind: MailKind::Events,
            recipient: "ops@example.com".into(),
            subject: "[fleetsweep] db: 9 security events".into(),
            body: "db\n\n9 security events.\n".repeat(20),
            attachments,
            thread: Vec::new(),
            export_command: Some("fleetsweep export events --client db".into()),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn resize(mail: &Mail, splits: u32, limit_bytes: Option<u64>) -> Option<Vec<Mail>> {
        let mut number = 100;
        let mut new_id = || {
            number += 1;
            Uuid::from_u128(number)
        };
        resized(mail, &TooLarge { splits, limit_bytes, size_of: &size_of }, &mut new_id)
    }

    /// The numbers of the received lines, in order.
    fn lines(mails: &[Mail]) -> Vec<String> {
        let files = mails.iter().flat_map(|mail| &mail.attachments);
        files
            .flat_map(|file| file.text.lines().skip(1).map(|line| line.split('\t').next().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn a_list_is_spread_over_mails_within_the_limit_and_no_line_is_lost() {
        // Texts that are encoded as base64 and as quoted-printable.
        for line in ["plain text of an event", "ünï¢ödé — ✓", &"long ".repeat(300)] {
            let mail = mail(vec![list("a.txt", 3000, line), list("b.txt", 500, line)]);
            let limit = size_of(&mail) / 3;
            let parts = resize(&mail, 0, Some(limit)).unwrap();
            assert!((4..=6).contains(&parts.len()), "{}", parts.len());
            assert!(parts.iter().all(|part| size_of(part) <= limit));
            let all: Vec<String> = (0..3000).chain(0..500).map(|number| number.to_string()).collect();
            assert_eq!(lines(&parts), all);
            let [first, others @ ..] = parts.as_slice() else { panic!() };
            assert_eq!(first.id, mail.id, "its Message-ID stays");
            assert!(first.body.contains("fleetsweep export events --client db") && first.body.ends_with(&mail.body));
            for (number, other) in (2..).zip(others) {
                assert_eq!(other.thread, [mail.id]);
                assert_eq!(other.subject, format!("{} (part {number} of {})", mail.subject, parts.len()));
                assert!(other.attachments.iter().all(|file| other.body.contains(&file.file_name)));
            }
        }
    }

    #[test]
    fn without_a_limit_it_becomes_smaller_twice_and_then_the_text_goes_alone() {
        let whole = mail(vec![list("a.txt", 20_000, "an event of some length"), list("b.txt", 20_000, "an event")]);
        for limit in [None, Some(0), Some(u64::MAX)] {
            let once = resize(&whole, 0, limit).unwrap();
            assert!(once.len() > 1 && once.iter().all(|part| size_of(part) <= size_of(&whole) / 2));
            let twice = resize(&once[0], 1, limit).unwrap();
            assert!(twice.len() > 1 && twice.iter().all(|part| size_of(part) <= size_of(&once[0]) / 4));
            let thrice = resize(&twice[0], 2, limit).unwrap();
            let [bare] = thrice.as_slice() else { panic!("{}", thrice.len()) };
            assert!(bare.attachments.is_empty() && bare.body.contains("export events --client db"));
            assert_eq!(resize(bare, 3, limit), None, "nothing can be left out any more");
        }
    }

    #[test]
    fn an_absurd_limit_leaves_the_text_as_far_as_it_goes() {
        let whole = mail(vec![list("a.txt", 2000, "an event")]);
        for (limit, expected) in [(30_000, "whole"), (1_300, "cut")] {
            let parts = resize(&whole, 0, Some(limit)).unwrap();
            let [bare] = parts.as_slice() else { panic!("{}", parts.len()) };
            assert!(bare.attachments.is_empty() && size_of(bare) <= limit, "{limit}: {}", size_of(bare));
            assert!(bare.body.contains("export events --client db"), "{}", bare.body);
            assert_eq!(bare.body.contains("[cut here"), expected == "cut", "{limit}");
        }
        // Not even the headers fit, so it waits.
        let bare = resize(&whole, 0, Some(100)).unwrap().remove(0);
        assert_eq!(resize(&bare, 1, Some(100)), None);
        // A mail without attachments is truncated if that helps.
        let text = Mail { body: "memory 91 %\n".repeat(500), ..mail(Vec::new()) };
        let cut = resize(&text, 0, Some(4_000)).unwrap().remove(0);
        assert!(size_of(&cut) <= 4_000 && cut.body.starts_with("memory 91 %\nmemory") && cut.id == text.id);
        assert_eq!(resize(&text, 0, None), None);
    }

    #[test]
    fn a_list_that_cannot_be_cut_or_would_be_scattered_is_left_out() {
        // Neither a single line nor many lines become small enough.
        let file = |text: String| mail(vec![Attachment { file_name: "a.txt".into(), text: text.into() }]);
        let random: String = std::iter::repeat_with(|| Uuid::new_v4().simple().to_string()).take(90_000).collect();
        for (text, limit) in [(random.clone(), 100_000), (random.replace("00", "0\n"), 40_000)] {
            let parts = resize(&file(text), 0, Some(limit)).unwrap();
            assert_eq!((parts.len(), parts[0].attachments.len()), (1, 0), "{limit}");
        }
    }

    #[test]
    fn a_list_that_would_be_too_many_parts_is_compressed() {
        // As one file and as several, and a line that cannot be cut.
        for (file, limit, several) in [
            (list("a.txt", 100_000, &"event ".repeat(20)), 600_000, false),
            (list("a.txt", 100_000, &"event ".repeat(10)), 100_000, true),
            (list("a.txt", 1, &"x".repeat(200_000)), 100_000, false),
        ] {
            let whole = mail(vec![file.clone()]);
            let parts = resize(&whole, 0, Some(limit)).unwrap();
            assert_eq!(parts.len() > 1, several, "{limit}: {}", parts.len());
            assert!(parts.iter().all(|part| size_of(part) <= limit));
            assert!(parts.iter().flat_map(|part| &part.attachments).all(Attachment::is_compressed));
            assert_eq!(lines(&parts), lines(&[whole]));
            assert!(parts[0].body.contains("compressed (gzip)"), "{}", parts[0].body);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_part_keeps_to_the_limit(
            sizes in proptest::collection::vec(1_usize..4000, 1..4),
            line in "[a-zA-Zäöü=\t ]{1,80}",
            limit in 33_000_u64..400_000,
        ) {
            let files = sizes.iter().enumerate().map(|(number, lines)| list(&format!("{number}.txt"), *lines, &line));
            let mail = mail(files.collect());
            prop_assume!(size_of(&mail) > limit);
            let parts = resize(&mail, 0, Some(limit)).unwrap();
            for part in &parts {
                prop_assert!(size_of(part) <= limit);
            }
            if parts[0].attachments.is_empty() && parts.len() == 1 {
                prop_assert!(parts[0].body.contains("export events"));
            } else {
                prop_assert_eq!(lines(&parts).len(), sizes.iter().sum::<usize>());
            }
        }
    }
}

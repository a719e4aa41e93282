//! Fills the placeholders of a template with the fields of a record, to make a readable line. Pure. Fields are never
//! interpreted as templates.

use std::fmt::Write;

use super::{
    record::Record,
    templates::{FAILED, TEMPLATES},
    titles::{OTHER_TITLES, TITLES},
    words::{self, cut},
};

/// The longest message, bytes.
const MAX_MESSAGE_BYTES: usize = 4 << 10;
/// The longest message about an event without a template, bytes.
const MAX_UNKNOWN_BYTES: usize = 1 << 10;

/// The message of an event, in one line.
pub(super) fn message(record: &Record) -> String {
    let find = |table: &'static [(u32, &str)]| {
        let found = table.binary_search_by_key(&record.event_id, |(id, _)| *id).ok()?;
        table.get(found).map(|(_, template)| *template)
    };
    let failed = if record.is_failure() { find(FAILED) } else { None };
    let message = match (failed, find(TEMPLATES)) {
        (Some(template), _) => fill(template, record),
        // If the template itself does not say it.
        (None, Some(template)) if record.is_failure() && !says_failure(template) => {
            format!("Failed: {}", fill(template, record))
        }
        (None, Some(template)) => fill(template, record),
        (None, None) => unknown(record, find(TITLES)),
    };
    cut(message, MAX_MESSAGE_BYTES)
}

fn says_failure(template: &str) -> bool {
    ["ailed", "refused", "denied", "blocked", "dropped", "could not", "wrong", "Replayed", "prevented"]
        .iter()
        .any(|word| template.contains(word))
}

/// A part of a template: the whole, or a part in brackets.
#[derive(Default)]
struct Part {
    text: String,
    /// Whether one of its placeholders was empty.
    incomplete: bool,
}

fn fill(template: &str, record: &Record) -> String {
    // The whole at the bottom, and the open brackets above.
    let mut whole = Part::default();
    let mut open: Vec<Part> = Vec::new();
    let mut rest = template;
    loop {
        let at = rest.find(['{', '[', ']']).unwrap_or(rest.len());
        let Some((plain, tail)) = rest.split_at_checked(at) else { break };
        open.last_mut().unwrap_or(&mut whole).text.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some('[') => open.push(Part::default()),
            Some(']') => {
                if let Some(part) = open.pop()
                    && !part.incomplete
                {
                    open.last_mut().unwrap_or(&mut whole).text.push_str(&part.text);
                }
            }
            Some(_) => {
                let (gap, after) = tail.as_str().split_once('}').unwrap_or((tail.as_str(), ""));
                let part = open.last_mut().unwrap_or(&mut whole);
                // A code without a meaning is only shown if nothing else says why.
                let meaning =
                    gap.split('|').find_map(|field| value(field, record).filter(|_| has_meaning(field, record)));
                match meaning.or_else(|| gap.split('|').find_map(|field| value(field, record))) {
                    Some(value) => part.text.push_str(&value),
                    None => part.incomplete = true,
                }
                rest = after;
                continue;
            }
            None => break,
        }
        rest = tail.as_str();
    }
    whole.text
}

/// Whether the value of a placeholder is more than a number.
fn has_meaning(gap: &str, record: &Record) -> bool {
    let (name, way) = gap.split_once(':').unwrap_or((gap, ""));
    !matches!(way, "status" | "kerberos") || record.field(name).is_some_and(|field| words::is_known(field, way))
}

/// The value of a placeholder.
fn value(gap: &str, record: &Record) -> Option<String> {
    if let Some(who) = gap.strip_prefix('@') {
        return match who {
            "Target" => account(record, &["TargetUserName"], &["TargetDomainName"], &["TargetUserSid", "TargetSid"]),
            "Subject" => account(record, &["SubjectUserName"], &["SubjectDomainName"], &["SubjectUserSid"]),
            "Member" => account(record, &["MemberName"], &[], &["MemberSid"]),
            "Account" => account(record, &["AccountName"], &["AccountDomain"], &[]),
            "Task" => record.task.clone(),
            _ => None,
        };
    }
    let (name, way) = gap.split_once(':').unwrap_or((gap, ""));
    let field = record.field(name)?;
    match way {
        "status" => words::status(field),
        "kerberos" => words::kerberos(field),
        "logon" => Some(words::logon(field)),
        "cipher" => words::cipher(field),
        "protocol" => Some(words::protocol(field)),
        "rights" => Some(words::rights(field)),
        "trust" => Some(words::trust(field)),
        _ if field.starts_with("S-1-") => Some(words::identity(field)),
        // An IPv4 address is sometimes written as an IPv6 address.
        _ => Some(words::plain(field.strip_prefix("::ffff:").unwrap_or(field))),
    }
}

/// `DOMAIN\name`, or the identity if there is no name.
fn account(record: &Record, names: &[&str], domains: &[&str], identities: &[&str]) -> Option<String> {
    let first = |fields: &[&str]| fields.iter().find_map(|field| record.field(field));
    match (first(names), first(domains)) {
        // A name with its own domain, or a distinguished name.
        (Some(name), Some(_)) if name.contains(['@', '\\']) => Some(name.to_owned()),
        (Some(name), Some(domain)) => Some(format!("{domain}\\{name}")),
        (Some(name), None) => Some(name.to_owned()),
        // The SID of "nobody" is not an account.
        (None, _) => first(identities).filter(|sid| *sid != "S-1-0-0").map(words::identity),
    }
}

/// The account of an event: the new member of a group, otherwise the target, otherwise the subject.
pub(super) fn user(record: &Record) -> Option<String> {
    if record.event_id == 4740 {
        // Here the domain is the computer from which the attempts came.
        return record.field("TargetUserName").map(str::to_owned);
    }
    let renamed = account(record, &["NewTargetUserName"], &["TargetDomainName"], &[]);
    ["@Member", "@Target", "@Account", "@Subject"]
        .into_iter()
        .fold(renamed, |user, who| user.or_else(|| value(who, record)))
}

/// The message of an event of another log than the security log, where numbers have other meanings.
pub(super) fn of_other(record: &Record) -> String {
    let title = OTHER_TITLES
        .iter()
        .find(|(provider, id, _)| *provider == record.provider && *id == record.event_id)
        .map(|(_, _, title)| *title);
    unknown(record, title)
}

fn unknown(record: &Record, title: Option<&str>) -> String {
    let mut message = match title {
        Some(title) if record.is_failure() && !says_failure(title) => format!("Failed: {title}"),
        Some(title) => title.to_owned(),
        None => format!("Event {}", record.event_id),
    };
    if title.is_none() && !record.provider.is_empty() {
        let _ = write!(message, " of {}", record.provider);
    }
    let mut separator = ": ";
    for (name, _) in &record.fields {
        let Some(value) = record.field(name) else { continue };
        if message.len() >= MAX_UNKNOWN_BYTES {
            break;
        }
        let _ = write!(message, "{separator}{name}={}", words::plain(value));
        separator = ", ";
    }
    cut(message, MAX_UNKNOWN_BYTES)
}

#[cfg(test)]
mod tests;

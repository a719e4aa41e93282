//! The text of a mail about security events: a section for each class, a line for each group, and who and from where.

use serde::Serialize;

use crate::{
    fleet::{
        reading::clean,
        security::{
            digest::{self, ClassCount, Group},
            short_source,
            tally::Tally,
        },
        units::counted,
    },
    mail::words,
};

/// How many groups the text shows, if not every class has many.
const GROUPS: usize = 24;

/// The longest message of a group, in characters.
const MESSAGE_CHARS: usize = 160;

/// The longest name of an account or another machine, in characters.
const VALUE_CHARS: usize = 48;

/// The longest name of a program, in characters.
const SOURCE_CHARS: usize = 40;

/// The groups of one class.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    title: String,
    groups: Vec<GroupFacts>,
    /// What is omitted, in words.
    left_out: Option<String>,
}

#[derive(Debug, Serialize)]
struct GroupFacts {
    count: String,
    time: String,
    source: String,
    message: String,
    /// Who and from where, if there are several.
    details: Vec<String>,
}

/// The number of events of a class, and how many of them are routine.
pub(super) fn count_in_words(count: ClassCount) -> String {
    let words = counted(count.all, count.class.spec().words);
    match count.routine {
        0 => words,
        routine if routine == count.all => format!("{words} (routine)"),
        routine => format!("{words} ({routine} routine)"),
    }
}

/// The groups by class. Each class gets some lines before the most important ones get more.
pub(super) fn sections(all: &[Group<'_>]) -> Vec<Section> {
    let by_class: Vec<&[Group<'_>]> = all.chunk_by(|one, next| one.class == next.class).collect();
    let of_each = |groups: &[Group<'_>]| groups.first().map_or(0, |group| group.class.spec().groups);
    let first = by_class.iter().map(|groups| groups.len().min(of_each(groups))).sum::<usize>();
    let mut room = GROUPS.saturating_sub(first);
    let mut sections = Vec::new();
    for groups in by_class {
        let more = groups.len().saturating_sub(of_each(groups)).min(room);
        room -= more;
        let (shown, others) = groups.split_at_checked(of_each(groups) + more).unwrap_or((groups, &[]));
        let Some(count) = digest::counts(groups).into_iter().next() else { continue };
        let times = others.iter().map(|group| group.count).fold(0, u64::saturating_add);
        sections.push(Section {
            title: count_in_words(count),
            groups: shown.iter().map(GroupFacts::of).collect(),
            left_out: (!others.is_empty()).then(|| {
                let kinds = counted(others.len() as u64, ("further kind", "further kinds"));
                format!("{kinds}, {},", counted(times, ("event", "events")))
            }),
        });
    }
    sections
}

impl GroupFacts {
    fn of(group: &Group<'_>) -> Self {
        let number = group.event_id.map(|id| format!("{id} ")).unwrap_or_default();
        let routine = group.routine.map(|routine| format!(" [{}]", routine.words())).unwrap_or_default();
        let details = [
            (&group.accounts, ("account", "accounts")),
            (&group.addresses, ("address", "addresses")),
            (&group.workstations, ("workstation", "workstations")),
        ];
        Self {
            count: format!("{:>5}×", group.count),
            time: words::span_of_their_clock(group.first_unix_ms, group.last_unix_ms),
            source: clean(short_source(group.source), SOURCE_CHARS),
            message: clean(&format!("{number}{}", group.message), MESSAGE_CHARS) + &routine,
            details: details.into_iter().filter_map(|(tally, words)| detail(tally, words, &group.message)).collect(),
        }
    }
}

/// `500 accounts: root (12), admin, … and 495 more`; `None` if the message already names the only one.
fn detail(tally: &Tally, (one, several): (&str, &str), message: &str) -> Option<String> {
    let shown = tally.top.iter().map(|(value, count)| {
        let value = clean(value, VALUE_CHARS);
        if *count == 1 || tally.distinct == 1 { value } else { format!("{value} ({count})") }
    });
    let shown: Vec<String> = shown.collect();
    match (tally.distinct, shown.as_slice()) {
        (0, _) => None,
        (1, [only]) => {
            let is_named = tally.top.iter().any(|(value, _)| message.contains(value.as_str()));
            (!is_named).then(|| format!("{one}: {only}"))
        }
        (distinct, _) => {
            let more = distinct - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("{distinct} {several}: {}{more}", shown.join(", ")))
        }
    }
}

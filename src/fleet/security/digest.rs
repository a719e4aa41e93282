//! Summarizes a security log in a few lines: groups of similar events, most important first, and what a subject has to
//! name. It does not judge the client.

use std::collections::HashMap;

use super::{
    SecurityEvent,
    class::Class,
    common::Common,
    judged::{Judged, Kind, judge},
    routine::{Routine, Visitor},
    shape::Shape,
    tally::{Counter, Tally},
};
use crate::fleet::units::counted;

/// A group of events that mean the same: of one number with the same deciding fields, or of one kind of message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// Their class.
    pub class: Class,
    /// Who does it all the time; `None` if it is not routine.
    pub routine: Option<Routine>,
    /// The program or provider that wrote them.
    pub source: &'a str,
    /// Their event id; `None` if the log has none.
    pub event_id: Option<u32>,
    /// Their message, with `…` for the parts that differ.
    pub message: String,
    /// The time of the earliest, by the client's clock.
    pub first_unix_ms: i64,
    /// The time of the latest.
    pub last_unix_ms: i64,
    /// How many times it happened. One record can be about several.
    pub count: u64,
    /// The accounts concerned.
    pub accounts: Tally,
    /// The addresses that it came from.
    pub addresses: Tally,
    /// The names of the machines that it came from.
    pub workstations: Tally,
    /// Their indices in the log; never empty.
    pub events: Vec<usize>,
    headline: Option<&'static str>,
    powerful_group: Option<&'static str>,
}

/// How often events of a class happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub class: Class,
    /// All of them.
    pub all: u64,
    /// Those that are routine.
    pub routine: u64,
}

/// The key of a group.
#[derive(PartialEq, Eq, Hash)]
struct Likeness<'a> {
    class: Class,
    routine: Option<Routine>,
    source: &'a str,
    event_id: Option<u32>,
    headline: Option<&'static str>,
    powerful_group: Option<&'static str>,
    kind: Kind<'a>,
}

/// A group while it is built.
struct Building<'a> {
    group: Group<'a>,
    text: Text<'a>,
    accounts: Counter<'a>,
    addresses: Counter<'a>,
    workstations: Counter<'a>,
}

/// The common text of the messages of a group.
enum Text<'a> {
    Shape(Shape<'a>),
    Words(Common<'a>),
}

impl<'a> Building<'a> {
    fn new(event: &'a SecurityEvent, judged: &Judged<'a>, has_shape: bool) -> Self {
        let text =
            if has_shape { Text::Shape(Shape::of(&event.message)) } else { Text::Words(Common::of(&event.message)) };
        Self {
            group: Group {
                class: judged.class,
                routine: judged.routine,
                source: &event.source,
                event_id: event.event_id,
                message: String::new(),
                first_unix_ms: event.occurred_unix_ms,
                last_unix_ms: event.occurred_unix_ms,
                count: 0,
                accounts: Tally::default(),
                addresses: Tally::default(),
                workstations: Tally::default(),
                events: Vec::new(),
                headline: judged.headline,
                powerful_group: judged.powerful_group,
            },
            text,
            accounts: Counter::default(),
            addresses: Counter::default(),
            workstations: Counter::default(),
        }
    }

    fn add(&mut self, index: usize, event: &'a SecurityEvent, judged: &Judged<'a>) {
        let (at_ms, count) = (event.occurred_unix_ms, judged.count);
        self.group.first_unix_ms = self.group.first_unix_ms.min(at_ms);
        self.group.last_unix_ms = self.group.last_unix_ms.max(at_ms);
        self.group.count = self.group.count.saturating_add(count);
        self.group.events.push(index);
        match &mut self.text {
            Text::Shape(shape) => shape.meet(&Shape::of(&event.message)),
            Text::Words(words) => words.meet(&event.message),
        }
        self.accounts.add(judged.account, count);
        self.addresses.add(judged.address, count);
        self.workstations.add(judged.workstation, count);
    }

    fn finish(self) -> Group<'a> {
        Group {
            message: match self.text {
                Text::Shape(shape) => shape.text(),
                Text::Words(words) => words.text(),
            },
            accounts: self.accounts.finish(),
            addresses: self.addresses.finish(),
            workstations: self.workstations.finish(),
            ..self.group
        }
    }
}

/// Puts each event into exactly one group. The most important classes come first, and routine last in each. Failures are
/// sorted by frequency. Of the others, each kind is shown once before one is shown again, and the rarest come first,
/// because unusual events are more interesting than a job that becomes root every minute.
#[must_use]
pub fn groups<'a>(events: &'a [SecurityEvent], visitor: Visitor<'a>) -> Vec<Group<'a>> {
    let mut places: HashMap<Likeness<'_>, usize> = HashMap::new();
    let mut found: Vec<Building<'_>> = Vec::new();
    for (index, (event, mut judged)) in events.iter().zip(judge(events, visitor)).enumerate() {
        let kind = std::mem::replace(&mut judged.kind, Kind::Pattern(0));
        let has_shape = matches!(kind, Kind::Words(_));
        let (class, routine, source, event_id) = (judged.class, judged.routine, event.source.as_str(), event.event_id);
        let (headline, powerful_group) = (judged.headline, judged.powerful_group);
        let likeness = Likeness { class, routine, source, event_id, headline, powerful_group, kind };
        let place = *places.entry(likeness).or_insert(found.len());
        if place == found.len() {
            found.push(Building::new(event, &judged, has_shape));
        }
        if let Some(building) = found.get_mut(place) {
            building.add(index, event, &judged);
        }
    }
    in_order(found.into_iter().map(Building::finish).collect())
}

fn in_order(mut groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    groups.sort_by_key(|group| {
        let count = i64::try_from(group.count).unwrap_or(i64::MAX);
        let by_frequency = match group.class {
            Class::FailedLogin | Class::Failure | Class::Intrusion => -count,
            Class::Tampering
            | Class::Grant
            | Class::Installation
            | Class::PrivilegedLogin
            | Class::AccountChange
            | Class::Other => count,
        };
        (group.class, by_frequency, group.first_unix_ms)
    });
    let mut seen: HashMap<(Class, Option<u32>, &str), usize> = HashMap::new();
    let mut ranked: Vec<(usize, Group<'_>)> = groups
        .into_iter()
        .map(|group| {
            let times = seen.entry((group.class, group.event_id, group.source)).or_default();
            *times += 1;
            (if group.event_id.is_some() && group.class != Class::FailedLogin { *times } else { 1 }, group)
        })
        .collect();
    ranked.sort_by_key(|(times, group)| (group.class, group.routine.is_some(), group.powerful_group.is_none(), *times));
    ranked.into_iter().map(|(_, group)| group).collect()
}

/// How often events of each class happened, most important first, without those that did not.
#[must_use]
pub fn counts(groups: &[Group<'_>]) -> Vec<ClassCount> {
    let sum = |class: Class, only_routine: bool| {
        let of_class = groups.iter().filter(|group| group.class == class);
        let counted = of_class.filter(|group| !only_routine || group.routine.is_some());
        counted.map(|group| group.count).fold(0, u64::saturating_add)
    };
    let count = |class: Class| ClassCount { class, all: sum(class, false), routine: sum(class, true) };
    Class::all().map(count).filter(|count| count.all > 0).collect()
}

/// A grave class as a subject names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// What happened: `member added to Administrators, 2× account created`.
    pub detailed: String,
    /// The class alone: `3 grants`.
    pub short: String,
}

/// The grave classes of groups, most important first. Only words of this program and names of well-known groups are in
/// them, nothing that somebody else chose.
#[must_use]
pub fn headlines(groups: &[Group<'_>]) -> Vec<Headline> {
    let of_class = |class: Class| {
        let mut said: Vec<(String, u64)> = Vec::new();
        let (mut others, mut all) = (0_u64, 0_u64);
        for group in groups.iter().filter(|group| group.class == class && group.routine.is_none()) {
            all = all.saturating_add(group.count);
            let words = match (group.powerful_group, group.headline) {
                (Some(name), _) => format!("member added to {name}"),
                (None, Some(words)) => words.to_owned(),
                (None, None) => {
                    others = others.saturating_add(group.count);
                    continue;
                }
            };
            match said.iter_mut().find(|(known, _)| *known == words) {
                Some((_, count)) => *count = count.saturating_add(group.count),
                None => said.push((words, group.count)),
            }
        }
        let said = said.into_iter().map(|(words, count)| if count == 1 { words } else { format!("{count}× {words}") });
        let others = (others > 0).then(|| counted(others, class.spec().words));
        let detailed: Vec<String> = said.chain(others).collect();
        (all > 0).then(|| Headline { detailed: detailed.join(", "), short: counted(all, class.spec().brief) })
    };
    Class::all().filter(|class| class.spec().is_grave).filter_map(of_class).collect()
}

/// Whether a group is mailed at once, even if mails are gathered.
#[must_use]
pub fn is_urgent(groups: &[Group<'_>]) -> bool {
    groups.iter().any(|group| group.class.spec().is_urgent && group.routine.is_none())
}

#[cfg(test)]
mod tests;

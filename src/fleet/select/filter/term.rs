//! One term of a filter: what it tests, and whether a client matches it.

use std::fmt;

use jiff::Timestamp;

use super::needle::Needle;
use crate::fleet::{Metric, Phase, state::ClientView};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) negated: bool,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Anywhere(Needle),
    Text(Field, Vec<Needle>),
    State(Vec<State>),
    Alert(Vec<AlertTest>),
    Number(Quantity, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Ip,
    Host,
    Os,
    User,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Phase(Phase),
    Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlertTest {
    Yes,
    No,
    About(Metric),
}

/// A numeric property of a client. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Metric(Metric),
    Took,
    Age,
    Attempts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
}

pub(super) const FIELDS: [(&str, Field); 6] = [
    ("name", Field::Name),
    ("ip", Field::Ip),
    ("host", Field::Host),
    ("os", Field::Os),
    ("user", Field::User),
    ("error", Field::Error),
];

/// The keywords of every quantity; those of metrics come from the table of metrics. If there are two, the first is used
/// for output.
pub(super) fn quantities() -> impl Iterator<Item = (&'static str, Quantity)> {
    let stored = Metric::ALL.into_iter().filter(|metric| metric.spec().stored.is_some());
    let of_metrics = stored.flat_map(|metric| {
        let (short, word) = (metric.spec().short, metric.word());
        [Some(short), (word != short).then_some(word)]
            .into_iter()
            .flatten()
            .map(move |word| (word, Quantity::Metric(metric)))
    });
    of_metrics.chain([("took", Quantity::Took), ("age", Quantity::Age), ("attempts", Quantity::Attempts)])
}

/// Two-character operators come first, because the first match is used.
pub(super) const COMPARISONS: [(&str, Comparison); 5] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

impl Term {
    /// Whether a client matches it. `now` is needed for its age.
    pub(super) fn meets(&self, client: &ClientView, now: Timestamp) -> bool {
        self.test.meets(client, now) != self.negated
    }
}

impl Test {
    fn meets(&self, client: &ClientView, now: Timestamp) -> bool {
        match self {
            Self::Anywhere(needle) => {
                needle.meets(&client.card.name)
                    || needle.meets(&client.card.id.to_string())
                    || needle.meets(client.card.id.address())
                    || Field::Host.text(client).is_some_and(|text| needle.meets(&text))
                    || Field::Error.text(client).is_some_and(|text| needle.meets(&text))
            }
            Self::Text(field, needles) => {
                field.text(client).is_some_and(|text| needles.iter().any(|needle| needle.meets(&text)))
            }
            Self::State(states) => states.iter().any(|state| match state {
                State::Phase(phase) => Phase::of(client) == *phase,
                State::Running => client.running.is_some(),
            }),
            Self::Alert(tests) => tests.iter().any(|test| match test {
                AlertTest::Yes => !client.exceeded.is_empty(),
                AlertTest::No => client.exceeded.is_empty(),
                AlertTest::About(metric) => client.exceeded.iter().any(|exceeded| exceeded.metric == *metric),
            }),
            Self::Number(quantity, comparison, limit) => {
                quantity.of(client, now).is_some_and(|value| match comparison {
                    Comparison::Above => value > *limit,
                    Comparison::AtLeast => value >= *limit,
                    Comparison::Below => value < *limit,
                    Comparison::AtMost => value <= *limit,
                    Comparison::Equal => (value - *limit).abs() < 0.5,
                })
            }
        }
    }
}

impl Field {
    fn text(self, client: &ClientView) -> Option<String> {
        let reading = client.reading.as_ref().map(|(_, reading)| reading);
        match self {
            Self::Name => Some(client.card.name.clone()),
            Self::Ip => Some(client.card.id.address().to_owned()),
            Self::Host => reading?.host_name.clone(),
            Self::Os => reading?.os_version.clone(),
            Self::User => Some(client.card.username.clone()),
            Self::Error => client.failure().map(ToString::to_string),
        }
    }
}

impl Quantity {
    fn of(self, client: &ClientView, now: Timestamp) -> Option<f64> {
        match self {
            Self::Metric(metric) => client.sample.worst(metric),
            Self::Took => client.last.as_ref().map(|last| last.duration_ms as f64 / 1000.0),
            Self::Age => client.reading.as_ref().map(|(at, _)| (now.duration_since(*at)).as_secs_f64()),
            Self::Attempts => client.last.as_ref().map(|last| f64::from(last.attempts)),
        }
    }
}

/// Formats the term so that it parses to the same term.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negated { "!" } else { "" };
        write!(f, "{sign}{}", self.test)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, key: &str, values: Vec<String>| write!(f, "{key}:{}", values.join(","));
        match self {
            Self::Anywhere(needle) => write!(f, "\"{}\"", needle.text()),
            Self::Text(field, needles) => {
                let key = FIELDS.iter().find(|(_, known)| known == field).map_or("", |(name, _)| *name);
                list(f, key, needles.iter().map(|needle| format!("\"{}\"", needle.text())).collect())
            }
            Self::State(states) => {
                let word = |state: &State| match state {
                    State::Phase(phase) => phase.word().to_owned(),
                    State::Running => "running".to_owned(),
                };
                list(f, "state", states.iter().map(word).collect())
            }
            Self::Alert(tests) => {
                let word = |test: &AlertTest| match test {
                    AlertTest::Yes => "yes".to_owned(),
                    AlertTest::No => "no".to_owned(),
                    AlertTest::About(metric) => metric.to_string(),
                };
                list(f, "alert", tests.iter().map(word).collect())
            }
            Self::Number(quantity, comparison, limit) => {
                let key = quantities().find(|(_, known)| known == quantity).map_or("", |(name, _)| name);
                let sign = COMPARISONS.iter().find(|(_, known)| known == comparison).map_or("", |(sign, _)| *sign);
                write!(f, "{key}{sign}{limit}")
            }
        }
    }
}

//! The filter language: `state:failed cpu>90 mem>80 alert:yes !web`. Not the box it is typed into.
//!
//! Terms stand side by side and must all hold; `!` turns one round. A bare word is looked for in name,
//! address, host name and error; `*` and `?` make it a pattern for the whole of one of them. `key:a,b`
//! takes either. Numbers are compared with `>`, `>=`, `<`, `<=`, `=`; what was not measured meets none.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;

use crate::fleet::{Metric, Phase, Reading, reading::Usage, state::ClientView};

/// A filter; the empty one meets every client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter(Vec<Term>);

/// One word of a filter that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{term}`: {problem}")]
pub struct NotAFilter {
    /// The word.
    pub term: String,
    /// What is wrong with it, and what to write instead.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Anywhere(Needle),
    Text(Field, Vec<Needle>),
    State(Vec<State>),
    Alert(Vec<AlertTest>),
    Number(Quantity, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Ip,
    Host,
    Os,
    User,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Phase(Phase),
    Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AlertTest {
    Yes,
    No,
    About(Metric),
}

/// A number that a client may have. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Cpu,
    Memory,
    Swap,
    Disk,
    Load,
    Took,
    Age,
    Attempts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
}

const FIELDS: [(&str, Field); 6] = [
    ("name", Field::Name),
    ("ip", Field::Ip),
    ("host", Field::Host),
    ("os", Field::Os),
    ("user", Field::User),
    ("error", Field::Error),
];

const QUANTITIES: [(&str, Quantity); 9] = [
    ("cpu", Quantity::Cpu),
    ("mem", Quantity::Memory),
    ("memory", Quantity::Memory),
    ("swap", Quantity::Swap),
    ("disk", Quantity::Disk),
    ("load", Quantity::Load),
    ("took", Quantity::Took),
    ("age", Quantity::Age),
    ("attempts", Quantity::Attempts),
];

/// Two-character signs first: the first that fits is taken.
const COMPARISONS: [(&str, Comparison); 5] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

/// Text that is looked for, without regard to case.
#[derive(Debug, Clone)]
struct Needle {
    text: String,
    glob: Option<GlobMatcher>,
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Needle {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        let glob = if text.contains(['*', '?']) {
            let glob = GlobBuilder::new(&text).case_insensitive(true).build();
            Some(glob.map_err(|error| error.kind().to_string())?.compile_matcher())
        } else {
            None
        };
        Ok(Self { text, glob })
    }

    fn meets(&self, text: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(text),
            None => text.to_lowercase().contains(&self.text),
        }
    }
}

impl std::str::FromStr for Filter {
    type Err = NotAFilter;

    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        split(text)
            .into_iter()
            .map(|word| term(&word).map_err(|problem| NotAFilter { term: word, problem }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Splits at white space outside of quotation marks; the marks stay.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        quoted ^= character == '"';
        if character.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(character);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn term(word: &str) -> Result<Term, String> {
    if word.matches('"').count() % 2 == 1 {
        return Err("the quotation mark is not closed".to_owned());
    }
    let (negated, body) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    if body.is_empty() {
        return Err("write a word after `!`".to_owned());
    }
    Ok(Term { negated, test: test(body)? })
}

fn test(body: &str) -> Result<Test, String> {
    // A leading quotation mark makes a bare word of anything.
    if body.starts_with('"') {
        return Ok(Test::Anywhere(Needle::parse(&unquoted(body))?));
    }
    if let Some((key, sign, value)) = comparison(body) {
        let key = key.to_lowercase();
        let Some((_, quantity)) = QUANTITIES.into_iter().find(|(name, _)| *name == key) else {
            return Err(format!("`{key}` is no number; write {}", names(QUANTITIES.iter().map(|(name, _)| *name))));
        };
        return Ok(Test::Number(quantity, sign, number(quantity, value)?));
    }
    let Some((key, value)) = body.split_once(':') else {
        return Ok(Test::Anywhere(Needle::parse(&unquoted(body))?));
    };
    let key = key.to_lowercase();
    let values: Vec<String> = value.split(',').map(unquoted).filter(|value| !value.is_empty()).collect();
    let field = FIELDS.into_iter().find(|(name, _)| *name == key).map(|(_, field)| field);
    if values.is_empty() && (field.is_some() || key == "state" || key == "alert") {
        return Err(format!("write a value after `{key}:`"));
    }
    match (key.as_str(), field) {
        (_, Some(field)) => {
            let needles = values.iter().map(|value| Needle::parse(value));
            Ok(Test::Text(field, needles.collect::<Result<_, _>>()?))
        }
        ("state", None) => values.iter().map(|value| state(value)).collect::<Result<_, _>>().map(Test::State),
        ("alert", None) => values.iter().map(|value| alert(value)).collect::<Result<_, _>>().map(Test::Alert),
        _ if QUANTITIES.iter().any(|(name, _)| *name == key) => Err(format!("compare it, for instance `{key}>50`")),
        // An IPv6 address, or `address:port`.
        _ if key.is_empty() || key.chars().all(|c| c.is_ascii_hexdigit() || c == '.' || c == '[') => {
            Ok(Test::Anywhere(Needle::parse(&unquoted(body))?))
        }
        _ => {
            let known = names(FIELDS.iter().map(|(name, _)| *name));
            Err(format!("`{key}:` is not known; write state, alert, {known}, or quote the word"))
        }
    }
}

fn unquoted(text: &str) -> String {
    text.replace('"', "")
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn comparison(body: &str) -> Option<(&str, Comparison, &str)> {
    let at = body.find(['<', '>', '='])?;
    let (key, rest) = body.split_at_checked(at)?;
    if key.contains([':', '"']) {
        return None;
    }
    COMPARISONS.into_iter().find_map(|(sign, comparison)| Some((key, comparison, rest.strip_prefix(sign)?)))
}

fn number(quantity: Quantity, text: &str) -> Result<f64, String> {
    let is_time = matches!(quantity, Quantity::Took | Quantity::Age);
    if text.is_empty() {
        return Err("write a number after it".to_owned());
    }
    if let Ok(value) = text.trim_end_matches('%').parse::<f64>()
        && value.is_finite()
        && value >= 0.0
    {
        return Ok(value);
    }
    match humantime::parse_duration(text) {
        Ok(time) if is_time => Ok(time.as_secs_f64()),
        Ok(_) | Err(_) if is_time => Err(format!("`{text}` is no time; write for instance 90s, 5m or 2h")),
        Ok(_) | Err(_) => Err(format!("`{text}` is no number")),
    }
}

fn state(text: &str) -> Result<State, String> {
    let text = text.to_lowercase();
    if text == "running" {
        return Ok(State::Running);
    }
    let phase = Phase::ALL.into_iter().find(|phase| phase.word() == text);
    phase.map(State::Phase).ok_or_else(|| {
        let known = names(Phase::ALL.iter().map(|phase| phase.word()));
        format!("`{text}` is no state; write running, {known}")
    })
}

fn alert(text: &str) -> Result<AlertTest, String> {
    let text = text.to_lowercase();
    match text.as_str() {
        "yes" => Ok(AlertTest::Yes),
        "no" => Ok(AlertTest::No),
        "mem" => Ok(AlertTest::About(Metric::Memory)),
        _ => text.parse().map(AlertTest::About).map_err(|_| {
            let known = names(Metric::ALL.iter().map(|metric| metric.word()));
            format!("`{text}` is no alert; write yes, no, {known}")
        }),
    }
}

impl Filter {
    /// Whether it meets every client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client meets every term. `now` is for its age.
    #[must_use]
    pub fn meets(&self, client: &ClientView, now: Timestamp) -> bool {
        self.0.iter().all(|term| term.test.meets(client, now) != term.negated)
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
        let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
        match self {
            Self::Cpu => reading?.cpu.map(f64::from),
            Self::Memory => reading?.memory.and_then(Usage::percent).map(f64::from),
            Self::Swap => reading?.swap.and_then(Usage::percent).map(f64::from),
            Self::Disk => reading?.disk_percent().map(f64::from),
            Self::Load => reading.and_then(Reading::load_per_core),
            Self::Took => client.last.as_ref().map(|last| last.duration_ms as f64 / 1000.0),
            Self::Age => client.reading.as_ref().map(|(at, _)| (now.duration_since(*at)).as_secs_f64()),
            Self::Attempts => client.last.as_ref().map(|last| f64::from(last.attempts)),
        }
    }
}

/// Writes the filter in the one way that reads back as itself.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let sign = if term.negated { "!" } else { "" };
            write!(f, "{space}{sign}{}", term.test)?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, key: &str, values: Vec<String>| write!(f, "{key}:{}", values.join(","));
        match self {
            Self::Anywhere(needle) => write!(f, "\"{}\"", needle.text),
            Self::Text(field, needles) => {
                let key = FIELDS.iter().find(|(_, known)| known == field).map_or("", |(name, _)| *name);
                list(f, key, needles.iter().map(|needle| format!("\"{}\"", needle.text)).collect())
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
                let key = QUANTITIES.iter().find(|(_, known)| known == quantity).map_or("", |(name, _)| *name);
                let sign = COMPARISONS.iter().find(|(_, known)| known == comparison).map_or("", |(sign, _)| *sign);
                write!(f, "{key}{sign}{limit}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{
        Bytes, ClientId, Failure, FailureKind, Percent, Stage, SweepId,
        alert::Exceeded,
        event::ClientCard,
        metric::Instance,
        state::{Finished, Fleet},
    };

    fn client() -> ClientView {
        let card =
            ClientCard { id: ClientId::new("10.0.4.7", 22), name: "web-07".to_owned(), username: "ops".to_owned() };
        let mut fleet = Fleet::default();
        let kind = crate::fleet::EventKind::Configured { clients: vec![card] };
        fleet.apply(&crate::fleet::Event { at: Timestamp::UNIX_EPOCH, sweep: None, client: None, kind });
        let mut view = fleet.clients().next().unwrap().clone();
        let reading = Reading {
            cpu: Percent::new(95.0).ok(),
            memory: Some(Usage { total: Bytes(100), used: Bytes(40) }),
            os_version: Some("Debian GNU/Linux 12".to_owned()),
            ..Reading::from_report(&fleetsweep_agent::report::Report::default(), 0).unwrap()
        };
        view.reading = Some((Timestamp::UNIX_EPOCH, Box::new(reading)));
        view.exceeded = vec![Exceeded { metric: Metric::Cpu, instance: Instance::HOST, limit: 90.0, value: 95.0 }];
        view.last = Some(Finished {
            sweep: SweepId(Uuid::nil()),
            collection: Uuid::nil(),
            at: Timestamp::UNIX_EPOCH,
            duration_ms: 2500,
            attempts: 2,
            failure: Some(Failure::new(Stage::Connect, FailureKind::Refused)),
            stages: Vec::new(),
        });
        view
    }

    #[test]
    fn a_filter_meets_the_clients_it_describes() {
        let now = Timestamp::from_second(120).unwrap();
        for (filter, meets) in [
            ("", true),
            ("web", true),
            ("WEB", true),
            ("!web", false),
            ("web-0?", true),
            ("web-1*", false),
            ("10.0.4", true),
            ("10.0.4.7:22", true),
            ("refused", true),
            ("state:failed", true),
            ("state:ok,failed", true),
            ("state:running", false),
            ("cpu>90", true),
            ("cpu>95", false),
            ("cpu>=95%", true),
            ("mem<50 cpu>90", true),
            ("mem>50 cpu>90", false),
            ("swap<50", false),
            ("!swap<50", true),
            ("alert:yes", true),
            ("alert:cpu", true),
            ("alert:memory", false),
            ("!alert:no", true),
            ("os:debian", true),
            ("os:\"gnu/linux 12\"", true),
            ("error:timeout", false),
            ("took>2s", true),
            ("took>2500ms", false),
            ("age>1m", true),
            ("age<1m", false),
            ("attempts=2", true),
        ] {
            let parsed: Filter = filter.parse().unwrap();
            assert_eq!(parsed.meets(&client(), now), meets, "{filter}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said_with_its_mend() {
        for (filter, message) in [
            ("web cpu>", "`cpu>`: write a number after it"),
            ("cpu:90", "`cpu:90`: compare it, for instance `cpu>50`"),
            ("cpu>much", "`cpu>much`: `much` is no number"),
            ("age>soon", "`age>soon`: `soon` is no time; write for instance 90s, 5m or 2h"),
            ("state:", "`state:`: write a value after `state:`"),
            ("!", "`!`: write a word after `!`"),
            ("\"web", "`\"web`: the quotation mark is not closed"),
            (
                "state:sick",
                "`state:sick`: `sick` is no state; write running, new, queued, connect, upload, execute, decrypt, ok, failed",
            ),
        ] {
            assert_eq!(filter.parse::<Filter>().unwrap_err().to_string(), message);
        }
        assert!("stat:ok".parse::<Filter>().unwrap_err().to_string().contains("write state, alert"));
        assert!("size>3".parse::<Filter>().unwrap_err().to_string().contains("write cpu, mem"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_every_filter_reads_back_as_itself(text in "\\PC{0,40}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
            }
        }

        #[test]
        fn filters_read_back_as_themselves(terms in proptest::collection::vec(
            "!?(state:(ok|failed|running)(,new)?|(cpu|mem|took|load)(>|>=|<|<=|=)[0-9]{1,3}(\\.5)?|alert:(yes|no|cpu)|name:[a-z*?]{1,5}|[a-z-]{1,6}|\"a b\")",
            0..5,
        )) {
            let filter: Filter = terms.join(" ").parse().unwrap();
            prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter.clone()));
            // A term and its opposite never both hold.
            let opposite: String = terms.iter().map(|term| match term.strip_prefix('!') {
                Some(rest) => format!("{rest} "),
                None => format!("!{term} "),
            }).collect();
            if let Some(term) = terms.first() {
                let first = |text: &str| text.parse::<Filter>().unwrap().meets(&client(), Timestamp::UNIX_EPOCH);
                let turned = match term.strip_prefix('!') { Some(rest) => rest.to_owned(), None => format!("!{term}") };
                prop_assert!(first(term) != first(&turned));
            }
            prop_assert!(opposite.parse::<Filter>().is_ok());
        }
    }
}

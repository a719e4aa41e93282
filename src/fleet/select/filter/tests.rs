//! How filters match, how they are parsed, and how they are written.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::fleet::{
    Bytes, ClientId, Failure, FailureKind, Metric, Percent, Reading, Sample, Stage, SweepId,
    alert::Exceeded,
    event::ClientCard,
    metric::{Instance, Observed},
    reading::Usage,
    state::{Finished, Fleet},
};

fn client() -> ClientView {
    let card = ClientCard {
        id: ClientId::new("10.0.4.7", 22),
        name: "web-07".to_owned(),
        username: "ops".to_owned(),
        limits: Vec::new(),
    };
    let mut fleet = Fleet::default();
    let kind = crate::fleet::EventKind::Configured { clients: vec![card] };
    fleet.apply(&crate::fleet::Event { at: Timestamp::UNIX_EPOCH, sweep: None, client: None, kind });
    let mut view = fleet.clients().next().unwrap().clone();
    let reading = Reading {
        cpu: Percent::new(95.0).ok(),
        memory: Some(Usage { total: Bytes(100), used: Bytes(40) }),
        os_version: Some("Debian GNU/Linux 12".to_owned()),
        ..Reading::from_report(&fleetsweep_agent::report::Report::default(), 0)
    };
    view.sample = Sample::measure(Observed::reading(&reading));
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
fn what_cannot_be_understood_is_said_with_its_hint() {
    for (filter, message) in [
        ("web cpu>", "`cpu>`: write a number after it"),
        ("cpu:90", "`cpu:90`: compare it, for instance `cpu>50`"),
        ("cpu>much", "`cpu>much`: `much` is not a number"),
        ("age>soon", "`age>soon`: `soon` is not a time; write for instance 90s, 5m or 2h"),
        ("state:", "`state:`: write a value after `state:`"),
        ("!", "`!`: write a word after `!`"),
        ("\"web", "`\"web`: the quotation mark is not closed"),
        (
            "state:sick",
            "`state:sick`: `sick` is not a state; write running, new, queued, connect, upload, execute, decrypt, ok, failed",
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

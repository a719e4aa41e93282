//! Snapshots of complete screens, text and styles, with a fixed clock and a scripted fleet.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;

use super::{
    Answer, Command, Look, Message, Model, Query,
    action::Action,
    actions,
    data::StatusMessage,
    filtering,
    model::LOG_KEPT,
    paint::{painted, press, rows, shown},
    script::{self, ASCII, DARK, LIGHT, MONO},
    view::{Overlay, Place, Tab},
};
use crate::fleet::{
    Event, EventKind, Failure, FailureKind, Phase, Stage,
    event::MailStep,
    listing::{Part, Wish},
    mail::MailKind,
    order::{Order, Selection},
    phase::Tally,
    stream::{About, Collector, Frame, LogLevel, LogLine, StreamOrigin},
};

fn check(name: &str, count: usize, size: (u16, u16), look: Look, keys: &str) {
    let mut model = script::model(count, size, look);
    press(&mut model, keys);
    insta::assert_snapshot!(name, shown(&mut model, false));
}

#[test]
fn the_fleet_view_at_three_sizes_in_four_looks() {
    for (size, width, height) in [("80x24", 80, 24), ("120x40", 120, 40), ("200x60", 200, 60)] {
        for (look_name, look) in [("dark", DARK), ("light", LIGHT), ("mono", MONO), ("ascii", ASCII)] {
            let mut model = script::model(500, (width, height), look);
            // The text is the same in all looks with Unicode, so it is only in one snapshot.
            let text = shown(&mut model, true);
            insta::assert_snapshot!(format!("fleet-{size}-{look_name}"), text);
        }
    }
}

#[test]
fn the_other_views_and_what_lies_over_them() {
    for (name, keys) in [
        ("alerts", "2"),
        ("mails", "3"),
        ("log", "4"),
        ("help", "?"),
        ("palette", ":coll"),
        ("filter", "/state:failed error:agent"),
        ("filter-error", "/state:failed cpu>x"),
        ("confirm", "r"),
        ("export", "e"),
        ("frozen", "f"),
        ("marked", "   "),
        ("details", "\n"),
    ] {
        check(&format!("{name}-80x24"), 500, (80, 24), DARK, keys);
        check(&format!("{name}-120x40"), 500, (120, 40), DARK, keys);
    }
}

/// A collector that was at work but could not be reached was once said to have gone.
#[test]
fn the_header_tells_a_collector_that_has_gone_from_one_that_cannot_be_reached() {
    for (collector, sign, question) in [
        (Collector::Connected, "LIVE", None),
        (
            Collector::Unreachable,
            "COLLECTOR UNREACHABLE",
            Some("The collector cannot be reached. Sweep from here if it has ended?"),
        ),
        (Collector::Gone, "COLLECTOR GONE", Some("The collector is gone. Sweep from here from now on?")),
    ] {
        let mut model = script::model(12, (120, 40), DARK);
        let to = "pid 7 of ops on mon-1".to_owned();
        model.update(Message::Origin(StreamOrigin::Attached { to, collector }));
        let screen = shown(&mut model, false);
        assert!(screen.lines().next().unwrap().contains(sign), "{screen}");
        assert_eq!(screen.contains("T take over"), question.is_some(), "{screen}");
        press(&mut model, "T");
        let screen = shown(&mut model, false);
        assert!(question.is_none_or(|question| screen.contains(question)), "{screen}");
    }
}

#[test]
fn small_terminals_show_what_fits() {
    for (width, height) in [(40, 8), (60, 12), (30, 5), (20, 2), (12, 1)] {
        check(&format!("small-{width}x{height}"), 500, (width, height), DARK, "");
    }
}

#[test]
fn a_fleet_at_rest_says_when_it_was_swept() {
    let mut model = script::model(12, (120, 40), DARK);
    let event = |client, kind| Arc::new(Event { at: script::before(2000), sweep: Some(script::SWEEP), client, kind });
    let under_way: Vec<_> = model.fleet.clients().filter(|c| c.running.is_some()).map(|c| c.card.id.clone()).collect();
    let (collection, duration_ms, attempts) = (uuid::Uuid::nil(), 900, 1);
    for client in under_way {
        let reading = script::reading(3);
        let kind = EventKind::Collected { collection, duration_ms, attempts, reading, alerts: Vec::new() };
        model.update(Message::Frames(vec![Frame::Event(event(Some(client), kind))]));
    }
    let ended = EventKind::SweepEnded { number: 128, duration_ms: 58_000, ok: 7, failed: 5 };
    model.update(Message::Frames(vec![Frame::Event(event(None, ended))]));
    insta::assert_snapshot!("rest-120x40", shown(&mut model, false));
}

#[test]
fn a_database_that_is_away_is_said_in_place_of_live() {
    for (size, width, height) in [("80x24", 80, 24), ("120x40", 120, 40)] {
        let mut model = script::model(500, (width, height), DARK);
        let tell = |kind| {
            Message::Frames(vec![Frame::Event(Arc::new(Event { at: script::now(), sweep: None, client: None, kind }))])
        };
        let since = script::before(9000);
        model.update(tell(EventKind::DatabaseAway { since, waiting: 37, why: Some("cannot be reached".to_owned()) }));
        insta::assert_snapshot!(format!("database-away-{size}"), shown(&mut model, false));
        model.update(tell(EventKind::DatabaseBack { stored: 37, after_ms: 9000 }));
        assert!(shown(&mut model, false).contains("LIVE"));
    }
}

#[test]
fn before_anything_is_known_the_screen_says_so() {
    let about = About { name: "prod".to_owned(), ..Default::default() };
    let mut model = Model::new(about, DARK, (80, 24), script::now());
    insta::assert_snapshot!("empty-80x24", shown(&mut model, false));
}

#[test]
fn keys_become_commands() {
    let selected = script::id(1);
    for (keys, expected) in [
        ("c", vec![Command::Order(Order::Collect(Selection::These(vec![selected.clone()])))]),
        ("C", vec![Command::Order(Order::Collect(Selection::Failed))]),
        ("r", vec![]),
        ("ry", vec![Command::Order(Order::Collect(Selection::All))]),
        ("rn", vec![]),
        ("p", vec![Command::Order(Order::Pause)]),
        ("x", vec![]),
        ("q", vec![]),
        ("qy", vec![Command::Quit]),
        ("m", vec![Command::Mouse(true)]),
        (
            "a",
            vec![Command::Order(Order::Acknowledge {
                client: selected.clone(),
                metric: crate::fleet::Metric::Unreachable,
                instance: crate::fleet::metric::Instance::HOST,
            })],
        ),
        (":collect f\n", vec![Command::Order(Order::Collect(Selection::Failed))]),
        ("?q", vec![]),
        ("/web\x1bc", vec![Command::Order(Order::Collect(Selection::These(vec![selected.clone()])))]),
    ] {
        let mut model = script::model(500, (120, 40), DARK);
        assert_eq!(press(&mut model, keys), expected, "{keys}");
    }
    let mut model = script::model(500, (120, 40), DARK);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    model.view.overlay = Overlay::Palette { text: String::new(), row: 0 };
    assert_eq!(model.update(Message::Key(control_c)), [Command::Quit]);
}

#[test]
fn marks_outlive_sorting_and_filtering_and_are_collected_together() {
    let mut model = script::model(500, (120, 40), DARK);
    press(&mut model, "  ");
    assert_eq!(model.view.marks.len(), 2);
    let marked: Vec<_> = model.view.marks.iter().cloned().collect();
    press(&mut model, "sS/state:ok\n");
    assert_eq!(press(&mut model, "c"), [Command::Order(Order::Collect(Selection::These(marked)))]);
    assert!(model.view.marks.is_empty());
}

#[test]
fn the_selection_stays_with_its_client_when_rows_are_sorted() {
    let mut model = script::model(500, (120, 40), DARK);
    press(&mut model, "↓↓");
    let before = model.view.selected.clone();
    for _ in 0..9 {
        press(&mut model, "s");
        model.prepare();
        assert_eq!(model.view.selected, before);
        let rows = usize::from(model.layout().table_rows());
        assert!((model.view.top..model.view.top + rows).contains(&model.row), "it is scrolled out of sight");
    }
}

#[test]
fn brackets_go_from_failure_to_failure_and_come_round() {
    let mut model = script::model(500, (120, 40), DARK);
    let failed = model.fleet.clients().filter(|client| client.failure().is_some()).count();
    let first = model.view.selected.clone();
    let mut seen = Vec::new();
    for _ in 0..failed {
        press(&mut model, "]");
        assert!(model.selected().unwrap().failure().is_some());
        seen.push(model.view.selected.clone());
    }
    assert_eq!(model.view.selected, first);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), failed);
    press(&mut model, "[]");
    assert_eq!(model.view.selected, first);
}

fn newest(most: u32) -> Wish {
    Wish { part: Part::Newest, most }
}

#[test]
fn what_rests_under_the_hand_is_asked_for_once() {
    let mut model = script::model(500, (120, 40), DARK);
    let client = script::id(1);
    let history = Query::History { client: client.clone(), span: model.view.span, until: None };
    let asked = model.settle();
    assert_eq!(asked, [Command::Ask(history), Command::Ask(Query::SecurityEvents(client))]);
    assert_eq!(model.settle(), []);
    press(&mut model, "2");
    assert_eq!(model.settle(), [Command::Ask(Query::AlertHistory(newest(500)))]);
    press(&mut model, "3");
    assert_eq!(model.settle(), [], "the mails are known");
    model.mails.outdate();
    assert_eq!(model.settle(), [Command::Ask(Query::Mails(newest(100)))]);
    assert_eq!(model.settle(), []);
}

/// A regression test: a collection that ended during the query of the chart was missing in it.
#[test]
fn a_chart_that_was_asked_for_before_a_collection_is_asked_for_again() {
    let mut model = script::model(20, (120, 40), DARK);
    let (client, span) = (script::id(1), model.view.span);
    let charts = |model: &mut Model| {
        let is_chart = |command: &Command| matches!(command, Command::Ask(Query::History { .. }));
        model.settle().into_iter().filter(is_chart).count()
    };
    let collected = |model: &mut Model, n: usize| {
        let reading = script::reading(n);
        let (collection, duration_ms, attempts, alerts) = (uuid::Uuid::nil(), 1, 1, Vec::new());
        let kind = EventKind::Collected { collection, duration_ms, attempts, reading, alerts };
        script::tell(model, Some(n), kind);
    };
    assert_eq!(charts(&mut model), 1);
    collected(&mut model, 2);
    assert_eq!(charts(&mut model), 0, "of another client");
    collected(&mut model, 1);
    assert_eq!(charts(&mut model), 1);
    model.update(Message::Answer(Answer::History { client, span, until: None, points: Vec::new() }));
    collected(&mut model, 1);
    assert_eq!((charts(&mut model), model.history.as_ref().unwrap().points.len()), (0, 1), "it has the point");
}

#[test]
fn a_frozen_screen_stands_still_and_its_header_goes_on() {
    let mut model = script::model(500, (120, 40), DARK);
    press(&mut model, "f");
    let before = rows(&painted(&mut model));
    let failed = EventKind::CollectionFailed {
        collection: uuid::Uuid::nil(),
        duration_ms: 1,
        attempts: 1,
        failure: Failure::new(Stage::Connect, FailureKind::Refused),
        alerts: Vec::new(),
    };
    let event = Event { at: script::now(), sweep: Some(script::SWEEP), client: Some(script::id(450)), kind: failed };
    model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
    let after = rows(&painted(&mut model));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
}

#[test]
fn the_counts_of_the_strip_add_up_to_the_fleet() {
    for count in [0, 1, 7, 500] {
        let model = script::model(count, (120, 40), DARK);
        let tally = Tally::of(&model.fleet);
        assert_eq!(tally.total(), count);
        assert_eq!(Phase::ALL.iter().map(|phase| tally.count(*phase)).sum::<usize>(), count);
    }
}

#[test]
fn every_action_is_in_the_help() {
    // Two columns have no names if these do not fit.
    for (width, with_names) in [(80, true), (120, false), (200, true)] {
        let mut model = script::model(20, (width, 99), DARK);
        press(&mut model, "?");
        let text = rows(&painted(&mut model)).join("\n");
        for action in Action::ALL {
            let entry = actions::spec(*action);
            assert!(text.contains(entry.help), "{} at {width}", entry.name);
            assert!(!with_names || text.contains(entry.name), "{} at {width}", entry.name);
        }
    }
}

#[test]
fn the_help_is_searched() {
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "?/remind");
    insta::assert_snapshot!("help-search-120x40", shown(&mut model, false));
    // A key that is typed into the search has no other effect. Esc leaves it.
    assert_eq!(press(&mut model, "q"), []);
    assert!(shown(&mut model, false).contains("No key does that."));
    press(&mut model, "\x1b");
    assert_eq!(model.view.overlay, Overlay::None);
}

#[test]
fn pasted_words_stay_apart() {
    for (pasted, typed) in [("db-1\ndb-2\n", "db-1 db-2"), ("a\tb\r\nc", "a b  c"), ("x\x1b[2Jy", "x[2Jy")] {
        let mut model = script::model(20, (120, 40), DARK);
        press(&mut model, "/");
        model.update(Message::Paste(pasted.to_owned()));
        assert_eq!(model.view.filter_text, typed, "{pasted:?}");
    }
}

#[test]
fn an_error_of_the_status_line_can_be_looked_up_in_the_log() {
    let mut model = script::model(20, (120, 40), DARK);
    let lines = model.log.len();
    for (is_error, text) in [(true, "not exported: the disk is full"), (false, "written to x.csv")] {
        model.update(Message::Answer(Answer::Status(StatusMessage { is_error, text: text.to_owned() })));
    }
    assert_eq!(model.log.len(), lines + 1);
    press(&mut model, "4");
    let screen = rows(&painted(&mut model)).join("\n");
    assert!(screen.contains("ERROR") && screen.contains("not exported: the disk is full"), "{screen}");
}

#[test]
fn a_line_of_the_log_is_opened_whole_and_stays_while_others_come() {
    let mut model = script::model(20, (60, 16), DARK);
    press(&mut model, "4kk\n");
    insta::assert_snapshot!("log-line-60x16", shown(&mut model, false));
    let line = model.selected_line().unwrap().clone();
    let come = |text: &str| LogLine { at: script::now(), level: LogLevel::Info, client: None, text: text.to_owned() };
    for n in 0..LOG_KEPT - 10 {
        model.update(Message::Frames(vec![Frame::Log(come(&format!("line {n}")))]));
        model.prepare();
        assert_eq!(model.selected_line(), Some(&line), "after {n} lines");
    }
}

/// The alerts, the mails and the log, filtered by words, by a column and by a filter without results.
#[test]
fn every_list_is_filtered_by_words_and_columns() {
    for (keys, found) in [
        ("2/db\n", 1),
        ("2/client:db-*\n", 1),
        ("2/state:open\n", 3),
        ("2/type:cpu !state:ended\n", 1),
        ("2/nothing-like-it\n", 0),
        ("3/status:refused\n", 1),
        ("3/!status:refused\n", 2),
        ("3/550\n", 1),
        ("4/level:warn\n", 1),
        ("4/client:db-001\n", 1),
        ("4/sweep\n", 1),
        ("3\n/status:refused\n", 1),
    ] {
        let mut model = script::model(20, (120, 40), DARK);
        press(&mut model, keys);
        model.prepare();
        assert_eq!(model.found.len(), found, "{keys:?}");
        assert!(model.view.filter_text.is_empty(), "{keys:?} filters the clients");
        // Leaves the filter, then the view.
        press(&mut model, "\x1b");
        model.prepare();
        let all = filtering::counts(&model).unwrap();
        assert!(all.0 == all.1 && model.view.tab != Tab::Fleet, "{keys:?}: {all:?}");
        press(&mut model, "\x1b");
        assert_eq!(model.view.tab, Tab::Fleet);
    }
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "\n/sshd\n");
    insta::assert_snapshot!("details-filtered-120x40", shown(&mut model, false));
    press(&mut model, "\x1b");
    assert_eq!(model.view.place(), Place::Details);
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "2/colour:red");
    assert!(shown(&mut model, false).contains("`colour:` is not known; write raised_at"));
}

#[test]
fn what_is_shown_is_exported_by_its_columns() {
    for (keys, name) in [
        ("2/client:db-*\nec", "alerts"),
        ("3ec", "mails"),
        ("3\nec", "mail"),
        ("4ec", "log"),
        ("4k\nec", "log-line"),
        ("\nec", "details"),
    ] {
        let mut model = script::model(20, (120, 40), DARK);
        let commands = press(&mut model, keys);
        let [Command::Export { file_name, text }] = commands.as_slice() else { panic!("{keys:?}: {commands:?}") };
        insta::assert_snapshot!(format!("export-{name}"), format!("{file_name}\n{text}"));
    }
    for keys in ["2/nothing-like-it\ne", "/nothing-like-it\ne"] {
        let mut model = script::model(20, (120, 40), DARK);
        assert_eq!(press(&mut model, keys), [], "{keys:?}");
        assert_eq!(model.said.as_ref().unwrap().0.text, "There is nothing to export.");
    }
}

/// Another process or a recording has the same fleet as this process.
#[test]
fn a_fleet_survives_its_json() {
    let model = script::model(40, (80, 24), DARK);
    let frame = Frame::Fleet(Arc::new(model.fleet.clone()));
    let json = serde_json::to_string(&frame).unwrap();
    assert!(serde_json::from_str::<Frame>(&json).unwrap() == frame);
}

#[test]
fn until_the_operator_chooses_the_first_row_is_selected_and_seen() {
    let about = About { name: "prod".to_owned(), ..Default::default() };
    let mut model = Model::new(about, DARK, (80, 24), script::now());
    for event in script::events(60) {
        model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
        model.prepare();
        assert_eq!((model.view.top, model.view.selected.as_ref()), (0, model.rows.first()));
    }
    press(&mut model, "j");
    let chosen = model.view.selected.clone();
    press(&mut model, "s");
    model.prepare();
    assert_eq!(model.view.selected, chosen);
}

/// Whatever the input is, no cell contains an escape sequence.
#[test]
fn text_of_clients_never_becomes_an_escape_sequence() {
    let hostile = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\u{202e}\r\n\tx\u{7f}";
    let mut model = script::model(3, (120, 40), DARK);
    let mut cards = script::cards(3);
    for card in &mut cards {
        card.name = format!("{hostile}{}", card.name);
        card.username = hostile.to_owned();
    }
    let mut reading = script::reading(1);
    reading.warnings = vec![hostile.to_owned()];
    reading.os_version = Some(hostile.to_owned());
    reading.top_cpu[0].name = hostile.to_owned();
    reading.file_systems[0].mount = hostile.to_owned();
    let mut failure = Failure::new(Stage::Execute, FailureKind::AgentFailed);
    failure.causes = vec![hostile.to_owned()];
    let event = |client, kind| Arc::new(Event { at: script::now(), sweep: Some(script::SWEEP), client, kind });
    let (collection, duration_ms, attempts) = (uuid::Uuid::nil(), 1, 1);
    let events = vec![
        event(None, EventKind::Configured { clients: cards }),
        event(
            Some(script::id(1)),
            EventKind::Collected { collection, duration_ms, attempts, reading, alerts: Vec::new() },
        ),
        event(
            Some(script::id(0)),
            EventKind::CollectionFailed { collection, duration_ms, attempts, failure, alerts: Vec::new() },
        ),
        event(
            Some(script::id(1)),
            EventKind::Mail {
                mail: uuid::Uuid::nil(),
                kind: MailKind::Alert,
                recipient: hostile.to_owned(),
                step: MailStep::Refused { error: hostile.to_owned() },
            },
        ),
        event(None, EventKind::ConfigurationRefused { errors: vec![hostile.to_owned()] }),
    ];
    model.update(Message::Frames(events.into_iter().map(Frame::Event).collect()));
    model.update(Message::Answer(Answer::Status(StatusMessage { is_error: true, text: hostile.to_owned() })));
    model.update(Message::Paste(hostile.to_owned()));
    for keys in ["", "]", "\n", "\x1b2", "3", "4", "1/\u{1b}"] {
        press(&mut model, keys);
        let buffer = painted(&mut model);
        for cell in buffer.content() {
            let bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!cell.symbol().contains(bad), "{:?} after {keys:?}", cell.symbol());
        }
    }
}

#[test]
fn without_unicode_every_cell_is_ascii() {
    for keys in ["", "2", "3", "4", "?", ":", "\n", "e"] {
        let mut model = script::model(60, (120, 40), ASCII);
        press(&mut model, keys);
        assert!(painted(&mut model).content().iter().all(|cell| cell.symbol().is_ascii()), "after {keys:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_size_and_no_keys_make_it_panic(
        width in 0_u16..=300,
        height in 0_u16..=100,
        count in 0_usize..120,
        keys in "[1234jkgGsSfctempax*\\[\\]nN?:/ \\n\\t\u{1b}←→⇥a-e<>!]{0,24}",
        look in prop_oneof![Just(DARK), Just(LIGHT), Just(MONO), Just(ASCII)],
        (later_width, later_height) in (1_u16..=300, 1_u16..=100),
    ) {
        let mut model = script::model(count, (width, height), look);
        painted(&mut model);
        for key in keys.chars() {
            press(&mut model, &key.to_string());
        }
        model.settle();
        painted(&mut model);
        if model.view.travel.is_some() {
            let sweeps = script::sweeps(4);
            model.update(script::listed(script::NEWEST_SWEEPS, &sweeps));
            model.update(script::found(&sweeps[3], count));
            painted(&mut model);
        }
        model.update(Message::Resize(later_width, later_height));
        painted(&mut model);
        prop_assert!(Tab::ALL.contains(&model.view.tab));
        prop_assert_eq!(Tally::of(model.shown()).total(), model.shown().clients().count());
    }
}

//! Tests of time travel and long lists with scripted answers.

use std::sync::Arc;

use super::{
    Answer, Command, Message, Model, Query,
    paint::{press, shown},
    script::{self, ASCII, DARK, NEWEST_SWEEPS, found, listed, now},
    view::Tab,
};
use crate::fleet::{
    Event, EventKind, Metric,
    alerts::AlertView,
    history::AlertRow,
    listing::{Listed as _, Page, Part, Wish},
    state::SweepView,
    stream::{Frame, Play, Replay, StreamOrigin},
};
use jiff::Timestamp;
use uuid::Uuid;

fn asks(query: Query) -> Vec<Command> {
    vec![Command::Ask(query)]
}

fn tell(model: &mut Model, kind: EventKind) {
    let event = Event { at: now(), sweep: Some(script::SWEEP), client: None, kind };
    model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
}

/// A model one sweep in the past, with these sweeps, oldest first.
fn travelled(sweeps: &[SweepView]) -> Model {
    let mut model = script::model(20, (120, 40), DARK);
    assert_eq!(press(&mut model, "←"), asks(Query::Sweeps(NEWEST_SWEEPS)));
    let newest = sweeps.last().unwrap();
    assert_eq!(model.update(listed(NEWEST_SWEEPS, sweeps)), asks(Query::Past(newest.id)));
    model
}

/// The number of the displayed sweep; `None` if there is none.
fn stands(model: &Model) -> Option<u64> {
    Some(model.shown().newest_sweep()?.number)
}

#[test]
fn time_travel_steps_through_the_past_and_returns() {
    let sweeps = script::sweeps(5);
    let mut model = travelled(&sweeps);
    assert_eq!(press(&mut model, "←"), asks(Query::Past(sweeps[3].id)));
    // An answer that is no longer needed has no effect.
    model.update(found(&sweeps[4], 20));
    assert_eq!(stands(&model), None);
    model.update(found(&sweeps[3], 20));
    assert_eq!(stands(&model), Some(4));
    insta::assert_snapshot!("travel-120x40", shown(&mut model, false));
    // No collections in the past.
    assert_eq!(press(&mut model, "c"), []);
    // A sweep that ends meanwhile is also available for time travel.
    model.settle();
    tell(&mut model, EventKind::SweepEnded { number: 128, duration_ms: 1, ok: 20, failed: 0 });
    let newer = Wish { part: Part::Newer(sweeps[4].key()), most: 500 };
    assert!(model.settle().contains(&Command::Ask(Query::Sweeps(newer))));
    assert!(!model.settle().contains(&Command::Ask(Query::Sweeps(newer))));
    let sixth = SweepView { number: 6, id: script::SWEEP, ..sweeps[4].clone() };
    let page = Page { total: 6, ..script::page(vec![sixth.clone()]) };
    model.update(Message::Answer(Answer::Sweeps { wish: newer, page }));
    press(&mut model, "→→");
    assert!(model.view.travel.as_ref().unwrap().is_to(sixth.id));
    press(&mut model, "→");
    assert!(!model.is_past());
    press(&mut model, "←");
    press(&mut model, "⇥");
    assert!(!model.is_past());
}

/// A regression test: the title named a sweep while live rows were below it for twelve seconds.
#[test]
fn until_a_past_fleet_is_there_no_other_data_stands_under_its_title() {
    let sweeps = script::sweeps(5);
    let mut model = travelled(&sweeps);
    insta::assert_snapshot!("travel-asking-120x40", shown(&mut model, false));
    for step in ["←", "→"] {
        model.update(found(&sweeps[4], 20));
        assert!(shown(&mut model, false).contains("web-000"));
        press(&mut model, step);
        if step == "←" {
            // Neither live rows nor those of another sweep, in any view and size.
            for keys in ["", "2", "1\n", "\n"] {
                press(&mut model, keys);
                for size in [(120, 40), (80, 24), (40, 8), (200, 60)] {
                    model.update(Message::Resize(size.0, size.1));
                    let screen = shown(&mut model, false);
                    assert!(screen.contains("asking…"), "{keys:?} at {size:?}:\n{screen}");
                    let rows = ["web-0", "db-0", "cache-0", "Clients", "No alert", "No client"];
                    assert!(!rows.iter().any(|row| screen.contains(row)), "{keys:?} at {size:?}:\n{screen}");
                }
            }
            model.update(Message::Resize(120, 40));
            press(&mut model, "1");
        }
        press(&mut model, "→");
        model.update(found(&sweeps[4], 20));
    }
    // The selection waits for the rows.
    assert_eq!(model.view.selected, Some(script::id(1)));
}

#[test]
fn without_unicode_the_screen_asks_in_ascii() {
    let mut model = script::model(20, (120, 40), ASCII);
    press(&mut model, "←");
    let screen = shown(&mut model, false);
    assert!(screen.contains("PAST asking...") && screen.is_ascii(), "{screen}");
}

#[test]
fn a_past_that_cannot_be_had_says_why_and_shows_nothing_else() {
    let sweeps = script::sweeps(5);
    let mut model = travelled(&sweeps);
    model.update(found(&sweeps[4], 20));
    press(&mut model, "←");
    let why = "database fleet.db is locked by another program: end that program's transaction and try again".to_owned();
    // An error about another sweep has no effect.
    model.update(Message::Answer(Answer::Failed { query: Query::Past(sweeps[4].id), why: "other".to_owned() }));
    assert!(shown(&mut model, false).contains("asking…"));
    model.update(Message::Answer(Answer::Failed { query: Query::Past(sweeps[3].id), why }));
    insta::assert_snapshot!("travel-failed-120x40", shown(&mut model, false));
    assert_eq!(model.said, None, "the status line does not say it again");
    // The next step requests another one, and a step back the same one again.
    assert_eq!(press(&mut model, "←"), asks(Query::Past(sweeps[2].id)));
    assert_eq!(press(&mut model, "→"), asks(Query::Past(sweeps[3].id)));
}

/// It once stood there until a key was pressed, long after the database was back.
#[test]
fn a_past_that_failed_is_asked_for_again_by_itself() {
    let sweeps = script::sweeps(5);
    let mut model = travelled(&sweeps);
    let past = Query::Past(sweeps[4].id);
    let fail = |model: &mut Model| {
        model.update(Message::Answer(Answer::Failed { query: past.clone(), why: "the database is away".to_owned() }));
    };
    let tick = |model: &mut Model, seconds: i64| {
        model.update(Message::Tick(script::before(-1000 * seconds)));
        model.settle()
    };
    tick(&mut model, 0);
    fail(&mut model);
    assert!(shown(&mut model, false).contains("failed, again in 0:02"), "{}", shown(&mut model, false));
    assert!(!tick(&mut model, 1).contains(&Command::Ask(past.clone())));
    assert!(tick(&mut model, 2).contains(&Command::Ask(past.clone())));
    // The reason stands until there is something better.
    let screen = shown(&mut model, false);
    assert!(screen.contains("failed, asking…") && screen.contains("failed: the database is away"), "{screen}");
    assert!(!tick(&mut model, 3).contains(&Command::Ask(past.clone())), "asked twice");
    fail(&mut model);
    assert!(shown(&mut model, false).contains("failed, again in 0:04"), "{}", shown(&mut model, false));
    // The database is back: no need to wait.
    tell(&mut model, EventKind::DatabaseBack { stored: 3, after_ms: 61_000 });
    assert!(model.settle().contains(&Command::Ask(past)));
    model.update(found(&sweeps[4], 20));
    assert_eq!(stands(&model), Some(5));
}

#[test]
fn sweeps_that_could_not_be_looked_for_are_looked_for_again() {
    let mut model = script::model(20, (120, 40), DARK);
    for (keys, part) in [("←", Part::Newest), ("0", Part::Oldest), ("g-1h\n", Part::At(script::before(3_600_000)))] {
        let wish = Wish { part, most: 500 };
        assert_eq!(press(&mut model, keys), asks(Query::Sweeps(wish)), "{keys}");
        let why = "the database is away".to_owned();
        model.update(Message::Answer(Answer::Failed { query: Query::Sweeps(wish), why }));
        model.update(Message::Tick(model.now + std::time::Duration::from_secs(60)));
        assert!(model.settle().contains(&Command::Ask(Query::Sweeps(wish))), "{keys}");
        model.update(Message::Tick(now()));
    }
}

#[test]
fn rows_that_cannot_be_read_are_counted_in_the_title() {
    let sweeps = script::sweeps(5);
    let mut model = travelled(&sweeps);
    for (unreadable, expected) in [(1, "5 of 5 · 1 row unreadable"), (1200, "5 of 5 · 1,200 rows unreadable")] {
        let fleet = script::past(&sweeps[4], 20);
        model.update(Message::Answer(Answer::Past { sweep: sweeps[4].id, fleet, unreadable }));
        let screen = shown(&mut model, false);
        assert!(screen.contains(expected) && screen.contains("web-000"), "{screen}");
    }
}

#[test]
fn a_step_beyond_the_oldest_sweep_stays_in_the_past_while_its_answer_is_awaited() {
    let sweeps = script::sweeps(1);
    let mut model = travelled(&sweeps);
    assert_eq!(press(&mut model, "←"), []);
    assert!(model.is_past());
    assert_eq!(press(&mut model, "c"), [], "nothing is collected in the past");
    model.update(found(&sweeps[0], 20));
    assert_eq!(stands(&model), Some(1));
}

#[test]
fn steps_that_are_taken_before_the_sweeps_are_known_are_not_lost() {
    let mut model = script::model(20, (120, 40), DARK);
    assert_eq!(press(&mut model, "←←←"), asks(Query::Sweeps(NEWEST_SWEEPS)), "asked once");
    let sweeps = script::sweeps(50);
    assert_eq!(model.update(listed(NEWEST_SWEEPS, &sweeps)), asks(Query::Past(sweeps[47].id)));
}

#[test]
fn coarse_steps_and_ends() {
    let sweeps = script::sweeps(50);
    let mut model = travelled(&sweeps);
    for (keys, expected) in [("⇞", 40), ("{", 30), ("⇟", 40), ("}", 50), ("⇞⇞⇞⇞⇞⇞", 1), ("⇟", 11), ("⇤", 1), ("⇥←⇤", 1)]
    {
        press(&mut model, keys);
        // The oldest sweep is requested if it is not known.
        if model.view.travel.as_ref().unwrap().sweep().is_none() {
            model.update(listed(Wish { part: Part::Oldest, most: 500 }, &sweeps));
        }
        let sweep = model.view.travel.as_ref().unwrap().sweep().unwrap().number;
        assert_eq!(sweep, expected, "{keys}");
    }
    // After the newest sweep comes the present, where the keys move the selection.
    press(&mut model, "}⇟⇟⇟⇟⇟");
    assert!(!model.is_past());
    press(&mut model, "⇤");
    assert_eq!(model.row, 0);
    press(&mut model, "⇟");
    assert!(!model.is_past() && model.row > 0);
}

#[test]
fn a_long_past_is_loaded_on_before_its_end_is_reached() {
    let all = script::sweeps(1200);
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "←");
    let part = |range: std::ops::Range<usize>, newer| Page {
        has_more: range.start > 0,
        newer,
        total: 1200,
        ..script::page(all[range].iter().rev().cloned().collect())
    };
    model.update(Message::Answer(Answer::Sweeps { wish: NEWEST_SWEEPS, page: part(700..1200, Some(0)) }));
    let mut asked = Vec::new();
    for _ in 0..400 {
        asked.extend(press(&mut model, "←").into_iter().filter(|command| *command != Command::Redraw));
    }
    let lists: Vec<_> = asked.iter().filter(|command| matches!(command, Command::Ask(Query::Sweeps(_)))).collect();
    let older = Wish { part: Part::Older(all[700].key()), most: 500 };
    assert_eq!(lists, [&Command::Ask(Query::Sweeps(older))], "once, while it is on its way");
    model.update(Message::Answer(Answer::Sweeps { wish: older, page: part(200..700, None) }));
    let sweep = model.view.travel.as_ref().unwrap().sweep().unwrap();
    assert_eq!(sweep.number, 800);
    assert!(shown(&mut model, false).contains(" 800 of 1,200"));
}

#[test]
fn steps_beyond_the_loaded_sweeps_are_taken_once_those_are_there() {
    let all = script::sweeps(1200);
    let older = |before: usize| Wish { part: Part::Older(all[before].key()), most: 500 };
    let part = |range: std::ops::Range<usize>, newer| Page {
        has_more: range.start > 0,
        newer,
        total: 1200,
        ..script::page(all[range].iter().rev().cloned().collect())
    };
    for (keys, expected) in [("←", 598), ("←←→", 598), ("{→→", 591), ("}", 609)] {
        let mut model = script::model(20, (120, 40), DARK);
        press(&mut model, "←");
        model.update(Message::Answer(Answer::Sweeps { wish: NEWEST_SWEEPS, page: part(700..1200, Some(0)) }));
        press(&mut model, &"←".repeat(601));
        press(&mut model, keys);
        assert_eq!(model.view.travel.as_ref().unwrap().sweep().unwrap().number, 701, "the oldest that is loaded");
        model.update(Message::Answer(Answer::Sweeps { wish: older(700), page: part(200..700, None) }));
        assert_eq!(model.view.travel.as_ref().unwrap().sweep().unwrap().number, expected, "{keys}");
    }
}

#[test]
fn g_goes_to_a_time_and_says_what_it_did_not_understand() {
    let sweeps = script::sweeps(50);
    let mut model = travelled(&sweeps);
    model.update(found(&sweeps[49], 20));
    press(&mut model, "gnoon\n");
    insta::assert_snapshot!("go-to-error-120x40", shown(&mut model, false));
    press(&mut model, "\x1b");
    assert_eq!(stands(&model), Some(50), "what was shown stays");
    let at = script::before(3_600_000);
    let wish = Wish { part: Part::At(at), most: 500 };
    assert_eq!(press(&mut model, "g-1h\n"), asks(Query::Sweeps(wish)));
    assert_eq!(stands(&model), None);
    insta::assert_snapshot!("go-to-120x40", shown(&mut model, false));
    // The last sweep that began at or before this time.
    let expected = sweeps.iter().rfind(|sweep| sweep.started_at <= at).unwrap();
    assert_eq!(model.update(listed(wish, &sweeps)), asks(Query::Past(expected.id)));
    // No sweep is as old, so the oldest is shown with a message.
    let old = Wish { part: Part::At("2020-01-01T00:00:00Z".parse().unwrap()), most: 500 };
    assert_eq!(press(&mut model, "g2020-01-01\n"), asks(Query::Sweeps(old)));
    assert_eq!(model.update(listed(old, &sweeps)), asks(Query::Past(sweeps[0].id)));
    assert!(model.said.as_ref().unwrap().0.text.starts_with("No sweep is as old as 2020-01-01"));
}

#[test]
fn what_is_pasted_into_the_time_is_typed() {
    let mut model = script::model(20, (80, 24), DARK);
    press(&mut model, "g");
    insta::assert_snapshot!("go-to-80x24", shown(&mut model, false));
    model.update(Message::Paste("-2d\n".to_owned()));
    let at = script::before(2 * 86_400_000);
    let wish = Wish { part: Part::At(at), most: 500 };
    assert_eq!(press(&mut model, "\n"), asks(Query::Sweeps(wish)));
}

/// A regression test: a recording reported a missing database at every step of the selection.
#[test]
fn a_recording_asks_no_database() {
    let mut model = script::model(20, (120, 40), DARK);
    let replay = Replay { at: now(), percent: 40.0, speed: 1.0, paused: false };
    model.update(Message::Origin(StreamOrigin::Replay(replay)));
    for keys in ["↓↓", "2", "↓G", "3", "↓G⇤", "4", "1\n", "\n"] {
        let commands = press(&mut model, keys);
        assert_eq!((commands, model.settle()), (vec![], vec![]), "{keys:?}");
        assert_eq!(model.said, None, "{keys:?}");
    }
    press(&mut model, "3");
    model.mails = super::window::Window::new(100);
    assert!(shown(&mut model, false).contains("Mails are not part of a recording."));
    press(&mut model, "1");
    for (keys, expected) in [
        ("←", vec![Play::Earlier]),
        ("{", vec![Play::Earlier; 10]),
        ("0", vec![Play::To(Timestamp::MIN)]),
        ("g-1h\n", vec![Play::To(script::before(3_600_000))]),
        ("⇥", vec![Play::End]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(Command::Play).collect();
        assert_eq!(press(&mut model, keys), expected, "{keys}");
    }
    assert_eq!(model.said, None);
}

fn alert_row(number: u32) -> AlertRow {
    let model = script::model(3, (80, 24), DARK);
    let alert = AlertView {
        raised_at: script::before(1_000_000 - i64::from(number) * 1000),
        ended: None,
        ..(*model.alert_list()[0]).clone()
    };
    AlertRow { id: Uuid::from_u128(number.into()), alert, mails: Vec::new() }
}

#[test]
fn the_alerts_load_on_and_say_how_many_there_are() {
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "2");
    let newest = Wish { part: Part::Newest, most: 500 };
    assert_eq!(model.settle(), asks(Query::AlertHistory(newest)));
    let template = alert_row(0);
    let row = |number: u32| AlertRow {
        id: Uuid::from_u128(number.into()),
        alert: AlertView { raised_at: script::before(4_000_000 - i64::from(number) * 1000), ..template.alert.clone() },
        mails: Vec::new(),
    };
    let part = |range: std::ops::RangeInclusive<u32>, newer| Page {
        has_more: *range.start() > 1,
        newer,
        total: 3000,
        ..script::page(range.rev().map(row).collect())
    };
    model.update(Message::Answer(Answer::AlertHistory { wish: newest, page: part(2501..=3000, Some(0)) }));
    assert!(shown(&mut model, false).contains(" 1 of 3,000 in the history"));
    let mut asked = Vec::new();
    for _ in 0..490 {
        asked.extend(press(&mut model, "↓"));
    }
    let older = Wish { part: Part::Older(row(2501).key()), most: 500 };
    assert_eq!(asked, asks(Query::AlertHistory(older)));
    model.update(Message::Answer(Answer::AlertHistory { wish: older, page: part(2001..=2500, None) }));
    press(&mut model, &"↓".repeat(400));
    assert!(shown(&mut model, false).contains(" 891 of 3,000 in the history"), "{}", shown(&mut model, false));
    // Directly to the end. A failure is reported, and the request is repeated at the next step.
    model.alerts.forget_questions();
    let oldest = Wish { part: Part::Oldest, most: 500 };
    assert_eq!(press(&mut model, "G"), asks(Query::AlertHistory(oldest)));
    let why = "database fleet.db is locked by another program".to_owned();
    model.update(Message::Answer(Answer::Failed { query: Query::AlertHistory(oldest), why }));
    assert!(shown(&mut model, false).contains("failed: database fleet.db is locked"));
    assert_eq!(press(&mut model, "G"), asks(Query::AlertHistory(oldest)));
    model.update(Message::Answer(Answer::AlertHistory { wish: oldest, page: part(1..=500, Some(2500)) }));
    assert!(shown(&mut model, false).contains(" 3,000 of 3,000 in the history"));
    assert_eq!(press(&mut model, "⇤"), asks(Query::AlertHistory(newest)));
    assert_eq!(model.view.tab, Tab::Alerts);
}

/// An alert of every hundred matches; once the filter looked through the first 500 and said so in riddles.
#[test]
fn a_filtered_list_loads_on_until_it_fills_the_screen_or_many_pages_are_there() {
    let template = alert_row(0);
    let row = |number: u32, rare: u32| {
        let metric = if number.is_multiple_of(rare) { Metric::Disk } else { Metric::Cpu };
        let raised_at = script::before(90_000_000 - i64::from(number) * 1000);
        let alert = AlertView { raised_at, metric, ..template.alert.clone() };
        AlertRow { id: Uuid::from_u128(number.into()), alert, mails: Vec::new() }
    };
    let all = 20_000;
    let answer = |wish: Wish, rare: u32| {
        let most = wish.most;
        let newest = match wish.part {
            Part::Newest => all,
            Part::Older(key) => u32::try_from(key.id.as_u128()).unwrap() - 1,
            other @ (Part::Oldest | Part::From(_) | Part::Newer(_) | Part::At(_)) => panic!("{other:?}"),
        };
        let oldest = newest.saturating_sub(most - 1).max(1);
        let newer = (wish.part == Part::Newest).then_some(0);
        let rows = (oldest..=newest).rev().map(|number| row(number, rare)).collect();
        Page { has_more: oldest > 1, newer, total: all.into(), ..script::page(rows) }
    };
    for (rare, expected) in [(20, "50 among the 1,000 loaded of 20,000"), (1000, "2 among the 2,000 loaded of 20,000")]
    {
        let mut model = script::model(20, (120, 40), DARK);
        press(&mut model, "2/type:disk\n");
        let mut questions = 0;
        while let [Command::Ask(Query::AlertHistory(wish))] = model.settle()[..] {
            model.update(Message::Answer(Answer::AlertHistory { wish, page: answer(wish, rare) }));
            questions += 1;
            assert!(questions < 10, "it goes on");
        }
        assert!(shown(&mut model, false).contains(expected), "{}", shown(&mut model, false));
        // A step beyond the last one looks further.
        let last = press(&mut model, &"↓".repeat(80));
        assert!(matches!(last[..], [Command::Ask(Query::AlertHistory(Wish { part: Part::Older(_), .. }))]), "{last:?}");
    }
    let mut model = script::model(20, (120, 40), DARK);
    press(&mut model, "2/type:disk\n");
    while let [Command::Ask(Query::AlertHistory(wish))] = model.settle()[..] {
        model.update(Message::Answer(Answer::AlertHistory { wish, page: answer(wish, 100_000) }));
    }
    let screen = shown(&mut model, false);
    assert!(screen.contains("0 among the 2,000 loaded of 20,000") && screen.contains("Down looks further"), "{screen}");
}

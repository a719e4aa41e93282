//! What the dashboard shows: a fleet and its sweep at every size and theme; filter, help, time travel.

use std::{collections::BTreeSet, net::SocketAddr};

use fleetsweep::demo::Behaviour;
use support::{TerminalOptions, Trial, free_port, http_get, wait_until};

use crate::site::{OFTEN, OVER, RARELY, SOON, Session, Site, UNDER, collected};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            a_demo_shows_its_fleet_and_its_sweep_to_the_end,
            a_filter_counts_while_it_is_typed_and_is_kept_or_undone,
            the_help_and_the_palette_lie_over_the_view_and_go_again,
            every_view_is_there_with_what_the_sweep_has_left,
            any_size_is_drawn_and_the_usual_one_is_whole_again,
            the_past_is_shown_and_left_again,
            the_endpoint_answers_as_long_as_the_dashboard_runs,
            a_frozen_screen_stands_still_while_collection_goes_on,
            without_a_locale_for_unicode_all_is_ascii,
            without_colours_there_is_no_sequence_for_one,
            on_a_light_background_nothing_is_written_in_a_light_colour;
    }
}

/// A fleet with one client of each kind: healthy, over a limit (all of them, with these rules), refused.
async fn small_fleet(rules: &str) -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, rules).await
}

async fn a_demo_shows_its_fleet_and_its_sweep_to_the_end() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let site = Site::of(&[], RARELY, UNDER).await;
        let session = Session::before_the_start(&site, TerminalOptions::of_size(columns, rows)).await;
        session.start("--demo 12").await;
        let screen = session.is_swept().await;
        // The number of the sweep is that of the last one: the interval of a demo is shorter than its sweep on a busy machine.
        for shown in ["sweep #", "Clients 12", "Fleet map", "LIVE", "✗ failed", "■ ok", "silent-12", "? help"] {
            assert!(screen.contains(shown), "{shown} is not on the screen of {columns}x{rows}:\n{screen}");
        }
        // Failed clients come first, and one of them is selected at the start.
        let rows: Vec<&str> = screen.lines().skip_while(|line| !line.contains("STATE")).skip(1).take(2).collect();
        assert!(rows.iter().all(|row| row.contains("failed")), "{rows:?} in\n{screen}");
        session.press(&["q"]).await;
        session.is_left(0).await;
    }
}

async fn the_endpoint_answers_as_long_as_the_dashboard_runs() {
    let place = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let collector = format!("{RARELY}/>\n<metrics listen=\"{place}\"");
    let site = Site::of(&[Behaviour::Healthy, Behaviour::RefusesLogin], &collector, UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    wait_until("the metrics of the sweep", SOON, async || {
        let metrics = http_get(place, "/metrics", "").await.map(|answer| answer.body).unwrap_or_default();
        metrics.contains("\nfleetsweep_last_sweep_clients{result=\"ok\"} 1\n")
            && metrics.contains("\nfleetsweep_clients 2\n")
    })
    .await;
    assert_eq!(http_get(place, "/healthz", "").await.map(|answer| answer.status), Some(200));
    session.press(&["q"]).await;
    session.is_left(0).await;
    assert!(http_get(place, "/healthz", "").await.is_none());
}

async fn a_filter_counts_while_it_is_typed_and_is_kept_or_undone() {
    let site = small_fleet(UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    session.press(&["/"]).await;
    session.terminal.type_text("state:fai").await;
    session.terminal.sees("state:fai").await;
    session.terminal.type_text("led").await;
    let screen = session.terminal.sees("1 of 3").await;
    assert!(screen.contains("client-3") && !screen.contains("■ ok      client-1"), "{screen}");
    session.press(&["Enter"]).await;
    session.terminal.sees("filter: state:failed").await;
    session.press(&["Escape"]).await;
    session.terminal.sees("filter: none").await;
    // Pasted text is typed, and its line end does not act as a key.
    session.press(&["/"]).await;
    session.terminal.paste("client-1\n").await;
    session.terminal.sees("1 of 3").await;
    session.press(&["Escape"]).await;
    session.terminal.sees("filter: none").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn the_help_and_the_palette_lie_over_the_view_and_go_again() {
    let site = small_fleet(UNDER).await;
    let session = Session::with(&site, TerminalOptions::of_size(80, 24)).await;
    session.is_swept().await;
    session.press(&["?"]).await;
    session.terminal.sees("any other key closes").await;
    session.press(&["Escape"]).await;
    session.no_longer_shows("any other key closes").await;
    session.press(&[":"]).await;
    session.terminal.type_text("alerts").await;
    session.terminal.sees("the alert history").await;
    session.press(&["Enter"]).await;
    session.terminal.sees("in the history").await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn every_view_is_there_with_what_the_sweep_has_left() {
    let site = small_fleet(OVER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    site.sink.received(1).await;
    session.press(&["2"]).await;
    session.terminal.shows("two open alerts", SOON, |screen| screen.matches("memory").count() >= 2).await;
    session.press(&["3"]).await;
    session.terminal.sees("ops@example.com").await;
    session.press(&["4"]).await;
    session.terminal.sees("sweep ended").await;
    session.press(&["1", "Enter"]).await;
    // The first row is the failed client. Its details show the reason and the next step.
    session.terminal.sees("refused").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn any_size_is_drawn_and_the_usual_one_is_whole_again() {
    let site = small_fleet(UNDER).await;
    let session = Session::at(&site).await;
    let before = session.is_swept().await;
    for (columns, rows) in
        [(80, 24), (1, 1), (200, 60), (2, 50), (300, 2), (40, 8), (3, 3), (1, 40), (120, 1), (500, 200), (1, 1)]
    {
        session.terminal.resize(columns, rows).await;
        session.press(&["j", "k", "Enter", "Enter", "?", "Space"]).await;
    }
    session.terminal.resize(120, 40).await;
    // A terminal that grew is drawn piece by piece.
    let is_whole = |screen: &str| ["Fleet map", "Clients 3", "? help"].iter().all(|text| screen.contains(text));
    session.terminal.shows(&format!("all of it again, as before:\n{before}"), SOON, is_whole).await;
    session.press(&["q"]).await;
    // Waits for the end, because the screen is restored a moment earlier, and keys in between would be lost.
    assert_eq!(session.terminal.ended(SOON).await, 0);
    session.is_as_before().await;
}

async fn the_past_is_shown_and_left_again() {
    let site = small_fleet(UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    // A second sweep, so that there is a past.
    session.press(&["r", "y"]).await;
    session.has_ended_sweep(2).await;
    session.press(&["Left"]).await;
    let is_past = |screen: &str| ["PAST", "End", "client-3"].iter().all(|text| screen.contains(text));
    session.terminal.shows("a past sweep with its clients", SOON, is_past).await;
    session.press(&["Left"]).await;
    session.terminal.sees("1 of 2").await;
    // The past cannot be changed.
    session.press(&["c"]).await;
    session.terminal.sees("in the past. End returns to live.").await;
    session.press(&["End"]).await;
    session.terminal.sees("LIVE").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn a_frozen_screen_stands_still_while_collection_goes_on() {
    let site = Site::of(&[Behaviour::Healthy], OFTEN, UNDER).await;
    let session = Session::at(&site).await;
    session.terminal.sees("■ ok").await;
    session.press(&["f"]).await;
    let frozen = session.terminal.sees("FROZEN").await;
    let before = site.number(&collected(1)).await;
    session.reaches(&collected(1), before + 3).await;
    let body =
        |screen: &str| screen.lines().filter(|line| line.contains("client-1")).map(str::to_owned).collect::<Vec<_>>();
    let later = session.terminal.screen().await;
    assert_eq!(body(&frozen), body(&later), "\n{frozen}\n{later}");
    session.press(&["f"]).await;
    session.terminal.sees("LIVE").await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn without_a_locale_for_unicode_all_is_ascii() {
    let site = small_fleet(OVER).await;
    let session = Session::with(&site, TerminalOptions::of_size(120, 40).with_environment("LANG", "C")).await;
    session.is_swept().await;
    for (keys, shown) in [
        (&["1"][..], "Fleet map"),
        (&["2"], "in the history"),
        (&["3"], "Mails"),
        (&["4"], "sweep ended"),
        (&["1", "Enter"], "refused"),
        (&["?"], "any other key closes"),
        (&["Space", ":"], "Enter runs it"),
    ] {
        session.press(keys).await;
        let screen = session.terminal.sees(shown).await;
        assert!(screen.is_ascii(), "after {keys:?}: {:?} in\n{screen}", screen.chars().find(|c| !c.is_ascii()));
    }
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn without_colours_there_is_no_sequence_for_one() {
    let site = small_fleet(OVER).await;
    let session = Session::before_the_start(&site, TerminalOptions::default().with_environment("NO_COLOR", "1")).await;
    let recording = site.program.path("recording");
    session.terminal.record(&recording).await;
    session.start("").await;
    session.is_swept().await;
    session.press(&["2"]).await;
    session.terminal.sees("memory").await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
    let written = String::from_utf8_lossy(&std::fs::read(recording).unwrap()).into_owned();
    assert!(written.contains("client-1"), "nothing was recorded");
    assert_eq!(colours(&written), BTreeSet::new());
}

async fn on_a_light_background_nothing_is_written_in_a_light_colour() {
    let site = small_fleet(OVER).await;
    let options = TerminalOptions { term: "xterm".to_owned(), ..TerminalOptions::default() };
    let session = Session::before_the_start(&site, options.with_environment("COLORFGBG", "0;15")).await;
    let recording = site.program.path("recording");
    session.terminal.record(&recording).await;
    session.start("").await;
    session.is_swept().await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
    let written = String::from_utf8_lossy(&std::fs::read(recording).unwrap()).into_owned();
    let colours = colours(&written);
    // Yellow, cyan, white and the bright ones of the 16 colours, which cannot be read as text on white.
    let light = ["33", "36", "37", "91", "92", "93", "94", "95", "96", "97", "38;3", "38;6", "38;7"];
    let bright = (8..16).map(|colour| format!("38;{colour}"));
    let light: BTreeSet<String> = light.into_iter().map(str::to_owned).chain(bright).collect();
    let wrong: Vec<_> = colours.intersection(&light).collect();
    assert!(!colours.is_empty() && wrong.is_empty(), "{wrong:?} of {colours:?}");
}

/// The colours that are set, as parameters: `33`, `38;5;71`. The default colours (39, 49) do not count.
fn colours(written: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in written.split("\x1b[").skip(1) {
        let other = |c: char| !c.is_ascii_digit() && c != ';';
        let Some((parameters, _)) = rest.split_once('m').filter(|(before, _)| !before.contains(other)) else {
            continue;
        };
        let mut parameters = parameters.split(';');
        while let Some(parameter) = parameters.next() {
            match parameter.parse().unwrap_or(0) {
                38 | 48 | 58 => {
                    let count = if parameters.next() == Some("2") { 3 } else { 1 };
                    let colour: Vec<_> = parameters.by_ref().take(count).collect();
                    found.insert(format!("{parameter};{}", colour.join(";")));
                }
                30..=37 | 40..=47 | 90..=107 => {
                    found.insert(parameter.to_owned());
                }
                _ => {}
            }
        }
    }
    found
}

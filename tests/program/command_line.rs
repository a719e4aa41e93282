//! The output of the program: results on standard output only, colours on terminals only, and an exact document for
//! other programs.

use std::{
    io,
    process::{Command, Stdio},
};

use fleetsweep::demo::Behaviour;
use support::{Exim, EximOptions, Fleetsweep, Trial, free_port};

use crate::site::{Config, Fleet, LOGIN, OVER, SOON, UNDER, client, document, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            the_document_has_the_names_and_the_order_of_the_contract,
            the_table_is_plain_where_it_is_not_read_by_people,
            patterns_choose_clients_by_name_and_address,
            without_a_terminal_there_is_no_dashboard,
            a_closed_standard_output_is_no_fault_and_a_full_one_is,
            the_manual_and_the_help_are_printed;
        needs(Script) =>
            the_table_is_coloured_on_a_terminal_that_wants_it,
            a_terminal_of_lines_gets_no_dashboard,
            a_terminal_that_does_not_tell_its_width_shows_whole_words;
        needs(Fish, Zsh) => completions_are_scripts_that_their_shells_take;
        needs(Exim, Root) => a_test_mail_arrives_or_says_why_not;
    }
}

const ESCAPE: char = '\u{1b}';

async fn the_document_has_the_names_and_the_order_of_the_contract() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    fleet.program.write_config(&fleet.config(OVER).text());
    let outcome = fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!((outcome.code, outcome.stderr.contains("sweep")), (Some(1), false), "{outcome:#?}");
    let document = document(&outcome);
    for measured in ["cpu_percent", "cpu_span_ms", "memory_percent", "uptime_seconds"] {
        assert!(document["clients"][0][measured].is_number(), "{measured}: {document}");
    }
    assert_eq!(outcome.stdout.lines().count(), 1);
    insta::with_settings!({ filters => vec![
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[uuid]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r#""swap_percent":[\d.]+"#, r#""swap_percent":null"#),
        (r#""error":"[^"]+""#, r#""error":"[text]""#),
        (r"127\.10\.0\.(\d)", "[address $1]"),
        (r":\d+(\.\d+)?", ":[number]"),
        (r"\},\{", "},\n{"),
    ] }, {
        insta::assert_snapshot!(outcome.stdout.trim_end(), @r#"
        {"sweep":"[uuid]","started_at":"[time]","duration_ms":[number],"clients":[{"name":"client-1","ip":"[address 1]","port":[number],"status":"ok","stage":null,"error":null,"duration_ms":[number],"attempts":[number],"cpu_percent":[number],"cpu_span_ms":[number],"memory_percent":[number],"swap_percent":null,"uptime_seconds":[number],"alerts":[{"type":"memory","limit":[number],"value":[number]}]},
        {"name":"client-2","ip":"[address 2]","port":[number],"status":"failed","stage":"authenticate","error":"[text]","duration_ms":[number],"attempts":[number],"cpu_percent":null,"cpu_span_ms":null,"memory_percent":null,"swap_percent":null,"uptime_seconds":null,"alerts":[]}],"summary":{"clients":[number],"ok":[number],"failed":[number],"alerts":[number],"mail":{"sent":[number],"waiting":[number],"refused":[number]}}}
        "#);
    });
}

async fn the_table_is_plain_where_it_is_not_read_by_people() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    fleet.program.write_config(&fleet.config(OVER).text());
    let outcome = fleet.program.run(["--once"]).await;
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("STATE") && lines.iter().all(|line| !line.contains(ESCAPE)), "{outcome:#?}");
    assert!(lines[1].starts_with("! alert") && lines[1].contains("client-1"), "{outcome:#?}");
    assert!(lines[2].starts_with("x failed") && lines[2].contains("authenticate: "), "{outcome:#?}");
    assert!(lines[4].starts_with("2 clients: 1 ok, 1 failed; 1 limit exceeded; mail: 1 sent, 0 waiting"), "{lines:?}");
    // No progress without a terminal.
    assert!(!outcome.stderr.contains(ESCAPE) && !outcome.stderr.contains("eta"), "{outcome:#?}");
    // Log messages go to standard error.
    let told = fleet.program.run(["--once", "-vv"]).await;
    assert!(told.stdout.starts_with("STATE") && told.stderr.contains("stage entered"), "{told:#?}");
    assert!(!told.stderr.contains(ESCAPE));
    let silent = fleet.program.run(["--once", "-q"]).await;
    assert_eq!(silent.stderr, "");
}

/// The screen after one sweep of one client in a terminal, with a shell command before it.
async fn in_terminal(prepared_by: &str) -> String {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let script = Fleetsweep::new("script").with_config(&fleet.config(UNDER).text());
    // The terminal is the standard output. Standard error is not shown.
    let command = format!("{prepared_by}; exec {} --once 2>/dev/null", env!("CARGO_BIN_EXE_fleetsweep"));
    let outcome = script.run(["-qec", &command, "/dev/null"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    outcome.stdout
}

async fn the_table_is_coloured_on_a_terminal_that_wants_it() {
    for (prepared_by, coloured) in
        [("export TERM=xterm-256color", true), ("export TERM=xterm-256color NO_COLOR=1", false)]
    {
        let seen = in_terminal(&format!("stty columns 132; {prepared_by}")).await;
        assert!(seen.contains("STATE") && seen.contains("client-1"), "{seen}");
        assert_eq!(seen.contains(ESCAPE), coloured, "{prepared_by}: {seen:?}");
    }
}

async fn a_terminal_that_does_not_tell_its_width_shows_whole_words() {
    for columns in ["0", "20"] {
        let seen = in_terminal(&format!("stty columns {columns}; export TERM=dumb")).await;
        assert!(seen.contains("STATE") && seen.contains("client-1"), "{columns}: {seen}");
    }
}

async fn patterns_choose_clients_by_name_and_address() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 3]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    for (patterns, expected) in [
        (&["client-[12]"][..], &["client-1", "client-2"][..]),
        (&["127.10.0.3"], &["client-3"]),
        (&["*.1", "client-3"], &["client-1", "client-3"]),
        (&["*"], &["client-1", "client-2", "client-3"]),
    ] {
        let arguments = patterns.iter().flat_map(|pattern| ["--client", pattern]);
        let outcome = fleet.program.run(["--once", "--format", "json"].into_iter().chain(arguments)).await;
        let document = document(&outcome);
        let names: Vec<&str> =
            document["clients"].as_array().unwrap().iter().map(|client| client["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{patterns:?}");
    }
    let nobody = fleet.program.run(["--once", "--client", "10.*"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(2), ""));
    assert!(nobody.stderr.contains("--client") && nobody.stderr.contains("check"), "{}", nobody.stderr);
}

async fn without_a_terminal_there_is_no_dashboard() {
    let program = program().with_config(&Config::new(([127, 0, 0, 1], free_port()).into(), Vec::new()).text());
    let outcome = program.run([] as [&str; 0]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    assert!(outcome.stderr.contains("--once") && outcome.stderr.contains("--headless"), "{}", outcome.stderr);
}

async fn a_terminal_of_lines_gets_no_dashboard() {
    let config = Config::new(([127, 0, 0, 1], free_port()).into(), Vec::new()).text();
    let script = Fleetsweep::new("script").with_config(&config);
    for arguments in ["", "--demo", "--replay run.jsonl"] {
        let command = format!("TERM=dumb exec {} {arguments}", env!("CARGO_BIN_EXE_fleetsweep"));
        let outcome = script.run(["-qec", &command, "/dev/null"]).await;
        assert_eq!(outcome.code, Some(2), "{arguments}: {outcome:#?}");
        assert!(outcome.stdout.contains("`dumb`") && outcome.stdout.contains("--once"), "{}", outcome.stdout);
        assert!(!outcome.stdout.contains(ESCAPE), "{:?}", outcome.stdout);
    }
}

async fn a_closed_standard_output_is_no_fault_and_a_full_one_is() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    for arguments in [
        &["man"][..],
        &["completions", "bash"],
        &["check"],
        &["--once"],
        &["--once", "--format", "json"],
        &["export"],
        &["export", "--format", "prometheus"],
        &["--help"],
    ] {
        let run = |stdout: Stdio| {
            let child = Command::new(env!("CARGO_BIN_EXE_fleetsweep"))
                .args(arguments)
                .current_dir(fleet.program.path(""))
                .env("HOME", fleet.program.path(""))
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        };
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let closed = tokio::time::timeout(SOON, run(writer.into())).await.unwrap().unwrap();
        assert_eq!((closed.status.code(), closed.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}: {closed:?}");
        if arguments != ["--help"] {
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let full = tokio::time::timeout(SOON, run(full.into())).await.unwrap().unwrap();
            let said = String::from_utf8(full.stderr).unwrap();
            assert!(full.status.code() == Some(1) && said.contains("No space left"), "{arguments:?}: {said}");
        }
    }
}

async fn the_manual_and_the_help_are_printed() {
    let program = program();
    for (arguments, words) in [
        (&["man"][..], &[".TH fleetsweep", "Exit codes", r"\-\-headless"][..]),
        (&["--help"], &["Usage: fleetsweep", "Exit codes:", "mail-test", "--fail-on-alert"]),
    ] {
        let outcome = program.run(arguments).await;
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for word in words {
            assert!(outcome.stdout.contains(word), "{arguments:?}: no {word}");
        }
    }
}

async fn completions_are_scripts_that_their_shells_take() {
    let program = program();
    for shell in ["bash", "zsh", "fish"] {
        let outcome = program.run(["completions", shell]).await;
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(outcome.stdout.contains("mail-test") && outcome.stdout.contains("fail-on-alert"), "{shell}");
        assert!(outcome.stdout.contains("export") && outcome.stdout.contains("prometheus"), "{shell}");
        let script = program.path(format!("completions.{shell}"));
        std::fs::write(&script, &outcome.stdout).unwrap();
        let read = Fleetsweep::new(shell).run(["-n", &script.display().to_string()]).await;
        assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{shell}");
    }
}

async fn a_test_mail_arrives_or_says_why_not() {
    let exim = Exim::start(EximOptions::default()).await;
    let nowhere = ([127, 0, 0, 1], free_port()).into();
    let here = |recipient: &str| {
        let clients = vec![client("one", nowhere, LOGIN, "").replace("ops@example.com", recipient)];
        Config::new(exim.address(), clients)
    };
    for (config, code, words) in [
        (here("ops@example.com"), 0, "ops@example.com  sent: 250"),
        (here(Exim::REFUSED), 1, "FAILED"),
        (here(Exim::DEFERRED), 1, "451"),
        (Config::new(nowhere, here("ops@example.com").clients), 1, "refused"),
    ] {
        let outcome = program().with_config(&config.text()).run(["mail-test"]).await;
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(outcome.stdout.contains(words), "{words}: {outcome:#?}");
    }
    support::wait_until("the test mail", SOON, async || exim.mails().len() == 1).await;
    assert!(exim.mails()[0].subject.contains("test mail"));

    let mut silent = here("ops@example.com");
    silent.clients = silent.clients.iter().map(|client| client.replace(r#"mail="ops@example.com""#, "")).collect();
    let outcome = program().with_config(&silent.text()).run(["mail-test"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    assert!(outcome.stderr.contains("mail="), "{}", outcome.stderr);
}

//! Command lines, good and bad, and the texts that the program prints of itself.

use insta::assert_snapshot;

use super::{
    export::{Content, RowFormat},
    *,
};
use crate::fleet::{ClientId, rows::View};

fn parse(line: &str) -> Result<Invocation, clap::Error> {
    Invocation::parse(["fleetsweep"].into_iter().chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_in_order() {
    Arguments::command().debug_assert();
}

#[test]
fn a_command_line_says_what_to_do_with_which_fleet() {
    let file = |name: &str| FleetSource::File(name.into());
    let once = |format, fail_on_alert| {
        let held_logins = HeldLogins::Respected;
        Task::Once { format, output: None, fail_on_alert, held_logins }
    };
    let retrying =
        Task::Once { format: Format::Table, output: None, fail_on_alert: false, held_logins: HeldLogins::Retried };
    let export = |content| Task::Export(Export { content, output: None });
    let rows = |view, format| export(Content::Rows { view, format, since: None, until: None });
    for (line, task, fleet) in [
        ("", Task::Dashboard, file("config.xml")),
        ("--once", once(Format::Table, false), file("config.xml")),
        ("--once --format json --fail-on-alert", once(Format::Json, true), file("config.xml")),
        ("--once --retry-logins", retrying, file("config.xml")),
        ("--headless --config a.xml", Task::Headless, file("a.xml")),
        ("--headless --format table", Task::Headless, file("config.xml")),
        ("check", Task::Check { is_way_shown: false }, file("config.xml")),
        ("--config a.xml check", Task::Check { is_way_shown: false }, file("a.xml")),
        ("check --config a.xml", Task::Check { is_way_shown: false }, file("a.xml")),
        ("check web-1 db*", Task::Check { is_way_shown: true }, file("config.xml")),
        ("trust -c a.xml", Task::Trust, file("a.xml")),
        ("mail-test", Task::MailTest, file("config.xml")),
        ("clean", Task::Clean, file("config.xml")),
        ("export", rows(View::Samples, RowFormat::Csv { raw: false }), file("config.xml")),
        ("export mails --raw", rows(View::Mails, RowFormat::Csv { raw: true }), file("config.xml")),
        ("-c a.xml export cores --format jsonl", rows(View::Cores, RowFormat::JsonLines), file("a.xml")),
        ("export --format prometheus", export(Content::Metrics), file("config.xml")),
        ("--once --format prometheus", once(Format::Prometheus, false), file("config.xml")),
        ("agents", Task::Agents(None), file("config.xml")),
        ("agents --output there", Task::Agents(Some("there".into())), file("config.xml")),
        ("init", Task::Init(Box::default()), file("config.xml")),
        (
            "init ops@a b:22 --yes --output c.xml",
            Task::Init(Box::new(Init {
                hosts: vec!["ops@a".to_owned(), "b:22".to_owned()],
                yes: true,
                output: Some("c.xml".into()),
                ..Init::default()
            })),
            file("config.xml"),
        ),
        ("secret", Task::Secret { output: None, recipients: Vec::new() }, file("config.xml")),
        (
            "-c a.xml secret --output pw.age",
            Task::Secret { output: Some("pw.age".into()), recipients: Vec::new() },
            file("a.xml"),
        ),
        ("completions fish", Task::Completions(Shell::Fish), file("config.xml")),
        ("schema", Task::Schema, file("config.xml")),
        ("man", Task::Man, file("config.xml")),
        ("help", Task::Help(None), file("config.xml")),
        ("help configuration", Task::Help(Some("configuration")), file("config.xml")),
        ("help mail", Task::Help(Some("alerts-and-mail")), file("config.xml")),
        ("help agents", Task::Help(Some("agents")), file("config.xml")),
        ("--demo", Task::Dashboard, FleetSource::Demo(12)),
        ("--demo --once", once(Format::Table, false), FleetSource::Demo(12)),
        ("--once --demo 1000", once(Format::Table, false), FleetSource::Demo(1000)),
        ("--demo=3 --headless", Task::Headless, FleetSource::Demo(3)),
        ("--replay a.jsonl", Task::Replay("a.jsonl".into()), file("config.xml")),
        ("--record a.jsonl", Task::Dashboard, file("config.xml")),
        ("--record a.jsonl --demo 3 --once", once(Format::Table, false), FleetSource::Demo(3)),
    ] {
        let invocation = parse(line).unwrap();
        assert_eq!((invocation.task, invocation.fleet), (task, fleet), "{line}");
    }
}

#[test]
fn a_command_line_that_contradicts_itself_is_a_usage_error() {
    for line in [
        "--once --headless",
        "--format json",
        "--headless --format json",
        "--once --format xml",
        "--fail-on-alert",
        "--retry-logins",
        "--headless --retry-logins",
        "check --retry-logins",
        "--headless --fail-on-alert",
        "--format prometheus",
        "--output a",
        "--headless --output a",
        "--output a export",
        "--format json export",
        "--demo export",
        "export --demo",
        "export columns",
        "export --format xml",
        "export --since yesterday",
        "export cores --format prometheus",
        "export --since 1h --format prometheus",
        "export --format prometheus --until 1h",
        "export --format jsonl --raw",
        "export --format prometheus --raw",
        "--demo 0",
        "--demo 1001",
        "--demo many",
        "--demo --config a.xml",
        "--once check",
        "check --once",
        "--demo trust",
        "trust --demo",
        "check --demo 3",
        "-v -q",
        "--client [",
        "--replay a --record b",
        "--replay a --demo",
        "--replay a --config b",
        "--replay a --client b",
        "--replay a --once",
        "--replay a --headless",
        "--replay a --format json",
        "--replay a check",
        "check --record a",
        "completions",
        "completions cobol",
        "secret --recipient",
        "secret --recipient hunter2",
        "secret --demo",
        "--once secret",
        "sweep",
        "--nonsense",
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line}");
    }
    for line in ["--help", "--version", "check --help"] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
    }
}

#[test]
fn a_recipient_is_a_public_key_and_an_error_repeats_none() {
    let key = crate::age::Identity::generate();
    let Task::Secret { recipients, .. } =
        parse(&format!("secret --recipient {0} --recipient {0}", key.recipient())).unwrap().task
    else {
        panic!("another task")
    };
    assert_eq!(recipients, [key.recipient(), key.recipient()]);
    for (text, expected) in [
        ("AGE-SECRET-KEY-1HUNTER2", "is a private key"),
        ("hunter2", "is not a public key of age"),
        ("age1yubikey1hunter2", "is a key of SSH, of a plugin"),
        ("ssh-ed25519", "is a key of SSH, of a plugin"),
    ] {
        let error = parse(&format!("secret --recipient {text}")).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.to_lowercase().contains("hunter2"), "{error}");
    }
}

#[test]
fn the_long_version_names_the_agents_within_and_the_short_one_does_not() {
    let [short, long] = ["-V", "--version"].map(|option| parse(option).unwrap_err().to_string());
    assert_eq!(short, format!("fleetsweep {}\n", env!("CARGO_PKG_VERSION")));
    let agents = long.strip_prefix(&short).and_then(|rest| rest.strip_prefix("agents: ")).unwrap();
    assert!(agents.trim_end().split(", ").all(|agent| agent.matches('-').count() >= 2 && agent.ends_with(" MiB")));
}

#[test]
fn patterns_add_up_before_and_after_a_command() {
    let invocation = parse("--client web-* --client 10.0.4.7 trust").unwrap();
    let meets = |name, address| invocation.clients.iter().any(|p| p.meets(&ClientId::new(address, 22), name));
    assert!(meets("web-1", "10.0.0.1") && meets("x", "10.0.4.7") && !meets("x", "10.0.0.1"));
    for (line, expected) in [
        ("trust --client a --client b", 2),
        ("trust a --client b", 2),
        ("--client b trust a c", 3),
        ("check a --client b", 2),
        ("check --client b", 1),
    ] {
        assert_eq!(parse(line).unwrap().clients.len(), expected, "{line}");
    }
}

#[test]
fn verbosity_depends_on_the_run_mode() {
    for (line, expected) in [
        ("--once", LevelFilter::WARN),
        ("--once -v", LevelFilter::INFO),
        ("trust -vv", LevelFilter::DEBUG),
        ("--headless", LevelFilter::INFO),
        ("--headless -vvvv", LevelFilter::TRACE),
        ("--headless -q", LevelFilter::ERROR),
    ] {
        assert_eq!(parse(line).unwrap().log_level, expected, "{line}");
    }
}

#[test]
fn the_help_is_worth_reading() {
    let help = |long: bool| {
        let mut command = Arguments::command().term_width(100);
        if long { command.render_long_help() } else { command.render_help() }.to_string()
    };
    assert_snapshot!("help", help(false));
    assert_snapshot!("long_help", help(true));
}

#[test]
fn completions_and_manual_name_every_command() {
    let mut manual = Vec::new();
    write_manual(&mut manual).unwrap();
    let mut scripts = vec![String::from_utf8(manual).unwrap().replace("\\-", "-")];
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        write_completions(*shell, &mut script).unwrap();
        scripts.push(String::from_utf8(script).unwrap());
    }
    for script in scripts {
        for word in ["check", "trust", "mail-test", "clean", "export", "completions", "headless", "fail-on-alert"] {
            assert!(script.contains(word), "{word} is missing");
        }
    }
}

#[test]
fn a_topic_that_is_none_is_named_and_a_command_has_its_own_help() {
    let kind = |line: &str| parse(line).unwrap_err().kind();
    assert_eq!(kind("help check"), ErrorKind::DisplayHelp);
    assert_eq!(kind("help mail-test"), ErrorKind::DisplayHelp);
    // Several pages have a part that begins like this.
    for line in ["help nothing", "help s", "help \u{1b}[2J"] {
        assert_eq!(kind(line), ErrorKind::ValueValidation, "{line}");
    }
    let text = parse("help nothing").unwrap_err().to_string();
    assert!(
        text.contains("there is no topic 'nothing': write one of getting-started, installing, configuration,"),
        "{text}"
    );
}

#[test]
fn every_page_of_the_documents_is_printed_within_its_width() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter_map(|name| Some(name.strip_suffix(".md")?.to_owned())).collect();
    let mut names = help::names();
    files.sort();
    names.sort_unstable();
    assert_eq!(names, files, "the pages in the program and those in docs");
    for name in names {
        for columns in [40, 80, 100] {
            let mut printed = Vec::new();
            write_help(Some(name), Some(columns), &mut printed).unwrap();
            let text = String::from_utf8(printed).unwrap();
            assert!(text.len() > 500 && !text.contains("]("), "{name}");
            // Examples and long words are as they are.
            let is_too_wide = |line: &&str| {
                let words = line.split_whitespace().filter(|word| !word.ends_with(':')).count();
                unicode_width::UnicodeWidthStr::width(*line) > usize::from(columns)
                    && !line.starts_with("    ")
                    && words > 2
            };
            assert_eq!(text.lines().find(is_too_wide), None, "{name} at {columns}");
        }
    }
}

#[test]
fn the_list_of_topics_has_every_page_with_its_title() {
    let mut printed = Vec::new();
    write_help(None, None, &mut printed).unwrap();
    assert_snapshot!("topics", String::from_utf8(printed).unwrap());
}

//! Tables of texts: what they mean, or how they are refused.

use std::fmt::Debug;

use super::*;

/// The value, or `problem: hint`.
fn told<T: Debug>(result: Result<T, ValueError>) -> Result<T, String> {
    result.map_err(|wrong| format!("{}: {}", wrong.problem, wrong.hint))
}

#[track_caller]
fn check<T: Debug + PartialEq>(result: Result<T, ValueError>, expected: Result<T, &str>) {
    assert_eq!(told(result), expected.map_err(str::to_owned));
}

#[test]
fn words_are_of_closed_lists() {
    check(yes_or_no("yes"), Ok(true));
    check(yes_or_no("true"), Err("`true` is not a known value: write `yes` or `no`"));
    check(yes_or_no("Yes"), Err("`Yes` is not a known value: did you mean `yes`?"));
    check(security("starttls"), Ok(SmtpSecurity::StartTls));
    check(security("ssl"), Err("`ssl` is not a known value: write `none`, `starttls` or `tls`"));
    check(host_keys("accept_new"), Err("`accept_new` is not a known value: did you mean `accept-new`?"));
    check(agent("remove"), Ok(AgentChoice::Uploaded(AgentKeeping::Remove)));
    check(agent("installed"), Ok(AgentChoice::Installed));
    check(metric("disk"), Ok(Metric::Disk));
    check(metric("memroy"), Err("`memroy` is not a known value: did you mean `memory`?"));
    check(
        metric("ram"),
        Err(&format!(
            "`ram` is not a known value: write {} or `disk-full`",
            Metric::ALL.map(|metric| format!("`{metric}`")).split_last().unwrap().1.join(", ")
        )),
    );
}

#[test]
fn numbers_have_bounds() {
    check(whole("1", 1..=4), Ok(1));
    check(whole("5", 1..=4), Err("`5` is out of bounds: write a whole number from 1 to 4"));
    check(whole("1.5", 1..=4), Err("`1.5` is not a whole number: write a whole number from 1 to 4"));
    check(whole("-1", 1..=4), Err("`-1` is not a whole number: write a whole number from 1 to 4"));
    check(concurrency("4096").map(NonZeroUsize::get), Ok(4096));
    check(concurrency("0"), Err("`0` is out of bounds: write a whole number from 1 to 4096"));
    check(port("65535"), Ok(65535));
    for text in ["0", "65536", "ssh", "-1", ""] {
        let expected = format!("{} is not a valid port: write a whole number from 1 to 65535", safe_text::number(text));
        check(port(text), Err(&expected));
    }
}

#[test]
fn times_have_units_and_bounds() {
    let seconds = Duration::from_secs;
    let bounds = || seconds(1)..=seconds(86_400);
    check(duration("60s", bounds()), Ok(seconds(60)));
    check(duration("1h 30m", bounds()), Ok(seconds(5400)));
    check(duration("60", bounds()), Err("`60` has no unit: write `60s` for seconds"));
    check(duration("2d", bounds()), Err("`2d` is out of bounds: write a duration from 1s to 1d"));
    check(duration("500ms", bounds()), Err("`500ms` is out of bounds: write a duration from 1s to 1d"));
    for text in ["", "soon", "5 parsecs", "-1s"] {
        let expected =
            format!("{} is not a duration: write a duration like `30s`, `5m`, `4h` or `90d`", safe_text::number(text));
        check(duration(text, bounds()), Err(&expected));
    }
    check(repeat("every"), Ok(Repeat::Every));
    check(repeat("4h"), Ok(Repeat::After(seconds(14_400))));
    check(repeat("4"), Err("`4` has no unit: write `4s` for seconds, or `every` for a mail at every collection"));
    for (time, shown) in [(seconds(90 * 86_400), "90d"), (seconds(5400), "90m"), (seconds(61), "61s")] {
        assert_eq!(crate::config::span::show_duration(time), shown);
    }
    assert_eq!(crate::config::span::show_duration(Duration::from_millis(1500)), "1500ms");
}

#[test]
fn limits_are_in_the_unit_of_their_metric() {
    let share = "write a percentage from `0%` to `100%`";
    for (text, expected) in [
        ("50%", Ok(50.0)),
        ("0%", Ok(0.0)),
        ("99.5 %", Ok(99.5)),
        ("100%", Ok(100.0)),
        ("50", Err("`50` has no `%`: write `50%`".to_owned())),
        ("100.1%", Err(format!("`100.1%` is outside 0–100 %: {share}"))),
        ("-5%", Err(format!("`-5%` is outside 0–100 %: {share}"))),
        ("92,5%", Err(format!("`92,5%` is not a percentage: {share}"))),
        ("nan%", Err(format!("this is not a percentage: {share}"))),
        ("", Err(format!("this is not a percentage: {share}"))),
        ("half", Err(format!("`half` is not a percentage: {share}"))),
    ] {
        check(limit(Unit::Percent, text), expected.as_ref().map(|limit| *limit).map_err(String::as_str));
    }
    check(limit(Unit::PerCore, "1.5"), Ok(1.5));
    for text in ["90%", "-1", "inf", "1e3", "1001"] {
        let expected = format!(
            "{} is not a load per core: write a number from 0 to 1000 without a unit, like `1.5`",
            safe_text::number(text)
        );
        check(limit(Unit::PerCore, text), Err(&expected));
    }
    check(limit(Unit::MbitPerSecond, "0.5"), Ok(0.5));
    for text in ["80%", "-1", "800 Mbit/s", "1e9", "99999999"] {
        let expected = format!(
            "{} is not a rate in Mbit/s: write a number from 0 to 10000000 without a unit, like `800`; with `%`, it is a share \
             of the speed of the link",
            safe_text::number(text)
        );
        check(limit(Unit::MbitPerSecond, text), Err(&expected));
    }
    let kills = Unit::Count { one: "kill", many: "kills" };
    check(limit(kills, "2"), Ok(2.0));
    check(limit(kills, "1.5"), Err("`1.5` is not a number of kills: write a whole number from 0 to 1000000"));
    let flag = Unit::Flag { set: "failed", clear: "not failed" };
    check(limit(flag, "0"), Ok(0.0));
    check(limit(flag, "2"), Err("`2` is out of bounds: write a whole number from 0 to 1"));
    for (text, expected) in [("5s", 5.0), ("1m 30s", 90.0), ("1500ms", 1.5)] {
        check(limit(Unit::Seconds, text), Ok(expected));
    }
    for (text, expected) in [("7d", 7.0), ("7", 7.0), ("0.5", 0.5), ("36h", 1.5), ("1w", 7.0), ("365d", 365.0)] {
        check(limit(Unit::Days, text), Ok(expected));
    }
    for (text, problem) in [
        ("0", "is out of bounds"),
        ("366d", "is out of bounds"),
        ("59m", "is out of bounds"),
        ("-1", "is not a number of days"),
        ("soon", "is not a number of days"),
        ("7%", "is not a number of days"),
        ("1e300", "is not a number of days"),
    ] {
        let hint = "write a number of days from `1h` to `365d`, like `7` or `7d`";
        check(limit(Unit::Days, text), Err(&format!("{} {problem}: {hint}", safe_text::number(text))));
    }
    // More than any duration.
    assert!(limit(Unit::Days, &"9".repeat(300)).is_err());
    for (text, expected) in [("80", 80.0), ("80.5 °C", 80.5), ("-5C", -5.0)] {
        check(limit(Unit::Celsius, text), Ok(expected));
    }
    for text in ["hot", "80 F", "1001", "inf"] {
        let expected = format!("{} is not a temperature: write degrees Celsius, like `80`", safe_text::number(text));
        check(limit(Unit::Celsius, text), Err(&expected));
    }
    check(limit(Unit::FailedSweeps, "0"), Ok(0.0));
    for text in ["2.5", "2%", "-1", "two"] {
        let expected = format!(
            "{} is not a count of failed sweeps: write a whole number from 0 to 1000000: the alert is raised when more sweeps than this have failed in a row",
            safe_text::number(text)
        );
        check(limit(Unit::FailedSweeps, text), Err(&expected));
    }
}

#[test]
fn mail_addresses_are_a_list() {
    for (text, expected) in [
        ("asa@asda.com", vec!["asa@asda.com"]),
        ("a@b.c,d@e.f", vec!["a@b.c", "d@e.f"]),
        ("a@b.c, d@e.f , a@b.c", vec!["a@b.c", "d@e.f"]),
        ("Ops Team <ops@example.com>", vec!["ops@example.com"]),
        ("\"Doe, Ann\" <ann@example.com>, b@c.d", vec!["ann@example.com", "b@c.d"]),
        ("root@localhost", vec!["root@localhost"]),
    ] {
        let found: Vec<String> = mails(text).unwrap().iter().map(|mailbox| mailbox.email.to_string()).collect();
        assert_eq!(found, expected);
    }
    for (text, problem, at) in [
        ("", "there is no mail address", None),
        ("root", "this is not a valid mail address", Some(0..4)),
        ("a@b.c, oops, d@e.f", "address 2 of 3 is not a valid mail address", Some(7..11)),
        ("a@b.c,,d@e.f", "a mail address is missing next to a comma", Some(6..7)),
        ("a@b.c d@e.f", "this is not a valid mail address", Some(0..11)),
        ("a@", "this is not a valid mail address", Some(0..2)),
        ("@b.c", "this is not a valid mail address", Some(0..4)),
        ("a@b.c\nBcc: d@e.f", "the mail addresses contain control characters", None),
    ] {
        let wrong = mails(text).unwrap_err();
        assert_eq!((wrong.problem.as_str(), wrong.at), (problem, at));
    }
    check(mailbox("a@b.c, d@e.f"), Err("this is more than one address: write one address"));
}

#[test]
fn lines_and_paths() {
    check(line(" ops "), Ok("ops".to_owned()));
    check(line(" "), Err("the value is empty: write a value, or omit the attribute"));
    check(line("a\nb"), Err("the value contains control characters: write it on one line"));
    let home = Path::new("/home/ops");
    check(path("~/.ssh/id", Some(home)), Ok(PathBuf::from("/home/ops/.ssh/id")));
    check(path("relative/~", Some(home)), Ok(PathBuf::from("relative/~")));
    check(path("~root/x", Some(home)), Err("`~` with a user name is not supported: write the full path"));
    check(
        path("~/x", None),
        Err("`~` cannot be expanded: there is no home directory: write the full path, or set HOME"),
    );
}

#[test]
fn a_password_in_a_url_is_found() {
    for (url, expected) in [
        ("postgres://u:p@h/d", true),
        ("postgres://u@h/d", false),
        ("postgres://u@h/d?password=p", true),
        ("sqlite:a:b@c", false),
    ] {
        assert_eq!(url_has_password(url), expected, "{url}");
    }
}

#[test]
fn a_place_to_listen_is_an_address_with_a_port() {
    const HINT: &str = "this is not an address with a port: write an address of this machine and a port, like \
                        `127.0.0.1:9469` or `[::1]:9469`";
    const NO_PORT: &str = "this address has no port: add the port: `127.0.0.1:9469`";
    const NO_BRACKETS: &str =
        "this address has no port: write the address in brackets, and the port after them: `[::1]:9469`";
    for (text, expected) in [
        ("127.0.0.1:9469", Ok("127.0.0.1:9469")),
        ("localhost:9469", Ok("127.0.0.1:9469")),
        ("[::1]:9469", Ok("[::1]:9469")),
        ("0.0.0.0:80", Ok("0.0.0.0:80")),
        ("127.0.0.1:0", Err("0 is not a valid port: write a port from 1 to 65535")),
        ("127.0.0.1", Err(NO_PORT)),
        ("::1", Err(NO_BRACKETS)),
        ("[::1]", Err(NO_BRACKETS)),
        ("::1:9469", Err(NO_BRACKETS)),
        ("127.0.0.1:65536", Err(HINT)),
        ("9469", Err(HINT)),
        (":9469", Err(HINT)),
        ("*:9469", Err(HINT)),
        ("mon.example.com:9469", Err(HINT)),
        ("http://127.0.0.1:9469", Err(HINT)),
        ("127.0.0.1:9469/metrics", Err(HINT)),
        (" 127.0.0.1:9469", Err(HINT)),
        ("", Err(HINT)),
    ] {
        check(listen(text).map(|address| address.to_string()), expected.map(str::to_owned));
    }
}

#[test]
fn a_size_is_a_whole_number_with_a_unit() {
    for (text, expected) in [
        ("10GB", Some(10_000_000_000)),
        ("10 GiB", Some(10 << 30)),
        ("500mb", Some(500_000_000)),
        ("1TB", Some(1_000_000_000_000)),
        ("9MB", None),
        ("10", None),
        ("10G", None),
        ("1.5GB", None),
        ("-1GB", None),
        ("GB", None),
        ("99999999999TB", None),
        ("", None),
    ] {
        assert_eq!(database_size(text).ok(), expected.map(Bytes), "{text}");
    }
    for (text, expected) in [
        ("64kB", Some(64_000)),
        ("200 KiB", Some(200 << 10)),
        ("100MB", Some(100_000_000)),
        ("63kB", None),
        ("101MB", None),
        ("1GB", None),
        ("", None),
    ] {
        assert_eq!(mail_size(text).ok(), expected.map(Bytes), "{text}");
    }
}

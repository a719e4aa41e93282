//! Complete files: their meaning, and all errors with their positions.

use std::{path::Path, time::Duration};

use insta::assert_snapshot;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{diagnostic::Problems, secret::SecretSource, *};
use crate::fleet::{ClientId, Metric, Rule, metric::InstancePattern, rule::Repeat};

mod leaks;
mod page;
mod xsd;

/// The mission's sample, to the letter.
const SAMPLE: &str = r#"<config>
  <client ip='127.0.0.1' port='22' username='user' password='password' mail="asa@asda.com">
    <alert type="memory" limit="50%" />
    <alert type="cpu" limit="20%" />
  </client>
</config>"#;
/// The file that is shipped.
const SHIPPED: &str = include_str!("../../config.xml");

fn context() -> LoadContext {
    LoadContext { home: Some("/home/ops".into()), rights: None }
}

fn read(text: &str) -> Result<Loaded, Problems> {
    Config::parse_in(text, "config.xml", &context())
}

#[track_caller]
fn valid(text: &str) -> Loaded {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A configuration with these elements and a valid client.
fn with_client(inside: &str) -> String {
    format!("<config>{inside}<client ip='h' username='u'/></config>")
}

/// The errors of a file, each as `LINE:COLUMN: problem: hint`.
fn errors(text: &str) -> String {
    match read(text) {
        Ok(_) => "none".to_owned(),
        Err(Problems(errors)) => errors
            .iter()
            .map(|error| format!("{}:{}: {}: {}", error.line, error.column, error.problem, error.hint))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(errors(text), expected, "{text}");
}

#[test]
fn the_sample_of_the_mission_is_read_as_it_stands() {
    let Config { collector, database, smtp, ssh, metrics, clients, file, whole } = valid(SAMPLE).config;
    assert_eq!(metrics, None);
    assert_eq!((file.as_path(), whole), (Path::new("config.xml"), true));
    let [client] = clients.as_slice() else { panic!("{clients:?}") };
    assert_eq!(client.id, ClientId::new("127.0.0.1", 22));
    assert_eq!((client.name.as_str(), client.username.as_str()), ("127.0.0.1", "user"));
    assert_eq!(client.login.password, Some(SecretSource::Literal("password".into())));
    assert!(client.login.key.is_none() && !client.login.ssh_agent);
    assert_eq!(client.mail.iter().map(ToString::to_string).collect::<Vec<_>>(), ["asa@asda.com"]);
    assert_eq!((&client.agent, client.events), (&AgentDelivery::default(), None));
    let rule = |metric, limit| Rule {
        metric,
        instance: None,
        exclude: vec![],
        limit,
        clear: limit,
        for_sweeps: 1,
        repeat: Repeat::Every,
        recovery: false,
    };
    assert_eq!(client.rules, [rule(Metric::Cpu, 20.0), rule(Metric::Memory, 50.0)]);

    // Everything else takes its built-in default.
    let seconds = Duration::from_secs;
    assert_eq!(
        (collector.interval, collector.concurrency.get(), collector.timeout, collector.retries),
        (seconds(60), 128, seconds(30), 1)
    );
    assert_eq!((collector.mail.len(), smtp.give_up), (0, seconds(5 * 86_400)));
    assert_eq!((database.url.expose_secret(), database.retention), ("sqlite:fleetsweep.db", seconds(90 * 86_400)));
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.security), ("127.0.0.1", 25, SmtpSecurity::None));
    assert_eq!((smtp.from.to_string().as_str(), smtp.login.is_none()), ("fleetsweep@localhost", true));
    assert_eq!(ssh.known_hosts, Path::new("/home/ops/.ssh/known_hosts"));
    assert_eq!(ssh.host_keys, HostKeyPolicy::AcceptNew);
}

#[test]
fn the_shipped_file_is_valid_draws_no_warning_and_shows_every_attribute() {
    let loaded = Config::parse_in(
        SHIPPED,
        "config.xml",
        &LoadContext { rights: Some(rights::Rights { mode: 0o644, owner: 0, group: 0 }), ..context() },
    );
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    for kind in &schema::ELEMENTS {
        assert!(SHIPPED.contains(&format!("<{}", kind.name)), "<{}> is not shown", kind.name);
        for attribute in kind.attributes {
            let name = attribute.name;
            let shown = [" ", "`", "\n"].iter().any(|before| SHIPPED.contains(&format!("{before}{name}=\"")));
            assert!(shown, "{name} of <{}> is not shown", kind.name);
            if let Some(default) = attribute.default {
                assert!(SHIPPED.contains(default), "the default {default} of {name} is not shown");
            }
        }
    }
    for metric in Metric::ALL {
        assert!(SHIPPED.contains(&format!("type=\"{metric}\"")), "{metric} is not shown");
    }
    let rule = loaded.config.clients.iter().flat_map(|client| &client.rules).find(|rule| rule.metric == Metric::Memory);
    assert_eq!(rule.map(|rule| (rule.repeat, rule.recovery)), Some((Repeat::After(Duration::from_secs(14_400)), true)));
}

#[test]
fn groups_give_and_the_nearest_wins() {
    let loaded = valid(
        "<config>
           <collector agent='remove'/>
           <alerts repeat='4h' recovery='yes'/>
           <group username='ops' key='~/.ssh/id' passphrase='env:P' mail='ops@example.com' port='2222' events='yes'>
             <alert type='disk' limit='90%'/>
             <alert type='cpu' limit='80%'/>
             <client ip='10.0.4.[1-2]'/>
             <group username='inner' agent='keep'>
               <client ip='b' name='beta' mail='b@example.com' port='22' events='no'>
                 <alert type='disk' limit='50%' clear='45%' for='3' repeat='every'/>
               </client>
             </group>
           </group>
         </config>",
    );
    let shown: Vec<String> = loaded
        .config
        .clients
        .iter()
        .map(|client| {
            let rules: Vec<String> = client
                .rules
                .iter()
                .map(|r| format!("{} {} {} {} {:?}", r.metric, r.limit, r.clear, r.for_sweeps, r.repeat))
                .collect();
            format!(
                "{} {} {} {:?} {:?} {:?} {:?} {}",
                client.id,
                client.name,
                client.username,
                client.login.key.as_ref().map(|key| &key.path),
                client.mail.iter().map(ToString::to_string).collect::<Vec<_>>(),
                client.agent,
                client.events,
                rules.join(", "),
            )
        })
        .collect();
    assert_snapshot!(shown.join("\n"), @r#"
    10.0.4.1:2222 10.0.4.1 ops Some("/home/ops/.ssh/id") ["ops@example.com"] Uploaded { keeping: Remove, path: None } Some(true) cpu 80 80 1 After(14400s), disk 90 90 1 After(14400s)
    10.0.4.2:2222 10.0.4.2 ops Some("/home/ops/.ssh/id") ["ops@example.com"] Uploaded { keeping: Remove, path: None } Some(true) cpu 80 80 1 After(14400s), disk 90 90 1 After(14400s)
    b:22 beta inner Some("/home/ops/.ssh/id") ["b@example.com"] Uploaded { keeping: Keep, path: None } Some(false) cpu 80 80 1 After(14400s), disk 50 45 3 Every
    "#);
    let entered: Vec<_> = loaded.entered.iter().map(|entered| (entered.ip.as_str(), entered.clients.clone())).collect();
    assert_eq!(entered, [("10.0.4.[1-2]", 0..2), ("b", 2..3)]);
}

#[test]
fn ranges_make_clients_and_names_run_beside_them() {
    let names = |inside: &str| {
        let loaded = valid(&format!("<config><group username='u'>{inside}</group></config>"));
        loaded
            .config
            .clients
            .iter()
            .map(|client| format!("{}={}", client.name, client.id))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (inside, expected) in [
        ("<client ip='w[08-10].x'/>", "w08.x=w08.x:22 w09.x=w09.x:22 w10.x=w10.x:22"),
        ("<client ip='10.0.4.[1,3]' name='web-[01-02]'/>", "web-01=10.0.4.1:22 web-02=10.0.4.3:22"),
        (
            "<client ip='10.[0-1].0.[1-2]'/>",
            "10.0.0.1=10.0.0.1:22 10.0.0.2=10.0.0.2:22 10.1.0.1=10.1.0.1:22 10.1.0.2=10.1.0.2:22",
        ),
        ("<client ip='[2001:DB8::1]'/>", "2001:db8::1=[2001:db8::1]:22"),
        ("<client ip='2001:db8::[8-9]'/>", "2001:db8::8=[2001:db8::8]:22 2001:db8::9=[2001:db8::9]:22"),
        ("<client ip='[2001:db8::[8-9]]'/>", "2001:db8::8=[2001:db8::8]:22 2001:db8::9=[2001:db8::9]:22"),
        ("<client ip='DB.example.com' port='23'/>", "db.example.com=db.example.com:23"),
        ("<client ip='h'/><client ip='h' port='23'/>", "h=h:22 h=h:23"),
    ] {
        assert_eq!(names(inside), expected);
    }
}

#[test]
fn a_login_is_what_is_written_or_the_ssh_agent() {
    for (attributes, key, passphrase, password, agent) in [
        ("", None, None, None, true),
        ("password='p'", None, None, Some(SecretSource::Literal("p".into())), false),
        ("key='/k'", Some("/k"), None, None, false),
        (
            "key='~/k' passphrase='env:P' password='file:~/p'",
            Some("/home/ops/k"),
            Some(SecretSource::Environment("P".to_owned())),
            Some(SecretSource::File("/home/ops/p".into())),
            false,
        ),
        ("password='cmd:pass show x'", None, None, Some(SecretSource::Command("pass show x".to_owned())), false),
    ] {
        let text = format!("<config><client ip='h' username='u' {attributes}/></config>");
        let login = valid(&text).config.clients.remove(0).login;
        let found = (login.key.as_ref().map(|key| key.path.as_path()), login.ssh_agent);
        assert_eq!(found, (key.map(Path::new), agent));
        assert_eq!((login.key.and_then(|key| key.passphrase), login.password), (passphrase, password));
    }
}

#[test]
fn the_name_of_this_machine_is_a_name_or_an_address_in_brackets() {
    for (helo, expected) in [
        ("mon.example.com", "mon.example.com"),
        ("MON.Example.com.", "mon.example.com"),
        ("mon", "mon"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
    ] {
        let smtp = valid(&with_client(&format!("<smtp helo='{helo}'/>"))).config.smtp;
        assert_eq!(smtp.helo.as_deref(), Some(expected));
    }
    for (helo, hint) in [
        ("192.0.2.1", "write it like [192.0.2.1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("[192.0.2]", "write the full name"),
        ("a b", "write the full name"),
        ("mon.example.com\u{a0}x", "write the full name"),
        ("mön.example.com", "write the full name"),
        ("", "write the full name"),
    ] {
        let found = errors(&with_client(&format!("<smtp helo='{helo}'/>")));
        assert!(found.starts_with("1:21: `helo`: ") && found.contains(hint), "{helo}: {found}");
    }
}

#[test]
fn certificates_without_tls_draw_a_warning() {
    for (attributes, expected) in
        [("ca='/a.pem'", true), ("ca='/a.pem' security='tls'", false), ("ca='~/a.pem' security='starttls'", false)]
    {
        let loaded = valid(&with_client(&format!("<smtp {attributes}/>")));
        let warned =
            loaded.warnings.iter().any(|warning| warning.problem.as_str().contains("these certificates are not used"));
        assert_eq!(warned, expected, "{attributes}");
    }
}

#[test]
fn the_smtp_port_follows_the_security() {
    for (attributes, expected) in [
        ("", 25),
        ("security='none'", 25),
        ("security='starttls'", 587),
        ("security='tls'", 465),
        ("security='tls' port='2525'", 2525),
    ] {
        assert_eq!(valid(&with_client(&format!("<smtp {attributes}/>"))).config.smtp.port, expected, "{attributes}");
    }
}

#[test]
fn warnings_name_what_is_valid_and_unwise() {
    for (text, expected) in [
        (
            with_client("<smtp host='mail.example.com' username='u' password='env:P'/>"),
            "the SMTP password is sent unencrypted to mail.example.com",
        ),
        (with_client("<smtp username='u' password='env:P'/>"), ""),
        (with_client("<smtp host='mail.example.com' security='tls' username='u' password='env:P'/>"), ""),
        (
            with_client("<ssh host-keys='off'/>"),
            "host keys are not checked, so an impostor could get the password of a client",
        ),
        (
            with_client("<group username='u'><client ip='i'><alert type='cpu' limit='100%'/></client></group>"),
            "this alert can never be raised: no value is above its limit",
        ),
    ] {
        let warnings = valid(&text).warnings;
        assert!(warnings.iter().all(|warning| warning.severity == diagnostic::Severity::Warning));
        assert_eq!(warnings.iter().map(|warning| warning.problem.as_str()).collect::<Vec<_>>().join("\n"), expected);
    }
}

#[test]
fn a_limit_of_traffic_is_a_rate_or_a_share_and_what_happens_needs_none() {
    let rules = |alerts: &str| {
        let loaded = valid(&format!("<config><client ip='h' username='u'>{alerts}</client></config>"));
        let rules = loaded.config.clients[0].rules.clone();
        rules.into_iter().map(|rule| (rule.metric, rule.limit, rule.clear)).collect::<Vec<_>>()
    };
    assert_eq!(
        rules("<alert type='network' limit='800' clear='500'/><alert type='network' limit='90%' clear='50%'/>"),
        [(Metric::Network, 800.0, 500.0), (Metric::NetworkShare, 90.0, 50.0)]
    );
    assert_eq!(
        rules("<alert type='reboot'/><alert type='oom' limit='2'/>"),
        [(Metric::Oom, 2.0, 2.0), (Metric::Reboot, 0.0, 0.0)]
    );
    check(
        "<config><client ip='h' username='u'><alert type='network' limit='9'/><alert type='network' limit='8'/></client></config>",
        "1:83: this element has two alerts for network; the first is in line 1: keep one of them",
    );
}

#[test]
fn a_client_needs_what_it_needs() {
    check(
        "<config><client/></config>",
        "1:10: `<client>` has no `username`: write username=\"…\" here or on a group around it\n1:10: `<client>` has no `ip`: write ip=\"10.0.4.1\", a host name or a range",
    );
    check(
        "<config><group username='u'><client ip='h'><alert/></client></group></config>",
        &format!(
            "1:45: `<alert>` has no `type`: write type=\"cpu\" (or {})\n1:45: `<alert>` has no `limit`: write limit=\"90%\"",
            Metric::ALL.map(Metric::word)[1..].join(", ")
        ),
    );
    check(
        "<config><group username=''><client ip='h'/></group></config>",
        "1:26: `username`: the value is empty: write a value, or omit the attribute",
    );
    check(
        "<config><client ip='h' username='u' passphrase='env:P'/></config>",
        "1:37: `passphrase` has no effect without `key`: add key=\"FILE\", or remove `passphrase`",
    );
    check(
        "<config></config>",
        "1:2: this file defines no client: write at least one, for example `<client ip=\"10.0.4.1\" username=\"ops\"/>`",
    );
    check(
        "<config><group username='u'/></config>",
        "1:2: this file defines no client: write at least one, for example `<client ip=\"10.0.4.1\" username=\"ops\"/>`",
    );
}

#[test]
fn nothing_is_there_twice() {
    let group = |inside: &str| format!("<config><group username='u'>\n{inside}\n</group></config>");
    check(
        &group("<client ip='10.0.0.1'/>\n<client ip='10.0.0.1' port='22'/>"),
        "3:13: the client 10.0.0.1:22 is already defined in line 2: keep one of them",
    );
    check(
        &group("<client ip='10.0.0.[1-9]'/>\n<client ip='10.0.0.[8-20]'/>"),
        "3:13: the client 10.0.0.8:22 (and 1 more) is already defined in line 2: keep one of them",
    );
    check(
        &group("<client ip='::1'/>\n<client ip='[0:0::1]'/>"),
        "3:13: the client [::1]:22 is already defined in line 2: keep one of them",
    );
    check(&group("<client ip='h[1,1]'/>"), "2:13: this client is already defined in this element: keep one of them");
    check(
        &group("<client ip='a' name='x'/>\n<client ip='b' name='x'/>"),
        "3:22: this name is already used in line 2: give each client a unique name",
    );
    check(
        &group("<client ip='a'/>\n<client ip='b' name='a'/>"),
        "3:22: this name is already used in line 2: give each client a unique name",
    );
    check(
        &group("<client ip='b' name='a'/>\n<client ip='a'/>"),
        "3:13: this name is already used in line 2: give each client a unique name",
    );
    check(
        &group("<client ip='a'>\n<alert type='cpu' limit='1%'/>\n<alert type='cpu' limit='2%'/></client>"),
        "4:14: this element has two alerts for cpu; the first is in line 3: keep one of them",
    );
    check(
        &with_client("<ssh/>\n<ssh/>"),
        "2:2: there is a second `<ssh>`; the first is in line 1: merge the two elements",
    );
}

#[test]
fn names_of_ranges_and_ranges_of_names() {
    let client = |attributes: &str| format!("<config><client username='u' {attributes}/></config>");
    check(
        &client("ip='h[1-3]' name='x'"),
        "1:48: `name`: this is one name for 3 clients: write a range of the same length as the one in `ip`, for example `web-[01-40]`, or omit `name`",
    );
    check(
        &client("ip='h[1-3]' name='x[1-2]'"),
        "1:48: `name`: this expands to 2 names, but `ip` expands to 3 addresses: write a range of the same length as the one in `ip`, or omit `name`",
    );
    check(
        &client("ip='h' name='x[1-2]'"),
        "1:43: `name`: this expands to 2 names, but `ip` expands to 1 address: write a range of the same length as the one in `ip`, or omit `name`",
    );
    check(&client("ip='10.0.4.[9-1]'"), "1:42: `ip`: the range `9-1` runs backwards: write `1-9`");
    check(
        &client("ip='10.0.4.[250-260]'"),
        "1:34: `ip`: `10.0.4.256` is not a valid address or host name: change the range so that every address in it is valid",
    );
    check(
        &client("ip='10.[0-255].[0-255].[1-254]'"),
        "1:34: `ip`: this expands to 16646144 clients, but at most 65536 are allowed: write smaller ranges",
    );
    let two = "<client ip='a[1-40000]'/><client ip='b[1-40000]'/><client ip='c[1-40000]'/>";
    check(
        &format!("<config><group username='u'>{two}</group></config>"),
        "1:55: this brings the fleet to more than 65536 clients: write smaller ranges, or split the fleet",
    );
}

/// Found by fuzzing: each further element was expanded all the same, for seconds of work and gigabytes of memory.
#[test]
fn a_fleet_that_is_full_is_expanded_no_further() {
    let more = "\n<client ip='h[1-65536]' username='u'/>".repeat(5_000);
    check(
        &format!("<config><client ip='h[1-65536]' username='u'/>\n<client ip='i' username='u'/>{more}</config>"),
        "2:2: this brings the fleet to more than 65536 clients: write smaller ranges, or split the fleet",
    );
    // Also if each of them has another error.
    let nobody = "<client ip='h[1-65536]'/>".repeat(3_000);
    let errors = errors(&format!("<config>{nobody}</config>"));
    assert_eq!((errors.lines().count(), errors.matches("more than 65536 clients").count()), (3_001, 1));
}

#[test]
fn strangers_and_misplaced_ones_are_named() {
    check(&with_client("<clinet ip='a'/>"), "1:10: the element `<clinet>` is unknown: did you mean `<client>`?");
    check(&with_client("<smpt/>"), "1:10: the element `<smpt>` is unknown: did you mean `<smtp>`?");
    check(
        &with_client("<group><host/></group>"),
        "1:17: the element `<host>` is unknown: `<group>` may contain `<client>`, `<group>`, `<events>` or `<alert>`",
    );
    check("<configuration/>", "1:2: the element `<configuration>` is unknown: put `<config>` around everything");
    check(
        &with_client("<alert type='cpu' limit='1%'/>"),
        "1:10: `<alert>` is not allowed inside `<config>`: move it directly inside `<client>` or `<group>`",
    );
    check(
        &with_client("<smtp><database/></smtp>"),
        "1:16: `<database>` is not allowed inside `<smtp>`: move it directly inside `<config>`",
    );
    check(
        "<client ip='h' username='u'/>",
        "1:2: `<client>` is not allowed as the root: move it directly inside `<config>` or `<group>`",
    );
    check(
        &with_client("<ssh known-host='a'/>"),
        "1:14: `<ssh>` has no attribute `known-host`: did you mean `known-hosts`?",
    );
    check(
        &with_client("<group ip='a' name='b'/>"),
        "1:16: `<group>` has no attribute `ip`: it is an attribute of `<client>`\n1:23: `<group>` has no attribute `name`: it is an attribute of `<bastion>`, `<client>` or `<alert>`",
    );
    check(
        &with_client("<alerts every='4h'/>"),
        "1:17: `<alerts>` has no attribute `every`: the known attributes are `repeat` or `recovery`",
    );
    check(
        "<config x='1'><client ip='h' username='u'/></config>",
        "1:9: `<config>` has no attribute of this name: remove it",
    );
}

#[test]
fn the_nearest_says_what_is_redacted() {
    let loaded = valid(
        "<config><collector redact='a'/>
           <client ip='h1' username='u'/>
           <group username='u' redact='b=(\\S+)'><client ip='h2'/><client ip='h3' redact='c'/><client ip='h4' redact=''/></group>
         </config>",
    );
    let expression = |client: &Client| client.redact.as_ref().map(|redaction| redaction.expression().to_owned());
    let shown: Vec<_> = loaded.config.clients.iter().map(expression).collect();
    assert_eq!(shown, [Some("a".to_owned()), Some("b=(\\S+)".to_owned()), Some("c".to_owned()), None]);
    check(
        &with_client("<collector redact='a('/><group redact='[z-a]'/>"),
        r"1:28: `redact`: this is not a valid regular expression: unclosed group: write an expression like `password=(\S+)`; write `\` before a special character to match it literally
1:48: `redact`: this is not a valid regular expression: invalid character class range, the start must be <= the end: write an expression like `password=(\S+)`; write `\` before a special character to match it literally",
    );
}

#[test]
fn further_logs_are_those_of_the_nearest_element_that_names_them() {
    let loaded = valid(
        "<config><group username='u' ignore='^CRON: '><events channel='System' ids='7045, 104,104'/><events channel='cron'/>
           <client ip='h1'/>
           <client ip='h2' ignore=''><events channel='System'/><events channel='Windows PowerShell' ids='400'/></client>
         </group></config>",
    );
    let logs = |client: &Client| -> Vec<String> {
        client.logs.iter().map(|log| format!("{} {:?}", log.channel(), log.ids())).collect()
    };
    let shown: Vec<_> = loaded.config.clients.iter().map(|client| (logs(client), client.ignore.is_some())).collect();
    let group = ["System [104, 7045]", "cron []"].map(str::to_owned).to_vec();
    let own = ["System []", "Windows PowerShell [400]", "cron []"].map(str::to_owned).to_vec();
    assert_eq!(shown, [(group, true), (own, false)]);
}

#[test]
fn a_wrong_log_is_named_with_its_place_and_what_to_write() {
    let of = |inside: &str| with_client(&format!("<group ignore='(\\w{{1,500}}){{1,500}}'>{inside}</group>"));
    let many = (0..9).map(|n| format!("<events channel='c{n}'/>")).collect::<String>();
    let inside = format!(
        "<events/>\n<events channel='Security'/>\n<events channel='a\"b'/>\n<events channel='x' ids='7045;104'/>\n\
         <events channel='y' ids='{}'/>\n<events channel='z'/><events channel='z'/>\n<group>{many}</group>",
        "1,".repeat(20) + "1"
    );
    insta::assert_snapshot!(errors(&of(&inside)));
}

#[test]
fn every_error_is_shown_at_once_with_its_line_and_no_secret() {
    let text = r#"<config>
  <collector interval="60" concurrency="0" timeout="2h" retries="many"/>
  <database url="postgres://sweep:hunter2@/x" retention="soon"/>
  <smtp host="mail example" port="99999" security="ssl" from="nobody" username="x"/>
  <ssh known-hosts="~root/x" host-keys="maybe"/>
  <alerts repeat="often" recovery="perhaps"/>
  <client ip='10.0.4.1' usrname='ops' password='hunter2' mail="ops@example.com, ann"/>
	<client ip="10.0.4.1-40" port="70000" username='ops' password="hunter2" agent="kept" events="on">
    <alert type="memory" limit="150%"/>
    <alert type="cpu" limit="20" for="0"/>
    <alert type="disk" limit="80%" clear="90%"/>
    <alert type="load" limit="80%"/>
    <alert type="unreachable" limit="1.5" repeat="daily"/>
    <alert type="ram" limit="1"/>
  </client>
  <client ip=‘10.0.4.2’ username="ops" password=“hunter2”/>
  <group username="ops">
    keep out
    <client ip="web-[12-01]"/>
    <client ip="web-[1-3" password="hunter2" pasword="hunter2"/>
  </group>
</config>
"#;
    let problems = read(text).unwrap_err().to_string();
    assert!(!problems.contains("hunter2"), "{problems}");
    assert_snapshot!(problems);
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_list_of_problems(text in "\\PC{0,200}") {
        if let Err(Problems(problems)) = read(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_damaged_file_is_a_configuration_or_a_list_of_problems(
        shipped in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[<>&'\"=/\\[\\]“é0 -]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = if shipped { SHIPPED } else { SAMPLE }.chars().collect();
        for (index, removed, inserted) in damage {
            let start = index.index(text.len());
            let end = text.len().min(start + removed);
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(Problems(problems)) = read(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(!problem.problem.as_str().is_empty() && !problem.hint.as_str().is_empty());
            }
        }
    }
}

#[test]
fn an_alert_for_one_mount_is_beside_the_one_for_all_and_the_nearest_of_each_wins() {
    let loaded = valid(
        r#"<config>
             <group username='ops'>
               <alert type='disk' limit='90%' exclude='/backup/*, /mnt/?'/>
               <alert type='disk' mount='/var/' limit='95%'/>
               <alert type='disk' mount='/srv &quot;x&quot;' limit='50%'/>
               <client ip='10.0.0.1'/>
               <client ip='10.0.0.2'><alert type='disk' mount='/var' limit='80%'/></client>
               <client ip='10.0.0.3'><alert type='disk' limit='70%'/></client>
             </group>
           </config>"#,
    );
    let shown: Vec<Vec<String>> = loaded
        .config
        .clients
        .iter()
        .map(|client| {
            let rule = |rule: &Rule| {
                let instance = rule.instance.as_ref().map(|instance| instance.name().to_owned());
                let exclude: Vec<&str> = rule.exclude.iter().map(InstancePattern::as_str).collect();
                format!("{} {} {}", instance.unwrap_or_else(|| "*".to_owned()), rule.limit, exclude.join("|"))
            };
            client.rules.iter().map(rule).collect()
        })
        .collect();
    assert_eq!(
        shown,
        [
            vec!["* 90 /backup/*|/mnt/?", "/srv \"x\" 50 ", "/var/ 95 "],
            vec!["* 90 /backup/*|/mnt/?", "/srv \"x\" 50 ", "/var 80 "],
            vec!["* 70 ", "/srv \"x\" 50 ", "/var/ 95 "],
        ]
    );
}

#[test]
fn an_attribute_that_names_an_instance_must_fit_the_type() {
    let with = |alert: &str| format!("<config><client ip='10.0.0.1' username='o'>{alert}</client></config>");
    for (alert, expected) in [
        (
            "<alert type='cpu' mount='/var' limit='9%'/>",
            "`mount` does not apply: cpu has one value for the whole client",
        ),
        (
            "<alert type='disk' interface='eth0' limit='9%'/>",
            "`interface` does not apply: disk has one value for each mount",
        ),
        (
            "<alert type='disk-busy' mount='/' limit='9%'/>",
            "`mount` does not apply: disk-busy has one value for each disk",
        ),
        ("<alert type='pressure' name='mem' limit='9%'/>", "`name`: there is no such resource"),
        (
            "<alert type='network' interface='e' limit='9%'/><alert type='network-share' interface='e' limit='8%'/>",
            "this element has two alerts for network-share with this name; the first is in line 1",
        ),
        ("<alert type='disk' name='x' limit='9%'/>", "`name` does not apply: disk has one value for each mount"),
        (
            "<alert type='cpu' exclude='/x' limit='9%'/>",
            "`exclude` does not apply: cpu has one value for the whole client",
        ),
        (
            "<alert type='disk' mount='/x' exclude='/y' limit='9%'/>",
            "`exclude` has no effect beside `mount`, which names the only one",
        ),
        ("<alert type='disk' mount='' limit='9%'/>", "`mount`: a name is missing"),
        ("<alert type='processes' limit='9'/>", "`<alert>` has no `name`"),
        ("<alert type='processes' name='ng*' limit='9'/>", "`name`: this is a pattern, but one instance is named here"),
        ("<alert type='units' mount='/x' limit='0'/>", "`mount` does not apply: units has one value for each service"),
        ("<alert type='clock' limit='5'/>", "`limit`: `5` has no unit"),
        ("<alert type='temperature' limit='hot'/>", "is not a temperature"),
        ("<alert type='disk-full' mount='/var' limit='90%'/>", "is not a number of days"),
        (
            "<alert type='disk-full' limit='7d' clear='5d'/>",
            "is below the limit, so the alert would end as soon as it is raised",
        ),
        (
            "<alert type='disk-full' name='x' limit='7d'/>",
            "`name` does not apply: disk-full has one value for each mount",
        ),
        ("<alert type='disk' mount='var' limit='9%'/>", "`mount`: this is not the path of a directory"),
        ("<alert type='disk' mount='/x/*' limit='9%'/>", "`mount`: this is a pattern, but one instance is named here"),
        ("<alert type='disk' mount='/a&#9;b' limit='9%'/>", "`mount`: the name contains control characters"),
        ("<alert type='disk' exclude='/a,,/b' limit='9%'/>", "`exclude`: a name is missing"),
        (
            "<alert type='disk' mount='/var' limit='9%'/><alert type='disk' mount='/var/' limit='8%'/>",
            "this element has two alerts for disk with this name; the first is in line 1",
        ),
    ] {
        let problems = errors(&with(alert));
        assert!(problems.contains(expected), "{alert}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{alert}: {problems}");
    }
    let long = with(&format!("<alert type='disk' mount='/{}' limit='9%'/>", "x".repeat(256)));
    assert!(errors(&long).contains("`mount`: the name is too long"), "{}", errors(&long));
    let many = with(&format!("<alert type='disk' exclude='{}' limit='9%'/>", ["/x"; 65].join(",")));
    assert!(errors(&many).contains("`exclude`: these are 65 patterns"), "{}", errors(&many));
}

#[test]
fn what_only_some_rules_need_is_asked_for() {
    let asked = |alerts: &str| {
        let loaded = valid(&format!("<config><client ip='10.0.0.1' username='o'>{alerts}</client></config>"));
        let questions = crate::fleet::rule::questions(&loaded.config.clients[0].rules, &[]).unwrap();
        (questions.units, questions.processes().to_vec(), questions.mounts().to_vec())
    };
    assert_eq!(
        asked("<alert type='disk' limit='9%'/><alert type='temperature' limit='80°C'/>"),
        (false, vec![], vec![])
    );
    assert_eq!(
        asked(
            "<alert type='disk' mount='/var' limit='9%'/><alert type='inodes' mount='/var' limit='9%'/>\
             <alert type='disk-full' mount='/srv/' limit='9d'/><alert type='network' interface='eth0' limit='9'/>"
        ),
        (false, vec![], vec!["/var".to_owned(), "/srv/".to_owned()])
    );
    assert_eq!(
        asked(
            "<alert type='units' limit='0' exclude='getty@*'/><alert type='processes' name='nginx' limit='3'/>\
             <alert type='few-processes' name='nginx' limit='1'/><alert type='few-processes' name='java' limit='1'/>"
        ),
        (true, vec!["nginx".to_owned(), "java".to_owned()], vec![])
    );
    // Mounts for which there is no space left are no error.
    let many: String =
        (0..30).map(|n| format!("<alert type='disk' mount='/{}{n}' limit='3%'/>", "x".repeat(90))).collect();
    assert_eq!(asked(&many).2.len(), 21);
    let many: String =
        (0..30).map(|n| format!("<alert type='processes' name='{}{n}' limit='3'/>", "x".repeat(90))).collect();
    let problems = errors(&format!("<config><client ip='10.0.0.1' username='o'>{many}</client></config>"));
    assert!(problems.contains("have more than 2048 bytes together"), "{problems}");
}

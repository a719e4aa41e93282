//! The plan of a demo: which clients there are, how each behaves and what will become of it, and the
//! configuration that says so. Pure; no server runs here.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use crate::fleet::Stage;

use super::behaviour::Behaviour;

/// The largest fleet: the addresses and descriptors of one machine.
pub const MAX_CLIENTS: usize = 10_000;

/// About one client in so many has each of the planned troubles.
const TROUBLE_EVERY: usize = 20;

/// What the legend says beside it once the demo has a director.
pub(super) const ENLIVENED: &str =
    "      from time to time others fail, slow down or work hard for a sweep or two, and recover\n";

/// What a healthy client is called, in turn.
const HEALTHY_NAMES: [&str; 4] = ["web", "app", "db", "cache"];

/// The clients whose security events are read: those that others reach from outside, so many at most.
const WATCHED: &str = "web";
const WATCHED_MOST: usize = 50;

/// The part a client plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Collected, nothing exceeded.
    Healthy,
    /// Collected, and its memory limit is 0 %.
    OverLimit,
    /// Refuses its password.
    RefusesLogin,
    /// Accepts connections and says nothing.
    Silent,
}

/// What a first sweep makes of a client, if all goes as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It is collected, and no limit is exceeded.
    Collected,
    /// It is collected, and a limit is exceeded.
    OverLimit,
    /// Its collection fails in this stage.
    FailsAt(Stage),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::OverLimit, Self::RefusesLogin, Self::Silent];

    /// How its server behaves.
    #[must_use]
    pub fn behaviour(self) -> Behaviour {
        match self {
            Self::Healthy | Self::OverLimit => Behaviour::Healthy,
            Self::RefusesLogin => Behaviour::RefusesLogin,
            Self::Silent => Behaviour::Silent,
        }
    }

    /// What a first sweep makes of it.
    #[must_use]
    pub fn expectation(self) -> Expectation {
        match (self.behaviour().fails_at(), self) {
            (Some(stage), _) => Expectation::FailsAt(stage),
            (None, Self::OverLimit) => Expectation::OverLimit,
            (None, Self::Healthy | Self::RefusesLogin | Self::Silent) => Expectation::Collected,
        }
    }

    /// What is to be known of it, for people; `None` for a healthy client.
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Healthy => None,
            Self::OverLimit => Some("its memory limit is 0 %: an alert, and a mail to the sink"),
            Self::RefusesLogin => Some("refuses its password: fails in `authenticate`"),
            Self::Silent => Some("accepts connections and says nothing: fails in `connect`, at its deadline"),
        }
    }

    fn name(self, number: usize) -> &'static str {
        match self {
            Self::Healthy => HEALTHY_NAMES.into_iter().cycle().nth(number).unwrap_or("web"),
            Self::OverLimit => "over-limit",
            Self::RefusesLogin => "refuses-login",
            Self::Silent => "silent",
        }
    }
}

/// One client of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name, which tells its role and ends in its number.
    pub name: String,
    /// Its part.
    pub role: Role,
}

/// The clients of a demo, in order. The troubled ones stand at the end of each stretch of about twenty: one of
/// each kind, so far as the fleet is large enough.
#[must_use]
pub fn clients(count: usize) -> Vec<Planned> {
    let stretches = (count / TROUBLE_EVERY).max(1);
    let digits = count.to_string().len().max(2);
    let ends: Vec<usize> = (1..=stretches).map(|stretch| stretch * count / stretches).collect();
    (0..count)
        .map(|index| {
            let end = ends.iter().copied().find(|end| *end > index).unwrap_or(count);
            let role = match (end - index, count) {
                (_, 1) => Role::Healthy,
                (1, 2) | (2, 3) | (3, 4..) => Role::OverLimit,
                (1, 3) | (2, 4..) => Role::RefusesLogin,
                (1, 4..) => Role::Silent,
                (_, _) => Role::Healthy,
            };
            Planned { name: format!("{}-{:0digits$}", role.name(index), index + 1), role }
        })
        .collect()
}

/// What the configuration of a demo names.
pub(super) struct Places<'a> {
    /// Holds everything else the demo writes.
    pub(super) directory: &'a Path,
    /// Where the mail sink listens.
    pub(super) smtp: SocketAddr,
    /// The account of every client.
    pub(super) username: &'a str,
    /// Its password.
    pub(super) password: &'a str,
}

/// The text of `config.xml`: real, valid, and worth reading as an example.
pub(super) fn configuration(places: &Places<'_>, clients: &[(Planned, SocketAddr)]) -> String {
    let directory = escape(&places.directory.display().to_string());
    let Places { smtp, username, password, .. } = places;
    let mut text = format!(
        r#"<config>
  <!-- A demo fleet: every client is an SSH server inside the fleetsweep process. -->
  <collector interval="10s" concurrency="128" timeout="8s" retries="1"/>
  <database url="sqlite:{directory}/demo.db" retention="1d"/>
  <smtp host="{}" port="{}" security="none" from="fleetsweep@localhost"/>
  <ssh known-hosts="{directory}/known_hosts" host-keys="accept-new"/>
  <alerts repeat="4h" recovery="yes"/>
  <group username="{}" password="{}" mail="operator@localhost">
    <alert type="memory" limit="99%"/>
    <alert type="cpu" limit="90%" clear="80%"/>
    <alert type="unreachable" limit="1"/>
"#,
        smtp.ip(),
        smtp.port(),
        escape(username),
        escape(password),
    );
    let mut watched = 0;
    for (Planned { name, role }, address) in clients {
        let client = format!(r#"    <client name="{name}" ip="{}" port="{}""#, address.ip(), address.port());
        text.push_str(&client);
        if *role == Role::Healthy && name.starts_with(WATCHED) && watched < WATCHED_MOST {
            watched += 1;
            text.push_str(r#" events="yes""#);
        }
        text.push_str(match role {
            Role::OverLimit => "><alert type=\"memory\" limit=\"0%\"/></client>\n",
            Role::Healthy | Role::RefusesLogin | Role::Silent => "/>\n",
        });
    }
    text.push_str("  </group>\n</config>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Which clients misbehave on purpose, and how: a few lines for people.
pub(super) fn legend(clients: &[Planned], smtp: SocketAddr, directory: &Path) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let count = clients.len();
    let clients_word = if count == 1 { "client" } else { "clients" };
    writeln!(text, "demo: {count} {clients_word} on loopback, mails go to a sink on {smtp}")?;
    writeln!(text, "      configuration and database, until it ends: {}", directory.display())?;
    writeln!(text, "      agents are really sent, executed and checked; the numbers in their answers are made up")?;
    let troubled: Vec<(String, &str)> = Role::ALL
        .into_iter()
        .filter_map(|role| {
            let names: Vec<&str> = clients.iter().filter(|c| c.role == role).map(|c| c.name.as_str()).collect();
            Some((shorten(&names)?, role.words()?))
        })
        .collect();
    let width = troubled.iter().map(|(names, _)| names.len()).max().unwrap_or(0);
    if width > 0 {
        writeln!(text, "on purpose:")?;
    }
    for (names, words) in troubled {
        writeln!(text, "      {names:width$}  {words}")?;
    }
    Ok(text)
}

/// The names themselves, or the first and how many more; `None` where there is none.
fn shorten(names: &[&str]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some((*one).to_owned()),
        [first, rest @ ..] => Some(format!("{first} and {} more", rest.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(clients: &[Planned], role: Role) -> usize {
        clients.iter().filter(|client| client.role == role).count()
    }

    #[test]
    fn a_fleet_of_any_size_has_its_share_of_trouble() {
        for (size, healthy, each_of) in [
            (1, 1, [0, 0, 0]),
            (2, 1, [1, 0, 0]),
            (3, 1, [1, 1, 0]),
            (4, 1, [1, 1, 1]),
            (12, 9, [1, 1, 1]),
            (39, 36, [1, 1, 1]),
            (40, 34, [2, 2, 2]),
            (1000, 850, [50, 50, 50]),
        ] {
            let clients = clients(size);
            assert_eq!(clients.len(), size);
            assert_eq!(count(&clients, Role::Healthy), healthy, "{size}");
            assert_eq!(
                [Role::OverLimit, Role::RefusesLogin, Role::Silent].map(|r| count(&clients, r)),
                each_of,
                "{size}"
            );
        }
    }

    #[test]
    fn the_default_fleet_ends_with_its_troubled_clients() {
        let names: Vec<_> = clients(12).into_iter().map(|client| client.name).collect();
        assert_eq!(
            names,
            [
                "web-01",
                "app-02",
                "db-03",
                "cache-04",
                "web-05",
                "app-06",
                "db-07",
                "cache-08",
                "web-09",
                "over-limit-10",
                "refuses-login-11",
                "silent-12",
            ]
        );
    }

    #[test]
    fn names_are_unique_and_padded_alike() {
        let mut names: Vec<_> = clients(1000).into_iter().map(|client| client.name).collect();
        assert_eq!(names[0], "web-0001");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn the_configuration_names_every_client_and_the_legend_every_trouble() {
        let smtp = "127.0.0.1:2525".parse().unwrap();
        let directory = Path::new("/tmp/a & \"b\"");
        let places = Places { directory, smtp, username: "demo", password: "p<w" };
        let planned = clients(4);
        let placed: Vec<_> =
            planned.iter().cloned().zip((0..4).map(|n| SocketAddr::from(([127, 10, 0, n + 1], 4000)))).collect();
        insta::assert_snapshot!("configuration_of_4", configuration(&places, &placed));
        insta::assert_snapshot!("legend_of_4", legend(&planned, smtp, Path::new("/tmp/demo")).unwrap());
        insta::assert_snapshot!("legend_of_1", legend(&clients(1), smtp, Path::new("/tmp/demo")).unwrap());
        insta::assert_snapshot!("legend_of_100", legend(&clients(100), smtp, Path::new("/tmp/demo")).unwrap());
    }
}

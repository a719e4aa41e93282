//! Servers with few connections, and connection poolers: too few connections are reported, and enough of them work.

use fleetsweep::demo::Behaviour;
use support::{Access, Mariadb, Outcome, Pgbouncer, Postgres, Trial};

use crate::site::{Config, Fleet, UNDER};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Postgres) => two_connections_to_postgresql_are_enough;
        needs(Mariadb) => two_connections_to_mariadb_are_enough;
        needs(Postgres, Pgbouncer) => a_pooler_has_to_keep_the_session;
    }
}

/// Two runs of the program. The second one finds the data of the first.
async fn sweep_twice(fleet: &Fleet, url: &str) -> Outcome {
    fleet.program.write_config(&Config { database: url.to_owned(), ..fleet.config(UNDER) }.text());
    let first = fleet.program.run(["--once", "--format", "json"]).await;
    if first.code == Some(0) { fleet.program.run(["--once", "--format", "json"]).await } else { first }
}

async fn limited(server: &Access, limit: impl AsyncFn(&str, u32)) {
    let fleet = Fleet::of(&[Behaviour::Healthy; 3]).await;
    for (connections, suffices) in [(1, false), (2, true), (3, true), (4, true)] {
        let name = server.new_database(None).await;
        limit(&name, connections).await;
        let outcome = sweep_twice(&fleet, &server.url_of_owner(&name)).await;
        if suffices {
            assert_eq!(outcome.code, Some(0), "{connections}: {outcome:#?}");
        } else {
            assert_eq!(outcome.code, Some(3), "{connections}: {outcome:#?}");
            assert!(
                outcome.stderr.contains("too few connections of this account in: fleetsweep needs 2"),
                "{outcome:#?}"
            );
        }
        limit(&name, 100).await;
        let found = server.cells(&server.url_of_owner(&name), "SELECT 1 FROM collections").await;
        assert_eq!(found.map_or(0, |rows| rows.len()), if suffices { 6 } else { 0 }, "{connections}");
    }
}

async fn two_connections_to_postgresql_are_enough() {
    let server = Postgres::start(false).await;
    let access = server.access();
    let of_role = async |_: &str, count: u32| {
        access.change("postgres", &format!("ALTER ROLE sweeper CONNECTION LIMIT {count}")).await;
    };
    limited(&access, of_role).await;
    let of_database = async |name: &str, count: u32| {
        access.change("postgres", &format!("ALTER DATABASE {name} CONNECTION LIMIT {count}")).await;
    };
    limited(&access, of_database).await;
}

async fn two_connections_to_mariadb_are_enough() {
    let server = Mariadb::start(false).await;
    let access = server.access();
    let of_account = async |_: &str, count: u32| {
        access.change("mysql", &format!("ALTER USER sweeper WITH MAX_USER_CONNECTIONS {count}")).await;
    };
    limited(&access, of_account).await;
}

async fn a_pooler_has_to_keep_the_session() {
    let server = Postgres::start(false).await;
    let fleet = Fleet::of(&[Behaviour::Healthy; 3]).await;
    for (mode, sessions, words) in [
        ("session", 20, None),
        ("session", 2, None),
        ("session", 1, Some("too few connections of this account in")),
        ("transaction", 20, Some("needs session pooling: write pool_mode=session")),
        ("transaction", 2, Some("needs session pooling: write pool_mode=session")),
        ("statement", 20, Some("needs session pooling: write pool_mode=session")),
    ] {
        let name = server.access().new_database(None).await;
        let pooler = Pgbouncer::start(&server, mode, sessions).await;
        let outcome = sweep_twice(&fleet, &pooler.url(&name)).await;
        match words {
            None => assert_eq!(outcome.code, Some(0), "{mode} {sessions}: {outcome:#?}"),
            Some(words) => {
                assert_eq!(outcome.code, Some(3), "{mode} {sessions}: {outcome:#?}");
                assert!(outcome.stderr.contains(words), "{mode} {sessions}: {outcome:#?}");
            }
        }
    }
}

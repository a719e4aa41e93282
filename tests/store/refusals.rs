//! Unusable databases: the program names the database, the problem and the solution, exits with 3, contacts no client
//! and shows no password. Also TLS modes.

use fleetsweep::demo::Behaviour;
use support::{Access, Database, Engine, Fleetsweep, Mariadb, Outcome, Postgres, Trial, encoded, free_port};

use crate::{
    open,
    site::{Config, Fleet, UNDER, Watched, program},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = support::trials_per_server![a_server_that_cannot_be_used_is_named_with_its_mend];
    trials.extend(support::trial_list! {
        needs(Postgres) => tls_of_postgresql_is_checked_as_asked;
        needs(Mariadb) => tls_of_mariadb_is_checked_as_asked;
    });
    trials
}

const PASSWORD: &str = "o/p en:s@same?";

/// The program with this database and the most verbose logging.
fn verbose(config: &Config, url: &str) -> Fleetsweep {
    let database = url.replace('&', "&amp;");
    program().with_environment("RUST_LOG", "trace").with_config(&Config { database, ..config.clone() }.text())
}

/// Checks that it exits with 3, names the database and the problem, and shows no password.
fn assert_refused(outcome: &Outcome, url: &str, words: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{words}: {outcome:#?}");
    let (_, place) = url.split_once('@').unwrap();
    let place = place.split('?').next().unwrap();
    let said = outcome.stderr.lines().find(|line| line.contains(place) && line.contains(words));
    assert!(said.is_some(), "{place} {words}: {}", outcome.stderr);
    assert_shows_no_password(outcome);
}

fn assert_shows_no_password(outcome: &Outcome) {
    for secret in [PASSWORD, "s3cr@t/of: it?", "wrong word"] {
        for secret in [secret.to_owned(), encoded(secret)] {
            assert!(!outcome.stderr.contains(&secret) && !outcome.stdout.contains(&secret), "{secret}: {outcome:#?}");
        }
    }
}

/// Problems of a database on a server: the URL and the message.
async fn troubles(database: &Database) -> Vec<(String, &'static str)> {
    let (server, name, url) = (database.server(), database.name(), database.url());
    let guest = format!("guest_of_{name}");
    let (accounts, narrow, newer_by, demand) = match database.engine() {
        Engine::Postgres => (
            format!("CREATE ROLE {guest} LOGIN PASSWORD '{PASSWORD}'"),
            ("ENCODING 'LATIN1' TEMPLATE template0", "needs the encoding UTF8"),
            "true",
            ("sslmode=require", "sslmode=verify-ca&sslrootcert"),
        ),
        Engine::Mariadb => (
            format!("CREATE USER {guest} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {name}.* TO {guest}"),
            ("CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "needs a binary collation"),
            "1",
            ("ssl-mode=REQUIRED", "ssl-mode=VERIFY_CA&ssl-ca"),
        ),
        Engine::Sqlite => unreachable!("a file is no server"),
    };
    server.change(name, &accounts).await;
    let newer = server.new_database(None).await;
    let newer = server.url_of_owner(&newer);
    fleetsweep::store::Store::open(&newer.clone().into(), &fleetsweep::config::directories::Environment::default())
        .await
        .unwrap()
        .close()
        .await;
    let migration = format!(
        "INSERT INTO fleetsweep_migrations SELECT 9999, 'newer', installed_on, {newer_by}, checksum, execution_time
         FROM fleetsweep_migrations WHERE version = 1"
    );
    server.cells(&newer, &migration).await.unwrap();
    let unreachable = url.rsplit_once(':').unwrap().0.to_owned();
    vec![
        (format!("{unreachable}:{}/{name}", free_port()), "cannot be reached: check `url`"),
        (server.url("sweeper", "wrong word", name), "refused the login: check user, password"),
        (server.url("nobody", PASSWORD, name), "refused the login: check user, password"),
        (server.url(&guest, PASSWORD, name), "denies this account a right that is needed"),
        (server.url_of_owner(&server.new_database(Some(narrow.0)).await), narrow.1),
        (newer, "has schema 9999, and this program knows"),
        (format!("{url}?{}", demand.0), "does not give the TLS that `url`"),
        (format!("{url}?{}=/no/such/authority.pem", demand.1), "/no/such/authority.pem: No such file"),
    ]
}

async fn a_server_that_cannot_be_used_is_named_with_its_mend(database: Database) {
    let watched = Watched::new();
    for (url, words) in troubles(&database).await {
        let outcome = verbose(&watched.config(), &url).run(["--once"]).await;
        assert_refused(&outcome, &url, words);
    }
    let missing = database.url().replace(database.name(), "no_such_database");
    let outcome = verbose(&watched.config(), &missing).run(["--headless"]).await;
    // MariaDB does not tell unknown users whether a database exists.
    let words = if database.engine() == Engine::Postgres { "refused the login" } else { "denies this account a right" };
    assert_refused(&outcome, &missing, words);
    // Nothing was changed: the database can still be initialised.
    open(&database).await.close().await;
    assert!(watched.was_left_alone(), "a client was contacted though nothing could be stored");
}

async fn tls_of_postgresql_is_checked_as_asked() {
    let server = Postgres::start(true).await;
    let authority = format!("sslrootcert={}", server.certificate().display());
    let encrypted = "SELECT COUNT(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    tls(&server.access(), "sslmode", ["require", "verify-ca", "verify-full"], &authority, encrypted).await;
}

async fn tls_of_mariadb_is_checked_as_asked() {
    let server = Mariadb::start(true).await;
    let authority = format!("ssl-ca={}", server.certificate().display());
    let encrypted = "SELECT COUNT(*) FROM information_schema.session_status WHERE variable_name = 'SSL_CIPHER'
        AND variable_value <> ''";
    tls(&server.access(), "ssl-mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"], &authority, encrypted).await;
}

/// Each TLS mode with a server with a self-signed certificate.
async fn tls(server: &Access, key: &str, [encrypts, checks, checks_name]: [&str; 3], authority: &str, encrypted: &str) {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let name = server.new_database(None).await;
    let url = server.url_of_owner(&name);
    for (query, refused) in [
        (format!("{key}={encrypts}"), false),
        (format!("{key}={checks}&{authority}"), false),
        (format!("{key}={checks_name}&{authority}"), false),
        (format!("{key}={checks}"), true),
    ] {
        let url = format!("{url}?{query}");
        let outcome = verbose(&fleet.config(UNDER), &url).run(["--once"]).await;
        if refused {
            assert_refused(&outcome, &url, "does not give the TLS that `url`");
        } else {
            assert_eq!(outcome.code, Some(0), "{query}: {outcome:#?}");
            assert_shows_no_password(&outcome);
            let cells = server.cells(&url, encrypted).await.unwrap();
            assert_eq!(cells[0][0].1.as_deref(), Some("1"), "{query}");
        }
    }
}

//! Runs a benchmark on each selected database engine that is installed.

use crate::{Database, Engine, Mariadb, Postgres, Tool};

/// Calls `measure` with an empty database of each selected engine: `sqlite`, `postgresql`, `mariadb`. An engine that is
/// not installed is skipped with a message.
///
/// # Panics
/// If a server does not start.
pub fn on_each_engine(wanted: impl Fn(&str) -> bool, measure: impl AsyncFn(Database)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    for (name, engine, tool) in [
        ("sqlite", Engine::Sqlite, None),
        ("postgresql", Engine::Postgres, Some(Tool::Postgres)),
        ("mariadb", Engine::Mariadb, Some(Tool::Mariadb)),
    ] {
        if !wanted(name) {
            continue;
        }
        if let Some(missing) = tool.and_then(Tool::missing) {
            println!("\n{name}: left out: {missing}");
            continue;
        }
        println!("\n== {name}");
        runtime.block_on(async {
            match engine {
                Engine::Sqlite => measure(Database::new(engine).await).await,
                Engine::Postgres => {
                    let server = Postgres::start_with_defaults().await;
                    measure(Database::on(server.access()).await).await;
                }
                Engine::Mariadb => {
                    let server = Mariadb::start_with_defaults().await;
                    measure(Database::on(server.access()).await).await;
                }
            }
        });
    }
}

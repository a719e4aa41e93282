//! Runs a measurement on each engine that is wanted and installed, for benches. Tests have trials of their own for that.

use crate::{Database, Engine, Mariadb, Postgres, Tool};

/// Calls `measure` with an empty database of each engine whose name is wanted: `sqlite`, `postgresql`, `mariadb`. One
/// whose server is not installed is named and left out.
///
/// # Panics
/// Where a server does not start.
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
                    let server = Postgres::start_customary().await;
                    measure(Database::on(server.access()).await).await;
                }
                Engine::Mariadb => {
                    let server = Mariadb::start_customary().await;
                    measure(Database::on(server.access()).await).await;
                }
            }
        });
    }
}

//! Runs the migrations in `migrations/`.

use std::{cmp::Ordering, sync::Arc};

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{
    classify::classify_migration,
    error::{StoreError, StoreErrorKind},
    pool::{Pool, fetch_one},
    read_pool::ReadPool,
};

/// The table of applied migrations. It has its own name because a PostgreSQL database may be shared.
const TABLE: &str = "fleetsweep_migrations";

/// All migrations, oldest first: version, name, text. The build lists the files `VERSION_NAME.sql` in `migrations/`. A
/// released migration is never changed.
pub(super) const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The newest schema version of this program.
const NEWEST: i64 = {
    match MIGRATIONS {
        [.., (version, _, _)] => *version,
        [] => 0,
    }
};

/// The migrations in the dialect of a database. SQLite has no `CREATE OR REPLACE VIEW`, so views are dropped and
/// created again. On servers, this would remove the granted privileges.
fn migrations(pool: &Pool) -> Vec<Migration> {
    let in_dialect = |sql: &'static str| match pool {
        Pool::Sqlite(_) => AssertSqlSafe(dropping_replaced_views(sql)).into_sql_str(),
        Pool::Postgres(_) | Pool::MySql(_) => sql.into_sql_str(),
    };
    MIGRATIONS
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, in_dialect(sql), false)
        })
        .collect()
}

/// Replaces each `CREATE OR REPLACE VIEW name` with `DROP VIEW name; CREATE VIEW name`.
fn dropping_replaced_views(sql: &str) -> String {
    const REPLACE: &str = "CREATE OR REPLACE VIEW ";
    let mut parts = sql.split(REPLACE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split_whitespace().next().unwrap_or_default();
        text.push_str(&format!("DROP VIEW {name};\nCREATE VIEW {part}"));
    }
    text
}

/// Migrates the database to the newest schema.
pub(super) async fn migrate(pool: &Pool, place: &Arc<str>) -> Result<(), StoreError> {
    let mut migrator = Migrator::with_migrations(migrations(pool));
    migrator.dangerous_set_table_name(TABLE);
    let Err(error) = pool.migrate(&migrator).await else { return Ok(()) };
    let kind = if let MigrateError::VersionMissing(missing) = &error {
        match newest(&ReadPool::new(pool.clone(), None)).await {
            Ok(found) if found > NEWEST => StoreErrorKind::NewerSchema { found, known: NEWEST },
            Ok(_) => StoreErrorKind::OtherSchema,
            Err(error) => {
                tracing::debug!(%error, missing, "the newest migration could not be read");
                StoreErrorKind::OtherSchema
            }
        }
    } else {
        classify_migration(&error)
    };
    Err(StoreError::new(place, kind, error))
}

/// Checks that a database has exactly the schema of this program, without changing anything.
pub(super) async fn check(pool: &ReadPool, place: &Arc<str>) -> Result<(), StoreError> {
    let known = NEWEST;
    let found = match newest(pool).await.map_err(|error| StoreError::from_driver(place, error)) {
        Ok(found) => found,
        // The table of migrations is missing, so there is no schema yet.
        Err(error) if error.kind == StoreErrorKind::Rejected => 0,
        Err(error) => return Err(error),
    };
    match found.cmp(&known) {
        Ordering::Less => Err(StoreError::plain(place, StoreErrorKind::OlderSchema { found, known })),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::plain(place, StoreErrorKind::NewerSchema { found, known })),
    }
}

/// The newest migration in the database.
async fn newest(pool: &ReadPool) -> Result<i64, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (newest,): (Option<i64>,) =
        fetch_one!(&mut transaction, (Option<i64>,), format!("SELECT MAX(version) FROM {TABLE}"))?;
    Ok(newest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_is_replaced_is_dropped_first_where_it_cannot_be_replaced() {
        let check = |sql, expected| assert_eq!(dropping_replaced_views(sql), expected);
        check("CREATE VIEW a AS SELECT 1;", "CREATE VIEW a AS SELECT 1;");
        check(
            "-- b\nCREATE OR REPLACE VIEW a AS SELECT 1;\nCREATE OR REPLACE VIEW b AS SELECT 2;",
            "-- b\nDROP VIEW a;\nCREATE VIEW a AS SELECT 1;\nDROP VIEW b;\nCREATE VIEW b AS SELECT 2;",
        );
    }

    #[test]
    fn the_versions_count_up() {
        assert!(MIGRATIONS.is_sorted_by(|(version, _, _), (next, _, _)| version < next));
    }
}

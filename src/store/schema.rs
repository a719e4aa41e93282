//! The migrations: bringing a database to this program's schema. Not their content (`migrations/`).

use std::sync::Arc;

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{
    error::{StoreError, StoreErrorKind, classify_migration},
    pool::{Pool, fetch_one},
};

/// Where the database keeps which migrations it has. A name of our own: a PostgreSQL database may be shared.
const TABLE: &str = "fleetsweep_migrations";

/// Every migration, oldest first. One that was ever released is never changed.
fn migrations() -> Vec<Migration> {
    let texts = [(1, "first", include_str!("../../migrations/0001_first.sql"))];
    texts
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect()
}

/// Brings the database to the newest schema.
pub(super) async fn migrate(pool: &Pool, place: &Arc<str>) -> Result<(), StoreError> {
    let migrations = migrations();
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name(TABLE);
    let Err(error) = pool.migrate(&migrator).await else { return Ok(()) };
    let kind = if let MigrateError::VersionMissing(missing) = &error {
        match newest(pool).await {
            Ok(found) if found > known => StoreErrorKind::NewerSchema { found, known },
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

/// The newest migration that the database has.
async fn newest(pool: &Pool) -> Result<i64, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (newest,): (Option<i64>,) =
        fetch_one!(&mut transaction, (Option<i64>,), format!("SELECT MAX(version) FROM {TABLE}"))?;
    Ok(newest.unwrap_or(0))
}

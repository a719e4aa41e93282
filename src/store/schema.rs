//! The migrations: bringing a database to this program's schema. Not their content (`migrations/`).

use std::{cmp::Ordering, sync::Arc};

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{
    error::{StoreError, StoreErrorKind, classify_migration},
    pool::{Pool, fetch_one},
    reads::Reads,
};

/// Where the database keeps which migrations it has. A name of our own: a PostgreSQL database may be shared.
const TABLE: &str = "fleetsweep_migrations";

/// Every migration, oldest first. One that was ever released is never changed.
fn migrations() -> Vec<Migration> {
    let texts = [
        (1, "first", include_str!("../../migrations/0001_first.sql")),
        (2, "history", include_str!("../../migrations/0002_history.sql")),
        (3, "spool", include_str!("../../migrations/0003_spool.sql")),
        (4, "attachments", include_str!("../../migrations/0004_attachments.sql")),
        (5, "mail_outcome", include_str!("../../migrations/0005_mail_outcome.sql")),
        (6, "limits", include_str!("../../migrations/0006_limits.sql")),
        (7, "clock", include_str!("../../migrations/0007_clock.sql")),
    ];
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
        match newest(&Reads::new(pool.clone(), None)).await {
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

/// Makes sure that a database has exactly this program's schema, changing nothing.
pub(super) async fn check(pool: &Reads, place: &Arc<str>) -> Result<(), StoreError> {
    let known = migrations().iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = match newest(pool).await.map_err(|error| StoreError::from_driver(place, error)) {
        Ok(found) => found,
        // The table of migrations is missing: nothing of ours is there yet.
        Err(error) if error.kind == StoreErrorKind::Rejected => 0,
        Err(error) => return Err(error),
    };
    match found.cmp(&known) {
        Ordering::Less => Err(StoreError::plain(place, StoreErrorKind::OlderSchema { found, known })),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::plain(place, StoreErrorKind::NewerSchema { found, known })),
    }
}

/// The newest migration that the database has.
async fn newest(pool: &Reads) -> Result<i64, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (newest,): (Option<i64>,) =
        fetch_one!(&mut transaction, (Option<i64>,), format!("SELECT MAX(version) FROM {TABLE}"))?;
    Ok(newest.unwrap_or(0))
}

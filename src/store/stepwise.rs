//! Runs migrations on MariaDB and MySQL, where each change of the schema is committed at once. A migration that was
//! interrupted continues after its last statement. The other databases undo an interrupted migration.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, Connection as _, MySqlConnection,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration},
    mysql::MySqlDatabaseError,
};

/// The numbers of the errors of a change that was made already: a table, a column, an index, a key or a view is there, or
/// what is dropped or renamed is not.
const MADE_ALREADY: [u16; 8] = [1050, 1051, 1054, 1060, 1061, 1091, 1146, 1826];

/// A connection that runs migrations statement by statement.
///
/// The table `…_steps` has a row for the migration that runs: how many of its statements are done, and whether the next one
/// was begun. A change of data and its row are one transaction. A change of the schema that was begun may be made already.
pub(super) struct Stepwise<'a>(pub(super) &'a mut MySqlConnection);

/// How far a migration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    done: i64,
    has_begun: bool,
}

/// Stores how far a migration has come.
async fn store(
    connection: &mut MySqlConnection,
    table: &str,
    version: i64,
    Progress { done, has_begun }: Progress,
) -> Result<(), sqlx::Error> {
    let sql = format!("REPLACE INTO {table}_steps (version, done, has_begun) VALUES ({version}, {done}, {has_begun})");
    execute(connection, &sql).await
}

async fn execute(connection: &mut MySqlConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.map(drop)
}

impl Stepwise<'_> {
    async fn run(&mut self, table: &str, migration: &Migration) -> Result<(), sqlx::Error> {
        let version = migration.version;
        let select = format!("SELECT done, has_begun FROM {table}_steps WHERE version = ?");
        let found: Option<(i64, bool)> =
            sqlx::query_as(AssertSqlSafe(select)).bind(version).fetch_optional(&mut *self.0).await?;
        let (done, mut may_be_made) = found.unwrap_or((0, false));
        for (index, statement) in (0..).zip(statements(migration.sql.as_str())) {
            if index < done {
                continue;
            }
            let after = Progress { done: index + 1, has_begun: false };
            if changes_schema(statement) {
                store(self.0, table, version, Progress { done: index, has_begun: true }).await?;
                match execute(self.0, statement).await {
                    Ok(()) => {}
                    Err(error) if may_be_made && is_made_already(&error) => {}
                    Err(error) => {
                        // It was not made. What has its name belongs to somebody else, and is not taken for ours next time.
                        store(self.0, table, version, Progress { done: index, has_begun: false }).await?;
                        return Err(error);
                    }
                }
                store(self.0, table, version, after).await?;
            } else {
                let mut transaction = self.0.begin().await?;
                execute(&mut transaction, statement).await?;
                store(&mut transaction, table, version, after).await?;
                transaction.commit().await?;
            }
            may_be_made = false;
        }
        Ok(())
    }

    /// Records a migration whose statements are all done.
    async fn record(&mut self, table: &str, migration: &Migration, took: Duration) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        let insert = format!(
            "INSERT INTO {table} (version, description, success, checksum, execution_time) VALUES (?, ?, TRUE, ?, ?)"
        );
        sqlx::query(AssertSqlSafe(insert))
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .bind(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        let delete = format!("DELETE FROM {table}_steps WHERE version = ?");
        sqlx::query(AssertSqlSafe(delete)).bind(migration.version).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

impl Migrate for Stepwise<'_> {
    fn create_schema_if_not_exists<'e>(&'e mut self, schema_name: &'e str) -> BoxFuture<'e, Result<(), MigrateError>> {
        self.0.create_schema_if_not_exists(schema_name)
    }

    fn ensure_migrations_table<'e>(&'e mut self, table_name: &'e str) -> BoxFuture<'e, Result<(), MigrateError>> {
        Box::pin(async move {
            self.0.ensure_migrations_table(table_name).await?;
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {table_name}_steps (version BIGINT PRIMARY KEY, done BIGINT NOT NULL, \
                 has_begun BOOLEAN NOT NULL)"
            );
            execute(self.0, &create).await?;
            Ok(())
        })
    }

    fn dirty_version<'e>(&'e mut self, table_name: &'e str) -> BoxFuture<'e, Result<Option<i64>, MigrateError>> {
        self.0.dirty_version(table_name)
    }

    fn list_applied_migrations<'e>(
        &'e mut self,
        table_name: &'e str,
    ) -> BoxFuture<'e, Result<Vec<AppliedMigration>, MigrateError>> {
        self.0.list_applied_migrations(table_name)
    }

    fn lock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        self.0.lock()
    }

    fn unlock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        self.0.unlock()
    }

    fn apply<'e>(
        &'e mut self,
        table_name: &'e str,
        migration: &'e Migration,
    ) -> BoxFuture<'e, Result<Duration, MigrateError>> {
        Box::pin(async move {
            let start = Instant::now();
            let failed = |error| MigrateError::ExecuteMigration(error, migration.version);
            self.run(table_name, migration).await.map_err(failed)?;
            self.record(table_name, migration, start.elapsed()).await.map_err(failed)?;
            Ok(start.elapsed())
        })
    }

    fn revert<'e>(
        &'e mut self,
        table_name: &'e str,
        migration: &'e Migration,
    ) -> BoxFuture<'e, Result<Duration, MigrateError>> {
        self.0.revert(table_name, migration)
    }

    fn skip<'e>(
        &'e mut self,
        table_name: &'e str,
        migration: &'e Migration,
    ) -> BoxFuture<'e, Result<(), MigrateError>> {
        self.0.skip(table_name, migration)
    }
}

/// Whether a change of the schema was refused because it was made before.
fn is_made_already(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(reported) = error else { return false };
    reported.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|mysql| MADE_ALREADY.contains(&mysql.number()))
}

/// Whether a statement is committed at once.
fn changes_schema(statement: &str) -> bool {
    let verb = code(statement).split_whitespace().next().unwrap_or_default();
    ["CREATE", "ALTER", "DROP", "RENAME"].contains(&verb)
}

/// The statements of a migration. A semicolon in a text or a comment ends none.
fn statements(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut is_text, mut is_comment) = (0, false, false);
    for (at, character) in sql.char_indices() {
        match character {
            '\n' => is_comment = false,
            _ if is_comment => {}
            '\'' => is_text = !is_text,
            '-' if !is_text => is_comment = sql.get(at..).is_some_and(|rest| rest.starts_with("--")),
            ';' if !is_text => {
                found.extend(sql.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(sql.get(from..));
    found.retain(|statement| !code(statement).is_empty());
    found
}

/// A statement without the comments before it, and without the mark of one that is a comment for other databases.
fn code(statement: &str) -> &str {
    let mut rest = statement.trim();
    while rest.starts_with("--") {
        rest = rest.split_once('\n').map_or("", |(_, after)| after.trim_start());
    }
    rest.strip_prefix("/*!").map_or(rest, str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_texts_and_comments() {
        for (sql, expected) in [
            ("", vec![]),
            ("-- it's; a comment", vec![]),
            ("CREATE TABLE a (b INT);", vec!["CREATE TABLE a (b INT)"]),
            (
                "UPDATE a SET b = ';--';\n-- x; y\nDROP TABLE a",
                vec!["UPDATE a SET b = ';--'", "\n-- x; y\nDROP TABLE a"],
            ),
            ("SELECT 'it''s;', 1 - 2; -- it's\nSELECT 3;\n", vec!["SELECT 'it''s;', 1 - 2", " -- it's\nSELECT 3"]),
        ] {
            assert_eq!(statements(sql), expected, "{sql}");
        }
        assert_eq!(code(" -- a\n  -- b\n SELECT 3 "), "SELECT 3");
        assert!(changes_schema("/*! ALTER TABLE a MODIFY b INT */"));
    }

    #[test]
    fn every_statement_of_the_migrations_is_known_to_change_the_schema_or_data() {
        let mut count = 0;
        for (version, _, sql) in crate::store::schema::MIGRATIONS {
            for statement in statements(sql) {
                let verb = code(statement).split_whitespace().next().unwrap();
                let changes_data = ["INSERT", "UPDATE", "DELETE"].contains(&verb);
                assert_ne!(changes_schema(statement), changes_data, "{version}: {statement}");
                count += 1;
            }
        }
        assert!(count > 100, "{count}");
    }
}

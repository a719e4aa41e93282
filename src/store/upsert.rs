//! The statement that inserts rows or replaces those with the same key, in the dialect of each database.

/// `INSERT INTO table (columns) VALUES …` for this number of rows. A row whose key is there replaces the other columns.
pub(super) fn upsert(table: &str, key: &[&str], columns: &[&str], rows: usize, is_mysql: bool) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let others = columns.iter().filter(|column| !key.contains(column));
    let (conflict, changes): (String, Vec<String>) = if is_mysql {
        (" ON DUPLICATE KEY UPDATE ".to_owned(), others.map(|column| format!("{column} = VALUES({column})")).collect())
    } else {
        (
            format!(" ON CONFLICT ({}) DO UPDATE SET ", key.join(", ")),
            others.map(|column| format!("{column} = excluded.{column}")).collect(),
        )
    };
    format!(
        "INSERT INTO {table} ({}) VALUES {}{conflict}{}",
        columns.join(", "),
        vec![row; rows].join(", "),
        changes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_replaces_what_is_not_the_key() {
        let sql = |is_mysql| upsert("t", &["a"], &["a", "b", "c"], 2, is_mysql);
        assert_eq!(
            sql(false),
            "INSERT INTO t (a, b, c) VALUES (?, ?, ?), (?, ?, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = excluded.c"
        );
        assert_eq!(
            sql(true),
            "INSERT INTO t (a, b, c) VALUES (?, ?, ?), (?, ?, ?) ON DUPLICATE KEY UPDATE b = VALUES(b), c = VALUES(c)"
        );
    }
}

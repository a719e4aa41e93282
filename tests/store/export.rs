//! Exports against the views on every database; in which order, and page by page, is tested in `src/store/tests`.

use support::{Database, Trial};

use crate::{
    fleet::rows::{Cell, View},
    open,
    records::{plain, record},
    store::export::Wanted,
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![an_export_holds_every_row_of_its_view]
}

async fn an_export_holds_every_row_of_its_view(database: Database) {
    let store = open(&database).await;
    for record in [record(1), plain(2), plain(3)] {
        store.record(record).await.unwrap();
    }
    for (view, count) in View::ALL.into_iter().zip([3, 6, 1, 1, 1]) {
        let mut pages = store.reader().rows(view, Wanted::default()).await.unwrap();
        let mut rows = Vec::new();
        while let Some(page) = pages.next_page().await.unwrap() {
            rows.extend(page);
        }
        assert_eq!(rows.len(), count, "{view:?}");
        assert_eq!(
            database.count(&format!("SELECT COUNT(*) FROM {}", view.name())).await,
            i64::try_from(count).unwrap()
        );
        assert!(rows.iter().all(|row| matches!(row.first(), Some(Cell::Text(text)) if !text.is_empty())), "{rows:?}");
    }
}

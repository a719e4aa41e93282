//! The attachments of mails are stored until the server has accepted the mail, and then deleted.

use support::{Database, Trial};

use crate::{
    fleet::{
        Bytes,
        history::AttachmentRow,
        listing::Part,
        mail::{Attachment, Mail},
    },
    open,
    records::{at, mail, record, uuid},
    store::{Due, Record, Store},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        attachments_wait_with_their_mail_and_names_outlive_the_texts,
        mails_with_much_attached_are_loaded_one_after_the_other,
    ]
}

fn with_files(number: u128, files: &[(&str, &str)]) -> Mail {
    let attachment = |&(name, text): &(&str, &str)| Attachment { file_name: name.into(), text: text.into() };
    Mail { attachments: files.iter().map(attachment).collect(), ..mail(number, 0) }
}

async fn waiting(store: &Store) -> Vec<Mail> {
    store.mails_due(at(0), Due::All, None, 9).await.unwrap().into_iter().map(|due| due.mail).collect()
}

async fn attachments_wait_with_their_mail_and_names_outlive_the_texts(database: Database) {
    let store = open(&database).await;
    let (one, two) = (with_files(1, &[("b.txt", "zwei → 2\n"), ("a.txt", "")]), with_files(2, &[("c.txt", "c\n")]));
    store.record(Record { mails: vec![one.clone(), mail(3, 0)], ..record(1) }).await.unwrap();
    store.queue(two.clone()).await.unwrap();
    store.close().await;

    let store = open(&database).await;
    assert_eq!(waiting(&store).await, [one, two.clone(), mail(3, 0)]);
    store.mail_sent(uuid(1), at(5), "250 ok").await.unwrap();
    store.mail_refused(uuid(2), at(5), "550 no").await.unwrap();
    assert_eq!(
        database.count("SELECT COUNT(*) FROM mail_attachments WHERE content <> ''").await,
        1,
        "of the refused one"
    );
    let listed = store.reader().mails_page(Part::Newest, 9).await.unwrap().rows;
    let of = |number| listed.iter().find(|mail| mail.id == uuid(number)).unwrap().attachments.clone();
    let row = |name: &str, size| AttachmentRow { file_name: name.into(), size: Bytes(size) };
    assert_eq!(of(1), [row("b.txt", 11), row("a.txt", 0)]);
    assert_eq!((of(2), of(3)), (vec![row("c.txt", 2)], Vec::new()));

    while store.forget(at(1_000)).await.unwrap() {}
    assert_eq!(database.count("SELECT COUNT(*) FROM mail_attachments").await, 0);
}

async fn mails_with_much_attached_are_loaded_one_after_the_other(database: Database) {
    let store = open(&database).await;
    // Two files, because MariaDB accepts at most 16 MiB in one packet.
    let much = "x".repeat(10 << 20);
    for number in 1..=3 {
        store.queue(with_files(number, &[("one.txt", &much), ("two.txt", &much)])).await.unwrap();
    }
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let mails = store.mails_due(at(0), Due::All, after, 9).await.unwrap();
        let Some(last) = mails.last() else { break };
        after = Some(last.mail.id);
        seen.push(mails.len());
    }
    assert_eq!(seen, [1, 1, 1]);
}

//! Troubles through many short runs: each book is written and read back between two of them.

use super::*;

const OPS: &str = "ops@example.com";
const BOSS: &str = "boss@example.com";

/// A book and a clock.
struct Desk {
    book: Book,
    now: Timestamp,
    ids: u128,
    recipients: Vec<String>,
}

impl Desk {
    fn new(recipients: &[&str]) -> Self {
        let recipients = recipients.iter().map(|name| (*name).to_owned()).collect();
        Self { book: Book::default(), now: "2026-03-01T12:00:00Z".parse().unwrap(), ids: 0, recipients }
    }

    fn note(&mut self, finding: Finding) -> Option<Change> {
        self.now += jiff::SignedDuration::from_secs(60);
        let ids = &mut self.ids;
        let change = self.book.note(finding, self.now, &mut || {
            *ids += 1;
            Uuid::from_u128(*ids)
        });
        // From one short run to the next.
        self.book = serde_json::from_str::<Book>(&serde_json::to_string(&self.book).unwrap()).unwrap().checked();
        change
    }

    fn present(&mut self) -> Option<Change> {
        self.note(Finding::Present { kind: TroubleKind::Database, detail: "is full".into() })
    }

    fn absent(&mut self) -> Option<Change> {
        self.note(Finding::Absent(TroubleKind::Database))
    }

    fn host_keys(&mut self, have: &[&str], have_not: &[&str], known: Option<&[&str]>) -> Option<Change> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (have, have_not) = (set(have), set(have_not));
        self.note(Finding::OfClients { kind: TroubleKind::HostKeys, have, have_not, known: known.map(set) })
    }

    /// Sends what is to be sent, where the server takes mails; who heard what.
    fn send(&mut self, works: bool) -> Vec<(String, Phase, usize)> {
        let notices = self.book.notices(&self.recipients);
        for notice in &notices {
            self.book.tried(notice, works, &self.recipients, self.now);
        }
        if !works {
            return Vec::new();
        }
        let heard = |notice: TroubleNotice| (notice.recipient, notice.phase, notice.clients.len());
        notices.into_iter().map(heard).collect()
    }
}

fn heard(recipient: &str, phase: Phase, clients: usize) -> (String, Phase, usize) {
    (recipient.to_owned(), phase, clients)
}

#[test]
fn a_trouble_is_told_once_and_its_end_once() {
    let mut desk = Desk::new(&[OPS]);
    assert!(matches!(desk.present(), Some(Change::Began { .. })));
    assert_eq!(desk.send(true), [heard(OPS, Phase::Began, 0)]);
    for _ in 0..3 {
        assert_eq!(desk.present(), None);
        assert_eq!(desk.send(true), []);
    }
    assert!(matches!(desk.absent(), Some(Change::Ended { .. })));
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 0)]);
    assert_eq!(desk.absent(), None);
    assert_eq!((desk.send(true), desk.book.clone()), (Vec::new(), Book::default()));
    // The next one is another.
    assert!(desk.present().is_some());
    assert_eq!(desk.send(true), [heard(OPS, Phase::Began, 0)]);
}

#[test]
fn what_cannot_be_told_yet_is_told_later_under_the_same_id() {
    let mut desk = Desk::new(&[OPS]);
    desk.present();
    let first = desk.book.notices(&desk.recipients);
    assert_eq!(desk.send(false), []);
    assert_eq!(desk.book.notices(&desk.recipients), first);
    desk.absent();
    // Only its end is left to be told.
    let [end] = desk.book.notices(&desk.recipients).try_into().unwrap();
    assert_eq!((end.phase, end.under), (Phase::Ended, Some(first[0].id)));
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 0)]);
}

#[test]
fn what_was_over_before_anybody_was_to_hear_is_not_told() {
    let mut desk = Desk::new(&[OPS]);
    desk.present();
    assert!(desk.absent().is_some());
    assert_eq!((desk.send(true), desk.book), (Vec::new(), Book::default()));
}

#[test]
fn a_trouble_that_is_back_before_its_end_was_told_never_ended() {
    let mut desk = Desk::new(&[OPS]);
    desk.present();
    desk.send(true);
    desk.absent();
    desk.send(false);
    assert_eq!(desk.present(), None);
    assert_eq!(desk.send(true), []);
    desk.absent();
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 0)]);
}

#[test]
fn every_recipient_hears_of_it_and_a_new_one_too() {
    let mut desk = Desk::new(&[OPS]);
    desk.present();
    desk.recipients.push(BOSS.into());
    assert_eq!(desk.send(true), [heard(OPS, Phase::Began, 0), heard(BOSS, Phase::Began, 0)]);
    let mut desk = Desk::new(&[OPS, BOSS]);
    desk.present();
    let notices = desk.book.notices(&desk.recipients);
    assert_ne!(notices[0].id, notices[1].id);
    desk.book.tried(&notices[0], true, &desk.recipients, desk.now);
    assert_eq!(desk.send(true), [heard(BOSS, Phase::Began, 0)]);
    desk.absent();
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 0), heard(BOSS, Phase::Ended, 0)]);
    assert_eq!(desk.book, Book::default());
}

#[test]
fn without_a_recipient_it_is_known_all_the_same() {
    let mut desk = Desk::new(&[]);
    assert!(desk.present().is_some());
    assert_eq!(desk.send(true), []);
    assert_eq!(desk.present(), None);
    assert!(desk.absent().is_some());
    assert_eq!(desk.book, Book::default());
}

#[test]
fn clients_are_listed_together_and_further_ones_after_an_hour() {
    let mut desk = Desk::new(&[OPS]);
    assert!(desk.host_keys(&["a", "b"], &["c"], None).is_some());
    assert_eq!(desk.send(true), [heard(OPS, Phase::Began, 2)]);
    desk.host_keys(&["c"], &[], None);
    assert_eq!(desk.send(true), [], "not one mail each");
    desk.now += jiff::SignedDuration::from_hours(1);
    desk.host_keys(&["d"], &[], None);
    assert_eq!(desk.send(true), [heard(OPS, Phase::Further, 4)]);
    // Nothing is known of the others: they have it still.
    desk.host_keys(&[], &["a", "b"], None);
    assert!(desk.book.is_open(TroubleKind::HostKeys));
    // A client that is not configured any more has none.
    let change = desk.host_keys(&[], &["c"], Some(&["a", "b", "c"]));
    assert!(matches!(change, Some(Change::Ended { .. })));
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 2)]);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let mut desk = Desk::new(&[OPS]);
    desk.host_keys(&["a"], &[], None);
    desk.send(true);
    desk.now -= jiff::SignedDuration::from_hours(24 * 100);
    desk.host_keys(&["b"], &[], None);
    assert_eq!(desk.send(true), [heard(OPS, Phase::Further, 2)]);
    desk.host_keys(&[], &["a", "b"], None);
    assert_eq!(desk.send(true), [heard(OPS, Phase::Ended, 2)]);
}

#[test]
fn what_a_file_says_is_bounded_and_clean() {
    let mut desk = Desk::new(&[OPS]);
    let many: Vec<String> = (0..5000).map(|number| format!("{number}\r\nBcc: eve {}", "x".repeat(200))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    desk.host_keys(&many, &[], None);
    let [notice] = desk.book.notices(&desk.recipients).try_into().unwrap();
    assert_eq!(notice.clients.len(), CLIENTS);
    assert!(
        notice.clients.iter().all(|client| client.chars().count() <= CLIENT_CHARS && !client.contains(['\r', '\n']))
    );
}

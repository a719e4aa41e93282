//! Troubles across many short runs. The state is written and read after each change.

use super::*;

const OPS: &str = "ops@example.com";
const BOSS: &str = "boss@example.com";

/// The state across short runs, with a clock and counted ids.
struct Runs {
    troubles: TroubleState,
    now: Timestamp,
    ids: u128,
    recipients: Vec<String>,
}

impl Runs {
    fn new(recipients: &[&str]) -> Self {
        let recipients = recipients.iter().map(|name| (*name).to_owned()).collect();
        Self { troubles: TroubleState::default(), now: "2026-03-01T12:00:00Z".parse().unwrap(), ids: 0, recipients }
    }

    fn note(&mut self, finding: Finding) -> Option<Change> {
        self.now += jiff::SignedDuration::from_secs(60);
        let ids = &mut self.ids;
        let change = self.troubles.note(finding, self.now, &mut || {
            *ids += 1;
            Uuid::from_u128(*ids)
        });
        // As between two runs.
        self.troubles =
            serde_json::from_str::<TroubleState>(&serde_json::to_string(&self.troubles).unwrap()).unwrap().checked();
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
        self.note(Finding::OfSome { kind: TroubleKind::HostKeys, have, have_not, known: known.map(set) })
    }

    /// Sends the mails if the server works. Returns the recipients, phases and numbers of clients.
    fn send(&mut self, works: bool) -> Vec<(String, Phase, usize)> {
        let notices = self.troubles.notices(&self.recipients);
        for notice in &notices {
            self.troubles.tried(notice, works, &self.recipients, self.now);
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
    let mut runs = Runs::new(&[OPS]);
    assert!(matches!(runs.present(), Some(Change::Began { .. })));
    assert_eq!(runs.send(true), [heard(OPS, Phase::Began, 0)]);
    for _ in 0..3 {
        assert_eq!(runs.present(), None);
        assert_eq!(runs.send(true), []);
    }
    assert!(matches!(runs.absent(), Some(Change::Ended { .. })));
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 0)]);
    assert_eq!(runs.absent(), None);
    assert_eq!((runs.send(true), runs.troubles.clone()), (Vec::new(), TroubleState::default()));
    // The next one is another.
    assert!(runs.present().is_some());
    assert_eq!(runs.send(true), [heard(OPS, Phase::Began, 0)]);
}

#[test]
fn what_cannot_be_told_yet_is_told_later_under_the_same_id() {
    let mut runs = Runs::new(&[OPS]);
    runs.present();
    let first = runs.troubles.notices(&runs.recipients);
    assert_eq!(runs.send(false), []);
    assert_eq!(runs.troubles.notices(&runs.recipients), first);
    runs.absent();
    // Only its end must still be mailed.
    let [end] = runs.troubles.notices(&runs.recipients).try_into().unwrap();
    assert_eq!((end.phase, end.under), (Phase::Ended, Some(first[0].id)));
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 0)]);
}

#[test]
fn what_was_over_before_anybody_was_to_hear_is_not_told() {
    let mut runs = Runs::new(&[OPS]);
    runs.present();
    assert!(runs.absent().is_some());
    assert_eq!((runs.send(true), runs.troubles), (Vec::new(), TroubleState::default()));
}

#[test]
fn a_trouble_that_is_back_before_its_end_was_told_never_ended() {
    let mut runs = Runs::new(&[OPS]);
    runs.present();
    runs.send(true);
    runs.absent();
    runs.send(false);
    assert_eq!(runs.present(), None);
    assert_eq!(runs.send(true), []);
    runs.absent();
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 0)]);
}

#[test]
fn every_recipient_hears_of_it_and_a_new_one_too() {
    let mut runs = Runs::new(&[OPS]);
    runs.present();
    runs.recipients.push(BOSS.into());
    assert_eq!(runs.send(true), [heard(OPS, Phase::Began, 0), heard(BOSS, Phase::Began, 0)]);
    let mut runs = Runs::new(&[OPS, BOSS]);
    runs.present();
    let notices = runs.troubles.notices(&runs.recipients);
    assert_ne!(notices[0].id, notices[1].id);
    runs.troubles.tried(&notices[0], true, &runs.recipients, runs.now);
    assert_eq!(runs.send(true), [heard(BOSS, Phase::Began, 0)]);
    runs.absent();
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 0), heard(BOSS, Phase::Ended, 0)]);
    assert_eq!(runs.troubles, TroubleState::default());
}

#[test]
fn without_a_recipient_it_is_known_all_the_same() {
    let mut runs = Runs::new(&[]);
    assert!(runs.present().is_some());
    assert_eq!(runs.send(true), []);
    assert_eq!(runs.present(), None);
    assert!(runs.absent().is_some());
    assert_eq!(runs.troubles, TroubleState::default());
}

#[test]
fn clients_are_listed_together_and_further_ones_after_an_hour() {
    let mut runs = Runs::new(&[OPS]);
    assert!(runs.host_keys(&["a", "b"], &["c"], None).is_some());
    assert_eq!(runs.send(true), [heard(OPS, Phase::Began, 2)]);
    runs.host_keys(&["c"], &[], None);
    assert_eq!(runs.send(true), [], "not one mail each");
    runs.now += jiff::SignedDuration::from_hours(1);
    runs.host_keys(&["d"], &[], None);
    assert_eq!(runs.send(true), [heard(OPS, Phase::Further, 4)]);
    // Nothing is known of the others: they have it still.
    runs.host_keys(&[], &["a", "b"], None);
    assert!(runs.troubles.is_open(TroubleKind::HostKeys));
    // A client that is not configured any more has none.
    let change = runs.host_keys(&[], &["c"], Some(&["a", "b", "c"]));
    assert!(matches!(change, Some(Change::Ended { .. })));
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 2)]);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let mut runs = Runs::new(&[OPS]);
    runs.host_keys(&["a"], &[], None);
    runs.send(true);
    runs.now -= jiff::SignedDuration::from_hours(24 * 100);
    runs.host_keys(&["b"], &[], None);
    assert_eq!(runs.send(true), [heard(OPS, Phase::Further, 2)]);
    runs.host_keys(&[], &["a", "b"], None);
    assert_eq!(runs.send(true), [heard(OPS, Phase::Ended, 2)]);
}

#[test]
fn what_a_file_says_is_bounded_and_clean() {
    let mut runs = Runs::new(&[OPS]);
    let many: Vec<String> = (0..5000).map(|number| format!("{number}\r\nBcc: eve {}", "x".repeat(200))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    runs.host_keys(&many, &[], None);
    let [notice] = runs.troubles.notices(&runs.recipients).try_into().unwrap();
    assert_eq!(notice.clients.len(), CLIENTS);
    assert!(
        notice.clients.iter().all(|client| client.chars().count() <= CLIENT_CHARS && !client.contains(['\r', '\n']))
    );
}

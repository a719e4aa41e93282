//! The spool as a whole: what is kept, incomplete lines, and that nothing is stored twice.

use proptest::prelude::*;

use super::{
    progress::{Origin, Progress},
    *,
};

fn place(home: &tempfile::TempDir) -> Option<SpoolPath> {
    Some(SpoolPath { directory: home.path().join("spool"), name: "fleet".to_owned() })
}

/// Opens the spool. Waits for its lock, which the child process of another test may hold for a moment.
fn open(home: &tempfile::TempDir) -> Spool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match Spool::open(place(home), MOST_BYTES) {
            Err(SpoolError::InUse(_)) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn contents(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn peeked(spool: &mut Spool) -> Vec<String> {
    spool.peek(usize::MAX).unwrap().into_iter().map(|waiting| waiting.content.unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn what_is_kept_is_found_by_the_next_run_in_its_order_and_nobody_else_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let mut spool = open(&home);
    assert_eq!((spool.waiting(), spool.id()), (0, None));
    assert!(!home.path().join("spool").exists(), "nothing is made where nothing waits");
    assert_eq!(spool.append(&contents(0..3)).unwrap(), 3);
    assert_eq!(spool.append(&contents(3..5)).unwrap(), 2);
    let (id, file) = (spool.id(), spool.file().unwrap());
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert!(matches!(Spool::open(place(&home), MOST_BYTES), Err(SpoolError::InUse(_))));
    drop(spool);

    let mut spool = open(&home);
    assert_eq!((spool.id(), spool.waiting()), (id, 5));
    assert_eq!(peeked(&mut spool), contents(0..5));
    let ends: Vec<u64> = spool.peek(2).unwrap().into_iter().map(|waiting| waiting.end).collect();
    spool.pass(2, ends[1]).unwrap();
    assert_eq!((spool.waiting(), peeked(&mut spool)), (3, contents(2..5)));
    let last = spool.peek(9).unwrap().last().unwrap().end;
    spool.pass(3, last).unwrap();
    assert_eq!((spool.waiting(), file.exists()), (0, false));
    spool.append(&contents(0..1)).unwrap();
    assert_ne!(spool.id(), id);
}

#[test]
fn a_torn_last_line_was_never_kept_and_a_damaged_one_in_between_is_given_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let mut spool = open(&home);
    spool.append(&contents(10..13)).unwrap();
    let file = spool.file().unwrap();
    drop(spool);
    let whole = fs::read(&file).unwrap();
    for torn in [whole.len() - 1, whole.len() - 9] {
        fs::write(&file, &whole[..torn]).unwrap();
        let mut spool = open(&home);
        assert_eq!(peeked(&mut spool), contents(10..12), "{torn}");
        // The next change begins a new line.
        spool.append(&contents(77..78)).unwrap();
        drop(spool);
        assert_eq!(peeked(&mut open(&home)), ["10", "11", "77"]);
    }
    let text = String::from_utf8(whole.clone()).unwrap();
    fs::write(&file, text.replace("\"content\":11", "\"content\":21")).unwrap();
    let found = open(&home).peek(9).unwrap();
    assert!(found[0].content.is_ok() && found[1].content.is_err() && found[2].content.is_ok(), "{found:?}");
    // A spool with only a header, complete or not, is empty.
    let header = text.lines().next().unwrap().len() + 1;
    for torn in [0, 5, header] {
        fs::write(&file, &whole[..torn]).unwrap();
        assert_eq!((open(&home).waiting(), file.exists()), (0, false), "{torn}");
    }
    let other = line::of(&format!(r#"{{"fleetsweep_spool":{},"spool":"{}"}}"#, FORMAT + 1, Uuid::nil()));
    fs::write(&file, other).unwrap();
    assert!(matches!(Spool::open(place(&home), MOST_BYTES), Err(SpoolError::OtherFormat { found: 2, .. })));
}

#[test]
fn a_full_spool_keeps_what_has_room_and_goes_on_when_it_was_emptied() {
    let home = tempfile::tempdir().unwrap();
    let header_and_two = 100 + 2 * line::of("1000").len() as u64;
    let mut spool = Spool::open(place(&home), header_and_two + 20).unwrap();
    let kept = spool.append(&contents(1000..1009)).unwrap();
    assert!((1..9).contains(&kept), "{kept}");
    assert_eq!(spool.append(&contents(1009..1010)).unwrap(), 0);
    assert_eq!(peeked(&mut spool).len(), kept);
    let last = spool.peek(9).unwrap().last().unwrap().end;
    spool.pass(kept, last).unwrap();
    assert!(spool.append(&contents(1000..1009)).unwrap() >= kept);
    let mut tiny = Spool::open(Some(SpoolPath { directory: home.path().join("other"), name: "x".into() }), 10).unwrap();
    assert_eq!((tiny.append(&contents(0..1)).unwrap(), tiny.waiting(), tiny.id()), (0, 0, None));
    assert!(!tiny.file().unwrap().exists());
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("spool");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = open(&home).append(&contents(0..1)).unwrap_err().to_string();
    assert!(refused.contains("is open to others: remove it, or run `chmod 700`"), "{refused}");
    assert!(matches!(Spool::open(None, 9).unwrap().append(&contents(0..1)), Err(SpoolError::NoPlace)));
}

fn places(home: &tempfile::TempDir, names: &[&str]) -> Vec<SpoolPath> {
    names.iter().map(|name| SpoolPath { directory: home.path().join(name), name: "fleet".to_owned() }).collect()
}

fn close_to_others(directory: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn where_a_place_takes_nothing_the_next_one_does_and_the_order_stays() {
    let home = tempfile::tempdir().unwrap();
    let places = || places(&home, &["a", "b", "c"]);
    let first = home.path().join("a");
    let mut spool = Spool::open(places(), MOST_BYTES).unwrap();
    assert_eq!(spool.append(&contents(0..2)).unwrap(), 2);
    // The file cannot be appended to or written again.
    fs::rename(&first, home.path().join("gone")).unwrap();
    fs::write(&first, "").unwrap();
    assert_eq!(spool.append(&contents(2..4)).unwrap(), 2);
    assert_eq!(spool.append(&contents(4..5)).unwrap(), 1);
    assert_eq!(
        (spool.waiting(), spool.files()),
        (5, vec![first.join("fleet.jsonl"), home.path().join("b/fleet.jsonl")])
    );
    drop(spool);
    fs::remove_file(&first).unwrap();
    fs::rename(home.path().join("gone"), &first).unwrap();

    let mut spool = Spool::open(places(), MOST_BYTES).unwrap();
    assert_eq!((spool.waiting(), peeked(&mut spool)), (5, contents(0..2)));
    let last = spool.peek(9).unwrap().last().unwrap().end;
    spool.pass(2, last).unwrap();
    assert_eq!(peeked(&mut spool), contents(2..5));
    let last = spool.peek(9).unwrap().last().unwrap().end;
    spool.pass(3, last).unwrap();
    assert_eq!((spool.waiting(), spool.files()), (0, Vec::new()));
    spool.append(&contents(5..6)).unwrap();
    assert_eq!(spool.files(), [first.join("fleet.jsonl")]);
}

#[test]
fn what_others_put_into_a_place_of_theirs_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let places = || places(&home, &["a", "b"]);
    let theirs = home.path().join("b");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("fleet.jsonl"), "anything").unwrap();
    close_to_others(&theirs, 0o777);
    let mut spool = Spool::open(places(), MOST_BYTES).unwrap();
    assert_eq!(spool.append(&contents(0..1)).unwrap(), 1);
    assert_eq!(spool.files(), [home.path().join("a/fleet.jsonl")]);
}

#[test]
fn a_file_that_is_removed_while_changes_wait_in_it_is_written_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut spool = open(&home);
    spool.append(&contents(0..3)).unwrap();
    fs::remove_dir_all(home.path().join("spool")).unwrap();
    assert_eq!(spool.append(&contents(3..4)).unwrap(), 1);
    let file = spool.file().unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, "something else").unwrap();
    assert_eq!(spool.append(&contents(4..5)).unwrap(), 1);
    drop(spool);
    assert_eq!(peeked(&mut open(&home)), contents(0..5));
}

#[test]
fn the_directory_of_a_database_is_not_made_for_its_spool() {
    let home = tempfile::tempdir().unwrap();
    let beside = SpoolPath { directory: home.path().join("gone/fleet.db.spool"), name: "fleet".to_owned() };
    let mut spool = Spool::open([beside].into_iter().chain(place(&home)), MOST_BYTES).unwrap();
    assert_eq!(spool.append(&contents(0..1)).unwrap(), 1);
    assert!(!home.path().join("gone").exists());
    assert_eq!(spool.files(), [home.path().join("spool/fleet.jsonl")]);
}

/// A database that only has rows and the progress.
#[derive(Default)]
struct Database {
    rows: Vec<u32>,
    progress: Progress,
}

/// An event of a collector.
#[derive(Debug, Clone)]
enum CollectorEvent {
    /// A transaction with this many changes fails because the database is away. It was committed or not.
    Lost { count: u32, committed: bool },
    /// This many changes are kept while others wait.
    Kept { count: u32 },
    /// A batch of at most this many is stored from the spool. The program is killed before or after the commit, after
    /// the spool has been updated, or continues.
    Stored { most: usize, killed: Killed },
    /// The program is killed during a write, with this many additional bytes in the file.
    Torn { bytes: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Killed {
    BeforeCommit,
    AfterCommit,
    AnswerLost,
    No,
}

fn happens() -> impl Strategy<Value = CollectorEvent> {
    let killed =
        prop_oneof![Just(Killed::BeforeCommit), Just(Killed::AfterCommit), Just(Killed::AnswerLost), Just(Killed::No)];
    prop_oneof![
        (1_u32..6, any::<bool>()).prop_map(|(count, committed)| CollectorEvent::Lost { count, committed }),
        (1_u32..6).prop_map(|count| CollectorEvent::Kept { count }),
        (1_usize..5, killed).prop_map(|(most, killed)| CollectorEvent::Stored { most, killed }),
        (1_usize..200).prop_map(|bytes| CollectorEvent::Torn { bytes }),
    ]
}

fn entry(number: u32, tried: Option<Uuid>) -> String {
    serde_json::to_string(&(number, tried)).unwrap()
}

/// Stores a batch as draining does.
fn store(spool: &mut Spool, database: &mut Database, most: usize, killed: Killed) {
    let batch = spool.peek(most).unwrap();
    let Some(id) = spool.id() else { return };
    let entries: Vec<(u32, Origin)> = batch
        .iter()
        .map(|waiting| {
            let (number, tried) = serde_json::from_str(waiting.content.as_ref().unwrap()).unwrap();
            (number, Origin { spool: id, end: waiting.end, tried })
        })
        .collect();
    if killed == Killed::BeforeCommit {
        return;
    }
    let origins: Vec<Origin> = entries.iter().map(|(_, origin)| *origin).collect();
    let new = entries.iter().filter(|(_, origin)| !database.progress.has(*origin)).map(|(number, _)| *number);
    database.rows.extend(new);
    database.progress = database.progress.after(Uuid::new_v4(), &origins);
    if killed == Killed::No {
        spool.pass(batch.len(), batch.last().unwrap().end).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_each_change_is_stored_once_and_in_order(story in prop::collection::vec(happens(), 1..25)) {
        let home = tempfile::tempdir().unwrap();
        let (mut spool, mut database, mut next) = (open(&home), Database::default(), 0);
        for step in story {
            match step {
                CollectorEvent::Lost { count, committed } if spool.waiting() == 0 => {
                    let write = Uuid::new_v4();
                    if committed {
                        database.rows.extend(next..next + count);
                        database.progress.last_write = Some(write);
                    }
                    let entries: Vec<_> = (next..next + count).map(|number| entry(number, Some(write))).collect();
                    prop_assert_eq!(spool.append(&entries).unwrap(), entries.len());
                    next += count;
                }
                CollectorEvent::Lost { count, .. } | CollectorEvent::Kept { count } => {
                    let entries: Vec<_> = (next..next + count).map(|number| entry(number, None)).collect();
                    prop_assert_eq!(spool.append(&entries).unwrap(), entries.len());
                    next += count;
                }
                CollectorEvent::Stored { most, killed } => {
                    store(&mut spool, &mut database, most, killed);
                    if matches!(killed, Killed::BeforeCommit | Killed::AfterCommit) {
                        drop(spool);
                        spool = open(&home);
                    }
                }
                CollectorEvent::Torn { bytes } => {
                    let file = spool.file().unwrap();
                    drop(spool);
                    if file.exists() {
                        let torn = line::of(&entry(u32::MAX, None)).repeat(9).into_bytes();
                        let torn = &torn[..bytes.min(line::of(&entry(u32::MAX, None)).len() - 1)];
                        OpenOptions::new().append(true).open(&file).unwrap().write_all(torn).unwrap();
                    }
                    spool = open(&home);
                }
            }
        }
        while spool.waiting() > 0 {
            store(&mut spool, &mut database, 3, Killed::No);
        }
        prop_assert_eq!(database.rows, (0..next).collect::<Vec<_>>());
    }
}

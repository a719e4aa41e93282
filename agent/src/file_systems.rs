//! Queries the sizes of all file systems concurrently, and does not wait for those that hang. Listing and querying them
//! depends on the platform.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
    vec,
};

use fleetsweep_agent::report::{FileSystem, MAX_FILE_SYSTEMS, Report, Warning};

use crate::STACK_BYTES;

/// The size of a file system; `None` if it has none.
pub(crate) type Answer = Result<Option<FileSystem>, String>;

/// After this time without all answers, the number of threads is doubled.
const STEP: Duration = Duration::from_millis(10);

/// What is known of the file systems.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) systems: Vec<FileSystem>,
    /// The names of those that did not answer.
    pub(crate) silent: Vec<String>,
    /// How many were not asked, because there are too many.
    pub(crate) omitted: usize,
    pub(crate) warnings: Vec<Warning>,
}

impl Measured {
    /// Moves it to the report, and returns the warnings.
    pub(crate) fn keep_in(self, report: &mut Report) -> Vec<Warning> {
        report.file_systems = self.systems;
        report.silent_mounts = self.silent;
        report.omitted_file_systems = u32::try_from(self.omitted).unwrap_or(u32::MAX);
        self.warnings
    }
}

/// The file systems that still have to be asked, by their position.
type Queue<Q> = Arc<Mutex<vec::IntoIter<(usize, Q)>>>;

/// Queries every file system, and waits at most `patience` for all of them. One that does not answer in time gives a
/// warning, and its thread is abandoned. If there are more than a report carries, the first ones are queried;
/// `omitted` are left out already.
///
/// One thread is enough for those that answer at once. While some are not asked yet, the number of threads doubles at
/// each step, so that neither one that hangs nor many that are slow keep the others waiting.
pub(crate) fn measure<Q: Send + 'static>(
    mut questions: Vec<(String, Q)>,
    omitted: usize,
    patience: Duration,
    ask: fn(Q) -> Answer,
) -> Measured {
    let omitted = omitted + questions.len().saturating_sub(MAX_FILE_SYSTEMS);
    questions.truncate(MAX_FILE_SYSTEMS);
    let mut measured = Measured { omitted, ..Measured::default() };
    if omitted > 0 {
        let all = questions.len() + omitted;
        let why = format!("{omitted} of {all} are left out: a report carries {MAX_FILE_SYSTEMS}");
        measured.warnings.push(Warning { what: "further file systems".to_owned(), why });
    }
    let deadline = Instant::now() + patience;
    let (names, questions): (Vec<String>, Vec<Q>) = questions.into_iter().unzip();
    let mut answers: Vec<Option<Answer>> = names.iter().map(|_| None).collect();
    let queue: Queue<Q> = Arc::new(Mutex::new(questions.into_iter().enumerate().collect::<Vec<_>>().into_iter()));
    // The channel has a slot for each answer, so that no thread blocks.
    let (sender, receiver) = mpsc::sync_channel(names.len());
    let (mut threads, mut awaited) = (0, names.len());
    let mut next_step = Instant::now();
    let mut no_thread = None;
    while awaited > 0 {
        let now = Instant::now();
        if now >= next_step {
            let wanted = remaining(&queue).min(threads.max(1));
            for _ in 0..wanted {
                match start(&queue, &sender, ask) {
                    Ok(()) => threads += 1,
                    Err(error) => no_thread = Some(error.to_string()),
                }
            }
            if threads == 0 {
                break;
            }
            next_step = now + STEP;
        }
        match receiver.recv_timeout(deadline.min(next_step).saturating_duration_since(Instant::now())) {
            Ok((index, answer)) => {
                if let Some(place) = answers.get_mut(index) {
                    *place = Some(answer);
                }
                awaited -= 1;
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    for (name, answer) in names.into_iter().zip(answers) {
        let why = match (answer, &no_thread) {
            (Some(Ok(system)), _) => {
                measured.systems.extend(system);
                continue;
            }
            (Some(Err(why)), _) => why,
            (None, Some(error)) => format!("no thread to ask it: {error}"),
            (None, None) => format!("no answer within {} ms", patience.as_millis()),
        };
        measured.warnings.push(Warning { what: format!("file system {name}"), why });
        measured.silent.push(name);
    }
    measured
}

fn remaining<Q>(queue: &Queue<Q>) -> usize {
    queue.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Starts a thread that asks one file system after the other.
fn start<Q: Send + 'static>(
    queue: &Queue<Q>,
    sender: &SyncSender<(usize, Answer)>,
    ask: fn(Q) -> Answer,
) -> std::io::Result<()> {
    let (queue, sender) = (Arc::clone(queue), sender.clone());
    let work = move || {
        loop {
            // A statement of its own, so that the lock is not held during the question.
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, question)) = next else { break };
            // After the time limit the receiver is gone.
            if sender.send((index, ask(question))).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mount: &'static str) -> Answer {
        match mount {
            "/good" => Ok(Some(FileSystem {
                mount: mount.to_owned(),
                kind: "ext4".to_owned(),
                total_bytes: 100,
                used_bytes: 50,
                available_bytes: 45,
                inodes: None,
            })),
            "/nothing" => Ok(None),
            "/broken" => Err("Input/output error".into()),
            _ => loop {
                thread::park();
            },
        }
    }

    #[test]
    fn a_file_system_that_hangs_costs_a_warning_and_not_the_rest() {
        let started = Instant::now();
        let mounts = ["/dead", "/good", "/nothing", "/broken"].map(|mount| (mount.to_owned(), mount)).to_vec();
        let Measured { systems, silent, omitted, warnings } = measure(mounts, 0, Duration::from_secs(2), asked);
        assert!(started.elapsed() < support::SOON);
        assert_eq!((silent.as_slice(), omitted), (["/dead", "/broken"].map(str::to_owned).as_slice(), 0));
        assert_eq!(systems.iter().map(|system| &*system.mount).collect::<Vec<_>>(), ["/good"]);
        let warnings: Vec<_> = warnings.iter().map(|warning| (&*warning.what, &*warning.why)).collect();
        assert_eq!(
            warnings,
            [("file system /dead", "no answer within 2000 ms"), ("file system /broken", "Input/output error"),]
        );
    }

    /// Each that hangs keeps a thread. The others must not wait for it.
    #[test]
    fn a_hundred_file_systems_that_hang_cost_their_own_values() {
        let mounts = (0..MAX_FILE_SYSTEMS)
            .map(|index| if index % 5 == 0 { ("dead".to_owned(), "/dead") } else { ("good".to_owned(), "/good") })
            .collect();
        let measured = measure(mounts, 0, Duration::from_secs(5), asked);
        assert_eq!((measured.systems.len(), measured.silent.len()), (409, 103));
    }

    #[test]
    fn what_a_report_does_not_carry_is_counted() {
        let mounts = |count| vec![("good".to_owned(), "/good"); count];
        for (given, left_out, expected, why) in [
            (MAX_FILE_SYSTEMS, 0, 0, None),
            (MAX_FILE_SYSTEMS + 3, 0, 3, Some("3 of 515 are left out: a report carries 512")),
            (MAX_FILE_SYSTEMS, 7, 7, Some("7 of 519 are left out: a report carries 512")),
        ] {
            let measured = measure(mounts(given), left_out, support::SOON, asked);
            assert_eq!((measured.systems.len(), measured.omitted), (MAX_FILE_SYSTEMS, expected));
            assert_eq!(measured.warnings.first().map(|warning| &*warning.why), why);
        }
        assert_eq!(measure(mounts(0), 0, support::SOON, asked).systems, []);
    }
}

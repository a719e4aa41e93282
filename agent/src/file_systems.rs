//! Queries the sizes of all file systems concurrently, and does not wait for those that hang. Listing and querying them
//! depends on the platform.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::report::{FileSystem, MAX_FILE_SYSTEMS, Warning};

use crate::STACK_BYTES;

/// The size of a file system; `None` if it has none.
pub(crate) type Answer = Result<Option<FileSystem>, String>;

/// Queries every file system, and waits at most `patience` for all of them. One that does not answer in time gives a
/// warning, and its thread is abandoned.
pub(crate) fn measure<Q: Send + 'static>(
    mut questions: Vec<(String, Q)>,
    patience: Duration,
    ask: fn(Q) -> Answer,
) -> (Vec<FileSystem>, Vec<Warning>) {
    let mut warnings = Vec::new();
    if questions.len() > MAX_FILE_SYSTEMS {
        let why = format!("{} are more than the {MAX_FILE_SYSTEMS} a report carries", questions.len());
        warnings.push(Warning { what: "further file systems".to_owned(), why });
        questions.truncate(MAX_FILE_SYSTEMS);
    }
    let deadline = Instant::now() + patience;
    // The channel has a slot for each thread, so that none blocks.
    let (sender, receiver) = mpsc::sync_channel(questions.len());
    let mut answers: Vec<(String, Option<Answer>)> = Vec::with_capacity(questions.len());
    let mut awaited = 0;
    for (index, (name, question)) in questions.into_iter().enumerate() {
        let sender = sender.clone();
        let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // After the time limit the receiver is gone.
            let _ = sender.send((index, ask(question)));
        });
        let answer = match spawned {
            Ok(_) => {
                awaited += 1;
                None
            }
            Err(error) => Some(Err(format!("no thread to ask it: {error}"))),
        };
        answers.push((name, answer));
    }
    while awaited > 0 {
        let Ok((index, answer)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            break;
        };
        if let Some((_, place)) = answers.get_mut(index) {
            *place = Some(answer);
        }
        awaited -= 1;
    }
    let mut systems = Vec::new();
    for (name, answer) in answers {
        let why = match answer {
            Some(Ok(system)) => {
                systems.extend(system);
                continue;
            }
            Some(Err(why)) => why,
            None => format!("no answer within {} ms", patience.as_millis()),
        };
        warnings.push(Warning { what: format!("file system {name}"), why });
    }
    (systems, warnings)
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
        let (systems, warnings) = measure(mounts, Duration::from_secs(2), asked);
        assert!(started.elapsed() < support::SOON);
        assert_eq!(systems.iter().map(|system| &*system.mount).collect::<Vec<_>>(), ["/good"]);
        let warnings: Vec<_> = warnings.iter().map(|warning| (&*warning.what, &*warning.why)).collect();
        assert_eq!(
            warnings,
            [("file system /dead", "no answer within 2000 ms"), ("file system /broken", "Input/output error"),]
        );
    }
}

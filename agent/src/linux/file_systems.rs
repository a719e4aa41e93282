//! Asks mounted file systems for their size, and does not wait for those that hang. Which ones are
//! asked is decided in `mounts`.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::report::{FileSystem, MAX_FILE_SYSTEMS, Warning};

use super::mounts::Mount;

/// What a file system says: total, used and available bytes; `None` where it has no size at all.
pub(crate) type Answer = Result<Option<[u64; 3]>, String>;

/// `statvfs`, as `df` counts.
pub(crate) fn ask(mount: &Mount) -> Answer {
    let says = rustix::fs::statvfs(&mount.point).map_err(|error| error.to_string())?;
    let bytes = |blocks: u64| blocks.saturating_mul(says.f_frsize);
    Ok((says.f_blocks > 0).then(|| {
        let used = says.f_blocks.saturating_sub(says.f_bfree);
        [bytes(says.f_blocks), bytes(used), bytes(says.f_bavail.min(says.f_blocks))]
    }))
}

/// Asks every mount at the same time and waits no longer than `patience` for all of them. One that does
/// not answer by then costs a warning, and its thread is left to its fate.
pub(crate) fn measure(
    mut mounts: Vec<Mount>,
    patience: Duration,
    ask: fn(&Mount) -> Answer,
) -> (Vec<FileSystem>, Vec<Warning>) {
    let mut warnings = Vec::new();
    if mounts.len() > MAX_FILE_SYSTEMS {
        let why = format!("{} are more than the {MAX_FILE_SYSTEMS} a report carries", mounts.len());
        warnings.push(Warning { what: "further file systems".to_owned(), why });
        mounts.truncate(MAX_FILE_SYSTEMS);
    }
    let deadline = Instant::now() + patience;
    // One place for each thread, so that none waits for room.
    let (sender, receiver) = mpsc::sync_channel(mounts.len());
    let mut answers: Vec<Option<Answer>> = vec![None; mounts.len()];
    let mut awaited = 0;
    for (index, mount) in mounts.iter().enumerate() {
        let (sender, asked) = (sender.clone(), mount.clone());
        let spawned = thread::Builder::new().stack_size(64 << 10).spawn(move || {
            // Nobody listens any more where the patience is over.
            let _ = sender.send((index, ask(&asked)));
        });
        match (spawned, answers.get_mut(index)) {
            (Ok(_), _) => awaited += 1,
            (Err(error), Some(answer)) => *answer = Some(Err(format!("no thread to ask it: {error}"))),
            (Err(_), None) => {}
        }
    }
    while awaited > 0 {
        let Ok((index, answer)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            break;
        };
        if let Some(place) = answers.get_mut(index) {
            *place = Some(answer);
        }
        awaited -= 1;
    }
    let mut systems = Vec::new();
    for (mount, answer) in mounts.into_iter().zip(answers) {
        let point = mount.point.to_string_lossy().into_owned();
        match answer {
            Some(Ok(Some([total_bytes, used_bytes, available_bytes]))) => {
                systems.push(FileSystem { mount: point, kind: mount.kind, total_bytes, used_bytes, available_bytes });
            }
            Some(Ok(None)) => {}
            Some(Err(why)) => warnings.push(Warning { what: format!("file system {point}"), why }),
            None => {
                let why = format!("no answer within {} ms", patience.as_millis());
                warnings.push(Warning { what: format!("file system {point}"), why });
            }
        }
    }
    (systems, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str) -> Mount {
        Mount { point: point.into(), kind: "ext4".into() }
    }

    fn asked(mount: &Mount) -> Answer {
        match mount.point.to_str() {
            Some("/good") => Ok(Some([100, 50, 45])),
            Some("/nothing") => Ok(None),
            Some("/broken") => Err("Input/output error".into()),
            _ => loop {
                thread::park();
            },
        }
    }

    #[test]
    fn a_file_system_that_hangs_costs_a_warning_and_not_the_rest() {
        let started = Instant::now();
        let mounts = ["/dead", "/good", "/nothing", "/broken"].map(mount).to_vec();
        let (systems, warnings) = measure(mounts, Duration::from_millis(300), asked);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!(systems.iter().map(|system| &*system.mount).collect::<Vec<_>>(), ["/good"]);
        let warnings: Vec<_> = warnings.iter().map(|warning| (&*warning.what, &*warning.why)).collect();
        assert_eq!(
            warnings,
            [("file system /dead", "no answer within 300 ms"), ("file system /broken", "Input/output error"),]
        );
    }

    #[test]
    fn the_root_answers_and_a_missing_directory_does_not() {
        let [total, used, available] = ask(&mount("/")).unwrap().unwrap();
        assert!(total > 0 && used <= total && available <= total);
        assert_eq!(ask(&mount("/no/such/directory")), Err("No such file or directory (os error 2)".into()));
        assert_eq!(ask(&mount("/proc")), Ok(None));
    }
}

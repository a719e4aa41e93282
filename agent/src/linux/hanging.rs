//! Questions that can hang in the kernel, where nothing ends a thread: to file systems that do not answer, and to slow
//! drivers. Each is asked in a thread that has the name of the question. A thread that hangs keeps its process after the
//! agent has ended, so a later agent sees which questions are still open and does not ask them again. Each of them
//! therefore costs one process, and not one for each sweep.

use std::{
    collections::HashSet, ffi::CString, fs, os::unix::fs::MetadataExt, path::Path, sync::mpsc, thread, time::Duration,
};

use super::mounts::Device;
use crate::STACK_BYTES;

/// The most ended agents that are looked at. Each has at least one open question that no other has.
const MOST_AGENTS: usize = 256;
/// The most threads of one of them.
const MOST_THREADS: usize = 1024;

/// The questions that earlier agents still wait for.
#[derive(Debug, Default)]
pub(crate) struct Hanging(HashSet<Vec<u8>>);

impl Hanging {
    /// Those of processes that have ended, but of which threads remain. Only processes of this account and of root
    /// count, so that nobody else can keep a question from being asked.
    pub(crate) fn of(ended: &[u32]) -> Self {
        Self::within(Path::new("/proc"), ended)
    }

    fn within(proc: &Path, ended: &[u32]) -> Self {
        if ended.is_empty() {
            return Self::default();
        }
        let owner = |path: &Path| fs::metadata(path).map(|metadata| metadata.uid()).ok();
        let own = owner(&proc.join("self"));
        let mut open = HashSet::new();
        for pid in ended.iter().take(MOST_AGENTS) {
            let process = proc.join(pid.to_string());
            if !owner(&process).is_some_and(|owner| owner == 0 || Some(owner) == own) {
                continue;
            }
            // The first thread has ended, and is no question.
            let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten().take(MOST_THREADS);
            let others = threads.filter(|thread| thread.file_name().to_str() != Some(&*pid.to_string()));
            let names = others.filter_map(|thread| fs::read(thread.path().join("comm")).ok());
            open.extend(names.map(|name| name.trim_ascii_end().to_owned()));
        }
        Self(open)
    }

    /// Whether an earlier agent still waits for the answer to this question.
    pub(crate) fn has(&self, question: &str) -> bool {
        self.0.contains(question.as_bytes())
    }

    /// Does the work in a thread of its own, and waits at most `patience` for it.
    ///
    /// # Errors
    /// If there is no answer in time, or an earlier agent still waits for it.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: &'static str,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        if self.has(question) {
            return Err(STILL_OPEN.to_owned());
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let work = move || {
            name_thread(question);
            // After the time limit the receiver is gone.
            let _ = sender.send(work());
        };
        thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map_err(|error| format!("no thread: {error}"))?;
        receiver.recv_timeout(patience).map_err(|_| format!("no answer within {} ms", patience.as_millis()))
    }
}

/// Why a question was not asked.
pub(crate) const STILL_OPEN: &str = "an earlier agent still waits for its answer";

/// Gives this thread the name of its question. The kernel keeps 15 bytes.
pub(crate) fn name_thread(question: &str) {
    // Without a name, a later agent asks again, which only costs another thread.
    if let Ok(name) = CString::new(question) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// The question for the size of the file system on this device.
pub(crate) fn of_file_system(device: Device) -> String {
    format!("fs {device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_questions_of_ended_agents_are_the_names_of_their_threads() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        fs::create_dir(proc.join("self")).unwrap();
        for (pid, thread, name) in [
            (70, 70, "fleetsweep-agen"),
            (70, 71, "fs 0:39"),
            (70, 72, "fs 4095:1048575"),
            (80, 80, "fs 8:1"),
            (90, 90, "fleetsweep-agen"),
            (90, 93, "updates"),
        ] {
            let task = proc.join(format!("{pid}/task/{thread}"));
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("comm"), format!("{name}\n")).unwrap();
        }
        let open = |ended: &[u32]| {
            let hanging = Hanging::within(proc, ended);
            ["fs 0:39", "fs 4095:1048575", "fs 8:1", "updates"].map(|question| hanging.has(question))
        };
        assert_eq!(open(&[]), [false; 4]);
        assert_eq!(open(&[70, 80, 7]), [true, true, false, false]);
        assert_eq!(open(&[90, 70]), [true, true, false, true]);
        assert_eq!(of_file_system(Device { major: 0, minor: 39 }), "fs 0:39");
        // The longest fits.
        assert_eq!(of_file_system(Device { major: 4095, minor: 1_048_575 }), "fs 4095:1048575");
    }

    #[test]
    fn a_question_that_hangs_costs_its_answer_and_one_that_is_open_is_not_asked() {
        let patience = support::SOON;
        let name = || fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        assert_eq!(Hanging::default().ask("os-release", patience, name).as_deref(), Ok("os-release\n"));
        let hang = || loop {
            thread::park();
        };
        let late: Result<(), String> = Hanging::default().ask("updates", Duration::from_millis(50), hang);
        assert_eq!(late, Err("no answer within 50 ms".to_owned()));
        let open = Hanging([b"updates".to_vec()].into());
        assert_eq!(open.ask("updates", patience, || ()), Err(STILL_OPEN.to_owned()));
        assert_eq!(open.ask("fstab", patience, || ()), Ok(()));
    }
}

//! The deadlines of one attempt: the share of `timeout` that each stage has, and running a stage within its share.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::span;
use crate::fleet::{Failure, FailureKind, Stage};

/// The time over which the agent samples the CPU usage. Twice the time would double the resolution but make every sweep
/// longer.
pub(super) const WINDOW: Duration = Duration::from_millis(250);

/// What a stage may take of an attempt of length `timeout`. It never gets more than is left of the attempt.
///
/// | stage | share | of the default 30 s |
/// | --- | --- | --- |
/// | connect | 1/3 | 10 s |
/// | authenticate | what is left, except 1/6 for the stages after it | 25 s |
/// | upload | 2/3 | 20 s |
/// | execute | the sampling window and 2/3 | 20.25 s |
/// | decrypt | what is left | |
///
/// The shares intentionally add up to more than the whole: a slow network is slow in one stage, a client that is down
/// fails in the first stage, and a dead client must not take as long as a slow one. A server may delay a login on purpose,
/// for instance by PAM, so a login may take whatever the connection did not.
fn share(stage: Stage, timeout: Duration, window: Duration, left: Duration) -> Duration {
    let share = match stage {
        Stage::Connect => timeout / 3,
        Stage::Authenticate => left.saturating_sub(timeout / 6),
        Stage::Upload => timeout * 2 / 3,
        Stage::Execute => (window + timeout * 2 / 3).min(timeout),
        Stage::Queued | Stage::Decrypt | Stage::Store | Stage::Done => timeout,
    };
    share.min(left)
}

/// The deadlines of one attempt.
#[derive(Debug)]
pub(super) struct Deadlines<'a> {
    started: Instant,
    timeout: Duration,
    window: Duration,
    cancel: &'a CancellationToken,
}

impl<'a> Deadlines<'a> {
    /// An attempt that begins now.
    pub(super) fn start(timeout: Duration, window: Duration, cancel: &'a CancellationToken) -> Self {
        Self { started: Instant::now(), timeout, window, cancel }
    }

    /// Whether a third of the attempt is left, enough for something that could also be done later.
    pub(super) fn has_time_to_spare(&self) -> bool {
        self.left() >= self.timeout / 3
    }

    /// The time that is left for the attempt.
    pub(super) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    /// The time limit of a source of our own, such as an ssh-agent. It is short, because one that hangs may be waited for by
    /// every client.
    pub(super) fn of_our_own(&self) -> Duration {
        self.timeout * 3 / 10
    }

    /// The time limit of a stage that begins now.
    pub(super) fn of(&self, stage: Stage) -> Duration {
        share(stage, self.timeout, self.window, self.left())
    }

    /// Runs the work of a stage until it ends, its deadline passes or the operator cancels it. Work that is interrupted
    /// is dropped and must clean up after itself.
    ///
    /// # Errors
    /// The error of the work, [`FailureKind::TimedOut`] or [`FailureKind::Cancelled`].
    pub(super) async fn run<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let allowed = self.of(stage);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::new(stage, FailureKind::Cancelled)),
            result = tokio::time::timeout(allowed, work.instrument(span::of_stage(stage))) => match result {
                Ok(result) => result,
                Err(_) => Err(self.passed(stage, allowed)),
            },
        }
    }

    fn passed(&self, stage: Stage, allowed: Duration) -> Failure {
        let whole = rounded(self.timeout);
        Failure::new(stage, FailureKind::TimedOut).because(if allowed == self.timeout {
            format!("`{stage}` was not done within the `timeout` of {whole}")
        } else {
            format!("`{stage}` was not done within {} of the `timeout` of {whole}", rounded(allowed))
        })
    }
}

fn rounded(duration: Duration) -> humantime::FormattedDuration {
    // Rounded to 100 ms for display.
    let tenths = u64::try_from(duration.as_millis() / 100).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(tenths.saturating_mul(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_share_of_the_timeout() {
        let shares = |timeout_ms, left_ms| {
            let [timeout, left] = [timeout_ms, left_ms].map(Duration::from_millis);
            Stage::ALL.map(|stage| share(stage, timeout, Duration::from_millis(250), left).as_millis())
        };
        //                                 queued connect  authent. upload  execute decrypt  store   done
        assert_eq!(shares(30_000, 30_000), [30_000, 10_000, 25_000, 20_000, 20_250, 30_000, 30_000, 30_000]);
        assert_eq!(shares(30_000, 20_000), [20_000, 10_000, 15_000, 20_000, 20_000, 20_000, 20_000, 20_000]);
        assert_eq!(shares(30_000, 4_000), [4_000, 4_000, 0, 4_000, 4_000, 4_000, 4_000, 4_000]);
        assert_eq!(shares(600, 600), [600, 200, 500, 400, 600, 600, 600, 600]);
    }

    #[tokio::test]
    async fn a_deadline_that_passed_names_its_stage_and_its_length() {
        let cancel = CancellationToken::new();
        let deadlines = Deadlines::start(Duration::from_millis(600), Duration::ZERO, &cancel);
        let failure = deadlines.run(Stage::Connect, std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
        assert_eq!(failure.stage, Stage::Connect);
        assert_eq!(failure.to_string(), "timed out: `connect` was not done within 200ms of the `timeout` of 600ms");
    }

    #[tokio::test]
    async fn cancellation_goes_before_everything_else() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let deadlines = Deadlines::start(Duration::from_secs(30), Duration::ZERO, &cancel);
        let failure = deadlines.run(Stage::Upload, async { Ok(()) }).await.unwrap_err();
        assert_eq!((failure.stage, failure.kind), (Stage::Upload, FailureKind::Cancelled));
    }
}

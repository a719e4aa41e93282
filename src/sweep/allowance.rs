//! The limits on what a client may send in one session: bytes, messages, key exchanges and channels.
//!
//! The library reads everything that arrives, answers much of it and passes on the rest, and each message has a cost.
//! Therefore every byte from the socket is deducted from an allowance. The output of a command is added again, because
//! it has a limit of its own. What remains is the limit for everything that was not requested.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    abuse::{Abuse, LEAST_PACKET_BYTES, MOST_CHANNELS, MOST_OUTPUT_BYTES},
    algorithms::Effort,
};

/// For identification, key exchange and host key, an honest client sends about 4 KiB. The login may take as much again,
/// including a banner.
const BEFORE_LOGIN_BYTES: u64 = 64 * 1024;
/// For everything except the output of one command: window adjustments, the end of the command, a new key exchange.
const BESIDE_COMMAND_BYTES: u64 = 256 * 1024;
/// For a session that waits for the next sweep: keepalive replies and requests, host keys, a key exchange.
const IDLE_BYTES: u64 = 64 * 1024;
/// The growth of that allowance per second.
const IDLE_BYTES_PER_S: u64 = 256;

/// For each connection that a bastion forwards: what one session may send beside the output of a command, and what is
/// under way when the connection is closed, which is at most the window of its channel.
const FORWARDING_BYTES: u64 = BESIDE_COMMAND_BYTES + 2 * 1024 * 1024;
/// The most that is allowed at once beside what is forwarded: as if so many connections were closed at the same moment.
const MOST_FORWARDING_BYTES: u64 = 128 * FORWARDING_BYTES;
/// Of the bytes that we send through a bastion, this part is allowed for its window adjustments.
const FORWARDED_PART: u64 = 16;

/// A smaller read from the socket counts as this many bytes, because it costs as much.
const LEAST_READ_BYTES: u64 = 64;
/// An upper bound of the SSH overhead of one piece of output.
const AROUND_OUTPUT_BYTES: u64 = 128;

/// The longest piece of output that servers may send, with a margin.
const MOST_IN_MESSAGE: usize = 64 * 1024;
/// How many pieces the output of a command may have regardless of their size: one every 2 ms for half a minute.
const OUTPUT_MESSAGES: u64 = 16 * 1024;
/// The least average size of further pieces. A line of an answer is longer.
const BYTES_IN_MESSAGE: u64 = 64;

/// The allowance for key exchanges after the first one, in exchanges over an elliptic curve. A server may start some
/// during an upload, and we start one after each hour.
const REKEYING: u32 = 16;
/// One more is allowed after each of these intervals.
const REKEYING_EVERY: Duration = Duration::from_mins(5);

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    LoggingIn,
    Working,
    Idle,
    /// It carries connections to other servers.
    Forwarding,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How many bytes may still arrive from the socket.
    left_bytes: u64,
    /// When the allowance of an idle session last grew.
    refilled: Instant,
    output_bytes: u64,
    output_messages: u64,
    channels: u32,
    rekeying_left: u32,
    /// When the allowance for key exchanges last grew.
    rekeying_refilled: Instant,
    /// The first key exchange does not count.
    has_keys: bool,
    /// When something arrived after the last request, if that was noted.
    heard_at: Option<Instant>,
    /// The abuse that ends the session.
    abuse: Option<Abuse>,
}

/// The allowance of one session, shared by its stream, its handler and its owner. Time is passed in.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<Mutex<State>>);

impl Allowance {
    /// The allowance of a new session.
    pub(super) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Connecting,
            left_bytes: BEFORE_LOGIN_BYTES,
            refilled: now,
            output_bytes: 0,
            output_messages: 0,
            channels: 0,
            rekeying_left: REKEYING,
            rekeying_refilled: now,
            has_keys: false,
            heard_at: None,
            abuse: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login begins.
    pub(super) fn log_in(&self) {
        let mut state = self.lock();
        state.phase = Phase::LoggingIn;
        state.left_bytes = BEFORE_LOGIN_BYTES;
    }

    /// A command begins.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        state.phase = Phase::Working;
        state.left_bytes = BESIDE_COMMAND_BYTES;
        state.output_bytes = 0;
        state.output_messages = 0;
    }

    /// The session is idle until a command begins.
    pub(super) fn rest(&self, now: Instant) {
        let mut state = self.lock();
        state.phase = Phase::Idle;
        state.left_bytes = IDLE_BYTES;
        state.refilled = now;
    }

    /// The session carries one more connection.
    pub(super) fn forward(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Forwarding {
            state.phase = Phase::Forwarding;
            state.left_bytes = 0;
            state.refilled = Instant::now();
        }
        state.left_bytes = state.left_bytes.saturating_add(FORWARDING_BYTES).min(MOST_FORWARDING_BYTES);
    }

    /// So many bytes were sent through one of the connections that it carries.
    pub(super) fn forwarded(&self, bytes: usize) {
        let mut state = self.lock();
        state.left_bytes = state
            .left_bytes
            .saturating_add(bytes as u64 / FORWARDED_PART + LEAST_READ_BYTES)
            .min(MOST_FORWARDING_BYTES);
    }

    /// A request was made. What arrived before is not its answer.
    pub(super) fn requested(&self) {
        self.lock().heard_at = None;
    }

    /// When something arrived after the last request.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.lock().heard_at
    }

    /// The first abuse by the client, if there was one.
    pub(super) fn abuse(&self) -> Option<Abuse> {
        self.lock().abuse.clone()
    }

    /// Applies a check and stores the abuse before the error is returned, so that the reason is known when the session
    /// ends.
    fn ask(&self, question: impl FnOnce(&mut State) -> Result<(), Abuse>) -> Result<(), Abuse> {
        let mut state = self.lock();
        question(&mut state).inspect_err(|abuse| {
            state.abuse.get_or_insert_with(|| abuse.clone());
        })
    }

    /// Counts the bytes of one read from the socket.
    ///
    /// # Errors
    /// [`Abuse`] if that is more than the client may send.
    pub(super) fn read(&self, bytes: usize, now: Instant) -> Result<(), Abuse> {
        self.ask(|state| state.read(bytes, now))
    }

    /// Counts a message with this many bytes of a command's output.
    ///
    /// # Errors
    /// [`Abuse`] if the output is too large, or if its messages are too small.
    pub(super) fn output(&self, bytes: usize) -> Result<(), Abuse> {
        self.ask(|state| state.output(bytes))
    }

    /// Counts a message with this many bytes of a connection that the session carries.
    ///
    /// # Errors
    /// [`Abuse`] if the message is too long.
    pub(super) fn carried(&self, bytes: usize) -> Result<(), Abuse> {
        self.ask(|state| state.carried(bytes))
    }

    /// Counts a channel that the client opened.
    ///
    /// # Errors
    /// [`Abuse`] if there are too many.
    pub(super) fn channel_opened(&self) -> Result<(), Abuse> {
        self.ask(|state| {
            state.channels += 1;
            if state.channels < MOST_CHANNELS { Ok(()) } else { Err(Abuse::Channels) }
        })
    }

    /// The client confirmed a channel with this maximum packet size, in bytes.
    ///
    /// # Errors
    /// [`Abuse`] if the packets are too small.
    pub(super) fn channel_confirmed(&self, packet_bytes: u32) -> Result<(), Abuse> {
        self.ask(|_| if packet_bytes >= LEAST_PACKET_BYTES { Ok(()) } else { Err(Abuse::SmallPackets(packet_bytes)) })
    }

    /// Counts a key exchange of this cost.
    ///
    /// # Errors
    /// [`Abuse`] if that happens too often.
    pub(super) fn keys_exchanged(&self, effort: Effort, now: Instant) -> Result<(), Abuse> {
        self.ask(|state| state.keys_exchanged(effort, now))
    }
}

impl State {
    fn read(&mut self, bytes: usize, now: Instant) -> Result<(), Abuse> {
        self.heard_at.get_or_insert(now);
        match self.phase {
            Phase::Idle => self.refill(now, IDLE_BYTES),
            Phase::Forwarding => self.refill(now, MOST_FORWARDING_BYTES),
            Phase::Connecting | Phase::LoggingIn | Phase::Working => {}
        }
        match self.left_bytes.checked_sub((bytes as u64).max(LEAST_READ_BYTES)) {
            Some(left) => {
                self.left_bytes = left;
                Ok(())
            }
            None => Err(match self.phase {
                Phase::Connecting => {
                    Abuse::Unasked { bytes: BEFORE_LOGIN_BYTES, when: "before the key exchange was done" }
                }
                Phase::LoggingIn => Abuse::Unasked { bytes: BEFORE_LOGIN_BYTES, when: "during the login" },
                Phase::Working => {
                    Abuse::Unasked { bytes: BESIDE_COMMAND_BYTES, when: "beside the output of a command" }
                }
                Phase::Forwarding => Abuse::Unasked { bytes: FORWARDING_BYTES, when: "beside what it forwards" },
                Phase::Idle => Abuse::Unasked { bytes: IDLE_BYTES, when: "when nothing was asked of it" },
            }),
        }
    }

    fn output(&mut self, bytes: usize) -> Result<(), Abuse> {
        if bytes > MOST_IN_MESSAGE {
            return Err(Abuse::LongMessage(bytes));
        }
        let bytes = bytes as u64;
        if self.phase != Phase::Working {
            // The end of a command or connection that is no longer awaited counts like anything else.
            return Ok(());
        }
        self.output_bytes += bytes;
        self.output_messages += 1;
        if self.output_bytes > MOST_OUTPUT_BYTES {
            return Err(Abuse::Output);
        }
        if self.output_messages > OUTPUT_MESSAGES + self.output_bytes / BYTES_IN_MESSAGE {
            return Err(Abuse::Crumbs { messages: self.output_messages, bytes: self.output_bytes });
        }
        self.left_bytes += bytes + bytes / 8 + AROUND_OUTPUT_BYTES;
        Ok(())
    }

    /// The session that is carried counts the bytes and limits them.
    fn carried(&mut self, bytes: usize) -> Result<(), Abuse> {
        if bytes > MOST_IN_MESSAGE {
            return Err(Abuse::LongMessage(bytes));
        }
        let bytes = bytes as u64;
        self.left_bytes = self.left_bytes.saturating_add(bytes + bytes / 8 + AROUND_OUTPUT_BYTES);
        Ok(())
    }

    fn keys_exchanged(&mut self, effort: Effort, now: Instant) -> Result<(), Abuse> {
        if !self.has_keys {
            self.has_keys = true;
            return Ok(());
        }
        while self.rekeying_left < REKEYING && now.duration_since(self.rekeying_refilled) >= REKEYING_EVERY {
            self.rekeying_left += 1;
            self.rekeying_refilled += REKEYING_EVERY;
        }
        if self.rekeying_left == REKEYING {
            self.rekeying_refilled = now;
        }
        let cost = match effort {
            Effort::Light => 1,
            Effort::Group => 4,
            Effort::LargeGroup => 8,
        };
        self.rekeying_left = self.rekeying_left.checked_sub(cost).ok_or(Abuse::Rekeys)?;
        Ok(())
    }

    fn refill(&mut self, now: Instant, most_bytes: u64) {
        let seconds = now.duration_since(self.refilled).as_secs();
        self.left_bytes = self.left_bytes.saturating_add(seconds.saturating_mul(IDLE_BYTES_PER_S)).min(most_bytes);
        self.refilled += Duration::from_secs(seconds);
    }
}

#[cfg(test)]
mod tests {
    use fleetsweep_agent::envelope::MAX_ANSWER_BYTES;

    use super::*;
    use crate::fleet::FailureKind;

    /// How often something is allowed in a row.
    fn times(mut act: impl FnMut() -> Result<(), Abuse>) -> (u64, Abuse) {
        (0..).find_map(|done| act().err().map(|abuse| (done, abuse))).unwrap()
    }

    #[test]
    fn what_nobody_asked_for_is_bounded_in_every_phase() {
        let now = Instant::now();
        let allowance = Allowance::new(now);
        let many = |bytes| times(|| allowance.read(bytes, now));
        let unasked = |bytes, when| Abuse::Unasked { bytes, when };
        assert_eq!(many(1024), (64, unasked(BEFORE_LOGIN_BYTES, "before the key exchange was done")));
        allowance.log_in();
        assert_eq!(many(1024), (64, unasked(BEFORE_LOGIN_BYTES, "during the login")));
        allowance.work();
        // A byte at a time costs as much as 64.
        assert_eq!(many(1), (4096, unasked(BESIDE_COMMAND_BYTES, "beside the output of a command")));
        allowance.rest(now);
        assert_eq!(many(1024), (64, unasked(IDLE_BYTES, "when nothing was asked of it")));
        assert_eq!(many(1024).0, 0);
    }

    #[test]
    fn a_session_that_waits_is_allowed_a_little_all_the_time() {
        let began = Instant::now();
        let allowance = Allowance::new(began);
        allowance.rest(began);
        let day = 24 * 60 * 60;
        // A keepalive request every second, the shortest interval of sshd.
        for second in 0..day {
            assert_eq!(allowance.read(100, began + Duration::from_secs(second)), Ok(()), "after {second} s");
        }
        let (done, _) = times(|| allowance.read(1024, began + Duration::from_secs(day)));
        assert_eq!(done, 64);
    }

    #[test]
    fn what_a_command_prints_takes_nothing_away() {
        let now = Instant::now();
        for packet in [77, 1000, 32 * 1024] {
            let allowance = Allowance::new(now);
            allowance.work();
            for _ in 0..MAX_ANSWER_BYTES / packet {
                allowance.read(packet + 64, now).unwrap();
                allowance.output(packet).unwrap();
            }
        }
    }

    #[test]
    fn a_bastion_is_allowed_what_it_carries_and_little_beside_it() {
        let now = Instant::now();
        let allowance = Allowance::new(now);
        allowance.forward();
        for _ in 0..100_000 {
            allowance.read(32 * 1024 + 64, now).unwrap();
            allowance.carried(32 * 1024).unwrap();
        }
        assert_eq!(allowance.carried(1 << 17), Err(Abuse::LongMessage(1 << 17)));
        // What is not carried is not allowed for, on whatever channel it arrives.
        let (allowed_kib, abuse) = times(|| {
            allowance.output(1024)?;
            allowance.read(1024, now)
        });
        assert_eq!(abuse, Abuse::Unasked { bytes: FORWARDING_BYTES, when: "beside what it forwards" });
        // The rest is what was allowed for the overhead of the messages above.
        let rest_kib = 100_000 * (4 + 1) * 1024 / 1024;
        assert!((FORWARDING_BYTES / 1024..=FORWARDING_BYTES / 1024 + rest_kib).contains(&allowed_kib), "{allowed_kib}");
        // However many connections there were, what is allowed at once has a limit.
        for _ in 0..10_000 {
            allowance.forward();
        }
        assert_eq!(times(|| allowance.read(1 << 20, now)).0, MOST_FORWARDING_BYTES >> 20);
    }

    #[test]
    fn output_is_bounded_in_bytes_and_in_messages_and_anew_for_each_command() {
        let allowance = Allowance::new(Instant::now());
        for _ in 0..2 {
            allowance.work();
            let (done, abuse) = times(|| allowance.output(1));
            assert_eq!((done, abuse.kind()), (16_644, FailureKind::Misbehaved));
            assert_eq!(abuse.to_string(), "it sent 16645 bytes of output in 16645 messages");
        }
        allowance.work();
        let (done, abuse) = times(|| allowance.output(32 * 1024));
        assert_eq!((done, abuse.kind()), (512, FailureKind::AnswerTooLarge));
        assert_eq!(allowance.output(1 << 17), Err(Abuse::LongMessage(1 << 17)));
        // Without a command, only the bytes from the socket are limited.
        allowance.rest(Instant::now());
        assert_eq!(allowance.output(1), Ok(()));
    }

    #[test]
    fn channels_to_us_and_new_keys_are_bounded() {
        let began = Instant::now();
        let allowance = Allowance::new(began);
        assert_eq!(allowance.abuse(), None);
        assert_eq!(times(|| allowance.channel_opened()), (7, Abuse::Channels));
        // The reason is known before the session has ended.
        assert_eq!(allowance.abuse(), Some(Abuse::Channels));
        // The first key exchange does not count.
        for (effort, expected) in [(Effort::Light, 17), (Effort::Group, 5), (Effort::LargeGroup, 3)] {
            let allowance = Allowance::new(began);
            assert_eq!(times(|| allowance.keys_exchanged(effort, began)), (expected, Abuse::Rekeys));
        }
        // The most expensive one, every hour by us and by the server.
        let allowance = Allowance::new(began);
        for minute in (0..24 * 60).step_by(40) {
            assert_eq!(
                allowance.keys_exchanged(Effort::LargeGroup, began + Duration::from_secs(minute * 60)),
                Ok(()),
                "after {minute} min"
            );
        }
    }

    #[test]
    fn packets_that_are_too_small_are_not_sent() {
        let allowance = Allowance::new(Instant::now());
        assert_eq!(allowance.channel_confirmed(256), Ok(()));
        for bytes in [0, 1, 255] {
            assert_eq!(allowance.channel_confirmed(bytes), Err(Abuse::SmallPackets(bytes)));
        }
    }
}

//! Logins that are held. A credential that a client refused is not sent to it again until it changes, an operator requests
//! it, or a pause ends that doubles with each refusal. Otherwise a schedule, or `--once` run by cron, could lock the account
//! or get the address of the collector banned.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, FailureKind, Stage};

/// The pause after the first refusal.
const SHORTEST: Duration = Duration::from_secs(60 * 60);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The refused login of one client. It contains no secret: see [`HeldCredential::mark`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginHold {
    /// The first refusal of these credentials.
    pub since: Timestamp,
    /// The last one.
    pub refused_at: Timestamp,
    /// How many there were.
    pub refusals: u32,
    /// The reason of the last one.
    pub reason: String,
    /// The salt of the marks.
    pub salt: String,
    /// The credentials of the login.
    pub credentials: Vec<HeldCredential>,
}

/// A credential of a login that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCredential {
    /// A keyed hash that shows whether the credential has changed. For a password, it needs a slow hash.
    pub mark: String,
    /// The verdict of the client.
    pub verdict: HeldVerdict,
}

/// The verdict of a client on a credential of a refused login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldVerdict {
    /// It was refused and is not sent again.
    Refused,
    /// It was not requested, or was not sufficient by itself. It may be sent together with another one that has changed.
    NotEnough,
}

/// Whether a sweep sends credentials that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldLogins {
    /// No.
    Respected,
    /// Yes, because an operator requested it.
    Retried,
}

/// The change that a collection makes to a hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldChange {
    /// None.
    #[default]
    Unchanged,
    /// The login was refused and is held from now on.
    Held(LoginHold),
    /// The login succeeded, so nothing is held any more.
    Released,
}

impl HoldChange {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        *self == Self::Unchanged
    }
}

impl LoginHold {
    /// The hold after a refusal. If these credentials were held `before`, it goes on with a longer pause.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        now: Timestamp,
        refusal: &Failure,
        salt: String,
        credentials: Vec<HeldCredential>,
    ) -> Self {
        let goes_on = |before: &&Self| credentials.iter().all(|credential| before.verdict(&credential.mark).is_some());
        let (since, refusals) =
            before.filter(goes_on).map_or((now, 1), |before| (before.since, before.refusals.saturating_add(1)));
        Self { since, refused_at: now, refusals, reason: refusal.causes.join(": "), salt, credentials }
    }

    /// The verdict on the credential with this mark; `None` if the login did not have it.
    #[must_use]
    pub fn verdict(&self, mark: &str) -> Option<HeldVerdict> {
        self.credentials.iter().find(|credential| credential.mark == mark).map(|credential| credential.verdict)
    }

    fn pause(&self) -> Duration {
        let doublings = self.refusals.saturating_sub(1).min(5);
        (SHORTEST * 2_u32.pow(doublings)).min(LONGEST)
    }

    /// When the pause ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.refused_at.checked_add(self.pause()).unwrap_or(Timestamp::MAX)
    }

    /// Whether the pause lasts. A clock that was set back since the refusal does not prolong it.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> bool {
        let end = self.until();
        now < end && Duration::try_from(end.duration_since(now)).is_ok_and(|left| left <= self.pause())
    }

    /// The start and the end of the pause, as text.
    #[must_use]
    pub fn words(&self) -> String {
        let minute = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
        format!("held since {} UTC, until {} UTC", minute(self.since), minute(self.until()))
    }

    /// The failure of a collection that did not log in because of this hold.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(Stage::Authenticate, FailureKind::LoginHeld).because(self.words());
        if self.reason.is_empty() { failure } else { failure.because(&self.reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
    }

    fn credential(mark: &str) -> HeldCredential {
        HeldCredential { mark: mark.to_owned(), verdict: HeldVerdict::Refused }
    }

    fn refused(before: Option<&LoginHold>, minutes: i64, marks: &[&str]) -> LoginHold {
        let refusal = Failure::new(Stage::Authenticate, FailureKind::AuthenticationRefused)
            .because("password was refused")
            .because("the server takes password");
        let credentials = marks.iter().map(|mark| credential(mark)).collect();
        LoginHold::after(before, at(minutes), &refusal, "salt".to_owned(), credentials)
    }

    #[test]
    fn the_pause_doubles_from_an_hour_to_a_day() {
        let mut hold = refused(None, 0, &["a"]);
        for (number, hours) in [1, 2, 4, 8, 16, 24, 24, 24].into_iter().enumerate() {
            let end = hold.until();
            assert_eq!(end, hold.refused_at + Duration::from_secs(hours * 3600), "refusal {number}");
            let second = Duration::from_secs(1);
            assert!(hold.lasts(hold.refused_at) && hold.lasts(end - second) && !hold.lasts(end));
            let next = hold.refused_at.as_second() / 60 - at(0).as_second() / 60 + 60 * i64::try_from(hours).unwrap();
            hold = refused(Some(&hold), next, &["a"]);
            assert_eq!(hold.since, at(0));
        }
    }

    #[test]
    fn a_changed_credential_begins_anew() {
        let before = refused(Some(&refused(None, 0, &["a", "b"])), 60, &["a", "b"]);
        assert_eq!((before.since, before.refusals), (at(0), 2));
        let changed = refused(Some(&before), 70, &["a", "c"]);
        assert_eq!((changed.since, changed.refusals), (at(70), 1));
        // One that was removed is no new one.
        let fewer = refused(Some(&before), 70, &["b"]);
        assert_eq!((fewer.since, fewer.refusals), (at(0), 3));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_prolong_it() {
        let hold = refused(None, 0, &["a"]);
        for (minutes, expected) in [(-100_000, false), (-1, false), (0, true), (59, true), (60, false)] {
            assert_eq!(hold.lasts(at(minutes)), expected, "{minutes}");
        }
    }

    #[test]
    fn the_failure_says_since_when_it_is_held_and_why() {
        assert_eq!(
            refused(None, 0, &["a"]).failure().to_string(),
            "login not tried: held since 2023-11-14 22:13 UTC, until 2023-11-14 23:13 UTC: \
             password was refused: the server takes password"
        );
    }

    #[test]
    fn every_change_survives_its_json() {
        for change in [HoldChange::Unchanged, HoldChange::Released, HoldChange::Held(refused(None, 0, &["a"]))] {
            let json = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<HoldChange>(&json).unwrap(), change);
        }
    }
}

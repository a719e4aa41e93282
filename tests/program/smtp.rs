//! A failing mail server: no mail is lost, none is sent twice without need, and no sweep waits for it.

use std::time::{Duration, Instant};

use fleetsweep::demo::{Behaviour, Fault, SmtpStep};
use support::{Trial, allowance, free_port};

use crate::site::{Fleet, OVER, mails, parsed, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_mail_waits_for_a_server_in_trouble_and_is_sent_by_the_next_run,
            a_mail_that_is_refused_for_good_is_kept_and_not_offered_again,
            a_server_that_does_not_answer_in_time_costs_ten_seconds_and_no_mail,
            a_mail_whose_fate_is_not_known_is_sent_again_under_the_same_name,
            one_mailbox_in_trouble_does_not_hold_up_the_others;
    }
}

/// The longest time that a run waits for the outbox at its end.
const WAIT: Duration = Duration::from_secs(10);

/// The time limit of a sweep of one client.
const SWEEP: Duration = Duration::from_secs(5);

const OUTBOX: &str = "SELECT status, attempts, last_error FROM v1_mails";

/// A sweep with a failing server, then one with a working server. Returns the state of the outbox after each.
async fn two_sweeps(fault: Option<Fault>) -> (Fleet, String, String) {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let mut config = fleet.config(OVER);
    match fault {
        Some(fault) => fleet.sink.fail(fault),
        None => config.smtp = format!(r#"host="127.0.0.1" port="{}""#, free_port()),
    }
    let before = fleet.once(&config).await;
    assert!(Duration::from_millis(before["duration_ms"].as_u64().unwrap()) < allowance(SWEEP), "{before}");
    let in_trouble = sql(&fleet.program, OUTBOX).await.concat();
    let waiting = u64::from(in_trouble.starts_with("waiting"));
    assert_eq!(mails(&before), (0, waiting), "{in_trouble}");

    fleet.sink.fail(Fault::None);
    // The pause before the next attempt has not passed, but a run tries it anyway.
    let after = fleet.once(&fleet.config(OVER)).await;
    assert_eq!(mails(&after), (waiting, 0));
    let in_health = sql(&fleet.program, OUTBOX).await.concat();
    (fleet, in_trouble, in_health)
}

async fn a_mail_waits_for_a_server_in_trouble_and_is_sent_by_the_next_run() {
    for (fault, words) in [
        (None, "refused"),
        (Some(Fault::FULL), "452"),
        (Some(Fault::refuses(SmtpStep::Greeting, 554)), "554"),
        (Some(Fault::refuses(SmtpStep::Hello, 421)), "421"),
        (Some(Fault::refuses(SmtpStep::Sender, 550)), "550"),
        (Some(Fault::refuses(SmtpStep::Recipient, 451)), "451"),
        (Some(Fault::refuses(SmtpStep::Data, 451)), "451"),
        (Some(Fault::refuses(SmtpStep::Content, 452)), "452"),
    ] {
        let (fleet, in_trouble, in_health) = two_sweeps(fault).await;
        assert!(in_trouble.starts_with("waiting|1|") && in_trouble.contains(words), "{fault:?}: {in_trouble}");
        assert_eq!(in_health, "sent|2|NULL", "{fault:?}");
        assert_eq!(fleet.sink.mails().len(), 1, "{fault:?}");
    }
}

async fn a_mail_that_is_refused_for_good_is_kept_and_not_offered_again() {
    for moment in [SmtpStep::Recipient, SmtpStep::Content] {
        let (fleet, in_trouble, in_health) = two_sweeps(Some(Fault::refuses(moment, 550))).await;
        assert!(in_trouble.starts_with("refused|1|") && in_trouble.contains("550"), "{moment:?}: {in_trouble}");
        assert_eq!(in_health, in_trouble);
        assert!(fleet.sink.mails().is_empty());
    }
}

async fn a_server_that_does_not_answer_in_time_costs_ten_seconds_and_no_mail() {
    let check = async |fault: Fault| {
        let fleet = Fleet::of(&[Behaviour::Healthy]).await;
        fleet.sink.fail(fault);
        let started = Instant::now();
        let document = fleet.once(&fleet.config(OVER)).await;
        let (took, swept) = (started.elapsed(), Duration::from_millis(document["duration_ms"].as_u64().unwrap()));
        // The sweep itself is not affected.
        assert!(swept < allowance(SWEEP), "{fault:?}: {document}");
        let waited = took.saturating_sub(swept);
        assert!(waited < WAIT + allowance(Duration::from_secs(3)), "{fault:?}: {waited:?} beside the sweep");
        assert_eq!(mails(&document), (0, 1));
        let row = sql(&fleet.program, OUTBOX).await.concat();
        assert!(row.starts_with("waiting|1|") && row.contains("no answer"), "{fault:?}: {row}");
    };
    tokio::join!(check(Fault::Silent), check(Fault::Slow(Duration::from_secs(4))));
}

async fn a_mail_whose_fate_is_not_known_is_sent_again_under_the_same_name() {
    let (fleet, in_trouble, in_health) = two_sweeps(Some(Fault::ClosesAfterKeeping)).await;
    assert!(in_trouble.starts_with("waiting|1|"), "{in_trouble}");
    assert_eq!(in_health, "sent|2|NULL");
    let received: Vec<_> = fleet.sink.mails().iter().map(parsed).collect();
    assert_eq!(received.len(), 2);
    assert!(!received[0].message_id.is_empty());
    assert_eq!(received[0], received[1]);
}

async fn one_mailbox_in_trouble_does_not_hold_up_the_others() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 3]).await;
    fleet.sink.fail(Fault::refuses(SmtpStep::Recipient, 451));
    assert_eq!(mails(&fleet.once(&fleet.config(OVER)).await), (0, 3));
    // All three were tried, because the replies were about single recipients.
    assert_eq!(sql(&fleet.program, "SELECT DISTINCT status, attempts FROM v1_mails").await, ["waiting|1"]);
    fleet.sink.fail(Fault::None);
    assert_eq!(mails(&fleet.once(&fleet.config(OVER)).await), (3, 0));
    assert_eq!(fleet.sink.mails().len(), 3);
}

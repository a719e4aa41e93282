//! Mails about troubles of the collector as users receive them.

use super::*;
use crate::fleet::troubles::{Phase, TroubleKind, TroubleNotice};

fn notice(kind: TroubleKind, phase: Phase, detail: &str, clients: usize) -> TroubleNotice {
    TroubleNotice {
        id: Uuid::from_u128(7),
        under: (phase != Phase::Began).then(|| Uuid::from_u128(3)),
        kind,
        recipient: "admin@example.com".into(),
        phase,
        since: at("10:00:00"),
        at: at("12:30:00"),
        detail: detail.into(),
        clients: (1..=clients).map(|number| format!("web-{number} (10.0.4.{number}:22)")).collect(),
    }
}

fn shown(notice: &TroubleNotice) -> String {
    let mail = Composer::new().unwrap().trouble_mail(notice, "mon-1").unwrap();
    assert_eq!((mail.id, mail.kind, mail.recipient.as_str()), (notice.id, MailKind::Trouble, "admin@example.com"));
    assert_eq!(mail.thread, notice.under.into_iter().collect::<Vec<_>>());
    show(&mail)
}

#[test]
fn a_beginning_says_what_it_means_and_what_to_do() {
    let detail = "database /srv/fleet.db is full: free some space; nothing of this was stored";
    insta::assert_snapshot!("trouble_began", shown(&notice(TroubleKind::Database, Phase::Began, detail, 0)));
}

#[test]
fn clients_are_listed_and_very_many_counted() {
    let keys = notice(TroubleKind::HostKeys, Phase::Further, "3 clients", 3);
    insta::assert_snapshot!("trouble_further", shown(&keys));
    let many = shown(&notice(TroubleKind::HostKeys, Phase::Began, "250 clients", 250));
    assert!(many.contains("web-100 ") && !many.contains("web-101 ") && many.contains("and 150 more"), "{many}");
}

#[test]
fn a_dead_bastion_is_not_called_a_client() {
    let mut gone = notice(TroubleKind::Bastions, Phase::Further, "1 bastion", 0);
    gone.clients = vec!["bastion gate".to_owned()];
    insta::assert_snapshot!("trouble_of_a_bastion", shown(&gone));
}

#[test]
fn an_end_says_how_long_it_lasted() {
    let detail = "19 of 20 clients that answered before do not answer";
    insta::assert_snapshot!("trouble_ended", shown(&notice(TroubleKind::CutOff, Phase::Ended, detail, 0)));
}

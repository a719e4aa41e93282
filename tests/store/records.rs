//! Test data for the store: a reading, an alert, and a collection with everything. The unit tests include this file,
//! too, so all names come from the including module.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    fleet::{
        Bytes, ClientId, Metric, Percent, Reading, Stage, SweepId,
        alert::{Change, Notice, NoticeReason, OpenAlert, Step},
        judge::{ClientState, RuleState},
        login_hold::HoldChange,
        mail::{Mail, MailKind},
        metric::Instance,
        reading::{FileSystem, Interface, Usage},
        security::{EventAccess, SecurityEvent, SecurityLog},
    },
    store::{Outcome, Record},
};

pub(crate) const AT: i64 = 1_700_000_000_000;

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(AT + ms).unwrap()
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn reading() -> Reading {
    Reading {
        host_name: Some("db-1".into()),
        os_family: Some("linux".into()),
        os_version: None,
        kernel: None,
        architecture: None,
        cpu: Some(Percent::new(62.5).unwrap()),
        cores: vec![Percent::new(25.0).unwrap(), Percent::HUNDRED],
        memory: Some(Usage { total: Bytes(1000), used: Bytes(750) }),
        swap: None,
        uptime_seconds: Some(86_400),
        load: Some([1.5, 1.0, 0.5]),
        file_systems: vec![FileSystem {
            mount: "/".into(),
            kind: "ext4".into(),
            total: Bytes(100),
            used: Bytes(50),
            available: Bytes(50),
            inodes: None,
            trend: None,
        }],
        interfaces: vec![Interface { name: "eth0".into(), received: Bytes(10), sent: Bytes(20) }],
        top_cpu: Vec::new(),
        top_memory: Vec::new(),
        warnings: vec!["swap: none".into()],
        agent_version: "0.1.0".into(),
        clock_ahead_ms: Some(-3),
        ..Reading::default()
    }
}

pub(crate) fn mail(number: u128, created_ms: i64) -> Mail {
    Mail {
        id: uuid(number),
        kind: MailKind::Alert,
        recipient: "ops@example.com".into(),
        subject: "cpu 62.5 % ☎".into(),
        body: "two\nlines".into(),
        attachments: Vec::new(),
        thread: Vec::new(),
        export_command: None,
        created_at: at(created_ms),
    }
}

pub(crate) fn alert() -> OpenAlert {
    OpenAlert {
        id: uuid(100),
        raised_at: at(10),
        limit: 20.0,
        value: 62.5,
        peak: 62.5,
        last_mail_at: Some(at(10)),
        acknowledged_at: None,
        acknowledged_by: None,
    }
}

pub(crate) fn state(alert: Option<OpenAlert>, over_in_a_row: u32) -> ClientState {
    ClientState { failed_in_a_row: 0, rules: [(Metric::Cpu.into(), RuleState { over_in_a_row, alert })].into() }
}

/// A collection that raises an alert, has a security event and queues a mail.
pub(crate) fn record(number: u128) -> Record {
    Record {
        sweep: SweepId(uuid(1)),
        collection: uuid(1_000 + number),
        client: ClientId::new("10.0.4.1", 22),
        client_name: "db".into(),
        started_at: at(0),
        duration_ms: 10,
        attempts: 1,
        stages: vec![(Stage::Connect, at(1)), (Stage::Execute, at(4))],
        outcome: Outcome::Collected(Box::new(reading())),
        state: state(Some(alert()), 3),
        changes: vec![Change {
            metric: Metric::Cpu,
            instance: Instance::HOST,
            alert: alert(),
            step: Step::Raised,
            notice: Notice::Send(NoticeReason::Raised),
        }],
        security: Some(SecurityLog {
            channel: "journal".into(),
            access: EventAccess::Read,
            bookmark: Some("s=1".into()),
            truncated: false,
            events: vec![SecurityEvent {
                record_id: "s=1;i=2".into(),
                channel: None,
                event_id: None,
                level: "warning".into(),
                occurred_unix_ms: AT - 5,
                source: "sshd".into(),
                user: Some("root".into()),
                message: "Failed password for root".into(),
                data: vec![("pid".into(), "42".into())],
            }],
        }),
        spent: None,
        gathering: None,
        login_hold: HoldChange::Unchanged,
        counters: None,
        trends_at: None,
        mails: vec![mail(number, 10)],
    }
}

/// A collection without alert, event and mail, of its own client.
pub(crate) fn plain(number: u128) -> Record {
    Record {
        client: ClientId::new(format!("10.0.5.{number}"), 22),
        state: ClientState::default(),
        changes: Vec::new(),
        security: None,
        mails: Vec::new(),
        ..record(number)
    }
}

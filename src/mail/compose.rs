//! Composes mails: one mail to each recipient for all alerts of a collection. Pure. The sentences are in the templates
//! in `assets/mail/`; their data and the subjects are made here.

use jiff::Timestamp;
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use uuid::Uuid;

use crate::fleet::{
    mail::{Mail, MailKind},
    reading::clean,
    troubles::TroubleNotice,
};

use super::words::{self, SUBJECT_CHARS, TEXT_CHARS};

pub use events::{EventsContext, in_shell};
pub use occasion::{MailContext, history_wanted};

mod events;
mod facts;
mod listing;
mod occasion;
mod sections;
#[cfg(test)]
mod tests;
mod troubles;

/// The templates. Some are included by others.
const TEMPLATES: [(&str, &str); 7] = [
    ("alert.txt", include_str!("../../assets/mail/alert.txt")),
    ("recovery.txt", include_str!("../../assets/mail/recovery.txt")),
    ("events.txt", include_str!("../../assets/mail/events.txt")),
    ("test.txt", include_str!("../../assets/mail/test.txt")),
    ("trouble.txt", include_str!("../../assets/mail/trouble.txt")),
    ("ended.txt", include_str!("../../assets/mail/ended.txt")),
    ("client.txt", include_str!("../../assets/mail/client.txt")),
];

/// The error of a template that cannot be parsed or rendered, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the mail template `{name}` cannot be used")]
pub struct TemplateError {
    name: &'static str,
    #[source]
    source: minijinja::Error,
}

/// Composes mails. Created once.
#[derive(Debug)]
pub struct Composer(Environment<'static>);

impl Composer {
    /// A composer with the templates of this program.
    ///
    /// # Errors
    /// [`TemplateError`] with the first template that cannot be read.
    pub fn new() -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Lines with only control statements leave no line in the mail.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|source| TemplateError { name: "*.txt", source })?);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text).map_err(|source| TemplateError { name, source })?;
        }
        Ok(Self(environment))
    }

    /// The mails of one collection, the same to each recipient of the client: of kind [`MailKind::Alert`] if a limit is
    /// exceeded, or [`MailKind::Recovery`] if alerts only ended. None if the verdict mails nothing.
    ///
    /// # Errors
    /// [`TemplateError`]; it does not depend on the content.
    pub fn alert_mails(
        &self,
        occasion: &MailContext<'_>,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Vec<Mail>, TemplateError> {
        let facts = facts::Facts::of(occasion);
        let Some(kind) = facts.kind() else { return Ok(Vec::new()) };
        let template = if kind == MailKind::Recovery { "recovery.txt" } else { "alert.txt" };
        let subject = facts.subject();
        let body = self.fill(template, &facts)?;
        let mail = |recipient: &lettre::message::Mailbox| Mail {
            id: new_id(),
            kind,
            recipient: recipient.email.to_string(),
            subject: subject.clone(),
            body: body.clone(),
            attachments: Vec::new(),
            thread: Vec::new(),
            export_command: None,
            created_at: occasion.now,
        };
        Ok(occasion.client.mail.iter().map(mail).collect())
    }

    /// The mails about the security log of a collection, of kind [`MailKind::Events`]: the same for each recipient of
    /// the client, even if the log is empty.
    ///
    /// # Errors
    /// [`TemplateError`]; it does not depend on the content.
    pub fn event_mails(
        &self,
        occasion: &EventsContext<'_>,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Vec<Mail>, TemplateError> {
        self.mails_of(occasion, events::drafts(occasion), new_id)
    }

    fn mails_of(
        &self,
        occasion: &EventsContext<'_>,
        drafts: Vec<events::Draft>,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Vec<Mail>, TemplateError> {
        let mut mails = Vec::new();
        for events::Draft { facts, subject, attachments } in drafts {
            let body = self.fill("events.txt", &facts)?;
            mails.extend(occasion.client.mail.iter().map(|recipient| Mail {
                id: new_id(),
                kind: MailKind::Events,
                recipient: recipient.email.to_string(),
                subject: subject.clone(),
                body: body.clone(),
                attachments: attachments.clone(),
                thread: Vec::new(),
                export_command: events::export_command(occasion),
                created_at: occasion.now,
            }));
        }
        Ok(mails)
    }

    /// The mail of `fleetsweep mail-test` to one address.
    ///
    /// # Errors
    /// [`TemplateError`]; it does not depend on the content.
    pub fn test_mail(
        &self,
        recipient: &str,
        collector_name: &str,
        now: Timestamp,
        id: Uuid,
    ) -> Result<Mail, TemplateError> {
        #[derive(Serialize)]
        struct Facts<'a> {
            recipient: &'a str,
            collector: String,
            now: String,
        }
        let collector = clean(collector_name, TEXT_CHARS);
        let subject = clean(&format!("[fleetsweep] test mail from {collector}"), SUBJECT_CHARS);
        let body = self.fill("test.txt", &Facts { recipient, collector, now: words::moment(now) })?;
        Ok(Mail {
            id,
            kind: MailKind::Test,
            recipient: recipient.to_owned(),
            subject,
            body,
            attachments: Vec::new(),
            thread: Vec::new(),
            export_command: None,
            created_at: now,
        })
    }

    /// The mail about a trouble of the collector itself.
    ///
    /// # Errors
    /// [`TemplateError`]; it does not depend on the content.
    pub fn trouble_mail(&self, notice: &TroubleNotice, collector_name: &str) -> Result<Mail, TemplateError> {
        let facts = troubles::Facts::of(notice, collector_name);
        let (subject, body) = (facts.subject(), self.fill("trouble.txt", &facts)?);
        Ok(Mail {
            id: notice.id,
            kind: MailKind::Trouble,
            recipient: notice.recipient.clone(),
            subject,
            body,
            attachments: Vec::new(),
            thread: notice.under.into_iter().collect(),
            export_command: None,
            created_at: notice.at,
        })
    }

    fn fill(&self, name: &'static str, facts: &impl Serialize) -> Result<String, TemplateError> {
        let filled = self.0.get_template(name).and_then(|template| template.render(Serde(facts)));
        let text = filled.map_err(|source| TemplateError { name, source })?;
        Ok(format!("{}\n", text.trim()))
    }
}

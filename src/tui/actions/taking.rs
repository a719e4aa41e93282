//! Actions that copy to the clipboard or export to a file. The content of an export is in `export`.

use super::spec::{Group, Hint, Scope, Spec, spec};
use crate::{
    fleet::{event::ClientCard, shell_word::shell_word},
    tui::{
        export,
        key::Key::Char,
        messages::Command,
        model::{Model, failure_text},
        view::{Overlay, Tab},
    },
};

pub(super) const COPY: Spec = Spec {
    synonyms: &["yank", "clipboard"],
    hint: Hint::Place(13),
    keeps_selection: true,
    ..spec(Group::Act, &[Char('y')], "copy", "Copy the error, the mail or the row.", copy)
};

pub(super) const COPY_SSH: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["login", "shell", "connect", "terminal"],
    keeps_selection: true,
    ..spec(Group::Act, &[Char('Y')], "copy ssh command", "Copy the command that logs in to the client.", |model| {
        let Some(client) = model.selected() else {
            model.say(false, "No client is selected.");
            return Vec::new();
        };
        let command = ssh_command(&client.card);
        model.say(false, format!("Copied: {command}"));
        vec![Command::Copy(command)]
    })
};

pub(super) const EXPORT: Spec = Spec {
    synonyms: &["save", "download", "write"],
    ..spec(Group::Act, &[Char('e')], "export", "Export what is shown as JSON or CSV.", |model| {
        if export::subject(model).is_some() {
            model.view.overlay = Overlay::Export;
        } else {
            model.say(false, "There is nothing to export.");
        }
        Vec::new()
    })
};

/// The command that logs in to a client, quoted for a shell.
fn ssh_command(card: &ClientCard) -> String {
    let port = if card.id.port() == 22 { String::new() } else { format!("-p {} ", card.id.port()) };
    // A user name must not be parsed as an option.
    let end = if card.username.starts_with('-') { "-- " } else { "" };
    format!("ssh {port}{end}{}", shell_word(&format!("{}@{}", card.username, card.id.address())))
}

fn copy(model: &mut Model) -> Vec<Command> {
    let text = match model.view.tab {
        Tab::Fleet => model.selected().map(|client| match client.failure() {
            Some(failure) => failure_text(client, failure),
            None => format!("{} {}\n", client.card.name, client.card.id),
        }),
        Tab::Alerts => model.selected_alert(false).map(|alert| {
            let (name, value) = (model.name_of(&alert.client), alert.metric.show(alert.value));
            format!("{name} ({}) {} {value} since {}\n", alert.client, alert.key(), alert.raised_at)
        }),
        Tab::Mails => model
            .selected_mail()
            .map(|mail| format!("To: {}\nSubject: {}\n\n{}\n", mail.recipient, mail.subject, mail.body)),
        Tab::Log => model.selected_line().map(|line| {
            let client = line.client.as_ref().map_or_else(String::new, |client| format!("{client}: "));
            format!("{} {} {client}{}\n", line.at, line.level.word(), line.text)
        }),
    };
    match text {
        Some(text) => {
            model.say(false, "Copied.");
            vec![Command::Copy(text)]
        }
        None => {
            model.say(false, "Nothing is selected.");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ClientId;

    #[test]
    fn the_ssh_command_is_one_that_a_shell_takes_as_it_is() {
        for (username, address, port, expected) in [
            ("admin", "10.4.0.1", 22, "ssh admin@10.4.0.1"),
            ("admin", "fd00::1", 2222, "ssh -p 2222 admin@fd00::1"),
            ("o'neil; reboot", "10.4.0.1", 22, r"ssh 'o'\''neil; reboot@10.4.0.1'"),
            ("-oProxyCommand=x", "10.4.0.1", 22, "ssh -- '-oProxyCommand=x@10.4.0.1'"),
        ] {
            let card = ClientCard {
                id: ClientId::new(address, port),
                name: "db".to_owned(),
                username: username.to_owned(),
                limits: Vec::new(),
            };
            assert_eq!(ssh_command(&card), expected);
        }
    }
}

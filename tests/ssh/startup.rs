//! What startup files and the server's configuration put in the place of a command: each is recognised as that.

use futures_util::future::join_all;
use support::SshdOptions;

use crate::sweeping::{at, client, key_login, program, sshd_with, sweep};

/// A menu that ends with its input.
const MENU: &str = "echo '1) shell  2) quit'; while read choice; do echo 'again:'; done; exit 3";

/// A name, the `.bashrc` of the account, and a line of `sshd_config`.
const CASES: [(&str, &str, &str); 11] = [
    ("another shell", "exec zsh", ""),
    ("tmux", "exec tmux", ""),
    ("read", "read answer", ""),
    ("exit", "exit", ""),
    ("exit after a text", "echo Welcome; exit", ""),
    ("menu", MENU, ""),
    ("menu without end", "while true; do echo 'shell or quit?'; read choice || sleep 0.1; done", ""),
    ("sleep", "exec sleep 20", ""),
    ("SFTP only", "", "ForceCommand internal-sftp"),
    ("nologin of sshd", "", "ForceCommand echo 'The system is down until noon.' >&2; exit 254"),
    ("other command", "", "ForceCommand echo 'Only backups are made here.' >&2; exit 1"),
];

pub(crate) async fn what_takes_the_place_of_the_command_is_recognised() {
    let sshds = join_all(CASES.map(async |(_, startup, config)| {
        let config = Some(config.to_owned()).filter(|line| !line.is_empty()).into_iter().collect();
        let sshd = sshd_with("/bin/bash", SshdOptions { config, ..SshdOptions::default() }).await;
        sshd.user().write(".bashrc", &format!("{startup}\n"));
        sshd
    }))
    .await;
    let clients: Vec<String> =
        CASES.iter().zip(&sshds).map(|((name, ..), sshd)| client(name, at(sshd, 0), &key_login(sshd))).collect();
    let program = program(r#"<collector timeout="15s" retries="2"/>"#, &clients);
    let swept = sweep(&program).await;
    let mut shown = String::new();
    for (name, ..) in CASES {
        let (stage, words) = swept.failure(name);
        shown += &format!("{name}: {stage} after {} attempt: {words}\n", swept.client(name).attempts);
    }
    insta::assert_snapshot!(shown);
}

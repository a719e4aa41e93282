//! An SMTP server with a size limit, additional `EHLO` keywords and special replies to some lines. It stores the mails
//! that it accepts.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::Mail;

/// The longest line that is read, bytes.
const MOST_LINE: u64 = 1 << 20;

/// The rules of a server.
#[derive(Debug, Clone, Default)]
pub struct StrictRules {
    /// The additional lines of its reply to `EHLO`, without the code: `SIZE 100000`.
    pub keywords: Vec<String>,
    /// The largest accepted mail, bytes. A larger one is refused with 552 after its end.
    pub most_bytes: Option<usize>,
    /// Special replies: the beginning of a line in upper case, and the reply. The first match counts. `.` stands for
    /// the end of a mail, an empty text for a new connection.
    pub replies: Vec<(String, String)>,
    /// Beginnings of lines at which the connection is closed without a reply.
    pub closes: Vec<String>,
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct StrictSmtp {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<StrictRules>,
    mails: Mutex<Vec<(String, Vec<u8>)>>,
    lines: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl StrictSmtp {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start(rules: StrictRules) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { rules: Mutex::new(rules), ..Shared::default() });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                    thread::spawn(move || {
                        // Clients may close the connection at any time.
                        let _ended = converse(stream, &shared);
                    });
                }
            }
        });
        Self { address, shared }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the rules from the next line on.
    pub fn change(&self, rules: StrictRules) {
        *lock(&self.shared.rules) = rules;
    }

    /// The accepted mails, in order of arrival.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.shared.mails).iter().map(|(_, content)| Mail::parse(content)).collect()
    }

    /// The recipients of the accepted mails, in order of arrival.
    pub fn recipients(&self) -> Vec<String> {
        lock(&self.shared.mails).iter().map(|(recipient, _)| recipient.clone()).collect()
    }

    /// The sizes of the accepted mails in order of arrival, bytes.
    pub fn sizes(&self) -> Vec<usize> {
        lock(&self.shared.mails).iter().map(|(_, content)| content.len()).collect()
    }

    /// The number of received lines that begin with this text.
    pub fn heard(&self, beginning: &str) -> usize {
        lock(&self.shared.lines).iter().filter(|line| line.starts_with(beginning)).count()
    }
}

impl Drop for StrictSmtp {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _woken = TcpStream::connect(self.address);
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut recipient, mut content): (String, Option<Vec<u8>>) = (String::new(), None);
    let mut said = String::new();
    loop {
        let rules = lock(&shared.rules).clone();
        let is_end = content.is_some() && said == ".";
        if content.is_none() || is_end {
            let key = said.to_uppercase();
            let meets =
                |beginning: &str| if beginning.is_empty() { key.is_empty() } else { key.starts_with(beginning) };
            if rules.closes.iter().any(|beginning| meets(beginning)) {
                return Ok(());
            }
            lock(&shared.lines).push(key.clone());
            let chosen = rules.replies.iter().find(|(beginning, _)| meets(beginning)).map(|(_, reply)| reply.clone());
            let reply = match (chosen, key.split([' ', ':']).next().unwrap_or_default()) {
                (Some(reply), _) => reply,
                (None, "") => "220 strict.localhost ESMTP".to_owned(),
                (None, "EHLO") => {
                    let mut lines = vec!["strict.localhost".to_owned()];
                    lines.extend(rules.keywords.clone());
                    let last = lines.len() - 1;
                    let line =
                        |(index, line): (usize, String)| format!("250{}{line}", if index == last { ' ' } else { '-' });
                    lines.into_iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
                }
                (None, "RCPT") => {
                    recipient = said.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    "250 2.1.5 ok".to_owned()
                }
                (None, "DATA") => {
                    content = Some(Vec::new());
                    "354 go on".to_owned()
                }
                (None, ".") => match content.take() {
                    Some(mail) if rules.most_bytes.is_some_and(|most| mail.len() > most) => {
                        "552 5.3.4 message size exceeds fixed limit".to_owned()
                    }
                    mail => {
                        lock(&shared.mails).push((recipient.clone(), mail.unwrap_or_default()));
                        "250 2.0.0 taken".to_owned()
                    }
                },
                (None, "QUIT") => "221 2.0.0 bye".to_owned(),
                (None, _) => "250 2.0.0 ok".to_owned(),
            };
            if is_end {
                content = None;
            }
            stream.write_all(format!("{reply}\r\n").as_bytes())?;
            if key == "QUIT" || reply.starts_with("421") {
                return Ok(());
            }
        } else if let Some(content) = &mut content {
            content.extend_from_slice(said.strip_prefix('.').unwrap_or(&said).as_bytes());
            content.extend_from_slice(b"\r\n");
        }
        let mut line = Vec::new();
        if (&mut reader).take(MOST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        said = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
    }
}

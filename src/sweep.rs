//! Everything that touches a client: from its address to its reading.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`collector`] | the things done to a client: collect, clean, trust, look at its host key |
//! | `collection` | the result of one collection, as data |
//! | `shared` | what all collections share |
//! | `access` | connecting and logging in, with what all sessions share |
//! | `bastions` | the way to a client through bastions |
//! | `bastion_pool` | the sessions with one bastion, which carry the connections to the clients behind it |
//! | `forwarding` | why a bastion opens no connection |
//! | `transport` | the byte stream under a session: TCP, or forwarded by a bastion |
//! | `known_clients` | the data about clients that is kept between visits |
//! | `attempt` | one attempt at one collection, stage by stage |
//! | `answer` | opening an agent's answer and checking the report in it |
//! | `deadline` | pure: which share of the `timeout` each stage has; running a stage within it |
//! | `backoff` | pure: how long to wait before the next attempt |
//! | `connect` | TCP, key exchange and the check of the host key |
//! | `algorithms` | pure: which algorithms are offered, and how much work they cost |
//! | `handshake` | pure: where the packets of a key exchange end, and which of them are expensive |
//! | `threads` | the threads on which sessions run, and the slots for expensive work on them |
//! | `abuse` | pure: behaviour that no honest SSH server shows |
//! | `allowance` | pure: what a client may send in a session |
//! | `first_lines` | pure: the lines that come before the packets |
//! | `stream` | the TCP stream under a session: it limits, delays and can be cut from outside |
//! | `session_handler` | the callbacks of the SSH library, which refuse requests of servers |
//! | `host_certificate` | pure: whether the certificate of a host is valid for it |
//! | `host_key` | the check of a host key by the policy |
//! | `server_key` | the host key that a server has shown |
//! | `session` | an open SSH session, and those kept for the next sweep |
//! | `session_state` | the state that a session shares with its handler |
//! | `credential` | pure: which credentials are tried in which order, and the result of the server's answers |
//! | `credential_sources` | key files and secrets, read with a deadline |
//! | `keyboard_interactive` | answering the questions of a server with the password |
//! | `question` | pure: which questions of a server ask for a code or a new password, so that no password is sent as the answer |
//! | `server_texts` | pure: the texts that a server shows during a login |
//! | `sent_secrets` | pure: hides passwords in what a server says |
//! | `login_holds` | which credentials are held after a refusal, and what a collection changes about that |
//! | `login_marks` | marks by which an unchanged credential is recognised |
//! | `login_record` | what a login may send, and what it sent |
//! | `authenticate` | trying the credentials of a client, one after the other |
//! | `public_keys` | which public keys are shown to a server, and who signs: a key file or the ssh-agent |
//! | `ssh_agent` | the keys of the ssh-agent, and signatures by them |
//! | `certificates` | the certificates of our own keys |
//! | `key_files` | reads public keys and certificates from files |
//! | `key_format` | pure: decoding private keys in all formats of OpenSSH and OpenSSL |
//! | `keyring`, `secrets` | decoded key files and read secrets, each once for all clients |
//! | `shortage` | which errors are caused by exhausted resources of this machine |
//! | [`span`] | which client and which stage a line of the log belongs to |
//! | [`descriptor_budget`] | how many collections and kept sessions there are file descriptors for |
//! | `platform` | pure: what kind of machine a client is |
//! | `recognition` | how the platform is determined |
//! | `delivery` | how an agent gets onto a client and is run: by a script on a POSIX shell, by SFTP on Windows |
//! | `known_as` | the name of a server in files of host keys |
//! | `proxy_command` | a command that is the connection to a client |
//! | [`known_hosts`] | the file of pinned host keys |
//! | [`agents`] | the agents of this build, by platform |
//!
//! `app` decides when a sweep is due, how many collections run at once, and what happens to a reading. A client is not
//! trusted: what it sends is limited in size and time, and its texts are cleaned before they enter a
//! [`Failure`](crate::fleet::Failure).

mod abuse;
mod access;
pub mod agents;
mod algorithms;
mod allowance;
mod answer;
mod attempt;
mod audit_trail;
mod authenticate;
mod backoff;
mod bastion_pool;
mod bastions;
mod certificates;
mod collection;
pub mod collector;
mod connect;
mod credential;
mod credential_sources;
mod deadline;
mod delivery;
pub mod descriptor_budget;
mod first_lines;
mod forwarding;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;
mod host_certificate;
mod host_key;
mod key_files;
mod key_format;
mod keyboard_interactive;
mod keyring;
mod known_as;
mod known_clients;
pub mod known_hosts;
mod login_holds;
mod login_marks;
mod login_record;
mod platform;
mod pooled_session;
mod proxy_command;
mod public_keys;
mod question;
mod recognition;
mod secrets;
mod sent_secrets;
mod server_key;
mod server_texts;
mod session;
mod session_handler;
mod session_state;
mod shared;
mod shortage;
pub mod span;
mod ssh_agent;
mod stream;
mod threads;
mod transport;

pub use collection::{Collection, CollectionOrder, Received};
pub use collector::{CleanResult, Collector, SeenHostKey, SweepError, TrustResult, agents_folder};
pub use host_key::{PinnedBefore, PinnedOthers};
pub use keyring::{KeyTrouble, check as check_key};
pub use session::SessionKeeping;

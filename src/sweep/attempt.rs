//! One attempt of a collection, from connect to decrypt, stage by stage.

use std::sync::{Mutex, PoisonError};

use fleetsweep_agent::{
    SysRng, envelope,
    request::{Bookmark, EventsWanted, Questions, Request},
};
use jiff::Timestamp;
use russh::{Channel, client::Msg};
use uuid::Uuid;

use super::{
    answer,
    bastions::Route,
    collection::Received,
    deadline::{Deadlines, WINDOW},
    delivery::{self, Directory, Finished, Patience, Running, Started, UnusableDirectories, Visit, installed},
    login_record::LoginRecord,
    platform::{Platform, Unix},
    recognition,
    session::Session,
    shared::Shared,
    span,
};
use crate::{
    config::{AgentDelivery, AgentKeeping, AgentPath, Client, InstalledAgent, System},
    fleet::{EventKind, Failure, FailureKind, Stage, SweepId, rule},
};

/// How many further reports of security events one collection takes. They are kept in memory until they are stored.
const FURTHER_REPORTS: usize = 7;

/// Whether the stage `execute` was entered. Stages never go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Executing {
    NotYet,
    Entered,
}

/// What the configuration says about the upload.
#[derive(Clone, Copy)]
struct Upload<'a> {
    keeping: AgentKeeping,
    path: Option<&'a AgentPath>,
}

/// The context of an attempt.
pub(super) struct Attempt<'a> {
    /// The state that all attempts share.
    pub(super) shared: &'a Shared,
    /// The client.
    pub(super) client: &'a Client,
    /// The sweep.
    pub(super) sweep: SweepId,
    /// The id of the collection.
    pub(super) collection: Uuid,
    /// Its number, from 1.
    pub(super) number: u32,
    /// The requested security events, if they are requested from this platform.
    pub(super) events: &'a EventsWanted,
    /// What may be sent to log in, and what was.
    pub(super) logins: &'a LoginRecord,
    /// The stages entered so far.
    pub(super) entered: &'a Mutex<Vec<(Stage, Timestamp)>>,
    /// Its deadlines.
    pub(super) deadlines: Deadlines<'a>,
}

impl Attempt<'_> {
    async fn enter(&self, stage: Stage) {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).push((stage, Timestamp::now()));
        let kind = EventKind::StageEntered { stage, attempt: self.number };
        self.shared.publisher.publish(Some(self.sweep), Some(&self.client.id), kind).await;
    }

    /// Runs the attempt over a route, which is released when the client is logged in.
    ///
    /// # Errors
    /// The failure of the stage that did not succeed.
    pub(super) async fn make(&self, route: Route) -> Result<Received, Failure> {
        let (session, channel) = self.session(&route).await?;
        drop(route);
        self.enter(Stage::Upload).await;
        match self.visit(&session, channel, self.events, Executing::NotYet).await {
            Ok((secret, request, output)) => {
                let received_at = Timestamp::now();
                // Before the decryption, so that its time does not count as `execute`. This includes further reports.
                self.enter(Stage::Decrypt).await;
                let mut received = span::of_stage(Stage::Decrypt)
                    .in_scope(|| answer::open(&output, &request, &secret, received_at, session.round_trip()));
                if let (Ok(received), AgentDelivery::Installed(_)) = (&mut received, &self.client.agent) {
                    received
                        .reading
                        .add_warnings(version_warning(&received.reading.agent_version).into_iter().collect());
                }
                let on = match &mut received {
                    Ok(received) => self.read_on(&session, received).await,
                    Err(_) => Ok(()),
                };
                match on {
                    Ok(()) => self.shared.sessions.put(&self.client.id, session).await,
                    Err(failure) => session.leave(&failure).await,
                }
                received
            }
            Err(failure) => {
                session.leave(&failure).await;
                Err(failure)
            }
        }
    }

    /// A session that is logged in: the kept one if it is alive, otherwise a new one. A kept one comes with the channel
    /// that showed that it is alive.
    async fn session(&self, route: &Route) -> Result<(Session, Option<Channel<Msg>>), Failure> {
        self.enter(Stage::Connect).await;
        if let Some((session, channel)) = self.kept_session().await? {
            self.enter(Stage::Authenticate).await;
            return Ok((session, Some(channel)));
        }
        let mut session = self.shared.connect(self.client, route, &self.deadlines).await?;
        self.enter(Stage::Authenticate).await;
        let entering = self.shared.access.authenticate(&mut session, self.client, &self.deadlines, self.logins).await;
        match entering {
            Ok(()) => Ok((session, None)),
            Err(failure) => {
                session.leave(&failure).await;
                Err(failure)
            }
        }
    }

    /// Uses at most half of the time for connecting to check whether a kept session is alive. If not, this is not a
    /// failure.
    async fn kept_session(&self) -> Result<Option<(Session, Channel<Msg>)>, Failure> {
        let Some(session) = self.shared.sessions.take(&self.client.id) else { return Ok(None) };
        if let Err(failure) = self.shared.access.check_host_key_again(&session, self.client, Stage::Connect) {
            span::of_stage(Stage::Connect)
                .in_scope(|| tracing::info!("the kept session is not used any more: {failure}"));
            session.close().await;
            return Ok(None);
        }
        let patience = self.deadlines.of(Stage::Connect) / 2;
        let opening = async { Ok(tokio::time::timeout(patience, session.channel(Stage::Connect)).await) };
        match self.deadlines.run(Stage::Connect, opening).await? {
            Ok(Ok(channel)) => Ok(Some((session, channel))),
            Ok(Err(_)) | Err(_) => {
                span::of_stage(Stage::Connect)
                    .in_scope(|| tracing::debug!("the kept session had died: connecting anew"));
                Ok(None)
            }
        }
    }

    /// Executes the agent, and uploads it before if it is not installed there. Returns the secret key for the answer, and
    /// the answer.
    async fn visit(
        &self,
        session: &Session,
        channel: Option<Channel<Msg>>,
        events: &EventsWanted,
        executing: Executing,
    ) -> Result<(p256::SecretKey, Request, Vec<u8>), Failure> {
        match &self.client.agent {
            AgentDelivery::Uploaded { keeping, path } => {
                let upload = Upload { keeping: *keeping, path: path.as_ref() };
                self.visit_uploading(session, channel, upload, events, executing).await
            }
            AgentDelivery::Installed(agent) => self.visit_installed(session, channel, agent, events, executing).await,
        }
    }

    async fn visit_installed(
        &self,
        session: &Session,
        channel: Option<Channel<Msg>>,
        agent: &InstalledAgent,
        events: &EventsWanted,
        executing: Executing,
    ) -> Result<(p256::SecretKey, Request, Vec<u8>), Failure> {
        let (secret, request) = self.request(agent.system(), events)?;
        let argument = request.to_argument();
        let starting = installed::start(session, channel, agent, &argument);
        let running = self.deadlines.run(Stage::Upload, starting).await?;
        if executing == Executing::NotYet {
            self.enter(Stage::Execute).await;
        }
        let output = self.deadlines.run(Stage::Execute, running.finish(session)).await?;
        Ok((secret, request, output))
    }

    async fn visit_uploading(
        &self,
        session: &Session,
        mut channel: Option<Channel<Msg>>,
        upload: Upload<'_>,
        events: &EventsWanted,
        mut executing: Executing,
    ) -> Result<(p256::SecretKey, Request, Vec<u8>), Failure> {
        let (client, deadlines) = (&self.client.id, &self.deadlines);
        let known = &self.shared.known_clients;
        let mut platform = recognition::recognise(known, session, client, Stage::Upload, deadlines).await?;
        let mut unusable = self.unusable(upload);
        // Each round skips another directory, knows the platform better, or replaces an agent that was removed.
        let (mut last, mut has_vanished): (Option<Failure>, bool) = (None, false);
        for _ in 0..=UnusableDirectories::MOST + 2 {
            let (secret, request) = self.request(platform.system(), events)?;
            let started = self.start(session, channel.take(), &platform, upload, unusable, &request).await;
            let running = match started {
                Ok(Started::Running(running)) => running,
                Ok(Started::OtherPlatform(uname)) => {
                    platform = self.other_platform(&platform, &uname)?;
                    known.meet(client, platform.clone());
                    continue;
                }
                Ok(Started::Unusable(directory, failure)) => {
                    unusable = unusable.and(directory);
                    last = Some(failure);
                    continue;
                }
                // The first failure says more than that no other directory is left.
                Err(failure) if failure.kind == FailureKind::NoDirectory => {
                    known.forget(client);
                    return Err(last.unwrap_or(failure));
                }
                Err(failure) => {
                    known.forget(client);
                    match recognition::reconsider(known, session, client, &platform, &failure, deadlines).await {
                        Some(other) => platform = other,
                        None => return Err(failure),
                    }
                    continue;
                }
            };
            if executing == Executing::NotYet {
                executing = Executing::Entered;
                self.enter(Stage::Execute).await;
            }
            match deadlines.run(Stage::Execute, Running::finish(running, session)).await? {
                Finished::Answered(output) => return Ok((secret, request, output)),
                Finished::Unusable(directory, failure) => {
                    unusable = unusable.and(directory);
                    self.leave_out(upload, directory);
                    last = Some(failure);
                }
                // A virus scanner would take every further one as well.
                Finished::Vanished(failure) if has_vanished => return Err(failure),
                Finished::Vanished(failure) => (last, has_vanished) = (Some(failure), true),
            }
        }
        Err(last.unwrap_or_else(|| {
            Failure::new(Stage::Upload, FailureKind::PlatformUnknown).because("the client changes its platform")
        }))
    }

    /// The directories of the client that need not be tried. The one that the configuration names is always tried.
    fn unusable(&self, upload: Upload<'_>) -> UnusableDirectories {
        match upload.path {
            None => self.shared.known_clients.unusable(&self.client.id),
            Some(_) => UnusableDirectories::default(),
        }
    }

    /// Remembers that programs cannot be executed in a directory, if it is one of the usual ones.
    fn leave_out(&self, upload: Upload<'_>, directory: Directory) {
        if upload.path.is_none() {
            self.shared.known_clients.leave_out(&self.client.id, directory);
        }
    }

    /// Requests further reports if a security log has more events than one report holds, as long as there is time and
    /// memory. The rest is left for the next collection.
    ///
    /// # Errors
    /// The reason why the session cannot be used any more. Events that were read before are kept.
    async fn read_on(&self, session: &Session, received: &mut Received) -> Result<(), Failure> {
        let Some(log) = &mut received.events else { return Ok(()) };
        let Ok(_permit) = self.shared.reading_on.try_acquire() else { return Ok(()) };
        for _ in 0..FURTHER_REPORTS {
            let bookmark = log.bookmark.clone().filter(|_| log.truncated).map(Bookmark::new);
            let Some(Ok(bookmark)) = bookmark.filter(|_| self.deadlines.has_time_to_spare()) else { break };
            let events = EventsWanted::After(bookmark);
            let (secret, request, output) = self.visit(session, None, &events, Executing::Entered).await?;
            let further = match answer::open(&output, &request, &secret, received.received_at, session.round_trip()) {
                Ok(further) => further,
                Err(failure) => {
                    tracing::debug!(%failure, "a further report of security events is not used");
                    break;
                }
            };
            let Some(further_log) = further.events.filter(|log| log.bookmark.is_some() && !log.events.is_empty())
            else {
                break;
            };
            answer::add_report(log, further_log);
            received.reading.add_warnings(further.reading.warnings);
        }
        Ok(())
    }

    async fn start(
        &self,
        session: &Session,
        channel: Option<Channel<Msg>>,
        platform: &Platform,
        upload: Upload<'_>,
        unusable: UnusableDirectories,
        request: &Request,
    ) -> Result<Started, Failure> {
        let name = platform.name();
        let Some(agent) = self.shared.agents.lookup(&name) else { return Err(no_agent(&name)) };
        let argument = request.to_argument();
        let visit = Visit {
            username: &self.client.username,
            keeping: upload.keeping,
            path: upload.path,
            platform,
            agent,
            unusable,
            patience: Patience::within(self.deadlines.of(Stage::Upload)),
            request: &argument,
        };
        self.deadlines.run(Stage::Upload, delivery::start(session, channel, &visit)).await
    }

    /// The platform that a client claims, if it is a new one and there is an agent for it.
    fn other_platform(&self, assumed: &Platform, uname: &str) -> Result<Platform, Failure> {
        match Unix::parse(uname).map(Platform::Unix) {
            Some(platform) if platform != *assumed && self.shared.agents.lookup(&platform.name()).is_some() => {
                Ok(platform)
            }
            Some(_) | None => Err(no_agent(uname)),
        }
    }

    /// What the client's rules and further logs need.
    fn questions(&self) -> Questions {
        // The configuration was checked.
        rule::questions(&self.client.rules, &self.client.logs).unwrap_or_default()
    }

    /// Each execution has its own request, and an answer can only be opened for its request.
    fn request(&self, system: System, events: &EventsWanted) -> Result<(p256::SecretKey, Request), Failure> {
        let secret = envelope::fresh_secret(&mut SysRng)
            .map_err(|error| Failure::new(Stage::Upload, FailureKind::Defect).because(error))?;
        let request = Request {
            collection: self.collection,
            server_key: secret.public_key(),
            window: WINDOW.clamp(*Request::WINDOW.start(), *Request::WINDOW.end()),
            deadline: self.deadlines.left().clamp(*Request::DEADLINE.start(), *Request::DEADLINE.end()),
            events: if system.is_asked_for_events(self.client.events) { events.clone() } else { EventsWanted::No },
            questions: self.questions(),
        };
        Ok((secret, request))
    }
}

fn no_agent(platform: &str) -> Failure {
    let failure =
        Failure::new(Stage::Upload, FailureKind::PlatformUnknown).because(format!("the client is `{platform}`"));
    match platform.split_whitespace().next() {
        Some("Linux" | "Windows") => failure,
        // None can be built.
        _ => failure.because("agents exist for Linux and 64-bit Windows alone"),
    }
}

/// A warning if an installed agent is of another version than this program.
fn version_warning(agent: &str) -> Option<String> {
    const PROGRAM: &str = env!("CARGO_PKG_VERSION");
    (agent != PROGRAM).then(|| {
        format!("agent: version {agent} is installed, and this is fleetsweep {PROGRAM}: values may be missing")
    })
}

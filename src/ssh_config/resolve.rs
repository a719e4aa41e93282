//! Which lines apply to a host, and what follows from them: a function of the files, the host and the environment, as in
//! `ssh_config(5)`. The first value wins, except that keys and certificates add up.

use std::path::PathBuf;

use super::{
    environment::{Answer, Environment, HostQuery},
    expand::{self, Allowed, Tokens},
    hop::Hop,
    host_settings::{FileName, HostSettings, IdentityAgent, Proxy},
    load::{Content, Files, Item},
    origin::{Line, Origin, Traced},
    pattern,
    remark::{Remark, RemarkKind},
    setting::{self, Criterion, Question, Setting},
};

/// The default port.
const SSH_PORT: u16 = 22;
/// The most keys, and the most certificates.
const MOST_KEYS: usize = 100;

/// What the files say about a host.
#[must_use]
pub fn resolve(files: &Files, asked: &HostQuery, environment: &Environment<'_>) -> HostSettings {
    let mut resolver = Resolver {
        asked,
        environment,
        host: asked.host.clone(),
        is_second_pass: false,
        wants_second_pass: false,
        found: Found {
            port: asked.port.map(Traced::given),
            user: asked.user.clone().map(Traced::given),
            ..Found::default()
        },
        remarks: Vec::new(),
    };
    resolver.read(files);
    resolver.settle_host();
    if resolver.wants_second_pass {
        resolver.is_second_pass = true;
        resolver.read(files);
    }
    resolver.settings()
}

/// The values as they are written.
#[derive(Default)]
struct Found {
    host_name: Option<Traced<String>>,
    port: Option<Traced<u16>>,
    user: Option<Traced<String>>,
    identity_files: Vec<Traced<String>>,
    certificate_files: Vec<Traced<String>>,
    identities_only: Option<Traced<bool>>,
    identity_agent: Option<Traced<String>>,
    proxy: Option<Traced<Written>>,
    user_known_hosts: Option<Traced<Vec<String>>>,
    global_known_hosts: Option<Traced<Vec<String>>>,
    host_key_alias: Option<Traced<String>>,
}

/// A proxy whose tokens are not expanded.
enum Written {
    NoJump,
    NoCommand,
    Jump(Vec<Hop>),
    Command(String),
}

struct Resolver<'a> {
    asked: &'a HostQuery,
    environment: &'a Environment<'a>,
    /// What `Host` compares: the name that was asked for, and the second time the one that was found.
    host: String,
    /// Whether the files are read for the second time.
    is_second_pass: bool,
    wants_second_pass: bool,
    found: Found,
    remarks: Vec<Remark>,
}

impl Resolver<'_> {
    fn read(&mut self, files: &Files) {
        for file in &files.roots {
            self.items(file, true, true);
        }
    }

    /// The lines of a file. A block within it ends with it. If the `Include` does not apply, no block within does.
    fn items(&mut self, items: &[Item], may_apply: bool, applies: bool) {
        let mut applies = applies;
        for Item { line, content } in items {
            match content {
                Content::Host(patterns) => {
                    applies = may_apply && pattern::matches_any(&self.host, patterns.iter().map(String::as_str));
                }
                Content::Match(criteria) => {
                    // The files are read again even for a `final` that cannot apply.
                    self.wants_second_pass |= criteria.iter().any(Criterion::requests_second_pass);
                    applies = may_apply && self.matches(criteria, line);
                }
                Content::Never => applies = false,
                Content::Include(files) => files.iter().for_each(|file| self.items(file, applies, applies)),
                Content::Set(setting) if applies => self.set(setting, line),
                Content::NotUsed(keyword) if applies => self.remark(line, RemarkKind::NotUsed(keyword)),
                Content::Set(_) | Content::NotUsed(_) => {}
            }
        }
    }

    fn remark(&mut self, line: &Line, about: RemarkKind) {
        let remark = Remark { line: line.clone(), about };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Whether all criteria hold. No command is run once one does not.
    fn matches(&mut self, criteria: &[Criterion], line: &Line) -> bool {
        let mut result = true;
        for Criterion { negated, what } in criteria {
            let holds = match what {
                Question::All => Some(true),
                Question::SecondPass { .. } => Some(self.is_second_pass),
                Question::Host(list) => {
                    Some(pattern::matches_list(&self.current_host().to_lowercase(), &list.to_lowercase()))
                }
                Question::OriginalHost(list) => {
                    Some(pattern::matches_list(&self.asked.host.to_lowercase(), &list.to_lowercase()))
                }
                Question::User(list) => Some(pattern::matches_list(self.user(), list)),
                Question::LocalUser(list) => Some(pattern::matches_list(&self.environment.user, list)),
                Question::Exec(command) if result => self.exec(command, line),
                Question::Exec(_) => None,
                Question::Unsupported(name) => {
                    self.remark(line, RemarkKind::NotUsed(name));
                    None
                }
            };
            // What could not be asked holds neither way.
            result &= holds.is_some_and(|holds| holds != *negated);
        }
        result
    }

    /// Asks a command; `None` if it cannot be asked.
    fn exec(&mut self, command: &str, line: &Line) -> Option<bool> {
        let tokens = self.tokens();
        if !self.is_safe(command, &tokens) {
            self.remark(line, RemarkKind::Unsafe);
            return None;
        }
        match tokens.expand(command, Allowed::All, self.environment).map(|command| (self.environment.exec)(&command)) {
            Ok(Answer::Yes) => Some(true),
            Ok(Answer::No) => Some(false),
            Ok(Answer::NotAsked) => {
                self.remark(line, RemarkKind::NotRun);
                None
            }
            Err(about) => {
                self.remark(line, about);
                None
            }
        }
    }

    /// Whether the names that a command may contain are harmless there.
    fn is_safe(&self, command: &str, tokens: &Tokens) -> bool {
        let names = [('h', &tokens.host), ('n', &tokens.original), ('r', &tokens.user), ('k', &tokens.alias)];
        names
            .into_iter()
            .all(|(token, name)| expand::is_safe_in_command(name) || !command.contains(&format!("%{token}")))
    }

    /// The name that is connected to, as far as it is known.
    fn current_host(&self) -> String {
        if self.is_second_pass {
            return self.host.clone();
        }
        self.host_name().unwrap_or_else(|| self.asked.host.clone())
    }

    /// `HostName`, if there is one and it can be expanded.
    fn host_name(&self) -> Option<String> {
        let written = self.found.host_name.as_ref()?;
        let tokens = Tokens { host: self.asked.host.clone(), ..self.tokens_for(String::new()) };
        tokens.expand(&written.value, Allowed::Host, self.environment).ok()
    }

    /// Decides what is connected to. Later lines cannot change it.
    fn settle_host(&mut self) {
        let host = self.host_name();
        if host.is_none()
            && let Some(Traced { origin: Origin::Line(line), .. }) = self.found.host_name.take()
        {
            self.remark(&line, RemarkKind::UnknownToken);
        }
        self.host = host.unwrap_or_else(|| self.asked.host.clone()).to_lowercase();
    }

    fn user(&self) -> &str {
        self.found.user.as_ref().map_or(&self.environment.user, |user| &user.value)
    }

    fn tokens(&self) -> Tokens {
        self.tokens_for(self.current_host())
    }

    fn tokens_for(&self, host: String) -> Tokens {
        let original = self.asked.host.clone();
        let jump = match &self.found.proxy {
            Some(Traced { value: Written::Jump(hops), .. }) => {
                hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
            Some(Traced { value: Written::NoJump | Written::NoCommand | Written::Command(_), .. }) | None => {
                String::new()
            }
        };
        Tokens {
            host,
            port: self.found.port.as_ref().map_or(SSH_PORT, |port| port.value),
            user: self.user().to_owned(),
            alias: self.found.host_key_alias.as_ref().map_or_else(|| original.clone(), |alias| alias.value.clone()),
            jump,
            original,
        }
    }

    fn set(&mut self, setting: &Setting, line: &Line) {
        fn first<T>(place: &mut Option<Traced<T>>, value: T, line: &Line) {
            place.get_or_insert_with(|| Traced::at(value, line));
        }
        fn also(list: &mut Vec<Traced<String>>, value: &String, line: &Line) {
            if list.len() < MOST_KEYS && list.iter().all(|known| known.value != *value) {
                list.push(Traced::at(value.clone(), line));
            }
        }
        // Jump hosts and a command exclude each other, but `ProxyJump none` leaves room for a command.
        fn command(place: &mut Option<Traced<Written>>, value: Written, line: &Line) {
            if matches!(place, None | Some(Traced { value: Written::NoJump, .. })) {
                *place = Some(Traced::at(value, line));
            }
        }
        let found = &mut self.found;
        match setting {
            // The second time it is settled.
            Setting::HostName(_) if self.is_second_pass => {}
            Setting::HostName(name) => first(&mut found.host_name, name.clone(), line),
            Setting::Port(port) => first(&mut found.port, *port, line),
            Setting::User(user) => first(&mut found.user, user.clone(), line),
            Setting::IdentityFile(file) => also(&mut found.identity_files, file, line),
            Setting::CertificateFile(file) => also(&mut found.certificate_files, file, line),
            Setting::IdentitiesOnly(only) => first(&mut found.identities_only, *only, line),
            Setting::IdentityAgent(agent) => first(&mut found.identity_agent, agent.clone(), line),
            Setting::NoProxyJump => first(&mut found.proxy, Written::NoJump, line),
            Setting::NoProxyCommand => command(&mut found.proxy, Written::NoCommand, line),
            Setting::ProxyJump(hops) => first(&mut found.proxy, Written::Jump(hops.clone()), line),
            Setting::ProxyCommand(text) => command(&mut found.proxy, Written::Command(text.clone()), line),
            Setting::UserKnownHostsFile(files) => first(&mut found.user_known_hosts, files.clone(), line),
            Setting::GlobalKnownHostsFile(files) => first(&mut found.global_known_hosts, files.clone(), line),
            Setting::HostKeyAlias(alias) => first(&mut found.host_key_alias, alias.clone(), line),
            // That is dealt with where the files are read.
            Setting::IgnoreUnknown(_) => {}
        }
    }

    /// Expands everything.
    fn settings(mut self) -> HostSettings {
        let tokens = self.tokens_for(self.host.clone());
        let found = std::mem::take(&mut self.found);
        let identity_files = (!found.identity_files.is_empty()).then(|| self.files(found.identity_files, &tokens));
        let certificate_files = self.files(found.certificate_files, &tokens);
        let environment = self.environment;
        let identity_agent = self.expanded(found.identity_agent, |text| {
            if setting::is_none(&text) {
                Ok(IdentityAgent::None)
            } else if text == "SSH_AUTH_SOCK" {
                Ok(IdentityAgent::Variable(text))
            } else if let Some(name) = text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
                Ok(IdentityAgent::Variable(name.to_owned()))
            } else {
                tokens.path(&text, environment).map(IdentityAgent::Socket)
            }
        });
        let user_known_hosts = self.expanded(found.user_known_hosts, |files| {
            files.iter().map(|file| tokens.path(file, environment)).collect()
        });
        let global_known_hosts =
            self.expanded(found.global_known_hosts, |files| Ok(files.into_iter().map(PathBuf::from).collect()));
        let proxy = self.proxy(found.proxy, &tokens);
        HostSettings {
            host_name: self.host,
            host_name_from: found.host_name.map(|name| name.with(())),
            port: found.port,
            user: found.user,
            identity_files,
            certificate_files,
            identities_only: found.identities_only,
            identity_agent,
            proxy,
            user_known_hosts,
            global_known_hosts,
            host_key_alias: found.host_key_alias,
            remarks: self.remarks,
        }
    }

    /// A value that is expanded; `None` with a remark if it cannot be.
    fn expanded<T, U>(
        &mut self,
        found: Option<Traced<T>>,
        expand: impl FnOnce(T) -> Result<U, RemarkKind>,
    ) -> Option<Traced<U>> {
        let Traced { value, origin } = found?;
        match expand(value) {
            Ok(value) => Some(Traced { value, origin }),
            Err(about) => {
                if let Origin::Line(line) = origin {
                    self.remark(&line, about);
                }
                None
            }
        }
    }

    /// The files of a list without those that say `none`.
    fn files(&mut self, found: Vec<Traced<String>>, tokens: &Tokens) -> Vec<Traced<FileName>> {
        let environment = self.environment;
        let named = found.into_iter().filter(|file| !setting::is_none(&file.value));
        named
            .filter_map(|file| {
                self.expanded(Some(file), |written| {
                    tokens.path(&written, environment).map(|path| FileName { written, path })
                })
            })
            .collect()
    }

    fn proxy(&mut self, found: Option<Traced<Written>>, tokens: &Tokens) -> Option<Traced<Proxy>> {
        let environment = self.environment;
        let Traced { value, origin } = found?;
        match value {
            Written::NoJump | Written::NoCommand => Some(Traced { value: Proxy::None, origin }),
            Written::Jump(hops) => self.expanded(Some(Traced { value: hops, origin }), |hops| {
                let expand = |text: &str| tokens.expand(text, Allowed::Proxy, environment);
                let hops = hops.into_iter().map(|Hop { user, host, port }| {
                    Ok(Hop { user: user.as_deref().map(expand).transpose()?, host: expand(&host)?, port })
                });
                hops.collect::<Result<_, _>>().map(Proxy::Jump)
            }),
            Written::Command(command) => {
                // Without it the connection would go another way than it is meant to.
                let command = if self.is_safe(&command, tokens) {
                    tokens.expand(&command, Allowed::Proxy, environment)
                } else {
                    Err(RemarkKind::Unsafe)
                };
                let command = match (command, &origin) {
                    (Ok(command), _) => Some(command),
                    (Err(about), Origin::Line(line)) => {
                        self.remark(line, about);
                        None
                    }
                    (Err(_), Origin::Given) => None,
                };
                Some(Traced { value: Proxy::Command(command), origin })
            }
        }
    }
}

#[cfg(test)]
mod tests;

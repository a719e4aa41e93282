//! Expands `~`, tokens such as `%h`, and `${NAME}` in values. Not which settings allow which; the callers say that.

use std::path::PathBuf;

use sha1::{Digest as _, Sha1};

use super::{environment::Environment, remark::RemarkKind};

/// What the tokens stand for.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    /// `%h`: the name that is connected to.
    pub(super) host: String,
    /// `%n`: the name as it was asked for.
    pub(super) original: String,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`: the account there.
    pub(super) user: String,
    /// `%k`: the alias of the host key, or the name as it was asked for.
    pub(super) alias: String,
    /// `%j`: the jump hosts as written, or nothing.
    pub(super) jump: String,
}

/// Which tokens a setting allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// `%h` alone: `HostName`.
    Host,
    /// `%h`, `%n`, `%p`, `%r`: `ProxyCommand` and `ProxyJump`.
    Proxy,
    /// All: files, and the commands of `Match exec`.
    All,
}

impl Tokens {
    /// The text with its tokens expanded.
    pub(super) fn expand(
        &self,
        text: &str,
        allowed: Allowed,
        environment: &Environment<'_>,
    ) -> Result<String, RemarkKind> {
        self.expanded(text, allowed, environment, false)
    }

    /// The path of a file, with `~`, tokens and variables expanded.
    pub(super) fn path(&self, text: &str, environment: &Environment<'_>) -> Result<PathBuf, RemarkKind> {
        let text = tilde(text, environment)?;
        self.expanded(&text, Allowed::All, environment, true).map(PathBuf::from)
    }

    fn expanded(
        &self,
        text: &str,
        allowed: Allowed,
        environment: &Environment<'_>,
        variables: bool,
    ) -> Result<String, RemarkKind> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = from.strip_prefix("${").filter(|_| variables) {
                let (name, after) = after.split_once('}').ok_or(RemarkKind::NoVariable)?;
                out.push_str(&(environment.variable)(name).ok_or(RemarkKind::NoVariable)?);
                rest = after;
                continue;
            }
            let mut letters = from.chars();
            if letters.next() == Some('%') {
                let token = letters.next().ok_or(RemarkKind::UnknownToken)?;
                out.push_str(&self.token(token, allowed, environment)?);
            } else {
                out.push('$');
            }
            rest = letters.as_str();
        }
        out.push_str(rest);
        Ok(out)
    }

    fn token(&self, token: char, allowed: Allowed, environment: &Environment<'_>) -> Result<String, RemarkKind> {
        let is_proxy = allowed != Allowed::Host;
        let is_any = allowed == Allowed::All;
        Ok(match token {
            '%' => "%".to_owned(),
            'h' => self.host.clone(),
            'n' if is_proxy => self.original.clone(),
            'p' if is_proxy => self.port.to_string(),
            'r' if is_proxy => self.user.clone(),
            'u' if is_any => environment.user.clone(),
            'd' if is_any => environment.home.as_ref().ok_or(RemarkKind::NoHome)?.display().to_string(),
            'i' if is_any => environment.uid.to_string(),
            'l' if is_any => environment.machine.clone(),
            'L' if is_any => environment.machine.split('.').next().unwrap_or_default().to_owned(),
            'k' if is_any => self.alias.clone(),
            'j' if is_any => self.jump.clone(),
            'C' if is_any => {
                let Self { host, port, user, jump, .. } = self;
                let hash = Sha1::digest(format!("{}{host}{port}{user}{jump}", environment.machine));
                hash.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ => return Err(RemarkKind::UnknownToken),
        })
    }
}

/// The path with the home directory in place of `~`. Those of other accounts are not looked up.
pub(super) fn tilde(text: &str, environment: &Environment<'_>) -> Result<String, RemarkKind> {
    let Some(rest) = text.strip_prefix('~') else { return Ok(text.to_owned()) };
    let (account, rest) = rest.split_once('/').map_or((rest, None), |(account, rest)| (account, Some(rest)));
    if !account.is_empty() && account != environment.user {
        return Err(RemarkKind::NoHome);
    }
    let home = environment.home.as_ref().ok_or(RemarkKind::NoHome)?.display();
    Ok(rest.map_or_else(|| home.to_string(), |rest| format!("{home}/{rest}")))
}

/// Whether a name may stand in a command: no shell interprets it, and no program takes it for an option.
pub(super) fn is_safe_in_command(name: &str) -> bool {
    let harmful = |letter: char| letter.is_whitespace() || letter.is_control() || "'`\"$\\;&<>|(){}".contains(letter);
    !name.starts_with('-') && !name.contains(harmful)
}

#[cfg(test)]
mod tests {
    use super::{super::environment::Answer, *};

    #[test]
    fn tokens_variables_and_the_home_directory_are_expanded() {
        let variable = |name: &str| (name == "V").then(|| "%h".to_owned());
        let environment = Environment {
            home: Some("/home/me".into()),
            user: "me".to_owned(),
            uid: 1000,
            machine: "desk.example.com".to_owned(),
            variable: &variable,
            exec: &|_| Answer::No,
        };
        let tokens = Tokens {
            host: "real".to_owned(),
            original: "alias".to_owned(),
            port: 2222,
            user: "ops".to_owned(),
            alias: "key".to_owned(),
            jump: "b".to_owned(),
        };
        let path = |text: &str, expected: Result<&str, RemarkKind>| {
            assert_eq!(tokens.path(text, &environment), expected.map(PathBuf::from), "{text}");
        };
        path("~/.ssh/%h_%n_%r_%p", Ok("/home/me/.ssh/real_alias_ops_2222"));
        path("~", Ok("/home/me"));
        path("~me/x", Ok("/home/me/x"));
        path("~other/x", Err(RemarkKind::NoHome));
        path("%d/%u/%i/%l/%L/%k/%j/%%", Ok("/home/me/me/1000/desk.example.com/desk/key/b/%"));
        path("a${V}b$V", Ok("a%hb$V"));
        path("${W}", Err(RemarkKind::NoVariable));
        path("${V", Err(RemarkKind::NoVariable));
        path("%x", Err(RemarkKind::UnknownToken));
        path("%", Err(RemarkKind::UnknownToken));
        // The SHA-1 of desk.example.comreal2222opsb.
        path("%C", Ok("ed97a94995159f9ce7d0a2feb7f41a9b7354a760"));
        let text = |text: &str, allowed, expected: Result<&str, RemarkKind>| {
            assert_eq!(tokens.expand(text, allowed, &environment), expected.map(str::to_owned), "{text}");
        };
        text("x-%h%%", Allowed::Host, Ok("x-real%"));
        text("%n", Allowed::Host, Err(RemarkKind::UnknownToken));
        text("nc %h %p %r %n ${V}", Allowed::Proxy, Ok("nc real 2222 ops alias ${V}"));
        text("%u", Allowed::Proxy, Err(RemarkKind::UnknownToken));
    }
}

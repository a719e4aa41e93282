//! The keywords of `ssh_config` as one table: which are used, which have no effect here although someone may rely on
//! them, and which concern only interactive sessions. Not how their values are read.

/// A keyword that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Host,
    Match,
    Include,
    IgnoreUnknown,
    HostName,
    Port,
    User,
    IdentityFile,
    IdentitiesOnly,
    IdentityAgent,
    CertificateFile,
    ProxyJump,
    ProxyCommand,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    HostKeyAlias,
}

/// What happens to a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is used.
    Used(Keyword),
    /// It has no effect here, which matters unless its value is one of these.
    NotUsed { unless: &'static [&'static str] },
    /// It has no effect here, and nothing depends on it: it concerns interactive sessions, waiting or what is shown.
    Harmless,
}

const fn used(name: &'static str, keyword: Keyword) -> (&'static str, Standing) {
    (name, Standing::Used(keyword))
}

const fn not_used(name: &'static str) -> (&'static str, Standing) {
    (name, Standing::NotUsed { unless: &[] })
}

const fn not_used_unless(name: &'static str, unless: &'static [&'static str]) -> (&'static str, Standing) {
    (name, Standing::NotUsed { unless })
}

const fn harmless(name: &'static str) -> (&'static str, Standing) {
    (name, Standing::Harmless)
}

const OFF: &[&str] = &["no", "false"];
const ON: &[&str] = &["yes", "true"];
const NONE: &[&str] = &["none"];

/// Every keyword of OpenSSH 10, as people write it.
const TABLE: [(&str, Standing); 122] = [
    used("Host", Keyword::Host),
    used("Match", Keyword::Match),
    used("Include", Keyword::Include),
    used("IgnoreUnknown", Keyword::IgnoreUnknown),
    used("HostName", Keyword::HostName),
    used("Port", Keyword::Port),
    used("User", Keyword::User),
    used("IdentityFile", Keyword::IdentityFile),
    used("IdentitiesOnly", Keyword::IdentitiesOnly),
    used("IdentityAgent", Keyword::IdentityAgent),
    used("CertificateFile", Keyword::CertificateFile),
    used("ProxyJump", Keyword::ProxyJump),
    used("ProxyCommand", Keyword::ProxyCommand),
    used("UserKnownHostsFile", Keyword::UserKnownHostsFile),
    used("GlobalKnownHostsFile", Keyword::GlobalKnownHostsFile),
    used("HostKeyAlias", Keyword::HostKeyAlias),
    // How one logs in.
    not_used_unless("GSSAPIAuthentication", OFF),
    not_used_unless("GSSAPIDelegateCredentials", OFF),
    not_used_unless("GSSAPIKeyExchange", OFF),
    not_used("GSSAPIKexAlgorithms"),
    not_used("GSSAPIClientIdentity"),
    not_used("GSSAPIServerIdentity"),
    not_used_unless("GSSAPIRenewalForcesRekey", OFF),
    not_used_unless("GSSAPITrustDns", OFF),
    not_used_unless("HostbasedAuthentication", OFF),
    not_used("HostbasedAcceptedAlgorithms"),
    not_used("HostbasedKeyTypes"),
    not_used_unless("EnableSSHKeysign", OFF),
    not_used_unless("PKCS11Provider", NONE),
    not_used("SmartcardDevice"),
    not_used("SecurityKeyProvider"),
    not_used("PreferredAuthentications"),
    not_used_unless("PubkeyAuthentication", ON),
    not_used_unless("PasswordAuthentication", ON),
    not_used_unless("KbdInteractiveAuthentication", ON),
    not_used_unless("ChallengeResponseAuthentication", ON),
    not_used("KbdInteractiveDevices"),
    // Algorithms.
    not_used("Ciphers"),
    not_used("MACs"),
    not_used("KexAlgorithms"),
    not_used("HostKeyAlgorithms"),
    not_used("PubkeyAcceptedAlgorithms"),
    not_used("PubkeyAcceptedKeyTypes"),
    not_used("CASignatureAlgorithms"),
    not_used("RequiredRSASize"),
    not_used_unless("Compression", OFF),
    // Host keys.
    not_used("StrictHostKeyChecking"),
    not_used("KnownHostsCommand"),
    not_used_unless("RevokedHostKeys", NONE),
    not_used_unless("VerifyHostKeyDNS", OFF),
    not_used_unless("NoHostAuthenticationForLocalhost", OFF),
    // The way there.
    not_used_unless("AddressFamily", &["any"]),
    not_used("BindAddress"),
    not_used("BindInterface"),
    not_used_unless("CanonicalizeHostname", &["no", "false", "none"]),
    not_used("CanonicalDomains"),
    not_used_unless("CanonicalizePermittedCNAMEs", NONE),
    not_used_unless("ProxyUseFdpass", OFF),
    not_used("RefuseConnection"),
    not_used("Tag"),
    // What happens beside the session.
    not_used("LocalForward"),
    not_used("RemoteForward"),
    not_used("DynamicForward"),
    not_used_unless("Tunnel", OFF),
    not_used("SetEnv"),
    not_used_unless("LocalCommand", NONE),
    not_used_unless("RemoteCommand", NONE),
    harmless("AddKeysToAgent"),
    harmless("BatchMode"),
    harmless("CanonicalizeFallbackLocal"),
    harmless("CanonicalizeMaxDots"),
    harmless("ChannelTimeout"),
    harmless("CheckHostIP"),
    harmless("ClearAllForwardings"),
    harmless("CompressionLevel"),
    harmless("ConnectionAttempts"),
    harmless("ConnectTimeout"),
    harmless("ControlMaster"),
    harmless("ControlPath"),
    harmless("ControlPersist"),
    harmless("EnableEscapeCommandline"),
    harmless("EscapeChar"),
    harmless("ExitOnForwardFailure"),
    harmless("FingerprintHash"),
    harmless("ForkAfterAuthentication"),
    harmless("ForwardAgent"),
    harmless("ForwardX11"),
    harmless("ForwardX11Timeout"),
    harmless("ForwardX11Trusted"),
    harmless("GatewayPorts"),
    harmless("HashKnownHosts"),
    harmless("IPQoS"),
    harmless("KeepAlive"),
    harmless("LogLevel"),
    harmless("LogVerbose"),
    harmless("NumberOfPasswordPrompts"),
    harmless("ObscureKeystrokeTiming"),
    harmless("PermitLocalCommand"),
    harmless("PermitRemoteOpen"),
    harmless("Protocol"),
    harmless("RekeyLimit"),
    harmless("RequestTTY"),
    harmless("SendEnv"),
    harmless("ServerAliveCountMax"),
    harmless("ServerAliveInterval"),
    harmless("SessionType"),
    harmless("StdinNull"),
    harmless("StreamLocalBindMask"),
    harmless("StreamLocalBindUnlink"),
    harmless("SyslogFacility"),
    harmless("TCPKeepAlive"),
    harmless("TunnelDevice"),
    harmless("UpdateHostKeys"),
    harmless("UsePrivilegedPort"),
    harmless("UseRoaming"),
    harmless("VersionAddendum"),
    harmless("VisualHostKey"),
    harmless("WarnWeakCrypto"),
    harmless("XAuthLocation"),
    // Of Debian and of macOS.
    harmless("SetupTimeOut"),
    harmless("ProtocolKeepAlives"),
    harmless("UseKeychain"),
];

/// The proper spelling and the standing of a keyword, whatever its case; `None` for one that no OpenSSH knows.
pub(super) fn find(written: &str) -> Option<(&'static str, Standing)> {
    // An older name.
    let written = if written.eq_ignore_ascii_case("IdentityFile2") { "IdentityFile" } else { written };
    TABLE.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_there_once_and_found_in_any_case() {
        for (index, (name, standing)) in TABLE.iter().enumerate() {
            assert_eq!(find(&name.to_uppercase()), Some((*name, *standing)), "{name}, row {index}");
        }
        assert_eq!(find("Frobnicate"), None);
    }
}

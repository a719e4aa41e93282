//! Secrets from every source, and what is shown of the sources.

use std::{fs, io::Write as _};

use base64ct::{Base64, Encoding as _};
use jiff::Timestamp;

use super::*;
use crate::age::{self, Identity};

async fn check(text: &str, expected: Result<&str, &str>) {
    let source = SecretSource::parse(text, SecretContext::default()).unwrap();
    let fetched = source.fetch().await;
    let shown = fetched.as_ref().map(|secret| secret.expose_secret().to_owned()).map_err(ToString::to_string);
    match (shown, expected) {
        (Ok(secret), Ok(expected)) => assert_eq!(secret, expected, "{text}"),
        (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
        (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
    }
}

#[tokio::test]
async fn a_secret_comes_from_where_the_configuration_says() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from a file\r\nsecond line\n").unwrap();
    let path = file.path().display().to_string();
    let home = std::env::var("PATH").unwrap();
    check("literal", Ok("literal")).await;
    check("env:PATH", Ok(&home)).await;
    check(&format!("file:{path}"), Ok("from a file")).await;
    check("cmd:echo one; echo two", Ok("one")).await;
    check("cmd:printf %s bare", Ok("bare")).await;
    check("cmd:cat; echo closed", Ok("closed")).await;
    check("cmd:echo first; yes | head -c 300000", Ok("first")).await;
    check("cmd:printf '%s' \"a  b\"'$c \\d'", Ok("a  b$c \\d")).await;
    check("cmd:echo one\n echo two", Ok("one")).await;
    check("cmd:# a comment\necho behind", Ok("behind")).await;
    check("cmd:env | grep -c FLEETSWEEP_SECRET_COMMAND || true", Ok("0")).await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_says_why() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = format!("file:{}", empty.path().display());
    check("env:FLEETSWEEP_NOT_SET", Err("FLEETSWEEP_NOT_SET is not set")).await;
    check("file:/nonexistent/secret", Err("/nonexistent/secret cannot be read: it does not exist")).await;
    check(&empty, Err("is empty")).await;
    check("file:/dev/zero", Err("the secret file /dev/zero is not a regular file")).await;
    check("cmd:head -c 9999 /dev/zero", Err("longer than 4096 bytes")).await;
    check("cmd:exit 3", Err("failed with exit status 3")).await;
    check("cmd:true", Err("is empty")).await;
    check("cmd:echo; echo second", Err("is empty")).await;
    check("cmd:printf '\\377\\n'", Err("not UTF-8")).await;
}

#[tokio::test]
async fn a_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for path in [pipe, link] {
        let expected = format!("the secret file {} is not a regular file", path.display());
        check(&format!("file:{}", path.display()), Err(&expected)).await;
        assert!(SecretSource::File(path).look().unwrap_err().to_string().contains(&expected));
    }
}

#[tokio::test]
async fn a_command_is_not_in_the_list_of_processes() {
    // The shell looks at its own arguments: they are what other users see.
    let seen = SecretSource::parse("cmd:tr '\\0' ' ' </proc/$$/cmdline # geheim", SecretContext::default()).unwrap();
    let seen = seen.fetch().await.unwrap();
    let seen = seen.expose_secret();
    assert!(seen.starts_with("/bin/sh -c ") && !seen.contains("geheim"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_is_given_up() {
    check("cmd:exec tail -f /dev/null", Err("did not finish within 10s")).await;
}

#[test]
fn a_source_without_its_part_is_refused() {
    for (text, problem) in [
        ("", "the secret is missing"),
        ("env:", "the name of the environment variable is missing"),
        ("env:A=B", "the text after `env:` is not the name of an environment variable"),
        ("env: geheim", "the text after `env:` is not the name of an environment variable"),
        ("env:1A", "the text after `env:` is not the name of an environment variable"),
        ("file:", "the path is missing"),
        ("cmd: ", "the command is missing"),
        ("cred:", "the name of the credential is missing"),
        ("cred:..", "the text after `cred:` is not the name of a credential"),
        ("cred:a/b", "the text after `cred:` is not the name of a credential"),
        ("age:", "the path of the encrypted secret is missing"),
        ("age: ", "the path of the encrypted secret is missing"),
        ("age:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==", "the text after `age:` is damaged or cut short (its header)"),
        (
            "age:YWdlLWVuY3J5cHRpb24ub3JnL3Yy",
            "the text after `age:` is in a version of the format of age that is not supported",
        ),
        ("age:YWdlLWVuY3J5cHRpb24ub3JnL", "the text after `age:` is damaged or cut short (its base64)"),
        (
            "age:-----BEGIN AGE ENCRYPTED FILE----- hunter2",
            "the text after `age:` is damaged or cut short (its base64)",
        ),
    ] {
        assert_eq!(SecretSource::parse(text, SecretContext::default()).unwrap_err().problem.as_str(), problem);
    }
}

#[test]
fn a_secret_is_never_shown() {
    for (text, shown) in [
        ("geheim", "SecretSource(in the file)"),
        ("env:NAME", "SecretSource(env:NAME)"),
        ("env:geheim", "SecretSource(env:***)"),
        ("file:/etc/pw", "SecretSource(file:/etc/pw)"),
        ("file:geheim", "SecretSource(file:***)"),
        ("cmd:echo geheim", "SecretSource(cmd:…)"),
        ("cred:geheim", "SecretSource(cred:…)"),
        ("age:geheim", "SecretSource(age:***)"),
        ("age:/etc/pw.age", "SecretSource(age:/etc/pw.age)"),
    ] {
        assert_eq!(format!("{:?}", SecretSource::parse(text, SecretContext::default()).unwrap()), shown);
    }
}

/// A secret that is encrypted for an identity, in every form in which it may be written.
fn encrypted(secret: &str, identity: &Identity, folder: &Path) -> [(SecretSource, &'static str); 5] {
    let binary = age::encrypt(secret.as_bytes(), &[identity.recipient()]).unwrap();
    let text = age::armored(&binary);
    fs::write(folder.join("binary.age"), &binary).unwrap();
    fs::write(folder.join("text.age"), text.replace('\n', "\r\n")).unwrap();
    let identity_file = folder.join("age-identity");
    let source = |text: &str| {
        let context = SecretContext { home: Some(folder), age_identity: Some(&identity_file) };
        SecretSource::parse(text, context).unwrap()
    };
    [
        (source(&format!("age:{}", Base64::encode_string(&binary))), "the secret after `age:`"),
        // As an attribute of XML passes it on, whose lines are normalised or not.
        (source(&format!("age:{}", text.replace('\n', " "))), "the secret after `age:`"),
        (source(&format!("age:\n{text}\n")), "the secret after `age:`"),
        (source("age:~/binary.age"), "binary.age"),
        (source("age:~/text.age"), "text.age"),
    ]
}

#[tokio::test]
async fn an_encrypted_secret_is_read_in_every_form_and_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, old) = (Identity::generate(), Identity::generate());
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    let file = |identity: &Identity| age::written(identity, Timestamp::UNIX_EPOCH);
    for (source, said) in encrypted("hunter2\nsecond line\n", &identity, folder.path()) {
        for identities in [file(&identity).to_string(), format!("{}\r\n{}", *file(&old), *file(&identity))] {
            write("age-identity", identities.as_bytes());
            assert_eq!(source.fetch().await.unwrap().expose_secret(), "hunter2");
            source.look().unwrap();
        }
        // The identity was replaced.
        write("age-identity", file(&old).as_bytes());
        let error = source.fetch().await.unwrap_err().to_string();
        let path = folder.path().join("age-identity").display().to_string();
        let problem = format!(
            "{said} cannot be decrypted with the identity in {path}: add the identity that it was written for to this file, or write the secret again with `fleetsweep secret`"
        );
        assert!(error.contains(&problem), "{error}");
        fs::remove_file(folder.path().join("age-identity")).unwrap();
        let error = source.look().unwrap_err().to_string();
        assert!(error.contains(&format!("the age identity {path} cannot be read: it does not exist: ")), "{error}");
        assert!(!format!("{source:?} {source}").contains("YWdl"), "{source:?}");
    }
}

#[test]
fn an_encrypted_secret_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let identity_file = folder.path().join("age-identity");
    fs::write(&identity_file, age::written(&identity, Timestamp::UNIX_EPOCH).as_bytes()).unwrap();
    let secret = folder.path().join("secret.age");
    let check = |content: &[u8], expected: &str| {
        fs::write(&secret, content).unwrap();
        let context = SecretContext { home: None, age_identity: Some(&identity_file) };
        let source = SecretSource::parse(&format!("age:{}", secret.display()), context).unwrap();
        let error = source.look().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}\nshould contain {expected}");
    };
    let encrypted = |secret: &str| age::encrypt(secret.as_bytes(), &[identity.recipient()]).unwrap();
    let for_type = |stanza: &str| format!("age-encryption.org/v1\n-> {stanza}\n\n--- {}\n", "A".repeat(43));
    check(b"hunter2\n", "secret.age is not encrypted with age: write it with `fleetsweep secret --output FILE`");
    check(b"", "is not encrypted with age");
    check(&encrypted(""), "is empty");
    check(&encrypted(&"x".repeat(5000)), "longer than 4096 bytes");
    check(for_type("scrypt AAAA 18").as_bytes(), "is encrypted with a passphrase: write it again with");
    check(for_type("ssh-ed25519 AAAA BBBB").as_bytes(), "is encrypted for an SSH key, which is not supported");
    check(for_type("piv-p256 AAAA").as_bytes(), "is encrypted for a plugin or an unknown type of key, which");
    check(for_type("mlkem768x25519 AAAA").as_bytes(), "is encrypted for a post-quantum key, which is not supported");
    let mut damaged = encrypted("hunter2");
    damaged.truncate(damaged.len() - 1);
    check(&damaged, "is damaged or cut short (its content): copy it again");
    check(&[b'x'; 70_000], "is larger than 64 KiB");
    fs::remove_file(&secret).unwrap();
    let context = SecretContext { home: None, age_identity: Some(&identity_file) };
    for (path, expected) in
        [(secret.as_path(), "cannot be read: it does not exist"), (Path::new("/dev/zero"), "is not a regular file")]
    {
        let source = SecretSource::parse(&format!("age:{}", path.display()), context).unwrap();
        let error = source.look().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

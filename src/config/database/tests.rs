//! Tables of database URLs: what they mean, and how they are refused.

use secrecy::ExposeSecret as _;

use super::{DatabaseTls::*, *};

fn read(text: &str) -> Result<String, String> {
    match parse(text, Some(Path::new("/home/o?ps"))) {
        Ok(url) => Ok(url.expose_secret().to_owned()),
        Err(wrong) => Err(format!("{}: {}", wrong.problem, wrong.hint)),
    }
}

#[test]
fn urls_are_of_three_kinds() {
    for (text, expected) in [
        ("sqlite:fleetsweep.db", "sqlite:fleetsweep.db"),
        ("sqlite:///var/lib/f.db?mode=rwc", "sqlite:///var/lib/f.db?mode=rwc"),
        ("sqlite:~/fleet.db", "sqlite:/home/o%3Fps/fleet.db"),
        ("sqlite://~/a/b.db?mode=rw&cache=private", "sqlite:/home/o%3Fps/a/b.db?mode=rw&cache=private"),
        ("sqlite:a~b/~.db", "sqlite:a~b/~.db"),
        ("sqlite:cost-5$.db", "sqlite:cost-5$.db"),
        ("postgresql://u:p@h/d", "postgres://u:p@h/d"),
        ("postgres://u:p%40%3F@[2001:db8::1]:5433/d", "postgres://u:p%40%3F@[2001:db8::1]:5433/d"),
        ("postgres:///d?host=/run/postgresql", "postgres:///d?host=/run/postgresql"),
        ("postgres://u@%2Frun%2Fpostgresql/d", "postgres://u@%2Frun%2Fpostgresql/d"),
        ("postgres://u@h?dbname=d&hostaddr=10.0.0.1", "postgres://u@h?dbname=d&hostaddr=10.0.0.1"),
        (
            "postgres://u@h/d?options[search_path]=a&options=-c%20x%3D1",
            "postgres://u@h/d?options[search_path]=a&options=-c%20x%3D1",
        ),
        ("mariadb://u@h:3306/d", "mysql://u@h:3306/d"),
        (
            "mysql://u@h/d?ssl-mode=verify_identity&ssl-ca=f&charset=utf8mb4&socket=/s",
            "mysql://u@h/d?ssl-mode=verify_identity&ssl-ca=f&charset=utf8mb4&socket=/s",
        ),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_url_of_a_database_is_told_with_its_fix_and_never_repeated() {
    for (text, expected) in [
        ("fleetsweep.db", "the database URL has no scheme: write `sqlite:FILE`"),
        ("sqlite:", "the database URL names no file: write `sqlite:FILE`"),
        ("sqlite://?mode=rwc", "the database URL names no file"),
        ("sqlite::memory:", "a database in memory loses alerts and waiting mails when the program ends"),
        (
            "sqlite:f?mode=memory",
            "a database in memory loses alerts and waiting mails when the program ends: omit `mode`",
        ),
        ("sqlite:file:x.db", "the database URL has two schemes: write `sqlite:FILE` without `file:`"),
        ("sqlite:~root/x.db", "`~` in the database URL must be followed by `/` and a file name"),
        ("sqlite:~", "`~` in the database URL must be followed by `/` and a file name"),
        ("sqlite:$HOME/x.db", "environment variables are not expanded in the database URL: write the full path"),
        ("sqlite:${HOME}/x.db", "environment variables are not expanded"),
        ("sqlite:/var/lib/", "the database URL names a directory"),
        ("sqlite:f.db?mod=rw", "the database URL has an unknown option: did you mean `mode`?"),
        (
            "sqlite:f.db?journal_mode=delete",
            "the database URL has an unknown option: remove it; the known options are `mode`, `cache` or `immutable`",
        ),
        ("sqlite:f.db?mode=hunter2", "`mode` has an unknown value: write `rwc`, `rw` or `ro`"),
        ("sqlite:f.db?immutable=1", "the database must not be `immutable`: the program writes to it"),
        ("sqlite:f.db?vfs=unix-none", "the database URL has an unknown option"),
        ("oracle://h/d", "the scheme of the database URL is unknown"),
        ("postgres://u:p#hunter2@h/d", "the database URL cannot be parsed"),
        ("postgres://u@h/d?application_name=a#b", "the database URL contains `#`, or `@` or `:` in the name"),
        ("postgres://u@h:port/d", "the database URL cannot be parsed"),
        ("postgres:u:hunter2@h/d", "the database URL has no `//` after its scheme"),
        ("postgres://u:hunter2@h/hunter2@x", "the database URL contains `#`, or `@` or `:` in the name"),
        ("postgres:///d", "the database URL names no host"),
        ("postgres://u@h1,h2/d", "the database URL names several hosts"),
        (
            "postgres://u:hunter2@h/d?sslmode=bogus",
            "`sslmode` has an unknown value: write `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`",
        ),
        ("postgres://u@h/d?ssl_mode=require", "the database URL has an unknown option: did you mean `sslmode`?"),
        ("postgres://u@h/d?hunter2", "the database URL has an unknown option: remove it"),
        ("postgres://u@h/d?port=0", "`port` in the database URL is not a valid port"),
        ("postgres://u@h/d?hostaddr=db", "`hostaddr` in the database URL is not an IP address"),
        ("postgres://u@h/d?sslrootcert=", "a file option in the database URL is empty"),
        ("postgres://u@h/d?statement-cache-capacity=many", "`statement-cache-capacity` is not a number"),
        (
            "mysql://u@h/d?ssl-mode=verify-full",
            "`ssl-mode` has an unknown value: write `DISABLED`, `PREFERRED`, `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`",
        ),
        ("mysql://u@h/d?useSSL=true", "the database URL has an unknown option"),
        ("mysql://u@h/d?charset=latin1", "only the character set utf8mb4 can store every character"),
        ("mysql://u@h/d?collation=latin1_bin", "only the character set utf8mb4"),
        ("mysql://u:p@h/", "the database URL names no database"),
        ("mysql://u:p@h", "the database URL names no database"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.starts_with(expected), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{text}: {said}");
    }
    assert!(parse("sqlite:~/x", None).unwrap_err().problem.as_str().contains("there is no home directory"));
}

#[test]
fn the_place_of_a_wrong_option_is_known() {
    let text = "postgres://u@h/d?application_name=x&sslmode=bogus&user=y";
    let at = parse(text, None).unwrap_err().at.unwrap();
    assert_eq!(text.get(at), Some("sslmode=bogus"));
}

#[test]
fn local_is_what_does_not_leave_the_machine() {
    for (host, expected) in [
        ("localhost", true),
        ("LOCALHOST.", true),
        ("127.0.0.1", true),
        ("127.8.9.1", true),
        ("::1", true),
        ("[::1]", true),
        ("::ffff:127.0.0.1", true),
        ("/run/postgresql", true),
        ("localhost.evil", false),
        ("evil.localhost", false),
        ("127.0.0.1.evil", false),
        ("127.1", false),
        ("0.0.0.0", false),
        ("10.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("db", false),
        ("", false),
    ] {
        assert_eq!(is_local(host), expected, "{host}");
    }
}

#[test]
fn a_connection_to_another_machine_is_encrypted_unless_the_words_say_otherwise() {
    let of = |url: &str, tls| effective(written(url), names_authority(url), is_local(&host_of(url).unwrap()), tls);
    for (url, tls, expected) in [
        ("postgres://u@db/d", None, Encryption::Always),
        ("mysql://u@db/d", None, Encryption::Always),
        ("postgres://u@db/d?sslrootcert=f", None, Encryption::Name),
        ("mysql://u@db/d?ssl-mode=REQUIRED&ssl-ca=f", None, Encryption::Authority),
        ("postgres://u@db/d?sslmode=verify-full", None, Encryption::Name),
        ("postgres://u@db/d?sslmode=prefer", None, Encryption::Always),
        ("postgres://u@db/d", Some(Off), Encryption::Offered),
        ("postgres://u@db/d?sslmode=disable", Some(Off), Encryption::Never),
        ("postgres://u@db/d?sslmode=verify-ca", Some(Off), Encryption::Authority),
        ("postgres://u@localhost/d", None, Encryption::Offered),
        ("postgres://u@localhost/d?sslmode=disable", None, Encryption::Never),
        ("postgres://u@localhost/d", Some(Required), Encryption::Always),
        ("postgres://u@localhost/d?host=db", None, Encryption::Always),
        ("postgres://u@localhost/d?hostaddr=10.0.0.1", None, Encryption::Always),
        ("postgres://u@db/d?host=/run/postgresql", None, Encryption::Offered),
        ("postgres://u@%2frun/d", None, Encryption::Offered),
        ("mysql://u@db/d?socket=/run/mysqld/mysqld.sock", None, Encryption::Offered),
    ] {
        assert_eq!(of(url, tls), expected, "{url} {tls:?}");
    }
}

#[test]
fn words_that_contradict_each_other_are_refused() {
    for (url, tls, expected) in [
        ("postgres://u@db/d?sslmode=disable", None, Some("`sslmode` allows clear text to another machine")),
        ("postgres://u@db/d?sslmode=allow", None, Some("`sslmode` allows clear text to another machine")),
        ("mysql://u@db/d?ssl-mode=PREFERRED", None, Some("`ssl-mode` allows clear text to another machine")),
        ("postgres://u@db/d?sslmode=disable", Some(Off), None),
        ("postgres://u@db/d?sslmode=require", None, None),
        ("postgres://u@db/d?sslmode=require&sslmode=disable", None, Some("`sslmode` allows clear text")),
        ("postgres://u@127.0.0.1/d?sslmode=disable", None, None),
        ("postgres://u@127.0.0.1/d?sslmode=disable", Some(Required), Some("`sslmode` allows clear text, but tls=")),
        ("sqlite:f", Some(Required), None),
    ] {
        let found = contradiction(url, tls).map(|wrong| wrong.problem.to_string());
        assert_eq!(found.is_some(), expected.is_some(), "{url} {tls:?}: {found:?}");
        assert!(found.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{url}");
    }
}

#[test]
fn how_a_connection_is_protected_is_said() {
    for (url, tls, expected) in [
        ("sqlite:f", None, ""),
        ("postgres://u@db/d", None, "encrypted, but the server's certificate is not verified"),
        ("postgres://u@db/d?sslmode=verify-full", None, "encrypted, with the server's certificate verified"),
        ("postgres://u@db/d", Some(Off), "CLEAR TEXT is allowed by tls=\"off\""),
        ("mysql://u@localhost/d", None, "to this machine, encrypted if the server offers it"),
        ("mysql://u@localhost/d", Some(Required), "to this machine, encrypted"),
    ] {
        let said = protection(url, tls).map(|protection| protection.to_string()).unwrap_or_default();
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{url}: {said}");
    }
}

#[test]
fn files_are_found_with_their_place() {
    let check = |url: &str, expected: &[(&str, &str, bool)]| {
        let found: Vec<_> = files(url).map(|file| (file.path, url.get(file.at).unwrap(), file.is_key)).collect();
        let expected: Vec<_> = expected.iter().map(|(path, at, is_key)| (PathBuf::from(path), *at, *is_key)).collect();
        assert_eq!(found, expected, "{url}");
    };
    check(
        "postgres://u@h/d?sslrootcert=/a%20b&sslmode=require&sslkey=-----BEGIN%20KEY",
        &[("/a b", "sslrootcert=/a%20b", false)],
    );
    check("mysql://u@h/d?ssl-cert=c&ssl-key=k", &[("c", "ssl-cert=c", false), ("k", "ssl-key=k", true)]);
}

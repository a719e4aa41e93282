//! No secret of a configuration is shown, wherever in it a person may have written one, and however broken it is.

use std::fmt::Write as _;

use super::*;
use crate::config::{check, diagnostic::Excerpt};

/// A secret that must never be shown. No harmless type can contain it.
const SECRET: &str = "hunter2";

/// Everything that anyone may be shown of a file, `check` included.
fn everything_shown(text: &str) -> String {
    let mut shown = String::new();
    match read(text) {
        Ok(loaded) => {
            write!(shown, "{loaded:?}\n{}", check::summary(&loaded)).unwrap();
            for warning in loaded.warnings {
                write!(shown, "\n{warning}\n{warning:?}").unwrap();
            }
        }
        Err(problems) => {
            let error = LoadError::from(problems);
            write!(shown, "{error}\n{error:?}").unwrap();
        }
    }
    shown
}

#[track_caller]
fn check_hidden(text: &str) {
    assert!(text.contains(SECRET) || text.contains("hun"), "{text} holds no secret to hide");
    let shown = everything_shown(text);
    assert!(!shown.contains(SECRET), "{text}\n{shown}");
}

/// Attributes of a client with a secret, in wrong and in correct places.
const IN_A_CLIENT: [&str; 62] = [
    "password='hunter2'",
    "password='a'hunter2'",
    "password=\"a\"hunter2\"",
    "password='hunter2",
    "password=hunter2'",
    "password=hunter2",
    "password hunter2",
    "password 'hunter2'",
    "password'hunter2'",
    "password: hunter2",
    "password=“hunter2”",
    "password=“hun“hunter2”",
    "password=‘hunter2\"",
    "password='“hunter2”'",
    "password='a&hunter2'",
    "password='a<hunter2'",
    "password='a<hunter2 ip=\"'",
    "password='a>hunter2'",
    "password='hunter2\n\nip=x'",
    "password='\nhunter2'",
    "password=\n'hunter2",
    "password='env:hunter2'",
    "password='env: hunter2'",
    "password='env:HUN=hunter2'",
    "password='file:hunter2'",
    "password='cmd:echo hunter2'",
    "password='age:hunter2'",
    "password='age: hunter2'",
    "password='age:-----BEGIN AGE ENCRYPTED FILE----- hunter2 -----END AGE ENCRYPTED FILE-----'",
    "password='age:YWdlLWVuY3J5cHRpb24ub3Jnhunter2'",
    "password='&#104;hunter2'",
    "password='&hunter2;'",
    "password='x' password='hunter2'",
    "password='hunter2' password='hunter2'",
    "passwordhunter2'",
    "password-hunter2='1'",
    "hunter2='1'",
    "hunter2",
    "'hunter2'",
    "pw='hunter2'",
    "Password='hunter2'",
    "passphrase='hunter2'",
    "key='hunter2'",
    "key='-----BEGIN OPENSSH PRIVATE KEY----- hunter2'",
    "key='~hunter2/x'",
    "ip='ops:hunter2@10.0.0.1'",
    "ip='ssh://ops:hunter2@h'",
    "ip='ops hunter2'",
    "ip='ops@hunter2'",
    "ip='fe80::1%hunter2!'",
    "ip='[hunter2]'",
    "ip='w[1-hunter2]'",
    "port='hunter2'",
    "mail='hunter2'",
    "mail='ops:hunter2@example.com'",
    "mail='\"ops:hunter2\"@example.com'",
    "mail='hunter2 <ops@example.com>'",
    "mail='a@b.c, hunter2'",
    "name='ops:hunter2@h'",
    "agent='hunter2'",
    "redact='(hunter2'",
    "redact='hunter2'",
];

#[test]
fn no_attribute_of_a_client_shows_a_secret() {
    for attributes in IN_A_CLIENT {
        // Alone, before and behind others, in one line and in several.
        check_hidden(&format!("<config><client {attributes}/></config>"));
        check_hidden(&format!("<config><client username='ops' {attributes} port='22'/></config>"));
        check_hidden(&format!(
            "<config><client ip='10.0.0.1' port='x' username='ops' {attributes}\n port='22'/></config>"
        ));
        check_hidden(&format!("<config>\n<group {attributes}>\n<client ip='h' username='u'/></group>\n</config>"));
        check_hidden(&format!("<config><clinet {attributes}/><client ip='h'/></config>"));
    }
    check_hidden("<config><client ip='10.0.0.1' username='ops:hunter2'/></config>");
    check_hidden("<config><client ip='10.0.0.1' username='ops:hunter2@h'/></config>");
}

#[test]
fn no_database_url_shows_a_secret() {
    for url in [
        "postgres://u:hunter2@h/d",
        "postgres://u:a'hunter2@h/d",
        "postgres://u:a\"hunter2@h/d",
        "postgres://u:a<hunter2@h/d",
        "postgres://u:a>hunter2@h/d",
        "postgres://u:a&hunter2@h/d",
        "postgres://u:a<client hunter2='x' @h/d",
        "postgres://u:p@hunter2@h/d",
        "postgres://u:a/hunter2@h/d",
        "postgres://u:1/hunter2@h/d",
        "postgres://u:1?hunter2@h/d",
        "postgres://u:1#hunter2@h/d",
        "postgres://u:1/d#hunter2@h/d",
        "postgres://u:p%40hunter2@h/d",
        "postgres://u%3Ahunter2@h/d",
        "postgres://u:%zz hunter2@h/d",
        "postgres://u:&#104;hunter2@h/d",
        "postgres://u:hunter2@/x",
        "postgres://u:hunter2@h",
        "postgres:u:hunter2@h",
        "postgres:u:hunter2@h?host=h",
        "postgres:/u:hunter2@h/d",
        "postgre://u:hunter2@h/d",
        "u:hunter2@h/d",
        "hunter2",
        "mysql://u@h/d?password=hunter2",
        "mysql://u@h/d?hunter2",
        "postgres://u@h/d?sslpassword=hunter2&sslkey=hunter2",
        "postgres://u@h/d?sslmode=hunter2",
        "postgres://u@h/d?host=u:hunter2@h",
        "postgres://u@h/d?options=-c hunter2",
        "postgres://u@h/u:hunter2@h",
        "postgres://u@h:hunter2/d",
        "sqlite:u:hunter2@h/d",
        "sqlite:/x?password=hunter2",
        "sqlite:/x/password=hunter2",
        "sqlite://u:hunter2@h/d",
        " postgres://u:hunter2@h/d",
        "POSTGRES://u:hunter2@h/d",
        "postgres ://u:hunter2@h/d",
    ] {
        for quote in ["'", "\"", "", "“"] {
            check_hidden(&with_client(&format!("<database url={quote}{url}{quote}/>")));
            check_hidden(&with_client(&format!("<database retention='x' url={quote}{url}{quote}\nretention='y'/>")));
            check_hidden(&with_client(&format!("<database ulr={quote}{url}{quote}/>")));
        }
    }
}

#[test]
fn nothing_beside_the_attributes_shows_a_secret() {
    for text in [
        "<smtp host='u:hunter2@h'/>",
        "<smtp host='u:hunter2@h' username='u' password='hunter2'/>",
        "<smtp host='mail.example.com' username='u:hunter2' password='x'/>",
        "<smtp from='hunter2'/>",
        "<smtp from='u:hunter2@h'/>",
        "<smtp from='hunter2 &lt;a@example.com&gt;'/>",
        "<smtp username='hunter2'/>",
        "<ssh known-hosts='hunter2'/>",
        "<ssh known-hosts='~hunter2/x'/>",
        "<ssh host-keys='hunter2'/>",
        "<alerts repeat='hunter2'/>",
        "<collector redact='(hunter2'/>",
        "<collector redact='hunter2' interval='hunter2'/>",
        "<!-- hunter2 --><x/>",
        "<!-- hunter2",
        "<!-- -- hunter2 --><x/>",
        "<![CDATA[hunter2]]>",
        "<![CDATA[hunter2",
        "<! hunter2>",
        "<?hunter2 ?><x/>",
        "<?xml hunter2='x'?><x/>",
        "<?hunter2",
        "hunter2",
        "password: hunter2",
        "client hunter2",
        "<password>hunter2</password>",
        "<hunter2>",
        "<hunter2/>",
        "</hunter2>",
        "<client-hunter2/>",
        "<group></hunter2></group>",
        "<group><hunter2></group>",
        "< hunter2>",
        "<1hunter2>",
        "<client",
        "&hunter2;",
        "&hunter2",
        "<alert type='hunter2' limit='hunter2' for='hunter2' clear='hunter2' repeat='hunter2'/>",
    ]
    .into_iter()
    .filter(|text| text.contains(SECRET))
    {
        check_hidden(&with_client(text));
        check_hidden(&with_client(&format!("<group username='u'>{text}</group>")));
        check_hidden(&with_client(&format!("<smtp port='x'/>\n  {text} <ssh host-keys='x'/>\n<alerts repeat='x'/>")));
        check_hidden(text);
    }
    for text in [
        "<!DOCTYPE config [<!ENTITY pw \"hunter2\">]><config><client ip='h' username='u' password='&pw;'/></config>",
        "<!DOCTYPE config [<!ENTITY pw \"hunter2\"><config/>",
        "<!DOCTYPE hunter2><config/>",
        "<config/><hunter2/>",
        "<hunter2/><config/>",
        "<hunter2><config/></hunter2>",
        "<config><client ip='h' username='u' password='hunter2'/></config></config>",
        "<config>\0<client ip='h' username='u' password='hunter2'/></config>",
    ] {
        check_hidden(text);
    }
}

#[test]
fn a_long_line_shows_no_secret_at_its_cut_ends() {
    for length in (0..2_200).step_by(7) {
        let filler = "x".repeat(length);
        check_hidden(&with_client(&format!("<smtp password='{filler}hunter2' port='x' username='hunter2{filler}'/>")));
    }
}

#[test]
fn a_broken_line_shows_its_names_and_harmless_values() {
    let excerpt = |inside: &str| {
        let Problems(problems) = read(&with_client(inside)).unwrap_err();
        let Some(Excerpt { text, indent, width }) = &problems[0].excerpt else { panic!("{problems:?}") };
        format!("{text}\n{:indent$}{}", "", "^".repeat(*width))
    };
    for (inside, expected) in [
        (
            "\n<client ip='10.0.[0-1].[1-9]' port='222222' usrname='ops' password='hunter2'/>\n",
            "<client ip='10.0.[0-1].[1-9]' port='222222' usrname='***' password='***'/>\n                                    ^^^^^^",
        ),
        (
            "\n<client ip='db.example.com' username='ops' password='a'hunter2' port='22'/>\n",
            "<client ip='db.example.com' username='***' password='***\n                                                     ^^^",
        ),
        (
            "\n<smtp host='mail.example.com' port='25' security='sttls' from='a@b.c'/>\n",
            "<smtp host='mail.example.com' port='25' security='***' from='***'/>\n                                                  ^^^",
        ),
        (
            "\n<smtp host='mail.example.com' security='startls'/>\n",
            "<smtp host='mail.example.com' security='startls'/>\n                                        ^^^^^^^",
        ),
        ("\n<group>keep out</group>\n", "<group>***</group>\n       ^^^"),
        ("\n<client ip= port='22'/>\n", "<client ip= ***\n            ^^^"),
        ("\n<client ip='1.2.3.4'port='22'/>\n", "<client ip='1.2.3.4'***\n                    ^^^"),
        ("\n<hunter2 ip='1.2.3.4'/>\n", "*** ip='***'/>\n^^^"),
    ] {
        assert_eq!(excerpt(inside), expected, "{inside}");
    }
}

/// A file with a secret in every place whose type has room for one.
const SECRETS_EVERYWHERE: &str = r#"<?xml version="1.0"?>
<!-- hunter2 -->
<config>
  <collector interval="60s" concurrency="128" redact="pw=hunter2" age-identity="hunter2"/>
  <database url="postgres://sweep:hunter2@db.example.com/fleet?application_name=hunter2" retention="90d"/>
  <smtp host="mail.example.com" port="25" security="tls" from="Hun hunter2 &lt;a@example.com&gt;" username="u:hunter2" password="hunter2"/>
  <ssh known-hosts="hunter2" host-keys="accept-new"/>
  <alerts repeat="4h" recovery="yes"/>
  <client ip='10.0.0.1' port='22' name='ops:hunter2@x' username='user:hunter2' password='hunter2' mail="asa@asda.com"
          key="hunter2" passphrase='cmd:echo hunter2'>
    <alert type="memory" limit="50%" for="3"/>
  </client>
  <group username='ops:hunter2' password="env:hunter2" mail="ops@example.com, hunter2 &lt;b@example.com&gt;">
    <alert type="disk" limit="90%" clear="85%"/>
    <client ip="10.0.4.[1-40]" password="file:hunter2"/>
    <client ip="10.0.5.1" password="age:hunter2"/>
    <client ip="db.example.com" redact="hunter2" events="yes"/>
  </group>
</config>
"#;

#[test]
fn a_valid_file_with_secrets_everywhere_shows_none() {
    let loaded = valid(SECRETS_EVERYWHERE);
    assert_eq!(loaded.config.clients.len(), 43);
    check_hidden(SECRETS_EVERYWHERE);
    // Whatever line has an error.
    for line in 1..SECRETS_EVERYWHERE.lines().count() {
        let broken: Vec<String> = (0..)
            .zip(SECRETS_EVERYWHERE.lines())
            .map(|(number, text)| if number == line { format!("<smtp port='x'/> x {text} x") } else { text.to_owned() })
            .collect();
        check_hidden(&broken.join("\n"));
    }
}

#[test]
fn a_file_that_lost_some_characters_shows_no_secret() {
    for start in (0..SECRETS_EVERYWHERE.len()).filter(|start| SECRETS_EVERYWHERE.is_char_boundary(*start)) {
        for length in 1..=3 {
            let end = SECRETS_EVERYWHERE.len().min(start + length);
            let mut damaged = SECRETS_EVERYWHERE.to_owned();
            damaged.replace_range(start..end, "");
            // The remaining file may be valid, with a secret as a name, which cannot be detected.
            if let Err(problems) = read(&damaged) {
                let shown = format!("{problems}\n{problems:?}");
                assert!(!shown.contains(SECRET), "{damaged}\n{shown}");
            }
        }
    }
}

/// Damage of the kinds that hands do.
#[derive(Debug, Clone)]
enum Damage {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    /// The name of one attribute or element takes the place of another's.
    Rename(prop::sample::Index, prop::sample::Index),
    /// A piece of the file appears again elsewhere.
    Repeat(prop::sample::Index, usize, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..20_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (index(), "[<>&'\"=/\\[\\]“”‘ \n!?-]{1,3}").prop_map(|(at, text)| Damage::Insert(at, text)),
        (index(), index()).prop_map(|(at, name)| Damage::Rename(at, name)),
        (index(), 1..60_usize, index()).prop_map(|(at, length, to)| Damage::Repeat(at, length, to)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for damage in damages {
        match damage {
            Damage::Remove(at, length) => {
                let start = at.index(text.len());
                text.drain(start..text.len().min(start + length));
            }
            Damage::Insert(at, inserted) => {
                let start = at.index(text.len());
                text.splice(start..start, inserted.chars());
            }
            Damage::Rename(at, name) => {
                let all: Vec<&'static str> = schema::attribute_names().chain(schema::element_names()).collect();
                let (from, to) = (at.get(&all), name.get(&all));
                let whole: String = text.iter().collect();
                text = whole.replacen(from, to, 1 + at.index(3)).chars().collect();
            }
            Damage::Repeat(at, length, to) => {
                let start = at.index(text.len());
                let piece: Vec<char> = text.iter().skip(start).take(*length).copied().collect();
                let to = to.index(text.len());
                text.splice(to..to, piece);
            }
        }
        if text.is_empty() {
            break;
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_damaged_file_shows_no_secret(damages in prop::collection::vec(damage(), 1..6)) {
        let text = damaged(SECRETS_EVERYWHERE, &damages);
        if let Err(problems) = read(&text) {
            let shown = format!("{problems}\n{problems:?}");
            prop_assert!(!shown.contains(SECRET), "{}\n{}", text, shown);
        }
    }
}

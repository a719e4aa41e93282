//! Hosts in a CSV file: its first line names the columns. Other columns are left alone. Errors repeat no value that may
//! be a secret in the wrong column.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{
    host::{Group, Host, Said, Source, quoted},
    input::{self, InputError, at},
};
use crate::{config::entry::MOST_CLIENTS, fleet::units::counted};

/// The columns that are read, each with the names that it may have, where `_` is a blank.
const COLUMNS: [(Column, &[&str]); 6] = [
    (Column::Address, &["ip", "address", "ip address", "ansible host"]),
    (Column::Host, &["host"]),
    (Column::Hostname, &["hostname", "host name"]),
    (Column::Name, &["name", "label"]),
    (Column::Port, &["port", "ansible port"]),
    (Column::Username, &["username", "user", "user name", "ansible user"]),
];

/// The columns of the address. The first one that a file has is the address, the next one a name.
const OF_ADDRESS: [Column; 3] = [Column::Address, Column::Host, Column::Hostname];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Address,
    Host,
    Hostname,
    Name,
    Port,
    Username,
}

/// The hosts of a file.
///
/// # Errors
/// [`InputError`] with the line.
pub fn read(bytes: &[u8], file: &str) -> Result<Group, InputError> {
    let text = input::text(bytes, file)?;
    let without_first = text.split_once('\n').and_then(|(first, rest)| Some((said_delimiter(first)?, rest)));
    let (said, text, lines_before) = match without_first {
        Some((delimiter, rest)) => (Some(delimiter), rest, 1),
        None => (None, text, 0),
    };
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // Spreadsheets write what the country is used to.
    let most_frequent = [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| {
        let count = first.bytes().filter(|byte| byte == delimiter).count();
        (count, *delimiter == b',')
    });
    let mut reader = ReaderBuilder::new()
        .delimiter(said.or(most_frequent).unwrap_or(b','))
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let place = |position: Option<&csv::Position>| place(file, position, lines_before);
    let malformed = |error: &csv::Error| {
        let place = place(error.position());
        InputError::new(
            &place,
            "this is not a line of a CSV file",
            "quote a value that contains a separator or a line break",
        )
    };
    let header = reader.headers().map_err(|error| malformed(&error))?.clone();
    let columns = columns(&header, &at(file, 1 + lines_before))?;
    let mut of_address = OF_ADDRESS.into_iter().filter(|column| columns.contains(&Some(*column)));
    let (address_column, second) = (of_address.next(), of_address.next());
    let name_column = if columns.contains(&Some(Column::Name)) { Some(Column::Name) } else { second };
    let mut hosts: Vec<Host> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| malformed(&error))? {
        let place = place(record.position());
        let of = |wanted: Column| {
            let index = columns.iter().position(|column| *column == Some(wanted))?;
            record.get(index).filter(|value| !value.is_empty())
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > header.len() {
            let problem = format!("this line has {} values, but there are {} columns", record.len(), header.len());
            return Err(InputError::new(&place, problem, "quote a value that contains a separator"));
        }
        let (name, host) = (name_column.and_then(of), address_column.and_then(of));
        let Some(address) = host.or(name) else {
            return Err(InputError::new(&place, "this line names no host", "write its address or name"));
        };
        if hosts.len() >= MOST_CLIENTS {
            return Err(InputError::new(
                &place,
                format!("there are more than {MOST_CLIENTS} hosts"),
                "split the fleet",
            ));
        }
        let said = Said { address, name, port: of(Column::Port), username: of(Column::Username) };
        hosts.push(said.checked(Source::Csv, &place)?);
    }
    if hosts.is_empty() {
        return Err(InputError::new(
            file,
            "there is no host in it",
            "write a line for each host below that of the columns",
        ));
    }
    Ok(Group { title: None, hosts })
}

/// The separator that the first line names, as spreadsheets read it: `sep=;`.
fn said_delimiter(line: &str) -> Option<u8> {
    let line = line.trim_end_matches('\r').trim_matches('"');
    match line.get(..4)?.eq_ignore_ascii_case("sep=").then(|| line.as_bytes().get(4..))?? {
        [delimiter] if delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && *delimiter != b'"' => {
            Some(*delimiter)
        }
        _ => None,
    }
}

/// The place of a position; the reader knows it of every record.
fn place(file: &str, position: Option<&csv::Position>, lines_before: usize) -> String {
    let line = position.and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1);
    at(file, line + lines_before)
}

/// Which column each value is of.
fn columns(header: &StringRecord, place: &str) -> Result<Vec<Option<Column>>, InputError> {
    if header.iter().all(str::is_empty) {
        return Err(InputError::new(
            place,
            "there is nothing in it",
            "write a first line such as name,host,port,username",
        ));
    }
    let known = |name: &str| {
        let name = name.to_lowercase().replace('_', " ");
        COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
    };
    let columns: Vec<Option<Column>> = header.iter().map(known).collect();
    for (index, column) in columns.iter().enumerate() {
        if column.is_some() && columns.iter().take(index).any(|before| before == column) {
            let name = header.get(index).unwrap_or_default();
            let problem = format!("the column {} says what an earlier one says", quoted(name));
            return Err(InputError::new(place, problem, "remove or rename one of them"));
        }
    }
    if OF_ADDRESS.into_iter().chain([Column::Name]).any(|column| columns.contains(&Some(column))) {
        return Ok(columns);
    }
    // Not what they are: without a line of names, they are values, and one may be a password.
    let found = counted(header.len() as u64, ("column", "columns"));
    let problem = format!("the first line names no column `host` or `name`; it has {found}");
    Err(InputError::new(place, problem, "write a first line such as name,host,port,username"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name=address:port user` of each host.
    fn shown(text: &[u8]) -> Result<Vec<String>, String> {
        let hosts = read(text, "h.csv").map_err(|error| error.to_string())?.hosts;
        Ok(hosts
            .iter()
            .map(|Host { address, name, port, username, .. }| {
                let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
                let user = username.as_ref().map(|user| format!(" user {user}")).unwrap_or_default();
                format!("{}{address}{port}{user}", name.as_ref().map(|name| format!("{name}=")).unwrap_or_default())
            })
            .collect())
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(
                shown(text.as_bytes()).as_deref(),
                Ok(&expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        };
        check("host\nweb-1\n10.0.0.1\n", &["web-1", "10.0.0.1"]);
        check("Name,Host,Port,User\r\nweb,10.0.0.1,2222,ops\r\n", &["web=10.0.0.1 port 2222 user ops"]);
        check("\u{feff}name;rack;ip\nweb;\"r;1\";::1\n\n", &["web=::1"]);
        check("ip\tport\n10.0.0.1\t\n", &["10.0.0.1"]);
        check("name\nweb-1\n", &["web-1"]);
        check("name,host\n\"Ann's \"\"web\"\" & <x>\",web\n", &["Ann's \"web\" & <x>=web"]);
        check("name,host\n50%,[2001:db8::1]\n", &["50%=2001:db8::1"]);
        check("host,name\nweb,web\n", &["web"]);
        // What inventories of other programs export.
        check("hostname,ip,os\nweb,10.0.0.1,x\ndb,,x\n", &["web=10.0.0.1", "db"]);
        check("Host Name,IP Address,User_Name\nweb,10.0.0.1,ops\n", &["web=10.0.0.1 user ops"]);
        check("ip_address,host_name\n10.0.0.1,web\n", &["web=10.0.0.1"]);
        check("host,ip\nweb,10.0.0.1\n", &["web=10.0.0.1"]);
        check("hostname,host\nweb,10.0.0.1\n", &["web=10.0.0.1"]);
        check("hostname,ip,name\nx,10.0.0.1,web\n", &["web=10.0.0.1"]);
        check("hostname\nweb\n", &["web"]);
        check("ansible_host,ansible_port,ansible_user\nweb,23,ops\n", &["web port 23 user ops"]);
        check("sep=;\r\nname;host\r\nweb;10.0.0.1\r\n", &["web=10.0.0.1"]);
        check("\"sep=|\"\nname|host\nweb|a\n", &["web=a"]);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let check = |text: &[u8], expected: &str| {
            let error = shown(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("S3cret"), "{error}");
        };
        check(b"", "h.csv:1: there is nothing in it: write a first line such as");
        check(b",\n", "h.csv:1: there is nothing in it");
        check(b"sep=;\nx;y\n", "h.csv:2: the first line names no column `host` or `name`; it has 2 columns: write");
        check(b"sep=;\nhost;port\nweb;x\n", "h.csv:3: the port: ");
        check(
            b"10.0.0.1\n10.0.0.2\n",
            "h.csv:1: the first line names no column `host` or `name`; it has 1 column: write",
        );
        check(
            b"web1,10.0.0.1,root,S3cret\n",
            "h.csv:1: the first line names no column `host` or `name`; it has 4 columns",
        );
        check(b"ip,address\na,b\n", "h.csv:1: the column `address` says what an earlier one says");
        // Values in the wrong column, or of several lines because a quote is not closed.
        check(b"host,name\n\"web,S3cret\ndb,S3cret", "h.csv:2: the address: ");
        check(b"name,host\n\"web,S3cret\ndb,S3cret", "h.csv:2: the address: ");
        check(b"host,name\nweb,\"S3cret\nx", "h.csv:2: the name: ");
        check(b"host,user\nweb,\"S3cret\nx", "h.csv:2: the user: ");
        check(b"host,user\nweb,ops:S3cret\n", "h.csv:2: the user: an account contains no `:`");
        check(b"host,port\nweb,S3cret\n", "h.csv:2: the port: ");
        check(
            b"host\nu:S3cret@web\n",
            "h.csv:2: the address: it contains a user: write only the address here, and the user in a column `username`",
        );
        check(
            b"host\n10.0.0.1:22\n",
            "h.csv:2: the address `10.0.0.1:22`: it contains a port: write only the address here, and the port in a column `port`",
        );
        check(b"host\n10.0.0.1-9\n", "h.csv:2: the address `10.0.0.1-9`: ");
        check(b"host\n", "h.csv: there is no host in it");
        check(b"name,host\n,\nweb,we b\n", "h.csv:3: the address: ");
        check(b"host,port\nweb,70000\n", "h.csv:2: the port `70000`");
        check(b"host,port\nweb,22,1\n", "h.csv:2: this line has 3 values, but there are 2 columns");
        check(b"host,port\n,22\n", "h.csv:2: this line names no host");
        check(
            b"host\n10.0.0.[1-9]\n",
            "h.csv:2: the address `10.0.0.[1-9]`: it contains a range: write one line for each host",
        );
        check(b"name,host\na[1],web\n", "h.csv:2: the name: ");
        check(b"name,host\n\"a\nb\",web\n", "h.csv:2: the name: ");
        check(b"name,host\na\x1b[2J,web\n", "h.csv:2: the name: ");
        check(b"host\nw\xfcb\n", "h.csv:2: the text is not UTF-8");
        let many = format!("host\n{}", "h\n".repeat(MOST_CLIENTS + 1));
        check(many.as_bytes(), "h.csv:65538: there are more than 65536 hosts");
    }
}

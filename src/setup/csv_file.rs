//! Hosts in a CSV file: its first line names the columns. Other columns are left alone.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{
    host::{Group, Host, Ranges, Said, quoted},
    input::{self, InputError, at},
};
use crate::config::entry::MOST_CLIENTS;

/// The columns that are read, each with the names that it may have.
const COLUMNS: [(Column, &[&str]); 4] = [
    (Column::Host, &["host", "ip", "address", "ip address", "hostname", "ansible_host"]),
    (Column::Name, &["name", "label"]),
    (Column::Port, &["port", "ansible_port"]),
    (Column::Username, &["username", "user", "ansible_user"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Host,
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
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // Spreadsheets write what the country is used to.
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| {
        let count = first.bytes().filter(|byte| byte == delimiter).count();
        (count, *delimiter == b',')
    });
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let malformed = |error: &csv::Error| {
        let place = place(file, error.position());
        InputError::new(
            &place,
            "this is not a line of a CSV file",
            "quote a value that contains a separator or a line break",
        )
    };
    let header = reader.headers().map_err(|error| malformed(&error))?.clone();
    let columns = columns(&header, file)?;
    let mut hosts: Vec<Host> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| malformed(&error))? {
        let place = place(file, record.position());
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
        let (name, host) = (of(Column::Name), of(Column::Host));
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
        hosts.push(said.checked(Ranges::Refused, &place)?);
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

/// The place of a position; the reader knows it of every record.
fn place(file: &str, position: Option<&csv::Position>) -> String {
    at(file, position.and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1))
}

/// Which column each value is of.
fn columns(header: &StringRecord, file: &str) -> Result<Vec<Option<Column>>, InputError> {
    let place = at(file, 1);
    let known = |name: &str| {
        let name = name.to_lowercase();
        COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
    };
    let columns: Vec<Option<Column>> = header.iter().map(known).collect();
    for (index, column) in columns.iter().enumerate() {
        if column.is_some() && columns.iter().take(index).any(|before| before == column) {
            let name = header.get(index).unwrap_or_default();
            let problem = format!("the column {} says what an earlier one says", quoted(name));
            return Err(InputError::new(&place, problem, "remove or rename one of them"));
        }
    }
    if columns.contains(&Some(Column::Host)) || columns.contains(&Some(Column::Name)) {
        return Ok(columns);
    }
    let found = header.iter().take(8).map(quoted).collect::<Vec<_>>().join(", ");
    let problem = format!("the first line names no column `host` or `name`; it has {found}");
    Err(InputError::new(&place, problem, "write a first line such as name,host,port,username"))
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
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let check = |text: &[u8], expected: &str| {
            let error = shown(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check(b"", "h.csv:1: the first line names no column");
        check(b"10.0.0.1\n10.0.0.2\n", "h.csv:1: the first line names no column `host` or `name`; it has `10.0.0.1`");
        check(b"host,ip\na,b\n", "h.csv:1: the column `ip` says what an earlier one says");
        check(b"host\n", "h.csv: there is no host in it");
        check(b"name,host\n,\nweb,we b\n", "h.csv:3: the address `we b`");
        check(b"host,port\nweb,70000\n", "h.csv:2: the port `70000`");
        check(b"host,port\nweb,22,1\n", "h.csv:2: this line has 3 values, but there are 2 columns");
        check(b"host,port\n,22\n", "h.csv:2: this line names no host");
        check(b"host\n10.0.0.[1-9]\n", "h.csv:2: the address `10.0.0.[1-9]` contains a range");
        check(b"name,host\na[1],web\n", "h.csv:2: the name `a[1]`");
        check(b"name,host\n\"a\nb\",web\n", "h.csv:2: the name `a\\nb`");
        check(b"name,host\na\x1b[2J,web\n", "h.csv:2: the name `a\\u{1b}[2J`");
        check(b"host\nw\xfcb\n", "h.csv:2: the text is not UTF-8");
        let many = format!("host\n{}", "h\n".repeat(MOST_CLIENTS + 1));
        check(many.as_bytes(), "h.csv:65538: there are more than 65536 hosts");
    }
}

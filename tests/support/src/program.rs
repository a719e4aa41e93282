//! Runs the program under test like a user: with a configuration file, arguments, signals and exit codes.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use sqlx::{Column, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
};

/// The program with its own directory and a configuration.
#[derive(Debug)]
pub struct Fleetsweep {
    program: PathBuf,
    directory: TempDir,
    environment: Vec<(String, String)>,
    /// The limit of open files; `None` for that of this process.
    open_files: Option<u64>,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Fleetsweep {
    /// The program `env!("CARGO_BIN_EXE_fleetsweep")` in an empty directory.
    ///
    /// # Panics
    /// If there is no temporary directory.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the program");
        Self { program: program.into(), directory, environment: Vec::new(), open_files: None }
    }

    /// Adds a `config.xml` with this text that only its owner can read.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn with_config(self, text: &str) -> Self {
        self.write_config(text);
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the soft and hard limit of open files.
    #[must_use]
    pub fn with_open_files(mut self, most: u64) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Replaces its `config.xml`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_config(&self, text: &str) {
        let path = self.path("config.xml");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("config.xml");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("config.xml");
    }

    /// A file in its working directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it in its directory. Its environment only contains `PATH`, `HOME`, `TMPDIR` and the added variables.
    ///
    /// # Panics
    /// If it does not start.
    pub fn spawn<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        self.spawn_with(arguments, &[])
    }

    fn spawn_with<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Running {
        let mut command = match self.open_files {
            None => Command::new(&self.program),
            Some(most) => {
                let mut shell = Command::new("/bin/sh");
                // The shell replaces itself with the program, so the process id stays the same.
                shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string()]).arg(&self.program);
                shell
            }
        };
        let mut child = command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("TMPDIR", std::env::temp_dir())
            .envs(self.environment.iter().cloned())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        let stdout = tokio::spawn(all(child.stdout.take().expect("a pipe")));
        let stderr = tokio::spawn(all(child.stderr.take().expect("a pipe")));
        Running { child, stdout, stderr }
    }

    /// Runs it until it ends.
    ///
    /// # Panics
    /// If it does not start or does not end within five minutes.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.run_with(arguments, &[]).await
    }

    /// Like [`run`](Self::run), with additional environment variables.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub async fn run_with<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Outcome {
        self.spawn_with(arguments, environment).ended(Duration::from_secs(300)).await
    }
}

impl Running {
    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended already.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process that is there");
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it has ended already.
    pub fn pid(&self) -> Pid {
        let id = self.child.id().expect("a process that has not been waited for");
        i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id")
    }

    /// Sets the soft limit of its open files.
    ///
    /// # Panics
    /// If it has ended already.
    pub fn limit_open_files(&self, most: u64) {
        // Only the soft limit changes, because the hard limit could not be raised again.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(most), maximum };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("a process of ours");
    }

    /// Whether it is still running.
    ///
    /// # Panics
    /// If the system call fails.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// With what it has printed, if it does not end in time.
    pub async fn ended(mut self, within: Duration) -> Outcome {
        let status = match tokio::time::timeout(within, self.child.wait()).await {
            Ok(status) => status.expect("a process of ours"),
            Err(_elapsed) => {
                self.child.kill().await.expect("a process of ours");
                let Outcome { stdout, stderr, .. } = self.outcome(ExitStatus::default()).await;
                panic!("the program did not end within {within:?}\n--- stdout:\n{stdout}\n--- stderr:\n{stderr}");
            }
        };
        self.outcome(status).await
    }

    async fn outcome(self, status: ExitStatus) -> Outcome {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output in UTF-8");
        Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout: text(self.stdout.await.expect("the reader of a pipe")),
            stderr: text(self.stderr.await.expect("the reader of a pipe")),
        }
    }
}

async fn all(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.expect("a pipe of ours");
    bytes
}

/// The rows of a query on an SQLite file as another program sees them: each value as text, NULL as `None`.
///
/// # Panics
/// If the file or the query is not valid.
pub async fn rows(file: &Path, query: &str) -> Vec<Vec<Option<String>>> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .unwrap_or_else(|error| panic!("{} is no database: {error}", file.display()));
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(query.to_owned()))
        .fetch_all(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    let values = rows
        .iter()
        .map(|row| {
            row.columns()
                .iter()
                .map(|column| {
                    row.try_get_unchecked(column.ordinal()).unwrap_or_else(|error| panic!("{}: {error}", column.name()))
                })
                .collect()
        })
        .collect();
    connection.close().await.expect("a connection of ours");
    values
}

/// What another program changes in a SQLite file.
///
/// # Panics
/// Where that is refused.
pub async fn change(file: &Path, statement: &str) {
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file))
        .await
        .unwrap_or_else(|error| panic!("{} is no database: {error}", file.display()));
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection.close().await.expect("a connection of ours");
}

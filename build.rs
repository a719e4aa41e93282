//! Builds the embedded agent and writes the table of agents that `src/sweep/agents.rs` includes. Also writes the list of
//! migrations for `src/store/schema.rs`.
//!
//! If this machine runs Linux, its agent is built by another cargo process from the same workspace and lock file. Agents
//! for other platforms are files named `<triple>` or `<triple>.exe` in the directory `FLEETSWEEP_AGENTS_DIR`, as
//! `agent/build-agents` creates them. If there is one for this machine, no other is built.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// The compiler flags of agents. `agent/build-agents` reads the same file.
const FLAGS: &str = include_str!("agent/flags");

/// The files from which the agent is built.
const INPUTS: [&str; 7] = [
    "build.rs",
    "agent/Cargo.toml",
    "agent/src",
    "agent/flags",
    "agent/no-unwind-tables.ld",
    "Cargo.toml",
    "Cargo.lock",
];

/// The directory of migrations.
const MIGRATIONS: &str = "migrations";

/// Variables that cargo sets for this build and that the inner cargo must not inherit. Otherwise it would build the agent
/// with the flags, wrappers and directories of the server.
const NOT_INHERITED: &[&str] = &[
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "CLIPPY_TERMINAL_WIDTH",
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];
/// Prefixes of further variables that must not be inherited.
const NOT_INHERITED_PREFIXES: &[&str] =
    &["CARGO_BUILD_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_PROFILE_", "DEP_"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    for path in INPUTS {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=FLEETSWEEP_AGENTS_DIR");
    println!("cargo::rerun-if-changed={MIGRATIONS}");

    let out = PathBuf::from(variable("OUT_DIR")?);
    list_migrations(&out)?;
    let host = variable("HOST")?;
    let mut agents = BTreeMap::new();
    if let Some(folder) = env::var_os("FLEETSWEEP_AGENTS_DIR") {
        println!("cargo::rerun-if-changed={}", folder.display());
        agents = prebuilt(Path::new(&folder))?;
    }
    if !agents.contains_key(&host) {
        if host.contains("-linux-") {
            agents.insert(host.clone(), build(&host, &out)?);
        } else {
            println!(
                "cargo::warning=no agent is built on {host}: name a folder with agents in FLEETSWEEP_AGENTS_DIR, or at run time in FLEETSWEEP_AGENTS"
            );
        }
    }
    embed(&agents, &out)
}

/// Builds the agent for `target` and returns its path.
fn build(target: &str, out: &Path) -> Result<PathBuf, String> {
    // Next to the directories of all profiles, so that all kinds of builds share the result.
    let shared = out
        .ancestors()
        .find(|directory| directory.file_name() == Some(OsStr::new("build")))
        .and_then(Path::parent)
        .and_then(Path::parent)
        .unwrap_or(out)
        .join("agent-target");
    let root = variable("CARGO_MANIFEST_DIR")?;
    let mut flags = flags_of("all", &root);
    flags.extend(flags_of("linux", &root));
    let smaller = flags_of("linker", &root);
    if links(target, out, &smaller)? {
        flags.extend(smaller);
    } else {
        println!("cargo::warning=this linker does not leave out unwind tables (lld does): the agent is 8 % larger");
    }
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let inherited =
            !NOT_INHERITED.contains(&&*name) && !NOT_INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if !inherited {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo
        .args(["build", "--locked", "--package", "fleetsweep-agent", "--bin", "fleetsweep-agent"])
        .args(["--profile", "agent", "--target", target, "--target-dir"])
        .arg(&shared)
        .env("CARGO_BUILD_BUILD_DIR", &shared)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .current_dir(root)
        // Cargo would interpret it as the output of this script.
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be run for the agent: {error}"))?;
    if !status.success() {
        return Err(format!("the agent for {target} was not built ({status}): see the messages of cargo above"));
    }
    Ok(shared.join(target).join("agent/fleetsweep-agent"))
}

/// The flags for a place.
fn flags_of(place: &str, root: &str) -> Vec<String> {
    let lines = FLAGS.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let sources = crate_sources();
    let flags = lines.filter(|(of, _)| *of == place).map(|(_, flag)| flag.trim());
    flags.map(|flag| flag.replace("{root}", root).replace("{sources}", &sources)).collect()
}

/// The directory into which cargo unpacks crates.
fn crate_sources() -> String {
    let home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", env::var("HOME").unwrap_or_default()));
    format!("{home}/registry/src")
}

/// Whether a program can be linked with `flags`. Not all linkers support the linker script.
fn links(target: &str, out: &Path, flags: &[String]) -> Result<bool, String> {
    let source = out.join("probe.rs");
    fs::write(&source, "fn main() {}\n").map_err(|error| format!("{}: {error}", source.display()))?;
    let probe = Command::new(variable("RUSTC")?)
        .args(["--target", target, "-Cpanic=abort", "-Ctarget-feature=+crt-static", "-Crelocation-model=static"])
        .args(flags)
        .arg("-o")
        .arg(out.join("probe"))
        .arg(&source)
        .output()
        .map_err(|error| format!("rustc cannot be run: {error}"))?;
    Ok(probe.status.success())
}

/// The agents in a directory by their triples.
fn prebuilt(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let unreadable = |error| format!("FLEETSWEEP_AGENTS_DIR: {}: {error}", folder.display());
    let folder = fs::canonicalize(folder).map_err(unreadable)?;
    let mut agents = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let triple = name.strip_suffix(".exe").unwrap_or(&name);
        // Other files, such as a README, have other names.
        if path.is_file() && triple.matches('-').count() >= 2 {
            println!("cargo::rerun-if-changed={}", path.display());
            agents.insert(triple.to_owned(), path);
        }
    }
    Ok(agents)
}

/// Copies the agents to the directory of the table that includes them, so that later builds do not change them. The
/// output of `--version` lists them.
fn embed(agents: &BTreeMap<String, PathBuf>, out: &Path) -> Result<(), String> {
    let mut table = String::from("&[\n");
    let mut named = Vec::new();
    for (triple, path) in agents {
        let copy = out.join(triple);
        let bytes = fs::copy(path, &copy).map_err(|error| format!("{}: {error}", path.display()))?;
        named.push(format!("{triple} {:.2} MiB", bytes as f64 / f64::from(1 << 20)));
        writeln!(table, "    ({triple:?}, include_bytes!({:?})),", copy.to_string_lossy())
            .map_err(|error| error.to_string())?;
    }
    table.push_str("]\n");
    let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
    println!("cargo::rustc-env=FLEETSWEEP_EMBEDDED={named}");
    let path = out.join("agents.rs");
    fs::write(&path, table).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes the list of migrations, oldest first. Other files in the directory, such as its README, have other names.
fn list_migrations(out: &Path) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("{MIGRATIONS}: {error}");
    let mut migrations = BTreeMap::new();
    for entry in fs::read_dir(MIGRATIONS).map_err(unreadable)? {
        let path = fs::canonicalize(entry.map_err(unreadable)?.path()).map_err(unreadable)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let named = file.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        let Some((Ok(version), name)) = named.map(|(version, name)| (version.parse::<i64>(), name.to_owned())) else {
            continue;
        };
        if let Some((_, other)) = migrations.insert(version, (name, path)) {
            return Err(format!("{MIGRATIONS}: {file} has the version of {}", other.display()));
        }
    }
    let mut list = String::from("&[\n");
    for (version, (name, path)) in migrations {
        writeln!(list, "    ({version}, {name:?}, include_str!({:?})),", path.to_string_lossy())
            .map_err(|error| error.to_string())?;
    }
    list.push_str("]\n");
    let path = out.join("migrations.rs");
    fs::write(&path, list).map_err(|error| format!("{}: {error}", path.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

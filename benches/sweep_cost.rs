//! Benchmark of a sweep: CPU time of the collector, wall time and memory per client, compared with other tools and a
//! floor in one run on one machine.
//!
//! `cargo bench --bench sweep_cost [-- CLIENTS]`. The clients are SSH servers in this process that execute commands
//! with a shell. Each measured program is a child process, so that the operating system reports its CPU time and memory
//! separately. Wall times include the work of the clients on the same cores, so compare the CPU times, as ratios.
//!
//! * **floor**: one SSH connection, login and `true` per client with the same library and settings and nothing else. A
//!   sweep with new connections cannot be cheaper.
//! * **fleetsweep cold**: the first sweep, in which the agent is uploaded.
//! * **fleetsweep kept**: the next sweep, which uses the kept agent.
//! * **ssh | xargs**: a shell loop with OpenSSH's client that prints three files in /proc.
//! * **ansible**: the module `raw` with the same three files, without fact gathering, if Ansible is installed.
//!
//! It only prints figures. There is no limit that makes it fail.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark ends where it cannot go on, and prints"
)]

use std::{
    borrow::Cow,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use fleetsweep::demo::{Account, Behaviour, SshServer};
use russh::{
    Preferred, cipher,
    keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, load_secret_key, ssh_key::LineEnding},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use wait4::Wait4;

const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR];
const USERNAME: &str = "bench";
const PARALLEL: usize = 64;
/// The command of the other tools. It reads about as much as the agent, without the sampling window.
const PEER_COMMAND: &str = "cat /proc/stat /proc/meminfo /proc/loadavg";

struct Cost {
    name: &'static str,
    cpu_ms: f64,
    wall: Duration,
    peak_bytes: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, directory] = arguments.as_slice()
        && word == "floor"
    {
        runtime().block_on(floor(Path::new(directory)));
        return;
    }
    let clients = arguments.first().map_or(100, |count| count.parse().expect("the number of clients"));
    runtime().block_on(measure(clients));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

async fn measure(clients: u16) {
    let directory = TempDir::new().unwrap();
    let servers = start(clients, directory.path()).await;
    let mut costs = Vec::new();

    let this = std::env::current_exe().unwrap();
    costs.push(cost("floor", Command::new(this).arg("floor").arg(directory.path())).await);
    let sweep = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsweep"));
        command.args(["--once", "--format", "json", "--config"]).arg(directory.path().join("config.xml"));
        command
    };
    costs.push(cost("fleetsweep cold", &mut sweep()).await);
    costs.push(cost("fleetsweep kept", &mut sweep()).await);
    if let Some(mut command) = shell_loop(directory.path()) {
        costs.push(cost("ssh | xargs", &mut command).await);
    }
    if let Some(mut command) = ansible(directory.path()) {
        costs.push(cost("ansible raw", &mut command).await);
    }
    for server in servers {
        server.stop().await.unwrap();
    }
    print(clients, &costs);
}

async fn start(clients: u16, directory: &Path) -> Vec<SshServer> {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let key_path = directory.join("key");
    fs::write(&key_path, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();
    let account =
        Account { username: USERNAME.to_owned(), password: None, authorized_keys: vec![key.public_key().clone()] };
    let mut servers = Vec::new();
    for number in 0..clients {
        let home = directory.join(format!("home-{number}"));
        fs::create_dir(&home).unwrap();
        let server = SshServer::start(SshServer::loopback(number), home, account.clone(), Behaviour::Healthy);
        servers.push(server.await.unwrap());
    }
    let place = |server: &SshServer| (server.address().ip(), server.address().port());
    let config: String = servers
        .iter()
        .map(place)
        .map(|(ip, port)| {
            format!("<client ip=\"{ip}\" port=\"{port}\"><alert type=\"memory\" limit=\"99%\"/></client>\n")
        })
        .collect();
    let shown = directory.display();
    fs::write(
        directory.join("config.xml"),
        format!(
            "<config><collector concurrency=\"{PARALLEL}\" timeout=\"120s\"/><database url=\"sqlite:{shown}/bench.db\"/>\
             <ssh known-hosts=\"{shown}/known_hosts\" host-keys=\"strict\"/>\
             <group username=\"{USERNAME}\" key=\"{shown}/key\">{config}</group></config>"
        ),
    )
    .unwrap();
    let known = |server: &SshServer| {
        let (ip, port) = place(server);
        format!("[{ip}]:{port} {}\n", server.host_key().to_openssh().unwrap())
    };
    fs::write(directory.join("known_hosts"), servers.iter().map(known).collect::<String>()).unwrap();
    let hosts: String = servers.iter().map(|server| format!("{} {}\n", place(server).0, place(server).1)).collect();
    fs::write(directory.join("hosts"), hosts).unwrap();
    servers
}

/// Runs a child process until it ends, and returns its usage with that of its own child processes.
async fn cost(name: &'static str, command: &mut Command) -> Cost {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let peak = std::thread::spawn({
        let pid = child.id();
        move || peak_bytes(pid)
    });
    let ended = tokio::task::spawn_blocking(move || child.wait4().unwrap()).await.unwrap();
    let wall = began.elapsed();
    assert!(ended.status.success(), "{name} ended with {}", ended.status);
    let cpu = ended.rusage.utime + ended.rusage.stime;
    Cost { name, cpu_ms: cpu.as_secs_f64() * 1000.0, wall, peak_bytes: peak.join().unwrap() }
}

/// The peak resident memory of a process, read from /proc until it ends. The value of `wait4` is not usable, because it
/// includes the memory of this process at the time of the fork. For a shell loop, only the shell counts.
fn peak_bytes(pid: u32) -> u64 {
    let mut peak = 0;
    while let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kilobytes) = kilobytes.and_then(|rest| rest.trim().strip_suffix(" kB")) else { break };
        peak = kilobytes.parse::<u64>().unwrap() * 1024;
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        || Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("{program} is not installed: left out");
    }
    found
}

fn shell_loop(directory: &Path) -> Option<Command> {
    installed("ssh").then(|| {
        let shown = directory.display();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!(
            "xargs -P {PARALLEL} -L 1 sh -c 'ssh -F none -i {shown}/key -l {USERNAME} -o IdentitiesOnly=yes -o IdentityAgent=none \
             -o BatchMode=yes -o UserKnownHostsFile={shown}/known_hosts -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR \
             -p \"$1\" \"$0\" \"{PEER_COMMAND}\" </dev/null' < {shown}/hosts"
        ));
        command
    })
}

fn ansible(directory: &Path) -> Option<Command> {
    installed("ansible").then(|| {
        let hosts = fs::read_to_string(directory.join("hosts")).unwrap();
        let line = |host: &str| {
            let (ip, port) = host.split_once(' ').unwrap();
            format!("{ip} ansible_port={port}\n")
        };
        fs::write(directory.join("inventory"), hosts.lines().map(line).collect::<String>()).unwrap();
        let mut command = Command::new("ansible");
        command.args(["all", "-f", &PARALLEL.to_string(), "-u", USERNAME, "-m", "raw", "-a", PEER_COMMAND]);
        command.arg("-i").arg(directory.join("inventory")).arg("--private-key").arg(directory.join("key"));
        command.env("ANSIBLE_HOST_KEY_CHECKING", "True").env(
            "ANSIBLE_SSH_ARGS",
            format!("-o ControlMaster=no -o UserKnownHostsFile={}/known_hosts -o LogLevel=ERROR", directory.display()),
        );
        command
    })
}

/// The child process of the floor: connect, log in and `true` for each host of the list.
async fn floor(directory: &Path) {
    struct Trusting;
    impl russh::client::Handler for Trusting {
        type Error = russh::Error;
        async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, russh::Error> {
            Ok(true)
        }
    }
    let key = Arc::new(load_secret_key(directory.join("key"), None).unwrap());
    let config = Arc::new(russh::client::Config {
        // The same order as in the collector.
        preferred: Preferred { cipher: Cow::Borrowed(CIPHERS), ..Preferred::DEFAULT },
        nodelay: true,
        ..russh::client::Config::default()
    });
    let places = Arc::new(Semaphore::new(PARALLEL));
    let hosts = fs::read_to_string(directory.join("hosts")).unwrap();
    let mut visits = tokio::task::JoinSet::new();
    for host in hosts.lines() {
        let (ip, port) = host.split_once(' ').unwrap();
        let address = (ip.to_owned(), port.parse::<u16>().unwrap());
        let place = places.clone().acquire_owned().await.unwrap();
        let (config, key) = (config.clone(), key.clone());
        visits.spawn(async move {
            let mut session = russh::client::connect(config, address, Trusting).await.unwrap();
            let key = PrivateKeyWithHashAlg::new(key, None);
            assert!(session.authenticate_publickey(USERNAME, key).await.unwrap().success());
            let mut channel = session.channel_open_session().await.unwrap();
            channel.exec(true, "true").await.unwrap();
            while channel.wait().await.is_some() {}
            session.disconnect(russh::Disconnect::ByApplication, "", "").await.unwrap();
            drop(place);
        });
    }
    while let Some(visit) = visits.join_next().await {
        visit.unwrap();
    }
}

fn print(clients: u16, costs: &[Cost]) {
    let floor = costs.first().map_or(1.0, |cost| cost.cpu_ms);
    println!("\n{clients} clients, {PARALLEL} at once\n");
    println!("{:<16} {:>14} {:>10} {:>10} {:>10}", "", "CPU ms/client", "x floor", "wall s", "peak MiB");
    for cost in costs {
        println!(
            "{:<16} {:>14.2} {:>10.1} {:>10.2} {:>10.1}",
            cost.name,
            cost.cpu_ms / f64::from(clients),
            cost.cpu_ms / floor,
            cost.wall.as_secs_f64(),
            cost.peak_bytes as f64 / 1024.0 / 1024.0,
        );
    }
}

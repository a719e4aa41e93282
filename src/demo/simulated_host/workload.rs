//! The data of simulated hosts: workloads with their processes and file systems, and operating systems.

/// The purpose of a machine and the properties that depend on it.
#[derive(Debug)]
pub(super) struct Workload {
    /// The first part of the names of its clients.
    pub(super) name: &'static str,
    /// The possible numbers of cores.
    pub(super) cores: &'static [u16],
    /// The possible sizes of memory, GiB.
    pub(super) memory_gib: &'static [u64],
    /// The range of the mean CPU usage, percent.
    pub(super) cpu: (f64, f64),
    /// The range of the mean memory usage, percent.
    pub(super) memory: (f64, f64),
    /// Received and sent bytes per second, on average.
    pub(super) network: (f64, f64),
    /// The file systems in addition to `/` and `/boot`: mount point and size in GiB.
    pub(super) mounts: &'static [(&'static str, u64)],
    /// The processes with the highest usage.
    pub(super) processes: [Program; 5],
}

/// A process of a workload.
#[derive(Debug)]
pub(super) struct Program {
    /// Its short name.
    pub(super) name: &'static str,
    /// Its fraction of the machine's CPU usage.
    pub(super) cpu: f64,
    /// Its fraction of the used memory.
    pub(super) memory: f64,
}

/// An operating system.
#[derive(Debug, Clone, Copy)]
pub(super) struct System {
    /// Name and version.
    pub(super) version: &'static str,
    /// Kernel release.
    pub(super) kernel: &'static str,
    /// The type of its file systems.
    pub(super) file_system: &'static str,
    /// Its first network interface.
    pub(super) interface: &'static str,
}

const fn program(name: &'static str, cpu: f64, memory: f64) -> Program {
    Program { name, cpu, memory }
}

/// The workload of a client's name, or [`OTHER`].
pub(super) fn of(name: &str) -> &'static Workload {
    let word = name.split('-').next().unwrap_or_default();
    WORKLOADS.iter().find(|workload| workload.name == word).unwrap_or(&OTHER)
}

/// The workloads of the healthy clients.
pub(super) static WORKLOADS: [Workload; 4] = [
    Workload {
        name: "web",
        cores: &[2, 4, 8],
        memory_gib: &[4, 8, 16],
        cpu: (18.0, 42.0),
        memory: (30.0, 55.0),
        network: (1.4e6, 6.2e6),
        mounts: &[("/var/www", 60), ("/var/log", 20)],
        processes: [
            program("php-fpm", 0.46, 0.41),
            program("nginx", 0.31, 0.12),
            program("varnishd", 0.08, 0.22),
            program("systemd-journal", 0.03, 0.04),
            program("sshd", 0.01, 0.01),
        ],
    },
    Workload {
        name: "app",
        cores: &[4, 8, 16],
        memory_gib: &[16, 32],
        cpu: (20.0, 45.0),
        memory: (45.0, 70.0),
        network: (2.1e6, 2.4e6),
        mounts: &[("/opt", 40), ("/var/log", 50)],
        processes: [
            program("java", 0.58, 0.61),
            program("node", 0.19, 0.14),
            program("filebeat", 0.05, 0.03),
            program("dockerd", 0.04, 0.05),
            program("systemd-journal", 0.02, 0.02),
        ],
    },
    Workload {
        name: "db",
        cores: &[8, 16, 32],
        memory_gib: &[64, 128, 256],
        cpu: (12.0, 38.0),
        memory: (58.0, 78.0),
        network: (0.9e6, 3.3e6),
        mounts: &[("/var/lib/postgresql", 800), ("/backup", 1200)],
        processes: [
            program("postgres", 0.38, 0.44),
            program("postgres", 0.21, 0.17),
            program("postgres", 0.14, 0.12),
            program("pgbouncer", 0.07, 0.01),
            program("wal-g", 0.05, 0.02),
        ],
    },
    Workload {
        name: "cache",
        cores: &[2, 4],
        memory_gib: &[32, 64],
        cpu: (6.0, 22.0),
        memory: (60.0, 84.0),
        network: (5.3e6, 7.1e6),
        mounts: &[],
        processes: [
            program("redis-server", 0.55, 0.72),
            program("redis-server", 0.16, 0.15),
            program("redis-sentinel", 0.05, 0.01),
            program("node_exporter", 0.04, 0.01),
            program("systemd-journal", 0.02, 0.02),
        ],
    },
];

/// The workload of all other clients.
pub(super) static OTHER: Workload = Workload {
    name: "",
    cores: &[4, 8],
    memory_gib: &[8, 16, 32],
    cpu: (14.0, 35.0),
    memory: (40.0, 65.0),
    network: (0.4e6, 0.6e6),
    mounts: &[("/srv", 200)],
    processes: [
        program("python3", 0.44, 0.38),
        program("celery", 0.25, 0.24),
        program("rsyslogd", 0.06, 0.03),
        program("cron", 0.02, 0.01),
        program("sshd", 0.01, 0.01),
    ],
};

/// The operating systems, used in turn.
pub(super) const SYSTEMS: [System; 8] = [
    DEBIAN,
    System { version: "Ubuntu 24.04.3 LTS", kernel: "6.8.0-85-generic", file_system: "ext4", interface: "ens18" },
    System {
        version: "Rocky Linux 9.6 (Blue Onyx)",
        kernel: "5.14.0-570.42.2.el9_6.x86_64",
        file_system: "xfs",
        interface: "ens192",
    },
    System {
        version: "openSUSE Leap 15.6",
        kernel: "6.4.0-150600.23.70-default",
        file_system: "btrfs",
        interface: "eth0",
    },
    System {
        version: "Debian GNU/Linux 13 (trixie)",
        kernel: "6.12.48+deb13-amd64",
        file_system: "ext4",
        interface: "enp1s0",
    },
    System { version: "Ubuntu 22.04.5 LTS", kernel: "5.15.0-157-generic", file_system: "ext4", interface: "eth0" },
    System {
        version: "AlmaLinux 8.10 (Cerulean Leopard)",
        kernel: "4.18.0-553.el8_10.x86_64",
        file_system: "xfs",
        interface: "ens3",
    },
    System {
        version: "Red Hat Enterprise Linux 9.6 (Plow)",
        kernel: "5.14.0-570.49.1.el9_6.x86_64",
        file_system: "xfs",
        interface: "ens192",
    },
];

/// The most common one.
pub(super) const DEBIAN: System = System {
    version: "Debian GNU/Linux 12 (bookworm)",
    kernel: "6.1.0-40-amd64",
    file_system: "ext4",
    interface: "ens18",
};

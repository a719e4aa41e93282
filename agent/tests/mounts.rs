//! The agent among mounts of many kinds, in a mount namespace of its own, compared with `df`. The selection from the
//! table has its own unit tests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what failed by panicking")]

use std::{collections::BTreeMap, fs, io::Read as _, process::Stdio, time::Duration};

use fleetsweep_agent::{
    SysRng, envelope,
    report::{FileSystem, Inodes, Report},
    request::{EventsWanted, Questions, Request},
};
use tempfile::TempDir;
use uuid::Uuid;

support::trials! {
    needs(Root, Fuse) =>
        a_directory_of_changes_that_never_answers_costs_no_report,
        a_file_system_that_never_answers_keeps_one_process_and_not_one_of_each_sweep;
    needs(Root) =>
        a_further_mount_of_a_file_system_is_measured_if_it_is_named,
        sizes_and_inodes_are_those_of_df,
        the_root_and_the_file_system_with_its_changes_count_once,
        what_cannot_be_written_is_left_out_and_what_the_kernel_made_read_only_is_not,
        real_disks_are_kept_among_hundreds_of_mounts;
}

/// A request with its secret.
fn request() -> (Request, p256::SecretKey) {
    let secret = envelope::fresh_secret(&mut SysRng).unwrap();
    let request = Request {
        collection: Uuid::from_u128(7),
        server_key: secret.public_key(),
        window: Duration::from_millis(200),
        deadline: Duration::from_secs(60),
        events: EventsWanted::No,
        questions: Questions::default(),
    };
    (request, secret)
}

/// The report of the agent after these commands of a shell, in a mount namespace of its own with the temporary
/// directory as `$D`.
fn report_after(directory: &TempDir, commands: &str) -> Report {
    report_about(directory, commands, &[])
}

/// The same if the file systems at these further mount points are asked for.
fn report_about(directory: &TempDir, commands: &str, mounts: &[String]) -> Report {
    let (mut request, secret) = request();
    for point in mounts {
        request.questions.ask_for_mount(point).unwrap();
    }
    let mut running = support::own_mounts()
        .args(["/bin/sh", "-ec"])
        .arg(format!("{commands}\nexec \"$0\" \"$1\""))
        .args([env!("CARGO_BIN_EXE_fleetsweep-agent"), &request.to_argument()])
        .env("D", directory.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The agent ends when its input ends.
    let input = running.stdin.take();
    let mut answer = Vec::new();
    running.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    assert!(running.wait().unwrap().success());
    drop(input);
    Report::from_xml(&envelope::open(&answer, &request, &secret).unwrap()).unwrap()
}

/// The file systems below the temporary directory, by what follows it in their path.
fn below<'a>(directory: &TempDir, report: &'a Report) -> BTreeMap<&'a str, &'a FileSystem> {
    let prefix = directory.path().to_str().unwrap();
    report.file_systems.iter().filter_map(|system| Some((system.mount.strip_prefix(prefix)?, system))).collect()
}

async fn a_further_mount_of_a_file_system_is_measured_if_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let commands = "cd \"$D\"; mkdir -p a b; mount -t tmpfs -o size=8m one a; mkdir a/in; mount --bind a/in b";
    let of = |mounts: &[String]| {
        let report = report_about(&directory, commands, mounts);
        below(&directory, &report).iter().map(|(mount, system)| (mount.to_string(), system.total_bytes)).collect()
    };
    let expected = |mounts: &[&str]| mounts.iter().map(|mount| (mount.to_string(), 8 << 20)).collect();
    let whole: BTreeMap<String, u64> = of(&[]);
    assert_eq!(whole, expected(&["/a"]));
    assert_eq!(of(&[directory.path().join("b").to_str().unwrap().to_owned()]), expected(&["/a", "/b"]));
}

async fn sizes_and_inodes_are_those_of_df() {
    let directory = tempfile::tempdir().unwrap();
    let report = report_after(
        &directory,
        "cd \"$D\"; mkdir a \"it's \\\"b\\\"\" disk
         mount -t tmpfs -o size=8m,nr_inodes=100 one a; head -c 3000000 /dev/zero >a/file
         mount -t tmpfs -o size=4m two \"it's \\\"b\\\"\"; touch \"it's \\\"b\\\"/x\"
         truncate -s 32M image; mkfs.ext4 -q -m 10 image; mount -o loop image disk; head -c 5000000 /dev/zero >disk/file
         cd /; df -B1 --output=target,size,used,avail,itotal,iavail \"$D/a\" \"$D/it's \\\"b\\\"\" \"$D/disk\" >\"$D/df\"",
    );
    let said = fs::read_to_string(directory.path().join("df")).unwrap();
    let mut expected = BTreeMap::new();
    for line in said.lines().skip(1) {
        // From the right, because names contain blanks.
        let numbers: Vec<u64> = line.split_whitespace().rev().take(5).map(|word| word.parse().unwrap()).collect();
        let &[free, inodes, available_bytes, used_bytes, total_bytes] = numbers.as_slice() else { panic!("{line}") };
        let target = line.split(&format!(" {total_bytes} ")).next().unwrap().trim_end();
        let target = target.strip_prefix(directory.path().to_str().unwrap()).unwrap().to_owned();
        expected.insert(target, (total_bytes, used_bytes, available_bytes, Some(Inodes { total: inodes, free })));
    }
    let measured: BTreeMap<String, _> = below(&directory, &report)
        .into_iter()
        .map(|(point, system)| {
            (point.to_owned(), (system.total_bytes, system.used_bytes, system.available_bytes, system.inodes))
        })
        .collect();
    assert_eq!(measured, expected);
    assert_eq!(measured.len(), 3);
}

/// Functions of the shell. `hang DIRECTORY` mounts a file system whose program answers the first message (FUSE_INIT), and reads
/// the others without an answer. The kernel then ends a thread that asks for no signal. `end` waits until a process has ended
/// as far as it can.
const HANGING: &str = r#"
    hang() {
        exec 5<>/dev/fuse
        mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 hung "$1"
        dd bs=1M count=1 of="$D/init" <&5 2>/dev/null
        { printf '\120\000\000\000\000\000\000\000'; tail -c +9 "$D/init" | head -c 8
          printf '\007\000\000\000\037\000\000\000'; head -c 56 /dev/zero; } >"$D/reply"
        dd bs=1M count=1 if="$D/reply" >&5 2>/dev/null
        dd bs=1M of=/dev/null <&5 2>/dev/null &
        program=$!; exec 5>&-
    }
    end() {
        while read -r line </proc/$1/stat && case $line in *') Z '*) false;; esac; do sleep 0.05; done 2>/dev/null
    }"#;

/// Runs these commands of a shell, in a mount namespace of its own, with [`HANGING`] and the agent's request as `$1`.
fn run_beside_a_hanging_file_system(directory: &TempDir, commands: &str, request: &Request) {
    let mut running = support::own_mounts()
        .args(["timeout", "100", "/bin/sh", "-ec", &format!("{HANGING}\n{commands}")])
        .args([env!("CARGO_BIN_EXE_fleetsweep-agent"), &request.to_argument()])
        .env("D", directory.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // The agents end when their input ends.
    let input = running.stdin.take();
    let status = running.wait().unwrap();
    drop(input);
    assert!(status.success(), "{status}");
}

async fn a_file_system_that_never_answers_keeps_one_process_and_not_one_of_each_sweep() {
    let directory = tempfile::tempdir().unwrap();
    let (request, secret) = request();
    let commands = r#"
        cd "$D"; mkdir hung; exec 6<&0; hang hung
        device=$(awk '$5 ~ "/hung$" { print $3 }' /proc/self/mountinfo)
        for sweep in 1 2 3; do
            "$0" "$1" <&6 >answer$sweep &
            until grep -q -s -e 'END FLEETSWEEP' answer$sweep; do sleep 0.05; done
            end $!
        done
        cat /proc/[0-9]*/task/*/comm 2>/dev/null | grep -c -x -e "fs $device" >left || :
        kill $program; umount -l hung; wait"#;
    run_beside_a_hanging_file_system(&directory, commands, &request);
    let mount = directory.path().join("hung").to_str().unwrap().to_owned();
    let why = |sweep: &str| {
        let answer = fs::read(directory.path().join(format!("answer{sweep}"))).unwrap();
        let report = Report::from_xml(&envelope::open(&answer, &request, &secret).unwrap()).unwrap();
        assert!(report.silent_mounts.contains(&mount), "{sweep}: {:?}", report.silent_mounts);
        let what = format!("file system {mount}");
        report.warnings.into_iter().find(|warning| warning.what == what).unwrap().why
    };
    let open = "an earlier agent still waits for its answer";
    assert_eq!(["1", "2", "3"].map(why), ["no answer within 1000 ms", open, open]);
    assert_eq!(fs::read_to_string(directory.path().join("left")).unwrap(), "1\n");
}

/// In a container, the directory is a path of the host, where something else can be mounted.
async fn a_directory_of_changes_that_never_answers_costs_no_report() {
    let directory = tempfile::tempdir().unwrap();
    let (request, secret) = request();
    let commands = format!(
        r#"{OVERLAY_ROOT}
        exec 6<&0; hang "new$D/up"
        chroot new /agent "$1" <&6 >answer &
        until grep -q -s -e 'END FLEETSWEEP' answer; do sleep 0.05; done
        end $!
        kill $program; umount -l "new$D/up"; wait"#
    );
    run_beside_a_hanging_file_system(&directory, &commands, &request);
    let answer = fs::read(directory.path().join("answer")).unwrap();
    let report = Report::from_xml(&envelope::open(&answer, &request, &secret).unwrap()).unwrap();
    assert_eq!(sizes(&report), [("/", "overlay", OVERLAY_BYTES)]);
    let why =
        report.warnings.iter().find(|warning| warning.what == "upper directory of /").map(|warning| &*warning.why);
    assert_eq!(why, Some("no answer within 1000 ms"), "{:?}", report.warnings);
}

async fn what_cannot_be_written_is_left_out_and_what_the_kernel_made_read_only_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let report = report_after(
        &directory,
        "cd \"$D\"; mkdir ro kept over low up work image broken bound
         mount -t tmpfs -o ro,size=1m x ro
         mount -t tmpfs -o size=1m x kept; mount --bind kept bound; mount -o remount,bind,ro bound
         mount -t tmpfs -o size=1m x up; mkdir up/u up/w; mount -t overlay -o lowerdir=low,upperdir=up/u,workdir=up/w o over
         truncate -s 8M one; mkfs.ext4 -q one; mount -o loop,ro one image
         truncate -s 8M two; mkfs.ext4 -q two; mount -o loop,errors=remount-ro two broken
         device=$(findmnt -n -o SOURCE \"$D/broken\"); echo test >/sys/fs/ext4/${device##*/}/trigger_fs_error
         cd /",
    );
    let points: Vec<_> = below(&directory, &report).into_keys().collect();
    assert_eq!(points, ["/broken", "/kept", "/up"]);
}

/// Commands that make an overlay at `new` with the agent, to which a process can be confined. Its changes are below `$D/up`.
const OVERLAY_ROOT: &str = r#"
    cd "$D"; mkdir up new; mount -t tmpfs -o size=99m x up; mkdir up/u up/w
    mount -t overlay -o "lowerdir=/,upperdir=$D/up/u,workdir=$D/up/w" o new
    mkdir -p new/proc "new$D/up"; mount --rbind /proc new/proc; cp "$0" new/agent"#;
const OVERLAY_BYTES: u64 = 99 << 20;

/// Mount point, type and size of each file system.
fn sizes(report: &Report) -> Vec<(&str, &str, u64)> {
    report.file_systems.iter().map(|system| (&*system.mount, &*system.kind, system.total_bytes)).collect()
}

async fn the_root_and_the_file_system_with_its_changes_count_once() {
    let directory = tempfile::tempdir().unwrap();
    let commands = format!("{OVERLAY_ROOT}\nmount --bind up \"new$D/up\"; exec chroot new /agent \"$1\"");
    let report = report_after(&directory, &commands);
    assert_eq!(sizes(&report), [("/", "overlay", OVERLAY_BYTES)]);
}

async fn real_disks_are_kept_among_hundreds_of_mounts() {
    let directory = tempfile::tempdir().unwrap();
    let report = report_after(
        &directory,
        "cd \"$D\"; for n in $(seq 560); do mkdir $n; mount -t tmpfs -o size=64k x $n; done
         mkdir disk; truncate -s 8M one; mkfs.ext4 -q one; mount -o loop one disk; cd /",
    );
    let systems = below(&directory, &report);
    assert!(systems.contains_key("/disk"), "{systems:?}");
    assert_eq!(report.file_systems.len() + report.silent_mounts.len(), 512);
    let omitted = report.omitted_file_systems;
    assert!((49..=200).contains(&omitted), "{omitted}");
    let all = 512 + omitted;
    let why = format!("{omitted} of {all} are left out: a report carries 512");
    let warned = report.warnings.iter().any(|warning| warning.what == "further file systems" && warning.why == why);
    assert!(warned, "{:?}", report.warnings);
}

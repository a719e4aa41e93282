//! Tables of mounts, as the kernel writes them, and what is selected from them.

use std::{fmt::Write as _, time::Instant};

use super::*;

#[track_caller]
fn check(table: &str, expected: &[(&str, &str)]) {
    check_with(table, "", expected);
}

#[track_caller]
fn check_with(table: &str, fstab: &str, expected: &[(&str, &str)]) {
    let selection = worth_reporting(table.as_bytes(), fstab.as_bytes(), &[], None, 512);
    let mounts: Vec<_> = selection.mounts.iter().map(|mount| (mount.point.to_str().unwrap(), &*mount.kind)).collect();
    assert_eq!((mounts.as_slice(), selection.omitted), (expected, 0), "{table}");
}

#[test]
fn the_root_of_a_chroot_is_measured_although_it_is_no_mount() {
    let proc = "22 27 0:21 / /proc rw - proc proc rw\n";
    let data = "30 27 8:1 / /data rw - ext4 /dev/sda1 rw\n";
    let root = "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
    let of = |major, minor| Device { major, minor };
    for (table, device, expected) in [
        (proc.to_owned(), of(8, 1), true),
        (format!("{proc}{data}"), of(8, 2), true),
        // It is on the same file system as a mount below it.
        (format!("{proc}{data}"), of(8, 1), false),
        (format!("{root}{proc}"), of(8, 1), false),
        // A root that is left out, because it cannot be written.
        ("27 1 7:1 / / ro - squashfs /dev/loop1 ro\n".to_owned(), of(7, 1), false),
    ] {
        let mut selection = worth_reporting(table.as_bytes(), b"", &[], None, 10);
        let before = selection.mounts.len();
        selection.add_confined_root(device, 10);
        let found = selection.mounts.get(before).map(|mount| mount.point.clone());
        assert_eq!(found, expected.then(|| "/".into()), "{table}");
    }
}

#[test]
fn an_ordinary_machine_shows_its_real_file_systems() {
    check(
        "22 27 0:20 / /sys rw,nosuid - sysfs sysfs rw\n\
         23 27 0:21 / /proc rw - proc proc rw\n\
         24 27 0:5 / /dev rw - devtmpfs udev rw,size=4k\n\
         27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
         28 24 0:25 / /dev/shm rw shared:4 - tmpfs tmpfs rw\n\
         40 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n\
         41 27 254:16 / /srv/my\\040data\\134x rw - xfs /dev/vdb rw\n\
         42 27 0:99 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n\
         a line of another kind\n",
        &[("/dev", "devtmpfs"), ("/", "ext4"), ("/dev/shm", "tmpfs"), ("/srv/my data\\x", "xfs")],
    );
}

#[test]
fn a_file_system_mounted_twice_counts_once_where_most_of_it_shows() {
    check(
        "27 1 254:0 /sub / rw - btrfs /dev/vda rw\n\
         28 27 254:0 /sub/srv /srv rw - btrfs /dev/vda rw\n\
         29 27 254:0 / /mnt/all rw - btrfs /dev/vda rw\n\
         30 27 254:1 / /data/long rw - ext4 /dev/vdb rw\n\
         31 27 254:1 / /data2 rw - ext4 /dev/vdb rw\n",
        &[("/mnt/all", "btrfs"), ("/data2", "ext4")],
    );
}

/// Where /var is a subvolume of the root, an alert on it had no value.
#[test]
fn a_further_mount_of_a_file_system_counts_if_it_is_named() {
    let table = "27 1 254:0 /@ / rw - btrfs /dev/vda rw\n\
         28 27 254:0 /@/var /var rw - btrfs /dev/vda rw\n\
         29 27 254:0 /@/srv /srv rw - btrfs /dev/vda rw\n\
         30 27 254:1 / /data rw - ext4 /dev/vdb rw\n\
         31 27 254:0 /@/hidden /data/hidden rw - btrfs /dev/vda rw\n\
         32 27 254:2 / /data rw - xfs /dev/vdc rw\n\
         33 27 0:21 / /proc rw - proc proc rw\n\
         34 27 254:0 /@/ro /ro ro - btrfs /dev/vda rw\n";
    for (named, max, expected, omitted) in [
        (&[][..], 9, &["/", "/data"][..], 0),
        (&["/var"], 9, &["/", "/var", "/data"], 0),
        (&["/var/", "/srv//"], 9, &["/", "/var", "/srv", "/data"], 0),
        (&["/", "/data", "//"], 9, &["/", "/data"], 0),
        (&["/var"], 2, &["/", "/var"], 1),
        // Hidden, none of its own, a view into the kernel, no path at all.
        (&["/data/hidden", "/va", "/proc", "var", ""], 9, &["/", "/data"], 0),
    ] {
        let named: Vec<String> = named.iter().map(ToString::to_string).collect();
        let selection = worth_reporting(table.as_bytes(), b"", &named, None, max);
        let points: Vec<_> = selection.mounts.iter().map(|mount| mount.point.to_str().unwrap()).collect();
        assert_eq!((points.as_slice(), selection.omitted), (expected, omitted), "{named:?}");
    }
}

#[test]
fn a_mount_that_another_hides_is_left_out() {
    check(
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
         30 27 254:1 / /mnt/a rw - ext4 /dev/vdb rw\n\
         31 27 254:2 / /mnt rw - ext4 /dev/vdc rw\n\
         32 31 254:3 / /mnt/b rw - ext4 /dev/vdd rw\n\
         33 32 254:4 / /mnt/b rw - ext4 /dev/vde rw\n\
         34 27 254:5 / /mntx rw - ext4 /dev/vdf rw\n",
        &[("/", "ext4"), ("/mnt", "ext4"), ("/mnt/b", "ext4"), ("/mntx", "ext4")],
    );
    // Everything below a hidden mount is hidden too, and the last of a stack is reached whatever the order of lines.
    check(
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
         33 32 254:4 / /a rw - ext4 /dev/vde rw\n\
         32 27 254:3 / /a rw - ext4 /dev/vdd rw\n\
         34 32 254:5 / /a/b rw - ext4 /dev/vdf rw\n\
         35 34 254:6 / /a/b/c rw - ext4 /dev/vdg rw\n\
         36 33 254:7 / /a/d rw - ext4 /dev/vdh rw\n",
        &[("/", "ext4"), ("/a", "ext4"), ("/a/d", "ext4")],
    );
    // The table of a process in a changed root does not show what is above.
    check("30 27 254:1 / /srv rw - ext4 /dev/vdb rw\n", &[("/srv", "ext4")]);
}

#[test]
fn the_root_of_a_container_is_the_whole() {
    check("600 500 0:52 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n", &[("/", "overlay")]);
    check("600 500 0:52 / / rw - fuse.fuse-overlayfs fuse-overlayfs rw\n", &[("/", "fuse.fuse-overlayfs")]);
}

#[test]
fn a_table_that_turns_in_circles_ends() {
    check(
        "1 2 8:1 / /a rw - ext4 a rw\n2 1 8:2 / /b rw - ext4 b rw\n3 3 8:3 / /c rw - ext4 c rw\n",
        &[("/a", "ext4"), ("/b", "ext4"), ("/c", "ext4")],
    );
    check("", &[]);
    check("1 2 8:1 / /a\\04 rw - ext4 a rw", &[("/a\\04", "ext4")]);
    check("1 2 8:1 / /a\\888 rw - ext4 a rw", &[("/a\\888", "ext4")]);
    check("1 2 8:1 / /a\\777 rw - ext4 a rw", &[("/a\\777", "ext4")]);
}

/// One line after another: `options of the mount, type, options of the file system, whether it is shown`.
#[test]
fn what_cannot_be_written_is_full_by_nature() {
    for (mount, kind, system, is_shown) in [
        ("rw", "ext4", "rw", true),
        ("ro,relatime", "ext4", "ro", false),
        ("ro", "tmpfs", "rw,size=4k", false),
        ("rw", "nfs4", "rw", true),
        ("ro", "nfs4", "rw", false),
        // Made read-only by the kernel after errors.
        ("rw,relatime", "ext4", "ro,errors=remount-ro", true),
        ("rw", "btrfs", "ro,space_cache", true),
        ("rw", "vfat", "ro", true),
        ("rw", "squashfs", "ro", false),
        ("ro", "squashfs", "ro", false),
        ("rw", "erofs", "ro", false),
        ("rw", "iso9660", "ro", false),
        ("rw", "udf", "ro", false),
        ("rw", "udf", "rw", true),
        ("rw", "hfsplus", "ro", false),
        ("rw", "hfsplus", "rw", true),
        ("rw", "fuseblk", "rw", true),
        ("rw", "fuse.sshfs", "rw", true),
        ("rw", "fuse.squashfuse", "rw", false),
        ("rw", "fuse.squashfuse_ll", "rw", false),
        ("ro", "fuse.snapfuse", "rw", false),
        ("rw", "fuse.erofsfuse", "rw", false),
        ("ro", "fuse.Editor-1.2.AppImage", "ro", false),
        ("rw", "fuse.Editor.appimage", "rw", false),
        ("rw", "composefs", "ro", false),
    ] {
        let table = format!("27 1 8:1 / /mnt {mount} shared:1 - {kind} source {system}\n");
        let shown = [("/mnt", kind)];
        check(&table, if is_shown { &shown } else { &[] });
    }
    check("27 1 0:9 / /tmp/.mount_EditorXY rw - fuse.editor editor rw\n", &[]);
    check("27 1 0:9 / /tmp/mount rw - fuse.editor editor rw\n", &[("/tmp/mount", "fuse.editor")]);
}

#[test]
fn the_root_of_an_image_based_system_is_no_disk_and_its_data_are() {
    // composefs: the root is an overlay without an upper directory.
    check(
        "27 1 0:30 / / ro,relatime - overlay composefs ro,lowerdir+=/run/ostree/.private/cfsroot-lower,redirect_dir=on\n\
         28 27 8:3 / /sysroot ro - ext4 /dev/sda3 rw\n\
         29 27 8:3 /ostree/deploy/os/var /var rw - ext4 /dev/sda3 rw\n\
         30 27 8:3 /ostree/deploy/os/deploy/1/etc /etc rw - ext4 /dev/sda3 rw\n",
        &[("/var", "ext4")],
    );
    // A read-only partition as root, with an overlay for what changes.
    check(
        "27 1 254:0 / / ro - ext4 /dev/mapper/usr ro\n\
         28 27 254:1 / /var rw - ext4 /dev/vda9 rw\n\
         29 27 0:31 / /etc rw - overlay overlay rw,lowerdir=/etc,upperdir=/var/etc,workdir=/var/work\n\
         30 27 0:32 / /usr ro - overlay sysext ro,lowerdir=/run/ext:/usr\n",
        &[("/var", "ext4")],
    );
    check("27 1 0:31 / / rw - overlay overlay rw,lowerdir=/ro,upperdir=/rw/up,workdir=/rw/w\n", &[("/", "overlay")]);
    check("27 1 0:31 / / rw - overlay overlay rw,lowerdir=/one:/two\n", &[]);
}

/// On OpenWrt, the one disk that can be written was reported as `/` and as `/overlay`, with an alert for each.
#[test]
fn the_file_system_with_the_changes_of_an_overlay_counts_once() {
    let table = "15 1 0:14 / / rw,noatime - overlay overlayfs:/overlay rw,lowerdir=/,upperdir=/overlay/up\\040per,workdir=/overlay/work\n\
         16 15 31:5 / /rom ro,relatime - squashfs /dev/root ro\n\
         17 15 0:12 / /overlay rw,noatime - ubifs ubi0_1 rw\n\
         18 15 0:13 / /tmp rw - tmpfs tmpfs rw\n";
    assert_eq!(upper_directory(table.as_bytes()), Some("/overlay/up per".into()));
    let named = ["/overlay".to_owned()];
    for (upper, named, expected) in [
        (Some(Device { major: 0, minor: 12 }), &[][..], &["/", "/tmp"][..]),
        (Some(Device { major: 0, minor: 12 }), &named[..], &["/", "/overlay", "/tmp"]),
        // In a container: the directory is outside of it, or another file system has its path.
        (None, &[], &["/", "/overlay", "/tmp"]),
        (Some(Device { major: 8, minor: 1 }), &[], &["/", "/overlay", "/tmp"]),
    ] {
        let selection = worth_reporting(table.as_bytes(), b"", named, upper, 512);
        let points: Vec<_> = selection.mounts.iter().map(|mount| mount.point.to_str().unwrap()).collect();
        assert_eq!(points, expected, "{upper:?} {named:?}");
    }
    for (table, expected) in [
        ("27 1 8:1 / / rw - ext4 /dev/sda1 rw\n", None),
        ("27 1 0:31 / / rw - overlay overlay rw,lowerdir=/one:/two\n", None),
        ("27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 0:31 / /x rw - overlay overlay rw,upperdir=/u\n", None),
        ("27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 0:31 / / rw - overlay overlay rw,upperdir=/u\n", Some("/u")),
    ] {
        assert_eq!(upper_directory(table.as_bytes()), expected.map(Into::into), "{table}");
    }
}

#[test]
fn a_root_that_should_be_writable_and_is_not_stays_visible() {
    let table = "27 1 8:1 / / ro - ext4 /dev/sda1 ro\n28 27 8:2 / /my\\040data ro - xfs /dev/sda2 ro\n\
                 29 27 11:0 / /media/cdrom ro - udf /dev/sr0 ro\n";
    let both = &[("/", "ext4"), ("/my data", "xfs")][..];
    for (fstab, expected) in [
        ("UUID=1 / ext4 errors=remount-ro 0 1\nUUID=2\t/my\\040data auto defaults 0 2\n", both),
        ("UUID=1 / ext4,xfs defaults 0 1", &both[..1]),
        ("UUID=1 / ext4\n", &both[..1]),
        ("UUID=1 / ext4 defaults,ro 0 1\n", &[]),
        ("UUID=2 /my\\040data/ xfs defaults 0 2\nUUID=1 // ext4\n", both),
        ("UUID=2 /my\\040data// ext4\nUUID=2 /my\\040data xfs\n", &both[1..]),
        ("# UUID=1 / ext4 defaults 0 1\n", &[]),
        ("/dev/sr0 /media/cdrom udf,iso9660 user,noauto 0 0\n", &[]),
        // It is about what is below an overlay.
        ("UUID=1 / btrfs defaults 0 1\n", &[]),
        ("nonsense\n / \n", &[]),
    ] {
        check_with(table, fstab, expected);
    }
}

#[test]
fn a_mount_of_nfs_that_should_be_writable_has_the_version_of_the_server() {
    let table = "27 1 0:40 / /data ro - nfs4 server:/data ro,vers=4.2\n";
    check_with(table, "server:/data /data/ nfs defaults 0 0\n", &[("/data", "nfs4")]);
    check_with(table, "server:/data /data nfs4 defaults 0 0\n", &[("/data", "nfs4")]);
    check_with(table, "server:/data /data nfs ro 0 0\n", &[]);
    check_with("27 1 0:40 / /data ro - nfs s:/ ro\n", "server:/data /data nfs4 defaults 0 0\n", &[]);
}

/// It took 243 ms for 8,000 read-only mounts and as many lines of fstab.
#[test]
fn the_time_does_not_grow_with_the_length_of_fstab_for_each_mount() {
    let (mut table, mut fstab) = (String::new(), String::new());
    for number in 0..20_000 {
        writeln!(table, "{} 27 8:{number} / /m/{number} ro - ext4 /dev/x ro", 100 + number).unwrap();
        writeln!(fstab, "/dev/x /m/{number} ext4 defaults 0 0").unwrap();
    }
    let begun = Instant::now();
    let selection = worth_reporting(table.as_bytes(), fstab.as_bytes(), &[], None, 512);
    assert_eq!((selection.mounts.len(), selection.omitted), (512, 19_488));
    // The square would take minutes.
    assert!(begun.elapsed() < support::SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_writable_mount_is_preferred_to_a_read_only_one_of_the_same_file_system() {
    check(
        "27 1 8:1 / /a ro - ext4 /dev/sda1 rw\n28 1 8:1 /some/where /bind/mount rw - ext4 /dev/sda1 rw\n",
        &[("/bind/mount", "ext4")],
    );
}

#[test]
fn names_of_any_bytes_are_kept() {
    let table = b"27 1 8:1 / /\xff\\012\\011\"'\\134 rw - ext4 /dev/my\\040disk rw\n";
    let selection = worth_reporting(table, b"", &[], None, 512);
    let [mount] = selection.mounts.as_slice() else { panic!("{selection:?}") };
    assert_eq!(mount.point.clone().into_os_string().into_vec(), b"/\xff\n\t\"'\\");
}

#[test]
fn real_disks_come_first_where_the_list_is_cut() {
    let mut table = String::new();
    for number in 0..600 {
        writeln!(table, "{} 27 0:{number} / /run/user/{number} rw - tmpfs tmpfs rw", 1000 + number).unwrap();
        writeln!(table, "{} 27 0:{} / /home/u/{number} rw - fuse.x x rw", 3000 + number, 10_000 + number).unwrap();
    }
    for number in 0..3 {
        writeln!(table, "{} 27 8:{number} / /disk{number} rw - ext4 /dev/sda{number} rw", 2000 + number).unwrap();
    }
    table += "26 27 0:7000 / /pool rw - zfs pool rw\n27 1 0:8000 / / rw - overlay overlay rw,upperdir=/u\n";
    let shown = |max| {
        let Selection { mounts, omitted, .. } = worth_reporting(table.as_bytes(), b"", &[], None, max);
        let points: Vec<_> = mounts.iter().map(|mount| mount.point.to_str().unwrap().to_owned()).collect();
        (points, omitted)
    };
    assert_eq!(shown(1), (vec!["/".to_owned()], 1204));
    let (points, omitted) = shown(6);
    assert_eq!(points, ["/home/u/0", "/disk0", "/disk1", "/disk2", "/pool", "/"]);
    assert_eq!(omitted, 1199);
    assert_eq!(shown(2000).1, 0);
}

/// It took a second for 4,000 mounts, because each line was compared with all others.
#[test]
fn the_time_grows_with_the_number_of_mounts_and_not_with_its_square() {
    // Mounts next to each other, on top of each other, and within each other.
    let shapes: [fn(usize) -> String; 3] = [
        |number| format!("{} 27 0:{number} / /mnt/{number} rw - tmpfs t rw\n", 100 + number),
        |number| format!("{} {} 0:{number} / /mnt rw - tmpfs t rw\n", 100 + number, 99 + number),
        |number| {
            format!("{} {} 0:{number} / /{} rw - tmpfs t rw\n", 100 + number, 99 + number, "d/".repeat(number % 100))
        },
    ];
    for shape in shapes {
        let table: String = (0..20_000).map(shape).collect();
        let begun = Instant::now();
        let selection = worth_reporting(table.as_bytes(), b"", &[], None, 512);
        assert!(!selection.mounts.is_empty());
        // The square would take minutes.
        assert!(begun.elapsed() < support::SOON, "{:?}", begun.elapsed());
    }
}

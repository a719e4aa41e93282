//! The highest temperature that the sensors of the machine show. Those of hard disks are left out: asking a disk can
//! keep it from resting.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::hanging::Hanging;

/// The most sensors that are read.
const MAX_SENSORS: usize = 256;
/// The driver of the sensors of hard disks.
const DISK: &[u8] = b"drivetemp";
/// What a sensor can show, thousandths of a degree Celsius. Others are not connected or broken.
const PLAUSIBLE: std::ops::RangeInclusive<i32> = -40_000..=125_000;

/// The highest temperature, thousandths of a degree Celsius; `None` without sensors, and if they do not answer in time:
/// some drivers ask the firmware or a bus.
pub(crate) fn highest(hanging: &Hanging, patience: Duration) -> Option<i32> {
    let sensors = sensors_in(Path::new("/sys/class"));
    if sensors.is_empty() {
        return None;
    }
    hanging.ask("sensors", patience, move || highest_of(&sensors)).ok()?
}

/// The files of the sensors: thermal zones, and chips that monitor hardware.
fn sensors_in(class: &Path) -> Vec<PathBuf> {
    let zones = entries(&class.join("thermal")).into_iter().map(|zone| zone.join("temp")).filter(|file| file.exists());
    let is_disk = |chip: &PathBuf| fs::read(chip.join("name")).is_ok_and(|name| name.trim_ascii() == DISK);
    let chips = entries(&class.join("hwmon")).into_iter().take(MAX_SENSORS).filter(|chip| !is_disk(chip));
    zones.chain(chips.flat_map(|chip| entries(&chip)).filter(|file| is_input(file))).take(MAX_SENSORS).collect()
}

fn highest_of(sensors: &[PathBuf]) -> Option<i32> {
    sensors.iter().filter_map(|file| read(file)).max()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Whether it is `tempN_input`.
fn is_input(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("temp") && name.ends_with("_input")
}

fn read(file: &Path) -> Option<i32> {
    let shown: i32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    PLAUSIBLE.contains(&shown).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_plausible_value_counts() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path();
        assert!(sensors_in(class).is_empty());
        let sensor = |path: &str, text: &str| {
            fs::create_dir_all(class.join(path).parent().unwrap()).unwrap();
            fs::write(class.join(path), text).unwrap();
            highest_of(&sensors_in(class))
        };
        for (path, text, expected) in [
            ("thermal/thermal_zone0/type", "acpitz\n", None),
            ("thermal/thermal_zone0/temp", "27800\n", Some(27_800)),
            ("hwmon/hwmon0/temp1_input", "61500\n", Some(61_500)),
            ("hwmon/hwmon3/temp1_input", "70000\n", Some(70_000)),
            ("hwmon/hwmon3/name", "drivetemp\n", Some(61_500)),
            ("hwmon/hwmon0/name", "coretemp\n", Some(61_500)),
            ("hwmon/hwmon0/temp1_crit", "100000\n", Some(61_500)),
            ("hwmon/hwmon0/fan1_input", "3000\n", Some(61_500)),
            ("hwmon/hwmon1/temp2_input", "255000\n", Some(61_500)),
            ("hwmon/hwmon1/temp3_input", "hot\n", Some(61_500)),
            ("hwmon/hwmon1/temp4_input", "-128000\n", Some(61_500)),
        ] {
            assert_eq!(sensor(path, text), expected, "{path}");
        }
    }
}

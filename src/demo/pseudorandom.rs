//! Deterministic pseudorandom numbers, choices and curves for simulated hosts. Pure. Not suitable for secrets.

use std::f64::consts::TAU;

/// The seed for a name.
pub(super) fn seed_of(name: &str) -> u64 {
    // FNV-1a, because the hash function of the standard library may change from release to release.
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The `salt`th number of a seed (splitmix64).
pub(super) fn number(seed: u64, salt: u64) -> u64 {
    let mixed = seed.wrapping_add(salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// [`number`] as a fraction: at least 0, less than 1.
pub(super) fn share(seed: u64, salt: u64) -> f64 {
    // Only the upper 32 bits, which a float can represent exactly.
    let upper = u32::try_from(number(seed, salt) >> 32).unwrap_or(u32::MAX);
    f64::from(upper) / (f64::from(u32::MAX) + 1.0)
}

/// [`number`] in a range: at least `low`, less than `high`.
pub(super) fn between(seed: u64, salt: u64, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * share(seed, salt)
}

/// A random index into a list of `count` entries; 0 if the list is empty.
pub(super) fn place(seed: u64, salt: u64, count: usize) -> usize {
    let wide = number(seed, salt).checked_rem(u64::try_from(count).unwrap_or(u64::MAX)).unwrap_or(0);
    usize::try_from(wide).unwrap_or(0)
}

/// A random entry of a list; `otherwise` if the list is empty.
pub(super) fn pick<T: Copy>(seed: u64, salt: u64, of: &[T], otherwise: T) -> T {
    of.get(place(seed, salt, of.len())).copied().unwrap_or(otherwise)
}

/// A wave from -1 to 1 with a period of `period` seconds and a random phase, plus a smaller one with a third of the
/// period, so that the curve looks less regular.
pub(super) fn wave(seed: u64, salt: u64, seconds: f64, period: f64) -> f64 {
    let turn = seconds / period + share(seed, salt);
    0.8 * (TAU * turn).sin() + 0.2 * (TAU * turn * 3.0).sin()
}

/// Smooth noise from -1 to 1 with a new value every `step` seconds.
pub(super) fn drift(seed: u64, salt: u64, seconds: f64, step: f64) -> f64 {
    let position = (seconds / step).max(0.0);
    let value = |at: f64| 2.0 * share(number(seed, salt), at.to_bits()) - 1.0;
    let (from, part) = (position.floor(), position.fract());
    let eased = part * part * (3.0 - 2.0 * part);
    value(from) + (value(from + 1.0) - value(from)) * eased
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_deterministic_and_in_range() {
        // A published test vector of FNV-1a.
        assert_eq!(seed_of("foobar"), 0x8594_4171_f739_67e8);
        assert_ne!(seed_of("web-01"), seed_of("web-02"));
        for salt in 0..1000 {
            let seed = number(7, salt);
            assert_eq!(seed, number(7, salt));
            assert!((0.0..1.0).contains(&share(seed, salt)));
            assert!((3.0..5.0).contains(&between(seed, salt, (3.0, 5.0))));
            assert!(place(seed, salt, 3) < 3);
            let seconds = f64::from(u32::try_from(salt).unwrap()) * 1.7;
            assert!((-1.0..=1.0).contains(&wave(seed, salt, seconds, 60.0)));
            assert!((-1.0..=1.0).contains(&drift(seed, salt, seconds, 5.0)));
        }
        assert_eq!((place(1, 1, 0), pick(1, 1, &[], 'x')), (0, 'x'));
    }

    #[test]
    fn noise_is_smooth() {
        for tenth in 0..1000 {
            let seconds = f64::from(tenth) / 10.0;
            let step = drift(3, 4, seconds + 0.1, 5.0) - drift(3, 4, seconds, 5.0);
            assert!(step.abs() < 0.07, "{seconds}: {step}");
        }
    }
}

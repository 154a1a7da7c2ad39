//! Whether the time that a wrong key takes tells how wrong it is (after "dude, is my code constant time?", 2016).
//!
//! Ignored, since it takes its time and a busy machine makes it longer:
//! `cargo test -p mcp-server --release --test suite timing -- --ignored`

use std::hint::black_box;
use std::time::Instant;

use mcp_server::auth::fingerprint::Fingerprint;
use mcp_server::auth::keyring::{Found, Key, Keyring};

const SAMPLES: usize = 1_000_000;
/// Beyond this the two are told apart.
const THRESHOLD: f64 = 4.5;

/// Mean and variance as they come (Welford).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
    }

    /// Welch's t.
    fn t(self, other: Self) -> f64 {
        let share = |one: Self| one.squares / (one.count - 1.0) / one.count;
        (self.mean - other.mean) / (share(self) + share(other)).sqrt()
    }
}

/// One key that is right up to its last byte, and keys that are wrong from the first on, in turns that nobody can foresee.
fn measure(ring: &Keyring, near: &[u8]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut times: Vec<(bool, u64)> = Vec::with_capacity(SAMPLES);
    let mut key = vec![0; near.len()];
    for _ in 0..SAMPLES {
        let is_near = random() & 1 == 0;
        // Both are written alike, so that neither is warmer than the other.
        for (byte, near) in key.iter_mut().zip(near) {
            let other = b'a' + u8::try_from(random() % 26).unwrap();
            *byte = if is_near { *near } else { other };
        }
        let began = Instant::now();
        let found = ring.find(&Fingerprint::of(black_box(&key)), Instant::now());
        let took = began.elapsed();
        assert_eq!(black_box(found), Found::Unknown);
        times.push((is_near, u64::try_from(took.as_nanos()).unwrap()));
    }
    let mut sorted: Vec<_> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    // What the machine did in between is in neither.
    let most = sorted[SAMPLES * 9 / 10];
    let mut classes = [Moments::default(); 2];
    for (is_near, time) in times.into_iter().filter(|(_, time)| *time <= most) {
        classes[usize::from(is_near)].add(time as f64);
    }
    classes[0].t(classes[1])
}

#[test]
#[ignore = "takes long; see above"]
fn a_wrong_key_takes_as_long_however_wrong_it_is() {
    let keys: Vec<_> =
        (0..20).map(|n| Key::new(format!("id-{n}"), format!("{n:02}{}", "k".repeat(41)))).collect();
    let ring = Keyring::new(&keys);
    let near = format!("00{}x", "k".repeat(40));
    let seen: Vec<_> = (0..3).map(|_| measure(&ring, near.as_bytes())).collect();
    // A difference that is there shows each time.
    assert!(seen.iter().any(|t| t.abs() < THRESHOLD), "{seen:?}");
}

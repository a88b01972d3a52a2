//! Every fuzz target on a few thousand inputs that are the same in every run: seeds of `fuzz/seeds`,
//! changed in the ways that break parsers. `make fuzz` goes on from there, on nightly, guided by
//! coverage and for as long as one likes; this only sees what is near a seed.

#[path = "../../fuzz/lib.rs"]
mod library;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use library::targets::{TARGETS, Target};
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 20_261_128;
/// Inputs of each target; whoever looks for more sets FUZZ_INPUTS, and FUZZ_TARGET to one of them.
const INPUTS: usize = 8000;
/// A single input that takes this long is a way to stall us: the slowest takes 20 ms.
const SLOW: Duration = Duration::from_secs(5);
/// Numbers that are the ends of something.
const ENDS: [&[u8]; 9] = [
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    b"\xef\xbf\xbf",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds of a target, smallest name first; at least an empty one.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/seeds").join(target);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = paths.iter().map(|path| fs::read(path).unwrap());
    std::iter::once(vec![]).chain(read).collect()
}

/// `input`, changed once to eight times.
fn changed(input: &[u8], seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..=bytes.len());
        let some = at..(at + rng.random_range(0..=16)).min(bytes.len());
        match rng.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => drop(bytes.drain(some)),
            3 => {
                let again = bytes[some].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let end = *ENDS.choose(rng).expect("some");
                bytes.splice(some, end.iter().copied());
            }
            5 => {
                let other = seeds.choose(rng).expect("some");
                let from = rng.random_range(0..=other.len());
                let part = &other[from..(from + 64).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let random: Vec<u8> = (0..rng.random_range(1..9)).map(|_| rng.random()).collect();
                bytes.splice(at..at, random);
            }
        }
    }
    bytes
}

/// Feeds `target` its seeds and what is made of them; says how many inputs that were.
fn feed((name, run): Target, inputs: usize) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let seeds = seeds(name);
    let made = std::iter::from_fn(|| {
        let seed = seeds.choose(&mut rng).expect("an empty one at least");
        Some(changed(seed, &seeds, &mut rng))
    });
    let made: Vec<Vec<u8>> = made.take(inputs).collect();
    for input in seeds.iter().chain(&made) {
        let since = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
            let shown = String::from_utf8_lossy(&input[..input.len().min(2000)]).into_owned();
            panic!("{name} fails on {} bytes: {shown:?}\n{input:?}", input.len());
        }
        let took = since.elapsed();
        assert!(took < SLOW, "{name} takes {took:?} for {} bytes: {input:?}", input.len());
    }
    seeds.len() + made.len()
}

#[test]
fn no_target_fails_on_what_is_near_its_seeds() {
    let wanted = std::env::var("FUZZ_INPUTS").ok().and_then(|n| n.parse().ok());
    let inputs = wanted.unwrap_or(INPUTS);
    let only = std::env::var("FUZZ_TARGET").ok();
    let is_fed = |target: &&Target| only.as_ref().is_none_or(|name| name == target.0);
    std::thread::scope(|scope| {
        for &target in TARGETS.iter().filter(is_fed) {
            // On threads of their own, so that one that fails does not hide the others.
            scope.spawn(move || {
                let since = Instant::now();
                let fed = feed(target, inputs);
                println!("{}: {fed} inputs in {:?}", target.0, since.elapsed());
            });
        }
    });
}

#[test]
fn a_target_that_fails_on_one_input_is_noticed() {
    let target: Target = ("config", |input| assert!(!input.contains(&b'~'), "seeded"));
    let noticed = catch_unwind(|| feed(target, INPUTS)).expect_err("it was not noticed");
    let said = noticed.downcast_ref::<String>().expect("words");
    assert!(said.starts_with("config fails on"), "{said}");
}

#[test]
fn every_target_is_run_by_libfuzzer_and_here() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let folder = root().join("fuzz/fuzz_targets");
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files: BTreeSet<String> =
        fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect();
    assert_eq!(targets, files);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let file = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(file.contains(&format!("targets::{name}(input)")), "{name}");
    }
}

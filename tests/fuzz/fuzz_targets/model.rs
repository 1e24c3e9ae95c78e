//! Mutants of packed models by fields, with sums, sizes and checksum mended; what the parser accepts
//! is run and compared with a second interpreter.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use pupil_tests::cases::Random;
use pupil_tests::fuzz::oracle::{Limits, judge};
use pupil_tests::fuzz::{SEEDS, mutate, seeds};

fuzz_target!(|data: &[u8]| {
    // One frame a model: a finding is its bytes alone.
    let seed = data.iter().fold(7, |seed: u64, b| seed.wrapping_mul(31) + u64::from(*b));
    if let Err(what) = judge(data, &mut Random::new(seed), Limits::default()) {
        panic!("{what}");
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(u64::from(seed));
    // What is no model yet, or no longer, makes room for a seed.
    let fresh = random.below(64) == 0;
    let mutant = match data.get(..size).filter(|_| !fresh) {
        Some(packed) => mutate::mutate(packed, &mut random),
        None => None,
    };
    let bytes = match mutant {
        // Refused ones, too: their way through the parser may be new.
        Some(Ok(bytes) | Err((_, bytes))) => bytes,
        None => seeds::seed(random.below(SEEDS as usize) as u64),
    };
    match data.get_mut(..bytes.len()) {
        Some(to) if bytes.len() <= max_size => {
            to.copy_from_slice(&bytes);
            bytes.len()
        }
        _ => size,
    }
});

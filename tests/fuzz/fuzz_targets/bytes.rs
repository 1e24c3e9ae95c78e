//! Any bytes at all, with the right length and checksum, as libFuzzer mutates them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pupil_tests::cases::Random;
use pupil_tests::fuzz::file::seal;
use pupil_tests::fuzz::oracle::{Limits, judge};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    seal(&mut bytes);
    if let Err(what) = judge(&bytes, &mut Random::new(1), Limits::default()) {
        panic!("{what}");
    }
});

//! Fuzzing of packed models: mutants of valid ones, and the judgment of those that the parser
//! accepts.
//!
//! [`file`] reads and writes all fields of a model, [`mutate`] changes them, [`mend`] corrects what
//! follows from others, [`mod@reference`] is a slow second interpreter, [`oracle`] compares. A mutant
//! is determined by its number. `tests/fuzz` lets
//! libFuzzer choose the numbers; `cargo xtask test fuzz` counts them up; `cargo xtask bench
//! --mutants` sends accepted mutants to a Cortex-M4.

pub mod file;
pub mod mend;
pub mod mutate;
pub mod oracle;
mod place;
mod record;
pub mod reference;
mod refit;
pub mod seeds;
mod settle;
mod structure;

use crate::cases::Random;
use oracle::{Limits, Verdict, judge};

/// Seeds that mutants are made of.
pub const SEEDS: u64 = 600;

/// Makes mutants by number, and keeps the seeds that it has packed.
#[derive(Debug, Default)]
pub struct Mutants {
    seeds: std::collections::HashMap<u64, Vec<u8>>,
}

impl Mutants {
    /// Mutant `index`: the same at every call. Some are mutants of mutants.
    ///
    /// # Errors
    /// What the parser says of it, with its bytes.
    pub fn get(&mut self, index: u64) -> mutate::Mutant {
        let mut random = Random::new(index.wrapping_mul(0x2545_f491) + 77);
        let number = random.below(SEEDS as usize) as u64;
        let seed = self
            .seeds
            .entry(number)
            .or_insert_with(|| seeds::seed(number));
        let mut model = seed.clone();
        for _ in 0..random.below(3) {
            if let Some(Ok(mutant)) = mutate::mutate(&model, &mut random) {
                model = mutant;
            }
        }
        // A seed is a model: it can be read.
        mutate::mutate(&model, &mut random).unwrap_or(Ok(model))
    }

    /// Judges mutant `index`. A panic of core is left to the caller.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn judge(&mut self, index: u64, limits: Limits) -> Result<(Verdict, Vec<u8>), String> {
        match self.get(index) {
            Err((error, bytes)) => Ok((Verdict::Refused(error), bytes)),
            Ok(bytes) => {
                let verdict = judge(&bytes, &mut Random::new(index), limits)?;
                Ok((verdict, bytes))
            }
        }
    }
}

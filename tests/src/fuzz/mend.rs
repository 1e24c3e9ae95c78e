//! Corrects the numbers of a mutant that follow from others, so that the parser gets past them.

use pupil_core::error::{LayerFault, ModelError};
use pupil_core::kernels::scratch_len;
use pupil_core::model::Model;

use super::file::File;
use super::place::place;
use crate::cases::Random;

/// Attempts, a parse each.
const ATTEMPTS: usize = 16;

/// Mends length, section offsets, checksum, multiply-accumulates, arena and, with `moved`, places
/// and scratch memory. The parser's errors carry the right numbers.
///
/// # Errors
/// What the parser says of the last attempt, with its bytes.
pub fn mend(
    file: &mut File,
    random: &mut Random,
    moved: bool,
) -> Result<Vec<u8>, (ModelError, Vec<u8>)> {
    let mut shared = true;
    // Sometimes scratch memory stays larger than necessary, which is valid.
    let mut exact = !moved || random.below(8) == 0;
    if moved {
        place(file, random, shared);
    }
    file.arena = u32::MAX - 3;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let bytes = file.write();
        let error = match Model::parse(&bytes) {
            Ok(model) => {
                let needed: Vec<usize> = model.layers().map(|l| scratch_len(&l.operator)).collect();
                if exact {
                    return Ok(bytes);
                }
                exact = true;
                let records = file.layers.iter_mut().zip(needed);
                records.for_each(|(l, n)| l.scratch = [0, n as u32]);
                place(file, random, shared);
                file.arena = u32::MAX - 3;
                continue;
            }
            Err(error) => error,
        };
        match error {
            _ if attempt == ATTEMPTS => return Err((error, bytes)),
            ModelError::Macs { counted, .. } => file.macs = counted,
            ModelError::ArenaLen { used, .. } => file.arena = used,
            ModelError::Layer {
                layer,
                what: LayerFault::Scratch,
            } if moved => {
                let scratch = &mut file.layers[usize::from(layer)].scratch;
                scratch[1] = scratch[1].saturating_mul(2).clamp(64, 1 << 24);
                place(file, random, shared);
            }
            ModelError::Overlap { .. } | ModelError::Stream { .. } if moved && shared => {
                shared = false;
                place(file, random, shared);
                file.arena = u32::MAX - 3;
            }
            error => return Err((error, bytes)),
        }
    }
}

//! Propagates a change through the later layers: output shapes, and weights for new reduction
//! lengths. A layer that no longer fits becomes a simple one that does.

use super::file::{File, NONE, code};
use super::refit::{append, refit};
use crate::cases::Random;

/// The shapes of all layers' weights: taps and output channels.
pub fn fitted(file: &File) -> Vec<(usize, u16)> {
    let of = |i| (file.taps(i), file.tensors[i + 1].shape[2]);
    (0..file.layers.len()).map(of).collect()
}

/// Propagates a change from the first layer to the last; `before` is the result of [`fitted`] before
/// the change.
pub fn settle(file: &mut File, random: &mut Random, before: &[(usize, u16)]) {
    for i in 0..file.layers.len() {
        let input = file.maps(i)[0].shape;
        let second = file.layers[i].inputs[1];
        let other = file.tensors.get(usize::from(second)).map(|t| t.shape);
        let fits = match file.layers[i].code {
            code::ADD => other == Some(input),
            code::MUL => other == Some([1, 1, input[2]]),
            code::SOFTMAX => input[..2] == [1, 1],
            _ => true,
        };
        if !fits && file.layers[i].code == code::ADD {
            file.layers[i].inputs[1] = file.layers[i].inputs[0];
        } else if !fits {
            lookup(file, i, random);
        }
        let l = file.layers[i];
        let [mut h, mut w, c] = input;
        let mut output = file.tensors[i + 1].shape;
        if matches!(
            l.code,
            code::CONV | code::DEPTHWISE | code::AVERAGE_POOL | code::MAX_POOL
        ) {
            h = side(output[0], h, l.window[2], l.window[4]);
            w = side(output[1], w, l.window[3], l.window[5]);
        }
        output = match l.code {
            code::CONV => [h, w, output[2]],
            code::DEPTHWISE if output[2].is_multiple_of(c.max(1)) => [h, w, output[2]],
            code::DENSE => [1, 1, output[2]],
            code::MEAN => [1, 1, c],
            _ => [h, w, c],
        };
        file.tensors[i + 1].shape = output;
        let filter = matches!(l.code, code::CONV | code::DEPTHWISE | code::DENSE);
        if filter && before.get(i) != Some(&(file.taps(i), output[2])) {
            refit(file, i, random, l.layout);
        } else if l.scratch[1] > 0 {
            file.layers[i].scratch[1] = file.ample_scratch(i) as u32;
        }
    }
    file.relabel();
}

/// The output's side if its last window still begins in the image, else as large as can be.
fn side(output: u16, input: u16, stride: u8, pad: u8) -> u16 {
    let stride = u16::from(stride.max(1));
    let most = input.saturating_add(pad.into()).saturating_sub(1) / stride + 1;
    output.clamp(1, most)
}

/// Turns a layer into a table of its first input.
pub fn lookup(file: &mut File, i: usize, random: &mut Random) {
    let table = random.bytes(256);
    let at = append(file, &table);
    let l = &mut file.layers[i];
    (l.code, l.flags, l.layout) = (code::LOOKUP, 0, 0);
    (l.inputs[1], l.window) = (NONE, [0; 6]);
    (l.sections, l.scratch) = ([0, 0, at, 0], [0, 0]);
}

//! Changes to a packed model's fields, alone or several that depend on one another.

use super::file::{File, NONE, code};
use super::mend::mend;
use super::refit::{append, compact, refit};
use super::settle::{fitted, lookup, settle};
use super::structure;
use crate::cases::Random;
use pupil_core::error::ModelError;

/// Edge cases of proofs and rounding.
const WORDS: [i32; 18] = [
    0,
    1,
    -1,
    i32::MIN,
    i32::MAX,
    1 << 30,
    (1 << 30) + 1,
    1 << 22,
    (1 << 22) - 1,
    1 << 23,
    (1 << 23) - 1,
    i32::MAX - 1,
    -22,
    -31,
    -15,
    30,
    -(1 << 22),
    (1 << 20) - 1,
];

/// A mutant that the parser accepts, or the parser's error and the bytes.
pub type Mutant = Result<Vec<u8>, (ModelError, Vec<u8>)>;

/// One to a few changes of chance to a model, and everything mended that follows from them. None
/// where `packed` can't be taken apart.
pub fn mutate(packed: &[u8], random: &mut Random) -> Option<Mutant> {
    let mut file = File::read(packed)?;
    let before = fitted(&file);
    let mut moved = random.below(3) == 0;
    let changes = 1 + random.below(4).min(random.below(4));
    for _ in 0..changes {
        moved |= change(&mut file, random);
    }
    if moved && before.len() == file.layers.len() {
        settle(&mut file, random, &before);
    }
    if random.below(4) == 0 {
        compact(&mut file, random);
    }
    let mended = mend(&mut file, random, moved);
    if random.below(24) > 0 {
        return Some(mended);
    }
    // One bit anywhere, with the right checksum.
    let (Ok(mut bytes) | Err((_, mut bytes))) = mended;
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    super::file::seal(&mut bytes);
    Some(match pupil_core::model::Model::parse(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err((error, bytes)),
    })
}

/// One change; whether later shapes and places have to be adapted to it.
fn change(file: &mut File, random: &mut Random) -> bool {
    let layer = random.below(file.layers.len());
    match random.below(30) {
        0 => tensor(file, random),
        1..=2 => clamps(file, layer, random),
        3..=6 => return window(file, layer, random),
        7..=9 => return output(file, layer, random),
        10..=12 => {
            let wish = random.of(&[0, 1, 2, 3, 4, 5]);
            refit(file, layer, random, wish);
            return true;
        }
        13 => numbers(file, layer, random, 0, 1),
        14 => numbers(file, layer, random, 1, 4),
        15 => numbers(file, layer, random, 2, 1),
        16..=17 => constants(file, layer, random),
        18 => table(file, layer, random),
        19 => operator(file, layer, random),
        20 => places(file, layer, random),
        21..=23 => {
            stream(file, random);
            // With buffers of the new size, or with the old places.
            return random.below(2) == 0;
        }
        24..=25 => return structure::layers(file, random),
        26 => return structure::cut(file, random),
        27..=28 => return frame(file, random),
        _ => {
            structure::streams(file, random);
            return true;
        }
    }
    false
}

/// Another value near an old one, or at an edge.
fn near(n: u16, random: &mut Random) -> u16 {
    match random.below(8) {
        0 => random.of(&[0, 1, 2, 3, 16, 255, 256, 32_767, 65_535]),
        1 => random.word() as u16 % 24,
        2 | 3 => n.saturating_add(1),
        _ => n.saturating_sub(random.of(&[1, 1, 2])),
    }
}

fn tensor(file: &mut File, random: &mut Random) {
    let t = random.below(file.tensors.len());
    let tensor = &mut file.tensors[t];
    match random.below(6) {
        0 => tensor.scale = random.of(&[0.0, f32::MIN_POSITIVE, f32::MAX, f32::NAN, 1.0]),
        1 => tensor.reserved = 1,
        2 => tensor.zero_point = random.of(&[-128, 127, 0]),
        _ => tensor.zero_point = random.int8(),
    }
}

/// Zero point and clamps of an output; packed weights depend on them and are encoded again.
fn clamps(file: &mut File, layer: usize, random: &mut Random) {
    let l = &mut file.layers[layer];
    match random.below(4) {
        0 => l.output[0] = random.of(&[-128, 127, 0, random.clone().int8()]),
        1 => {
            let (a, b) = (random.int8(), random.int8());
            (l.output[1], l.output[2]) = (a.min(b), a.max(b));
        }
        2 => l.output[1] = l.output[2],
        _ => l.output[random.below(3)] = random.int8(),
    }
    let layout = l.layout;
    if layout > 0 && layout != 6 && random.below(8) > 0 {
        refit(file, layer, random, layout);
    }
}

/// A side, stride or padding of a window. Mostly of layers that have one.
fn window(file: &mut File, layer: usize, random: &mut Random) -> bool {
    let n = file.layers.len();
    let has = |i: &usize| matches!(file.layers[*i].code, 1 | 2 | 4 | 5);
    let layer = (0..n).map(|k| (layer + k) % n).find(has).unwrap_or(layer);
    let field = random.below(6);
    let l = &mut file.layers[layer];
    l.window[field] = match random.below(6) {
        0 => random.of(&[0, 1, 2, 3, 5, 7, 255]),
        1 | 2 => l.window[field].saturating_add(1),
        3 => random.below(6) as u8,
        _ => l.window[field].saturating_sub(1),
    };
    if random.below(2) == 0 {
        // The other axis alike: block kernels exist for square windows only.
        l.window[field ^ 1] = l.window[field];
    }
    if random.below(4) == 0 {
        l.window = random.of(&[
            [1, 1, 1, 1, 0, 0],
            [3, 3, 1, 1, 1, 1],
            [3, 3, 2, 2, 0, 0],
            [3, 3, 1, 1, 2, 2],
            [5, 5, 1, 1, 2, 2],
            [5, 5, 1, 1, 4, 0],
            [1, 1, 2, 2, 0, 0],
        ]);
    }
    true
}

/// Another output: fewer or more rows, columns or channels than the window would give.
fn output(file: &mut File, layer: usize, random: &mut Random) -> bool {
    let axis = random.of(&[0, 0, 1, 1, 2]);
    let side = &mut file.tensors[layer + 1].shape[axis];
    *side = near(*side, random).max(1);
    if axis == 2 {
        *side = (*side).min(64);
    }
    random.below(8) > 0
}

/// A few numbers of a section: weights, channel records, table.
fn numbers(file: &mut File, layer: usize, random: &mut Random, section: usize, unit: usize) {
    let len = file.section_lens(layer)[section];
    let at = file.layers[layer].sections[section] as usize;
    let Some(part) = file
        .weights
        .get_mut(at..at + len)
        .filter(|p| p.len() >= unit)
    else {
        return;
    };
    for _ in 0..1 + random.below(3) {
        let i = random.below(part.len() / unit) * unit;
        if unit == 1 {
            part[i] = random.of(&[0, 1, 127, 128, 129, 255, random.clone().word() as u8]);
        } else {
            part[i..i + 4].copy_from_slice(&random.of(&WORDS).to_le_bytes());
        }
    }
}

/// Constants of operators without weights; the table of an addition is computed from them.
fn constants(file: &mut File, layer: usize, random: &mut Random) {
    let n = file.layers.len();
    let has = |i: &usize| file.section_lens(*i)[3] > 0;
    let Some(layer) = (0..n).map(|k| (layer + k) % n).find(has) else {
        return;
    };
    numbers(file, layer, random, 3, 4);
    if file.layers[layer].code == code::ADD && random.below(4) > 0 {
        structure::add_table(file, layer, random.below(3) > 0);
    }
}

/// Adds, removes or replaces a layer's table.
fn table(file: &mut File, layer: usize, random: &mut Random) {
    let fresh = random.bytes(256);
    let at = append(file, &fresh);
    let l = &mut file.layers[layer];
    match l.code {
        1..=3 | 6 if l.flags == 1 => (l.flags, l.sections[2]) = (0, 0),
        1..=3 | 6 => (l.flags, l.sections[2]) = (1, at),
        code::LOOKUP => l.sections[2] = at,
        _ => l.flags ^= random.of(&[1, 1, 2, 128]),
    }
    let l = *l;
    if matches!(l.code, 1..=3) && l.layout > 0 {
        refit(file, layer, random, l.layout);
    }
}

/// Another operator, layout or input.
fn operator(file: &mut File, layer: usize, random: &mut Random) {
    let l = &mut file.layers[layer];
    match random.below(8) {
        0 => l.code = random.below(12) as u8,
        1 => l.code = 9 - l.code.clamp(4, 5), // the other pooling
        2 => l.layout = random.below(8) as u8,
        3 => l.inputs[1] = random.of(&[NONE, 0, l.inputs[0], layer as u16]),
        4 => {
            if matches!(l.code, code::ADD | code::MUL) {
                l.inputs.swap(0, 1);
            }
        }
        5 => lookup(file, layer, random),
        _ => {
            let shape = file.maps(layer)[0].shape;
            let l = &mut file.layers[layer];
            let alike: Vec<u16> = (0..=layer)
                .filter(|t| file.tensors[*t].shape == shape)
                .map(|t| t as u16)
                .collect();
            let second = usize::from(l.code == code::ADD && random.below(2) == 0);
            if !alike.is_empty() {
                l.inputs[second] = random.of(&alike);
            }
        }
    }
}

/// Offsets in the arena, sizes of scratch memory, offsets of sections.
fn places(file: &mut File, layer: usize, random: &mut Random) {
    let other = random.below(file.tensors.len());
    let to = file.tensors[other].offset;
    let step = random.of(&[4, 8, 16, 64]);
    let to = match random.below(7) {
        5 => to.wrapping_add(step),
        6 => to.wrapping_sub(step),
        0 => to,
        1 => to.saturating_sub(4),
        2 => random.of(&[0, 2, u32::MAX, u32::MAX - 3, 1 << 31]),
        3 => (random.below(file.arena as usize / 4 + 2) as u32).wrapping_mul(4),
        _ => to.saturating_add(file.tensors[other].len() as u32) & !3,
    };
    let l = &mut file.layers[layer];
    match random.below(6) {
        0 => {
            l.scratch[1] = random.of(&[
                0,
                l.scratch[1].saturating_sub(4),
                l.scratch[1].saturating_add(4),
            ])
        }
        1 => l.scratch[0] = to,
        2 => {
            let section = &mut l.sections[random.below(4)];
            *section = random.of(&[section.wrapping_add(16), section.wrapping_sub(16), to]);
        }
        _ => {
            let t = random.of(&[other, random.clone().below(file.tensors.len())]);
            file.tensors[t].offset = to;
        }
    }
}

/// A field of a stream.
fn stream(file: &mut File, random: &mut Random) {
    let (count, layers) = (file.streams.len(), file.layers.len());
    if count == 0 {
        return;
    }
    let arena = file.arena;
    let stream = &mut file.streams[random.below(count)];
    let links = stream.links.len();
    match random.below(10) {
        0 => {
            let end = random.below(2);
            stream.layers[end] = near(stream.layers[end], random);
        }
        1 => stream.frame_rows = near(stream.frame_rows, random),
        _ if links == 0 => {}
        2 => {
            let link = stream.links[random.below(links)];
            stream.links.insert(random.below(links + 1), link);
        }
        3 => {
            stream.links.remove(random.below(links));
        }
        kind => {
            let link = &mut stream.links[random.below(links)];
            match kind {
                4 => link.layer = random.below(layers + 1) as u16,
                5 => link.replaces = random.below(4) as u8,
                6 => link.offset = (random.below(arena as usize / 4 + 2) as u32).wrapping_mul(4),
                7 => link.capacity = near(link.capacity, random),
                _ => link.band = near(link.band, random),
            }
        }
    }
}

/// Another frame.
fn frame(file: &mut File, random: &mut Random) -> bool {
    let axis = random.of(&[0, 0, 1, 1, 2]);
    let side = &mut file.tensors[0].shape[axis];
    *side = near(*side, random).clamp(1, 40);
    if axis == 2 {
        file.format[0] = 3;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::seeds::seed;

    #[test]
    fn refused_mutants_can_be_mutated_again() {
        let mut random = Random::new(3);
        for number in 0..60 {
            let mut bytes = seed(number);
            for _ in 0..40 {
                let (Ok(next) | Err((_, next))) = match mutate(&bytes, &mut random) {
                    Some(mutant) => mutant,
                    None => break,
                };
                bytes = next;
            }
        }
    }
}

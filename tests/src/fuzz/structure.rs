//! Inserts and removes layers and streams.

use pupil_core::op::quant::Multiplier;

use super::file::{File, Layer, NONE, Stream, code};
use super::refit::{append, refit};
use super::settle::{fitted, settle};
use crate::cases::Random;

/// Inserts or removes a layer that keeps its input's shape.
pub fn layers(file: &mut File, random: &mut Random) -> bool {
    let at = random.below(file.layers.len() + 1);
    if random.below(3) == 0 && file.layers.len() > 1 {
        remove(file, at.min(file.layers.len() - 1));
    } else if file.layers.len() < 40 {
        insert(file, at, random);
    }
    true
}

/// Shifts all references to layers and tensors from `at` on by one layer more or less.
fn shift(file: &mut File, at: usize, by: i32) {
    let at = at as u16;
    let moved = |n: u16, from: u16| match n {
        NONE => NONE,
        n if n >= from => (i32::from(n) + by).clamp(0, 65_534) as u16,
        n => n,
    };
    for layer in &mut file.layers {
        layer.inputs = layer.inputs.map(|t| moved(t, at + 1));
    }
    for stream in &mut file.streams {
        stream.layers = stream.layers.map(|n| moved(n, at + 1));
        for link in &mut stream.links {
            link.layer = moved(link.layer, at);
        }
    }
}

/// A new layer at `at`. Layers that read its input now read its output, or still its input.
fn insert(file: &mut File, at: usize, random: &mut Random) {
    let source = at as u16;
    let mut tensor = file.tensors[at];
    tensor.zero_point = random.of(&[tensor.zero_point, -128, random.clone().int8()]);
    let mut layer = Layer {
        code: random.of(&[1, 1, 2, 2, 2, 4, 5, 7, 9]),
        flags: 0,
        inputs: [source, NONE],
        window: [0; 6],
        output: [tensor.zero_point, -128, 127],
        layout: 0,
        sections: [0; 4],
        scratch: [0; 2],
    };
    match layer.code {
        code::ADD => {
            let one = pupil_packer::quantize::multiplier(0.5);
            let sum = pupil_packer::quantize::multiplier(random.unit() / f64::from(1 << 19));
            let words = [one, one, sum].map(|m| [m.mantissa, m.shift]);
            let bytes: Vec<u8> = words
                .iter()
                .flatten()
                .flat_map(|n| n.to_le_bytes())
                .collect();
            layer.inputs[1] = source;
            layer.sections[3] = append(file, &bytes);
        }
        code::LOOKUP => {
            let table = random.bytes(256);
            layer.sections[2] = append(file, &table);
        }
        _ => {
            let k = random.of(&[1, 2, 3, 3, 5]);
            let pad = random.below(usize::from(k)) as u8;
            layer.window = [k, k, 1, 1, pad, random.of(&[pad, k / 2])];
        }
    }
    shift(file, at, 1);
    if random.below(2) == 0 {
        for later in &mut file.layers[at..] {
            later.inputs = later
                .inputs
                .map(|t| if t == source { source + 1 } else { t });
        }
    }
    file.layers.insert(at, layer);
    file.tensors.insert(at + 1, tensor);
    // It runs alone, so a stream around it has to go.
    file.streams
        .retain(|s| !(s.layers[0] < at as u16 && at as u16 + 1 < s.layers[1]));
    if matches!(layer.code, code::CONV | code::DEPTHWISE) {
        let wish = random.of(&[0, 1, 3, 4, 5]);
        refit(file, at, random, wish);
    } else if layer.code == code::ADD {
        add_table(file, at, random.below(2) == 0);
    }
    let before = fitted(file);
    settle(file, random, &before);
}

/// Removes a layer; its readers read its input.
fn remove(file: &mut File, at: usize) {
    let [input, output] = file.maps(at);
    if input.shape != output.shape || file.layers[at].code == code::SOFTMAX {
        return;
    }
    let source = file.layers[at].inputs[0];
    for layer in &mut file.layers {
        layer.inputs = layer
            .inputs
            .map(|t| if usize::from(t) == at + 1 { source } else { t });
    }
    file.layers.remove(at);
    file.tensors.remove(at + 1);
    for stream in &mut file.streams {
        stream.links.retain(|l| usize::from(l.layer) != at);
    }
    shift(file, at, -1);
    file.streams.retain(|s| s.layers[0] < s.layers[1]);
    file.relabel();
}

/// Ends the model at a random layer, whose output becomes the model's.
pub fn cut(file: &mut File, random: &mut Random) -> bool {
    let layers = 1 + random.below(file.layers.len());
    file.layers.truncate(layers);
    file.tensors.truncate(layers + 1);
    let inside = |s: &Stream| usize::from(s.layers[1]) <= layers;
    file.streams.retain(inside);
    file.relabel();
    true
}

/// Removes a stream: its layers run one by one.
pub fn streams(file: &mut File, random: &mut Random) {
    if !file.streams.is_empty() {
        let at = random.below(file.streams.len());
        file.streams.remove(at);
    }
}

/// Gives an addition the table that its constants make, if they make one and `wanted`; else none.
pub fn add_table(file: &mut File, layer: usize, wanted: bool) {
    let l = file.layers[layer];
    let at = l.sections[3] as usize;
    let Some(words) = file.weights.get(at..at + 24) else {
        return;
    };
    let words: Vec<i32> = words
        .as_chunks()
        .0
        .iter()
        .map(|w| i32::from_le_bytes(*w))
        .collect();
    let multiplier = |i: usize| Multiplier {
        mantissa: words[2 * i],
        shift: words[2 * i + 1],
    };
    let half = |i: &usize| (words[2 * i], words[2 * i + 1]) == (1 << 30, 0);
    let whole = (0..2).rev().find(half);
    let points = l.inputs.map(|t| {
        let tensor = file.tensors.get(usize::from(t));
        tensor.map_or(0, |t| i32::from(t.zero_point))
    });
    let fast = (-22..=-15).contains(&words[5]) && words[4] >= 0;
    let table: Option<Vec<u8>> = whole.filter(|_| fast && wanted).and_then(|whole| {
        let other = multiplier(1 - whole);
        let fits = other.is_valid() && other.shift <= 0;
        let word = |i: u32| {
            let x = i32::from(i as u8 as i8) - points[1 - whole];
            2 * other.apply(x << 20) - (points[whole] << 20)
        };
        fits.then(|| (0..256).flat_map(|i| word(i).to_le_bytes()).collect())
    });
    let at = table.as_ref().map_or(0, |table| append(file, table));
    let l = &mut file.layers[layer];
    (l.layout, l.sections[2]) = if table.is_some() { (6, at) } else { (0, 0) };
}

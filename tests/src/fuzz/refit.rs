//! New weights for a layer of a mutant, in any layout, with ordinary or extreme numbers.

use pupil_core::op::pairs::Mode;
use pupil_core::op::quant::Multiplier;
use pupil_core::op::row_pairs::{Claims, Form, Kernel};
use pupil_core::op::shape::Window;

use super::file::{File, code};
use crate::cases::Random;

/// Limits of sums in the parser's proofs; biases are chosen to reach them.
const LIMITS: [i64; 5] = [1 << 22, 1 << 23, 1 << 30, 1 << 31, 1 << 20];

/// Appends bytes to the weights section; their offset.
pub fn append(file: &mut File, bytes: &[u8]) -> u32 {
    let at = file.weights.len().next_multiple_of(16);
    file.weights.resize(at, 0);
    file.weights.extend(bytes);
    at as u32
}

/// The window of a layer's record.
pub fn window(record: [u8; 6]) -> Window {
    let [kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left] = record.map(usize::from);
    Window {
        kernel_h,
        kernel_w,
        stride_h,
        stride_w,
        pad_top,
        pad_left,
    }
}

/// Gives a convolution, depthwise or dense layer new weights for its current shapes: in the layout
/// `wish` if its proofs hold, else in another one, and finally in the natural one.
pub fn refit(file: &mut File, layer: usize, random: &mut Random, wish: u8) {
    let [_, output] = file.maps(layer);
    let (taps, out_ch) = (file.taps(layer), usize::from(output.shape[2]));
    if taps == 0 || taps * out_ch > 1 << 18 {
        return;
    }
    let l = &mut file.layers[layer];
    let depthwise = l.code == code::DEPTHWISE;
    if l.flags & 1 == 1 && wish > 0 || matches!(wish, 1 | 2) {
        (l.output[1], l.output[2]) = (-128, 127);
    }
    if matches!(wish, 2 | 3) {
        // These two exist for a zero point at the lower clamp and without a table only.
        (l.output[0], l.output[1], l.flags) = (-128, -128, 0);
        l.sections[2] = 0;
    }
    let (l, extreme) = (*l, random.below(4) == 0);
    let weights = weights(random, taps * out_ch);
    let total = |o: usize| -> i64 {
        let tap = |t: usize| {
            if depthwise {
                t * out_ch + o
            } else {
                o * taps + t
            }
        };
        (0..taps)
            .map(|t| i64::from((weights[tap(t)] as i8).unsigned_abs()))
            .sum()
    };
    let channels: Vec<(i32, Multiplier)> = (0..out_ch)
        .map(|o| channel(random, taps, total(o), extreme))
        .collect();
    let others: &[u8] = if depthwise { &[3, 4, 5] } else { &[1, 2] };
    let layouts = [wish, random.of(others), 0];
    let packed = layouts.into_iter().find_map(|layout| {
        let bytes = match layout {
            0 => Some(weights.clone()),
            _ if depthwise => row_pairs(layout, &l, &weights, &channels),
            _ => pairs(layout, &l, taps, &weights, &channels),
        };
        Some((layout, bytes?))
    });
    let Some((layout, bytes)) = packed else {
        return;
    };
    let weights_at = append(file, &bytes);
    let records = channels.iter().flat_map(|(b, m)| [*b, m.mantissa, m.shift]);
    let records: Vec<u8> = records.flat_map(i32::to_le_bytes).collect();
    let channels_at = if layout == 0 {
        append(file, &records)
    } else {
        0
    };
    let ample = {
        file.layers[layer].layout = layout;
        file.ample_scratch(layer) as u32
    };
    let l = &mut file.layers[layer];
    (l.sections[0], l.sections[1]) = (weights_at, channels_at);
    l.scratch = [0, ample];
}

fn weights(random: &mut Random, n: usize) -> Vec<u8> {
    let style = random.below(10);
    (0..n)
        .map(|i| match style {
            0 => 0,
            1 => 127,
            2 => -127i8 as u8,
            3 => random.of(&[-128i8 as u8, 127]),
            4 => [127, -127i8 as u8][i % 2],
            5 => random.of(&[0, 0, 0, 1, 255]),
            _ => random.int8().max(-127) as u8,
        })
        .collect()
}

/// Bias and multiplier of a channel whose weights' absolute values sum to `total`.
fn channel(random: &mut Random, taps: usize, total: i64, extreme: bool) -> (i32, Multiplier) {
    let spread = 5400.0 * (taps as f64).sqrt();
    let mut bias = (random.unit() * spread - spread / 2.0) as i64;
    let mut multiplier = pupil_packer::quantize::multiplier((0.5 + random.unit()) * 64.0 / spread);
    if extreme {
        let worst = random.of(&[128 * total, 128 * 128 * taps as i64]);
        bias = random.of(&LIMITS) - 1 - worst + random.of(&[0, 0, 1, -1]);
        bias *= random.of(&[1, -1]);
        let mantissa = random.of(&[i32::MAX, 1 << 30, (1 << 30) + 1, 0, 1, 1 << 22]);
        let shift = random.of(&[-31, -23, -22, -21, -12, -11, -8, -1, 0, 1, 2, 7, 30]);
        if random.below(2) == 0 {
            multiplier = Multiplier { mantissa, shift };
        } else {
            multiplier.shift = shift;
        }
    }
    (
        bias.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
        multiplier,
    )
}

fn pairs(
    layout: u8,
    l: &super::file::Layer,
    taps: usize,
    weights: &[u8],
    channels: &[(i32, Multiplier)],
) -> Option<Vec<u8>> {
    let mode = match (layout, l.flags & 1, l.output[0]) {
        (2, 0, -128) => Mode::ReluDoubled,
        (1, 1, _) => Mode::Table,
        (1, _, -128) => Mode::Relu,
        (1, ..) => Mode::General,
        _ => return None,
    };
    let unclamped = l.output[1..] == [-128, 127];
    let packed =
        pupil_packer::weights::pairs::encode(weights, taps, channels, mode, l.output[0].into())
            .ok();
    packed.filter(|_| unclamped)
}

fn row_pairs(
    layout: u8,
    l: &super::file::Layer,
    weights: &[u8],
    channels: &[(i32, Multiplier)],
) -> Option<Vec<u8>> {
    let window = window(l.window);
    let form = match layout {
        3 => Form::Blocks(Kernel::of(&window, true)?),
        4 => Form::Blocks(Kernel::of(&window, false)?),
        5 => Form::Any,
        _ => return None,
    };
    let zero_point = l.output[0].into();
    pupil_packer::weights::row_pairs::encode_as(
        form,
        &Claims { window, zero_point },
        weights,
        channels,
    )
}

/// Rewrites the weights section with only what layers use, in random order, so that any layer's
/// bytes can be the last ones of the file.
pub fn compact(file: &mut File, random: &mut Random) {
    let mut parts: Vec<(u32, usize)> = Vec::new();
    for layer in 0..file.layers.len() {
        let lens = file.section_lens(layer);
        let sections = file.layers[layer].sections.into_iter().zip(lens);
        parts.extend(sections.filter(|(_, len)| *len > 0));
    }
    parts.sort_unstable_by_key(|(at, len)| (*at, core::cmp::Reverse(*len)));
    parts.dedup_by_key(|(at, _)| *at);
    for i in (1..parts.len()).rev() {
        parts.swap(i, random.below(i + 1));
    }
    let old = core::mem::take(&mut file.weights);
    let moved: Vec<(u32, u32)> = parts
        .into_iter()
        .map(|(at, len)| {
            let from = (at as usize).min(old.len());
            let part = &old[from..from.saturating_add(len).min(old.len())];
            (at, append(file, part))
        })
        .collect();
    for layer in 0..file.layers.len() {
        let lens = file.section_lens(layer);
        let l = &mut file.layers[layer];
        for (section, len) in l.sections.iter_mut().zip(lens) {
            let found = moved.iter().find(|(at, _)| at == section && len > 0);
            if let Some((_, at)) = found {
                *section = *at;
            }
        }
    }
}

//! The arithmetic of the chip's kernels, instruction by instruction, against the definitions.

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::op::Output;

const MODES: [Mode; 4] = [Mode::Relu, Mode::ReluDoubled, Mode::General, Mode::Table];

/// SMMLA, or SMMLAR where `round`: the upper half of a · b + c · 2^32.
fn multiply_high(a: i32, b: i32, c: i32, round: bool) -> i32 {
    let sum = (i64::from(c) << 32) + i64::from(a) * i64::from(b) + i64::from(round) * (1 << 31);
    (sum >> 32) as i32
}

/// What the kernel makes of a channel's sum, which it holds as A0 (even channels) or as
/// 256 · A1 (odd ones), times 2 where inputs are doubled.
fn requantize(mode: Mode, channel: usize, held: i32, words: [i32; 3]) -> i8 {
    let [mantissa, shift, constant] = words;
    let lifted = match mode {
        Mode::Relu | Mode::ReluDoubled => {
            let odd = channel % 2 == 1;
            let held = match (odd, mode) {
                (false, Mode::Relu) => held << 1,
                _ => held,
            };
            multiply_high(held, mantissa, constant, !odd) >> (shift & 0xff)
        }
        Mode::General | Mode::Table => {
            let doubled = if channel % 2 == 1 {
                held >> 7
            } else {
                held << 1
            };
            let high = multiply_high(doubled, mantissa, constant, true);
            (high + (doubled >> 31)) >> (shift & 0xff)
        }
    };
    // PKHBT and USAT16 see the lower half only; with a table USAT sees all.
    let half = match mode {
        Mode::Table => lifted,
        _ => i32::from(lifted as i16),
    };
    (half.clamp(0, 255) as u8 ^ 0x80) as i8
}

/// Sums around every step of the output, and the greatest ones.
fn edges(m: Multiplier, zero_point: i32, most: i64) -> Vec<i64> {
    let mut sums = vec![0, 1, -1, most, -most, most - 1, 1 - most];
    for q in -130..=130i64 {
        for half in [-1i64, 0, 1] {
            // Twice the real value whose rounding turns from q − 1 to q.
            let twice = 2 * (q - i64::from(zero_point)) + half;
            let scaled = i128::from(twice) << (30 - m.shift);
            let near = (scaled / i128::from(m.mantissa.max(1))) as i64;
            sums.extend((-2..=2).map(|d| near.saturating_add(d)));
        }
    }
    sums.retain(|a| a.abs() <= most);
    sums
}

#[test]
fn short_requantizations_equal_the_definition_at_every_edge() {
    let mut checked = 0u64;
    for mode in MODES {
        let relu = matches!(mode, Mode::Relu | Mode::ReluDoubled);
        let points: &[i32] = if relu {
            &[-128]
        } else {
            &[-128, -127, -1, 0, 3, 127]
        };
        for zero_point in points {
            for shift in SHIFTS {
                for mantissa in [
                    1 << 30,
                    (1 << 30) + 1,
                    1_527_099_593,
                    1_999_999_936,
                    i32::MAX - 1,
                    i32::MAX,
                    0,
                ] {
                    let m = Multiplier {
                        mantissa,
                        shift: -shift,
                    };
                    let out = Output {
                        zero_point: *zero_point,
                        min: -128,
                        max: 127,
                        lookup: None,
                    };
                    for channel in 0..2 {
                        let limit: i64 = match (channel, mode.scale()) {
                            (0, _) => 1 << 30,
                            (_, 1) => 1 << 23,
                            _ => 1 << 22,
                        };
                        // The greatest sum that the proof allows.
                        let mut most = limit - 1;
                        if mode != Mode::Table {
                            let value = (32_510i64 << shift) - 1;
                            most = most.min(((value << 31) / i64::from(mantissa.max(1))).max(0));
                        }
                        let words = [
                            mantissa,
                            shift + mode.extra(channel),
                            mode.constant(channel, shift, *zero_point),
                        ];
                        for sum in edges(m, *zero_point, most) {
                            let a = sum as i32;
                            let held = if channel == 1 { a << 8 } else { a } * mode.scale();
                            let found = requantize(mode, channel, held, words);
                            assert_eq!(
                                found,
                                out.finish(a, m),
                                "{mode:?} {channel} {a} {m:?} {zero_point}"
                            );
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 5_000_000, "{checked}");
}

/// SXTB16.
fn low_bytes(word: u32) -> [i32; 2] {
    [i32::from(word as i8), i32::from((word >> 16) as i8)]
}

fn halves(word: u32) -> [i32; 2] {
    [i32::from(word as i16), i32::from((word >> 16) as i16)]
}

/// SMLAD.
fn smlad(a: [i32; 2], b: [i32; 2], sum: i32) -> i32 {
    sum.wrapping_add(a[0] * b[0]).wrapping_add(a[1] * b[1])
}

/// The chip's block loop over one column.
fn kernel(pairs: &Pairs<'_>, x: &[i8]) -> Vec<i8> {
    let scale = pairs.mode.scale();
    let mut x: Vec<i32> = x.iter().map(|x| i32::from(*x) * scale).collect();
    // Whatever lies behind the last tap meets zero weights.
    x.resize(padded(pairs.taps), 77);
    let steps: Vec<[i32; 2]> = (0..padded(pairs.taps) / 2)
        .map(|s| [s / 2 * 4 + s % 2, s / 2 * 4 + s % 2 + 2].map(|i| x[i]))
        .collect();
    let mut y = Vec::new();
    let mut stream = pairs
        .bytes()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|w| i32::from_le_bytes(*w));
    let mut next = || stream.next().unwrap();
    for block in 0.. {
        // A0 R A2 R'
        let mut sums = [next(), next(), next(), next()];
        for x in &steps {
            for p in [0, 2] {
                let word = next() as u32;
                sums[p + 1] = smlad(*x, halves(word), sums[p + 1]);
                sums[p] = smlad(*x, low_bytes(word), sums[p]);
            }
        }
        sums[1] = sums[1].wrapping_sub(sums[0]);
        sums[3] = sums[3].wrapping_sub(sums[2]);
        let mut last = 0;
        for (channel, held) in sums.into_iter().enumerate() {
            let words = [next(), next(), next()];
            last = words[1];
            if block * BLOCK + channel < pairs.out_ch {
                y.push(requantize(pairs.mode, channel, held, words));
            }
        }
        // The kernels stop at the flags, not at a count.
        if last & PARTIAL != 0 || last & LAST != 0 && pairs.out_ch.is_multiple_of(BLOCK) {
            break;
        }
    }
    y
}

prop_compose! {
    fn layer()(
        taps in 1usize..70, out_ch in 1usize..14, mode in prop::sample::select(&MODES[..]),
        seed: u64, zero_point in -128i32..128,
    ) -> (usize, usize, Mode, u64, i32) {
        let relu = matches!(mode, Mode::Relu | Mode::ReluDoubled);
        (taps, out_ch, mode, seed, if relu { -128 } else { zero_point })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_chips_block_loop_equals_the_definition((taps, out_ch, mode, seed, zero_point) in layer()) {
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as i32
        };
        let weights: Vec<u8> = (0..taps * out_ch).map(|_| (random() as i8).max(-127) as u8).collect();
        let channels: Vec<(i32, Multiplier)> = (0..out_ch)
            .map(|_| {
                let m = Multiplier { mantissa: (1 << 30) | (random() & 0x3fff_ffff), shift: -(8 + (random() & 3)) };
                (random() % 30_000, if random() % 16 == 0 { Multiplier::default() } else { m })
            })
            .collect();
        let x: Vec<i8> = (0..taps).map(|_| random() as i8).collect();
        let stream = Pairs::encode(&weights, taps, &channels, mode, zero_point).unwrap();
        let pairs = Pairs::new(&stream, taps, out_ch, mode, zero_point);
        let out = Output { zero_point, min: -128, max: 127, lookup: None };
        let expected: Vec<i8> = (0..out_ch)
            .map(|c| {
                let products = weights[c * taps..][..taps].iter().zip(&x);
                let sum: i32 = products.map(|(w, x)| i32::from(*w as i8) * i32::from(*x)).sum();
                out.finish(channels[c].0 + sum, channels[c].1)
            })
            .collect();
        prop_assert_eq!(kernel(&pairs, &x), expected);
        for (c, (bias, m)) in channels.iter().enumerate() {
            prop_assert_eq!(pairs.channel(c), (*bias, if m.mantissa == 0 { Multiplier { mantissa: 0, shift: -1 } } else { *m }));
        }
    }

    /// Whatever passes the proof is computed alike by the chip's loop and by the portable one.
    #[test]
    fn streams_that_pass_the_proof_mean_the_same_everywhere(
        (taps, out_ch, mode, seed, zero_point) in layer(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let weights: Vec<u8> = (0..taps * out_ch).map(|i| ((i as u64) ^ seed) as u8 % 100).collect();
        let m = Multiplier { mantissa: (1 << 30) | (seed as i32 & 0xffff), shift: -8 };
        let channels = vec![(seed as i32 % 1000, m); out_ch];
        let mut stream = Pairs::encode(&weights, taps, &channels, mode, zero_point).unwrap();
        for (index, value) in changes {
            let at = index.index(stream.len());
            stream[at] = value;
        }
        let pairs = Pairs::new(&stream, taps, out_ch, mode, zero_point);
        if pairs.check().is_ok() {
            let x: Vec<i8> = (0..taps).map(|i| ((i as u64 * 37) ^ seed) as i8).collect();
            let out = Output { zero_point, min: -128, max: 127, lookup: None };
            let expected: Vec<i8> = (0..out_ch)
                .map(|c| {
                    let (bias, m) = pairs.channel(c);
                    out.finish(bias + pairs.dot(c / BLOCK, &x)[c % BLOCK], m)
                })
                .collect();
            prop_assert_eq!(kernel(&pairs, &x), expected);
        }
    }
}

#[test]
fn every_claim_is_proven() {
    let m = Multiplier {
        mantissa: 1 << 30,
        shift: -8,
    };
    let good = Pairs::encode(&[3; 5 * 6], 5, &[(10, m); 6], Mode::General, 4).unwrap();
    let check = |bytes: &[u8]| Pairs::new(bytes, 5, 6, Mode::General, 4).check();
    assert_eq!((check(&good), good.len()), (Ok(()), 2 * 4 * (4 + 8 + 12)));
    assert_eq!(check(&good[4..]), Err(LayerFault::Weights));
    let with = |word: usize, value: i32| {
        let mut bytes = good.clone();
        bytes[4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        check(&bytes)
    };
    // Biases: a difference that is no multiple of 256, sums beyond the limits.
    assert_eq!(with(1, 11), Err(LayerFault::Weights));
    assert_eq!(with(0, 1 << 30), Err(LayerFault::Accumulator));
    // A weight of 128 above a negative one, and weights behind the last tap and channel.
    assert_eq!(with(4, 0x7fff), Err(LayerFault::Weights));
    assert_eq!(with(9, 1), Ok(()));
    assert_eq!(with(11, 1), Err(LayerFault::Weights));
    // Mantissa, shift, flags, constant.
    assert_eq!(with(12, -1), Err(LayerFault::Multiplier));
    for shift in [0, 23, 8 | LAST, 8 | PARTIAL, -8] {
        assert_eq!(with(13, shift), Err(LayerFault::Multiplier), "{shift}");
    }
    assert_eq!(
        with(22, 8),
        Err(LayerFault::Multiplier),
        "no flag at the last full block"
    );
    assert_eq!(with(22, 8 | LAST | PARTIAL), Err(LayerFault::Multiplier));
    assert_eq!(
        with(46, 8 | LAST),
        Err(LayerFault::Multiplier),
        "no flag of the rest"
    );
    assert_eq!(with(14, 128 + (132 << 8) + 1), Err(LayerFault::Multiplier));
    // A value that 16 bits do not hold needs a table.
    let large = |mode| {
        let m = Multiplier {
            mantissa: i32::MAX,
            shift: -1,
        };
        Pairs::encode(&[110; 20], 5, &[(0, m); 4], mode, 4).err()
    };
    assert_eq!(large(Mode::General), Some(LayerFault::Accumulator));
    assert_eq!(large(Mode::Table), None);
    // Odd channels have less room than even ones.
    let biased = |c: usize| {
        let mut channels = [(0, m); 4];
        channels[c].0 = 1 << 23;
        Pairs::encode(&[1; 4], 1, &channels, Mode::Table, 0).err()
    };
    assert_eq!(
        (biased(0), biased(1)),
        (None, Some(LayerFault::Accumulator))
    );
}

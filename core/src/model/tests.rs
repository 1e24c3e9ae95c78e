//! Whole models: built, parsed, damaged in every way, run.

use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::bytes::crc32;
use super::header::CRC_START;
use super::*;
use crate::error::{ArenaError, FrameError, LayerFault, ModelError};
use crate::interpreter::{Arena, Interpreter, Step};
use crate::observer::Observer;
use crate::plan::Plan;
use crate::quant::{Affine, Multiplier};
use crate::shape::Shape;
use crate::tables;

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}

struct Random(u32);

impl Random {
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n)
            .map(|_| {
                self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
                (self.0 >> 16) as u8
            })
            .collect()
    }
}

fn layer(random: &mut Random, weights: usize, out_ch: usize, kernel: usize, stride: usize) -> Conv {
    Conv {
        kernel: (kernel, kernel),
        stride: (stride, stride),
        pad: Pad::Same,
        // No −128: the pair layout takes −127 to 127.
        weights: random
            .bytes(weights)
            .iter()
            .map(|w| if *w == 128 { 129 } else { *w })
            .collect(),
        channels: (0..out_ch)
            .map(|c| Channel {
                bias: c as i32 * 50 - 100,
                multiplier: Multiplier::from_real(0.003),
            })
            .collect(),
        out: affine(0.05, -10),
        act: (-128, 127),
        fused: None,
    }
}

/// A net with every operator: conv, depthwise, squeeze-and-excitation, residual, pools, lookup.
fn net() -> Vec<u8> {
    let mut r = Random(7);
    let input = InputSpec {
        shape: Shape::new(9, 8, 1),
        format: PixelFormat::Grey8,
        affine: affine(1.0 / 64.0, -20),
    };
    let mut b = ModelBuilder::new(input, &["cat", "dog", "bird"]);
    let silu = |from: Affine| Fused {
        table: tables::silu(from, affine(0.04, -100)),
        out: affine(0.04, -100),
    };
    let stem = Conv {
        fused: Some(silu(affine(0.05, -10))),
        ..layer(&mut r, 4 * 9, 4, 3, 2)
    };
    let x = b.conv(b.input(), stem).unwrap();
    let y = b.conv(x, layer(&mut r, 8 * 4, 8, 1, 1)).unwrap();
    let y = b.depthwise(y, layer(&mut r, 9 * 8, 8, 3, 1)).unwrap();
    let z = b.mean(y, affine(0.03, 5)).unwrap();
    let z = b
        .dense(
            z,
            Conv {
                act: (0, 127),
                ..layer(&mut r, 16, 2, 1, 1)
            },
        )
        .unwrap();
    let gate = Fused {
        table: tables::logistic_table(affine(0.05, -10)),
        out: tables::LOGISTIC_OUTPUT,
    };
    let z = b
        .dense(
            z,
            Conv {
                fused: Some(gate),
                ..layer(&mut r, 16, 8, 1, 1)
            },
        )
        .unwrap();
    let y = b.mul(y, z, affine(0.03, 0), (-128, 127)).unwrap();
    let y = b.conv(y, layer(&mut r, 4 * 8, 4, 1, 1)).unwrap();
    let x = b.add(x, y, affine(0.06, 3), (-128, 127)).unwrap();
    let x = b.lookup(x, &silu(affine(0.06, 3))).unwrap();
    let pool = Pool {
        kernel: (2, 2),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let x = b.max_pool(x, pool).unwrap();
    let x = b
        .average_pool(
            x,
            Pool {
                stride: (2, 2),
                ..pool
            },
        )
        .unwrap();
    let flat = b.shape(x).len();
    let x = b.dense(x, layer(&mut r, 3 * flat, 3, 1, 1)).unwrap();
    b.softmax(x).unwrap();
    b.finish().unwrap()
}

fn scores(bytes: &[u8], frame: &[u8]) -> Vec<i8> {
    let model = Model::parse(bytes).unwrap();
    let mut arena = vec![0; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    interpreter.load(frame).unwrap();
    interpreter.run(&mut ()).to_vec()
}

/// Puts the right checksum over changed bytes.
fn mend_checksum(bytes: &mut [u8]) {
    let crc = crc32(&bytes[CRC_START..]).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
}

#[test]
fn a_model_says_what_it_was_built_with() {
    let bytes = net();
    assert_eq!(bytes, net(), "the builder is deterministic");
    let model = Model::parse(&bytes).unwrap();
    assert_eq!(model.input().shape, Shape::new(9, 8, 1));
    assert_eq!(model.labels().collect::<Vec<_>>(), ["cat", "dog", "bird"]);
    assert_eq!((model.label(2), model.label(3)), (Some("bird"), None));
    let names: Vec<_> = model.layers().map(|l| l.operator.name()).collect();
    assert_eq!(
        names,
        [
            "conv",
            "pointwise",
            "depthwise",
            "mean",
            "dense",
            "dense",
            "mul",
            "pointwise",
            "add",
            "lookup",
            "max pool",
            "average pool",
            "dense",
            "softmax"
        ]
    );
    let macs: u64 = model.layers().map(|l| l.operator.macs()).sum();
    assert_eq!(u64::from(model.macs()), macs);
    assert!(model.layer(14).is_none() && model.tensor(99).shape.is_empty());
}

#[test]
fn the_readme_lists_every_operator() {
    let readme = include_str!("../../README.md");
    let listed: Vec<&str> = readme
        .lines()
        .skip_while(|l| !l.starts_with("## Operators"))
        .filter_map(|l| l.strip_prefix("| ")?.split(" |").next())
        .filter(|name| *name != "operator")
        .take(11)
        .collect();
    let bytes = net();
    let model = Model::parse(&bytes).unwrap();
    for layer in model.layers() {
        assert!(
            listed.contains(&layer.operator.name()),
            "{}",
            layer.operator.name()
        );
    }
    assert_eq!(listed.len(), 11);
}

#[test]
fn in_place_operators_share_memory_and_the_plan_is_recorded() {
    let bytes = net();
    let model = Model::parse(&bytes).unwrap();
    let plan = Plan::of(&model);
    assert_eq!(plan.peak, model.arena_len());
    // Depthwise, mul, add and lookup (layers 2, 6, 8, 9) write where they read.
    for i in [2, 6, 8, 9] {
        let l = model.layer(i).unwrap();
        assert_eq!(
            model.tensor(l.output).offset,
            model.tensor(l.input).offset,
            "layer {i}"
        );
    }
    // Peak: stem output 5x4x4, depthwise map 5x4x8 and its scratch memory: three column pairs of
    // 64 bytes, and 32 bytes for each of three steps.
    assert_eq!(plan.peak, 80 + 160 + 3 * 64 + 3 * 32);
    assert!(plan.to_string().contains("arena: 528 bytes"));
    assert_eq!(
        (0..model.layer_count()).map(|i| plan.in_use(i)).max(),
        Some(528)
    );
}

#[test]
fn an_arena_one_byte_too_small_and_a_wrong_frame_are_refused_with_numbers() {
    let bytes = net();
    let model = Model::parse(&bytes).unwrap();
    let needed = model.arena_len();
    let mut arena = Arena::<528>::new();
    let error = Interpreter::new(&model, &mut arena.0[..needed - 1]).unwrap_err();
    assert_eq!(
        error,
        ArenaError::ArenaTooSmall {
            needed,
            got: needed - 1
        }
    );
    assert_eq!(
        error.to_string(),
        "arena too small: needs 528 bytes, got 527"
    );
    let mut interpreter = Interpreter::new(&model, &mut arena.0).unwrap();
    for got in [0, 71, 73] {
        let error = interpreter.load(&vec![0; got]).unwrap_err();
        assert_eq!(error, FrameError::WrongSize { needed: 72, got });
    }
}

#[test]
fn steps_and_a_whole_run_agree_and_observers_see_every_layer() {
    struct Count(usize, usize);
    impl Observer for Count {
        fn before(&mut self, index: usize, _: &Layer<'_>) {
            assert_eq!(index, self.0);
            self.0 += 1;
        }
        fn after(&mut self, _: usize, layer: &Layer<'_>, output: &[i8]) {
            assert!(!output.is_empty() && layer.output == self.0);
            self.1 += 1;
        }
    }
    let bytes = net();
    let frame = Random(3).bytes(72);
    let expected = scores(&bytes, &frame);
    let model = Model::parse(&bytes).unwrap();
    let mut arena = vec![77; model.arena_len() + 5];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    let mut count = Count(0, 0);
    interpreter.load(&frame).unwrap();
    for i in 0..13 {
        assert_eq!(interpreter.step(&mut count), Step::Ran(i));
    }
    assert_eq!(interpreter.step(&mut count), Step::Done);
    assert_eq!(interpreter.step(&mut count), Step::Done);
    assert_eq!(
        (count.0, count.1, interpreter.scores()),
        (14, 14, &expected[..])
    );
    for (q, pixel) in interpreter.input_mut().iter_mut().zip(&frame) {
        *q = (i16::from(*pixel) - 128) as i8;
    }
    assert_eq!(interpreter.run(&mut ()), expected);
    let sum: i32 = expected.iter().map(|q| i32::from(*q) + 128).sum();
    assert!(
        (250..=262).contains(&sum),
        "probabilities add up to about 256: {sum}"
    );
}

#[test]
fn a_tensor_added_to_itself_is_doubled() {
    let input = InputSpec {
        shape: Shape::new(1, 1, 3),
        format: PixelFormat::Rgb888,
        affine: affine(1.0, 0),
    };
    let mut b = ModelBuilder::new(input, &["r", "g", "b"]);
    b.add(b.input(), b.input(), affine(1.0, 0), (-128, 127))
        .unwrap();
    assert_eq!(scores(&b.finish().unwrap(), &[128, 138, 98]), [0, 20, -60]);
}

#[test]
fn every_cut_is_refused() {
    let bytes = net();
    for n in 0..bytes.len() {
        assert!(
            Model::parse(&bytes[..n]).is_err(),
            "{n} of {} bytes",
            bytes.len()
        );
    }
    let mut long = bytes.clone();
    long.push(0);
    let (needed, got) = (bytes.len() as u32, long.len() as u32);
    assert_eq!(
        Model::parse(&long).unwrap_err(),
        ModelError::WrongLength { needed, got }
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = net();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(Model::parse(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn versions_are_named() {
    let mut bytes = net();
    bytes[4] = 9;
    let error = Model::parse(&bytes).unwrap_err();
    assert_eq!(
        error,
        ModelError::NewerFormat {
            found: 9,
            newest: FORMAT_VERSION
        }
    );
    assert_eq!(
        error.to_string(),
        "packed model is format 9, this build reads up to 2"
    );
    bytes[4] = 1;
    assert_eq!(
        Model::parse(&bytes).unwrap_err().to_string(),
        "packed model is format 1, which this build does not read: pack it again"
    );
    assert_eq!(
        Model::parse(b"GIF8").unwrap_err(),
        ModelError::NotAModel { found: *b"GIF8" }
    );
    assert!(Model::parse(b"").is_err());
}

#[test]
fn a_plan_that_overwrites_a_living_tensor_is_refused() {
    let good = net();
    let tensors = u32::from_le_bytes(good[28..32].try_into().unwrap()) as usize;
    // Tensor 1, which the residual still needs, placed under tensor 2 (the expanded map).
    let mut bytes = good.clone();
    let offset_of = |t: usize| tensors + t * 16 + 12;
    let two: [u8; 4] = good[offset_of(2)..offset_of(2) + 4].try_into().unwrap();
    bytes[offset_of(1)..offset_of(1) + 4].copy_from_slice(&two);
    mend_checksum(&mut bytes);
    assert!(matches!(
        Model::parse(&bytes),
        Err(ModelError::Overlap { .. })
    ));
}

#[test]
fn wrong_weights_and_impossible_sums_are_named() {
    let input = InputSpec {
        shape: Shape::new(2, 2, 1),
        format: PixelFormat::Grey8,
        affine: affine(1.0, 0),
    };
    let mut r = Random(1);
    let mut b = ModelBuilder::new(input, &["a"]);
    let error = b.conv(b.input(), layer(&mut r, 8, 1, 3, 1)).unwrap_err();
    assert_eq!(error.to_string(), "layer 0: 8 weights, needs 9");
    let mut big = layer(&mut r, 4, 1, 1, 1);
    big.channels[0].bias = i32::MAX;
    b.dense(b.input(), big).unwrap();
    let text = b.finish().unwrap_err().to_string();
    let fault = ModelError::Layer {
        layer: 0,
        what: LayerFault::Accumulator,
    };
    assert_eq!(text, fault.to_string());
}

/// What `parse` says of the net with some bytes changed and the right checksum.
fn changed(bytes: &[u8], changes: &[(usize, u8)]) -> Result<(), ModelError> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        bytes[*at] = *value;
    }
    mend_checksum(&mut bytes);
    Model::parse(&bytes).map(|_| ())
}

fn field(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Offset of the record of `layer`.
fn record(bytes: &[u8], layer: usize) -> usize {
    field(bytes, 32) + 40 * layer
}

/// A model of `layers` poolings of one pixel.
fn deep(layers: usize) -> Result<Vec<u8>, BuildError> {
    let input = InputSpec {
        shape: Shape::new(1, 1, 3),
        format: PixelFormat::Rgb888,
        affine: affine(1.0, 0),
    };
    let mut b = ModelBuilder::new(input, &["r", "g", "b"]);
    let pool = Pool {
        kernel: (1, 1),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let mut x = b.input();
    for _ in 0..layers {
        x = b.max_pool(x, pool)?;
    }
    b.finish()
}

#[test]
fn as_many_layers_as_the_format_allows_and_no_more() {
    let bytes = deep(MAX_LAYERS).unwrap();
    assert_eq!(Model::parse(&bytes).unwrap().layer_count(), MAX_LAYERS);
    assert_eq!(scores(&bytes, &[128, 138, 98]), [0, 10, -30]);
    assert_eq!(
        deep(MAX_LAYERS + 1).unwrap_err().to_string(),
        "1025 layers, a packed model has 1024 at most"
    );
    // A file that says more is refused before its records are looked at.
    let error = changed(&bytes, &[(18, 0xff), (19, 0xff)]).unwrap_err();
    assert_eq!(
        error,
        ModelError::TooManyLayers {
            found: 65535,
            most: 1024
        }
    );
    assert_eq!(
        error.to_string(),
        "packed model has 65535 layers, this build reads up to 1024"
    );
    assert_eq!(
        changed(&bytes, &[(18, 0), (19, 0)]),
        Err(ModelError::Header { offset: 18 })
    );
}

#[test]
fn an_arena_that_nobody_fills_is_refused() {
    let bytes = net();
    let used = field(&bytes, 40) as u32;
    for more in [4, 1 << 8, 1 << 31] {
        let found = used + more;
        let [a, b, c, d] = found.to_le_bytes();
        let error = changed(&bytes, &[(40, a), (41, b), (42, c), (43, d)]);
        assert_eq!(error, Err(ModelError::ArenaLen { found, used }));
    }
    assert_eq!(
        ModelError::ArenaLen { found: 532, used }.to_string(),
        "packed model asks for an arena of 532 bytes, its plan takes 528"
    );
    // Less than the plan takes: the first tensor or scratch memory beyond it is named.
    assert!(changed(&bytes, &[(40, 0), (41, 0)]).is_err());
}

#[test]
fn the_header_counts_multiply_accumulates() {
    let bytes = net();
    let counted = field(&bytes, 44) as u32;
    let found = counted ^ 0xff;
    assert_eq!(
        changed(&bytes, &[(44, bytes[44] ^ 0xff)]),
        Err(ModelError::Macs { found, counted })
    );
}

#[test]
fn labels_are_printable() {
    let bytes = net();
    // "cat" follows its length.
    assert_eq!(&bytes[48..52], b"\x03cat");
    for bad in [0, b'\n', 0x1b, 0x7f, 0xff] {
        assert_eq!(
            changed(&bytes, &[(50, bad)]),
            Err(ModelError::Label { class: 0 }),
            "{bad}"
        );
    }
    // U+009B starts a terminal's command as well; "é" does not.
    let two = |low| changed(&bytes, &[(50, 0xc2 + u8::from(low == 0xa9)), (51, low)]);
    assert_eq!(two(0x9b), Err(ModelError::Label { class: 0 }));
    assert_eq!(two(0xa9), Ok(()));
    let input = InputSpec {
        shape: Shape::new(1, 1, 1),
        format: PixelFormat::Grey8,
        affine: affine(1.0, 0),
    };
    let mut b = ModelBuilder::new(input, &["a\u{1b}[2J"]);
    b.softmax(b.input()).unwrap();
    assert_eq!(
        b.finish().unwrap_err().to_string(),
        "label \"a\\u{1b}[2J\" has control characters"
    );
}

#[test]
fn sections_lie_where_the_format_says() {
    let bytes = net();
    for at in [24, 28, 32, 36] {
        for step in [4, 16, 64] {
            let value = bytes[at].wrapping_add(step);
            assert!(
                matches!(
                    changed(&bytes, &[(at, value)]),
                    Err(ModelError::Header { .. } | ModelError::Label { .. })
                ),
                "{at} {step}"
            );
        }
    }
    // 14 bytes of labels and 2 of padding.
    assert_eq!(field(&bytes, 28), 64);
    for at in [62, 63] {
        assert_eq!(
            changed(&bytes, &[(at, 1)]),
            Err(ModelError::Header { offset: 28 })
        );
    }
}

#[test]
fn what_nobody_uses_is_zero() {
    let bytes = net();
    for at in [21, 22, 23] {
        assert_eq!(
            changed(&bytes, &[(at, 1)]),
            Err(ModelError::Header { offset: 21 })
        );
    }
    let tensors = field(&bytes, 28);
    assert_eq!(
        changed(&bytes, &[(tensors + 16 * 3 + 7, 1)]),
        Err(ModelError::Tensor { tensor: 3 })
    );
    let model = Model::parse(&bytes).unwrap();
    let reserved = |layer: usize| {
        Err(ModelError::Layer {
            layer: layer as u16,
            what: LayerFault::Reserved,
        })
    };
    for (i, layer) in model.layers().enumerate() {
        let at = record(&bytes, i);
        assert_eq!(changed(&bytes, &[(at + 1, 2)]), reserved(i), "flags of {i}");
        let (flag, window, layout) = match layer.operator {
            Operator::Conv(_) | Operator::Depthwise(_) => (true, true, true),
            Operator::Dense(_) => (true, false, true),
            Operator::Mean(_) => (true, false, false),
            Operator::AveragePool(_) | Operator::MaxPool(_) => (false, true, false),
            Operator::Add(_) => (false, false, true),
            _ => (false, false, false),
        };
        if !flag {
            assert_eq!(changed(&bytes, &[(at + 1, 1)]), reserved(i), "{layer:?}");
        }
        if !window {
            for k in 6..12 {
                assert_eq!(changed(&bytes, &[(at + k, 2)]), reserved(i), "{layer:?}");
            }
        }
        if !layout {
            assert_eq!(changed(&bytes, &[(at + 15, 1)]), reserved(i), "{layer:?}");
        }
        for k in [16, 20, 24, 28] {
            let used = field(&bytes, at + k) != 0;
            let end = field(&bytes, 36) + field(&bytes, at + k);
            let mut moved = Vec::new();
            moved.push((at + k, bytes[at + k].wrapping_add(16)));
            if !used && end > 0 && !(i == 0 && k == 16) {
                assert_eq!(changed(&bytes, &moved), reserved(i), "{k} of {layer:?}");
            }
            let odd = [(at + k, bytes[at + k] + 4)];
            assert!(changed(&bytes, &odd).is_err(), "{k} of {layer:?}");
        }
        if layer.scratch.1 == 0 {
            assert_eq!(changed(&bytes, &[(at + 32, 4)]), reserved(i), "{layer:?}");
        }
    }
}

#[test]
fn layers_with_one_set_of_weights_are_refused() {
    let input = InputSpec {
        shape: Shape::new(1, 1, 64),
        format: PixelFormat::Raw8,
        affine: affine(1.0, 0),
    };
    let mut r = Random(5);
    let labels: Vec<std::string::String> = (0..64).map(|i| i.to_string()).collect();
    let labels: Vec<&str> = labels.iter().map(|l| l.as_str()).collect();
    let mut b = ModelBuilder::new(input, &labels);
    let dense = layer(&mut r, 64 * 64, 64, 1, 1);
    let mut x = b.dense(b.input(), dense.clone()).unwrap();
    for _ in 0..3 {
        x = b.dense(x, dense.clone()).unwrap();
    }
    let bytes = b.finish().unwrap();
    // The file is cut behind the first layer's weights, and all layers read those.
    let model = Model::parse(&bytes).unwrap();
    let Some(Operator::Dense(f)) = model.layer(1).map(|l| l.operator) else {
        panic!("no dense layer");
    };
    let stream = f.weights.len();
    let section = field(&bytes, 36);
    let mut small = bytes[..section + stream].to_vec();
    let len = (small.len() as u32).to_le_bytes();
    small[8..12].copy_from_slice(&len);
    for i in 0..4 {
        let at = record(&small, i) + 16;
        // Layers 1 to 3 have another input zero point: their folded biases are those of layer 1.
        small[at..at + 4].fill(0);
    }
    mend_checksum(&mut small);
    assert_eq!(
        Model::parse(&small).unwrap_err(),
        ModelError::Layer {
            layer: 1,
            what: LayerFault::Shared
        }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever survives the checks runs to its end: nothing panics, whatever the bytes were.
    #[test]
    fn mutated_models_are_refused_or_run(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_tables in any::<bool>(),
    ) {
        let mut bytes = net();
        // Half of the cases change only header and tables, where most fields mean something.
        let end = if in_tables {
            u32::from_le_bytes(bytes[36..40].try_into().unwrap()) as usize
        } else {
            bytes.len()
        };
        for (index, value) in changes {
            let at = index.index(end);
            bytes[at] = value;
        }
        mend_checksum(&mut bytes);
        // A damaged size may ask for gigabytes and for as much time: run what a chip could hold.
        if let Ok(model) = Model::parse(&bytes)
            && model.arena_len() <= 1 << 20
        {
            let mut arena = vec![0; model.arena_len()];
            let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
            let frame = vec![200; model.input().shape.len()];
            interpreter.load(&frame).unwrap();
            prop_assert_eq!(interpreter.run(&mut ()).len(), model.class_count());
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::parse(&bytes).is_err());
    }
}

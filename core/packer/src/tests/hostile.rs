//! Files with a right checksum that ask for too much or say what is not so.

use super::*;
use pupil_core::error::{LayerFault, ModelError};

/// What `parse` says of the net with some bytes changed and the right checksum.
pub(super) fn changed(bytes: &[u8], changes: &[(usize, u8)]) -> Result<(), ModelError> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        bytes[*at] = *value;
    }
    mend_checksum(&mut bytes);
    Model::parse(&bytes).map(|_| ())
}

pub(super) fn field(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Offset of the record of `layer`.
pub(super) fn record(bytes: &[u8], layer: usize) -> usize {
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
    for (at, offset) in [(21, 21), (22, 22), (23, 22)] {
        assert_eq!(
            changed(&bytes, &[(at, 1)]),
            Err(ModelError::Header { offset })
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
            let moved = [(at + k, bytes[at + k].wrapping_add(16))];
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
    let stream = f.weights().len();
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

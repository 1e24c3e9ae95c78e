//! Maps, windows and streams at the edges of what the format holds, and what an image costs.

use super::hostile::{changed, field, record};
use super::*;
use pupil_core::error::{LayerFault, ModelError};

/// A spec of a raw map.
fn raw(h: usize, w: usize, c: usize) -> InputSpec {
    InputSpec {
        shape: Shape::new(h, w, c),
        format: PixelFormat::Raw8,
        affine: affine(1.0, 0),
    }
}

/// A builder whose class count is that of its last tensor.
fn finish(mut b: ModelBuilder, last: TensorId) -> Result<Vec<u8>, BuildError> {
    let labels = std::vec![""; b.shape(last).len()];
    b.set_labels(&labels);
    b.finish()
}

#[test]
fn a_pointwise_layer_whose_output_is_smaller_than_its_input_writes_nowhere() {
    // Packed and natural layouts, shorter and narrower outputs: the kernels walk both maps as one row.
    let mut r = Random(3);
    for (out_ch, shift) in [(8, 0), (8, -9), (3, -9)] {
        for (h, w) in [(3, 4), (4, 3), (1, 4), (4, 1), (1, 1)] {
            let mut b = ModelBuilder::new(raw(4, 4, 8), &[]);
            let mut conv = layer(&mut r, 8 * out_ch, out_ch, 1, 1);
            for channel in &mut conv.channels {
                channel.multiplier.shift = shift;
            }
            conv.pad = Pad::Explicit {
                top: 0,
                left: 0,
                h,
                w,
            };
            let y = b.conv(b.input(), conv).unwrap();
            let fault = ModelError::Layer {
                layer: 0,
                what: LayerFault::Shape,
            };
            assert_eq!(finish(b, y).unwrap_err().to_string(), fault.to_string());
        }
    }
    // The same in a file whose record says so: the output's height of the net's second layer.
    let bytes = net();
    let tensors = field(&bytes, 28);
    let height = tensors + 16 * 2;
    assert!(changed(&bytes, &[(height, bytes[height] - 1)]).is_err());
}

#[test]
fn a_crop_of_other_windows_runs_as_the_reference_says() {
    use pupil_core::kernels::reference::{Convolution, convolution};
    use pupil_core::op::shape::Window;
    let mut r = Random(11);
    for (kernel, stride, h, w) in [(3, 1, 2, 3), (3, 2, 1, 1), (1, 2, 2, 1), (2, 1, 4, 4)] {
        let input = Shape::new(5, 5, 4);
        let mut conv = layer(&mut r, 4 * 4 * kernel * kernel, 4, kernel, stride);
        conv.pad = Pad::Explicit {
            top: 0,
            left: 0,
            h,
            w,
        };
        let mut b = ModelBuilder::new(raw(5, 5, 4), &[]);
        let y = b.conv(b.input(), conv.clone()).unwrap();
        let bytes = finish(b, y).unwrap();
        let frame = r.bytes(input.len());
        let x: Vec<i8> = frame.iter().map(|p| (p ^ 0x80) as i8).collect();
        let weights: Vec<i8> = conv.weights.iter().map(|w| *w as i8).collect();
        let expected = convolution(
            &Convolution {
                input,
                output: Shape::new(h, w, 4),
                window: Window {
                    kernel_h: kernel,
                    kernel_w: kernel,
                    stride_h: stride,
                    stride_w: stride,
                    pad_top: 0,
                    pad_left: 0,
                },
                weights: &weights,
                bias: &conv.channels.iter().map(|c| c.bias).collect::<Vec<_>>(),
                multipliers: &conv
                    .channels
                    .iter()
                    .map(|c| c.multiplier)
                    .collect::<Vec<_>>(),
                zero_points: (0, -10),
                act: conv.act,
            },
            &x,
            false,
        )
        .collect::<Vec<_>>();
        assert_eq!(scores(&bytes, &frame), expected, "{kernel} {stride}");
    }
}

#[test]
fn numbers_that_no_format_holds_are_refused_before_anything_is_computed() {
    let most = usize::MAX;
    let mut r = Random(1);
    let conv = layer(&mut r, 9, 1, 3, 1);
    for (kernel, stride) in [(most, 1), (0, 1), (256, 1), (3, 0), (3, 256), (3, most)] {
        let bad = Conv {
            kernel: (kernel, 3),
            stride: (1, stride),
            ..conv.clone()
        };
        let mut b = ModelBuilder::new(raw(4, 4, 1), &[]);
        let error = b.conv(b.input(), bad.clone()).unwrap_err().to_string();
        assert!(error.starts_with("layer 0: a "), "{error}");
        assert!(b.depthwise(b.input(), bad).is_err());
        let pool = Pool {
            kernel: (3, kernel),
            stride: (stride, 1),
            pad: Pad::Same,
            act: (-128, 127),
        };
        assert!(b.max_pool(b.input(), pool).is_err() && b.average_pool(b.input(), pool).is_err());
    }
    for (h, w) in [(most, 1), (1, most), (0, 1), (65_536, 1), (65_535, 65_535)] {
        let pad = Pad::Explicit {
            top: 0,
            left: 0,
            h,
            w,
        };
        let bad = Conv {
            pad,
            ..conv.clone()
        };
        let mut b = ModelBuilder::new(raw(4, 4, 1), &[]);
        assert!(b.conv(b.input(), bad.clone()).is_err() && b.depthwise(b.input(), bad).is_err());
        let mut b = ModelBuilder::new(raw(h, w, 1), &[]);
        assert!(b.conv(b.input(), conv.clone()).is_err());
        let dense = Conv::dense(r.bytes(4), conv.channels.clone(), conv.out);
        assert!(b.dense(b.input(), dense).is_err() && b.mean(b.input(), conv.out).is_err());
    }
}

#[test]
fn a_map_whose_values_exceed_31_bits_is_refused_where_only_its_rows_exist_too() {
    let bytes = streamed_chain();
    let tensors = field(&bytes, 28);
    // Sides of 65,535 of the map between the two layers, of which only rows exist.
    let sides: Vec<(usize, u8)> = (0..6).map(|k| (tensors + 16 + k, 0xff)).collect();
    assert_eq!(
        changed(&bytes, &sides),
        Err(ModelError::Tensor { tensor: 1 })
    );
}

/// Two convolutions as a stream.
fn streamed_chain() -> Vec<u8> {
    let mut r = Random(5);
    let mut b = ModelBuilder::new(raw(12, 4, 3), &[]);
    let x = b.conv(b.input(), layer(&mut r, 4 * 27, 4, 3, 1)).unwrap();
    let y = b.conv(x, layer(&mut r, 4 * 36, 4, 3, 1)).unwrap();
    let plain = finish(b, y).unwrap();
    crate::plan::any_schedule(&plain, false, |n| 1.min(n - 1)).unwrap()
}

#[test]
fn more_living_tensors_than_a_chip_can_check_are_refused() {
    // A sum of all maps before it: each of them lives until then.
    let build = |maps: usize| {
        let mut b = ModelBuilder::new(raw(1, 1, 1), &["a"]);
        let pool = Pool {
            kernel: (1, 1),
            stride: (1, 1),
            pad: Pad::Same,
            act: (-128, 127),
        };
        let all: Vec<TensorId> = (0..maps)
            .map(|_| b.max_pool(b.input(), pool).unwrap())
            .collect();
        let out = affine(1.0, 0);
        let sum = all
            .iter()
            .skip(1)
            .fold(all[0], |a, x| b.add(a, *x, out, (-128, 127)).unwrap());
        finish(b, sum)
    };
    // The sum lives with them.
    let bytes = build(MAX_LIVE - 1).unwrap();
    assert_eq!(scores(&bytes, &[129]), [63]);
    let error = build(MAX_LIVE).unwrap_err().to_string();
    assert!(
        error.starts_with("more than 64 tensors are needed at layer"),
        "{error}"
    );
}

#[test]
fn work_counts_what_every_operator_reads_and_layers_that_run_again() {
    let pool = Pool {
        kernel: (255, 255),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let mut b = ModelBuilder::new(raw(255, 255, 1), &["a"]);
    let x = b.average_pool(b.input(), pool).unwrap();
    let x = b.max_pool(x, pool).unwrap();
    let y = b.mean(x, affine(1.0, 0)).unwrap();
    let bytes = finish(b, y).unwrap();
    let model = Model::parse(&bytes).unwrap();
    assert_eq!(model.macs(), 0);
    assert_eq!(model.work(), 2 * 255u64.pow(4) + 255 * 255);
    // Every layer of the net, and those of its block that a schedule computes twice.
    let plain = net();
    let plain = Model::parse(&plain).unwrap();
    assert!(plain.work() > u64::from(plain.macs()));
    let small = crate::plan::Memory {
        goal: crate::plan::Goal::Smallest,
        frame_by_rows: true,
    };
    let bytes = crate::plan::schedule(plain.bytes(), small).unwrap();
    let twice = Model::parse(&bytes).unwrap();
    assert!(twice.macs() == plain.macs() && twice.work() > plain.work());
}

#[test]
fn an_addition_in_a_stream_with_scratch_memory_that_it_does_not_want_runs() {
    // Rows of 30 bytes begin at odd places; a record may ask for more scratch memory than its kernels.
    let mut b = ModelBuilder::new(raw(4, 5, 6), &[]);
    let x = b.input();
    let sum = b.add(x, x, affine(1.0, 0), (-128, 127)).unwrap();
    let pool = Pool {
        kernel: (1, 1),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let y = b.max_pool(sum, pool).unwrap();
    let plain = finish(b, y).unwrap();
    let mut bytes = crate::plan::any_schedule(&plain, false, |n| 1.min(n - 1)).unwrap();
    let at = record(&bytes, 0);
    let arena = field(&bytes, 40);
    bytes[at + 32..at + 36].copy_from_slice(&(arena as u32).to_le_bytes());
    bytes[at + 36..at + 40].copy_from_slice(&4u32.to_le_bytes());
    bytes[40..44].copy_from_slice(&(arena as u32 + 4).to_le_bytes());
    mend_checksum(&mut bytes);
    let frame = Random(3).bytes(120);
    assert_eq!(scores(&bytes, &frame), scores(&plain, &frame));
}

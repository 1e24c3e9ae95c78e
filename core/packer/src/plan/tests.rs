//! Every schedule gives the same answer.

use proptest::prelude::*;

use super::{Goal, Memory, any_schedule, schedule};
use crate::quantize::multiplier;
use crate::tables;
use crate::{BuildError, Channel, Conv, Fused, ModelBuilder, Pad, Pool, TensorId};
use pupil_core::error::FrameError;
use pupil_core::interpreter::{Interpreter, Step};
use pupil_core::model::{InputSpec, Model, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;

/// A linear congruential generator.
#[derive(Clone, Debug)]
struct Random(u32);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

struct Net {
    builder: ModelBuilder,
    random: Random,
}

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}

impl Net {
    /// A layer's weights and one of several activations: none, ReLU, clamps, a table.
    fn layer(&mut self, taps: usize, out_ch: usize, kernel: usize, stride: usize) -> Conv {
        let r = &mut self.random;
        let kind = r.below(5);
        let out = affine(0.05, r.of(&[-128, -128, -10, 0, 77]));
        let act = match kind {
            0 => (-100, 90),
            _ => (-128, 127),
        };
        let table = tables::silu(out, affine(0.04, -100));
        let fused = (kind == 1).then(|| Fused {
            table,
            out: affine(0.04, -100),
        });
        let spread = 5400.0 * (taps as f64).sqrt();
        Conv {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            pad: Pad::Same,
            weights: (0..taps * out_ch)
                .map(|_| (r.word() as i8).max(-127) as u8)
                .collect(),
            channels: (0..out_ch)
                .map(|_| Channel {
                    bias: r.word() as i32 % 4000 - 2000,
                    multiplier: multiplier(60.0 / spread),
                })
                .collect(),
            out,
            act,
            fused,
        }
    }

    fn conv(&mut self, x: TensorId, out_ch: usize, k: usize, s: usize) -> TensorId {
        let taps = k * k * self.builder.shape(x).c;
        let layer = self.layer(taps, out_ch, k, s);
        self.builder.conv(x, layer).unwrap()
    }

    /// One MBConv block with whatever parts chance gives it.
    fn block(&mut self, x: TensorId) -> TensorId {
        let (input, kernel, stride) = {
            let r = &mut self.random;
            (
                self.builder.shape(x),
                r.of(&[3, 3, 5, 2]),
                r.of(&[1, 1, 2, 3]),
            )
        };
        let expand = self.random.of(&[0, 1, 2, 4, 6]);
        let mut y = x;
        if expand > 0 {
            let extra = self.random.of(&[0, 0, 1]);
            y = self.conv(y, input.c * expand + extra, 1, 1);
        }
        let c = self.builder.shape(y).c;
        let layer = self.layer(kernel * kernel, c, kernel, stride);
        y = self.builder.depthwise(y, layer).unwrap();
        match self.random.below(6) {
            0..3 => {
                let pooled = self.builder.mean(y, affine(0.03, 5)).unwrap();
                let (hidden, first) = (2, self.layer(c, 2, 1, 1));
                let z = self.builder.dense(pooled, first).unwrap();
                let second = self.layer(hidden, c, 1, 1);
                let gate = self.builder.dense(z, second).unwrap();
                let out = affine(0.03, self.random.of(&[-128, 0, 20]));
                y = self.builder.mul(y, gate, out, (-128, 127)).unwrap();
            }
            3 => {
                let table = tables::silu(self.builder.affine(y), affine(0.04, -100));
                let out = affine(0.04, -100);
                y = self.builder.lookup(y, &Fused { table, out }).unwrap();
            }
            4 => {
                let pool = Pool {
                    kernel: (2, 2),
                    stride: (1, 1),
                    pad: Pad::Same,
                    act: (-128, 127),
                };
                y = self.builder.max_pool(y, pool).unwrap();
            }
            _ => {}
        }
        let narrower = self.random.of(&[0, 0, 1, 3]);
        y = self.conv(y, input.c + narrower, 1, 1);
        if self.builder.shape(y) == input {
            let out = affine(0.06, 3);
            let (a, b) = self.random.of(&[(x, y), (y, x)]);
            y = self.builder.add(a, b, out, (-128, 127)).unwrap();
        }
        y
    }
}

/// A network of a stem, one to three blocks and a classifier.
fn network(seed: u32) -> Result<Vec<u8>, BuildError> {
    let mut random = Random(seed);
    random.word();
    let r = &mut random;
    let sides = [1, 2, 3, 4, 5, 7, 9, 12, 17];
    let shape = Shape::new(r.of(&sides), r.of(&sides), r.of(&[1, 3, 4, 5, 8]));
    let input = InputSpec {
        shape,
        format: PixelFormat::Raw8,
        affine: affine(1.0 / 64.0, r.of(&[-128, -20, 7])),
    };
    let mut net = Net {
        builder: ModelBuilder::new(input, &["a", "b"]),
        random,
    };
    let mut x = net.builder.input();
    if net.random.below(3) > 0 {
        let (out_ch, k, s) = {
            let r = &mut net.random;
            (r.of(&[4, 6, 8]), r.of(&[3, 3, 5]), r.of(&[1, 2]))
        };
        x = net.conv(x, out_ch, k, s);
    }
    for _ in 0..1 + net.random.below(3) {
        x = net.block(x);
    }
    if net.random.below(2) == 0 {
        x = net.builder.mean(x, affine(0.05, 0))?;
    }
    let taps = net.builder.shape(x).len();
    let layer = net.layer(taps, 2, 1, 1);
    net.builder.dense(x, layer)?;
    net.builder.finish()
}

/// The answer in an arena of noise, so that nothing is right by chance.
fn answer(bytes: &[u8], frame: &[u8]) -> Vec<i8> {
    let model = Model::parse(bytes).unwrap();
    let mut arena = vec![0x55; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    interpreter.classify(frame, &mut ()).unwrap();
    // Once more: no state of the first frame is left.
    interpreter.classify(frame, &mut ()).unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_schedule_gives_the_same_answer(seed: u32) {
        let plain = network(seed).unwrap();
        let len = Model::parse(&plain).unwrap().input().shape.len();
        let mut random = Random(seed ^ 0x5555);
        let frame: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
        let expected = answer(&plain, &frame);
        let whole = Model::parse(&plain).unwrap().arena_len();
        let mut less_free = whole;
        for frame_by_rows in [false, true] {
            let with = |goal| schedule(&plain, Memory { goal, frame_by_rows });
            let smallest = with(Goal::Smallest).unwrap();
            prop_assert_eq!(&answer(&smallest, &frame), &expected);
            let least = Model::parse(&smallest).unwrap().arena_len();
            // More freedom never costs memory.
            prop_assert!(least <= less_free, "{} > {}", least, less_free);
            less_free = least;
            let between = with(Goal::Within((least + whole) / 2)).unwrap();
            prop_assert_eq!(&answer(&between, &frame), &expected);
            prop_assert!(Model::parse(&between).unwrap().arena_len() <= (least + whole) / 2);
            // And ways that no planner would choose.
            for _ in 0..6 {
                let pick = |n: usize| random.below(n);
                let bytes = any_schedule(&plain, frame_by_rows, pick).unwrap();
                prop_assert_eq!(&answer(&bytes, &frame), &expected, "{} bytes", bytes.len());
            }
        }
        prop_assert_eq!(schedule(&plain, Memory::default()).unwrap(), plain);
    }
}

#[test]
fn an_arena_that_is_too_small_for_every_schedule_is_refused_with_the_smallest() {
    let plain = network(5).unwrap();
    let memory = |goal| Memory {
        goal,
        frame_by_rows: true,
    };
    let smallest = schedule(&plain, memory(Goal::Smallest)).unwrap();
    let least = Model::parse(&smallest).unwrap().arena_len();
    let error = schedule(&plain, memory(Goal::Within(least - 1))).unwrap_err();
    let text = std::format!(
        "no schedule fits an arena of {} bytes; the smallest has {least}",
        least - 1
    );
    assert_eq!(error.0, text);
    assert!(schedule(&plain, memory(Goal::Within(least))).is_ok());
    assert!(schedule(&smallest[..40], Memory::default()).is_err());
}

#[test]
fn rows_are_taken_as_they_come() {
    let (seed, plain) = (0..99)
        .find_map(|seed| {
            let plain = network(seed).unwrap();
            let rows = Memory {
                goal: Goal::Smallest,
                frame_by_rows: true,
            };
            let small = schedule(&plain, rows).unwrap();
            let model = Model::parse(&small).unwrap();
            let found = model.input().shape.h > 8 && model.reads_rows();
            found.then_some((seed, plain.clone()))
        })
        .unwrap();
    let rows = Memory {
        goal: Goal::Smallest,
        frame_by_rows: true,
    };
    let bytes = schedule(&plain, rows).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let shape = model.input().shape;
    assert!(model.reads_rows(), "seed {seed}");
    let frame: Vec<u8> = (0..shape.len()).map(|i| (i * 7) as u8).collect();
    let expected = answer(&plain, &frame);
    let mut arena = vec![3; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    assert_eq!(interpreter.load(&frame), Err(FrameError::ByRows));
    assert!(interpreter.input_mut().is_empty());
    // Half a row is no row.
    let row = shape.w * shape.c;
    assert_eq!(interpreter.feed(&frame[..row - 1]).len(), row - 1);
    for pixels in frame.chunks(row) {
        // All that can run without the next row.
        while let Step::Ran(_) = interpreter.step(&mut ()) {}
        if interpreter.step(&mut ()) == Step::Done {
            break;
        }
        assert!(interpreter.feed(pixels).is_empty());
    }
    assert_eq!(interpreter.run(&mut ()).unwrap(), expected);
    // No more rows are asked for.
    assert_eq!(interpreter.feed(&frame).len(), frame.len());
    assert!(interpreter.classify(&frame[1..], &mut ()).is_err());
}

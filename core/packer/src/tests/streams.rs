//! Streams that are right, and files with a right checksum whose streams are not.

use super::*;
use pupil_core::error::{ArenaError, ModelError, StreamFault};
use pupil_core::interpreter::Step;
use pupil_core::kernels::{OperatorSet, Operators};
use pupil_core::observer::Observer;

/// The net with its block in two passes and its first and last maps as streams.
fn streamed() -> Vec<u8> {
    let memory = Memory {
        goal: Goal::Smallest,
        frame_by_rows: true,
    };
    schedule(&net(), memory).unwrap()
}

/// Offset of the streams, and their bytes.
fn section(bytes: &[u8]) -> (usize, usize) {
    let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let layers = usize::from(u16::from_le_bytes([bytes[18], bytes[19]]));
    let words = u16::from_le_bytes([bytes[22], bytes[23]]);
    (field(32) + 40 * layers, 4 * usize::from(words))
}

/// What `parse` says with `bytes` put at `at`.
fn with(good: &[u8], at: usize, put: &[u8]) -> Result<(), ModelError> {
    let mut bytes = good.to_vec();
    bytes[at..at + put.len()].copy_from_slice(put);
    mend_checksum(&mut bytes);
    Model::parse(&bytes).map(|_| ())
}

#[test]
fn a_streamed_model_is_smaller_and_says_how_it_runs() {
    let (plain, bytes) = (net(), streamed());
    assert_eq!(bytes[4], 3);
    let model = Model::parse(&bytes).unwrap();
    assert!(model.arena_len() < Model::parse(&plain).unwrap().arena_len());
    let plan = Plan::of(&model);
    assert_eq!(plan.peak, model.arena_len());
    // The depthwise block with squeeze-and-excitation runs in two passes.
    assert!(plan.runs.iter().any(|r| matches!(r.way, Way::Squeeze(_))));
    assert!(plan.runs.iter().any(|r| matches!(r.way, Way::Again(_))));
    let busiest = (0..model.layer_count()).map(|i| plan.in_use(i)).max();
    assert!(busiest <= Some(plan.peak), "{plan}");
    let text = plan.to_string();
    for part in ["rows", "sums", "in place", "again", "arena: ", "extra"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let frame = Random(3).bytes(72);
    let expected = scores(&plain, &frame);
    let mut arena = vec![9; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    assert_eq!(interpreter.classify(&frame, &mut ()).unwrap(), expected);
}

#[test]
fn observers_see_every_band_and_steps_are_shorter() {
    #[derive(Default)]
    struct Bytes(usize, usize);
    impl Observer for Bytes {
        fn before(&mut self, _: usize, _: &Layer<'_>) {
            self.0 += 1;
        }
        fn after(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]) {
            assert!(layer.output == index + 1 && !output.is_empty());
            self.1 = self.1.max(output.len());
        }
    }
    let longest = |bytes: &[u8]| {
        let model = Model::parse(bytes).unwrap();
        let mut arena = vec![9; model.arena_len()];
        let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
        let mut seen = Bytes::default();
        interpreter.classify(&[7; 72], &mut seen).unwrap();
        assert_eq!(interpreter.step(&mut seen), Step::Done);
        (seen.0, seen.1)
    };
    let (plain, streamed) = (longest(&net()), longest(&streamed()));
    assert!(
        streamed.0 > plain.0 && streamed.1 < plain.1,
        "{streamed:?} {plain:?}"
    );
}

#[test]
fn a_program_without_streams_refuses_a_model_with_them() {
    struct Alone;
    impl Operators for Alone {
        const SET: OperatorSet = OperatorSet::from_bits(OperatorSet::STREAM.bits() - 1);
    }
    let bytes = streamed();
    let model = Model::parse(&bytes).unwrap();
    assert!(model.operator_set().has(OperatorSet::STREAM));
    let mut arena = vec![0; model.arena_len()];
    let refused = Interpreter::<Alone>::with_operators(&model, &mut arena).map(|_| ());
    assert!(matches!(refused, Err(ArenaError::OperatorMissing { .. })));
    let plain = net();
    let model = Model::parse(&plain).unwrap();
    assert!(!model.operator_set().has_any(OperatorSet::STREAM));
    let mut arena = vec![0; model.arena_len()];
    assert!(Interpreter::<Alone>::with_operators(&model, &mut arena).is_ok());
}

#[test]
fn damaged_streams_are_named() {
    let good = streamed();
    let (at, len) = section(&good);
    let stream = |what: StreamFault| {
        Err(ModelError::Stream {
            layer: u16::from_le_bytes([good[at], good[at + 1]]),
            what,
        })
    };
    // No layers; a link without rows; a byte that means nothing; a place of a third input.
    assert_eq!(with(&good, at + 2, &[0, 0]), stream(StreamFault::Record));
    let link = at + 8;
    assert_eq!(with(&good, link + 2, &[0, 0]), stream(StreamFault::Record));
    assert_eq!(with(&good, link + 7, &[1]), stream(StreamFault::Record));
    assert_eq!(with(&good, link + 6, &[3]), stream(StreamFault::Record));
    // More links than there are bytes, or than a stream may have.
    assert!(matches!(
        with(&good, at + 4, &[200, 0]),
        Err(ModelError::Stream { .. })
    ));
    // A buffer of no rows, of too few, of more than the arena has, at an odd place.
    assert_eq!(with(&good, link + 4, &[0, 0]), stream(StreamFault::Buffer));
    assert_eq!(
        with(&good, link + 4, &[255, 255]),
        stream(StreamFault::Buffer)
    );
    assert_eq!(with(&good, link + 8, &[1]), stream(StreamFault::Buffer));
    let rows = u16::from_le_bytes([good[link + 4], good[link + 5]]);
    if rows > 1 {
        let fewer = (rows - 1).to_le_bytes();
        assert_eq!(with(&good, link + 4, &fewer), stream(StreamFault::Buffer));
    }
    // Streams of another version than theirs, and none where the version says so.
    assert_eq!(with(&good, 4, &[2]), Err(ModelError::Header { offset: 22 }));
    assert_eq!(
        with(&net(), 4, &[3]),
        Err(ModelError::Header { offset: 22 })
    );
    assert_eq!(
        with(&good, 22, &[0, 0]),
        Err(ModelError::Header { offset: 22 })
    );
    assert!(with(&good, 22, &[((len / 4) - 1) as u8]).is_err());
    let text = stream(StreamFault::Rows).unwrap_err().to_string();
    assert!(text.ends_with("a layer would overwrite rows that are still needed"));
}

#[test]
fn an_output_over_rows_that_are_still_needed_is_refused() {
    // Two convolutions as a stream: the output is smaller than the input, whose place it takes.
    let input = InputSpec {
        shape: Shape::new(12, 4, 3),
        format: PixelFormat::Rgb888,
        affine: affine(1.0, 0),
    };
    let mut r = Random(5);
    let mut b = ModelBuilder::new(input, &vec![""; 12 * 4 * 4]);
    let x = b.conv(b.input(), layer(&mut r, 4 * 27, 4, 3, 1)).unwrap();
    b.conv(x, layer(&mut r, 4 * 36, 4, 3, 1)).unwrap();
    let plain = b.finish().unwrap();
    let bytes = any_schedule(&plain, false, |n| 1.min(n - 1)).unwrap();
    let frame = Random(9).bytes(144);
    assert_eq!(scores(&bytes, &frame), scores(&plain, &frame));
    // Everywhere else: either it is refused, or the answer stays the same.
    let tensors = u32::from_le_bytes(bytes[28..32].try_into().unwrap()) as usize;
    let at = tensors + 2 * 16 + 12;
    let (mut rows, mut right) = (0, 0);
    for offset in (0..1200u32).step_by(4) {
        let mut bytes = bytes.clone();
        bytes[40..44].copy_from_slice(&4096u32.to_le_bytes());
        bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
        // The input lies alone.
        bytes[tensors + 12..tensors + 16].copy_from_slice(&800u32.to_le_bytes());
        mend_checksum(&mut bytes);
        let Err(ModelError::ArenaLen { used, .. }) = Model::parse(&bytes) else {
            panic!("an arena of 4096 bytes is too long");
        };
        bytes[40..44].copy_from_slice(&used.to_le_bytes());
        mend_checksum(&mut bytes);
        match Model::parse(&bytes).map(|_| ()) {
            Ok(()) => {
                assert_eq!(scores(&bytes, &frame), scores(&plain, &frame), "{offset}");
                right += 1;
            }
            Err(ModelError::Stream { what, .. }) => {
                assert_eq!(what, StreamFault::Rows);
                rows += 1;
            }
            Err(error) => assert!(matches!(error, ModelError::Overlap { .. }), "{error}"),
        }
    }
    assert!(rows > 10 && right > 50, "{rows} and {right}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4000))]

    /// Whatever survives the checks runs to its end, and gives the same answer where only streams
    /// and places were changed.
    #[test]
    fn mutated_streams_are_refused_or_run(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..5),
        small in proptest::prelude::any::<bool>(),
    ) {
        let good = streamed();
        let mut bytes = good.clone();
        let (at, len) = section(&bytes);
        for (index, value) in changes {
            let place = &mut bytes[at + index.index(len)];
            *place = if small { place.wrapping_add(value % 5).wrapping_sub(2) } else { value };
        }
        mend_checksum(&mut bytes);
        if let Ok(model) = Model::parse(&bytes) && model.arena_len() <= 1 << 20 {
            let mut arena = vec![0x5b; model.arena_len()];
            let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
            let frame = Random(8).bytes(72);
            let found = interpreter.classify(&frame, &mut ()).unwrap().to_vec();
            proptest::prop_assert_eq!(found, scores(&net(), &frame));
        }
    }
}

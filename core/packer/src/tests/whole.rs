//! Models that are right: what they say of themselves, their plan, their runs.

use super::*;
use pupil_core::error::{ArenaError, FrameError};
use pupil_core::interpreter::{Arena, Step};
use pupil_core::observer::Observer;

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
fn the_readmes_example_is_the_one_that_is_compiled() {
    let readme = include_str!("../../../README.md");
    let code = readme.split("```rust\n").nth(1).unwrap();
    let code = code.split("```").next().unwrap();
    let file = include_str!("../../../examples/no_std/src/lib.rs");
    let file = file.replace("../../../../firmware/model/tiny.pupil", "student.pupil");
    let other = "#[cfg(feature = \"unaligned\")]\npub mod unaligned;\n\n";
    assert!(file.contains(other));
    assert_eq!(code, file.replace(other, ""));
}

#[test]
fn the_readme_lists_every_operator() {
    let readme = include_str!("../../../README.md");
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
    assert_eq!(interpreter.run(&mut ()).unwrap(), expected);
    let sum: i32 = expected.iter().map(|q| i32::from(*q) + 128).sum();
    assert!(
        (250..=262).contains(&sum),
        "probabilities add up to about 256: {sum}"
    );
}

#[test]
fn a_tensor_multiplied_by_itself_is_squared_in_a_place_of_its_own() {
    let input = InputSpec {
        shape: Shape::new(1, 1, 3),
        format: PixelFormat::Raw8,
        affine: affine(1.0, 0),
    };
    let mut b = ModelBuilder::new(input, &["a", "b", "c"]);
    let x = b.input();
    b.mul(x, x, affine(1.0, 0), (-128, 127)).unwrap();
    let bytes = b.finish().unwrap();
    assert_eq!(scores(&bytes, &[128 + 3, 128 - 5, 128]), [9, 25, 0]);
    let model = Model::parse(&bytes).unwrap();
    let layer = model.layer(0).unwrap();
    assert!(!layer.may_replace(0) && layer.operator.works_in_place(0));
    // In the place of its input it could not be: the gate would be lost before the last pixel.
    let tensors = u32::from_le_bytes(bytes[28..32].try_into().unwrap()) as usize;
    let mut moved = bytes.clone();
    let place: [u8; 4] = bytes[tensors + 12..tensors + 16].try_into().unwrap();
    moved[tensors + 28..tensors + 32].copy_from_slice(&place);
    mend_checksum(&mut moved);
    let error = Model::parse(&moved).unwrap_err();
    if let pupil_core::error::ModelError::ArenaLen { used, .. } = error {
        moved[40..44].copy_from_slice(&used.to_le_bytes());
        mend_checksum(&mut moved);
    }
    assert_eq!(
        Model::parse(&moved).unwrap_err(),
        pupil_core::error::ModelError::Overlap {
            layer: 0,
            tensor: 0
        }
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
fn the_planner_and_the_kernels_agree_on_what_works_in_place() {
    let bytes = net();
    let model = Model::parse(&bytes).unwrap();
    for (i, layer) in model.layers().enumerate() {
        let record = model.record(i).unwrap();
        let kernels = [0, 1].map(|input| layer.operator.works_in_place(input));
        assert_eq!(crate::contents::in_place(&record), kernels, "layer {i}");
    }
}

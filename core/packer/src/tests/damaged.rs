//! Files that were cut, flipped or written wrong.

use proptest::prelude::*;

use super::*;
use pupil_core::error::{LayerFault, ModelError};

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
        "packed model is format 9, this build reads up to 3"
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
            prop_assert_eq!(interpreter.run(&mut ()).unwrap().len(), model.class_count());
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::parse(&bytes).is_err());
    }
}

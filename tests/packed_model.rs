//! The committed students, damaged in every way.

use pupil_core::error::{ArenaError, FrameError};
use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;

use crate::support::committed;

#[test]
fn every_cut_is_refused() {
    for name in ["quickstart.pupil", "tiny.pupil"] {
        let bytes = committed(name);
        assert!(Model::parse(&bytes).is_ok(), "{name}");
        for n in 0..bytes.len() {
            assert!(Model::parse(&bytes[..n]).is_err(), "{name}: {n} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let good = committed("tiny.pupil");
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at * 5 % 8);
        assert!(Model::parse(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn an_arena_one_byte_too_small_and_frames_of_a_wrong_size_are_refused() {
    let bytes = committed("quickstart.pupil");
    let model = Model::parse(&bytes).unwrap();
    let needed = model.arena_len();
    let mut arena = vec![0; needed];
    let error = Interpreter::new(&model, &mut arena[..needed - 1]).unwrap_err();
    assert_eq!(
        error,
        ArenaError::ArenaTooSmall {
            needed,
            got: needed - 1
        }
    );
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    for got in [0, 783, 785, 28 * 28 * 3] {
        let error = interpreter.load(&vec![0; got]).unwrap_err();
        assert_eq!(error, FrameError::WrongSize { needed: 784, got });
    }
}

#[test]
fn the_tiny_student_fits_a_microbit() {
    let bytes = committed("tiny.pupil");
    let model = Model::parse(&bytes).unwrap();
    // 16 KB of RAM with 3 KB of stack.
    assert!(
        model.arena_len() + 3 * 1024 + 256 <= 16 * 1024,
        "{}",
        model.arena_len()
    );
}

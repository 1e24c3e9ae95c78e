//! The recorded arena against what a run really touches.

use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;
use pupil_packer::plan::{ALIGNMENT, Plan};

use crate::support::committed;

/// One past the last byte that a run changes in an arena of `fill`.
fn touched(model: &Model<'_>, fill: i8, frame: u8) -> usize {
    let mut arena = vec![fill; model.arena_len() + 1000];
    let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
    interpreter
        .load(&vec![frame; model.input().shape.len()])
        .unwrap();
    interpreter.run(&mut ()).unwrap();
    arena
        .iter()
        .rposition(|b| *b != fill)
        .map_or(0, |last| last + 1)
}

#[test]
fn the_peak_is_exact() {
    for name in ["quickstart.pupil", "tiny.pupil"] {
        let bytes = committed(name);
        let model = Model::parse(&bytes).unwrap();
        // Two fills, so that a byte that happens to equal one of them counts.
        let high = touched(&model, 0x55, 3).max(touched(&model, -0x33, 250));
        assert_eq!(
            high.next_multiple_of(ALIGNMENT),
            model.arena_len(),
            "{name}"
        );
    }
}

#[test]
fn the_plan_is_no_larger_than_its_busiest_layer_needs() {
    for name in ["quickstart.pupil", "tiny.pupil"] {
        let bytes = committed(name);
        let model = Model::parse(&bytes).unwrap();
        let plan = Plan::of(&model);
        let busiest = (0..model.layer_count())
            .map(|i| plan.in_use(i))
            .max()
            .unwrap();
        assert_eq!(plan.peak, busiest, "{name}: the arena has holes\n{plan}");
    }
}

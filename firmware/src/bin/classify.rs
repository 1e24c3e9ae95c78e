//! Classifies the test images in flash and prints a line for each. `cargo qemu` runs it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("error: this program runs on a microcontroller\n  do:    cargo qemu");
    std::process::ExitCode::from(2)
}

/// Start, classify, report. On a board of your own: another camera, another output.
#[cfg(target_os = "none")]
#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    use pupil_core::model::Model;
    use pupil_firmware::app::{App, describe};
    use pupil_firmware::board::{self, BOARD, Console, Student, Ticks, exit, fail};
    use pupil_firmware::camera::EmbeddedImages;
    use pupil_firmware::decision::Policy;
    use pupil_firmware::images::Images;
    use pupil_firmware::protocol::Record;

    board::paint_stack();
    let (name, hz) = (BOARD.name, BOARD.hz);
    Record::Board { name, hz }.print(&mut Console);

    let packed = board::packed_model();
    let Ok(model) = Model::parse(packed) else {
        fail("model-damaged-or-of-another-format")
    };
    describe(&packed.0, &model).print(&mut Console);

    let Some(images) = Images::parse(board::images()) else {
        fail("images-damaged")
    };
    let (Some(arena), Some(clock)) = (board::take_arena(), Ticks::start()) else {
        fail("taken")
    };
    let camera = EmbeddedImages::new(images);
    // Only the kernels of this student are linked.
    let app = App::<_, _, Student>::with_operators(&model, arena, camera, clock, Policy::default());
    let images = app
        .and_then(|mut app| app.run(&mut Console))
        .unwrap_or_else(|error| fail(error.word()));

    let (stack, room) = (board::stack_used(), board::stack_room());
    Record::End {
        images,
        stack,
        room,
    }
    .print(&mut Console);
    exit(0)
}

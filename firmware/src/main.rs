//! Classifies the embedded test images in QEMU and prints the protocol's lines.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this program runs on a microcontroller: cargo qemu");
    std::process::exit(2);
}

#[cfg(target_os = "none")]
mod device {
    use core::fmt::Display;

    use pupil_core::model::Model;
    use pupil_firmware::app;
    use pupil_firmware::board::{Counter, IMAGES, MODEL, exit, high_water, paint, take_arena};
    use pupil_firmware::camera::EmbeddedImages;
    use pupil_firmware::images::Images;
    use pupil_firmware::protocol::EndLine;

    fn line(text: &dyn Display) {
        semihosting::println!("{}", text);
    }

    fn fail(text: &dyn Display) -> ! {
        semihosting::println!("error what={}", text);
        exit(2)
    }

    fn run(mut counter: Counter) -> ! {
        paint();
        let model = Model::parse(&MODEL.0).unwrap_or_else(|e| fail(&e));
        let Some(images) = Images::parse(IMAGES) else {
            fail(&"images.bin is damaged")
        };
        let Some(arena) = take_arena() else {
            fail(&"the arena is in use")
        };
        let mut camera = EmbeddedImages::new(images);
        match app::run(&model, arena, &mut camera, &mut counter, &mut line) {
            Ok(images) => {
                line(&EndLine {
                    images,
                    stack: high_water(),
                });
                exit(0)
            }
            Err(app::AppError::Arena(e)) => fail(&e),
            Err(app::AppError::Frame(e)) => fail(&e),
            Err(app::AppError::Camera(never)) => match never {},
        }
    }

    #[cfg(target_arch = "arm")]
    #[cortex_m_rt::entry]
    fn main() -> ! {
        match cortex_m::Peripherals::take() {
            Some(mut peripherals) => run(Counter::start(&mut peripherals.SYST)),
            None => exit(2),
        }
    }

    #[cfg(target_arch = "riscv32")]
    #[riscv_rt::entry]
    fn main() -> ! {
        run(Counter)
    }
}

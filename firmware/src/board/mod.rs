//! What is true of one chip only: counter, stack, output, end. The only room with `unsafe`.

#[cfg(target_arch = "arm")]
mod cortex_m;
mod memory;
#[cfg(target_arch = "riscv32")]
mod riscv;
mod stack;

#[cfg(target_arch = "arm")]
pub use self::cortex_m::Counter;
pub use self::memory::{ARENA_LEN, IMAGES, MODEL, take_arena};
#[cfg(target_arch = "riscv32")]
pub use self::riscv::Counter;
pub use self::stack::{high_water, paint};

/// Ends the program with a code that the emulator returns.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// A panic says where, without the formatting code of its message, and ends with 101.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let file = info.location().map_or("?", |l| l.file());
    semihosting::println!("error what=panic file={}", file);
    exit(101)
}

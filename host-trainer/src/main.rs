//! The `pupil` command.

use std::process::ExitCode;

use pupil::util::allocator::Advising;

#[global_allocator]
static ALLOCATOR: Advising = Advising;

fn main() -> ExitCode {
    pupil::cli::main()
}

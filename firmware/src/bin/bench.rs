//! Runs the cases of `cases.bin` in the host's working folder, compares every byte and counts.
//! `cargo xtask bench` and the fuzz run it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("error: this program runs on a microcontroller\n  do:    cargo xtask bench");
    std::process::ExitCode::from(2)
}

#[cfg(target_os = "none")]
mod device {
    use pupil_core::interpreter::{Interpreter, Step};
    use pupil_core::kernels::{run, run_in_place, scratch_len};
    use pupil_core::model::{Model, ModelBytes};
    use pupil_firmware::board::{Console, Ticks, exit, fail, take_workplace};
    use pupil_firmware::cases::{HEADER_BYTES, Header, Work};
    use pupil_firmware::clock::Clock;
    use pupil_firmware::protocol::Record;
    use semihosting::fs::File;
    use semihosting::io::Read as _;

    /// What unused memory holds, to find stray writes.
    const CANARY: i8 = 0x55;
    /// Bytes behind output and scratch memory that must stay.
    const GUARD: usize = 64;

    #[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
    #[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
    fn main() -> ! {
        let (Some(place), Some(mut clock)) = (take_workplace(), Ticks::start()) else {
            fail("taken")
        };
        let Ok(mut file) = File::open(c"cases.bin") else {
            fail("no-cases")
        };
        let mut bytes = [0; HEADER_BYTES];
        let mut index = 0;
        while read(&mut file, &mut bytes) {
            let Some(header) = Header::parse(&bytes) else {
                fail("case-header")
            };
            let Some(body) = place.case.get_mut(..header.len()) else {
                fail("case-too-large")
            };
            if !read(&mut file, body) {
                fail("cases-cut-off")
            }
            let Some((ticks, longest, wrong)) = case(&header, body, &mut place.arena, &mut clock)
            else {
                fail("case-damaged")
            };
            let record = Record::Case {
                index,
                ticks,
                longest,
                wrong,
            };
            record.print(&mut Console);
            index += 1;
        }
        Record::End {
            images: index,
            stack: 0,
            room: 0,
        }
        .print(&mut Console);
        exit(0)
    }

    /// Fills the buffer; false at the end of the file.
    fn read(file: &mut File, mut buffer: &mut [u8]) -> bool {
        while !buffer.is_empty() {
            match file.read(buffer) {
                Ok(n) if n > 0 => buffer = buffer.get_mut(n..).unwrap_or(&mut []),
                _ => return false,
            }
        }
        true
    }

    /// Ticks, those of the longest step, and how many bytes are wrong.
    fn case(
        header: &Header,
        body: &[u8],
        arena: &mut [i8],
        clock: &mut Ticks,
    ) -> Option<(u64, u64, usize)> {
        let [model, input, second, expected] = header.split(body)?;
        let model = Model::parse(ModelBytes::new(model).ok()?).ok()?;
        let wrong = |found: &[i8]| {
            let pairs = found.iter().zip(expected);
            pairs.filter(|(a, b)| **a != **b as i8).count()
        };
        let (layer, in_place) = match header.work {
            Work::Whole => {
                let mut interpreter = Interpreter::new(&model, arena).ok()?;
                let mut rest = input;
                if !model.reads_rows() {
                    interpreter.load(input).ok()?;
                }
                // Read between layers, so that a short counter may wrap once a layer.
                let (mut ticks, mut longest) = (0, 0);
                loop {
                    let (empty, ()) = measure(clock, || ());
                    let (took, step) = measure(clock, || interpreter.step(&mut ()));
                    let took = took.saturating_sub(empty);
                    (ticks, longest) = (ticks + took, took.max(longest));
                    match step {
                        Step::Ran(_) => {}
                        Step::Done => break,
                        // The camera's part, as loading a whole frame is: not counted.
                        Step::NeedsRows(_) => {
                            let left = interpreter.feed(rest);
                            if left.len() == rest.len() {
                                return None;
                            }
                            rest = left;
                        }
                        Step::NotRun(_) => return None,
                    }
                }
                return Some((ticks, longest, wrong(interpreter.scores())));
            }
            Work::Layer(layer) => (layer, false),
            Work::InPlace(layer) => (layer, true),
        };
        let layer = model.layer(layer)?;
        let scratch_len = scratch_len(&layer.operator);
        arena.fill(CANARY);
        let out_len = expected.len();
        let (output, rest) = arena.split_at_mut_checked((out_len + GUARD).next_multiple_of(16))?;
        let (scratch, rest) = rest.split_at_mut_checked(scratch_len)?;
        let (guard, rest) = rest.split_at_mut_checked(GUARD + (16 - scratch_len % 16) % 16)?;
        let (x, rest) = rest.split_at_mut_checked(input.len().next_multiple_of(16))?;
        let (x2, _) = rest.split_at_mut_checked(second.len())?;
        let (x, x2) = (copy(x, input)?, copy(x2, second)?);
        let (output, output_guard) = output.split_at_mut(out_len);
        let (empty, ()) = measure(clock, || ());
        let (ticks, ran) = if in_place {
            copy(output, input)?;
            measure(clock, || {
                run_in_place(&layer.operator, 0, output, x2, scratch)
            })
        } else {
            measure(clock, || run(&layer.operator, x, x2, output, scratch))
        };
        ran.ok()?;
        let stray = output_guard.iter().chain(&*guard).filter(|b| **b != CANARY);
        let ticks = ticks.saturating_sub(empty);
        Some((ticks, ticks, wrong(output) + stray.count()))
    }

    fn copy<'a>(to: &'a mut [i8], from: &[u8]) -> Option<&'a mut [i8]> {
        let to = to.get_mut(..from.len())?;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from as i8;
        }
        Some(to)
    }

    #[inline(never)]
    fn measure<T>(clock: &mut Ticks, work: impl FnOnce() -> T) -> (u64, T) {
        let start = clock.ticks();
        let result = work();
        (clock.ticks() - start, result)
    }
}

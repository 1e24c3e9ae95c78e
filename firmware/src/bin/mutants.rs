//! Runs the models of `cases.bin` in the host's working folder, mutants that the parser accepts, and
//! compares their scores and all layers' outputs. `cargo xtask bench --mutants` runs it.
//!
//! Every model runs twice: once its arena ends where a fence begins, once it begins where one ends.
//! What lies between the arena and the other fence is guard bytes. The model's last word ends at a
//! fence, too. An access outside faults at once or changes guard bytes.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("error: this program runs on a microcontroller\n  do:    cargo xtask bench");
    std::process::ExitCode::from(2)
}

#[cfg(all(target_os = "none", target_arch = "arm"))]
mod device {
    use pupil_core::interpreter::{Interpreter, Step};
    use pupil_core::model::{Model, ModelBytes};
    use pupil_firmware::board::{Console, FENCE, Fences, exit, fail, take_workplace};
    use pupil_firmware::board::{paint_stack, stack_room, stack_used};
    use pupil_firmware::cases::{HEADER_BYTES, Header, Trace};
    use pupil_firmware::protocol::Record;
    use semihosting::fs::File;
    use semihosting::io::Read as _;

    /// What arena and guard bytes hold before a run, and before the second one.
    const FILLS: [i8; 2] = [0x55, -0x56];

    #[cortex_m_rt::entry]
    fn main() -> ! {
        paint_stack();
        let (Some(place), Some(mut fences)) = (take_workplace(), Fences::take()) else {
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
            let Some((body, spare)) = place.case.split_at_mut_checked(header.len()) else {
                fail("case-too-large")
            };
            if !read(&mut file, body) {
                fail("cases-cut-off")
            }
            // A case that can't be run is one whose bytes are all wrong.
            let wrong = case(&header, body, spare, &mut place.arena, &mut fences);
            let record = Record::Case {
                index,
                ticks: 0,
                longest: 0,
                wrong: wrong.unwrap_or(1 << 20),
            };
            record.print(&mut Console);
            index += 1;
        }
        Record::End {
            images: index,
            stack: stack_used(),
            room: stack_room(),
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

    /// How many bytes of scores, hash of the layers, and guards are wrong in both runs. `spare` has
    /// room for the model.
    fn case(
        header: &Header,
        body: &[u8],
        spare: &mut [u8],
        memory: &mut [i8],
        fences: &mut Fences,
    ) -> Option<usize> {
        fences.open();
        let [packed, frame, _, expected] = header.split(body)?;
        let skipped = spare.as_ptr().addr().wrapping_neg() % FENCE;
        let spare = spare.get_mut(skipped..)?;
        let (place, spare) = spare.split_at_mut_checked(packed.len().next_multiple_of(FENCE))?;
        let model_fence = spare.get(..FENCE)?;
        let begin = place.len() - packed.len().next_multiple_of(4);
        let place = place.get_mut(begin..)?.get_mut(..packed.len())?;
        place.copy_from_slice(packed);
        let packed = &*place;

        let packed = ModelBytes::new(packed).ok()?;
        let arena_len = Model::parse(packed).ok()?.arena_len();
        let skipped = memory.as_ptr().addr().wrapping_neg() % FENCE;
        let memory = memory.get_mut(skipped..)?;
        let (front_fence, memory) = memory.split_at_mut_checked(FENCE)?;
        let (span, memory) = memory.split_at_mut_checked(arena_len.next_multiple_of(FENCE))?;
        let back_fence = memory.get(..FENCE)?;
        fences.close(&[
            front_fence.as_ptr().addr(),
            back_fence.as_ptr().addr(),
            model_fence.as_ptr().addr(),
        ]);
        let mut wrong = 0;
        for (i, fill) in FILLS.into_iter().enumerate() {
            span.fill(fill);
            let front = if i == 0 { span.len() - arena_len } else { 0 };
            let (before, rest) = span.split_at_mut_checked(front)?;
            let (arena, behind) = rest.split_at_mut_checked(arena_len)?;
            wrong += run(packed, frame, expected, arena).unwrap_or(1 << 16);
            let guards = before.iter().chain(&*behind);
            wrong += guards.filter(|b| **b != fill).count();
        }
        fences.open();
        Some(wrong)
    }

    /// Wrong bytes of scores and hash.
    fn run(
        packed: ModelBytes<'_>,
        frame: &[u8],
        expected: &[u8],
        arena: &mut [i8],
    ) -> Option<usize> {
        let model = Model::parse(packed).ok()?;
        let mut interpreter = Interpreter::new(&model, arena).ok()?;
        let mut rest = frame;
        if !model.reads_rows() {
            interpreter.load(frame).ok()?;
        }
        let mut trace = Trace::default();
        loop {
            match interpreter.step(&mut trace) {
                Step::Ran(_) => {}
                // More than any model can have wrong, and which layer it was.
                Step::NotRun(layer) => return Some((1 << 16) + layer),
                Step::Done => break,
                Step::NeedsRows(_) => {
                    let left = interpreter.feed(rest);
                    if left.len() == rest.len() {
                        return None;
                    }
                    rest = left;
                }
            }
        }
        let (scores, hash) = expected.split_at_checked(interpreter.scores().len())?;
        let pairs = interpreter.scores().iter().zip(scores);
        let differ = pairs.filter(|(a, b)| **a != **b as i8).count();
        Some(differ + usize::from(hash != trace.hash().to_le_bytes()))
    }
}

//! `cargo xtask size`: bytes of code of each operator's kernels in a Cortex-M4F firmware, and that a
//! student's firmware has no kernel that the student does not use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use pupil_core::model::{InputSpec, Model, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_packer::plan::{Goal, Memory, Plan, Way, schedule};
use pupil_packer::{Channel, Conv, ModelBuilder};
use pupil_tests::cases::networks;
use serde_json::json;

use super::boards::{Machine, machine};
use super::command::{capture, out, root, target_dir};
use super::elf::{Symbol, symbols};
use super::toolchain::{Toolchain, setup};

/// Flash that the kernels of a network of MBConv blocks may take. CMSIS-NN (as of `peers.rs`)
/// takes 8,908 bytes at -Os and 14,480 at -Ofast for 1x1 convolution, both depthwise ways, dense,
/// average pool, add and mul.
const MUST: u64 = 9_000;

/// What those of the quickstart's student take: growth is noticed.
const BOUND: u64 = 11_200;

/// What running layers by rows takes beside them: turns, moves, sums that are kept between bands.
const STREAMS_BOUND: u64 = 2_450;

/// Operators and the parts of their symbols' names: crate paths as the compiler mangles them, and
/// labels of assembly. The first that fits counts.
const GROUPS: [(&str, &[&str]); 11] = [
    (
        "depthwise",
        &["8portable9depthwise", "7arm_dsp9depthwise", "pupil_m4_dw"],
    ),
    (
        "conv",
        &[
            "8portable4conv",
            "7arm_dsp4conv",
            "7arm_dsp4gemm",
            "pupil_m4_gemm",
        ],
    ),
    (
        "dense",
        &["8portable5dense", "7arm_dsp5dense", "pupil_m4_dense"],
    ),
    (
        "pools",
        &["8portable4pool", "7arm_dsp4pool", "pupil_m4_averages"],
    ),
    (
        "mean",
        &[
            "8portable4mean",
            "8portable4sums",
            "7arm_dsp4sums",
            "pupil_m4_sum",
        ],
    ),
    ("add", &["8portable3add", "7arm_dsp3add", "pupil_m4_add"]),
    ("mul", &["14squeeze_excite", "pupil_m4_mul"]),
    ("lookup", &["6lookup", "pupil_m4_lookup"]),
    ("softmax", &["7softmax", "11fixed_point"]),
    ("streams", &["11interpreter5bands"]),
    (
        "shared",
        &[
            "10run_linked",
            "5quant",
            // Any other of the kernels' code.
            "7kernels",
        ],
    ),
];

/// What the model's checks call among the kernels' files: not part of a kernel.
const CHECKS: [&str; 10] = [
    "9row_pairs8RowPairs",
    "9row_pairs7Channel",
    "9row_pairs6Kernel",
    "9row_pairs4Form",
    "5pairs",
    "11scratch_len",
    "13scratch_words",
    "3add8in_table",
    "3add5table",
    "9operators",
];

/// Bytes of each group of [`GROUPS`].
fn measure(symbols: &[Symbol]) -> [u64; GROUPS.len()] {
    let mut bytes = [0; GROUPS.len()];
    for symbol in symbols {
        let has = |part: &&str| symbol.name.contains(*part);
        if CHECKS.iter().any(has) {
            continue;
        }
        let group = GROUPS.iter().position(|(_, parts)| parts.iter().any(has));
        if let Some(group) = group {
            bytes[group] += symbol.len;
        }
    }
    bytes
}

/// `cargo xtask size [--json]`: true if the kernels of a network of MBConv blocks take no more than
/// they must. Beside them those of the quickstart's student, which has a stem, tables for its
/// non-linearities, one more kind of window, and softmax.
///
/// # Errors
/// Unknown arguments, or a firmware that can't be built.
pub fn main(words: &[&str]) -> anyhow::Result<bool> {
    let json = match words {
        [] => false,
        ["--json"] => true,
        _ => bail!("unknown arguments\n  do:    cargo xtask help"),
    };
    let (toolchain, board) = (setup()?, machine("mps2-an386")?);
    let folder = scratch()?;
    let blocks = folder.join("blocks.pupil");
    std::fs::write(&blocks, networks::blocks()?.model)?;
    let quickstart = root().join("firmware/model/quickstart.pupil");
    let measured = [&blocks, &quickstart].map(|s| firmware(&toolchain, board, s));
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let [blocks, quickstart] = measured.map(|symbols| symbols.map(|s| measure(&s)));
    let (blocks, quickstart) = (blocks?, quickstart?);
    let [all, whole] = [&blocks, &quickstart].map(|b| b.iter().sum::<u64>());
    if json {
        let groups = |bytes: [u64; GROUPS.len()]| {
            let pairs = GROUPS.iter().zip(bytes);
            let pairs = pairs.map(|((name, _), n)| ((*name).to_owned(), json!(n)));
            serde_json::Value::Object(pairs.collect())
        };
        out!(
            "{}",
            json!({
                "blocks": groups(blocks), "kernels": all, "must": MUST,
                "quickstart": groups(quickstart), "quickstart_kernels": whole,
            })
        );
    } else {
        out!(
            "bytes of the kernels' code on {} ({})",
            board.name,
            board.board.about
        );
        out!("{:<12} {:>8} {:>11}", "", "blocks", "quickstart");
        for ((name, _), (blocks, quickstart)) in GROUPS.iter().zip(blocks.iter().zip(quickstart)) {
            out!("{name:<12} {blocks:>8} {quickstart:>11}");
        }
        let verdict = if all <= MUST { "must" } else { "missed" };
        out!("{:<12} {all:>8} {whole:>11}", "all");
        out!("blocks: {all} of {MUST} {verdict}");
    }
    Ok(all <= MUST)
}

/// A folder of this process for students.
fn scratch() -> anyhow::Result<PathBuf> {
    let folder = target_dir().join(format!("size-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Checks that firmware has the kernels of its student's operators, and no others.
///
/// # Errors
/// A kernel that is there and should not be, or the other way round.
pub fn check() -> anyhow::Result<()> {
    let (toolchain, board) = (setup()?, machine("mps2-an386")?);
    let folder = scratch()?;
    let small = folder.join("dense.pupil");
    std::fs::write(&small, dense_student()?)?;
    let quickstart = root().join("firmware/model/quickstart.pupil");
    let streamed = folder.join("streams.pupil");
    let memory = Memory {
        goal: Goal::Smallest,
        frame_by_rows: true,
    };
    let smallest = schedule(&std::fs::read(&quickstart)?, memory)?;
    std::fs::write(&streamed, smallest)?;
    let built = [&quickstart, &small, &streamed].map(|student| {
        let bytes = std::fs::read(student)?;
        let symbols = firmware(&toolchain, board, student)?;
        anyhow::Ok((used(&Model::parse(&bytes)?), measure(&symbols), symbols))
    });
    let blocks = folder.join("blocks.pupil");
    std::fs::write(&blocks, networks::blocks()?.model)?;
    let blocks = firmware(&toolchain, board, &blocks);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let all: u64 = measure(&blocks?).iter().sum();
    ensure!(
        all <= MUST,
        "kernels of MBConv blocks take {all} bytes, more than {MUST}: see docs/kernels.md"
    );
    for built in built {
        let (used, bytes, symbols) = built?;
        for ((name, parts), bytes) in GROUPS.iter().zip(bytes) {
            let linked = bytes > 0;
            if *name != "shared" && linked != used.contains(name) {
                let what = symbols
                    .iter()
                    .find(|s| parts.iter().any(|p| s.name.contains(p)))
                    .map_or("no symbol", |s| s.name.as_str());
                bail!(
                    "{name}: in the model {}, in the firmware {linked}: {what}",
                    !linked
                );
            }
        }
        // Block kernels are linked one by one, and so are ways of input and output.
        let label = |name: &str| symbols.iter().any(|s| s.name == name);
        let quickstart = used.contains(&"depthwise");
        for name in [
            "pupil_m4_dw3x3s1",
            "pupil_m4_dw_any",
            "pupil_m4_gemm_table",
            "pupil_m4_gemm_eights",
            "pupil_m4_dense_table",
            "pupil_m4_mul",
        ] {
            ensure!(label(name) == quickstart, "{name}: linked {}", !quickstart);
        }
        ensure!(
            label("pupil_m4_dense_relu") != quickstart,
            "the small student's dense layer alone has its zero point at the lower clamp"
        );
        for name in [
            "pupil_m4_dw3x3s1_fast",
            "pupil_m4_gemm_relu",
            "pupil_m4_gemm_doubled",
            "pupil_m4_gemm_three",
            "pupil_m4_mul_fast",
            "pupil_m4_averages",
        ] {
            ensure!(!label(name), "{name} is linked, and no layer needs it");
        }
        let all: u64 = bytes.iter().sum();
        let bound = match used.contains(&"streams") {
            true => BOUND + STREAMS_BOUND,
            false => BOUND,
        };
        ensure!(
            all <= bound,
            "kernels take {all} bytes, more than {bound}: see docs/kernels.md"
        );
    }
    Ok(())
}

/// The groups that a model's operators belong to.
fn used(model: &Model<'_>) -> Vec<&'static str> {
    let group = |name: &str| match name {
        "pointwise" => "conv",
        "average pool" | "max pool" => "pools",
        name => GROUPS.iter().find(|g| g.0 == name).map_or("", |g| g.0),
    };
    let streams = Plan::of(model).runs.iter().any(|r| r.way != Way::Alone);
    let layers = model.layers().map(|l| group(l.operator.name()));
    layers.chain(streams.then_some("streams")).collect()
}

/// A student of one dense layer.
fn dense_student() -> anyhow::Result<Vec<u8>> {
    let affine = Affine {
        scale: 1.0,
        zero_point: -128,
    };
    let input = InputSpec {
        shape: Shape::new(28, 28, 1),
        format: PixelFormat::Grey8,
        affine,
    };
    let mut builder = ModelBuilder::new(input, &["dark", "bright"]);
    let channel = Channel {
        bias: 0,
        multiplier: pupil_packer::quantize::multiplier(0.01),
    };
    let weights = (0..2 * 28 * 28).map(|i| (i % 7) as u8).collect();
    let layer = Conv::dense(weights, vec![channel; 2], affine);
    builder.dense(builder.input(), layer)?;
    Ok(builder.finish()?)
}

/// Symbols of the firmware with this student.
fn firmware(toolchain: &Toolchain, board: Machine, student: &Path) -> anyhow::Result<Vec<Symbol>> {
    let words = format!(
        "cargo build --locked --profile firmware -p pupil-firmware --bin classify --features {} --target {}",
        board.board.name, board.board.target
    );
    let mut cargo = toolchain.cargo(&words);
    let output = capture(cargo.env("PUPIL_MODEL", student))?;
    if !output.status.success() {
        bail!(
            "the firmware for {} can't be built: {}",
            board.name,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let folder = target_dir().join("firmware").join(board.board.target);
    let path = folder.join("firmware/classify");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    symbols(&bytes).with_context(|| format!("{}: not a 32-bit ELF file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_counted_where_they_belong() {
        let symbol = |name: &str, len| Symbol {
            name: name.into(),
            len,
        };
        let bytes = measure(&[
            symbol(
                "_ZN10pupil_core7kernels4arch8portable4conv4conv17h0123456789abcdefE",
                100,
            ),
            symbol("pupil_m4_dw3x3s1", 20),
            symbol(
                "_ZN10pupil_core2op5pairs5Pairs5check17h0123456789abcdefE",
                7,
            ),
            symbol("memcpy", 9),
        ]);
        let of = |name| bytes[GROUPS.iter().position(|g| g.0 == name).unwrap()];
        assert_eq!((of("conv"), of("depthwise")), (100, 20));
        assert_eq!(bytes.iter().sum::<u64>(), 120);
    }

    #[test]
    fn the_small_student_has_one_operator() {
        let bytes = dense_student().unwrap();
        assert_eq!(used(&Model::parse(&bytes).unwrap()), ["dense"]);
    }
}

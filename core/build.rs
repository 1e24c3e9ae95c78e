//! Tells the compiler whether the target is an Arm core with DSP instructions: `cfg(arm_dsp)`;
//! and `cfg(armv7em)` where the assembler knows that by itself.
//!
//! Stable Rust hides Arm's `target_feature = "dsp"`, so the target's name decides: ARMv7E-M
//! (Cortex-M4, M7) always has them, ARMv8-M Mainline (M33, M55, M85) where the chip's maker chose
//! so, which the feature `dsp` says.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(arm_dsp)");
    let target = env::var("TARGET").unwrap_or_default();
    let chosen = env::var_os("CARGO_FEATURE_DSP").is_some();
    println!("cargo::rustc-check-cfg=cfg(armv7em)");
    if target.starts_with("thumbv7em-") {
        println!("cargo::rustc-cfg=armv7em");
    }
    if target.starts_with("thumbv7em-") || chosen && target.starts_with("thumbv8m.main-") {
        println!("cargo::rustc-cfg=arm_dsp");
    }
}

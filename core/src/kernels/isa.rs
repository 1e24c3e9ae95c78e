//! Which instructions the kernels are written in: the one place that decides.

/// Instruction sets that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Safe Rust for every target.
    Portable,
    /// Arm's DSP extension: Cortex-M4, M7, and M33, M55, M85 where the chip has it (`dsp`
    /// feature).
    ArmDsp,
}

impl Isa {
    /// The instruction set of this build. `build.rs` finds out what the target has.
    pub const CURRENT: Self = if cfg!(arm_dsp) {
        Self::ArmDsp
    } else {
        Self::Portable
    };

    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::ArmDsp => "arm-dsp",
        }
    }
}

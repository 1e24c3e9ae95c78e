//! Instruction sets that kernels are written in.

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Safe Rust for every target.
    Portable,
    /// x86-64 hosts. Its kernels are the portable ones today.
    X86,
    /// Arm's DSP extension: Cortex-M4, M7, and M33, M55, M85 where the chip has it (`dsp`
    /// feature).
    ArmDsp,
}

impl Isa {
    /// The instruction set of this build.
    pub const CURRENT: Self = super::current::ISA;

    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::X86 => "x86",
            Self::ArmDsp => "arm-dsp",
        }
    }
}

//! Depthwise convolution on the Arm DSP extension.
//!
//! Four channels at a time, image rows become pair rows in the scratch (`layout.rs`); a block
//! kernel then computes two rows by two columns of one channel. 3x3 with stride 1 and 2 and 5x5
//! have block kernels of their own, other windows `any.rs`. `asm` has the instructions,
//! `walker.rs` the loop around them, `portable.rs` the same in plain Rust; `row_pairs.rs` has the
//! parameters.
//!
//! A step writes output rows only after all input rows above the next unread one are in pair rows,
//! so the block kernels may replace their input, also with stride 2: see [`works_in_place`].

mod any;
#[cfg(arm_dsp)]
mod asm;
pub mod layout;
#[cfg(not(arm_dsp))]
mod portable;
#[cfg(arm_dsp)]
mod walker;

#[cfg(not(arm_dsp))]
use self::layout::{Expand, GROUP};
#[cfg(not(arm_dsp))]
use crate::kernels::arch::arm_dsp::clamp::clamp;
#[cfg(not(arm_dsp))]
use crate::kernels::arch::operands::Maps;
use crate::op::row_pairs::Form;
#[cfg(not(arm_dsp))]
use crate::op::row_pairs::Kernel;
use crate::op::shape::{Shape, Window};

#[cfg(arm_dsp)]
pub use walker::run;

/// Words of scratch that a form's kernel wants.
pub const fn scratch_words(form: Form, window: &Window, output: Shape) -> usize {
    match form {
        Form::Blocks(kernel) => kernel.scratch_words(output.h, output.w),
        Form::Any => any::scratch_words(window, output.w),
    }
}

/// A depthwise layer in packed form. On a chip [`run`] takes the parsed filter.
#[cfg(not(arm_dsp))]
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Input map.
    pub input: Shape,
    /// Output map; channel o reads input channel o / (out_ch / in_ch).
    pub output: Shape,
    /// Window.
    pub window: Window,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// What the parameters are for.
    pub form: Form,
    /// Words of all channels; see `row_pairs.rs`.
    pub params: &'a [[u8; 4]],
    /// Table behind the requantization: 256 entries, index is the int8 plus 128.
    pub table: Option<&'a [u8; 256]>,
    /// Clamps; only without a table.
    pub act: (i8, i8),
}

/// Whether a layer of this form may replace its input.
pub fn works_in_place(form: Form, input: Shape, output: Shape) -> bool {
    matches!(form, Form::Blocks(_)) && input.c == output.c && output.w <= input.w
        // An output row is never below the rows that are read already.
        && output.h <= input.h
}

#[cfg(not(arm_dsp))]
impl Layer<'_> {
    /// Output channels of one input channel.
    fn multiplier(&self) -> usize {
        self.output.c / self.input.c.max(1)
    }

    /// Whether shapes, parameters and scratch fit one another.
    fn fits(&self, maps: &mut Maps<'_>, scratch: &[u32]) -> bool {
        let (input, output) = (self.input, self.output);
        let place = !maps.are_one() || works_in_place(self.form, input, output);
        let channels = output.c.checked_rem(input.c) == Some(0);
        place
            && channels
            && !input.is_empty()
            && !output.is_empty()
            && self.window.pad_top < self.window.kernel_h
            && self.window.pad_left < self.window.kernel_w
            && maps.input().len() >= input.len()
            && maps.output().len() >= output.len()
            && self.params.len() == output.c * self.form.words(&self.window)
            && scratch.len() >= scratch_words(self.form, &self.window, output)
    }

    /// Runs the layer; false, with the output unchanged, where slices are too short.
    pub fn run(&self, maps: &mut Maps<'_>, scratch: &mut [u32]) -> bool {
        if !self.fits(maps, scratch) {
            return false;
        }
        match self.form {
            Form::Blocks(kernel) => portable::run(self, kernel, maps, scratch),
            Form::Any => any::run(self, maps, scratch),
        }
        if self.table.is_none() && self.act != (i8::MIN, i8::MAX) {
            let len = self.output.len();
            clamp(self.act, maps.output().get_mut(..len).unwrap_or(&mut []));
        }
        true
    }

    /// The pair rows of a block kernel.
    fn expand(&self, kernel: Kernel) -> Expand {
        let pairs = kernel.column_pairs(self.output.w);
        Expand::new(
            self.input,
            self.input_zero_point,
            self.window.pad_left,
            pairs,
            kernel.pitch(),
        )
    }
}

/// Four channels whose bytes are loaded as one word, and which of them are computed.
#[cfg(not(arm_dsp))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// First channel that is loaded.
    pub first: usize,
    /// Channels before the first that is computed: an odd last group begins earlier, so that
    /// nothing behind the image is read.
    pub skip: usize,
    /// Channels that are computed.
    pub channels: usize,
}

/// The groups of `c` channels.
#[cfg(not(arm_dsp))]
pub(super) fn groups(c: usize) -> impl Iterator<Item = Group> {
    (0..c).step_by(GROUP).map(move |channel| {
        let first = channel.min(c.saturating_sub(GROUP));
        Group {
            first,
            skip: channel - first,
            channels: GROUP.min(c - channel),
        }
    })
}

#[cfg(test)]
mod tests;

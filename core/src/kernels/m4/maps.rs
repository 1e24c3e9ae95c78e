//! Where a kernel of one input reads and writes.
#![allow(unsafe_code)] // one map may be both: only pointers can say so

use core::marker::PhantomData;

/// Two maps, or one that becomes its own output.
#[derive(Debug)]
pub struct Maps<'a> {
    input: *const i8,
    input_len: usize,
    output: *mut i8,
    output_len: usize,
    life: PhantomData<(&'a [i8], &'a mut [i8])>,
}

impl<'a> Maps<'a> {
    /// Two maps.
    #[inline(always)]
    pub fn apart(input: &'a [i8], output: &'a mut [i8]) -> Self {
        Self {
            input: input.as_ptr(),
            input_len: input.len(),
            output: output.as_mut_ptr(),
            output_len: output.len(),
            life: PhantomData,
        }
    }

    /// The output takes the input's place, from its first byte on.
    #[inline(always)]
    pub fn in_place(map: &'a mut [i8]) -> Self {
        let (len, map) = (map.len(), map.as_mut_ptr());
        Self {
            input: map,
            input_len: len,
            output: map,
            output_len: len,
            life: PhantomData,
        }
    }

    /// Whether input and output are one map.
    pub fn are_one(&self) -> bool {
        self.input == self.output.cast_const()
    }

    /// The input.
    #[inline(always)]
    pub fn input(&self) -> &[i8] {
        // SAFETY: a slice of this length was borrowed for 'a. Where it is the output, too, `output`
        // borrows this mutably and ends the life of what is returned here.
        unsafe { core::slice::from_raw_parts(self.input, self.input_len) }
    }

    /// The output.
    #[inline(always)]
    pub fn output(&mut self) -> &mut [i8] {
        // SAFETY: a slice of this length was borrowed mutably for 'a; see `input`.
        unsafe { core::slice::from_raw_parts_mut(self.output, self.output_len) }
    }

    /// Values of input and output.
    #[inline(always)]
    pub fn lens(&self) -> [usize; 2] {
        [self.input_len, self.output_len]
    }

    /// Where input and output begin. Writing invalidates what is read behind.
    #[inline(always)]
    pub fn places(&mut self) -> (*const i8, *mut i8) {
        (self.input, self.output)
    }
}

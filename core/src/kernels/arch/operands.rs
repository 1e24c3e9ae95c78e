//! What an operator reads and writes.
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

    /// Input and output, where they are two maps; the map that is both, where they are one.
    #[inline(always)]
    pub fn split(&mut self) -> Result<(&[i8], &mut [i8]), &mut [i8]> {
        if self.are_one() && self.input_len == self.output_len {
            return Err(self.output());
        }
        // SAFETY: two maps of these lengths were borrowed for 'a, and do not overlap.
        let input = unsafe { core::slice::from_raw_parts(self.input, self.input_len) };
        Ok((input, self.output()))
    }

    /// Values of input and output.
    #[inline(always)]
    pub fn lens(&self) -> [usize; 2] {
        [self.input_len, self.output_len]
    }

    /// Where input and output begin. Writing invalidates what is read behind.
    #[inline(always)]
    #[allow(dead_code)] // of instruction sets with assembly
    pub fn places(&mut self) -> (*const i8, *mut i8) {
        (self.input, self.output)
    }
}

/// Everything that an operator reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input and output.
    pub maps: Maps<'a>,
    /// The other input.
    pub other: &'a [i8],
    /// Which input `maps` has: 0 or 1, or 2 where it is both.
    pub which: usize,
    /// Scratch memory.
    pub scratch: &'a mut [i8],
}

impl<'a> Operands<'a> {
    /// One or two inputs and an output that overlap in nothing but that the inputs may be one.
    #[inline(always)]
    pub fn apart(
        input: &'a [i8],
        second: &'a [i8],
        output: &'a mut [i8],
        scratch: &'a mut [i8],
    ) -> Self {
        Self {
            maps: Maps::apart(input, output),
            other: second,
            which: 0,
            scratch,
        }
    }

    /// The input numbered `replaced` (0 or 1) becomes the output.
    #[inline(always)]
    pub fn in_place(
        replaced: usize,
        map: &'a mut [i8],
        other: &'a [i8],
        scratch: &'a mut [i8],
    ) -> Self {
        Self {
            maps: Maps::in_place(map),
            other,
            which: replaced,
            scratch,
        }
    }

    /// Both inputs are one map, which becomes the output.
    #[inline(always)]
    pub fn doubled(map: &'a mut [i8]) -> Self {
        Self {
            maps: Maps::in_place(map),
            other: &[],
            which: 2,
            scratch: &mut [],
        }
    }
}

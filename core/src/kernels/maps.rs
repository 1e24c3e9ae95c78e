//! Where a kernel of one input reads and writes.

/// Two maps, or one that becomes its own output.
#[derive(Debug)]
pub enum Maps<'a> {
    /// Two maps that do not overlap.
    Apart(&'a [i8], &'a mut [i8]),
    /// The output takes the input's place, from its first byte on.
    InPlace(&'a mut [i8]),
}

impl Maps<'_> {
    /// The input.
    pub fn input(&self) -> &[i8] {
        match self {
            Self::Apart(input, _) => input,
            Self::InPlace(map) => map,
        }
    }

    /// The output.
    pub fn output(&mut self) -> &mut [i8] {
        match self {
            Self::Apart(_, output) => output,
            Self::InPlace(map) => map,
        }
    }
}

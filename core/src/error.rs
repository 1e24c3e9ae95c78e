//! What can be wrong with a packed model, an arena or a frame, with the numbers.

use core::fmt;

/// Why bytes are not a packed model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ModelError {
    /// The first four bytes are not `PUPL`.
    NotAModel {
        /// The first bytes, zeros where there are none.
        found: [u8; 4],
    },
    /// Bytes that begin where the chip's kernels can't read them in place.
    Misaligned {
        /// Bytes beyond a multiple of 4.
        over: u8,
    },
    /// A format that this build does not know.
    NewerFormat {
        /// Version of the file.
        found: u16,
        /// Greatest version that this build reads.
        newest: u16,
    },
    /// A version that never existed or is read no more: pack the model again.
    UnknownFormat {
        /// Version of the file.
        found: u16,
    },
    /// The file has another length than its header says.
    WrongLength {
        /// Bytes that the header announces.
        needed: u32,
        /// Bytes that are there.
        got: u32,
    },
    /// The bytes are not those that were written.
    Damaged {
        /// CRC-32 in the header.
        expected: u32,
        /// CRC-32 of the bytes.
        found: u32,
    },
    /// A header field that no packer writes.
    Header {
        /// Offset of the field.
        offset: u16,
    },
    /// More layers than a model may have.
    TooManyLayers {
        /// Layers of the file.
        found: u16,
        /// Most that this build reads.
        most: u16,
    },
    /// The arena has another size than tensors and scratch memory take.
    ArenaLen {
        /// Bytes that the header asks for.
        found: u32,
        /// End of the last tensor or scratch memory, rounded up to a multiple of 4.
        used: u32,
    },
    /// The header counts other multiply-accumulates than the layers make.
    Macs {
        /// Number in the header.
        found: u32,
        /// Sum over the layers.
        counted: u32,
    },
    /// A label is cut off, is not UTF-8, or has control characters.
    Label {
        /// Which class.
        class: u16,
    },
    /// A tensor without values, beyond the arena, misaligned, or with a scale that is no positive
    /// number.
    Tensor {
        /// Which tensor.
        tensor: u16,
    },
    /// A layer of an operator that this build does not know.
    UnknownOperator {
        /// Which layer.
        layer: u16,
        /// Its operator code.
        code: u8,
    },
    /// A layer whose tensors do not fit its operator, or whose numbers are out of range.
    Layer {
        /// Which layer.
        layer: u16,
        /// What does not fit.
        what: LayerFault,
    },
    /// A stream that can't run.
    Stream {
        /// The layer that it begins at.
        layer: u16,
        /// What does not fit.
        what: StreamFault,
    },
    /// More tensors live at a time than this build can check.
    TooManyLive {
        /// The layer.
        layer: u16,
        /// Most that this build checks.
        most: u16,
    },
    /// A layer's output or scratch memory lies on a tensor that is still needed.
    Overlap {
        /// The layer.
        layer: u16,
        /// The tensor that it would destroy.
        tensor: u16,
    },
}

/// What is wrong with one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LayerFault {
    /// It reads a tensor that no earlier layer writes.
    Input,
    /// Input and output sizes contradict its window or operator.
    Shape,
    /// Weights, channels or table lie outside the file or have another length.
    Weights,
    /// A multiplier's shift or mantissa.
    Multiplier,
    /// Sums that could exceed 32 bits.
    Accumulator,
    /// Lower clamp above the upper one.
    Clamp,
    /// Weights in a layout that this build does not know, or that its operator cannot have.
    Layout,
    /// Scratch memory that is too small, misaligned or outside the arena.
    Scratch,
    /// A field or flag that its operator does not use is not 0.
    Reserved,
    /// With the weights of the layers before it more bytes than the file has.
    Shared,
}

/// What is wrong with one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamFault {
    /// Its record is cut off, overlaps the one before, has too many layers or a field that no packer
    /// writes.
    Record,
    /// A layer that can't run a few rows at a time, or not there.
    Layer,
    /// A layer reads what is not there, or nobody reads what it makes.
    Reads,
    /// A line buffer is too short, misaligned or outside the arena, or lies on another one or on
    /// scratch memory.
    Buffer,
    /// A layer would overwrite rows that are still needed.
    Rows,
    /// All streams together take more turns than a model may.
    TooLong,
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "its record is cut off or misplaced, or has an invalid field",
            Self::Layer => "it has a layer that can't run a few rows at a time",
            Self::Reads => "a layer reads what is not there, or its output is read by none",
            Self::Buffer => "a line buffer is too short or misplaced",
            Self::Rows => "a layer would overwrite rows that are still needed",
            Self::TooLong => "the streams take more turns than a model may",
        })
    }
}

impl fmt::Display for LayerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "it reads a tensor that no earlier layer writes",
            Self::Shape => "its input and output sizes do not belong together",
            Self::Weights => "its weights, channel records or table are cut off or misplaced",
            Self::Multiplier => "a multiplier is out of range",
            Self::Accumulator => "its sums could exceed 32 bits",
            Self::Clamp => "its lower clamp is above the upper one",
            Self::Layout => "its weights are in a layout that is not known for it",
            Self::Scratch => "its scratch memory is too small or misplaced",
            Self::Reserved => "a field or flag that its operator does not use is not 0",
            Self::Shared => "its weights are shared with other layers",
        })
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAModel { found } => {
                write!(
                    f,
                    "not a packed model: it starts with {found:02x?}, not \"PUPL\""
                )
            }
            Self::Misaligned { over } => write!(
                f,
                "packed model begins {over} bytes beyond a multiple of 4, where this chip's kernels \
                 can't read it"
            ),
            Self::NewerFormat { found, newest } => {
                write!(
                    f,
                    "packed model is format {found}, this build reads up to {newest}"
                )
            }
            Self::UnknownFormat { found } => write!(
                f,
                "packed model is format {found}, which this build does not read: pack it again"
            ),
            Self::WrongLength { needed, got } => {
                write!(f, "packed model has {got} bytes, its header says {needed}")
            }
            Self::Damaged { expected, found } => write!(
                f,
                "packed model is damaged: CRC-32 is {found:08x}, the header says {expected:08x}"
            ),
            Self::Header { offset } => write!(f, "header field at byte {offset} is invalid"),
            Self::TooManyLayers { found, most } => write!(
                f,
                "packed model has {found} layers, this build reads up to {most}"
            ),
            Self::ArenaLen { found, used } => write!(
                f,
                "packed model asks for an arena of {found} bytes, its plan takes {used}"
            ),
            Self::Macs { found, counted } => write!(
                f,
                "header says {found} multiply-accumulates, the layers make {counted}"
            ),
            Self::Label { class } => write!(
                f,
                "label {class} is cut off, is not UTF-8 or has control characters"
            ),
            Self::Tensor { tensor } => write!(
                f,
                "tensor {tensor} is empty, misplaced in the arena, or has no scale"
            ),
            Self::UnknownOperator { layer, code } => {
                write!(
                    f,
                    "layer {layer} has operator code {code}, which this build does not know"
                )
            }
            Self::Layer { layer, what } => write!(f, "layer {layer}: {what}"),
            Self::Stream { layer, what } => write!(f, "stream at layer {layer}: {what}"),
            Self::TooManyLive { layer, most } => write!(
                f,
                "more than {most} tensors are needed at layer {layer} or later, which is more than \
                 this build can check"
            ),
            Self::Overlap { layer, tensor } => {
                write!(
                    f,
                    "layer {layer} would overwrite tensor {tensor}, which is still needed"
                )
            }
        }
    }
}

impl core::error::Error for ModelError {}

/// Why an interpreter can't work in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArenaError {
    /// Fewer bytes than the model's plan takes. On a chip whose kernels want an arena that begins at a
    /// multiple of 4 the bytes before one are counted, too: none of an
    /// [`Arena`](crate::interpreter::Arena).
    ArenaTooSmall {
        /// Bytes of the plan, and those before a multiple of 4.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// The program does not link the kernel of a layer's operator: build it with this model.
    OperatorMissing {
        /// The layer.
        layer: usize,
    },
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { needed, got } => {
                write!(f, "arena too small: needs {needed} bytes, got {got}")
            }
            Self::OperatorMissing { layer } => write!(
                f,
                "the program has no kernel for layer {layer}: build it with this model"
            ),
        }
    }
}

impl core::error::Error for ArenaError {}

/// Why a frame can't be classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// Another number of bytes than height x width x channels.
    WrongSize {
        /// Bytes of the model's input.
        needed: usize,
        /// Bytes of the frame.
        got: usize,
    },
    /// The model reads a frame a few rows at a time and has no room for a whole one.
    ByRows,
    /// The next layer waits for rows of the frame.
    RowsMissing {
        /// How many.
        rows: usize,
    },
    /// The kernel of a layer did not run. No model that was parsed and no arena that was accepted makes
    /// this happen: a fault of this crate.
    NotRun {
        /// Which layer.
        layer: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongSize { needed, got } => write!(
                f,
                "frame has {got} bytes, the model reads {needed} (height x width x channels)"
            ),
            Self::ByRows => f.write_str("the model reads frames row by row: feed it rows"),
            Self::RowsMissing { rows } => {
                write!(
                    f,
                    "the model waits for {rows} rows of the frame: feed it rows"
                )
            }
            Self::NotRun { layer } => write!(f, "the kernel of layer {layer} did not run"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A kernel did not run, and wrote nothing: an operand is shorter or longer than the operator's
/// [`Extents`](crate::kernels::Extents), or does not begin where the chip's kernels want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelError;

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operand is too short, too long or misaligned for the operator's kernel")
    }
}

impl core::error::Error for KernelError {}

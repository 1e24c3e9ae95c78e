//! The memory plan: where each tensor lies in the arena, the exact peak, and how layers run.
//!
//! Tensors that an operator may replace share their place. Places are laid out greedily, largest
//! first, each at the lowest offset that is free during its life (`layout.rs`).
//!
//! Layers run one by one, or several of them as a stream, a few rows at a time; a
//! squeeze-and-excitation block as two streams, of which the second one computes the squeezed map
//! again. [`schedule`] chooses (`schedule.rs`) among all ways of running (`segment.rs`) by what they
//! cost (`cost.rs`). A [`Plan`] of a packed model says what was chosen (`map.rs`).

mod cost;
mod demands;
mod layout;
mod liveness;
mod map;
mod proposal;
mod schedule;
mod segment;
#[cfg(test)]
mod tests;

pub use cost::instructions;
pub use layout::{ALIGNMENT, Entry};
pub use map::{Buffer, Run, Way};
pub use schedule::{Goal, Memory, any_schedule, schedule};

use self::liveness::Liveness;
use self::segment::Segment;
use crate::contents::{Contents, Placement};

/// Offsets of all tensors, and how layers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One entry a tensor; without bytes where only rows of it exist.
    pub entries: Vec<Entry>,
    /// Scratch memory of the layers that have some; each lives while its layer runs.
    pub scratch: Vec<Entry>,
    /// Line buffers of streams.
    pub buffers: Vec<Buffer>,
    /// How the layers run, in order.
    pub runs: Vec<Run>,
    /// Bytes of the arena.
    pub peak: usize,
    /// Instructions of an image on a Cortex-M4: [`instructions`] of all turns.
    pub instructions: u64,
}

/// Where everything lies when layers run one by one.
pub(crate) fn layer_by_layer(contents: &Contents) -> Placement {
    let liveness = Liveness::of(contents);
    let alone: Vec<Segment> = (0..liveness.layers()).map(Segment::alone).collect();
    schedule::place(&liveness, &alone)
}

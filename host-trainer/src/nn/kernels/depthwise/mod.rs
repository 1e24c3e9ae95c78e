//! Depthwise convolution of one NHWC sample, forward and both gradients, without border cases.
//!
//! The caller keeps the input with its SAME padding around it ([`Window::padded`]) and the output
//! gradient with zeros around it ([`Window::surrounded_runs`]): the pass before writes its rows there
//! anyway, and no loop asks where the image ends. Each loop goes row by row, a few neighboring
//! pixels at a time with all their channels, one vector of channels of these pixels in registers.

mod correlate;
mod input_gradient;
mod read;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod window;

pub use correlate::{forward, forward_activated};
pub use input_gradient::{input_gradient, turned};
pub use weight_gradient::weight_gradient;
pub use window::Window;

//! Optimizers as pure functions over slices: parameters, their gradients and the optimizer's own
//! numbers, element by element, so that a tensor and a flat store of all parameters are updated
//! by the same code to the same bits.
//!
//! One optimizer a file; [`OptimizerConfig`] chooses, [`ModuleOptimizer`] applies it to a net.

mod adamw;
mod clip;
mod config;
mod module;
mod rms_prop;
mod sgd;

pub use adamw::AdamW;
pub use clip::{clip_factor, squared_norm};
pub use config::{OptimizerConfig, OptimizerKind, State};
pub use module::{ModuleOptimizer, is_decayed};
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

//! What a run is asked to do: `run.toml`, its defaults, and what can be wrong with it.

pub mod check;
pub mod run_config;
mod transfer;
pub mod write;

pub use run_config::{
    DataSource, DistillConfig, ImagesConfig, MemorySchedule, NetChoice, NetFamily, PackConfig,
    PseudoLabelsConfig, QuantizeConfig, RunConfig, StudentConfig, TeacherConfig,
};
pub use transfer::TransferConfig;

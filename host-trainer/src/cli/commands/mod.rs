//! What commands around a run do: `new`, `data`, `predict`, `eval`, `zoo`, `compare`, `completions`, `man`.

pub mod data;
pub mod eval;
pub mod methods;
pub mod new;
pub mod pages;
pub mod predict;
pub mod recipes;
pub mod zoo;

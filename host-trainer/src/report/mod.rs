//! What people see of a run, a model or the zoo. Nothing here changes a run.
//!
//! - [`html`]: `report.html`, the page of a finished run
//! - [`table`]: the table that a run prints at its end
//! - [`inspect`]: what a packed model holds
//! - [`zoo`]: the table of all built-in nets
//! - [`svg`]: charts as text

pub(crate) mod html;
pub(crate) mod inspect;
pub(crate) mod svg;
pub(crate) mod table;
pub(crate) mod zoo;

//! What a run says at its end: a table on stdout, `report.html` beside the files.

pub mod html;
pub mod svg;
pub mod table;
pub mod zoo;

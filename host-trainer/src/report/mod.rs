//! What people see of a run or a net: a table on stdout, `report.html` beside the files.

pub mod html;
pub mod inspect;
pub mod svg;
pub mod table;
pub mod zoo;

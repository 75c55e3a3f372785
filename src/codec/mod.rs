//! Messages to bytes and back: JSON text that never holds a raw newline.

pub mod characters;
pub mod json;
pub mod reader;
mod scan;
pub mod utf8;

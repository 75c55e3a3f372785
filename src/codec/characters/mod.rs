//! Text as Python keeps it, to JSON strings: in one pass, whatever a character takes there.

mod plain;
mod size;
mod transcode;
#[cfg(target_arch = "x86_64")]
mod wider;

use super::scan::{BLOCK, in_pair};
use plain::{write_narrow, write_short, write_utf8};
use size::{MOST_BYTES, character, narrow, size, utf8};
use transcode::write_units;

/// Room beyond the text: for quotes, and for the block that its end is copied in.
const ROOM: usize = BLOCK + 2;

/// Bytes of a string's two quotes.
const QUOTES: usize = 2;

/// The characters of a text.
#[derive(Debug, Clone, Copy)]
pub enum Characters<'a> {
    /// In one byte to four.
    Utf8(&'a str),
    /// Up to U+00FF, a byte each.
    Narrow(&'a [u8]),
    /// Up to U+FFFF, two bytes each.
    Middle(&'a [u16]),
    /// All there are, four bytes each.
    Wide(&'a [u32]),
}

/// The text holds one, which is no character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoneSurrogate;

impl Characters<'_> {
    /// Returns how many bytes their JSON string may take at most, if every one is escaped.
    #[inline]
    pub fn most(&self) -> usize {
        let length = match self {
            Self::Utf8(text) => text.len(),
            Self::Narrow(text) => text.len(),
            Self::Middle(text) => text.len(),
            Self::Wide(text) => text.len(),
        };
        length.saturating_mul(MOST_BYTES).saturating_add(QUOTES)
    }

    /// Returns how many bytes their JSON string takes.
    pub fn size(&self) -> usize {
        QUOTES
            + match self {
                Self::Utf8(text) => size(text.as_bytes(), utf8),
                Self::Narrow(text) => size(text, narrow),
                Self::Middle(text) => size(text, character),
                Self::Wide(text) => size(text, character),
            }
    }

    /// Appends them as a JSON string, quotes included.
    ///
    /// # Errors
    /// [`LoneSurrogate`]; what was appended until then is to be taken away.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), LoneSurrogate> {
        out.push(b'"');
        match self {
            Self::Utf8(text) => write_utf8(out, text, in_pair),
            Self::Narrow(text) => write_narrow(out, text, in_pair),
            Self::Middle(text) => write_units(out, text)?,
            Self::Wide(text) => write_units(out, text)?,
        }
        out.push(b'"');
        Ok(())
    }

    /// Appends them as a JSON string if that is very short, as it is; returns whether it is.
    ///
    /// Roles and ids are.
    #[inline]
    pub fn write_short(&self, out: &mut Vec<u8>) -> bool {
        matches!(self, Self::Narrow(text) if write_short(out, text))
    }
}

#[cfg(test)]
mod tests;

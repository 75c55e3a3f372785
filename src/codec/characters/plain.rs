//! Bytes of which most are copied as they are.
#![expect(clippy::inline_always, reason = "compiled for each kind of processor")]

use super::ROOM;
use crate::codec::json::write_escape;
use crate::codec::scan::{BLOCK, Plain, copy_by, in_block, padded};

#[inline(always)]
pub(super) fn write_utf8(
    out: &mut Vec<u8>,
    text: &str,
    in_pair: impl Fn(&[u8; 2 * BLOCK], Plain) -> u32,
) {
    out.reserve(text.len() + ROOM);
    let mut rest = text.as_bytes();
    loop {
        rest = copy_by(out, rest, Plain::Utf8, &in_pair);
        let Some((&byte, after)) = rest.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
}

/// Writes Latin-1.
#[inline(always)]
pub(super) fn write_narrow(
    out: &mut Vec<u8>,
    text: &[u8],
    in_pair: impl Fn(&[u8; 2 * BLOCK], Plain) -> u32,
) {
    out.reserve(text.len() + ROOM);
    let mut rest = text;
    loop {
        rest = copy_by(out, rest, Plain::Ascii, &in_pair);
        let Some((&byte, after)) = rest.split_first() else { break };
        if byte.is_ascii() {
            write_escape(out, byte);
        } else {
            out.extend_from_slice(&[0xc0 | byte >> 6, 0x80 | byte & 0x3f]);
        }
        rest = after;
    }
}

/// Writes the JSON string of a text that needs no escape and fits into a block with a quote; `false` if
/// it is another.
#[inline(always)]
pub(super) fn write_short(out: &mut Vec<u8>, text: &[u8]) -> bool {
    if text.len() > BLOCK - 2 {
        return false;
    }
    let block = padded(text);
    if (in_block(&block, Plain::Ascii).trailing_zeros() as usize) < text.len() {
        return false;
    }
    let quote = out.len() + 1 + text.len();
    let string = u128::from_le_bytes(block) << 8 | u128::from(b'"');
    out.extend_from_slice(&string.to_le_bytes());
    if let Some(place) = out.get_mut(quote) {
        *place = b'"';
    }
    out.truncate(quote + 1);
    true
}

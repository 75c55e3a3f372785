//! Bytes of which most are copied as they are.
#![expect(clippy::inline_always, reason = "compiled for each kind of processor")]

use super::ROOM;
use crate::codec::json::write_escape;
use crate::codec::scan::{BLOCK, Plain, copy_by, in_block, padded};

const PAIR: usize = 2 * BLOCK;

#[inline(always)]
pub(super) fn write_utf8(
    out: &mut Vec<u8>,
    text: &str,
    in_pair: impl Fn(&[u8; PAIR], Plain) -> u32,
) {
    write_bytes(out, text.as_bytes(), Plain::Utf8, in_pair);
}

/// Writes Latin-1.
#[inline(always)]
pub(super) fn write_narrow(
    out: &mut Vec<u8>,
    text: &[u8],
    in_pair: impl Fn(&[u8; PAIR], Plain) -> u32,
) {
    write_bytes(out, text, Plain::Ascii, in_pair);
}

#[inline(always)]
fn write_bytes(
    out: &mut Vec<u8>,
    text: &[u8],
    kind: Plain,
    in_pair: impl Fn(&[u8; PAIR], Plain) -> u32,
) {
    out.reserve(text.len() + ROOM);
    let mut rest = text;
    while let Some((pair, after)) = rest.split_first_chunk() {
        out.extend_from_slice(pair);
        let found = in_pair(pair, kind);
        if found != 0 {
            write_found(out, rest, found);
        }
        rest = after;
    }
    loop {
        rest = copy_by(out, rest, kind, &in_pair);
        let Some((&byte, after)) = rest.split_first() else { break };
        write_special(out, byte);
        rest = after;
    }
}

/// Writes a pair of blocks, which begin `text` and were copied last, once more from the first of the bytes
/// on that do not stand for themselves. To look for the others again would take longer than all the rest.
#[inline(always)]
fn write_found(out: &mut Vec<u8>, text: &[u8], mut found: u32) {
    let (mut read, mut end) = (0, out.len() - PAIR);
    while found != 0 {
        let at = found.trailing_zeros() as usize;
        out.truncate(end + at - read);
        write_special(out, text.get(at).copied().unwrap_or_default());
        (read, end) = (at + 1, out.len());
        let rest = text.get(read..).unwrap_or_default();
        match rest.first_chunk::<PAIR>() {
            // As many as ever: two instructions, and a part of them a call.
            Some(pair) => out.extend_from_slice(pair),
            None => out.extend_from_slice(rest.get(..PAIR - read).unwrap_or_default()),
        }
        found &= found - 1;
    }
    out.truncate(end + PAIR - read);
}

/// Writes what stands for a byte that cannot, or for a character of Latin-1.
#[inline(always)]
fn write_special(out: &mut Vec<u8>, byte: u8) {
    if byte.is_ascii() {
        write_escape(out, byte);
    } else {
        out.extend_from_slice(&[0xc0 | byte >> 6, 0x80 | byte & 0x3f]);
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

//! UTF-16 without surrogates, and UTF-32, to UTF-8.
//!
//! Words and spaces differ in width, so a branch on that is often guessed wrong: this one works out
//! every width, and takes one.

use super::{LoneSurrogate, ROOM};
use crate::codec::json::write_escape;

/// How many characters are looked at together.
pub(super) const BLOCK: usize = 8;

pub(super) fn write_units<T: Copy + Into<u32>>(
    out: &mut Vec<u8>,
    text: &[T],
) -> Result<(), LoneSurrogate> {
    write_by(out, text, write_usual)
}

/// Does what [`write_units`] does; `write_usual` writes characters of up to three bytes that need no
/// escape, or returns `false` if there are others.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
pub(super) fn write_by<T: Copy + Into<u32>>(
    out: &mut Vec<u8>,
    text: &[T],
    write_usual: impl Fn(&mut Vec<u8>, [u32; BLOCK]) -> bool,
) -> Result<(), LoneSurrogate> {
    out.reserve(2 * text.len() + ROOM);
    let (blocks, rest) = text.as_chunks();
    for block in blocks {
        if !write_usual(out, block.map(Into::into)) {
            block.iter().try_for_each(|&point| write_one(out, point.into()))?;
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    // With spaces behind it the rest is a block, too.
    let mut block = [u32::from(b' '); BLOCK];
    for (place, &point) in block.iter_mut().zip(rest) {
        *place = point.into();
    }
    if write_usual(out, block) {
        out.truncate(out.len() - (BLOCK - rest.len()));
        return Ok(());
    }
    rest.iter().try_for_each(|&point| write_one(out, point.into()))
}

#[inline]
fn write_usual(out: &mut Vec<u8>, points: [u32; BLOCK]) -> bool {
    let usual = points.iter().fold(true, |all, &point| all & is_usual(point));
    if usual {
        let (pairs, _) = points.as_chunks();
        for &[first, second] in pairs {
            write_two(out, first, second);
        }
    }
    usual
}

/// Returns whether it is a character of at most three bytes that needs no escape.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "no branches")]
fn is_usual(point: u32) -> bool {
    (point >= 0x20)
        & (point != u32::from(b'"'))
        & (point != u32::from(b'\\'))
        & (point & !0x7ff != 0xd800)
        & (point < 0x1_0000)
}

#[inline]
fn write_two(out: &mut Vec<u8>, first: u32, second: u32) {
    let ((first, width), (second, more)) = (encoded(first), encoded(second));
    let both = u64::from(first) | u64::from(second) << (8 * width);
    let end = out.len() + width + more;
    out.extend_from_slice(&both.to_le_bytes());
    out.truncate(end);
}

/// Returns the bytes of a usual character, the first one lowest, and how many they are.
#[inline]
fn encoded(point: u32) -> (u32, usize) {
    let last = point & 0x3f;
    let two = 0x80c0 | point >> 6 | last << 8;
    let three = 0x0080_80e0 | point >> 12 | (point & 0xfc0) << 2 | last << 16;
    let more = if point > 0x7ff { three } else { two };
    let bytes = if point > 0x7f { more } else { point };
    (bytes, 1 + usize::from(point > 0x7f) + usize::from(point > 0x7ff))
}

/// Writes one character as it needs.
#[inline]
fn write_one(out: &mut Vec<u8>, point: u32) -> Result<(), LoneSurrogate> {
    if is_usual(point) {
        let (bytes, width) = encoded(point);
        let end = out.len() + width;
        out.extend_from_slice(&bytes.to_le_bytes());
        out.truncate(end);
    } else if let Ok(byte) = u8::try_from(point) {
        write_escape(out, byte);
    } else {
        let character = char::from_u32(point).ok_or(LoneSurrogate)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

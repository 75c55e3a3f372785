//! How many bytes a JSON string takes, counted without writing it.

/// Bytes that one character takes at most: a control character, as `\u0000`.
pub(super) const MOST_BYTES: usize = 6;

/// How many are counted together: what they take fits into a byte, so the compiler counts them side by side.
const BLOCK: usize = 32;

/// Returns how many bytes all take, if `one` says how many one does.
#[inline]
pub(super) fn size<T: Copy>(text: &[T], one: impl Fn(T) -> u8) -> usize {
    // A check for overflow would be a branch for each.
    let add = |size: u8, &point: &T| size.wrapping_add(one(point));
    text.chunks(BLOCK).map(|block| usize::from(block.iter().fold(0, add))).sum()
}

/// Returns how many bytes a character takes.
#[inline]
pub(super) fn character<T: Into<u32>>(point: T) -> u8 {
    let point = point.into();
    let more = |last: u32| u8::from(point > last);
    escaped(point).wrapping_add(more(0x7f)).wrapping_add(more(0x7ff)).wrapping_add(more(0xffff))
}

/// Returns how many bytes a character of Latin-1 takes.
#[inline]
pub(super) fn narrow(byte: u8) -> u8 {
    utf8(byte).wrapping_add(byte >> 7)
}

/// Returns how many bytes one byte of UTF-8 takes.
#[inline]
pub(super) fn utf8(byte: u8) -> u8 {
    escaped(byte.into())
}

/// Returns how many bytes a character takes that is one byte unless it is escaped.
#[inline]
fn escaped(point: u32) -> u8 {
    let special = (point == u32::from(b'"')) | (point == u32::from(b'\\'));
    // Backspace, tab and newline, form feed and carriage return have a letter each.
    let letter = (point.wrapping_sub(8) < 3) | (point.wrapping_sub(12) < 2);
    if special | letter {
        2
    } else if point < 0x20 {
        6
    } else {
        1
    }
}

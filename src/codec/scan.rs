//! Finds the bytes that a JSON string cannot hold as they are: what a writer has to escape, and
//! where a reader has to stop and look.
//!
//! Nearly all bytes of a conversation are string content with nothing of the kind in it, so both
//! directions spend their time here.

use wide::{i8x16, u8x16};

pub(super) const BLOCK: usize = 16;

/// The bit that makes the first byte behind the control characters of a quote, and of each of them
/// another one: quotes and control characters are found by one comparison.
pub(super) const TURN: u8 = b'"' ^ 0x20;

/// Returns the index of the first quote, backslash or control character.
#[inline]
pub(super) fn position_of_special(bytes: &[u8]) -> Option<usize> {
    let from = |rest: &[u8], found: u32| bytes.len() - rest.len() + found.trailing_zeros() as usize;
    let mut rest = bytes;
    // Most strings are names and short words.
    if let Some((block, after)) = rest.split_first_chunk() {
        let found = in_block(block, Plain::Utf8);
        if found != 0 {
            return Some(from(rest, found));
        }
        rest = after;
    }
    while let Some((pair, after)) = rest.split_first_chunk() {
        let found = in_pair(pair, Plain::Utf8);
        if found != 0 {
            return Some(from(rest, found));
        }
        rest = after;
    }
    if let Some((block, after)) = rest.split_first_chunk() {
        let found = in_block(block, Plain::Utf8);
        if found != 0 {
            return Some(from(rest, found));
        }
        rest = after;
    }
    let at = from(rest, in_block(&padded(rest), Plain::Utf8));
    (at < bytes.len()).then_some(at)
}

/// Appends what comes before the first quote, backslash or control character, or byte that is none of
/// `kind`; returns the rest, from that on. Scanning and copying is one pass.
#[inline]
pub(super) fn copy_plain<'a>(out: &mut Vec<u8>, bytes: &'a [u8], kind: Plain) -> &'a [u8] {
    copy_by(out, bytes, kind, in_pair)
}

/// Which bytes are plain, besides those of ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// No others.
    Ascii,
    /// All others.
    Utf8,
}

/// Does what [`copy_plain`] does; `in_pair` finds what is not plain in two blocks.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
pub(super) fn copy_by<'a>(
    out: &mut Vec<u8>,
    bytes: &'a [u8],
    kind: Plain,
    in_pair: impl Fn(&[u8; 2 * BLOCK], Plain) -> u32,
) -> &'a [u8] {
    let mut rest = bytes;
    while let Some((pair, after)) = rest.split_first_chunk() {
        // A whole block takes two instructions, and a part of one a call.
        out.extend_from_slice(pair);
        let found = in_pair(pair, kind);
        if found != 0 {
            let at = found.trailing_zeros() as usize;
            out.truncate(out.len() - pair.len() + at);
            return rest.get(at..).unwrap_or_default();
        }
        rest = after;
    }
    if let Some((block, after)) = rest.split_first_chunk() {
        out.extend_from_slice(block);
        let found = in_block(block, kind);
        if found != 0 {
            let at = found.trailing_zeros() as usize;
            out.truncate(out.len() - BLOCK + at);
            return rest.get(at..).unwrap_or_default();
        }
        rest = after;
    }
    let block = padded(rest);
    let at = (in_block(&block, kind).trailing_zeros() as usize).min(rest.len());
    out.extend_from_slice(&block);
    out.truncate(out.len() - BLOCK + at);
    rest.get(at..).unwrap_or_default()
}

#[inline]
pub(super) fn in_pair(pair: &[u8; 2 * BLOCK], kind: Plain) -> u32 {
    let (blocks, _) = pair.as_chunks();
    let [first, second] = blocks else { return 0 };
    in_block(first, kind) | in_block(second, kind) << BLOCK
}

/// Returns a bit for each byte that is not plain.
#[inline]
pub(super) fn in_block(block: &[u8; BLOCK], kind: Plain) -> u32 {
    let block = u8x16::new(*block);
    let turned = block ^ u8x16::splat(TURN);
    let small = match kind {
        // Bytes that are not ASCII are negative numbers.
        Plain::Ascii => turned.cast_signed().simd_lt(i8x16::splat(0x21)).cast_unsigned(),
        Plain::Utf8 => turned.min(u8x16::splat(0x20)).simd_eq(turned),
    };
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    (small | backslash).to_bitmask()
}

/// Makes a block of fewer bytes, with zeros behind them. Parts of them may be read twice, which is the
/// same bits again.
#[inline]
pub(super) fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let (first, last) = if let Some(first) = bytes.first_chunk::<8>() {
        let last = u64::from_le_bytes(bytes.last_chunk().copied().unwrap_or_default());
        let half = 4 * (BLOCK - bytes.len()); // of the bits that were read before; all may be too many
        (u64::from_le_bytes(*first), last >> half >> half)
    } else if let Some(first) = bytes.first_chunk::<4>() {
        let last = u32::from_le_bytes(bytes.last_chunk().copied().unwrap_or_default());
        let read = 8 * (bytes.len() - 4);
        (u64::from(u32::from_le_bytes(*first)) | u64::from(last) << read, 0)
    } else {
        let at = |place: usize| u64::from(bytes.get(place).copied().unwrap_or_default());
        (at(0) | at(1) << 8 | at(2) << 16, 0)
    };
    (u128::from(first) | u128::from(last) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_at_any_place_of_any_length() {
        for length in 0..80 {
            let plain: Vec<u8> = (0..length).map(|at| [b'a', 0x7f, 0xff, b' '][at % 4]).collect();
            assert_eq!(position_of_special(&plain), None, "{length}");
            for at in 0..length {
                for special in [b'"', b'\\', 0, 0x1f] {
                    let mut bytes = plain.clone();
                    bytes[at] = special;
                    bytes[length - 1] = b'"';
                    assert_eq!(position_of_special(&bytes), Some(at), "{at} of {length}");
                }
            }
        }
    }

    #[test]
    fn bytes_one_away_from_special_ones_are_not_special() {
        for byte in 0..=u8::MAX {
            let special = byte < 0x20 || byte == b'"' || byte == b'\\';
            let found = [b'a', byte, b'a', b'a', b'a', b'a', b'a', b'a', b'a'];
            assert_eq!(position_of_special(&found), special.then_some(1), "{byte}");
        }
    }
}

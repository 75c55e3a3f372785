//! Finds the bytes that a JSON string cannot hold as they are: what a writer has to escape, and
//! where a reader has to stop and look.
//!
//! Nearly all bytes of a conversation are string content with nothing of the kind in it, so both
//! directions spend their time here.

use wide::u8x16;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Returns the index of the first quote, backslash or control character.
#[inline]
pub(super) fn position_of_special(bytes: &[u8]) -> Option<usize> {
    let Some(last) = bytes.last_chunk::<16>() else { return in_short(bytes) };
    let (blocks, _) = bytes.as_chunks::<16>();
    let mut offset = 0;
    for block in blocks {
        if let Some(at) = in_block(*block) {
            return Some(offset + at);
        }
        offset += 16;
    }
    // The last block overlaps the one before; what they share has nothing special in it.
    in_block(*last).map(|at| bytes.len() - 16 + at)
}

#[inline]
fn in_block(block: [u8; 16]) -> Option<usize> {
    let block = u8x16::new(block);
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    let found = (control | quote | backslash).to_bitmask();
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// Names and ids, mostly.
#[inline]
fn in_short(bytes: &[u8]) -> Option<usize> {
    let Some((word, rest)) = bytes.split_first_chunk::<8>() else {
        return bytes.iter().position(|&byte| is_special(byte));
    };
    in_word(*word).or_else(|| rest.iter().position(|&byte| is_special(byte)).map(|at| 8 + at))
}

/// The "has a byte less than" and "has a zero byte" tests of Bit Twiddling Hacks (S. E. Anderson):
/// a borrow may set bits above a true match, never below one, so the lowest bit is exact.
#[inline]
fn in_word(word: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(word);
    let equals = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let found = (control | equals(b'"') | equals(b'\\')) & HIGH;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
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

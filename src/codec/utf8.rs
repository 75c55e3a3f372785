//! Reads UTF-8 into code points, for strings of Python's that are not ASCII.
//!
//! Scripts with words and spaces change between widths of one, two and three bytes all the time, so a
//! reader that branches on each lead byte guesses wrong at every word. This one works out 16 code
//! points at once, as if a character began at each byte, and then keeps those where one does.

use wide::{u8x16, u16x8};

/// Bytes that a block looks at: 16 where a character may begin, and what the last one may need.
const WINDOW: usize = 18;

/// Reads `text` into the front of `room`, which has a place for each byte; returns how many code points there are.
///
/// `None` if the text is no UTF-8, or if there is no such room.
pub fn code_points(text: &[u8], room: &mut [u32]) -> Option<usize> {
    let (mut rest, mut count) = (text, 0);
    loop {
        while let Some((read, width)) = block(rest, room.get_mut(count..)?) {
            rest = rest.get(width..)?;
            count += read;
        }
        if rest.is_empty() {
            return Some(count);
        }
        let (character, width) = character(rest)?;
        *room.get_mut(count)? = character;
        count += 1;
        rest = rest.get(width..)?;
    }
}

/// Reads the characters that begin in the first 16 bytes; returns how many, and their bytes.
///
/// `None` for all that has to be looked at closer: characters of four bytes, what is no UTF-8,
/// and the end of the text.
#[inline]
fn block(text: &[u8], room: &mut [u32]) -> Option<(usize, usize)> {
    let window = text.first_chunk::<WINDOW>()?;
    let room = room.first_chunk_mut::<16>()?;
    let (first, second, third) = (at::<0>(window)?, at::<1>(window)?, at::<2>(window)?);
    if first.to_bitmask() == 0 {
        *room = first.to_array().map(u32::from);
        return Some((16, 16));
    }
    let at_least = |bytes: u8x16, least| bytes.max(u8x16::splat(least)).simd_eq(bytes).to_bitmask();
    let follows = |bytes: u8x16| bytes.to_bitmask() & !at_least(bytes, 0xc0);
    let (twos, threes) = (at_least(first, 0xc0), at_least(first, 0xe0));
    let due = twos << 1 | threes << 2;
    let there = follows(first) | follows(third) << 2;
    // What has a shorter form, and surrogates: both show in a lead byte and one bit of the next.
    let small = (second & u8x16::splat(0x20)).simd_eq(u8x16::splat(0));
    let lead = |byte| first.simd_eq(u8x16::splat(byte));
    let forbidden = lead(0xc0) | lead(0xc1) | lead(0xe0) & small | lead(0xed) & !small;
    if (due ^ there) & (0xffff | due) != 0 || (forbidden.to_bitmask() | at_least(first, 0xf0)) != 0
    {
        return None;
    }
    let low = points(
        u16x8::from_u8x16_low(first),
        u16x8::from_u8x16_low(second),
        u16x8::from_u8x16_low(third),
    );
    let high = points(
        u16x8::from_u8x16_high(first),
        u16x8::from_u8x16_high(second),
        u16x8::from_u8x16_high(third),
    );
    let (mut count, mut begins) = (0_usize, !there);
    for half in [&low.to_array(), &high.to_array()] {
        for &point in half {
            // The next one overwrites it if no character begins here.
            if let Some(slot) = room.get_mut(count & 15) {
                *slot = point.into();
            }
            count = count.wrapping_add((begins & 1) as usize);
            begins >>= 1;
        }
    }
    Some((count, 16 + (due >> 16).count_ones() as usize))
}

#[inline]
fn at<const N: usize>(window: &[u8; WINDOW]) -> Option<u8x16> {
    window.get(N..)?.first_chunk().copied().map(u8x16::new)
}

/// Works out the code points that begin with `first`, as if one did at each place.
#[inline]
fn points(first: u16x8, second: u16x8, third: u16x8) -> u16x8 {
    let all = u16x8::splat;
    let second = second & all(0x3f);
    let two = (first & all(0x1f)) << 6_u32 | second;
    let three = first << 12_u32 | second << 6_u32 | third & all(0x3f);
    let more = first.simd_gt(all(0xdf)).bitselect(three, two);
    first.simd_gt(all(0xbf)).bitselect(more, first)
}

/// Reads one character; returns it and its width.
fn character(text: &[u8]) -> Option<(u32, usize)> {
    let character = match text {
        [first @ 0..0x80, ..] => return Some((u32::from(*first), 1)),
        [0..0xe0, ..] => text.get(..2),
        [0xe0..0xf0, ..] => text.get(..3),
        _ => text.get(..4),
    };
    let character = std::str::from_utf8(character?).ok()?.chars().next()?;
    Some((character.into(), character.len_utf8()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Option<Vec<u32>> {
        let mut room = vec![0; text.len()];
        let count = code_points(text, &mut room)?;
        room.truncate(count);
        Some(room)
    }

    fn agree(text: &[u8]) {
        let theirs = std::str::from_utf8(text).ok();
        let theirs = theirs.map(|text| text.chars().map(u32::from).collect());
        assert_eq!(read(text), theirs, "{text:x?}");
    }

    #[test]
    fn every_character_is_read_at_every_place_of_a_block() {
        for character in (0..=0x10_ffff).step_by(7).filter_map(char::from_u32) {
            let at = character as usize % 20;
            agree(format!("{}{character}{}", "a".repeat(at), "é".repeat(20 - at)).as_bytes());
        }
    }

    #[test]
    fn what_is_no_utf_8_is_refused_at_every_place_of_a_block() {
        let pairs = (0..=0xffff_u16).map(|pair| pair.to_be_bytes().to_vec());
        let edges = [
            b"\xe0\x9f\xbf".to_vec(),
            b"\xe0\xa0\x80".to_vec(),
            b"\xed\x9f\xbf".to_vec(),
            b"\xed\xa0\x80".to_vec(),
            b"\xef\xbf\xbf".to_vec(),
            b"\xe6\x9d".to_vec(),
            b"\xe6\x9d\xb1\x80".to_vec(),
            b"\xf0\x8f\xbf\xbf".to_vec(),
            b"\xf4\x8f\xbf\xbf".to_vec(),
            b"\xf4\x90\x80\x80".to_vec(),
        ];
        for (number, bytes) in pairs.enumerate() {
            let mut text = "東é".repeat(8).into_bytes();
            text.splice(number % 5 * 5..number % 5 * 5, bytes);
            agree(&text);
        }
        for bytes in edges {
            for at in 0..24 {
                agree(&[&vec![b'a'; at], &bytes[..], &[b'b'; 24]].concat());
                agree(&[&vec![b'a'; at], &bytes[..]].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_read_as_the_standard_library_reads_it(text in "[a-zéя東नกㅎ🙂 ]{0,80}|\\PC{0,80}") {
            agree(text.as_bytes());
        }

        #[test]
        fn bytes_are_refused_where_the_standard_library_refuses_them(
            text in "[aé東🙂]{16,40}", at in 0..16_usize, byte: u8
        ) {
            let mut text = text.into_bytes();
            text[at] = byte;
            agree(&text);
        }
    }
}

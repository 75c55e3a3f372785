//! Takes UTF-8 apart into code points, for strings of Python's that are not ASCII.
//!
//! Scripts with words and spaces change between widths of one, two and three bytes all the time, so a
//! reader that branches on each lead byte guesses wrong at every word. This one works out 32 code
//! points at once, as if a character began at each byte, and then keeps those where one does.

mod block;
#[cfg(target_arch = "x86_64")]
mod shuffled;
mod unit;

use wide::u8x16;

pub use block::units;
#[cfg(target_arch = "x86_64")]
pub use shuffled::units as units_shuffled;
pub use unit::Unit;

/// Returns the largest byte, which tells how wide the widest character is.
#[inline]
pub fn widest(text: &[u8]) -> u8 {
    let Some(last) = text.last_chunk::<16>() else {
        return text.iter().fold(0, |widest, &byte| widest.max(byte));
    };
    let (blocks, _) = text.as_chunks::<16>();
    let widest = blocks.iter().fold(u8x16::new(*last), |all, &block| all.max(u8x16::new(block)));
    widest.to_array().into_iter().fold(0, u8::max)
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use proptest::prelude::*;

    use super::*;

    type Reads<T> = fn(&str, &mut [MaybeUninit<T>]) -> Option<usize>;

    /// Returns every way to read that this processor has.
    fn ways<T: Unit>() -> Vec<Reads<T>> {
        let mut ways: Vec<Reads<T>> = vec![units::<T>];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            #[expect(unsafe_code, reason = "the processor was asked")]
            // SAFETY: the processor has what the function is compiled for.
            ways.push(|text, room| unsafe { units_shuffled(text, room) });
        }
        ways
    }

    fn agree_in<T: Unit + PartialEq + std::fmt::Debug>(text: &str) {
        let theirs: Vec<T> = text.chars().map(|point| T::cut(point.into())).collect();
        for way in ways::<T>() {
            for slack in [0, 1, 9, 40] {
                let mut room = vec![MaybeUninit::new(T::cut(0)); theirs.len() + slack];
                assert_eq!(way(text, &mut room), Some(theirs.len()), "{text:?}");
                #[expect(unsafe_code, reason = "all of it was written")]
                // SAFETY: there is a value in each place from the beginning.
                let read: Vec<T> =
                    room.iter().map(|place| unsafe { place.assume_init() }).collect();
                assert_eq!(read[..theirs.len()], theirs, "{text:?}");
            }
        }
    }

    fn agree(text: &str) {
        agree_in::<u32>(text);
        if widest(text.as_bytes()) < 0xf0 {
            agree_in::<u16>(text);
        }
        if widest(text.as_bytes()) < 0xc4 {
            agree_in::<u8>(text);
        }
    }

    #[test]
    fn every_character_is_read_at_every_place_of_a_block() {
        for character in (0..=0x10_ffff).step_by(7).filter_map(char::from_u32) {
            let at = character as usize % 20;
            agree(&format!("{}{character}{}", "a".repeat(at), "é".repeat(20 - at)));
        }
    }

    #[test]
    fn texts_of_every_length_end_in_every_kind_of_character() {
        for end in ["a", "é", "東", "🙂", "🙂🙂", "é東", ""] {
            for length in 0..70 {
                for filling in ["a", "é", "ж", "東", "🙂"] {
                    agree(&format!("{}{end}", filling.repeat(length)));
                    agree(&format!("{}{}{end}", "a".repeat(length % 17), filling.repeat(length)));
                }
            }
        }
    }

    #[test]
    fn long_texts_are_read_whole() {
        for length in [254, 255, 256, 4096, 4100] {
            agree(&"éa東bc🙂defg".repeat(length));
        }
    }

    #[test]
    fn the_largest_byte_is_found_at_every_place() {
        for length in 0..70 {
            assert_eq!(widest(&vec![b'a'; length]), if length == 0 { 0 } else { b'a' });
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[at] = 0xe0;
                assert_eq!(widest(&bytes), 0xe0, "{at} of {length}");
            }
        }
    }

    #[test]
    fn less_room_than_is_due_is_refused() {
        for text in ["é".repeat(20), "東 ".repeat(9), "a".repeat(40)] {
            for way in ways::<u32>() {
                let mut room = vec![MaybeUninit::new(0); text.chars().count() - 1];
                assert_eq!(way(&text, &mut room), None);
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_read_as_the_standard_library_reads_it(text in "[a-zéя東नกㅎ🙂 ]{0,80}|\\PC{0,80}") {
            agree(&text);
        }
    }
}

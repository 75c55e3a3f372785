//! Where a conversation is cut into chunks when it is saved.
//!
//! A server takes in a few large values, and gives them out, at less cost than many small ones: a large
//! one is read straight into its place, and all of it goes out in one system call. The last messages
//! are to be read without many others, though. So the last chunk is small, and each one before it
//! may be seven times as large as all that follow it.

use super::CHUNK_BYTES;
use crate::messages::{Chunk, Messages};

/// The largest chunk, but for a message that is larger: a script that reads the end of a memory may have
/// to read one.
const LARGEST_BYTES: usize = 512 << 10;
/// The last chunk: there is room behind it for a turn or two before the open run comes to its end.
const LAST_BYTES: usize = CHUNK_BYTES / 8 * 7;
/// What a server keeps with a chunk in one allocation, or more.
const SPARE_BYTES: usize = 32;

/// Cuts messages into chunks.
#[must_use]
pub fn cut(messages: &Messages) -> Vec<Chunk> {
    let count = messages.len();
    let small = messages.fitting_last(LAST_BYTES).max(1).min(count);
    let (mut first, last) = (0, count - small);
    let mut chunks = Vec::with_capacity(4);
    let mut rest = messages.bytes(0..last);
    let behind = messages.bytes(last..count);
    while first < last {
        let most = ((rest + behind) / 8 * 7).clamp(CHUNK_BYTES, LARGEST_BYTES);
        let fitting = if rest <= most {
            last - first
        } else {
            messages.fitting(first, well_filled(most)).clamp(1, last - first)
        };
        let range = first..first + fitting;
        first = range.end;
        rest -= messages.bytes(range.clone());
        chunks.push(messages.chunk(range));
    }
    if small > 0 {
        chunks.push(messages.chunk(last..count));
    }
    chunks
}

/// Returns the size of a chunk that fills an allocation of at most `size` bytes.
///
/// Allocators (jemalloc, which servers use) have four sizes between a power of two and the next, so
/// a chunk of any size would waste up to a fifth of its memory.
fn well_filled(size: usize) -> usize {
    let step = 1 << size.ilog2().saturating_sub(2);
    (size - size % step).saturating_sub(SPARE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(sizes: impl IntoIterator<Item = usize>) -> Messages {
        let line = |size: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(size - 9));
        let lines: Vec<String> = sizes.into_iter().map(line).collect();
        Messages::from_lines(vec![lines.join("\n").into()], 0).unwrap()
    }

    fn sizes(messages: &Messages) -> Vec<usize> {
        let chunks = cut(messages);
        let texts = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let again = Messages::from_lines(texts, 0).unwrap();
        assert!(again.lines().eq(messages.lines()));
        assert_eq!(chunks.iter().map(|chunk| chunk.messages).sum::<usize>(), messages.len());
        chunks.iter().map(|chunk| chunk.text.len() + 1).collect()
    }

    #[test]
    fn a_short_conversation_is_one_chunk() {
        assert_eq!(sizes(&conversation([300; 20])), [6_000]);
        assert_eq!(sizes(&conversation([300; 1])), [300]);
    }

    #[test]
    fn a_long_one_ends_in_a_small_chunk_and_each_before_it_is_larger() {
        assert_eq!(sizes(&conversation([300; 30])), [2_400, 6_600]);
        assert_eq!(sizes(&conversation([300; 100])), [23_400, 6_600]);
        assert_eq!(sizes(&conversation([300; 1_000])), [261_900, 31_500, 6_600]);
        let many = sizes(&conversation(vec![300; 10_000]));
        assert!(many.len() < 12 && many[0] == 524_100 && many.ends_with(&[6_600]));
        let mut behind = 0;
        for size in many.iter().rev() {
            assert!(behind == 0 || *size <= behind * 7 + 300);
            behind += size;
        }
    }

    #[test]
    fn however_messages_lie_they_are_cut_at_the_same_places() {
        let all = conversation((0..2_000).map(|number| 100 + number * 7919 % 900));
        assert_eq!(sizes(&all), sizes(&all.pick(0..2_000)));
    }

    #[test]
    fn messages_larger_than_any_chunk_stand_alone() {
        let large = LARGEST_BYTES * 2;
        assert_eq!(sizes(&conversation([large])), [large]);
        assert_eq!(sizes(&conversation([300, large, 300])), [300, large, 300]);
        assert_eq!(sizes(&conversation([large, large])), [large, large]);
    }

    #[test]
    fn chunks_fill_what_is_allocated_for_them() {
        assert_eq!(well_filled(7_680), 7_168 - 32);
        assert_eq!(well_filled(100_000), (96 << 10) - 32);
        assert_eq!(well_filled(LARGEST_BYTES), LARGEST_BYTES - 32);
    }
}

//! The same reader for processors that put bytes where a table says in one instruction.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_shuffle_epi8, _mm256_and_si256, _mm256_blendv_epi8,
    _mm256_castsi256_si128, _mm256_cmpgt_epi8, _mm256_extracti128_si256, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_slli_epi16,
    _mm256_srli_epi16, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};
use std::mem::MaybeUninit;

use wide::{u8x16, u16x8};

use super::Unit;
use super::block::{Block, LENGTH, WINDOW, units_by};

/// For each set of eight places: where the bytes come from, so that those in the set are in front.
static SOURCES: [[u8; 16]; 256] = sources();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
#[expect(clippy::cast_possible_truncation, reason = "all are small")]
const fn sources() -> [[u8; 16]; 256] {
    let mut sources = [[0; 16]; 256];
    let mut set = 0;
    while set < sources.len() {
        let (mut place, mut front) = (0_usize, 0);
        while place < 8 {
            if set >> place & 1 == 1 {
                sources[set][front] = 2 * place as u8;
                sources[set][front + 1] = 2 * place as u8 + 1;
                front += 2;
            }
            place += 1;
        }
        set += 1;
    }
    sources
}

/// Does what [`units`](super::units) does.
///
/// # Safety
/// The processor must have what this is compiled for.
#[target_feature(enable = "avx2,popcnt")]
pub fn units<T: Unit>(text: &str, room: &mut [MaybeUninit<T>]) -> Option<usize> {
    units_by(text, room, |window| {
        let [first, second, third] = [at::<0>(window), at::<1>(window), at::<2>(window)];
        // All others are signed numbers up to that.
        let begins = _mm256_movemask_epi8(_mm256_cmpgt_epi8(first, all(-65))).cast_unsigned();
        let (low, high) = bytes_of_points(first, second, third);
        // The halves of each register by itself: places 0 to 7 and 16 to 23, and those behind each.
        let (even, odd) = (_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high));
        let [a, b, c, d] = begins.to_le_bytes();
        let points = [
            kept(a, _mm256_castsi256_si128(even)),
            kept(b, _mm256_castsi256_si128(odd)),
            kept(c, _mm256_extracti128_si256::<1>(even)),
            kept(d, _mm256_extracti128_si256::<1>(odd)),
        ];
        Block { begins, points }
    })
}

/// Works out the low and the high bytes of the code points, as if a character of up to three bytes began
/// at each place.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes_of_points(first: __m256i, second: __m256i, third: __m256i) -> (__m256i, __m256i) {
    let and = |bits, mask| _mm256_and_si256(bits, all(mask));
    // What is shifted goes from one byte into the next, and is cut off there.
    let last_two_bits = |byte| and(_mm256_slli_epi16::<6>(byte), -0x40);
    let without_two_bits = |byte, mask| and(_mm256_srli_epi16::<2>(byte), mask);
    let low_of_two = _mm256_or_si256(last_two_bits(first), and(second, 0x3f));
    let low_of_three = _mm256_or_si256(last_two_bits(second), and(third, 0x3f));
    let high_of_two = without_two_bits(first, 0x07);
    let last_four_bits = and(_mm256_slli_epi16::<4>(first), -0x10);
    let high_of_three = _mm256_or_si256(last_four_bits, without_two_bits(second, 0x0f));
    // Of what is not ASCII: a byte of that is a negative number, which is what chooses below.
    let three = _mm256_cmpgt_epi8(first, all(-33));
    let low = _mm256_blendv_epi8(low_of_two, low_of_three, three);
    let high = _mm256_blendv_epi8(high_of_two, high_of_three, three);
    let none = _mm256_setzero_si256();
    (_mm256_blendv_epi8(first, low, first), _mm256_blendv_epi8(none, high, first))
}

/// Moves the points whose bits are set to the front.
#[inline]
#[target_feature(enable = "avx2")]
fn kept(begins: u8, points: __m128i) -> [u16; 8] {
    let sources = SOURCES.get(usize::from(begins)).copied().unwrap_or_default();
    let kept = _mm_shuffle_epi8(points, u8x16::new(sources).into());
    u16x8::from(kept).to_array()
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: i8) -> __m256i {
    _mm256_set1_epi8(byte)
}

#[inline]
#[target_feature(enable = "avx2")]
fn at<const N: usize>(window: &[u8; WINDOW]) -> __m256i {
    let bytes = window.get(N..).and_then(<[u8]>::first_chunk::<LENGTH>);
    let Some(([first, second], _)) = bytes.map(|bytes| bytes.as_chunks()) else { return all(0) };
    _mm256_set_m128i(u8x16::new(*second).into(), u8x16::new(*first).into())
}

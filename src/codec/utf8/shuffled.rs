//! The same reader for processors that put bytes where a table says in one instruction.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpgt_epi8, _mm_movemask_epi8, _mm_set1_epi8, _mm_shuffle_epi8,
    _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_si128, _mm256_cmpgt_epi16,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_or_si256, _mm256_set1_epi16,
    _mm256_slli_epi16,
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
        let begins = _mm_movemask_epi8(_mm_cmpgt_epi8(first, _mm_set1_epi8(-65)));
        let [low, high, ..] = begins.to_le_bytes();
        let points = points(first, second, third);
        let lower = kept(low, _mm256_castsi256_si128(points));
        let upper = kept(high, _mm256_extracti128_si256::<1>(points));
        Block { begins: u16::from_le_bytes([low, high]), points: [lower, upper] }
    })
}

/// Works out the code points, as if a character of up to three bytes began at each place.
#[inline]
#[target_feature(enable = "avx2")]
fn points(first: __m128i, second: __m128i, third: __m128i) -> __m256i {
    let all = |value| _mm256_set1_epi16(value);
    let first = _mm256_cvtepu8_epi16(first);
    let second = _mm256_and_si256(_mm256_cvtepu8_epi16(second), all(0x3f));
    let third = _mm256_and_si256(_mm256_cvtepu8_epi16(third), all(0x3f));
    let lead = _mm256_and_si256(first, all(0x1f));
    let two = _mm256_or_si256(_mm256_slli_epi16::<6>(lead), second);
    let three = _mm256_or_si256(_mm256_slli_epi16::<6>(two), third);
    let more = _mm256_blendv_epi8(two, three, _mm256_cmpgt_epi16(first, all(0xdf)));
    _mm256_blendv_epi8(first, more, _mm256_cmpgt_epi16(first, all(0xbf)))
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
fn at<const N: usize>(window: &[u8; WINDOW]) -> __m128i {
    let bytes = window.get(N..).and_then(<[u8]>::first_chunk::<LENGTH>);
    u8x16::new(bytes.copied().unwrap_or_default()).into()
}

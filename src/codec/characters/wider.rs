//! The same writer for processors that look at 32 bytes at once.

use std::arch::x86_64::{
    __m256i, _mm_shuffle_epi8, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpeq_epi32, _mm256_cmpgt_epi8,
    _mm256_cmpgt_epi32, _mm256_extracti128_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_movemask_ps, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi32,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_testz_si256, _mm256_xor_si256,
};

use wide::{u8x16, u32x4};

use super::transcode::{BLOCK as UNITS, write_by};
use super::{Characters, LoneSurrogate};
use crate::codec::scan::{BLOCK, Plain, TURN};

/// For four characters, of which the lower bits say which take two bytes or more, and the upper ones
/// which take three: where their bytes are in places of four.
static PLACES: [[u8; 16]; 256] = places();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
#[expect(clippy::cast_possible_truncation, reason = "all are small")]
const fn places() -> [[u8; 16]; 256] {
    let mut places = [[0; 16]; 256];
    let mut widths = 0;
    while widths < places.len() {
        let (mut character, mut front) = (0, 0);
        while character < 4 {
            let width = 1 + (widths >> character & 1) + (widths >> (4 + character) & 1);
            let mut byte = 0;
            while byte < width {
                places[widths][front] = (4 * character + byte) as u8;
                (front, byte) = (front + 1, byte + 1);
            }
            character += 1;
        }
        widths += 1;
    }
    places
}

impl Characters<'_> {
    /// Does what [`write`](Self::write) does.
    ///
    /// # Safety
    /// The processor must have what this is compiled for.
    ///
    /// # Errors
    /// [`LoneSurrogate`]; what was appended until then is to be taken away.
    #[target_feature(enable = "avx2,popcnt")]
    pub fn write_wider(&self, out: &mut Vec<u8>) -> Result<(), LoneSurrogate> {
        out.push(b'"');
        match self {
            Self::Utf8(text) => super::write_utf8(out, text, |pair, kind| in_pair(pair, kind)),
            Self::Narrow(text) => super::write_narrow(out, text, |pair, kind| in_pair(pair, kind)),
            Self::Middle(text) => write_by(out, text, |out, points| write_usual(out, points))?,
            Self::Wide(text) => write_by(out, text, |out, points| write_usual(out, points))?,
        }
        out.push(b'"');
        Ok(())
    }
}

/// Returns a bit for each byte that is not plain.
#[inline]
#[target_feature(enable = "avx2")]
fn in_pair(pair: &[u8; 2 * BLOCK], kind: Plain) -> u32 {
    let (blocks, _) = pair.as_chunks::<BLOCK>();
    let [first, second] = blocks else { return 0 };
    let pair = _mm256_set_m128i(u8x16::new(*second).into(), u8x16::new(*first).into());
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let turned = _mm256_xor_si256(pair, all(TURN));
    let small = match kind {
        // Bytes that are not ASCII are negative numbers.
        Plain::Ascii => _mm256_cmpgt_epi8(all(0x21), turned),
        Plain::Utf8 => _mm256_cmpeq_epi8(_mm256_min_epu8(turned, all(0x20)), turned),
    };
    let backslash = _mm256_cmpeq_epi8(pair, all(b'\\'));
    _mm256_movemask_epi8(_mm256_or_si256(small, backslash)).cast_unsigned()
}

/// Writes characters of up to three bytes that need no escape; `false` if there are others.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn write_usual(out: &mut Vec<u8>, points: [u32; UNITS]) -> bool {
    let (halves, _) = points.as_chunks();
    let [low, high] = halves else { return false };
    let points = _mm256_set_m128i(u32x4::new(*high).into(), u32x4::new(*low).into());
    let all = |value| _mm256_set1_epi32(value);
    let over = |least| _mm256_cmpgt_epi32(points, all(least));
    let is = |value| _mm256_cmpeq_epi32(points, all(value));
    let surrogate = _mm256_cmpeq_epi32(_mm256_and_si256(points, all(!0x7ff)), all(0xd800));
    let small = _mm256_cmpgt_epi32(all(0x20), points);
    let special = _mm256_or_si256(is(b'"'.into()), is(b'\\'.into()));
    let others =
        _mm256_or_si256(_mm256_or_si256(small, special), _mm256_or_si256(surrogate, over(0xffff)));
    if _mm256_testz_si256(others, others) == 0 {
        return false;
    }
    let (twos, threes) = (over(0x7f), over(0x7ff));
    let bytes = encoded(points, twos, threes);
    let bits = |mask| _mm256_movemask_ps(_mm256_castsi256_ps(mask)).cast_unsigned();
    let (twos, threes) = (bits(twos), bits(threes));
    let halves = [
        (_mm256_castsi256_si128(bytes), twos & 0xf | threes << 4 & 0xf0),
        (_mm256_extracti128_si256::<1>(bytes), twos >> 4 | threes & 0xf0),
    ];
    for (bytes, widths) in halves {
        let places = PLACES.get(widths as usize).copied().unwrap_or_default();
        let end = out.len() + 4 + widths.count_ones() as usize;
        let bytes: u8x16 = _mm_shuffle_epi8(bytes, u8x16::new(places).into()).into();
        out.extend_from_slice(&bytes.to_array());
        out.truncate(end);
    }
    true
}

/// Works out the bytes of each character, the first one lowest.
#[inline]
#[target_feature(enable = "avx2")]
fn encoded(points: __m256i, twos: __m256i, threes: __m256i) -> __m256i {
    let all = |value| _mm256_set1_epi32(value);
    let last = _mm256_and_si256(points, all(0x3f));
    let middle = _mm256_and_si256(points, all(0xfc0));
    let two = _mm256_or_si256(_mm256_srli_epi32::<6>(points), _mm256_slli_epi32::<8>(last));
    let two = _mm256_or_si256(two, all(0x80c0));
    let rest = _mm256_or_si256(_mm256_slli_epi32::<2>(middle), _mm256_slli_epi32::<16>(last));
    let three = _mm256_or_si256(_mm256_srli_epi32::<12>(points), rest);
    let three = _mm256_or_si256(three, all(0x0080_80e0));
    _mm256_blendv_epi8(_mm256_blendv_epi8(points, two, twos), three, threes)
}

//! The reader, sixteen bytes at a time.

use std::mem::MaybeUninit;

use wide::{i8x16, i16x8, u8x16, u16x8};

use super::Unit;

/// Bytes where a character may begin; with so many places more than there are characters, all are
/// written in whole blocks.
pub const LENGTH: usize = 16;

/// Bytes that are looked at: what the last character may need, too.
pub(super) const WINDOW: usize = LENGTH + 3;

/// What is found in a window.
pub(super) struct Block {
    /// A bit for each place where a character begins.
    pub(super) begins: u16,
    /// The code points of the characters that begin in the first eight bytes, and of those that begin
    /// in the others; what comes behind them means nothing. Those of four bytes are wrong.
    pub(super) points: [[u16; 8]; 2],
}

/// Reads `text` into `room`, which has a place for each character; returns how many there are.
///
/// Units have to be as wide as the widest character: see [`widest`](super::widest). `None` if `room`
/// is too small.
pub fn units<T: Unit>(text: &str, room: &mut [MaybeUninit<T>]) -> Option<usize> {
    units_by(text, room, |window| {
        let [first, second, third] = [at::<0>(window), at::<1>(window), at::<2>(window)];
        // All others are signed numbers up to that.
        let begins = first.cast_signed().simd_gt(i8x16::splat(-65)).to_bitmask();
        let [low, high, ..] = begins.to_le_bytes();
        let half = u16x8::from_u8x16_low;
        let lower = points(half(first), half(second), half(third));
        let half = u16x8::from_u8x16_high;
        let upper = points(half(first), half(second), half(third));
        let begins = u16::from_le_bytes([low, high]);
        Block { begins, points: [kept(low, lower), kept(high, upper)] }
    })
}

/// Does what [`units`] does with what `read` finds in each window.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
pub(super) fn units_by<T: Unit>(
    text: &str,
    room: &mut [MaybeUninit<T>],
    read: impl Fn(&[u8; WINDOW]) -> Block,
) -> Option<usize> {
    let (mut rest, mut count) = (text.as_bytes(), 0);
    while let Some(window) = rest.first_chunk() {
        count += step(window, u16::MAX, room.get_mut(count..)?, &read)?;
        rest = rest.get(LENGTH..)?;
    }
    while !rest.is_empty() {
        let mut window = [0; WINDOW];
        window.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
        let within = if rest.len() < LENGTH { !(u16::MAX << rest.len()) } else { u16::MAX };
        count += step(&window, within, room.get_mut(count..)?, &read)?;
        rest = rest.get(LENGTH..).unwrap_or_default();
    }
    Some(count)
}

/// Puts the characters that begin at places of `within`; returns how many.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
fn step<T: Unit>(
    window: &[u8; WINDOW],
    within: u16,
    room: &mut [MaybeUninit<T>],
    read: impl Fn(&[u8; WINDOW]) -> Block,
) -> Option<usize> {
    let first = at::<0>(window);
    if first.to_bitmask() == 0 {
        let points = first.to_array().map(|byte| MaybeUninit::new(T::cut(byte.into())));
        return put(room, points, within.count_ones() as usize);
    }
    let Block { begins, points: [low, high] } = read(window);
    let begins = begins & within;
    let points = |points: [u16; 8]| points.map(|point| MaybeUninit::new(T::cut(point.into())));
    let more = put(room, points(low), (begins & 0xff).count_ones() as usize)?;
    put(room.get_mut(more..)?, points(high), (begins >> 8).count_ones() as usize)?;
    if T::ANY {
        let mut fours = first.max(u8x16::splat(0xf0)).simd_eq(first).to_bitmask();
        while fours != 0 {
            let before = !(u16::MAX << fours.trailing_zeros());
            let Some(place) = room.get_mut((begins & before).count_ones() as usize) else { break };
            *place = MaybeUninit::new(T::cut(four(
                *window.get(fours.trailing_zeros() as usize..)?.first_chunk()?,
            )));
            fours &= fours - 1;
        }
    }
    Some(begins.count_ones() as usize)
}

/// Puts the first `count` of some points, and what is behind them where there is room.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
fn put<T: Copy, const N: usize>(room: &mut [T], points: [T; N], count: usize) -> Option<usize> {
    if let Some(places) = room.first_chunk_mut() {
        *places = points;
    } else {
        room.get_mut(..count)?.copy_from_slice(points.get(..count)?);
    }
    Some(count)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
fn at<const N: usize>(window: &[u8; WINDOW]) -> u8x16 {
    let bytes = window.get(N..).and_then(<[u8]>::first_chunk::<LENGTH>);
    u8x16::new(bytes.copied().unwrap_or_default())
}

/// Works out the code points, as if a character of up to three bytes began at each place.
#[inline]
fn points(first: u16x8, second: u16x8, third: u16x8) -> u16x8 {
    let all = u16x8::splat;
    // Signed numbers are what the processor compares; bytes are small ones.
    let over = |byte| first.cast_signed().simd_gt(i16x8::splat(byte)).cast_unsigned();
    let two = (first & all(0x1f)) << 6_u32 | second & all(0x3f);
    let three = two << 6_u32 | third & all(0x3f);
    let more = over(0xdf).bitselect(three, two);
    over(0xbf).bitselect(more, first)
}

/// Works out the code point of four bytes.
fn four(bytes: [u8; 4]) -> u32 {
    bytes.into_iter().fold(0, |point, byte| point << 6 | u32::from(byte & 0x3f)) & 0x1f_ffff
}

/// Moves the points whose bits are set to the front.
#[inline]
fn kept(mut begins: u8, points: u16x8) -> [u16; 8] {
    let (mut kept, mut count) = ([0; 8], 0_usize);
    for point in points.to_array() {
        // The next one overwrites it if no character begins here.
        if let Some(place) = kept.get_mut(count & 7) {
            *place = point;
        }
        count += usize::from(begins & 1);
        begins >>= 1;
    }
    kept
}

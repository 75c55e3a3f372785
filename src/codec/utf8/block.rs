//! The reader, thirty-two bytes at a time.

use std::mem::MaybeUninit;

use wide::{i8x16, i16x8, u8x16, u16x8};

use super::Unit;

/// Bytes where a character may begin.
pub(super) const LENGTH: usize = 32;

/// Bytes that are looked at: what the last character may need, too.
pub(super) const WINDOW: usize = LENGTH + 3;

/// What is found in a window.
pub(super) struct Block {
    /// A bit for each place where a character begins.
    pub(super) begins: u32,
    /// The code points of the characters that begin in each eight bytes; what comes behind them means
    /// nothing. Those of four bytes are wrong.
    pub(super) points: [[u16; 8]; LENGTH / 8],
}

/// Reads `text` into `room`, which has a place for each character; returns how many there are.
///
/// Units have to be as wide as the widest character: see [`widest`](super::widest). `None` if `room`
/// is too small.
pub fn units<T: Unit>(text: &str, room: &mut [MaybeUninit<T>]) -> Option<usize> {
    units_by(text, room, |window| {
        let (first, [a, b]) = half::<0>(window);
        let (second, [c, d]) = half::<16>(window);
        Block { begins: u32::from(first) | u32::from(second) << 16, points: [a, b, c, d] }
    })
}

/// Works out the characters that begin in the sixteen bytes from `AT` on.
fn half<const AT: usize>(window: &[u8; WINDOW]) -> (u16, [[u16; 8]; 2]) {
    let [first, second, third] = [at(window, AT), at(window, AT + 1), at(window, AT + 2)];
    // All others are signed numbers up to that.
    let begins = first.cast_signed().simd_gt(i8x16::splat(-65)).to_bitmask();
    let [low, high, ..] = begins.to_le_bytes();
    let wider = u16x8::from_u8x16_low;
    let lower = points(wider(first), wider(second), wider(third));
    let wider = u16x8::from_u8x16_high;
    let upper = points(wider(first), wider(second), wider(third));
    (u16::from_le_bytes([low, high]), [kept(low, lower), kept(high, upper)])
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
    while let (Some(window), Some(places)) = (rest.first_chunk(), places(room, count)) {
        count += step(window, u32::MAX, places, &read)?;
        rest = rest.get(LENGTH..)?;
    }
    while !rest.is_empty() {
        let mut window = [0; WINDOW];
        let length = rest.len().min(WINDOW);
        window.get_mut(..length)?.copy_from_slice(rest.get(..length)?);
        let within = if length < LENGTH { !(u32::MAX << length) } else { u32::MAX };
        let mut places = [MaybeUninit::uninit(); LENGTH];
        let more = step(&window, within, &mut places, &read)?;
        room.get_mut(count..count + more)?.copy_from_slice(places.get(..more)?);
        count += more;
        rest = rest.get(LENGTH..).unwrap_or_default();
    }
    Some(count)
}

/// Returns places for a whole block from place `at` on, if there are so many.
#[inline]
fn places<T>(room: &mut [T], at: usize) -> Option<&mut [T; LENGTH]> {
    room.get_mut(at..)?.first_chunk_mut()
}

/// Puts the characters that begin at places of `within`, and anything behind them; returns how many.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
fn step<T: Unit>(
    window: &[u8; WINDOW],
    within: u32,
    room: &mut [MaybeUninit<T>; LENGTH],
    read: impl Fn(&[u8; WINDOW]) -> Block,
) -> Option<usize> {
    let unit = |point| MaybeUninit::new(T::cut(point));
    let halves = [at(window, 0), at(window, 16)];
    if (halves[0] | halves[1]).to_bitmask() == 0 {
        *room = window.first_chunk::<LENGTH>()?.map(|byte| unit(byte.into()));
        return Some(within.count_ones() as usize);
    }
    let Block { begins, points } = read(window);
    let begins = begins & within;
    let mut count = 0;
    for (points, begins) in points.into_iter().zip(begins.to_le_bytes()) {
        *room.get_mut(count..)?.first_chunk_mut()? = points.map(|point| unit(point.into()));
        count += begins.count_ones() as usize;
    }
    if T::ANY {
        let fours = |half: u8x16| half.max(u8x16::splat(0xf0)).simd_eq(half).to_bitmask();
        let mut fours = fours(halves[0]) | fours(halves[1]) << 16;
        while fours != 0 {
            let before = !(u32::MAX << fours.trailing_zeros());
            let Some(place) = room.get_mut((begins & before).count_ones() as usize) else { break };
            let bytes = window.get(fours.trailing_zeros() as usize..)?.first_chunk()?;
            *place = unit(four(*bytes));
            fours &= fours - 1;
        }
    }
    Some(count)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for each kind of processor")]
fn at(window: &[u8; WINDOW], place: usize) -> u8x16 {
    let bytes = window.get(place..).and_then(<[u8]>::first_chunk);
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

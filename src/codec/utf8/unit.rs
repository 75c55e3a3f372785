//! What holds a code point.

/// A number of 8, 16 or 32 bits: narrow ones do for texts that have no wider characters.
pub trait Unit: Copy {
    /// Whether it holds characters of four bytes, too.
    const ANY: bool = false;

    /// Takes a code point; bits that there is no place for are cut.
    fn cut(point: u32) -> Self;
}

impl Unit for u8 {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it says so")]
    fn cut(point: u32) -> Self {
        point as Self
    }
}

impl Unit for u16 {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it says so")]
    fn cut(point: u32) -> Self {
        point as Self
    }
}

impl Unit for u32 {
    const ANY: bool = true;

    #[inline]
    fn cut(point: u32) -> Self {
        point
    }
}

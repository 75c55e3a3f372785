//! What the processor at hand can do beyond what the package is compiled for.
#![expect(unsafe_code, reason = "only the processor can tell")]

use std::mem::MaybeUninit;

use crate::codec::characters::{Characters, LoneSurrogate};
use crate::codec::utf8::{self, Unit};

/// Takes UTF-8 apart: see [`utf8::units`].
#[inline]
pub(super) fn units<T: Unit>(text: &str, room: &mut [MaybeUninit<T>]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        // SAFETY: it has what the function is compiled for.
        return unsafe { utf8::units_shuffled(text, room) };
    }
    utf8::units(text, room)
}

/// Returns what writes JSON strings: [`Characters::write`], or what does the same.
#[inline]
pub(super) fn writer() -> Write {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        // SAFETY: it has what the function is compiled for.
        return |text, out| unsafe { text.write_wider(out) };
    }
    |text, out| text.write(out)
}

/// Writes a JSON string.
pub(super) type Write = fn(&Characters<'_>, &mut Vec<u8>) -> Result<(), LoneSurrogate>;

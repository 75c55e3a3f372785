//! Writes compact JSON, one value at a time.
//!
//! Numbers go through `serde_json`; strings have a writer of their own
//! ([`characters`](super::characters)), because nearly all bytes of a conversation are string content. Its output is the same as `serde_json`'s,
//! byte for byte (a property test in this file).

use super::characters::Characters;

/// The largest nesting of arrays and objects in one message; the message itself is level 1.
pub const MAX_DEPTH: usize = 128;

/// Returns how deep arrays and objects nest in a well-formed JSON text.
pub fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    // Only surrogates can be refused.
    let _ = Characters::Utf8(text).write(out);
}

/// Appends an integer.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    write_number(out, &value);
}

/// Appends a finite float in its shortest form that reads back as the same number.
///
/// Returns `false`, and appends nothing, for NaN and the infinities, which JSON cannot hold.
#[must_use]
pub fn write_float(out: &mut Vec<u8>, value: f64) -> bool {
    if value.is_finite() {
        write_number(out, &value);
    }
    value.is_finite()
}

fn write_number<T: serde::Serialize>(out: &mut Vec<u8>, value: &T) {
    // Writing to a Vec cannot fail, and numbers always serialise.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

/// Appends what stands for a quote, a backslash or a control character.
#[inline]
pub(super) fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let escape = ESCAPES.get(usize::from(byte)).unwrap_or(&[0; 8]);
    let end = out.len() + usize::from(escape[7]);
    // All of it, since that is one instruction.
    out.extend_from_slice(escape);
    out.truncate(end);
}

/// What stands for each byte that cannot stand for itself, and last how long it is.
static ESCAPES: [[u8; 8]; 0x5d] = escapes();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
#[expect(clippy::cast_possible_truncation, reason = "all are small")]
const fn escapes() -> [[u8; 8]; 0x5d] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut escapes = [[0; 8]; 0x5d];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = [b'\\', b'u', b'0', b'0', b'0' + (byte >> 4) as u8, HEX[byte & 0xf], 0, 6];
        byte += 1;
    }
    let short = [(8, b'b'), (12, b'f'), (10, b'n'), (13, b'r'), (9, b't'), (34, b'"'), (92, b'\\')];
    let mut next = 0;
    while next < short.len() {
        let (byte, letter) = short[next];
        escapes[byte] = [b'\\', letter, 0, 0, 0, 0, 0, 2];
        next += 1;
    }
    escapes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, text);
        out
    }

    #[test]
    fn every_single_character_is_written_as_serde_json_writes_it() {
        for character in (0..0x1_0000).filter_map(char::from_u32) {
            let text = character.to_string();
            assert_eq!(written(&text), serde_json::to_vec(&text).unwrap(), "{text:?}");
        }
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(depth(br#"{"a":[1,{"b":"[[[\"{{"}],"c":{}}"#), 3);
        assert_eq!(depth(b"1"), 0);
    }

    #[test]
    fn integral_floats_stay_floats_and_non_finite_ones_are_refused() {
        let mut out = Vec::new();
        assert!(write_float(&mut out, 1.0));
        assert_eq!(out, b"1.0");
        assert!(!write_float(&mut out, f64::NAN) && !write_float(&mut out, f64::INFINITY));
        assert_eq!(out, b"1.0");
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in "(?s)[\\x00-\\x7f]{0,40}|\\PC{0,40}") {
            prop_assert_eq!(written(&text), serde_json::to_vec(&text).unwrap());
        }
    }
}

//! Writes compact JSON, one value at a time.
//!
//! Numbers go through `serde_json`; strings have a writer of their own, because nearly all bytes of
//! a conversation are string content: it looks at many bytes at a time for one that needs an
//! escape and copies the run before it in one piece. Its output is the same as `serde_json`'s,
//! byte for byte (a property test in this file).

use super::scan::position_of_special;

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
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = position_of_special(rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = tail.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
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

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        control => {
            let digit = HEX.get(usize::from(control & 0xf)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (control >> 4), digit]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
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

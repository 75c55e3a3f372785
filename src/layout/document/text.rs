//! Strings as Go reads and writes them.

use std::borrow::Cow;

use memchr::memchr;

use crate::codec::json::write_string;

/// Reads what is between the quotes of a valid JSON string. What is no text becomes U+FFFD: each
/// byte that is not UTF-8, and each half of a surrogate pair that stands alone.
pub(super) fn unquoted(raw: &[u8]) -> Cow<'_, str> {
    if memchr(b'\\', raw).is_none()
        && let Ok(plain) = std::str::from_utf8(raw)
    {
        return Cow::Borrowed(plain);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            let run = memchr(b'\\', rest).unwrap_or(rest.len());
            push_lossy(&mut out, rest.get(..run).unwrap_or_default());
            rest = rest.get(run..).unwrap_or_default();
            continue;
        }
        let (character, taken) = escaped(after);
        out.push(character);
        rest = after.get(taken..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// Reads one escape after its backslash; returns how many bytes it took.
fn escaped(text: &[u8]) -> (char, usize) {
    let character = match text.first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(text),
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, 1)
}

fn unicode(text: &[u8]) -> (char, usize) {
    let unit = |from: usize| {
        let digits = std::str::from_utf8(text.get(from..from + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(1) else { return (char::REPLACEMENT_CHARACTER, 5) };
    if let Some(character) = char::from_u32(first) {
        return (character, 5);
    }
    let second = if text.get(5..7) == Some(b"\\u") { unit(7) } else { None };
    match (first, second) {
        (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
        }
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// Appends bytes as text; each byte that is not UTF-8 becomes one U+FFFD, where Rust's own lossy
/// reading would make one of several.
fn push_lossy(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// Appends `text` as Go writes it: besides what JSON demands, `<`, `>`, `&` and the two separators
/// that JavaScript takes for ends of lines are escaped.
pub(super) fn write_quoted(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    write_string(out, text);
    let written = out.get(start..).unwrap_or_default();
    let Some(first) = special(written) else { return };
    let rest = written.get(first..).unwrap_or_default().to_vec();
    out.truncate(start + first);
    let mut rest = rest.as_slice();
    loop {
        let run = special(rest).unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..run).unwrap_or_default());
        rest = rest.get(run..).unwrap_or_default();
        let (escape, taken): (&[u8], usize) = match rest {
            [b'<', ..] => (b"\\u003c", 1),
            [b'>', ..] => (b"\\u003e", 1),
            [b'&', ..] => (b"\\u0026", 1),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            _ => return,
        };
        out.extend_from_slice(escape);
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// Returns where the first character is that only Go escapes.
fn special(text: &[u8]) -> Option<usize> {
    let markup = memchr::memchr3(b'<', b'>', b'&', text);
    let before = text.get(..markup.unwrap_or(text.len())).unwrap_or_default();
    memchr::memchr_iter(0xe2, before)
        .find(|&at| matches!(before.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])))
        .or(markup)
}

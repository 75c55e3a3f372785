//! Short bulk strings, many at a time.

use std::io;
use std::ops::Range;

use super::source::Source;
use crate::plan::Strings;

/// Takes the short bulk strings that come next and have come whole, up to `count`; returns how many
/// bytes of the reply those were.
pub(super) fn take_short(
    reader: &mut impl Source,
    count: usize,
    strings: &mut Strings,
) -> io::Result<usize> {
    let buffer = match reader.fill_buf() {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
        buffer => buffer?,
    };
    let mut end = 0;
    let places = std::iter::from_fn(|| {
        let place = short_bulk(buffer, end)?;
        end = place.end + 2;
        Some(place)
    });
    strings.extend(buffer, places.take(count));
    reader.consume(end);
    Ok(end)
}

/// Returns where the text of the bulk string at `start` lies, if it is short and has come whole.
#[inline]
fn short_bulk(buffer: &[u8], start: usize) -> Option<Range<usize>> {
    let (length, rest) = match buffer.get(start..)? {
        [b'$', a @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => (digit(*a), rest),
        [b'$', a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => {
            (digit(*a) * 10 + digit(*b), rest)
        }
        [b'$', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => {
            (digit(*a) * 100 + digit(*b) * 10 + digit(*c), rest)
        }
        _ => return None,
    };
    let first = buffer.len() - rest.len();
    (rest.get(length..length + 2)? == b"\r\n").then_some(first..first + length)
}

fn digit(byte: u8) -> usize {
    usize::from(byte - b'0')
}

//! RESP, versions 2 and 3: reads replies.
//!
//! The blocking transport reads replies here rather than with `redis::Parser`, for two reasons:
//! the bytes of a large reply land in the buffers that become the messages, with no second copy, and
//! what a broken or hostile server may make us allocate is bounded.
//!
//! Format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::io::{self, Read as _};
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::bulks::take_short;
use super::recycled::{LARGE, Recycled};
use super::source::Source;
use crate::plan::{Reply, ServerError, Strings};

/// The longest line that is not a bulk string: numbers, statuses and errors.
pub(super) const MAX_LINE: usize = 64 << 10;
/// The largest bulk string, and the largest reply: Redis' own bound for one value.
pub(super) const MAX_BYTES: usize = 512 << 20;
/// How deep arrays may nest; the deepest reply that is asked for has three levels.
pub(super) const MAX_DEPTH: u32 = 16;
/// From how many items on an array's short strings share their memory: with fewer, one of them that is
/// kept would hold on to much more than itself.
const MANY_ITEMS: usize = 64;
/// A string of fewer bytes is short.
const SHORT: usize = 1000;
/// What is reserved on a server's word alone; beyond it, memory grows with what really comes.
const TRUSTED_BYTES: usize = 1 << 20;
const TRUSTED_ITEMS: usize = 1 << 10;

/// A line that is no bulk string; nearly all are short.
type Line = SmallVec<[u8; 32]>;

/// Reads one reply; push messages of RESP3 are passed over.
///
/// # Errors
/// What the reader says, [`io::ErrorKind::UnexpectedEof`] at its end, and
/// [`io::ErrorKind::InvalidData`] for bytes that are no RESP or go over a bound.
pub(super) fn read_reply(reader: &mut impl Source) -> io::Result<Reply> {
    let mut budget = MAX_BYTES;
    let mut line = Line::new();
    loop {
        if let Some(reply) = read_value(reader, &mut line, &mut budget, 0)? {
            return Ok(reply);
        }
    }
}

/// Reads one value; `None` for a push message or an attribute, which answer nothing.
///
/// Its first line is read into `line`, which all values of a reply share.
fn read_value(
    reader: &mut impl Source,
    line: &mut Line,
    budget: &mut usize,
    depth: u32,
) -> io::Result<Option<Reply>> {
    read_line(reader, line)?;
    let Some((&kind, rest)) = line.split_first() else { return Err(malformed()) };
    let reply = match kind {
        b'+' | b',' | b'(' => Reply::Text(Bytes::copy_from_slice(rest)),
        b'-' => Reply::Error(ServerError::parse(&String::from_utf8_lossy(rest))),
        b':' => Reply::Integer(integer(rest)?),
        b'_' => Reply::Nil,
        b'#' => Reply::Integer(i64::from(rest == b"t")),
        b'$' => match length(rest)? {
            Some(size) => Reply::Text(read_bulk(reader, size, budget)?),
            None => Reply::Nil,
        },
        b'=' => {
            let text = read_bulk(reader, length(rest)?.ok_or_else(malformed)?, budget)?;
            // A verbatim string begins with its format and a colon: `txt:`.
            Reply::Text(text.slice(4.min(text.len())..))
        }
        b'!' => {
            let text = read_bulk(reader, length(rest)?.ok_or_else(malformed)?, budget)?;
            Reply::Error(ServerError::parse(&String::from_utf8_lossy(&text)))
        }
        b'*' | b'~' => match length(rest)? {
            Some(count) => read_array(reader, line, count, budget, depth)?,
            None => Reply::Nil,
        },
        b'%' => {
            let pairs = length(rest)?.ok_or_else(malformed)?;
            let count = pairs.checked_mul(2).ok_or_else(malformed)?;
            read_array(reader, line, count, budget, depth)?
        }
        b'>' | b'|' => {
            let count = length(rest)?.ok_or_else(malformed)?;
            let count = if kind == b'|' { count.checked_mul(2) } else { Some(count) };
            read_array(reader, line, count.ok_or_else(malformed)?, budget, depth)?;
            return Ok(None);
        }
        _ => return Err(malformed()),
    };
    Ok(Some(reply))
}

/// Reads an array; of many short strings as one piece.
fn read_array(
    reader: &mut impl Source,
    line: &mut Line,
    count: usize,
    budget: &mut usize,
    depth: u32,
) -> io::Result<Reply> {
    if count < MANY_ITEMS {
        let items = Vec::with_capacity(count);
        return read_items(reader, line, count, budget, depth, items).map(Reply::Array);
    }
    if depth >= MAX_DEPTH {
        return Err(malformed());
    }
    let mut strings = Strings::with_capacity(count.min(TRUSTED_ITEMS));
    while strings.len() < count {
        let before = strings.len();
        let taken = take_short(reader, count - before, &mut strings)?;
        spend(budget, taken + (strings.len() - before) * size_of::<Range<usize>>())?;
        if taken > 0 {
            continue;
        }
        // It is no short string, or has not come whole.
        spend(budget, size_of::<Reply>())?;
        match read_value(reader, line, budget, depth + 1)? {
            Some(Reply::Text(text)) if text.len() < SHORT => {
                strings.extend(&text, std::iter::once(0..text.len()));
            }
            other => {
                let items = strings.into_replies().into_iter().chain(other).collect();
                return read_items(reader, line, count, budget, depth, items).map(Reply::Array);
            }
        }
    }
    Ok(Reply::Strings(strings))
}

/// Reads what is missing from `count` items.
fn read_items(
    reader: &mut impl Source,
    line: &mut Line,
    count: usize,
    budget: &mut usize,
    depth: u32,
    mut items: Vec<Reply>,
) -> io::Result<Vec<Reply>> {
    if depth >= MAX_DEPTH {
        return Err(malformed());
    }
    while items.len() < count {
        spend(budget, size_of::<Reply>())?;
        items.extend(read_value(reader, line, budget, depth + 1)?);
    }
    Ok(items)
}

fn read_bulk(reader: &mut impl Source, size: usize, budget: &mut usize) -> io::Result<Bytes> {
    spend(budget, size)?;
    if let Some(bulk) = reader.take_buffered(size)? {
        return Ok(bulk);
    }
    let bulk = if (LARGE..=TRUSTED_BYTES).contains(&size) {
        let mut bulk = Recycled::new(size);
        reader.read_exact(bulk.bytes_mut())?;
        bulk.shared()
    } else {
        let mut bulk = Vec::with_capacity(size.min(TRUSTED_BYTES));
        if reader.by_ref().take(size as u64).read_to_end(&mut bulk)? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bulk.into()
    };
    let mut end = [0; 2];
    reader.read_exact(&mut end)?;
    if end != *b"\r\n" {
        return Err(malformed());
    }
    Ok(bulk)
}

fn read_line(reader: &mut impl Source, line: &mut Line) -> io::Result<()> {
    line.clear();
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memchr(b'\n', buffer);
        let taken = end.map_or(buffer.len(), |at| at + 1);
        line.extend_from_slice(buffer.get(..taken).unwrap_or_default());
        reader.consume(taken);
        if line.len() > MAX_LINE {
            return Err(malformed());
        }
        if end.is_some() {
            break;
        }
    }
    if !line.ends_with(b"\r\n") {
        return Err(malformed());
    }
    line.truncate(line.len() - 2);
    Ok(())
}

fn spend(budget: &mut usize, size: usize) -> io::Result<()> {
    *budget = budget.checked_sub(size).ok_or_else(too_large)?;
    Ok(())
}

fn integer(text: &[u8]) -> io::Result<i64> {
    if let Some(number) = short_number(text) {
        return Ok(number);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)
}

/// Reads what nearly every number in a reply is: a few digits.
fn short_number(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Reads a length; `None` for the -1 by which RESP2 says that nothing is there.
fn length(text: &[u8]) -> io::Result<Option<usize>> {
    match integer(text)? {
        -1 => Ok(None),
        size => usize::try_from(size).map(Some).map_err(|_| malformed()),
    }
}

pub(super) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the reply is larger than 512 MiB")
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the reply is not RESP; is it a Redis server?")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Command;
    use crate::script::Form;
    use crate::transport::pack::pack;

    fn read(bytes: &[u8]) -> io::Result<Reply> {
        read_reply(&mut io::BufReader::with_capacity(7, bytes))
    }

    fn text(text: &'static str) -> Reply {
        Reply::Text(text.into())
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let cases: &[(&[u8], Reply)] = &[
            (b"+OK\r\n", text("OK")),
            (b":-7\r\n", Reply::Integer(-7)),
            (b"$-1\r\n", Reply::Nil),
            (b"*-1\r\n", Reply::Nil),
            (b"_\r\n", Reply::Nil),
            (b"#t\r\n", Reply::Integer(1)),
            (b"$12\r\nhello\r\nworld\r\n", text("hello\r\nworld")),
            (b"=7\r\ntxt:abc\r\n", text("abc")),
            (b",1.5\r\n", text("1.5")),
            (
                b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
                Reply::Array(vec![text("a"), Reply::Array(vec![Reply::Integer(1)])]),
            ),
            (b"%1\r\n+k\r\n+v\r\n", Reply::Array(vec![text("k"), text("v")])),
            (b">2\r\n+invalidate\r\n*0\r\n:5\r\n", Reply::Integer(5)),
            (b"|1\r\n+ttl\r\n:9\r\n:5\r\n", Reply::Integer(5)),
            (b"-ERR no\r\n", Reply::Error(ServerError::parse("ERR no"))),
            (b"!6\r\nERR no\r\n", Reply::Error(ServerError::parse("ERR no"))),
        ];
        for (bytes, reply) in cases {
            assert_eq!(&read(bytes).unwrap(), reply, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_a_broken_server_sends_is_refused_at_little_cost() {
        let deep = b"*1\r\n".repeat(10_000);
        let long = [b"+".as_slice(), &b"x".repeat(1 << 20)].concat();
        let cases: &[&[u8]] = &[
            b"",
            b"\r\n",
            b"hello\r\n",
            b"$5\r\nhel",
            b"$5\r\nhello!!",
            b":x\r\n",
            b"$-2\r\n",
            b"*2147483647\r\n",
            b"$536870913\r\nx",
            b"%9223372036854775807\r\n",
            &deep,
            &long,
        ];
        for bytes in cases {
            assert!(
                read(bytes).is_err(),
                "{}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            );
        }
    }

    #[test]
    fn a_reply_that_breaks_off_is_a_lost_connection_wherever_it_breaks() {
        let whole = b"*2\r\n$5\r\nhello\r\n:17\r\n";
        for end in 0..whole.len() {
            let error = read(&whole[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn many_strings_are_read_as_few_are_wherever_the_buffer_ends() {
        let item = |number: usize| match number % 7 {
            0 => Reply::Nil,
            1 => Reply::Integer(7),
            2 => Reply::Text(vec![b'x'; number * 90].into()),
            3 => Reply::Text(Bytes::new()),
            _ => Reply::Text(format!("key-{number}").into()),
        };
        let items: Vec<_> = (0..MANY_ITEMS * 3).map(item).collect();
        let mut bytes = format!("*{}\r\n", items.len()).into_bytes();
        for item in &items {
            match item {
                Reply::Text(text) => {
                    bytes.extend(format!("${}\r\n", text.len()).bytes());
                    bytes.extend_from_slice(text);
                    bytes.extend(b"\r\n");
                }
                Reply::Integer(number) => bytes.extend(format!(":{number}\r\n").bytes()),
                _ => bytes.extend(b"$-1\r\n"),
            }
        }
        bytes.extend(b"+PONG\r\n");
        for size in [7, 100, 1000, 8 << 10, 64 << 10] {
            let mut reader = io::BufReader::with_capacity(size, bytes.as_slice());
            assert_eq!(read_reply(&mut reader).unwrap(), Reply::Array(items.clone()));
            assert_eq!(read_reply(&mut reader).unwrap(), text("PONG"));
        }
    }

    #[test]
    fn among_many_strings_a_broken_one_is_refused() {
        let strings = |broken: &str| {
            let mut bytes = b"*100\r\n".to_vec();
            bytes.extend(b"$1\r\na\r\n".repeat(50));
            bytes.extend(broken.bytes());
            bytes.extend(b"$1\r\na\r\n".repeat(49));
            bytes
        };
        assert!(read(&strings("$1\r\na\r\n")).is_ok());
        for broken in
            ["$1\r\nab\r\n", "$x\r\na\r\n", "$\r\na\r\n", "$1\nra\r\n", "$-2\r\n", "$1\r\na\rn"]
        {
            let bytes = strings(broken);
            assert!(read_reply(&mut bytes.as_slice()).is_err(), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_packed_is_read_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..9)) {
            let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
            let mut out = Vec::new();
            pack(&mut out, &Command::Plain(parts.clone()), Form::Digest);
            let expected = Reply::Array(parts.into_iter().map(Reply::Text).collect());
            prop_assert_eq!(read(&out).unwrap(), expected);
        }
    }
}

//! Where replies are read from: a connection, or a buffer that they have come into.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use bytes::{Buf as _, Bytes};

/// Where replies are read from.
pub(super) trait Source: BufRead {
    /// Takes a bulk string that has come whole, and the end of its line, as nearly all short ones have:
    /// `read_to_end` costs more than their bytes do.
    fn take_buffered(&mut self, size: usize) -> io::Result<Option<Bytes>> {
        let text = match self.fill_buf() {
            Ok(buffer) => bulk_in(buffer, size),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => return Err(error),
        };
        let Some(bulk) = text.map(Bytes::copy_from_slice) else { return Ok(None) };
        self.consume(size + 2);
        Ok(Some(bulk))
    }
}

impl<R: Read> Source for io::BufReader<R> {}
impl Source for &[u8] {}

fn bulk_in(buffer: &[u8], size: usize) -> Option<&[u8]> {
    buffer.get(..size + 2).and_then(|text| text.strip_suffix(b"\r\n"))
}

/// Replies that have come whole, in one piece or several. A large bulk string shares the piece that it
/// lies in; a small one is copied, so that it does not keep the piece alive, and so is one that lies in
/// two.
#[derive(Debug)]
pub(super) struct Whole {
    /// What is read from; empty only at the end.
    piece: Bytes,
    rest: VecDeque<Bytes>,
}

/// From this size on a bulk string shares the buffer that it was read into.
const SHARED: usize = 16 << 10;

impl Whole {
    /// Makes replies of the pieces that they came in, none of which is empty but `last` may be.
    pub(super) fn new(mut pieces: VecDeque<Bytes>, last: Bytes) -> Self {
        let Some(piece) = pieces.pop_front() else { return Self { piece: last, rest: pieces } };
        pieces.push_back(last);
        Self { piece, rest: pieces }
    }

    /// Returns whether they came in several pieces.
    pub(super) fn is_large(&self) -> bool {
        !self.rest.is_empty()
    }
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.as_ref().read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Whole {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.piece)
    }

    fn consume(&mut self, read: usize) {
        self.piece.advance(read.min(self.piece.len()));
        if self.piece.is_empty() {
            self.piece = self.rest.pop_front().unwrap_or_default();
        }
    }
}

impl Source for Whole {
    fn take_buffered(&mut self, size: usize) -> io::Result<Option<Bytes>> {
        let bulk = bulk_in(&self.piece, size).map(|text| match text.len() {
            ..SHARED => Bytes::copy_from_slice(text),
            _ => self.piece.slice(..size),
        });
        if bulk.is_some() {
            self.consume(size + 2);
        }
        Ok(bulk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Reply;
    use crate::transport::resp::read_reply;

    #[test]
    fn replies_are_read_wherever_their_pieces_end() {
        let text = "x".repeat(SHARED + 1);
        let sent = format!("*2\r\n:12\r\n${}\r\n{text}\r\n+OK\r\n", text.len());
        let sent = Bytes::from(sent.into_bytes());
        let near_ends = (1..20).chain(sent.len() - 20..sent.len());
        for first in near_ends.clone() {
            for second in near_ends.clone().filter(|second| *second > first) {
                let pieces = [sent.slice(..first), sent.slice(first..second)];
                let mut replies = Whole::new(pieces.into(), sent.slice(second..));
                let array = vec![Reply::Integer(12), Reply::Text(text.clone().into())];
                assert_eq!(read_reply(&mut replies).unwrap(), Reply::Array(array));
                assert_eq!(read_reply(&mut replies).unwrap(), Reply::Text("OK".into()));
                assert_eq!(replies.fill_buf().unwrap(), b"");
            }
        }
    }
}

//! Where replies are read from: a connection, or a buffer that they have come into.

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

/// Replies that have come whole. A large bulk string shares their buffer; a small one is copied, so
/// that it does not keep the buffer alive.
#[derive(Debug)]
pub(super) struct Whole(Bytes);

/// From this size on a bulk string shares the buffer that it was read into.
const SHARED: usize = 16 << 10;

impl Whole {
    pub(super) fn new(replies: Bytes) -> Self {
        Self(replies)
    }
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.as_ref().read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Whole {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0)
    }

    fn consume(&mut self, read: usize) {
        self.0.advance(read.min(self.0.len()));
    }
}

impl Source for Whole {
    fn take_buffered(&mut self, size: usize) -> io::Result<Option<Bytes>> {
        let bulk = bulk_in(&self.0, size).map(|text| match text.len() {
            ..SHARED => Bytes::copy_from_slice(text),
            _ => self.0.slice(..size),
        });
        if bulk.is_some() {
            self.consume(size + 2);
        }
        Ok(bulk)
    }
}

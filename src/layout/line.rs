//! A header line as a writer knows it, and the next one, which its write makes of it.
//!
//! Who knows the header can make the next one, so that a script has only to compare and to store:
//! what scripts do with text is slow, and a server runs one at a time.

use std::sync::Arc;

use bytes::Bytes;

use super::header::{Header, push_number};
use super::{Extension, KNOWN_BYTES, Open};
use crate::error::{Error, Result};
use crate::messages::Chunk;

/// A header line and what it says.
#[derive(Debug, Clone)]
pub struct Line {
    text: Bytes,
    header: Header,
    /// Where in the text the lanes begin and end.
    lanes: (usize, usize),
}

/// A write, to the memory that it changes.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// Its lane.
    pub lane: &'a str,
    /// Its number in the lane.
    pub token: &'a str,
}

impl Author<'_> {
    /// Returns the birth of a memory that it makes.
    fn birth(self) -> Arc<str> {
        [self.lane, ":", self.token].concat().into()
    }
}

impl Line {
    /// Reads a header line.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn parse(line: &[u8]) -> Result<Self> {
        const LANES: &str = " lanes=";
        let header = Header::parse(line)?;
        let line = std::str::from_utf8(line)
            .map_err(|_| Error::corrupt("the header of the memory is not UTF-8"))?;
        let start = line.find(LANES).map_or(line.len(), |at| at + LANES.len());
        let lanes = line.get(start..).unwrap_or_default();
        let end = start + lanes.find(' ').unwrap_or(lanes.len());
        // A copy: it may be a part of a large reply.
        let text = Bytes::copy_from_slice(line.as_bytes());
        Ok(Self { text, header, lanes: (start, end) })
    }

    /// Returns the line as it is stored.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Returns what it says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns whether it is worth sending along.
    pub fn is_short(&self) -> bool {
        self.text.len() <= KNOWN_BYTES
    }

    /// Returns the line of a memory that was made, and nothing was written to it yet.
    pub fn empty(author: Author<'_>) -> Bytes {
        let mut text = Vec::with_capacity(128);
        Header { born: author.birth(), ..Header::default() }.write_fields(&mut text);
        text.into()
    }

    /// Returns the line that a save of `chunks` makes of the one that is there, if any is; `None` if
    /// it is for a script to make.
    pub fn saved(before: Option<&Self>, author: Author<'_>, chunks: &[Chunk]) -> Option<Self> {
        Self::next(before, author, |header| {
            let count = chunks.iter().map(|chunk| chunk.messages).sum();
            let Header { revision, born, .. } = std::mem::take(header);
            *header = Header {
                revision,
                count,
                total: count as u64,
                bytes: chunks.iter().map(|chunk| chunk.size() as u64).sum(),
                chunks: chunks.len(),
                open: Open::after(chunks),
                born,
                ..Header::default()
            };
        })
    }

    /// Returns the line that an append of one chunk makes of the one that is there, if any is; `None`
    /// if it is for a script to make, as where the open run comes to its end.
    pub fn appended(before: Option<&Self>, author: Author<'_>, chunk: &Chunk) -> Option<Self> {
        let open = before.map_or_else(Open::default, |before| before.header.open);
        let change = |header: &mut Header| {
            header.count += chunk.messages;
            header.total += chunk.messages as u64;
            header.bytes += chunk.size() as u64;
            header.chunks += 1;
            header.open = open.and(chunk);
        };
        if open.takes(chunk.size()) { Self::next(before, author, change) } else { None }
    }

    /// Returns the line that a save makes which adds to what is there.
    pub fn extended(before: &Self, author: Author<'_>, extension: &Extension) -> Option<Self> {
        Self::next(Some(before), author, |header| extension.apply(header))
    }

    /// Returns the line that a write makes of the one before. `change` gets what that said; lanes are
    /// none of its concern. `None` if that was too long.
    fn next(
        before: Option<&Self>,
        author: Author<'_>,
        change: impl FnOnce(&mut Header),
    ) -> Option<Self> {
        let Author { lane, token } = author;
        if before.is_some_and(|before| !before.is_short()) {
            return None;
        }
        let mut header = before.map_or_else(
            || Header { born: author.birth(), ..Header::default() },
            |before| before.header.clone(),
        );
        let (lanes, rest) =
            before.map_or((&[][..], &[][..]), |before| (before.lanes(), before.rest()));
        let (left, right) = match before.and_then(|before| before.around(lane)) {
            Some(around) => around,
            None => (lanes, &[][..]),
        };
        change(&mut header);
        header.revision += 1;
        let mut text = Vec::with_capacity(160 + lanes.len() + rest.len());
        header.write_fields(&mut text);
        let start = text.len();
        for part in [left, right, b";", lane.as_bytes(), b":", token.as_bytes()] {
            text.extend_from_slice(part);
        }
        push_number(&mut text, ":", header.revision);
        push_number(&mut text, ":", header.count as u64);
        let lanes = (start, text.len());
        text.extend_from_slice(rest);
        Some(Self { text: text.into(), header, lanes })
    }

    /// Returns whether the lane has no write of this number yet, nor of a later one; a caller's key, whose
    /// numbers have no order, whether it has no write at all.
    pub fn is_next(&self, Author { lane, token }: Author<'_>) -> bool {
        let Some((_, rest)) = self.entry(lane) else { return true };
        let number = |text: &[u8]| {
            let digits = text.split(|byte| *byte == b':').next()?;
            std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
        };
        number(rest) < number(token.as_bytes())
    }

    /// Returns where the lane of this name begins, and all that follows its name.
    fn entry(&self, lane: &str) -> Option<(usize, &[u8])> {
        let lanes = self.lanes();
        let rest_of = |at: usize| {
            let entry = lanes.get(at + 1..)?.strip_prefix(lane.as_bytes())?;
            entry.strip_prefix(b":")
        };
        // As long as nobody else writes there is one.
        rest_of(0).map(|rest| (0, rest)).or_else(|| {
            let mut places = memchr::memchr_iter(b';', lanes);
            places.find_map(|at| Some((at, rest_of(at)?)))
        })
    }

    /// Returns the lanes before that of this name, and those after it.
    fn around(&self, lane: &str) -> Option<(&[u8], &[u8])> {
        let (at, rest) = self.entry(lane)?;
        let lanes = self.lanes();
        let after = memchr::memchr(b';', rest).unwrap_or(rest.len());
        Some((lanes.get(..at)?, rest.get(after..)?))
    }

    fn lanes(&self) -> &[u8] {
        self.text.get(self.lanes.0..self.lanes.1).unwrap_or_default()
    }

    /// Returns what later versions of the format have put behind the lanes.
    fn rest(&self) -> &[u8] {
        self.text.get(self.lanes.1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CHUNK_BYTES, FOLD_CHUNKS};

    const MINE: Author<'_> = Author { lane: "wA1.0", token: "9" };

    fn chunk(size: usize) -> Chunk {
        Chunk { text: vec![b'x'; size - 1].into(), messages: 2 }
    }

    fn line(text: &'static str) -> Line {
        Line::parse(text.as_bytes()).unwrap()
    }

    fn text(line: &Line) -> &str {
        std::str::from_utf8(line.text()).unwrap()
    }

    #[test]
    fn the_first_write_makes_a_line_that_is_read_as_it_was_meant() {
        let next = Line::next(None, MINE, |header| (header.count, header.total) = (2, 2)).unwrap();
        assert_eq!(
            text(&next),
            "redember:1 rev=1 count=2 total=2 skip=0 bytes=0 chunks=0 open=0/0/0 born=wA1.0:9 \
             lanes=;wA1.0:9:1:2"
        );
        let read = Line::parse(next.text()).unwrap();
        assert_eq!((read.header(), read.lanes), (next.header(), next.lanes));
    }

    #[test]
    fn a_write_takes_its_lane_to_the_end_and_keeps_the_others_and_what_follows() {
        let before = line(
            "redember:1 rev=7 count=12 total=13 skip=1 bytes=3456 chunks=4 open=3/410/5 \
             born=wB.0:1 lanes=;wA1.01:3:2:2:1763914200;wA1.0:8:6:10;iK:C:7:12:1763914200 later",
        );
        let next = Line::next(Some(&before), MINE, |header| header.count += 1).unwrap();
        assert_eq!(
            text(&next),
            "redember:1 rev=8 count=13 total=13 skip=1 bytes=3456 chunks=4 open=3/410/5 \
             born=wB.0:1 lanes=;wA1.01:3:2:2:1763914200;iK:C:7:12:1763914200;wA1.0:9:8:13 later"
        );
        assert_eq!(next.rest(), b" later");
    }

    #[test]
    fn a_number_is_the_next_one_of_its_lane_or_it_is_not() {
        let known = line(
            "redember:1 rev=7 count=0 total=0 skip=0 bytes=0 chunks=0 open=0/0/0 born=wB.0:1 \
             lanes=;wA1.01:30:2:2;iK:Zm:5:9;wA1.0:9:6:10",
        );
        for (token, is_next) in [("8", false), ("9", false), ("10", true), ("x", false)] {
            assert_eq!(known.is_next(Author { lane: "wA1.0", token }), is_next, "{token}");
        }
        assert!(known.is_next(Author { lane: "wC.0", token: "1" }));
        for (lane, is_next) in [("iK", false), ("iL", true)] {
            assert_eq!(known.is_next(Author { lane, token: "Zm" }), is_next, "{lane}");
            assert_eq!(known.is_next(Author { lane, token: "Qg" }), is_next, "{lane}");
        }
    }

    #[test]
    fn appends_open_a_run_and_saves_begin_again() {
        let first = Line::appended(None, MINE, &chunk(100)).unwrap();
        let second = Line::appended(Some(&first), MINE, &chunk(50)).unwrap();
        let Header { revision, count, total, bytes, chunks, open, .. } = *second.header();
        assert_eq!((revision, count, total, bytes, chunks), (2, 4, 4, 150, 2));
        assert_eq!(open, Open { chunks: 2, bytes: 150, messages: 4 });
        let saved = Line::saved(Some(&second), MINE, &[chunk(CHUNK_BYTES), chunk(60)]).unwrap();
        let Header { revision, count, total, bytes, chunks, open, .. } = *saved.header();
        assert_eq!((revision, count, total, bytes, chunks), (3, 4, 4, 7740, 2));
        assert_eq!(open, Open { chunks: 1, bytes: 60, messages: 2 });
        assert_eq!(saved.header().born, first.header().born);
        let large = Line::saved(Some(&saved), MINE, &[chunk(CHUNK_BYTES)]).unwrap();
        assert_eq!(large.header().open, Open::default());
    }

    #[test]
    fn a_run_that_comes_to_its_end_is_left_to_the_script() {
        let mut line = Line::appended(None, MINE, &chunk(10)).unwrap();
        for _ in 1..FOLD_CHUNKS {
            line = Line::appended(Some(&line), MINE, &chunk(10)).unwrap();
        }
        assert!(Line::appended(Some(&line), MINE, &chunk(10)).is_none());
        assert!(Line::appended(None, MINE, &chunk(CHUNK_BYTES)).is_none());
        assert!(Line::appended(None, MINE, &chunk(CHUNK_BYTES - 1)).is_some());
    }

    #[test]
    fn a_long_line_is_left_to_the_script() {
        let head =
            "redember:1 rev=7 count=0 total=0 skip=0 bytes=0 chunks=0 open=0/0/0 born=w lanes=";
        let lanes = (0..200).map(|lane| format!(";wB.{lane}:1:1:1")).collect::<Vec<_>>().concat();
        let before = Line::parse(format!("{head}{lanes}").as_bytes()).unwrap();
        assert!(Line::next(Some(&before), MINE, |_| {}).is_none());
    }
}

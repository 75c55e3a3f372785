//! Conversations as bytes: one JSON object a line, and where each line begins and ends.
//!
//! Nothing here builds a tree of values: [`Messages`] keeps the bytes that came from (or go to) the
//! store and a list of spans over them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;

/// How large messages and conversations may be, in bytes of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest single message. Default: 16 MiB.
    pub message: usize,
    /// The largest conversation in one call. Default: 256 MiB.
    pub conversation: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 16 << 20, conversation: 256 << 20 }
    }
}

/// What a message takes, or more: room for that many spans is made before they are counted.
const TYPICAL_BYTES: usize = 128;

/// Where one message lies: a segment, and a range of bytes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    segment: u32,
    start: u32,
    end: u32,
}

/// An immutable conversation: shared bytes, and one span for each message.
#[derive(Clone, Default)]
pub struct Messages {
    lines: Arc<Lines>,
    range: Range<usize>,
}

/// Bytes, and where messages lie in them; slices of a conversation share both.
#[derive(Default)]
struct Lines {
    segments: Vec<Bytes>,
    spans: Vec<Span>,
    /// Whether spans of one segment follow each other in it, with a newline between two of them.
    adjacent: bool,
}

impl Messages {
    /// Reads segments of newline-separated JSON objects, leaving out the first `skip` messages.
    ///
    /// Only the shape of each line is looked at here (it begins with `{` and ends with `}`); its
    /// content is parsed when it is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] with the index of the first line that is no object.
    pub fn from_lines(segments: Vec<Bytes>, skip: usize) -> Result<Self> {
        let size: usize = segments.iter().map(Bytes::len).sum();
        let mut spans = Vec::with_capacity(size / TYPICAL_BYTES + segments.len());
        for (number, segment) in segments.iter().enumerate() {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', segment).chain([segment.len()]) {
                let line = segment.get(start..end).unwrap_or_default();
                let is_object = matches!(line, [b'{', .., b'}']);
                if !is_object && spans.len() >= skip {
                    return Err(not_an_object(spans.len() - skip));
                }
                spans.push(Span::new(number, start, end)?);
                start = end + 1;
            }
        }
        let range = skip.min(spans.len())..spans.len();
        Ok(Self { lines: Arc::new(Lines { segments, spans, adjacent: true }), range })
    }

    /// Takes messages that the codec wrote into one buffer, a newline between two of them.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the buffer is over 4 GiB.
    pub fn from_encoded(buffer: Bytes, ends: &[usize]) -> Result<Self> {
        // All fit if the last one does.
        Span::new(0, 0, ends.last().copied().unwrap_or_default())?;
        let mut start = 0;
        let spans = ends.iter().map(|&end| {
            #[expect(clippy::cast_possible_truncation, reason = "they fit")]
            let span = Span { segment: 0, start, end: end as u32 };
            start = span.end.wrapping_add(1);
            span
        });
        let spans = spans.collect();
        Ok(Self::whole(Lines { segments: vec![buffer], spans, adjacent: true }))
    }

    fn whole(lines: Lines) -> Self {
        let range = 0..lines.spans.len();
        Self { lines: Arc::new(lines), range }
    }

    /// Returns how many messages there are.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Returns whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Returns how many bytes of JSON the messages hold, separators left out.
    pub fn size(&self) -> usize {
        self.bytes(0..self.len()) - self.len()
    }

    /// Returns the message at `index`.
    pub fn get(&self, index: usize) -> Option<Message> {
        let span = self.spans().get(index)?;
        self.segment(*span).map(|segment| Message::from_encoded(segment.slice(span.range())))
    }

    /// Returns the messages in `range`, which is cut to what exists; the bytes are shared.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = range.start.min(self.len());
        let end = range.end.clamp(start, self.len());
        let range = self.range.start + start..self.range.start + end;
        Self { lines: self.lines.clone(), range }
    }

    /// Returns the last `count` messages, or all of them; the bytes are shared.
    #[must_use]
    pub fn last(&self, count: usize) -> Self {
        self.slice(self.len().saturating_sub(count)..self.len())
    }

    /// Returns the messages at `indices` in that order; the bytes are shared.
    #[must_use]
    pub fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
        let spans = indices.filter_map(|at| self.spans().get(at).copied()).collect();
        Self::whole(Lines { segments: self.lines.segments.clone(), spans, adjacent: false })
    }

    /// Returns the JSON text of each message.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans().iter().map(|&span| self.text(span))
    }

    /// Returns the messages as one JSON array, spliced from the stored texts.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.size() + self.len() + 2);
        json.push(b'[');
        for (index, line) in self.lines().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(line);
        }
        json.push(b']');
        json
    }

    /// Returns the messages in pieces of at most so many bytes, or of one message.
    pub fn pieces(&self, bytes: usize) -> impl Iterator<Item = Chunk> {
        let mut first = 0;
        std::iter::from_fn(move || {
            let range = first..(first + self.fitting(first, bytes).max(1)).min(self.len());
            first = range.end;
            (!range.is_empty()).then(|| self.chunk(range))
        })
    }

    /// Returns how many bytes the messages in `range` take, one separator each.
    pub(crate) fn bytes(&self, range: Range<usize>) -> usize {
        let spans = self.spans().get(range).unwrap_or_default();
        match (spans.first(), spans.last()) {
            (Some(first), Some(last)) if self.is_one_run() => (last.end - first.start) as usize + 1,
            _ => spans.iter().map(|span| span.len() + 1).sum(),
        }
    }

    /// Returns how many messages from `first` on take at most so many bytes, one separator each.
    pub(crate) fn fitting(&self, first: usize, bytes: usize) -> usize {
        let spans = self.spans().get(first..).unwrap_or_default();
        let mut left = bytes;
        match spans.first() {
            Some(head) if self.is_one_run() => spans.partition_point(|span| {
                (span.end - head.start) as usize <= bytes.saturating_sub(1)
            }),
            _ => spans.iter().take_while(|span| takes(&mut left, span)).count(),
        }
    }

    /// Returns how many of the last messages take at most so many bytes, one separator each.
    pub(crate) fn fitting_last(&self, bytes: usize) -> usize {
        let mut left = bytes;
        self.spans().iter().rev().take_while(|span| takes(&mut left, span)).count()
    }

    /// Returns the messages in `range` as they are stored together. Lines that lie together are
    /// shared, not copied.
    pub(crate) fn chunk(&self, range: Range<usize>) -> Chunk {
        let messages = range.len();
        let spans = self.spans().get(range).unwrap_or_default();
        let adjacent = self.lines.adjacent || messages == 1;
        let text = match (spans.first(), spans.last()) {
            (Some(first), Some(last)) if adjacent && first.segment == last.segment => {
                let range = first.start as usize..last.end as usize;
                self.segment(*first).map(|segment| segment.slice(range)).unwrap_or_default()
            }
            _ => {
                let lines: Vec<&[u8]> = spans.iter().map(|&span| self.text(span)).collect();
                lines.join(&b'\n').into()
            }
        };
        Chunk { text, messages }
    }

    /// Returns the texts in `range`; those that lie together are one, with newlines between them.
    pub(crate) fn runs(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let spans = self.spans().get(range).unwrap_or_default();
        let together = |one: &Span, next: &Span| self.lines.adjacent && one.segment == next.segment;
        spans.chunk_by(together).map(|run| match run {
            [first, .., last] => {
                self.text(Span { segment: first.segment, start: first.start, end: last.end })
            }
            [span] => self.text(*span),
            [] => &[],
        })
    }

    /// Returns whether all of them lie together, so that sizes are differences.
    fn is_one_run(&self) -> bool {
        self.lines.adjacent && self.lines.segments.len() == 1
    }

    fn spans(&self) -> &[Span] {
        self.lines.spans.get(self.range.clone()).unwrap_or_default()
    }

    fn segment(&self, span: Span) -> Option<&Bytes> {
        self.lines.segments.get(span.segment as usize)
    }

    fn text(&self, span: Span) -> &[u8] {
        self.segment(span).and_then(|segment| segment.get(span.range())).unwrap_or_default()
    }
}

impl fmt::Debug for Messages {
    /// Says how many and how large, never what: message text stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Messages({} messages, {} bytes)", self.len(), self.size())
    }
}

impl FromIterator<Message> for Messages {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        let segments: Vec<Bytes> = messages.into_iter().map(Message::into_bytes).collect();
        let spans = segments
            .iter()
            .enumerate()
            .filter_map(|(number, text)| Span::new(number, 0, text.len()).ok())
            .collect();
        Self::whole(Lines { segments, spans, adjacent: false })
    }
}

/// Some messages of a conversation in the form they are stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// JSON objects with a newline between two of them.
    pub text: Bytes,
    /// How many.
    pub messages: usize,
}

impl Chunk {
    /// Returns its bytes, one separator a message.
    pub fn size(&self) -> usize {
        self.text.len() + 1
    }
}

impl Span {
    fn new(segment: usize, start: usize, end: usize) -> Result<Self> {
        let narrow = |value: usize| {
            u32::try_from(value)
                .map_err(|_| Error::new(ErrorKind::TooLarge, "a stored value is over 4 GiB"))
        };
        Ok(Self { segment: narrow(segment)?, start: narrow(start)?, end: narrow(end)? })
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Takes what a message needs of the bytes that are `left`; returns whether they were enough.
fn takes(left: &mut usize, span: &Span) -> bool {
    let rest = left.checked_sub(span.len() + 1);
    *left = rest.unwrap_or_default();
    rest.is_some()
}

fn not_an_object(index: usize) -> Error {
    Error::new(
        ErrorKind::Corrupt { index: Some(index) },
        format!("stored message {index} is not a JSON object; nothing was changed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lines: &[&str]) -> Messages {
        Messages::from_lines(vec![lines.join("\n").into()], 0).unwrap()
    }

    fn texts(messages: &Messages) -> Vec<String> {
        messages.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_become_messages_across_segments() {
        let segments = vec![Bytes::from("{\"a\":1}\n{\"a\":2}"), Bytes::from("{\"a\":3}")];
        let all = Messages::from_lines(segments, 1).unwrap();
        assert_eq!(texts(&all), ["{\"a\":2}", "{\"a\":3}"]);
        assert_eq!(all.to_json(), br#"[{"a":2},{"a":3}]"#);
    }

    #[test]
    fn a_line_that_is_no_object_is_named() {
        let error = Messages::from_lines(vec!["{}\n[]".into()], 0).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Corrupt { index: Some(1) });
    }

    #[test]
    fn slices_share_bytes_and_are_cut_to_what_exists() {
        let all = messages(&["{\"a\":0}", "{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(texts(&all.slice(1..9)), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(texts(&all.slice(1..3).last(1)), ["{\"a\":2}"]);
        assert_eq!(texts(&all.pick([2, 0].into_iter())), ["{\"a\":2}", "{\"a\":0}"]);
        assert!(all.slice(5..9).is_empty());
    }

    #[test]
    fn pieces_hold_whole_messages_and_one_at_least() {
        let large = format!("{{\"x\":\"{}\"}}", "y".repeat(40));
        let all = messages(&["{\"a\":1}", "{\"a\":2}", &large, "{\"a\":3}", "{\"a\":4}"]);
        let counts: Vec<usize> = all.pieces(16).map(|piece| piece.messages).collect();
        assert_eq!(counts, [2, 1, 2]);
        assert_eq!(Messages::default().pieces(16).count(), 0);
    }

    #[test]
    fn sizes_are_the_same_however_messages_lie() {
        let all = messages(&["{\"a\":1}", "{\"bb\":22}", "{}", "{\"a\":3}"]);
        for same in [all.clone(), all.pick(0..4), all.slice(0..4)] {
            assert_eq!((same.size(), same.bytes(1..3), same.bytes(2..2)), (25, 13, 0));
            let fitting: Vec<usize> =
                [0, 9, 10, 12, 13, 99].map(|size| same.fitting(1, size)).into();
            assert_eq!(fitting, [0, 0, 1, 1, 2, 3]);
            let last: Vec<usize> = [0, 7, 8, 10, 11, 99].map(|size| same.fitting_last(size)).into();
            assert_eq!(last, [0, 0, 1, 1, 2, 4]);
            assert_eq!(same.fitting(4, 99), 0);
        }
    }

    #[test]
    fn pieces_of_a_part_and_across_segments_hold_what_it_holds() {
        let segments = vec!["{\"a\":0}\n{\"a\":1}".into(), "{\"a\":2}\n{\"a\":3}".into()];
        let all = Messages::from_lines(segments, 0).unwrap();
        for part in [all.slice(0..4), all.slice(1..3), all.slice(2..4), all.pick(1..4)] {
            for size in [8, 16, 64] {
                let pieces = part.pieces(size).map(|piece| piece.text);
                let again = Messages::from_lines(pieces.collect(), 0).unwrap();
                assert_eq!(texts(&again), texts(&part), "{size}");
            }
        }
    }

    #[test]
    fn picked_messages_are_copied_into_pieces() {
        let all = messages(&["{\"a\":0}", "{\"a\":1}", "{\"a\":2}"]);
        let picked = all.pick([2, 0].into_iter());
        assert_eq!(picked.pieces(32).next().unwrap().text, "{\"a\":2}\n{\"a\":0}");
    }
}

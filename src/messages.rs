//! Conversations as bytes: one JSON object a line, and where each line begins and ends.
//!
//! Nothing here builds a tree of values: [`Messages`] keeps the bytes that came from (or go to) the
//! store and a list of spans over them.

use std::fmt;
use std::ops::{Range, RangeInclusive};
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
    segments: Arc<[Bytes]>,
    spans: Arc<[Span]>,
    range: Range<usize>,
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
        Ok(Self { segments: segments.into(), spans: spans.into(), range, adjacent: true })
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
        let spans: Arc<[Span]> = spans.collect();
        let range = 0..spans.len();
        Ok(Self { segments: Arc::new([buffer]), spans, range, adjacent: true })
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
        self.spans().iter().map(Span::len).sum()
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
        Self { segments: self.segments.clone(), spans: self.spans.clone(), range, ..*self }
    }

    /// Returns the last `count` messages, or all of them; the bytes are shared.
    #[must_use]
    pub fn last(&self, count: usize) -> Self {
        self.slice(self.len().saturating_sub(count)..self.len())
    }

    /// Returns the messages at `indices` in that order; the bytes are shared.
    #[must_use]
    pub fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
        let spans: Arc<[Span]> = indices.filter_map(|at| self.spans().get(at).copied()).collect();
        let range = 0..spans.len();
        Self { segments: self.segments.clone(), spans, range, adjacent: false }
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

    /// Cuts the messages into chunks: whole messages, a newline between two of them.
    ///
    /// A chunk ends at the first message that makes it as large as half of what is left, within
    /// `sizes`; a message of the smaller size or more stands alone. So many bytes take few chunks,
    /// and the last ones are small. Lines that lie together are shared, not copied.
    pub fn chunks(&self, sizes: RangeInclusive<usize>) -> Vec<Chunk> {
        let (&smallest, &largest) = (sizes.start(), sizes.end());
        let mut chunks = Vec::new();
        let mut left = self.size() + self.len();
        let mut first = 0;
        let mut size = 0;
        let enough = |left: usize| (left / 2).max(smallest).min(largest);
        let mut due = enough(left);
        for (index, span) in self.spans().iter().enumerate() {
            let length = span.len();
            let alone = length >= smallest;
            if alone && index > first {
                chunks.push(self.chunk(first..index));
                (first, left, size) = (index, left - size, 0);
            }
            size += length + 1;
            if alone || size >= due {
                chunks.push(self.chunk(first..index + 1));
                (first, left, size) = (index + 1, left - size, 0);
                due = enough(left);
            }
        }
        if first < self.len() {
            chunks.push(self.chunk(first..self.len()));
        }
        chunks
    }

    fn chunk(&self, range: Range<usize>) -> Chunk {
        let messages = range.len();
        let spans = self.spans().get(range).unwrap_or_default();
        let adjacent = self.adjacent || messages == 1;
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

    fn spans(&self) -> &[Span] {
        self.spans.get(self.range.clone()).unwrap_or_default()
    }

    fn segment(&self, span: Span) -> Option<&Bytes> {
        self.segments.get(span.segment as usize)
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
        let spans: Arc<[Span]> = segments
            .iter()
            .enumerate()
            .filter_map(|(number, text)| Span::new(number, 0, text.len()).ok())
            .collect();
        let range = 0..spans.len();
        Self { segments: segments.into(), spans, range, adjacent: false }
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
    fn chunks_hold_whole_messages_and_large_ones_stand_alone() {
        let large = format!("{{\"x\":\"{}\"}}", "y".repeat(40));
        let all = messages(&["{\"a\":1}", "{\"a\":2}", &large, "{\"a\":3}", "{\"a\":4}"]);
        let chunks = all.chunks(32..=32);
        let counts: Vec<usize> = chunks.iter().map(|chunk| chunk.messages).collect();
        assert_eq!(counts, [2, 1, 2]);
        let segments = chunks.into_iter().map(|chunk| chunk.text).collect();
        assert_eq!(texts(&Messages::from_lines(segments, 0).unwrap()), texts(&all));
    }

    #[test]
    fn each_chunk_takes_half_of_what_is_left() {
        let all = messages(&["{\"a\":1}"; 100]);
        let sizes = |sizes| -> Vec<usize> {
            all.chunks(sizes).iter().map(|chunk| chunk.messages).collect()
        };
        assert_eq!(sizes(80..=240), [30, 30, 20, 10, 10]);
        assert_eq!(sizes(80..=80), [10; 10]);
    }

    #[test]
    fn chunks_of_a_part_and_across_segments_hold_what_it_holds() {
        let segments = vec!["{\"a\":0}\n{\"a\":1}".into(), "{\"a\":2}\n{\"a\":3}".into()];
        let all = Messages::from_lines(segments, 0).unwrap();
        for part in [all.slice(0..4), all.slice(1..3), all.slice(2..4), all.pick(1..4)] {
            for size in [8, 16, 64] {
                let chunks = part.chunks(size..=size).into_iter().map(|chunk| chunk.text);
                let again = Messages::from_lines(chunks.collect(), 0).unwrap();
                assert_eq!(texts(&again), texts(&part), "{size}");
            }
        }
    }

    #[test]
    fn picked_messages_are_copied_into_chunks() {
        let all = messages(&["{\"a\":0}", "{\"a\":1}", "{\"a\":2}"]);
        let picked = all.pick([2, 0].into_iter());
        assert_eq!(picked.chunks(32..=32)[0].text, "{\"a\":2}\n{\"a\":0}");
    }
}

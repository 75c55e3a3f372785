//! How a save that only adds messages to what is stored leaves the rest where it is.

use super::header::{Header, Open};
use super::{CHUNK_BYTES, SMALL_BYTES, cut};
use crate::messages::{Chunk, Messages};

/// The most that is written in this way: what passes through a script costs the server by the byte.
const MOST_BYTES: usize = 16 << 10;

/// Chunks that stay as they are, and those that follow them.
#[derive(Debug)]
pub struct Extension {
    /// How many chunks stay.
    pub kept: usize,
    /// What follows them, in the place of all others.
    pub chunks: Vec<Chunk>,
    count: usize,
    bytes: u64,
    open: Open,
}

impl Extension {
    /// Returns how to store `messages` where the first of them are stored already, as `header` says;
    /// `None` where all of them are better stored anew.
    pub fn of(header: &Header, messages: &Messages) -> Option<Self> {
        let Header { count, chunks, open, bytes, .. } = *header;
        let end = messages.len();
        if header.skip > 0 || header.total != count as u64 || count > end {
            return None;
        }
        if count == end {
            return Some(Self { kept: chunks, chunks: Vec::new(), count, bytes, open });
        }
        let added = messages.bytes(count..end);
        if open.takes(added) {
            let chunk = messages.chunk(count..end);
            let (open, bytes) = (open.and(&chunk), bytes + added as u64);
            return Some(Self { kept: chunks, chunks: vec![chunk], count: end, bytes, open });
        }
        // The run ends. Its messages are at hand, so it is folded by writing them again.
        let is_small = open.chunks > 1 && open.bytes / open.chunks < SMALL_BYTES;
        let folded = if is_small { open } else { Open::default() };
        let from = count.checked_sub(folded.messages)?;
        let rest = messages.bytes(from..end);
        if rest > MOST_BYTES {
            return None;
        }
        let new = if rest < CHUNK_BYTES / 2 {
            vec![messages.chunk(from..end)] // room for a few more
        } else {
            let run = (from < count).then(|| messages.chunk(from..count));
            run.into_iter().chain(cut(&messages.slice(count..end))).collect()
        };
        Some(Self {
            kept: chunks.checked_sub(folded.chunks)?,
            count: end,
            bytes: bytes.checked_sub(folded.bytes as u64)? + rest as u64,
            open: Open::after(&new),
            chunks: new,
        })
    }

    /// Changes the header to what it then is.
    pub(super) fn apply(&self, header: &mut Header) {
        let Self { count, bytes, open, .. } = *self;
        let chunks = self.kept + self.chunks.len();
        *header =
            Header { count, total: count as u64, bytes, chunks, open, ..std::mem::take(header) };
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{Author, FOLD_CHUNKS, Line};

    const MINE: Author<'_> = Author { lane: "wA1.0", token: "9" };

    fn conversation(sizes: &[usize]) -> Messages {
        let line = |(number, size): (usize, &usize)| format!("{{\"{number:0size$}\":1}}");
        let lines: Vec<String> = sizes.iter().enumerate().map(line).collect();
        if lines.is_empty() {
            return Messages::default();
        }
        Messages::from_lines(vec![lines.join("\n").into()], 0).unwrap()
    }

    /// A memory as a server has it.
    struct Stored {
        line: Line,
        chunks: Vec<Bytes>,
    }

    impl Stored {
        fn saved(messages: &Messages) -> Self {
            let chunks = cut(messages);
            let line = Line::saved(None, MINE, &chunks).unwrap();
            Self { line, chunks: chunks.into_iter().map(|chunk| chunk.text).collect() }
        }

        /// Extends it; returns how many chunks were written, or `None` if it has to be saved anew.
        fn extended(&mut self, messages: &Messages) -> Option<usize> {
            let extension = Extension::of(self.line.header(), messages)?;
            self.line = Line::extended(&self.line, MINE, &extension).unwrap();
            self.chunks.truncate(extension.kept);
            self.chunks.extend(extension.chunks.iter().map(|chunk| chunk.text.clone()));
            self.check(messages);
            Some(extension.chunks.len())
        }

        /// Checks that what is there is what was saved, and that the header tells the truth of it.
        fn check(&self, messages: &Messages) {
            let stored = Messages::from_lines(self.chunks.clone(), 0).unwrap();
            assert!(stored.lines().eq(messages.lines()));
            let Header { count, total, skip, bytes, chunks, open, .. } = *self.line.header();
            assert_eq!((count, total, skip), (messages.len(), messages.len() as u64, 0));
            assert_eq!(bytes, messages.bytes(0..messages.len()) as u64);
            assert_eq!(chunks, self.chunks.len());
            let run = self.chunks[chunks - open.chunks..].to_vec();
            assert_eq!(open.bytes, run.iter().map(|chunk| chunk.len() + 1).sum::<usize>());
            assert_eq!(
                open.messages,
                if run.is_empty() { 0 } else { Messages::from_lines(run, 0).unwrap().len() }
            );
            assert!(open.chunks <= FOLD_CHUNKS && open.bytes < CHUNK_BYTES);
        }
    }

    #[test]
    fn what_is_the_same_writes_no_chunk() {
        let messages = conversation(&[300; 100]);
        let mut stored = Stored::saved(&messages);
        assert_eq!(stored.extended(&messages), Some(0));
        assert_eq!(stored.line.header().revision, 2);
    }

    #[test]
    fn turn_by_turn_a_conversation_is_written_once_and_stays_few_chunks() {
        let all = conversation(&[300; 1000]);
        let mut stored = Stored::saved(&all.slice(0..2));
        let mut written = 0;
        for end in (4..=1000).step_by(2) {
            let before = stored.chunks.len();
            let messages = all.slice(0..end);
            let new = stored.extended(&messages).expect("no need to save it anew");
            let bytes = stored.chunks.iter().rev().take(new).map(Bytes::len).sum::<usize>();
            written += bytes;
            assert!(bytes <= MOST_BYTES && stored.chunks.len() <= before + 1);
        }
        assert!(written < 3 * all.size(), "{written}");
        assert!(stored.chunks.len() < 80, "{}", stored.chunks.len());
    }

    #[test]
    fn what_is_much_or_was_trimmed_is_saved_anew() {
        let all = conversation(&[300; 200]);
        let mut stored = Stored::saved(&all.slice(0..100));
        assert_eq!(stored.extended(&all), None);
        let header = Header { total: 101, ..stored.line.header().clone() };
        assert!(Extension::of(&header, &all.slice(0..102)).is_none());
        let header = Header { skip: 1, ..stored.line.header().clone() };
        assert!(Extension::of(&header, &all.slice(0..102)).is_none());
        assert!(Extension::of(stored.line.header(), &all.slice(0..99)).is_none());
    }

    proptest! {
        #[test]
        fn however_it_grows_what_is_stored_is_what_was_saved(
            sizes in prop::collection::vec(prop_oneof![1..400_usize, 1..9000_usize], 1..120),
            steps in prop::collection::vec(0..12_usize, 1..40),
        ) {
            let all = conversation(&sizes);
            let mut end = steps[0].min(all.len());
            let mut stored = Stored::saved(&all.slice(0..end));
            for step in &steps[1..] {
                end = (end + step).min(all.len());
                let messages = all.slice(0..end);
                if stored.extended(&messages).is_none() {
                    stored = Stored::saved(&messages);
                }
            }
        }
    }
}

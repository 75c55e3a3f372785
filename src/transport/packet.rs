//! Requests as they go over the wire, with no copy made of what is large.

use std::io::{self, IoSlice, Write};

use bytes::Bytes;

use super::pack::pack_parts;
use crate::plan::Command;
use crate::script::Form;

/// From this size on an argument is sent from where it lies: one more piece for the kernel to gather
/// costs less than the copy.
const LARGE: usize = 4 << 10;
/// The buffer that an idle connection keeps.
const KEPT: usize = 64 << 10;

/// Commands that are written together.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// All that is not large.
    text: Vec<u8>,
    /// What is large, and where in `text` its place is.
    large: Vec<(usize, Bytes)>,
}

impl Packet {
    /// Adds a command.
    pub(super) fn push(&mut self, command: &Command, form: Form) {
        let large = &mut self.large;
        pack_parts(&mut self.text, command, form, |text, part| {
            if part.len() < LARGE {
                text.extend_from_slice(part);
            } else {
                large.push((text.len(), part.clone()));
            }
        });
    }

    /// Writes all commands.
    ///
    /// # Errors
    /// What the writer says, and [`io::ErrorKind::WriteZero`] if it takes no more.
    pub(super) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        if self.large.is_empty() {
            return out.write_all(&self.text);
        }
        let mut pieces = self.pieces();
        let mut left = pieces.as_mut_slice();
        while !left.is_empty() {
            match out.write_vectored(left)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut left, written),
            }
        }
        Ok(())
    }

    /// Makes it empty for the next request; what was large is not held on to.
    pub(super) fn clear(&mut self) {
        self.large.clear();
        self.text.clear();
        self.text.shrink_to(KEPT);
    }

    fn pieces(&self) -> Vec<IoSlice<'_>> {
        let mut pieces = Vec::with_capacity(self.large.len() * 2 + 1);
        let mut start = 0;
        for (at, large) in &self.large {
            pieces.push(IoSlice::new(self.text.get(start..*at).unwrap_or_default()));
            pieces.push(IoSlice::new(large));
            start = *at;
        }
        pieces.push(IoSlice::new(self.text.get(start..).unwrap_or_default()));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::pack::pack;

    /// Takes a few bytes at a time, as a socket with a full buffer does.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(1000);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_large_arrives_at_its_place_and_whole() {
        let sizes = [1, LARGE - 1, LARGE, 0, 3 * LARGE, LARGE];
        let parts = sizes.map(|size| Bytes::from(vec![b'x'; size]));
        let commands = [
            Command::plain([Bytes::from("PING")]),
            Command::plain(parts),
            Command::plain([Bytes::from("PING")]),
        ];
        let (mut packet, mut whole) = (Packet::default(), Vec::new());
        for command in &commands {
            packet.push(command, Form::Digest);
            pack(&mut whole, command, Form::Digest);
        }
        assert_eq!(packet.large.len(), 3);
        let mut sent = Slow(Vec::new());
        packet.write_to(&mut sent).unwrap();
        assert!(sent.0 == whole);
        packet.clear();
        assert!(packet.large.is_empty() && packet.text.is_empty());
    }
}

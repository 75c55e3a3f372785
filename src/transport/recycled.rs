//! Memory for what is large in replies, used again.
//!
//! An allocator gives the memory of a conversation that is dropped back to the system, and the next
//! one faults it in again, page by page: that can take as long as all the rest of a load. So what
//! conversations lay in is kept here, up to a bound.

use std::sync::Mutex;

use bytes::Bytes;

/// From this size on memory is used again: an allocator keeps smaller pieces by itself.
pub(super) const LARGE: usize = 16 << 10;
/// The largest piece that is kept.
const LARGEST: usize = 1 << 20;
/// What is kept, all together.
const KEPT: usize = 2 << 20;
/// Pieces are this or a multiple, so that they fit again for what is nearly as large.
const STEP: usize = 8 << 10;

static FREE: Mutex<Free> = Mutex::new(Free { pieces: Vec::new(), size: 0 });

#[derive(Debug)]
struct Free {
    pieces: Vec<Vec<u8>>,
    size: usize,
}

impl Free {
    /// Takes the piece that was given last and is large enough, and not much too large.
    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        let fits = |piece: &Vec<u8>| (size..=size + size / 2).contains(&piece.len());
        let found = self.pieces.iter().rposition(fits)?;
        let piece = self.pieces.swap_remove(found);
        self.size -= piece.len();
        Some(piece)
    }

    fn give(&mut self, piece: Vec<u8>) {
        if piece.len() <= LARGEST && self.size + piece.len() <= KEPT {
            self.size += piece.len();
            self.pieces.push(piece);
        }
    }
}

/// Memory of which so many bytes are meant; it goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Recycled {
    piece: Vec<u8>,
    size: usize,
}

impl Recycled {
    /// Takes memory for `size` bytes, whatever they are now.
    pub(super) fn new(size: usize) -> Self {
        // Tried only: after a fork the lock may be held by a thread that the child does not have.
        let free = FREE.try_lock().ok().and_then(|mut free| free.take(size));
        Self { piece: free.unwrap_or_else(|| vec![0; size.next_multiple_of(STEP)]), size }
    }

    /// Returns the bytes, to be written.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.piece.get_mut(..self.size).unwrap_or_default()
    }

    /// Returns the bytes as others share them.
    pub(super) fn shared(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Recycled {
    fn as_ref(&self) -> &[u8] {
        self.piece.get(..self.size).unwrap_or_default()
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        if let Ok(mut free) = FREE.try_lock() {
            free.give(std::mem::take(&mut self.piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_taken_again_by_what_it_fits() {
        let mut free = Free { pieces: Vec::new(), size: 0 };
        free.give(vec![1; 64 << 10]);
        free.give(vec![2; 24 << 10]);
        assert!(free.take(65 << 10).is_none());
        assert!(free.take(30 << 10).is_none());
        assert_eq!(free.take(50 << 10).unwrap(), vec![1; 64 << 10]);
        assert_eq!(free.take(24 << 10).unwrap(), vec![2; 24 << 10]);
        assert_eq!((free.size, free.pieces.len()), (0, 0));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut free = Free { pieces: Vec::new(), size: 0 };
        free.give(vec![0; LARGEST + 1]);
        assert_eq!(free.size, 0);
        (0..1000).for_each(|_| free.give(vec![0; LARGE]));
        assert_eq!(free.size, KEPT);
    }

    #[test]
    fn the_bytes_are_as_many_as_were_asked_for() {
        for size in [0, 1, LARGE, LARGE + 1, LARGE] {
            let mut memory = Recycled::new(size);
            memory.bytes_mut().fill(7);
            assert_eq!(memory.shared(), vec![7; size]);
        }
    }
}

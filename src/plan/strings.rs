//! Many short strings of one reply, in one piece of memory.

use std::ops::Range;

use bytes::Bytes;

use super::Reply;

/// An array of short strings, as they came: a page of keys has a thousand of them, and an object for
/// each would cost more than what is done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strings {
    text: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Strings {
    /// Makes an array with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { text: Vec::new(), places: Vec::with_capacity(count) }
    }

    /// Adds what lies at `places` in `text`.
    pub(crate) fn extend(&mut self, text: &[u8], places: impl Iterator<Item = Range<usize>>) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.places.extend(places.map(|place| start + place.start..start + place.end));
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.places.iter().map(|place| self.text.get(place.clone()).unwrap_or_default())
    }

    /// Returns the strings, which share their memory from then on.
    pub fn into_texts(self) -> impl ExactSizeIterator<Item = Bytes> {
        let text = Bytes::from(self.text);
        self.places.into_iter().map(move |place| text.slice(place))
    }

    /// Returns the same array with a reply for each string.
    pub fn into_replies(self) -> Vec<Reply> {
        self.into_texts().map(Reply::Text).collect()
    }
}

impl<'a> FromIterator<&'a [u8]> for Strings {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut all = Self::default();
        strings.into_iter().for_each(|one| all.extend(one, std::iter::once(0..one.len())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_out_as_they_went_in() {
        let mut strings: Strings = [b"one".as_slice(), b""].into_iter().collect();
        strings.extend(b"$3\r\ntwo\r\n", std::iter::once(4..7));
        assert_eq!(strings.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"", b"two"]);
        assert_eq!((strings.len(), strings.is_empty()), (3, false));
        let replies = ["one", "", "two"].map(|text| Reply::Text(text.into()));
        assert_eq!(strings.into_replies(), replies);
    }
}

//! Ids of memories, as a listing gives them: a page at a time.

/// A page of ids: one text, and where each of them ends. A string for each would cost more than all
/// the rest that is done with it here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    text: String,
    ends: Vec<usize>,
}

impl Ids {
    /// Makes a page with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { text: String::new(), ends: Vec::with_capacity(count) }
    }

    /// Adds an id.
    pub fn push(&mut self, id: &str) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the ids, in the order they were added in.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let id = self.text.get(start..end).unwrap_or_default();
            start = end;
            id
        })
    }
}

impl<S: AsRef<str>> FromIterator<S> for Ids {
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        let mut page = Self::default();
        ids.into_iter().for_each(|id| page.push(id.as_ref()));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_out_as_they_went_in() {
        let names = ["a", "ü", "", "user-1"];
        let page: Ids = names.iter().collect();
        assert_eq!(page.iter().collect::<Vec<_>>(), names);
        assert!(!page.is_empty() && Ids::default().is_empty());
    }
}

//! Finds the last elements of an array from its end, without what is before them.
//!
//! Backwards, quotes are never in doubt: outside of strings there is no backslash, so the first
//! quote met ends a string, and the string begins at the next one that no odd number of backslashes
//! precedes.

use super::Element;

/// The end of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Where the last elements are in the suffix, in order.
    pub(super) elements: Vec<Element>,
}

impl Ending {
    /// Looks for the last `wanted` elements, or all, in the suffix of a document; `None` if more of
    /// it is needed, or if it is no array.
    pub fn find(suffix: &[u8], wanted: usize) -> Option<Self> {
        let text = suffix.trim_ascii_end();
        let mut at = text.len().checked_sub(1).filter(|&last| text.get(last) == Some(&b']'))?;
        let (mut end, mut depth) = (at, 1_usize);
        let mut elements = Vec::new();
        while elements.len() < wanted {
            at = at.checked_sub(1)?;
            match text.get(at)? {
                b'"' => at = opening_quote(text, at)?,
                b'}' | b']' => depth += 1,
                b'{' | b'[' if depth > 1 => depth -= 1,
                b'[' => {
                    let first = trimmed(text, at + 1, end);
                    if !(first.is_empty() && elements.is_empty()) {
                        elements.push(first);
                    }
                    break;
                }
                b'{' => return None,
                b',' if depth == 1 => {
                    elements.push(trimmed(text, at + 1, end));
                    end = at;
                }
                _ => {}
            }
        }
        elements.reverse();
        Some(Self { elements })
    }

    /// Returns where the last element begins.
    pub fn last_start(&self) -> Option<usize> {
        self.elements.last().map(|element| element.start)
    }
}

/// Returns where the string begins that ends at the quote `end`; `None` if that cannot be told.
fn opening_quote(text: &[u8], end: usize) -> Option<usize> {
    let mut before = end;
    loop {
        before = memchr::memrchr(b'"', text.get(..before)?)?;
        let run = text.get(..before)?;
        let slashes = run.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if slashes == run.len() {
            return None; // there may be more of them before the suffix
        }
        if slashes.is_multiple_of(2) {
            return Some(before);
        }
    }
}

fn trimmed(text: &[u8], start: usize, end: usize) -> Element {
    let element = text.get(start..end).unwrap_or_default();
    let start = end - element.trim_ascii_start().len();
    start..start + element.trim_ascii().len()
}

//! The key of a document's fence, in the same slot of a cluster as the document itself.

use bytes::Bytes;

use crate::keyspace::FENCE;
use crate::slot::{slot, tag};

/// Returns the key of the fence of the document under `key`.
///
/// A cluster hashes the first `{…}` of a key that is not empty, else the whole key. So a key
/// without closing brace is made the tag of its fence, one that has a tag keeps it, and for the few
/// others, which no tag can name, a number in the same slot is looked for.
pub(super) fn of(key: &[u8]) -> Bytes {
    if !key.contains(&b'}') {
        return [FENCE.as_bytes(), b"{", key, b"}"].concat().into();
    }
    if tag(key).is_some() {
        return [FENCE.as_bytes(), b"tagged:", key].concat().into();
    }
    let wanted = slot(key);
    let same = (0..u32::MAX).find(|number| slot(number.to_string().as_bytes()) == wanted);
    let number = same.unwrap_or_default().to_string();
    [FENCE.as_bytes(), b"slot:{", number.as_bytes(), b"}", key].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_lies_in_the_slot_of_its_document() {
        let keys = [
            "go-deep-agent:memories:alice",
            "a{b",
            "a}b",
            "}",
            "{}",
            "x{}y",
            "{a}b",
            "x{tag}{other}",
            "}{a}",
            "{",
            "a{b}",
            "ü{é}",
        ];
        for key in keys {
            assert_eq!(slot(&of(key.as_bytes())), slot(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn no_two_documents_share_a_fence() {
        let keys = ["a", "{a}", "a}", "{a", "{}a", "a{}", "{a}}", "{{a}"];
        let fences: std::collections::HashSet<Bytes> =
            keys.iter().map(|key| of(key.as_bytes())).collect();
        assert_eq!(fences.len(), keys.len());
    }
}

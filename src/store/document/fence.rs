//! The key of a document's fence, in the same slot of a cluster as the document itself.

use bytes::Bytes;
use crc::{CRC_16_XMODEM, Crc};

use crate::keyspace::FENCE;

/// Slots of a cluster.
const SLOTS: u16 = 1 << 14;
const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

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
    let slot = CHECKSUM.checksum(key) % SLOTS;
    let same = (0..u32::MAX)
        .find(|number| CHECKSUM.checksum(number.to_string().as_bytes()) % SLOTS == slot);
    let number = same.unwrap_or_default().to_string();
    [FENCE.as_bytes(), b"slot:{", number.as_bytes(), b"}", key].concat().into()
}

/// Returns the part of a key that a cluster hashes, if it is not the whole.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let inside = key.get(open + 1..)?;
    let close = inside.iter().position(|&byte| byte == b'}').filter(|&close| close > 0)?;
    inside.get(..close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(key: &[u8]) -> u16 {
        CHECKSUM.checksum(tag(key).unwrap_or(key)) % SLOTS
    }

    #[test]
    fn slots_are_those_of_a_cluster() {
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
    }

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

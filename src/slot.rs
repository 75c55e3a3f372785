//! The slots of a cluster: which one a key is in.
//!
//! Specification: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use crc::{CRC_16_XMODEM, Crc};

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16384;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Returns the slot of a key.
pub(crate) fn slot(key: &[u8]) -> u16 {
    CHECKSUM.checksum(tag(key).unwrap_or(key)) % SLOTS
}

/// Returns the part of a key that its slot depends on, if that is not the whole: what stands in the
/// first braces, if anything does.
pub(crate) fn tag(key: &[u8]) -> Option<&[u8]> {
    let rest = key.get(memchr::memchr(b'{', key)? + 1..)?;
    let tag = rest.get(..memchr::memchr(b'}', rest)?)?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(tag(b"foo{}{bar}"), None);
        assert_eq!(tag(b"foo{{bar}}zap"), Some(b"{bar".as_slice()));
        assert_eq!(tag(b"foo{bar}{zap}"), Some(b"bar".as_slice()));
        assert_eq!(tag(b"}{a}"), Some(b"a".as_slice()));
    }
}

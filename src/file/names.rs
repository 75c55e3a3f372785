//! The name of a memory's file: an encoding that no two ids share.

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::keyspace::MemoryId;

const SUFFIX: &str = ".jsonl";

/// Longer encodings are replaced by a digest: file systems allow 255 bytes, some a few less.
const LONGEST: usize = 200;

/// What a name in the directory says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is the file of this memory.
    Memory(MemoryId),
    /// It is the file of the memory that the file itself names.
    Digest,
}

/// Returns the name of the file of `id`.
///
/// Upper case is encoded, so that ids that differ in case have different files on a file system
/// that ignores it; so is everything beyond ASCII, which some file systems normalise. A name never
/// begins with a dot: those are temporary files.
pub(super) fn encode(id: &MemoryId) -> String {
    let id = id.as_str();
    let mut name = String::with_capacity(id.len() + SUFFIX.len());
    for (index, byte) in id.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'.' if index > 0 => name.push('.'),
            _ => push_hex(&mut name, byte),
        }
    }
    if name.len() > LONGEST {
        name.clear();
        name.push_str("%~");
        name.extend(Sha256::digest(id.as_bytes()).into_iter().flat_map(hex));
    }
    name.push_str(SUFFIX);
    name
}

/// Returns what `name` says, or `None` if no memory has it.
pub(super) fn decode(name: &str) -> Option<Named> {
    let encoded = name.strip_suffix(SUFFIX)?;
    if encoded.starts_with("%~") {
        return Some(Named::Digest);
    }
    let id = MemoryId::new(&percent_decode_str(encoded).decode_utf8().ok()?).ok()?;
    (encode(&id) == name).then_some(Named::Memory(id))
}

fn push_hex(name: &mut String, byte: u8) {
    name.push('%');
    name.extend(hex(byte));
}

/// Returns two lower-case hexadecimal digits.
pub(super) fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> MemoryId {
        MemoryId::new(text).unwrap()
    }

    #[test]
    fn plain_ids_are_their_own_names() {
        assert_eq!(encode(&id("user-alice_1.2")), "user-alice_1.2.jsonl");
    }

    #[test]
    fn an_id_cannot_leave_the_directory_or_hide_in_it() {
        assert_eq!(encode(&id("../etc/passwd")), "%2e.%2fetc%2fpasswd.jsonl");
        assert_eq!(encode(&id("..")), "%2e..jsonl");
        assert_eq!(encode(&id(".tmp-1")), "%2etmp-1.jsonl");
        assert_eq!(encode(&id("a\0b")), "a%00b.jsonl");
    }

    #[test]
    fn ids_that_differ_in_case_or_normal_form_differ_in_name() {
        assert_eq!(encode(&id("Alice")), "%41lice.jsonl");
        assert_eq!(encode(&id("\u{e9}")), "%c3%a9.jsonl");
        assert_eq!(encode(&id("e\u{301}")), "e%cc%81.jsonl");
    }

    #[test]
    fn a_long_id_is_named_by_its_digest() {
        let name = encode(&id(&"x".repeat(5000)));
        assert!(name.starts_with("%~") && name.len() == 2 + 64 + SUFFIX.len(), "{name}");
        assert_eq!(decode(&name), Some(Named::Digest));
    }

    #[test]
    fn names_that_no_id_has_are_foreign() {
        for name in [".jsonl", "Alice.jsonl", "a.json", "%4A.jsonl", "%ff.jsonl", ".a.jsonl", "%2"]
        {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_id_has_a_name_that_leads_back_to_it(text in "\\PC{1,60}|[a-cA-C%./~]{1,12}") {
            let name = encode(&id(&text));
            prop_assert!(name.len() <= LONGEST + SUFFIX.len());
            prop_assert_eq!(&name, &name.to_lowercase());
            match decode(&name) {
                Some(Named::Memory(back)) => prop_assert_eq!(back.as_str(), text),
                Some(Named::Digest) => prop_assert!(text.len() > LONGEST / 3),
                None => prop_assert!(false, "{}", name),
            }
        }
    }
}

//! The name of a document's file: the Go library's wherever that is safe, and no two ids share one.

use crate::file::names::hex;
use crate::keyspace::MemoryId;

const SUFFIX: &str = ".json";

/// File systems allow 255 bytes; Go writes `<name>.tmp` next to a file before it renames it.
const LONGEST: usize = 255 - ".tmp".len();

/// Returns the name of the file of `id`; `None` if it would be too long.
///
/// Go takes the id as it is. So does this, but for what could leave the directory (`/`), hide in it
/// (a dot at the beginning) or cannot be in a name: such a byte is written as `%` and two lower-case
/// hexadecimal digits, and so is a `%` that would be read as the beginning of that.
pub(super) fn encode(id: &MemoryId) -> Option<String> {
    let text = id.as_str();
    let mut name = String::with_capacity(text.len() + SUFFIX.len());
    for (index, character) in text.char_indices() {
        let special = match character {
            '/' => true,
            '.' => index == 0,
            '%' => is_escape(text.as_bytes().get(index..).unwrap_or_default()),
            _ => character.is_ascii_control(),
        };
        if special {
            name.push('%');
            name.extend(hex(u8::try_from(character).unwrap_or_default()));
        } else {
            name.push(character);
        }
    }
    name.push_str(SUFFIX);
    (name.len() <= LONGEST).then_some(name)
}

/// Returns the id whose document has the name `name`, or `None` if no document has it.
pub(in crate::file) fn id(name: &str) -> Option<MemoryId> {
    let mut rest = name.strip_suffix(SUFFIX)?.as_bytes();
    let mut id = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        if is_escape(rest) {
            let digits = std::str::from_utf8(rest.get(1..3)?).ok()?;
            id.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(3..)?;
        } else {
            id.push(byte);
            rest = after;
        }
    }
    let id = MemoryId::new(&String::from_utf8(id).ok()?).ok()?;
    (encode(&id)? == name).then_some(id)
}

fn is_escape(text: &[u8]) -> bool {
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(text, [b'%', high, low, ..] if digit(high) && digit(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> String {
        encode(&MemoryId::new(text).unwrap()).unwrap()
    }

    #[test]
    fn an_id_that_is_a_safe_name_is_its_own_as_in_go() {
        for id in
            ["user-alice", "User_1.2", "日本 🙂", "50%", "a:b", "tenant=1,user=2", "a..b", "%zz"]
        {
            assert_eq!(name(id), format!("{id}.json"));
        }
    }

    #[test]
    fn an_id_cannot_leave_the_directory_or_hide_in_it() {
        assert_eq!(name("../evil"), "%2e.%2fevil.json");
        assert_eq!(name(".tmp-1"), "%2etmp-1.json");
        assert_eq!(name("a\0\n"), "a%00%0a.json");
        assert_eq!(name("a%2fb"), "a%252fb.json");
    }

    #[test]
    fn names_that_no_id_has_are_foreign() {
        for name in [".json", "a.jsonl", "a.json.tmp", ".a.json", "%41.json", "%2", "%ff.json"] {
            assert_eq!(id(name), None, "{name}");
        }
        assert_eq!(encode(&MemoryId::new(&"x".repeat(247)).unwrap()), None);
    }

    proptest! {
        #[test]
        fn every_id_has_a_name_that_leads_back_to_it(text in "\\PC{1,30}|[a-f0-9%./]{1,12}") {
            let back = id(&name(&text));
            prop_assert_eq!(back.as_ref().map(MemoryId::as_str), Some(text.as_str()));
        }
    }
}

//! Prefixes and ids: a key gives back its id, and a pattern stands for its prefix alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redember::keyspace::{Keyspace, MemoryId};

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (prefix, id, key) = input;
    let (Ok(space), Ok(id)) = (Keyspace::new(prefix), MemoryId::new(id)) else { return };
    let own = space.key(&id);
    assert_eq!(own, [prefix, id.as_str()].concat().as_bytes());
    if let Some(found) = space.id(&own) {
        assert_eq!(found, id.as_str());
    }
    if let Some(found) = space.id(key) {
        assert_eq!([prefix, found].concat().as_bytes(), key);
    }
    let pattern = space.pattern();
    let literal = pattern.strip_suffix('*').expect("a pattern ends in a star");
    let mut unescaped = String::new();
    let mut characters = literal.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => unescaped.extend(characters.next()),
            '*' | '?' | '[' => panic!("a pattern within a prefix: {pattern}"),
            other => unescaped.push(other),
        }
    }
    assert_eq!(unescaped, prefix);
});

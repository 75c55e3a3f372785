//! A stored document: read or refused; what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redember::layout::document::{Form, read, write};

fuzz_target!(|data: &[u8]| {
    let Ok(messages) = read(data) else { return };
    let value: serde_json::Value = serde_json::from_slice(&messages.to_json())
        .expect("what was read is a conversation in JSON");
    assert_eq!(value.as_array().map(Vec::len), Some(messages.len()));
    if let Ok(written) = write(&messages, Form::Compact) {
        let again = read(&written).expect("what was written can be read");
        assert_eq!(again.to_json(), messages.to_json());
    }
});

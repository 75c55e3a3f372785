//! A message in JSON: what serde_json reads as an object is a message, and nothing else is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redember::codec::json::{MAX_DEPTH, depth};
use redember::message::Message;

fuzz_target!(|text: &str| {
    let ours = Message::from_json(text);
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(object) => {
            if depth(text.as_bytes()) > MAX_DEPTH {
                assert!(ours.is_err(), "too deep");
                return;
            }
            let message = ours.expect("serde_json reads it");
            assert!(!message.as_bytes().contains(&b'\n'), "a line is a message");
            let again = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(
                message.as_bytes(),
            );
            assert_eq!(again.expect("it is stored as JSON"), object);
        }
        // serde_json refuses lone surrogates and numbers that overflow only where it builds values.
        Err(error) if error.is_syntax() && !text.contains("\\u") && !text.contains(['e', 'E']) => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            assert!(ours.is_err() || digits > 300 || depth(text.as_bytes()) > 100, "{error}");
        }
        Err(_) => {}
    }
});

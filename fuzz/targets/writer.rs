//! What is written as JSON: byte for byte as serde_json writes it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redember::codec::json::{write_float, write_integer, write_string};

fuzz_target!(|input: (&str, f64, i64)| {
    let (text, float, integer) = input;
    let mut out = Vec::new();
    write_string(&mut out, text);
    assert_eq!(out, serde_json::to_vec(text).expect("text can be written"));
    out.clear();
    if write_float(&mut out, float) {
        let back: f64 = serde_json::from_slice(&out).expect("it is a number");
        assert_eq!(back.to_bits(), float.to_bits());
    } else {
        assert!(!float.is_finite());
    }
    out.clear();
    write_integer(&mut out, integer);
    assert_eq!(out, integer.to_string().as_bytes());
});

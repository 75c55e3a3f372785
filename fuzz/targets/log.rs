//! The elements of a stored memory, split at bytes that no UTF-8 has: read or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use redember::layout::{Header, read_log, read_log_tail};

const HEADER: &str = "redember:1 rev=3 count=2 total=2 skip=0 bytes=26 chunks=1 open=1/26/2 \
                      born=w.0:1 lanes=";

fuzz_target!(|data: &[u8]| {
    let mut elements: Vec<Bytes> =
        data.split(|&byte| byte == 0xff).map(Bytes::copy_from_slice).collect();
    let _ = Header::parse(&elements[0]);
    if elements[0].is_empty() {
        elements[0] = HEADER.into(); // the chunks alone are what is tried
    }
    let _ = read_log_tail(elements.clone(), 3);
    let Ok((header, messages)) = read_log(elements) else { return };
    assert_eq!(header.count, messages.len(), "never fewer than are counted");
    for index in 0..messages.len() {
        let message = messages.get(index).expect("it was counted");
        if message.fields().is_ok() {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(message.as_bytes());
            // What serde_json refuses besides: lone surrogates and numbers that overflow.
            assert!(read.is_ok_and(|value| value.is_object()) || is_odd(message.as_bytes()));
        }
    }
});

fn is_odd(text: &[u8]) -> bool {
    text.windows(2).any(|two| two == b"\\u") || text.iter().any(u8::is_ascii_digit)
}

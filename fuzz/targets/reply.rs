//! What a server answers: read or refused, and what is left is where it should be.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(used) = redember::transport::read_reply(data) {
        assert!(used <= data.len());
        // The same bytes say the same, whatever comes after them.
        let alone = redember::transport::read_reply(&data[..used]);
        assert_eq!(alone, Some(used));
    }
});

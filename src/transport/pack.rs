//! RESP: packs requests. See [`resp`](super::resp) for the format.

use bytes::Bytes;

use crate::decimal::digits;
use crate::plan::Command;
use crate::script::Form;

/// Appends a command as it goes over the wire.
pub(super) fn pack(out: &mut Vec<u8>, command: &Command, form: Form) {
    pack_parts(out, command, form, |out, part| out.extend_from_slice(part));
}

/// Appends a command as [`pack`] does; `put` says what becomes of each argument.
pub(super) fn pack_parts(
    out: &mut Vec<u8>,
    command: &Command,
    form: Form,
    mut put: impl FnMut(&mut Vec<u8>, &Bytes),
) {
    write_length(out, b'*', command.parts());
    command.for_each_part(form, |part| {
        write_length(out, b'$', part.len());
        put(out, part);
        out.extend_from_slice(b"\r\n");
    });
}

/// Appends `kind`, a number and the end of the line.
fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    let digit = |unit: usize| b'0' + u8::try_from(length / unit % 10).unwrap_or_default();
    // What is known to be so long is written in one piece, with no call.
    match length {
        0..10 => out.extend_from_slice(&[kind, digit(1), b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[kind, digit(10), digit(1), b'\r', b'\n']),
        100..1000 => {
            out.extend_from_slice(&[kind, digit(100), digit(10), digit(1), b'\r', b'\n']);
        }
        _ => {
            out.push(kind);
            out.extend_from_slice(digits(length as u64, &mut [0; 20]));
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_packed_as_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        let command = Command::plain(["GET".into(), "a\r\nb".into(), "".into()]);
        pack(&mut out, &command, Form::Digest);
        assert_eq!(out, b"*3\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    }

    #[test]
    fn lengths_of_any_size_are_written_as_numbers_are() {
        for length in [0, 9, 10, 99, 100, 999, 1000, 12_345, usize::MAX] {
            let mut out = Vec::new();
            write_length(&mut out, b'$', length);
            assert_eq!(out, format!("${length}\r\n").as_bytes());
        }
    }
}

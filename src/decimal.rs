//! Numbers as text. By hand, as every write makes a dozen: formatting would be the larger part of it.

use bytes::Bytes;

/// Returns the digits of a number, at the end of a buffer.
pub(crate) fn digits(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut length = 0;
    for digit in buffer.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    buffer.get(buffer.len() - length..).unwrap_or_default()
}

/// Returns a number as an argument of a command.
pub(crate) fn decimal(number: impl TryInto<u64>) -> Bytes {
    let number = number.try_into().unwrap_or(u64::MAX);
    Bytes::copy_from_slice(digits(number, &mut [0; 20]))
}

/// Returns a place in a list, counted from its end, as an argument of a command.
pub(crate) fn from_the_end(place: usize) -> Bytes {
    let mut buffer = [0; 20];
    let digits = digits(place as u64, &mut buffer);
    [b"-", digits].concat().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_they_are_read(number: u64, place: usize) {
            prop_assert_eq!(decimal(number), number.to_string());
            prop_assert_eq!(from_the_end(place), format!("-{place}"));
        }
    }
}

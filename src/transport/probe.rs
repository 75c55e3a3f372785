//! Finds out why a connection ended without a word: one side may speak TLS and the other not.
//!
//! Neither says so by itself. A Redis server takes the beginning of TLS for a line that has not ended
//! yet, and waits; one that wants TLS closes what begins otherwise. So the port is asked once more,
//! in the other language, and only the first byte of its answer counts. Nothing of the caller's is
//! ever sent this way.

use super::address::Address;
use super::tls;
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};

/// More than a Redis server takes for one line: it then says that something is wrong.
const TOO_LONG_A_LINE: usize = 96 << 10;
/// How a TLS connection begins.
const HANDSHAKE: [u8; 3] = [0x16, 0x03, 0x01];

/// What to say to a port, and what its answer means.
#[derive(Debug)]
pub(super) struct Probe {
    /// What to send.
    pub(super) hello: Vec<u8>,
    telltale: &'static [u8],
    verdict: &'static str,
}

impl Probe {
    /// Returns the probe for a connection to `address` that failed, if one may explain the failure.
    pub(super) fn of(address: &Address, failure: &Failure) -> Option<Self> {
        if !failure.lost {
            return None;
        }
        if address.settings.tls.is_some() {
            let mut hello = HANDSHAKE.to_vec();
            hello.resize(TOO_LONG_A_LINE, 0);
            let verdict = "it does not speak TLS on this port; use its TLS port, or redis:// \
                           without TLS";
            return Some(Self { hello, telltale: b"-+", verdict });
        }
        // A server that wants TLS closes the connection, at once.
        let hello = tls::hello().filter(|_| !failure.timed_out)?;
        let verdict = "it speaks TLS on this port; begin the URL with rediss://, or pass tls=True";
        Some(Self { hello, telltale: &[0x15, 0x16], verdict })
    }

    /// Returns what really failed, as the first byte of the answer tells it.
    pub(super) fn verdict(&self, address: &Address, first: u8) -> Option<Failure> {
        self.telltale.contains(&first).then(|| {
            let error = Error::new(ErrorKind::Tls, format!("{address}: {}", self.verdict));
            Failure::before_sending(error, Retry::Never)
        })
    }
}

//! What a server's error reply means.
//!
//! The text of an error may repeat what was sent, so it is shown only for codes that never do, and
//! for the general code `ERR` up to the first thing it quotes.

use crate::error::{Error, ErrorKind, plain};
use crate::plan::ServerError;

const ALLOW: &str = "allow this user the commands that redember needs on its keys";

/// Returns whether the server may answer otherwise in a moment.
pub(crate) fn is_transient(error: &ServerError) -> bool {
    matches!(
        error.code.as_str(),
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY"
    ) || is_full_of_clients(error)
}

/// Turns an error reply into the error that callers see.
pub(crate) fn refused(error: &ServerError) -> Error {
    let (kind, advice) = match error.code.as_str() {
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => {
            (ErrorKind::ServerBusy, "try again in a moment")
        }
        "READONLY" => (ErrorKind::ReadOnly, "connect to the primary, not to a replica"),
        "OOM" | "MISCONF" => (
            ErrorKind::ServerFull,
            "nothing was written: give the server memory or disk, or delete old memories",
        ),
        "NOREPLICAS" => (
            ErrorKind::NotEnoughReplicas { written: false },
            "nothing was written: check the replicas",
        ),
        "MOVED" | "ASK" => {
            (ErrorKind::InvalidArgument, "it is part of a cluster: connect with `cluster`")
        }
        "NOAUTH" | "WRONGPASS" => (ErrorKind::AuthFailed, "check the user name and the password"),
        "NOPERM" => (ErrorKind::PermissionDenied, ALLOW),
        "ERR" if is_forbidden_in_scripts(error) => (ErrorKind::PermissionDenied, ALLOW),
        "WRONGTYPE" => (
            ErrorKind::Corrupt { index: None },
            "the key is no redember list and was left as it is: use another prefix",
        ),
        "FOREIGN" => (
            ErrorKind::Corrupt { index: None },
            "nothing was changed: use another prefix, or a newer redember",
        ),
        _ if is_full_of_clients(error) => {
            (ErrorKind::ServerBusy, "raise maxclients, or share one client between backends")
        }
        "ERR" if error.detail.starts_with("unknown command") && error.detail.contains("HELLO") => {
            (ErrorKind::Server, "it does not speak RESP3: use protocol=2")
        }
        "ERR" if error.detail.contains("without any password") => {
            (ErrorKind::AuthFailed, "it has no password set: leave the password out")
        }
        "ERR" if error.detail.starts_with("DB index") => {
            (ErrorKind::InvalidArgument, "choose a smaller db, or raise the server's `databases`")
        }
        "ERR" if error.detail.contains("invalid password") || error.detail.contains("AUTH") => {
            (ErrorKind::AuthFailed, "check the user name and the password")
        }
        _ => (ErrorKind::Server, "see the server's log"),
    };
    Error::new(kind, format!("the server answered {}: {advice}", summary(error)))
}

/// Returns whether a script called what its user may not, which servers say without a code of its own.
fn is_forbidden_in_scripts(error: &ServerError) -> bool {
    let words = ["The user executing the script can't", "ACL failure in script"];
    words.iter().any(|words| error.detail.contains(words))
}

fn is_full_of_clients(error: &ServerError) -> bool {
    error.code == "ERR" && error.detail.starts_with("max number of clients")
}

/// Returns the code, and the detail where it is the server's own words, without control characters.
fn summary(error: &ServerError) -> String {
    let code = plain(&error.code);
    match error.code.as_str() {
        "NOAUTH" | "NOPERM" | "OOM" | "LOADING" | "MISCONF" | "FOREIGN" => {
            format!("{code} ({})", plain(&error.detail))
        }
        // Many an error quotes the arguments of its command, a password among them: nothing from
        // the first quotation mark on is repeated.
        "ERR" => {
            let end = error.detail.find(['`', '\'', '"', ',']).unwrap_or(error.detail.len());
            format!("{code} ({})", plain(error.detail.get(..end).unwrap_or_default()).trim_end())
        }
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        let cases = [
            ("LOADING Redis is loading", ErrorKind::ServerBusy, true),
            ("READONLY You can't write", ErrorKind::ReadOnly, true),
            ("OOM command not allowed", ErrorKind::ServerFull, false),
            ("WRONGPASS invalid username-password pair", ErrorKind::AuthFailed, false),
            ("NOPERM this user has no permissions", ErrorKind::PermissionDenied, false),
            ("WRONGTYPE Operation", ErrorKind::Corrupt { index: None }, false),
            ("ERR max number of clients reached", ErrorKind::ServerBusy, true),
            ("ERR The user executing the script can't run", ErrorKind::PermissionDenied, false),
            ("ERR ACL failure in script: User me has no", ErrorKind::PermissionDenied, false),
            ("ERR something new", ErrorKind::Server, false),
        ];
        for (line, kind, transient) in cases {
            let error = ServerError::parse(line);
            assert_eq!(refused(&error).kind(), &kind, "{line}");
            assert_eq!(is_transient(&error), transient, "{line}");
        }
    }

    #[test]
    fn what_a_server_quotes_is_not_repeated() {
        let line = "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `hunter2`";
        let error = refused(&ServerError::parse(line));
        assert!(error.message().contains("protocol=2"), "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }

    #[test]
    fn control_characters_of_a_server_do_not_reach_the_text() {
        let error = refused(&ServerError::parse("ERR \u{1b}[31mred\nnew line"));
        assert!(!error.message().contains(char::is_control));
    }
}

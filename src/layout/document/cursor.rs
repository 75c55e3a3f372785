//! Walks over JSON text, accepting what Go's `encoding/json` accepts: the grammar of RFC 8259, with
//! any bytes from 0x20 on in strings.

/// The deepest nesting that Go reads.
const MAX_DEPTH: usize = 10_000;

/// What is wrong with a text, and where.
pub(super) type Problem = String;

/// A place in a JSON text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Skips white space and returns the byte that comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Problem> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn literal(&mut self, word: &[u8]) -> Result<(), Problem> {
        self.peek();
        if !self.rest().starts_with(word) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(())
    }

    /// Takes `null`, if it comes next.
    pub(super) fn take_null(&mut self) -> Result<bool, Problem> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal(b"null").map(|()| true)
    }

    /// Takes a string; returns what is between the quotes, escapes and all.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Problem> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let run =
                self.rest().iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            self.at += run.ok_or_else(|| self.malformed())?;
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return Err(self.malformed()),
            }
        }
        let inside = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(inside)
    }

    fn escape(&mut self) -> Result<(), Problem> {
        let digits = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.malformed()),
        };
        let hex = self.text.get(self.at + 2..self.at + 2 + digits);
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.malformed());
        }
        self.at += 2 + digits;
        Ok(())
    }

    /// Takes a member's name and the colon after it.
    pub(super) fn name(&mut self) -> Result<&'a [u8], Problem> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Takes any value; returns its text.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Problem> {
        self.peek();
        let start = self.at;
        // The closing brackets that are due: no recursion, so no depth of a stored text can hurt.
        let mut due: Vec<u8> = Vec::new();
        loop {
            if self.opens(&mut due)? {
                continue;
            }
            loop {
                let Some(&close) = due.last() else {
                    return Ok(self.text.get(start..self.at).unwrap_or_default());
                };
                if self.peek() == Some(b',') {
                    self.at += 1;
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                }
                self.expect(close)?;
                due.pop();
            }
        }
    }

    /// Takes a scalar, an empty array or object, or the beginning of one that has members; returns
    /// whether it was the latter.
    fn opens(&mut self, due: &mut Vec<u8>) -> Result<bool, Problem> {
        let close = match self.peek() {
            Some(b'"') => return self.string().map(|_| false),
            Some(b't') => return self.literal(b"true").map(|()| false),
            Some(b'f') => return self.literal(b"false").map(|()| false),
            Some(b'n') => return self.literal(b"null").map(|()| false),
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => return self.number().map(|()| false),
        };
        if due.len() >= MAX_DEPTH {
            return Err("is nested too deep".to_owned());
        }
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        if close == b'}' {
            self.name()?;
        }
        due.push(close);
        Ok(true)
    }

    fn number(&mut self) -> Result<(), Problem> {
        if self.next_is(b"-") {
            self.at += 1;
        }
        if self.next_is(b"0") {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.next_is(b".") {
            self.at += 1;
            self.digits()?;
        }
        if self.next_is(b"eE") {
            self.at += 1;
            if self.next_is(b"+-") {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.malformed());
        }
        self.at += digits;
        Ok(())
    }

    fn next_is(&self, any_of: &[u8]) -> bool {
        self.text.get(self.at).is_some_and(|byte| any_of.contains(byte))
    }

    /// Checks that nothing comes any more but white space.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        if self.peek().is_some() { Err(self.malformed()) } else { Ok(()) }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self) -> Problem {
        if self.at >= self.text.len() {
            "ends too early".to_owned()
        } else {
            format!("is not well formed at byte {}", self.at)
        }
    }
}

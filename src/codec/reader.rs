//! Reads JSON text token by token, and builds nothing.
//!
//! It takes exactly what `serde_json` takes (a property test sees to it), and hands out text as
//! it lies in the message where it can. It does not look whether text is UTF-8: who makes a string
//! of it has to check that anyway, once.

use super::json::MAX_DEPTH;
use super::scan::{Plain, copy_plain, position_of_special};

/// The text is no JSON, as can be told at byte `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Index of the byte.
    pub at: usize,
}

type Result<T, E = Malformed> = std::result::Result<T, E>;

/// A value, or how one begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A string without its quotes and escapes.
    Text(&'a [u8]),
    /// A list: call [`Reader::item`] before each value, until there is none.
    List,
    /// An object: call [`Reader::name`] before each value, until there is none.
    Object,
}

/// Walks over one JSON text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the list or object at hand has had no value yet.
    opened: bool,
    unescaped: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, opened: false, unescaped: Vec::new() }
    }

    /// Starts anew with another text.
    pub fn restart(&mut self, text: &'a [u8]) {
        (self.text, self.at, self.opened) = (text, 0, false);
    }

    /// Returns how many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads a value; of a list or an object, the opening bracket.
    ///
    /// # Errors
    /// [`Malformed`] if there is none.
    #[inline]
    pub fn value(&mut self) -> Result<Token<'_>> {
        let byte = self.next_byte()?;
        self.opened = matches!(byte, b'[' | b'{');
        match byte {
            b'"' => self.text().map(Token::Text),
            b'{' => Ok(Token::Object),
            b'[' => Ok(Token::List),
            b'-' | b'0'..=b'9' => self.number().map(Token::Number),
            b'n' => self.word(b"ull").map(|()| Token::Null),
            b't' => self.word(b"rue").map(|()| Token::Bool(true)),
            b'f' => self.word(b"alse").map(|()| Token::Bool(false)),
            _ => Err(self.malformed_before()),
        }
    }

    /// Goes past `beginning` if the text begins so, at the start of it, and has no more: as an object that
    /// is open, up to the value of its last name.
    #[inline]
    pub fn open_with(&mut self, beginning: &[u8]) -> bool {
        let begins = self.at == 0 && self.text.starts_with(beginning);
        if begins {
            (self.at, self.opened) = (beginning.len(), false);
        }
        begins
    }

    /// Goes to the next value of a list; `false` at its end.
    ///
    /// # Errors
    /// [`Malformed`] where neither a comma nor the closing bracket stands.
    pub fn item(&mut self) -> Result<bool> {
        self.next_in(b']')
    }

    /// Reads the next name of an object, up to its value; `None` at the object's end.
    ///
    /// # Errors
    /// [`Malformed`] where neither a name nor the closing bracket stands.
    #[inline]
    pub fn name(&mut self) -> Result<Option<&[u8]>> {
        if !self.next_in(b'}')? {
            return Ok(None);
        }
        self.expect(b'"')?;
        let name = self.span()?;
        self.expect(b':')?;
        Ok(Some(match name {
            Span::Plain(plain) => plain,
            Span::Unescaped => &self.unescaped,
        }))
    }

    /// Passes over one value, looking that it is well formed.
    ///
    /// # Errors
    /// [`Malformed`] if it is not, or if it nests deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self) -> Result<()> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, levels: usize) -> Result<()> {
        let inner = |reader: &Self| levels.checked_sub(1).ok_or(Malformed { at: reader.at });
        match self.value()? {
            Token::List => {
                let levels = inner(self)?;
                while self.item()? {
                    self.skip_within(levels)?;
                }
            }
            Token::Object => {
                let levels = inner(self)?;
                while self.name()?.is_some() {
                    self.skip_within(levels)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that nothing but white space is left.
    ///
    /// # Errors
    /// [`Malformed`] if there is more.
    pub fn end(&mut self) -> Result<()> {
        match self.next_byte() {
            Ok(_) => Err(self.malformed_before()),
            Err(_) => Ok(()),
        }
    }

    fn text(&mut self) -> Result<&[u8]> {
        match self.span()? {
            Span::Plain(plain) => Ok(plain),
            Span::Unescaped => Ok(&self.unescaped),
        }
    }

    /// Reads a string whose opening quote was read.
    #[inline]
    fn span(&mut self) -> Result<Span<'a>> {
        let start = self.at;
        let rest = self.rest();
        let end = position_of_special(rest).ok_or(Malformed { at: self.text.len() })?;
        let (plain, rest) = rest.split_at(end);
        self.at = start + end + 1;
        if rest.first() == Some(&b'"') {
            return Ok(Span::Plain(plain));
        }
        self.at -= 1;
        self.unescaped.clear();
        self.unescaped.extend_from_slice(plain);
        self.unescape().map(|()| Span::Unescaped)
    }

    /// Reads the rest of a string that holds an escape, from that on.
    fn unescape(&mut self) -> Result<()> {
        loop {
            let text = self.text.get(self.at..).unwrap_or_default();
            let rest = copy_plain(&mut self.unescaped, text, Plain::Utf8);
            self.at = self.text.len() - rest.len() + 1;
            match rest {
                [] => return Err(Malformed { at: self.text.len() }),
                [b'"', ..] => return Ok(()),
                [b'\\', b'u', ..] => {
                    self.at += 1;
                    let character = self.character()?;
                    let mut utf8 = [0; 4];
                    self.unescaped.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                }
                [b'\\', escape, ..] => {
                    // Looked up, since which one it is cannot be guessed.
                    let byte = MEANINGS.get(usize::from(*escape)).copied().unwrap_or_default();
                    if byte == 0 {
                        return Err(Malformed { at: self.at });
                    }
                    self.at += 1;
                    self.unescaped.push(byte);
                }
                _ => return Err(self.malformed_before()),
            }
        }
    }

    /// Reads the digits of `\u`, and of the second escape where two make one character.
    fn character(&mut self) -> Result<char> {
        let mut units = [self.unit()?, 0];
        let mut count = 1;
        if (0xd800..0xdc00).contains(&units[0]) {
            self.word(b"\\u")?;
            units[1] = self.unit()?;
            count = 2;
        }
        match char::decode_utf16(units.into_iter().take(count)).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(self.malformed_before()),
        }
    }

    fn unit(&mut self) -> Result<u16> {
        let malformed = Malformed { at: self.at };
        let digits = self.rest().first_chunk::<4>().ok_or(malformed)?;
        let mut unit = 0;
        for &digit in digits {
            let digit = char::from(digit).to_digit(16).ok_or(malformed)?;
            unit = unit * 16 + digit;
        }
        self.at += 4;
        u16::try_from(unit).map_err(|_| malformed)
    }

    /// Reads a number whose first byte was read.
    fn number(&mut self) -> Result<&'a str> {
        let start = self.at - 1;
        self.at = start;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| Malformed { at: start })
    }

    fn digits(&mut self) -> Result<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(Malformed { at: self.at }) } else { Ok(()) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    fn next_in(&mut self, close: u8) -> Result<bool> {
        let opened = std::mem::take(&mut self.opened);
        let byte = self.next_byte()?;
        if byte == close {
            return Ok(false);
        }
        if opened {
            self.at -= 1;
            return Ok(true);
        }
        if byte == b',' { Ok(true) } else { Err(self.malformed_before()) }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.next_byte()? == byte { Ok(()) } else { Err(self.malformed_before()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.rest().starts_with(word) {
            return Err(Malformed { at: self.at });
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads the next byte that is not white space.
    #[inline]
    fn next_byte(&mut self) -> Result<u8> {
        loop {
            let byte = *self.text.get(self.at).ok_or(Malformed { at: self.at })?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Ok(byte);
            }
        }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed_before(&self) -> Malformed {
        Malformed { at: self.at.saturating_sub(1) }
    }
}

/// What a byte behind a backslash stands for; zero if for nothing.
static MEANINGS: [u8; 128] = meanings();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
const fn meanings() -> [u8; 128] {
    let mut meanings = [0; 128];
    meanings[b'"' as usize] = b'"';
    meanings[b'\\' as usize] = b'\\';
    meanings[b'/' as usize] = b'/';
    meanings[b'b' as usize] = 0x08;
    meanings[b'f' as usize] = 0x0c;
    meanings[b'n' as usize] = b'\n';
    meanings[b'r' as usize] = b'\r';
    meanings[b't' as usize] = b'\t';
    meanings
}

/// What a string holds: as it lies there, or in [`Reader::unescaped`].
enum Span<'a> {
    Plain(&'a [u8]),
    Unescaped,
}

#[cfg(test)]
mod tests;

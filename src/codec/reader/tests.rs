use proptest::prelude::*;
use serde_json::{Map, Number, Value};

use super::*;

/// Builds what `serde_json` would build.
fn read(text: &str) -> Result<Value> {
    let mut reader = Reader::new(text.as_bytes());
    let value = build(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn build(reader: &mut Reader<'_>) -> Result<Value> {
    let at = reader.position();
    let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(match reader.value()? {
        Token::Null => Value::Null,
        Token::Bool(value) => value.into(),
        Token::Number(text) => {
            serde_json::from_str::<Number>(text).map_err(|_| Malformed { at })?.into()
        }
        Token::Text(text) => string(text).into(),
        Token::List => {
            let mut list = Vec::new();
            while reader.item()? {
                list.push(build(reader)?);
            }
            list.into()
        }
        Token::Object => {
            let mut object = Map::new();
            while let Some(name) = reader.name()?.map(string) {
                object.insert(name, build(reader)?);
            }
            object.into()
        }
    })
}

/// Whether both readers refuse a text, or read the same.
fn agree(text: &str) {
    let theirs = serde_json::from_str::<Value>(text);
    assert_eq!(read(text).ok(), theirs.ok(), "{text:?}");
    let mut reader = Reader::new(text.as_bytes());
    let skipped = reader.skip().and_then(|()| reader.end()).is_ok();
    assert!(skipped || read(text).is_err(), "{text:?}");
}

#[test]
fn texts_at_the_edge_are_read_or_refused_as_serde_json_does() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true ",
        "tru",
        "\tfalse\r\n",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "[",
        "]",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "{\"a\" : [ {} , {\"b\":null} ] }",
        "{\"a\":1 \"b\":2}",
        "{} {}",
        "[]]",
        "0",
        "-0",
        "00",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1E-2",
        "-1.5e+3",
        "1e999",
        "+1",
        "1_0",
        "18446744073709551616",
        "\"",
        "\"\\\"",
        "\"a\nb\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude42\"",
        "\"\\ud83d\"",
        "\"\\ude42\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\x\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"\u{7f}é東🙂\"",
        "\u{feff}1",
        "é",
    ] {
        agree(text);
    }
}

#[test]
fn nesting_is_bounded_where_values_are_passed_over() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(Reader::new(nested(MAX_DEPTH).as_bytes()).skip().is_ok());
    assert!(Reader::new(nested(MAX_DEPTH + 1).as_bytes()).skip().is_err());
    assert!(Reader::new("[".repeat(1 << 20).as_bytes()).skip().is_err());
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back(texts in prop::collection::vec("(?s).{0,90}", 0..4)) {
        agree(&serde_json::to_string(&texts).unwrap());
    }

    #[test]
    fn anything_is_read_or_refused_as_serde_json_does(
        text in r#"[\[\]{},:" \\/ubnt0-9eE.+\-]{0,24}|\[("[a\\"u0-9dD ]{0,12}"|[0-9eE.\-]{1,6}|[\[{}\],:]|null|true){0,6}\]"#
    ) {
        agree(&text);
    }
}

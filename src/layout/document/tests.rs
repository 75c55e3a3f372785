use super::*;

fn message(text: &str) -> Messages {
    Messages::from_lines(vec![text.to_owned().into()], 0).unwrap()
}

fn compact(text: &str) -> String {
    String::from_utf8(write(&message(text), Form::Compact).unwrap()).unwrap()
}

fn loaded(value: impl AsRef<[u8]>) -> String {
    String::from_utf8(read(value.as_ref()).unwrap().to_json()).unwrap()
}

#[test]
fn a_message_has_go_s_four_members_in_go_s_order() {
    let cases = [
        (
            r#"{"content":"hi","role":"user"}"#,
            r#"[{"Role":"user","Content":"hi","ToolCalls":null,"ToolCallID":""}]"#,
        ),
        (
            r#"{"role":"a","content":null,"tool_calls":[],"tool_call_id":"x"}"#,
            r#"[{"Role":"a","Content":"","ToolCalls":[],"ToolCallID":"x"}]"#,
        ),
        (
            r#"{"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{}]}"#,
            r#"[{"Role":"","Content":"","ToolCalls":[{"ID":"1","Type":"function","Name":"f","Arguments":"{}"},{"ID":"","Type":"","Name":"","Arguments":""}],"ToolCallID":""}]"#,
        ),
    ];
    for (ordinary, document) in cases {
        assert_eq!(compact(ordinary), document);
    }
}

#[test]
fn strings_are_escaped_as_go_does() {
    let text = "<a>&\u{2028}\u{2029}\u{7f}\u{1}\u{8}\n\"\\/é\u{20ac}\u{feff}";
    let json = serde_json::to_string(text).unwrap();
    let written = compact(&format!("{{\"content\":{json}}}"));
    let content =
        "\\u003ca\\u003e\\u0026\\u2028\\u2029\u{7f}\\u0001\\b\\n\\\"\\\\/é\u{20ac}\u{feff}";
    assert!(written.contains(&format!("\"Content\":\"{content}\"")), "{written}");
}

#[test]
fn what_a_document_cannot_hold_is_refused_with_its_path() {
    let cases = [
        (r#"{"name":"x"}"#, "messages[0].name"),
        (r#"{"content":[1]}"#, "messages[0].content"),
        (r#"{"role":7}"#, "messages[0].role"),
        (r#"{"tool_calls":{}}"#, "messages[0].tool_calls"),
        (r#"{"tool_calls":[{},7]}"#, "messages[0].tool_calls[1]"),
        (
            r#"{"tool_calls":[{"function":{"arguments":{}}}]}"#,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (r#"{"tool_calls":[{"index":0}]}"#, "messages[0].tool_calls[0].index"),
    ];
    for (text, place) in cases {
        let error = write(&message(text), Form::Compact).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidMessage { path: place.into() });
    }
    assert!(write(&message(r#"{"name":null,"audio":null}"#), Form::Compact).is_ok());
}

#[test]
fn members_are_found_as_go_finds_them() {
    let cases = [
        (r#"[{"role":"a","CONTENT":"b"}]"#, r#"[{"role":"a","content":"b"}]"#),
        (r#"[{"Role":"a","rOLE":"b","role":null}]"#, r#"[{"role":"b","content":""}]"#),
        (" [ null , {} ] ", r#"[{"role":"","content":""},{"role":"","content":""}]"#),
        ("\n null ", "[]"),
        ("[ ]", "[]"),
        (
            r#"[{"ToolCallſ":[null],"toolcallid":"c"}]"#,
            r#"[{"role":"","content":"","tool_calls":[{"id":"","type":"","function":{"name":"","arguments":""}}],"tool_call_id":"c"}]"#,
        ),
        (
            r#"[{"tool_call_id":"s","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}]"#,
            r#"[{"role":"","content":"","tool_calls":[{"id":"1","type":"","function":{"name":"f","arguments":"{}"}}],"tool_call_id":"s"}]"#,
        ),
        (
            "[{\"When\": {\"a\" :\n[1, \"\\u003c\"]},\"Role\":\"x\"}]",
            r#"[{"role":"x","content":"","When":{"a":[1,"<"]}}]"#,
        ),
    ];
    for (document, ordinary) in cases {
        assert_eq!(loaded(document), ordinary);
    }
}

#[test]
fn what_is_no_text_becomes_the_replacement_character_byte_for_byte_as_in_go() {
    let cases: [(&[u8], &str); 7] = [
        (b"\\ud800", "\u{fffd}"),
        (b"\\ud800\\u0041", "\u{fffd}A"),
        (b"\\udc00\\ud83d\\ude42", "\u{fffd}🙂"),
        (b"\\ud83d\\ud83d\\ude42", "\u{fffd}🙂"),
        (b"\xf0\x9f\x99", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"a\xffb\xe2\x82", "a\u{fffd}b\u{fffd}\u{fffd}"),
        (b"\\ufffd\\/", "\u{fffd}/"),
    ];
    for (inside, text) in cases {
        let document = [b"[{\"Content\":\"", inside, b"\"}]"].concat();
        let expected = format!(r#"[{{"role":"","content":"{text}"}}]"#);
        assert_eq!(loaded(document), expected);
    }
}

#[test]
fn what_go_cannot_read_is_damaged() {
    let cases: [&[u8]; 19] = [
        b"",
        b" ",
        b"{}",
        b"\"\"",
        b"nul",
        b"[",
        b"[{}",
        b"[{}]x",
        b"[{},]",
        b"[1]",
        b"[[]]",
        b"\xef\xbb\xbf[]",
        b"[{\"Content\":\"\n\"}]",
        b"[{\"Content\":[]}]",
        b"[{\"Role\":1}]",
        b"[{\"ToolCalls\":{}}]",
        b"[{\"ToolCalls\":[{\"Arguments\":{}}]}]",
        b"[{\"x\":01}]",
        b"[{\"x\":\"\\x\"}]",
    ];
    for value in cases {
        let error = read(value).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
    }
    let deep = [vec![b'['; 10_001], vec![b']'; 10_001]].concat();
    assert!(read(&[b"[{\"x\":", deep.as_slice(), b"}]"].concat()).is_err());
}

#[test]
fn the_end_is_found_from_the_end() {
    let texts = ["", "}]", "\\\\", "\"},{\"", "\\\"", "[{\"a\":\"b\\\\\\\"\"}]", "\\"];
    let lines: Vec<String> = texts
        .iter()
        .map(|text| {
            format!("{{\"role\":{},\"content\":\"x\"}}", serde_json::to_string(text).unwrap())
        })
        .collect();
    let all = message(&lines.join("\n"));
    for form in [Form::Compact, Form::Indented] {
        let value = write(&all, form).unwrap();
        for wanted in 1..=texts.len() + 1 {
            let ending = Ending::find(&value, wanted).unwrap();
            assert_eq!(ending.elements.len(), wanted.min(texts.len()));
            let last = read_last(&value, &ending).unwrap();
            assert_eq!(last.to_json(), all.last(wanted).to_json());
            // Cut anywhere, it finds the same or says that it needs more.
            for start in 0..value.len() {
                let suffix = &value[start..];
                if let Some(ending) = Ending::find(suffix, wanted) {
                    let found = read_last(suffix, &ending).unwrap();
                    assert_eq!(found.to_json(), all.last(wanted).to_json(), "from {start}");
                }
            }
        }
    }
}

#[test]
fn what_is_spliced_or_shortened_is_what_would_be_written_whole() {
    let line = |n: usize| format!("{{\"role\":\"user\",\"content\":\"{n}\",\"tool_calls\":[]}}");
    for form in [Form::Compact, Form::Indented] {
        let mut value = b"null".to_vec();
        let whole = |count: usize| {
            let all: Vec<String> = (0..count).map(line).collect();
            let all = if count == 0 { Messages::default() } else { message(&all.join("\n")) };
            write(&all, form).unwrap()
        };
        for count in 0..4 {
            let added = write_elements(&message(&line(count)), form).unwrap();
            value = spliced(&value, count, &added, form);
            assert_eq!(value, whole(count + 1));
            assert_eq!(spliced(&value, count + 1, b"", form), value);
        }
        for count in (0..4).rev() {
            let start = Ending::find(&value, 1).unwrap().last_start().unwrap();
            value = shortened(&value, count + 1, start, form);
            assert_eq!(value, whole(count));
        }
        assert_eq!(spliced(b"[ ]\n", 0, b"", form), b"[]");
    }
}

//! Against `serde_json`, in every form that a text can have and by every way there is.

use proptest::prelude::*;

use super::*;

type Write = fn(&Characters<'_>, &mut Vec<u8>) -> Result<(), LoneSurrogate>;

/// Returns every way to write that this processor has.
fn ways() -> Vec<Write> {
    let mut ways: Vec<Write> = vec![|text, out| text.write(out)];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        #[expect(unsafe_code, reason = "the processor was asked")]
        // SAFETY: the processor has what the function is compiled for.
        ways.push(|text, out| unsafe { text.write_wider(out) });
    }
    ways
}

fn agree(text: &str) {
    let points: Vec<u32> = text.chars().map(u32::from).collect();
    let middle: Option<Vec<u16>> = points.iter().map(|&point| point.try_into().ok()).collect();
    let narrow: Option<Vec<u8>> = points.iter().map(|&point| point.try_into().ok()).collect();
    let mut forms = vec![Characters::Utf8(text), Characters::Wide(&points)];
    forms.extend(middle.as_deref().map(Characters::Middle));
    forms.extend(narrow.as_deref().map(Characters::Narrow));
    for form in forms {
        let string = serde_json::to_vec(text).unwrap();
        assert_eq!(form.size(), string.len(), "{text:?}");
        assert!(form.most() >= string.len(), "{text:?}");
        let mut short = Vec::new();
        if form.write_short(&mut short) {
            assert_eq!(short, string, "{text:?} {form:?}");
        }
        for write in ways() {
            let mut out = b"before".to_vec();
            assert_eq!(write(&form, &mut out), Ok(()));
            assert_eq!(out[..6], *b"before");
            assert_eq!(out[6..], string, "{text:?} {form:?}");
        }
    }
}

#[test]
fn every_character_is_written_at_every_place_of_a_block() {
    for character in (0..=0x10_ffff).step_by(5).chain(0..0x900).filter_map(char::from_u32) {
        let at = character as usize % 37;
        agree(&format!("{}{character}{}", "a".repeat(at), "é".repeat(40 - at)));
        agree(&format!("{}{character}", "東".repeat(at)));
    }
}

#[test]
fn texts_of_every_length_are_written_whole() {
    for length in 0..80 {
        for filling in ["a", "é", "ж", "東", "🙂", "\n", "a\"", "é\\"] {
            agree(&filling.repeat(length));
            agree(&format!("{}{filling}", "b".repeat(length)));
        }
    }
}

#[test]
fn surrogates_are_refused_at_every_place() {
    for surrogate in [0xd800, 0xdbff, 0xdc00, 0xdfff] {
        for length in 1..40 {
            for at in 0..length {
                let mut points = vec![u16::from(b'a'); length];
                points[at] = surrogate;
                let wide: Vec<u32> = points.iter().map(|&point| point.into()).collect();
                for write in ways() {
                    for form in [Characters::Middle(&points), Characters::Wide(&wide)] {
                        assert_eq!(write(&form, &mut Vec::new()), Err(LoneSurrogate));
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn texts_are_written_as_serde_json_writes_them(
        text in "(?s)[\\x00-\\xff]{0,80}|\\PC{0,60}|[aя東\"\\\\ \n]{0,80}"
    ) {
        agree(&text);
    }
}

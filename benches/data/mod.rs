//! Conversations for the benches: fixed, in many scripts, with tool calls; never random.

use redember::messages::Messages;

/// Sizes that every bench runs at.
pub(crate) const SIZES: [usize; 3] = [10, 100, 1000];

const LINES: [&str; 8] = [
    "Could you summarise yesterday's meeting about the rollout, and list what is still open?",
    "Natürlich! Drei Punkte sind offen: die Schlüsselrotation, der Lasttest und die Übergabe.",
    "東京の天気を教えてください。明日は傘が必要ですか？",
    "مرحبا، هل يمكنك ترجمة هذه الجملة إلى الإنجليزية من فضلك؟",
    "Вот пример кода:\n```python\nfor name in names:\n\tprint(\"hello\", name)\n```",
    "¿Qué diferencia hay entre una lista y un flujo en Redis? Explícalo con un ejemplo breve.",
    "नमस्ते! मुझे अपनी यात्रा की योजना बनाने में मदद चाहिए।",
    "Sure 🙂 — the quick path is to keep \"one memory, one key\", and never touch the rest.",
];

/// Returns what one message says.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn text(index: usize) -> String {
    LINES.get(index % LINES.len()).copied().unwrap_or_default().repeat(1 + index % 4)
}

/// Returns one message; every eighth is a tool call.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn message(index: usize) -> String {
    let text = serde_json::to_string(&text(index)).unwrap_or_default();
    if index % 8 == 7 {
        return format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{index}","type":"function","function":{{"name":"search","arguments":{}}}}}]}}"#,
            serde_json::to_string(&format!(r#"{{"query":{text}}}"#)).unwrap_or_default()
        );
    }
    let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
    format!(r#"{{"role":"{role}","content":{text}}}"#)
}

/// Returns two conversations that begin with different messages, so that a save has to send all of one.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn two(size: usize) -> [Messages; 2] {
    [conversation(size), conversation(size + 1).last(size)]
}

/// Returns a conversation of `size` messages, in one piece as the codec makes it.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn conversation(size: usize) -> Messages {
    let lines: Vec<String> = (0..size).map(message).collect();
    Messages::from_lines(vec![lines.join("\n").into()], 0).unwrap_or_default()
}

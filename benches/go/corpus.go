package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

// Plain is a message as the corpus and answers have it.
type Plain struct {
	Role       string      `json:"role"`
	Content    string      `json:"content"`
	ToolCalls  []PlainCall `json:"tool_calls,omitempty"`
	ToolCallID string      `json:"tool_call_id,omitempty"`
}

// PlainCall is a call as the corpus and answers have it.
type PlainCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// Corpus is what is stored: corpus.py says how stretches and turns are taken from it.
type Corpus struct {
	Messages []Plain     `json:"messages"`
	Turns    [][2]string `json:"turns"`
	native   []Message
}

// ReadCorpus reads a file that corpus.py wrote.
func ReadCorpus(path string) (*Corpus, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	corpus := &Corpus{}
	if err := json.Unmarshal(text, corpus); err != nil {
		return nil, err
	}
	for _, plain := range corpus.Messages {
		message := Message{Role: plain.Role, Content: plain.Content, ToolCallID: plain.ToolCallID}
		for _, call := range plain.ToolCalls {
			message.ToolCalls = append(message.ToolCalls,
				ToolCall{call.ID, call.Type, call.Function.Name, call.Function.Arguments})
		}
		corpus.native = append(corpus.native, message)
	}
	return corpus, nil
}

// Conversation returns what a memory holds.
func (c *Corpus) Conversation(id string, size int) ([]Message, error) {
	number, err := strconv.Atoi(id[1:])
	if err != nil {
		return nil, err
	}
	start := number % 64 * 7
	return c.native[start : start+size], nil
}

// Version returns what a memory holds at another time: a stretch that lies elsewhere, and turns behind it.
func (c *Corpus) Version(id string, size int, version [2]int) ([]Message, error) {
	number, err := strconv.Atoi(id[1:])
	if err != nil {
		return nil, err
	}
	start, err := c.Conversation(fmt.Sprintf("c%d", number+version[0]), size)
	messages := append([]Message{}, start...)
	for turn := 0; turn < version[1]; turn++ {
		messages = append(messages, c.Turn(fmt.Sprintf("%s+%d", id, turn))...)
	}
	return messages, err
}

// Turn returns the two messages of a turn.
func (c *Corpus) Turn(label string) []Message {
	sum := 0
	for _, letter := range []byte(label) {
		sum += int(letter)
	}
	turn := c.Turns[sum%len(c.Turns)]
	return []Message{
		{Role: "user", Content: fmt.Sprintf("%s %s", label, turn[0])},
		{Role: "assistant", Content: fmt.Sprintf("%s %s", label, turn[1])},
	}
}

// ToPlain returns messages as answers have them.
func ToPlain(messages []Message) []Plain {
	var plain []Plain
	for _, message := range messages {
		one := Plain{Role: message.Role, Content: message.Content, ToolCallID: message.ToolCallID}
		for _, call := range message.ToolCalls {
			made := PlainCall{ID: call.ID, Type: call.Type}
			made.Function.Name, made.Function.Arguments = call.Name, call.Arguments
			one.ToolCalls = append(one.ToolCalls, made)
		}
		plain = append(plain, one)
	}
	return plain
}
